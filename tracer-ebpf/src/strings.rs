//! Arguments and environment: whole, in numbered chunks, the rest in the record itself.
//!
//! After a successful exec they lie contiguous in the new image. Before that they are an array of
//! pointers in the caller's memory.
//!
//! The rounds of each loop are bounded for the verifier, and have to be cheap for it:
//! - each round leaves it in the same state, so that paths merge: what varies is kept in scratch
//!   memory (see [`crate::scratch`]). A round that computed the length of its copy would fork the
//!   paths, and the kernel would give up after 1,000,000 instructions;
//! - each round has few branches whose outcome it cannot know, since all of them stay open until
//!   the last round is done, and the kernel keeps 8,192 at the most
//!   (`BPF_COMPLEXITY_LIMIT_JMP_SEQ`, kernel/bpf/verifier.c). Hence the arithmetic where one would
//!   expect conditions.

use core::hint::black_box;

use tracer_common::{CHUNK_BYTES, Exec, MAX_UNREADABLE, Stream, cut, field};

use crate::{
    emit,
    kernel::{self, Space},
    maps::knob,
    scratch::{self, Scratch, get, set},
};

/// Rounds for contiguous strings: 6 MiB, the most that the kernel takes as arguments and
/// environment together (fs/exec.c, `bprm_stack_limits`: three quarters of `_STK_LIM`).
const CONTIGUOUS_ROUNDS: u32 = 6 * 1024 * 1024 / CHUNK_BYTES as u32;
/// Rounds for arrays: a string of up to 4,095 bytes each.
const ARRAY_ROUNDS: u32 = 1600;

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

/// When the environment is wanted too, both streams share the branches that the kernel keeps open.
#[inline(always)]
fn rounds(alone: u32) -> u32 {
    if knob!(env) != 0 { alone / 2 } else { alone }
}

/// Copies the strings between two addresses of the new image.
///
/// # Safety
/// `scratch` comes from [`scratch::take`].
#[inline(always)]
pub(crate) unsafe fn contiguous(scratch: *mut Scratch, stream: Stream, start: u64, end: u64) -> Sent {
    // SAFETY: every write is to `scratch`, at masked offsets.
    unsafe {
        let record = (&raw mut (*scratch).record).cast::<Exec>();
        let total = end - start;
        set!(scratch, from, start);
        set!(scratch, until, end);
        set!(scratch, done, 0);
        set!(scratch, chunks, 0);
        set!(scratch, errors, 0);

        let limited = matches!(stream, Stream::Argv) && knob!(max_argv_bytes) != 0;
        if limited {
            plan_jump(scratch, total);
        }
        for _ in 0..rounds(CONTIGUOUS_ROUNDS) {
            let mut from = get!(scratch, from);
            if get!(scratch, until) - from < CHUNK {
                break;
            }
            if limited && get!(scratch, done) == get!(scratch, jump_at) {
                let to = get!(scratch, jump_to);
                from = from + to - get!(scratch, done);
                set!(scratch, done, to);
            }
            emit::chunk(scratch, stream, Space::User, from);
            set!(scratch, from, from + CHUNK);
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
/// the user's limit is kept at either end.
#[inline(always)]
unsafe fn plan_jump(scratch: *mut Scratch, total: u64) {
    // SAFETY: writes go to scratch memory.
    unsafe {
        let record = (&raw mut (*scratch).record).cast::<Exec>();
        let kept = u64::from(knob!(max_argv_bytes) / 2).next_multiple_of(CHUNK);
        let tail = (total & !(CHUNK - 1)).wrapping_sub(kept);
        let worth_it = total > 2 * kept + CHUNK;
        set!(scratch, jump_at, if worth_it { kept } else { u64::MAX });
        set!(scratch, jump_to, tail);
        if worth_it {
            (*record).cut |= cut::ARGV_MIDDLE;
        }
    }
}

/// Copies the strings that an array of pointers, ended by a null one, points to. The array's
/// entries are of [`Work::pointer_size`](scratch::Work) bytes, 4 or 8. A string that cannot be
/// read (its page is not resident) is noted, and stands as an empty one.
///
/// # Safety
/// `scratch` comes from [`scratch::take`].
#[inline(always)]
pub(crate) unsafe fn array(scratch: *mut Scratch, stream: Stream, space: Space, array: u64) -> Sent {
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

        for _ in 0..rounds(ARRAY_ROUNDS) {
            if !round(scratch, stream, space, base) {
                set!(scratch, complete, 1);
                break;
            }
        }

        if get!(scratch, complete) == 0 {
            (*record).cut |= cut_end(stream);
        }
        if get!(scratch, errors) != 0 {
            (*record).missing |= missing(stream);
        }
        if matches!(stream, Stream::Argv) {
            (*record).argc = get!(scratch, count);
        }
        let tail = get!(scratch, pending) & (CHUNK as u32 - 1);
        set!(scratch, end, base + tail);
        Sent { total: get!(scratch, done) as u32 + tail, tail }
    }
}

/// One string, or 4,095 bytes of a longer one; `false` at the end.
///
/// Four branches: is this the end, could the string not be read, is a chunk full, is there no room
/// for it in the ring.
#[inline(always)]
unsafe fn round(scratch: *mut Scratch, stream: Stream, space: Space, base: u32) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        let record = (&raw mut (*scratch).record).cast::<Exec>();
        let mut pointer = 0_u64;
        let size = get!(scratch, pointer_size) & 8 | get!(scratch, pointer_size) & 4;
        let err = kernel::copy(space, (&raw mut pointer).cast(), size, get!(scratch, pointers));
        set!(scratch, errors, get!(scratch, errors) | err);
        let pointer = black_box(pointer);
        if pointer == 0 {
            return false;
        }
        let within = get!(scratch, within);
        let pending = get!(scratch, pending);
        let to = scratch::at(scratch, base + (pending & (CHUNK as u32 - 1)));
        let len = kernel::copy_str(space, to, CHUNK_BYTES as u32, pointer + within);
        let mut len = black_box(len as u32);
        if len as i32 <= 0 {
            // The helper has cleared the destination: an empty string.
            unreadable(record, stream, get!(scratch, count));
            len = 1;
        }
        // 1 if the string was cut, or is of just that length: then the next round reads its end,
        // an empty string. Its NUL is not kept in either case.
        let whole = black_box(len >> 12 & 1);
        let next = u64::from(black_box(whole ^ 1));
        set!(scratch, within, (within + CHUNK - 1) & next.wrapping_sub(1));
        set!(scratch, pointers, get!(scratch, pointers) + next * u64::from(size));
        set!(scratch, count, get!(scratch, count) + next as u32);
        let pending = pending + len - whole;
        set!(scratch, pending, pending);
        if pending >= CHUNK as u32 {
            let start = scratch::at(scratch, base);
            emit::chunk(scratch, stream, Space::Kernel, start as u64);
            kernel::copy(Space::Kernel, start, CHUNK as u32, start.add(CHUNK_BYTES) as u64);
            set!(scratch, pending, get!(scratch, pending) - CHUNK as u32);
        }
        true
    }
}

/// Notes that a string could not be read.
#[inline(always)]
unsafe fn unreadable(record: *mut Exec, stream: Stream, index: u32) {
    // SAFETY: the index is masked to the array's length.
    unsafe {
        match stream {
            Stream::Argv => {
                let count = (&raw const (*record).unreadable_count).read_volatile();
                let place = (count & (MAX_UNREADABLE as u32 - 1)) as usize;
                (&raw mut (*record).unreadable).cast::<u32>().add(place).write_volatile(index);
                (&raw mut (*record).unreadable_count).write_volatile(count + 1);
            }
            Stream::Env => (*record).missing |= field::ENV,
        }
    }
}
