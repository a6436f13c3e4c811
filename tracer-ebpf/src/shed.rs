//! What a run that costs too much leaves out: fields of an event, or whole events, which are counted.
//!
//! User space writes the one value of [`SHED`] through shared memory while the run goes on. Where no run is governed
//! the switch is a constant, and all of this is dead code.
//!
//! *Invariant:* an event that passed its filters is either withheld, and counted as such, or gets a number.
//!
//! *Must not know:* when it is worth it, and what comes first; that is user space's.

use aya_ebpf::{macros::map, maps::Array};
use tracer_common::{Class, Exec, Shed};

use crate::{
    emit,
    maps::{BPF_F_MMAPABLE, knob},
};

#[map]
pub(crate) static SHED: Array<Shed> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Arguments longer than this lose their middle when [`tracer_common::shed::LONG_ARGV`] is shed.
pub(crate) const KEPT_ARGV: u32 = 8 * 1024;

/// What is left out now, if this run is governed.
#[inline(always)]
fn shed() -> Option<*const Shed> {
    if knob!(governed) == 0 { None } else { SHED.get_ptr(0) }
}

/// Is this event, which passed the filters, not to be produced? Then it is counted here. Of `n` events of a class on
/// a CPU the first is produced.
#[inline(always)]
pub(crate) fn withheld(class: Class) -> bool {
    let Some(shed) = shed() else { return false };
    // SAFETY: the map's value, just looked up; user space may write it meanwhile, hence volatile.
    let n = unsafe { (&raw const (*shed).sample[class as usize]).read_volatile() };
    if n <= 1 {
        return false;
    }
    let Some(stats) = emit::stats() else { return false };
    // SAFETY: `stats` is a map's value.
    unsafe {
        let account = &raw mut (*stats).classes[class as usize];
        let made =
            (&raw const (*account).seq).read_volatile() + (&raw const (*account).withheld).read_volatile();
        if made % u64::from(n) == 0 {
            return false;
        }
        emit::count(&raw mut (*account).withheld);
    }
    true
}

/// Is this field ([`tracer_common::shed`]) left out now?
#[inline(always)]
pub(crate) fn sheds(field: u32) -> bool {
    // SAFETY: as in `withheld`.
    shed().is_some_and(|shed| unsafe { (&raw const (*shed).fields).read_volatile() } & field != 0)
}

/// Is this field left out of an exec? The record says so then.
///
/// # Safety
/// `exec` is the record under construction.
#[inline(always)]
pub(crate) unsafe fn leaves_out(exec: *mut Exec, field: u32) -> bool {
    if !sheds(field) {
        return false;
    }
    // SAFETY: as the caller promises.
    unsafe { (*exec).shed |= field };
    true
}
