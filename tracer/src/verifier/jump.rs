//! Conditional jumps: which way they go, and what each way teaches.
//!
//! `check_cond_jmp_op()`, `is_branch_taken()`, `regs_refine_cond_op()` (kernel/bpf/verifier.c). Before 6.8 one side had
//! to be constant for ranges to be learnt ([`Feature::TwoSidedBranches`]); that older form is in [`super::jump_early`].

use super::arc::{Arc32, Arc64};
use super::arith::Width;
use super::env::Env;
use super::explore::Flow;
use super::feature::Feature;
use super::insn::{Class, Cmp, Insn};
use super::record::{FieldKind, MapRecord, Record};
use super::reg::{ADD_CONST, ADD_CONST32, AT_PKT_END, BEYOND_PKT_END, Base, Data, Flags, Reg, Type};
use super::report::{Checked, reject};
use super::state::{Linked, State};
use super::tnum::Tnum;
use super::value::{Deduce, Domain, Value};

/// Which of the two ways are possible.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    Always,
    Never,
    Either,
}

impl Taken {
    pub(super) fn when(b: bool) -> Self {
        if b { Self::Always } else { Self::Never }
    }
}

/// The part of a value that a comparison of this width sees.
struct View {
    t: Tnum,
    umin: u64,
    umax: u64,
    smin: i64,
    smax: i64,
}

impl View {
    fn of(v: &Value, w: Width) -> Self {
        match w {
            Width::W64 => Self { t: v.t, umin: v.umin, umax: v.umax, smin: v.smin, smax: v.smax },
            Width::W32 => Self {
                t: v.t.low32(),
                umin: v.u32min as u64,
                umax: v.u32max as u64,
                smin: v.s32min as i64,
                smax: v.s32max as i64,
            },
        }
    }
}

fn constant(v: &Value, w: Width) -> Option<u64> {
    let t = if w == Width::W32 { v.t.low32() } else { v.t };
    t.is_const().then_some(t.value)
}

/// Compare two scalars (`is_scalar_branch_taken()`).
pub(super) fn compare(a: &Value, b: &Value, cmp: Cmp, w: Width) -> Taken {
    let (x, y) = (View::of(a, w), View::of(b, w));
    let order = |yes: bool, no: bool| match (yes, no) {
        (true, _) => Taken::Always,
        (_, true) => Taken::Never,
        _ => Taken::Either,
    };
    match cmp {
        Cmp::Eq | Cmp::Ne => {
            let equal = if x.t.is_const() && y.t.is_const() {
                Some(x.t.value == y.t.value)
            } else {
                let apart = !x.t.overlaps(y.t)
                    || x.umin > y.umax
                    || x.umax < y.umin
                    || x.smin > y.smax
                    || x.smax < y.smin
                    || (w == Width::W64
                        && (a.u32min > b.u32max
                            || a.u32max < b.u32min
                            || a.s32min > b.s32max
                            || a.s32max < b.s32min));
                apart.then_some(false)
            };
            match equal {
                Some(e) => Taken::when(e == (cmp == Cmp::Eq)),
                None => Taken::Either,
            }
        }
        Cmp::Set | Cmp::Clear => {
            let (x, mask) = match (constant(b, w), constant(a, w)) {
                (Some(k), _) => (x, k),
                (None, Some(k)) => (y, k),
                _ => return Taken::Either,
            };
            if !x.t.mask & x.t.value & mask != 0 {
                Taken::when(cmp == Cmp::Set)
            } else if (x.t.mask | x.t.value) & mask == 0 {
                Taken::when(cmp == Cmp::Clear)
            } else {
                Taken::Either
            }
        }
        Cmp::Gt => order(x.umin > y.umax, x.umax <= y.umin),
        Cmp::Sgt => order(x.smin > y.smax, x.smax <= y.smin),
        Cmp::Lt => order(x.umax < y.umin, x.umin >= y.umax),
        Cmp::Slt => order(x.smax < y.smin, x.smin >= y.smax),
        Cmp::Ge => order(x.umin >= y.umax, x.umax < y.umin),
        Cmp::Sge => order(x.smin >= y.smax, x.smax < y.smin),
        Cmp::Le => order(x.umax <= y.umin, x.umin > y.umax),
        Cmp::Sle => order(x.smax <= y.smin, x.smin > y.smax),
    }
}

/// Both values, knowing that the comparison holds (`regs_refine_cond_op()`).
pub(super) fn refine(a: &mut Value, b: &mut Value, cmp: Cmp, w: Width) {
    if matches!(cmp, Cmp::Ge | Cmp::Gt | Cmp::Sge | Cmp::Sgt) {
        return refine(b, a, cmp.mirrored(), w);
    }
    let wide = w == Width::W64;
    match cmp {
        Cmp::Eq if wide => {
            (a.umin, a.umax) = (a.umin.max(b.umin), a.umax.min(b.umax));
            (a.smin, a.smax) = (a.smin.max(b.smin), a.smax.min(b.smax));
            a.t = a.t.meet(b.t);
            (b.umin, b.umax, b.smin, b.smax, b.t) = (a.umin, a.umax, a.smin, a.smax, a.t);
        }
        Cmp::Eq => {
            (a.u32min, a.u32max) = (a.u32min.max(b.u32min), a.u32max.min(b.u32max));
            (a.s32min, a.s32max) = (a.s32min.max(b.s32min), a.s32max.min(b.s32max));
            (b.u32min, b.u32max, b.s32min, b.s32max) = (a.u32min, a.u32max, a.s32min, a.s32max);
            let low = a.t.low32().meet(b.t.low32());
            a.t = a.t.with_low32(low);
            b.t = b.t.with_low32(low);
        }
        Cmp::Ne => {
            let (x, k) = match (constant(b, w), constant(a, w)) {
                (Some(k), _) => (a, k),
                (None, Some(k)) => (b, k),
                _ => return,
            };
            if wide {
                if x.umin == k {
                    x.umin = x.umin.wrapping_add(1);
                }
                if x.umax == k {
                    x.umax = x.umax.wrapping_sub(1);
                }
                if x.smin == k as i64 {
                    x.smin = x.smin.wrapping_add(1);
                }
                if x.smax == k as i64 {
                    x.smax = x.smax.wrapping_sub(1);
                }
            } else {
                let k = k as u32;
                if x.u32min == k {
                    x.u32min = x.u32min.wrapping_add(1);
                }
                if x.u32max == k {
                    x.u32max = x.u32max.wrapping_sub(1);
                }
                if x.s32min == k as i32 {
                    x.s32min = x.s32min.wrapping_add(1);
                }
                if x.s32max == k as i32 {
                    x.s32max = x.s32max.wrapping_sub(1);
                }
            }
        }
        Cmp::Set | Cmp::Clear => {
            let (x, k) = match (constant(b, w), constant(a, w)) {
                (Some(k), _) => (a, k),
                (None, Some(k)) => (b, k),
                _ => return,
            };
            if cmp == Cmp::Set {
                if !k.is_power_of_two() {
                    return;
                }
                let t = Tnum::constant(k);
                x.t = if wide { x.t.or(t) } else { x.t.with_low32(x.t.low32().or(t)) };
            } else {
                // The kernel drops the ranges first ("bpf: Fix a JSET range refinement bug").
                x.forget64();
                x.forget32();
                let t = Tnum::constant(!k);
                x.t = if wide { x.t.and(t) } else { x.t.with_low32(x.t.low32().and(t)) };
            }
        }
        Cmp::Le if wide => {
            a.umax = a.umax.min(b.umax);
            b.umin = a.umin.max(b.umin);
        }
        Cmp::Le => {
            a.u32max = a.u32max.min(b.u32max);
            b.u32min = a.u32min.max(b.u32min);
        }
        Cmp::Lt if wide => {
            a.umax = a.umax.min(b.umax.wrapping_sub(1));
            b.umin = a.umin.wrapping_add(1).max(b.umin);
        }
        Cmp::Lt => {
            a.u32max = a.u32max.min(b.u32max.wrapping_sub(1));
            b.u32min = a.u32min.wrapping_add(1).max(b.u32min);
        }
        Cmp::Sle if wide => {
            a.smax = a.smax.min(b.smax);
            b.smin = a.smin.max(b.smin);
        }
        Cmp::Sle => {
            a.s32max = a.s32max.min(b.s32max);
            b.s32min = a.s32min.max(b.s32min);
        }
        Cmp::Slt if wide => {
            a.smax = a.smax.min(b.smax.wrapping_sub(1));
            b.smin = a.smin.wrapping_add(1).max(b.smin);
        }
        Cmp::Slt => {
            a.s32max = a.s32max.min(b.s32max.wrapping_sub(1));
            b.s32min = a.s32min.wrapping_add(1).max(b.s32min);
        }
        Cmp::Gt | Cmp::Ge | Cmp::Sgt | Cmp::Sge => {}
    }
}

/// The same where ranges are arcs (7.2): each operand is met with what the other allows.
fn refine_arcs(a: &mut Value, b: &mut Value, cmp: Cmp, w: Width) {
    let wide = w == Width::W64;
    match cmp {
        Cmp::Eq if wide => {
            let both = a.arc64().meet(b.arc64());
            a.set_arc64(both);
            b.set_arc64(both);
            a.t = a.t.meet(b.t);
            b.t = a.t;
        }
        Cmp::Eq => {
            let both = a.arc32().meet(b.arc32());
            a.set_arc32(both);
            b.set_arc32(both);
            let low = a.t.low32().meet(b.t.low32());
            a.t = a.t.with_low32(low);
            b.t = b.t.with_low32(low);
        }
        Cmp::Ne => {
            let (x, k) = match (constant(b, w), constant(a, w)) {
                (Some(k), _) => (a, k),
                (None, Some(k)) => (b, k),
                _ => return,
            };
            if wide {
                x.set_arc64(x.arc64().meet(Arc64::all_but(k)));
            } else {
                x.set_arc32(x.arc32().meet(Arc32::all_but(k as u32)));
            }
        }
        Cmp::Le | Cmp::Lt if wide => {
            let less = u64::from(cmp == Cmp::Lt);
            a.set_arc64(a.arc64().meet(Arc64::unsigned(0, b.umax.wrapping_sub(less))));
            b.set_arc64(b.arc64().meet(Arc64::unsigned(a.umin.wrapping_add(less), u64::MAX)));
        }
        Cmp::Le | Cmp::Lt => {
            let less = u32::from(cmp == Cmp::Lt);
            a.set_arc32(a.arc32().meet(Arc32::unsigned(0, b.u32max.wrapping_sub(less))));
            b.set_arc32(b.arc32().meet(Arc32::unsigned(a.u32min.wrapping_add(less), u32::MAX)));
        }
        Cmp::Sle | Cmp::Slt if wide => {
            let less = i64::from(cmp == Cmp::Slt);
            a.set_arc64(a.arc64().meet(Arc64::signed(i64::MIN, b.smax.wrapping_sub(less))));
            b.set_arc64(b.arc64().meet(Arc64::signed(a.smin.wrapping_add(less), i64::MAX)));
        }
        Cmp::Sle | Cmp::Slt => {
            let less = i32::from(cmp == Cmp::Slt);
            a.set_arc32(a.arc32().meet(Arc32::signed(i32::MIN, b.s32max.wrapping_sub(less))));
            b.set_arc32(b.arc32().meet(Arc32::signed(a.s32min.wrapping_add(less), i32::MAX)));
        }
        // Bits alone; and those that were turned round before.
        Cmp::Set | Cmp::Clear => refine(a, b, cmp, w),
        Cmp::Gt | Cmp::Ge | Cmp::Sgt | Cmp::Sge => refine_arcs(b, a, cmp.mirrored(), w),
    }
}

pub(super) fn refined(mut a: Value, mut b: Value, cmp: Cmp, w: Width, d: Domain) -> (Value, Value) {
    if d.deduce >= Deduce::Arcs {
        refine_arcs(&mut a, &mut b, cmp, w);
    } else {
        refine(&mut a, &mut b, cmp, w);
    }
    a.sync(d);
    b.sync(d);
    (a, b)
}

/// The same where one register is both operands: what each is taught, the one value learns before anything is deduced.
fn refined_alone(mut v: Value, cmp: Cmp, w: Width, d: Domain) -> Value {
    let mut other = v;
    refine(&mut v, &mut other, cmp, w);
    v.narrow(&other);
    v.sync(d);
    v.sync(d);
    v
}

impl Env<'_> {
    pub(super) fn step_branch(&mut self, insn: Insn) -> Checked<Flow> {
        if insn.is_may_goto() && self.has(Feature::MayGoto) {
            return self.step_may_goto(insn);
        }
        let Some(cmp) = insn.cmp() else {
            reject!(UnknownOpcode, "invalid BPF_JMP/JMP32 opcode {:x}", insn.op_bits());
        };
        let w = insn.width();
        let dst_first = self.profile.release >= super::profile::Release::new(6, 1);
        if dst_first {
            self.read_reg(insn.dst)?;
        }
        if insn.is_reg() {
            if insn.imm != 0 {
                reject!(ReservedFields, "BPF_JMP/JMP32 uses reserved fields");
            }
            self.read_reg(insn.src)?;
        } else if insn.src != 0 {
            reject!(ReservedFields, "BPF_JMP/JMP32 uses reserved fields");
        }
        if !dst_first {
            self.read_reg(insn.dst)?;
        }
        let dst = *self.cur.reg(insn.dst);
        let src = if insn.is_reg() { *self.cur.reg(insn.src) } else { Reg::known(insn.imm as i64 as u64) };
        if self.has(Feature::PreciseSpills)
            && (dst.ty.is(Base::Stack) || (insn.is_reg() && src.ty.is(Base::Stack)))
        {
            self.note_jump(|j| {
                j.dst_is_stack |= dst.ty.is(Base::Stack);
                j.src_is_stack |= insn.is_reg() && src.ty.is(Base::Stack);
            });
        }
        let same = insn.is_reg() && insn.src == insn.dst && self.has(Feature::SameRegisterBranches);
        let taken = self.which_way(&dst, &src, cmp, w, insn, same);
        let target = (self.pc as i64 + insn.off as i64 + 1) as u32;
        if taken != Taken::Either {
            if dst.is_scalar() {
                self.mark_precise(insn.dst)?;
            }
            if insn.is_reg() && src.is_scalar() {
                self.mark_precise(insn.src)?;
            }
            return Ok(if taken == Taken::Always { Flow::To(target) } else { Flow::Next });
        }
        let linked = self.collect_linked(insn, &dst, &src)?;
        // Copies may have lost their link when there were too many.
        let dst = *self.cur.reg(insn.dst);
        let src = if insn.is_reg() { *self.cur.reg(insn.src) } else { src };
        let pc = self.pc;
        self.fork(target, pc)?;
        let Some(mut other) = self.waiting.pop() else { return Ok(Flow::Next) };
        let learnt = self.learn(&mut other.state, insn, cmp, w, &dst, &src, &linked);
        let outcome = match learnt {
            Ok(()) => self.learn_pointers(&mut other.state, insn, cmp, &dst, &src),
            e => e,
        };
        self.waiting.push(other);
        outcome?;
        Ok(Flow::Next)
    }

    fn step_may_goto(&mut self, insn: Insn) -> Checked<Flow> {
        if insn.dst != 0 || insn.imm != 0 {
            reject!(ReservedFields, "invalid may_goto off {} imm {}", insn.off, insn.imm);
        }
        let pc = self.pc;
        let prev = self.previous_entry(pc, self.cur.parent)?;
        self.fork(pc + 1, pc)?;
        if let Some(mut w) = self.waiting.pop() {
            w.state.may_goto_depth += 1;
            if let Some(p) = prev {
                self.widen(p, &mut w.state)?;
            }
            self.waiting.push(w);
        }
        Ok(Flow::To((pc as i64 + insn.off as i64 + 1) as u32))
    }

    fn which_way(&self, dst: &Reg, src: &Reg, cmp: Cmp, w: Width, insn: Insn, same: bool) -> Taken {
        let two_sided = self.has(Feature::TwoSidedBranches);
        if insn.is_reg() && dst.ty.is_packet_or_end() && src.ty.is_packet_or_end() && w == Width::W64 {
            return packet_way(dst, src, cmp);
        }
        if !two_sided {
            if insn.is_reg() && constant(&src.v, w).is_none() || insn.is_reg() && !src.is_scalar() {
                return Taken::Either;
            }
            if !dst.is_scalar() {
                return self.null_way(dst, &src.v, cmp, Width::W64);
            }
            return super::jump_early::compare(&dst.v, &src.v, cmp, w);
        }
        if !dst.is_scalar() || !src.is_scalar() {
            let (ptr, num, cmp) = if constant(&src.v, w).is_some() && src.is_scalar() {
                (dst, src, cmp)
            } else {
                (src, dst, cmp.mirrored())
            };
            if !num.is_scalar() || ptr.is_scalar() {
                return Taken::Either;
            }
            return self.null_way(ptr, &num.v, cmp, w);
        }
        if same {
            return match cmp {
                Cmp::Ge | Cmp::Le | Cmp::Sge | Cmp::Sle | Cmp::Eq => Taken::Always,
                Cmp::Set => {
                    let x = View::of(&dst.v, w);
                    if x.t.is_const() {
                        Taken::when(x.t.value != 0)
                    } else if x.smin <= 0 && x.smax >= 0 {
                        Taken::Either
                    } else {
                        Taken::Always
                    }
                }
                _ => Taken::Never,
            };
        }
        let taken = compare(&dst.v, &src.v, cmp, w);
        if taken == Taken::Either && self.has(Feature::ImpossibleBranches) {
            let (a, b) = refined(dst.v, src.v, cmp.negated(), w, self.d);
            if a.is_empty() || b.is_empty() {
                return Taken::Always;
            }
            let (a, b) = refined(dst.v, src.v, cmp, w, self.d);
            if a.is_empty() || b.is_empty() {
                return Taken::Never;
            }
        }
        taken
    }

    /// A pointer against a number: only null checks of pointers that cannot be null are decided.
    fn null_way(&self, ptr: &Reg, num: &Value, cmp: Cmp, w: Width) -> Taken {
        if constant(num, w) != Some(0) || !self.is_not_null(ptr) {
            return Taken::Either;
        }
        match cmp {
            Cmp::Eq => Taken::Never,
            Cmp::Ne => Taken::Always,
            _ => Taken::Either,
        }
    }

    /// Kinds of pointers that are known not to be null (`reg_not_null()`).
    fn is_not_null(&self, r: &Reg) -> bool {
        use super::profile::Release;
        if r.ty.may_be_null() {
            return false;
        }
        let release = self.profile.release;
        let late = release >= Release::new(7, 0);
        if late && (r.v.smin <= -super::env::MAX_OFF || r.v.smax >= super::env::MAX_OFF) {
            return false;
        }
        match r.ty.base {
            Base::Socket | Base::TcpSock | Base::MapValue | Base::SockCommon => true,
            Base::MapKey => release >= Release::new(5, 13),
            Base::Mem => release >= Release::new(6, 2) && !r.ty.flags.any(Flags::UNTRUSTED),
            Base::BtfId => release >= Release::new(6, 3) && self.is_trusted(r),
            Base::ConstMap => release >= Release::new(6, 12),
            Base::XdpSock | Base::Buf => late,
            _ => false,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "both ways of one comparison")]
    fn learn(
        &mut self,
        other: &mut State,
        insn: Insn,
        cmp: Cmp,
        w: Width,
        dst: &Reg,
        src: &Reg,
        linked: &Linked,
    ) -> Checked {
        let both = dst.is_scalar() && src.is_scalar();
        let frame = other.current();
        if both {
            let (yes, no) = if insn.is_reg() && insn.src == insn.dst && self.has(Feature::TwoSidedBranches) {
                if self.has(Feature::SameRegisterBranches) {
                    ((dst.v, src.v), (dst.v, src.v))
                } else {
                    let alone = |cmp| (refined_alone(dst.v, cmp, w, self.d), src.v);
                    (alone(cmp), alone(cmp.negated()))
                }
            } else if self.has(Feature::TwoSidedBranches) {
                (refined(dst.v, src.v, cmp, w, self.d), refined(dst.v, src.v, cmp.negated(), w, self.d))
            } else {
                super::jump_early::learn(&dst.v, &src.v, cmp, w, insn, self.d)
            };
            let (mut yes, mut no) = (yes, no);
            if self.has(Feature::CrossWidthBounds) {
                for v in [&mut yes.0, &mut yes.1, &mut no.0, &mut no.1] {
                    if v.is_broken() {
                        if self.prog.flags & super::program::prog_flags::TEST_REG_INVARIANTS != 0 {
                            reject!(Invariant, "REG INVARIANTS VIOLATION");
                        }
                        v.forget64();
                        v.forget32();
                    }
                }
            }
            other.frames[frame].regs[insn.dst as usize].v = yes.0;
            self.cur.reg_mut(insn.dst).v = no.0;
            if insn.is_reg() && insn.src != insn.dst {
                other.frames[frame].regs[insn.src as usize].v = yes.1;
                self.cur.reg_mut(insn.src).v = no.1;
            }
        }
        if insn.is_reg() && both && src.id != 0 {
            self.spread(other, insn.src, linked);
        }
        if dst.is_scalar() && dst.id != 0 {
            self.spread(other, insn.dst, linked);
        }
        Ok(())
    }

    /// What was learnt of a register holds for its copies, on both ways.
    fn spread(&mut self, other: &mut State, r: u8, linked: &Linked) {
        let d = self.d;
        let deltas = self.has(Feature::LinkedDeltas);
        let late = self.has(Feature::ConstOffsetInBits);
        let spills = self.spills();
        for st in [&mut self.cur, other] {
            let known = *st.reg(r);
            if deltas {
                let top = st.current() as u8;
                for (f, a) in linked.iter() {
                    if f == top && a == r {
                        continue;
                    }
                    if let Some(reg) = st.at_mut(f, a) {
                        follow(reg, &known, d, late);
                    }
                }
            } else {
                st.for_each_reg(spills, |reg| {
                    if reg.is_scalar() && reg.id == known.id {
                        reg.assign(&known);
                    }
                });
            }
        }
    }

    /// Registers and spills that hold copies of what is compared (`collect_linked_regs()`).
    fn collect_linked(&mut self, insn: Insn, dst: &Reg, src: &Reg) -> Checked<Linked> {
        let mut linked = Linked::default();
        if !self.has(Feature::LinkedDeltas) {
            return Ok(linked);
        }
        let mut collect = |st: &mut State, id: u32| {
            let id = id & !ADD_CONST;
            for f in (0..st.frames.len()).rev() {
                let frame = &mut st.frames[f];
                let slots = frame.stack.iter_mut().enumerate().filter(|(_, s)| s.is_spill());
                let regs = frame.regs.iter_mut().take(10).enumerate().map(|(i, r)| (i as u8, r));
                for (at, reg) in regs.chain(slots.map(|(i, s)| (16 + i as u8, &mut s.reg))) {
                    if !reg.is_scalar() || reg.id & !ADD_CONST != id {
                        continue;
                    }
                    if (linked.count as usize) < linked.at.len() {
                        linked.at[linked.count as usize] = (f as u8, at);
                        linked.count += 1;
                    } else {
                        reg.clear_id();
                    }
                }
            }
        };
        if insn.is_reg() && src.is_scalar() && src.id != 0 {
            collect(&mut self.cur, src.id);
        }
        if dst.is_scalar() && dst.id != 0 {
            collect(&mut self.cur, dst.id);
        }
        if linked.count > 1 {
            self.note_jump(|j| j.linked = linked);
        }
        Ok(linked)
    }

    fn learn_pointers(&mut self, other: &mut State, insn: Insn, cmp: Cmp, dst: &Reg, src: &Reg) -> Checked {
        let wide = insn.class() == Class::Jmp;
        if self.has(Feature::TwoSidedBranches)
            && wide
            && insn.is_reg()
            && !dst.is_scalar()
            && !src.is_scalar()
            && dst.ty.may_be_null() != src.ty.may_be_null()
            && dst.ty.base != Base::BtfId
            && src.ty.base != Base::BtfId
            && matches!(cmp, Cmp::Eq | Cmp::Ne)
        {
            let frame = other.current();
            let regs =
                if cmp == Cmp::Eq { &mut other.frames[frame].regs } else { &mut self.cur.frame_mut().regs };
            let r = if src.ty.may_be_null() { insn.src } else { insn.dst };
            let mut reg = regs[r as usize];
            mark_not_null(&self.maps, &self.inner, &self.records, &mut reg);
            let frame = other.current();
            let regs =
                if cmp == Cmp::Eq { &mut other.frames[frame].regs } else { &mut self.cur.frame_mut().regs };
            regs[r as usize] = reg;
        }
        if wide && !insn.is_reg() && insn.imm == 0 && matches!(cmp, Cmp::Eq | Cmp::Ne) && dst.ty.may_be_null()
        {
            let mut this = std::mem::replace(&mut self.cur, other.clone());
            self.resolve_null(&mut this, insn.dst, cmp == Cmp::Ne);
            self.resolve_null(other, insn.dst, cmp == Cmp::Eq);
            self.cur = this;
            return Ok(());
        }
        if insn.is_reg() && wide {
            self.learn_packet(other, insn, cmp, dst, src);
        }
        Ok(())
    }

    /// The register, and all that share its id, turn out null or not (`mark_ptr_or_null_regs()`).
    fn resolve_null(&self, st: &mut State, r: u8, is_null: bool) {
        let reg = *st.reg(r);
        let (id, ref_id) = (reg.id, reg.ref_id);
        if ref_id != 0 && ref_id == id && is_null {
            st.refs.retain(|x| x.id != ref_id);
        }
        let (maps, inner, records) = (self.maps.as_slice(), &self.inner, &self.records);
        let in_bits = self.has(Feature::ConstOffsetInBits);
        st.for_each_reg(self.spills(), |x| {
            let rcu = x.ty.flags.any(Flags::RCU);
            if !x.ty.may_be_null() || x.id != id || (id == 0 && !rcu) {
                return;
            }
            let object = x.ty.flags.any(Flags::ALLOC);
            if (x.v.smin != 0 || x.v.smax != 0 || !x.v.is(0)) && !(object && in_bits) {
                return;
            }
            if x.off != 0 && !object {
                return;
            }
            if is_null {
                x.ty = Type::plain(Base::Scalar);
                x.data = Data::None;
                x.id = 0;
                x.ref_id = 0;
                x.off = 0;
                x.v = Value::known(0);
                return;
            }
            mark_not_null(maps, inner, records, x);
            if !self.may_hold_lock(x) {
                x.id = 0;
            }
        });
    }

    fn learn_packet(&mut self, other: &mut State, insn: Insn, cmp: Cmp, dst: &Reg, src: &Reg) {
        let starts = |r: &Reg| r.ty.is(Base::Packet) && r.id == 0 && r.off == 0 && r.v.is(0);
        let forward = (dst.ty.is(Base::Packet) && src.ty.is(Base::PacketEnd))
            || (dst.ty.is(Base::PacketMeta) && starts(src));
        let backward = (dst.ty.is(Base::PacketEnd) && src.ty.is(Base::Packet))
            || (starts(dst) && src.ty.is(Base::PacketMeta));
        if !forward && !backward {
            return;
        }
        let (ptr, r) = if forward { (dst, insn.dst) } else { (src, insn.src) };
        let cmp = if forward { cmp } else { cmp.mirrored() };
        let marks_end = self.has(Feature::PacketEndKnown);
        let split = self.has(Feature::ConstOffsetInBits);
        let spills = self.spills();
        // `good`: where the packet reaches the pointer; `open`: where it goes beyond it by a byte at least.
        let (good_is_other, open) = match cmp {
            Cmp::Gt => (false, false),
            Cmp::Ge => (false, true),
            Cmp::Lt => (true, true),
            Cmp::Le => (true, false),
            _ => return,
        };
        let (good, bad): (&mut State, &mut State) =
            if good_is_other { (other, &mut self.cur) } else { (&mut self.cur, other) };
        find_good_packet(good, ptr, open, split, spills);
        if marks_end {
            let reg = bad.reg_mut(r);
            if reg.ty.is(Base::Packet) {
                reg.data = Data::Range(if open { AT_PKT_END } else { BEYOND_PKT_END });
            }
        }
    }
}

/// All pointers into the packet with the same id reach as far (`find_good_pkt_pointers()`).
fn find_good_packet(st: &mut State, ptr: &Reg, open: bool, split: bool, spills: super::state::Spills) {
    const MAX_PACKET_OFF: u64 = 0xffff;
    let (range, id, ty) = if split {
        if ptr.v.smin < 0 || (ptr.v.is(0) && open) {
            return;
        }
        if ptr.v.umax > MAX_PACKET_OFF {
            return;
        }
        (ptr.v.umax as i32, ptr.id, ptr.ty)
    } else {
        if ptr.off < 0 || (ptr.off == 0 && open) {
            return;
        }
        if ptr.v.umax > MAX_PACKET_OFF || ptr.v.umax + ptr.off as u64 > MAX_PACKET_OFF {
            return;
        }
        (ptr.off, ptr.id, ptr.ty)
    };
    let range = if open { range + 1 } else { range };
    st.for_each_reg(spills, |r| {
        if r.ty == ty && r.id == id {
            r.data = Data::Range(r.range().max(range));
        }
    });
}

/// A pointer turns out not to be null; what a map lookup gave becomes what that kind of map holds
/// (`mark_ptr_not_null_reg()`).
fn mark_not_null(
    maps: &[&super::program::Map],
    inner: &[Option<super::reg::MapId>],
    records: &[MapRecord],
    r: &mut Reg,
) {
    use super::program::MapType;
    if r.ty.base == Base::MapValue
        && let Data::Map { map, uid } = r.data
    {
        let m = maps[map.0 as usize];
        if let Some(i) = inner[map.0 as usize] {
            r.ty = Type::plain(Base::ConstMap);
            // Maps with timers or the like are told apart by where they were found.
            let uid = if needs_uid(&records[i.0 as usize].record) { r.id } else { uid };
            r.data = Data::Map { map: i, uid };
        } else if m.kind == MapType::XSKMAP {
            r.ty = Type::plain(Base::XdpSock);
        } else if matches!(m.kind, MapType::SOCKMAP | MapType::SOCKHASH) {
            r.ty = Type::plain(Base::Socket);
        } else {
            r.ty = Type::plain(Base::MapValue);
        }
        return;
    }
    r.ty.flags = r.ty.flags.without(Flags::MAYBE_NULL);
}

fn needs_uid(record: &Record) -> bool {
    [FieldKind::Timer, FieldKind::Workqueue, FieldKind::TaskWork].into_iter().any(|kind| record.has(kind))
}

/// A pointer into a packet against its end, where earlier checks decided it (`is_pkt_ptr_branch_taken()`).
fn packet_way(dst: &Reg, src: &Reg, cmp: Cmp) -> Taken {
    let (pkt, cmp) = if src.ty.is(Base::PacketEnd) {
        (dst, cmp)
    } else if dst.ty.is(Base::PacketEnd) {
        (src, cmp.mirrored())
    } else {
        return Taken::Either;
    };
    match (cmp, pkt.range()) {
        (Cmp::Le | Cmp::Gt, BEYOND_PKT_END) => Taken::when(cmp == Cmp::Gt),
        (Cmp::Lt | Cmp::Ge, BEYOND_PKT_END | AT_PKT_END) => Taken::when(cmp == Cmp::Ge),
        _ => Taken::Either,
    }
}

/// A copy, or a copy at a constant distance, follows what was learnt (`sync_linked_regs()`).
fn follow(reg: &mut Reg, known: &Reg, d: Domain, late: bool) {
    if !reg.is_scalar() || reg.id & !ADD_CONST != known.id & !ADD_CONST {
        return;
    }
    // One at full width and one in the low half have no common distance.
    if (reg.id ^ known.id) & ADD_CONST == ADD_CONST {
        return;
    }
    let both_plain = reg.id & ADD_CONST == 0 && known.id & ADD_CONST == 0;
    if both_plain || reg.off == known.off {
        reg.assign(known);
        return;
    }
    let by = Value::known((reg.off as i64 - known.off as i64) as u64);
    let (off, id) = (reg.off, reg.id);
    reg.assign(known);
    (reg.off, reg.id) = (off, id);
    super::arith::add32(&mut reg.v, &by, d);
    super::arith::add64(&mut reg.v, &by, d);
    reg.v.t = reg.v.t.add(by.t);
    if (reg.id | known.id) & ADD_CONST32 != 0 {
        reg.v.zero_extend();
    }
    if late {
        reg.v.sync(d);
    }
}
