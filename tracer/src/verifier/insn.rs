//! One 8-byte instruction slot, and how its fields read.
//!
//! Nothing here judges an instruction: any 8 bytes decode. A 64-bit constant takes two slots; the second has code 0.

use super::arith::Width;

/// One slot, fields apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Insn {
    /// Class, and by class: operation and source, or mode and size.
    pub code: u8,
    /// Destination register.
    pub dst: u8,
    /// Source register, or what kind of constant or call.
    pub src: u8,
    /// Jump distance or address offset.
    pub off: i16,
    /// Constant.
    pub imm: i32,
}

/// The low three bits of the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 64-bit constants and packet loads.
    Ld,
    /// Loads.
    Ldx,
    /// Stores of a constant.
    St,
    /// Stores of a register, and atomics.
    Stx,
    /// 32-bit arithmetic.
    Alu,
    /// 64-bit comparisons, calls, exit.
    Jmp,
    /// 32-bit comparisons.
    Jmp32,
    /// 64-bit arithmetic.
    Alu64,
}

/// Arithmetic operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the operations")]
pub enum AluOp {
    Add,
    Sub,
    Mul,
    Div,
    Or,
    And,
    Lsh,
    Rsh,
    Neg,
    Mod,
    Xor,
    Mov,
    Arsh,
    End,
}

impl AluOp {
    /// The sign the kernel's messages use (`bpf_alu_string[]`).
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Add => "+=",
            Self::Sub => "-=",
            Self::Mul => "*=",
            Self::Div => "/=",
            Self::Or => "|=",
            Self::And => "&=",
            Self::Lsh => "<<=",
            Self::Rsh => ">>=",
            Self::Neg => "neg",
            Self::Mod => "%=",
            Self::Xor => "^=",
            Self::Mov => "=",
            Self::Arsh => "s>>=",
            Self::End => "endian",
        }
    }
}

/// Comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the comparisons")]
pub enum Cmp {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
    Sgt,
    Sge,
    Slt,
    Sle,
    /// Some bit of the operand is set.
    Set,
    /// No bit of the operand is set; only as the negation of `Set`.
    Clear,
}

impl Cmp {
    /// The comparison that holds on the other branch (`rev_opcode()`).
    pub const fn negated(self) -> Self {
        match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::Gt => Self::Le,
            Self::Ge => Self::Lt,
            Self::Lt => Self::Ge,
            Self::Le => Self::Gt,
            Self::Sgt => Self::Sle,
            Self::Sge => Self::Slt,
            Self::Slt => Self::Sge,
            Self::Sle => Self::Sgt,
            Self::Set => Self::Clear,
            Self::Clear => Self::Set,
        }
    }

    /// The same comparison with its operands exchanged (`flip_opcode()`).
    pub const fn mirrored(self) -> Self {
        match self {
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Sgt => Self::Slt,
            Self::Sge => Self::Sle,
            Self::Slt => Self::Sgt,
            Self::Sle => Self::Sge,
            same => same,
        }
    }
}

/// `LD | IMM | DW`: the first slot of a 64-bit constant.
pub(super) const LD_IMM64: u8 = 0x18;
/// `JMP | EXIT`.
pub(super) const EXIT: u8 = 0x95;
/// `JMP | CALL`.
pub(super) const CALL: u8 = 0x85;
/// `JMP | JA`.
pub(super) const JA: u8 = 0x05;
/// `JMP32 | JA`: the jump with a 32-bit distance.
pub(super) const GOTOL: u8 = 0x06;
/// `JMP | JCOND`: may_goto.
pub(super) const JCOND: u8 = 0xe5;

/// What `src` says in a 64-bit constant.
pub(super) mod pseudo {
    pub(in super::super) const MAP_FD: u8 = 1;
    pub(in super::super) const MAP_VALUE: u8 = 2;
    pub(in super::super) const BTF_ID: u8 = 3;
    pub(in super::super) const FUNC: u8 = 4;
    pub(in super::super) const MAP_IDX: u8 = 5;
    pub(in super::super) const MAP_IDX_VALUE: u8 = 6;
    /// In a call: a subprogram.
    pub(in super::super) const CALL: u8 = 1;
    /// In a call: a kernel function.
    pub(in super::super) const KFUNC_CALL: u8 = 2;
}

/// Modes of loads and stores.
pub(super) mod mode {
    pub(in super::super) const IMM: u8 = 0x00;
    pub(in super::super) const ABS: u8 = 0x20;
    pub(in super::super) const IND: u8 = 0x40;
    pub(in super::super) const MEM: u8 = 0x60;
    pub(in super::super) const MEMSX: u8 = 0x80;
    pub(in super::super) const ATOMIC: u8 = 0xc0;
}

/// Atomic operations, in `imm`.
pub(super) mod atomic {
    pub(in super::super) const FETCH: i32 = 0x01;
    pub(in super::super) const XCHG: i32 = 0xe1;
    pub(in super::super) const CMPXCHG: i32 = 0xf1;
    pub(in super::super) const LOAD_ACQ: i32 = 0x100;
    pub(in super::super) const STORE_REL: i32 = 0x110;
}

impl Insn {
    /// From its 8 bytes (little endian).
    pub const fn from_bytes(b: [u8; 8]) -> Self {
        Self {
            code: b[0],
            dst: b[1] & 0x0f,
            src: b[1] >> 4,
            off: i16::from_le_bytes([b[2], b[3]]),
            imm: i32::from_le_bytes([b[4], b[5], b[6], b[7]]),
        }
    }

    /// All slots of a program; `None` if the length is not a multiple of 8.
    pub fn decode_all(bytes: &[u8]) -> Option<Vec<Self>> {
        let (slots, rest) = bytes.as_chunks::<8>();
        rest.is_empty().then(|| slots.iter().map(|s| Self::from_bytes(*s)).collect())
    }

    /// Its class.
    pub const fn class(self) -> Class {
        match self.code & 7 {
            0 => Class::Ld,
            1 => Class::Ldx,
            2 => Class::St,
            3 => Class::Stx,
            4 => Class::Alu,
            5 => Class::Jmp,
            6 => Class::Jmp32,
            _ => Class::Alu64,
        }
    }

    /// The operation bits of arithmetic and jumps.
    pub const fn op_bits(self) -> u8 {
        self.code & 0xf0
    }

    /// True if the second operand is a register.
    pub const fn is_reg(self) -> bool {
        self.code & 8 != 0
    }

    /// The mode bits of loads and stores.
    pub const fn mode(self) -> u8 {
        self.code & 0xe0
    }

    /// The access size of loads and stores, in bytes.
    pub const fn size(self) -> u32 {
        match self.code & 0x18 {
            0x00 => 4,
            0x08 => 2,
            0x10 => 1,
            _ => 8,
        }
    }

    /// The operand width of arithmetic and comparisons.
    pub const fn width(self) -> Width {
        match self.class() {
            Class::Alu | Class::Jmp32 => Width::W32,
            _ => Width::W64,
        }
    }

    /// The arithmetic operation; `None` for the two codes that are none.
    pub const fn alu_op(self) -> Option<AluOp> {
        Some(match self.op_bits() {
            0x00 => AluOp::Add,
            0x10 => AluOp::Sub,
            0x20 => AluOp::Mul,
            0x30 => AluOp::Div,
            0x40 => AluOp::Or,
            0x50 => AluOp::And,
            0x60 => AluOp::Lsh,
            0x70 => AluOp::Rsh,
            0x80 => AluOp::Neg,
            0x90 => AluOp::Mod,
            0xa0 => AluOp::Xor,
            0xb0 => AluOp::Mov,
            0xc0 => AluOp::Arsh,
            0xd0 => AluOp::End,
            _ => return None,
        })
    }

    /// The comparison; `None` for jumps that do not compare.
    pub const fn cmp(self) -> Option<Cmp> {
        Some(match self.op_bits() {
            0x10 => Cmp::Eq,
            0x20 => Cmp::Gt,
            0x30 => Cmp::Ge,
            0x40 => Cmp::Set,
            0x50 => Cmp::Ne,
            0x60 => Cmp::Sgt,
            0x70 => Cmp::Sge,
            0xa0 => Cmp::Lt,
            0xb0 => Cmp::Le,
            0xc0 => Cmp::Slt,
            0xd0 => Cmp::Sle,
            _ => return None,
        })
    }

    /// True for the first slot of a 64-bit constant.
    pub const fn is_ld_imm64(self) -> bool {
        self.code == LD_IMM64
    }

    /// True for a jump of either width class.
    pub const fn is_jump(self) -> bool {
        matches!(self.class(), Class::Jmp | Class::Jmp32)
    }

    /// True for a call of a subprogram of this program.
    pub const fn is_subprog_call(self) -> bool {
        self.code == CALL && self.src == pseudo::CALL
    }

    /// True for a helper call.
    pub const fn is_helper_call(self) -> bool {
        self.code == CALL && self.src == 0
    }

    /// True for a kernel function call.
    pub const fn is_kfunc_call(self) -> bool {
        self.code == CALL && self.src == pseudo::KFUNC_CALL
    }

    /// True for a 64-bit constant that is the address of a subprogram.
    pub const fn is_subprog_address(self) -> bool {
        self.code == LD_IMM64 && self.src == pseudo::FUNC
    }

    /// True for a jump that always jumps.
    pub const fn is_goto(self) -> bool {
        self.code == JA || self.code == GOTOL
    }

    /// True for may_goto.
    pub const fn is_may_goto(self) -> bool {
        self.code == JCOND && self.src == 0
    }

    /// How far an unconditional or conditional jump goes.
    pub const fn distance(self) -> i64 {
        if self.code == GOTOL { self.imm as i64 } else { self.off as i64 }
    }
}
