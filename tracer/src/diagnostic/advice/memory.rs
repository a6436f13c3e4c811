//! Memory: what a program may read and write, and within which bounds.

use super::Advice;
use crate::verifier::Kind;

pub(super) const ADVICE: &[Advice] = &[
    Advice {
        kind: Kind::NullDeref,
        title: "memory is accessed through a pointer that may be null",
        why: "The call that gave this pointer gives null when there is nothing to point to: a map without the key, a \
              full ring buffer, a socket that was not found. A program may not fault, so on every path there has to \
              be a comparison with null between the call and the access.",
        rust: "let Some(value) = COUNTS.get_ptr_mut(&key) else { return 0 };\n\
               unsafe { *value += 1 };",
        c: "value = bpf_map_lookup_elem(&counts, &key);\n\
            if (!value)\n    return 0;\n\
            *value += 1;",
    },
    Advice {
        kind: Kind::InvalidMemAccess,
        title: "memory is accessed through something that is no pointer to it",
        why: "The register holds a number, or a pointer of a kind that may not be read or written like this. A number \
              is never an address for the verifier: a pointer to kernel or user memory that was read from memory, \
              or on which arithmetic was done, is only a number.",
        rust: "let value = unsafe { bpf_probe_read_kernel(&(*task).pid) }.map_err(|_| 1u32)?;\n\
               // user memory: bpf_probe_read_user; strings: bpf_probe_read_user_str_bytes",
        c: "bpf_core_read(&pid, sizeof(pid), &task->pid);   /* or BPF_CORE_READ(task, pid) */\n\
            /* user memory: bpf_probe_read_user() */",
    },
    Advice {
        kind: Kind::OutOfBounds,
        title: "an access may lie outside of the memory that the pointer points to",
        why: "The verifier knows how large the memory is, and the least and the greatest offset that the code can come \
              with. Both ends must lie inside, for every value that the offset may have: a lower bound of less than 0 \
              comes from a signed index.",
        rust: "let index = (index as usize) & (N - 1);       // N a power of two\n\
               // or: if index >= N { return 0 }, with an unsigned index, just before the access",
        c: "if (index >= N)      /* unsigned, just before the access */\n    return 0;\n\
            value = array[index];",
    },
    Advice {
        kind: Kind::UnboundedAccess,
        title: "the offset of an access has no upper bound",
        why: "The offset can be any number, so nothing proves that the access stays inside. A comparison bounds only the \
              register that is compared (and its copies): if the compiler compares one register and uses another that \
              was computed anew, the bound is lost.",
        rust: "if len > BUF_LEN { return 0 }\n\
               let len = len & (BUF_LEN - 1);               // keeps the bound in the register that is used",
        c: "if (len > sizeof(buf))\n    return 0;\n\
            asm volatile(\"%0 &= 0xff\" : \"+r\"(len));     /* keeps the bound in the register that is used */",
    },
    Advice {
        kind: Kind::Misaligned,
        title: "an access is not aligned to its size",
        why: "Where the verifier asks for alignment (stack, context, some maps, and with BPF_F_STRICT_ALIGNMENT \
              everything), the address must be a multiple of the access's size.",
        rust: "#[repr(C)] without packed; read fields of packed structs by bytes: \
               u16::from_be_bytes([data[0], data[1]])",
        c: "Do not use __attribute__((packed)) for what is on the stack; read unaligned fields with __builtin_memcpy.",
    },
    Advice {
        kind: Kind::StackOutOfBounds,
        title: "an access lies outside of the stack frame",
        why: "A frame has 512 bytes, from R10-512 to R10-1, and an access through a variable offset must be bounded on \
              both sides. Nothing lies at or above R10.",
        rust: "static BUF: PerCpuArray<[u8; 4096]> = PerCpuArray::with_max_entries(1, 0);\n\
               // and bound each index: if i >= buf.len() { break }",
        c: "Bound the index before it is used, and keep what is large in a BPF_MAP_TYPE_PERCPU_ARRAY of one element.",
    },
    Advice {
        kind: Kind::StackUninit,
        title: "stack memory is read that was never written",
        why: "What another function left on the stack would leak into maps and to user space. Every byte that is read, by \
              the program or by a helper that is given a pointer and a length, must have been written on this path. \
              Padding between the members of a struct counts.",
        rust: "let mut key: Key = unsafe { core::mem::zeroed() };   // padding included\n\
               key.pid = pid;",
        c: "struct key key = {};                 /* and if it has padding: */\n\
            __builtin_memset(&key, 0, sizeof(key));",
    },
    Advice {
        kind: Kind::StackSpill,
        title: "a pointer on the stack is written or read in part",
        why: "A pointer that is kept on the stack is tracked only as 8 aligned bytes. Half a pointer is no pointer, and a \
              pointer's bytes as a number would leak a kernel address.",
        rust: "Keep pointers in variables of their own; do not transmute a struct that holds one, nor overwrite part of it.",
        c: "Keep pointers in variables of their own; do not memcpy over part of a struct that holds one.",
    },
    Advice {
        kind: Kind::PacketOutOfBounds,
        title: "packet data is accessed without a check against the packet's end",
        why: "A packet may be shorter than the header. Each access needs a comparison `start + offset + size <= data_end` \
              before it, on the same pointer; helpers that can change the packet (bpf_skb_pull_data, \
              bpf_xdp_adjust_head...) undo all earlier checks.",
        rust: "let (start, end) = (ctx.data(), ctx.data_end());\n\
               if start + offset + size_of::<EthHdr>() > end { return Err(()) }\n\
               let eth = (start + offset) as *const EthHdr;",
        c: "struct ethhdr *eth = data;\n\
            if ((void *)(eth + 1) > data_end)\n    return XDP_PASS;",
    },
    Advice {
        kind: Kind::PacketWrite,
        title: "this program type may not do this with packet data",
        why: "Which programs may read or write packets directly is fixed by their type; the others go through helpers, \
              which copy.",
        rust: "ctx.load::<u16>(offset)?; ctx.store(offset, &value, 0)?;   // bpf_skb_load_bytes, bpf_skb_store_bytes",
        c: "bpf_skb_load_bytes(skb, offset, &value, sizeof(value)); bpf_skb_store_bytes(...)",
    },
    Advice {
        kind: Kind::MapForbidden,
        title: "the map may not be used like this by programs",
        why: "The map was created read-only or write-only for programs (BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG); constants \
              in .rodata are such a map.",
        rust: "A value that changes is no constant: keep it in a map, or in a static with interior mutability.",
        c: "A variable that changes must not be const: `const volatile` lies in .rodata, plain globals in .data or .bss.",
    },
    Advice {
        kind: Kind::MapFieldAccess,
        title: "a map's value is accessed where it holds a lock, a timer or a pointer to a kernel object",
        why: "Such members belong to the kernel: only their own helpers and kfuncs may touch them, whole, at a constant \
              offset.",
        rust: "Access the other members one by one; do not copy or zero the whole value.",
        c: "Access the other members one by one; use bpf_spin_lock(), bpf_timer_*(), bpf_kptr_xchg() for these.",
    },
    Advice {
        kind: Kind::CtxAccess,
        title: "the program's context has no such member, or it may not be accessed like this",
        why: "The context (the first argument) is no plain struct: the kernel rewrites each access. Offset, size, and \
              whether it may be written depend on the program type, and on the kernel's version.",
        rust: "Read it through the context's own methods (TracePointContext::read_at, ProbeContext::arg, XdpContext::data) \
               and only members that this program type has.",
        c: "Use the context type of this program (struct xdp_md, struct __sk_buff, struct pt_regs, ...), and read whole \
            members.",
    },
    Advice {
        kind: Kind::CtxOffset,
        title: "a pointer whose offset was changed is used where it has to be as it was given",
        why: "An access to the context, or to a kernel object that is passed on, is rewritten by its constant offset, so \
              the pointer itself has to be unmodified. Compilers do this when they share code between branches.",
        rust: "Keep accesses to the context in one place, outside of loops; read the member into a variable first.",
        c: "Read the member into a variable first; stop the compiler from merging accesses with barrier_var(ctx), or use \
            __builtin_preserve_access_index / BPF_PRESERVE on the context.",
    },
    Advice {
        kind: Kind::BtfAccess,
        title: "an access to a kernel struct is not one that its type information allows",
        why: "Through a pointer with a kernel type, members may be read where they are, whole and within the struct, and \
              nothing may be written. Memory that belongs to a user process or to each CPU needs its own helpers.",
        rust: "let value = unsafe { bpf_probe_read_kernel(addr) }?;      // instead of reading through the pointer",
        c: "value = BPF_CORE_READ(ptr, member);     /* user memory: BPF_CORE_READ_USER, per CPU: bpf_per_cpu_ptr() */",
    },
    Advice {
        kind: Kind::Arena,
        title: "an arena is used in a way that it cannot be",
        why: "A program has one arena at most, and arena pointers are only valid in the address space that the compiler \
              gives them.",
        rust: "aya-ebpf has no arenas yet: keep this part in C.",
        c: "Declare pointers into it as `void __arena *`, refer to the arena map in the program, and have one only.",
    },
];
