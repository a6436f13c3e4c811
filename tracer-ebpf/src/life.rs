//! Records of processes that begin, end, and were there already.
//!
//! *Invariant:* a process' end is told once, although two of its threads may each find themselves the last
//! ([`is_first`]).

use core::mem::MaybeUninit;

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid, bpf_get_smp_processor_id, bpf_ktime_get_boot_ns,
    generated::bpf_probe_read_kernel,
};
use tracer_common::{
    ABSENT, Class, Exit, Fork, Header, Hook, Kind, exit_field, field, follow as told, life_flag,
};

use crate::{
    cgroup, emit, filter,
    kernel::{follow, read},
    maps::{ENDED, LIFE_WORK, knob, offset},
    scratch::{Cell, Slot},
    shed,
    tree::NOEXIST,
};

/// include/linux/sched.h
const PF_EXITING: u32 = 0x4;
pub(crate) const PF_KTHREAD: u32 = 0x0020_0000;
/// include/linux/sched/signal.h: `group_exit_code` is the process' status.
const SIGNAL_GROUP_EXIT: u32 = 0x4;

/// How many threads are summed up at most: rounds of rounds, see [`crate::strings`].
const BATCH: u32 = 32;
const MAX_THREADS: u32 = 64 * BATCH;

/// Who a record is about.
pub(crate) struct Who {
    pub(crate) pid: u32,
    pub(crate) start_ns: u64,
    pub(crate) ppid: u32,
    pub(crate) parent_start_ns: u64,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) comm: [u64; 2],
    pub(crate) missing: u64,
}

/// What `leader`, the first thread of a process, tells of it.
#[inline(always)]
pub(crate) fn who(leader: u64, pid: u32) -> Who {
    let mut missing = 0;
    let mut or = |value: Option<u64>, bit: u64| match value {
        Some(value) => value,
        None => {
            missing |= bit;
            0
        }
    };
    let start_ns = or(read(leader, offset!(task_start_boottime)), field::START);
    let parent = follow(leader, offset!(task_real_parent));
    let ppid = or(read::<u32>(parent, offset!(task_tgid)).map(u64::from), field::PPID) as u32;
    let parent_leader = follow(parent, offset!(task_group_leader));
    let parent_start_ns = or(read(parent_leader, offset!(task_start_boottime)), field::PARENT_START);
    let cred = follow(leader, offset!(task_cred));
    let uid = read::<u32>(cred, offset!(cred_uid)).unwrap_or(u32::MAX);
    let gid = read::<u32>(cred, offset!(cred_gid)).unwrap_or(u32::MAX);
    let comm = comm_of(leader);
    Who { pid, start_ns, ppid, parent_start_ns, uid, gid, comm, missing }
}

/// A task's name; empty if it cannot be read. The helper clears what it cannot read: clearing sixteen bytes here would
/// be a call of memset.
#[inline(always)]
fn comm_of(task: u64) -> [u64; 2] {
    let mut comm = MaybeUninit::<[u64; 2]>::uninit();
    let from = match offset!(task_comm) {
        ABSENT => core::ptr::null(),
        offset => (task + u64::from(offset)) as *const _,
    };
    // SAFETY: the helper writes all of the destination, whatever the address.
    unsafe {
        bpf_probe_read_kernel(comm.as_mut_ptr().cast(), 16, from);
        comm.assume_init()
    }
}

/// The start of a record.
#[inline(always)]
pub(crate) fn header<T>(kind: Kind, hook: Hook, seq: u64) -> Header {
    // SAFETY: helpers without preconditions.
    unsafe {
        Header {
            size: size_of::<T>() as u32,
            kind: kind as u16,
            hook: hook as u16,
            cpu: bpf_get_smp_processor_id() as u32,
            tid: bpf_get_current_pid_tgid() as u32,
            boot_ns: bpf_ktime_get_boot_ns(),
            seq,
        }
    }
}

/// Is an event of the current process, whose name is this, to be told, and does nobody want to see it? `None`: not
/// told.
#[inline(always)]
fn is_quiet(event: u32, class: Class, comm: &[u64; 2]) -> Option<bool> {
    let pid = (bpf_get_current_pid_tgid() >> 32) as u32;
    let wanted = knob!(follow) & event != 0
        && filter::passes_who(pid)
        // SAFETY: as many bytes.
        && filter::passes_comm(unsafe { &*comm.as_ptr().cast() })
        && !shed::withheld(class);
    match wanted {
        true => Some(false),
        false if knob!(follow) & told::TABLE != 0 => Some(true),
        false => None,
    }
}

/// The id and the flags of a task that is a process: the first thread of its group.
#[inline(always)]
pub(crate) fn process(task: u64) -> Option<(u32, u32)> {
    let pid = read::<u32>(task, offset!(task_pid))?;
    let tgid = read::<u32>(task, offset!(task_tgid))?;
    let flags = read::<u32>(task, offset!(task_flags))?;
    (pid == tgid).then_some((pid, flags))
}

/// A task was made by the current one.
#[inline(always)]
pub(crate) fn forked(hook: Hook, child: u64) {
    if knob!(follow) & (told::FORK | told::TABLE) == 0 {
        return;
    }
    let Some((pid, flags)) = process(child) else { return };
    if flags & PF_KTHREAD != 0 {
        return;
    }
    let who = who(child, pid);
    let Some(quiet) = is_quiet(told::FORK, Class::Fork, &who.comm) else { return };
    let (cgroups, unplaced) = cgroup::of_task(Slot::Fork, child);
    let class = if quiet { Class::Quiet } else { Class::Fork };
    emit::fixed(class, |fork: *mut Fork, seq| {
        let record = Fork {
            header: header::<Fork>(Kind::Fork, hook, seq),
            start_ns: who.start_ns,
            parent_start_ns: who.parent_start_ns,
            cgroups,
            missing: who.missing | unplaced,
            pid,
            ppid: who.ppid,
            maker: (bpf_get_current_pid_tgid() >> 32) as u32,
            uid: who.uid,
            gid: who.gid,
            flags: if quiet { life_flag::QUIET } else { 0 },
            comm: [0; 16],
        };
        // SAFETY: `fork` has room for the record.
        unsafe {
            fork.write(record);
            (&raw mut (*fork).comm).cast::<[u64; 2]>().write(who.comm);
        }
    });
}

/// Is the current task, which ends, the last of its process? The kernel says so since 6.16; before, a task has left
/// `signal->live` when it comes here (kernel/exit.c, `do_exit`).
#[inline(always)]
pub(crate) fn is_last(task: u64, said: impl FnOnce() -> u64) -> bool {
    if knob!(exit_says_last) != 0 {
        return said() & 0xff != 0;
    }
    none_is_left(task)
}

/// Have all threads of the task's process left `signal->live`?
#[inline(always)]
pub(crate) fn none_is_left(task: u64) -> bool {
    let signal = follow(task, offset!(task_signal));
    read::<u32>(signal, offset!(signal_live)) == Some(0)
}

/// Is this the first that is told of a process' end? Where the kernel does not say who is the last, two threads that
/// leave at the same time may each see that none is left. The one that comes second either finds the first still
/// there, or finds that it was told.
#[inline(always)]
fn is_first(hook: Hook, signal: u64, who: &Who) -> bool {
    if knob!(exit_says_last) != 0 && hook != Hook::Kprobe {
        return true;
    }
    let key = [u64::from(who.pid), who.start_ns];
    match read::<u32>(signal, offset!(signal_nr_threads)) {
        Some(1) => ENDED.get_ptr(key).is_none(),
        _ => ENDED.insert(key, 1, NOEXIST).is_ok(),
    }
}

/// The current task ends; it is the last of its process.
#[inline(always)]
pub(crate) fn exited(hook: Hook, task: u64) {
    if knob!(follow) & (told::EXIT | told::TABLE) == 0 {
        return;
    }
    let flags = read::<u32>(task, offset!(task_flags)).unwrap_or(0);
    if flags & PF_KTHREAD != 0 || flags & PF_EXITING == 0 {
        return;
    }
    let signal = follow(task, offset!(task_signal));
    let leader = follow(task, offset!(task_group_leader));
    let pid = (bpf_get_current_pid_tgid() >> 32) as u32;
    let who = who(leader, pid);
    if !is_first(hook, signal, &who) {
        return;
    }
    let comm = comm_of(task);
    let Some(quiet) = is_quiet(told::EXIT, Class::Exit, &comm) else { return };
    let (cgroups, unplaced) = cgroup::of_task(Slot::Exit, task);
    let Some(work) = LIFE_WORK.get_ptr_mut(0) else { return };
    // SAFETY: a map's value.
    let whole = unsafe { sum_up(work, signal, task) };
    let class = if quiet { Class::Quiet } else { Class::Exit };
    emit::fixed(class, |exit: *mut Exit, seq| {
        let mut missing = who.missing | unplaced;
        let status = status(signal, leader).unwrap_or_else(|| {
            missing |= exit_field::STATUS;
            0
        });
        let max_rss_pages = read::<u64>(signal, offset!(signal_maxrss)).unwrap_or_else(|| {
            missing |= exit_field::MAX_RSS;
            0
        });
        // SAFETY: a map's value.
        let sum = |index: usize| unsafe { Cell::get(&raw const (*work).sums[index]) };
        // SAFETY: a map's value.
        missing |= unsafe { Cell::get(&raw const (*work).missing) };
        let record = Exit {
            header: header::<Exit>(Kind::Exit, hook, seq),
            start_ns: who.start_ns,
            parent_start_ns: who.parent_start_ns,
            cgroups,
            missing,
            utime_ns: sum(UTIME),
            stime_ns: sum(STIME),
            runtime_ns: sum(RUNTIME),
            max_rss_pages,
            minor_faults: sum(MINOR),
            major_faults: sum(MAJOR),
            rchar: sum(IO),
            wchar: sum(IO + 1),
            read_bytes: sum(IO + 4),
            write_bytes: sum(IO + 5),
            cancelled_write_bytes: sum(IO + 6),
            pid,
            ppid: who.ppid,
            uid: who.uid,
            gid: who.gid,
            status,
            flags: if quiet { life_flag::QUIET } else { 0 } | if whole { 0 } else { life_flag::THREADS_CUT },
            comm: [0; 16],
        };
        // SAFETY: `exit` has room for the record.
        unsafe {
            exit.write(record);
            (&raw mut (*exit).comm).cast::<[u64; 2]>().write(comm);
        }
    });
}

/// As wait(2) gives it: kernel/exit.c, `wait_task_zombie`.
#[inline(always)]
fn status(signal: u64, leader: u64) -> Option<u32> {
    let flags = read::<u32>(signal, offset!(signal_flags))?;
    match flags & SIGNAL_GROUP_EXIT {
        0 => read(leader, offset!(task_exit_code)),
        _ => read(signal, offset!(signal_group_exit_code)),
    }
}

// What is summed up. The last are `struct task_io_accounting`, member by member.
const UTIME: usize = 0;
const STIME: usize = 1;
const RUNTIME: usize = 2;
const MINOR: usize = 3;
const MAJOR: usize = 4;
const IO: usize = 5;
const SUMS: usize = IO + IO_WORDS;
const IO_WORDS: usize = 7;
/// Where `read_bytes` lies if the kernel keeps all of them (CONFIG_TASK_XACCT).
const READ_BYTES: u32 = 32;

/// Working memory of the one program that sees processes end.
#[repr(C)]
pub(crate) struct Work {
    sums: [Cell<u64>; SUMS],
    missing: Cell<u64>,
    /// The list of threads, and where the walk is.
    head: Cell<u64>,
    link: Cell<u64>,
}

/// Sums up what the process' threads used: those that are gone, which the process keeps, and those that are there
/// still (kernel/sched/cputime.c, `thread_group_cputime`). Whether that was all of the latter.
#[inline(always)]
unsafe fn sum_up(work: *mut Work, signal: u64, task: u64) -> bool {
    // SAFETY: the caller promises a map's value.
    unsafe {
        Cell::set(&raw mut (*work).missing, 0);
        let start = |index: usize, offset: u32, bit: u64| {
            let value = read::<u64>(signal, offset).unwrap_or_else(|| {
                note(work, bit);
                0
            });
            Cell::set(&raw mut (*work).sums[index], value);
        };
        start(UTIME, offset!(signal_utime), exit_field::TIMES);
        start(STIME, offset!(signal_stime), exit_field::TIMES);
        start(RUNTIME, offset!(signal_sum_sched_runtime), exit_field::TIMES);
        start(MINOR, offset!(signal_min_flt), exit_field::FAULTS);
        start(MAJOR, offset!(signal_maj_flt), exit_field::FAULTS);
        for word in 0..IO_WORDS {
            Cell::set(&raw mut (*work).sums[IO + word], 0);
        }
        add_io(work, signal, offset!(signal_ioac));
        match read::<u32>(signal, offset!(signal_nr_threads)) {
            Some(1) => {
                add(work, task);
                true
            }
            _ => {
                let head = signal + u64::from(offset!(signal_thread_head));
                Cell::set(&raw mut (*work).head, head);
                Cell::set(&raw mut (*work).link, follow(head, 0));
                for _ in 0..MAX_THREADS / BATCH {
                    if add_threads(0) == 0 {
                        return true;
                    }
                }
                false
            }
        }
    }
}

/// # Safety
/// `work` is a map's value.
#[inline(always)]
unsafe fn note(work: *mut Work, bit: u64) {
    // SAFETY: as the caller promises.
    unsafe { Cell::set(&raw mut (*work).missing, Cell::get(&raw const (*work).missing) | bit) };
}

/// # Safety
/// `work` is a map's value.
#[inline(always)]
unsafe fn add_io(work: *mut Work, base: u64, offset: u32) {
    // SAFETY: as the caller promises.
    unsafe {
        if offset!(ioac_read_bytes) != READ_BYTES {
            return note(work, exit_field::IO);
        }
        match read::<[u64; IO_WORDS]>(base, offset) {
            Some(words) => {
                for (word, value) in words.iter().enumerate() {
                    let sum = &raw mut (*work).sums[IO + word];
                    Cell::set(sum, Cell::get(sum) + value);
                }
            }
            None => note(work, exit_field::IO),
        }
    }
}

/// Adds one thread.
///
/// # Safety
/// `work` is a map's value.
#[inline(always)]
unsafe fn add(work: *mut Work, task: u64) {
    // SAFETY: as the caller promises.
    unsafe {
        let add = |index: usize, offset: u32, bit: u64| match read::<u64>(task, offset) {
            Some(value) => {
                let sum = &raw mut (*work).sums[index];
                Cell::set(sum, Cell::get(sum) + value);
            }
            None => note(work, bit),
        };
        add(UTIME, offset!(task_utime), exit_field::TIMES);
        add(STIME, offset!(task_stime), exit_field::TIMES);
        add(RUNTIME, offset!(task_sum_exec_runtime), exit_field::TIMES);
        add(MINOR, offset!(task_min_flt), exit_field::FAULTS);
        add(MAJOR, offset!(task_maj_flt), exit_field::FAULTS);
        add_io(work, task, offset!(task_ioac));
    }
}

/// A batch of [`add_thread`]. The number is that of the block of working memory: a parameter that is not used, or has
/// no name, would not pass for one of a global function.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn add_threads(block: u32) -> u32 {
    for _ in 0..BATCH {
        if add_thread(block) == 0 {
            return 0;
        }
    }
    1
}

/// Adds the next thread; 0 at the end of the list. A function that takes numbers alone, see [`crate::strings`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn add_thread(block: u32) -> u32 {
    let Some(work) = LIFE_WORK.get_ptr_mut(block) else { return 0 };
    // SAFETY: a map's value.
    unsafe {
        let link = Cell::get(&raw const (*work).link);
        if link == 0 || link == Cell::get(&raw const (*work).head) {
            return 0;
        }
        add(work, link - u64::from(offset!(task_thread_node)));
        Cell::set(&raw mut (*work).link, follow(link, 0));
    }
    1
}
