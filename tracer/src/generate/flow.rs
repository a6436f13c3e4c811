//! Comparisons, branches and loops.

use super::Writer;
use super::code::{JMP, JMP32, Label, op};
use super::shadow::{Kind, Region};

/// A conditional jump that is not aimed yet.
struct Test {
    code: u8,
    dst: u8,
    src: u8,
    imm: i32,
}

impl Writer<'_> {
    fn jump_class(&mut self) -> u8 {
        let narrow = self.style.narrow;
        if self.random.percent(narrow) { JMP32 } else { JMP }
    }

    /// Where a failed check goes: out, unless reservations are open.
    pub(super) fn way_out(&mut self) -> Option<Label> {
        if self.now.open.is_empty() || self.slip() { Some(self.exit) } else { None }
    }

    pub(super) fn bound_some(&mut self) {
        let reg = self.some_number();
        self.bound(reg);
    }

    /// Gives a number a bound, in one of the ways that programs do.
    pub(super) fn bound(&mut self, reg: u8) {
        let limit = self.small();
        let class = self.jump_class();
        let signed = self.style.signed;
        let known = Kind::Num { max: limit as u64 };
        let Some(out) = self.way_out() else {
            self.code.raw(0x57, reg, 0, 0, limit);
            return self.set(reg, known);
        };
        match self.random.below(8) {
            0 => self.code.raw(0x57, reg, 0, 0, limit),
            1 => self.code.raw(0x54, reg, 0, 0, limit),
            2 => {
                let by = limit.max(1);
                self.code.raw(if class == JMP { 0x97 } else { 0x94 }, reg, 0, 0, by);
            }
            _ if self.random.percent(signed) => {
                // Both ends, in either order, or one of them forgotten.
                let forget = self.random.one_in(8);
                let first = self.random.one_in(2);
                let low = self.random.pick([0, 0, 0, 1, -1, -8]);
                let class2 = if self.random.one_in(8) { self.jump_class() } else { class };
                let below = |w: &mut Self| {
                    let (code, imm) = w.random.pick([(op::JSLT, low), (op::JSLE, low - 1)]);
                    w.code.jump(class | code, reg, 0, imm, out);
                };
                if first && !forget {
                    below(self);
                }
                let (code, imm) = self.random.pick([(op::JSGT, limit), (op::JSGE, limit.saturating_add(1))]);
                self.code.jump(class2 | code, reg, 0, imm, out);
                if !first && !forget {
                    below(self);
                }
            }
            3 => {
                // The limit in a register.
                let other = self.target();
                if other == reg {
                    self.code.raw(0x57, reg, 0, 0, limit);
                } else {
                    self.code.mov(other, limit);
                    self.set(other, known);
                    let (code, a, b) = self.random.pick([
                        (op::JGT, reg, other),
                        (op::JLT, other, reg),
                        (op::JGE, reg, other),
                    ]);
                    self.code.jump(class | 8 | code, a, b, 0, out);
                }
            }
            4 => {
                // Only the way around the jump is bounded.
                let good = self.code.label();
                let (code, imm) = self.random.pick([(op::JLE, limit), (op::JLT, limit.saturating_add(1))]);
                self.code.jump(class | code, reg, 0, imm, good);
                self.code.goto(out);
                self.code.put(good);
            }
            5 => {
                // No bit outside of a mask.
                self.code.jump(class | op::JSET, reg, 0, !self.random.pick([1, 3, 7, 15, 31, 63]), out);
            }
            _ => {
                let (code, imm) = self.random.pick([(op::JGT, limit), (op::JGE, limit.saturating_add(1))]);
                self.code.jump(class | code, reg, 0, imm, out);
            }
        }
        self.set(reg, known);
    }

    fn test(&mut self) -> Test {
        let reg = self.some_number();
        let class = self.jump_class();
        let signed = self.style.signed;
        let code = if self.random.percent(signed) {
            self.random.pick([op::JSGT, op::JSGE, op::JSLT, op::JSLE])
        } else {
            self.random.pick([op::JEQ, op::JNE, op::JGT, op::JGE, op::JLT, op::JLE, op::JSET])
        };
        if self.random.percent(30)
            && let Some(src) = self.find(Kind::is_num)
        {
            return Test { code: class | 8 | code, dst: reg, src, imm: 0 };
        }
        let imm = if self.random.percent(60) { self.small() } else { self.edge() };
        Test { code: class | code, dst: reg, src: 0, imm }
    }

    /// `if`, with or without `else`.
    pub(super) fn branch(&mut self, depth: u32) {
        if depth > 2 {
            return;
        }
        let t = self.test();
        let (other, after) = (self.code.label(), self.code.label());
        self.code.jump(t.code, t.dst, t.src, t.imm, other);
        let before = self.now.clone();
        let n = 1 + self.random.below(3);
        self.block(n, depth + 1);
        self.balance(&before);
        if self.random.percent(50) {
            self.code.goto(after);
            self.code.put(other);
            let taken = std::mem::replace(&mut self.now, before.clone());
            let n = 1 + self.random.below(3);
            self.block(n, depth + 1);
            self.balance(&before);
            self.now.merge(&taken);
        } else {
            self.code.put(other);
            self.now.merge(&before);
        }
        self.code.put(after);
    }

    /// Reservations made since are closed, so that both ways agree.
    fn balance(&mut self, before: &super::shadow::Shadow) {
        for id in self.now.open.clone() {
            if !before.open.contains(&id) && !self.slip() {
                self.close_ring(id);
            }
        }
        self.now.open.retain(|id| before.open.contains(id));
    }

    /// A loop.
    pub(super) fn repeat(&mut self, depth: u32) {
        if depth > 1 || self.loops > 1 {
            return;
        }
        let before = self.now.clone();
        let counter = self.lasting();
        self.loops += 1;
        match self.random.below(5) {
            0 if self.style.v4 => self.may_goto_loop(depth),
            1 => self.searched(counter, depth),
            _ => self.counted(counter, depth),
        }
        self.loops -= 1;
        self.balance(&before);
        self.now.merge(&before);
    }

    /// A counter, its limit a constant or a bounded number.
    fn counted(&mut self, counter: u8, depth: u32) {
        let rounds = if self.loops > 1 { self.random.between(1, 4) } else { self.random.between(1, 12) };
        let (top, out) = (self.code.label(), self.code.label());
        let limit =
            if self.random.one_in(3) { self.find(|k| matches!(k, Kind::Num { max: 0..=16 })) } else { None };
        let limit = limit.filter(|l| *l >= 6 && *l != counter);
        self.code.mov(counter, 0);
        self.set(counter, Kind::Num { max: rounds as u64 });
        self.code.put(top);
        let class = self.jump_class();
        let above = self.random.one_in(2);
        let step = self.random.pick([1, 1, 1, 2, 3]);
        if above {
            match limit {
                Some(l) => self.code.jump(class | 8 | op::JGE, counter, l, 0, out),
                None => self.code.jump(class | op::JGE, counter, 0, rounds, out),
            }
        }
        let n = 1 + self.random.below(3);
        // The body keeps the counter, unless it slips.
        let kept = self.now.regs[counter as usize];
        self.now.regs[counter as usize] = Kind::Mem { of: Region::Handed, back: 0, room: 0 };
        if self.random.percent(70) {
            self.now.regs[counter as usize] = kept;
        }
        self.block(n, depth + 1);
        self.now.regs[counter as usize] = kept;
        if self.random.percent(40) {
            self.use_index(counter);
        }
        self.code.add(counter, step);
        if above {
            self.code.goto(top);
        } else {
            match limit {
                Some(l) => self.code.jump(class | 8 | op::JLT, counter, l, 0, top),
                None => {
                    let code = self.random.pick([op::JLT, op::JLT, op::JSLT, op::JNE]);
                    self.code.jump(class | code, counter, 0, rounds, top);
                }
            }
        }
        self.code.put(out);
    }

    /// A loop that ends when something unknown happens, or never as far as the verifier can see.
    fn searched(&mut self, reg: u8, depth: u32) {
        let top = self.code.label();
        self.code.mov(reg, self.random.between(0, 3));
        self.set(reg, Kind::Num { max: 64 });
        self.code.put(top);
        self.block(1, depth + 1);
        let t = self.test();
        match self.random.below(3) {
            0 => self.code.raw(0x77, reg, 0, 0, 1),
            1 => self.code.add(reg, 1),
            _ => self.code.raw(0x57, reg, 0, 0, 3),
        }
        if self.random.percent(60) {
            let (exit, limit) = (self.code.label(), self.random.between(2, 10));
            self.code.jump(0x05 | op::JGT, reg, 0, limit, exit);
            self.code.jump(t.code, t.dst, t.src, t.imm, top);
            self.code.put(exit);
        } else {
            self.code.jump(t.code, t.dst, t.src, t.imm, top);
        }
    }

    fn may_goto_loop(&mut self, depth: u32) {
        let (top, out) = (self.code.label(), self.code.label());
        self.code.put(top);
        self.code.jump(0xe5, 0, 0, 0, out);
        let n = 1 + self.random.below(2);
        self.block(n, depth + 1);
        self.code.goto(top);
        self.code.put(out);
    }
}
