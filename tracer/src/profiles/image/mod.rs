//! A kernel image file -> its version, its BTF and its configuration.
//!
//! ```text
//! bzImage -> boot header -> payload -> decompressed vmlinux ┐
//! vmlinux, as it is or compressed as a whole ───────────────┴-> .BTF, banner, IKCONFIG
//! ```
//! Invariants: no bytes make it panic, and what it holds in memory is bounded by [`MAX_VMLINUX`] however the image was
//! made. It must not know the rest of tracer: xtask compiles these very files to make the embedded profiles.

use std::fmt;
use std::io::Read as _;

mod bzimage;
mod compression;
mod elf;
mod lzo;
#[cfg(test)]
pub(super) mod tests;

pub use compression::Compression;

/// No kernel decompresses to more than this many bytes here: distributions' need 30 to 100 MiB.
pub const MAX_VMLINUX: usize = 512 << 20;

/// What an image says of its kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// As `uname -r` prints it.
    pub release: Option<String>,
    /// The kernel's own BTF, if it was built with it.
    pub btf: Option<Vec<u8>>,
    /// The text of its configuration, if it was built to carry it (CONFIG_IKCONFIG).
    pub config: Option<String>,
}

/// Why bytes are no kernel image that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageError {
    /// Neither a bzImage, nor an ELF file, nor a compressed one.
    NotAnImage,
    /// The boot header places something outside of the file.
    BootHeader { what: &'static str, offset: u64, have: usize },
    /// The payload is of none of the kinds that kernels decompress.
    UnknownCompression { offset: usize, magic: [u8; 4] },
    /// The payload cannot be decompressed.
    Damaged { compression: Compression, reason: String },
    /// More than [`MAX_VMLINUX`] bytes come out.
    TooLarge,
    /// What is inside is no ELF file of a 64-bit kernel.
    BadElf { reason: String },
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnImage => {
                write!(f, "no kernel image: neither an x86 bzImage (vmlinuz), nor an ELF file (vmlinux)")
            }
            Self::BootHeader { what, offset, have } => {
                write!(
                    f,
                    "the boot header places the {what} at offset {offset}, outside of the {have} bytes: is the file cut?"
                )
            }
            Self::UnknownCompression { offset, magic } => write!(
                f,
                "the payload at offset {offset} begins with {magic:02x?}, which is none of gzip, bzip2, lzma, xz, lzo, lz4, zstd"
            ),
            Self::Damaged { compression, reason } => {
                write!(f, "the {compression} payload is damaged: {reason}")
            }
            Self::TooLarge => {
                write!(
                    f,
                    "the payload decompresses to more than {} MiB, which no kernel has",
                    MAX_VMLINUX >> 20
                )
            }
            Self::BadElf { reason } => write!(f, "the kernel inside is no 64-bit ELF file: {reason}"),
        }
    }
}

impl std::error::Error for ImageError {}

/// Reads an image: a bzImage, a vmlinux, or a vmlinux compressed as a whole.
///
/// # Errors
/// The bytes are none of these, are cut, or do not decompress.
pub fn read(bytes: &[u8]) -> Result<Image, ImageError> {
    if elf::is_elf(bytes) {
        return of_vmlinux(bytes);
    }
    if let Some(boot) = bzimage::read(bytes)? {
        let mut image = of_vmlinux(&compression::unpack(boot.payload, boot.offset)?)?;
        image.release = boot.release.or(image.release);
        return Ok(image);
    }
    match Compression::of(bytes) {
        Some(_) => of_vmlinux(&compression::unpack(bytes, 0)?),
        None => Err(ImageError::NotAnImage),
    }
}

fn of_vmlinux(bytes: &[u8]) -> Result<Image, ImageError> {
    let btf = elf::section(bytes, ".BTF")?.filter(|section| !section.is_empty());
    Ok(Image { release: banner(bytes), btf: btf.map(<[u8]>::to_vec), config: embedded_config(bytes) })
}

/// The release in `linux_banner` (init/version.c): `Linux version RELEASE (builder) ...`.
///
/// The format string of the same beginning has a `%` there.
fn banner(bytes: &[u8]) -> Option<String> {
    const START: &[u8] = b"Linux version ";
    memchr::memmem::find_iter(bytes, START).find_map(|at| {
        let rest = bytes.get(at + START.len()..)?;
        let end = rest.iter().take(128).position(|byte| matches!(byte, b' ' | 0))?;
        let word = std::str::from_utf8(&rest[..end]).ok()?;
        word.starts_with(|first: char| first.is_ascii_digit()).then(|| word.to_owned())
    })
}

/// The configuration that CONFIG_IKCONFIG puts between two marks (kernel/configs.c), gzipped.
fn embedded_config(bytes: &[u8]) -> Option<String> {
    const MAX_CONFIG: u64 = 16 << 20;
    let start = memchr::memmem::find(bytes, b"IKCFG_ST")? + 8;
    let rest = bytes.get(start..)?;
    let end = memchr::memmem::find(rest, b"IKCFG_ED")?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(&rest[..end]).take(MAX_CONFIG).read_to_string(&mut text).ok()?;
    Some(text)
}
