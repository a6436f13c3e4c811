//! How a refusal came about: the instructions that made what the refused one used, and the branches on the way.
//!
//! A backward slice along the one path that was walked, as precision is tracked back (see [`super::backtrack`]), but
//! over values of every kind: `r2 = r3` trades r2 for r3; a load from the stack trades the register for the slot; a
//! comparison of what is asked for is noted with the way it went. It only reads, and what it cannot follow it leaves out.

use super::backtrack::previous;
use super::btf::{Btf, Type, TypeId};
use super::env::{Env, MAX_FRAMES};
use super::insn::{Class, Insn, mode, pseudo};
use super::reg::{Base, Reg};
use super::report::{Kind, Role, Step, Violation};
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

/// An end of a pointer's range, if it is an end at all.
fn offset(reg: &Reg, end: i64) -> Option<i64> {
    const FAR: i64 = 1 << 31;
    (-FAR..FAR).contains(&end).then(|| end + i64::from(reg.off))
}

fn is_branch(insn: Insn) -> bool {
    matches!(insn.class(), Class::Jmp | Class::Jmp32) && insn.cmp().is_some()
}

/// The number that follows this word.
fn number_after(message: &str, word: &str) -> Option<u32> {
    let rest = &message[message.find(word)? + word.len()..];
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// A function's name.
fn name_of(btf: &Btf, id: TypeId) -> Option<&str> {
    match btf.get(id)? {
        Type::Func(func) => Some(func.name),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Walk {
    On,
    Stop,
}

impl Env<'_> {
    /// The steps that led to this refusal, oldest first.
    pub(super) fn history_of(&self, violation: &Violation) -> Vec<Step> {
        let Some(insn) = self.insns.get(self.pc as usize).copied().filter(|_| self.walking) else {
            return Vec::new();
        };
        let (since, found) = match violation.kind {
            Kind::ReferenceLeak => (number_after(&violation.message, "alloc_insn="), Role::Acquired),
            Kind::InfiniteLoop => (number_after(&violation.message, "at insn "), Role::Chose),
            _ => (None, Role::Chose),
        };
        if let Some(since) = since {
            return self.branches_since(since, found, insn);
        }
        let asked = match violation.kind {
            // Who may call is a matter of the call alone.
            Kind::FunctionNotAllowed | Kind::UnknownFunction => 0,
            _ => named(&violation.message).unwrap_or(reads(insn)),
        };
        let frame = self.cur.current().min(MAX_FRAMES - 1);
        let packet = violation.kind == Kind::PacketOutOfBounds;
        let mut wanted = Wanted { frame, regs: [0; MAX_FRAMES], slots: [0; MAX_FRAMES] };
        wanted.trade(0, asked);
        if insn.class() == Class::Ldx && insn.src == 10 {
            wanted.slots[frame] |= slot_bit(insn.off);
        }
        let mut what = self.words(self.pc, insn);
        for r in 0..11 {
            if asked & (1 << r) != 0 {
                let reg = self.cur.reg(r);
                what.push_str(&format!("; R{r}={}", self.known(reg)));
            }
        }
        let mut steps = vec![Step { insn: self.pc, what, role: Role::Refused }];
        self.retrace(|at, insn, later| {
            if steps.len() > MAX_STEPS {
                return Walk::Stop;
            }
            if packet && is_branch(insn) && insn.is_reg() && !wanted.has(reads(insn)) {
                // A copy of the pointer against the packet's end, most likely.
                steps.push(self.branch(at, insn, later));
            }
            self.undo_step(at, insn, later, &mut wanted, &mut steps);
            if wanted.is_empty() { Walk::Stop } else { Walk::On }
        });
        steps.reverse();
        steps
    }

    /// Every branch between an instruction and the end of the path: of a leak, or of a loop's last round.
    fn branches_since(&self, since: u32, found: Role, insn: Insn) -> Vec<Step> {
        let mut steps = vec![Step { insn: self.pc, what: self.words(self.pc, insn), role: Role::Refused }];
        self.retrace(|at, insn, later| {
            if is_branch(insn) {
                steps.push(self.branch(at, insn, later));
            } else if at == since {
                steps.push(Step { insn: at, what: self.words(at, insn), role: found });
            }
            if at == since || steps.len() > MAX_STEPS { Walk::Stop } else { Walk::On }
        });
        steps.reverse();
        steps
    }

    /// What is known of a register, and of the map that it points into.
    fn known(&self, reg: &Reg) -> String {
        let text = show::reg(reg, &self.type_text(reg.ty));
        match reg.map().map(|map| self.map(map)) {
            Some(map) if reg.ty.is(Base::MapValue) => {
                let (low, high) = (offset(reg, reg.v.smin), offset(reg, reg.v.smax));
                let at = match (low, high) {
                    (Some(low), Some(high)) if low == high => format!("{low}"),
                    (Some(low), Some(high)) => format!("{low} to {high}"),
                    (Some(low), None) => format!("{low} or more"),
                    (None, Some(high)) => format!("{high} or less"),
                    (None, None) => "any".into(),
                };
                format!("{text}: offset {at} in a value of {} bytes, map {}", map.value_size, map.name)
            }
            Some(map) => format!("{text}, map {}", map.name),
            None if reg.ty.is(Base::Packet) => match reg.range() {
                0 => format!("{text}, none of it known to be there"),
                n if n > 0 => format!("{text}, {n} bytes of it known to be there"),
                _ => text,
            },
            None => text,
        }
    }

    fn branch(&self, at: u32, insn: Insn, later: u32) -> Step {
        let way = if later == at + 1 { "not taken" } else { "taken" };
        Step { insn: at, what: format!("{}: {way}", self.words(at, insn)), role: Role::Chose }
    }

    /// An instruction in words, with names in place of numbers where they are known.
    fn words(&self, at: u32, insn: Insn) -> String {
        let map = self.aux.get(at as usize).and_then(|aux| aux.map).map(|map| self.map(map).name.as_str());
        if let (Some(name), true) = (map, insn.is_ld_imm64()) {
            let value = if insn.src == pseudo::MAP_VALUE { "value of " } else { "" };
            return format!("r{} = {value}map {name}", insn.dst);
        }
        let kernel = self.profile.btf.as_deref();
        let called = match insn.code {
            _ if insn.is_kfunc_call() => kernel.and_then(|btf| name_of(btf, TypeId(insn.imm as u32))),
            _ if insn.is_subprog_call() => self.prog.btf.as_deref().and_then(|btf| {
                let start = i64::from(at) + 1 + i64::from(insn.imm);
                let info = self.prog.funcs.iter().find(|info| i64::from(info.start) == start)?;
                name_of(btf, info.type_id)
            }),
            _ => None,
        };
        called.map_or_else(|| show::insn(insn), |name| format!("call {name}"))
    }

    /// Visits the instructions of the path that led here, the latest first, each with the one that came after it.
    fn retrace(&self, mut visit: impl FnMut(u32, Insn, u32) -> Walk) {
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
                if looked_at > MAX_LOOKED_AT || visit(at, insn, later) == Walk::Stop {
                    return;
                }
            }
            let (Some(parent), first) = (st.parent, st.first) else { return };
            let Some(last) = self.arena.get(parent).ok().and_then(|p| p.last) else { return };
            let Some(insn) = self.insns.get(last as usize).copied() else { return };
            if visit(last, insn, first) == Walk::Stop {
                return;
            }
            (state, at) = (Some(parent), last);
        }
    }

    /// Undo one instruction; it is told if it made or tested what is wanted.
    fn undo_step(&self, at: u32, insn: Insn, later: u32, w: &mut Wanted, steps: &mut Vec<Step>) {
        let dst = 1u16 << (insn.dst & 15);
        let f = w.frame;
        let role = match insn.class() {
            Class::Alu | Class::Alu64 if w.has(dst) => {
                w.trade(dst, reads(insn));
                Some(Role::Made)
            }
            Class::Ld if insn.is_ld_imm64() && w.has(dst) => {
                w.trade(dst, 0);
                Some(Role::Made)
            }
            Class::Ldx if w.has(dst) => {
                w.trade(dst, if insn.src == 10 { 0 } else { reads(insn) });
                if insn.src == 10 {
                    w.slots[f] |= slot_bit(insn.off);
                }
                Some(Role::Made)
            }
            Class::St | Class::Stx if insn.dst == 10 && w.slots[f] & slot_bit(insn.off) != 0 => {
                w.slots[f] &= !slot_bit(insn.off);
                if insn.class() == Class::Stx && insn.mode() != mode::ATOMIC {
                    w.trade(0, 1 << (insn.src & 15));
                }
                Some(Role::Stored)
            }
            _ if is_branch(insn) && w.has(reads(insn)) => {
                steps.push(self.branch(at, insn, later));
                None
            }
            Class::Jmp if insn.code == super::insn::EXIT => {
                // Into the function that had returned here.
                let result = w.regs[f] & 1;
                w.regs[f] &= !(ARGS | 1);
                if f + 1 < MAX_FRAMES {
                    w.frame += 1;
                    (w.regs[f + 1], w.slots[f + 1]) = (result, 0);
                }
                None
            }
            Class::Jmp if insn.is_subprog_call() && later != at + 1 => {
                // Out of the function, to its caller.
                let args = w.regs[f] & ARGS;
                (w.regs[f], w.slots[f]) = (0, 0);
                w.frame = f.saturating_sub(1);
                w.trade(0, args);
                (args != 0).then_some(Role::Called)
            }
            Class::Jmp if insn.code == super::insn::CALL && w.has(ARGS | 1) => {
                w.trade(ARGS | 1, 0);
                Some(Role::Called)
            }
            _ => None,
        };
        if let Some(role) = role {
            steps.push(Step { insn: at, what: self.words(at, insn), role });
        }
    }
}
