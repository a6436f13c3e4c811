//! What a run's read-only globals make of a program: a smaller one, which does the same.
//!
//! The kernel drops the branches that such a constant never takes, but not the loads of the constant and what only
//! they need: some instructions at every switch, for ever. So it is done here, before the program is judged and loaded:
//!
//! ```text
//! follow   from each entry: what every register holds; a load of a constant is the constant, a branch on one is none
//! rewrite  what is known into the instructions
//! drop     what is not reached, and what computes what nobody reads; put the rest together
//! ```
//!
//! *Law:* on any context both programs make the same calls with the same arguments and the same stores, and return
//! the same (`tests.rs`, `both_do_the_same`, with an interpreter).
//!
//! *Invariant:* an instruction that is not known here leaves the whole program as it was.

mod compact;
mod flow;
mod live;
#[cfg(test)]
mod tests;

use crate::object::{Contents, Insn, Map, MapId, Program};

/// The values of maps that no program and nobody else writes.
pub(super) struct Constants<'m> {
    /// By map.
    values: Vec<Option<&'m [u8]>>,
}

impl<'m> Constants<'m> {
    /// Those of all maps that are frozen before programs are loaded. `except` differs between the clones of a program.
    pub(super) fn of(maps: &'m [Map], except: Option<MapId>) -> Self {
        let constant = |(number, map): (usize, &'m Map)| {
            let differs = except == Some(MapId(number as u32));
            match map.contents().filter(|_| map.is_rodata() && !differs)? {
                Contents::Bytes(bytes) => Some(bytes.as_slice()),
                Contents::Zero => None,
            }
        };
        Self { values: maps.iter().enumerate().map(constant).collect() }
    }

    fn bytes(&self, map: MapId) -> Option<&'m [u8]> {
        *self.values.get(map.0 as usize)?
    }

    /// The number of `size` bytes there.
    fn number(&self, map: MapId, offset: u64, size: usize) -> Option<u64> {
        let start = usize::try_from(offset).ok()?;
        let bytes = self.bytes(map)?.get(start..start.checked_add(size)?)?;
        let mut word = [0; 8];
        word.get_mut(..size)?.copy_from_slice(bytes);
        Some(u64::from_le_bytes(word))
    }
}

/// Puts constants in, and leaves out what they make superfluous.
pub(super) fn put_in(program: &mut Program, constants: &Constants<'_>) {
    let Some(flow) = flow::follow(&program.insns, constants) else { return };
    let insns = flow::rewrite(&program.insns, constants, &flow);
    let kept = live::kept(&insns, &flow.reached);
    compact::compact(program, insns, kept);
}

/// Parts of an instruction's code (include/uapi/linux/bpf_common.h, bpf.h).
mod code {
    pub(super) const CLASS: u8 = 0x07;
    pub(super) const LD: u8 = 0x00;
    pub(super) const LDX: u8 = 0x01;
    pub(super) const ST: u8 = 0x02;
    pub(super) const STX: u8 = 0x03;
    pub(super) const ALU: u8 = 0x04;
    pub(super) const JMP: u8 = 0x05;
    pub(super) const JMP32: u8 = 0x06;
    pub(super) const ALU64: u8 = 0x07;
    /// The other operand is a register.
    pub(super) const X: u8 = 0x08;
    pub(super) const OP: u8 = 0xf0;
    pub(super) const MODE: u8 = 0xe0;
    pub(super) const MEM: u8 = 0x60;
    pub(super) const MEMSX: u8 = 0x80;
    pub(super) const ATOMIC: u8 = 0xc0;
    pub(super) const MOV: u8 = 0xb0;
    pub(super) const NEG: u8 = 0x80;
    pub(super) const END: u8 = 0xd0;
    pub(super) const JA: u8 = 0x05;
    pub(super) const CALL: u8 = 0x85;
    pub(super) const EXIT: u8 = 0x95;
    pub(super) const MOV64_IMM: u8 = 0xb7;
    pub(super) const MOV32_IMM: u8 = 0xb4;
    /// In an atomic's constant: what was there before goes to a register.
    pub(super) const FETCH: i32 = 1;
    pub(super) const CMPXCHG: i32 = 0xf1;
}

/// What may follow an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    Exit,
    /// Only there.
    Jump(usize),
    /// The next instruction, or there.
    Branch(usize),
    Through,
}

/// What may follow the instruction at this place; `None` if it is not known here.
fn next(insns: &[Insn], at: usize) -> Option<Next> {
    let insn = insns.get(at)?;
    let target = || usize::try_from(at as i64 + 1 + i64::from(insn.off)).ok().filter(|to| *to < insns.len());
    Some(match insn.code & code::CLASS {
        code::JMP | code::JMP32 => match insn.code {
            code::EXIT => Next::Exit,
            code::CALL => Next::Through,
            code::JA => Next::Jump(target()?),
            // A call through a register, a long jump, and what came later.
            _ if matches!(insn.code & code::OP, 0x00 | 0x80 | 0x90 | 0xe0 | 0xf0) => return None,
            _ => Next::Branch(target()?),
        },
        _ => Next::Through,
    })
}

/// How many slots the instruction takes.
fn slots(insn: Insn) -> usize {
    if insn.is_lddw() { 2 } else { 1 }
}

/// The subprogram that a call calls.
fn callee(insn: Insn, at: usize) -> Option<usize> {
    (insn.code == code::CALL && insn.src == crate::object::pseudo::CALL)
        .then(|| usize::try_from(at as i64 + 1 + i64::from(insn.imm)).ok())
        .flatten()
}
