//! Sections that the kernel must not preempt.
//!
//! A program that is preempted in its middle is skipped on that CPU meanwhile, for every other task
//! (kernel/bpf/trampoline.c, `__bpf_prog_enter_recur`; kernel/trace/bpf_trace.c, `__bpf_trace_run`):
//! events are lost. Kprobes run with preemption disabled anyway. Kernels that are not preempted
//! unless asked to need nothing; where it can be helped, the user side puts the kfuncs in.
//!
//! Preemption that was put off comes the moment it is enabled again, which is still in the program.
//! So it is enabled where interrupts are off, where it is not looked for (kernel/sched/core.c,
//! `preempt_schedule`); what is left are the few instructions at either end.

use core::mem::{MaybeUninit, transmute};

use tracer_common::kfunc;

// SAFETY, of all: helpers of these numbers do not exist; the user side replaces the calls
// (`tracer_common::kfunc`), and each is made as its kfunc is declared.

#[inline(always)]
fn call(number: u32) {
    // SAFETY: see above.
    let function: extern "C" fn() = unsafe { transmute(number as usize) };
    function();
}

#[inline(always)]
fn call_with_flags(number: u32, flags: &mut MaybeUninit<u64>) {
    // SAFETY: see above.
    let function: extern "C" fn(*mut u64) = unsafe { transmute(number as usize) };
    function(flags.as_mut_ptr());
}

/// While it lives, the program is not preempted.
pub(crate) struct Off(());

#[inline(always)]
pub(crate) fn off() -> Off {
    call(kfunc::PREEMPT_DISABLE);
    Off(())
}

impl Drop for Off {
    #[inline(always)]
    fn drop(&mut self) {
        let mut flags = MaybeUninit::uninit();
        call_with_flags(kfunc::LOCAL_IRQ_SAVE, &mut flags);
        call(kfunc::PREEMPT_ENABLE);
        call_with_flags(kfunc::LOCAL_IRQ_RESTORE, &mut flags);
    }
}
