//! From a plan to records: load, attach, read the ring, end.
//!
//! Phases are types: a [`Plan`](crate::plan::Plan) becomes [`Loaded`], then [`Attached`], then
//! nothing. Every map, program and link belongs to the phase that holds it, and ends with it, also
//! when this process is killed: nothing is pinned.
//!
//! *Must not know:* what a record says, or how it is shown.

mod attached;
mod bpf;
mod command;
mod constants;
mod error;
mod fdinfo;
mod gate;
#[cfg(feature = "log")]
mod kernel_log;
mod kernel_side;
mod kprobe;
mod loaded;
mod mapping;
mod maps;
mod memlock;
pub mod memory;
mod meter;
mod privilege;
pub mod probe;
mod ring;
mod shedding;
mod snapshot;
mod stats;

pub use attached::Attached;
pub use command::{Command, CommandError, Ended};
pub use error::{Cause, LoadError};
pub use gate::{Judged, Judgement, Precheck};
pub use loaded::Loaded;
pub use privilege::{drop_all, keep_only};
pub use snapshot::SnapshotCounts;
pub use stats::Counters;

use std::time::Instant;

use tracer_common::Hook;

use kernel_side::Kernel;
use meter::Statistics;

use crate::{
    host::HostFacts,
    plan::{Plan, Refusal, SNAPSHOT},
    profiles::KernelProfile,
};

/// What became of the families that were tried.
#[derive(Debug)]
pub struct Started {
    pub attached: Attached,
    /// Families that were to be tried before this one, and why they do not work.
    pub refused: Vec<Refusal>,
}

/// Loads and attaches the first family of the plan that works. `roots` are the processes whose
/// trees are followed.
///
/// # Errors
/// No family works; [`LoadError::cause`] says whose fault that is.
pub fn start(
    plan: &Plan,
    facts: &HostFacts,
    precheck: Precheck,
    roots: &[u32],
) -> Result<Started, LoadError> {
    let statistics = match plan.wishes.stats {
        true => Some(Statistics::enable().map_err(LoadError::Statistics)?),
        false => None,
    };
    let mut refused = plan.refused.clone();
    let mut cause = Cause::Host;
    let kernel = Kernel::of(facts);
    for &hook in &plan.candidates {
        match start_on(plan, &kernel, precheck, hook, roots) {
            Ok(mut attached) => {
                if let Some(statistics) = statistics {
                    attached.measure(statistics, plan)?;
                }
                return Ok(Started { attached, refused });
            }
            Err(error) => {
                cause = cause.max(error.cause());
                refused.push(Refusal { hook, reason: error.to_string() });
            }
        }
    }
    Err(LoadError::NoFamily { refused, cause })
}

/// Loads and attaches one family.
///
/// # Errors
/// It does not work here.
pub fn start_family(
    plan: &Plan,
    facts: &HostFacts,
    precheck: Precheck,
    hook: Hook,
    roots: &[u32],
) -> Result<Attached, LoadError> {
    start_on(plan, &Kernel::of(facts), precheck, hook, roots)
}

fn start_on(
    plan: &Plan,
    kernel: &Kernel<'_>,
    precheck: Precheck,
    hook: Hook,
    roots: &[u32],
) -> Result<Attached, LoadError> {
    memlock::raise();
    let mut loaded = Loaded::load(plan, hook, kernel, precheck)?;
    loaded.follow(roots)?;
    loaded.attach()
}

/// What the model says of the programs of one family on any kernel, without asking it.
///
/// # Errors
/// The object does not fit that kernel.
pub fn precheck(plan: &Plan, hook: Hook, kernel: &KernelProfile) -> Result<Judged, LoadError> {
    let kernel = Kernel::profiled(kernel);
    let object = kernel_side::object(plan, hook)?;
    let target = kernel.target();
    let resolved = object.resolve(&target)?;
    let mut parts = plan.parts(hook);
    parts.extend(plan.wishes.follow.table.then_some(SNAPSHOT));
    let programs = kernel_side::programs(&object, &resolved, &kernel, &parts)?;
    let profile = kernel.profile();
    let start = Instant::now();
    Ok(Judged { programs: gate::judge(&resolved, &programs, profile), elapsed: start.elapsed() })
}
