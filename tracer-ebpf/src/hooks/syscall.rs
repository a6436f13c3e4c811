//! execve and execveat as system calls of x86-64: from saved registers to a [`Call`].
//!
//! Three calling conventions lead here: 64-bit, x32 (64-bit registers, 32-bit pointers in memory)
//! and ia32 (from 32-bit programs, and from any program through `int $0x80`).

use aya_ebpf::helpers::{bpf_get_current_task, bpf_get_current_task_btf, generated};
use tracer_common::{Hook, flag};

use crate::{
    exec::{self, Call},
    kernel::{self, Space, follow, read},
    maps::{knob, offset},
    scratch::{self, Slot},
};

// `struct pt_regs`, as indices of 64-bit words (arch/x86/include/asm/ptrace.h).
const R10: usize = 7;
const BX: usize = 5;
const CX: usize = 11;
const DX: usize = 12;
const SI: usize = 13;
const DI: usize = 14;
const ORIG_AX: usize = 15;
const PT_REGS_BYTES: u64 = 168;
/// arch/x86/include/asm/page_64_types.h, without KASAN.
const THREAD_SIZE: u64 = 16384;

// arch/x86/entry/syscalls/syscall_{64,32}.tbl
const EXECVE: u64 = 59;
const EXECVEAT: u64 = 322;
const IA32_EXECVE: u64 = 11;
const IA32_EXECVEAT: u64 = 358;
const X32_BIT: u64 = 0x4000_0000;
const X32_EXECVE: u64 = X32_BIT | 520;
const X32_EXECVEAT: u64 = X32_BIT | 545;

/// arch/x86/include/asm/thread_info.h: the task is in a 32-bit system call.
const TS_COMPAT: u32 = 2;
const AT_FDCWD: i32 = -100;
const MAX_ERRNO: i64 = 4095;

/// Is this the return value of a call that failed?
#[inline(always)]
pub(crate) fn is_error(ret: i64) -> bool {
    (-MAX_ERRNO..0).contains(&ret)
}

/// The registers that the current task entered the kernel with.
#[inline(always)]
pub(crate) fn current_regs() -> u64 {
    // SAFETY: helpers without preconditions; older kernels never reach them.
    unsafe {
        if knob!(task_pt_regs) != 0 {
            return generated::bpf_task_pt_regs(bpf_get_current_task_btf()) as u64;
        }
        // arch/x86/include/asm/processor.h, `task_pt_regs`, before FRED moved it by 16 bytes.
        let stack = follow(bpf_get_current_task(), offset!(task_stack));
        stack + THREAD_SIZE - PT_REGS_BYTES
    }
}

/// The block of scratch memory of what runs for a system call of this number.
#[inline(always)]
pub(crate) fn slot(number: u64) -> Slot {
    match number {
        EXECVE | X32_EXECVE => Slot::Execve,
        EXECVEAT | X32_EXECVEAT => Slot::Execveat,
        IA32_EXECVE => Slot::CompatExecve,
        _ => Slot::CompatExecveat,
    }
}

/// A system call failed: if it was an exec, report it. `slot` tells the block of scratch memory from the call's number,
/// `regs` is where its registers are.
#[inline(always)]
pub(crate) fn failed(slot: impl FnOnce(u64) -> Slot, hook: Hook, regs: u64, ret: i64) {
    let Some(number) = read::<u64>(regs, ORIG_AX as u32 * 8) else { return };
    match number {
        EXECVE | EXECVEAT | IA32_EXECVE | IA32_EXECVEAT | X32_EXECVE | X32_EXECVEAT => {}
        _ => return,
    }
    let ia32 = number == IA32_EXECVE || number == IA32_EXECVEAT;
    if ia32 {
        // These numbers mean other calls to 64-bit programs.
        // SAFETY: the helper has no precondition.
        let task = unsafe { bpf_get_current_task() };
        match read::<u32>(task, offset!(task_thread_info_status)) {
            Some(status) if status & TS_COMPAT != 0 => {}
            _ => return,
        }
    }
    let slot = slot(number);
    let Some(scratch) = scratch::take(slot) else { return };
    // SAFETY: the copy is of the array's size; `work` is scratch memory of this program alone.
    let r = unsafe {
        let words = &raw mut (*scratch).work.regs;
        if kernel::copy(Space::Kernel, words.cast(), 128, regs) != 0 {
            return;
        }
        words.cast::<u64>()
    };
    // SAFETY: the indices are constants below 16.
    let reg = |index: usize| unsafe { r.add(index).read_volatile() };
    let low = |index: usize| reg(index) & 0xffff_ffff;
    let (native, at) = (Space::User, flag::EXECVEAT);
    let call = match number {
        EXECVE => Call {
            space: native,
            filename: reg(DI),
            argv: reg(SI),
            envp: reg(DX),
            dirfd: AT_FDCWD,
            flags: 0,
            pointer_size: 8,
        },
        EXECVEAT => Call {
            space: native,
            filename: reg(SI),
            argv: reg(DX),
            envp: reg(R10),
            dirfd: reg(DI) as i32,
            flags: at,
            pointer_size: 8,
        },
        X32_EXECVE => Call {
            space: native,
            filename: reg(DI),
            argv: reg(SI),
            envp: reg(DX),
            dirfd: AT_FDCWD,
            flags: flag::COMPAT,
            pointer_size: 4,
        },
        X32_EXECVEAT => Call {
            space: native,
            filename: reg(SI),
            argv: reg(DX),
            envp: reg(R10),
            dirfd: reg(DI) as i32,
            flags: at | flag::COMPAT,
            pointer_size: 4,
        },
        IA32_EXECVE => Call {
            space: native,
            filename: low(BX),
            argv: low(CX),
            envp: low(DX),
            dirfd: AT_FDCWD,
            flags: flag::COMPAT,
            pointer_size: 4,
        },
        _ => Call {
            space: native,
            filename: low(CX),
            argv: low(DX),
            envp: low(SI),
            dirfd: low(BX) as i32,
            flags: at | flag::COMPAT,
            pointer_size: 4,
        },
    };
    exec::failed(slot, hook, ret as i32, call);
}
