//! Arguments that outlive their event.

use super::{Args, Gap, Item};

/// What an [`Args`] says, on its own memory.
#[derive(Clone, Debug, Default)]
pub struct KeptArgs {
    bytes: Box<[u8]>,
    items: Box<[Item]>,
    gaps: Box<[Gap]>,
    total: Option<u32>,
}

impl Args<'_> {
    /// A copy of what is shown; of what limits leave out nothing is kept.
    pub fn keep(&self) -> KeptArgs {
        let len = self.items.iter().map(|item| item.len).sum();
        let mut bytes = Vec::with_capacity(len);
        let mut moved = |item: &Item| {
            let start = bytes.len();
            bytes.extend_from_slice(&self.bytes[item.start..item.start + item.len]);
            Item { start, ..*item }
        };
        let items = self.items.iter().map(&mut moved).collect();
        KeptArgs { bytes: bytes.into(), items, gaps: self.gaps.into(), total: self.total }
    }
}

impl KeptArgs {
    /// The arguments again.
    pub fn args(&self) -> Args<'_> {
        Args { bytes: &self.bytes, items: &self.items, gaps: &self.gaps, total: self.total }
    }

    /// Bytes of memory beside the value's own.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.items) + size_of_val(&*self.gaps)
    }
}
