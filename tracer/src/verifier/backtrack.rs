//! Precision: which scalars a verdict depended on, found by walking back along the path.
//!
//! When a check needs the exact range of a scalar, every scalar that it was computed from must be compared exactly
//! when states are compared. The walk keeps, per frame, the set of registers and stack slots still asked for, and
//! undoes one instruction after the other: `r2 = r3` trades r2 for r3, a load from the stack trades the register for
//! the slot. At a kept state the registers asked for are marked there, and the walk goes on in the parent's history.
//! Where it cannot follow, all scalars of all parents are marked. `__mark_chain_precision()`, `backtrack_insn()`
//! (kernel/bpf/verifier.c; from 7.0 backtrack.c).

use super::env::{Env, MAX_FRAMES};
use super::feature::Feature;
use super::insn::{AluOp, Class, Insn, mode, pseudo};
use super::reg::Reg;
use super::report::{Checked, unmodelled};
use super::state::{Jump, State, StateId};

/// What is still asked for.
struct Asked {
    frame: usize,
    regs: [u16; MAX_FRAMES],
    slots: [u64; MAX_FRAMES],
}

/// The walk cannot follow.
struct Lost;

const ARGS: u16 = 0x3e;

impl Asked {
    fn new(frame: usize) -> Self {
        Self { frame: frame.min(MAX_FRAMES - 1), regs: [0; MAX_FRAMES], slots: [0; MAX_FRAMES] }
    }

    fn is_empty(&self) -> bool {
        self.regs.iter().all(|m| *m == 0) && self.slots.iter().all(|m| *m == 0)
    }

    fn has(&self, r: u8) -> bool {
        self.regs[self.frame] & (1 << r) != 0
    }

    fn ask(&mut self, r: u8) {
        self.regs[self.frame] |= 1 << r;
    }

    fn drop(&mut self, r: u8) {
        self.regs[self.frame] &= !(1 << r);
    }

    fn set_at(&mut self, frame: u8, at: u8) {
        let f = (frame as usize).min(MAX_FRAMES - 1);
        if at < 16 { self.regs[f] |= 1 << at } else { self.slots[f] |= 1 << (at - 16).min(63) }
    }

    fn has_at(&self, frame: u8, at: u8) -> bool {
        let f = (frame as usize).min(MAX_FRAMES - 1);
        if at < 16 { self.regs[f] & (1 << at) != 0 } else { self.slots[f] & (1 << (at - 16).min(63)) != 0 }
    }

    /// If one of a set of linked scalars is asked for, all are.
    fn spread(&mut self, jump: Option<&Jump>) {
        let Some(j) = jump else { return };
        if j.linked.iter().any(|(f, a)| self.has_at(f, a)) {
            for (f, a) in j.linked.iter() {
                self.set_at(f, a);
            }
        }
    }

    fn enter(&mut self) -> Result<(), Lost> {
        if self.frame + 1 >= MAX_FRAMES {
            return Err(Lost);
        }
        self.frame += 1;
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Lost> {
        if self.frame == 0 {
            return Err(Lost);
        }
        self.frame -= 1;
        Ok(())
    }
}

/// Instructions walked back over in all. Before 6.12 ("bpf: Force checkpoint when jmp history is too long") one state's
/// history can grow with every round of a loop, and each round walks back over all of it: such a kernel is busy for
/// minutes, and what ends it (memory, a signal, a watchdog) is no rule.
const MOST_STEPS: u64 = 60_000_000;

impl Env<'_> {
    /// The exact range of this register, at this instruction, matters.
    pub(super) fn mark_precise(&mut self, r: u8) -> Checked {
        if !self.cur.reg(r).is_scalar() {
            return Ok(());
        }
        let frame = self.cur.current();
        let mut asked = Asked::new(frame);
        asked.ask(r);
        self.walk_back(asked)
    }

    /// What a kept state found to matter matters for the path that it covers, too (`propagate_precision()`).
    pub(super) fn inherit_precision(&mut self, old: StateId) -> Checked {
        let read_only = !self.has(Feature::StaticLiveness);
        let state = self.arena.get(old)?;
        let mut asked = Asked::new(state.current());
        for (f, frame) in state.frames.iter().enumerate() {
            let wanted =
                |r: &Reg| r.is_scalar() && r.precise && (!read_only || r.live.any(super::reg::Live::READ));
            for (i, r) in frame.regs.iter().take(10).enumerate() {
                if wanted(r) {
                    asked.set_at(f as u8, i as u8);
                }
            }
            for (i, s) in frame.stack.iter().enumerate() {
                if s.is_spill() && wanted(&s.reg) {
                    asked.set_at(f as u8, 16 + i as u8);
                }
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        self.walk_back(asked)
    }

    fn walk_back(&mut self, mut asked: Asked) -> Checked {
        let mut state: Option<StateId> = None;
        let mut at = self.pc;
        let mut skip = true;
        let mut later: Option<u32> = None;
        let mut steps = 0;
        loop {
            let finished = {
                let st: &State = match state {
                    None => &self.cur,
                    Some(id) => self.arena.get(id)?,
                };
                let mut history = st.jumps.len();
                loop {
                    steps += 1;
                    if self.walked_back + steps > MOST_STEPS {
                        break None;
                    }
                    let step = if skip {
                        skip = false;
                        Ok(())
                    } else {
                        let jump =
                            history.checked_sub(1).and_then(|i| st.jumps.get(i)).filter(|j| j.at == at);
                        self.undo(at, later, jump, &mut asked)
                    };
                    if step.is_err() {
                        break Some(Err(Lost));
                    }
                    if asked.is_empty() {
                        break Some(Ok(()));
                    }
                    later = Some(at);
                    match previous(st, at, &mut history) {
                        Some(p) if (p as usize) < self.insns.len() => at = p,
                        _ => break None,
                    }
                }
            };
            self.walked_back += core::mem::take(&mut steps);
            if self.walked_back > MOST_STEPS {
                unmodelled!("precision through very long histories");
            }
            match finished {
                Some(Ok(())) => return Ok(()),
                Some(Err(Lost)) => return self.mark_all_precise(),
                None => {}
            }
            let (parent, first) = match state {
                None => (self.cur.parent, self.cur.first),
                Some(id) => {
                    let s = self.arena.get(id)?;
                    (s.parent, s.first)
                }
            };
            let Some(parent) = parent else {
                // The start of the program, or of a function judged by itself.
                return Ok(());
            };
            let top = asked.frame;
            let st = self.arena.get_mut(parent)?;
            for f in (0..=top).rev() {
                let Some(frame) = st.frames.get_mut(f) else { continue };
                for i in 0..10 {
                    if asked.regs[f] & (1 << i) != 0 {
                        let r = &mut frame.regs[i];
                        if !r.is_scalar() || r.precise {
                            asked.regs[f] &= !(1 << i);
                        } else {
                            r.precise = true;
                        }
                    }
                }
                for i in 0..64 {
                    if asked.slots[f] & (1 << i) != 0 {
                        match frame.stack.get_mut(i) {
                            Some(s) if s.is_scalar_spill() && !s.reg.precise => s.reg.precise = true,
                            _ => asked.slots[f] &= !(1 << i),
                        }
                    }
                }
            }
            if asked.is_empty() {
                return Ok(());
            }
            later = Some(first);
            let Some(last) = st.last else { return Ok(()) };
            at = last;
            state = Some(parent);
        }
    }

    fn mark_all_precise(&mut self) -> Checked {
        let mut next = self.cur.parent;
        while let Some(id) = next {
            let st = self.arena.get_mut(id)?;
            // Scalars of kept states never become imprecise again: without this, long loops take quadratic time.
            if std::mem::replace(&mut st.all_precise, true) {
                break;
            }
            for frame in &mut st.frames {
                for r in frame.regs.iter_mut().take(10) {
                    r.precise |= r.is_scalar();
                }
                for s in &mut frame.stack {
                    if s.is_spill() {
                        s.reg.precise |= s.reg.is_scalar();
                    }
                }
            }
            next = st.parent;
        }
        Ok(())
    }

    /// Undo one instruction.
    fn undo(&self, at: u32, later: Option<u32>, jump: Option<&Jump>, asked: &mut Asked) -> Result<(), Lost> {
        let insn: Insn = self.insns[at as usize];
        let follows_calls = self.has(Feature::PreciseCalls);
        if insn.code == 0 {
            return Ok(());
        }
        asked.spread(jump);
        match insn.class() {
            Class::Alu | Class::Alu64 => {
                if !asked.has(insn.dst) {
                    return Ok(());
                }
                match insn.alu_op() {
                    Some(AluOp::End | AluOp::Neg) => return Ok(()),
                    Some(AluOp::Mov) => {
                        asked.drop(insn.dst);
                        if insn.is_reg() && insn.src != 10 {
                            asked.ask(insn.src);
                        }
                    }
                    _ => {
                        if insn.is_reg() && insn.src != 10 {
                            asked.ask(insn.src);
                        }
                    }
                }
            }
            Class::Ldx => {
                if !asked.has(insn.dst) {
                    return Ok(());
                }
                asked.drop(insn.dst);
                match self.stack_access(insn, jump, asked.frame) {
                    Some((f, s)) => asked.slots[f] |= 1 << s,
                    None => return Ok(()),
                }
            }
            Class::St | Class::Stx => {
                if insn.class() == Class::Stx && insn.mode() == mode::ATOMIC {
                    return undo_atomic(insn, self.stack_access(insn, jump, asked.frame), asked);
                }
                if asked.has(insn.dst) {
                    return Err(Lost);
                }
                let Some((f, s)) = self.stack_access(insn, jump, asked.frame) else { return Ok(()) };
                if asked.slots[f] & (1 << s) == 0 {
                    return Ok(());
                }
                asked.slots[f] &= !(1 << s);
                if insn.class() == Class::Stx {
                    asked.ask(insn.src);
                }
            }
            Class::Jmp | Class::Jmp32 => match insn.op_bits() {
                0x80 if insn.src == pseudo::CALL => {
                    if !follows_calls {
                        return Err(Lost);
                    }
                    let target = (at as i64 + insn.imm as i64 + 1) as u32;
                    if self.subprog_at(target).is_some_and(|s| self.is_global(s)) {
                        if asked.regs[asked.frame] & ARGS != 0 {
                            return Err(Lost);
                        }
                        asked.drop(0);
                        return Ok(());
                    }
                    if asked.regs[asked.frame] & !ARGS != 0
                        || asked.slots[asked.frame] != 0
                        || asked.frame == 0
                    {
                        return Err(Lost);
                    }
                    for r in 1..=5 {
                        if asked.has(r) {
                            asked.drop(r);
                            asked.regs[asked.frame - 1] |= 1 << r;
                        }
                    }
                    asked.leave()?;
                    return Ok(());
                }
                0x80 if self.aux[at as usize].calls_callback && later != Some(at + 1) => {
                    if asked.regs[asked.frame] & !ARGS != 0 || asked.slots[asked.frame] != 0 {
                        return Err(Lost);
                    }
                    asked.regs[asked.frame] = 0;
                    asked.leave()?;
                    return Ok(());
                }
                0x80 => {
                    if insn.src == pseudo::KFUNC_CALL && insn.imm == 0 {
                        return Err(Lost);
                    }
                    asked.drop(0);
                    if asked.regs[asked.frame] & ARGS != 0 {
                        return Err(Lost);
                    }
                }
                0x90 => {
                    if !follows_calls {
                        return Err(Lost);
                    }
                    if later.is_some_and(|l| self.aux[l as usize].calls_callback) {
                        asked.regs[asked.frame] &= !ARGS;
                    }
                    if asked.regs[asked.frame] & ARGS != 0 {
                        return Err(Lost);
                    }
                    let returns_to_call = later
                        .and_then(|l| l.checked_sub(1))
                        .is_some_and(|call| self.insns[call as usize].is_subprog_call());
                    let wants_result = returns_to_call && asked.has(0);
                    asked.drop(0);
                    asked.enter()?;
                    if wants_result {
                        asked.ask(0);
                    }
                    return Ok(());
                }
                _ if insn.is_reg() && !insn.is_goto() => {
                    if !asked.has(insn.dst) && !asked.has(insn.src) {
                        return Ok(());
                    }
                    if !jump.is_some_and(|j| j.src_is_stack) {
                        asked.ask(insn.src);
                    }
                    if !jump.is_some_and(|j| j.dst_is_stack) {
                        asked.ask(insn.dst);
                    }
                }
                _ => {}
            },
            Class::Ld => {
                if !asked.has(insn.dst) {
                    return Ok(());
                }
                asked.drop(insn.dst);
                if matches!(insn.mode(), mode::IND | mode::ABS) {
                    return Err(Lost);
                }
            }
        }
        asked.spread(jump);
        Ok(())
    }

    /// The stack slot an instruction accessed: as recorded, or in older kernels as its frame pointer says.
    fn stack_access(&self, insn: Insn, jump: Option<&Jump>, frame: usize) -> Option<(usize, u32)> {
        if self.has(Feature::PreciseSpills) {
            let (f, s) = jump?.stack?;
            return Some((f as usize, s as u32));
        }
        let base = if insn.class() == Class::Ldx { insn.src } else { insn.dst };
        if base != 10 || insn.off >= 0 {
            return None;
        }
        let slot = (-(insn.off as i64) - 1) / 8;
        (slot < 64).then_some((frame, slot as u32))
    }
}

fn undo_atomic(insn: Insn, slot: Option<(usize, u32)>, asked: &mut Asked) -> Result<(), Lost> {
    use super::insn::atomic;
    let loaded = if insn.imm == atomic::CMPXCHG {
        Some(0)
    } else if insn.imm & atomic::FETCH != 0 {
        Some(insn.src)
    } else {
        None
    };
    if let Some(r) = loaded
        && asked.has(r)
    {
        asked.drop(r);
        if let Some((f, s)) = slot {
            asked.slots[f] |= 1 << s;
        }
        return Ok(());
    }
    if asked.has(insn.dst) {
        return Err(Lost);
    }
    let Some((f, s)) = slot else { return Ok(()) };
    if asked.slots[f] & (1 << s) != 0 {
        asked.slots[f] &= !(1 << s);
        asked.ask(insn.src);
    }
    Ok(())
}

/// The instruction before `at` on the path, while it is in this state's part of it (`get_prev_insn_idx()`).
pub(super) fn previous(st: &State, at: u32, history: &mut usize) -> Option<u32> {
    if at == st.first {
        if *history == 0 {
            return None;
        }
        if *history == 1 && st.jumps.get(0).is_some_and(|j| j.at == at) {
            return None;
        }
    }
    match history.checked_sub(1).and_then(|i| st.jumps.get(i)) {
        Some(j) if j.at == at => {
            *history -= 1;
            Some(j.from)
        }
        _ => at.checked_sub(1),
    }
}
