//! ALU instructions: their obligations, and what they do to registers.
//!
//! `check_alu_op()`, `adjust_reg_min_max_vals()`, `adjust_ptr_min_max_vals()` (kernel/bpf/verifier.c). A pointer plus a
//! scalar is a pointer whose offset moved; any other arithmetic between pointers is refused, but for subtraction,
//! which a privileged program may do.

use super::arith::{self, ByteOrder, Sign, Width};
use super::env::{Env, MAX_OFF};
use super::feature::Feature;
use super::insn::{AluOp, Class, Insn};
use super::reg::{ADD_CONST, ADD_CONST32, ADD_CONST64, Base, Data, Flags, Reg, Type};
use super::report::{Checked, reject};
use super::value::{Deduce, Value};

/// The constant of an address-space cast.
const ADDR_SPACE_CAST: i16 = 1;

impl Env<'_> {
    pub(super) fn step_alu(&mut self, insn: Insn) -> Checked {
        let Some(op) = insn.alu_op() else {
            reject!(UnknownOpcode, "invalid BPF_ALU opcode {:x}", insn.op_bits());
        };
        match op {
            AluOp::Neg | AluOp::End => self.step_unary(insn, op)?,
            AluOp::Mov => self.step_mov(insn)?,
            _ => self.step_binary(insn, op)?,
        }
        self.check_invariant(insn.dst, "alu")
    }

    fn step_unary(&mut self, insn: Insn, op: AluOp) -> Checked {
        self.check_alu_fields(insn, op)?;
        self.read_reg(insn.dst)?;
        self.check_writable(insn.dst)?;
        let reg = *self.cur.reg(insn.dst);
        let tracked = match op {
            AluOp::Neg => self.has(Feature::TrackedNegation),
            _ => self.has(Feature::TrackedByteSwap),
        };
        let mut out = Reg::UNKNOWN;
        if tracked && reg.is_scalar() {
            out = reg;
            if op == AluOp::Neg {
                arith::alu(AluOp::Neg, insn.width(), Sign::Unsigned, &mut out.v, &reg.v, self.d);
            } else {
                let reverse = insn.class() == Class::Alu64 || insn.is_reg();
                if reverse || insn.imm != 64 {
                    out.clear_id();
                }
                let order = if reverse { ByteOrder::Reverse } else { ByteOrder::Keep };
                arith::byte_swap(&mut out.v, insn.imm as u32, order, self.d);
            }
            if op == AluOp::Neg {
                out.clear_id();
            }
        }
        self.set_reg(insn.dst, &out);
        Ok(())
    }

    /// The fields that an operation does not use are zero.
    pub(super) fn check_alu_fields(&self, insn: Insn, op: AluOp) -> Checked {
        let v4 = self.has(Feature::CpuV4);
        match op {
            AluOp::Neg => {
                if insn.is_reg() || insn.src != 0 || insn.off != 0 || insn.imm != 0 {
                    reject!(ReservedFields, "BPF_NEG uses reserved fields");
                }
            }
            AluOp::End => {
                let wide_bad = insn.class() == Class::Alu64 && (insn.is_reg() || !v4);
                if insn.src != 0 || insn.off != 0 || !matches!(insn.imm, 16 | 32 | 64) || wide_bad {
                    reject!(ReservedFields, "BPF_END uses reserved fields");
                }
            }
            AluOp::Mov if insn.is_reg() => {
                let wide = insn.class() == Class::Alu64;
                if wide && insn.off == ADDR_SPACE_CAST && self.has(Feature::Arena) {
                    if insn.imm != 1 && insn.imm != 1 << 16 {
                        reject!(
                            ReservedFields,
                            "addr_space_cast insn can only convert between address space 1 and 0"
                        );
                    }
                } else {
                    let extends = v4 && (matches!(insn.off, 8 | 16) || (wide && insn.off == 32));
                    if (insn.off != 0 && !extends) || insn.imm != 0 {
                        reject!(ReservedFields, "BPF_MOV uses reserved fields");
                    }
                }
            }
            AluOp::Mov => {
                if insn.src != 0 || insn.off != 0 {
                    reject!(ReservedFields, "BPF_MOV uses reserved fields");
                }
            }
            _ => {
                let signed = insn.off == 1 && matches!(op, AluOp::Div | AluOp::Mod) && v4;
                let unused = if insn.is_reg() { insn.imm != 0 } else { insn.src != 0 };
                if unused || (insn.off != 0 && !signed) {
                    reject!(ReservedFields, "BPF_ALU uses reserved fields");
                }
            }
        }
        Ok(())
    }

    fn step_mov(&mut self, insn: Insn) -> Checked {
        self.check_alu_fields(insn, AluOp::Mov)?;
        if !insn.is_reg() {
            self.check_writable(insn.dst)?;
            let v =
                if insn.class() == Class::Alu64 { insn.imm as i64 as u64 } else { insn.imm as u32 as u64 };
            self.set_reg(insn.dst, &Reg::known(v));
            return Ok(());
        }
        let casts = insn.class() == Class::Alu64 && insn.off == ADDR_SPACE_CAST;
        if casts && self.arena_map.is_none() {
            reject!(Arena, "addr_space_cast insn can only be used in a program that has an associated arena");
        }
        self.read_reg(insn.src)?;
        self.check_writable(insn.dst)?;
        if casts {
            let out =
                if insn.imm == 1 { Reg::pointer(Type::plain(Base::Arena), Data::None) } else { Reg::UNKNOWN };
            let out = if insn.imm == 1 { Reg { v: Value::UNKNOWN, ..out } } else { out };
            self.set_reg(insn.dst, &out);
            return Ok(());
        }
        let bits = insn.off as u32;
        if insn.class() == Class::Alu64 && bits == 0 {
            self.give_scalar_id(insn.src);
            let src = *self.cur.reg(insn.src);
            self.set_reg(insn.dst, &src);
            return Ok(());
        }
        let src = *self.cur.reg(insn.src);
        let mut out = Reg::UNKNOWN;
        if src.is_scalar() {
            let keeps_value = match bits {
                0 => self.has(Feature::SpillAnyScalar) && src.v.width() <= 32,
                n => src.v.umax < 1u64 << (n - 1),
            };
            if keeps_value {
                self.give_scalar_id(insn.src);
            }
            out = *self.cur.reg(insn.src);
            if !keeps_value {
                out.clear_id();
            }
            if insn.class() == Class::Alu64 {
                out.v.sign_extend(bits / 8);
            } else if bits != 0 {
                out.v.sign_extend32(bits / 8);
            }
        }
        if insn.class() == Class::Alu {
            out.v.zero_extend();
            out.v.sync(self.d);
        }
        self.set_reg(insn.dst, &out);
        Ok(())
    }

    /// A scalar that is about to be copied gets an id, so that what is learned of one copy holds for the other.
    pub(super) fn give_scalar_id(&mut self, r: u8) {
        let constants_too = !self.has(Feature::SpillAnyScalar);
        let deltas = self.has(Feature::LinkedDeltas);
        let reg = self.cur.reg_mut(r);
        if !reg.is_scalar() {
            return;
        }
        if deltas && reg.id & ADD_CONST != 0 {
            reg.clear_id();
        }
        if reg.id == 0 && (constants_too || !reg.v.t.is_const()) {
            let id = self.next_id();
            self.cur.reg_mut(r).id = id;
        }
    }

    fn step_binary(&mut self, insn: Insn, op: AluOp) -> Checked {
        self.check_alu_fields(insn, op)?;
        if insn.is_reg() {
            self.read_reg(insn.src)?;
        }
        self.read_reg(insn.dst)?;
        if !insn.is_reg() {
            if matches!(op, AluOp::Div | AluOp::Mod) && insn.imm == 0 {
                reject!(DivByZero, "div by zero");
            }
            let bits = insn.width().bits() as i32;
            if matches!(op, AluOp::Lsh | AluOp::Rsh | AluOp::Arsh) && (insn.imm < 0 || insn.imm >= bits) {
                reject!(InvalidShift, "invalid shift {}", insn.imm);
            }
        }
        self.check_writable(insn.dst)?;
        self.mark_written_later(insn, op)
    }

    /// The operands' kinds decide: scalar on scalar, or pointer arithmetic.
    fn mark_written_later(&mut self, insn: Insn, op: AluOp) -> Checked {
        let dst = *self.cur.reg(insn.dst);
        let src = if insn.is_reg() { *self.cur.reg(insn.src) } else { Reg::known(insn.imm as i64 as u64) };
        if dst.ty.base == Base::Arena || (insn.is_reg() && src.ty.base == Base::Arena) {
            if dst.ty.base != Base::Arena {
                self.set_reg(insn.dst, &src);
            }
            return Ok(());
        }
        if insn.is_reg() && !src.is_scalar() {
            if !dst.is_scalar() {
                if op == AluOp::Sub {
                    self.set_reg(insn.dst, &Reg::UNKNOWN);
                    return Ok(());
                }
                reject!(PointerArithmetic, "R{} pointer {} pointer prohibited", insn.dst, op.sign());
            }
            // scalar op= pointer: the pointer moves by the scalar.
            self.mark_precise(insn.dst)?;
            return self.pointer_arithmetic(insn, op, &src, &dst, Operand::Scalar);
        }
        if !dst.is_scalar() {
            if insn.is_reg() {
                self.mark_precise(insn.src)?;
            }
            return self.pointer_arithmetic(insn, op, &dst, &src, Operand::Pointer);
        }
        if insn.is_reg() && dst.precise {
            self.mark_precise(insn.src)?;
        }
        self.scalar_arithmetic(insn, op, &src)
    }

    fn scalar_arithmetic(&mut self, insn: Insn, op: AluOp, src: &Reg) -> Checked {
        let width = insn.width();
        if !self.is_tracked(op, width, &src.v) {
            let mut unknown = Reg::UNKNOWN;
            // Up to 6.10 what an operation does not track still is as wide as its result.
            if !self.has(Feature::UnknownSourceOps)
                && width == Width::W32
                && !self.has_unusable_source(op, width, &src.v)
            {
                unknown.v.zero_extend();
                unknown.v.sync(self.d);
            }
            self.set_reg(insn.dst, &unknown);
            return Ok(());
        }
        if self.has(Feature::ForkOnSignMask) && matches!(op, AluOp::And | AluOp::Or) && src.v.t.is_const() {
            self.fork_on_sign_mask(insn)?;
        }
        let mut out = *self.cur.reg(insn.dst);
        let sign = if insn.off == 1 { Sign::Signed } else { Sign::Unsigned };
        arith::alu(op, width, sign, &mut out.v, &src.v, self.d);
        // In 5.10 and 6.1 the id survives nothing but a move (the destination's id is cleared when it is written).
        let distance = self.linked_distance(insn, op, src);
        match distance {
            Some(by) if out.id != 0 && out.id & ADD_CONST == 0 => {
                out.id |= if width == Width::W64 { ADD_CONST64 } else { ADD_CONST32 };
                out.off = by;
            }
            _ => out.clear_id(),
        }
        out.precise = self.cur.reg(insn.dst).precise;
        self.set_reg(insn.dst, &out);
        Ok(())
    }

    /// How far the result is from the operand that it stays linked with, if it does.
    fn linked_distance(&self, insn: Insn, op: AluOp, src: &Reg) -> Option<i32> {
        let (width, t) = (insn.width(), src.v.t);
        if !self.has(Feature::LinkedDeltas) || (insn.is_reg() && insn.src == insn.dst) {
            return None;
        }
        if !self.has(Feature::LinkedSubtractions) {
            let plain = op == AluOp::Add && width == Width::W64 && t.is_const();
            return i32::try_from(t.value).ok().filter(|_| plain);
        }
        let by = match width {
            Width::W64 => i32::try_from(t.value as i64).ok().filter(|_| t.is_const())?,
            // The upper half of the operand is lost: it must have been empty.
            Width::W32 if self.cur.reg(insn.dst).v.umax > u32::MAX as u64 => return None,
            Width::W32 => t.low32_is_const().then_some(t.value as i32)?,
        };
        match op {
            AluOp::Add => Some(by),
            AluOp::Sub => by.checked_neg(),
            _ => None,
        }
    }

    /// Whether this kernel tracks the result (`is_safe_to_compute_dst_reg_range()`).
    fn is_tracked(&self, op: AluOp, width: Width, src: &Value) -> bool {
        let narrow_known = src.t.low32_is_const() && src.s32min == src.s32max && src.u32min == src.u32max;
        let wide_known = src.t.is_const() && src.smin == src.smax && src.umin == src.umax;
        let known = if width == Width::W32 { narrow_known } else { wide_known };
        if !self.has(Feature::UnknownSourceOps) && self.has_unusable_source(op, width, src) {
            return false;
        }
        match op {
            AluOp::Add | AluOp::Sub | AluOp::And | AluOp::Or | AluOp::Xor | AluOp::Mul => true,
            AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => known && src.umax < width.bits(),
            AluOp::Div | AluOp::Mod => known && self.has(Feature::TrackedDivision),
            _ => false,
        }
    }

    /// Up to 6.10: operands that nothing is computed of.
    fn has_unusable_source(&self, op: AluOp, width: Width, src: &Value) -> bool {
        let (bits_known, bad) = if width == Width::W32 {
            let known = src.t.low32_is_const();
            let one = src.s32min == src.s32max && src.u32min == src.u32max;
            (known, src.s32min > src.s32max || src.u32min > src.u32max || (known && !one))
        } else {
            let known = src.t.is_const();
            let one = src.smin == src.smax && src.umin == src.umax;
            (known, src.smin > src.smax || src.umin > src.umax || (known && !one))
        };
        bad || (!bits_known && !matches!(op, AluOp::Add | AluOp::Sub | AluOp::And))
    }

    /// A value that is 0 or -1 is a mask made by a shift: walk both (`maybe_fork_scalars()`).
    fn fork_on_sign_mask(&mut self, insn: Insn) -> Checked {
        let v = self.cur.reg(insn.dst).v;
        let (wide, narrow) = ((v.smin, v.smax) == (-1, 0), (v.s32min, v.s32max) == (-1, 0));
        if !wide && !narrow {
            return Ok(());
        }
        let (pc, dst) = (self.pc, insn.dst as usize);
        let other = self.fork(pc, pc)?;
        let frame = other.current();
        let reg = &mut other.frames[frame].regs[dst];
        if wide {
            reg.v = Value::known(0);
            self.cur.reg_mut(insn.dst).v = Value::known(u64::MAX);
        } else {
            reg.v.set_low32(0);
            self.cur.reg_mut(insn.dst).v.set_low32(u32::MAX);
        }
        Ok(())
    }

    /// `ptr` moved by `off`. `left` says which of the two is the destination operand.
    fn pointer_arithmetic(&mut self, insn: Insn, op: AluOp, ptr: &Reg, off: &Reg, left: Operand) -> Checked {
        let dst = insn.dst;
        let known = off.v.t.is_const();
        let o = off.v;
        if (known && (o.smin != o.smax || o.umin != o.umax)) || o.smin > o.smax || o.umin > o.umax {
            self.set_reg(dst, &Reg::UNKNOWN);
            return Ok(());
        }
        if insn.class() != Class::Alu64 {
            if op == AluOp::Sub {
                self.set_reg(dst, &Reg::UNKNOWN);
                return Ok(());
            }
            reject!(PointerArithmetic, "R{dst} 32-bit pointer arithmetic prohibited");
        }
        self.check_movable(dst, op, ptr, off)?;
        let mut out = *ptr;
        out.precise = false;
        if left == Operand::Scalar {
            // The number becomes the pointer, but for what `adjust_ptr_min_max_vals()` does not copy.
            if !self.has(Feature::WholePointerInherited) {
                out.frame = off.frame;
                out.ref_id = off.ref_id;
            }
        }
        if ptr.ty.base == Base::Mem && ptr.ty.flags.any(Flags::UNTRUSTED) {
            self.set_reg(dst, &out);
            return Ok(());
        }
        let split = self.has(Feature::ConstOffsetInBits);
        self.check_sane_offset(off, ptr.ty, split.then_some(Operand::Scalar))?;
        self.check_sane_offset(ptr, ptr.ty, split.then_some(Operand::Pointer))?;
        out.v.forget32();
        let fixed = |sum: i64| (sum == sum as i32 as i64).then_some(sum as i32);
        match op {
            AluOp::Add => {
                let small = fixed((ptr.off as i64).wrapping_add(o.smin));
                if let (true, false, Some(off)) = (known, split, small) {
                    out.off = off;
                } else {
                    arith::add64(&mut out.v, &o, self.d);
                    out.v.t = ptr.v.t.add(o.t);
                    if ptr.ty.is_packet() {
                        if !split || !known {
                            out.id = self.next_id();
                        }
                        if !split || !known || ptr.range() < 0 {
                            out.data = Data::Range(0);
                        }
                    }
                }
            }
            AluOp::Sub => {
                if left == Operand::Scalar {
                    reject!(PointerArithmetic, "R{dst} tried to subtract pointer from scalar");
                }
                if ptr.ty.is(Base::Stack) {
                    reject!(PointerArithmetic, "R{dst} subtraction from stack pointer prohibited");
                }
                let small = fixed((ptr.off as i64).wrapping_sub(o.smin));
                if let (true, false, Some(off)) = (known, split, small) {
                    out.off = off;
                } else {
                    arith::sub64(&mut out.v, &o, self.d);
                    out.v.t = ptr.v.t.sub(o.t);
                    if split && known && self.d.deduce < Deduce::Arcs {
                        // Constants are kept exactly where both parts live together.
                        let k = (o.smin as i128).checked_neg().unwrap_or(0);
                        if let (Ok(lo), Ok(hi)) =
                            (i64::try_from(ptr.v.smin as i128 + k), i64::try_from(ptr.v.smax as i128 + k))
                        {
                            (out.v.smin, out.v.smax) = (lo, hi);
                        }
                    }
                    if ptr.ty.is_packet() {
                        if !split || !known {
                            out.id = self.next_id();
                        }
                        if (o.smin < 0 && !(split && known)) || ptr.range() < 0 && split {
                            out.data = Data::Range(0);
                        }
                    }
                }
            }
            AluOp::And | AluOp::Or | AluOp::Xor => {
                reject!(PointerArithmetic, "R{dst} bitwise operator {} on pointer prohibited", op.sign())
            }
            _ => {
                reject!(PointerArithmetic, "R{dst} pointer arithmetic with {} operator prohibited", op.sign())
            }
        }
        self.check_sane_offset(&out, ptr.ty, split.then_some(Operand::Pointer))?;
        out.v.sync(self.d);
        self.set_reg(dst, &out);
        Ok(())
    }

    /// Kinds of pointers that may move.
    fn check_movable(&self, dst: u8, op: AluOp, ptr: &Reg, off: &Reg) -> Checked {
        let text = self.type_text(ptr.ty);
        if ptr.ty.may_be_null() {
            // Before flags, only map values had the friendlier text.
            if self.has(Feature::NullableAsFlag) || ptr.ty.base == Base::MapValue {
                reject!(
                    PointerArithmetic,
                    "R{dst} pointer arithmetic on {text} prohibited, null-check it first"
                );
            }
            reject!(PointerArithmetic, "R{dst} pointer arithmetic on {text} prohibited");
        }
        let known = off.v.t.is_const();
        let by_zero = known && off.v.smin == 0 && op == AluOp::Add;
        let allow_list = self.profile.release >= super::profile::Release::new(6, 1);
        let ok = match ptr.ty.base {
            Base::ConstMap => by_zero,
            Base::PacketEnd | Base::Socket | Base::SockCommon | Base::TcpSock | Base::XdpSock => false,
            Base::FlowKeys => known || by_zero || !allow_list,
            Base::Arena | Base::NotInit | Base::Scalar => !allow_list,
            _ => true,
        };
        if !ok {
            reject!(PointerArithmetic, "R{dst} pointer arithmetic on {text} prohibited");
        }
        Ok(())
    }

    /// Offsets stay far from overflow (`check_reg_sane_offset()`; split in two from 7.0).
    fn check_sane_offset(&self, reg: &Reg, ty: Type, part: Option<Operand>) -> Checked {
        let text = self.type_text(ty);
        let val = reg.v.t.value as i64;
        let outside = |v: i64| v >= MAX_OFF || v <= -MAX_OFF;
        let known = reg.v.t.is_const();
        if part == Some(Operand::Pointer) {
            if known && outside(val) {
                reject!(PointerOutOfRange, "{text} pointer offset {val} is not allowed");
            }
            if outside(reg.v.smin) {
                reject!(PointerOutOfRange, "{text} pointer offset {} is not allowed", reg.v.smin);
            }
            return Ok(());
        }
        if known && outside(val) {
            reject!(PointerOutOfRange, "math between {text} pointer and {val} is not allowed");
        }
        if part.is_none() && outside(reg.off as i64) {
            reject!(PointerOutOfRange, "{text} pointer offset {} is not allowed", reg.off);
        }
        if reg.v.smin == i64::MIN {
            reject!(
                PointerOutOfRange,
                "math between {text} pointer and register with unbounded min value is not allowed"
            );
        }
        if outside(reg.v.smin) {
            reject!(PointerOutOfRange, "value {} makes {text} pointer be out of bounds", reg.v.smin);
        }
        Ok(())
    }
}

/// Which operand of pointer arithmetic.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operand {
    Pointer,
    Scalar,
}
