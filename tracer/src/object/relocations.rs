//! Which instructions, map slots and struct_ops members refer to what, from the ELF file's relocation sections.

use std::collections::{BTreeMap, HashMap};

use object::elf::SHT_REL;

use super::elf::{Elf, Place, Relocation as Entry, Section, SectionId, Symbol, SymbolId};
use super::externs::{Extern, ExternId};
use super::functions::{Functions, Relocation, Role, Target};
use super::insn::{INSN_SIZE, Insn, pseudo};
use super::kinds::MapType;
use super::maps::{Map, MapId, MapKind, Slot};
use super::{ObjectError, struct_ops};
use crate::verifier::btf::{Btf, Type};

/// What has been read so far and is completed here.
pub(super) struct Parts<'p> {
    pub(super) elf: &'p Elf<'p>,
    pub(super) btf: Option<&'p Btf>,
    pub(super) externs: &'p [Extern],
    pub(super) functions: &'p mut Functions,
    pub(super) maps: &'p mut Vec<Map>,
}

/// Where things are, so that each relocation finds its own without a search through all.
pub(super) struct Places<'p> {
    /// Maps by section and offset; a data section's map is at 0.
    maps: BTreeMap<(SectionId, u64), MapId>,
    declared: HashMap<&'p str, MapId>,
    externs: HashMap<SymbolId, ExternId>,
    arena: Option<MapId>,
}

impl<'p> Places<'p> {
    pub(super) fn of(maps: &'p [Map], externs: &[Extern]) -> Places<'p> {
        let numbered = || maps.iter().enumerate().map(|(index, map)| (MapId(index as u32), map));
        let mut declared = HashMap::new();
        for (id, map) in numbered().filter(|(_, map)| matches!(map.kind, MapKind::Declared)) {
            declared.entry(map.name.as_str()).or_insert(id);
        }
        let external = |(index, external): (usize, &Extern)| (external.symbol, ExternId(index as u32));
        Places {
            maps: numbered().filter_map(|(id, map)| Some(((map.section?, map.offset), id))).collect(),
            declared,
            externs: externs.iter().enumerate().map(external).collect(),
            arena: numbered().find(|(_, map)| map.map_type == MapType::ARENA).map(|(id, _)| id),
        }
    }

    /// The map whose declaration holds the byte at `offset`.
    pub(super) fn holder(&self, maps: &[Map], section: SectionId, offset: u64) -> Option<MapId> {
        let (_, id) = self.maps.range((section, 0)..=(section, offset)).next_back()?;
        let map = maps.get(id.0 as usize)?;
        (offset - map.offset < map.extent).then_some(*id)
    }
}

/// Records every relocation at the function, map or struct_ops that it changes.
pub(super) fn collect(parts: &mut Parts<'_>) -> Result<(), ObjectError> {
    let elf = parts.elf;
    // Names and places stay as they are while slots are filled.
    let named = parts.maps.clone();
    let places = &Places::of(&named, parts.externs);
    for (_, section) in elf.numbered_sections().filter(|(_, section)| section.kind == SHT_REL) {
        let changed = SectionId(section.info as usize);
        let Some(target) = elf.sections.get(changed.0) else {
            return Err(ObjectError::section(
                section.name,
                0,
                format!("it changes section {}, which does not exist", changed.0),
            ));
        };
        if parts.functions.is_code(changed) {
            for entry in elf.relocations(section) {
                code_entry(parts, places, section, changed, entry)?;
            }
        } else if target.name == ".maps" && !target.is_code() {
            for entry in elf.relocations(section) {
                slot_entry(parts, places, section, changed, entry)?;
            }
        } else if struct_ops::is_section(target) {
            for entry in elf.relocations(section) {
                struct_ops::relocate(parts, places, section, changed, entry)?;
            }
        }
    }
    for function in &mut parts.functions.list {
        function.relocations.sort_by_key(|relocation| relocation.insn);
    }
    Ok(())
}

pub(super) fn symbol_of<'e>(
    elf: &'e Elf<'e>,
    section: &Section<'_>,
    entry: Entry,
) -> Result<&'e Symbol<'e>, ObjectError> {
    elf.symbol(entry.symbol).ok_or_else(|| {
        ObjectError::section(section.name, entry.offset, format!("symbol {} does not exist", entry.symbol.0))
    })
}

fn code_entry(
    parts: &mut Parts<'_>,
    places: &Places<'_>,
    section: &Section<'_>,
    changed: SectionId,
    entry: Entry,
) -> Result<(), ObjectError> {
    let target = &parts.elf.sections[changed.0];
    let symbol = symbol_of(parts.elf, section, entry)?;
    let at_insn = entry.offset.is_multiple_of(INSN_SIZE as u64) && entry.offset < target.data.len() as u64;
    if !at_insn {
        return Err(ObjectError::section(
            section.name,
            entry.offset,
            format!("no instruction of '{}' is there", target.name),
        ));
    }
    let index = (entry.offset / INSN_SIZE as u64) as usize;
    // A weak function that another one replaced leaves its relocations behind.
    let Some(id) = parts.functions.at(changed, index) else {
        return Ok(());
    };
    let Some(function) = parts.functions.get(id) else {
        return Ok(());
    };
    let insn = index - function.start;
    let code = parts.functions.code(function);
    let bad = |reason: String| ObjectError::insn(&function.name, insn, reason);
    let Some(first) = code.get(insn).copied() else {
        return Ok(());
    };
    if first.is_lddw() && code.get(insn + 1).is_none() {
        return Err(bad(format!("the 64-bit load of '{}' is cut short by the program's end", symbol.name)));
    }
    let to = target_of(parts, places, symbol, entry, first).map_err(bad)?;
    parts.functions.list[id.0 as usize].relocations.push(Relocation { insn, to });
    Ok(())
}

/// What an instruction refers to through a symbol, or why it cannot.
fn target_of(
    parts: &Parts<'_>,
    places: &Places<'_>,
    symbol: &Symbol<'_>,
    entry: Entry,
    insn: Insn,
) -> Result<Target, String> {
    let name = symbol.name;
    if !insn.is_call() && !insn.is_lddw() {
        return Err(format!(
            "a reference to '{name}' from an instruction that can have none (code {:#04x})",
            insn.code
        ));
    }
    if symbol.is_extern() {
        let Some(&id) = places.externs.get(&entry.symbol) else {
            return Err(format!("extern '{name}' is unknown"));
        };
        return Ok(if insn.is_call() { Target::ExternCall(id) } else { Target::ExternLoad(id) });
    }
    let text = parts.functions.text;
    if insn.is_call() {
        if insn.src != pseudo::CALL {
            return Err(format!("a call of '{name}' that is no call of a subprogram"));
        }
        if symbol.section.is_none() || symbol.section != text {
            let place = symbol.section.map_or("no section", |id| parts.elf.sections[id.0].name);
            return Err(format!("a call of '{name}' in {place}; only functions in .text can be called"));
        }
        return match symbol.value.is_multiple_of(INSN_SIZE as u64) {
            true => Ok(Target::Call(symbol.value)),
            false => Err(format!("a call of '{name}', which does not start at an instruction")),
        };
    }
    let Some(section_id) = symbol.section else {
        let why = if symbol.place == Place::Undefined {
            "is not defined"
        } else {
            "has no section (is it initialised?)"
        };
        return Err(format!("a reference to '{name}', which {why}"));
    };
    let is_subprogram = symbol.is_section() || symbol.is_global() && symbol.is_function();
    if Some(section_id) == text && is_subprogram {
        let aligned = symbol.value.is_multiple_of(INSN_SIZE as u64) && insn.imm % INSN_SIZE as i32 == 0;
        return match aligned {
            true => Ok(Target::Address(symbol.value)),
            false => Err(format!("the address of '{name}', which is not that of an instruction")),
        };
    }
    data_target(parts, places, symbol, section_id)
}

fn data_target(
    parts: &Parts<'_>,
    places: &Places<'_>,
    symbol: &Symbol<'_>,
    section_id: SectionId,
) -> Result<Target, String> {
    let section = &parts.elf.sections[section_id.0];
    if section.name == ".addr_space.1" {
        return match places.arena {
            Some(id) => Ok(Target::Data(id, symbol.value)),
            None => Err(format!("'{}' is in an arena, and no arena is declared", symbol.name)),
        };
    }
    let at = |offset| {
        let id = *places.maps.get(&(section_id, offset))?;
        Some((id, parts.maps.get(id.0 as usize)?))
    };
    let is_data = |map: &Map| matches!(map.kind, MapKind::Data(..));
    let found = at(0).filter(|(_, map)| is_data(map)).or_else(|| at(symbol.value));
    match found {
        Some((id, Map { kind: MapKind::Data(..), .. })) => Ok(Target::Data(id, symbol.value)),
        Some((id, Map { kind: MapKind::Declared, .. })) => Ok(Target::Map(id)),
        _ => Err(format!(
            "a reference to '{}' at offset {} of section '{}', where there is no map and no data",
            symbol.name, symbol.value, section.name
        )),
    }
}

/// A slot of a map of maps or of programs that is filled from the start.
fn slot_entry(
    parts: &mut Parts<'_>,
    places: &Places<'_>,
    section: &Section<'_>,
    changed: SectionId,
    entry: Entry,
) -> Result<(), ObjectError> {
    let symbol = symbol_of(parts.elf, section, entry)?;
    let holder = places.holder(parts.maps, changed, entry.offset);
    let Some(map) = holder.and_then(|id| parts.maps.get(id.0 as usize)) else {
        return Err(ObjectError::section(section.name, entry.offset, "no map is there"));
    };
    let bad = |reason: String| ObjectError::map(&map.name, reason);
    let slot = if map.map_type.holds_maps() {
        let named = places.declared.get(symbol.name).copied();
        Slot::Map(named.ok_or_else(|| bad(format!("its value '{}' is no map", symbol.name)))?)
    } else if map.map_type == MapType::PROG_ARRAY {
        let place =
            symbol.section.and_then(|id| parts.functions.at(id, (symbol.value / INSN_SIZE as u64) as usize));
        let program = place.filter(|id| parts.functions.get(*id).is_some_and(|f| f.role == Role::Program));
        Slot::Program(program.ok_or_else(|| bad(format!("its value '{}' is no program", symbol.name)))?)
    } else {
        return Err(bad("it cannot have initial values".into()));
    };
    let start = parts
        .btf
        .and_then(|btf| values_offset(btf, &map.name))
        .ok_or_else(|| bad("it has no 'values'".into()))?;
    let offset =
        (entry.offset - map.offset).checked_sub(u64::from(start)).filter(|offset| offset.is_multiple_of(8));
    let index = offset.ok_or_else(|| bad("an initial value is not in 'values'".into()))? / 8;
    // `extent` lies inside of the section, so this many slots are in the file.
    let Some(map) = holder.and_then(|id| parts.maps.get_mut(id.0 as usize)) else {
        return Ok(());
    };
    let slots = &mut map.slots;
    if slots.len() <= index as usize {
        slots.resize(index as usize + 1, None);
    }
    slots[index as usize] = Some(slot);
    Ok(())
}

/// The offset in bytes of `values`, the last member of a map's definition.
fn values_offset(btf: &Btf, map: &str) -> Option<u32> {
    btf.find_all(crate::verifier::btf::Kind::Var, map).find_map(|id| {
        let Some(Type::Struct(definition)) = btf.resolved(btf.referent(id)?) else {
            return None;
        };
        let last = definition.members().last().filter(|member| member.name == "values")?;
        Some(last.bit_offset / 8)
    })
}
