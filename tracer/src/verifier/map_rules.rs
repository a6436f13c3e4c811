//! Which helper goes with which map type, and which map with which program.
//!
//! `check_map_func_compatibility()`, `check_map_prog_compatibility()` (kernel/bpf/verifier.c).

use super::env::Env;
use super::feature::Feature;
use super::helper::{self, id};
use super::profile::Release;
use super::program::{AttachType, MapType, ProgType};
use super::record::{FieldKind, Record};
use super::reg::MapId;
use super::report::{Checked, reject};

/// Map types that only these helpers may touch.
const BY_MAP: &[(MapType, &[u32])] = &[
    (MapType::PROG_ARRAY, &[id::TAIL_CALL]),
    (
        MapType::PERF_EVENT_ARRAY,
        &[
            id::PERF_EVENT_READ,
            id::PERF_EVENT_OUTPUT,
            id::SKB_OUTPUT,
            id::PERF_EVENT_READ_VALUE,
            id::XDP_OUTPUT,
        ],
    ),
    (
        MapType::RINGBUF,
        &[
            id::RINGBUF_OUTPUT,
            id::RINGBUF_RESERVE,
            id::RINGBUF_QUERY,
            id::RINGBUF_RESERVE_DYNPTR,
            id::RINGBUF_SUBMIT_DYNPTR,
            id::RINGBUF_DISCARD_DYNPTR,
        ],
    ),
    (MapType::USER_RINGBUF, &[id::USER_RINGBUF_DRAIN]),
    (MapType::STACK_TRACE, &[id::GET_STACKID]),
    (MapType::CGROUP_ARRAY, &[id::SKB_UNDER_CGROUP, id::CURRENT_TASK_UNDER_CGROUP]),
    (MapType::CGROUP_STORAGE, &[id::GET_LOCAL_STORAGE]),
    (MapType::PERCPU_CGROUP_STORAGE, &[id::GET_LOCAL_STORAGE]),
    (MapType::DEVMAP, &[id::REDIRECT_MAP, id::MAP_LOOKUP_ELEM]),
    (MapType::DEVMAP_HASH, &[id::REDIRECT_MAP, id::MAP_LOOKUP_ELEM]),
    (MapType::CPUMAP, &[id::REDIRECT_MAP]),
    (MapType::XSKMAP, &[id::REDIRECT_MAP, id::MAP_LOOKUP_ELEM]),
    (MapType::ARRAY_OF_MAPS, &[id::MAP_LOOKUP_ELEM]),
    (MapType::HASH_OF_MAPS, &[id::MAP_LOOKUP_ELEM]),
    (
        MapType::SOCKMAP,
        &[
            id::SK_REDIRECT_MAP,
            id::SOCK_MAP_UPDATE,
            id::MSG_REDIRECT_MAP,
            id::SK_SELECT_REUSEPORT,
            id::MAP_LOOKUP_ELEM,
        ],
    ),
    (
        MapType::SOCKHASH,
        &[
            id::SK_REDIRECT_HASH,
            id::SOCK_HASH_UPDATE,
            id::MSG_REDIRECT_HASH,
            id::SK_SELECT_REUSEPORT,
            id::MAP_LOOKUP_ELEM,
        ],
    ),
    (MapType::REUSEPORT_SOCKARRAY, &[id::SK_SELECT_REUSEPORT]),
    (MapType::QUEUE, &[id::MAP_PEEK_ELEM, id::MAP_POP_ELEM, id::MAP_PUSH_ELEM]),
    (MapType::STACK, &[id::MAP_PEEK_ELEM, id::MAP_POP_ELEM, id::MAP_PUSH_ELEM]),
    (MapType::SK_STORAGE, &[id::SK_STORAGE_GET, id::SK_STORAGE_DELETE, id::KPTR_XCHG]),
    (MapType::INODE_STORAGE, &[id::INODE_STORAGE_GET, id::INODE_STORAGE_DELETE, id::KPTR_XCHG]),
    (MapType::TASK_STORAGE, &[id::TASK_STORAGE_GET, id::TASK_STORAGE_DELETE, id::KPTR_XCHG]),
    (MapType::CGRP_STORAGE, &[id::CGRP_STORAGE_GET, id::CGRP_STORAGE_DELETE, id::KPTR_XCHG]),
    (MapType::BLOOM_FILTER, &[id::MAP_PEEK_ELEM, id::MAP_PUSH_ELEM]),
    (MapType::INSN_ARRAY, &[]),
];

/// Helpers that only take these map types.
const BY_FUNC: &[(u32, &[MapType])] = &[
    (id::TAIL_CALL, &[MapType::PROG_ARRAY]),
    (id::PERF_EVENT_READ, &[MapType::PERF_EVENT_ARRAY]),
    (id::PERF_EVENT_OUTPUT, &[MapType::PERF_EVENT_ARRAY]),
    (id::PERF_EVENT_READ_VALUE, &[MapType::PERF_EVENT_ARRAY]),
    (id::SKB_OUTPUT, &[MapType::PERF_EVENT_ARRAY]),
    (id::XDP_OUTPUT, &[MapType::PERF_EVENT_ARRAY]),
    (id::RINGBUF_OUTPUT, &[MapType::RINGBUF]),
    (id::RINGBUF_RESERVE, &[MapType::RINGBUF]),
    (id::RINGBUF_QUERY, &[MapType::RINGBUF]),
    (id::RINGBUF_RESERVE_DYNPTR, &[MapType::RINGBUF]),
    (id::USER_RINGBUF_DRAIN, &[MapType::USER_RINGBUF]),
    (id::GET_STACKID, &[MapType::STACK_TRACE]),
    (id::CURRENT_TASK_UNDER_CGROUP, &[MapType::CGROUP_ARRAY]),
    (id::SKB_UNDER_CGROUP, &[MapType::CGROUP_ARRAY]),
    (id::REDIRECT_MAP, &[MapType::DEVMAP, MapType::DEVMAP_HASH, MapType::CPUMAP, MapType::XSKMAP]),
    (id::SK_REDIRECT_MAP, &[MapType::SOCKMAP]),
    (id::MSG_REDIRECT_MAP, &[MapType::SOCKMAP]),
    (id::SOCK_MAP_UPDATE, &[MapType::SOCKMAP]),
    (id::SK_REDIRECT_HASH, &[MapType::SOCKHASH]),
    (id::MSG_REDIRECT_HASH, &[MapType::SOCKHASH]),
    (id::SOCK_HASH_UPDATE, &[MapType::SOCKHASH]),
    (id::GET_LOCAL_STORAGE, &[MapType::CGROUP_STORAGE, MapType::PERCPU_CGROUP_STORAGE]),
    (id::SK_SELECT_REUSEPORT, &[MapType::REUSEPORT_SOCKARRAY, MapType::SOCKMAP, MapType::SOCKHASH]),
    (id::MAP_POP_ELEM, &[MapType::QUEUE, MapType::STACK]),
    (id::MAP_PEEK_ELEM, &[MapType::QUEUE, MapType::STACK, MapType::BLOOM_FILTER]),
    (id::MAP_PUSH_ELEM, &[MapType::QUEUE, MapType::STACK, MapType::BLOOM_FILTER]),
    (id::MAP_LOOKUP_PERCPU_ELEM, &[MapType::PERCPU_ARRAY, MapType::PERCPU_HASH, MapType::LRU_PERCPU_HASH]),
    (id::SK_STORAGE_GET, &[MapType::SK_STORAGE]),
    (id::SK_STORAGE_DELETE, &[MapType::SK_STORAGE]),
    (id::INODE_STORAGE_GET, &[MapType::INODE_STORAGE]),
    (id::INODE_STORAGE_DELETE, &[MapType::INODE_STORAGE]),
    (id::TASK_STORAGE_GET, &[MapType::TASK_STORAGE]),
    (id::TASK_STORAGE_DELETE, &[MapType::TASK_STORAGE]),
    (id::CGRP_STORAGE_GET, &[MapType::CGRP_STORAGE]),
    (id::CGRP_STORAGE_DELETE, &[MapType::CGRP_STORAGE]),
];

/// Map types that sleepable programs may use, with the kernel from which on.
const SLEEPABLE: &[(MapType, Release)] = &[
    (MapType::HASH, Release::new(5, 10)),
    (MapType::LRU_HASH, Release::new(5, 10)),
    (MapType::ARRAY, Release::new(5, 10)),
    (MapType::PERCPU_HASH, Release::new(5, 12)),
    (MapType::PERCPU_ARRAY, Release::new(5, 12)),
    (MapType::LRU_PERCPU_HASH, Release::new(5, 12)),
    (MapType::ARRAY_OF_MAPS, Release::new(5, 12)),
    (MapType::HASH_OF_MAPS, Release::new(5, 12)),
    (MapType::RINGBUF, Release::new(5, 12)),
    (MapType::INODE_STORAGE, Release::new(5, 17)),
    (MapType::SK_STORAGE, Release::new(5, 17)),
    (MapType::TASK_STORAGE, Release::new(5, 17)),
    (MapType::USER_RINGBUF, Release::new(6, 1)),
    (MapType::CGRP_STORAGE, Release::new(6, 2)),
    (MapType::QUEUE, Release::new(6, 10)),
    (MapType::STACK, Release::new(6, 10)),
    (MapType::ARENA, Release::new(6, 9)),
    (MapType::LPM_TRIE, Release::new(7, 0)),
    (MapType::INSN_ARRAY, Release::new(6, 19)),
    (MapType::PROG_ARRAY, Release::new(6, 19)),
];

impl Env<'_> {
    /// The special fields of a map's value.
    pub(super) fn map_record(&self, map: MapId) -> &Record {
        &self.records[map.0 as usize].record
    }

    /// Whether the map was created with BTF.
    pub(super) fn map_has_btf(&self, map: MapId) -> bool {
        self.records[map.0 as usize].described
    }

    pub(super) fn check_map_function(&self, map: MapId, func: u32) -> Checked {
        let m = self.map(map);
        let mut ok = match BY_MAP.iter().find(|(t, _)| *t == m.kind) {
            Some((_, funcs)) => funcs.contains(&func) || self.kernel_allows_more(m.kind, func)?,
            None => true,
        };
        if let Some((_, kinds)) = BY_FUNC.iter().find(|(f, _)| *f == func) {
            ok &= kinds.contains(&m.kind);
        }
        if func == id::TAIL_CALL
            && ok
            && self.subprogs.len() > 1
            && self.profile.release < Release::new(5, 10)
        {
            reject!(TailCall, "tail_calls are not allowed in programs with bpf-to-bpf calls");
        }
        if !ok {
            reject!(
                MapIncompatible,
                "cannot pass map_type {} into func bpf_{}#{func}",
                m.kind.0,
                helper::name(func)
            );
        }
        Ok(())
    }

    /// A few helpers make no sense without a map but are found out elsewhere.
    pub(super) fn check_function_map_required(&self, _func: u32) -> Checked {
        Ok(())
    }

    fn kernel_allows_more(&self, kind: MapType, func: u32) -> Checked<bool> {
        if !matches!(kind, MapType::SOCKMAP | MapType::SOCKHASH) {
            return Ok(false);
        }
        if !matches!(func, id::MAP_UPDATE_ELEM | id::MAP_DELETE_ELEM) {
            return Ok(false);
        }
        let may = match self.prog.kind {
            ProgType::TRACING => self.prog.attach == AttachType::TRACE_ITER,
            ProgType::SOCK_OPS => func == id::MAP_DELETE_ELEM,
            ProgType::SOCKET_FILTER
            | ProgType::SCHED_CLS
            | ProgType::SCHED_ACT
            | ProgType::XDP
            | ProgType::SK_REUSEPORT
            | ProgType::FLOW_DISSECTOR
            | ProgType::SK_LOOKUP => true,
            _ => false,
        };
        Ok(may)
    }

    /// A map that the program refers to.
    pub(super) fn check_map_program(&self, map: MapId) -> Checked {
        let m = self.map(map);
        let record = self.map_record(map);
        let tracing = self.is_tracing_type();
        let late = self.has(Feature::TrustedPointers);
        if late && (record.has(FieldKind::ListHead) || record.has(FieldKind::RbRoot)) && tracing {
            reject!(MapIncompatible, "tracing progs cannot use bpf_{{list_head,rb_root}} yet");
        }
        if record.has(FieldKind::SpinLock) || record.has(FieldKind::ResSpinLock) {
            if self.prog.kind == ProgType::SOCKET_FILTER {
                reject!(MapIncompatible, "socket filter progs cannot use bpf_spin_lock yet");
            }
            if tracing {
                reject!(MapIncompatible, "tracing progs cannot use bpf_spin_lock yet");
            }
            if self.prog.sleepable() && self.profile.release < Release::new(6, 3) {
                reject!(MapIncompatible, "sleepable progs cannot use bpf_spin_lock yet");
            }
        }
        let timers_refused = self.profile.release < Release::new(7, 0);
        if record.has(FieldKind::Timer) && tracing && timers_refused {
            reject!(MapIncompatible, "tracing progs cannot use bpf_timer yet");
        }
        if record.has(FieldKind::Workqueue) && tracing && timers_refused {
            reject!(MapIncompatible, "tracing progs cannot use bpf_wq yet");
        }
        if m.kind == MapType::STRUCT_OPS {
            reject!(MapIncompatible, "bpf_struct_ops map cannot be used in prog");
        }
        if self.prog.sleepable()
            && !SLEEPABLE.iter().any(|(k, since)| *k == m.kind && self.profile.release >= *since)
        {
            reject!(
                MapIncompatible,
                "Sleepable programs can only use array, hash, ringbuf and local storage maps"
            );
        }
        Ok(())
    }
}

/// Map types whose value can be addressed directly (`map_direct_value_addr`), and whether at this offset.
pub(super) fn direct_value(map: &super::program::Map, off: u32, release: Release) -> Option<bool> {
    match map.kind {
        MapType::ARRAY => Some(map.max_entries == 1 && off < map.value_size),
        MapType::ARENA => Some((off as u64) < map.max_entries as u64 * 4096),
        MapType::INSN_ARRAY if release >= Release::new(6, 19) => Some(true),
        MapType::PERCPU_ARRAY if release >= Release::new(7, 2) => None,
        _ => None,
    }
}
