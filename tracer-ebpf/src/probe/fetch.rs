//! One value of a point: from where it starts, through pointers, to a number or a text in the record.

use aya_ebpf::helpers::bpf_get_current_task;
use tracer_common::probe::{Fetch, MAX_STEPS, MAX_TEXT, MAX_VALUES, PointSpec, fetch, point, read, source};

use crate::{
    kernel::{self, Space},
    maps::POINTS,
    scratch::{self, Block, get, moment, within},
};

/// Arguments of a function that come in registers (x86-64); the others lie on the stack, above the return address.
const IN_REGISTERS: u64 = 6;

/// Reads the values of this moment into the record.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn read_values(index: u32) -> u32 {
    let Some(block) = scratch::block(index) else { return 0 };
    // SAFETY: `block` is working memory, `spec` a map's value.
    unsafe {
        let Some(spec) = POINTS.get_ptr(get!(block, point) as u32) else { return 0 };
        let values = (*spec).values;
        for i in 0..MAX_VALUES as u32 {
            if i >= values {
                break;
            }
            read_value(index, i);
        }
    }
    0
}

/// Reads one value, if this is its moment.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn read_value(index: u32, i: u32) -> u32 {
    let Some(block) = scratch::block(index) else { return 0 };
    if i >= MAX_VALUES as u32 {
        return 0;
    }
    // SAFETY: `block` is working memory, `spec` a map's value, `i` below the number of its values.
    unsafe {
        let Some(spec) = POINTS.get_ptr(get!(block, point) as u32) else { return 0 };
        let how = (&raw const (*spec).fetches).cast::<Fetch>().add(within::<15>(i.into()));
        if !is_now(block, spec, how) {
            return 0;
        }
        let Some(at) = address(block, how) else {
            (*scratch::record(block)).unreadable |= 1 << i;
            return 0;
        };
        let read = match (*how).read {
            read::VALUE => Some(number(how, at)),
            read::NUMBER => load(space(how, (*how).steps), at, (*how).size).map(|raw| number(how, raw)),
            _ => text(block, how, at, i),
        };
        match read {
            Some(value) => {
                (&raw mut (*scratch::record(block)).values)
                    .cast::<u64>()
                    .add(i as usize)
                    .write_volatile(value);
            }
            None => (*scratch::record(block)).unreadable |= 1 << i,
        }
    }
    0
}

/// A point with one moment reads everything then.
#[inline(always)]
unsafe fn is_now(block: *mut Block, spec: *const PointSpec, how: *const Fetch) -> bool {
    // SAFETY: as in `read_value`.
    unsafe {
        let at_return = u64::from((*how).flags & fetch::AT_RETURN != 0);
        (*spec).flags & point::PAIRED == 0 || at_return == (get!(block, moment) & moment::RETURN)
    }
}

#[inline(always)]
unsafe fn space(how: *const Fetch, step: u8) -> Space {
    // SAFETY: as in `read_value`.
    if unsafe { (*how).user_steps } >> (step & 7) & 1 != 0 { Space::User } else { Space::Kernel }
}

/// A number of `size` bytes in memory.
#[inline(always)]
fn load(space: Space, at: u64, size: u8) -> Option<u64> {
    // Twice as much as is needed: as much as the verifier fears.
    let mut value = [0_u64; 2];
    if size == 0 || size > 8 {
        return None;
    }
    let size = within::<15>(size.into()) as u32;
    // SAFETY: the destination has 16 bytes.
    let err = unsafe { kernel::copy(space, (&raw mut value).cast(), size, at) };
    // SAFETY: the helper may have written it.
    (err == 0).then(|| unsafe { (&raw const value).cast::<u64>().read_volatile() })
}

/// Where the value lies, or the value itself.
#[inline(always)]
unsafe fn address(block: *mut Block, how: *const Fetch) -> Option<u64> {
    // SAFETY: as in `read_value`.
    unsafe {
        let mut at = match (*how).source {
            source::ARGUMENT => argument(block, u64::from((*how).index))?,
            source::RESULT => get!(block, result),
            source::RECORD => get!(block, ctx),
            source::REGISTER => load(Space::Kernel, get!(block, ctx) + u64::from((*how).index) * 8, 8)?,
            source::TASK => bpf_get_current_task(),
            _ => return None,
        };
        let steps = (*how).steps;
        if usize::from(steps) > MAX_STEPS {
            return None;
        }
        let offsets = (&raw const (*how).offset).cast::<u32>();
        for step in 0..MAX_STEPS as u8 {
            if step >= steps {
                break;
            }
            at += u64::from(offsets.add(usize::from(step)).read_volatile());
            at = load(space(how, step), at, 8)?;
        }
        Some(at + u64::from(offsets.add(within::<7>(steps.into())).read_volatile()))
    }
}

/// An argument by number.
#[inline(always)]
unsafe fn argument(block: *mut Block, number: u64) -> Option<u64> {
    // SAFETY: as in `read_value`; the number is masked to the array's length.
    unsafe {
        if number >= IN_REGISTERS && get!(block, class) == crate::calls::class::STACK_POINTER {
            return load(Space::Kernel, get!(block, at) + 8 + (number - IN_REGISTERS) * 8, 8);
        }
        let arguments = (&raw const (*block).work.arguments).cast::<u64>();
        Some(arguments.add(within::<15>(number)).read_volatile())
    }
}

/// The number that these bytes are: its size, its order, its bits, its sign.
#[inline(always)]
unsafe fn number(how: *const Fetch, raw: u64) -> u64 {
    // SAFETY: as in `read_value`.
    unsafe {
        let size = u64::from((*how).size);
        let mut width = if (1..=8).contains(&size) { size * 8 } else { 64 };
        let mut value = raw;
        if (*how).flags & fetch::BIG_ENDIAN != 0 {
            value = value.swap_bytes() >> ((64 - width) & 63);
        }
        let bits = u64::from((*how).bits);
        if bits != 0 && bits <= 64 {
            value >>= u64::from((*how).shift & 63);
            width = bits;
        }
        let unused = (64 - width) & 63;
        value <<= unused;
        if (*how).flags & fetch::SIGNED != 0 { ((value as i64) >> unused) as u64 } else { value >> unused }
    }
}

/// Appends a text to the record: its place and length.
#[inline(always)]
unsafe fn text(block: *mut Block, how: *const Fetch, at: u64, i: u32) -> Option<u64> {
    // SAFETY: as in `read_value`; the destination is inside of the record with room for the longest text.
    unsafe {
        let record = scratch::record(block);
        let mut limit = u32::from((*how).limit);
        if limit > MAX_TEXT as u32 {
            limit = MAX_TEXT as u32;
        }
        let kind = (*how).read;
        let from = match kind {
            read::TEXT | read::ARRAY => at,
            _ => {
                let place = load(Space::Kernel, at, 4)? & 0xffff;
                if kind == read::DATA_LOC { get!(block, ctx) + place } else { at + 4 + place }
            }
        };
        // With the NUL, and, but for an array, one byte more: then a text of the limit's length is told from a
        // longer one.
        let room = if kind == read::ARRAY { limit + 1 } else { limit + 2 };
        let start = (*record).text_len;
        let to = scratch::at(block, scratch::texts(block) + start);
        let room = within::<511>(room.into()) as u32;
        let got = kernel::copy_str(space(how, (*how).steps), to, room, from);
        if got < 0 {
            return None;
        }
        // An empty text in user memory counts no byte (`kernel::copy_str`).
        let mut len = if got > 0 { got as u32 - 1 } else { 0 };
        if len > limit {
            len = limit;
            (*record).cut |= 1 << i;
        }
        (*record).text_len = start + len;
        Some(u64::from(start) | u64::from(len) << 32)
    }
}
