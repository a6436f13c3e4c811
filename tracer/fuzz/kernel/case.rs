//! A case as bytes: a generated program, where it comes from, and whether the kernel is asked where it refuses.
//!
//! `u32 length of what follows; u64 seed; u8 how; u8 shown; u32 type; u32 flags; u8 typed; u16 functions, each u32 start
//! and u32 type; instructions of 8 bytes`, little endian. The maps and types are those of every generated program.

use tracer::generate::{Types, maps};
use tracer::verifier::btf::TypeId;
use tracer::verifier::{AttachType, FuncInfo, Insn, ProgType, Program};

use crate::kernel::Walk;

/// What was done to the seed's program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    AsGenerated,
    NearTheBorder,
    Nudged,
    Damaged,
}

impl How {
    const ALL: [Self; 4] = [Self::AsGenerated, Self::NearTheBorder, Self::Nudged, Self::Damaged];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AsGenerated => "as generated",
            Self::NearTheBorder => "near the border",
            Self::Nudged => "nudged",
            Self::Damaged => "damaged",
        }
    }
}

pub(crate) struct Case {
    pub(crate) seed: u64,
    pub(crate) how: How,
    pub(crate) walk: Walk,
    pub(crate) program: Program,
}

impl Case {
    /// Appends its bytes.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let program = &self.program;
        out.extend([0; 4]);
        out.extend(self.seed.to_le_bytes());
        out.extend([self.how as u8, u8::from(self.walk == Walk::Shown)]);
        out.extend(program.kind.0.to_le_bytes());
        out.extend(program.flags.to_le_bytes());
        out.push(u8::from(program.btf.is_some()));
        out.extend((program.funcs.len() as u16).to_le_bytes());
        for func in &program.funcs {
            out.extend(func.start.to_le_bytes());
            out.extend(func.type_id.0.to_le_bytes());
        }
        for insn in &program.insns {
            out.extend([insn.code, insn.dst | insn.src << 4]);
            out.extend(insn.off.to_le_bytes());
            out.extend(insn.imm.to_le_bytes());
        }
        let length = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }
}

/// Reads all cases of a file.
pub(crate) fn read_all(mut bytes: &[u8], types: &Types) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    let maps = maps();
    while !bytes.is_empty() {
        let at = cases.len();
        let case = split(&mut bytes).and_then(|case| read(case, types, &maps));
        cases.push(case.ok_or(format!("case {at} is cut or damaged"))?);
    }
    Ok(cases)
}

/// Cuts the next case's bytes off, their length aside.
pub(crate) fn split<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (case, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *bytes = rest;
    Some(case)
}

fn read(mut bytes: &[u8], types: &Types, maps: &[tracer::verifier::Map]) -> Option<Case> {
    let bytes = &mut bytes;
    let seed = u64::from_le_bytes(take(bytes)?);
    let [how, shown] = take(bytes)?;
    let kind = ProgType(u32::from_le_bytes(take(bytes)?));
    let flags = u32::from_le_bytes(take(bytes)?);
    let [typed] = take(bytes)?;
    let mut funcs = Vec::new();
    for _ in 0..u16::from_le_bytes(take(bytes)?) {
        let start = u32::from_le_bytes(take(bytes)?);
        funcs.push(FuncInfo { start, type_id: TypeId(u32::from_le_bytes(take(bytes)?)) });
    }
    let mut insns = Vec::with_capacity(bytes.len() / 8);
    while !bytes.is_empty() {
        let [code, regs] = take(bytes)?;
        let off = i16::from_le_bytes(take(bytes)?);
        let imm = i32::from_le_bytes(take(bytes)?);
        insns.push(Insn { code, dst: regs & 15, src: regs >> 4, off, imm });
    }
    let program = Program {
        insns,
        kind,
        attach: AttachType(0),
        attach_btf_id: TypeId::default(),
        flags,
        gpl: true,
        maps: maps.to_vec(),
        btf: (typed != 0).then(|| types.btf.clone()),
        funcs,
    };
    let walk = if shown != 0 { Walk::Shown } else { Walk::Silent };
    Some(Case { seed, how: *How::ALL.get(usize::from(how))?, walk, program })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}
