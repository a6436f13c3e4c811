//! Working memory: a record under construction, and the state of loops, in a block that one hit has for itself.
//!
//! Programs nest on a CPU: an interrupt hits another probe, or, where programs can be preempted, another task does.
//! So blocks are not programs' but hits': a hit takes one that is free. Nothing runs at the same time on one CPU,
//! which makes a plain count enough, without an instruction that adds and fetches (5.10 has none):
//!
//! ```text
//! taken[i] += 1          in one instruction
//! taken[i] == 1?         mine; else taken[i] -= 1, and the next one
//! ```
//!
//! Two hits cannot both see 1: the one that adds second sees at least 2, unless the first has given up. Both may see
//! 2 and go on to the next block, which costs nothing but that.
//!
//! Before 5.12 there is one block, since programs were not kept from nesting in themselves there, and a number could
//! be given to two events: what nests is counted ([`counter::BUSY`]) as newer kernels do by themselves.

use core::arch::asm;

use tracer_common::{
    aggregate::{Calls, Key},
    probe::{MAX_FRAMES, MAX_TEXT, MAX_VALUES, Probe, counter},
};

use crate::{
    emit,
    maps::{BLOCKS, TAKEN, knob},
};

/// Most blocks per CPU.
pub(crate) const MAX_BLOCKS: u32 = 8;

/// Bytes of a stack.
pub(crate) const STACK: usize = MAX_FRAMES * 8;

/// Offsets of variable parts are below this.
pub(crate) const OFFSET_MASK: u32 = 0x1fff;
/// Longest variable part that is written at once.
const PART: usize = 1024;
const RECORD: usize = OFFSET_MASK as usize + 1 + PART;
const _: () = assert!(
    size_of::<Probe>() + 2 * STACK + MAX_VALUES * (MAX_TEXT + 2) <= OFFSET_MASK as usize && STACK <= PART
);

/// One block.
#[repr(C)]
pub(crate) struct Block {
    pub(crate) record: [u8; RECORD],
    pub(crate) work: Work,
}

/// What a hit brings, and the state of loops.
#[repr(C)]
pub(crate) struct Work {
    /// The context: registers, or a tracepoint's record.
    pub(crate) ctx: u64,
    /// Where on the stack the call is known by; 0: not known.
    pub(crate) at: u64,
    /// Which sort of place `at` is: calls of different sorts are not compared.
    pub(crate) class: u64,
    pub(crate) result: u64,
    pub(crate) arguments: [u64; 16],
    pub(crate) point: u64,
    /// One of [`moment`].
    pub(crate) moment: u64,
    /// What [`crate::operand`] has found.
    pub(crate) number: u64,
    pub(crate) text_at: u64,
    pub(crate) signed: u64,
    pub(crate) cut: u64,
    /// Next part of the key.
    pub(crate) key: Key,
    /// A text that is compared.
    pub(crate) text: [u64; 9],
    /// Never written: what a thread's calls begin with.
    pub(crate) fresh: Calls,
}

/// Which end of a call a hit is.
pub(crate) mod moment {
    pub(crate) const ENTRY: u64 = 0;
    pub(crate) const RETURN: u64 = 1;
}

/// Reads a member of [`Work`], from memory.
macro_rules! get {
    ($block:expr, $member:ident) => {
        (&raw const (*$block).work.$member).read_volatile()
    };
}
pub(crate) use get;

/// Writes a member of [`Work`], to memory.
macro_rules! set {
    ($block:expr, $member:ident, $value:expr) => {
        (&raw mut (*$block).work.$member).write_volatile($value)
    };
}
pub(crate) use set;

/// Takes a block for this hit, and counts the hit if none is free.
#[inline(always)]
pub(crate) fn take() -> Option<u32> {
    let taken = TAKEN.get_ptr_mut(0)?.cast::<u64>();
    for index in 0..MAX_BLOCKS {
        if index >= knob!(blocks) {
            break;
        }
        // SAFETY: inside of the array.
        unsafe {
            let count = taken.add(within::<7>(u64::from(index)));
            emit::add(count, 1);
            if count.read_volatile() == 1 {
                return Some(index);
            }
            emit::add(count, -1);
        }
    }
    emit::counter(counter::BUSY, 1);
    None
}

/// Gives the block back.
#[inline(always)]
pub(crate) fn give_back(index: u32) {
    if index < MAX_BLOCKS
        && let Some(taken) = TAKEN.get_ptr_mut(0)
    {
        // SAFETY: inside of the array.
        unsafe { emit::add(taken.cast::<u64>().add(within::<7>(u64::from(index))), -1) };
    }
}

/// This CPU's block of that number.
#[inline(always)]
pub(crate) fn block(index: u32) -> Option<*mut Block> {
    BLOCKS.get_ptr_mut(index)
}

/// The record under construction.
#[inline(always)]
pub(crate) fn record(block: *mut Block) -> *mut Probe {
    block.cast()
}

/// Address of the record's byte at `offset`, which is masked so that the verifier sees its bound.
///
/// # Safety
/// `block` comes from [`block`].
#[inline(always)]
pub(crate) unsafe fn at(block: *mut Block, offset: u32) -> *mut u8 {
    // SAFETY: OFFSET_MASK is inside of the record.
    unsafe { block.cast::<u8>().add(within::<{ OFFSET_MASK as i32 }>(u64::from(offset))) }
}

/// Where the record's texts begin.
///
/// # Safety
/// `block` comes from [`block`], and its record has the lengths of its stacks.
#[inline(always)]
pub(crate) unsafe fn texts(block: *mut Block) -> u32 {
    // SAFETY: as the caller promises.
    unsafe {
        let record = record(block);
        let len = |len: i32| if len > 0 { len as u32 } else { 0 };
        size_of::<Probe>() as u32 + len((*record).kernel_stack_len) + len((*record).user_stack_len)
    }
}

/// The number, of which only these low bits count: an index whose bound the verifier sees. In assembly, since the
/// compiler drops a mask where it knows a bound that the verifier does not.
#[inline(always)]
pub(crate) fn within<const MASK: i32>(number: u64) -> usize {
    let mut number = number;
    // SAFETY: arithmetic.
    unsafe { asm!("{number} &= {mask}", number = inout(reg) number, mask = const MASK) };
    number as usize
}
