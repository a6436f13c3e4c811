//! What a map's value holds that only its own functions may touch: locks, timers, pointers to kernel objects.
//!
//! Read off the value's BTF as `btf_parse_fields()` does (kernel/bpf/btf.c). Which fields a kernel knows grew over
//! versions; one it does not know is plain memory to it.

use super::btf::{Btf, Kind, Type, TypeId};
use super::profile::Release;
use super::program::Program;

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

/// One special field.
#[derive(Clone, Debug)]
pub(super) struct SpecialField {
    pub(super) kind: FieldKind,
    pub(super) offset: u32,
    pub(super) size: u32,
}

/// The special fields of one type.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) fields: Vec<SpecialField>,
    pub(super) spin_lock: Option<u32>,
    pub(super) timer: Option<u32>,
}

impl Record {
    pub(super) fn has(&self, kind: FieldKind) -> bool {
        self.fields.iter().any(|f| f.kind == kind)
    }
}

const STRUCTS: &[(&str, FieldKind, Release)] = &[
    ("bpf_spin_lock", FieldKind::SpinLock, Release::new(5, 1)),
    ("bpf_res_spin_lock", FieldKind::ResSpinLock, Release::new(6, 15)),
    ("bpf_timer", FieldKind::Timer, Release::new(5, 15)),
    ("bpf_wq", FieldKind::Workqueue, Release::new(6, 10)),
    ("bpf_task_work", FieldKind::TaskWork, Release::new(6, 18)),
    ("bpf_list_head", FieldKind::ListHead, Release::new(6, 2)),
    ("bpf_list_node", FieldKind::ListNode, Release::new(6, 2)),
    ("bpf_rb_root", FieldKind::RbRoot, Release::new(6, 3)),
    ("bpf_rb_node", FieldKind::RbNode, Release::new(6, 3)),
    ("bpf_refcount", FieldKind::Refcount, Release::new(6, 4)),
];

/// The special fields of a map's value.
pub(super) fn of_map(prog: &Program, value: Option<TypeId>, release: Release) -> Record {
    match (&prog.btf, value) {
        (Some(btf), Some(id)) => of_type(btf, id, release),
        _ => Record::default(),
    }
}

/// The special fields of a type.
pub(super) fn of_type(btf: &Btf, id: TypeId, release: Release) -> Record {
    let mut record = Record::default();
    collect(btf, id, 0, release, 0, &mut record);
    record.fields.sort_by_key(|f| f.offset);
    record.spin_lock = record.fields.iter().find(|f| f.kind == FieldKind::SpinLock).map(|f| f.offset);
    record.timer = record.fields.iter().find(|f| f.kind == FieldKind::Timer).map(|f| f.offset);
    record
}

fn collect(btf: &Btf, id: TypeId, at: u32, release: Release, depth: u32, out: &mut Record) {
    if depth > 3 || out.fields.len() > 64 {
        return;
    }
    match btf.resolved(id) {
        Some(Type::Struct(s)) => {
            for m in s.members() {
                collect_one(btf, m.type_id, at + m.bit_offset / 8, release, depth, out);
            }
        }
        Some(Type::Datasec(d)) => {
            for v in d.vars() {
                if let Some(Type::Var(var)) = btf.get(v.type_id) {
                    collect_one(btf, var.type_id, at + v.offset, release, depth, out);
                }
            }
        }
        _ => {}
    }
}

fn collect_one(btf: &Btf, id: TypeId, at: u32, release: Release, depth: u32, out: &mut Record) {
    match btf.resolved(id) {
        Some(Type::Struct(s)) => {
            let known = STRUCTS.iter().find(|(name, _, since)| *name == s.name && release >= *since);
            if let Some((_, kind, _)) = known {
                out.fields.push(SpecialField { kind: *kind, offset: at, size: s.size });
            } else if release >= Release::new(6, 11) {
                collect(btf, id, at, release, depth + 1, out);
            }
        }
        Some(Type::Array(a)) if release >= Release::new(6, 11) => {
            if let Some(size) = btf.size_of(a.element) {
                for i in 0..a.count.min(64) {
                    collect_one(btf, a.element, at + i * size, release, depth, out);
                }
            }
        }
        Some(Type::Ptr(target)) if release >= Release::new(5, 19) => {
            let Some(Type::TypeTag(tag)) = btf.get(target) else { return };
            let kind = match tag.name {
                "kptr" if release < Release::new(6, 4) => FieldKind::KptrUnref,
                "kptr" | "kptr_ref" => FieldKind::KptrRef,
                "kptr_untrusted" => FieldKind::KptrUnref,
                "percpu_kptr" if release >= Release::new(6, 7) => FieldKind::KptrPercpu,
                "uptr" if release >= Release::new(6, 13) => FieldKind::Uptr,
                _ => return,
            };
            let is_struct = |t| matches!(btf.kind(t), Some(Kind::Struct | Kind::Union | Kind::Fwd));
            if !btf.resolve(tag.target).is_some_and(is_struct) {
                return;
            }
            out.fields.push(SpecialField { kind, offset: at, size: 8 });
        }
        _ => {}
    }
}
