//! Declared maps: structs in `.maps` whose members' *types* carry the numbers, and the older `maps` section of plain
//! `struct bpf_map_def`.

use super::ObjectError;
use super::elf::{Elf, Section, SectionId};
use super::kinds::MapType;
use super::maps::{Map, MapKind, Pinning};
use crate::verifier::btf::{Btf, Composite, Kind, Linkage, Member, Type, TypeId};

/// The kernel takes 15 characters; libbpf finds maps by longer names.
const MAX_NAME: usize = 1024;

/// The maps of `.maps`, in the order of BTF's list of the section's variables.
pub(super) fn declared(id: SectionId, section: &Section<'_>, btf: &Btf) -> Result<Vec<Map>, ObjectError> {
    let Some(Type::Datasec(datasec)) = btf.find(Kind::Datasec, ".maps").and_then(|id| btf.get(id)) else {
        return Err(ObjectError::section(section.name, 0, "BTF does not list its variables"));
    };
    let mut maps = Vec::new();
    for listed in datasec.vars() {
        let Some(Type::Var(var)) = btf.get(listed.type_id) else {
            let reason = format!("BTF lists type {}, which is no variable", listed.type_id);
            return Err(ObjectError::section(section.name, u64::from(listed.offset), reason));
        };
        let bad = |reason: &str| Err(ObjectError::map(var.name, reason));
        if var.name.len() > MAX_NAME {
            return bad("its name is too long");
        }
        if var.name.is_empty() {
            return Err(ObjectError::section(section.name, u64::from(listed.offset), "a map has no name"));
        }
        if u64::from(listed.offset) + u64::from(listed.size) > section.data.len() as u64 {
            return bad("BTF places it outside of its section");
        }
        if var.linkage != Linkage::Global {
            return bad("it must be a global variable");
        }
        let Some(Type::Struct(definition)) = btf.resolved(var.type_id) else {
            return bad("it is not defined by a struct");
        };
        if definition.size > listed.size {
            return bad("its definition is larger than the variable");
        }
        let mut map = Map::named(var.name, MapKind::Declared);
        define(&mut map, btf, definition, Nesting::Outer)?;
        map.section = Some(id);
        map.offset = u64::from(listed.offset);
        map.extent = u64::from(listed.size);
        maps.push(map);
    }
    match maps.iter().filter(|map| map.map_type == MapType::ARENA).nth(1) {
        Some(second) => Err(ObjectError::map(&second.name, "an object can have only one arena")),
        None => Ok(maps),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Nesting {
    Outer,
    /// The template in a map of maps.
    Inner,
}

/// Fills a map from its definition's members. Unknown members are refused, as libbpf does by default.
fn define(map: &mut Map, btf: &Btf, definition: Composite<'_>, nesting: Nesting) -> Result<(), ObjectError> {
    let last = definition.member_count().saturating_sub(1);
    for (index, member) in definition.members().enumerate() {
        let number = || integer(btf, &map.name, member);
        match member.name {
            "type" => map.map_type = MapType(number()?),
            "max_entries" => map.max_entries = number()?,
            "map_flags" => map.flags = number()?,
            "numa_node" => map.numa_node = number()?,
            "key_size" => map.key_size = agreed(&map.name, "key", map.key_size, number()?)?,
            "value_size" => map.value_size = agreed(&map.name, "value", map.value_size, number()?)?,
            "key" => {
                let (id, size) = pointee(btf, &map.name, member)?;
                map.key_size = agreed(&map.name, "key", map.key_size, size)?;
                map.key_type = id;
            }
            "value" => {
                let (id, size) = pointee(btf, &map.name, member)?;
                map.value_size = agreed(&map.name, "value", map.value_size, size)?;
                map.value_type = id;
            }
            "map_extra" => map.extra = long(btf, &map.name, member)?,
            "pinning" if nesting == Nesting::Outer => {
                map.pinning = match number()? {
                    0 => Pinning::None,
                    1 => Pinning::ByName,
                    _ => return Err(ObjectError::map(&map.name, "pinning is neither 0 nor 1")),
                }
            }
            "values" if nesting == Nesting::Outer && index == last => values(map, btf, member)?,
            "values" => {
                return Err(ObjectError::map(&map.name, "'values' must come last, and not in an inner map"));
            }
            other => {
                return Err(ObjectError::map(&map.name, format!("unknown or misplaced member '{other}'")));
            }
        }
    }
    if map.map_type == MapType::UNSPEC {
        return Err(ObjectError::map(&map.name, "it has no type"));
    }
    if map.map_type.is_ringbuf() {
        map.max_entries = ringbuf_size(map.max_entries);
    }
    Ok(())
}

/// `values`: an array without size of pointers to a map's definition, or to programs.
fn values(map: &mut Map, btf: &Btf, member: Member<'_>) -> Result<(), ObjectError> {
    let bad = |name: &str, reason: &str| Err(ObjectError::map(name, format!("'values': {reason}")));
    map.value_size = agreed(&map.name, "value", map.value_size, 4)?;
    let Some(Type::Array(array)) =
        btf.get(member.type_id).filter(|t| matches!(t, Type::Array(a) if a.count == 0))
    else {
        return bad(&map.name, "it is no array of size zero");
    };
    let Some(Type::Ptr(target)) = btf.resolved(array.element) else {
        return bad(&map.name, "its elements are no pointers");
    };
    match btf.resolved(target) {
        Some(Type::Struct(definition)) if map.map_type.holds_maps() => {
            let mut inner = Map::named(&format!("{}.inner", map.name), MapKind::Declared);
            define(&mut inner, btf, definition, Nesting::Inner)?;
            map.inner = Some(Box::new(inner));
            Ok(())
        }
        Some(Type::FuncProto(_)) if map.map_type == MapType::PROG_ARRAY => Ok(()),
        _ if map.map_type.holds_maps() => bad(&map.name, "it does not point to a map's definition"),
        _ if map.map_type == MapType::PROG_ARRAY => bad(&map.name, "it does not point to a program"),
        _ => bad(&map.name, "only maps of maps and of programs have them"),
    }
}

fn agreed(map: &str, what: &str, known: u32, size: u32) -> Result<u32, ObjectError> {
    match known {
        0 => Ok(size),
        _ if known == size => Ok(size),
        _ => Err(ObjectError::map(map, format!("its {what} has size {known} and size {size}"))),
    }
}

/// `int (*name)[N]` means N.
fn integer(btf: &Btf, map: &str, member: Member<'_>) -> Result<u32, ObjectError> {
    let array = match btf.resolved(member.type_id) {
        Some(Type::Ptr(target)) => btf.get(target),
        _ => None,
    };
    match array {
        Some(Type::Array(array)) => Ok(array.count),
        _ => Err(ObjectError::map(map, format!("'{}' is no pointer to an array", member.name))),
    }
}

/// As `integer`, or an enum of one value where 32 bits are not enough.
fn long(btf: &Btf, map: &str, member: Member<'_>) -> Result<u64, ObjectError> {
    match btf.resolved(member.type_id) {
        Some(Type::Enum(e) | Type::Enum64(e)) => match (e.values().next(), e.value_count()) {
            (Some(only), 1) => Ok(only.value as u64),
            _ => Err(ObjectError::map(
                map,
                format!("'{}' is an enum of more or less than one value", member.name),
            )),
        },
        _ => integer(btf, map, member).map(u64::from),
    }
}

/// `T *key` means T.
fn pointee(btf: &Btf, map: &str, member: Member<'_>) -> Result<(TypeId, u32), ObjectError> {
    let Some(Type::Ptr(target)) = btf.get(member.type_id) else {
        return Err(ObjectError::map(map, format!("'{}' is no pointer to a type", member.name)));
    };
    match btf.size_of(target) {
        Some(size) => Ok((target, size)),
        None => Err(ObjectError::map(map, format!("the type of '{}' has no size", member.name))),
    }
}

/// The kernel wants a power of two of whole pages; libbpf rounds up (`adjust_ringbuf_sz`).
fn ringbuf_size(size: u32) -> u32 {
    const PAGE: u32 = 4096;
    if size == 0 || size.is_multiple_of(PAGE) && (size / PAGE).is_power_of_two() {
        return size;
    }
    let mut rounded = PAGE;
    while rounded <= size {
        match rounded.checked_mul(2) {
            Some(next) => rounded = next,
            None => return size,
        }
    }
    rounded
}

/// Maps of the `maps` section: one `struct bpf_map_def` for each symbol, of five words (type, key, value, max_entries,
/// flags) and, from aya and iproute2, an id and a pinning. libbpf took these before 1.0, aya's loader still does.
pub(super) fn legacy(elf: &Elf<'_>, id: SectionId, section: &Section<'_>) -> Result<Vec<Map>, ObjectError> {
    let mut symbols: Vec<_> =
        elf.symbols.iter().filter(|s| s.section == Some(id) && (s.is_object() || s.is_global())).collect();
    symbols.sort_by_key(|symbol| symbol.value);
    symbols.dedup_by_key(|symbol| symbol.value);
    let mut maps = Vec::new();
    for (index, symbol) in symbols.iter().enumerate() {
        let end = symbols.get(index + 1).map_or(section.data.len() as u64, |next| next.value);
        let bytes = section.data.get(symbol.value as usize..end as usize);
        let Some(bytes) = bytes.filter(|bytes| bytes.len() >= 20) else {
            let reason = format!("the definition of map '{}' is cut short", symbol.name);
            return Err(ObjectError::section(section.name, symbol.value, reason));
        };
        let word = |n: usize| bytes.as_chunks::<4>().0.get(n).map_or(0, |word| u32::from_le_bytes(*word));
        let mut map = Map::named(symbol.name, MapKind::Declared);
        map.map_type = MapType(word(0));
        map.key_size = word(1);
        map.value_size = word(2);
        map.max_entries = word(3);
        map.flags = word(4);
        map.pinning = if word(6) == 1 { Pinning::ByName } else { Pinning::None };
        map.section = Some(id);
        map.offset = symbol.value;
        map.extent = bytes.len() as u64;
        maps.push(map);
    }
    Ok(maps)
}
