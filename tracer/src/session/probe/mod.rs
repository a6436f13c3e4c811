//! From a run of probes to records and counts: fit, judge, load, attach, read, end.
//!
//! As for `tracer exec`, everything is a descriptor of this process: nothing is pinned or named, so nothing is left
//! when it ends, however it ends.
//!
//! *Must not know:* how names were resolved, or how values are shown.

mod aggregate;
mod attached;

pub use aggregate::{Bucket, Part, Row};
pub use attached::{Attached, Failed, Totals};

use crate::{host::HostFacts, plan::probe::ProbeRun, profiles::KernelProfile};

use super::{Judgement, LoadError, Precheck};

/// Loads and attaches a run. `roots` are the processes whose trees are followed, if the run says so.
///
/// # Errors
/// Nothing could be attached; or, if the run is strict, not everything.
pub fn start(
    run: &ProbeRun,
    facts: &HostFacts,
    precheck: Precheck,
    roots: &[u32],
) -> Result<Attached, LoadError> {
    let _ = (run, facts, precheck, roots);
    Err(LoadError::Missing("kernel side of probes"))
}

/// What the model says of a run's programs on any kernel, without asking it.
///
/// # Errors
/// The object does not fit that kernel.
pub fn precheck(run: &ProbeRun, kernel: &KernelProfile) -> Result<Vec<Judgement>, LoadError> {
    let _ = (run, kernel);
    Err(LoadError::Missing("kernel side of probes"))
}
