//! Changes a blob of BTF: words of records in place, new records and strings at the end.
//!
//! Loaders complete and adapt an object's BTF before the kernel sees it (sizes of sections, linkage, kinds that an old
//! kernel does not know). Ids and string offsets that exist stay valid. Not for split BTF.

use super::scan::word;
use super::{Btf, BtfError, TypeId};

/// A copy of a blob, being changed.
pub struct BtfEditor {
    types: Vec<u8>,
    /// Of each record, in `types`.
    records: Vec<u32>,
    strings: Vec<u8>,
}

impl BtfEditor {
    /// A copy of `btf`, which must stand by itself (its base is left out).
    pub fn new(btf: &Btf) -> BtfEditor {
        let start = btf.records.first().copied().unwrap_or(0);
        let last_end = btf.types_end;
        BtfEditor {
            types: btf.data.get(start as usize..last_end).unwrap_or_default().to_vec(),
            records: btf.records.iter().map(|record| record - start).collect(),
            strings: btf.data.get(btf.strings.clone()).unwrap_or_default().to_vec(),
        }
    }

    /// The 32-bit word number `n` of a record (0 name, 1 info, 2 size or type, then what depends on the kind).
    /// 0 where there is none.
    pub fn word(&self, id: TypeId, n: usize) -> u32 {
        self.at(id, n).map_or(0, |at| word(&self.types, at))
    }

    /// Replaces word `n` of a record. Nothing happens where there is none.
    pub fn set_word(&mut self, id: TypeId, n: usize, value: u32) {
        if let Some(at) = self.at(id, n)
            && let Some(bytes) = self.types.get_mut(at..at + 4)
        {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
    }

    /// Replaces the bytes of the string at `offset` one by one. `change` must not return 0.
    pub fn map_string(&mut self, offset: u32, change: impl Fn(u8) -> u8) {
        for byte in self.strings.iter_mut().skip(offset as usize).take_while(|byte| **byte != 0) {
            *byte = change(*byte);
        }
    }

    /// Adds a string; its offset.
    pub fn add_string(&mut self, text: &str) -> u32 {
        let offset = self.strings.len() as u32;
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        offset
    }

    /// Adds a record of these words; its id.
    pub fn add(&mut self, words: &[u32]) -> TypeId {
        self.records.push(self.types.len() as u32);
        self.types.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        TypeId(self.records.len() as u32)
    }

    /// Reads the result.
    pub fn build(&self) -> Result<Btf, BtfError> {
        let mut blob = vec![0x9f, 0xeb, 1, 0];
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        for word in [24, 0, types, types, strings] {
            blob.extend_from_slice(&word.to_le_bytes());
        }
        blob.extend_from_slice(&self.types);
        blob.extend_from_slice(&self.strings);
        Btf::parse(blob)
    }

    fn at(&self, id: TypeId, n: usize) -> Option<usize> {
        let index = (id.0 as usize).checked_sub(1)?;
        let start = *self.records.get(index)? as usize;
        let end = self.records.get(index + 1).map_or(self.types.len(), |&next| next as usize);
        let at = start.checked_add(n.checked_mul(4)?)?;
        (at + 4 <= end).then_some(at)
    }
}
