//! Arguments (and environment strings): a stream of NUL-terminated strings, of which some parts
//! may be absent, becomes a list of arguments with the gaps between them.
//!
//! A stream of `total` bytes is known on some extents. With a limit of m bytes, the bytes in
//! `[ceil(m/2), total - floor(m/2))` are left out; with a limit of m arguments, all but the first
//! ceil(m/2) and the last floor(m/2). A gap is what lies between two shown elements in the stream:
//!
//! ```text
//! bytes(gap) = start of the next element - end of the last one, terminators included
//! args(gap)  = arguments - terminators shown - (1 if the last element's terminator is in the gap)
//! ```
//!
//! The second holds for a single gap only (counterexample: with two gaps, each may hold the
//! terminators that are not shown); otherwise the number of arguments in a gap is unknown.
//! Proven by `tests/decoder.rs`, `limits_keep_head_and_tail` and `holes_are_told`.

mod kept;
mod limit;
mod split;

use std::num::NonZeroU32;

pub use kept::KeptArgs;
pub(super) use split::{Extent, Scratch, Source, Unread};

/// Limits that the user set. The true count and length are reported whatever they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The most arguments to show.
    pub max_args: Option<NonZeroU32>,
    /// The most bytes of arguments to show, terminating NULs included.
    pub max_bytes: Option<NonZeroU32>,
}

/// The arguments of an exec, or its environment strings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Args<'a> {
    bytes: &'a [u8],
    items: &'a [Item],
    gaps: &'a [Gap],
    total: Option<u32>,
}

/// One element of [`Args`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arg<'a> {
    /// What there is of it, without the NUL.
    pub bytes: &'a [u8],
    pub shape: ArgShape,
}

/// How much of an argument an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgShape {
    Whole,
    /// Its beginning: a gap follows, and (unless only the terminator is in it) the rest is there.
    Head,
    /// Its end: a gap precedes, and (unless it ended just before) the rest is there.
    Tail,
    /// Neither its beginning nor its end.
    Middle,
    /// The kernel could not read it.
    Unread,
}

/// Arguments that are not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Index of the element after the gap (the number of elements when the end is missing).
    pub at: usize,
    /// How many arguments are absent altogether; `None` if that cannot be known.
    pub args: Option<u32>,
    /// How many bytes are absent, NULs included; `None` if that cannot be known.
    pub bytes: Option<u64>,
    pub reason: GapReason,
}

/// Why arguments are not shown; of several causes the last one in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GapReason {
    /// [`Limits::max_args`].
    MaxArgs,
    /// [`Limits::max_bytes`].
    MaxBytes,
    /// Left out because the run costs too much.
    Shed,
    /// The ring had no room for them.
    Lost,
    /// The kernel side copies no more; their number is unknown.
    Limit,
}

impl GapReason {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxArgs => "max_args",
            Self::MaxBytes => "max_bytes",
            Self::Shed => "shed",
            Self::Lost => "lost",
            Self::Limit => "limit",
        }
    }
}

/// Where an element lies.
#[derive(Clone, Copy, Debug)]
struct Item {
    /// In the known bytes.
    start: usize,
    len: usize,
    /// In the stream.
    from: u64,
    shape: ArgShape,
    /// Terminators shown: 1 or 0.
    nul: u8,
}

impl Item {
    /// Where it ends in the stream, its terminator included.
    fn end(&self) -> u64 {
        self.from + self.len as u64 + u64::from(self.nul)
    }
}

impl<'a> Args<'a> {
    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The elements, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Arg<'a>> + Clone + use<'a> {
        let bytes = self.bytes;
        self.items
            .iter()
            .map(move |item| Arg { bytes: &bytes[item.start..item.start + item.len], shape: item.shape })
    }

    /// One element.
    pub fn get(&self, index: usize) -> Option<Arg<'a>> {
        let item = self.items.get(index)?;
        Some(Arg { bytes: &self.bytes[item.start..item.start + item.len], shape: item.shape })
    }

    /// What is absent between (or after) the elements, in order.
    pub fn gaps(&self) -> &'a [Gap] {
        self.gaps
    }

    /// How many arguments there are in truth, shown or not, if that can be known.
    pub fn total(&self) -> Option<u32> {
        self.total
    }
}
