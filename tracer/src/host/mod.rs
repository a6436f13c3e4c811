//! What this host is and allows, read once.
//!
//! *Invariant:* nothing here changes the host. A fact that cannot be read is a value that says so.
//!
//! *Must not know:* what the facts are used for.

mod btf;
mod facts;
mod hierarchies;
pub mod names;

pub use facts::{Capability, HostFacts, Lockdown};
pub use hierarchies::v1_hierarchies;
