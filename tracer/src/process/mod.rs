//! What is known of processes beyond one event: who their ancestors are, and how their lives went.
//!
//! *Invariant:* pure (no I/O, no clock); memory is bounded whatever happens, and what is given up for that is said.
//!
//! *Must not know:* where events come from, how they are shown.

use crate::event::{ProcessId, Value};

/// A process in a chain of ancestors, as it was last known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ancestor<'a> {
    pub id: ProcessId,
    pub comm: &'a [u8],
    /// `None`: a kernel thread has none.
    pub exe: Value<'a, Option<&'a [u8]>>,
}

/// A process' ancestors by birth, the parent first.
#[derive(Clone, Copy, Debug)]
pub struct Ancestors<'a> {
    pub chain: &'a [Ancestor<'a>],
    /// Why the chain ends before the first process of all, if it does: `None` too where no more were asked for.
    pub missing: Option<&'a str>,
}
