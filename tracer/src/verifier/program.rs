//! What is to be judged: one program as it reaches bpf(BPF_PROG_LOAD), with the maps and the BTF it refers to.

use std::sync::Arc;

use super::btf::{Btf, TypeId};
use super::insn::Insn;

/// A program type (`enum bpf_prog_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProgType(pub u32);

#[expect(missing_docs, reason = "the names of enum bpf_prog_type")]
impl ProgType {
    pub const SOCKET_FILTER: Self = Self(1);
    pub const KPROBE: Self = Self(2);
    pub const SCHED_CLS: Self = Self(3);
    pub const SCHED_ACT: Self = Self(4);
    pub const TRACEPOINT: Self = Self(5);
    pub const XDP: Self = Self(6);
    pub const PERF_EVENT: Self = Self(7);
    pub const CGROUP_SKB: Self = Self(8);
    pub const CGROUP_SOCK: Self = Self(9);
    pub const LWT_IN: Self = Self(10);
    pub const LWT_OUT: Self = Self(11);
    pub const LWT_XMIT: Self = Self(12);
    pub const SOCK_OPS: Self = Self(13);
    pub const SK_SKB: Self = Self(14);
    pub const CGROUP_DEVICE: Self = Self(15);
    pub const SK_MSG: Self = Self(16);
    pub const RAW_TRACEPOINT: Self = Self(17);
    pub const CGROUP_SOCK_ADDR: Self = Self(18);
    pub const LWT_SEG6LOCAL: Self = Self(19);
    pub const LIRC_MODE2: Self = Self(20);
    pub const SK_REUSEPORT: Self = Self(21);
    pub const FLOW_DISSECTOR: Self = Self(22);
    pub const CGROUP_SYSCTL: Self = Self(23);
    pub const RAW_TRACEPOINT_WRITABLE: Self = Self(24);
    pub const CGROUP_SOCKOPT: Self = Self(25);
    pub const TRACING: Self = Self(26);
    pub const STRUCT_OPS: Self = Self(27);
    pub const EXT: Self = Self(28);
    pub const LSM: Self = Self(29);
    pub const SK_LOOKUP: Self = Self(30);
    pub const SYSCALL: Self = Self(31);
    pub const NETFILTER: Self = Self(32);
}

/// An attach type (`enum bpf_attach_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct AttachType(pub u32);

#[expect(missing_docs, reason = "the names of enum bpf_attach_type")]
impl AttachType {
    pub const CGROUP_INET_INGRESS: Self = Self(0);
    pub const CGROUP_INET_EGRESS: Self = Self(1);
    pub const CGROUP_INET_SOCK_CREATE: Self = Self(2);
    pub const CGROUP_INET4_BIND: Self = Self(8);
    pub const CGROUP_INET6_BIND: Self = Self(9);
    pub const CGROUP_INET4_CONNECT: Self = Self(10);
    pub const CGROUP_INET6_CONNECT: Self = Self(11);
    pub const CGROUP_INET4_POST_BIND: Self = Self(12);
    pub const CGROUP_INET6_POST_BIND: Self = Self(13);
    pub const CGROUP_UDP4_SENDMSG: Self = Self(14);
    pub const CGROUP_UDP6_SENDMSG: Self = Self(15);
    pub const CGROUP_UDP4_RECVMSG: Self = Self(19);
    pub const CGROUP_UDP6_RECVMSG: Self = Self(20);
    pub const CGROUP_GETSOCKOPT: Self = Self(21);
    pub const CGROUP_SETSOCKOPT: Self = Self(22);
    pub const TRACE_RAW_TP: Self = Self(23);
    pub const TRACE_FENTRY: Self = Self(24);
    pub const TRACE_FEXIT: Self = Self(25);
    pub const MODIFY_RETURN: Self = Self(26);
    pub const LSM_MAC: Self = Self(27);
    pub const TRACE_ITER: Self = Self(28);
    pub const CGROUP_INET4_GETPEERNAME: Self = Self(29);
    pub const CGROUP_INET6_GETPEERNAME: Self = Self(30);
    pub const CGROUP_INET4_GETSOCKNAME: Self = Self(31);
    pub const CGROUP_INET6_GETSOCKNAME: Self = Self(32);
    pub const CGROUP_INET_SOCK_RELEASE: Self = Self(34);
    pub const TRACE_KPROBE_MULTI: Self = Self(42);
    pub const LSM_CGROUP: Self = Self(43);
    pub const NETFILTER: Self = Self(45);
    pub const TRACE_UPROBE_MULTI: Self = Self(48);
    pub const CGROUP_UNIX_CONNECT: Self = Self(49);
    pub const CGROUP_UNIX_SENDMSG: Self = Self(50);
    pub const CGROUP_UNIX_RECVMSG: Self = Self(51);
    pub const CGROUP_UNIX_GETPEERNAME: Self = Self(52);
    pub const CGROUP_UNIX_GETSOCKNAME: Self = Self(53);
    pub const TRACE_KPROBE_SESSION: Self = Self(56);
    pub const TRACE_UPROBE_SESSION: Self = Self(57);
}

/// A map type (`enum bpf_map_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MapType(pub u32);

#[expect(missing_docs, reason = "the names of enum bpf_map_type")]
impl MapType {
    pub const HASH: Self = Self(1);
    pub const ARRAY: Self = Self(2);
    pub const PROG_ARRAY: Self = Self(3);
    pub const PERF_EVENT_ARRAY: Self = Self(4);
    pub const PERCPU_HASH: Self = Self(5);
    pub const PERCPU_ARRAY: Self = Self(6);
    pub const STACK_TRACE: Self = Self(7);
    pub const CGROUP_ARRAY: Self = Self(8);
    pub const LRU_HASH: Self = Self(9);
    pub const LRU_PERCPU_HASH: Self = Self(10);
    pub const LPM_TRIE: Self = Self(11);
    pub const ARRAY_OF_MAPS: Self = Self(12);
    pub const HASH_OF_MAPS: Self = Self(13);
    pub const DEVMAP: Self = Self(14);
    pub const SOCKMAP: Self = Self(15);
    pub const CPUMAP: Self = Self(16);
    pub const XSKMAP: Self = Self(17);
    pub const SOCKHASH: Self = Self(18);
    pub const CGROUP_STORAGE: Self = Self(19);
    pub const REUSEPORT_SOCKARRAY: Self = Self(20);
    pub const PERCPU_CGROUP_STORAGE: Self = Self(21);
    pub const QUEUE: Self = Self(22);
    pub const STACK: Self = Self(23);
    pub const SK_STORAGE: Self = Self(24);
    pub const DEVMAP_HASH: Self = Self(25);
    pub const STRUCT_OPS: Self = Self(26);
    pub const RINGBUF: Self = Self(27);
    pub const INODE_STORAGE: Self = Self(28);
    pub const TASK_STORAGE: Self = Self(29);
    pub const BLOOM_FILTER: Self = Self(30);
    pub const USER_RINGBUF: Self = Self(31);
    pub const CGRP_STORAGE: Self = Self(32);
    pub const ARENA: Self = Self(33);
    pub const INSN_ARRAY: Self = Self(34);
}

/// Map creation flags that matter here.
pub mod map_flags {
    /// Programs may only read.
    pub const RDONLY_PROG: u32 = 1 << 7;
    /// Programs may only write.
    pub const WRONLY_PROG: u32 = 1 << 8;
    /// An array whose inner maps may differ in size.
    pub const INNER_MAP: u32 = 1 << 12;
}

/// Program load flags (`BPF_F_*`).
pub mod prog_flags {
    /// Every access must be aligned.
    pub const STRICT_ALIGNMENT: u32 = 1;
    /// No access need be aligned.
    pub const ANY_ALIGNMENT: u32 = 1 << 1;
    /// Keep a state at every prune point.
    pub const TEST_STATE_FREQ: u32 = 1 << 3;
    /// May sleep.
    pub const SLEEPABLE: u32 = 1 << 4;
    /// Understands packets in several buffers.
    pub const XDP_HAS_FRAGS: u32 = 1 << 5;
    /// Bound to a device.
    pub const XDP_DEV_BOUND_ONLY: u32 = 1 << 6;
    /// A broken register invariant is an error.
    pub const TEST_REG_INVARIANTS: u32 = 1 << 7;
}

/// A map, as the program sees it.
#[derive(Clone, Debug)]
pub struct Map {
    /// What instructions call it: the value in a 64-bit constant that refers to it.
    pub handle: i32,
    /// Its name, for messages.
    pub name: String,
    /// Its type.
    pub kind: MapType,
    /// Of a key, in bytes.
    pub key_size: u32,
    /// Of a value, in bytes.
    pub value_size: u32,
    /// Capacity.
    pub max_entries: u32,
    /// Creation flags.
    pub flags: u32,
    /// By type: for an arena the user address.
    pub extra: u64,
    /// The type of its value in the program's BTF, if it was created with BTF.
    pub btf_value: Option<TypeId>,
    /// The template of the maps it holds.
    pub inner: Option<Box<Map>>,
    /// What a frozen, read-only map of one element holds.
    pub frozen: Option<Arc<[u8]>>,
}

/// Where a subprogram starts, and its type.
#[derive(Clone, Copy, Debug)]
pub struct FuncInfo {
    /// First slot.
    pub start: u32,
    /// A `FUNC` in the program's BTF.
    pub type_id: TypeId,
}

/// One program, after relocation.
#[derive(Clone, Debug)]
pub struct Program {
    /// All slots.
    pub insns: Vec<Insn>,
    /// Program type.
    pub kind: ProgType,
    /// Expected attach type.
    pub attach: AttachType,
    /// What it attaches to: a type in the kernel's BTF; 0 for none.
    pub attach_btf_id: TypeId,
    /// Load flags.
    pub flags: u32,
    /// True if its licence is compatible with the GPL.
    pub gpl: bool,
    /// The maps it refers to.
    pub maps: Vec<Map>,
    /// Its functions; empty if it was loaded without.
    pub funcs: Vec<FuncInfo>,
    /// The BTF it was loaded with.
    pub btf: Option<Arc<Btf>>,
}

impl Program {
    /// True if it was loaded as one that may sleep.
    pub const fn sleepable(&self) -> bool {
        self.flags & prog_flags::SLEEPABLE != 0
    }

    /// True if it runs from a trampoline (`bpf_prog_has_trampoline()`).
    pub fn has_trampoline(&self) -> bool {
        match self.kind {
            ProgType::TRACING => {
                matches!(
                    self.attach,
                    AttachType::TRACE_FENTRY | AttachType::TRACE_FEXIT | AttachType::MODIFY_RETURN
                )
            }
            ProgType::LSM => self.attach == AttachType::LSM_MAC,
            _ => false,
        }
    }
}
