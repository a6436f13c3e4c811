//! Ranges that wrap: an arc of the circle of all n-bit numbers (`struct cnum32`, `struct cnum64` of 7.2,
//! kernel/bpf/cnum.c).
//!
//! ```text
//! arc { base, size } = { base, base + 1, …, base + size }    modulo 2^n
//! ```
//! From 7.2 a scalar's range is one arc per width instead of a signed and an unsigned range; those are what the arc
//! looks like from either cut of the circle. An arc tells more than they do: `[-1, 2^63]` looks like everything from
//! both. A meet that would be two arcs is the smaller operand.

macro_rules! arc {
    ($name:ident, $u:ty, $s:ty) => {
        /// An arc.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) struct $name {
            base: $u,
            size: $u,
        }

        impl $name {
            const TOP: $u = <$s>::MAX as $u;
            /// Nothing known.
            pub(super) const FULL: Self = Self { base: 0, size: <$u>::MAX };
            /// No number at all.
            pub(super) const EMPTY: Self = Self { base: <$u>::MAX, size: <$u>::MAX };

            /// The numbers from one to the other, upwards.
            pub(super) const fn unsigned(min: $u, max: $u) -> Self {
                Self { base: min, size: max.wrapping_sub(min) }
            }

            /// The same, of signed numbers.
            pub(super) const fn signed(min: $s, max: $s) -> Self {
                let size = (max as $u).wrapping_sub(min as $u);
                Self { base: if size == <$u>::MAX { 0 } else { min as $u }, size }
            }

            /// Everything but one number.
            pub(super) const fn all_but(v: $u) -> Self {
                Self { base: v.wrapping_add(1), size: <$u>::MAX - 1 }
            }

            const fn end(self) -> $u {
                self.base.wrapping_add(self.size)
            }

            /// True if it contains no number.
            pub(super) const fn is_empty(self) -> bool {
                self.base == Self::EMPTY.base && self.size == Self::EMPTY.size
            }

            const fn wraps_unsigned(self) -> bool {
                self.size > <$u>::MAX - self.base
            }

            const fn contains(self, v: $u) -> bool {
                if self.is_empty() {
                    false
                } else if self.wraps_unsigned() {
                    v >= self.base || v <= self.end()
                } else {
                    v >= self.base && v <= self.end()
                }
            }

            /// Its least and greatest number, unsigned.
            pub(super) const fn as_unsigned(self) -> ($u, $u) {
                if self.wraps_unsigned() { (0, <$u>::MAX) } else { (self.base, self.end()) }
            }

            /// Its least and greatest number, signed.
            pub(super) fn as_signed(self) -> ($s, $s) {
                if self.contains(Self::TOP) && self.contains(<$s>::MIN as $u) {
                    return (<$s>::MIN, <$s>::MAX);
                }
                let (a, b) = (self.base as $s, self.end() as $s);
                (a.min(b), a.max(b))
            }

            /// What both contain, or the smaller of them where that would be two arcs.
            pub(super) fn meet(self, other: Self) -> Self {
                if self.is_empty() || other.is_empty() {
                    return Self::EMPTY;
                }
                let (a, b) = if self.base > other.base { (other, self) } else { (self, other) };
                let distance = b.base - a.base;
                let turned = Self { base: distance, size: b.size };
                if turned.wraps_unsigned() {
                    if distance <= a.size {
                        return if a.size <= b.size { a } else { b };
                    }
                    return Self { base: a.base, size: a.size.min(turned.end()) };
                }
                if a.size >= distance {
                    return Self { base: b.base, size: (a.size - distance).min(b.size) };
                }
                Self::EMPTY
            }

            const fn normal(self) -> Self {
                if self.size == <$u>::MAX && self.base != 0 && self.base != Self::TOP {
                    return Self::FULL;
                }
                self
            }

            /// All sums.
            pub(super) const fn plus(self, other: Self) -> Self {
                if self.is_empty() || other.is_empty() {
                    return Self::EMPTY;
                }
                if self.size > <$u>::MAX - other.size {
                    return Self::FULL;
                }
                Self { base: self.base.wrapping_add(other.base), size: self.size + other.size }.normal()
            }

            /// All numbers negated.
            pub(super) const fn negated(self) -> Self {
                if self.is_empty() {
                    return Self::EMPTY;
                }
                Self { base: self.end().wrapping_neg(), size: self.size }.normal()
            }

            /// True if it contains all of `inner`, as pruning asks it.
            pub(super) const fn covers(self, inner: Self) -> bool {
                if inner.is_empty() {
                    return true;
                }
                if self.is_empty() {
                    return false;
                }
                let turned = Self { base: inner.base.wrapping_sub(self.base), size: inner.size };
                if turned.wraps_unsigned() && self.size < <$u>::MAX {
                    return false;
                }
                turned.end() <= self.size
            }
        }
    };
}

arc!(Arc32, u32, i32);
arc!(Arc64, u64, i64);

impl Arc64 {
    /// Where it begins.
    pub(super) const fn base(self) -> u64 {
        self.base
    }

    /// The low halves of its numbers.
    pub(super) const fn low32(self) -> Arc32 {
        if self.is_empty() {
            Arc32::EMPTY
        } else if self.size >= u32::MAX as u64 {
            Arc32::FULL
        } else {
            Arc32 { base: self.base as u32, size: self.size as u32 }
        }
    }

    /// Without the numbers at either end whose low half is not in `low` (`cnum64_cnum32_intersect()`).
    pub(super) fn with_low32(self, low: Arc32) -> Self {
        if self.is_empty() || low.is_empty() {
            return Self::EMPTY;
        }
        // Turned so that this arc begins at a multiple of 2^32.
        let b = Arc32 { base: low.base.wrapping_sub(self.base as u32), size: low.size };
        let last = self.size as u32;
        let b_end = b.end();
        if b.wraps_unsigned() {
            let cut = if last > b_end && last < b.base { (last - b_end) as u64 } else { 0 };
            return Self { base: self.base, size: self.size - cut };
        }
        if self.size < b.base as u64 {
            return Self::EMPTY;
        }
        let size = self.size - b.base as u64;
        let cut = if last < b.base {
            last as u64 + ((1u64 << 32) - b_end as u64)
        } else if last >= b_end {
            (last - b_end) as u64
        } else {
            0
        };
        if size < cut {
            return Self::EMPTY;
        }
        Self { base: self.base.wrapping_add(b.base as u64), size: size - cut }
    }
}
