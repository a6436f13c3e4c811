//! The program as a whole: its form, control flow, size, and what it attaches to.

use super::Advice;
use crate::verifier::Kind;

pub(super) const ADVICE: &[Advice] = &[
    Advice {
        kind: Kind::ReservedFields,
        title: "an instruction has a value in a field that must be zero, or uses a form this kernel does not know",
        why: "Unused fields are kept for later: newer kernels give them a meaning. So this is often an instruction of a \
              newer instruction set than the kernel has.",
        rust: "Build with an older instruction set: RUSTFLAGS=\"-C link-arg=--cpu=v2\" for bpf-linker.",
        c: "Compile with an older instruction set: clang -mcpu=v2 (v3 from 5.1 on, v4 from 6.6 on).",
    },
    Advice {
        kind: Kind::UnknownOpcode,
        title: "the kernel does not know this instruction",
        why: "It belongs to a newer instruction set than the kernel has, or is none.",
        rust: "Build with an older instruction set: RUSTFLAGS=\"-C link-arg=--cpu=v2\" for bpf-linker.",
        c: "Compile with an older instruction set: clang -mcpu=v2 (v3 from 5.1 on, v4 from 6.6 on).",
    },
    Advice {
        kind: Kind::BadProgram,
        title: "the program is not well formed, or bpf() refuses how it is to be loaded",
        why: "Size, flags, program type, attach type and the form of each instruction are checked before anything is \
              followed. A type or flag that is newer than the kernel is refused here.",
        rust: "Check that this kernel has the program type and the attach type; 5.10 lacks many.",
        c: "Check that this kernel has the program type and the attach type (the section's name chooses them).",
    },
    Advice {
        kind: Kind::JumpOutOfRange,
        title: "a jump leaves its function",
        why: "Every jump has to end at an instruction of the same function, and the function's last instruction has to \
              be an exit or a jump. Compiled code ends without one after a call that does not return, or where the \
              compiler saw undefined behaviour.",
        rust: "A panic, or unreachable_unchecked(), leaves no exit: index with get(), and build with opt-level 2 or 3.",
        c: "Undefined behaviour (division by 0, a loop that has no end, a missing return) makes clang drop the end.",
    },
    Advice {
        kind: Kind::Unreachable,
        title: "an instruction can never be reached",
        why: "This kernel refuses code that no path leads to. Compilers leave none; hand-written assembly does.",
        rust: "Remove it; build with optimisation.",
        c: "Remove it; compile with -O2.",
    },
    Advice {
        kind: Kind::BackEdge,
        title: "there is a loop, and this kernel or program takes none here",
        why: "Before 5.3, and today for programs of users without privilege, a jump backwards is refused.",
        rust: "Unroll the loop, or call the body a fixed number of times.",
        c: "#pragma unroll, or load with CAP_BPF.",
    },
    Advice {
        kind: Kind::InfiniteLoop,
        title: "a loop goes round without anything changing",
        why: "The verifier came back to the same instruction with the same state of all registers and the stack, so \
              nothing proves that the loop ends. Its counter has to be seen to change, and to be compared with a bound.",
        rust: "for i in 0..MAX { if i >= len { break } ... }     // a constant bound, a counter in a local variable",
        c: "for (int i = 0; i < MAX && i < len; i++) { ... }    /* or bpf_for(i, 0, len), bpf_loop() */",
    },
    Advice {
        kind: Kind::TooComplex,
        title: "the program is too large or has too many paths to be verified",
        why: "The verifier follows every path: at most 1,000,000 instructions in all, 8,192 branches at a time. A loop \
              costs its body times its rounds, and each branch inside of it that leaves different values behind \
              multiplies the paths.",
        rust: "Put the loop's body into a #[inline(never)] function that takes and returns numbers alone: it is verified \
               once. Leave a loop by one test per round; or use bpf_loop (5.17).",
        c: "Make the body a global function (__noinline, not static): it is verified once. Or use bpf_loop() (5.17), \
            bpf_for() (6.4). Leave a loop by one test per round.",
    },
    Advice {
        kind: Kind::StackTooDeep,
        title: "the functions of a call chain need more stack than there is",
        why: "All frames of a chain of calls share 512 bytes (256 for programs with tail calls), each rounded up to 32.",
        rust: "static BUF: PerCpuArray<Event> = PerCpuArray::with_max_entries(1, 0);\n\
               let Some(event) = BUF.get_ptr_mut(0) else { return 0 };    // or write into a RingBuf reservation",
        c: "struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1);\n         \
            __type(key, __u32); __type(value, struct event); } buf SEC(\".maps\");",
    },
    Advice {
        kind: Kind::CallTooDeep,
        title: "calls are nested too deeply, or a function calls itself",
        why: "At most 8 frames are possible, and recursion is not.",
        rust: "#[inline(always)] on small functions; turn recursion into a bounded loop.",
        c: "static __always_inline on small functions; turn recursion into a bounded loop.",
    },
    Advice {
        kind: Kind::AttachTarget,
        title: "the program may not attach to what it names, or not as this program type",
        why: "What fentry, fexit, LSM and iterator programs attach to is checked when they are loaded: the function has \
              to exist in the kernel's BTF, to be on the list for what the program wants to do (sleep, change the \
              result), and the licence has to fit.",
        rust: "Check the name in /sys/kernel/btf/vmlinux (bpftool btf dump file), drop `sleepable`, or use a kprobe.",
        c: "Check the name in /sys/kernel/btf/vmlinux (bpftool btf dump file), drop `.s` from the section, or use a kprobe.",
    },
    Advice {
        kind: Kind::Misconfigured,
        title: "this kernel's configuration lacks what the program needs",
        why: "The kernel was built without an option, or its own BTF does not have what the verifier looks up for this.",
        rust: "Run on a kernel that has the option; look into /boot/config-$(uname -r).",
        c: "Run on a kernel that has the option; look into /boot/config-$(uname -r).",
    },
];
