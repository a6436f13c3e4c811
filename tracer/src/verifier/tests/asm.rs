//! An assembler of functions: each gives one instruction, or both slots of a 64-bit constant.

use super::super::insn::Insn;

const fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn { code, dst, src, off, imm }
}

/// Access sizes: the size bits of loads and stores.
pub(super) const B: u8 = 0x10;
pub(super) const W: u8 = 0x00;
pub(super) const DW: u8 = 0x18;

/// Comparisons: the operation bits.
pub(super) const JEQ: u8 = 0x10;
pub(super) const JGT: u8 = 0x20;
pub(super) const JNE: u8 = 0x50;
pub(super) const JLT: u8 = 0xa0;

/// Arithmetic: the operation bits.
pub(super) const ADD: u8 = 0x00;
pub(super) const AND: u8 = 0x50;

pub(super) const fn mov(dst: u8, imm: i32) -> Insn {
    insn(0xb7, dst, 0, 0, imm)
}

pub(super) const fn movr(dst: u8, src: u8) -> Insn {
    insn(0xbf, dst, src, 0, 0)
}

pub(super) const fn alu(op: u8, dst: u8, imm: i32) -> Insn {
    insn(0x07 | op, dst, 0, 0, imm)
}

pub(super) const fn alur(op: u8, dst: u8, src: u8) -> Insn {
    insn(0x0f | op, dst, src, 0, 0)
}

pub(super) const fn ldx(size: u8, dst: u8, src: u8, off: i16) -> Insn {
    insn(0x61 | size, dst, src, off, 0)
}

pub(super) const fn stx(size: u8, dst: u8, off: i16, src: u8) -> Insn {
    insn(0x63 | size, dst, src, off, 0)
}

pub(super) const fn st(size: u8, dst: u8, off: i16, imm: i32) -> Insn {
    insn(0x62 | size, dst, 0, off, imm)
}

pub(super) const fn jmp(op: u8, dst: u8, imm: i32, off: i16) -> Insn {
    insn(0x05 | op, dst, 0, off, imm)
}

pub(super) const fn ja(off: i16) -> Insn {
    insn(0x05, 0, 0, off, 0)
}

pub(super) const fn call(helper: i32) -> Insn {
    insn(0x85, 0, 0, 0, helper)
}

pub(super) const fn call_sub(distance: i32) -> Insn {
    insn(0x85, 0, 1, 0, distance)
}

pub(super) const fn exit() -> Insn {
    insn(0x95, 0, 0, 0, 0)
}

pub(super) const fn map(dst: u8, handle: i32) -> [Insn; 2] {
    [insn(0x18, dst, 1, 0, handle), insn(0, 0, 0, 0, 0)]
}

pub(super) const fn map_value(dst: u8, handle: i32, off: i32) -> [Insn; 2] {
    [insn(0x18, dst, 2, 0, handle), insn(0, 0, 0, 0, off)]
}
