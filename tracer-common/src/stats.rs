//! Counters that the kernel side keeps, one block per CPU, read by user space through mmap.
//!
//! *Invariant:* each counter only grows, and is only written on its own CPU.

use crate::plain;

/// One CPU's counters. A cache line each, so that CPUs do not share one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuStats {
    /// Sequence number of the last event produced on this CPU, delivered or not.
    pub seq: u64,
    /// Events that found no room in the ring.
    pub dropped: u64,
    /// Processes that entered the traced tree, left it, and found no room in it.
    pub tree_entered: u64,
    pub tree_left: u64,
    pub tree_full: u64,
    /// Calls of execve where a return is probed, and those that were seen to succeed or to fail:
    /// their difference at rest is the number of returns that the kernel did not show. In the fentry
    /// family: successful execs, and those of them whose return was seen.
    pub entered: u64,
    pub returned: u64,
    pub reserved: u64,
}
plain!(CpuStats, 64);
