//! Instructions in the making, with jumps to places that are not there yet.
//!
//! It judges nothing: a jump to a label that is never put lands at the next instruction.

use crate::verifier::Insn;

/// A place in the program, known once it has been put.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Label(usize);

/// Where an instruction keeps its distance.
#[derive(Clone, Copy)]
enum Distance {
    Off,
    Imm,
}

/// Operation bits.
pub(super) mod op {
    pub(in super::super) const ADD: u8 = 0x00;
    pub(in super::super) const SUB: u8 = 0x10;
    pub(in super::super) const MUL: u8 = 0x20;
    pub(in super::super) const DIV: u8 = 0x30;
    pub(in super::super) const OR: u8 = 0x40;
    pub(in super::super) const AND: u8 = 0x50;
    pub(in super::super) const LSH: u8 = 0x60;
    pub(in super::super) const RSH: u8 = 0x70;
    pub(in super::super) const NEG: u8 = 0x80;
    pub(in super::super) const MOD: u8 = 0x90;
    pub(in super::super) const XOR: u8 = 0xa0;
    pub(in super::super) const MOV: u8 = 0xb0;
    pub(in super::super) const ARSH: u8 = 0xc0;
    pub(in super::super) const END: u8 = 0xd0;

    pub(in super::super) const JEQ: u8 = 0x10;
    pub(in super::super) const JGT: u8 = 0x20;
    pub(in super::super) const JGE: u8 = 0x30;
    pub(in super::super) const JSET: u8 = 0x40;
    pub(in super::super) const JNE: u8 = 0x50;
    pub(in super::super) const JSGT: u8 = 0x60;
    pub(in super::super) const JSGE: u8 = 0x70;
    pub(in super::super) const JLT: u8 = 0xa0;
    pub(in super::super) const JLE: u8 = 0xb0;
    pub(in super::super) const JSLT: u8 = 0xc0;
    pub(in super::super) const JSLE: u8 = 0xd0;
}

/// Classes of arithmetic and comparisons, by width.
pub(super) const ALU32: u8 = 4;
pub(super) const ALU64: u8 = 7;
pub(super) const JMP: u8 = 5;
pub(super) const JMP32: u8 = 6;

/// The size bits of an access.
pub(super) const fn size_bits(bytes: i32) -> u8 {
    match bytes {
        1 => 0x10,
        2 => 0x08,
        4 => 0x00,
        _ => 0x18,
    }
}

/// A program in the making.
#[derive(Default)]
pub(super) struct Code {
    pub(super) insns: Vec<Insn>,
    labels: Vec<Option<usize>>,
    open: Vec<(usize, Label, Distance)>,
}

impl Code {
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    pub(super) fn put(&mut self, label: Label) {
        self.labels[label.0] = Some(self.insns.len());
    }

    pub(super) fn at(&self, label: Label) -> Option<usize> {
        self.labels[label.0]
    }

    pub(super) fn raw(&mut self, code: u8, dst: u8, src: u8, off: i16, imm: i32) {
        self.insns.push(Insn { code, dst, src, off, imm });
    }

    pub(super) fn mov(&mut self, dst: u8, imm: i32) {
        self.raw(0xb7, dst, 0, 0, imm);
    }

    pub(super) fn mov_reg(&mut self, dst: u8, src: u8) {
        self.raw(0xbf, dst, src, 0, 0);
    }

    pub(super) fn add(&mut self, dst: u8, imm: i32) {
        self.raw(0x07, dst, 0, 0, imm);
    }

    pub(super) fn add_reg(&mut self, dst: u8, src: u8) {
        self.raw(0x0f, dst, src, 0, 0);
    }

    pub(super) fn load(&mut self, bytes: i32, dst: u8, src: u8, off: i32) {
        self.raw(0x61 | size_bits(bytes), dst, src, off as i16, 0);
    }

    pub(super) fn store(&mut self, bytes: i32, dst: u8, off: i32, src: u8) {
        self.raw(0x63 | size_bits(bytes), dst, src, off as i16, 0);
    }

    pub(super) fn store_imm(&mut self, bytes: i32, dst: u8, off: i32, imm: i32) {
        self.raw(0x62 | size_bits(bytes), dst, 0, off as i16, imm);
    }

    pub(super) fn call(&mut self, helper: i32) {
        self.raw(0x85, 0, 0, 0, helper);
    }

    pub(super) fn exit(&mut self) {
        self.raw(0x95, 0, 0, 0, 0);
    }

    /// A 64-bit constant; `kind` says of what.
    pub(super) fn wide(&mut self, dst: u8, kind: u8, low: i32, high: i32) {
        self.raw(0x18, dst, kind, 0, low);
        self.raw(0, 0, 0, 0, high);
    }

    /// A jump, conditional or not, to a label.
    pub(super) fn jump(&mut self, code: u8, dst: u8, src: u8, imm: i32, to: Label) {
        self.open.push((self.insns.len(), to, Distance::Off));
        self.raw(code, dst, src, 0, imm);
    }

    pub(super) fn goto(&mut self, to: Label) {
        self.jump(0x05, 0, 0, 0, to);
    }

    /// A call of a subprogram.
    pub(super) fn call_sub(&mut self, to: Label) {
        self.open.push((self.insns.len(), to, Distance::Imm));
        self.raw(0x85, 0, 1, 0, 0);
    }

    /// The address of a subprogram.
    pub(super) fn address(&mut self, dst: u8, of: Label) {
        self.open.push((self.insns.len(), of, Distance::Imm));
        self.wide(dst, 4, 0, 0);
    }

    /// Every jump gets its distance.
    pub(super) fn link(&mut self) {
        for &(at, label, distance) in &self.open {
            let target = self.labels[label.0].unwrap_or(at + 1) as i64;
            let by = target - at as i64 - 1;
            match distance {
                Distance::Off => self.insns[at].off = by as i16,
                Distance::Imm => self.insns[at].imm = by as i32,
            }
        }
    }
}
