//! Syntax of `tracer doctor`.

use clap::{Args, ValueEnum};

/// Arguments of `tracer doctor`.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// How to write the answer
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: DoctorFormat,
}

/// Forms of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DoctorFormat {
    #[default]
    Text,
    Json,
}
