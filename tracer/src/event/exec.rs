//! Decoder of [`tracer_common::Exec`], and the event that it becomes.

use std::fmt;

use tracer_common::{Cgroups, Exec, Hook, cut, field, flag, shed};

use super::path::{self, PathStart};
use super::{Args, Cut, DecodeError, Missing, Unavailable, Value, wire};

/// A process across pid reuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId {
    pub pid: u32,
    /// Boot-time nanoseconds at which it started.
    pub start_ns: u64,
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.pid, self.start_ns)
    }
}

/// A process execution, successful or not. It borrows from its record and from the assembler.
///
/// Strings are bytes: the kernel promises no encoding.
#[derive(Clone, Copy, Debug)]
pub struct ExecEvent<'a> {
    /// Nanoseconds since boot, suspended time included.
    pub boot_ns: u64,
    pub cpu: u32,
    pub seq: u64,
    pub hook: Hook,
    pub pid: u32,
    /// The thread that made the call.
    pub tid: u32,
    pub ppid: Value<'a, u32>,
    pub parent_comm: Value<'a, &'a [u8]>,
    pub id: Value<'a, ProcessId>,
    pub parent_id: Value<'a, ProcessId>,
    pub uid: u32,
    pub gid: u32,
    pub euid: Value<'a, u32>,
    pub egid: Value<'a, u32>,
    pub login_uid: Value<'a, u32>,
    pub session_id: Value<'a, u32>,
    pub comm: &'a [u8],
    /// As the caller gave it.
    pub filename: Value<'a, &'a [u8]>,
    /// The directory that `filename` is relative to, when the call was an execveat with one.
    pub dirfd: Value<'a, Option<i32>>,
    /// What the process executes now; a failed exec has none.
    pub exe: Value<'a, &'a [u8]>,
    pub exe_deleted: bool,
    /// `None`: the executable is no script.
    pub interpreter: Value<'a, Option<&'a [u8]>>,
    pub argv: Value<'a, Args<'a>>,
    /// How many arguments could not be read: [`super::ArgShape::Unread`].
    pub argv_unread: u32,
    pub argc: Value<'a, u32>,
    /// Length of all arguments, NULs included.
    pub argv_bytes: Value<'a, u32>,
    pub cwd: Value<'a, &'a [u8]>,
    pub cwd_deleted: bool,
    /// 0, or a negative errno.
    pub retval: i32,
    /// In the v2 hierarchy.
    pub cgroup_id: Value<'a, u64>,
    pub cgroups: Value<'a, Cgroups>,
    pub pid_ns: Value<'a, u32>,
    pub mnt_ns: Value<'a, u32>,
    pub ns_pid: Value<'a, u32>,
    pub set_uid: Value<'a, bool>,
    pub set_gid: Value<'a, bool>,
    pub privilege: Value<'a, bool>,
    /// The caller was a 32-bit one.
    pub compat: bool,
    /// The kernel started it, without a system call.
    pub kernel_started: bool,
    /// `None`: nobody asked for it.
    pub env: Option<Value<'a, Args<'a>>>,
    /// Nobody asked to see it: it is for the table of processes.
    pub quiet: bool,
}

impl<'a> ExecEvent<'a> {
    /// Every JSON field that is missing, in the order of the fields, with the reason.
    pub fn each_missing(&self, mut tell: impl FnMut(&'static str, Missing<'a>)) {
        let mut field = |name, missing: Option<Missing<'a>>| {
            if let Some(reason) = missing {
                tell(name, reason);
            }
        };
        field("ppid", self.ppid.missing());
        field("parent_comm", self.parent_comm.missing());
        field("id", self.id.missing());
        field("parent_id", self.parent_id.missing());
        field("euid", self.euid.missing());
        field("egid", self.egid.missing());
        field("login_uid", self.login_uid.missing());
        field("session_id", self.session_id.missing());
        field("filename", self.filename.missing());
        field("dirfd", self.dirfd.missing());
        field("exe", self.exe.missing());
        field("interpreter", self.interpreter.missing());
        let unread = (self.argv_unread > 0).then_some(Missing::UnreadElements(self.argv_unread));
        field("argv", self.argv.missing().or(unread));
        field("argc", self.argc.missing());
        field("argv_bytes", self.argv_bytes.missing());
        field("cwd", self.cwd.missing());
        field("cgroup_id", self.cgroup_id.missing());
        field("pid_ns", self.pid_ns.missing());
        field("mnt_ns", self.mnt_ns.missing());
        field("ns_pid", self.ns_pid.missing());
        field("set_uid", self.set_uid.missing());
        field("set_gid", self.set_gid.missing());
        field("privilege", self.privilege.missing());
        field("env", self.env.as_ref().and_then(Value::missing));
    }

    /// Whether the exec failed.
    pub fn failed(&self) -> bool {
        self.retval < 0
    }
}

/// An exec as it arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<'a> {
    pub(super) exec: &'a Exec,
    pub(super) hook: Hook,
    pub(super) parts: Parts<'a>,
}

/// The variable parts of an exec record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parts<'a> {
    pub(super) filename: &'a [u8],
    pub(super) interp: &'a [u8],
    pub(super) exe: &'a [u8],
    pub(super) cwd: &'a [u8],
    pub(super) argv: &'a [u8],
    pub(super) env: &'a [u8],
}

/// Takes an exec record apart.
pub(super) fn decode(record: &[u8]) -> Result<(Exec, Hook, Parts<'_>), DecodeError> {
    let (exec, mut rest) = wire::split::<Exec>(record)?;
    let header = exec.header;
    let Some(hook) = Hook::from_u16(header.hook) else {
        return Err(DecodeError::Hook { hook: header.hook, cpu: header.cpu, tid: header.tid });
    };
    let mut parts = Parts::default();
    let fields = [
        (exec.filename_len, &mut parts.filename),
        (exec.interp_len, &mut parts.interp),
        (exec.exe_len, &mut parts.exe),
        (exec.cwd_len, &mut parts.cwd),
        (exec.argv_len, &mut parts.argv),
        (exec.env_len, &mut parts.env),
    ];
    let named = fields.iter().map(|(len, _)| u64::from(*len)).sum();
    let carried = rest.len();
    for (len, part) in fields {
        let Some((head, tail)) = rest.split_at_checked(len as usize) else {
            return Err(DecodeError::Parts { named, carried, cpu: header.cpu, tid: header.tid });
        };
        (*part, rest) = (head, tail);
    }
    Ok((exec, hook, parts))
}

/// Where the paths are joined, reused from event to event.
#[derive(Debug, Default)]
pub(super) struct Paths {
    exe: Vec<u8>,
    cwd: Vec<u8>,
}

impl Paths {
    /// Joins the components of both paths.
    pub(super) fn join(&mut self, exec: &Exec, parts: &Parts<'_>) {
        let start = |bit| match exec.cut & bit {
            0 => PathStart::Root,
            _ => PathStart::Unknown,
        };
        self.exe.clear();
        self.cwd.clear();
        path::join(parts.exe, start(cut::EXE), &mut self.exe);
        path::join(parts.cwd, start(cut::CWD), &mut self.cwd);
    }
}

/// The arguments and environment of an exec, joined with its chunks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams<'a> {
    pub(super) argv: Args<'a>,
    pub(super) env: Option<Args<'a>>,
}

/// The event: what is known, and why the rest is not.
pub(super) fn event<'a>(
    raw: Raw<'a>,
    paths: &'a Paths,
    streams: Streams<'a>,
    unavailable: &'a Unavailable,
) -> ExecEvent<'a> {
    let Raw { exec, hook, parts } = raw;
    let gone = Gone::new(exec.missing, unavailable).and_shed(exec.shed);
    let flag = |bit| exec.flags & bit != 0;
    let audit = |bit, id| match gone.unless(bit, id) {
        Value::Known(u32::MAX) => Value::Missing(Missing::NotSet),
        value => value,
    };
    let path = |bit, cut, path: &'a [u8]| match gone.unless(bit, path) {
        Value::Known(path) if exec.cut & cut != 0 => Value::Partial(path, Cut::PathStart),
        value => value,
    };
    let (filename, dirfd) = called_name(exec, parts.filename);
    let script = !parts.interp.is_empty() && parts.interp != parts.filename;
    ExecEvent {
        boot_ns: exec.header.boot_ns,
        cpu: exec.header.cpu,
        seq: exec.header.seq,
        hook,
        pid: exec.pid,
        tid: exec.header.tid,
        ppid: gone.unless(field::PPID, exec.ppid),
        parent_comm: gone.unless(field::PARENT_COMM, name(&exec.parent_comm)),
        id: gone.unless(field::START, process(exec.pid, exec.start_ns)),
        parent_id: gone.parent(exec.ppid, exec.parent_start_ns),
        uid: exec.uid,
        gid: exec.gid,
        euid: gone.unless(field::EUID, exec.euid),
        egid: gone.unless(field::EUID, exec.egid),
        login_uid: audit(field::LOGIN_UID, exec.login_uid),
        session_id: audit(field::SESSION_ID, exec.session_id),
        comm: name(&exec.comm),
        filename: gone.unless(field::FILENAME, filename),
        dirfd: gone.unless(field::DIRFD, dirfd),
        exe: match exec.retval {
            0.. => path(field::EXE, cut::EXE, &paths.exe),
            _ => Value::Missing(Missing::Failed),
        },
        exe_deleted: flag(flag::EXE_DELETED),
        interpreter: gone.unless(field::INTERPRETER, script.then_some(parts.interp)),
        argv: gone.unless(field::ARGV, streams.argv),
        argv_unread: exec.unreadable_count,
        argc: argc(exec, &streams.argv, gone),
        argv_bytes: match gone.unless(field::ARGV, exec.argv_bytes) {
            // How long those are, nobody knows.
            Value::Known(_) if exec.unreadable_count > 0 => {
                Value::Missing(Missing::UnreadElements(exec.unreadable_count))
            }
            Value::Known(bytes) if exec.cut & cut::ARGV_END != 0 => Value::Partial(bytes, Cut::AtLeast),
            value => value,
        },
        cwd: path(field::CWD, cut::CWD, &paths.cwd),
        cwd_deleted: flag(flag::CWD_DELETED),
        retval: exec.retval,
        cgroup_id: gone.unless(field::CGROUP, exec.cgroups.v2),
        cgroups: gone.unless(field::CGROUP, exec.cgroups),
        pid_ns: gone.unless(field::PID_NS, exec.pid_ns),
        mnt_ns: gone.unless(field::MNT_NS, exec.mnt_ns),
        ns_pid: gone.unless(field::NS_PID, exec.ns_pid),
        set_uid: gone.unless(field::SET_ID, flag(flag::SET_UID)),
        set_gid: gone.unless(field::SET_ID, flag(flag::SET_GID)),
        privilege: gone.unless(field::SET_ID, flag(flag::PRIVILEGE)),
        compat: flag(flag::COMPAT),
        kernel_started: flag(flag::KERNEL),
        env: streams.env.map(|env| gone.unless(field::ENV, env)),
        quiet: flag(flag::QUIET),
    }
}

/// The fields that are missing, and why.
#[derive(Clone, Copy)]
pub(super) struct Gone<'a> {
    unread: u64,
    shed: u64,
    unavailable: &'a Unavailable,
}

impl<'a> Gone<'a> {
    pub(super) fn new(unread: u64, unavailable: &'a Unavailable) -> Self {
        Self { unread, shed: 0, unavailable }
    }

    /// What was left out of this event: bits of [`shed`].
    fn and_shed(self, fields: u32) -> Self {
        const IDS: u64 = field::EUID
            | field::LOGIN_UID
            | field::SESSION_ID
            | field::PID_NS
            | field::MNT_NS
            | field::NS_PID;
        let of = [(shed::ENV, field::ENV), (shed::CWD, field::CWD), (shed::IDS, IDS)];
        let shed = of.iter().filter(|(bit, _)| fields & bit != 0).fold(0, |all, (_, fields)| all | fields);
        Self { shed, ..self }
    }

    /// A parent: it has no identity without a pid.
    pub(super) fn parent(self, ppid: u32, start_ns: u64) -> Value<'a, ProcessId> {
        match self.unless(field::PPID, ()) {
            Value::Missing(reason) => Value::Missing(reason),
            _ => self.unless(field::PARENT_START, process(ppid, start_ns)),
        }
    }

    pub(super) fn unless<T>(self, field: u64, value: T) -> Value<'a, T> {
        if (self.unread | self.shed | self.unavailable.mask()) & field == 0 {
            return Value::Known(value);
        }
        Value::Missing(match self.unavailable.reason(field) {
            Some(reason) => Missing::Unavailable(reason),
            None if self.shed & field != 0 => Missing::Shed,
            None => Missing::Unread,
        })
    }
}

/// The kernel's count; else what the arguments show.
fn argc<'a>(exec: &Exec, argv: &Args<'a>, gone: Gone<'a>) -> Value<'a, u32> {
    if exec.retval < 0 && exec.missing & field::ARGV != 0 {
        // A failed exec's arguments are counted as they are read.
        return Value::Missing(Missing::Unread);
    }
    let argc = match (gone.unless(field::ARGC, exec.argc), argv.total()) {
        (Value::Missing(_), Some(total)) if exec.missing & field::ARGV == 0 => Value::Known(total),
        (value, _) => value,
    };
    match argc {
        Value::Known(argc) if exec.cut & cut::ARGV_END != 0 => Value::Partial(argc, Cut::AtLeast),
        argc => argc,
    }
}

/// The file name and directory as the caller gave them. A successful execveat has lost them to
/// the name that the kernel generated from them.
fn called_name<'a>(exec: &Exec, filename: &'a [u8]) -> (&'a [u8], Option<i32>) {
    /// No directory descriptor: `AT_FDCWD` of include/uapi/linux/fcntl.h.
    const NONE: i32 = -100;
    if exec.retval == 0
        && exec.flags & flag::EXECVEAT != 0
        && let Some((fd, name)) = path::generated(filename)
    {
        return (name, Some(fd));
    }
    (filename, (exec.dirfd != NONE).then_some(exec.dirfd))
}

pub(super) fn process(pid: u32, start_ns: u64) -> ProcessId {
    ProcessId { pid, start_ns }
}

/// The name in a NUL-padded array.
pub(super) fn name(comm: &[u8; 16]) -> &[u8] {
    let end = comm.iter().position(|byte| *byte == 0);
    &comm[..end.unwrap_or(comm.len())]
}
