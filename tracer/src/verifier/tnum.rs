//! Tracked numbers: what is known of each bit of a 64-bit value.
//!
//! A [`Tnum`] is a pair (value, mask): a bit set in `mask` is unknown, every other bit equals the bit in `value`;
//! the two never overlap. It stands for the set { x : x & !mask == value }.
//!
//! Invariant: every operation over-approximates: if x is in a and y in b then x op y is in op(a, b)
//! (proven exhaustively at small widths by `tests::domain`). The results equal those of kernel/bpf/tnum.c, which
//! changed its multiplication twice (see [`Mul`]).

/// What is known of each bit of a 64-bit value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tnum {
    /// The known bits.
    pub value: u64,
    /// The unknown bits.
    pub mask: u64,
}

/// The generations of `tnum_mul()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mul {
    /// Half-multiplication by mask (before 5.14).
    Halves,
    /// Long multiplication with the uncertainty gathered apart (5.14, "bpf, tnums: Provably sound, faster, and
    /// more precise algorithm for tnum_mul").
    Gathered,
    /// Long multiplication that joins both outcomes of an unknown bit (6.18, "bpf: Improve the general precision
    /// of tnum_mul").
    Joined,
}

impl Tnum {
    /// Nothing known.
    pub const UNKNOWN: Self = Self { value: 0, mask: u64::MAX };

    /// One value.
    pub const fn constant(value: u64) -> Self {
        Self { value, mask: 0 }
    }

    /// The smallest tnum that holds all of `min..=max`.
    pub const fn range(min: u64, max: u64) -> Self {
        let chi = min ^ max;
        let bits = 64 - chi.leading_zeros();
        if bits > 63 {
            return Self::UNKNOWN;
        }
        let delta = (1u64 << bits) - 1;
        Self { value: min & !delta, mask: delta }
    }

    /// True if it stands for one value.
    pub const fn is_const(self) -> bool {
        self.mask == 0
    }

    /// True if it stands for just `v`.
    pub const fn is(self, v: u64) -> bool {
        self.mask == 0 && self.value == v
    }

    /// The largest member.
    pub const fn max(self) -> u64 {
        self.value | self.mask
    }

    /// Shift left.
    pub const fn shl(self, n: u32) -> Self {
        Self { value: wide_shl(self.value, n), mask: wide_shl(self.mask, n) }
    }

    /// Logical shift right.
    pub const fn shr(self, n: u32) -> Self {
        Self { value: self.value >> (n & 63), mask: self.mask >> (n & 63) }
    }

    /// Arithmetic shift right of a 32- or 64-bit value.
    pub const fn sar(self, n: u32, width: u32) -> Self {
        if width == 32 {
            Self {
                value: (((self.value as i32) >> (n & 31)) as u32) as u64,
                mask: (((self.mask as i32) >> (n & 31)) as u32) as u64,
            }
        } else {
            Self {
                value: ((self.value as i64) >> (n & 63)) as u64,
                mask: ((self.mask as i64) >> (n & 63)) as u64,
            }
        }
    }

    /// Addition.
    pub const fn add(self, b: Self) -> Self {
        let sum_mask = self.mask.wrapping_add(b.mask);
        let sum_value = self.value.wrapping_add(b.value);
        let carries = sum_mask.wrapping_add(sum_value) ^ sum_value;
        let mask = carries | self.mask | b.mask;
        Self { value: sum_value & !mask, mask }
    }

    /// Subtraction.
    pub const fn sub(self, b: Self) -> Self {
        let diff = self.value.wrapping_sub(b.value);
        let borrow = diff.wrapping_add(self.mask) ^ diff.wrapping_sub(b.mask);
        let mask = borrow | self.mask | b.mask;
        Self { value: diff & !mask, mask }
    }

    /// Negation.
    pub const fn neg(self) -> Self {
        Self::constant(0).sub(self)
    }

    /// Bitwise and.
    pub const fn and(self, b: Self) -> Self {
        let alpha = self.value | self.mask;
        let beta = b.value | b.mask;
        let value = self.value & b.value;
        Self { value, mask: alpha & beta & !value }
    }

    /// Bitwise or.
    pub const fn or(self, b: Self) -> Self {
        let value = self.value | b.value;
        Self { value, mask: (self.mask | b.mask) & !value }
    }

    /// Bitwise exclusive or.
    pub const fn xor(self, b: Self) -> Self {
        let mask = self.mask | b.mask;
        Self { value: (self.value ^ b.value) & !mask, mask }
    }

    /// Multiplication, as this generation of the kernel does it.
    pub fn mul(self, b: Self, how: Mul) -> Self {
        match how {
            Mul::Halves => {
                let pi = self.value.wrapping_mul(b.value);
                let acc = half_mul(Self::constant(pi), self.mask, b.mask | b.value);
                half_mul(acc, b.mask, self.value)
            }
            Mul::Gathered => {
                let known = Self::constant(self.value.wrapping_mul(b.value));
                let (mut a, mut b, mut acc) = (self, b, Self::constant(0));
                while a.value != 0 || a.mask != 0 {
                    if a.value & 1 != 0 {
                        acc = acc.add(Self { value: 0, mask: b.mask });
                    } else if a.mask & 1 != 0 {
                        acc = acc.add(Self { value: 0, mask: b.value | b.mask });
                    }
                    a = a.shr(1);
                    b = b.shl(1);
                }
                known.add(acc)
            }
            Mul::Joined => {
                let (mut a, mut b, mut acc) = (self, b, Self::constant(0));
                while a.value != 0 || a.mask != 0 {
                    if a.value & 1 != 0 {
                        acc = acc.add(b);
                    } else if a.mask & 1 != 0 {
                        acc = acc.join(acc.add(b));
                    }
                    a = a.shr(1);
                    b = b.shl(1);
                }
                acc
            }
        }
    }

    /// True if some value is in both.
    pub const fn overlaps(self, b: Self) -> bool {
        let known = !self.mask & !b.mask;
        self.value & known == b.value & known
    }

    /// What both say. Where they contradict each other a known one wins, as in `tnum_intersect()`.
    pub const fn meet(self, b: Self) -> Self {
        let mask = self.mask & b.mask;
        Self { value: (self.value | b.value) & !mask, mask }
    }

    /// The smallest tnum that holds both.
    pub const fn join(self, b: Self) -> Self {
        let mask = (self.value ^ b.value) | self.mask | b.mask;
        Self { value: self.value & b.value & !mask, mask }
    }

    /// The low `size` bytes, zero-extended.
    pub const fn cast(self, size: u32) -> Self {
        let keep = low_bytes(size);
        Self { value: self.value & keep, mask: self.mask & keep }
    }

    /// True if every member is a multiple of `size`, a power of two.
    pub const fn is_aligned(self, size: u64) -> bool {
        size == 0 || (self.value | self.mask) & (size - 1) == 0
    }

    /// True if every member of `b` is a member of `self`.
    pub const fn contains(self, b: Self) -> bool {
        b.mask & !self.mask == 0 && self.value == b.value & !self.mask
    }

    /// The low half.
    pub const fn low32(self) -> Self {
        self.cast(4)
    }

    /// The low half set to zero.
    pub const fn clear_low32(self) -> Self {
        self.shr(32).shl(32)
    }

    /// The low half replaced by that of `low`.
    pub const fn with_low32(self, low: Self) -> Self {
        self.clear_low32().or(low.low32())
    }

    /// True if the low half is one value.
    pub const fn low32_is_const(self) -> bool {
        self.low32().is_const()
    }

    /// The low `bits` bits in reverse byte order, the rest zero.
    pub const fn swap(self, bits: u32) -> Self {
        Self { value: swap_bytes(self.value, bits), mask: swap_bytes(self.mask, bits) }
    }

    /// The smallest member above `z`, or the largest member if there is none (`tnum_step()`, 7.0).
    pub const fn step(self, z: u64) -> u64 {
        let top = self.value | self.mask;
        if z >= top {
            return top;
        }
        if z < self.value {
            return self.value;
        }
        let d = z - self.value;
        let fixed = d & !self.mask;
        let bits = 64 - fixed.leading_zeros();
        let carry = if bits == 64 { u64::MAX } else { (1u64 << bits) - 1 };
        let filled = d | carry | !self.mask;
        self.value | (filled.wrapping_add(1) & self.mask)
    }
}

const fn wide_shl(v: u64, n: u32) -> u64 {
    v << (n & 63)
}

const fn swap_bytes(v: u64, bits: u32) -> u64 {
    match bits {
        16 => (v as u16).swap_bytes() as u64,
        32 => (v as u32).swap_bytes() as u64,
        _ => v.swap_bytes(),
    }
}

/// All ones in the low `size` bytes.
pub(super) const fn low_bytes(size: u32) -> u64 {
    if size >= 8 { u64::MAX } else { (1u64 << (size * 8)) - 1 }
}

fn half_mul(mut acc: Tnum, mut value: u64, mut mask: u64) -> Tnum {
    while mask != 0 {
        if mask & 1 != 0 {
            acc = acc.add(Tnum { value: 0, mask: value });
        }
        mask >>= 1;
        value = value.wrapping_shl(1);
    }
    acc
}
