//! What frames the hits of a run of probes: its start and its end.

use std::ffi::OsString;

use super::{Cgroup, EndReason};
use crate::plan::probe::ProbeRun;

/// The start of a run of probes.
#[derive(Clone, Debug)]
pub struct ProbeStart<'a> {
    pub boot_ns: u64,
    /// Version of tracer.
    pub version: &'a str,
    /// Release of the kernel, as `uname -r` says it.
    pub kernel: &'a str,
    /// What was asked for, as it was written.
    pub specs: &'a [String],
    pub run: &'a ProbeRun,
    /// What became of each point of the run, in their order.
    pub attachments: &'a [Attachment],
    pub filters: &'a ProbeFilters,
}

/// What became of a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// It is attached by this mechanism: `kprobe_multi`, `kprobe`, `fentry`.
    By(&'static str),
    /// It is not, for this reason.
    Failed(String),
}

/// Which hits count: all that is set has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeFilters {
    pub pids: Vec<u32>,
    pub uids: Vec<u32>,
    /// At most 15 bytes each.
    pub comms: Vec<String>,
    pub cgroup: Option<Cgroup>,
    /// Only this process' tree.
    pub tree: Option<u32>,
    /// Only this command's tree.
    pub command: Option<Vec<OsString>>,
    /// The expression of `--where`.
    pub condition: Option<String>,
}

/// The end of a run of probes.
///
/// Of the hits that passed, each was delivered, lost, sampled away, or held back by the rate; an aggregation counts
/// all of them in the kernel.
#[derive(Clone, Debug)]
pub struct ProbeEnd {
    pub boot_ns: u64,
    pub duration_ns: u64,
    pub reason: EndReason,
    /// Hits that passed every filter.
    pub passed: u64,
    /// Of these the ones that were delivered to the output.
    pub events: u64,
    /// Hits that the kernel side saw and could not deliver, or that the kernel did not show to it.
    pub lost: u64,
    /// Of these the ones that found no room in the ring.
    pub no_room: u64,
    /// Left out by `--sample`.
    pub sampled: u64,
    /// Held back by `--rate`.
    pub rated: u64,
    /// Hits whose filter could not be answered, because a value could not be read: they did not pass.
    pub unreadable: u64,
    /// Calls whose entry found no room, so that their return could not be joined.
    pub unpaired: u64,
    /// Returns of calls whose entry was not seen: they were under way when the run began.
    pub no_entry: u64,
    /// Hits of an aggregation that found no room for a new key.
    pub keys_full: u64,
    /// Events that arrived, but could not be written.
    pub undelivered: u64,
}

/// Hits that passed and were left out as was asked for, between two moments of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Withheld {
    /// Boot times.
    pub from_ns: u64,
    pub to_ns: u64,
    /// By `--sample`.
    pub sampled: u64,
    /// By `--rate`.
    pub rated: u64,
}
