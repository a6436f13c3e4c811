//! Each record by itself: names, sizes, flags (`btf_*_check_meta`).

use super::{BtfRules, Rule};
use crate::verifier::btf::scan::{kind_flag, vlen_of, word};
use crate::verifier::btf::{Btf, Composite, Datasec, Enum, Kind, Type, TypeId};

/// Longest name, with its NUL (KSYM_NAME_LEN; 128 before 6.1, which no name in practice reaches).
const MAX_NAME: usize = 512;
const INFO_MASK: u32 = 0x9f00_ffff;

type Checked = Result<(), &'static str>;

pub(super) fn check(btf: &Btf, id: TypeId, rules: BtfRules) -> Checked {
    let Some((owner, record)) = btf.locate(id) else {
        return Err("Invalid type_id");
    };
    let [name, info, third] = [0, 4, 8].map(|at| word(&owner.data, record + at));
    if info & !INFO_MASK != 0 {
        return Err("Invalid btf_info");
    }
    let Some(text) = btf.string_bytes(name) else {
        return Err("Invalid name_offset");
    };
    let Some(view) = btf.get(id) else {
        return Err("Invalid type_id");
    };
    let kind = btf.kind(id).unwrap_or(Kind::Unknown);
    let has_elements = matches!(
        kind,
        Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::FuncProto | Kind::Func | Kind::Datasec
    );
    if !has_elements && vlen_of(info) != 0 {
        return Err("vlen != 0");
    }
    if kind_flag(info) && !may_have_flag(kind, rules) {
        return Err("Invalid btf_info kind_flag");
    }
    named(kind, text)?;
    match view {
        Type::Int(_) => integer(word(&owner.data, record + 12), third),
        Type::Array(array) => match () {
            () if third != 0 => Err("size != 0"),
            () if array.element == TypeId::VOID => Err("Invalid elem"),
            () if array.index == TypeId::VOID => Err("Invalid index"),
            () => Ok(()),
        },
        Type::Struct(composite) | Type::Union(composite) => members(btf, composite, kind),
        Type::Enum(e) | Type::Enum64(e) => values(e),
        Type::Fwd(_) if third != 0 => Err("type != 0"),
        Type::Func(_) if vlen_of(info) > 1 => Err("Invalid func linkage"),
        Type::Var(_) if third == 0 => Err("Invalid type_id"),
        Type::Var(_) if word(&owner.data, record + 12) > 1 => Err("Linkage not supported"),
        Type::Datasec(section) => variables(section, rules),
        Type::Float { size, .. } if !matches!(size, 2 | 4 | 8 | 12 | 16) => Err("Invalid type_size"),
        Type::Unknown => Err("Invalid kind"),
        _ => Ok(()),
    }
}

fn may_have_flag(kind: Kind, rules: BtfRules) -> bool {
    match kind {
        Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Fwd => true,
        Kind::DeclTag | Kind::TypeTag => rules.attribute_tags == Rule::Allowed,
        _ => false,
    }
}

fn named(kind: Kind, name: &[u8]) -> Checked {
    let valid = match kind {
        Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 => name.is_empty() || is_identifier(name),
        Kind::Typedef | Kind::Fwd | Kind::Func | Kind::Var => is_identifier(name),
        Kind::TypeTag | Kind::DeclTag => !name.is_empty(),
        Kind::Ptr | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::Array | Kind::FuncProto => {
            name.is_empty()
        }
        Kind::Datasec => {
            !name.is_empty() && name.len() < MAX_NAME && name.iter().all(|byte| (b' '..=b'~').contains(byte))
        }
        _ => true,
    };
    if valid { Ok(()) } else { Err("Invalid name") }
}

/// Letters, digits, `_` and `.`, not starting with a digit.
pub(super) fn is_identifier(name: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    name.first().is_some_and(|byte| !byte.is_ascii_digit())
        && name.len() < MAX_NAME
        && name.iter().all(allowed)
}

fn integer(data: u32, size: u32) -> Checked {
    let (bits, offset, encoding) = (data & 0xff, data >> 16 & 0xff, data >> 24);
    match () {
        () if data & 0xf000_ff00 != 0 => Err("Invalid int_data"),
        () if bits + offset > 128 => Err("nr_bits exceeds 128"),
        () if (bits + offset).div_ceil(8) > size => Err("nr_bits exceeds type_size"),
        () if !matches!(encoding, 0 | 1 | 2 | 4) => Err("Unsupported encoding"),
        () => Ok(()),
    }
}

fn members(btf: &Btf, composite: Composite<'_>, kind: Kind) -> Checked {
    let mut last = 0;
    for member in composite.members() {
        if !member.name.is_empty() && !is_identifier(member.name.as_bytes()) {
            return Err("Invalid name");
        }
        if member.type_id == TypeId::VOID || btf.kind(member.type_id).is_none() {
            return Err("Invalid type_id");
        }
        if kind == Kind::Union && member.bit_offset != 0 || last > member.bit_offset {
            return Err("Invalid member bits_offset");
        }
        if member.bit_offset.div_ceil(8) > composite.size {
            return Err("Member bits_offset exceeds its struct size");
        }
        last = member.bit_offset;
    }
    Ok(())
}

fn values(e: Enum<'_>) -> Checked {
    if e.size > 8 || !e.size.is_power_of_two() {
        return Err("Unexpected size");
    }
    if e.values().all(|value| is_identifier(value.name.as_bytes())) { Ok(()) } else { Err("Invalid name") }
}

fn variables(section: Datasec<'_>, rules: BtfRules) -> Checked {
    if section.vars().len() == 0 && rules.empty_datasec == Rule::Refused {
        return Err("vlen == 0");
    }
    if section.size == 0 {
        return Err("size == 0");
    }
    let mut end = 0_u64;
    for var in section.vars() {
        if var.type_id == TypeId::VOID {
            return Err("Invalid type_id");
        }
        if u64::from(var.offset) < end || var.offset >= section.size {
            return Err("Invalid offset");
        }
        if var.size == 0 || var.size > section.size {
            return Err("Invalid size");
        }
        end = u64::from(var.offset) + u64::from(var.size);
        if end > u64::from(section.size) {
            return Err("Invalid offset+size");
        }
    }
    Ok(())
}
