//! Lookup of many names in one pass over the types, without an index: for start-up, where a handful is wanted once.
//!
//! A string is looked at only if its type is of a kind that is wanted and its first two bytes begin a wanted name.

use std::collections::HashMap;

use super::scan::{kind_of, word};
use super::{Btf, DeclTag, Kind, Type, TypeId};

/// Which first two bytes begin a wanted name; the second is 0 for names of one byte.
struct Starts {
    bits: Vec<u64>,
}

impl Starts {
    fn of<'n>(names: impl Iterator<Item = &'n [u8]>) -> Starts {
        let mut starts = Starts { bits: vec![0; 1 << 10] };
        for name in names {
            let key = Self::key(name.first(), name.get(1));
            starts.bits[key >> 6] |= 1 << (key & 63);
        }
        starts
    }

    fn key(first: Option<&u8>, second: Option<&u8>) -> usize {
        let byte = |byte: Option<&u8>| usize::from(byte.copied().unwrap_or(0));
        byte(first) | (byte(second) << 8)
    }

    /// Whether the string at the start of `tail` may be wanted.
    fn admits(&self, tail: &[u8]) -> bool {
        let key = Self::key(tail.first(), tail.get(1));
        self.bits[key >> 6] & (1 << (key & 63)) != 0
    }
}

impl Btf {
    /// The first type for each (kind, name).
    pub fn find_batch(&self, wanted: &[(Kind, &str)]) -> Vec<Option<TypeId>> {
        let mut found = vec![None; wanted.len()];
        let mut pending: HashMap<&[u8], Vec<usize>> = HashMap::new();
        let mut kinds = [false; 32];
        for (n, (kind, name)) in wanted.iter().enumerate().filter(|(_, (_, name))| !name.is_empty()) {
            pending.entry(name.as_bytes()).or_default().push(n);
            kinds[kind.number() as usize & 31] = true;
        }
        let starts = Starts::of(pending.keys().copied());
        let mut layers: Vec<&Btf> = core::iter::successors(Some(self), |btf| btf.base.as_deref()).collect();
        layers.reverse();
        for btf in layers {
            for (position, &record) in btf.records.iter().enumerate() {
                let info = word(&btf.data, record as usize + 4);
                if !kinds[(info >> 24 & 0x1f) as usize] {
                    continue;
                }
                let name = word(&btf.data, record as usize);
                if !btf.string_tail(name).is_some_and(|tail| starts.admits(tail)) {
                    continue;
                }
                let Some(name) = btf.string_bytes(name) else {
                    continue;
                };
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
            Type::Enum(e) | Type::Enum64(e) => e.value(value),
            _ => None,
        };
        match enum_name {
            "" => self.ids().filter(|&id| self.kind(id).is_some_and(Kind::is_enum)).find_map(among),
            name => self.find_name(name).find_map(among),
        }
    }

    /// The tags on a declaration. A pass over all types: gather them once where many are needed.
    pub fn decl_tags(&self) -> impl Iterator<Item = (TypeId, DeclTag<'_>)> {
        self.ids().filter_map(|id| match self.get(id)? {
            Type::DeclTag(tag) => Some((id, tag)),
            _ => None,
        })
    }
}
