//! Lookup of many names in one pass over the types, without an index: for start-up, where a handful is wanted once.
//!
//! A string is looked at only if its type is of a kind that is wanted and its first two bytes begin a wanted name.

use super::index::Hash;
use super::scan::word;
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

/// The wanted names, in chains by hash.
struct Names<'n> {
    names: Vec<&'n [u8]>,
    /// Number of a name plus one; 0 ends a chain.
    heads: Vec<u32>,
    next: Vec<u32>,
}

impl<'n> Names<'n> {
    fn of(names: Vec<&'n [u8]>) -> Self {
        let mut heads = vec![0; names.len().next_power_of_two()];
        let mut next = vec![0; names.len()];
        for (n, name) in names.iter().enumerate().rev() {
            let bucket = Hash::of(name).bucket(heads.len());
            next[n] = core::mem::replace(&mut heads[bucket], n as u32 + 1);
        }
        Self { names, heads, next }
    }

    /// The numbers of the names that are the string at the start of `tail`.
    fn at(&self, tail: &[u8]) -> impl Iterator<Item = usize> {
        let string = Hash::of_string(tail).map(|(length, hash)| (&tail[..length], hash));
        let head = string.as_ref().map_or(0, |(_, hash)| self.heads[hash.bucket(self.heads.len())]);
        let follow = |link: u32| (link as usize).checked_sub(1);
        let chain = core::iter::successors(follow(head), move |&n| follow(self.next[n]));
        chain.filter(move |&n| string.as_ref().is_some_and(|(string, _)| self.names[n] == *string))
    }
}

impl Btf {
    /// The first type for each (kind, name).
    pub fn find_batch(&self, wanted: &[(Kind, &str)]) -> Vec<Option<TypeId>> {
        let mut found = vec![None; wanted.len()];
        let mut kinds = [false; 32];
        for (kind, _) in wanted {
            kinds[kind.number() as usize & 31] = true;
        }
        let names = Names::of(wanted.iter().map(|(_, name)| name.as_bytes()).collect());
        let starts = Starts::of(names.names.iter().copied().filter(|name| !name.is_empty()));
        let mut layers: Vec<&Btf> = core::iter::successors(Some(self), |btf| btf.base.as_deref()).collect();
        layers.reverse();
        for btf in layers {
            for (position, (&kind, &record)) in btf.kinds.iter().zip(&btf.records).enumerate() {
                if !kinds[usize::from(kind & 31)] {
                    continue;
                }
                let name = word(&btf.data, record as usize);
                let Some(tail) = btf.string_tail(name).filter(|tail| starts.admits(tail)) else {
                    continue;
                };
                for n in names.at(tail) {
                    if found[n].is_none() && wanted[n].0 == Kind::from_number(kind.into()) {
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
