//! One pass over the type records: where each starts. The only place that proves records in bounds.
//!
//! After it, `word(data, record + n)` is inside the blob for every `n` below the record's length.

use super::BtfError;
use super::header::Sections;
use super::kind::{Kind, TAILS, Tail};

/// name_off, info, size or type.
pub(super) const COMMON: usize = 12;

/// The little-endian word at `at`; 0 outside of the blob, which `records` rules out for whatever it accepted.
#[inline]
pub(super) fn word(data: &[u8], at: usize) -> u32 {
    match data.get(at..at.wrapping_add(4)) {
        Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
        _ => 0,
    }
}

/// The kind in an info word.
pub(super) fn kind_of(info: u32) -> Kind {
    Kind::from_number(kind_number(info))
}

/// How many members, values or parameters an info word announces.
pub(super) fn vlen_of(info: u32) -> usize {
    (info & 0xffff) as usize
}

/// The flag whose meaning depends on the kind.
pub(super) fn kind_flag(info: u32) -> bool {
    info >> 31 != 0
}

fn kind_number(info: u32) -> u32 {
    info >> 24 & 0x1f
}

/// The records, in order of their ids.
pub(super) struct Records {
    /// The offset in the blob of each.
    pub(super) at: Vec<u32>,
    /// The number of its kind: what a search for names looks at first.
    pub(super) kinds: Vec<u8>,
}

/// Where each record is; the first is `first_id`.
pub(super) fn records(data: &[u8], sections: &Sections, first_id: u32) -> Result<Records, BtfError> {
    let end = sections.types.end;
    let types = &data[..end];
    let tails = tails(&data[sections.layout.clone()]);
    let mut at = sections.types.start;
    // Records of real BTF are 27 bytes on average; none is shorter than 12.
    let mut records = Vec::with_capacity(sections.types.len() / 24);
    let mut kinds = Vec::with_capacity(sections.types.len() / 24);
    while at < end {
        let id = || first_id.saturating_add(records.len() as u32);
        if end - at < COMMON {
            return Err(BtfError::TruncatedType { id: id(), offset: at, need: COMMON, have: end - at });
        }
        let info = word(types, at + 4);
        let Some(tail) = tails[kind_number(info) as usize] else {
            return Err(BtfError::UnknownKind { id: id(), offset: at, kind: kind_number(info) });
        };
        let need = COMMON + usize::from(tail.fixed) + usize::from(tail.each) * vlen_of(info);
        if end - at < need {
            return Err(BtfError::TruncatedType { id: id(), offset: at, need, have: end - at });
        }
        // `header::read` ends every section below 4 GiB.
        records.push(at as u32);
        kinds.push(kind_number(info) as u8);
        at += need;
    }
    match u32::try_from(records.len()).ok().and_then(|n| first_id.checked_add(n)) {
        Some(_) => Ok(Records { at: records, kinds }),
        None => Err(BtfError::TooManyTypes),
    }
}

/// The lengths of the kinds known here, and those of newer ones that the blob describes itself
/// (`struct btf_layout { u8 info_sz; u8 elem_sz; u16 flags; }` by kind number, Linux 7.x).
fn tails(layout: &[u8]) -> [Option<Tail>; 32] {
    let mut tails = [None; 32];
    tails[..TAILS.len()].copy_from_slice(&TAILS);
    for (entry, tail) in layout.chunks_exact(4).zip(&mut tails).skip(TAILS.len()) {
        *tail = Some(Tail { fixed: entry[0], each: entry[1] });
    }
    tails
}
