//! What frames the events of a run: its start and its end.

use std::ffi::OsString;

use tracer_common::Hook;

use super::{Account, Unavailable};

/// Relates the boot clock, which events carry, to the time of day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WallClock {
    /// `CLOCK_REALTIME` minus `CLOCK_BOOTTIME`, in nanoseconds.
    pub offset_ns: i64,
}

impl WallClock {
    /// Nanoseconds since 1970 (UTC) at a boot time. Times before 1970 are shown as 1970.
    pub fn unix_ns(self, boot_ns: u64) -> u64 {
        boot_ns.saturating_add_signed(self.offset_ns)
    }
}

/// What a run traces: an exec has to pass every filter that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    pub pids: Vec<u32>,
    pub uids: Vec<u32>,
    /// At most 15 bytes each.
    pub comms: Vec<String>,
    pub cgroup: Option<Cgroup>,
    /// Only in one of these containers, and one of these units, as they were named.
    pub containers: Vec<String>,
    pub units: Vec<String>,
    /// Only execs that fail.
    pub failed: bool,
    /// Only this process' tree.
    pub tree: Option<u32>,
    /// Only this command's tree.
    pub command: Option<Vec<OsString>>,
}

/// A cgroup of the v2 hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// Its directory.
    pub path: std::path::PathBuf,
    /// The directory's inode number.
    pub id: u64,
    /// How far below the hierarchy's root it lies; 0 for the root itself.
    pub level: u32,
}

/// The start of a run.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    pub boot_ns: u64,
    /// Version of tracer.
    pub version: &'a str,
    /// Release of the kernel, as `uname -r` says it.
    pub kernel: &'a str,
    pub hook: Hook,
    /// Why that hook.
    pub hook_reason: &'a str,
    pub filters: &'a Filters,
    /// Size of the ring buffer.
    pub buffer_bytes: u64,
    pub unavailable: &'a Unavailable,
}

/// The end of a run.
#[derive(Clone, Debug)]
pub struct End {
    pub boot_ns: u64,
    /// Execs delivered to the output, failed ones among them.
    pub events: u64,
    pub failed: u64,
    /// Execs that the kernel side saw and could not deliver.
    pub lost: u64,
    /// Of these the ones that found no room in the ring.
    pub no_room: u64,
    /// Execs delivered, by the hook that saw them.
    pub by_hook: Vec<(Hook, u64)>,
    pub duration_ns: u64,
    pub reason: EndReason,
    /// Execs that arrived, but could not be written.
    pub undelivered: u64,
    /// What became of each class; empty where the run leaves nothing out.
    pub accounts: Vec<Account>,
    /// `None`: processes were not followed.
    pub followed: Option<Followed>,
}

/// What following processes from their births to their ends came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// Forks, exits and lives delivered to the output.
    pub forks: u64,
    pub exits: u64,
    pub lives: u64,
    /// Processes alive at the end, as far as is known; `None`: there is no table of them.
    pub alive: Option<u64>,
    /// What was given up for the limits of memory: processes, and execs of their stories.
    pub evicted: u64,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    Signal,
    CommandEnded,
    Duration,
    Count,
    ClosedOutput,
    OutputFailed,
    Failure,
}

impl EndReason {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::CommandEnded => "command_ended",
            Self::Duration => "duration",
            Self::Count => "count",
            Self::ClosedOutput => "closed_output",
            Self::OutputFailed => "output_failed",
            Self::Failure => "failure",
        }
    }

    /// What happened, for people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Signal => "stopped by a signal",
            Self::CommandEnded => "the command and its descendants ended",
            Self::Duration => "the time is over",
            Self::Count => "--count is reached",
            Self::ClosedOutput => "the output was closed",
            Self::OutputFailed => "the output could not be written",
            Self::Failure => "tracing failed",
        }
    }
}
