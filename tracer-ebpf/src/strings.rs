//! Arguments and environment: whole, in numbered chunks, the rest in the record itself.
//!
//! After a successful exec they lie contiguous in the new image. Before that they are an array of
//! pointers in the caller's memory.
//!
//! Loops have to be cheap for the verifier, which walks every round of them: each round is one call
//! of a global function, which the verifier judges once, apart from its callers
//! (kernel/bpf/verifier.c, `do_check_subprogs`). Such a function takes numbers only, so it finds its
//! state in scratch memory. A loop of loops of such calls is cheaper still: walking 3,000 rounds cost
//! the kernel 70 ms at each start.

use tracer_common::{CHUNK_BYTES, Exec, MAX_UNREADABLE, Stream, cut, field, shed as optional};

use crate::{
    emit,
    kernel::{self, Space},
    maps::knob,
    scratch::{self, Scratch, Slot, get, set},
    shed::{self, KEPT_ARGV},
};

/// Rounds for contiguous strings: 6 MiB, the most that the kernel takes as arguments and
/// environment together (fs/exec.c, `bprm_stack_limits`: three quarters of `_STK_LIM`).
const CONTIGUOUS_ROUNDS: u32 = 6 * 1024 * 1024 / CHUNK_BYTES as u32;
/// Rounds for arrays: a string of up to 4,095 bytes each.
const ARRAY_ROUNDS: u32 = 64 * BATCH;
/// Rounds within rounds: the verifier walks the outer ones and the inner ones, not their product.
const BATCH: u32 = 64;

const CHUNK: u64 = CHUNK_BYTES as u64;

/// How much of a stream there is, and how much of it lies in the record itself.
pub(crate) struct Sent {
    pub(crate) total: u32,
    pub(crate) tail: u32,
}

const fn missing(stream: Stream) -> u64 {
    match stream {
        Stream::Argv => field::ARGV,
        Stream::Env => field::ENV,
    }
}

const fn cut_end(stream: Stream) -> u32 {
    match stream {
        Stream::Argv => cut::ARGV_END,
        Stream::Env => cut::ENV_END,
    }
}

/// A batch of [`next_chunk`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn next_chunks(slot: u32, stream: u32) -> u32 {
    for _ in 0..BATCH {
        if next_chunk(slot, stream) == 0 {
            return 0;
        }
    }
    1
}

/// Sends the next whole chunk of contiguous strings; 0 if what is left does not fill one.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn next_chunk(slot: u32, stream: u32) -> u32 {
    let Some(scratch) = scratch::by_number(slot) else { return 0 };
    let stream = if stream == Stream::Argv as u32 { Stream::Argv } else { Stream::Env };
    // SAFETY: every write is to `scratch`.
    unsafe {
        let mut from = get!(scratch, from);
        if get!(scratch, until) - from < CHUNK {
            return 0;
        }
        if get!(scratch, done) == get!(scratch, jump_at) {
            let to = get!(scratch, jump_to);
            from = from + to - get!(scratch, done);
            set!(scratch, done, to);
        }
        emit::chunk(scratch, stream, Space::User, from);
        set!(scratch, from, from + CHUNK);
    }
    1
}

/// Copies the strings between two addresses of the new image.
///
/// # Safety
/// `scratch` comes from [`scratch::take`].
#[inline(always)]
pub(crate) unsafe fn contiguous(
    scratch: *mut Scratch,
    slot: Slot,
    stream: Stream,
    start: u64,
    end: u64,
) -> Sent {
    // SAFETY: every write is to `scratch`, at masked offsets.
    unsafe {
        let record = (&raw mut (*scratch).record).cast::<Exec>();
        let total = end - start;
        set!(scratch, from, start);
        set!(scratch, until, end);
        set!(scratch, done, 0);
        set!(scratch, chunks, 0);
        set!(scratch, errors, 0);

        set!(scratch, jump_at, u64::MAX);
        if matches!(stream, Stream::Argv) {
            let asked = knob!(max_argv_bytes);
            if (asked == 0 || asked > KEPT_ARGV) && shed::sheds(optional::LONG_ARGV) {
                if plan_jump(scratch, total, KEPT_ARGV) {
                    (*record).shed |= optional::LONG_ARGV;
                }
            } else if asked != 0 {
                plan_jump(scratch, total, asked);
            }
        }
        for _ in 0..CONTIGUOUS_ROUNDS / BATCH {
            if next_chunks(slot as u32, stream as u32) == 0 {
                break;
            }
        }

        let at = get!(scratch, end);
        let left = get!(scratch, until) - get!(scratch, from);
        if left >= CHUNK {
            (*record).cut |= cut_end(stream);
            return Sent { total: total as u32, tail: 0 };
        }
        let left = (left & (CHUNK - 1)) as u32;
        let err = kernel::copy(Space::User, scratch::at(scratch, at), left, get!(scratch, from));
        if err | get!(scratch, errors) != 0 {
            (*record).missing |= missing(stream);
        }
        set!(scratch, end, at + left);
        Sent { total: total as u32, tail: left }
    }
}

/// Decides which whole chunks in the middle of the arguments are left out, so that at least half
/// the limit is kept at either end; whether any are.
#[inline(always)]
unsafe fn plan_jump(scratch: *mut Scratch, total: u64, limit: u32) -> bool {
    // SAFETY: writes go to scratch memory.
    unsafe {
        let record = (&raw mut (*scratch).record).cast::<Exec>();
        let kept = u64::from(limit / 2).next_multiple_of(CHUNK);
        let tail = (total & !(CHUNK - 1)).wrapping_sub(kept);
        let worth_it = total > 2 * kept + CHUNK;
        set!(scratch, jump_at, if worth_it { kept } else { u64::MAX });
        set!(scratch, jump_to, tail);
        if worth_it {
            (*record).cut |= cut::ARGV_MIDDLE;
        }
        worth_it
    }
}

/// Copies the strings that an array of pointers, ended by a null one, points to. The array's
/// entries are of [`Work::pointer_size`](scratch::Work) bytes, 4 or 8. A string that cannot be
/// read (its page is not resident) is noted, and stands as an empty one.
///
/// # Safety
/// `scratch` comes from [`scratch::take`].
#[inline(always)]
pub(crate) unsafe fn array(
    scratch: *mut Scratch,
    slot: Slot,
    stream: Stream,
    space: Space,
    array: u64,
) -> Sent {
    // SAFETY: every write is to `scratch`, at masked offsets.
    unsafe {
        let record = (&raw mut (*scratch).record).cast::<Exec>();
        let base = get!(scratch, end);
        set!(scratch, pointers, array);
        set!(scratch, within, 0);
        set!(scratch, done, 0);
        set!(scratch, chunks, 0);
        set!(scratch, count, 0);
        set!(scratch, pending, 0);
        set!(scratch, errors, 0);
        set!(scratch, complete, 0);

        set!(scratch, base, base);
        for _ in 0..ARRAY_ROUNDS / BATCH {
            if next_strings(slot as u32, stream as u32, space as u32) == 0 {
                set!(scratch, complete, 1);
                break;
            }
        }

        if get!(scratch, complete) == 0 {
            (*record).cut |= cut_end(stream);
        }
        if matches!(stream, Stream::Argv) {
            (*record).argc = get!(scratch, count);
        }
        let tail = get!(scratch, pending) & (CHUNK as u32 - 1);
        set!(scratch, end, base + tail);
        Sent { total: get!(scratch, done) as u32 + tail, tail }
    }
}

/// A batch of [`next_string`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn next_strings(slot: u32, stream: u32, space: u32) -> u32 {
    for _ in 0..BATCH {
        if next_string(slot, stream, space) == 0 {
            return 0;
        }
    }
    1
}

/// Copies one string, or 4,095 bytes of a longer one; 0 at the end of the array.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn next_string(slot: u32, stream: u32, space: u32) -> u32 {
    let Some(scratch) = scratch::by_number(slot) else { return 0 };
    let stream = if stream == Stream::Argv as u32 { Stream::Argv } else { Stream::Env };
    let space = if space == Space::User as u32 { Space::User } else { Space::Kernel };
    // SAFETY: every write is to `scratch`, at masked offsets.
    unsafe {
        let record = (&raw mut (*scratch).record).cast::<Exec>();
        let mut string = 0_u64;
        let entry = get!(scratch, pointers);
        let size = get!(scratch, pointer_size);
        let err = match size {
            4 => kernel::copy(space, (&raw mut string).cast(), 4, entry),
            _ => kernel::copy(space, (&raw mut string).cast(), 8, entry),
        };
        if err != 0 {
            (*record).missing |= missing(stream);
            return 0;
        }
        if string == 0 {
            return 0;
        }
        let base = get!(scratch, base);
        let within = get!(scratch, within);
        let mut pending = get!(scratch, pending);
        let to = scratch::at(scratch, base + (pending & (CHUNK as u32 - 1)));
        let len = kernel::copy_str(space, to, CHUNK_BYTES as u32, string + within);
        if len == CHUNK as i64 {
            // Cut, or of just that length: then the next round reads its end, an empty string.
            pending += CHUNK as u32 - 1;
            set!(scratch, within, within + CHUNK - 1);
        } else {
            if len > 0 {
                pending += len as u32;
            } else if len == 0 {
                // Empty, see `kernel::copy_str`.
                to.write_volatile(0);
                pending += 1;
            } else {
                // The helper has cleared the destination: an empty string.
                unreadable(record, stream, get!(scratch, count));
                pending += 1;
            }
            set!(scratch, within, 0);
            set!(scratch, pointers, entry + u64::from(size));
            set!(scratch, count, get!(scratch, count) + 1);
        }
        if pending >= CHUNK as u32 {
            let start = scratch::at(scratch, base);
            emit::chunk(scratch, stream, Space::Kernel, start as u64);
            kernel::copy(Space::Kernel, start, CHUNK as u32, start.add(CHUNK_BYTES) as u64);
            pending -= CHUNK as u32;
        }
        set!(scratch, pending, pending);
    }
    1
}

/// Notes that a string could not be read.
#[inline(always)]
unsafe fn unreadable(record: *mut Exec, stream: Stream, index: u32) {
    // SAFETY: the index is masked to the array's length.
    unsafe {
        match stream {
            Stream::Argv => {
                let count = (&raw const (*record).unreadable_count).read_volatile();
                if count < MAX_UNREADABLE as u32 {
                    let place = (count & (MAX_UNREADABLE as u32 - 1)) as usize;
                    (&raw mut (*record).unreadable).cast::<u32>().add(place).write_volatile(index);
                }
                (&raw mut (*record).unreadable_count).write_volatile(count + 1);
            }
            Stream::Env => (*record).missing |= field::ENV,
        }
    }
}
