//! Both programs do the same: an interpreter runs random ones before and after.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::{
    object::{DataKind, Insn, MapId, MapKind, Object, pseudo},
    object::{KernelFeatures, KernelVersion, Symbols, Target, sample::Sample},
};

/// The value of the map of constants.
const VALUES: [u8; 32] = [
    1, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 7, 0, 0, 0, 0, 0, 0, 0x80, 3, 2, 1, 0, 0xfe, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff,
];

/// An instruction.
fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn { code, dst, src, off, imm }
}

fn mov(dst: u8, imm: i32) -> Insn {
    insn(0xb7, dst, 0, 0, imm)
}

/// The address of a constant.
fn address(dst: u8, offset: i32) -> [Insn; 2] {
    [insn(0x18, dst, pseudo::MAP_VALUE, 0, 0), insn(0, 0, 0, 0, offset)]
}

const EXIT: Insn = Insn { code: 0x95, dst: 0, src: 0, off: 0, imm: 0 };
