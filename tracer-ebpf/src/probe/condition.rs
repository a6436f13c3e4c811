//! The filter over values: its tests, one after the other, each of which says where to go on.

use tracer_common::probe::{
    FAIL, MAX_CONSTANT, MAX_TESTS, PASS, Test, Text, compare, counter, operand as which,
};

use crate::{
    emit,
    kernel::{self, Space},
    maps::POINTS,
    operand::{found, operand},
    scratch::{self, Block, get, within},
};

/// Does the hit pass its point's filter?
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn passes(index: u32) -> u32 {
    let Some(block) = scratch::block(index) else { return 0 };
    // SAFETY: `block` is working memory, `spec` a map's value.
    let len = unsafe {
        let Some(spec) = POINTS.get_ptr(get!(block, point) as u32) else { return 0 };
        (*spec).filter.len
    };
    if len == 0 {
        return 1;
    }
    let mut at = 0;
    for _ in 0..MAX_TESTS {
        at = test(index, at) & 0xff;
        if at == u32::from(PASS) {
            return 1;
        }
        if at == u32::from(FAIL) {
            return 0;
        }
    }
    0
}

/// Makes one test: the number of the next one, or [`PASS`], or [`FAIL`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn test(index: u32, at: u32) -> u32 {
    let Some(block) = scratch::block(index) else { return u32::from(FAIL) };
    if at >= MAX_TESTS as u32 {
        return u32::from(FAIL);
    }
    // SAFETY: `block` is working memory, `spec` a map's value, and `at` below the number of its tests.
    unsafe {
        let Some(spec) = POINTS.get_ptr(get!(block, point) as u32) else { return u32::from(FAIL) };
        let test = (&raw const (*spec).filter.tests).cast::<Test>().add(within::<31>(at.into()));
        let left = operand(index, u32::from((*test).left));
        if left == found::NOTHING {
            emit::counter(counter::UNREADABLE, 1);
            return u32::from(FAIL);
        }
        let holds = if (*test).compare >= compare::TEXT_EQ {
            let texts = (&raw const (*spec).filter.texts).cast::<Text>();
            let constant = texts.add(within::<3>((*test).right.into()));
            text_holds((*test).compare, block, constant)
        } else {
            let value = get!(block, number);
            let mut right = (*test).constant;
            if (*test).right != which::CONSTANT {
                if operand(index, u32::from((*test).right)) == found::NOTHING {
                    emit::counter(counter::UNREADABLE, 1);
                    return u32::from(FAIL);
                }
                right = get!(block, number);
            }
            number_holds((*test).compare, value & (*test).mask, right)
        };
        u32::from(if holds { (*test).then } else { (*test).otherwise })
    }
}

#[inline(always)]
fn number_holds(how: u8, left: u64, right: u64) -> bool {
    let (signed_left, signed_right) = (left as i64, right as i64);
    match how {
        compare::EQ => left == right,
        compare::NE => left != right,
        compare::LT => signed_left < signed_right,
        compare::LE => signed_left <= signed_right,
        compare::GT => signed_left > signed_right,
        compare::GE => signed_left >= signed_right,
        compare::BELOW => left < right,
        compare::BELOW_EQ => left <= right,
        compare::ABOVE => left > right,
        _ => left >= right,
    }
}

/// Compares the text that was found with a constant, eight bytes at a time.
#[inline(always)]
unsafe fn text_holds(how: u8, block: *mut Block, constant: *const Text) -> bool {
    // SAFETY: `block` is working memory, `constant` inside of a map's value; the copy has the array's size.
    unsafe {
        let (len, wanted) = (get!(block, number), u64::from((*constant).len));
        let text = (&raw mut (*block).work.text).cast::<u64>();
        let from = scratch::at(block, get!(block, text_at) as u32);
        if kernel::copy(Space::Kernel, text.cast(), MAX_CONSTANT as u32, from as u64) != 0 {
            return false;
        }
        let bytes = (&raw const (*constant).bytes).cast::<u64>();
        let mut differs = 0;
        for word in 0..(MAX_CONSTANT / 8) as u64 {
            let left = wanted.saturating_sub(word * 8);
            let mask = if left >= 8 { u64::MAX } else { (1_u64 << ((left * 8) & 63)) - 1 };
            let (a, b) = (text.add(word as usize), bytes.add(word as usize));
            differs |= (a.read_volatile() ^ b.read_unaligned()) & mask;
        }
        let begins = differs == 0 && len >= wanted;
        let is = begins && len == wanted && get!(block, cut) == 0;
        match how {
            compare::TEXT_EQ => is,
            compare::TEXT_NE => !is,
            _ => begins,
        }
    }
}
