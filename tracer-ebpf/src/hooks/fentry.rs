//! Tracing programs: BTF raw tracepoints, and fexit on the functions behind the system calls.
//!
//! The kernel skips a program on a CPU where another task was preempted in its middle
//! ([`preempt`]), and counts that for each program. Successful execs and their returns are counted
//! here, so that user space can tell which of the skipped returns were those of failed ones.
//!
//! They cost nothing to anyone who does not exec. Each fexit program is a program of its own,
//! since it is bound to its function when it is loaded; but where a call failed, those of one type go
//! on in one and the same ([`FAILED`]): the kernel's verifier takes its time for each copy.

use aya_ebpf::{
    EbpfContext,
    helpers::bpf_get_current_task,
    macros::{btf_tracepoint, fexit},
    programs::{BtfTracePointContext, FExitContext},
};
use tracer_common::{Class, Hook};

use crate::{
    emit,
    exec::{self, Call},
    hooks::{syscall, tracepoint},
    kernel::{Space, read},
    maps::FAILED,
    preempt,
    scratch::Slot,
};

/// See [`tracepoint`] for the arguments.
#[btf_tracepoint(function = "sched_process_exec")]
fn btf_exec(ctx: BtfTracePointContext) -> i32 {
    log!(&ctx, "sched_process_exec: caller {}", ctx.arg::<u64>(1));
    let _off = preempt::off();
    if let Some(stats) = emit::stats() {
        // SAFETY: `stats` is a map's value.
        unsafe { emit::count(&raw mut (*stats).entered) };
    }
    exec::succeeded(Hook::Fentry, ctx.arg::<u64>(1) as u32, ctx.arg(2));
    0
}

#[btf_tracepoint(function = "sched_process_fork")]
fn btf_fork(ctx: BtfTracePointContext) -> i32 {
    let _off = preempt::off();
    // Numbers, not typed pointers: global functions take no others.
    if let (Some(parent), Some(child)) = (argument(&ctx, 0), argument(&ctx, 1)) {
        tracepoint::forked(Hook::Fentry, parent, child);
    }
    0
}

#[btf_tracepoint(function = "sched_process_exit")]
fn btf_exit(ctx: BtfTracePointContext) -> i32 {
    let _off = preempt::off();
    // The task that exits is the current one; as a number, see above.
    // SAFETY: the helper has no precondition.
    tracepoint::exited(Hook::Fentry, unsafe { bpf_get_current_task() }, || ctx.arg(1));
    0
}

/// An argument, copied out of the context as plain memory. The verifier does not let every argument
/// be loaded (kernel/bpf/btf.c, `btf_ctx_access`): up to 6.12 none that points to a pointer, and on
/// 5.10 none whose type is only declared where its function is defined, such as `pt_regs`.
#[inline(always)]
fn argument(ctx: &impl EbpfContext, number: u32) -> Option<u64> {
    read(ctx.as_ptr() as u64, number * 8)
}

/// A return was seen of a call that succeeded.
#[inline(always)]
fn count_success() {
    if let Some(stats) = emit::stats() {
        // SAFETY: `stats` is a map's value.
        unsafe { emit::count(&raw mut (*stats).returned) };
    }
}

/// `long __x64_sys_execve(const struct pt_regs *regs)` and its like.
#[inline(always)]
fn returned(slot: impl FnOnce(u64) -> Slot, ctx: &FExitContext) -> i32 {
    let ret: i64 = ctx.arg(1);
    log!(ctx, "exec returned {}", ret);
    let _off = preempt::off();
    if !syscall::is_error(ret) {
        count_success();
    } else if let Some(regs) = argument(ctx, 0) {
        syscall::failed(slot, Hook::Fentry, regs, ret);
    }
    0
}

/// As [`returned`], without a copy of what a failed call takes: there [`fexit_execve`] goes on.
#[inline(always)]
fn returned_elsewhere(ctx: &FExitContext) -> i32 {
    if syscall::is_error(ctx.arg(1)) {
        // SAFETY: it is there before this program runs, and takes the same context.
        unsafe { FAILED.tail_call(ctx, 0) };
        emit::lost(Class::Event);
        return 0;
    }
    let _off = preempt::off();
    count_success();
    0
}

/// Others go on in it. The kernel keeps each of them from being run while it runs, but not while another of them does,
/// so each has its block of scratch memory: the system call's number says whose run this is.
#[fexit(function = "__x64_sys_execve")]
fn fexit_execve(ctx: FExitContext) -> i32 {
    returned(syscall::slot, &ctx)
}

#[fexit(function = "__x64_sys_execveat")]
fn fexit_execveat(ctx: FExitContext) -> i32 {
    returned(|_| Slot::Execveat, &ctx)
}

#[fexit(function = "__ia32_compat_sys_execve")]
fn fexit_compat_execve(ctx: FExitContext) -> i32 {
    returned_elsewhere(&ctx)
}

#[fexit(function = "__ia32_compat_sys_execveat")]
fn fexit_compat_execveat(ctx: FExitContext) -> i32 {
    returned_elsewhere(&ctx)
}

// For kernels whose BTF gives these functions another type than `__x64_sys_execve`: the kernel lets no program go on in
// one for functions of another type (kernel/bpf/core.c, `bpf_prog_map_compatible`).

#[fexit(function = "__ia32_compat_sys_execve")]
fn fexit_compat_execve_alone(ctx: FExitContext) -> i32 {
    returned(|_| Slot::CompatExecve, &ctx)
}

#[fexit(function = "__ia32_compat_sys_execveat")]
fn fexit_compat_execveat_alone(ctx: FExitContext) -> i32 {
    returned(|_| Slot::CompatExecveat, &ctx)
}

/// fs/exec.c: `int kernel_execve(const char *filename, const char *const *argv,
/// const char *const *envp)`, since 5.9.
#[fexit(function = "kernel_execve")]
fn fexit_kernel_execve(ctx: FExitContext) -> i32 {
    let ret = i64::from(ctx.arg::<i32>(3));
    let _off = preempt::off();
    if !syscall::is_error(ret) {
        count_success();
    } else if let (Some(filename), Some(argv), Some(envp)) =
        (argument(&ctx, 0), argument(&ctx, 1), argument(&ctx, 2))
    {
        let call = kernel_call(filename, argv, envp);
        exec::failed(Slot::KernelExecve, Hook::Fentry, ret as i32, call);
    }
    0
}

/// An exec that the kernel itself made: everything is in its own memory.
#[inline(always)]
pub(crate) fn kernel_call(filename: u64, argv: u64, envp: u64) -> Call {
    Call { space: Space::Kernel, filename, argv, envp, dirfd: -100, flags: 0, pointer_size: 8 }
}
