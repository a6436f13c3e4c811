//! Writes a relocation's value into its instruction.

use super::Failure;
use super::value::{Access, Check, Value};
use crate::object::insn::{Insn, poison};

/// What was done.
pub(super) enum Patched {
    Yes,
    Poisoned,
}

const CLASS: u8 = 0x07;
const SIZE: u8 = 0x18;
const SOURCE_IS_REGISTER: u8 = 0x08;

/// `insns[at]` is the instruction that the relocation names.
pub(super) fn patch(insns: &mut [Insn], at: usize, value: &Value) -> Result<Patched, Failure> {
    let Some(&insn) = insns.get(at) else {
        return Err(Failure::new("its instruction does not exist"));
    };
    let Some(new) = value.after else {
        return Ok(poisoned(insns, at));
    };
    let expect = |found: u64| match value.check == Check::Exact && found != value.before {
        true => {
            Err(Failure::new(format!("the instruction has {found}, and {} is expected there", value.before)))
        }
        false => Ok(()),
    };
    match insn.code & CLASS {
        // ALU, ALU64
        4 | 7 => {
            if insn.code & SOURCE_IS_REGISTER != 0 {
                return Err(Failure::new("the instruction has no immediate"));
            }
            expect(i64::from(insn.imm) as u64)?;
            insns[at].imm = new as i32;
        }
        // LDX, ST, STX
        1..=3 => {
            expect(i64::from(insn.off) as u64)?;
            let Some(off) = i16::try_from(new).ok() else {
                return Err(Failure::new(format!("offset {new} does not fit the instruction")));
            };
            match value.access {
                Access::Impossible => return Ok(poisoned(insns, at)),
                Access::Same => {}
                Access::Resize { from, to } => insns[at].code = resized(insn.code, from, to)?,
            }
            insns[at].off = off;
        }
        // LD: the 64-bit immediate alone
        _ => {
            let second = insns.get(at + 1).copied().filter(|s| (s.code, s.dst, s.src, s.off) == (0, 0, 0, 0));
            let Some(second) = second.filter(|_| insn.is_lddw() && insn.src == 0 && insn.off == 0) else {
                return Err(Failure::new(format!(
                    "an instruction of code {:#04x} cannot be relocated",
                    insn.code
                )));
            };
            expect(u64::from(insn.imm as u32) | u64::from(second.imm as u32) << 32)?;
            insns[at].imm = new as i32;
            insns[at + 1].imm = (new >> 32) as i32;
        }
    }
    Ok(Patched::Yes)
}

fn resized(code: u8, from: u32, to: u32) -> Result<u8, Failure> {
    let width = match code & SIZE {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => 8,
    };
    if width != from {
        return Err(Failure::new(format!("the instruction reads {width} bytes of a field of {from}")));
    }
    let size = match to {
        8 => 0x18,
        4 => 0x00,
        2 => 0x08,
        1 => 0x10,
        _ => {
            return Err(Failure::new(format!(
                "the kernel's field has {to} bytes, and no instruction reads so many"
            )));
        }
    };
    Ok(code & !SIZE | size)
}

fn poisoned(insns: &mut [Insn], at: usize) -> Patched {
    let slots = if insns[at].is_lddw() { 2 } else { 1 };
    for insn in insns.iter_mut().skip(at).take(slots) {
        *insn = Insn::poisoned(poison::CO_RE);
    }
    Patched::Poisoned
}
