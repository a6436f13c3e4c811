//! How processes begin and end, and which there were at the start of a trace.
//!
//! A process is a thread group; its other threads are not told. Kernel threads are not told either, except in the
//! snapshot: they are ancestors of what the kernel itself starts.

use crate::{Cgroups, Header, plain};

/// A process was born. `header.tid` is the thread that made it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fork {
    pub header: Header,
    /// Boot-time nanoseconds at which the process, and its parent, started.
    pub start_ns: u64,
    pub parent_start_ns: u64,
    /// The child's.
    pub cgroups: Cgroups,
    /// Bits of [`crate::field`].
    pub missing: u64,
    /// Process ids in the initial pid namespace: of the child, of its parent (not always the process that made
    /// it: CLONE_PARENT), and of the process that made it.
    pub pid: u32,
    pub ppid: u32,
    pub maker: u32,
    pub uid: u32,
    pub gid: u32,
    /// Bits of [`life_flag`].
    pub flags: u32,
    /// The child's name, which is that of the thread that made it.
    pub comm: [u8; 16],
}
plain!(Fork, 32 + 16 + 24 + 8 + 24 + 16);

/// A process ended: its last thread did. `header.tid` is that thread.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    pub header: Header,
    pub start_ns: u64,
    pub parent_start_ns: u64,
    pub cgroups: Cgroups,
    /// Bits of [`crate::field`] and [`exit_field`].
    pub missing: u64,
    /// Of all its threads. `utime` and `stime` are counted in timer ticks, `runtime` is exact: getrusage(2) scales
    /// the former to the latter. Nanoseconds.
    pub utime_ns: u64,
    pub stime_ns: u64,
    pub runtime_ns: u64,
    /// Largest resident set, in pages.
    pub max_rss_pages: u64,
    pub minor_faults: u64,
    pub major_faults: u64,
    /// As in /proc/PID/io: bytes through system calls, and bytes to and from storage.
    pub rchar: u64,
    pub wchar: u64,
    pub read_bytes: u64,
    pub write_bytes: u64,
    pub cancelled_write_bytes: u64,
    pub pid: u32,
    pub ppid: u32,
    pub uid: u32,
    pub gid: u32,
    /// As wait(2) gives it: the exit code shifted by 8, or the signal and 0x80 for a core dump.
    pub status: u32,
    /// Bits of [`life_flag`].
    pub flags: u32,
    /// Name of the last thread.
    pub comm: [u8; 16],
}
plain!(Exit, 32 + 16 + 24 + 8 + 11 * 8 + 24 + 16);

/// A process that was alive when the trace began; the components of its executable's path follow, as in
/// [`crate::Exec`]. It is no event: it has no number.
///
/// Born before or after the programs were attached: then its [`Fork`] comes too, before or after this. One that has
/// ended is not told, but its [`Exit`] may come before this.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alive {
    pub header: Header,
    pub start_ns: u64,
    pub parent_start_ns: u64,
    pub cgroups: Cgroups,
    /// Bits of [`crate::field`].
    pub missing: u64,
    pub pid: u32,
    pub ppid: u32,
    pub uid: u32,
    pub gid: u32,
    /// Bits of [`life_flag`].
    pub flags: u32,
    /// Bits of [`crate::cut`].
    pub cut: u32,
    pub exe_len: u32,
    pub reserved: u32,
    pub comm: [u8; 16],
}
plain!(Alive, 32 + 16 + 24 + 8 + 32 + 16);

/// The end of the snapshot. The user side makes it when the iterator has been read to its end.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AliveEnd {
    pub header: Header,
    /// How many [`Alive`] records were made, and how many of them found no room in the ring.
    pub told: u64,
    pub dropped: u64,
}
plain!(AliveEnd, 48);

/// Bits of the `flags` of these records.
pub mod life_flag {
    /// Nobody asked to see it: the table of processes does ([`crate::Class::Quiet`]).
    pub const QUIET: u32 = 1 << 0;
    /// A kernel thread.
    pub const KERNEL_THREAD: u32 = 1 << 1;
    /// The executable has no name in the file system any more.
    pub const EXE_DELETED: u32 = 1 << 2;
    /// More threads than are looked at: what is summed up over threads is too small.
    pub const THREADS_CUT: u32 = 1 << 3;
}

/// Bits of [`Exit::missing`] beside those of [`crate::field`].
pub mod exit_field {
    pub const STATUS: u64 = 1 << 32;
    pub const TIMES: u64 = 1 << 33;
    pub const MAX_RSS: u64 = 1 << 34;
    pub const FAULTS: u64 = 1 << 35;
    pub const IO: u64 = 1 << 36;
}
