//! Arithmetic on abstract scalars: the transfer of each ALU operation.
//!
//! Each function takes the operands apart into the six parts of a [`Value`] and computes each part from its own
//! kind; [`Value::sync`] then lets them learn from each other. Equals `adjust_scalar_min_max_vals()` and the
//! `scalar*_min_max_*()` functions below it (kernel/bpf/verifier.c). Proven sound by `tests::domain`.

use super::insn::AluOp;
use super::tnum::Tnum;
use super::value::{Deduce, Domain, Products, Value};

/// The operand width of an ALU or jump instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// The low half; the upper half of a result is zero.
    W32,
    /// All of it.
    W64,
}

impl Width {
    /// In bits.
    pub const fn bits(self) -> u64 {
        match self {
            Self::W32 => 32,
            Self::W64 => 64,
        }
    }
}

/// How division reads its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// As unsigned numbers.
    Unsigned,
    /// As signed numbers (instruction set v4).
    Signed,
}

/// `dst op= src` for the operations whose result is tracked. The caller has ruled out the others
/// (unknown shift distances and divisors, division before the kernel tracked it).
pub(super) fn alu(op: AluOp, width: Width, sign: Sign, dst: &mut Value, src: &Value, d: Domain) {
    let before = *dst;
    if !matches!(op, AluOp::Add | AluOp::Sub | AluOp::Neg | AluOp::Mod) {
        dst.drop_arcs();
    }
    match op {
        AluOp::Add => {
            add32(dst, src, d);
            add64(dst, src, d);
            dst.t = dst.t.add(src.t);
        }
        AluOp::Sub => {
            sub32(dst, src, d);
            sub64(dst, src, d);
            dst.t = dst.t.sub(src.t);
        }
        AluOp::Neg => {
            let operand = *dst;
            *dst = Value::known(0);
            sub32(dst, &operand, d);
            sub64(dst, &operand, d);
            dst.t = operand.t.neg();
        }
        AluOp::Mul => {
            dst.t = dst.t.mul(src.t, d.mul);
            match d.products {
                Products::Unsigned => {
                    mul32(dst, src);
                    mul64(dst, src);
                }
                Products::AllSigns => {
                    mul32_signs(dst, src);
                    mul64_signs(dst, src);
                }
            }
        }
        AluOp::And => {
            let signs = Signs::of(dst, src);
            dst.t = dst.t.and(src.t);
            bitwise32(dst, src, signs, d, |v, _| (v.t.value as u32, v.u32max.min(src.u32max)));
            bitwise64(dst, src, signs, d, |v| (v.t.value, v.umax.min(src.umax)));
        }
        AluOp::Or => {
            let signs = Signs::of(dst, src);
            dst.t = dst.t.or(src.t);
            bitwise32(dst, src, signs, d, |v, low_max| (v.u32min.max(src.u32min), low_max));
            bitwise64(dst, src, signs, d, |v| (v.umin.max(src.umin), v.t.max()));
        }
        AluOp::Xor => {
            let signs = Signs::of(dst, src);
            dst.t = dst.t.xor(src.t);
            bitwise32(dst, src, signs, d, |v, low_max| (v.t.value as u32, low_max));
            bitwise64(dst, src, signs, d, |v| (v.t.value, v.t.max()));
        }
        AluOp::Lsh => lsh(width, dst, src, d),
        AluOp::Rsh => rsh(width, dst, src, d),
        AluOp::Arsh => arsh(width, dst, src, d),
        AluOp::Div => divide(width, sign, dst, src),
        AluOp::Mod => {
            remainder(width, sign, dst, src);
            if *dst != before {
                dst.drop_arcs();
            }
        }
        AluOp::Mov | AluOp::End => {}
    }
    if width == Width::W32 {
        dst.zero_extend();
    }
    dst.sync(d);
}

/// `dst + src` on the 64-bit ranges.
pub(super) fn add64(dst: &mut Value, src: &Value, d: Domain) {
    if d.deduce >= Deduce::Arcs {
        return dst.set_arc64(dst.arc64().plus(src.arc64()));
    }
    match (dst.smin.checked_add(src.smin), dst.smax.checked_add(src.smax)) {
        (Some(lo), Some(hi)) => (dst.smin, dst.smax) = (lo, hi),
        _ => (dst.smin, dst.smax) = (i64::MIN, i64::MAX),
    }
    let (lo, lo_over) = dst.umin.overflowing_add(src.umin);
    let (hi, hi_over) = dst.umax.overflowing_add(src.umax);
    (dst.umin, dst.umax) = match (lo_over, hi_over) {
        (false, false) => (lo, hi),
        _ => (0, u64::MAX),
    };
}

/// `dst + src` on the 32-bit ranges.
pub(super) fn add32(dst: &mut Value, src: &Value, d: Domain) {
    if d.deduce >= Deduce::Arcs {
        return dst.set_arc32(dst.arc32().plus(src.arc32()));
    }
    match (dst.s32min.checked_add(src.s32min), dst.s32max.checked_add(src.s32max)) {
        (Some(lo), Some(hi)) => (dst.s32min, dst.s32max) = (lo, hi),
        _ => (dst.s32min, dst.s32max) = (i32::MIN, i32::MAX),
    }
    match (dst.u32min.checked_add(src.u32min), dst.u32max.checked_add(src.u32max)) {
        (Some(lo), Some(hi)) => (dst.u32min, dst.u32max) = (lo, hi),
        _ => (dst.u32min, dst.u32max) = (0, u32::MAX),
    }
}

/// `dst - src` on the 64-bit ranges.
pub(super) fn sub64(dst: &mut Value, src: &Value, d: Domain) {
    if d.deduce >= Deduce::Arcs {
        return dst.set_arc64(dst.arc64().plus(src.arc64().negated()));
    }
    match (dst.smin.checked_sub(src.smax), dst.smax.checked_sub(src.smin)) {
        (Some(lo), Some(hi)) => (dst.smin, dst.smax) = (lo, hi),
        _ => (dst.smin, dst.smax) = (i64::MIN, i64::MAX),
    }
    if dst.umin < src.umax {
        (dst.umin, dst.umax) = (0, u64::MAX);
    } else {
        (dst.umin, dst.umax) = (dst.umin - src.umax, dst.umax.wrapping_sub(src.umin));
    }
}

fn sub32(dst: &mut Value, src: &Value, d: Domain) {
    if d.deduce >= Deduce::Arcs {
        return dst.set_arc32(dst.arc32().plus(src.arc32().negated()));
    }
    match (dst.s32min.checked_sub(src.s32max), dst.s32max.checked_sub(src.s32min)) {
        (Some(lo), Some(hi)) => (dst.s32min, dst.s32max) = (lo, hi),
        _ => (dst.s32min, dst.s32max) = (i32::MIN, i32::MAX),
    }
    if dst.u32min < src.u32max {
        (dst.u32min, dst.u32max) = (0, u32::MAX);
    } else {
        (dst.u32min, dst.u32max) = (dst.u32min - src.u32max, dst.u32max.wrapping_sub(src.u32min));
    }
}

fn mul64(dst: &mut Value, src: &Value) {
    if src.smin < 0 || dst.smin < 0 || src.umax > u32::MAX as u64 || dst.umax > u32::MAX as u64 {
        dst.forget64();
        return;
    }
    dst.umin = dst.umin.wrapping_mul(src.umin);
    dst.umax = dst.umax.wrapping_mul(src.umax);
    if dst.umax > i64::MAX as u64 {
        (dst.smin, dst.smax) = (i64::MIN, i64::MAX);
    } else {
        (dst.smin, dst.smax) = (dst.umin as i64, dst.umax as i64);
    }
}

fn mul32(dst: &mut Value, src: &Value) {
    if src.s32min < 0 || dst.s32min < 0 || src.u32max > u16::MAX as u32 || dst.u32max > u16::MAX as u32 {
        dst.forget32();
        return;
    }
    dst.u32min = dst.u32min.wrapping_mul(src.u32min);
    dst.u32max = dst.u32max.wrapping_mul(src.u32max);
    if dst.u32max > i32::MAX as u32 {
        (dst.s32min, dst.s32max) = (i32::MIN, i32::MAX);
    } else {
        (dst.s32min, dst.s32max) = (dst.u32min as i32, dst.u32max as i32);
    }
}

fn mul64_signs(dst: &mut Value, src: &Value) {
    (dst.umin, dst.umax) = match (dst.umin.checked_mul(src.umin), dst.umax.checked_mul(src.umax)) {
        (Some(lo), Some(hi)) => (lo, hi),
        _ => (0, u64::MAX),
    };
    let products = [
        dst.smin.checked_mul(src.smin),
        dst.smin.checked_mul(src.smax),
        dst.smax.checked_mul(src.smin),
        dst.smax.checked_mul(src.smax),
    ];
    (dst.smin, dst.smax) = match products {
        [Some(a), Some(b), Some(c), Some(e)] => (a.min(b).min(c).min(e), a.max(b).max(c).max(e)),
        _ => (i64::MIN, i64::MAX),
    };
}

fn mul32_signs(dst: &mut Value, src: &Value) {
    (dst.u32min, dst.u32max) = match (dst.u32min.checked_mul(src.u32min), dst.u32max.checked_mul(src.u32max))
    {
        (Some(lo), Some(hi)) => (lo, hi),
        _ => (0, u32::MAX),
    };
    let products = [
        dst.s32min.checked_mul(src.s32min),
        dst.s32min.checked_mul(src.s32max),
        dst.s32max.checked_mul(src.s32min),
        dst.s32max.checked_mul(src.s32max),
    ];
    (dst.s32min, dst.s32max) = match products {
        [Some(a), Some(b), Some(c), Some(e)] => (a.min(b).min(c).min(e), a.max(b).max(c).max(e)),
        _ => (i32::MIN, i32::MAX),
    };
}

/// Whether either operand of a bitwise operation can be negative, per width: what kernels before 6.8 looked at.
#[derive(Clone, Copy)]
struct Signs {
    any64: bool,
    any32: bool,
}

impl Signs {
    fn of(dst: &Value, src: &Value) -> Self {
        Self { any64: dst.smin < 0 || src.smin < 0, any32: dst.s32min < 0 || src.s32min < 0 }
    }
}

fn bitwise64(dst: &mut Value, src: &Value, signs: Signs, d: Domain, range: impl Fn(&Value) -> (u64, u64)) {
    if src.t.is_const() && dst.t.is_const() {
        *dst = Value::known(dst.t.value);
        return;
    }
    (dst.umin, dst.umax) = range(dst);
    let unknown_sign =
        if d.deduce >= Deduce::CrossWidth { dst.umin as i64 > dst.umax as i64 } else { signs.any64 };
    (dst.smin, dst.smax) =
        if unknown_sign { (i64::MIN, i64::MAX) } else { (dst.umin as i64, dst.umax as i64) };
    dst.learn_from_bits(d);
}

fn bitwise32(
    dst: &mut Value,
    src: &Value,
    signs: Signs,
    d: Domain,
    range: impl Fn(&Value, u32) -> (u32, u32),
) {
    if src.t.low32_is_const() && dst.t.low32_is_const() {
        let v = dst.t.value as u32;
        dst.set_low32(v);
        return;
    }
    let low_max = dst.t.low32().max() as u32;
    (dst.u32min, dst.u32max) = range(dst, low_max);
    let unknown_sign =
        if d.deduce >= Deduce::CrossWidth { dst.u32min as i32 > dst.u32max as i32 } else { signs.any32 };
    (dst.s32min, dst.s32max) =
        if unknown_sign { (i32::MIN, i32::MAX) } else { (dst.u32min as i32, dst.u32max as i32) };
}

fn forget32_and_bits(v: &mut Value) {
    v.forget32();
    v.t = Tnum::UNKNOWN;
}

fn forget64_and_bits(v: &mut Value) {
    v.forget64();
    v.t = Tnum::UNKNOWN;
}

/// Division by a known number; by zero gives zero.
fn divide(width: Width, sign: Sign, dst: &mut Value, src: &Value) {
    match (width, sign) {
        (Width::W32, _) if src.u32min == 0 => *dst = Value::known(0),
        (Width::W64, _) if src.umin == 0 => *dst = Value::known(0),
        (Width::W32, Sign::Unsigned) => {
            (dst.u32min, dst.u32max) = (dst.u32min / src.u32min, dst.u32max / src.u32min);
            (dst.s32min, dst.s32max) = (i32::MIN, i32::MAX);
            forget64_and_bits(dst);
        }
        (Width::W64, Sign::Unsigned) => {
            (dst.umin, dst.umax) = (dst.umin / src.umin, dst.umax / src.umin);
            (dst.smin, dst.smax) = (i64::MIN, i64::MAX);
            forget32_and_bits(dst);
        }
        (Width::W32, Sign::Signed) => {
            let by = src.s32min;
            (dst.s32min, dst.s32max) = if dst.s32min == i32::MIN && by == -1 {
                (i32::MIN, if dst.s32max == i32::MIN { i32::MIN } else { i32::MAX })
            } else {
                let (a, b) = (dst.s32min / by, dst.s32max / by);
                (a.min(b), a.max(b))
            };
            (dst.u32min, dst.u32max) = (0, u32::MAX);
            forget64_and_bits(dst);
        }
        (Width::W64, Sign::Signed) => {
            let by = src.smin;
            (dst.smin, dst.smax) = if dst.smin == i64::MIN && by == -1 {
                (i64::MIN, if dst.smax == i64::MIN { i64::MIN } else { i64::MAX })
            } else {
                let (a, b) = (dst.smin / by, dst.smax / by);
                (a.min(b), a.max(b))
            };
            (dst.umin, dst.umax) = (0, u64::MAX);
            forget32_and_bits(dst);
        }
    }
}

/// Remainder by a known number; by zero leaves the dividend.
fn remainder(width: Width, sign: Sign, dst: &mut Value, src: &Value) {
    match (width, sign) {
        (Width::W32, _) if src.u32min == 0 => {}
        (Width::W64, _) if src.umin == 0 => {}
        (Width::W32, Sign::Unsigned) => {
            let top = src.u32min - 1;
            if dst.u32max > top {
                (dst.u32min, dst.u32max) = (0, dst.u32max.min(top));
                (dst.s32min, dst.s32max) = (i32::MIN, i32::MAX);
                forget64_and_bits(dst);
            }
        }
        (Width::W64, Sign::Unsigned) => {
            let top = src.umin - 1;
            if dst.umax > top {
                (dst.umin, dst.umax) = (0, dst.umax.min(top));
                (dst.smin, dst.smax) = (i64::MIN, i64::MAX);
                forget32_and_bits(dst);
            }
        }
        (Width::W32, Sign::Signed) => {
            let top = (src.s32min.unsigned_abs() - 1) as i32;
            if dst.s32min < -top || dst.s32max > top {
                (dst.s32min, dst.s32max) = if dst.s32min >= 0 {
                    (0, dst.s32max.min(top))
                } else if dst.s32max <= 0 {
                    (dst.s32min.max(-top), 0)
                } else {
                    (-top, top)
                };
                (dst.u32min, dst.u32max) = (0, u32::MAX);
                forget64_and_bits(dst);
            }
        }
        (Width::W64, Sign::Signed) => {
            let top = (src.smin.unsigned_abs() - 1) as i64;
            if dst.smin < -top || dst.smax > top {
                (dst.smin, dst.smax) = if dst.smin >= 0 {
                    (0, dst.smax.min(top))
                } else if dst.smax <= 0 {
                    (dst.smin.max(-top), 0)
                } else {
                    (-top, top)
                };
                (dst.umin, dst.umax) = (0, u64::MAX);
                forget32_and_bits(dst);
            }
        }
    }
}

/// Reverse the bytes of the low `bits` bits and clear the rest, or only clear the rest (`scalar_byte_swap()`, 7.0).
pub(super) fn byte_swap(dst: &mut Value, bits: u32, order: ByteOrder, d: Domain) {
    if order == ByteOrder::Reverse {
        dst.t = dst.t.swap(bits);
        dst.forget64();
        dst.forget32();
    }
    if bits < 64 {
        dst.truncate(bits / 8, d);
    }
    dst.sync(d);
}

/// What a byte-order instruction does to its operand on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    /// The order stays, the upper part is cleared.
    Keep,
    /// The bytes are reversed.
    Reverse,
}

fn lsh_range32(dst: &mut Value, lo: u64, hi: u64) {
    (dst.s32min, dst.s32max) = (i32::MIN, i32::MAX);
    if hi > 31 || dst.u32max as u64 > 1u64 << (31 - hi) {
        (dst.u32min, dst.u32max) = (0, u32::MAX);
    } else {
        dst.u32min <<= lo;
        dst.u32max <<= hi;
    }
}

fn lsh(width: Width, dst: &mut Value, src: &Value, d: Domain) {
    if width == Width::W32 {
        let low = dst.t.low32();
        lsh_range32(dst, src.u32min as u64, src.u32max as u64);
        dst.t = low.shl(src.u32min).low32();
        dst.forget64();
        dst.learn32_from_bits(d);
        return;
    }
    let (lo, hi) = (src.umin, src.umax);
    if lo == 32 && hi == 32 {
        // Left by 32 and back is how compilers sign-extend: remember what the low half said.
        dst.smax = (dst.s32max as i64) << 32;
        dst.smin = (dst.s32min as i64) << 32;
    } else {
        (dst.smin, dst.smax) = (i64::MIN, i64::MAX);
    }
    if hi > 63 || dst.umax > 1u64 << (63 - hi) {
        (dst.umin, dst.umax) = (0, u64::MAX);
    } else {
        dst.umin <<= lo;
        dst.umax <<= hi;
    }
    lsh_range32(dst, lo, hi);
    dst.t = dst.t.shl(lo as u32);
    dst.learn_from_bits(d);
}

fn rsh(width: Width, dst: &mut Value, src: &Value, d: Domain) {
    if width == Width::W32 {
        (dst.s32min, dst.s32max) = (i32::MIN, i32::MAX);
        dst.t = dst.t.low32().shr(src.u32min & 31);
        dst.u32min >>= src.u32max & 31;
        dst.u32max >>= src.u32min & 31;
        dst.forget64();
        dst.learn32_from_bits(d);
        return;
    }
    (dst.smin, dst.smax) = (i64::MIN, i64::MAX);
    dst.t = dst.t.shr(src.umin as u32);
    dst.umin >>= src.umax & 63;
    dst.umax >>= src.umin & 63;
    dst.forget32();
    dst.learn_from_bits(d);
}

fn arsh(width: Width, dst: &mut Value, src: &Value, d: Domain) {
    if width == Width::W32 {
        let n = src.u32min & 31;
        dst.s32min >>= n;
        dst.s32max >>= n;
        dst.t = dst.t.low32().sar(n, 32);
        (dst.u32min, dst.u32max) = (0, u32::MAX);
        dst.forget64();
        dst.learn32_from_bits(d);
        return;
    }
    let n = (src.umin & 63) as u32;
    dst.smin >>= n;
    dst.smax >>= n;
    dst.t = dst.t.sar(n, 64);
    (dst.umin, dst.umax) = (0, u64::MAX);
    dst.forget32();
    dst.learn_from_bits(d);
}
