//! The string section: NUL-terminated, numbered by byte offset, the base's first in split BTF.

use core::ffi::CStr;
use core::ops::Range;

use super::{Btf, BtfError};

/// Strings must be readable without bounds surprises: the first is empty (unless split), the last has an end.
pub(super) fn check(data: &[u8], at: &Range<usize>, first_string: u32) -> Result<(), BtfError> {
    let strings = &data[at.clone()];
    match (strings.first(), strings.last()) {
        (None, None) if first_string > 0 => {}
        (_, None) => {
            return Err(BtfError::BadStrings { reason: "the section is empty" });
        }
        (Some(&first), _) if first != 0 && first_string == 0 => {
            return Err(BtfError::BadStrings { reason: "the first string is not empty" });
        }
        (_, Some(&last)) if last != 0 => {
            return Err(BtfError::BadStrings { reason: "the last string has no end" });
        }
        _ => {}
    }
    match first_string.checked_add(strings.len() as u32) {
        Some(_) => Ok(()),
        None => Err(BtfError::BadStrings { reason: "base and split strings are longer than 4 GiB" }),
    }
}

impl Btf {
    /// One more than the highest string offset, the base's strings included.
    pub(super) fn string_end(&self) -> u32 {
        self.first_string + self.strings.len() as u32
    }

    /// The string at an offset, as bytes without the NUL; `None` outside of the section.
    pub fn string_bytes(&self, offset: u32) -> Option<&[u8]> {
        Some(CStr::from_bytes_until_nul(self.string_tail(offset)?).ok()?.to_bytes())
    }

    /// From the string at an offset to the end of its section.
    pub(super) fn string_tail(&self, offset: u32) -> Option<&[u8]> {
        let mut owner = self;
        while offset < owner.first_string {
            owner = owner.base.as_deref()?;
        }
        let strings = owner.data.get(owner.strings.clone())?;
        strings.get((offset - owner.first_string) as usize..)
    }

    /// The string at an offset; empty if there is none or it is not UTF-8 (C identifiers always are).
    pub fn string(&self, offset: u32) -> &str {
        self.string_bytes(offset).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or("")
    }
}
