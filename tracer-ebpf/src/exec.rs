//! Builds the record of an exec, whichever hook saw it.

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid, bpf_get_current_task, bpf_get_current_uid_gid, bpf_get_smp_processor_id,
    bpf_ktime_get_boot_ns, generated,
};
use tracer_common::{
    Class, Exec, Header, Hook, Kind, Stream, cut, field, flag, follow as told, shed as optional,
};

use crate::{
    cgroup, emit,
    filter::{self, Outcome},
    kernel::{self, Space, follow, read},
    life::PF_KTHREAD,
    maps::{knob, offset},
    path::{self, Walk},
    scratch::{self, RECORD, Scratch, Slot, get, set},
    shed, strings,
};

const AT_FDCWD: i32 = -100;
/// Longest path that a system call takes, its NUL included.
const PATH_MAX: u32 = 4096;
/// Longest interpreter line that the kernel reads (`BINPRM_BUF_SIZE`).
const BINPRM_BUF_SIZE: u32 = 256;
const S_ISUID: u16 = 0o4000;
const S_ISGID: u16 = 0o2000;
const _: () = assert!(size_of::<Exec>() < RECORD);

/// The record under construction.
#[inline(always)]
fn record(scratch: *mut Scratch) -> *mut Exec {
    // SAFETY: only an address is computed.
    unsafe { (&raw mut (*scratch).record).cast() }
}

/// Fills in what every exec has: who, where and when. `None` if a filter rejects it, and the table of processes does
/// not need it either; if it does, the record is marked as a quiet one.
#[inline(always)]
unsafe fn begin(slot: Slot, hook: Hook, caller: u32, outcome: Outcome) -> Option<(*mut Scratch, u64)> {
    // SAFETY: helpers without preconditions; writes go to scratch memory.
    unsafe {
        let pid_tgid = bpf_get_current_pid_tgid();
        let pid = (pid_tgid >> 32) as u32;
        let quietly = outcome == Outcome::Succeeded && knob!(follow) & told::TABLE != 0;
        let mut wanted = knob!(follow) & told::EXEC != 0 && filter::passes(pid, outcome);
        if !wanted && !quietly {
            return None;
        }
        let scratch = scratch::take(slot)?;
        let e = record(scratch);
        clear(e);
        let comm = &raw mut (*e).comm;
        generated::bpf_get_current_comm(comm.cast(), 16);
        if wanted && (!filter::passes_comm(&*comm) || shed::withheld(Class::Event)) {
            wanted = false;
        }
        if !wanted {
            if !quietly {
                return None;
            }
            (*e).flags |= flag::QUIET;
        }
        let task = bpf_get_current_task();
        let uid_gid = bpf_get_current_uid_gid();
        (*e).header = Header {
            size: 0,
            kind: Kind::Exec as u16,
            hook: hook as u16,
            cpu: bpf_get_smp_processor_id() as u32,
            tid: if caller == 0 { pid_tgid as u32 } else { caller },
            boot_ns: bpf_ktime_get_boot_ns(),
            seq: 0,
        };
        (*e).pid = pid;
        (*e).uid = uid_gid as u32;
        (*e).gid = (uid_gid >> 32) as u32;
        (*e).dirfd = AT_FDCWD;
        (*e).cgroups = cgroup::of_current(slot, task);
        set!(scratch, end, size_of::<Exec>() as u32);
        task_fields(e, task);
        Some((scratch, task))
    }
}

/// Clears the record. Word by word, since a call of memset would be a loop over bytes.
#[inline(always)]
unsafe fn clear(e: *mut Exec) {
    for word in 0..size_of::<Exec>() / 8 {
        // SAFETY: inside the record, whose size is a multiple of 8.
        unsafe { e.cast::<u64>().add(word).write_volatile(0) };
    }
}
const _: () = assert!(size_of::<Exec>().is_multiple_of(8));

/// What the task structure tells.
#[inline(always)]
unsafe fn task_fields(e: *mut Exec, task: u64) {
    // SAFETY: `e` is the record.
    unsafe {
        let leader = follow(task, offset!(task_group_leader));
        note(e, read(leader, offset!(task_start_boottime)), field::START, |e, v| (*e).start_ns = v);
        let parent = follow(task, offset!(task_real_parent));
        note(e, read(parent, offset!(task_tgid)), field::PPID, |e, v| (*e).ppid = v);
        let parent_leader = follow(parent, offset!(task_group_leader));
        let start = read(parent_leader, offset!(task_start_boottime));
        note(e, start, field::PARENT_START, |e, v| (*e).parent_start_ns = v);
        // As words: clearing an array of bytes would be a call of memset.
        let comm = read::<[u64; 2]>(parent, offset!(task_comm));
        note(e, comm, field::PARENT_COMM, |e, v| (&raw mut (*e).parent_comm).cast::<[u64; 2]>().write(v));
        if let Some(flags) = read::<u32>(parent, offset!(task_flags))
            && flags & PF_KTHREAD != 0
        {
            (*e).flags |= flag::KERNEL;
        }
        if shed::leaves_out(e, optional::IDS) {
            return;
        }
        let cred = follow(task, offset!(task_cred));
        note(e, read(cred, offset!(cred_euid)), field::EUID, |e, v| (*e).euid = v);
        note(e, read(cred, offset!(cred_egid)), field::EUID, |e, v| (*e).egid = v);
        note(e, read(task, offset!(task_loginuid)), field::LOGIN_UID, |e, v| (*e).login_uid = v);
        note(e, read(task, offset!(task_sessionid)), field::SESSION_ID, |e, v| (*e).session_id = v);

        let nsproxy = follow(task, offset!(task_nsproxy));
        let mnt_ns = follow(nsproxy, offset!(nsproxy_mnt_ns));
        note(e, read(mnt_ns, offset!(mnt_namespace_inum)), field::MNT_NS, |e, v| (*e).mnt_ns = v);
        // kernel/pid.c, `task_active_pid_ns`: the innermost of the pid's numbers.
        let thread_pid = follow(leader, offset!(task_thread_pid));
        let level = read::<u32>(thread_pid, offset!(pid_level)).unwrap_or(0);
        let numbers = thread_pid + u64::from(offset!(pid_numbers));
        let upid = numbers + u64::from(level & 0xff) * u64::from(offset!(upid_size));
        note(e, read(upid, offset!(upid_nr)), field::NS_PID, |e, v| (*e).ns_pid = v);
        let pid_ns = follow(upid, offset!(upid_ns));
        note(e, read(pid_ns, offset!(pid_namespace_inum)), field::PID_NS, |e, v| (*e).pid_ns = v);
    }
}

/// Stores a value that was read, or notes that it is missing.
#[inline(always)]
unsafe fn note<T>(e: *mut Exec, value: Option<T>, missing: u64, store: impl Fn(*mut Exec, T)) {
    match value {
        Some(value) => store(e, value),
        // SAFETY: `e` is the record.
        None => unsafe { (*e).missing |= missing },
    }
}

/// Appends a string to the record; its length without the NUL.
#[inline(always)]
unsafe fn append_str(scratch: *mut Scratch, space: Space, max: u32, from: u64, missing: u64) -> u32 {
    // SAFETY: the write is to `scratch`, at a masked offset.
    unsafe {
        let end = get!(scratch, end);
        let len = kernel::copy_str(space, scratch::at(scratch, end), max, from);
        if len < 0 || len > i64::from(max) {
            (*record(scratch)).missing |= missing;
            return 0;
        }
        if len == 0 {
            // An empty string, see `kernel::copy_str`.
            return 0;
        }
        let len = len as u32 - 1;
        set!(scratch, end, end + len);
        len
    }
}

/// Appends the working directory.
#[inline(always)]
unsafe fn append_cwd(scratch: *mut Scratch, slot: Slot, task: u64) {
    // SAFETY: as in `append_str`.
    unsafe {
        let e = record(scratch);
        if shed::leaves_out(e, optional::CWD) {
            return;
        }
        let fs = follow(task, offset!(task_fs));
        let mnt = follow(fs, offset!(fs_pwd_mnt));
        let dentry = follow(fs, offset!(fs_pwd_dentry));
        let before = get!(scratch, end);
        let walk = path::append(scratch, slot as u32, mnt, dentry);
        (*e).cwd_len = get!(scratch, end) - before;
        path::note(e, walk, field::CWD, cut::CWD);
        if path::unlinked(dentry) && walk != Walk::Failed && (*e).cwd_len != 0 {
            (*e).flags |= flag::CWD_DELETED;
        }
    }
}

/// Appends the path of the executable, and what its inode tells.
#[inline(always)]
unsafe fn append_exe(scratch: *mut Scratch, slot: Slot, mm: u64, bprm: u64) {
    // SAFETY: as in `append_str`.
    unsafe {
        let e = record(scratch);
        let file = follow(mm, offset!(mm_exe_file));
        let mnt = follow(file, offset!(file_path_mnt));
        let dentry = follow(file, offset!(file_path_dentry));
        let before = get!(scratch, end);
        let walk = path::append(scratch, slot as u32, mnt, dentry);
        (*e).exe_len = get!(scratch, end) - before;
        path::note(e, walk, field::EXE, cut::EXE);
        if path::unlinked(dentry) {
            (*e).flags |= flag::EXE_DELETED;
        }
        // `per_clear` is set exactly when privilege was raised: fs/exec.c, `bprm_fill_uid`, and
        // security/commoncap.c, `cap_bprm_creds_from_file`.
        let inode = follow(file, offset!(file_inode));
        let mode = read::<u16>(inode, offset!(inode_mode));
        let per_clear = read::<u32>(bprm, offset!(bprm_per_clear));
        let (Some(mode), Some(per_clear)) = (mode, per_clear) else {
            (*e).missing |= field::SET_ID;
            return;
        };
        if per_clear != 0 {
            (*e).flags |= flag::PRIVILEGE;
            if mode & S_ISUID != 0 {
                (*e).flags |= flag::SET_UID;
            }
            if mode & S_ISGID != 0 {
                (*e).flags |= flag::SET_GID;
            }
        }
    }
}

/// An exec succeeded: the new image is in place and has not run yet.
///
/// `bprm` is the kernel's `struct linux_binprm`; `caller` the thread that called execve, 0 for the
/// current one.
#[inline(always)]
pub(crate) fn succeeded(hook: Hook, caller: u32, bprm: u64) {
    // SAFETY: writes go to scratch memory; kernel memory is read through helpers.
    unsafe {
        let slot = Slot::Succeeded;
        let Some((scratch, task)) = begin(slot, hook, caller, Outcome::Succeeded) else {
            return;
        };
        let e = record(scratch);
        let filename = follow(bprm, offset!(bprm_filename));
        let interp = follow(bprm, offset!(bprm_interp));
        (*e).filename_len = append_str(scratch, Space::Kernel, PATH_MAX, filename, field::FILENAME);
        if interp != filename {
            (*e).interp_len = append_str(scratch, Space::Kernel, BINPRM_BUF_SIZE, interp, field::INTERPRETER);
        }
        if follow(bprm, offset!(bprm_fdpath)) != 0 {
            (*e).flags |= flag::EXECVEAT;
        }
        note(e, read(bprm, offset!(bprm_argc)), field::ARGC, |e, v| (*e).argc = v);

        let mm = follow(task, offset!(task_mm));
        append_exe(scratch, slot, mm, bprm);
        if knob!(follow) & told::TABLE != 0 && (*e).flags & flag::QUIET != 0 {
            emit::event(scratch, Class::Quiet);
            return;
        }
        append_cwd(scratch, slot, task);

        let start = follow(mm, offset!(mm_arg_start));
        let end = follow(mm, offset!(mm_arg_end));
        if start == 0 || end < start {
            (*e).missing |= field::ARGV;
        } else {
            let sent = strings::contiguous(scratch, slot, Stream::Argv, start, end);
            (*e).argv_bytes = sent.total;
            (*e).argv_len = sent.tail;
        }
        if knob!(env) != 0 && !shed::leaves_out(e, optional::ENV) {
            let start = follow(mm, offset!(mm_env_start));
            let end = follow(mm, offset!(mm_env_end));
            if start == 0 || end < start {
                (*e).missing |= field::ENV;
            } else {
                let sent = strings::contiguous(scratch, slot, Stream::Env, start, end);
                (*e).env_bytes = sent.total;
                (*e).env_len = sent.tail;
            }
        }
        emit::event(scratch, Class::Event);
    }
}

/// A failed call, as its caller made it.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) space: Space,
    pub(crate) filename: u64,
    pub(crate) argv: u64,
    pub(crate) envp: u64,
    pub(crate) dirfd: i32,
    pub(crate) flags: u32,
    pub(crate) pointer_size: u32,
}

/// An exec failed: everything is still in the caller's memory.
#[inline(always)]
pub(crate) fn failed(slot: Slot, hook: Hook, retval: i32, call: Call) {
    // SAFETY: as in `succeeded`.
    unsafe {
        let Some((scratch, task)) = begin(slot, hook, 0, Outcome::Failed) else {
            return;
        };
        let e = record(scratch);
        (*e).retval = retval;
        (*e).dirfd = call.dirfd;
        (*e).flags |= call.flags;
        // Kept in memory, so that the verifier need not tell the kinds of call apart from here on.
        set!(scratch, filename, call.filename);
        set!(scratch, argv, call.argv);
        set!(scratch, envp, call.envp);
        set!(scratch, pointer_size, call.pointer_size);

        let filename = get!(scratch, filename);
        (*e).filename_len = append_str(scratch, call.space, PATH_MAX, filename, field::FILENAME);
        append_cwd(scratch, slot, task);
        let argv = get!(scratch, argv);
        if argv != 0 {
            let sent = strings::array(scratch, slot, Stream::Argv, call.space, argv);
            (*e).argv_bytes = sent.total;
            (*e).argv_len = sent.tail;
        }
        let envp = get!(scratch, envp);
        if knob!(env) != 0 && envp != 0 && !shed::leaves_out(e, optional::ENV) {
            let sent = strings::array(scratch, slot, Stream::Env, call.space, envp);
            (*e).env_bytes = sent.total;
            (*e).env_len = sent.tail;
        }
        emit::event(scratch, Class::Event);
    }
}
