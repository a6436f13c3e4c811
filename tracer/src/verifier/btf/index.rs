//! Lookup by name: an index over one blob that is built on first use, and a batch lookup that needs none.
//!
//! The index is a hash table of chains (`heads` by bucket, `next` by type), built in reverse so that each chain is in
//! ascending id order: the first match is the one that the kernel and libbpf find. Names are hashed without their
//! `___flavor`, so that CO-RE finds `task_struct___old` under `task_struct`.

use std::collections::HashMap;

use super::scan::{kind_of, word};
use super::{Btf, Kind, TypeId};

/// Position of a record in `Btf::records`, plus one; 0 ends a chain.
type Link = u32;

pub(super) struct NameIndex {
    heads: Vec<Link>,
    next: Vec<Link>,
}

/// A type's name without libbpf's `___flavor` suffix.
pub fn essential_name(name: &str) -> &str {
    match flavor_start(name.as_bytes()) {
        Some(end) => name.get(..end).unwrap_or(name),
        None => name,
    }
}

/// Where the last `___flavor` starts: three underscores between two characters that are none.
fn flavor_start(name: &[u8]) -> Option<usize> {
    name.windows(5)
        .rposition(|w| w[0] != b'_' && w[1] == b'_' && w[2] == b'_' && w[3] == b'_' && w[4] != b'_')
        .map(|n| n + 1)
}

fn essential_bytes(name: &[u8]) -> &[u8] {
    flavor_start(name).map_or(name, |end| &name[..end])
}

fn hash(name: &[u8]) -> u32 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for chunk in name.chunks(8) {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        hash =
            (hash.rotate_left(5) ^ u64::from_le_bytes(bytes)).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    (hash >> 32) as u32
}

impl NameIndex {
    fn build(btf: &Btf) -> NameIndex {
        let buckets = btf.records.len().next_power_of_two();
        let mut index = NameIndex {
            heads: vec![0; buckets],
            next: vec![0; btf.records.len()],
        };
        for (position, &record) in btf.records.iter().enumerate().rev() {
            let name = word(&btf.data, record as usize);
            let Some(name) = (name != 0).then(|| btf.string_bytes(name)).flatten() else {
                continue;
            };
            let head = &mut index.heads[hash(essential_bytes(name)) as usize & (buckets - 1)];
            index.next[position] = core::mem::replace(head, position as u32 + 1);
        }
        index
    }

    fn chain(&self, essential: &[u8]) -> impl Iterator<Item = usize> + use<'_> {
        let bucket = hash(essential) as usize & self.heads.len().wrapping_sub(1);
        let follow = |link: Link| (link as usize).checked_sub(1);
        let first = self.heads.get(bucket).copied().and_then(follow);
        core::iter::successors(first, move |&position| {
            self.next.get(position).copied().and_then(follow)
        })
    }
}

impl Btf {
    /// The first type of this kind and name, the base's first. Builds the index on first use.
    pub fn find(&self, kind: Kind, name: &str) -> Option<TypeId> {
        self.find_all(kind, name).next()
    }

    /// Every type of this kind and name, in order of id.
    pub fn find_all<'a>(&'a self, kind: Kind, name: &'a str) -> impl Iterator<Item = TypeId> + 'a {
        self.find_name(name)
            .filter(move |&id| self.kind(id) == Some(kind))
    }

    /// Every type of this name, whatever its kind.
    pub fn find_name<'a>(&'a self, name: &'a str) -> impl Iterator<Item = TypeId> + 'a {
        self.find_essential(essential_name(name))
            .filter(move |&id| self.name(id) == name)
    }

    /// Every type whose name without `___flavor` is `essential`, in order of id.
    pub fn find_essential<'a>(&'a self, essential: &'a str) -> impl Iterator<Item = TypeId> + 'a {
        let mut layers: Vec<&Btf> =
            core::iter::successors(Some(self), |btf| btf.base.as_deref()).collect();
        layers.reverse();
        layers.into_iter().flat_map(move |btf| {
            let index = btf.index.get_or_init(|| NameIndex::build(btf));
            index
                .chain(essential.as_bytes())
                .filter_map(move |position| {
                    let name = btf.string_bytes(word(&btf.data, btf.records[position] as usize))?;
                    (essential_bytes(name) == essential.as_bytes())
                        .then_some(TypeId(btf.first_id + position as u32))
                })
        })
    }

    /// The first type for each (kind, name), all found in one pass over the types and without the index: for start-up,
    /// where a handful of names is wanted once.
    pub fn find_batch(&self, wanted: &[(Kind, &str)]) -> Vec<Option<TypeId>> {
        let mut found = vec![None; wanted.len()];
        let mut pending: HashMap<&[u8], Vec<usize>> = HashMap::new();
        let mut kinds = [false; 32];
        let mut lengths = [false; 256];
        for (n, (kind, name)) in wanted.iter().enumerate() {
            pending.entry(name.as_bytes()).or_default().push(n);
            kinds[kind.number() as usize & 31] = true;
            lengths[name.len().min(255)] = true;
        }
        let mut layers: Vec<&Btf> =
            core::iter::successors(Some(self), |btf| btf.base.as_deref()).collect();
        layers.reverse();
        for btf in layers {
            for (position, &record) in btf.records.iter().enumerate() {
                let info = word(&btf.data, record as usize + 4);
                if !kinds[(info >> 24 & 0x1f) as usize] {
                    continue;
                }
                let Some(name) = btf.string_bytes(word(&btf.data, record as usize)) else {
                    continue;
                };
                if !lengths[name.len().min(255)] {
                    continue;
                }
                for &n in pending.get(name).into_iter().flatten() {
                    if found[n].is_none() && wanted[n].0 == kind_of(info) {
                        found[n] = Some(TypeId(btf.first_id + position as u32));
                    }
                }
            }
        }
        found
    }

    /// The value of an enumerator, searched in the enum of this name, or in all enums if `enum_name` is empty.
    pub fn enum_value(&self, enum_name: &str, value: &str) -> Option<i64> {
        let among = |id| match self.get(id)? {
            super::Type::Enum(e) | super::Type::Enum64(e) => e.value(value),
            _ => None,
        };
        match enum_name {
            "" => self
                .ids()
                .filter(|&id| self.kind(id).is_some_and(Kind::is_enum))
                .find_map(among),
            name => self.find_name(name).find_map(among),
        }
    }

    /// The tags on a declaration. A pass over all types: gather them once where many are needed.
    pub fn decl_tags(&self) -> impl Iterator<Item = (TypeId, super::DeclTag<'_>)> {
        self.ids().filter_map(|id| match self.get(id)? {
            super::Type::DeclTag(tag) => Some((id, tag)),
            _ => None,
        })
    }
}
