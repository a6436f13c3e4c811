//! Everything that the kernel's own decompressors read (lib/decompress.c), with a bound on what comes out.
//!
//! The payload of a bzImage may end in the length of what comes out (arch/x86/boot/compressed/Makefile); decoders stop
//! at their stream's own end and never look at it.

use std::fmt;
use std::io::{self, Read};

use super::{ImageError, MAX_VMLINUX, lzo};

/// How a payload is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Gzip,
    Bzip2,
    Lzma,
    Xz,
    Lzo,
    Lz4,
    Zstd,
}

/// How each begins (`compressed_formats` in lib/decompress.c).
const MAGIC: [(&[u8], Compression); 8] = [
    (&[0x1f, 0x8b], Compression::Gzip),
    (&[0x1f, 0x9e], Compression::Gzip),
    (b"BZh", Compression::Bzip2),
    (&[0x5d, 0x00, 0x00], Compression::Lzma),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0x00], Compression::Xz),
    (&[0x89, b'L', b'Z', b'O', 0x00, 0x0d], Compression::Lzo),
    (&[0x02, 0x21, 0x4c, 0x18], Compression::Lz4),
    (&[0x28, 0xb5, 0x2f, 0xfd], Compression::Zstd),
];

/// What a decoder may hold besides its output: kernels are compressed with windows of up to 128 MiB.
const MAX_WINDOW: usize = 256 << 20;

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Lzma => "lzma",
            Self::Xz => "xz",
            Self::Lzo => "lzo",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

impl Compression {
    /// The kind of these bytes, by how they begin.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, kind)| *kind)
    }
}

/// Decompresses a payload, which begins at `offset` of its file.
pub(super) fn unpack(payload: &[u8], offset: usize) -> Result<Vec<u8>, ImageError> {
    let Some(compression) = Compression::of(payload) else {
        let mut magic = [0; 4];
        for (to, from) in magic.iter_mut().zip(payload) {
            *to = *from;
        }
        return Err(ImageError::UnknownCompression { offset, magic });
    };
    let damaged = |reason: String| ImageError::Damaged { compression, reason };
    let limit = u32::try_from(MAX_WINDOW / 1024).unwrap_or(u32::MAX);
    let unpacked = match compression {
        Compression::Gzip => collect(flate2::read::GzDecoder::new(payload)),
        Compression::Bzip2 => collect(bzip2_rs::DecoderReader::new(payload)),
        Compression::Lzma => lzma_rust2::LzmaReader::new_mem_limit(payload, limit, None).and_then(collect),
        Compression::Xz => collect(lzma_rust2::XzReader::new_mem_limit(payload, false, limit)),
        Compression::Lzo => lzo::unpack(payload).map_err(io::Error::other),
        Compression::Lz4 => lz4(payload),
        Compression::Zstd => {
            ruzstd::decoding::StreamingDecoder::new_with_max_window_size(payload, MAX_WINDOW as u64)
                .map_err(|error| io::Error::other(error.to_string()))
                .and_then(collect)
        }
    };
    let unpacked = unpacked.map_err(|error| damaged(error.to_string()))?;
    if unpacked.len() > MAX_VMLINUX { Err(ImageError::TooLarge) } else { Ok(unpacked) }
}

/// All that a decoder gives, or one byte more than is allowed.
fn collect(decoder: impl Read) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    decoder.take(MAX_VMLINUX as u64 + 1).read_to_end(&mut out)?;
    Ok(out)
}

/// LZ4's legacy frame: blocks of up to 8 MiB, each after its compressed length (lib/decompress_unlz4.c).
fn lz4(payload: &[u8]) -> io::Result<Vec<u8>> {
    const BLOCK: usize = 8 << 20;
    let mut out: Vec<u8> = Vec::new();
    let mut rest = payload.get(4..).unwrap_or_default();
    while let Some((length, blocks)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        // A block cannot be longer than its content but for a little; then this is the length behind the last one.
        if length == 0 || length > BLOCK + BLOCK / 128 {
            break;
        }
        let Some((block, next)) = blocks.split_at_checked(length) else { break };
        let start = out.len();
        out.resize(start + BLOCK, 0);
        let count = lz4_flex::block::decompress_into(block, &mut out[start..]).map_err(io::Error::other)?;
        out.truncate(start + count);
        if out.len() > MAX_VMLINUX {
            break;
        }
        rest = next;
    }
    if out.is_empty() { Err(io::Error::other("it holds no block")) } else { Ok(out) }
}
