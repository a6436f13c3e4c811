//! Which instructions are worth keeping: those that are reached, and do more than put into a register what nobody
//! reads.
//!
//! A backward analysis of the registers that are still read. What is itself not kept reads nothing:
//!
//! ```text
//! live before i = live after i                          if i only sets a register that is not live after it
//!               = live after i - set by i + read by i   else
//! ```
//!
//! It begins with nothing, so that a circle of instructions that only serve each other is not kept.

use super::{Next, code, next, slots};
use crate::object::Insn;

/// A set of registers.
type Set = u16;

const ARGUMENTS: Set = 0b11_1110;

/// Helpers that read no register (include/uapi/linux/bpf.h, `___BPF_FUNC_MAPPER`): the time, the CPU, the current task.
const WITHOUT_ARGUMENTS: [i32; 7] = [5, 8, 14, 15, 35, 80, 125];

/// The instructions to keep.
pub(super) fn kept(insns: &[Insn], reached: &[bool]) -> Vec<bool> {
    let mut live: Vec<Set> = vec![0; insns.len() + 2];
    let mut kept = vec![false; insns.len()];
    loop {
        let mut changed = false;
        for at in (0..insns.len()).rev() {
            if reached.get(at) != Some(&true) {
                continue;
            }
            let Some(&insn) = insns.get(at) else { continue };
            let of = |place: usize| live.get(place).copied().unwrap_or(0);
            let through = of(at + slots(insn));
            let after = match next(insns, at) {
                Some(Next::Exit) | None => 0,
                Some(Next::Jump(to)) => of(to),
                Some(Next::Branch(to)) => through | of(to),
                Some(Next::Through) => through,
            };
            let effect = Effect::of(insn);
            let keep = !effect.pure || effect.set & after != 0;
            let before = if keep { after & !effect.set | effect.read } else { after };
            let (Some(live), Some(kept)) = (live.get_mut(at), kept.get_mut(at)) else { continue };
            changed |= *live != before;
            *live = before;
            *kept = keep;
        }
        if !changed {
            break;
        }
    }
    // The second slot goes with the first.
    for at in (0..insns.len()).filter(|at| insns.get(*at).is_some_and(|insn| insn.is_lddw())) {
        if let Some([first, second]) = kept.get_mut(at..at + 2) {
            *second = *first;
        }
    }
    kept
}

/// What an instruction does to registers.
struct Effect {
    read: Set,
    set: Set,
    /// And nothing else.
    pure: bool,
}

impl Effect {
    fn of(insn: Insn) -> Self {
        let (dst, src) = (1_u16 << (insn.dst & 15), 1_u16 << (insn.src & 15));
        let other = if insn.code & code::X != 0 { src } else { 0 };
        match insn.code & code::CLASS {
            code::LD => Self { read: 0, set: dst, pure: true },
            code::LDX => Self { read: src, set: dst, pure: true },
            code::ST => Self { read: dst, set: 0, pure: false },
            code::STX => {
                let set = match insn.code & code::MODE {
                    code::ATOMIC if insn.imm == code::CMPXCHG => 1,
                    code::ATOMIC if insn.imm & code::FETCH != 0 => src,
                    _ => 0,
                };
                let read = if insn.imm == code::CMPXCHG { dst | src | 1 } else { dst | src };
                Self { read, set, pure: false }
            }
            code::ALU | code::ALU64 => match insn.code & code::OP {
                code::MOV => Self { read: other, set: dst, pure: true },
                code::NEG | code::END => Self { read: dst, set: dst, pure: true },
                _ => Self { read: dst | other, set: dst, pure: true },
            },
            _ => match insn.code {
                code::EXIT => Self { read: 1, set: 0, pure: false },
                code::CALL => {
                    let none = insn.src == 0 && WITHOUT_ARGUMENTS.contains(&insn.imm);
                    let read = if none { 0 } else { ARGUMENTS };
                    Self { read, set: ARGUMENTS | 1, pure: false }
                }
                code::JA => Self { read: 0, set: 0, pure: false },
                _ => Self { read: dst | other, set: 0, pure: false },
            },
        }
    }
}
