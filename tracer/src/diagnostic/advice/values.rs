//! Values: registers, numbers, pointers as values, arithmetic.

use super::Advice;
use crate::verifier::Kind;

pub(super) const ADVICE: &[Advice] = &[
    Advice {
        kind: Kind::UninitRegister,
        title: "a register is read that holds nothing",
        why: "It was never written on this path, or a call destroyed it: R1 to R5 are lost at every call, and a function \
              without a result leaves R0 undefined. In compiled code this is a variable that some path leaves \
              uninitialised, or a function that ends without a return.",
        rust: "Give the variable a value on every path; every path of the program has to return a number.",
        c: "Initialise the variable (`int ret = 0;`), and return a value on every path.",
    },
    Advice {
        kind: Kind::InvalidRegister,
        title: "the instruction names a register that does not exist",
        why: "There are R0 to R10. No compiler writes another one: the object is damaged, or is no BPF code.",
        rust: "Build the object again with bpf-linker; check that it was not edited.",
        c: "Build the object again; check inline assembly.",
    },
    Advice {
        kind: Kind::FramePointerWrite,
        title: "the frame pointer R10 is written",
        why: "R10 is the kernel's: a program may read it and calculate with a copy.",
        rust: "Only inline assembly can do this: copy R10 into another register first.",
        c: "In inline assembly, copy r10 into another register first.",
    },
    Advice {
        kind: Kind::DivByZero,
        title: "a division by the constant 0",
        why: "A divisor that is written into the instruction must not be 0. (A divisor in a register may: the result is \
              then 0.)",
        rust: "Remove the division; it comes from a constant expression.",
        c: "Remove the division; it comes from a constant expression.",
    },
    Advice {
        kind: Kind::InvalidShift,
        title: "a shift by as many bits as the value has, or more",
        why: "The result of such a shift differs between processors, so a constant distance has to be less than the width.",
        rust: "value.checked_shl(n).unwrap_or(0), or mask the distance: value << (n & 63)",
        c: "value << (n & 63)        /* n & 31 for 32 bits */",
    },
    Advice {
        kind: Kind::PointerArithmetic,
        title: "arithmetic that is not allowed with this pointer",
        why: "To a pointer, 64-bit numbers may be added or taken away, and only where the verifier keeps track of the \
              result: not with pointers that may be null, with the context (other than by constants), with maps or \
              the packet's end, and by no other operation.",
        rust: "Compare with null first; calculate with offsets as numbers, and add them to the base pointer last.",
        c: "Compare with NULL first; calculate with offsets as numbers, and add them to the base pointer last.",
    },
    Advice {
        kind: Kind::PointerOutOfRange,
        title: "a pointer is moved further than the verifier can follow",
        why: "What is added to a pointer has to be bounded, by less than 2^29, before it is added; also a signed number \
              that may be very negative.",
        rust: "let offset = (offset as usize) & 0xffff;      // or: if offset > MAX { return 0 }, unsigned\n\
               let ptr = base.add(offset);",
        c: "if (offset > MAX)         /* unsigned */\n    return 0;\n\
            ptr = base + offset;",
    },
    Advice {
        kind: Kind::PointerComparison,
        title: "pointers are compared that have no order",
        why: "A comparison that depends on a kernel address would leak it. A pointer may be compared with null, and a \
              packet pointer with the packet's end.",
        rust: "Compare indexes or ids instead of pointers.",
        c: "Compare indexes or ids instead of pointers.",
    },
    Advice {
        kind: Kind::PointerLeak,
        title: "a kernel address would leave the program",
        why: "A pointer may not be stored where others can read it (a map, the packet, the context), nor be returned, \
              where that is not what the place is for.",
        rust: "Store what it points to, or an id (pid, inode number), not the pointer.",
        c: "Store what it points to, or an id (pid, inode number), not the pointer.",
    },
    Advice {
        kind: Kind::AtomicPointer,
        title: "an atomic operation on memory that has none",
        why: "Atomic operations work on the stack and in map values (and arenas), not on the context, packets, sockets \
              or kernel structs.",
        rust: "Keep the counter in a map's value: (*COUNTS.get_ptr_mut(&key)?).fetch_add(1, Ordering::Relaxed)",
        c: "Keep the counter in a map's value: __sync_fetch_and_add(value, 1);",
    },
    Advice {
        kind: Kind::InsnPointerTypes,
        title: "one instruction accesses memory of different kinds",
        why: "The kernel rewrites accesses to the context, to sockets and to kernel structs, so the same instruction \
              cannot also access another kind of memory on another path. Compilers merge the branches of an if.",
        rust: "Do each access in its own branch, and use core::hint::black_box on the pointer where the compiler \
               merges them.",
        c: "Do each access in its own branch, with barrier_var(ptr) or `asm volatile(\"\")` between them.",
    },
    Advice {
        kind: Kind::Invariant,
        title: "the verifier's own bounds of a register contradict each other",
        why: "With BPF_F_TEST_REG_INVARIANTS, a kernel's developer asks to be told of this. It is no fault of the program.",
        rust: "Load without BPF_F_TEST_REG_INVARIANTS.",
        c: "Load without BPF_F_TEST_REG_INVARIANTS.",
    },
];
