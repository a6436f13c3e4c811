//! Numbers of include/uapi/linux/bpf.h that an object speaks of: program types, attach types, map types and flags.

/// `enum bpf_prog_type`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u32)]
pub enum ProgramType {
    Unspec,
    SocketFilter,
    Kprobe,
    SchedCls,
    SchedAct,
    Tracepoint,
    Xdp,
    PerfEvent,
    CgroupSkb,
    CgroupSock,
    LwtIn,
    LwtOut,
    LwtXmit,
    SockOps,
    SkSkb,
    CgroupDevice,
    SkMsg,
    RawTracepoint,
    CgroupSockAddr,
    LwtSeg6local,
    LircMode2,
    SkReuseport,
    FlowDissector,
    CgroupSysctl,
    RawTracepointWritable,
    CgroupSockopt,
    Tracing,
    StructOps,
    Ext,
    Lsm,
    SkLookup,
    Syscall,
    Netfilter,
}

impl ProgramType {
    /// As the kernel's enum calls it, in lower case and without its prefix: `sched_cls`.
    pub fn name(self) -> &'static str {
        const NAMES: [&str; 33] = [
            "unspec",
            "socket_filter",
            "kprobe",
            "sched_cls",
            "sched_act",
            "tracepoint",
            "xdp",
            "perf_event",
            "cgroup_skb",
            "cgroup_sock",
            "lwt_in",
            "lwt_out",
            "lwt_xmit",
            "sock_ops",
            "sk_skb",
            "cgroup_device",
            "sk_msg",
            "raw_tracepoint",
            "cgroup_sock_addr",
            "lwt_seg6local",
            "lirc_mode2",
            "sk_reuseport",
            "flow_dissector",
            "cgroup_sysctl",
            "raw_tracepoint_writable",
            "cgroup_sockopt",
            "tracing",
            "struct_ops",
            "ext",
            "lsm",
            "sk_lookup",
            "syscall",
            "netfilter",
        ];
        NAMES.get(self as usize).copied().unwrap_or("unspec")
    }
}

/// `enum bpf_attach_type`, by number. What it means depends on the program type; for `StructOps` it is a member's index.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct AttachType(pub u32);

impl AttachType {
    pub const NONE: AttachType = AttachType(0);
    pub const TRACE_RAW_TP: AttachType = AttachType(23);
    pub const TRACE_FENTRY: AttachType = AttachType(24);
    pub const TRACE_FEXIT: AttachType = AttachType(25);
    pub const MODIFY_RETURN: AttachType = AttachType(26);
    pub const LSM_MAC: AttachType = AttachType(27);
    pub const TRACE_ITER: AttachType = AttachType(28);
    pub const LSM_CGROUP: AttachType = AttachType(43);
    pub const TRACE_KPROBE_MULTI: AttachType = AttachType(42);
    pub const TRACE_UPROBE_MULTI: AttachType = AttachType(48);
}

/// `enum bpf_map_type`, by number: a newer kernel may know more of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct MapType(pub u32);

impl MapType {
    pub const UNSPEC: MapType = MapType(0);
    pub const HASH: MapType = MapType(1);
    pub const ARRAY: MapType = MapType(2);
    pub const PROG_ARRAY: MapType = MapType(3);
    pub const PERF_EVENT_ARRAY: MapType = MapType(4);
    pub const STACK_TRACE: MapType = MapType(7);
    pub const CGROUP_ARRAY: MapType = MapType(8);
    pub const ARRAY_OF_MAPS: MapType = MapType(12);
    pub const HASH_OF_MAPS: MapType = MapType(13);
    pub const DEVMAP: MapType = MapType(14);
    pub const SOCKMAP: MapType = MapType(15);
    pub const CPUMAP: MapType = MapType(16);
    pub const XSKMAP: MapType = MapType(17);
    pub const SOCKHASH: MapType = MapType(18);
    pub const QUEUE: MapType = MapType(22);
    pub const STACK: MapType = MapType(23);
    pub const DEVMAP_HASH: MapType = MapType(25);
    pub const STRUCT_OPS: MapType = MapType(26);
    pub const RINGBUF: MapType = MapType(27);
    pub const USER_RINGBUF: MapType = MapType(31);
    pub const ARENA: MapType = MapType(33);

    pub fn holds_maps(self) -> bool {
        matches!(self, Self::ARRAY_OF_MAPS | Self::HASH_OF_MAPS)
    }

    pub(super) fn is_ringbuf(self) -> bool {
        matches!(self, Self::RINGBUF | Self::USER_RINGBUF)
    }

    /// Map types that libbpf creates without telling the kernel the types of key and value.
    pub(super) fn is_created_without_btf(self) -> bool {
        matches!(
            self,
            Self::PERF_EVENT_ARRAY
                | Self::CGROUP_ARRAY
                | Self::STACK_TRACE
                | Self::ARRAY_OF_MAPS
                | Self::HASH_OF_MAPS
                | Self::DEVMAP
                | Self::DEVMAP_HASH
                | Self::CPUMAP
                | Self::XSKMAP
                | Self::SOCKMAP
                | Self::SOCKHASH
                | Self::QUEUE
                | Self::STACK
                | Self::ARENA
        )
    }
}

/// Flags of BPF_MAP_CREATE.
pub mod map_flags {
    pub const RDONLY_PROG: u32 = 1 << 7;
    pub const MMAPABLE: u32 = 1 << 10;
    pub const LINK: u32 = 1 << 13;
    pub const VTYPE_BTF_OBJ_FD: u32 = 1 << 15;
}

/// Flags of BPF_PROG_LOAD.
pub mod program_flags {
    pub const SLEEPABLE: u32 = 1 << 4;
    pub const XDP_HAS_FRAGS: u32 = 1 << 5;
}
