use crate::cli::DoctorArgs;
use super::Outcome;
pub fn doctor(_args: &DoctorArgs) -> Outcome { Outcome::Done }
