//! What every record starts with.

use crate::plain;

/// The first bytes of every record.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Length of the whole record in bytes, this header included.
    pub size: u32,
    /// A [`Kind`].
    pub kind: u16,
    /// The [`Hook`] that produced the record.
    pub hook: u16,
    /// The CPU that the record was produced on.
    pub cpu: u32,
    /// The thread that the record is about. With `boot_ns` it names one event: chunks carry both.
    pub tid: u32,
    /// Nanoseconds since boot, suspended time included (`CLOCK_BOOTTIME`).
    pub boot_ns: u64,
    /// For an event: its number among the events of its class ([`crate::Class`]) on `cpu`, from 1, without gaps
    /// but for losses. For a chunk: its number within its event, from 0. For others 0.
    pub seq: u64,
}
plain!(Header, 32);

/// What a record is.
#[repr(u16)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A piece of an event that is too long for one record: [`crate::Chunk`].
    Chunk = 1,
    /// A process execution, successful or not: [`crate::Exec`].
    Exec = 2,
    /// A hit of a probe: [`crate::probe::Probe`].
    Probe = 3,
    /// A process was born: [`crate::Fork`].
    Fork = 4,
    /// A process ended: [`crate::Exit`].
    Exit = 5,
    /// A process that was alive when the trace began: [`crate::Alive`].
    Alive = 6,
    /// All of these have been told: [`crate::AliveEnd`].
    AliveEnd = 7,
    /// Where a control group lies: [`crate::CgroupPath`].
    Cgroup = 8,
}

impl Kind {
    /// The kind with this number, if there is one.
    pub const fn from_u16(kind: u16) -> Option<Self> {
        match kind {
            1 => Some(Self::Chunk),
            2 => Some(Self::Exec),
            3 => Some(Self::Probe),
            4 => Some(Self::Fork),
            5 => Some(Self::Exit),
            6 => Some(Self::Alive),
            7 => Some(Self::AliveEnd),
            8 => Some(Self::Cgroup),
            _ => None,
        }
    }
}

/// The kernel hook family that saw an event.
#[repr(u16)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    Tracepoint = 1,
    Kprobe = 2,
    Fentry = 3,
}

impl Hook {
    /// All families, the cheapest first: the order in which `--hook auto` tries them.
    pub const ALL: [Self; 3] = [Self::Fentry, Self::Kprobe, Self::Tracepoint];

    /// The family with this number, if there is one.
    pub const fn from_u16(hook: u16) -> Option<Self> {
        match hook {
            1 => Some(Self::Tracepoint),
            2 => Some(Self::Kprobe),
            3 => Some(Self::Fentry),
            _ => None,
        }
    }

    /// Its name on the command line and in the JSON field `hook`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tracepoint => "tracepoint",
            Self::Kprobe => "kprobe",
            Self::Fentry => "fentry",
        }
    }
}
