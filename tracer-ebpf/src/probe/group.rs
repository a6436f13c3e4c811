//! Aggregations: a number per key, and bucket, in a map per CPU.

use tracer_common::{
    aggregate::{KEY_TEXT, Key, bucket, mode},
    probe::{MAX_KEYS, PointSpec, counter, operand as which},
};

use crate::{
    emit,
    kernel::{self, Space},
    maps::{GROUPS, POINTS, knob},
    operand::{found, operand},
    scratch::{self, Block, get, within},
};

/// Counts a hit under its key.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn group(index: u32) -> u32 {
    let Some(block) = scratch::block(index) else { return 0 };
    // SAFETY: `block` is working memory, `spec` a map's value.
    unsafe {
        let key = &raw mut (*block).work.key;
        for word in 0..size_of::<Key>() / 8 {
            key.cast::<u64>().add(word).write_volatile(0);
        }
        let Some(spec) = POINTS.get_ptr(get!(block, point) as u32) else { return 0 };
        let mut keyed = false;
        for part in 0..MAX_KEYS as u32 {
            let name = (&raw const (*spec).keys).cast::<u8>().add(within::<3>(part.into())).read_volatile();
            if name == which::CONSTANT {
                break;
            }
            keyed = true;
            key_part(index, part, u32::from(name));
        }
        if !keyed {
            (*key).point = get!(block, point) as u32;
        }
        if knob!(mode) != mode::GROUP && !measured(index, block, spec) {
            emit::counter(counter::UNREADABLE, 1);
            return 0;
        }
        count(key);
    }
    0
}

/// The bucket of what is measured; false if there is nothing to measure.
#[inline(always)]
unsafe fn measured(index: u32, block: *mut Block, spec: *const PointSpec) -> bool {
    // SAFETY: as in `group`.
    unsafe {
        if operand(index, u32::from((*spec).measure)) != found::NUMBER {
            return false;
        }
        (*block).work.key.bucket = if knob!(mode) == mode::LOG2 {
            power(index)
        } else {
            linear(get!(block, number), get!(block, signed) != 0)
        };
        true
    }
}

/// Adds one to a key's number; makes room for it if it is new.
#[inline(always)]
unsafe fn count(key: *mut Key) {
    const NOEXIST: u64 = 1;
    // SAFETY: `key` is working memory.
    unsafe {
        let key: &Key = &*key;
        if let Some(hits) = GROUPS.get_ptr_mut(key) {
            emit::count(hits);
            return;
        }
        if GROUPS.insert(key, 1, NOEXIST).is_ok() {
            return;
        }
        // Another CPU was first, or there is no room.
        match GROUPS.get_ptr_mut(key) {
            Some(hits) => emit::count(hits),
            None => emit::counter(counter::KEYS_FULL, 1),
        }
    }
}

/// Puts one part into the key.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn key_part(index: u32, part: u32, name: u32) -> u32 {
    if part >= MAX_KEYS as u32 {
        return 0;
    }
    let what = operand(index, name);
    let Some(block) = scratch::block(index) else { return 0 };
    // SAFETY: `block` is working memory; the copies are of the arrays' sizes.
    unsafe {
        let key = &raw mut (*block).work.key;
        let bit = 1_u16 << part;
        if what == found::NOTHING {
            (*key).unreadable |= bit;
            return 0;
        }
        let number = get!(block, number);
        (&raw mut (*key).parts).cast::<u64>().add(within::<3>(part.into())).write_volatile(number);
        if what == found::COMM {
            (*key).comms |= bit;
            let comm = (&raw const (*scratch::record(block)).comm) as u64;
            kernel::copy(Space::Kernel, (&raw mut (*key).comm).cast(), 16, comm);
        }
        if what == found::TEXT {
            (*key).texts |= bit;
            if get!(block, cut) != 0 {
                (*key).cut |= bit;
            }
            let mut len = number as u32;
            if len > KEY_TEXT as u32 {
                len = KEY_TEXT as u32;
            }
            let from = scratch::at(block, get!(block, text_at) as u32);
            let len = within::<127>(len.into()) as u32;
            kernel::copy(Space::Kernel, (&raw mut (*key).text).cast(), len, from as u64);
        }
    }
    0
}

/// The bucket by powers of two.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn power(index: u32) -> u32 {
    let Some(block) = scratch::block(index) else { return 0 };
    // SAFETY: `block` is working memory.
    let (mut value, signed) = unsafe { (get!(block, number), get!(block, signed)) };
    if value == 0 {
        return bucket::ZERO;
    }
    if signed != 0 && (value as i64) < 0 {
        return bucket::NEGATIVE;
    }
    let mut log = 0;
    for bits in [32, 16, 8, 4, 2, 1] {
        if value >> bits != 0 {
            value >>= bits;
            log += bits;
        }
    }
    bucket::ZERO + 1 + log
}

/// The bucket of equal width.
#[inline(always)]
fn linear(value: u64, signed: bool) -> u32 {
    let (from, step, buckets) = (knob!(linear_from), knob!(linear_step), knob!(linear_buckets));
    let above = buckets as u32 + 1;
    if !signed && (value as i64) < 0 {
        return above;
    }
    if (value as i64) < (from as i64) {
        return bucket::BELOW;
    }
    // Not negative, and below 2^64.
    let place = value.wrapping_sub(from).checked_div(step).unwrap_or(0);
    if place >= buckets { above } else { place as u32 + 1 }
}
