//! Arguments and environment: whole, in numbered chunks, the rest in the record itself.
//!
//! After a successful exec they lie contiguous in the new image. Before that they are an array of
//! pointers in the caller's memory.
//!
//! The rounds of each loop are bounded for the verifier, and each round leaves it in the same
//! state: what varies is kept in scratch memory (see [`crate::scratch`]). A round that computed the
//! length of its copy would fork the paths, and the kernel would give up after 1,000,000
//! instructions.

use tracer_common::{CHUNK_BYTES, Exec, MAX_UNREADABLE, Stream, cut, field};

use crate::{
    emit,
    kernel::{self, Space},
    maps::knob,
    scratch::{self, Scratch, get, set},
};

/// Rounds for contiguous strings: 6 MiB, the most that the kernel takes as arguments
/// (fs/exec.c, `bprm_stack_limits`: three quarters of `_STK_LIM`).
const CONTIGUOUS_ROUNDS: u32 = 6 * 1024 * 1024 / CHUNK_BYTES as u32;
/// Rounds for arrays: a string of up to 4,095 bytes each.
const ARRAY_ROUNDS: u32 = 2048;

const CHUNK: u64 = CHUNK_BYTES as u64;

/// Copies the strings between two addresses of the new image. Returns the length of the stream.
///
/// # Safety
/// `scratch` comes from [`scratch::take`].
#[inline(always)]
pub(crate) unsafe fn contiguous(scratch: *mut Scratch, stream: Stream, start: u64, end: u64) -> Sent {
    // SAFETY: every write is to `scratch`, at masked offsets.
    unsafe {
        let record = (&raw mut (*scratch).record).cast::<Exec>();
        let total = end.wrapping_sub(start);
        set!(scratch, from, start);
        set!(scratch, until, end);
        set!(scratch, done, 0);
        set!(scratch, chunks, 0);

        let limit = u64::from(knob!(max_argv_bytes));
        let mut jump_at = u64::MAX;
        let mut jump_to = 0;
        if limit != 0 && matches!(stream, Stream::Argv) {
            // Whole chunks that hold at least half the limit at either end.
            let kept = (limit / 2).div_ceil(CHUNK) * CHUNK;
            let tail = (total & !(CHUNK - 1)).wrapping_sub(kept);
            if total > limit && total > 2 * kept + CHUNK {
                jump_at = kept;
                jump_to = tail;
                (*record).cut |= cut::ARGV_MIDDLE;
            }
        }
        set!(scratch, pointers, jump_at);
        set!(scratch, filename, jump_to);

        for _ in 0..CONTIGUOUS_ROUNDS {
            let mut from = get!(scratch, from);
            if get!(scratch, until).wrapping_sub(from) < CHUNK {
                break;
            }
            if get!(scratch, done) == get!(scratch, pointers) {
                let to = get!(scratch, filename);
                from = from + to - get!(scratch, done);
                set!(scratch, done, to);
            }
            emit::chunk(scratch, stream, Space::User, from);
            set!(scratch, from, from + CHUNK);
        }

        let at = get!(scratch, end);
        let left = (get!(scratch, until).wrapping_sub(get!(scratch, from)) & (CHUNK - 1)) as u32;
        if left != 0 {
            if kernel::copy(Space::User, scratch::at(scratch, at), left, get!(scratch, from)) {
                set!(scratch, end, at + left);
                return Sent { total: total as u32, tail: left };
            }
            (*record).missing |= missing(stream);
        }
        Sent { total: total as u32, tail: 0 }
    }
}

/// How much of a stream there is, and how much of it lies in the record itself.
pub(crate) struct Sent {
    pub(crate) total: u32,
    pub(crate) tail: u32,
}

#[inline(always)]
const fn missing(stream: Stream) -> u64 {
    match stream {
        Stream::Argv => field::ARGV,
        Stream::Env => field::ENV,
    }
}

/// Copies the strings that an array of pointers, ended by a null one, points to. The array's
/// entries are of `pointer_size` bytes, 4 or 8. A string that cannot be read (its page is not
/// resident) is noted, and stands as an empty one.
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
        set!(scratch, from, 0);
        set!(scratch, done, 0);
        set!(scratch, chunks, 0);
        set!(scratch, count, 0);
        set!(scratch, pending, 0);
        // Until the end of the array is seen, there may be more.
        set!(scratch, flags, 1);

        for _ in 0..ARRAY_ROUNDS {
            if !round(scratch, stream, space, base) {
                set!(scratch, flags, 0);
                break;
            }
        }

        if get!(scratch, flags) != 0 {
            (*record).cut |= match stream {
                Stream::Argv => cut::ARGV_END,
                Stream::Env => cut::ENV_END,
            };
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
#[inline(always)]
unsafe fn round(scratch: *mut Scratch, stream: Stream, space: Space, base: u32) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        let record = (&raw mut (*scratch).record).cast::<Exec>();
        let mut from = get!(scratch, from);
        if from == 0 {
            let pointer = &raw mut from;
            let at = get!(scratch, pointers);
            let read = if get!(scratch, pointer_size) == 4 {
                kernel::copy(space, pointer.cast(), 4, at)
            } else {
                kernel::copy(space, pointer.cast(), 8, at)
            };
            if !read {
                (*record).missing |= missing(stream);
                return false;
            }
            if from == 0 {
                return false;
            }
            set!(scratch, pointers, at + u64::from(get!(scratch, pointer_size)));
        }
        let pending = get!(scratch, pending);
        let to = scratch::at(scratch, base + (pending & (CHUNK as u32 - 1)));
        let len = kernel::copy_str(space, to, CHUNK_BYTES as u32, from);
        if len == CHUNK as i64 {
            // Cut (or of that very length: then the next round reads its end, an empty string).
            set!(scratch, from, from + CHUNK - 1);
            set!(scratch, pending, pending + CHUNK as u32 - 1);
        } else {
            let mut len = len as u32;
            if len == 0 || len > CHUNK as u32 {
                unreadable(record, stream, get!(scratch, count));
                *to = 0;
                len = 1;
            }
            set!(scratch, from, 0);
            set!(scratch, count, get!(scratch, count) + 1);
            set!(scratch, pending, pending + len);
        }
        if get!(scratch, pending) >= CHUNK as u32 {
            let start = scratch::at(scratch, base);
            emit::chunk(scratch, stream, Space::Kernel, start as u64);
            kernel::copy(Space::Kernel, start, CHUNK as u32, start.add(CHUNK_BYTES) as u64);
            set!(scratch, pending, get!(scratch, pending) - CHUNK as u32);
        }
        true
    }
}

/// Notes that an argument could not be read.
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
                (*record).unreadable_count = count + 1;
            }
            Stream::Env => (*record).missing |= field::ENV,
        }
    }
}
