//! What a run costs, and what it leaves out when that is too much.
//!
//! ```text
//! share = (time of our programs + tracer's own processor time) / (elapsed time * online CPUs)
//! share, limit -> Governor -> level of the Ladder -> Shed -> the kernel side
//! ```
//!
//! *Invariant:* pure: no clock, no I/O. Whatever is measured, the level stays on the ladder, and a load that does not
//! change is answered with ever fewer changes (`tests`).
//!
//! *Must not know:* how anything is measured, left out, or told.

mod cost;
mod governor;
mod ladder;
#[cfg(test)]
mod tests;

pub use cost::{Costs, OwnCost, ProgramCost, RingUse, Share};
pub use governor::{Governor, Verdict};
pub use ladder::{FIELDS, Ladder};
