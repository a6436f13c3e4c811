//! Plain structures out of bytes.

use tracer_common::{Header, Plain};

use super::DecodeError;

/// The `T` at the start of `bytes`, and what follows it.
pub(super) fn split<T: Plain>(bytes: &[u8]) -> Result<(T, &[u8]), DecodeError> {
    let wanted = size_of::<T>();
    let Some((head, rest)) = bytes.split_at_checked(wanted) else {
        return Err(DecodeError::Short { len: bytes.len(), wanted });
    };
    // SAFETY: `head` is `size_of::<T>()` initialised bytes, `T: Plain` accepts any of them, and
    // `read_unaligned` asks for no alignment.
    let value = unsafe { head.as_ptr().cast::<T>().read_unaligned() };
    Ok((value, rest))
}

/// The record's header, and the record without what the ring may have left after its end.
pub(super) fn header(record: &[u8]) -> Result<(Header, &[u8]), DecodeError> {
    let (header, _) = split::<Header>(record)?;
    match record.get(..header.size as usize) {
        Some(record) => Ok((header, record)),
        None => Err(DecodeError::Size { size: header.size, len: record.len() }),
    }
}
