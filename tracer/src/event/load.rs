//! What a run costs, and what it leaves out because that is too much, as records.

use tracer_common::{Class, Shed};

use crate::overhead::{Costs, Share};

/// What the run costs so far.
#[derive(Clone, Copy, Debug)]
pub struct Stats<'a> {
    pub boot_ns: u64,
    /// Since when `share` was measured: the last time that costs were told; at the end, the start of the run.
    pub from_ns: u64,
    pub share: Share,
    /// Online CPUs.
    pub cpus: u32,
    pub costs: &'a Costs,
    /// The kernel side's account of each class that is shown.
    pub made: &'a [Made],
}

/// What the kernel side counted of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    pub class: Class,
    /// Events that passed the filters.
    pub made: u64,
    /// Of these the ones that found no room in the ring, and those that were not produced.
    pub dropped: u64,
    pub withheld: u64,
}

/// Something else is left out from now on, or nothing more can be.
#[derive(Clone, Copy, Debug)]
pub struct Overhead {
    pub boot_ns: u64,
    /// What was measured.
    pub share: Share,
    pub limit: Share,
    pub shed: Shed,
    /// It is too much, and nothing more can be left out.
    pub exhausted: bool,
}

/// Events of a class that were not produced because the run costs too much, between two moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassWithheld {
    pub class: Class,
    /// Boot times.
    pub from_ns: u64,
    pub to_ns: u64,
    pub count: u64,
}

/// What became of the events of a class: `made = shown + withheld + lost`, unless the run was ended by a count of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    pub class: Class,
    /// Events that passed the filters, as the kernel side counted them.
    pub made: u64,
    /// Of these the ones that arrived.
    pub shown: u64,
    pub withheld: u64,
    pub lost: u64,
}

/// What one event of a class is called.
pub const fn class_name(class: Class) -> &'static str {
    match class {
        Class::Event => "exec",
        Class::Fork => "fork",
        Class::Exit => "exit",
        Class::Quiet => "table",
    }
}
