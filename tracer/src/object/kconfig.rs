//! Values of kernel configuration options, as `.kconfig` variables take them.

use super::ObjectError;
use super::externs::{Extern, KconfigSlot};
use crate::verifier::btf::{Btf, Type, TypeId};

/// What a variable in `.kconfig` can hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ValueType {
    Bool,
    /// `enum libbpf_tristate`.
    Tristate,
    Char(Sign),
    Int(Sign),
    Chars,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sign {
    Signed,
    Unsigned,
}

/// The kind of value for a variable's type; `None` for types that `.kconfig` cannot have.
pub(super) fn value_type(btf: &Btf, id: TypeId) -> Option<ValueType> {
    match btf.resolved(id)? {
        Type::Int(int) => {
            let sign = if int.signed { Sign::Signed } else { Sign::Unsigned };
            match int.size {
                1 if int.bool => Some(ValueType::Bool),
                _ if int.bool => None,
                1 => Some(ValueType::Char(sign)),
                2 | 4 | 8 => Some(ValueType::Int(sign)),
                _ => None,
            }
        }
        Type::Enum(e) => (e.size == 4 && e.name == "libbpf_tristate").then_some(ValueType::Tristate),
        Type::Enum64(e) => (e.name == "libbpf_tristate").then_some(ValueType::Tristate),
        Type::Array(array) => {
            let chars = array.count > 0
                && matches!(btf.resolved(array.element)?, Type::Int(int) if int.size == 1 && !int.bool);
            chars.then_some(ValueType::Chars)
        }
        _ => None,
    }
}

/// The bytes for a value as it stands in a configuration file: `y`, `m`, `n`, a number or a quoted string.
pub(super) fn encode(external: &Extern, slot: KconfigSlot, text: &str) -> Result<Vec<u8>, ObjectError> {
    let bad = |reason: &str| ObjectError::external(&external.name, format!("value '{text}' {reason}"));
    match text.as_bytes().first() {
        Some(first @ (b'y' | b'n' | b'm')) => match (slot.value, first) {
            (ValueType::Bool, b'm') => Err(bad("does not fit a bool")),
            (ValueType::Bool, first) => encode_number(external, slot, u64::from(*first == b'y')),
            (ValueType::Tristate, first) => Ok(number(
                slot,
                match first {
                    b'y' => 1,
                    b'm' => 2,
                    _ => 0,
                },
            )),
            (ValueType::Char(_), first) => Ok(vec![*first]),
            _ => Err(bad("is for a bool, a tristate or a character")),
        },
        Some(b'"') => {
            let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            let inner = inner.ok_or_else(|| bad("has no closing quote"))?;
            if slot.value != ValueType::Chars {
                return Err(bad("is for an array of characters"));
            }
            let mut bytes = inner.as_bytes().to_vec();
            bytes.truncate(slot.size as usize - 1);
            Ok(bytes)
        }
        _ => {
            let value = parse_number(text).ok_or_else(|| bad("is no number"))?;
            match slot.value {
                ValueType::Int(_) | ValueType::Char(_) => encode_number(external, slot, value),
                _ => Err(bad("is for an integer")),
            }
        }
    }
}

/// The bytes for a number that does not come from a configuration file.
pub(super) fn encode_number(
    external: &Extern,
    slot: KconfigSlot,
    value: u64,
) -> Result<Vec<u8>, ObjectError> {
    let bits = slot.size * 8;
    let fits = match slot.value {
        ValueType::Bool => value <= 1,
        ValueType::Int(_) | ValueType::Char(_) if bits >= 64 => true,
        ValueType::Int(Sign::Signed) | ValueType::Char(Sign::Signed) => {
            value.wrapping_add(1 << (bits - 1)) < 1 << bits
        }
        ValueType::Int(Sign::Unsigned) | ValueType::Char(Sign::Unsigned) => value >> bits == 0,
        ValueType::Tristate | ValueType::Chars => false,
    };
    match fits {
        true => Ok(number(slot, value)),
        false => Err(ObjectError::external(&external.name, format!("value {value} does not fit its type"))),
    }
}

fn number(slot: KconfigSlot, value: u64) -> Vec<u8> {
    value.to_le_bytes()[..(slot.size as usize).min(8)].to_vec()
}

/// As strtoull with base 0: decimal, 0x, or octal with a leading 0; a sign is allowed.
fn parse_number(text: &str) -> Option<u64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None if digits.len() > 1 && digits.starts_with('0') => u64::from_str_radix(digits, 8).ok()?,
        None => digits.parse().ok()?,
    };
    Some(if negative { value.wrapping_neg() } else { value })
}
