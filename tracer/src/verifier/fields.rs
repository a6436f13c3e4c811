//! Finds the special fields of a type: by the names of structs, the tags of pointers, and the declaration tags that say
//! what a list or tree holds.
//!
//! `btf_find_field()`, `btf_find_kptr()`, `btf_find_graph_root()`, `btf_parse_fields()` (kernel/bpf/btf.c). A member
//! counts by its type itself: behind a typedef or a qualifier a lock is plain memory. It must not know maps or programs.

use super::btf::{Btf, DeclTagTarget, Kind, Type, TypeId};
use super::feature::Feature;
use super::profile::{Profile, Release};
use super::record::{FieldKind, Record, SpecialField, Target};
use super::reg::BtfOf;

/// A type whose special fields the kernel refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bad;

/// How many special fields one type may have (BTF_FIELDS_MAX).
const MAX_FIELDS: usize = 11;
/// How deep structs in structs are looked into (MAX_RESOLVE_DEPTH).
const MAX_DEPTH: u32 = 32;

/// A struct that is a special field.
struct Known {
    name: &'static str,
    kind: FieldKind,
    size: u32,
    align: u32,
    since: Release,
    /// At most one in a struct.
    once: bool,
    in_values: bool,
    in_objects: bool,
}

const fn known(
    name: &'static str,
    kind: FieldKind,
    (size, align): (u32, u32),
    since: (u16, u16),
    once: bool,
    (in_values, in_objects): (bool, bool),
) -> Known {
    Known { name, kind, size, align, since: Release::new(since.0, since.1), once, in_values, in_objects }
}

const STRUCTS: &[Known] = &[
    known("bpf_spin_lock", FieldKind::SpinLock, (4, 4), (5, 1), true, (true, true)),
    known("bpf_res_spin_lock", FieldKind::ResSpinLock, (4, 4), (6, 15), true, (true, true)),
    known("bpf_timer", FieldKind::Timer, (16, 8), (5, 15), true, (true, false)),
    known("bpf_wq", FieldKind::Workqueue, (16, 8), (6, 10), true, (true, false)),
    known("bpf_task_work", FieldKind::TaskWork, (8, 8), (6, 18), true, (true, false)),
    known("bpf_list_head", FieldKind::ListHead, (16, 8), (6, 2), false, (true, true)),
    known("bpf_list_node", FieldKind::ListNode, (24, 8), (6, 2), false, (false, true)),
    known("bpf_rb_root", FieldKind::RbRoot, (16, 8), (6, 3), false, (true, true)),
    known("bpf_rb_node", FieldKind::RbNode, (32, 8), (6, 3), false, (false, true)),
    known("bpf_refcount", FieldKind::Refcount, (4, 4), (6, 4), false, (true, true)),
];

/// Kernel objects that may be kept in maps with a reference, because the kernel knows how to give them back
/// (`register_btf_id_dtor_kfuncs()`), with the kernel from which on.
const DESTRUCTIBLE: &[(&str, Release)] = &[
    ("prog_test_ref_kfunc", Release::new(5, 19)),
    ("prog_test_member", Release::new(5, 19)),
    ("task_struct", Release::new(6, 2)),
    ("cgroup", Release::new(6, 2)),
    ("bpf_cpumask", Release::new(6, 3)),
    ("bpf_crypto_ctx", Release::new(6, 10)),
];

/// How many members and tags are looked at for one program, where the kernel's own limit is its patience.
const BUDGET: u32 = 1 << 22;

/// Which kinds of fields are looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Values,
    Objects,
    /// One kind of struct.
    Only(FieldKind),
    /// Pointers.
    Pointers,
}

/// Where a member or variable is declared, for its tags.
#[derive(Clone, Copy)]
struct Declared {
    id: TypeId,
    part: DeclTagTarget,
}

/// Reads one program's BTF for one kernel.
pub(super) struct Parser<'a> {
    btf: &'a Btf,
    profile: &'a Profile,
    release: Release,
    wanted: Wanted,
    limit: Option<u32>,
    /// Work left before a type counts as absurd.
    budget: core::cell::Cell<u32>,
}

/// What was found on the way.
#[derive(Default)]
struct Found {
    fields: Vec<SpecialField>,
    /// Kinds seen that may be there once.
    once: Vec<FieldKind>,
}

impl<'a> Parser<'a> {
    fn new(btf: &'a Btf, profile: &'a Profile, wanted: Wanted) -> Self {
        Self {
            btf,
            profile,
            release: profile.release,
            wanted,
            limit: None,
            budget: core::cell::Cell::new(BUDGET),
        }
    }

    /// For the values of maps.
    pub(super) fn values(btf: &'a Btf, profile: &'a Profile) -> Self {
        Self::new(btf, profile, Wanted::Values)
    }

    /// For objects that programs allocate.
    pub(super) fn objects(btf: &'a Btf, profile: &'a Profile) -> Self {
        Self::new(btf, profile, Wanted::Objects)
    }

    /// For the values of maps before 6.2, one class of fields each.
    pub(super) fn early(btf: &'a Btf, profile: &'a Profile) -> [Self; 3] {
        [Wanted::Only(FieldKind::SpinLock), Wanted::Only(FieldKind::Timer), Wanted::Pointers]
            .map(|w| Self::new(btf, profile, w))
    }

    /// Fields must end within so many bytes.
    pub(super) fn within(self, size: u32) -> Self {
        Self { limit: Some(size), ..self }
    }

    fn spend(&self, work: u32) -> Result<(), Bad> {
        let left = self.budget.get().checked_sub(work).ok_or(Bad)?;
        self.budget.set(left);
        Ok(())
    }

    fn early_rules(&self) -> bool {
        !self.profile.has(Feature::LocalObjects)
    }

    /// Structs with a member that is a special field or a tagged pointer (`btf_parse_struct_metas()`).
    pub(super) fn structs_of_interest(&self) -> Vec<TypeId> {
        let btf = self.btf;
        let special = |id: TypeId| match btf.kind(id) {
            Some(Kind::Struct) => {
                let name = btf.name(id);
                // Only the first struct of a name counts.
                STRUCTS.iter().any(|k| k.in_objects && k.name == name && self.release >= k.since)
                    && btf.find(Kind::Struct, name) == Some(id)
            }
            Some(Kind::Ptr | Kind::Volatile) => {
                matches!(self.kptr(id), Ok(Some((kind, _))) if kind != FieldKind::Uptr)
            }
            _ => false,
        };
        btf.ids()
            .filter(|id| match btf.get(*id) {
                Some(Type::Struct(s)) => s.members().any(|m| special(m.type_id)),
                _ => false,
            })
            .collect()
    }

    /// The special fields of a struct or of a section of variables.
    pub(super) fn parse(&self, id: TypeId) -> Result<Record, Bad> {
        let mut found = Found::default();
        match self.btf.get(self.btf.resolve(id).ok_or(Bad)?) {
            Some(Type::Struct(_)) => self.members(self.btf.resolve(id).ok_or(Bad)?, 0, 0, &mut found)?,
            Some(Type::Datasec(d)) => {
                for v in d.vars() {
                    let Some(Type::Var(var)) = self.btf.get(v.type_id) else { continue };
                    let at = Declared { id: v.type_id, part: DeclTagTarget::Whole };
                    self.one(at, var.type_id, v.offset, Some(v.size), 0, &mut found)?;
                }
            }
            _ => return Err(Bad),
        }
        self.check(found.fields)
    }

    fn check(&self, mut fields: Vec<SpecialField>) -> Result<Record, Bad> {
        let mut next = 0;
        for f in &fields {
            let end = f.offset.checked_add(f.size).ok_or(Bad)?;
            if self.limit.is_some_and(|l| end > l) || f.offset < next {
                return Err(Bad);
            }
            next = end;
        }
        if fields.iter().filter(|f| f.kind == FieldKind::Refcount).count() > 1
            && self.release < Release::new(7, 0)
        {
            // The last one is what the kernel remembers, with a warning.
            return Err(Bad);
        }
        fields.sort_by_key(|f| f.offset);
        let record = Record { fields };
        let locked = record.has(FieldKind::SpinLock) || record.has(FieldKind::ResSpinLock);
        let rooted = record.fields.iter().any(|f| f.kind.is_root());
        let both_nodes = record.has(FieldKind::ListNode) && record.has(FieldKind::RbNode);
        let both_locks = record.has(FieldKind::SpinLock) && record.has(FieldKind::ResSpinLock);
        if (rooted && !locked) || (both_nodes && !record.has(FieldKind::Refcount)) || both_locks {
            return Err(Bad);
        }
        Ok(record)
    }

    fn members(&self, id: TypeId, base: u32, depth: u32, out: &mut Found) -> Result<(), Bad> {
        let Some(Type::Struct(s)) = self.btf.get(id) else { return Ok(()) };
        let outer = std::mem::take(&mut out.once);
        if self.release >= Release::new(7, 0) {
            out.once.clone_from(&outer);
        }
        for (i, m) in s.members().enumerate() {
            if m.bit_offset % 8 != 0 {
                return Err(Bad);
            }
            let at = m.bit_offset / 8;
            if self.early_rules() && self.wanted == Wanted::Pointers && at % 8 != 0 {
                return Err(Bad);
            }
            let tags = Declared { id, part: DeclTagTarget::Component(i as u32) };
            self.one(tags, m.type_id, base.checked_add(at).ok_or(Bad)?, None, depth, out)?;
        }
        if self.release < Release::new(7, 0) {
            out.once = outer;
        }
        Ok(())
    }

    /// One member or variable (`btf_find_field_one()`).
    fn one(
        &self,
        declared: Declared,
        mut id: TypeId,
        at: u32,
        room: Option<u32>,
        depth: u32,
        out: &mut Found,
    ) -> Result<(), Bad> {
        self.spend(1)?;
        let nests = self.profile.has(Feature::NestedFields);
        let mut count = 1u32;
        for level in 0..=MAX_DEPTH {
            let Some(Type::Array(a)) = self.btf.get(id).filter(|_| nests) else { break };
            if level == MAX_DEPTH {
                return Err(Bad);
            }
            count = count.checked_mul(a.count).ok_or(Bad)?;
            id = a.element;
        }
        let first = out.fields.len();
        let fits = |size: u32| room.is_none_or(|r| u64::from(r) == u64::from(size) * u64::from(count));
        if count == 0 {
            return Ok(());
        }
        let size = match self.btf.get(id) {
            Some(Type::Struct(s)) => match self.named(s.name) {
                Some(k) => {
                    if k.once && out.once.contains(&k.kind) {
                        return Err(Bad);
                    }
                    if k.once {
                        out.once.push(k.kind);
                    }
                    if !fits(k.size) || !at.is_multiple_of(k.align) {
                        return if self.early_rules() && fits(k.size) { Err(Bad) } else { Ok(()) };
                    }
                    if s.size != k.size {
                        return Ok(());
                    }
                    let target = if k.kind.is_root() { self.root(declared, k.kind)? } else { Target::None };
                    out.fields.push(SpecialField { kind: k.kind, offset: at, size: k.size, target });
                    k.size
                }
                None if nests && fits(s.size) => {
                    if depth + 1 >= MAX_DEPTH {
                        return Err(Bad);
                    }
                    self.members(id, at, depth + 1, out)?;
                    s.size
                }
                None => return Ok(()),
            },
            _ if matches!(self.wanted, Wanted::Only(_)) || !fits(8) => return Ok(()),
            _ if !at.is_multiple_of(8) => {
                return if self.early_rules() && room.is_some() { Err(Bad) } else { Ok(()) };
            }
            _ => {
                let Some((kind, pointee)) = self.kptr(id)? else { return Ok(()) };
                let target = self.object(kind, pointee)?;
                out.fields.push(SpecialField { kind, offset: at, size: 8, target });
                8
            }
        };
        self.repeat(out, first, count, size)
    }

    /// The fields of an array's element are there once for each element (`btf_repeat_fields()`).
    fn repeat(&self, out: &mut Found, first: usize, count: u32, size: u32) -> Result<(), Bad> {
        let one: Vec<SpecialField> = out.fields[first..].to_vec();
        if one.is_empty() {
            return Ok(());
        }
        if count > 1 && !one.iter().all(|f| f.kind.is_kptr() || f.kind.is_root()) {
            return Err(Bad);
        }
        if first + one.len() * count as usize > MAX_FIELDS {
            return Err(Bad);
        }
        for n in 1..count {
            let by = n.checked_mul(size).ok_or(Bad)?;
            for f in &one {
                out.fields.push(SpecialField { offset: f.offset.checked_add(by).ok_or(Bad)?, ..*f });
            }
        }
        Ok(())
    }

    fn named(&self, name: &str) -> Option<&'static Known> {
        STRUCTS.iter().find(|k| {
            let wanted = match self.wanted {
                Wanted::Values => k.in_values,
                Wanted::Objects => k.in_objects,
                Wanted::Only(kind) => k.kind == kind,
                Wanted::Pointers => false,
            };
            wanted && k.name == name && self.release >= k.since
        })
    }

    /// The kind of a tagged pointer and the struct it points to (`btf_find_kptr()`).
    fn kptr(&self, id: TypeId) -> Result<Option<(FieldKind, TypeId)>, Bad> {
        let btf = self.btf;
        let volatile = !self.early_rules() && btf.kind(id) == Some(Kind::Volatile);
        let id = if volatile { btf.referent(id).ok_or(Bad)? } else { id };
        let Some(Type::Ptr(target)) = btf.get(id) else { return Ok(None) };
        let kind = if self.release >= Release::new(7, 2) {
            match self.tags_between(target)? {
                Some(kind) => kind,
                None => return Ok(None),
            }
        } else {
            let Some(Type::TypeTag(tag)) = btf.get(target) else { return Ok(None) };
            if btf.kind(tag.target) == Some(Kind::TypeTag) {
                return Err(Bad);
            }
            self.tag(tag.name).ok_or(Bad)?
        };
        if kind == FieldKind::Uptr && self.wanted == Wanted::Objects {
            return Ok(None);
        }
        let pointee = btf.resolve(target).ok_or(Bad)?;
        if btf.kind(pointee) != Some(Kind::Struct) {
            return Err(Bad);
        }
        Ok(Some((kind, pointee)))
    }

    /// The one tag that matters among a pointee's modifiers (`btf_type_tag_walk()` of 7.2).
    fn tags_between(&self, mut id: TypeId) -> Result<Option<FieldKind>, Bad> {
        let mut found = None;
        for _ in 0..MAX_DEPTH {
            match self.btf.get(id) {
                Some(Type::TypeTag(tag)) => {
                    if let Some(kind) = self.tag(tag.name) {
                        if found.is_some_and(|f| f != kind) {
                            return Err(Bad);
                        }
                        found = Some(kind);
                    }
                    id = tag.target;
                }
                Some(_) if self.btf.kind(id).is_some_and(Kind::is_modifier) => {
                    id = self.btf.referent(id).ok_or(Bad)?;
                }
                _ => break,
            }
        }
        Ok(found)
    }

    fn tag(&self, name: &str) -> Option<FieldKind> {
        let r = self.release;
        if r < Release::new(5, 19) {
            return None;
        }
        let renamed = r >= Release::new(6, 4);
        match name {
            "kptr" => Some(if renamed { FieldKind::KptrRef } else { FieldKind::KptrUnref }),
            "kptr_ref" if !renamed => Some(FieldKind::KptrRef),
            "kptr_untrusted" if renamed => Some(FieldKind::KptrUnref),
            "percpu_kptr" if self.profile.has(Feature::PercpuKptrs) => Some(FieldKind::KptrPercpu),
            "uptr" if r >= Release::new(6, 13) => Some(FieldKind::Uptr),
            _ => None,
        }
    }

    /// The kernel's struct of that name, or else the program's own (`btf_parse_kptr()`).
    fn object(&self, kind: FieldKind, pointee: TypeId) -> Result<Target, Bad> {
        let name = self.btf.name(pointee);
        let Some(id) = self.profile.btf.as_deref().and_then(|k| k.find(Kind::Struct, name)) else {
            if !self.profile.has(Feature::LocalKptrs) {
                return Err(Bad);
            }
            return Ok(Target::Object { of: BtfOf::Program, id: pointee });
        };
        let given_back = DESTRUCTIBLE.iter().any(|(n, since)| *n == name && self.release >= *since);
        if kind == FieldKind::KptrRef && !given_back {
            return Err(Bad);
        }
        Ok(Target::Object { of: BtfOf::Kernel, id })
    }

    /// What a list or tree holds, by its tag `contains:STRUCT:MEMBER` (`btf_find_graph_root()`,
    /// `btf_parse_graph_root()`).
    fn root(&self, declared: Declared, kind: FieldKind) -> Result<Target, Bad> {
        let btf = self.btf;
        self.spend(btf.type_count())?;
        let mut tags = btf.ids().filter_map(|id| match btf.get(id) {
            Some(Type::DeclTag(t)) if t.type_id == declared.id && t.target == declared.part => {
                t.name.strip_prefix("contains:")
            }
            _ => None,
        });
        let (Some(tag), None) = (tags.next(), tags.next()) else { return Err(Bad) };
        let (value, member) = tag.split_once(':').ok_or(Bad)?;
        let value = btf.find(Kind::Struct, value).ok_or(Bad)?;
        let Some(Type::Struct(s)) = btf.get(value) else { return Err(Bad) };
        let mut members = s.members().filter(|m| m.name == member);
        let (Some(node), None) = (members.next(), members.next()) else { return Err(Bad) };
        let wanted = if kind == FieldKind::ListHead { "bpf_list_node" } else { "bpf_rb_node" };
        let is_node = btf.kind(node.type_id) == Some(Kind::Struct) && btf.name(node.type_id) == wanted;
        if member.is_empty() || !is_node || node.bit_offset % 64 != 0 {
            return Err(Bad);
        }
        Ok(Target::Nodes { value, node_at: node.bit_offset / 8 })
    }
}
