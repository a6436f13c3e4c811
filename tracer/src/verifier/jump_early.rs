//! Conditional jumps before 6.8: one side has to be constant.
//!
//! `is_branch64_taken()`, `is_branch32_taken()`, `reg_set_min_max()`, `reg_combine_min_max()` as of 5.10 and 6.1
//! (kernel/bpf/verifier.c).

use super::arith::Width;
use super::insn::{Cmp, Insn};
use super::jump::Taken;
use super::tnum::Tnum;
use super::value::{Deduce, Domain, Value};

/// Compare with a constant; equality looks at the bits only.
pub(super) fn compare(a: &Value, b: &Value, cmp: Cmp, w: Width) -> Taken {
    let t = if w == Width::W32 { a.t.low32() } else { a.t };
    let k = if w == Width::W32 { b.t.low32().value } else { b.t.value };
    match cmp {
        Cmp::Eq | Cmp::Ne if t.is_const() => Taken::when((t.value == k) == (cmp == Cmp::Eq)),
        Cmp::Eq | Cmp::Ne => Taken::Either,
        _ => {
            let k = if w == Width::W32 { Value::known(k as u32 as u64) } else { Value::known(k) };
            super::jump::compare(a, &k, cmp, w)
        }
    }
}

/// Both operands on the way taken, and on the other.
pub(super) fn learn(
    dst: &Value,
    src: &Value,
    cmp: Cmp,
    w: Width,
    insn: Insn,
    d: Domain,
) -> ((Value, Value), (Value, Value)) {
    let is_const = |v: &Value| v.t.is_const() || (w == Width::W32 && v.t.low32().is_const());
    if !insn.is_reg() || is_const(src) {
        let (yes, no) = against_constant(dst, src.t.value, cmp, w, d);
        return ((yes, *src), (no, *src));
    }
    if is_const(dst) {
        if matches!(cmp, Cmp::Set | Cmp::Clear) {
            return ((*dst, *src), (*dst, *src));
        }
        let (yes, no) = against_constant(src, dst.t.value, cmp.mirrored(), w, d);
        return ((*dst, yes), (*dst, no));
    }
    if w == Width::W64 && matches!(cmp, Cmp::Eq | Cmp::Ne) {
        let both = combine(dst, src, d);
        return if cmp == Cmp::Eq { (both, (*dst, *src)) } else { ((*dst, *src), both) };
    }
    ((*dst, *src), (*dst, *src))
}

fn combine(a: &Value, b: &Value, d: Domain) -> (Value, Value) {
    let (mut x, mut y) = (*a, *b);
    x.umin = a.umin.max(b.umin);
    x.umax = a.umax.min(b.umax);
    x.smin = a.smin.max(b.smin);
    x.smax = a.smax.min(b.smax);
    x.t = b.t.meet(a.t);
    (y.umin, y.umax, y.smin, y.smax, y.t) = (x.umin, x.umax, x.smin, x.smax, x.t);
    y.sync(d);
    x.sync(d);
    (x, y)
}

fn set_known(v: &mut Value, k: u64) {
    *v = Value::known(k);
}

fn against_constant(v: &Value, k: u64, cmp: Cmp, w: Width, d: Domain) -> (Value, Value) {
    let (mut yes, mut no) = (*v, *v);
    let (mut yes_t, mut no_t) = (v.t, v.t);
    let (k32, s, s32) = (k as u32, k as i64, k as i32);
    if cmp == Cmp::Set && d.deduce > Deduce::Early {
        // As later kernels do; 5.10 did not get that change.
        no.forget64();
        no.forget32();
    }
    match (cmp, w) {
        (Cmp::Eq | Cmp::Ne, _) => {
            let equal = if cmp == Cmp::Eq { &mut yes } else { &mut no };
            if w == Width::W32 {
                equal.set_low32(k32)
            } else {
                set_known(equal, k)
            }
            (yes_t, no_t) = (yes.t, no.t);
        }
        (Cmp::Set, Width::W32) => {
            no_t = no_t.with_low32(no_t.low32().and(Tnum::constant(!k32 as u64)));
            if k32.is_power_of_two() {
                yes_t = yes_t.with_low32(yes_t.low32().or(Tnum::constant(k32 as u64)));
            }
        }
        (Cmp::Set, Width::W64) => {
            no_t = no_t.and(Tnum::constant(!k));
            if k.is_power_of_two() {
                yes_t = yes_t.or(Tnum::constant(k));
            }
        }
        (Cmp::Gt | Cmp::Ge, Width::W32) => {
            let gt = cmp == Cmp::Gt;
            no.u32max = no.u32max.min(if gt { k32 } else { k32.wrapping_sub(1) });
            yes.u32min = yes.u32min.max(if gt { k32.wrapping_add(1) } else { k32 });
        }
        (Cmp::Gt | Cmp::Ge, Width::W64) => {
            let gt = cmp == Cmp::Gt;
            no.umax = no.umax.min(if gt { k } else { k.wrapping_sub(1) });
            yes.umin = yes.umin.max(if gt { k.wrapping_add(1) } else { k });
        }
        (Cmp::Sgt | Cmp::Sge, Width::W32) => {
            let gt = cmp == Cmp::Sgt;
            no.s32max = no.s32max.min(if gt { s32 } else { s32.wrapping_sub(1) });
            yes.s32min = yes.s32min.max(if gt { s32.wrapping_add(1) } else { s32 });
        }
        (Cmp::Sgt | Cmp::Sge, Width::W64) => {
            let gt = cmp == Cmp::Sgt;
            no.smax = no.smax.min(if gt { s } else { s.wrapping_sub(1) });
            yes.smin = yes.smin.max(if gt { s.wrapping_add(1) } else { s });
        }
        (Cmp::Lt | Cmp::Le, Width::W32) => {
            let lt = cmp == Cmp::Lt;
            no.u32min = no.u32min.max(if lt { k32 } else { k32.wrapping_add(1) });
            yes.u32max = yes.u32max.min(if lt { k32.wrapping_sub(1) } else { k32 });
        }
        (Cmp::Lt | Cmp::Le, Width::W64) => {
            let lt = cmp == Cmp::Lt;
            no.umin = no.umin.max(if lt { k } else { k.wrapping_add(1) });
            yes.umax = yes.umax.min(if lt { k.wrapping_sub(1) } else { k });
        }
        (Cmp::Slt | Cmp::Sle, Width::W32) => {
            let lt = cmp == Cmp::Slt;
            no.s32min = no.s32min.max(if lt { s32 } else { s32.wrapping_add(1) });
            yes.s32max = yes.s32max.min(if lt { s32.wrapping_sub(1) } else { s32 });
        }
        (Cmp::Slt | Cmp::Sle, Width::W64) => {
            let lt = cmp == Cmp::Slt;
            no.smin = no.smin.max(if lt { s } else { s.wrapping_add(1) });
            yes.smax = yes.smax.min(if lt { s.wrapping_sub(1) } else { s });
        }
        (Cmp::Clear, _) => {}
    }
    (yes.t, no.t) = (yes_t, no_t);
    for v in [&mut yes, &mut no] {
        if w == Width::W32 {
            v.combine32_into_64(d);
        } else {
            v.combine64_into_32(d);
        }
    }
    (yes, no)
}
