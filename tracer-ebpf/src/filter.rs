//! Which events this run wants. What is switched off costs nothing: the switches are constants.

use aya_ebpf::helpers::{bpf_get_current_uid_gid, generated::bpf_get_current_ancestor_cgroup_id};
use tracer_common::filter;

use crate::maps::{COMMS, PIDS, TREE, UIDS, knob};

/// How an exec ended, as far as filters care.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Succeeded,
    Failed,
}

/// Does an exec of the current process pass every filter but the one by comm?
#[inline(always)]
pub(crate) fn passes(pid: u32, outcome: Outcome) -> bool {
    if knob!(filters) & filter::FAILED != 0 && outcome == Outcome::Succeeded {
        return false;
    }
    passes_who(pid)
}

/// Does the current process pass every filter but the one by comm?
#[inline(always)]
pub(crate) fn passes_who(pid: u32) -> bool {
    let filters = knob!(filters);
    if filters & filter::PID != 0 && PIDS.get_ptr(pid).is_none() {
        return false;
    }
    if filters & filter::TREE != 0 && TREE.get_ptr(pid).is_none() {
        return false;
    }
    if filters & filter::UID != 0 {
        let uid = bpf_get_current_uid_gid() as u32;
        if UIDS.get_ptr(uid).is_none() {
            return false;
        }
    }
    if filters & filter::CGROUP != 0 {
        let level = knob!(cgroup_level) as i32;
        // SAFETY: the helper has no precondition.
        if unsafe { bpf_get_current_ancestor_cgroup_id(level) } != knob!(cgroup_id) {
            return false;
        }
    }
    true
}

/// Does the comm pass its filter?
#[inline(always)]
pub(crate) fn passes_comm(comm: &[u8; 16]) -> bool {
    knob!(filters) & filter::COMM == 0 || COMMS.get_ptr(comm).is_some()
}
