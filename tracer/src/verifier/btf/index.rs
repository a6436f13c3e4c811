//! Lookup by name through an index over one blob, built when it is first worth it.
//!
//! The index is a hash table of chains (`heads` by bucket, `next` by type), built in reverse so that each chain is in
//! ascending id order: the first match is the one that the kernel and libbpf find. Names are hashed without their
//! `___flavor`, so that CO-RE finds `task_struct___old` under `task_struct`.

use core::sync::atomic::Ordering::Relaxed;

use super::scan::word;
use super::{Btf, Kind, TypeId};

/// Blobs of no more types are not worth a search without the index.
const FEW_TYPES: usize = 2_000;

/// How many searches are made before the index is built.
const MAX_SCANS: u32 = 4;

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
    if !has_triple_underscore(name) {
        return None;
    }
    let between = |w: &[u8]| w[0] != b'_' && w[1..4] == *b"___" && w[4] != b'_';
    name.windows(5).rposition(between).map(|n| n + 1)
}

/// Skips as far as the byte at hand allows: nearly every name has none.
fn has_triple_underscore(name: &[u8]) -> bool {
    let mut at: usize = 2;
    while let Some(&[a, b, c]) = name.get(at.wrapping_sub(2)..=at) {
        at += match (a, b, c) {
            (b'_', b'_', b'_') => return true,
            (_, b'_', b'_') => 1,
            (_, _, b'_') => 2,
            _ => 3,
        };
    }
    false
}

fn essential_bytes(name: &[u8]) -> &[u8] {
    flavor_start(name).map_or(name, |end| &name[..end])
}

/// Of the name's 8-byte words, the last one padded with zeros.
#[derive(Default)]
pub(super) struct Hash(u64);

impl Hash {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    pub(super) fn of(name: &[u8]) -> Hash {
        let mut hash = Hash::default();
        let (words, rest) = name.as_chunks::<8>();
        for word in words {
            hash.mix(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            hash.mix(rest.iter().rev().fold(0, |word, &byte| (word << 8) | u64::from(byte)));
        }
        hash
    }

    /// The length of the NUL-terminated string at the start of `tail`, and its hash, in one pass of 8-byte words.
    pub(super) fn of_string(tail: &[u8]) -> Option<(usize, Hash)> {
        const LOW: u64 = 0x0101_0101_0101_0101;
        let mut hash = Hash::default();
        let (words, _) = tail.as_chunks::<8>();
        for (n, word) in words.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            // The lowest set bit marks the first byte that is 0.
            let zeros = word.wrapping_sub(LOW) & !word & (LOW << 7);
            if zeros == 0 {
                hash.mix(word);
                continue;
            }
            let bits = zeros.trailing_zeros() & !7;
            if bits > 0 {
                hash.mix(word & ((1 << bits) - 1));
            }
            return Some((n * 8 + bits as usize / 8, hash));
        }
        let length = tail.iter().position(|&byte| byte == 0)?;
        Some((length, Hash::of(&tail[..length])))
    }

    pub(super) fn bucket(&self, buckets: usize) -> usize {
        (self.0 >> 32) as usize & buckets.wrapping_sub(1)
    }
}

impl NameIndex {
    fn build(btf: &Btf) -> NameIndex {
        let buckets = btf.records.len().next_power_of_two();
        let mut index = NameIndex { heads: vec![0; buckets], next: vec![0; btf.records.len()] };
        for (position, &record) in btf.records.iter().enumerate().rev() {
            let name = word(&btf.data, record as usize);
            let Some(tail) = (name != 0).then(|| btf.string_tail(name)).flatten() else {
                continue;
            };
            let Some((length, mut hash)) = Hash::of_string(tail) else {
                continue;
            };
            if let Some(end) = flavor_start(&tail[..length]) {
                hash = Hash::of(&tail[..end]);
            }
            let head = &mut index.heads[hash.bucket(buckets)];
            index.next[position] = core::mem::replace(head, position as u32 + 1);
        }
        index
    }

    fn chain(&self, essential: &[u8]) -> impl Iterator<Item = usize> + use<'_> {
        let bucket = Hash::of(essential).bucket(self.heads.len());
        let follow = |link: Link| (link as usize).checked_sub(1);
        let first = self.heads.get(bucket).copied().and_then(follow);
        core::iter::successors(first, move |&position| self.next.get(position).copied().and_then(follow))
    }
}

impl Btf {
    /// The first type of this kind and name, the base's first.
    ///
    /// The first few times a large blob is searched from end to end, which costs a fifth of the index; then the index
    /// is built.
    pub fn find(&self, kind: Kind, name: &str) -> Option<TypeId> {
        if self.index.get().is_none()
            && self.records.len() > FEW_TYPES
            && self.scans.fetch_add(1, Relaxed) < MAX_SCANS
        {
            return self.find_batch(&[(kind, name)]).pop().flatten();
        }
        self.find_all(kind, name).next()
    }

    /// Every type of this kind and name, in order of id.
    pub fn find_all<'a>(&'a self, kind: Kind, name: &'a str) -> impl Iterator<Item = TypeId> + 'a {
        self.find_name(name).filter(move |&id| self.kind(id) == Some(kind))
    }

    /// Every type of this name, whatever its kind.
    pub fn find_name<'a>(&'a self, name: &'a str) -> impl Iterator<Item = TypeId> + 'a {
        self.find_essential(essential_name(name)).filter(move |&id| self.name(id) == name)
    }

    /// Every type whose name without `___flavor` is `essential`, in order of id.
    pub fn find_essential<'a>(&'a self, essential: &'a str) -> impl Iterator<Item = TypeId> + 'a {
        let mut layers: Vec<&Btf> = core::iter::successors(Some(self), |btf| btf.base.as_deref()).collect();
        layers.reverse();
        layers.into_iter().flat_map(move |btf| {
            let index = btf.index.get_or_init(|| NameIndex::build(btf));
            index.chain(essential.as_bytes()).filter_map(move |position| {
                let name = btf.string_bytes(word(&btf.data, btf.records[position] as usize))?;
                (essential_bytes(name) == essential.as_bytes())
                    .then_some(TypeId(btf.first_id + position as u32))
            })
        })
    }
}
