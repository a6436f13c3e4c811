//! What else an object says: variables by name, tags, licence and version.

use std::collections::HashMap;

use super::ObjectError;
use super::elf::{Elf, Symbol};
use super::maps::{Map, MapId, MapKind};
use crate::verifier::btf::{Btf, DeclTagTarget, FuncLinkage};

/// `exception_callback:NAME` on a program.
pub(super) struct ExceptionTag {
    pub(super) function: String,
    pub(super) callback: String,
}

/// A variable in a data section.
pub(super) struct Global {
    pub(super) name: String,
    pub(super) map: MapId,
    /// In its section, in bytes.
    pub(super) offset: u64,
    pub(super) size: u64,
}

pub(super) fn exception_tags(btf: &Btf) -> Result<Vec<ExceptionTag>, ObjectError> {
    let mut tags = Vec::new();
    for (_, tag) in btf.decl_tags().filter(|(_, tag)| tag.target == DeclTagTarget::Whole) {
        let Some(callback) = tag.name.strip_prefix("exception_callback:") else {
            continue;
        };
        let func = btf.func_by_id(tag.type_id).filter(|func| func.linkage == FuncLinkage::Global);
        let Some(func) = func.filter(|_| !callback.is_empty()) else {
            let reason = format!("tag '{}' is not on a global function, or names none", tag.name);
            return Err(ObjectError::section(".BTF", 0, reason));
        };
        tags.push(ExceptionTag { function: func.name.into(), callback: callback.into() });
    }
    Ok(tags)
}

pub(super) fn globals(elf: &Elf<'_>, maps: &[Map]) -> Vec<Global> {
    let data = maps.iter().enumerate().filter(|(_, map)| matches!(map.kind, MapKind::Data(..)));
    let by_section: HashMap<_, _> = data.map(|(index, map)| (map.section, MapId(index as u32))).collect();
    let variables = elf.symbols.iter().filter(|symbol| symbol.is_object() && symbol.section.is_some());
    let global = |symbol: &Symbol<'_>| {
        let map = *by_section.get(&symbol.section)?;
        Some(Global { name: symbol.name.into(), map, offset: symbol.value, size: symbol.size })
    };
    variables.filter_map(global).collect()
}

/// At most 63 bytes, up to the NUL.
pub(super) fn license(elf: &Elf<'_>) -> String {
    let data = elf.section("license").map_or(&[][..], |(_, section)| section.data);
    let bytes = data.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(&bytes[..bytes.len().min(63)]).into_owned()
}

pub(super) fn kernel_version(elf: &Elf<'_>) -> Result<Option<u32>, ObjectError> {
    let Some((_, section)) = elf.section("version") else {
        return Ok(None);
    };
    match <[u8; 4]>::try_from(section.data) {
        Ok(bytes) => Ok(Some(u32::from_le_bytes(bytes))),
        Err(_) => {
            Err(ObjectError::section("version", 0, format!("it has {} bytes, not 4", section.data.len())))
        }
    }
}
