//! Sections that the kernel must not preempt.
//!
//! A program that is preempted in its middle is skipped on that CPU meanwhile, for every other task
//! (kernel/bpf/trampoline.c, `__bpf_prog_enter_recur`; kernel/trace/bpf_trace.c, `__bpf_trace_run`):
//! events are lost. Kprobes run with preemption disabled anyway. Kernels that are not preempted
//! unless asked to need nothing; where it can be helped, the user side puts the kfuncs in.

use tracer_common::kfunc;

/// Calls a helper that stands for a kfunc.
macro_rules! call {
    ($number:expr) => {{
        // SAFETY: the user side replaces the call: see `tracer_common::kfunc`.
        let function: extern "C" fn() = unsafe { core::mem::transmute($number as usize) };
        function();
    }};
}

/// While it lives, the program is not preempted.
pub(crate) struct Off(());

#[inline(always)]
pub(crate) fn off() -> Off {
    call!(kfunc::PREEMPT_DISABLE);
    Off(())
}

impl Drop for Off {
    #[inline(always)]
    fn drop(&mut self) {
        call!(kfunc::PREEMPT_ENABLE);
    }
}
