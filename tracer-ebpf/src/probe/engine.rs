//! What becomes of a hit, whichever hook saw it: from the values that its place has, to a record or a number.
//!
//! ```text
//! entry           begin, stacks, values, filter                       -> deliver
//! entry, paired   begin, stacks, values, filter if it can be asked    -> calls
//! return, paired  calls, values, filter                               -> deliver
//! ```

use core::ffi::c_void;

use aya_ebpf::helpers::{
    bpf_get_current_cgroup_id, bpf_get_current_pid_tgid, bpf_get_current_uid_gid, bpf_ktime_get_boot_ns,
    generated::{bpf_get_current_comm, bpf_get_stack},
};
use tracer_common::{
    Header, Kind,
    aggregate::mode,
    filter::COMM,
    probe::{Probe, hit as flag, point},
};

use crate::{
    calls::{pop, push},
    condition::passes,
    deliver::deliver,
    emit,
    fetch::read_values,
    filter::{self, Outcome},
    maps::{POINTS, knob, wants},
    scratch::{self, Block, STACK, get, moment, set},
};

/// bpf(2), `BPF_F_USER_STACK`.
const USER_STACK: u64 = 1 << 8;

/// What a hook knows of a hit.
pub(crate) struct Hit {
    pub(crate) ctx: *mut c_void,
    pub(crate) point: u32,
    pub(crate) moment: u64,
    pub(crate) at: u64,
    pub(crate) class: u64,
    /// One of [`tracer_common::Hook`].
    pub(crate) hook: u16,
}

/// Is the current process one of those that count? A hit of one that is not leaves no trace.
#[inline(always)]
pub(crate) fn is_wanted() -> bool {
    if knob!(filters) == 0 {
        return true;
    }
    if !filter::passes((bpf_get_current_pid_tgid() >> 32) as u32, Outcome::Failed) {
        return false;
    }
    let mut comm = [0_u64; 2];
    if knob!(filters) & COMM != 0 {
        // SAFETY: the destination has 16 bytes.
        unsafe { bpf_get_current_comm((&raw mut comm).cast(), 16) };
    }
    // SAFETY: 16 bytes, whatever they are.
    filter::passes_comm(unsafe { &*(&raw const comm).cast::<[u8; 16]>() })
}

/// A hit. `values` brings the values that the place has, if anybody wants them.
#[inline(always)]
pub(crate) fn seen(hit: &Hit, values: impl FnOnce(*mut Block)) {
    if knob!(mode) == mode::COUNT {
        emit::count_hit(hit.point);
        return;
    }
    let Some(index) = scratch::take() else { return };
    if let Some(block) = scratch::block(index)
        && let Some(spec) = POINTS.get_ptr(hit.point)
    {
        // SAFETY: `block` is working memory, `spec` a map's value.
        unsafe {
            set!(block, ctx, hit.ctx as u64);
            set!(block, at, hit.at);
            set!(block, class, hit.class);
            set!(block, point, u64::from(hit.point));
            set!(block, moment, hit.moment);
            if wants!(VALUES) && (*spec).values != 0 {
                values(block);
            }
            // A return takes over what its entry has.
            let joined = wants!(PAIRS) && hit.moment == moment::RETURN && (*spec).flags & point::PAIRED != 0;
            if !joined || knob!(saved) == 0 {
                begin(index, u32::from(hit.hook));
                if !joined {
                    stacks(hit.ctx, block);
                }
            }
            carry_on(index);
        }
    }
    scratch::give_back(index);
}

/// Fills in what every hit has: who, where and when.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn begin(index: u32, hook: u32) -> u32 {
    let Some(block) = scratch::block(index) else { return 0 };
    // SAFETY: `block` is working memory; the helpers have no precondition.
    unsafe {
        let record = scratch::record(block);
        // Word by word, since a call of memset would be a loop over bytes.
        for word in 0..size_of::<Probe>() / 8 {
            record.cast::<u64>().add(word).write_volatile(0);
        }
        let pid_tgid = bpf_get_current_pid_tgid();
        (*record).header = Header {
            size: 0,
            kind: Kind::Probe as u16,
            hook: hook as u16,
            cpu: 0,
            tid: pid_tgid as u32,
            boot_ns: bpf_ktime_get_boot_ns(),
            seq: 0,
        };
        (*record).pid = (pid_tgid >> 32) as u32;
        (*record).uid = bpf_get_current_uid_gid() as u32;
        (*record).point = get!(block, point) as u32;
        (*record).flags = if get!(block, moment) == moment::ENTRY { flag::ENTRY } else { flag::RETURN };
        bpf_get_current_comm((&raw mut (*record).comm).cast(), 16);
        if wants!(CGROUPS) {
            (*record).cgroup_id = bpf_get_current_cgroup_id();
        }
    }
    0
}

/// Reads the stacks into the record.
#[inline(always)]
unsafe fn stacks(ctx: *mut c_void, block: *mut Block) {
    // SAFETY: `block` is working memory; the destinations are inside of the record.
    unsafe {
        let record = scratch::record(block);
        if wants!(KERNEL_STACK) {
            let to = scratch::at(block, size_of::<Probe>() as u32);
            (*record).kernel_stack_len = bpf_get_stack(ctx, to.cast(), STACK as u32, 0) as i32;
        }
        if wants!(USER_STACK) {
            let to = scratch::at(block, scratch::texts(block));
            (*record).user_stack_len = bpf_get_stack(ctx, to.cast(), STACK as u32, USER_STACK) as i32;
        }
    }
}

/// The rest of it, which needs no context.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn carry_on(index: u32) -> u32 {
    let Some(block) = scratch::block(index) else { return 0 };
    // SAFETY: `block` is working memory, `spec` a map's value.
    let (flags, moment) = unsafe {
        let Some(spec) = POINTS.get_ptr(get!(block, point) as u32) else { return 0 };
        ((*spec).flags, get!(block, moment))
    };
    let paired = wants!(PAIRS) && flags & point::PAIRED != 0;
    if paired && moment == moment::RETURN && pop(index) == 0 {
        return 0;
    }
    if wants!(VALUES) {
        read_values(index);
    }
    let now = !paired || (moment == moment::ENTRY) == (flags & point::FILTER_AT_ENTRY != 0);
    let passed = !wants!(FILTER) || !now || passes(index) != 0;
    if paired && moment == moment::ENTRY {
        push(index, u32::from(!passed));
    } else if passed {
        deliver(index);
    }
    0
}
