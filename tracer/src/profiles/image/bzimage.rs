//! The x86 boot protocol's header (Documentation/arch/x86/boot.rst): where the payload and the version's text lie.

use super::ImageError;

/// Offset of the header's magic number, and what it is.
const MAGIC: (usize, &[u8]) = (0x202, b"HdrS");
const SETUP_SECTORS: usize = 0x1f1;
const PROTOCOL: usize = 0x206;
const VERSION_TEXT: usize = 0x20e;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
const SECTOR: usize = 512;
/// The first protocol whose header tells where the payload lies (Linux 2.6.26).
const WITH_PAYLOAD: u16 = 0x0208;

/// What the boot header says.
pub(super) struct Boot<'i> {
    /// The compressed kernel; its last four bytes may be the length of what comes out.
    pub(super) payload: &'i [u8],
    /// Where it begins in the file.
    pub(super) offset: usize,
    pub(super) release: Option<String>,
}

/// Reads the header; `None` if there is none.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Boot<'_>>, ImageError> {
    if bytes.get(MAGIC.0..MAGIC.0 + MAGIC.1.len()) != Some(MAGIC.1) {
        return Ok(None);
    }
    let outside = |what, offset: u64| ImageError::BootHeader { what, offset, have: bytes.len() };
    let half = |at| number(bytes, at, 2).ok_or_else(|| outside("header", at as u64));
    let word = |at| number(bytes, at, 4).ok_or_else(|| outside("header", at as u64));
    if half(PROTOCOL)? < usize::from(WITH_PAYLOAD) {
        return Err(ImageError::NotAnImage);
    }
    // 0 stands for 4, from times when the boot sector did not say.
    let setup = match number(bytes, SETUP_SECTORS, 1) {
        Some(0) | None => 4,
        Some(count) => count,
    };
    let offset = (setup + 1) * SECTOR + word(PAYLOAD_OFFSET)?;
    let payload = offset.checked_add(word(PAYLOAD_LENGTH)?).and_then(|end| bytes.get(offset..end));
    let payload = payload.ok_or_else(|| outside("payload", offset as u64))?;
    Ok(Some(Boot { payload, offset, release: release(bytes, half(VERSION_TEXT)?) }))
}

fn number(bytes: &[u8], at: usize, size: usize) -> Option<usize> {
    let field = bytes.get(at..at + size)?;
    Some(field.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
}

/// The first word of the text `RELEASE (builder) #1 ...`.
fn release(bytes: &[u8], at: usize) -> Option<String> {
    if at == 0 {
        return None;
    }
    let text = bytes.get(at + SECTOR..)?;
    let end = text.iter().take(256).position(|byte| matches!(byte, b' ' | 0))?;
    let word = std::str::from_utf8(&text[..end]).ok()?;
    word.starts_with(|first: char| first.is_ascii_digit()).then(|| word.to_owned())
}
