//! Into the ring, or counted.

use core::arch::asm;

use aya_ebpf::helpers::{bpf_get_smp_processor_id, bpf_ringbuf_output};
use tracer_common::CpuStats;

use crate::{
    maps::{COUNTERS, COUNTS, EVENTS, STATS, knob, wants},
    scratch::{self, OFFSET_MASK, within},
};

/// This CPU's number.
#[inline(always)]
pub(crate) fn cpu() -> u32 {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_get_smp_processor_id() as u32 }
}

/// This CPU's counters.
#[inline(always)]
pub(crate) fn stats() -> Option<*mut CpuStats> {
    STATS.get_ptr_mut(cpu())
}

/// Adds to a counter in one instruction. In assembly, since Rust has no atomics for this target, and 5.10 knows no
/// other form than this one.
///
/// # Safety
/// `counter` points into a map's value.
#[inline(always)]
pub(crate) unsafe fn add(counter: *mut u64, amount: i64) {
    // SAFETY: as the caller promises; map values are aligned to 8 bytes.
    unsafe {
        asm!("lock *(u64 *)({counter} + 0) += {amount}", counter = in(reg) counter, amount = in(reg) amount);
    }
}

/// # Safety
/// As for [`add`].
#[inline(always)]
pub(crate) unsafe fn count(counter: *mut u64) {
    // SAFETY: as the caller promises.
    unsafe { add(counter, 1) };
}

/// Adds one; what was there before. On kernels that cannot fetch, where nothing else on this CPU comes between
/// ([`scratch`]), in two steps; the user side makes the instruction, which nobody reaches there, one that they know.
///
/// # Safety
/// As for [`add`].
#[inline(always)]
pub(crate) unsafe fn next(counter: *mut u64) -> u64 {
    // SAFETY: as the caller promises.
    unsafe {
        if wants!(FETCH_ADD) {
            let mut one = 1_u64;
            asm!("{one} = atomic_fetch_add((u64 *)({counter} + 0), {one})",
                 counter = in(reg) counter, one = inout(reg) one);
            return one;
        }
        let before = counter.read_volatile();
        counter.write_volatile(before + 1);
        before
    }
}

/// This CPU's counter of that number.
#[inline(always)]
pub(crate) fn counter_of(number: u32) -> Option<*mut u64> {
    let counters = COUNTERS.get_ptr_mut(cpu())?.cast::<u64>();
    // SAFETY: inside of the array: callers name constants.
    Some(unsafe { counters.add(within::<15>(number.into())) })
}

/// Adds to one of [`tracer_common::probe::counter`].
#[inline(always)]
pub(crate) fn counter(number: u32, amount: u32) {
    if let Some(counter) = counter_of(number) {
        // SAFETY: a map's value.
        unsafe { add(counter, i64::from(amount)) };
    }
}

/// Counts a hit of a point, and that is all.
#[inline(always)]
pub(crate) fn count_hit(point: u32) {
    if point < knob!(points) {
        let row = u64::from(cpu() & knob!(counts_mask)) * u64::from(knob!(counts_stride));
        // SAFETY: inside of the map's value, which has as many rows as the mask lets through.
        unsafe { count(COUNTS.first().add(row as usize).add(point as usize)) };
    }
}

/// Numbers the record and sends it; counts it as dropped if the ring has no room.
#[inline(always)]
pub(crate) fn event(index: u32) {
    let (Some(block), Some(stats)) = (scratch::block(index), stats()) else { return };
    let record = scratch::record(block);
    // SAFETY: the record lies in working memory; `stats` is a map's value.
    unsafe {
        (*record).header.cpu = cpu();
        (*record).header.seq = next(&raw mut (*stats).classes[0].seq) + 1;
        // The bound that the verifier needs; a record never comes near it.
        let size = (scratch::texts(block) + (*record).text_len) & OFFSET_MASK;
        (*record).header.size = size;
        let ring = (&raw const EVENTS).cast_mut().cast();
        if bpf_ringbuf_output(ring, record.cast(), u64::from(size), 0) != 0 {
            count(&raw mut (*stats).classes[0].dropped);
        }
    }
}
