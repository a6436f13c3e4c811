//! Raw tracepoints: attached by name, without tracefs.
//!
//! `sys_exit` sees every system call of every convention, and leaves at once unless it failed.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use tracer_common::Hook;

use crate::{exec, hooks::syscall, kernel::read, life, maps::offset, preempt, scratch::Slot, tree};

/// include/trace/events/sched.h: `sched_process_exec(struct task_struct *p, pid_t old_pid,
/// struct linux_binprm *bprm)`, 5.10 to 7.2. The new image is in place and has not run.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
fn tp_exec(ctx: RawTracePointContext) -> u32 {
    log!(&ctx, "sched_process_exec: caller {}", ctx.arg::<u64>(1));
    let _off = preempt::off();
    exec::succeeded(Hook::Tracepoint, ctx.arg::<u64>(1) as u32, ctx.arg(2));
    0
}

/// include/trace/events/syscalls.h: `sys_exit(struct pt_regs *regs, long ret)`.
#[raw_tracepoint(tracepoint = "sys_exit")]
fn tp_sys_exit(ctx: RawTracePointContext) -> u32 {
    let ret: i64 = ctx.arg(1);
    if syscall::is_error(ret) {
        let _off = preempt::off();
        syscall::failed(|_| Slot::Execve, Hook::Tracepoint, ctx.arg(0), ret);
    }
    0
}

/// include/trace/events/sched.h: `sched_process_fork(struct task_struct *parent,
/// struct task_struct *child)`.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
fn tp_fork(ctx: RawTracePointContext) -> u32 {
    let _off = preempt::off();
    forked(Hook::Tracepoint, ctx.arg(0), ctx.arg(1));
    0
}

/// include/trace/events/sched.h: `sched_process_exit(struct task_struct *p)`, since 6.16 `(…, bool group_dead)`,
/// called by each thread after it has left `signal->live` (kernel/exit.c, `do_exit`).
#[raw_tracepoint(tracepoint = "sched_process_exit")]
fn tp_exit(ctx: RawTracePointContext) -> u32 {
    let _off = preempt::off();
    exited(Hook::Tracepoint, ctx.arg(0), || ctx.arg(1));
    0
}

/// A child is of the tree if its parent is.
#[inline(always)]
pub(crate) fn forked(hook: Hook, parent: u64, child: u64) {
    if let Some(parent) = read::<u32>(parent, offset!(task_tgid)) {
        tree::forked(parent, child);
    }
    life::forked(hook, child);
}

/// Tells a process' end when its last thread ends, and takes it out of the tree. `said`: what the kernel says of
/// that thread, where it does.
#[inline(always)]
pub(crate) fn exited(hook: Hook, task: u64, said: impl FnOnce() -> u64) {
    if !life::is_last(task, said) {
        return;
    }
    life::exited(hook, task);
    if let Some(tgid) = read::<u32>(task, offset!(task_tgid)) {
        tree::ended(tgid);
    }
}
