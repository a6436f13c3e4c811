//! Calls of kernel functions (kfuncs) that only some kernels have.
//!
//! The compiler knows no kfuncs. The kernel side calls a helper of one of these numbers, which no
//! kernel has; the user side turns the call into that of the kfunc, or, on a kernel without, into
//! `r0 = 0`. Both leave the other registers as a helper's call does.

/// `void bpf_preempt_disable(void)`, since 6.10.
pub const PREEMPT_DISABLE: u32 = 0x7f00_0000;
/// `void bpf_preempt_enable(void)`, since 6.10.
pub const PREEMPT_ENABLE: u32 = 0x7f00_0001;

/// `void bpf_local_irq_save(unsigned long *flags)`, since 6.14.
pub const LOCAL_IRQ_SAVE: u32 = 0x7f00_0002;
/// `void bpf_local_irq_restore(unsigned long *flags)`, since 6.14.
pub const LOCAL_IRQ_RESTORE: u32 = 0x7f00_0003;

/// Numbers and names.
pub const ALL: [(u32, &str); 4] = [
    (PREEMPT_DISABLE, "bpf_preempt_disable"),
    (PREEMPT_ENABLE, "bpf_preempt_enable"),
    (LOCAL_IRQ_SAVE, "bpf_local_irq_save"),
    (LOCAL_IRQ_RESTORE, "bpf_local_irq_restore"),
];
