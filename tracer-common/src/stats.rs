//! Counters that the kernel side keeps, one block per CPU, read by user space through mmap.
//!
//! *Invariant:* each counter only grows, and is only written on its own CPU.

use crate::plain;

/// What is numbered and counted apart.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Executions; in the object of `tracer probe`, hits.
    Event = 0,
    Fork = 1,
    Exit = 2,
    /// Forks, executions and exits that nobody asked to see: only the table of processes lives on them.
    Quiet = 3,
}

impl Class {
    /// All of them, by their numbers.
    pub const ALL: [Self; 4] = [Self::Event, Self::Fork, Self::Exit, Self::Quiet];
}

/// The account of one class.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassStats {
    /// Sequence number of the last event produced, delivered or not.
    pub seq: u64,
    /// Events that found no room in the ring.
    pub dropped: u64,
    /// Events that were not produced, because the run sheds load ([`crate::Shed`]): they have no number.
    pub withheld: u64,
}
plain!(ClassStats, 24);

/// One CPU's counters. Cache lines of its own, so that CPUs do not share one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuStats {
    /// By the number of their [`Class`].
    pub classes: [ClassStats; 4],
    /// Processes that entered the traced tree, left it, and found no room in it.
    pub tree_entered: u64,
    pub tree_left: u64,
    pub tree_full: u64,
    /// Calls of execve where a return is probed, and those that were seen to succeed or to fail:
    /// their difference at rest is the number of returns that the kernel did not show. In the fentry
    /// family: successful execs, and those of them whose return was seen.
    pub entered: u64,
    pub returned: u64,
    pub reserved: [u64; 7],
}
plain!(CpuStats, 192);
