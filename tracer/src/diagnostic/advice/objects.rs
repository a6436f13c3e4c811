//! Objects: references, locks, iterators, dynptrs; and what a program returns.

use super::Advice;
use crate::verifier::Kind;

pub(super) const ADVICE: &[Advice] = &[
    Advice {
        kind: Kind::ReferenceLeak,
        title: "something that was acquired is not released on every path",
        why: "A reservation in a ring buffer, a socket, a task or another counted object has to be given back on each path \
              out of the program; otherwise it would be lost for good: a ring buffer would even stop there. Mind early \
              returns between the two.",
        rust: "let Some(mut entry) = EVENTS.reserve::<Event>(0) else { return 0 };\n\
               if fill(&mut entry).is_err() { entry.discard(0); return 0 }     // not just `return`, and no `?`\n\
               entry.submit(0);",
        c: "event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);\n\
            if (!event)\n    return 0;\n\
            if (err) {\n    bpf_ringbuf_discard(event, 0);      /* not just return */\n    return 0;\n}\n\
            bpf_ringbuf_submit(event, 0);",
    },
    Advice {
        kind: Kind::Reference,
        title: "a reference is not in the state that this call needs",
        why: "What a release function takes must be the very pointer that was acquired, once, unmodified and not yet \
              released; what belongs to something else cannot be released.",
        rust: "Release each object once, by the variable that it was acquired into, at its start.",
        c: "Release each object once, by the pointer that it was acquired with, not by one that was moved.",
    },
    Advice {
        kind: Kind::ReturnValue,
        title: "the program returns a value that it may not return",
        why: "The kernel acts on what some programs return, and knows only certain values: 0 or 1 for most cgroup \
              programs, 0 for fentry, fexit and tracepoints with BTF, an errno or 0 for LSM hooks. The verifier must see \
              the bounds.",
        rust: "match check() { Ok(()) => 1, Err(_) => 0 }      // constants, instead of a value that was calculated",
        c: "return allowed ? 1 : 0;       /* constants, instead of a value that was calculated */",
    },
    Advice {
        kind: Kind::Lock,
        title: "a lock, or a section that must be ended, is not in the right state",
        why: "Spin locks, RCU and preemption-off sections are taken and ended in the same function on each path, one spin \
              lock at a time, the same that was taken; and under a spin lock almost nothing may be called.",
        rust: "Unlock on every path, before each return; keep calls out of the locked part.",
        c: "bpf_spin_lock(&v->lock);\n/* plain assignments only */\nbpf_spin_unlock(&v->lock);     /* on every path */",
    },
    Advice {
        kind: Kind::Dynptr,
        title: "a dynptr is not in the state that this call needs",
        why: "A dynptr lives on the stack, whole and untouched; it is set up once, used at its start, and released if it \
              reserves something.",
        rust: "aya-ebpf has little support for dynptrs: use RingBuf::reserve or RingBuf::output.",
        c: "struct bpf_dynptr ptr;                       /* a variable on the stack, passed by address */\n\
            bpf_ringbuf_reserve_dynptr(&rb, size, 0, &ptr);\n\
            bpf_ringbuf_submit_dynptr(&ptr, 0);          /* also if the reservation failed */",
    },
    Advice {
        kind: Kind::Iterator,
        title: "an iterator is not in the state that this call needs",
        why: "An iterator lives on the stack and goes new, next, destroy, in this order, on every path; some work inside \
              of an RCU section alone.",
        rust: "aya-ebpf has no open-coded iterators yet: use a bounded loop, or bpf_loop.",
        c: "bpf_for(i, 0, n) { ... }      /* or bpf_for_each(...): they destroy on every path, break included */",
    },
];
