//! Decoder of [`tracer_common::Chunk`].

use tracer_common::{CHUNK_BYTES, Chunk, Stream};

use super::{DecodeError, wire};

/// A chunk's place and its payload.
pub(super) fn decode(record: &[u8]) -> Result<(Chunk, Stream, &[u8]), DecodeError> {
    let (chunk, payload) = wire::split::<Chunk>(record)?;
    let Some(stream) = Stream::from_u32(chunk.stream) else {
        return Err(DecodeError::Stream {
            stream: chunk.stream,
            cpu: chunk.header.cpu,
            tid: chunk.header.tid,
        });
    };
    match payload.get(..CHUNK_BYTES) {
        Some(payload) => Ok((chunk, stream, payload)),
        None => Err(DecodeError::Short { len: record.len(), wanted: size_of::<Chunk>() + CHUNK_BYTES }),
    }
}
