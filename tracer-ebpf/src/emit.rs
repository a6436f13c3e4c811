//! Into the ring, or counted.

use core::arch::asm;

use aya_ebpf::helpers::{
    bpf_get_smp_processor_id, bpf_ringbuf_output, bpf_ringbuf_reserve, bpf_ringbuf_submit,
};
use tracer_common::{CHUNK_BYTES, Chunk, Class, ClassStats, CpuStats, Exec, Header, Kind, Plain, Stream};

use crate::{
    kernel::{self, Space},
    maps::{EVENTS, STATS},
    scratch::{RECORD, Scratch, get, set},
};

/// This CPU's counters.
#[inline(always)]
pub(crate) fn stats() -> Option<*mut CpuStats> {
    // SAFETY: the helper has no precondition.
    let cpu = unsafe { bpf_get_smp_processor_id() } as u32;
    STATS.get_ptr_mut(cpu)
}

/// Adds one to a counter. Atomic, since a program may be preempted by another on the same CPU. In
/// assembly, since Rust has no atomics for this target, and 5.10 knows no other form than this one.
///
/// # Safety
/// `counter` points into a map's value.
#[inline(always)]
pub(crate) unsafe fn count(counter: *mut u64) {
    // SAFETY: as the caller promises; map values are aligned to 8 bytes.
    unsafe {
        asm!("lock *(u64 *)({counter} + 0) += {one}", counter = in(reg) counter, one = in(reg) 1_u64);
    }
}

/// This CPU's account of a class.
#[inline(always)]
fn account(class: Class) -> Option<*mut ClassStats> {
    let stats = stats()?;
    // SAFETY: only an address is computed; there are as many accounts as classes.
    Some(unsafe { (&raw mut (*stats).classes).cast::<ClassStats>().add(class as usize) })
}

/// The next number of a class.
///
/// # Safety
/// `account` comes from [`account`].
#[inline(always)]
unsafe fn next(account: *mut ClassStats) -> u64 {
    // SAFETY: a map's value.
    unsafe {
        let seq = (&raw const (*account).seq).read_volatile() + 1;
        (&raw mut (*account).seq).write_volatile(seq);
        seq
    }
}

/// Numbers the event and sends it; counts it as dropped if the ring has no room.
///
/// # Safety
/// `scratch` comes from [`crate::scratch::take`] and holds an [`Exec`] and its variable parts up to
/// `end`.
#[inline(always)]
pub(crate) unsafe fn event(scratch: *mut Scratch, class: Class) {
    // SAFETY: the record lies in scratch memory; the account is null-checked.
    unsafe {
        let record = (&raw mut (*scratch).record).cast::<Exec>();
        let Some(account) = account(class) else { return };
        (*record).header.seq = next(account);
        if !unnumbered(scratch) {
            count(&raw mut (*account).dropped);
        }
    }
}

/// Sends what lies in scratch memory up to `end`: whether it found room.
///
/// # Safety
/// As for [`event`], with any record.
#[inline(always)]
pub(crate) unsafe fn unnumbered(scratch: *mut Scratch) -> bool {
    // SAFETY: the record lies in scratch memory.
    unsafe {
        let record = (&raw mut (*scratch).record).cast::<Header>();
        // The bound that the verifier needs; a record never comes near it.
        let size = get!(scratch, end) & 0x7fff;
        if size as usize > RECORD {
            return false;
        }
        (*record).size = size;
        let ring = (&raw const EVENTS).cast_mut().cast();
        bpf_ringbuf_output(ring, record.cast(), u64::from(size), 0) == 0
    }
}

/// Counts an event that could not even be begun.
#[inline(always)]
pub(crate) fn lost(class: Class) {
    let Some(account) = account(class) else { return };
    // SAFETY: the account is a map's value.
    unsafe {
        next(account);
        count(&raw mut (*account).dropped);
    }
}

/// Numbers an event of a fixed size, and sends it: `fill` writes all of it into the ring itself. Counts it as dropped
/// if the ring has no room.
#[inline(always)]
pub(crate) fn fixed<T: Plain>(class: Class, fill: impl FnOnce(*mut T, u64)) {
    let Some(account) = account(class) else { return };
    // SAFETY: the reservation has room for a `T`, and is submitted; the account is a map's value.
    unsafe {
        let seq = next(account);
        let room = bpf_ringbuf_reserve((&raw const EVENTS).cast_mut().cast(), size_of::<T>() as u64, 0);
        if room.is_null() {
            count(&raw mut (*account).dropped);
            return;
        }
        fill(room.cast(), seq);
        bpf_ringbuf_submit(room, 0);
    }
}

/// Sends [`CHUNK_BYTES`] from `from` as the stream's next chunk.
///
/// # Safety
/// `scratch` comes from [`crate::scratch::take`], its record's header is filled in.
#[inline(always)]
pub(crate) unsafe fn chunk(scratch: *mut Scratch, stream: Stream, space: Space, from: u64) {
    // SAFETY: the reservation has room for a header and the payload.
    unsafe {
        let record = (&raw mut (*scratch).record).cast::<Exec>();
        let number = get!(scratch, chunks);
        set!(scratch, chunks, number + 1);
        let offset = get!(scratch, done);
        set!(scratch, done, offset + CHUNK_BYTES as u64);
        let room = bpf_ringbuf_reserve(
            (&raw const EVENTS).cast_mut().cast(),
            (size_of::<Chunk>() + CHUNK_BYTES) as u64,
            0,
        );
        if room.is_null() {
            (*record).chunks_lost += 1;
            return;
        }
        let header = &raw const (*record).header;
        let to = room.cast::<Chunk>();
        to.write(Chunk {
            header: Header {
                size: (size_of::<Chunk>() + CHUNK_BYTES) as u32,
                kind: Kind::Chunk as u16,
                hook: (*header).hook,
                cpu: (*header).cpu,
                tid: (*header).tid,
                boot_ns: (*header).boot_ns,
                seq: u64::from(number),
            },
            stream: stream as u32,
            offset: offset as u32,
        });
        // When the copy fails the helper has cleared the payload: it says nothing false, and the
        // loss is told by the caller.
        let err = kernel::copy(space, to.add(1).cast(), CHUNK_BYTES as u32, from);
        set!(scratch, errors, get!(scratch, errors) | err);
        bpf_ringbuf_submit(room, 0);
    }
}
