//! Why bytes are not BTF. Each error says where: a byte offset in the blob, and the type's id where there is one.

use core::fmt;

/// What made a blob unreadable as BTF.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BtfError {
    /// Fewer bytes than the header needs.
    TruncatedHeader { have: usize, need: usize },
    /// The first two bytes are not BTF's magic number.
    BadMagic { found: u16 },
    /// The blob was written for the other byte order.
    OtherEndian,
    /// A version other than 1.
    BadVersion { found: u8 },
    /// A section named in the header does not lie inside the blob.
    SectionOutOfBounds { section: &'static str, offset: u64, length: u32, have: usize },
    /// The strings do not start with an empty one, or the last one has no end.
    BadStrings { reason: &'static str },
    /// A type record runs past the end of the types.
    TruncatedType { id: u32, offset: usize, need: usize, have: usize },
    /// A kind that neither this reader nor the blob itself explains.
    UnknownKind { id: u32, offset: usize, kind: u32 },
    /// More types than an id can number.
    TooManyTypes,
}

impl fmt::Display for BtfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TruncatedHeader { have, need } => {
                write!(f, "BTF header needs {need} bytes, there are {have}")
            }
            Self::BadMagic { found } => {
                write!(f, "not BTF: the first two bytes are {found:#06x}, not 0xeb9f")
            }
            Self::OtherEndian => {
                write!(f, "BTF of the other byte order (big-endian); only little-endian is supported")
            }
            Self::BadVersion { found } => write!(f, "BTF version {found}; only version 1 is known"),
            Self::SectionOutOfBounds { section, offset, length, have } => {
                write!(
                    f,
                    "BTF {section} at offset {offset}, {length} bytes long, lie outside of the {have} bytes"
                )
            }
            Self::BadStrings { reason } => write!(f, "BTF strings: {reason}"),
            Self::TruncatedType { id, offset, need, have } => {
                write!(f, "BTF type [{id}] at offset {offset} needs {need} bytes, there are {have}")
            }
            Self::UnknownKind { id, offset, kind } => {
                write!(f, "BTF type [{id}] at offset {offset} is of the unknown kind {kind}")
            }
            Self::TooManyTypes => write!(f, "BTF has more types than can be numbered"),
        }
    }
}

impl std::error::Error for BtfError {}
