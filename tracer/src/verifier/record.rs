//! What a map's value or an allocated object holds that only its own functions may touch: locks, timers, pointers to
//! kernel objects, lists and trees with their nodes.
//!
//! Read off the type's BTF by [`super::fields`] (`btf_parse_fields()`, kernel/bpf/btf.c). Which fields a kernel knows
//! grew over versions; one it does not know is plain memory to it. Invariant: a record is only ever of a type that the
//! kernel takes: a map whose fields do not go with its type is created without BTF (as loaders do), and a program whose
//! own structs the kernel refuses has no records at all.

use std::collections::BTreeMap;

use super::btf::{Btf, TypeId};
use super::feature::Feature;
use super::fields::{Bad, Parser};
use super::profile::{Profile, Release};
use super::program::{Map, MapType, Program, map_flags};
use super::reg::BtfOf;

/// The kinds of special fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
/// The names are those of `enum btf_field_type`.
pub(super) enum FieldKind {
    SpinLock,
    ResSpinLock,
    Timer,
    Workqueue,
    TaskWork,
    KptrUnref,
    KptrRef,
    KptrPercpu,
    Uptr,
    ListHead,
    ListNode,
    RbRoot,
    RbNode,
    Refcount,
}

impl FieldKind {
    pub(super) const fn is_kptr(self) -> bool {
        matches!(self, Self::KptrUnref | Self::KptrRef | Self::KptrPercpu | Self::Uptr)
    }

    pub(super) const fn is_root(self) -> bool {
        matches!(self, Self::ListHead | Self::RbRoot)
    }

    pub(super) const fn is_node(self) -> bool {
        matches!(self, Self::ListNode | Self::RbNode)
    }

    /// It can be freed in an NMI (`btf_field_is_nmi_safe()` of 7.2).
    pub(super) const fn is_nmi_safe(self) -> bool {
        matches!(
            self,
            Self::SpinLock
                | Self::ResSpinLock
                | Self::Timer
                | Self::Workqueue
                | Self::TaskWork
                | Self::KptrUnref
                | Self::Refcount
        )
    }

    /// As the kernel's messages call it (`btf_field_type_name()`).
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::SpinLock => "bpf_spin_lock",
            Self::ResSpinLock => "bpf_res_spin_lock",
            Self::Timer => "bpf_timer",
            Self::Workqueue => "bpf_wq",
            Self::TaskWork => "bpf_task_work",
            Self::KptrUnref | Self::KptrRef => "kptr",
            Self::KptrPercpu => "percpu_kptr",
            Self::Uptr => "uptr",
            Self::ListHead => "bpf_list_head",
            Self::ListNode => "bpf_list_node",
            Self::RbRoot => "bpf_rb_root",
            Self::RbNode => "bpf_rb_node",
            Self::Refcount => "bpf_refcount",
        }
    }
}

/// What a field refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// Nothing.
    None,
    /// A pointer to a kernel object, or to one that the program allocates.
    Object { of: BtfOf, id: TypeId },
    /// A list or tree of objects of this type of the program, linked by the node at this offset.
    Nodes { value: TypeId, node_at: u32 },
}

/// One special field.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpecialField {
    pub(super) kind: FieldKind,
    pub(super) offset: u32,
    pub(super) size: u32,
    pub(super) target: Target,
}

/// The special fields of one type, in order of offset.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) fields: Vec<SpecialField>,
}

impl Record {
    pub(super) fn has(&self, kind: FieldKind) -> bool {
        self.fields.iter().any(|f| f.kind == kind)
    }

    /// Where the (only) field of this kind is.
    pub(super) fn offset_of(&self, kind: FieldKind) -> Option<u32> {
        self.fields.iter().find(|f| f.kind == kind).map(|f| f.offset)
    }

    /// The field of such a kind at this offset.
    pub(super) fn find(&self, at: i64, kind: impl Fn(FieldKind) -> bool) -> Option<SpecialField> {
        self.fields.iter().find(|f| i64::from(f.offset) == at && kind(f.kind)).copied()
    }

    pub(super) fn has_kptr(&self) -> bool {
        self.fields.iter().any(|f| f.kind.is_kptr() && f.kind != FieldKind::Uptr)
    }

    pub(super) fn has_node(&self) -> bool {
        self.fields.iter().any(|f| f.kind.is_node())
    }

    fn has_root(&self) -> bool {
        self.fields.iter().any(|f| f.kind.is_root())
    }
}

/// The records of the program's own structs that objects may be allocated of (`struct btf_struct_metas`).
pub(super) type Locals = BTreeMap<TypeId, Record>;

/// The records of all structs of the program's BTF; bad if the kernel refuses BTF with such structs.
pub(super) fn of_locals(prog: &Program, profile: &Profile) -> Result<Locals, Bad> {
    let Some(btf) = prog.btf.as_deref().filter(|_| profile.has(Feature::LocalObjects)) else {
        return Ok(Locals::new());
    };
    let parser = Parser::objects(btf, profile);
    let mut locals = Locals::new();
    for id in parser.structs_of_interest() {
        let record = parser.parse(id)?;
        if record.fields.is_empty() {
            return Err(Bad);
        }
        locals.insert(id, record);
    }
    let deep = profile.has(Feature::OwnershipDepth);
    for (id, record) in &locals {
        check_owned(record, &locals, deep)?;
        if deep {
            depth(*id, &locals, MAX_OWNERSHIP)?;
        }
    }
    Ok(locals)
}

/// What lists and trees hold must be known, and must not hold lists or trees itself (`btf_check_and_fixup_fields()`).
fn check_owned(record: &Record, locals: &Locals, deep: bool) -> Result<(), Bad> {
    for field in &record.fields {
        let Target::Nodes { value, .. } = field.target else { continue };
        let owned = locals.get(&value).ok_or(Bad)?;
        if !deep && record.has_node() && owned.has_root() {
            return Err(Bad);
        }
    }
    Ok(())
}

/// How many objects one may own through another (`BTF_MAX_OWNERSHIP_DEPTH` of 7.2).
const MAX_OWNERSHIP: u32 = 8;

/// Fails if a chain of owners is longer than `left` (`btf_ownership_depth()` of 7.2).
fn depth(id: TypeId, locals: &Locals, left: u32) -> Result<(), Bad> {
    let Some(record) = locals.get(&id) else { return Ok(()) };
    let left = left.checked_sub(1).ok_or(Bad)?;
    for field in &record.fields {
        match field.target {
            Target::Nodes { value, .. } => depth(value, locals, left)?,
            Target::Object { of: BtfOf::Program, id } if field.kind != FieldKind::KptrUnref => {
                depth(id, locals, left)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// A map's record, and whether it has BTF at all.
#[derive(Clone, Debug, Default)]
pub(super) struct MapRecord {
    pub(super) record: Record,
    pub(super) described: bool,
}

/// The special fields of a map's value (`map_check_btf()`, kernel/bpf/syscall.c).
pub(super) fn of_map(prog: &Program, map: &Map, locals: &Locals, profile: &Profile) -> MapRecord {
    let (Some(btf), Some(id)) = (prog.btf.as_deref(), map.btf_value) else { return MapRecord::default() };
    let described = MapRecord { described: true, ..MapRecord::default() };
    // A record that cannot be read counts as none; one that does not go with the map counts as no BTF.
    let Ok(record) = parse_value(btf, id, map, profile) else { return described };
    let deep = profile.has(Feature::OwnershipDepth);
    let fits = record.fields.is_empty()
        || (map.flags & (map_flags::RDONLY_PROG | map_flags::WRONLY_PROG) == 0
            && record.fields.iter().all(|f| holds(map.kind, f.kind, profile.release))
            && check_owned(&record, locals, deep).is_ok());
    if fits { MapRecord { record, described: true } } else { MapRecord::default() }
}

fn parse_value(btf: &Btf, id: TypeId, map: &Map, profile: &Profile) -> Result<Record, Bad> {
    if profile.has(Feature::LocalObjects) {
        return Parser::values(btf, profile).within(map.value_size).parse(id);
    }
    // Each class of fields was read by itself: one that cannot be read does not hide the others.
    let mut record = Record::default();
    for parser in Parser::early(btf, profile) {
        record.fields.extend(parser.within(map.value_size).parse(id).unwrap_or_default().fields);
    }
    record.fields.sort_by_key(|f| f.offset);
    Ok(record)
}

/// Whether maps of this type may hold such a field.
fn holds(map: MapType, field: FieldKind, release: Release) -> bool {
    use FieldKind as F;
    let hash_or_array = matches!(map, MapType::HASH | MapType::ARRAY);
    let lru = map == MapType::LRU_HASH;
    let storage = matches!(map, MapType::SK_STORAGE | MapType::INODE_STORAGE | MapType::TASK_STORAGE)
        || (map == MapType::CGRP_STORAGE && release >= Release::new(6, 2));
    match field {
        F::SpinLock | F::ResSpinLock => hash_or_array || storage || map == MapType::CGROUP_STORAGE,
        F::Timer | F::Workqueue | F::TaskWork | F::ListHead | F::RbRoot => hash_or_array || lru,
        F::KptrUnref | F::KptrRef | F::KptrPercpu | F::Refcount => {
            let later = matches!(map, MapType::PERCPU_HASH | MapType::LRU_PERCPU_HASH) || storage;
            let since = Release::new(6, 3);
            hash_or_array || lru || map == MapType::PERCPU_ARRAY || (later && release >= since)
        }
        F::Uptr => map == MapType::TASK_STORAGE,
        F::ListNode | F::RbNode => false,
    }
}
