//! One prepared program in the model's terms.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::object::{self, Attach, Contents, DataKind, MapKind, MapType, Resolved};
use crate::verifier::btf::TypeId;
use crate::verifier::{self, AttachType, FuncInfo, Insn, ProgType, Unmodelled};

/// An inner map has no descriptor that an instruction could name.
const NO_HANDLE: i32 = i32::MIN;

/// A map larger than this is not copied to tell its constants: no kernel reads a program's constants from so much.
const MAX_FROZEN: u32 = 1 << 28;

/// The program, with the maps that its instructions refer to, as bpf() would get it.
///
/// # Errors
/// Names the feature if the model has no place for what the program attaches to.
pub fn program(resolved: &Resolved<'_>, prepared: &object::Program) -> Result<verifier::Program, Unmodelled> {
    let attach_btf_id = match &prepared.attach {
        Attach::Later | Attach::Program { .. } => TypeId::VOID,
        Attach::Btf { type_id, module: None } => *type_id,
        Attach::StructOps(binding) if binding.module.is_none() => binding.type_id,
        Attach::Btf { .. } | Attach::StructOps(_) => {
            return Err(Unmodelled { feature: "attaching to modules", insn: None });
        }
    };
    let used: BTreeSet<i32> =
        prepared.insns.iter().filter(|insn| insn.refers_to_map()).map(|insn| insn.imm).collect();
    let maps = used.iter().filter_map(|&number| {
        let known = usize::try_from(number).ok().and_then(|index| resolved.maps().get(index))?;
        Some(map(known, number))
    });
    Ok(verifier::Program {
        insns: prepared.insns.iter().map(|slot| insn(*slot)).collect(),
        kind: ProgType(prepared.program_type as u32),
        attach: AttachType(prepared.attach_type.0),
        attach_btf_id,
        flags: prepared.flags,
        gpl: is_gpl_compatible(resolved.license()),
        maps: maps.collect(),
        funcs: prepared
            .func_info
            .iter()
            .map(|info| FuncInfo { start: info.insn, type_id: info.type_id })
            .collect(),
        btf: prepared.btf.clone(),
    })
}

/// The licences that the kernel counts as the GPL (`license_is_gpl_compatible()`, include/linux/license.h).
pub fn is_gpl_compatible(license: &str) -> bool {
    matches!(
        license,
        "GPL" | "GPL v2" | "GPL and additional rights" | "Dual BSD/GPL" | "Dual MIT/GPL" | "Dual MPL/GPL"
    )
}

fn insn(slot: object::Insn) -> Insn {
    Insn { code: slot.code, dst: slot.dst, src: slot.src, off: slot.off, imm: slot.imm }
}

fn map(map: &object::Map, handle: i32) -> verifier::Map {
    // Of struct_ops, the type is one of the kernel's.
    let described = map.value_type != TypeId::VOID && map.map_type != MapType::STRUCT_OPS;
    verifier::Map {
        handle,
        name: map.name.clone(),
        kind: verifier::MapType(map.map_type.0),
        key_size: map.key_size,
        value_size: map.value_size,
        max_entries: map.max_entries,
        flags: map.flags,
        extra: map.extra,
        btf_value: described.then_some(map.value_type),
        inner: map.inner.as_deref().map(|inner| Box::new(self::map(inner, NO_HANDLE))),
        frozen: frozen(map),
    }
}

/// The bytes that the loader freezes before it loads a program (`bpf_object__populate_internal_map()` in libbpf.c).
fn frozen(map: &object::Map) -> Option<Arc<[u8]>> {
    let (MapKind::Data(DataKind::Rodata, contents) | MapKind::Kconfig(contents)) = &map.kind else {
        return None;
    };
    match contents {
        Contents::Bytes(bytes) => Some(bytes.as_slice().into()),
        Contents::Zero if map.value_size <= MAX_FROZEN => Some(vec![0; map.value_size as usize].into()),
        Contents::Zero => None,
    }
}
