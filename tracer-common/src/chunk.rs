//! A numbered piece of an event's arguments or environment.
//!
//! An event's chunks precede the event itself: when the event arrives, its chunks have either
//! arrived or are lost, and the event says which parts were sent.

use crate::{Header, plain};

/// Payload of one chunk, in bytes. Chunks are always full; what is left over travels in the event.
pub const CHUNK_BYTES: usize = 4096;

/// The fixed part of a chunk; [`CHUNK_BYTES`] of payload follow it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    pub header: Header,
    /// A [`Stream`].
    pub stream: u32,
    /// Where the payload lies in its stream, in bytes from the stream's start.
    pub offset: u32,
}
plain!(Chunk, 40);

/// What a chunk is a piece of.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The arguments, each followed by a NUL byte.
    Argv = 0,
    /// The environment, each `NAME=value` followed by a NUL byte.
    Env = 1,
}

impl Stream {
    /// The stream with this number, if there is one.
    pub const fn from_u32(stream: u32) -> Option<Self> {
        match stream {
            0 => Some(Self::Argv),
            1 => Some(Self::Env),
            _ => None,
        }
    }
}
