//! Which programs make up a hook family, and what each is attached to.
//!
//! *Must not know:* how a program is loaded or attached.

use tracer_common::Hook;

/// How one program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A raw tracepoint, by name.
    RawTracepoint(&'static str),
    /// A BTF raw tracepoint, by name.
    BtfTracepoint(&'static str),
    /// The return of a function, through a trampoline.
    Fexit(&'static str),
    /// The entry of each of these functions that this kernel has.
    Kprobe(&'static [&'static str]),
    /// The return of each of these functions that this kernel has.
    Kretprobe(&'static [&'static str]),
    /// An iterator over the kernel's objects: runs when it is read.
    Iterator,
}

/// When a program is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Without it the family does not work.
    Always,
    /// Only where the kernel has the function.
    IfThere,
    /// Only where the kernel has the function, and it is of the same type as this one, whose program goes on in its
    /// place.
    IfLike(&'static str),
    /// Only where the kernel has the function, and it is of another type than this one.
    IfUnlike(&'static str),
    /// Only when a process tree is followed.
    Tree,
    /// Only when processes are followed from their birth to their end.
    Life,
    TreeOrLife,
    /// Only when successful execs are wanted.
    Success,
}

/// One program of a family.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Its name in the object.
    pub program: &'static str,
    pub target: Target,
    pub need: Need,
    /// The map through which other programs go on in it.
    pub array: Option<&'static str>,
}

const fn part(program: &'static str, target: Target, need: Need) -> Part {
    Part { program, target, need, array: None }
}

/// The functions behind execve and execveat, of each calling convention
/// (arch/x86/include/asm/syscall_wrapper.h). A kernel built without one lacks its functions.
const SYSCALLS: &[&str] = &[EXECVE, EXECVEAT, COMPAT_EXECVE, COMPAT_EXECVEAT];
const EXECVE: &str = "__x64_sys_execve";
const EXECVEAT: &str = "__x64_sys_execveat";
const COMPAT_EXECVE: &str = "__ia32_compat_sys_execve";
const COMPAT_EXECVEAT: &str = "__ia32_compat_sys_execveat";

const TRACEPOINT: &[Part] = &[
    part("tp_exit", Target::RawTracepoint("sched_process_exit"), Need::TreeOrLife),
    part("tp_fork", Target::RawTracepoint("sched_process_fork"), Need::TreeOrLife),
    part("tp_sys_exit", Target::RawTracepoint("sys_exit"), Need::Always),
    part("tp_exec", Target::RawTracepoint("sched_process_exec"), Need::Success),
];

const FENTRY: &[Part] = &[
    part("btf_exit", Target::BtfTracepoint("sched_process_exit"), Need::TreeOrLife),
    part("btf_fork", Target::BtfTracepoint("sched_process_fork"), Need::TreeOrLife),
    Part { array: Some("FAILED"), ..part("fexit_execve", Target::Fexit(EXECVE), Need::Always) },
    part("fexit_execveat", Target::Fexit(EXECVEAT), Need::Always),
    part("fexit_compat_execve", Target::Fexit(COMPAT_EXECVE), Need::IfLike(EXECVE)),
    part("fexit_compat_execve_alone", Target::Fexit(COMPAT_EXECVE), Need::IfUnlike(EXECVE)),
    part("fexit_compat_execveat", Target::Fexit(COMPAT_EXECVEAT), Need::IfLike(EXECVE)),
    part("fexit_compat_execveat_alone", Target::Fexit(COMPAT_EXECVEAT), Need::IfUnlike(EXECVE)),
    part("fexit_kernel_execve", Target::Fexit("kernel_execve"), Need::IfThere),
    // Always: it tells which of the returns that were skipped were not those of failed calls.
    part("btf_exec", Target::BtfTracepoint("sched_process_exec"), Need::Always),
];

const KPROBE: &[Part] = &[
    part("kprobe_release", Target::Kprobe(&["release_task"]), Need::Tree),
    part("kprobe_exit", Target::Kprobe(&["exit_files"]), Need::Life),
    part("kprobe_fork", Target::Kprobe(&["wake_up_new_task"]), Need::TreeOrLife),
    part("kprobe_return", Target::Kretprobe(SYSCALLS), Need::Always),
    part("kprobe_kernel_return", Target::Kretprobe(&["kernel_execve"]), Need::IfThere),
    part("kprobe_begin", Target::Kprobe(&["begin_new_exec"]), Need::Success),
    // Always: it tells which calls succeeded, so that their returns are not missed.
    part("kprobe_exec", Target::Kprobe(&["finalize_exec"]), Need::Always),
    // Last: a call counts once its end cannot be missed for want of a probe.
    part("kprobe_enter", Target::Kprobe(SYSCALLS), Need::Always),
    part("kprobe_kernel_enter", Target::Kprobe(&["kernel_execve"]), Need::IfThere),
];

/// Finds the processes that there are, whatever the family.
pub const SNAPSHOT: Part = part("iter_alive", Target::Iterator, Need::Always);

impl Part {
    /// Does it count calls whose ends are waited for? It is attached after the others and detached
    /// before them, so that no call is counted whose end nobody sees.
    pub fn counts_calls(&self) -> bool {
        matches!(self.program, "kprobe_enter" | "kprobe_kernel_enter")
    }
}

/// What it means for events when the kernel skips a run of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// A successful exec is not seen.
    Success,
    /// The return of a call is not seen: of a failed one that is an event.
    Return,
    /// Some system call's return is not seen: it may have been a failed exec's.
    AnyCall,
    /// A birth is not seen, or that of a thread.
    Birth,
    /// An end is not seen, or that of a thread.
    End,
    /// No event by itself.
    Nothing,
}

impl Part {
    /// What a skipped run of it means.
    pub fn skipped(&self) -> Skipped {
        match (self.program, self.target) {
            ("btf_exec" | "tp_exec", _) => Skipped::Success,
            ("tp_sys_exit", _) => Skipped::AnyCall,
            ("btf_fork" | "tp_fork", _) => Skipped::Birth,
            ("btf_exit" | "tp_exit", _) => Skipped::End,
            (_, Target::Fexit(_)) => Skipped::Return,
            _ => Skipped::Nothing,
        }
    }
}

/// A family's programs, in the order in which they are attached: what makes a process part of the
/// tree comes first.
pub(super) const fn parts(hook: Hook) -> &'static [Part] {
    match hook {
        Hook::Tracepoint => TRACEPOINT,
        Hook::Fentry => FENTRY,
        Hook::Kprobe => KPROBE,
    }
}

/// How many blocks of scratch memory the family's programs use (tracer-ebpf, `scratch::Slot`).
pub const fn scratch_blocks(hook: Hook) -> u32 {
    match hook {
        Hook::Fentry => 6,
        Hook::Kprobe | Hook::Tracepoint => 2,
    }
}
