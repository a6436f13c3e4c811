//! Where a task is: the ids of its control groups, and once for each group the path.
//!
//! A group's path is sent before the first event that names it; what has been sent is kept in [`CGROUPS`],
//! which forgets what was not named for long: such a path is sent again.
//!
//! *Invariant:* a group is kept only when its path has found room in the ring.

use core::mem::size_of;

use aya_ebpf::helpers::{
    bpf_get_current_cgroup_id, bpf_get_smp_processor_id, bpf_ktime_get_boot_ns, bpf_ringbuf_output,
};
use tracer_common::{CgroupPath, Cgroups, Header, Kind, cgroup_cut, field};

use crate::{
    kernel::{self, Space, follow, read},
    maps::{CGROUP_WORK, CGROUPS, EVENTS, knob, offset},
    scratch::{Cell, Slot},
};

/// Longest name with its NUL (NAME_MAX + 1), and longest path that is copied.
const MAX_NAME: u32 = 256;
const MAX_BYTES: u32 = 4096;
/// Levels of groups that are walked at most.
const BATCH: u32 = 16;
const MAX_LEVELS: u32 = 16 * BATCH;
/// Links of a css_set that are looked through: one for each hierarchy, of which there are as many as controllers
/// and named ones.
const MAX_LINKS: u32 = 48;

/// Working memory of one program on one CPU.
#[repr(C)]
pub(crate) struct Work {
    record: CgroupPath,
    names: [u8; (MAX_BYTES + MAX_NAME) as usize],
    /// Bytes of names so far.
    end: Cell<u32>,
    _pad: u32,
    /// The node of the group that is looked at; in a list of links, the link.
    node: Cell<u64>,
    /// The task's css_set, or the head of its list of links, and the nodes of its v1 groups, then their ids.
    set: Cell<u64>,
    v1: [Cell<u64>; tracer_common::V1_HIERARCHIES],
}

macro_rules! cell {
    ($work:expr, $member:ident) => {
        &raw mut (*$work).$member
    };
}

#[inline(always)]
fn work(slot: u32) -> Option<*mut Work> {
    CGROUP_WORK.get_ptr_mut(slot)
}

/// The current task's groups.
#[inline(always)]
pub(crate) fn of_current(slot: Slot, task: u64) -> Cgroups {
    if knob!(cgroups) == 0 {
        return Cgroups { v2: 0, v1: [0, 0] };
    }
    if knob!(places) == 0 {
        // SAFETY: the helper has no precondition.
        return Cgroups { v2: unsafe { bpf_get_current_cgroup_id() }, v1: [0, 0] };
    }
    found(slot, locate(slot as u32, task))
}

/// Any task's groups, and [`field::CGROUP`] if they cannot be read. No `Option`: what lies in an empty one is never
/// written, and the verifier does not let it be copied.
#[inline(always)]
pub(crate) fn of_task(slot: Slot, task: u64) -> (Cgroups, u64) {
    if knob!(cgroups) == 0 {
        return (Cgroups { v2: 0, v1: [0, 0] }, 0);
    }
    let groups = found(slot, locate(slot as u32, task));
    (groups, if groups.v2 == 0 { field::CGROUP } else { 0 })
}

/// What [`locate`] found.
#[inline(always)]
fn found(slot: Slot, v2: u64) -> Cgroups {
    if knob!(hierarchies)[0] == 0 && knob!(hierarchies)[1] == 0 {
        return Cgroups { v2, v1: [0, 0] };
    }
    let Some(work) = work(slot as u32) else { return Cgroups { v2, v1: [0, 0] } };
    // SAFETY: a map's value.
    unsafe { Cgroups { v2, v1: [Cell::get(&raw const (*work).v1[0]), Cell::get(&raw const (*work).v1[1])] } }
}

/// The id of a task's v2 group, 0 if it cannot be read; those of its v1 groups are left in working memory. Paths that
/// are new are sent. A function that takes numbers alone, so that its branches are not those of its callers: see
/// [`crate::strings`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn locate(slot: u32, task: u64) -> u64 {
    let set = follow(task, offset!(task_cgroups));
    let node = follow(follow(set, offset!(css_set_dfl_cgrp)), offset!(cgroup_kn));
    let v2 = announce(slot, 0, node);
    let [first, second] = knob!(hierarchies);
    if first == 0 && second == 0 {
        return v2;
    }
    let Some(work) = work(slot) else { return v2 };
    // SAFETY: a map's value.
    unsafe { Cell::set(cell!(work, set), set) };
    find_v1(slot);
    // SAFETY: a map's value.
    unsafe {
        let (a, b) = (Cell::get(&raw const (*work).v1[0]), Cell::get(&raw const (*work).v1[1]));
        Cell::set(&raw mut (*work).v1[0], announce(slot, first, a));
        Cell::set(&raw mut (*work).v1[1], announce(slot, second, b));
    }
    v2
}

/// The id of the group of this node, 0 if it cannot be read. Its path is sent if it is new.
#[inline(always)]
fn announce(slot: u32, hierarchy: u32, node: u64) -> u64 {
    let id = follow(node, offset!(kernfs_node_id));
    if id == 0 || knob!(places) == 0 || CGROUPS.get_ptr([id, hierarchy.into()]).is_some() {
        return id;
    }
    let Some(work) = work(slot) else { return id };
    // SAFETY: a map's value.
    unsafe {
        Cell::set(cell!(work, node), node);
        (*work).record.id = id;
    }
    if send(slot, hierarchy) != 0 {
        let _ = CGROUPS.insert([id, hierarchy.into()], 1, 0);
    }
    id
}

/// Looks for the css_set's groups in the v1 hierarchies. include/linux/cgroup-defs.h, `struct css_set::cgrp_links`:
/// a list of `struct cgrp_cset_link`, one for each hierarchy.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn find_v1(slot: u32) -> u32 {
    let Some(work) = work(slot) else { return 0 };
    // SAFETY: a map's value.
    unsafe {
        Cell::set(&raw mut (*work).v1[0], 0);
        Cell::set(&raw mut (*work).v1[1], 0);
        let head = Cell::get(cell!(work, set)) + u64::from(offset!(css_set_cgrp_links));
        Cell::set(cell!(work, set), head);
        Cell::set(cell!(work, node), follow(head, 0));
    }
    for _ in 0..MAX_LINKS {
        if next_link(slot) == 0 {
            break;
        }
    }
    0
}

/// Looks at one link, and goes on to the next; 0 at the end of the list.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn next_link(slot: u32) -> u32 {
    let Some(work) = work(slot) else { return 0 };
    // SAFETY: a map's value.
    unsafe {
        let link = Cell::get(cell!(work, node));
        if link == Cell::get(cell!(work, set)) || link == 0 {
            return 0;
        }
        let group = follow(link - u64::from(offset!(cset_link_cgrp_link)), offset!(cset_link_cgrp));
        let root = follow(group, offset!(cgroup_root));
        let number = read::<u32>(root, offset!(cgroup_root_hierarchy_id)).unwrap_or(0);
        if number != 0 {
            let [first, second] = knob!(hierarchies);
            if number == first {
                Cell::set(&raw mut (*work).v1[0], follow(group, offset!(cgroup_kn)));
            } else if number == second {
                Cell::set(&raw mut (*work).v1[1], follow(group, offset!(cgroup_kn)));
            }
        }
        Cell::set(cell!(work, node), follow(link, 0));
    }
    1
}

// What a step leads to.
const GO_ON: u32 = 0;
const WHOLE: u32 = 1;
const CUT: u32 = 2;
const FAILED: u32 = 3;

/// Walks from the group to the root, and sends the names; 1 if they found room.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn send(slot: u32, hierarchy: u32) -> u32 {
    let Some(work) = work(slot) else { return 0 };
    // SAFETY: a map's value.
    unsafe {
        Cell::set(cell!(work, end), 0);
        let mut led_to = GO_ON;
        for _ in 0..MAX_LEVELS / BATCH {
            led_to = climb(slot);
            if led_to != GO_ON {
                break;
            }
        }
        let end = Cell::get(cell!(work, end));
        let record = &raw mut (*work).record;
        (*record).header = Header {
            size: size_of::<CgroupPath>() as u32 + end,
            kind: Kind::Cgroup as u16,
            hook: 0,
            cpu: bpf_get_smp_processor_id() as u32,
            tid: 0,
            boot_ns: bpf_ktime_get_boot_ns(),
            seq: 0,
        };
        (*record).hierarchy = hierarchy;
        (*record).len = end;
        (*record).cut = match led_to {
            WHOLE => 0,
            FAILED => cgroup_cut::UNREAD,
            _ => cgroup_cut::START,
        };
        (*record).reserved = 0;
        // The bound that the verifier needs; names never come beyond it.
        if end > MAX_BYTES {
            return 0;
        }
        let size = size_of::<CgroupPath>() as u64 + u64::from(end);
        let ring = (&raw const EVENTS).cast_mut().cast();
        u32::from(bpf_ringbuf_output(ring, record.cast(), size, 0) == 0)
    }
}

/// A batch of [`up`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn climb(slot: u32) -> u32 {
    for _ in 0..BATCH {
        let led_to = up(slot);
        if led_to != GO_ON {
            return led_to;
        }
    }
    GO_ON
}

/// One name, and on to its parent. fs/kernfs/dir.c: the root has no parent, and its name is empty.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn up(slot: u32) -> u32 {
    let Some(work) = work(slot) else { return FAILED };
    // SAFETY: a map's value; writes are below its masked end.
    unsafe {
        let node = Cell::get(cell!(work, node));
        let Some(parent) = read::<u64>(node, offset!(kernfs_node_parent)) else { return FAILED };
        if parent == 0 {
            return WHOLE;
        }
        let end = Cell::get(cell!(work, end));
        if end > MAX_BYTES - MAX_NAME {
            return CUT;
        }
        let name = follow(node, offset!(kernfs_node_name));
        let to = (&raw mut (*work).names).cast::<u8>().add((end & (MAX_BYTES - 1)) as usize);
        let len = kernel::copy_str(Space::Kernel, to, MAX_NAME, name);
        if len <= 0 {
            return FAILED;
        }
        Cell::set(cell!(work, end), end + len as u32);
        Cell::set(cell!(work, node), parent);
        GO_ON
    }
}
const _: () = assert!(size_of::<Work>() < 8192 && MAX_BYTES.is_power_of_two());
