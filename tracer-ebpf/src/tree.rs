//! The traced process tree: its processes enter at fork and leave at their end.

use core::ptr;

use tracer_common::filter;

use crate::{
    emit,
    kernel::read,
    maps::{TREE, knob, offset},
};

/// `BPF_NOEXIST`: only a key that is not there yet.
pub(crate) const NOEXIST: u64 = 1;

/// A task was created by `parent`: follow it if it is a process of the tree.
#[inline(always)]
pub(crate) fn forked(parent: u32, child: u64) {
    if knob!(filters) & filter::TREE == 0 || TREE.get_ptr(parent).is_none() {
        return;
    }
    let (Some(pid), Some(tgid)) =
        (read::<u32>(child, offset!(task_pid)), read::<u32>(child, offset!(task_tgid)))
    else {
        return;
    };
    if pid != tgid {
        return;
    }
    let Some(stats) = emit::stats() else { return };
    let counter = match TREE.insert(tgid, 1, NOEXIST) {
        // SAFETY: `stats` is a map's value.
        Ok(()) => unsafe { ptr::addr_of_mut!((*stats).tree_entered) },
        // SAFETY: as above.
        Err(_) => unsafe { ptr::addr_of_mut!((*stats).tree_full) },
    };
    // SAFETY: as above.
    unsafe { emit::count(counter) };
}

/// A process ended.
#[inline(always)]
pub(crate) fn ended(tgid: u32) {
    if knob!(filters) & filter::TREE == 0 || TREE.remove(tgid).is_err() {
        return;
    }
    if let Some(stats) = emit::stats() {
        // SAFETY: `stats` is a map's value.
        unsafe { emit::count(&raw mut (*stats).tree_left) };
    }
}
