//! A hit that has passed every filter: sampled, held back by the rate, counted, or sent.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use tracer_common::{aggregate::mode, probe::counter};

use crate::{
    emit,
    group::group,
    maps::{RATE, knob},
};

/// Makes of a hit what the run wants. Its record is complete.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn deliver(index: u32) -> u32 {
    let Some(passed) = emit::counter_of(counter::PASSED) else { return 0 };
    // SAFETY: a map's value.
    let before = unsafe { emit::next(passed) };
    let sample = u64::from(knob!(sample));
    if sample > 1 && before % sample != 0 {
        emit::counter(counter::SAMPLED, 1);
        return 0;
    }
    if knob!(mode) != mode::STREAM {
        group(index);
        return 0;
    }
    if knob!(rate) != 0 && !has_room(u64::from(knob!(rate))) {
        emit::counter(counter::RATED, 1);
        return 0;
    }
    emit::event(index);
    0
}

/// Is there room left in this second? CPUs that begin a second at the same time may let some more pass.
#[inline(always)]
fn has_room(rate: u64) -> bool {
    // SAFETY: the helper has no precondition.
    let second = unsafe { bpf_ktime_get_ns() } / 1_000_000_000 + 1;
    let Some(window) = RATE.get_ptr_mut(0) else { return false };
    let window = window.cast::<u64>();
    // SAFETY: inside of the map's value.
    unsafe {
        let events = window.add(1);
        if window.read_volatile() != second {
            window.write_volatile(second);
            events.write_volatile(0);
        }
        emit::next(events) < rate
    }
}
