//! The maps of an object, in the order in which libbpf creates them: declared ones (`.maps`, or the older `maps`),
//! then a map for each data section, then `.kconfig`, then struct_ops.

use super::ObjectError;
use super::elf::{Elf, Section, SectionId};
use super::externs::{Extern, ExternKind};
use super::kinds::{MapType, map_flags};
use super::struct_ops::StructOps;
use super::{ProgramId, map_def};
use crate::verifier::btf::{Btf, Linkage, Type, TypeId};

/// Index of a map in `Object::maps`. In a program's instructions it stands where the kernel wants a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MapId(pub u32);

/// One map, as it will be created.
#[derive(Clone, Debug)]
pub struct Map {
    /// As declared, or the section's name.
    pub name: String,
    /// As the kernel is told: at most 15 characters.
    pub kernel_name: String,
    pub map_type: MapType,
    /// In bytes, as `value_size`.
    pub key_size: u32,
    pub value_size: u32,
    /// 0 for a perf event array stands for the number of CPUs, where that is not known.
    pub max_entries: u32,
    pub flags: u32,
    pub extra: u64,
    pub numa_node: u32,
    /// In the object's BTF; 0 where the map has none. For `struct_ops`, in the kernel's.
    pub key_type: TypeId,
    pub value_type: TypeId,
    pub pinning: Pinning,
    pub creation: Creation,
    /// What a map of maps holds.
    pub inner: Option<Box<Map>>,
    /// What a map of maps or programs holds from the start, by index.
    pub slots: Vec<Option<Slot>>,
    pub kind: MapKind,
    pub(super) section: Option<SectionId>,
    /// In its section, in bytes.
    pub(super) offset: u64,
    /// How many bytes of the section declare it.
    pub(super) extent: u64,
}

/// Whether the map is kept in bpffs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Pinning {
    #[default]
    None,
    ByName,
}

/// Whether a loader creates the map.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Creation {
    #[default]
    Auto,
    /// Its section starts with `?`: references to it are poisoned.
    Off,
}

/// What a slot of a map holds from the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Slot {
    Map(MapId),
    Program(ProgramId),
}

/// Where a map comes from.
#[derive(Clone, Debug)]
pub enum MapKind {
    Declared,
    /// One value that holds a data section.
    Data(DataKind, Contents),
    /// One value that holds the `.kconfig` externs.
    Kconfig(Contents),
    StructOps(StructOps),
}

/// Which sort of data section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DataKind {
    Data,
    /// Frozen before any program is loaded: its bytes are constants for the verifier.
    Rodata,
    Bss,
}

/// The first value of a data map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Contents {
    Bytes(Vec<u8>),
    /// All zero; the length is the map's `value_size`.
    Zero,
}

impl Map {
    /// A map of nothing yet.
    pub(super) fn named(name: &str, kind: MapKind) -> Map {
        Map {
            name: name.into(),
            kernel_name: name.chars().take(15).collect(),
            map_type: MapType::UNSPEC,
            key_size: 0,
            value_size: 0,
            max_entries: 0,
            flags: 0,
            extra: 0,
            numa_node: 0,
            key_type: TypeId::VOID,
            value_type: TypeId::VOID,
            pinning: Pinning::None,
            creation: Creation::Auto,
            inner: None,
            slots: Vec::new(),
            kind,
            section: None,
            offset: 0,
            extent: 0,
        }
    }

    /// Whether programs may take this for a constant.
    pub fn is_rodata(&self) -> bool {
        matches!(self.kind, MapKind::Data(DataKind::Rodata, _))
    }

    /// The first value of a data map.
    pub fn contents(&self) -> Option<&Contents> {
        match &self.kind {
            MapKind::Data(_, contents) | MapKind::Kconfig(contents) => Some(contents),
            MapKind::Declared | MapKind::StructOps(_) => None,
        }
    }
}

/// Everything but struct_ops, which needs the programs.
pub(super) fn collect(
    elf: &Elf<'_>,
    btf: Option<&Btf>,
    externs: &[Extern],
    object_name: &str,
) -> Result<Vec<Map>, ObjectError> {
    let mut maps = match (elf.section(".maps"), btf) {
        (Some((id, section)), Some(btf)) => map_def::declared(id, section, btf)?,
        (Some(_), None) => {
            return Err(ObjectError::BtfMissing { needed_by: "section '.maps'".into() });
        }
        (None, _) => Vec::new(),
    };
    if let Some((id, section)) = elf.section("maps") {
        maps.extend(map_def::legacy(elf, id, section)?);
    }
    for (id, section) in elf.numbered_sections() {
        if let Some(kind) = data_kind(section).filter(|_| section.size > 0) {
            maps.push(data_map(id, section, kind, btf, object_name)?);
        }
    }
    maps.extend(kconfig_map(externs, btf, object_name));
    Ok(maps)
}

/// What sort of data section this is, if it becomes a map.
pub(super) fn data_kind(section: &Section<'_>) -> Option<DataKind> {
    use object::elf::{SHT_NOBITS, SHT_PROGBITS};
    let named = |name: &str| {
        section.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    match section.kind {
        SHT_PROGBITS if section.is_code() => None,
        SHT_PROGBITS if named(".data") => Some(DataKind::Data),
        SHT_PROGBITS if named(".rodata") => Some(DataKind::Rodata),
        SHT_NOBITS if named(".bss") => Some(DataKind::Bss),
        _ => None,
    }
}

fn data_map(
    id: SectionId,
    section: &Section<'_>,
    kind: DataKind,
    btf: Option<&Btf>,
    object_name: &str,
) -> Result<Map, ObjectError> {
    let Ok(size) = u32::try_from(section.size) else {
        return Err(ObjectError::section(section.name, 0, "it is larger than a map's value can be"));
    };
    let contents = match kind {
        DataKind::Bss => Contents::Zero,
        DataKind::Data | DataKind::Rodata => Contents::Bytes(section.data.to_vec()),
    };
    let mut map = internal_map(section.name, MapKind::Data(kind, contents), size, btf, object_name);
    map.section = Some(id);
    if kind == DataKind::Rodata {
        map.flags |= map_flags::RDONLY_PROG;
    }
    Ok(map)
}

fn kconfig_map(externs: &[Extern], btf: Option<&Btf>, object_name: &str) -> Option<Map> {
    let ends = externs.iter().filter_map(|external| match external.kind {
        ExternKind::Kconfig(slot) => Some(slot.offset + slot.size),
        _ => None,
    });
    let size = ends.max()?;
    let mut map = internal_map(".kconfig", MapKind::Kconfig(Contents::Zero), size, btf, object_name);
    map.flags |= map_flags::RDONLY_PROG;
    Some(map)
}

fn internal_map(name: &str, kind: MapKind, size: u32, btf: Option<&Btf>, object_name: &str) -> Map {
    let mut map = Map::named(name, kind);
    map.kernel_name = kernel_name(name, object_name);
    map.map_type = MapType::ARRAY;
    map.key_size = 4;
    map.value_size = size;
    map.max_entries = 1;
    if let Some((btf, id)) = btf.and_then(|btf| Some((btf, btf.find_name(name).next()?))) {
        map.value_type = id;
        if is_exposed(btf, id) {
            map.flags |= map_flags::MMAPABLE;
        }
    }
    map
}

/// Whether a section has a variable that is not static: then user space may map it.
fn is_exposed(btf: &Btf, id: TypeId) -> bool {
    let Some(Type::Datasec(section)) = btf.get(id) else {
        return false;
    };
    section
        .vars()
        .any(|var| matches!(btf.get(var.type_id), Some(Type::Var(var)) if var.linkage != Linkage::Static))
}

/// The kernel's name for a data section's map: as much of the object's name as fits before the section's, of which at
/// least 7 characters are reserved; sections with a second dot stand alone (`internal_map_name` in libbpf.c).
fn kernel_name(section: &str, object_name: &str) -> String {
    const LIMIT: usize = 15;
    let suffix_len = section.len().clamp(7, LIMIT);
    let prefix_len = if section.chars().skip(1).any(|c| c == '.') { 0 } else { LIMIT - suffix_len };
    let prefix = object_name.chars().take(prefix_len);
    let allowed = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' || c == '.' { c } else { '_' }
    };
    prefix.chain(section.chars().take(suffix_len)).map(allowed).take(LIMIT).collect()
}

/// The object's name from its file's name, as libbpf derives it.
pub(super) fn object_name(file_name: &str) -> String {
    let base = file_name.rsplit('/').next().unwrap_or(file_name);
    let short: String = base.chars().take(15).collect();
    short.split('.').next().unwrap_or_default().into()
}
