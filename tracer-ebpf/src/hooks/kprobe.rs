//! Kprobes and kretprobes.
//!
//! A successful exec is seen in `finalize_exec`, which a binary format calls when nothing can fail
//! any more; failed ones at the return of the functions behind the system calls. The kernel keeps
//! a limited number of pending returns and drops the others without a word, so calls are counted,
//! and those that were seen to succeed or to fail: the difference is told as a loss. Calls that the
//! filters reject do not count; the filter by comm alone is not asked, since an exec changes it.

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, bpf_get_current_task},
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use tracer_common::Hook;

use crate::{
    emit, exec,
    filter::{self, Outcome},
    hooks::{fentry, syscall},
    kernel::read,
    life,
    maps::{CALLERS, KERNEL_CALLS, offset},
    scratch::Slot,
    tree,
};

/// fs/exec.c: `int begin_new_exec(struct linux_binprm *bprm)`, since 5.8: the last moment at which
/// a thread other than the leader still has its own id.
#[kprobe]
fn kprobe_begin(_ctx: ProbeContext) -> u32 {
    let pid_tgid = bpf_get_current_pid_tgid();
    let (tgid, tid) = ((pid_tgid >> 32) as u32, pid_tgid as u32);
    if tgid != tid {
        let _ = CALLERS.insert(tgid, tid, 0);
    }
    0
}

/// fs/exec.c: `void finalize_exec(struct linux_binprm *bprm)`, 4.17 to 7.2.
#[kprobe]
fn kprobe_exec(ctx: ProbeContext) -> u32 {
    let Some(bprm) = ctx.arg::<u64>(0) else { return 0 };
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    log!(&ctx, "finalize_exec: process {}", tgid);
    let mut caller = 0;
    if let Some(tid) = CALLERS.get_ptr(tgid) {
        // SAFETY: the map's value, just looked up.
        caller = unsafe { *tid };
        let _ = CALLERS.remove(tgid);
    }
    count_result();
    exec::succeeded(Hook::Kprobe, caller, bprm);
    0
}

#[kprobe]
fn kprobe_enter(_ctx: ProbeContext) -> u32 {
    count_call();
    0
}

#[inline(always)]
fn is_wanted() -> bool {
    filter::passes((bpf_get_current_pid_tgid() >> 32) as u32, Outcome::Failed)
}

#[inline(always)]
fn count_call() {
    if is_wanted()
        && let Some(stats) = emit::stats()
    {
        // SAFETY: `stats` is a map's value.
        unsafe { emit::count(&raw mut (*stats).entered) };
    }
}

/// A call was seen to succeed or to fail.
#[inline(always)]
fn count_result() {
    if is_wanted()
        && let Some(stats) = emit::stats()
    {
        // SAFETY: `stats` is a map's value.
        unsafe { emit::count(&raw mut (*stats).returned) };
    }
}

/// On `__x64_sys_execve` and its like.
#[kretprobe]
fn kprobe_return(ctx: RetProbeContext) -> u32 {
    let ret: i64 = ctx.ret();
    log!(&ctx, "exec returned {}", ret);
    if syscall::is_error(ret) {
        count_result();
        syscall::failed(|_| Slot::Execve, Hook::Kprobe, syscall::current_regs(), ret);
    }
    0
}

/// On `kernel_execve`; see [`fentry`].
#[kprobe]
fn kprobe_kernel_enter(ctx: ProbeContext) -> u32 {
    let (Some(filename), Some(argv), Some(envp)) = (ctx.arg(0), ctx.arg(1), ctx.arg(2)) else {
        return 0;
    };
    // SAFETY: the helper has no precondition.
    let task = unsafe { bpf_get_current_task() };
    let _ = KERNEL_CALLS.insert(task, [filename, argv, envp], 0);
    count_call();
    0
}

#[kretprobe]
fn kprobe_kernel_return(ctx: RetProbeContext) -> u32 {
    // SAFETY: the helper has no precondition.
    let task = unsafe { bpf_get_current_task() };
    let Some(call) = KERNEL_CALLS.get_ptr(task) else { return 0 };
    // SAFETY: the map's value, just looked up.
    let [filename, argv, envp] = unsafe { *call };
    let _ = KERNEL_CALLS.remove(task);
    let ret = i64::from(ctx.ret::<i32>());
    if syscall::is_error(ret) {
        count_result();
        let call = fentry::kernel_call(filename, argv, envp);
        exec::failed(Slot::Execve, Hook::Kprobe, ret as i32, call);
    }
    0
}

/// kernel/sched/core.c: `void wake_up_new_task(struct task_struct *p)`.
#[kprobe]
fn kprobe_fork(ctx: ProbeContext) -> u32 {
    let Some(child) = ctx.arg::<u64>(0) else { return 0 };
    let parent = (bpf_get_current_pid_tgid() >> 32) as u32;
    tree::forked(parent, child);
    life::forked(Hook::Kprobe, child);
    0
}

/// fs/file.c: `void exit_files(struct task_struct *tsk)`, which each thread calls on its way out after it has left
/// `signal->live` and set its exit code; and for a child that could not be made, which is not the current task then.
#[kprobe]
fn kprobe_exit(ctx: ProbeContext) -> u32 {
    let Some(task) = ctx.arg::<u64>(0) else { return 0 };
    // SAFETY: the helper has no precondition.
    if task == unsafe { bpf_get_current_task() } && life::none_is_left(task) {
        life::exited(Hook::Kprobe, task);
    }
    0
}

/// kernel/exit.c: `void release_task(struct task_struct *p)`: the process has been reaped.
#[kprobe]
fn kprobe_release(ctx: ProbeContext) -> u32 {
    let Some(task) = ctx.arg::<u64>(0) else { return 0 };
    if let (Some(pid), Some(tgid)) =
        (read::<u32>(task, offset!(task_pid)), read::<u32>(task, offset!(task_tgid)))
        && pid == tgid
    {
        tree::ended(tgid);
    }
    0
}
