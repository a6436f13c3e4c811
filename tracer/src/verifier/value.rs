//! The abstract scalar: a tnum with signed and unsigned 64- and 32-bit ranges, and what each teaches the others.
//!
//! Invariant: a [`Value`] over-approximates. The deductions between the six parts are those of
//! `reg_bounds_sync()` (kernel/bpf/verifier.c), which grew over the versions; [`Domain`] says which generation runs.
//! A value whose ranges are empty (min above max) marks an impossible path; the kernel keeps going with it, so do we.

use super::arc::{Arc32, Arc64};
use super::tnum::{Mul, Tnum};

/// Which generation of the scalar domain a kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain {
    /// The deductions between ranges.
    pub deduce: Deduce,
    /// The multiplication of tnums.
    pub mul: Mul,
    /// The multiplication of ranges.
    pub products: Products,
}

/// The generations of the multiplication of ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Products {
    /// Only small operands that are not negative.
    Unsigned,
    /// All, unless a product overflows (6.14, "bpf, verifier: Improve precision of BPF_MUL").
    AllSigns,
}

/// The generations of the deductions between ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deduce {
    /// 5.10: the 32-bit tnum is met with what was known before the 64-bit meet.
    Early,
    /// Up to 6.7: signed and unsigned of one width inform each other.
    SameWidth,
    /// From 6.8 ("bpf: derive smin/smax from umin/max bounds" and its series): both widths inform each other.
    CrossWidth,
    /// From 7.0: as before, and a range that meets the tnum in one value becomes that value.
    SingleValue,
    /// From 7.2: one arc per width in the place of two ranges.
    Arcs,
}

/// An abstract scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// What is known of each bit.
    pub t: Tnum,
    /// Least unsigned 64-bit value.
    pub umin: u64,
    /// Greatest unsigned 64-bit value.
    pub umax: u64,
    /// Least signed 64-bit value.
    pub smin: i64,
    /// Greatest signed 64-bit value.
    pub smax: i64,
    /// Least unsigned value of the low half.
    pub u32min: u32,
    /// Greatest unsigned value of the low half.
    pub u32max: u32,
    /// Least signed value of the low half.
    pub s32min: i32,
    /// Greatest signed value of the low half.
    pub s32max: i32,
    /// An arc that the 64-bit ranges do not tell; they are what it looks like.
    arc64: Option<Arc64>,
    /// The same of the low half.
    arc32: Option<Arc32>,
}

impl Value {
    /// Nothing known.
    pub const UNKNOWN: Self = Self {
        t: Tnum::UNKNOWN,
        umin: 0,
        umax: u64::MAX,
        smin: i64::MIN,
        smax: i64::MAX,
        u32min: 0,
        u32max: u32::MAX,
        s32min: i32::MIN,
        s32max: i32::MAX,
        arc64: None,
        arc32: None,
    };

    /// One value.
    pub const fn known(v: u64) -> Self {
        Self {
            t: Tnum::constant(v),
            umin: v,
            umax: v,
            smin: v as i64,
            smax: v as i64,
            u32min: v as u32,
            u32max: v as u32,
            s32min: v as i32,
            s32max: v as i32,
            arc64: None,
            arc32: None,
        }
    }

    /// The 64-bit range as an arc.
    pub(super) fn arc64(&self) -> Arc64 {
        let told = Arc64::unsigned(self.umin, self.umax).meet(Arc64::signed(self.smin, self.smax));
        match self.arc64 {
            Some(a)
                if a.as_unsigned() == (self.umin, self.umax) && a.as_signed() == (self.smin, self.smax) =>
            {
                a
            }
            _ => told,
        }
    }

    /// The range of the low half as an arc.
    pub(super) fn arc32(&self) -> Arc32 {
        let told = Arc32::unsigned(self.u32min, self.u32max).meet(Arc32::signed(self.s32min, self.s32max));
        match self.arc32 {
            Some(a)
                if a.as_unsigned() == (self.u32min, self.u32max)
                    && a.as_signed() == (self.s32min, self.s32max) =>
            {
                a
            }
            _ => told,
        }
    }

    pub(super) fn set_arc64(&mut self, a: Arc64) {
        (self.umin, self.umax) = a.as_unsigned();
        (self.smin, self.smax) = a.as_signed();
        self.arc64 = None;
        if self.arc64() != a {
            self.arc64 = Some(a);
        }
    }

    pub(super) fn set_arc32(&mut self, a: Arc32) {
        (self.u32min, self.u32max) = a.as_unsigned();
        (self.s32min, self.s32max) = a.as_signed();
        self.arc32 = None;
        if self.arc32() != a {
            self.arc32 = Some(a);
        }
    }

    /// The low half becomes one value.
    pub fn set_low32(&mut self, v: u32) {
        self.t = self.t.with_low32(Tnum::constant(v as u64));
        self.s32min = v as i32;
        self.s32max = v as i32;
        self.u32min = v;
        self.u32max = v;
        self.arc32 = None;
    }

    /// Forget the 64-bit ranges.
    pub fn forget64(&mut self) {
        (self.umin, self.umax, self.smin, self.smax) = (0, u64::MAX, i64::MIN, i64::MAX);
        self.arc64 = None;
    }

    /// Forget the 32-bit ranges.
    pub fn forget32(&mut self) {
        (self.u32min, self.u32max, self.s32min, self.s32max) = (0, u32::MAX, i32::MIN, i32::MAX);
        self.arc32 = None;
    }

    /// True if it is the constant `v`, by its tnum.
    pub const fn is(&self, v: u64) -> bool {
        self.t.is(v)
    }

    /// How many low bits can be set (`get_reg_width()`).
    pub const fn width(&self) -> u32 {
        64 - self.umax.leading_zeros()
    }

    /// True if every range of `inner` lies within the same range of `self` (`range_within()`).
    pub fn ranges_contain(&self, inner: &Self, d: Domain) -> bool {
        if d.deduce >= Deduce::Arcs {
            return self.arc64().covers(inner.arc64()) && self.arc32().covers(inner.arc32());
        }
        self.umin <= inner.umin
            && self.umax >= inner.umax
            && self.smin <= inner.smin
            && self.smax >= inner.smax
            && self.u32min <= inner.u32min
            && self.u32max >= inner.u32max
            && self.s32min <= inner.s32min
            && self.s32max >= inner.s32max
    }

    /// True if every value of `inner` is one of `self`, as pruning asks it.
    pub fn covers(&self, inner: &Self, d: Domain) -> bool {
        self.ranges_contain(inner, d) && self.t.contains(inner.t)
    }

    /// True if a range is empty or a constant disagrees with a range (`reg_bounds_sanity_check()`).
    pub fn is_broken(&self) -> bool {
        self.is_empty()
            || (self.t.is_const()
                && (self.umin != self.t.value
                    || self.umax != self.t.value
                    || self.smin != self.t.value as i64
                    || self.smax != self.t.value as i64))
            || (self.t.low32_is_const()
                && (self.u32min != self.t.value as u32
                    || self.u32max != self.t.value as u32
                    || self.s32min != self.t.value as i32
                    || self.s32max != self.t.value as i32))
    }

    /// True if a range is empty.
    pub fn is_empty(&self) -> bool {
        self.arc64.is_some_and(|_| self.arc64().is_empty())
            || self.arc32.is_some_and(|_| self.arc32().is_empty())
            || self.umin > self.umax
            || self.smin > self.smax
            || self.u32min > self.u32max
            || self.s32min > self.s32max
    }

    /// The ranges are about to be written one by one: no arc outlives that.
    pub(super) fn drop_arcs(&mut self) {
        (self.arc64, self.arc32) = (None, None);
    }

    /// What is in both.
    pub(super) fn narrow(&mut self, other: &Self) {
        (self.umin, self.umax) = (self.umin.max(other.umin), self.umax.min(other.umax));
        (self.smin, self.smax) = (self.smin.max(other.smin), self.smax.min(other.smax));
        (self.u32min, self.u32max) = (self.u32min.max(other.u32min), self.u32max.min(other.u32max));
        (self.s32min, self.s32max) = (self.s32min.max(other.s32min), self.s32max.min(other.s32max));
        self.t = self.t.meet(other.t);
    }

    /// Bits teach ranges (`__update_reg_bounds()`).
    pub fn learn_from_bits(&mut self, d: Domain) {
        self.learn32_from_bits(d);
        let t = self.t;
        if d.deduce >= Deduce::Arcs {
            let top = i64::MIN as u64;
            let bits = if (t.mask | t.value) & top != 0 {
                Arc64::signed((t.value | t.mask & top) as i64, (t.value | t.mask & !top) as i64)
            } else {
                Arc64::unsigned(t.value, t.max())
            };
            self.set_arc64(self.arc64().meet(bits));
            return self.settle_on_single_value();
        }
        self.smin = self.smin.max((t.value | (t.mask & i64::MIN as u64)) as i64);
        self.smax = self.smax.min((t.value | (t.mask & i64::MAX as u64)) as i64);
        self.umin = self.umin.max(t.value);
        self.umax = self.umax.min(t.max());
        if d.deduce >= Deduce::SingleValue {
            self.settle_on_single_value();
        }
    }

    /// Bits teach 32-bit ranges (`__update_reg32_bounds()`).
    pub fn learn32_from_bits(&mut self, d: Domain) {
        let t = self.t.low32();
        let (v, m) = (t.value as u32, t.mask as u32);
        if d.deduce >= Deduce::Arcs {
            let top = i32::MIN as u32;
            let bits = if (m | v) & top != 0 {
                Arc32::signed((v | m & top) as i32, (v | m & !top) as i32)
            } else {
                Arc32::unsigned(v, v | m)
            };
            return self.set_arc32(self.arc32().meet(bits));
        }
        self.s32min = self.s32min.max((v | (m & i32::MIN as u32)) as i32);
        self.s32max = self.s32max.min((v | (m & i32::MAX as u32)) as i32);
        self.u32min = self.u32min.max(v);
        self.u32max = self.u32max.min(v | m);
    }

    fn settle_on_single_value(&mut self) {
        let next = self.t.step(self.umin);
        let top = self.t.max();
        let min_fits = self.umin & !self.t.mask == self.t.value;
        if min_fits && next > self.umax {
            let v = self.umin;
            *self = Self::known(v);
        } else if !min_fits && next == top {
            *self = Self::known(top);
        } else if !min_fits && next <= self.umax && self.t.step(next) > self.umax {
            *self = Self::known(next);
        }
    }

    /// Ranges teach bits (`__reg_bound_offset()`).
    pub fn learn_bits(&mut self, d: Domain) {
        let wide = self.t.meet(Tnum::range(self.umin, self.umax));
        let low_source = if d.deduce == Deduce::Early { self.t } else { wide };
        let low = low_source.low32().meet(Tnum::range(self.u32min as u64, self.u32max as u64));
        self.t = wide.clear_low32().or(low);
    }

    /// Everything teaches everything, as often as the kernel repeats it (`reg_bounds_sync()`).
    pub fn sync(&mut self, d: Domain) {
        // Of nothing, and of one number, there is nothing more to learn.
        if *self == Self::UNKNOWN || self.t.is_const() && *self == Self::known(self.t.value) {
            return;
        }
        if d.deduce >= Deduce::SingleValue && self.is_empty() {
            return;
        }
        self.learn_from_bits(d);
        if d.deduce >= Deduce::Arcs {
            for _ in 0..2 {
                self.set_arc32(self.arc32().meet(self.arc64().low32()));
                self.set_arc64(self.arc64().with_low32(self.arc32()));
            }
        } else if d.deduce >= Deduce::CrossWidth {
            for _ in 0..3 {
                self.deduce32();
                self.deduce64();
                self.deduce_mixed();
            }
        } else {
            self.deduce32_same_width();
            self.deduce64_same_width();
        }
        self.learn_bits(d);
        self.learn_from_bits(d);
    }

    fn deduce64_same_width(&mut self) {
        if self.smin >= 0 || self.smax < 0 {
            self.umin = self.umin.max(self.smin as u64);
            self.smin = self.umin as i64;
            self.umax = self.umax.min(self.smax as u64);
            self.smax = self.umax as i64;
        } else if self.umax as i64 >= 0 {
            self.smin = self.umin as i64;
            self.umax = self.umax.min(self.smax as u64);
            self.smax = self.umax as i64;
        } else if (self.umin as i64) < 0 {
            self.umin = self.umin.max(self.smin as u64);
            self.smin = self.umin as i64;
            self.smax = self.umax as i64;
        }
    }

    fn deduce32_same_width(&mut self) {
        if self.s32min >= 0 || self.s32max < 0 {
            self.u32min = self.u32min.max(self.s32min as u32);
            self.s32min = self.u32min as i32;
            self.u32max = self.u32max.min(self.s32max as u32);
            self.s32max = self.u32max as i32;
        } else if self.u32max as i32 >= 0 {
            self.s32min = self.u32min as i32;
            self.u32max = self.u32max.min(self.s32max as u32);
            self.s32max = self.u32max as i32;
        } else if (self.u32min as i32) < 0 {
            self.u32min = self.u32min.max(self.s32min as u32);
            self.s32min = self.u32min as i32;
            self.s32max = self.u32max as i32;
        }
    }

    fn meet_s32(&mut self, lo: i32, hi: i32) {
        self.s32min = self.s32min.max(lo);
        self.s32max = self.s32max.min(hi);
    }

    fn meet_u32(&mut self, lo: u32, hi: u32) {
        self.u32min = self.u32min.max(lo);
        self.u32max = self.u32max.min(hi);
    }

    /// The low halves of 64-bit bounds bound the low half, where the upper half is constant or steps by one over
    /// the sign change; then signed and unsigned inform each other (`__reg32_deduce_bounds()`).
    fn deduce32(&mut self) {
        let (ul, uh) = (self.umin as u32, self.umax as u32);
        if self.umin >> 32 == self.umax >> 32 {
            self.meet_u32(ul, uh);
            if ul as i32 <= uh as i32 {
                self.meet_s32(ul as i32, uh as i32);
            }
        }
        let (sl, sh) = (self.smin as u32, self.smax as u32);
        if self.smin >> 32 == self.smax >> 32 {
            if sl <= sh {
                self.meet_u32(sl, sh);
            }
            if sl as i32 <= sh as i32 {
                self.meet_s32(sl as i32, sh as i32);
            }
        }
        let step = |lo: u64, hi: u64| ((lo >> 32) as u32).wrapping_add(1) == (hi >> 32) as u32;
        if step(self.umin, self.umax) && (self.umin as i32) < 0 && self.umax as i32 >= 0 {
            self.meet_s32(self.umin as i32, self.umax as i32);
        }
        if step(self.smin as u64, self.smax as u64) && (self.smin as i32) < 0 && self.smax as i32 >= 0 {
            self.meet_s32(self.smin as i32, self.smax as i32);
        }
        if self.u32min as i32 <= self.u32max as i32 {
            self.meet_s32(self.u32min as i32, self.u32max as i32);
        }
        if self.s32min as u32 <= self.s32max as u32 {
            self.meet_u32(self.s32min as u32, self.s32max as u32);
        } else if self.u32max < self.s32min as u32 {
            self.s32min = self.u32min as i32;
            self.u32max = self.u32max.min(self.s32max as u32);
        } else if (self.s32max as u32) < self.u32min {
            self.s32max = self.u32max as i32;
            self.u32min = self.u32min.max(self.s32min as u32);
        }
    }

    /// Signed and unsigned 64-bit ranges inform each other where one lies in a half, or where they overlap at one
    /// end only (`__reg64_deduce_bounds()`).
    fn deduce64(&mut self) {
        if self.umin as i64 <= self.umax as i64 {
            self.smin = self.smin.max(self.umin as i64);
            self.smax = self.smax.min(self.umax as i64);
        }
        if self.smin as u64 <= self.smax as u64 {
            self.umin = self.umin.max(self.smin as u64);
            self.umax = self.umax.min(self.smax as u64);
        } else if self.umax < self.smin as u64 {
            self.smin = self.umin as i64;
            self.umax = self.umax.min(self.smax as u64);
        } else if (self.smax as u64) < self.umin {
            self.smax = self.umax as i64;
            self.umin = self.umin.max(self.smin as u64);
        }
    }

    /// The 32-bit range bounds the low halves of the 64-bit bounds (`__reg_deduce_mixed_bounds()`).
    fn deduce_mixed(&mut self) {
        const HIGH: u64 = 0xffff_ffff_0000_0000;
        let graft = |bound: u64, low: u32| (bound & HIGH) | low as u64;
        self.umin = self.umin.max(graft(self.umin, self.u32min));
        self.umax = self.umax.min(graft(self.umax, self.u32max));
        self.smin = self.smin.max(graft(self.smin as u64, self.u32min) as i64);
        self.smax = self.smax.min(graft(self.smax as u64, self.u32max) as i64);
        if self.s32min as u32 <= self.s32max as u32 {
            let (lo, hi) = (self.s32min as u32, self.s32max as u32);
            self.umin = self.umin.max(graft(self.umin, lo));
            self.umax = self.umax.min(graft(self.umax, hi));
            self.smin = self.smin.max(graft(self.smin as u64, lo) as i64);
            self.smax = self.smax.min(graft(self.smax as u64, hi) as i64);
        }
        if self.s32min >= 0 && self.smin >= i32::MIN as i64 && self.smax <= i32::MAX as i64 {
            (self.smin, self.smax) = (self.s32min as i64, self.s32max as i64);
            (self.umin, self.umax) = (self.s32min as u64, self.s32max as u64);
            self.t = self.t.meet(Tnum::range(self.smin as u64, self.smax as u64));
        }
    }

    /// The 32-bit ranges become 64-bit ranges of a zero-extended value (`__reg_assign_32_into_64()`).
    pub fn assign32_into_64(&mut self) {
        self.arc64 = None;
        self.umin = self.u32min as u64;
        self.umax = self.u32max as u64;
        if self.s32min >= 0 && self.s32max >= 0 {
            (self.smin, self.smax) = (self.s32min as i64, self.s32max as i64);
        } else {
            (self.smin, self.smax) = (0, u32::MAX as i64);
        }
    }

    /// Clear the upper half, as every 32-bit operation does (`zext_32_to_64()`).
    pub fn zero_extend(&mut self) {
        self.t = self.t.low32();
        self.assign32_into_64();
    }

    /// After a 32-bit comparison, before 6.8 (`__reg_combine_32_into_64()`).
    pub fn combine32_into_64(&mut self, d: Domain) {
        if self.t.clear_low32().is(0) {
            self.assign32_into_64();
        } else {
            self.forget64();
        }
        self.sync(d);
    }

    /// After a 64-bit comparison, before 6.8 (`__reg_combine_64_into_32()`).
    pub fn combine64_into_32(&mut self, d: Domain) {
        self.forget32();
        let fits_s32 = |v: i64| v >= i32::MIN as i64 && v <= i32::MAX as i64;
        if fits_s32(self.smin) && fits_s32(self.smax) {
            (self.s32min, self.s32max) = (self.smin as i32, self.smax as i32);
        }
        let fits_u32 = |v: u64| v <= u32::MAX as u64;
        if fits_u32(self.umin) && fits_u32(self.umax) {
            (self.u32min, self.u32max) = (self.umin as u32, self.umax as u32);
        }
        self.sync(d);
    }

    /// Keep the low `size` bytes, zero-extended (`coerce_reg_to_size()`).
    pub fn truncate(&mut self, size: u32, d: Domain) {
        let mask = super::tnum::low_bytes(size);
        self.arc64 = None;
        self.t = self.t.cast(size);
        if self.umin & !mask == self.umax & !mask {
            self.umin &= mask;
            self.umax &= mask;
        } else {
            (self.umin, self.umax) = (0, mask);
        }
        (self.smin, self.smax) = (self.umin as i64, self.umax as i64);
        if size < 4 {
            if d.deduce >= Deduce::CrossWidth {
                self.forget32();
            } else {
                self.combine64_into_32(d);
                return;
            }
        } else if d.deduce < Deduce::CrossWidth {
            return;
        }
        self.sync(d);
    }

    /// Keep the low `size` bytes, sign-extended to 64 bits (`coerce_reg_to_size_sx()`).
    pub fn sign_extend(&mut self, size: u32) {
        let bits = size * 8;
        let sx = |v: i64| (v << (64 - bits)) >> (64 - bits);
        if self.t.is_const() {
            *self = Self::known(sx(self.t.value as i64) as u64);
            return;
        }
        self.drop_arcs();
        if (self.smax as u64) >> bits == (self.smin as u64) >> bits {
            let (a, b) = (sx(self.smax), sx(self.smin));
            let (hi, lo) = (a.max(b), a.min(b));
            if (hi >= 0) == (lo >= 0) {
                (self.smin, self.smax, self.umin, self.umax) = (lo, hi, lo as u64, hi as u64);
                (self.s32min, self.s32max) = (lo as i32, hi as i32);
                (self.u32min, self.u32max) = (lo as u32, hi as u32);
                self.t = Tnum::range(lo as u64, hi as u64);
                return;
            }
        }
        let (lo, hi) = (-1i64 << (bits - 1), (1i64 << (bits - 1)) - 1);
        *self = Self { smin: lo, smax: hi, s32min: lo as i32, s32max: hi as i32, ..Self::UNKNOWN };
    }

    /// Keep the low `size` bytes, sign-extended to 32 bits (`coerce_subreg_to_size_sx()`).
    pub fn sign_extend32(&mut self, size: u32) {
        self.arc32 = None;
        let bits = size * 8;
        let sx = |v: i32| (v << (32 - bits)) >> (32 - bits);
        if self.t.is_const() {
            let v = sx(self.t.value as i32);
            self.t = Tnum::constant(v as i64 as u64);
            (self.s32min, self.s32max, self.u32min, self.u32max) = (v, v, v as u32, v as u32);
            return;
        }
        if (self.s32max as u32) >> bits == (self.s32min as u32) >> bits {
            let (a, b) = (sx(self.s32max), sx(self.s32min));
            let (hi, lo) = (a.max(b), a.min(b));
            if (hi >= 0) == (lo >= 0) {
                (self.s32min, self.s32max, self.u32min, self.u32max) = (lo, hi, lo as u32, hi as u32);
                self.t = Tnum::range(lo as i64 as u64, hi as i64 as u64).low32();
                return;
            }
        }
        self.s32min = -1i32 << (bits - 1);
        self.s32max = (1i32 << (bits - 1)) - 1;
        (self.u32min, self.u32max) = (0, u32::MAX);
        self.t = Tnum::UNKNOWN.low32();
    }
}
