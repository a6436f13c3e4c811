//! A 64-bit number, or bytes, as their type says that they are to be read.
//!
//! *Invariant:* total: any number under any type is a [`Datum`], and [`Datum::errno`] is only ever an errno that
//! the kernel itself treats as one (`IS_ERR_VALUE` of include/linux/err.h: -4095..=-1).
//!
//! *Must not know:* where the number was read, how it is rendered.

use tracer_common::probe::{Fetch, fetch};

use crate::plan::probe::{ShowAs, ValueSpec};

/// The greatest error number: `MAX_ERRNO` of include/linux/err.h.
const MAX_ERRNO: i64 = 4095;

/// A value of a probe's hit, or of an aggregation's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Datum<'a> {
    Signed(i64),
    Unsigned(u64),
    /// A number that people read in hexadecimal.
    Hex(u64),
    Pointer(u64),
    Bool(bool),
    Char(u8),
    /// A result, or an error if it is in -4095..=-1.
    Result(i64),
    Enum {
        value: i64,
        name: Option<&'a str>,
    },
    Text(&'a [u8]),
}

impl<'a> Datum<'a> {
    /// A number of a value's type. Of a text it is the number that a text has none of: 0.
    pub fn number(spec: &'a ValueSpec, raw: u64) -> Self {
        let number = extended(&spec.fetch, raw);
        match &spec.show {
            ShowAs::Signed => Self::Signed(number as i64),
            ShowAs::Unsigned => Self::Unsigned(number),
            ShowAs::Hex => Self::Hex(number),
            ShowAs::Pointer => Self::Pointer(number),
            ShowAs::Bool => Self::Bool(number != 0),
            ShowAs::Char => Self::Char(number as u8),
            ShowAs::Errno { bits } => Self::Result(signed(raw, u32::from(*bits))),
            ShowAs::PointerOrErrno if is_error(raw as i64) => Self::Result(raw as i64),
            ShowAs::PointerOrErrno => Self::Pointer(raw),
            ShowAs::Enum(names) => {
                let value = number as i64;
                // An enumeration with negative values, read as an unsigned number.
                let narrow = || (spec.fetch.size == 4).then(|| names.of(i64::from(value as i32)))?;
                Self::Enum { value, name: names.of(value).or_else(narrow) }
            }
            ShowAs::Text => Self::Text(b""),
        }
    }

    /// The error that it is, if it is one.
    pub fn errno(&self) -> Option<u32> {
        match self {
            Self::Result(value) if is_error(*value) => Some(value.unsigned_abs() as u32),
            _ => None,
        }
    }
}

fn is_error(value: i64) -> bool {
    (-MAX_ERRNO..0).contains(&value)
}

/// The number in the bits that its type has, extended to 64. The kernel side does so too; a register that is kept
/// as it is may carry anything above them.
fn extended(fetch: &Fetch, raw: u64) -> u64 {
    let bits = match fetch.bits {
        0 => u32::from(fetch.size) * 8,
        bits => bits.into(),
    };
    match fetch.flags & fetch::SIGNED {
        0 => raw & mask(bits),
        _ => signed(raw, bits) as u64,
    }
}

fn signed(raw: u64, bits: u32) -> i64 {
    match bits {
        1..64 => (raw << (64 - bits)) as i64 >> (64 - bits),
        _ => raw as i64,
    }
}

fn mask(bits: u32) -> u64 {
    match bits {
        1..64 => (1 << bits) - 1,
        _ => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::probe::EnumNames;

    fn spec(show: ShowAs, size: u8, flags: u8) -> ValueSpec {
        let fetch = Fetch { size, flags, ..Fetch::default() };
        ValueSpec { name: "x".into(), fetch, show, c_type: "int".into() }
    }

    #[test]
    fn numbers_are_as_wide_as_their_type() {
        let check = |show, size, flags, raw, expected: Datum<'_>| {
            assert_eq!(Datum::number(&spec(show, size, flags), raw), expected);
        };
        check(ShowAs::Signed, 4, fetch::SIGNED, 0xdead_beef_ffff_fffe, Datum::Signed(-2));
        check(ShowAs::Unsigned, 4, 0, 0xdead_beef_ffff_fffe, Datum::Unsigned(0xffff_fffe));
        check(ShowAs::Unsigned, 8, 0, u64::MAX, Datum::Unsigned(u64::MAX));
        check(ShowAs::Hex, 2, 0, 0x1_ffff, Datum::Hex(0xffff));
        check(ShowAs::Bool, 1, 0, 0x100, Datum::Bool(false));
        check(ShowAs::Char, 1, fetch::SIGNED, 0xffff_ff80, Datum::Char(0x80));
        check(ShowAs::Errno { bits: 32 }, 4, 0, 0xffff_fffe, Datum::Result(-2));
        check(ShowAs::Errno { bits: 64 }, 8, 0, 0xffff_fffe, Datum::Result(0xffff_fffe));
        check(ShowAs::PointerOrErrno, 8, 0, -13_i64 as u64, Datum::Result(-13));
        check(ShowAs::PointerOrErrno, 8, 0, -4096_i64 as u64, Datum::Pointer(-4096_i64 as u64));
        // Sizes and widths that no type has.
        check(ShowAs::Unsigned, 0, 0, 7, Datum::Unsigned(7));
        check(ShowAs::Unsigned, 255, 0, u64::MAX, Datum::Unsigned(u64::MAX));
        check(ShowAs::Errno { bits: 0 }, 4, 0, 5, Datum::Result(5));
    }

    #[test]
    fn bit_fields_are_as_wide_as_they_say() {
        let mut spec = spec(ShowAs::Signed, 4, fetch::SIGNED);
        spec.fetch.bits = 3;
        assert_eq!(Datum::number(&spec, 0b110), Datum::Signed(-2));
    }

    #[test]
    fn errors_are_the_last_page() {
        let errno = |value| Datum::Result(value).errno();
        assert_eq!(errno(-1), Some(1));
        assert_eq!(errno(-4095), Some(4095));
        for none in [0, 1, -4096, i64::MIN, i64::MAX] {
            assert_eq!(errno(none), None);
        }
        assert_eq!(Datum::Signed(-2).errno(), None);
    }

    #[test]
    fn enums_have_names_whatever_their_sign() {
        let names = EnumNames { name: "e".into(), values: vec![(-1, "MINUS".into()), (2, "TWO".into())] };
        let spec = spec(ShowAs::Enum(Arc::new(names)), 4, 0);
        assert_eq!(Datum::number(&spec, 2), Datum::Enum { value: 2, name: Some("TWO") });
        assert_eq!(
            Datum::number(&spec, 0xffff_ffff),
            Datum::Enum { value: 0xffff_ffff, name: Some("MINUS") }
        );
        assert_eq!(Datum::number(&spec, 3), Datum::Enum { value: 3, name: None });
    }
}
