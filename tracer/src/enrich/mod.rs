//! What the host adds to events and command lines: names of users, cgroups, commands on PATH,
//! the terminal's width, symbols of addresses.
//!
//! *Invariant:* each question to the host is one function; what it computes from the answer is
//! pure, and tested without the host.
//!
//! *Must not know:* events' rendering, command lines, BPF.

mod cgroup;
mod lookup;
mod symbols;
mod terminal;
mod users;

pub use cgroup::{CgroupError, cgroup_by};
pub use lookup::{LookupError, Probe, find_command, probe};
pub use symbols::{KernelFrame, Symbols, UserError, UserFrame};
pub use terminal::{columns, utc_offset_s};
pub use users::Users;
