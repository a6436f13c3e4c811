//! What the user's limits leave out, and how much every gap holds.

use super::split::{Extent, Scratch, Source};
use super::{Gap, GapReason, Limits};

impl Scratch {
    /// Takes what `max_bytes` leaves out off the extents, and says where that is.
    pub(super) fn leave_out(&mut self, total: u64, limits: Limits) -> Option<(u64, u64)> {
        let max = u64::from(limits.max_bytes?.get());
        if total <= max {
            return None;
        }
        let (from, to) = (max.div_ceil(2), total - max / 2);
        let mut after = None;
        let mut index = 0;
        while index < self.extents.len() {
            let e = self.extents[index];
            let head = e.to().min(from).saturating_sub(e.from) as usize;
            let skip = to.saturating_sub(e.from).min(e.len as u64) as usize;
            if skip == e.len && head == 0 {
                self.extents.remove(index);
                continue;
            }
            if skip > head {
                if head > 0 && skip < e.len {
                    after = Some((index + 1, tail(e, skip)));
                    self.extents[index].len = head;
                } else if head > 0 {
                    self.extents[index].len = head;
                } else {
                    self.extents[index] = tail(e, skip);
                }
            }
            index += 1;
        }
        if let Some((index, extent)) = after {
            self.extents.insert(index, extent);
        }
        Some((from, to))
    }

    /// Leaves out all but the first and last of more than `max` arguments.
    pub(super) fn thin(&mut self, max: usize, argc: Option<u32>) {
        let count = self.items.len();
        // A hole makes two elements of one argument: the limit is one of arguments.
        if argc.map_or(count, |argc| argc as usize) <= max {
            return;
        }
        let (first, last) = match self.holes() {
            [] => (count, 0),
            [first, .., last] => (first.at, last.at),
            [only] => (only.at, only.at),
        };
        let front = max.div_ceil(2).min(first);
        let back = count.saturating_sub(max / 2).max(last).max(front);
        if front == back {
            return;
        }
        let merged = self.holes().len();
        let reason = self.holes().iter().map(|gap| gap.reason).max();
        self.items.drain(front..back);
        self.gaps.splice(
            ..merged,
            [Gap { at: front, args: None, bytes: None, reason: reason.unwrap_or(GapReason::MaxArgs) }],
        );
        if self.gaps.len() > 1 {
            self.gaps[1].at = self.items.len();
        }
    }

    /// Says how much each gap holds: the equations at the head of [`super`].
    pub(super) fn measure(&mut self, source: &Source<'_>, argc: Option<u32>) {
        let holes = self.holes().len();
        for gap in &mut self.gaps[..holes] {
            let from = match gap.at.checked_sub(1) {
                Some(before) => self.items[before].end(),
                None => 0,
            };
            let to = self.items.get(gap.at).map_or(source.total, |i| i.from);
            gap.bytes = Some(to.saturating_sub(from));
        }
        // Behind an open end, the kernel's own count may be more than was seen.
        let argc = match source.end_cut {
            true => self.count(source),
            false => argc,
        };
        if let (1, Some(argc)) = (holes, argc) {
            let shown: usize = self.items.iter().map(|item| usize::from(item.nul)).sum();
            // An argument that ends with the stream, without a NUL, is shown to its end.
            let open_end =
                self.items.last().is_some_and(|i| i.nul == 0 && i.end() == source.total && !source.end_cut);
            let gap = &mut self.gaps[0];
            let open_start = match gap.at.checked_sub(1) {
                Some(before) => self.items[before].nul == 0,
                None => false,
            };
            let hidden = (argc as usize).saturating_sub(shown + usize::from(open_end));
            let absent = hidden.saturating_sub(usize::from(open_start));
            gap.args = u32::try_from(absent).ok();
        }
    }
}

fn tail(extent: Extent, skip: usize) -> Extent {
    Extent { from: extent.from + skip as u64, start: extent.start + skip, len: extent.len - skip }
}
