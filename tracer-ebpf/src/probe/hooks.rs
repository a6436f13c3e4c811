//! Where hits come from: one program for each mechanism and moment. Each says which point it is, brings what its place
//! has by nature, and ends in [`engine`].
//!
//! The kernel skips a program on a CPU where another task was preempted in its middle ([`preempt`]); those that it
//! runs where it can be preempted say that they do not want that.

use core::ffi::c_void;

use aya_ebpf::{
    EbpfContext,
    helpers::{bpf_get_current_task, generated::bpf_get_attach_cookie},
    macros::{btf_tracepoint, fentry, fexit, kprobe, kretprobe, raw_tracepoint, tracepoint},
    programs::{
        BtfTracePointContext, FEntryContext, FExitContext, ProbeContext, RawTracePointContext,
        RetProbeContext, TracePointContext,
    },
};
use tracer_common::{
    ABSENT, Hook,
    aggregate::{COOKIE, syscall as call},
    probe::counter,
};

use crate::{
    calls::{self, class},
    emit,
    engine::{self, Hit},
    kernel::{self, Space, follow, read},
    maps::{SYSCALLS, here, knob, offset},
    preempt,
    scratch::{Block, moment, set, within},
    tree,
};

// `struct pt_regs`, as indices of 64-bit words (arch/x86/include/asm/ptrace.h).
const R10: usize = 7;
const R9: usize = 8;
const R8: usize = 9;
const AX: usize = 10;
const CX: usize = 11;
const DX: usize = 12;
const SI: usize = 13;
const DI: usize = 14;
const CS: usize = 17;
const SP: usize = 19;

/// arch/x86/include/asm/thread_info.h: the task is in a 32-bit system call.
const TS_COMPAT: u32 = 2;
/// arch/x86/include/asm/segment.h, `__USER32_CS`.
const USER32_CS: u64 = 0x23;
/// Numbers of 64-bit callers are below this.
const MAX_SYSCALLS: u64 = 1024;

/// Which point this is.
#[inline(always)]
fn point(ctx: *mut c_void) -> u32 {
    let point = here!(point);
    if point == COOKIE {
        // SAFETY: the context of this very program.
        return unsafe { bpf_get_attach_cookie(ctx) as u32 };
    }
    point
}

/// One of the registers in the context of a kprobe.
#[inline(always)]
fn register(ctx: *mut c_void, place: usize) -> u64 {
    // SAFETY: callers name places inside of `struct pt_regs`.
    unsafe { ctx.cast::<u64>().add(place).read_volatile() }
}

/// Puts an argument where values are read from.
#[inline(always)]
unsafe fn argument(block: *mut Block, number: usize, value: u64) {
    // SAFETY: `block` is working memory; callers name numbers below 16.
    unsafe { (&raw mut (*block).work.arguments).cast::<u64>().add(number).write_volatile(value) };
}

#[kprobe]
fn kprobe_entry(ctx: ProbeContext) -> u32 {
    if engine::is_wanted() {
        let ctx = ctx.as_ptr();
        let hit = Hit {
            ctx,
            point: point(ctx),
            moment: moment::ENTRY,
            at: register(ctx, SP),
            class: class::STACK_POINTER,
            hook: Hook::Kprobe as u16,
        };
        engine::seen(&hit, |block| {
            for (number, place) in [DI, SI, DX, CX, R8, R9].into_iter().enumerate() {
                // SAFETY: six arguments.
                unsafe { argument(block, number, register(ctx, place)) };
            }
        });
    }
    0
}

#[kretprobe]
fn kprobe_return(ctx: RetProbeContext) -> u32 {
    if engine::is_wanted() {
        let ctx = ctx.as_ptr();
        let hit = Hit {
            ctx,
            point: point(ctx),
            moment: moment::RETURN,
            at: if here!(stack_pointer) != 0 { register(ctx, SP) } else { 0 },
            class: class::STACK_POINTER,
            hook: Hook::Kprobe as u16,
        };
        engine::seen(&hit, |block| {
            // SAFETY: working memory.
            unsafe { set!(block, result, register(ctx, AX)) };
        });
    }
    0
}

/// Copies the arguments out of a trampoline's context, as plain memory: the verifier does not let every one be loaded
/// (kernel/bpf/btf.c, `btf_ctx_access`).
#[inline(always)]
fn arguments(block: *mut Block, ctx: *mut c_void, count: u32) {
    if count != 0 && count <= 13 {
        // SAFETY: working memory, with room for 16 of them.
        unsafe {
            let to = (&raw mut (*block).work.arguments).cast();
            kernel::copy(Space::Kernel, to, count * 8, ctx as u64);
        }
    }
}

#[fentry]
fn trampoline_entry(ctx: FEntryContext) -> i32 {
    let _off = preempt::off();
    if engine::is_wanted() {
        let ctx = ctx.as_ptr();
        let hit = Hit {
            ctx,
            point: here!(point),
            moment: moment::ENTRY,
            at: ctx as u64,
            class: class::TRAMPOLINE,
            hook: Hook::Fentry as u16,
        };
        engine::seen(&hit, |block| arguments(block, ctx, here!(arguments)));
    }
    0
}

/// The result lies after the arguments.
#[fexit]
fn trampoline_return(ctx: FExitContext) -> i32 {
    let _off = preempt::off();
    if engine::is_wanted() {
        let ctx = ctx.as_ptr();
        let hit = Hit {
            ctx,
            point: here!(point),
            moment: moment::RETURN,
            at: ctx as u64,
            class: class::TRAMPOLINE,
            hook: Hook::Fentry as u16,
        };
        engine::seen(&hit, |block| {
            let count = here!(arguments);
            arguments(block, ctx, count + 1);
            // SAFETY: working memory, with room for 16 of them.
            unsafe {
                let result =
                    (&raw const (*block).work.arguments).cast::<u64>().add(within::<15>(count.into()));
                set!(block, result, result.read_volatile());
            }
        });
    }
    0
}

#[tracepoint]
fn tracepoint_hit(ctx: TracePointContext) -> u32 {
    if engine::is_wanted() {
        let ctx = ctx.as_ptr();
        let hit = Hit {
            ctx,
            point: point(ctx),
            moment: moment::ENTRY,
            at: 0,
            class: 0,
            hook: Hook::Tracepoint as u16,
        };
        engine::seen(&hit, |_| {});
    }
    0
}

#[btf_tracepoint]
fn raw_hit(ctx: BtfTracePointContext) -> i32 {
    let _off = preempt::off();
    if engine::is_wanted() {
        let ctx = ctx.as_ptr();
        let hit = Hit {
            ctx,
            point: here!(point),
            moment: moment::ENTRY,
            at: 0,
            class: class::TRAMPOLINE,
            hook: Hook::Tracepoint as u16,
        };
        engine::seen(&hit, |block| arguments(block, ctx, here!(arguments)));
    }
    0
}

/// Which point a system call of this number is, if a 64-bit program made it.
#[inline(always)]
fn syscall_point(number: u64, moment: u64, regs: u64) -> Option<u32> {
    if number >= MAX_SYSCALLS {
        return None;
    }
    let point = SYSCALLS.get_ptr(number as u32)?;
    // SAFETY: a map's value.
    let point = unsafe { *point };
    let wanted = if moment == moment::ENTRY { call::AT_ENTRY } else { call::AT_RETURN };
    if point & wanted == 0 || is_compat(regs) {
        return None;
    }
    Some((point & call::POINT) - 1)
}

/// These numbers mean other calls to 32-bit callers. Without BTF only those are told that are 32-bit programs, not
/// what 64-bit programs do through `int $0x80`.
#[inline(always)]
fn is_compat(regs: u64) -> bool {
    let offset = knob!(task_status);
    if offset == ABSENT {
        return read::<u64>(regs, CS as u32 * 8) == Some(USER32_CS);
    }
    // SAFETY: the helper has no precondition.
    let task = unsafe { bpf_get_current_task() };
    read::<u32>(task, offset).is_none_or(|status| status & TS_COMPAT != 0)
}

/// include/trace/events/syscalls.h: `sys_enter(struct pt_regs *regs, long id)`.
#[raw_tracepoint(tracepoint = "sys_enter")]
fn syscall_enter(ctx: RawTracePointContext) -> u32 {
    syscall(&ctx, ctx.arg(1), moment::ENTRY, 0);
    0
}

/// include/trace/events/syscalls.h: `sys_exit(struct pt_regs *regs, long ret)`.
#[raw_tracepoint(tracepoint = "sys_exit")]
fn syscall_exit(ctx: RawTracePointContext) -> u32 {
    const ORIG_AX: u32 = 15;
    if let Some(number) = read::<u64>(ctx.arg(0), ORIG_AX * 8) {
        syscall(&ctx, number, moment::RETURN, ctx.arg(1));
    }
    0
}

#[inline(always)]
fn syscall(ctx: &RawTracePointContext, number: u64, moment: u64, result: u64) {
    let regs: u64 = ctx.arg(0);
    let Some(point) = syscall_point(number, moment, regs) else { return };
    let _off = preempt::off();
    if !engine::is_wanted() {
        return;
    }
    let hit = Hit {
        ctx: ctx.as_ptr(),
        point,
        moment,
        at: regs,
        class: class::SYSTEM_CALL,
        hook: Hook::Tracepoint as u16,
    };
    engine::seen(&hit, |block| {
        // SAFETY: working memory; the copy is of 8 words, into 16.
        unsafe {
            set!(block, result, result);
            let words = (&raw mut (*block).work.arguments).cast::<u64>().add(8);
            if kernel::copy(Space::Kernel, words.cast(), 64, regs + R10 as u64 * 8) != 0 {
                emit::counter(counter::UNREADABLE, 1);
            }
            for (number, place) in [DI, SI, DX, R10, R8, R9].into_iter().enumerate() {
                argument(block, number, words.add(place - R10).read_volatile());
            }
        }
    });
}

/// include/trace/events/sched.h: `sched_process_fork(struct task_struct *parent, struct task_struct *child)`.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
fn forked(ctx: RawTracePointContext) -> u32 {
    let _off = preempt::off();
    if let Some(parent) = read::<u32>(ctx.arg(0), offset!(task_tgid)) {
        tree::forked(parent, ctx.arg(1));
    }
    0
}

/// include/trace/events/sched.h: `sched_process_exit(struct task_struct *p, …)`, by each thread after it has left
/// `signal->live`.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
fn exited(ctx: RawTracePointContext) -> u32 {
    let _off = preempt::off();
    let task: u64 = ctx.arg(0);
    let signal = follow(task, offset!(task_signal));
    if let Some(0) = read::<u32>(signal, offset!(signal_live))
        && let Some(tgid) = read::<u32>(task, offset!(task_tgid))
    {
        tree::ended(tgid);
    }
    0
}

/// include/trace/events/sched.h: `sched_process_free(struct task_struct *p)`: nothing of it runs any more.
#[raw_tracepoint(tracepoint = "sched_process_free")]
fn freed(ctx: RawTracePointContext) -> u32 {
    let _off = preempt::off();
    calls::ended(ctx.arg(0));
    0
}
