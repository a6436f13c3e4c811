//! Helpers: who may call which, what they take, and what they give.
//!
//! ```text
//! (program type, number) -> gate -> prototype name -> prototype (arguments, result, flags)
//! ```
//! The tables are data read off the kernels' sources; this module only looks things up. It must not know registers.

mod gates;
mod names;
mod protos;
mod types;

use super::program::{AttachType, ProgType, Program};
pub(super) use types::{Allow, Arg, ArgKind, Proto, RetKind, flag};
use types::{Gate, When};

/// Helpers that the model names.
pub(super) mod id {
    macro_rules! ids {
        ($($name:ident = $id:literal,)*) => { $(pub(in super::super) const $name: u32 = $id;)* };
    }
    ids! {
        MAP_LOOKUP_ELEM = 1, MAP_UPDATE_ELEM = 2, MAP_DELETE_ELEM = 3, TAIL_CALL = 12, PERF_EVENT_READ = 22,
        REDIRECT_MAP = 51, PERF_EVENT_OUTPUT = 25, GET_STACKID = 27, SKB_UNDER_CGROUP = 33,
        CURRENT_TASK_UNDER_CGROUP = 37, GET_SMP_PROCESSOR_ID = 8, PROBE_READ_STR = 45, SK_REDIRECT_MAP = 52,
        SOCK_MAP_UPDATE = 53, PERF_EVENT_READ_VALUE = 55, MSG_REDIRECT_MAP = 60, GET_STACK = 67,
        SOCK_HASH_UPDATE = 70, MSG_REDIRECT_HASH = 71, SK_REDIRECT_HASH = 72, GET_LOCAL_STORAGE = 81,
        SK_SELECT_REUSEPORT = 82, SK_LOOKUP_TCP = 84, SK_LOOKUP_UDP = 85, SK_RELEASE = 86, MAP_PUSH_ELEM = 87,
        MAP_POP_ELEM = 88, MAP_PEEK_ELEM = 89, SPIN_LOCK = 93, SPIN_UNLOCK = 94, SK_FULLSOCK = 95, TCP_SOCK = 96,
        SKC_LOOKUP_TCP = 99, SK_STORAGE_GET = 107, SK_STORAGE_DELETE = 108, SKB_OUTPUT = 111, XDP_OUTPUT = 121,
        PROBE_READ_USER_STR = 114, PROBE_READ_KERNEL_STR = 115, RINGBUF_OUTPUT = 130, RINGBUF_RESERVE = 131,
        RINGBUF_SUBMIT = 132, RINGBUF_DISCARD = 133, RINGBUF_QUERY = 134,
        SKC_TO_UDP6_SOCK = 140, GET_TASK_STACK = 141, INODE_STORAGE_GET = 145, INODE_STORAGE_DELETE = 146,
        TASK_STORAGE_GET = 156, TASK_STORAGE_DELETE = 157,
        OVERRIDE_RETURN = 58, FOR_EACH_MAP_ELEM = 164, SNPRINTF = 165, TIMER_SET_CALLBACK = 170,
        GET_FUNC_IP = 173, FIND_VMA = 180, LOOP = 181,
        MAP_LOOKUP_PERCPU_ELEM = 195, KPTR_XCHG = 194, SKC_TO_MPTCP_SOCK = 196, DYNPTR_FROM_MEM = 197,
        RINGBUF_RESERVE_DYNPTR = 198, RINGBUF_SUBMIT_DYNPTR = 199, RINGBUF_DISCARD_DYNPTR = 200,
        DYNPTR_WRITE = 202, DYNPTR_DATA = 203, SET_RETVAL = 187, USER_RINGBUF_DRAIN = 209, CGRP_STORAGE_GET = 210,
        CGRP_STORAGE_DELETE = 211,
    }
}
pub(super) use id::TAIL_CALL;

/// Helpers that may move or resize the packet, by number (`bpf_helper_changes_pkt_data()`).
const CHANGES_PACKET: &[u32] =
    &[9, 10, 11, 13, 18, 19, 31, 38, 39, 43, 44, 50, 54, 63, 65, 73, 74, 75, 76, 90, 91, 143];

/// True if the helper may move or resize the packet. From 6.12 a tail call counts, too.
pub(super) fn changes_packet(func: u32, tail_call_counts: TailCalls) -> bool {
    CHANGES_PACKET.contains(&func) || (func == TAIL_CALL && tail_call_counts == TailCalls::Change)
}

/// Whether a tail call counts as changing the packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TailCalls {
    Change,
    Keep,
}

/// The helper's name without `bpf_`.
pub(super) fn name(func: u32) -> &'static str {
    match names::NAMES.binary_search_by_key(&func, |(n, _)| *n) {
        Ok(i) => names::NAMES[i].1,
        Err(_) => "unknown",
    }
}

/// What a program type's gate says.
pub(super) enum Lookup {
    /// It may be called, and has this prototype.
    Found(&'static Proto),
    /// Not by this program type.
    NotAllowed,
    /// No kernel has this number.
    Unknown,
    /// It depends on something that is not modelled.
    Unmodelled,
}

/// The prototype of a helper for this program on this kernel.
pub(super) fn lookup(func: u32, prog: &Program, kernel: u8, known: u32) -> Lookup {
    if func == 0 || func >= known {
        return Lookup::Unknown;
    }
    let gate = match prog.kind {
        ProgType::SOCKET_FILTER => "sk_filter",
        ProgType::KPROBE => "kprobe_prog",
        ProgType::SCHED_CLS | ProgType::SCHED_ACT => "tc_cls_act",
        ProgType::TRACEPOINT => "tp_prog",
        ProgType::XDP => "xdp",
        ProgType::PERF_EVENT => "pe_prog",
        ProgType::CGROUP_SKB => "cg_skb",
        ProgType::CGROUP_SOCK => "sock_filter",
        ProgType::LWT_IN => "lwt_in",
        ProgType::LWT_OUT => "lwt_out",
        ProgType::LWT_XMIT => "lwt_xmit",
        ProgType::LWT_SEG6LOCAL => "lwt_seg6local",
        ProgType::SOCK_OPS => "sock_ops",
        ProgType::SK_SKB => "sk_skb",
        ProgType::CGROUP_DEVICE => "cgroup_dev",
        ProgType::SK_MSG => "sk_msg",
        ProgType::RAW_TRACEPOINT | ProgType::RAW_TRACEPOINT_WRITABLE => "raw_tp_prog",
        ProgType::CGROUP_SOCK_ADDR => "sock_addr",
        ProgType::SK_REUSEPORT => "sk_reuseport",
        ProgType::FLOW_DISSECTOR => "flow_dissector",
        ProgType::CGROUP_SYSCTL => "sysctl",
        ProgType::CGROUP_SOCKOPT => "cg_sockopt",
        ProgType::TRACING => "tracing_prog",
        ProgType::LSM => "bpf_lsm",
        ProgType::SK_LOOKUP => "sk_lookup",
        ProgType::SYSCALL => "syscall_prog",
        ProgType::NETFILTER => "bpf_nf",
        _ => return Lookup::Unmodelled,
    };
    ask(gate, func, prog, kernel, 0)
}

/// What single hooks and iterators get beyond their program type, by the function attached to: socket options where
/// the socket is locked, or not yet shared. From `bpf_lsm_locked_sockopt_hooks` and its twin (kernel/bpf/bpf_lsm.c), and
/// the `get_func_proto` of the TCP and UNIX socket iterators.
const BY_HOOK: &[(AttachType, &str, [&str; 2])] = &[
    (AttachType::LSM_CGROUP, "bpf_lsm_sock_graft", LOCKED),
    (AttachType::LSM_CGROUP, "bpf_lsm_inet_csk_clone", LOCKED),
    (AttachType::LSM_CGROUP, "bpf_lsm_inet_conn_established", LOCKED),
    (AttachType::LSM_CGROUP, "bpf_lsm_socket_post_create", UNLOCKED),
    (AttachType::LSM_CGROUP, "bpf_lsm_socket_socketpair", UNLOCKED),
    (AttachType::TRACE_ITER, "bpf_iter_tcp", LOCKED),
    (AttachType::TRACE_ITER, "bpf_iter_unix", LOCKED),
];
const LOCKED: [&str; 2] = ["bpf_sk_setsockopt", "bpf_sk_getsockopt"];
const UNLOCKED: [&str; 2] = ["bpf_unlocked_sk_setsockopt", "bpf_unlocked_sk_getsockopt"];

const SETSOCKOPT: u32 = 49;
const GETSOCKOPT: u32 = 57;

/// True for helpers that [`at_hook`] knows of.
pub(super) fn decided_by_hook(func: u32) -> bool {
    matches!(func, SETSOCKOPT | GETSOCKOPT)
}

/// The helper for a program at this hook, if it is one that hooks decide on.
pub(super) fn at_hook(func: u32, prog: &Program, hook: &str, kernel: u8) -> Option<Lookup> {
    const NOT_5_10: u8 = 0b1110;
    let which = match func {
        SETSOCKOPT => 0,
        GETSOCKOPT => 1,
        _ => return None,
    };
    if !matches!(prog.kind, ProgType::LSM | ProgType::TRACING) || kernel & NOT_5_10 == 0 {
        return None;
    }
    let found = BY_HOOK.iter().find(|(at, name, _)| *at == prog.attach && *name == hook);
    Some(found.map_or(Lookup::NotAllowed, |(.., vars)| proto(vars[which], kernel)))
}

/// The helper for a program of a TCP congestion control; the member `release` gets no
/// socket options.
pub(super) fn of_tcp_congestion(func: u32, prog: &Program, kernel: u8, member: &str) -> Lookup {
    let retiring = member == "release";
    let nodelay = kernel == 0b1000;
    match func {
        SETSOCKOPT | GETSOCKOPT if kernel == 0b0001 || retiring => Lookup::NotAllowed,
        SETSOCKOPT if nodelay => proto("bpf_sk_setsockopt_nodelay", kernel),
        SETSOCKOPT => proto("bpf_sk_setsockopt", kernel),
        GETSOCKOPT => proto("bpf_sk_getsockopt", kernel),
        _ => ask("bpf_tcp_ca_get", func, prog, kernel, 0),
    }
}

fn ask(name: &str, func: u32, prog: &Program, kernel: u8, depth: u32) -> Lookup {
    let Some(gate) = gates::GATES.iter().find(|g: &&Gate| g.name == name) else { return Lookup::NotAllowed };
    if depth > 8 {
        return Lookup::NotAllowed;
    }
    let link = gate.links.iter().find(|l| l.on & kernel != 0);
    // LSM programs on control groups are asked as such first.
    let lsm_cgroup: &[&str] =
        if name == "bpf_lsm" && prog.attach == AttachType::LSM_CGROUP { &["cgroup_common"] } else { &[] };
    for before in link.map_or(&[][..], |l| l.before).iter().chain(lsm_cgroup) {
        match ask(before, func, prog, kernel, depth + 1) {
            Lookup::NotAllowed => {}
            found => return found,
        }
    }
    let mut listed = false;
    for row in gate.rows.iter().filter(|r| r.func == func && r.on & kernel != 0) {
        listed = true;
        match applies(row.when, prog) {
            Some(true) => return proto(row.var, kernel),
            Some(false) => {}
            None => return Lookup::Unmodelled,
        }
    }
    if listed {
        return Lookup::NotAllowed;
    }
    match link {
        Some(l) if !l.default.is_empty() => ask(l.default, func, prog, kernel, depth + 1),
        _ => Lookup::NotAllowed,
    }
}

fn applies(when: When, prog: &Program) -> Option<bool> {
    let at = prog.attach;
    Some(match when {
        When::Always => true,
        When::Sleepable => prog.sleepable(),
        When::Iter => at == AttachType::TRACE_ITER,
        When::Trampoline => prog.has_trampoline(),
        When::TrampolineOrRawTp => {
            prog.has_trampoline() || (prog.kind == ProgType::TRACING && at == AttachType::TRACE_RAW_TP)
        }
        When::KprobeMulti => matches!(at, AttachType::TRACE_KPROBE_MULTI | AttachType::TRACE_KPROBE_SESSION),
        When::UprobeMulti => at == AttachType::TRACE_UPROBE_MULTI,
        When::AttachIn(list) => list.contains(&at.0),
        When::AttachNotIn(list) => !list.contains(&at.0),
        When::Unknown => return None,
    })
}

/// A prototype by the name of its variable in the kernel.
pub(super) fn proto(var: &str, kernel: u8) -> Lookup {
    match protos::PROTOS.iter().find(|p| p.var == var && p.on & kernel != 0) {
        Some(p) => Lookup::Found(p),
        None => Lookup::Unmodelled,
    }
}
