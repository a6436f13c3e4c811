//! What is known of processes beyond one event: who their ancestors are, and how their lives went.
//!
//! ```text
//! events in the order of the ring -> ProcessTable -> Known: { Ancestors, Branch, Life }
//! ```
//!
//! *Invariant:* pure (no I/O, no clock); memory is bounded whatever happens ([`Limits`]), and what is given up for that
//! is said. Proven against a simulated world by `tests`.
//!
//! *Must not know:* where events come from, how they are shown.

mod ancestors;
mod bounds;
mod kept;
mod life;
mod node;
mod recent;
mod slab;
mod story;
mod table;
#[cfg(test)]
mod tests;
mod told;

pub use ancestors::{Ancestor, Ancestors, Chain};
pub use life::{Before, Branch, Known, Life, STILL_RUNNING, Unseen};
pub use node::KnownFrom;
pub use story::{Attempt, Attempts, LeftOut, SIDE};
pub use table::{Evicted, Limits, ProcessTable};
