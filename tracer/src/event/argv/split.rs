//! Known extents of a stream -> elements and gaps.

use super::{ArgShape, Args, Gap, GapReason, Item, Limits};

/// A known part of a stream.
#[derive(Clone, Copy, Debug)]
pub(in crate::event) struct Extent {
    /// In the stream.
    pub(in crate::event) from: u64,
    /// In the known bytes.
    pub(in crate::event) start: usize,
    pub(in crate::event) len: usize,
}

impl Extent {
    pub(super) fn to(&self) -> u64 {
        self.from + self.len as u64
    }
}

/// A stream as it arrived.
#[derive(Clone, Copy, Debug)]
pub(in crate::event) struct Source<'a> {
    /// The known parts, concatenated.
    pub(in crate::event) bytes: &'a [u8],
    pub(in crate::event) total: u64,
    /// How many arguments there are, if the kernel said so.
    pub(in crate::event) argc: Option<u32>,
    /// Why a hole is one that no limit of ours explains.
    pub(in crate::event) hole: GapReason,
    /// The stream goes on behind `total`.
    pub(in crate::event) end_cut: bool,
    pub(in crate::event) unread: Unread<'a>,
}

/// Arguments that could not be read: they are empty strings in the stream.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::event) struct Unread<'a> {
    pub(in crate::event) count: u32,
    /// The first of them, ascending.
    pub(in crate::event) indices: &'a [u32],
}

impl Unread<'_> {
    /// Whether the empty string at `index` (`None`: unknown) is, or may be, one of them.
    fn covers(&self, index: Option<u32>) -> bool {
        let listed = self.indices.len() as u32;
        match index {
            Some(index) => {
                self.indices.contains(&index)
                    || (self.count > listed && self.indices.last().is_none_or(|i| index > *i))
            }
            None => self.count > 0,
        }
    }
}

/// Room for one stream's elements, reused from event to event.
#[derive(Debug, Default)]
pub(in crate::event) struct Scratch {
    /// The known parts of the stream, in order: set by the caller before [`Scratch::split`].
    pub(in crate::event) extents: Vec<Extent>,
    pub(super) items: Vec<Item>,
    pub(super) gaps: Vec<Gap>,
}

impl Scratch {
    /// Splits a stream and applies the limits.
    pub(in crate::event) fn split<'a>(&'a mut self, source: &Source<'a>, limits: Limits) -> Args<'a> {
        self.items.clear();
        self.gaps.clear();
        self.items.shrink_to(1 << 14);
        let argc = source.argc.or_else(|| self.count(source));
        let hole = self.leave_out(source.total, limits);
        self.elements(source, hole);
        if source.unread.count > 0 {
            self.mark_unread(source, argc);
        }
        if let Some(max) = limits.max_args {
            self.thin(max.get() as usize, argc);
        }
        self.measure(source, argc);
        Args { bytes: source.bytes, items: &self.items, gaps: &self.gaps, total: argc }
    }

    /// Keeps the elements that `wanted` accepts.
    pub(in crate::event) fn retain<'a>(
        &'a mut self,
        bytes: &'a [u8],
        mut wanted: impl FnMut(&[u8], ArgShape) -> bool,
    ) -> Args<'a> {
        let (mut kept, mut gap) = (0, 0);
        for index in 0..self.items.len() {
            while self.gaps.get(gap).is_some_and(|g| g.at == index) {
                self.gaps[gap].at = kept;
                gap += 1;
            }
            let item = self.items[index];
            if wanted(&bytes[item.start..item.start + item.len], item.shape) {
                self.items[kept] = item;
                kept += 1;
            }
        }
        for gap in &mut self.gaps[gap..] {
            gap.at = kept;
        }
        self.items.truncate(kept);
        Args { bytes, items: &self.items, gaps: &self.gaps, total: None }
    }

    /// The number of arguments, if every byte is known.
    pub(super) fn count(&self, source: &Source<'_>) -> Option<u32> {
        if source.bytes.len() as u64 != source.total {
            return None;
        }
        let nuls = memchr::memchr_iter(0, source.bytes).count();
        let open = source.bytes.last().is_some_and(|byte| *byte != 0) && !source.end_cut;
        u32::try_from(nuls + usize::from(open)).ok()
    }

    /// Splits the extents at their NULs.
    fn elements(&mut self, source: &Source<'_>, left_out: Option<(u64, u64)>) {
        let mut at = 0;
        for index in 0..self.extents.len() {
            let extent = self.extents[index];
            let opened = extent.from > at;
            if opened {
                self.gap(at, extent.from, source, left_out);
            }
            at = extent.to();
            self.pieces(source, extent, opened);
        }
        if at < source.total {
            self.gap(at, source.total, source, left_out);
        }
        if source.end_cut {
            self.gaps.push(Gap { at: self.items.len(), args: None, bytes: None, reason: GapReason::Limit });
        }
    }

    fn gap(&mut self, from: u64, to: u64, source: &Source<'_>, left_out: Option<(u64, u64)>) {
        let ours = left_out.is_some_and(|(start, end)| start <= from && to <= end);
        let reason = if ours { GapReason::MaxBytes } else { source.hole };
        self.gaps.push(Gap { at: self.items.len(), args: None, bytes: None, reason });
    }

    /// The elements of one extent; `opened` if a hole precedes it.
    fn pieces(&mut self, source: &Source<'_>, extent: Extent, opened: bool) {
        let bytes = &source.bytes[extent.start..extent.start + extent.len];
        // The byte before the extent, if it is known: a limit left it out.
        let before = extent.start.checked_sub(1).map(|i| source.bytes[i]);
        let known = source.bytes.len() as u64 == source.total;
        let mut torn = opened && !(known && before == Some(0));
        let mut start = 0;
        for nul in memchr::memchr_iter(0, bytes) {
            // An empty end of an argument is nothing to show: the argument is in the gap.
            if !(torn && nul == 0) {
                let shape = if torn { ArgShape::Tail } else { ArgShape::Whole };
                self.item(extent, start, nul - start, shape, 1);
            }
            torn = false;
            start = nul + 1;
        }
        if start == bytes.len() {
            return;
        }
        let goes_on = extent.to() < source.total || source.end_cut;
        let next = source.bytes.get(extent.start + extent.len);
        let closed = !goes_on || (known && next == Some(&0));
        let shape = match (torn, closed) {
            (false, true) => ArgShape::Whole,
            (false, false) => ArgShape::Head,
            (true, true) => ArgShape::Tail,
            (true, false) => ArgShape::Middle,
        };
        self.item(extent, start, bytes.len() - start, shape, 0);
    }

    fn item(&mut self, extent: Extent, start: usize, len: usize, shape: ArgShape, nul: u8) {
        self.items.push(Item {
            start: extent.start + start,
            len,
            from: extent.from + start as u64,
            shape,
            nul,
        });
    }

    /// Gaps that are not the open end.
    pub(super) fn holes(&self) -> &[Gap] {
        match self.gaps.split_last() {
            Some((last, rest)) if last.reason == GapReason::Limit => rest,
            _ => &self.gaps,
        }
    }

    fn mark_unread(&mut self, source: &Source<'_>, argc: Option<u32>) {
        let (first, last) = match self.holes() {
            [] => (self.items.len(), self.items.len()),
            [first, .., last] => (first.at, last.at),
            [only] => (only.at, only.at),
        };
        let count = self.items.len();
        for (index, item) in self.items.iter_mut().enumerate() {
            if item.len > 0 || item.shape != ArgShape::Whole {
                continue;
            }
            let index = if index < first {
                u32::try_from(index).ok()
            } else if index >= last {
                argc.and_then(|argc| argc.checked_sub(u32::try_from(count - index).ok()?))
            } else {
                None
            };
            if source.unread.covers(index) {
                item.shape = ArgShape::Unread;
            }
        }
    }
}
