//! From a plan to records: load, attach, read the ring, end.
//!
//! Phases are types: a [`Plan`](crate::plan::Plan) becomes [`Loaded`], then [`Attached`], then
//! nothing. Every map, program and link belongs to the phase that holds it, and ends with it, also
//! when this process is killed: nothing is pinned.
//!
//! *Must not know:* what a record says, or how it is shown.

mod attached;
mod command;
#[cfg(feature = "log")]
mod kernel_log;
mod loaded;
mod memlock;
mod misses;
mod privilege;
mod stats;

pub use attached::Attached;
pub use command::{Command, CommandError, Ended};
pub use loaded::{LoadError, Loaded};
pub use privilege::drop_all;
pub use stats::Counters;

use tracer_common::Hook;

use crate::plan::{Plan, Refusal};

/// What became of the families that were tried.
#[derive(Debug)]
pub struct Started {
    pub attached: Attached,
    /// Families that were to be tried before this one, and why they do not work.
    pub refused: Vec<Refusal>,
}

/// Loads and attaches the first family of the plan that works. `roots` are the processes whose
/// trees are followed.
pub fn start(plan: &Plan, roots: &[u32]) -> Result<Started, LoadError> {
    let mut refused = plan.refused.clone();
    for &hook in &plan.candidates {
        match start_family(plan, hook, roots) {
            Ok(attached) => return Ok(Started { attached, refused }),
            Err(error) => refused.push(Refusal { hook, reason: error.to_string() }),
        }
    }
    Err(LoadError::NoFamily(refused))
}

/// Loads and attaches one family.
pub fn start_family(plan: &Plan, hook: Hook, roots: &[u32]) -> Result<Attached, LoadError> {
    memlock::raise();
    let mut loaded = Loaded::load(plan, hook)?;
    loaded.follow(roots)?;
    loaded.attach()
}
