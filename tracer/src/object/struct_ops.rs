//! Maps of type struct_ops: a struct of function pointers, each to a program, that a kernel subsystem will call.
//!
//! `collect` and `relocate` read what the object says; `bind` fits it to the kernel's own struct, which may have other
//! members at other places.

use std::collections::{BTreeMap, HashMap};

use super::elf::{Elf, Relocation as Entry, Section, SectionId};
use super::functions::Autoload;
use super::insn::INSN_SIZE;
use super::kinds::{AttachType, MapType, ProgramType, map_flags};
use super::maps::{Creation, Map, MapId, MapKind};
use super::relocations::{Parts, Places, symbol_of};
use super::target::{ModuleId, Target};
use super::{Object, ObjectError, ProgramId};
use crate::verifier::btf::{Composite, Kind, Type, TypeId, essential_name};

/// The initial value of a struct_ops map.
#[derive(Clone, Debug)]
pub struct StructOps {
    /// The struct, in the object's BTF.
    pub type_id: TypeId,
    /// Its bytes in the object.
    pub data: Vec<u8>,
    /// The programs that members point to, by the member's number.
    pub programs: BTreeMap<usize, ProgramId>,
}

/// Where the kernel calls a struct_ops program from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Binding {
    /// The struct, in the kernel's (or the module's) BTF.
    pub type_id: TypeId,
    /// The number of the member.
    pub member: AttachType,
    pub module: Option<ModuleId>,
}

pub(super) fn is_section(section: &Section<'_>) -> bool {
    section.kind == object::elf::SHT_PROGBITS
        && matches!(
            section.name.strip_prefix('?').unwrap_or(section.name),
            ".struct_ops" | ".struct_ops.link"
        )
}

pub(super) fn collect(
    elf: &Elf<'_>,
    btf: Option<&crate::verifier::btf::Btf>,
) -> Result<Vec<Map>, ObjectError> {
    let mut maps = Vec::new();
    for (id, section) in
        elf.numbered_sections().filter(|(_, section)| is_section(section) && !section.data.is_empty())
    {
        let btf =
            btf.ok_or_else(|| ObjectError::BtfMissing { needed_by: format!("section '{}'", section.name) })?;
        let Some(Type::Datasec(datasec)) = btf.find(Kind::Datasec, section.name).and_then(|id| btf.get(id))
        else {
            return Err(ObjectError::section(section.name, 0, "BTF does not list its variables"));
        };
        let mut free_from = 0;
        for listed in datasec.vars() {
            let name = btf.name(listed.type_id);
            let type_id = btf.referent(listed.type_id).and_then(|id| btf.resolve(id)).unwrap_or(TypeId::VOID);
            let Some(Type::Struct(composite)) = btf.get(type_id).filter(|_| !btf.name(type_id).is_empty())
            else {
                return Err(ObjectError::map(name, "a struct_ops variable must be of a named struct"));
            };
            let start = listed.offset as usize;
            let Some(data) = section.data.get(start..start.saturating_add(composite.size as usize)) else {
                return Err(ObjectError::map(name, "it lies outside of its section"));
            };
            if start < free_from || data.is_empty() {
                return Err(ObjectError::map(name, "it is empty, or overlaps with another one"));
            }
            free_from = start + data.len();
            let mut map = Map::named(
                name,
                MapKind::StructOps(StructOps { type_id, data: data.to_vec(), programs: BTreeMap::new() }),
            );
            map.map_type = MapType::STRUCT_OPS;
            map.key_size = 4;
            map.value_size = composite.size;
            map.max_entries = 1;
            map.flags = if section.name.ends_with(".link") { map_flags::LINK } else { 0 };
            map.creation = if section.name.starts_with('?') { Creation::Off } else { Creation::Auto };
            map.section = Some(id);
            map.offset = u64::from(listed.offset);
            map.extent = u64::from(composite.size);
            maps.push(map);
        }
    }
    Ok(maps)
}

/// One member's pointer to a program.
pub(super) fn relocate(
    parts: &mut Parts<'_>,
    places: &Places<'_>,
    section: &Section<'_>,
    changed: SectionId,
    entry: Entry,
) -> Result<(), ObjectError> {
    let symbol = symbol_of(parts.elf, section, entry)?;
    let bad = |reason: &str| {
        ObjectError::section(section.name, entry.offset, format!("'{}': {reason}", symbol.name))
    };
    let program = symbol.section.filter(|_| symbol.value.is_multiple_of(INSN_SIZE as u64));
    let program = program.and_then(|id| parts.functions.at(id, (symbol.value / INSN_SIZE as u64) as usize));
    let program = program.ok_or_else(|| bad("there is no program"))?;
    if parts.functions.get(program).is_none_or(|f| f.program_type() != ProgramType::StructOps) {
        return Err(bad("it is no struct_ops program"));
    }
    let holder = places.holder(parts.maps, changed, entry.offset);
    let map =
        holder.and_then(|id| parts.maps.get_mut(id.0 as usize)).ok_or_else(|| bad("no struct is there"))?;
    let (offset, btf) = (entry.offset - map.offset, parts.btf);
    let MapKind::StructOps(ops) = &mut map.kind else {
        return Err(bad("no struct_ops map is there"));
    };
    let composite = btf.and_then(|btf| Some((btf, btf.get(ops.type_id)?)));
    let Some((btf, Type::Struct(composite))) = composite else {
        return Err(bad("its struct is not described"));
    };
    let member = composite.members().position(|member| u64::from(member.bit_offset) == offset * 8);
    let member = member.ok_or_else(|| bad("no member is there"))?;
    let is_function_pointer = composite.member(member).is_some_and(|member| {
        matches!(btf.resolved(member.type_id), Some(Type::Ptr(to)) if matches!(btf.resolved(to), Some(Type::FuncProto(_))))
    });
    if !is_function_pointer {
        return Err(bad("the member is no pointer to a function"));
    }
    ops.programs.insert(member, program);
    Ok(())
}

/// What binding to a kernel decides.
#[derive(Default)]
pub(super) struct Bound {
    pub(super) programs: HashMap<ProgramId, Binding>,
    /// Programs that maps decide about: loaded if any map that is created has them.
    pub(super) autoload: HashMap<ProgramId, Autoload>,
    /// Maps that do not fit this kernel: neither they nor their programs can be loaded.
    pub(super) unfit: Vec<(MapId, ObjectError)>,
}

impl Bound {
    /// Why a program that no map could bind is of no use here.
    pub(super) fn obstacle(&self, maps: &[Map], program: ProgramId) -> Option<&ObjectError> {
        let uses = |map: &Map| matches!(&map.kind, MapKind::StructOps(ops) if ops.programs.values().any(|used| *used == program));
        let found = self.unfit.iter().find(|(id, _)| maps.get(id.0 as usize).is_some_and(uses));
        found.map(|(_, error)| error)
    }
}

/// Fits the struct_ops maps that are created to the kernel, and completes their value's size and type.
pub(super) fn bind(object: &Object, maps: &mut [Map], target: &Target<'_>) -> Bound {
    let mut bound = Bound::default();
    let struct_ops = |(_, map): &(usize, &mut Map)| map.map_type == MapType::STRUCT_OPS;
    for (index, map) in maps.iter_mut().enumerate().filter(struct_ops) {
        let MapKind::StructOps(ops) = &map.kind else {
            continue;
        };
        let mut autoload = Autoload::No;
        if map.creation == Creation::Auto {
            let mut programs = bound.programs.clone();
            match bind_map(object, &map.name, ops, target, &mut programs) {
                Ok(value) => {
                    bound.programs = programs;
                    map.value_size = value.size;
                    map.value_type = value.type_id;
                    map.flags |= if value.module.is_some() { map_flags::VTYPE_BTF_OBJ_FD } else { 0 };
                }
                Err(error) => bound.unfit.push((MapId(index as u32), error)),
            }
            autoload = Autoload::Yes;
        }
        for program in ops.programs.values() {
            let entry = bound.autoload.entry(*program).or_insert(Autoload::No);
            if autoload == Autoload::Yes {
                *entry = Autoload::Yes;
            }
        }
    }
    bound
}

struct KernelValue {
    type_id: TypeId,
    size: u32,
    module: Option<ModuleId>,
}

fn bind_map(
    object: &Object,
    name: &str,
    ops: &StructOps,
    target: &Target<'_>,
    programs: &mut HashMap<ProgramId, Binding>,
) -> Result<KernelValue, ObjectError> {
    let bad = |reason: String| ObjectError::map(name, reason);
    let local = object
        .btf
        .as_deref()
        .ok_or_else(|| ObjectError::BtfMissing { needed_by: format!("map '{name}'") })?;
    let Some(Type::Struct(composite)) = local.get(ops.type_id) else {
        return Err(bad("its struct is not described".into()));
    };
    let struct_name = essential_name(composite.name);
    target
        .btf
        .ok_or_else(|| ObjectError::KernelBtfMissing { needed_by: format!("struct_ops map '{name}'") })?;
    let Some((btf, type_id, module)) = target.find(Kind::Struct, struct_name) else {
        return Err(bad(format!("the kernel has no struct '{struct_name}'")));
    };
    let value_name = format!("bpf_struct_ops_{struct_name}");
    let (Some(value_id), Some(Type::Struct(kernel))) =
        (btf.find(Kind::Struct, &value_name), btf.get(type_id))
    else {
        return Err(bad(format!("the kernel has no struct '{value_name}': it takes no such struct_ops")));
    };
    for (index, member) in composite.members().enumerate() {
        let size = local
            .size_of(member.type_id)
            .ok_or_else(|| bad(format!("member '{}' has no size", member.name)))?;
        let start = (member.bit_offset / 8) as usize;
        let bytes = ops.data.get(start..start.saturating_add(size as usize)).unwrap_or_default();
        let is_zero = bytes.iter().all(|&byte| byte == 0);
        let Some((number, kernel_member)) = kernel.members().enumerate().find(|(_, m)| m.name == member.name)
        else {
            if !is_zero || ops.programs.contains_key(&index) {
                return Err(bad(format!("the kernel's '{struct_name}' has no member '{}'", member.name)));
            }
            continue;
        };
        let here = local.resolve(member.type_id).and_then(|id| local.kind(id));
        let there = btf.resolve(kernel_member.type_id).and_then(|id| btf.kind(id));
        if here != there {
            return Err(bad(format!("member '{}' is of another kind in the kernel", member.name)));
        }
        if let Some(&program) = ops.programs.get(&index) {
            let binding = Binding { type_id, member: AttachType(number as u32), module };
            if *programs.entry(program).or_insert(binding) != binding {
                return Err(bad(format!("member '{}' reuses a program of another member", member.name)));
            }
        } else if here != Some(Kind::Ptr) && btf.size_of(kernel_member.type_id) != Some(size) {
            return Err(bad(format!("member '{}' has another size in the kernel", member.name)));
        }
    }
    let size = btf.size_of(value_id).unwrap_or(0);
    check_holds(btf.get(value_id), type_id)
        .then_some(())
        .ok_or_else(|| bad(format!("'{value_name}' has no data")))?;
    Ok(KernelValue { type_id: value_id, size, module })
}

fn check_holds(value: Option<Type<'_>>, data: TypeId) -> bool {
    let holds = |composite: Composite<'_>| composite.members().any(|member| member.type_id == data);
    matches!(value, Some(Type::Struct(composite)) if holds(composite))
}
