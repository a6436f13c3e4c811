//! How a refusal came about: the instructions that made what the refused one used, and the branches on the way.
//!
//! A backward slice along the one path that was walked, as precision is tracked back (see [`super::backtrack`]), but
//! over values of every kind: `r2 = r3` trades r2 for r3; a load from the stack trades the register for the slot; a
//! comparison of what is asked for is noted with the way it went. It only reads, and what it cannot follow it leaves out.

use super::backtrack::previous;
use super::env::{Env, MAX_FRAMES};
use super::insn::{Class, Insn, mode};
use super::report::{Step, Violation};
use super::show;
use super::state::StateId;

/// Instructions looked at, and steps told.
const MAX_LOOKED_AT: u32 = 8192;
const MAX_STEPS: usize = 32;

/// Registers and stack slots whose making is still to be told, by frame.
struct Wanted {
    frame: usize,
    regs: [u16; MAX_FRAMES],
    slots: [u64; MAX_FRAMES],
}

impl Wanted {
    fn is_empty(&self) -> bool {
        self.regs.iter().all(|r| *r == 0) && self.slots.iter().all(|s| *s == 0)
    }

    fn has(&self, mask: u16) -> bool {
        self.regs[self.frame] & mask != 0
    }

    /// The instruction wrote the first for the second.
    fn trade(&mut self, written: u16, read: u16) {
        // How the frame pointer came to be is nothing to tell.
        const FRAME_POINTER: u16 = 1 << 10;
        self.regs[self.frame] = self.regs[self.frame] & !written | read & !FRAME_POINTER;
    }
}

const ARGS: u16 = 0x3e;

/// The stack slot that a load or store through the frame pointer is in, by bit.
fn slot_bit(off: i16) -> u64 {
    if (-512..0).contains(&off) { 1 << ((-i64::from(off) - 1) / 8) } else { 0 }
}

/// What an instruction reads, as a set of registers.
fn reads(insn: Insn) -> u16 {
    let (dst, src) = (1u16 << (insn.dst & 15), 1u16 << (insn.src & 15));
    let operand = if insn.is_reg() { src } else { 0 };
    match insn.class() {
        Class::Ld if insn.is_ld_imm64() => 0,
        Class::Ld => 1 << 6 | src,
        Class::Ldx => src,
        Class::St => dst,
        Class::Stx => dst | src,
        Class::Alu | Class::Alu64 if insn.op_bits() == 0xb0 => operand,
        Class::Alu | Class::Alu64 => dst | operand,
        Class::Jmp | Class::Jmp32 if insn.cmp().is_some() => dst | operand,
        Class::Jmp if insn.code == super::insn::CALL => ARGS,
        Class::Jmp if insn.code == super::insn::EXIT => 1,
        _ => 0,
    }
}

/// The register that a message speaks of.
fn named(message: &str) -> Option<u16> {
    let at = message
        .match_indices('R')
        .find(|(i, _)| message[i + 1..].starts_with(|c: char| c.is_ascii_digit()))?
        .0;
    let digits: String = message[at + 1..].chars().take_while(char::is_ascii_digit).collect();
    let r: u32 = digits.parse().ok()?;
    (r < 11).then(|| 1 << r)
}

impl Env<'_> {
    /// The steps that led to this refusal, oldest first.
    pub(super) fn history_of(&self, violation: &Violation) -> Vec<Step> {
        let Some(insn) = self.insns.get(self.pc as usize).copied().filter(|_| self.walking) else {
            return Vec::new();
        };
        let asked = named(&violation.message).unwrap_or(reads(insn));
        let frame = self.cur.current().min(MAX_FRAMES - 1);
        let mut wanted = Wanted { frame, regs: [0; MAX_FRAMES], slots: [0; MAX_FRAMES] };
        wanted.trade(0, asked);
        if insn.class() == Class::Ldx && insn.src == 10 {
            wanted.slots[frame] |= slot_bit(insn.off);
        }
        let mut what = show::insn(insn);
        for r in 0..11 {
            if asked & (1 << r) != 0 {
                let reg = self.cur.reg(r);
                what.push_str(&format!("; R{r}={}", show::reg(reg, &self.type_text(reg.ty))));
            }
        }
        let mut steps = vec![Step { insn: self.pc, what }];
        self.walk_steps(&mut wanted, &mut steps);
        steps.reverse();
        steps
    }

    fn walk_steps(&self, wanted: &mut Wanted, steps: &mut Vec<Step>) {
        let (mut state, mut at): (Option<StateId>, u32) = (None, self.pc);
        let mut looked_at = 0;
        loop {
            let st = match state {
                None => &self.cur,
                Some(id) => match self.arena.get(id) {
                    Ok(st) => st,
                    Err(_) => return,
                },
            };
            let mut left = st.jumps.len();
            loop {
                let later = at;
                let Some(before) = previous(st, at, &mut left) else { break };
                at = before;
                looked_at += 1;
                let Some(insn) = self.insns.get(at as usize).copied() else { return };
                if looked_at > MAX_LOOKED_AT || steps.len() > MAX_STEPS {
                    return;
                }
                self.undo_step(at, insn, later, wanted, steps);
                if wanted.is_empty() {
                    return;
                }
            }
            let (Some(parent), first) = (st.parent, st.first) else { return };
            let Some(last) = self.arena.get(parent).ok().and_then(|p| p.last) else { return };
            let Some(insn) = self.insns.get(last as usize).copied() else { return };
            self.undo_step(last, insn, first, wanted, steps);
            if wanted.is_empty() {
                return;
            }
            (state, at) = (Some(parent), last);
        }
    }

    /// Undo one instruction; it is told if it made or tested what is wanted.
    fn undo_step(&self, at: u32, insn: Insn, later: u32, w: &mut Wanted, steps: &mut Vec<Step>) {
        let dst = 1u16 << (insn.dst & 15);
        let f = w.frame;
        let relevant = match insn.class() {
            Class::Alu | Class::Alu64 if w.has(dst) => {
                w.trade(dst, reads(insn));
                true
            }
            Class::Ld if insn.is_ld_imm64() && w.has(dst) => {
                w.trade(dst, 0);
                true
            }
            Class::Ldx if w.has(dst) => {
                w.trade(dst, if insn.src == 10 { 0 } else { reads(insn) });
                if insn.src == 10 {
                    w.slots[f] |= slot_bit(insn.off);
                }
                true
            }
            Class::St | Class::Stx if insn.dst == 10 && w.slots[f] & slot_bit(insn.off) != 0 => {
                w.slots[f] &= !slot_bit(insn.off);
                if insn.class() == Class::Stx && insn.mode() != mode::ATOMIC {
                    w.trade(0, 1 << (insn.src & 15));
                }
                true
            }
            Class::Jmp | Class::Jmp32 if insn.cmp().is_some() && w.has(reads(insn)) => {
                let way = if later == at + 1 { "not taken" } else { "taken" };
                steps.push(Step { insn: at, what: format!("{}: {way}", show::insn(insn)) });
                false
            }
            Class::Jmp if insn.code == super::insn::EXIT => {
                // Into the function that had returned here.
                let result = w.regs[f] & 1;
                w.regs[f] &= !(ARGS | 1);
                if f + 1 < MAX_FRAMES {
                    w.frame += 1;
                    (w.regs[f + 1], w.slots[f + 1]) = (result, 0);
                }
                false
            }
            Class::Jmp if insn.is_subprog_call() && later != at + 1 => {
                // Out of the function, to its caller.
                let args = w.regs[f] & ARGS;
                (w.regs[f], w.slots[f]) = (0, 0);
                w.frame = f.saturating_sub(1);
                w.trade(0, args);
                args != 0
            }
            Class::Jmp if insn.code == super::insn::CALL && w.has(ARGS | 1) => {
                w.trade(ARGS | 1, 0);
                true
            }
            _ => false,
        };
        if relevant {
            steps.push(Step { insn: at, what: show::insn(insn) });
        }
    }
}
