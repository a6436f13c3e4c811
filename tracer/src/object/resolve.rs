//! Gives every extern of an object its value on one kernel.

use std::collections::HashMap;

use super::externs::{Demand, Extern, ExternKind, KconfigSlot};
use super::kconfig::{encode, encode_number};
use super::kinds::map_flags;
use super::maps::{Contents, Map, MapKind};
use super::target::{ModuleId, Symbols, Target};
use super::{Object, ObjectError, co_re};
use crate::verifier::btf::{Kind, Type, TypeId};

/// What an extern turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolution {
    /// A weak extern that the kernel lacks: address 0, or a poisoned call.
    Absent,
    /// Its value is in the `.kconfig` map.
    Kconfig,
    Address(u64),
    /// The kernel's symbols are not known: `ASSUMED_ADDRESS` stands for it.
    AssumedAddress,
    /// A variable or function in the kernel's or a module's BTF.
    Btf {
        type_id: TypeId,
        module: Option<ModuleId>,
    },
}

/// Resolves all externs, and writes configuration values into the `.kconfig` map.
pub(super) fn externs(
    object: &Object,
    maps: &mut [Map],
    target: &Target<'_>,
) -> Result<Vec<Resolution>, ObjectError> {
    let options = target.kconfig.map(options);
    let mut values = Vec::new();
    let mut resolutions = Vec::with_capacity(object.externs.len());
    for external in &object.externs {
        let resolution = match external.kind {
            ExternKind::Kconfig(slot) => match kconfig_value(external, slot, target, options.as_ref())? {
                Some(bytes) => {
                    values.push((slot.offset as usize, bytes));
                    Resolution::Kconfig
                }
                None => Resolution::Absent,
            },
            ExternKind::Typeless => match target.symbols {
                Symbols::Unknown => Resolution::AssumedAddress,
                Symbols::Known(lookup) => {
                    lookup(&external.name).map_or(Resolution::Absent, Resolution::Address)
                }
            },
            ExternKind::TypedVariable(type_id) => typed(object, external, Kind::Var, type_id, target)?,
            ExternKind::Function(proto) => typed(object, external, Kind::Func, proto, target)?,
        };
        if resolution == Resolution::Absent && external.demand == Demand::Strong {
            return Err(ObjectError::external(&external.name, "the kernel does not have it"));
        }
        resolutions.push(resolution);
    }
    write_values(maps, values);
    if !target.features.array_mmap {
        let internal = |map: &&mut Map| matches!(map.kind, MapKind::Data(..) | MapKind::Kconfig(_));
        maps.iter_mut().filter(internal).for_each(|map| map.flags &= !map_flags::MMAPABLE);
    }
    Ok(resolutions)
}

/// The options of a configuration's text; of an option that is there twice, the first.
fn options(text: &str) -> HashMap<&str, &str> {
    let mut options = HashMap::new();
    for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
        options.entry(name).or_insert(value.trim_end());
    }
    options
}

fn write_values(maps: &mut [Map], values: Vec<(usize, Vec<u8>)>) {
    for map in maps {
        let MapKind::Kconfig(contents) = &mut map.kind else {
            continue;
        };
        let mut bytes = vec![0; map.value_size as usize];
        for (offset, value) in &values {
            if let Some(place) = bytes.get_mut(*offset..offset + value.len()) {
                place.copy_from_slice(value);
            }
        }
        *contents = Contents::Bytes(bytes);
    }
}

fn kconfig_value(
    external: &Extern,
    slot: KconfigSlot,
    target: &Target<'_>,
    options: Option<&HashMap<&str, &str>>,
) -> Result<Option<Vec<u8>>, ObjectError> {
    let number = |value: u64| encode_number(external, slot, value).map(Some);
    match external.name.as_str() {
        "LINUX_KERNEL_VERSION" => number(u64::from(target.features.version.code())),
        "LINUX_HAS_BPF_COOKIE" => number(u64::from(target.features.bpf_cookie)),
        "LINUX_HAS_SYSCALL_WRAPPER" => number(u64::from(target.features.syscall_wrapper)),
        name if name.starts_with("CONFIG_") => {
            let Some(options) = options else {
                return Err(ObjectError::external(name, "the kernel's configuration is not known"));
            };
            options.get(name).map(|value| encode(external, slot, value)).transpose()
        }
        name if name.starts_with("LINUX_") && external.demand == Demand::Weak => number(0),
        name => Err(ObjectError::external(name, ".kconfig has only CONFIG_ options and what libbpf defines")),
    }
}

fn typed(
    object: &Object,
    external: &Extern,
    kind: Kind,
    local: TypeId,
    target: &Target<'_>,
) -> Result<Resolution, ObjectError> {
    if target.btf.is_none() {
        return Err(ObjectError::KernelBtfMissing { needed_by: format!("extern '{}'", external.name) });
    }
    let Some((btf, type_id, module)) = target.find(kind, external.kernel_name()) else {
        return Ok(Resolution::Absent);
    };
    let Some(own) = object.btf.as_deref() else {
        return Ok(Resolution::Absent);
    };
    let theirs = match btf.get(type_id) {
        Some(Type::Var(var)) => btf.resolve(var.type_id),
        Some(Type::Func(func)) => Some(func.proto),
        _ => None,
    };
    let compatible = theirs.and_then(|theirs| co_re::types_are_compatible(own, local, btf, theirs).ok());
    match (compatible, kind, external.demand) {
        (Some(true), ..) => Ok(Resolution::Btf { type_id, module }),
        (_, Kind::Func, Demand::Weak) => Ok(Resolution::Absent),
        _ => Err(ObjectError::external(&external.name, "the kernel's is of another type")),
    }
}
