//! Numbers: where they come from, and what is computed of them.

use super::Writer;
use super::code::{ALU32, ALU64, op};
use super::shadow::{ANY_NUM, Kind};

/// Constants at which ranges and known bits change their nature.
const EDGES: [i32; 24] = [
    0,
    1,
    2,
    3,
    7,
    8,
    15,
    16,
    31,
    63,
    64,
    127,
    255,
    256,
    0x7fff,
    0xffff,
    i32::MAX,
    i32::MIN,
    -1,
    -2,
    -8,
    -128,
    0x0f0f_0f0f,
    0x5555,
];

impl Writer<'_> {
    pub(super) fn edge(&mut self) -> i32 {
        match self.random.below(10) {
            0 => self.random.any() as i32,
            1..=3 => self.random.between(-4, 70),
            _ => self.random.pick(EDGES),
        }
    }

    /// A small positive constant.
    pub(super) fn small(&mut self) -> i32 {
        match self.random.below(4) {
            0 => self.random.pick([1, 3, 7, 15, 31, 63, 127, 255]),
            1 => self.random.pick([1, 2, 4, 8, 16, 32, 64]),
            _ => self.random.between(0, 70),
        }
    }

    /// A new number in some register.
    pub(super) fn number(&mut self) -> u8 {
        let dst = self.target();
        match self.random.below(10) {
            0 => {
                let imm = self.edge();
                self.code.mov(dst, imm);
                let max = if imm < 0 { u64::MAX } else { imm as u64 };
                self.set(dst, Kind::Num { max });
            }
            1 => {
                let imm = self.edge();
                self.code.raw(0xb4, dst, 0, 0, imm);
                self.set(dst, Kind::Num { max: imm as u32 as u64 });
            }
            2 => {
                let (low, high) = (self.edge(), self.edge());
                self.code.wide(dst, 0, low, high);
                self.set(dst, ANY_NUM);
            }
            3..=5 => return self.random_number(dst),
            6 | 7 => match self.find(|k| matches!(k, Kind::Mem { room: 1.., .. })) {
                Some(base) => {
                    self.load_from(base, dst);
                }
                None => return self.random_number(dst),
            },
            _ => match self.context_number(dst) {
                true => {}
                false => return self.random_number(dst),
            },
        }
        dst
    }

    /// An unknown number, by a helper that every program may call.
    pub(super) fn random_number(&mut self, dst: u8) -> u8 {
        let (helper, max) =
            self.random.pick([(7, u64::MAX), (7, u64::MAX), (5, u64::MAX), (8, u64::MAX), (118, u64::MAX)]);
        self.code.call(helper);
        self.now.after_call(Kind::Num { max });
        if dst != 0 {
            self.code.mov_reg(dst, 0);
            self.set(dst, Kind::Num { max });
        }
        dst
    }

    pub(super) fn class(&mut self) -> u8 {
        let narrow = self.style.narrow;
        if self.random.percent(narrow) { ALU32 } else { ALU64 }
    }

    /// One operation on a number, or on whatever slips in.
    pub(super) fn arith(&mut self) {
        let dst = self.some_number();
        self.arith_on(dst);
    }

    pub(super) fn arith_on(&mut self, dst: u8) {
        let class = self.class();
        let bits = if class == ALU32 { 32 } else { 64 };
        let Kind::Num { max } = self.kind(dst) else {
            let imm = self.small();
            self.code.raw(class | op::ADD, dst, 0, 0, imm);
            return;
        };
        let kinds = [
            op::ADD,
            op::SUB,
            op::MUL,
            op::DIV,
            op::OR,
            op::AND,
            op::LSH,
            op::RSH,
            op::NEG,
            op::MOD,
            op::XOR,
            op::MOV,
            op::ARSH,
            op::END,
            op::ADD,
            op::SUB,
            op::AND,
            op::LSH,
            op::RSH,
            op::ARSH,
        ];
        let what = self.random.pick(kinds);
        if what == op::END {
            return self.byte_swap(dst);
        }
        if what == op::NEG {
            self.code.raw(class | op::NEG, dst, 0, 0, 0);
            return self.set(dst, ANY_NUM);
        }
        if self.random.percent(30)
            && let Some(src) = self.find(Kind::is_num)
        {
            return self.arith_reg(class, what, dst, src);
        }
        let imm = match what {
            op::LSH | op::RSH | op::ARSH => {
                let most = if self.random.one_in(3) { bits - 1 } else { 5 };
                let usual = self.random.between(0, most);
                if self.slip() { self.edge() } else { usual }
            }
            op::DIV | op::MOD | op::MUL => {
                let small = self.small().max(1);
                if self.random.one_in(6) { self.edge() } else { small }
            }
            _ if self.random.percent(60) => self.small(),
            _ => self.edge(),
        };
        let imm = if imm == 0 && matches!(what, op::DIV | op::MOD) && !self.slip() { 3 } else { imm };
        let off =
            if matches!(what, op::DIV | op::MOD) && self.style.v4 && self.random.one_in(2) { 1 } else { 0 };
        self.code.raw(class | what, dst, 0, off, imm);
        let i = imm as u32 as u64;
        let max = match what {
            op::AND if imm >= 0 => max.min(i),
            op::MOD if imm > 0 && off == 0 => max.min(i.saturating_sub(1)),
            op::RSH if class == ALU64 => max >> (i & 63),
            op::DIV if off == 0 && imm > 0 => max / i,
            op::ADD if imm >= 0 => max.saturating_add(i),
            op::MUL if imm >= 0 => max.saturating_mul(i),
            op::LSH => max.saturating_mul(1 << (i & 63)),
            op::OR if imm >= 0 && max < 1 << 32 => max | i,
            op::MOV => {
                if imm < 0 {
                    u64::MAX
                } else {
                    i
                }
            }
            _ => u64::MAX,
        };
        let max = if class == ALU32 { max.min(u32::MAX as u64) } else { max };
        self.set(dst, Kind::Num { max });
    }

    fn arith_reg(&mut self, class: u8, what: u8, dst: u8, src: u8) {
        let off = match what {
            op::MOV if self.style.v4 && self.random.one_in(2) => {
                let narrow = self.random.pick([8, 16]);
                if class == ALU64 && self.random.one_in(3) { 32 } else { narrow }
            }
            op::DIV | op::MOD if self.style.v4 && self.random.one_in(2) => 1,
            _ => 0,
        };
        self.code.raw(class | 8 | what, dst, src, off, 0);
        let (Kind::Num { max: a }, Kind::Num { max: b }) = (self.kind(dst), self.kind(src)) else {
            return self.set(dst, Kind::Unset);
        };
        let max = match what {
            op::ADD => a.saturating_add(b),
            op::AND => a.min(b),
            op::MOV if off == 0 => b,
            op::MUL => a.saturating_mul(b),
            op::RSH | op::MOD | op::DIV if off == 0 => a,
            _ => u64::MAX,
        };
        let max = if class == ALU32 { max.min(u32::MAX as u64) } else { max };
        self.set(dst, Kind::Num { max });
    }

    fn byte_swap(&mut self, dst: u8) {
        let width = self.random.pick([16, 32, 64]);
        let code = match self.random.below(3) {
            0 if self.style.v4 => 0xd7,
            1 => 0xdc,
            _ => 0xd4,
        };
        self.code.raw(code, dst, 0, 0, width);
        let max = match width {
            16 => 0xffff,
            32 => u32::MAX as u64,
            _ => u64::MAX,
        };
        self.set(dst, Kind::Num { max });
    }

    /// Copies whose bounds the verifier finds out together.
    pub(super) fn linked(&mut self) {
        let src = self.some_number();
        let dst = self.target();
        let class = self.class();
        let kind = self.kind(src);
        self.code.raw(class | 8 | op::MOV, dst, src, 0, 0);
        self.set(dst, kind);
        if self.random.percent(50) {
            let imm = self.random.between(-8, 16);
            let reg = if self.random.one_in(2) { dst } else { src };
            let class = self.class();
            self.code.raw(class | op::ADD, reg, 0, 0, imm);
        }
        let tested = if self.random.one_in(2) { dst } else { src };
        self.bound(tested);
        if self.random.percent(70) {
            let other = if tested == dst { src } else { dst };
            let limit = match self.kind(tested) {
                Kind::Num { max } => max,
                _ => u64::MAX,
            };
            self.set(other, Kind::Num { max: limit });
            self.use_index(other);
        }
    }
}
