//! Calls: helpers, kfuncs, subprograms, callbacks, and what is passed to them.

use super::Advice;
use crate::verifier::Kind;

pub(super) const ADVICE: &[Advice] = &[
    Advice {
        kind: Kind::UnknownFunction,
        title: "the kernel does not have this helper",
        why: "Helpers are added over time: this one is newer than the kernel, or its number is none at all.",
        rust: "Call an older helper, or decide by a read-only global that user space sets from the kernel's version: \
               what is off is dead code for the verifier.",
        c: "if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_...))   /* dead code where it does not */\n    \
            bpf_...();",
    },
    Advice {
        kind: Kind::FunctionNotAllowed,
        title: "this program may not call this helper",
        why: "Each program type has its own set of helpers, and some are for programs under a GPL-compatible licence \
              alone. The set grows with the kernel's version.",
        rust: "#[unsafe(link_section = \"license\")] #[unsafe(no_mangle)]\n\
               static LICENSE: [u8; 4] = *b\"GPL\\0\";           // if the licence is the obstacle; else another program type",
        c: "char LICENSE[] SEC(\"license\") = \"GPL\";          /* if the licence is the obstacle; else another program type */",
    },
    Advice {
        kind: Kind::ArgType,
        title: "a call is given an argument of another type than it takes",
        why: "A helper's prototype says what each argument has to be: a number, a pointer to a map, to memory, to a \
              kernel object. A pointer that went through memory or arithmetic may have become a plain number.",
        rust: "Pass what the helper's documentation names; keep the object in a variable instead of storing it.",
        c: "Pass what bpf-helpers(7) names; keep the object in a variable instead of storing it.",
    },
    Advice {
        kind: Kind::ArgSize,
        title: "a length that is passed to a call is not bounded to the memory that goes with it",
        why: "A helper reads or writes as many bytes as it is told. The verifier has to know that the length is not \
              negative, not 0 where that is not allowed, and not more than the memory has.",
        rust: "if len > buf.len() { return 0 }              // unsigned\n\
               let len = len & (MAX - 1);                   // if the compiler loses the bound",
        c: "if (len > sizeof(buf))       /* unsigned; a signed length may be negative */\n    return 0;\n\
            len &= sizeof(buf) - 1;      /* if the compiler loses the bound */",
    },
    Advice {
        kind: Kind::ArgConst,
        title: "an argument has to be a constant",
        why: "The verifier needs the value itself: a size of a reservation, a string's address in read-only memory, flags.",
        rust: "Use a const or a read-only global, or pass the larger, constant size.",
        c: "Use a literal, a const global, or pass the larger, constant size.",
    },
    Advice {
        kind: Kind::ArgNull,
        title: "a pointer that may be null is passed to a call that takes none",
        why: "The call would use it without looking. On every path there has to be a comparison with null before it.",
        rust: "let Some(ptr) = lookup() else { return 0 };",
        c: "if (!ptr)\n    return 0;",
    },
    Advice {
        kind: Kind::Sleep,
        title: "a call that may sleep, where sleeping is not possible",
        why: "Only sleepable programs may, and not inside of an RCU section, under a lock, or with preemption off.",
        rust: "#[fentry(function = \"...\", sleepable)]            // or #[lsm(hook = \"...\", sleepable)]\n\
               // elsewhere: bpf_probe_read_user instead of bpf_copy_from_user",
        c: "SEC(\"fentry.s/...\"), SEC(\"lsm.s/...\")      /* elsewhere: bpf_probe_read_user() instead of bpf_copy_from_user() */",
    },
    Advice {
        kind: Kind::SubprogArgs,
        title: "a global function is called with arguments that do not fit its declaration",
        why: "A global function is verified once, by its declaration alone, so every caller must pass what that says: \
              numbers, pointers to memory of the declared size, the context.",
        rust: "Pass numbers, and references that are checked for null before; or make the function #[inline(always)].",
        c: "Pass what is declared, checked for NULL (or declare it __arg_nullable); or make the function static.",
    },
    Advice {
        kind: Kind::FuncInfo,
        title: "the type information of a function does not fit it",
        why: "Global functions and callbacks are verified by their BTF: it has to be there, and to have types that the \
              kernel takes as arguments (numbers, pointers to sized types, the context) and a number as result.",
        rust: "Build with debuginfo=2 and `-C link-arg=--btf`; let functions take numbers and references to #[repr(C)] \
               types; or make the function #[inline(always)].",
        c: "Compile with -g; let global functions take numbers and pointers to structs, and return int; or make the \
            function static.",
    },
    Advice {
        kind: Kind::Callback,
        title: "a callback is not one that the call can use",
        why: "The verifier follows the callback as a function of this program: it has to be a static function of the \
              wanted form, and to return what the caller of it understands.",
        rust: "Pass an `extern \"C\" fn` of this program with the documented arguments, which returns 0 or 1.",
        c: "static long callback(__u32 index, void *ctx) { ...; return 0; }      /* 0: go on, 1: stop */",
    },
    Advice {
        kind: Kind::Kfunc,
        title: "this kernel function may not be called like this",
        why: "Kernel functions (kfuncs) are open to certain program types, with arguments of their own kernel types: \
              trusted pointers, referenced objects, constants. Both changes from version to version.",
        rust: "Check that this kernel opens the kfunc to this program type, and pass the object as the kernel gave it.",
        c: "Declare it `extern ... __ksym __weak`, test `if (bpf_ksym_exists(f))`, and pass the object as the kernel gave it.",
    },
    Advice {
        kind: Kind::TailCall,
        title: "a tail call where none is possible",
        why: "A tail call does not come back, so nothing may be held at it: no lock, no RCU section, no reference; and \
              functions that do tail calls need BTF.",
        rust: "Release everything first; call PROGRAMS.tail_call(&ctx, index) from the program itself.",
        c: "Release everything first; call bpf_tail_call() from the program itself.",
    },
    Advice {
        kind: Kind::LdAbs,
        title: "the old packet load instruction is used where it cannot be",
        why: "BPF_LD_ABS and BPF_LD_IND end the program when they fail, so nothing may be held at them; and only some \
              program types have them.",
        rust: "ctx.load::<u16>(offset)?      // bpf_skb_load_bytes",
        c: "bpf_skb_load_bytes(skb, offset, &value, sizeof(value))",
    },
    Advice {
        kind: Kind::MapIncompatible,
        title: "this map cannot be used like this",
        why: "Each map type works with certain helpers and program types alone; and a program cannot have some \
              combinations of maps.",
        rust: "Use the map type that the helper's documentation names (a PerfEventArray for perf output, a ProgramArray \
               for tail calls...).",
        c: "Use the map type that bpf-helpers(7) names for the helper.",
    },
    Advice {
        kind: Kind::BadFd,
        title: "an instruction refers to a map that is not there",
        why: "The number in the instruction is no open map. In an object file this means that a relocation is missing.",
        rust: "Let aya load the object: it creates the maps and puts them in.",
        c: "Declare the map in SEC(\".maps\") and let libbpf load the object.",
    },
];
