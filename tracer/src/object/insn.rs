//! One 8-byte slot of BPF code, and the few shapes of it that relocation must tell apart.

/// An instruction slot as it lies in an object file and as bpf() takes it. `lddw` occupies two.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Insn {
    pub code: u8,
    pub dst: u8,
    pub src: u8,
    pub off: i16,
    pub imm: i32,
}

/// Bytes of a slot.
pub const INSN_SIZE: usize = 8;

/// What the source register of `lddw` and `call` says about the immediate (include/uapi/linux/bpf.h).
pub mod pseudo {
    pub const MAP_FD: u8 = 1;
    pub const MAP_VALUE: u8 = 2;
    pub const BTF_ID: u8 = 3;
    pub const FUNC: u8 = 4;
    pub const CALL: u8 = 1;
    pub const KFUNC_CALL: u8 = 2;
}

/// Stands in `lddw` for a map's descriptor that the object itself gives as a number: no loader knows what it is.
pub const FOREIGN_DESCRIPTOR: i32 = -1;

pub(super) const LDDW: u8 = 0x18;
pub(super) const CALL: u8 = 0x85;

/// The helper numbers that libbpf puts where something could not be resolved: the verifier refuses them if they are
/// ever reached, and nobody minds if they are not (POISON_* in tools/lib/bpf/libbpf.c, relo_core.c).
pub mod poison {
    /// "bad relo": a CO-RE relocation without a target.
    pub const CO_RE: i32 = 195_896_080;
    /// Plus the map's index: a map that is not created.
    pub const MAP: i32 = 2_001_000_000;
    /// Plus the extern's index: a weak kfunc that the kernel lacks.
    pub const KFUNC: i32 = 2_002_000_000;
}

impl Insn {
    pub fn from_bytes(bytes: [u8; INSN_SIZE]) -> Insn {
        let [code, regs, off0, off1, imm0, imm1, imm2, imm3] = bytes;
        Insn {
            code,
            dst: regs & 15,
            src: regs >> 4,
            off: i16::from_le_bytes([off0, off1]),
            imm: i32::from_le_bytes([imm0, imm1, imm2, imm3]),
        }
    }

    pub fn to_bytes(self) -> [u8; INSN_SIZE] {
        let [off0, off1] = self.off.to_le_bytes();
        let [imm0, imm1, imm2, imm3] = self.imm.to_le_bytes();
        [self.code, self.dst & 15 | self.src << 4, off0, off1, imm0, imm1, imm2, imm3]
    }

    /// The first slot of a 64-bit immediate load.
    pub fn is_lddw(self) -> bool {
        self.code == LDDW
    }

    pub(super) fn is_call(self) -> bool {
        self.code == CALL
    }

    pub(super) fn is_subprogram_call(self) -> bool {
        self.code == CALL && self.src == pseudo::CALL && self.dst == 0 && self.off == 0
    }

    /// Whether the immediate is a map's descriptor.
    pub fn refers_to_map(self) -> bool {
        self.is_lddw() && matches!(self.src, pseudo::MAP_FD | pseudo::MAP_VALUE)
    }

    pub(super) fn is_function_address(self) -> bool {
        self.is_lddw() && self.src == pseudo::FUNC
    }

    /// The helper that is called, if this calls one.
    pub(super) fn helper(self) -> Option<i32> {
        (self.code == CALL && self.src == 0 && self.dst == 0).then_some(self.imm)
    }

    /// A call that no kernel accepts, with a number that tells why it is there.
    pub(super) fn poisoned(number: i32) -> Insn {
        Insn { code: CALL, imm: number, ..Insn::default() }
    }
}

/// Decodes whole slots; what is left of a last, partial one is dropped.
pub(super) fn decode(bytes: &[u8]) -> Vec<Insn> {
    bytes.as_chunks::<INSN_SIZE>().0.iter().map(|slot| Insn::from_bytes(*slot)).collect()
}
