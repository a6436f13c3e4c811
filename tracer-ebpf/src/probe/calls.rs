//! Calls under way: entries wait for their returns, thread by thread.
//!
//! A thread's calls nest, so they are a stack: an entry goes on top, a return takes the topmost one of its point off.
//! What lies above that one has been left without a return that the kernel showed (a kretprobe has a limited number of
//! instances), and is counted.
//!
//! Where a call is on the machine's stack tells more. With `at` the place that an entry was seen at, growing downwards:
//!
//! ```text
//! at a new entry       every call with at' < at, on the same stack, has ended
//! at a return          the call is the one with |at' - at| <= NEAR
//! ```
//!
//! so a return that was missed in a recursion does not shift the others. Interrupts run on the same task: they put
//! their calls on top, and have taken them off when they end.
//!
//! *Must not know:* what is read or made of a call.

use aya_ebpf::helpers::bpf_get_current_task;
use tracer_common::{
    aggregate::{Call, CallKey, Calls, MAX_CALLS},
    probe::{counter, hit},
};

use crate::{
    emit,
    kernel::{self, Space},
    maps::{CALLS, SAVED, knob},
    scratch::{self, get, within},
};

/// What a call is known by.
pub(crate) mod class {
    /// The stack pointer at a function's first instruction.
    pub(crate) const STACK_POINTER: u64 = 1;
    /// The frame of a trampoline: the same at the entry and at the return.
    pub(crate) const TRAMPOLINE: u64 = 2;
    /// The registers of a system call.
    pub(crate) const SYSTEM_CALL: u64 = 3;
}

/// A return handler sees the stack pointer as it was before the call, or after it, or with what its trampoline has
/// pushed (arch/x86/kernel/rethook.c and its predecessors in kprobes/core.c, 5.10 to 7.2).
const NEAR: u64 = 24;
/// arch/x86/include/asm/page_64_types.h: stacks of tasks and interrupts are of this size, and aligned to it.
const STACK_BITS: u64 = 14;

/// The last place of a thread's calls, which is a mask too.
const LAST: i32 = MAX_CALLS as i32 - 1;
const _: () = assert!(MAX_CALLS.is_power_of_two());

/// An entry: puts the call on top, with what was read.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn push(index: u32, forgotten: u32) -> u32 {
    let Some(block) = scratch::block(index) else { return 0 };
    // SAFETY: `block` is working memory, `calls` a map's value; its depth is checked before it is used.
    unsafe {
        let task = bpf_get_current_task();
        let calls = match CALLS.get_ptr_mut(task) {
            Some(calls) => calls,
            None => {
                // By reference: there is no room for a copy on the stack.
                let fresh: &Calls = &(*block).work.fresh;
                let _ = CALLS.insert(task, fresh, 0);
                match CALLS.get_ptr_mut(task) {
                    Some(calls) => calls,
                    None => {
                        emit::counter(counter::UNPAIRED, 1);
                        return 0;
                    }
                }
            }
        };
        let (at, class, point) = (get!(block, at), get!(block, class), get!(block, point) as u32);
        let mut depth = (&raw const (*calls).depth).read_volatile();
        let list = (&raw mut (*calls).calls).cast::<Call>();
        for _ in 0..MAX_CALLS {
            if depth == 0 || depth > MAX_CALLS as u64 {
                break;
            }
            let top = list.add(within::<LAST>(depth - 1));
            let there = (&raw const (*top).at).read_volatile();
            let same = there == at && (*top).point == point;
            if u64::from((*top).class) != class || there >> STACK_BITS != at >> STACK_BITS {
                break;
            }
            if there > at || (there == at && !same) {
                break;
            }
            depth -= 1;
            emit::counter(counter::NO_RETURN, 1);
        }
        if depth >= MAX_CALLS as u64 {
            emit::counter(counter::UNPAIRED, 1);
            return 0;
        }
        // First the room, then what is in it: an interrupt in between finds its own room above.
        (&raw mut (*calls).depth).write_volatile(depth + 1);
        let call = list.add(within::<LAST>(depth));
        (&raw mut (*call).at).write_volatile(at);
        (*call).boot_ns = (*scratch::record(block)).header.boot_ns;
        (*call).point = point;
        (*call).forgotten = forgotten as u16;
        (*call).class = class as u16;
        if knob!(saved) != 0 && forgotten == 0 {
            let key = CallKey { task, depth };
            let saved: &u64 = &*block.cast();
            if SAVED.insert(key, saved, 0).is_err() {
                (&raw mut (*calls).depth).write_volatile(depth);
                emit::counter(counter::UNPAIRED, 1);
            }
        }
    }
    0
}

/// A return: takes its call off, and brings back what was read at the entry. 0 if there is none, or it is not wanted.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn pop(index: u32) -> u32 {
    let Some(block) = scratch::block(index) else { return 0 };
    // SAFETY: `block` is working memory, `calls` a map's value; its depth is checked before it is used.
    unsafe {
        let task = bpf_get_current_task();
        let Some(calls) = CALLS.get_ptr_mut(task) else {
            emit::counter(counter::NO_ENTRY, 1);
            return 0;
        };
        let depth = (&raw const (*calls).depth).read_volatile();
        let found = find(index, depth as u32);
        if u64::from(found) >= MAX_CALLS as u64 || depth > MAX_CALLS as u64 || u64::from(found) >= depth {
            emit::counter(counter::NO_ENTRY, 1);
            return 0;
        }
        let call = (&raw const (*calls).calls).cast::<Call>().add(within::<LAST>(u64::from(found)));
        let (boot_ns, forgotten) = ((*call).boot_ns, (*call).forgotten);
        let missed = depth as u32 - found - 1;
        if missed != 0 {
            emit::counter(counter::NO_RETURN, missed);
        }
        let record = scratch::record(block);
        if knob!(saved) != 0 && forgotten == 0 {
            let key = CallKey { task, depth: u64::from(found) };
            let Some(saved) = SAVED.get_ptr(key) else {
                (&raw mut (*calls).depth).write_volatile(u64::from(found));
                emit::counter(counter::NO_ENTRY, 1);
                return 0;
            };
            kernel::copy(Space::Kernel, block.cast(), knob!(saved), saved as u64);
            let _ = SAVED.remove(key);
        }
        (&raw mut (*calls).depth).write_volatile(u64::from(found));
        if forgotten != 0 {
            return 0;
        }
        let now = aya_ebpf::helpers::bpf_ktime_get_boot_ns();
        (*record).header.boot_ns = boot_ns;
        (*record).duration_ns = now - boot_ns;
        (*record).flags |= hit::ENTRY | hit::RETURN;
    }
    1
}

/// The place of the call that returns; [`MAX_CALLS`] if it is not there.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn find(index: u32, depth: u32) -> u32 {
    const NONE: u32 = MAX_CALLS as u32;
    let Some(block) = scratch::block(index) else { return NONE };
    // SAFETY: `block` is working memory, `calls` a map's value; places are below its length.
    unsafe {
        let Some(calls) = CALLS.get_ptr(bpf_get_current_task()) else { return NONE };
        let (at, class, point) = (get!(block, at), get!(block, class), get!(block, point) as u32);
        let list = (&raw const (*calls).calls).cast::<Call>();
        let mut place = depth;
        for _ in 0..MAX_CALLS {
            if place == 0 || place > MAX_CALLS as u32 {
                break;
            }
            place -= 1;
            let call = list.add(within::<LAST>(u64::from(place)));
            let there = (&raw const (*call).at).read_volatile();
            let apart = there.abs_diff(at);
            if (*call).point == point && u64::from((*call).class) == class && (at == 0 || apart <= NEAR) {
                return place;
            }
        }
    }
    NONE
}

/// A task is gone, and its calls under way with it: those whose end the kernel did not show.
#[inline(always)]
pub(crate) fn ended(task: u64) {
    let Some(calls) = CALLS.get_ptr(task) else { return };
    // SAFETY: a map's value.
    let depth = unsafe { (&raw const (*calls).depth).read_volatile() };
    if knob!(saved) != 0 {
        for place in 0..MAX_CALLS as u64 {
            if place >= depth {
                break;
            }
            let _ = SAVED.remove(CallKey { task, depth: place });
        }
    }
    let _ = CALLS.remove(task);
}

const _: () = assert!(size_of::<Calls>() == 8 + MAX_CALLS * size_of::<Call>());
