//! A process execution, successful or not.
//!
//! The fixed part below is followed by the variable parts, in this order and of the lengths that
//! it names: file name, interpreter, executable path, working directory, tail of the arguments,
//! tail of the environment. *Tail* is what follows the last chunk of that stream.
//!
//! A path (executable, working directory) travels as its components from the last to the first,
//! each followed by a NUL byte: the order in which the kernel's dentries are walked. The root
//! directory is no component at all.

use crate::{Header, plain};

/// How many arguments that could not be read are named by index.
pub const MAX_UNREADABLE: usize = 8;

/// The fixed part of an exec event.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exec {
    /// `header.tid` is the thread that called execve, before a successful exec made it the leader.
    pub header: Header,
    /// Boot-time nanoseconds at which the process, and its parent, started.
    pub start_ns: u64,
    pub parent_start_ns: u64,
    /// Where the process is.
    pub cgroups: crate::Cgroups,
    /// Bits of [`field`]: what could not be read, although this kernel has it.
    pub missing: u64,
    /// Process (thread group) id, and the parent's, in the initial pid namespace.
    pub pid: u32,
    pub ppid: u32,
    pub uid: u32,
    pub gid: u32,
    pub euid: u32,
    pub egid: u32,
    /// Login uid and session id of the audit system; `u32::MAX` when never set.
    pub login_uid: u32,
    pub session_id: u32,
    /// Inode numbers of the namespaces, as in `/proc/PID/ns`.
    pub pid_ns: u32,
    pub mnt_ns: u32,
    /// Process id inside its own pid namespace.
    pub ns_pid: u32,
    /// 0, or a negative errno.
    pub retval: i32,
    /// The directory descriptor of an execveat; `AT_FDCWD` (-100) otherwise.
    pub dirfd: i32,
    /// Number of arguments.
    pub argc: u32,
    /// Length of the arguments, and of the environment, in bytes with their NULs.
    pub argv_bytes: u32,
    pub env_bytes: u32,
    /// Bits of [`flag`].
    pub flags: u32,
    /// Bits of [`cut`].
    pub cut: u32,
    /// Lengths of the variable parts, in bytes.
    pub filename_len: u32,
    pub interp_len: u32,
    pub exe_len: u32,
    pub cwd_len: u32,
    pub argv_len: u32,
    pub env_len: u32,
    /// How many arguments could not be read; the first of them by index.
    pub unreadable_count: u32,
    pub unreadable: [u32; MAX_UNREADABLE],
    /// How many chunks of this event found no room in the ring.
    pub chunks_lost: u32,
    /// Bits of [`crate::shed`]: what was left out of this event to keep below `--max-overhead`.
    pub shed: u32,
    pub reserved: u32,
    pub comm: [u8; 16],
    pub parent_comm: [u8; 16],
}
plain!(Exec, 256);

/// Bits of [`Exec::flags`].
pub mod flag {
    /// The failed call was a 32-bit one (ia32 or x32). Never set for a successful exec: nothing in
    /// the new image tells how it was called.
    pub const COMPAT: u32 = 1 << 0;
    /// The process is a child of a kernel thread: the kernel itself started it.
    pub const KERNEL: u32 = 1 << 1;
    /// The set-user-id bit of the executable took effect.
    pub const SET_UID: u32 = 1 << 2;
    /// The set-group-id bit of the executable took effect.
    pub const SET_GID: u32 = 1 << 3;
    /// The exec raised privilege in some way (set-id bits or file capabilities).
    pub const PRIVILEGE: u32 = 1 << 4;
    /// The executable has no name in the file system any more (deleted, or a memfd).
    pub const EXE_DELETED: u32 = 1 << 5;
    /// The working directory was removed.
    pub const CWD_DELETED: u32 = 1 << 6;
    /// The call was an execveat that looked the name up below `dirfd`. In a successful exec the
    /// file name is then the kernel's own, `/dev/fd/N` or `/dev/fd/N/NAME`.
    pub const EXECVEAT: u32 = 1 << 7;
    /// Nobody asked to see it: the table of processes does ([`crate::Class::Quiet`]). Arguments,
    /// environment and working directory are not in it.
    pub const QUIET: u32 = 1 << 8;
}

/// Bits of [`Exec::cut`]: which value is not whole.
pub mod cut {
    /// The path has more components, or bytes, than the kernel side copies.
    pub const EXE: u32 = 1 << 0;
    pub const CWD: u32 = 1 << 1;
    /// The middle of the arguments was left out, as the user asked.
    pub const ARGV_MIDDLE: u32 = 1 << 2;
    /// More arguments than the kernel side copies: the end is missing.
    pub const ARGV_END: u32 = 1 << 3;
    /// The same for the environment.
    pub const ENV_END: u32 = 1 << 4;
    /// The executable is no file of a mounted file system: the path is only its name.
    pub const EXE_PSEUDO: u32 = 1 << 5;
}

/// Bits of [`Exec::missing`], and their names in JSON.
pub mod field {
    pub const START: u64 = 1 << 0;
    pub const PPID: u64 = 1 << 1;
    pub const PARENT_START: u64 = 1 << 2;
    pub const PARENT_COMM: u64 = 1 << 3;
    pub const CGROUP: u64 = 1 << 4;
    pub const EUID: u64 = 1 << 5;
    pub const LOGIN_UID: u64 = 1 << 6;
    pub const SESSION_ID: u64 = 1 << 7;
    pub const PID_NS: u64 = 1 << 8;
    pub const MNT_NS: u64 = 1 << 9;
    pub const NS_PID: u64 = 1 << 10;
    pub const FILENAME: u64 = 1 << 11;
    pub const INTERPRETER: u64 = 1 << 12;
    pub const EXE: u64 = 1 << 13;
    pub const CWD: u64 = 1 << 14;
    pub const ARGV: u64 = 1 << 15;
    pub const ENV: u64 = 1 << 16;
    pub const ARGC: u64 = 1 << 17;
    pub const SET_ID: u64 = 1 << 18;
    pub const DIRFD: u64 = 1 << 19;
}
