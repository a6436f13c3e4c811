//! One section of a 64-bit little-endian ELF file, found by its name.

use object::LittleEndian;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader as _, SectionHeader as _};

use super::ImageError;

pub(super) fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

/// The section's bytes; `None` if there is no such section.
pub(super) fn section<'e>(bytes: &'e [u8], name: &str) -> Result<Option<&'e [u8]>, ImageError> {
    let bad = |error: object::read::Error| ImageError::BadElf { reason: error.to_string() };
    let header = FileHeader64::<LittleEndian>::parse(bytes).map_err(bad)?;
    let endian = LittleEndian;
    let sections = header.sections(endian, bytes).map_err(bad)?;
    match sections.section_by_name(endian, name.as_bytes()) {
        Some((_, section)) => section.data(endian, bytes).map(Some).map_err(bad),
        None => Ok(None),
    }
}
