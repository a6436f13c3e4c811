//! The header of a BTF blob: where types and strings lie (`struct btf_header`, include/uapi/linux/btf.h).

use core::ops::Range;

use super::BtfError;
use super::scan::word;

const MAGIC: u16 = 0xeb9f;
/// magic, version, flags, hdr_len, type_off, type_len, str_off, str_len.
const MIN_LEN: usize = 24;
/// The same with layout_off and layout_len, as newer kernels write it.
const WITH_LAYOUT: usize = 32;

/// Byte ranges in the blob; each is proven to lie inside it.
pub(super) struct Sections {
    pub(super) types: Range<usize>,
    pub(super) strings: Range<usize>,
    /// Size of kinds that the writer knew, two bytes a kind then two bytes of flags; empty where absent.
    pub(super) layout: Range<usize>,
}

pub(super) fn read(data: &[u8]) -> Result<Sections, BtfError> {
    if data.len() < MIN_LEN {
        return Err(BtfError::TruncatedHeader { have: data.len(), need: MIN_LEN });
    }
    let magic = u16::from_le_bytes([data[0], data[1]]);
    if magic == MAGIC.swap_bytes() {
        return Err(BtfError::OtherEndian);
    }
    if magic != MAGIC {
        return Err(BtfError::BadMagic { found: magic });
    }
    if data[2] != 1 {
        return Err(BtfError::BadVersion { found: data[2] });
    }
    let header_len = word(data, 4) as usize;
    if header_len < MIN_LEN || header_len > data.len() {
        return Err(BtfError::TruncatedHeader { have: data.len(), need: header_len.max(MIN_LEN) });
    }
    let section = |name, at: usize| -> Result<Range<usize>, BtfError> {
        let (offset, length) = (word(data, at), word(data, at + 4));
        let start = header_len as u64 + u64::from(offset);
        let end = start + u64::from(length);
        if end > data.len() as u64 || end > u64::from(u32::MAX) {
            return Err(BtfError::SectionOutOfBounds {
                section: name,
                offset: start,
                length,
                have: data.len(),
            });
        }
        Ok(start as usize..end as usize)
    };
    let layout = if header_len >= WITH_LAYOUT { section("layout", 24)? } else { 0..0 };
    Ok(Sections { types: section("types", 8)?, strings: section("strings", 16)?, layout })
}
