//! Decoders of the records about how processes begin, end, and are found alive, and the events that they become.
//!
//! *Must not know:* what becomes of a process between two records; that is [`crate::process`]'s.

use tracer_common::{
    Alive, AliveEnd, Cgroups, Exit, Fork, Header, Hook, Plain, cut, exit_field, field, life_flag,
};

use super::{
    Cut, DecodeError, Missing, ProcessId, Unavailable, Value,
    exec::{Gone, name, process},
    path::{self, PathStart},
    wire,
};

/// Bytes of a page on x86-64.
const PAGE: u64 = 4096;

/// A process was born.
#[derive(Clone, Copy, Debug)]
pub struct ForkEvent<'a> {
    /// Nanoseconds since boot, suspended time included.
    pub boot_ns: u64,
    pub cpu: u32,
    pub seq: u64,
    pub hook: Hook,
    /// The child.
    pub pid: u32,
    pub id: Value<'a, ProcessId>,
    /// Its parent: not always who made it (CLONE_PARENT).
    pub ppid: Value<'a, u32>,
    pub parent_id: Value<'a, ProcessId>,
    /// The process and the thread that made it.
    pub maker: u32,
    pub maker_tid: u32,
    pub uid: u32,
    pub gid: u32,
    /// The child's name, which it has from the thread that made it.
    pub comm: &'a [u8],
    pub cgroups: Value<'a, Cgroups>,
    /// Nobody asked to see it: it is for the table of processes.
    pub quiet: bool,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this code.
    Exited(u8),
    /// By a signal; `core`: its memory was dumped.
    Killed { signal: u8, core: bool },
}

impl Ending {
    /// The JSON fields that it is shown as.
    pub const FIELDS: [&'static str; 4] = ["exit_code", "signal", "signal_name", "core"];

    /// Of a status as wait(2) gives it.
    pub fn of_status(status: u32) -> Self {
        match status & 0x7f {
            0 => Self::Exited((status >> 8) as u8),
            signal => Self::Killed { signal: signal as u8, core: status & 0x80 != 0 },
        }
    }
}

/// A process ended: its last thread did.
#[derive(Clone, Copy, Debug)]
pub struct ExitEvent<'a> {
    /// Nanoseconds since boot, suspended time included.
    pub boot_ns: u64,
    pub cpu: u32,
    pub seq: u64,
    pub hook: Hook,
    pub pid: u32,
    /// The thread that ended last.
    pub tid: u32,
    pub id: Value<'a, ProcessId>,
    /// Its parent at the end: a subreaper or init, if its own ended before.
    pub ppid: Value<'a, u32>,
    pub parent_id: Value<'a, ProcessId>,
    pub uid: u32,
    pub gid: u32,
    pub comm: &'a [u8],
    pub cgroups: Value<'a, Cgroups>,
    pub ending: Value<'a, Ending>,
    /// What it used, all threads together.
    pub usage: Usage<'a>,
    /// Nobody asked to see it: it is for the table of processes.
    pub quiet: bool,
}

/// What a process used in its life, all threads together.
#[derive(Clone, Copy, Debug)]
pub struct Usage<'a> {
    /// Processor time in user and in kernel mode, in nanoseconds, as getrusage(2) divides it.
    pub user_ns: Value<'a, u64>,
    pub system_ns: Value<'a, u64>,
    /// Largest resident set, in bytes.
    pub max_rss_bytes: Value<'a, u64>,
    pub minor_faults: Value<'a, u64>,
    pub major_faults: Value<'a, u64>,
    /// Bytes through read(2), write(2) and their like.
    pub read_chars: Value<'a, u64>,
    pub written_chars: Value<'a, u64>,
    /// Bytes from and to storage; of the latter, those that were then not written after all.
    pub read_bytes: Value<'a, u64>,
    pub write_bytes: Value<'a, u64>,
    pub cancelled_write_bytes: Value<'a, u64>,
}

/// A process that was alive when the trace began.
#[derive(Clone, Copy, Debug)]
pub struct AliveEvent<'a> {
    pub boot_ns: u64,
    pub pid: u32,
    pub id: Value<'a, ProcessId>,
    pub ppid: Value<'a, u32>,
    pub parent_id: Value<'a, ProcessId>,
    pub uid: u32,
    pub gid: u32,
    pub comm: &'a [u8],
    /// A kernel thread has none.
    pub exe: Value<'a, Option<&'a [u8]>>,
    pub exe_deleted: bool,
    pub kernel_thread: bool,
    pub cgroups: Value<'a, Cgroups>,
}

/// The end of the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AliveEndEvent {
    pub boot_ns: u64,
    /// Processes that were told, and those that found no room in the ring.
    pub told: u64,
    pub dropped: u64,
}

fn hook(header: &Header) -> Result<Hook, DecodeError> {
    Hook::from_u16(header.hook).ok_or(DecodeError::Hook {
        hook: header.hook,
        cpu: header.cpu,
        tid: header.tid,
    })
}

fn whole<T: Plain>(record: &[u8], into: &mut T) -> Result<(), DecodeError> {
    *into = wire::split::<T>(record)?.0;
    Ok(())
}

/// Who a record is about.
struct Who<'a> {
    id: Value<'a, ProcessId>,
    ppid: Value<'a, u32>,
    parent_id: Value<'a, ProcessId>,
    cgroups: Value<'a, Cgroups>,
}

fn who<'a>(gone: Gone<'a>, pid: (u32, u64), parent: (u32, u64), cgroups: Cgroups) -> Who<'a> {
    Who {
        id: gone.unless(field::START, process(pid.0, pid.1)),
        ppid: gone.unless(field::PPID, parent.0),
        parent_id: gone.parent(parent.0, parent.1),
        cgroups: gone.unless(field::CGROUP, cgroups),
    }
}

/// `kept` is where the record's fixed part is kept, which the event borrows from.
pub(super) fn fork<'a>(
    record: &[u8],
    kept: &'a mut Fork,
    unavailable: &'a Unavailable,
) -> Result<ForkEvent<'a>, DecodeError> {
    whole(record, kept)?;
    let fork = &*kept;
    let gone = Gone::new(fork.missing, unavailable);
    let who = who(gone, (fork.pid, fork.start_ns), (fork.ppid, fork.parent_start_ns), fork.cgroups);
    Ok(ForkEvent {
        boot_ns: fork.header.boot_ns,
        cpu: fork.header.cpu,
        seq: fork.header.seq,
        hook: hook(&fork.header)?,
        pid: fork.pid,
        id: who.id,
        ppid: who.ppid,
        parent_id: who.parent_id,
        maker: fork.maker,
        maker_tid: fork.header.tid,
        uid: fork.uid,
        gid: fork.gid,
        comm: name(&fork.comm),
        cgroups: who.cgroups,
        quiet: fork.flags & life_flag::QUIET != 0,
    })
}

/// See [`fork`].
pub(super) fn exit<'a>(
    record: &[u8],
    kept: &'a mut Exit,
    unavailable: &'a Unavailable,
) -> Result<ExitEvent<'a>, DecodeError> {
    whole(record, kept)?;
    let exit = &*kept;
    let gone = Gone::new(exit.missing, unavailable);
    let who = who(gone, (exit.pid, exit.start_ns), (exit.ppid, exit.parent_start_ns), exit.cgroups);
    Ok(ExitEvent {
        boot_ns: exit.header.boot_ns,
        cpu: exit.header.cpu,
        seq: exit.header.seq,
        hook: hook(&exit.header)?,
        pid: exit.pid,
        tid: exit.header.tid,
        id: who.id,
        ppid: who.ppid,
        parent_id: who.parent_id,
        uid: exit.uid,
        gid: exit.gid,
        comm: name(&exit.comm),
        cgroups: who.cgroups,
        ending: gone.unless(exit_field::STATUS, Ending::of_status(exit.status)),
        usage: usage(exit, gone),
        quiet: exit.flags & life_flag::QUIET != 0,
    })
}

fn usage<'a>(exit: &Exit, gone: Gone<'a>) -> Usage<'a> {
    let sum = |bit, value| match gone.unless(bit, value) {
        Value::Known(value) if exit.flags & life_flag::THREADS_CUT != 0 => {
            Value::Partial(value, Cut::Threads)
        }
        value => value,
    };
    let (user, system) = divided(exit.utime_ns, exit.stime_ns, exit.runtime_ns);
    Usage {
        user_ns: sum(exit_field::TIMES, user),
        system_ns: sum(exit_field::TIMES, system),
        max_rss_bytes: gone.unless(exit_field::MAX_RSS, exit.max_rss_pages.saturating_mul(PAGE)),
        minor_faults: sum(exit_field::FAULTS, exit.minor_faults),
        major_faults: sum(exit_field::FAULTS, exit.major_faults),
        read_chars: sum(exit_field::IO, exit.rchar),
        written_chars: sum(exit_field::IO, exit.wchar),
        read_bytes: sum(exit_field::IO, exit.read_bytes),
        write_bytes: sum(exit_field::IO, exit.write_bytes),
        cancelled_write_bytes: sum(exit_field::IO, exit.cancelled_write_bytes),
    }
}

/// Exact time divided by what was counted in timer ticks, into user and system time (kernel/sched/cputime.c,
/// `cputime_adjust`).
fn divided(utime: u64, stime: u64, runtime: u64) -> (u64, u64) {
    let system = match (utime, stime) {
        (_, 0) => 0,
        (0, _) => runtime,
        (utime, stime) => {
            let total = u128::from(utime) + u128::from(stime);
            // No more than `runtime`, since `stime` is no more than `total`.
            (u128::from(stime) * u128::from(runtime) / total) as u64
        }
    };
    (runtime - system, system)
}

/// Where the fixed part and the path of an [`Alive`] record are kept.
#[derive(Debug, Default)]
pub(super) struct Found {
    alive: Alive,
    exe: Vec<u8>,
}

/// See [`fork`].
pub(super) fn alive<'a>(
    record: &[u8],
    kept: &'a mut Found,
    unavailable: &'a Unavailable,
) -> Result<AliveEvent<'a>, DecodeError> {
    let (alive, rest) = wire::split::<Alive>(record)?;
    let header = alive.header;
    let Some(parts) = rest.get(..alive.exe_len as usize) else {
        let named = alive.exe_len.into();
        return Err(DecodeError::Parts { named, carried: rest.len(), cpu: header.cpu, tid: header.tid });
    };
    let cut_start = alive.cut & cut::EXE != 0;
    kept.exe.clear();
    path::join(parts, if cut_start { PathStart::Unknown } else { PathStart::Root }, &mut kept.exe);
    kept.alive = alive;
    let alive = &kept.alive;
    let gone = Gone::new(alive.missing, unavailable);
    let who = who(gone, (alive.pid, alive.start_ns), (alive.ppid, alive.parent_start_ns), alive.cgroups);
    let kernel_thread = alive.flags & life_flag::KERNEL_THREAD != 0;
    let exe = match gone.unless(field::EXE, Some(&kept.exe[..])) {
        _ if kernel_thread => Value::Known(None),
        Value::Known(exe) if cut_start => Value::Partial(exe, Cut::PathStart),
        exe => exe,
    };
    Ok(AliveEvent {
        boot_ns: header.boot_ns,
        pid: alive.pid,
        id: who.id,
        ppid: who.ppid,
        parent_id: who.parent_id,
        uid: alive.uid,
        gid: alive.gid,
        comm: name(&alive.comm),
        exe,
        exe_deleted: alive.flags & life_flag::EXE_DELETED != 0,
        kernel_thread,
        cgroups: who.cgroups,
    })
}

pub(super) fn alive_end(record: &[u8]) -> Result<AliveEndEvent, DecodeError> {
    let (end, _) = wire::split::<AliveEnd>(record)?;
    Ok(AliveEndEvent { boot_ns: end.header.boot_ns, told: end.told, dropped: end.dropped })
}

impl<'a> ForkEvent<'a> {
    /// Every JSON field that is missing, in the order of the fields, with the reason.
    pub fn each_missing(&self, mut tell: impl FnMut(&'static str, Missing<'a>)) {
        let mut field = |name, missing: Option<Missing<'a>>| {
            if let Some(reason) = missing {
                tell(name, reason);
            }
        };
        field("id", self.id.missing());
        field("ppid", self.ppid.missing());
        field("parent_id", self.parent_id.missing());
        field("cgroup_id", self.cgroups.missing());
    }
}

impl<'a> ExitEvent<'a> {
    /// Every JSON field that is missing, in the order of the fields, with the reason.
    pub fn each_missing(&self, mut tell: impl FnMut(&'static str, Missing<'a>)) {
        let mut field = |name, missing: Option<Missing<'a>>| {
            if let Some(reason) = missing {
                tell(name, reason);
            }
        };
        field("id", self.id.missing());
        field("ppid", self.ppid.missing());
        field("parent_id", self.parent_id.missing());
        field("duration_ns", self.id.missing());
        for name in Ending::FIELDS {
            field(name, self.ending.missing());
        }
        self.usage.each_missing(&mut field);
        field("cgroup_id", self.cgroups.missing());
    }

    /// How long the process lived, in nanoseconds.
    pub fn duration_ns(&self) -> Option<u64> {
        self.id.shown().map(|id| self.boot_ns.saturating_sub(id.start_ns))
    }
}

impl<'a> Usage<'a> {
    /// Every JSON field, in their order.
    pub fn fields(&self) -> [(&'static str, Value<'a, u64>); 10] {
        [
            ("user_ns", self.user_ns),
            ("system_ns", self.system_ns),
            ("max_rss_bytes", self.max_rss_bytes),
            ("minor_faults", self.minor_faults),
            ("major_faults", self.major_faults),
            ("read_chars", self.read_chars),
            ("written_chars", self.written_chars),
            ("read_bytes", self.read_bytes),
            ("write_bytes", self.write_bytes),
            ("cancelled_write_bytes", self.cancelled_write_bytes),
        ]
    }

    fn each_missing(&self, field: &mut impl FnMut(&'static str, Option<Missing<'a>>)) {
        for (name, value) in self.fields() {
            field(name, value.missing());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_wait_gives_it() {
        assert_eq!(Ending::of_status(0), Ending::Exited(0));
        assert_eq!(Ending::of_status(0xff00), Ending::Exited(255));
        assert_eq!(Ending::of_status(9), Ending::Killed { signal: 9, core: false });
        assert_eq!(Ending::of_status(0x8b), Ending::Killed { signal: 11, core: true });
    }

    #[test]
    fn times_add_up_to_what_was_run() {
        assert_eq!(divided(0, 0, 7), (7, 0));
        assert_eq!(divided(4_000_000, 0, 7), (7, 0));
        assert_eq!(divided(0, 4_000_000, 7), (0, 7));
        assert_eq!(divided(1, 3, 100), (25, 75));
        assert_eq!(divided(u64::MAX, u64::MAX, u64::MAX), (u64::MAX - u64::MAX / 2, u64::MAX / 2));
    }
}
