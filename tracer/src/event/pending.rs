//! Chunks that wait for their event.
//!
//! Chunks precede their event and arrive in the order of their offsets, but those of several
//! events interleave: each is kept under the (tid, boot_ns) of its event. An event that found no
//! room in the ring leaves its chunks behind as orphans, so memory is bounded: at most
//! [`MAX_PENDING_EVENTS`] events and [`MAX_PENDING_BYTES`] bytes wait; beyond that the oldest go.
//! A thread executes one program at a time, so a new event of a thread orphans its older ones.
//! Evicting what was no orphan is not silent: the event then shows the hole as lost.

use std::collections::VecDeque;

use tracer_common::Stream;

/// How many events may have chunks waiting.
pub const MAX_PENDING_EVENTS: usize = 1024;
/// How many bytes of chunks may wait. Linux limits the arguments and environment of one exec to
/// 6 MiB (three quarters of `_STK_LIM`, fs/exec.c, bprm_stack_limits()).
pub const MAX_PENDING_BYTES: usize = 8 << 20;
/// Buffers up to this size are kept for the next event.
const SPARE_BYTES: usize = 256 << 10;

/// What the chunks of an event carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) tid: u32,
    pub(super) boot_ns: u64,
}

/// The parts of a stream that arrived, in the order of their offsets.
#[derive(Debug, Default)]
pub(super) struct Stretches {
    pub(super) bytes: Vec<u8>,
    /// (offset in the stream, length), ascending and disjoint; neighbours are merged.
    pub(super) extents: Vec<(u64, usize)>,
}

impl Stretches {
    /// Where the last part ends.
    pub(super) fn end(&self) -> u64 {
        self.extents.last().map_or(0, |(offset, len)| offset + *len as u64)
    }

    /// Adds a part that lies behind the others; `None` if it does not.
    pub(super) fn push(&mut self, offset: u64, payload: &[u8]) -> Option<()> {
        if offset < self.end() {
            return None;
        }
        match self.extents.last_mut() {
            Some((start, len)) if *start + *len as u64 == offset => *len += payload.len(),
            _ => self.extents.push((offset, payload.len())),
        }
        self.bytes.extend_from_slice(payload);
        Some(())
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(SPARE_BYTES);
        self.extents.clear();
        self.extents.shrink_to(64);
    }
}

/// The chunks of one event.
#[derive(Debug, Default)]
pub(super) struct Pending {
    key: Option<Key>,
    pub(super) argv: Stretches,
    pub(super) env: Stretches,
}

impl Pending {
    fn len(&self) -> usize {
        self.argv.bytes.len() + self.env.bytes.len()
    }
}

/// All chunks that wait, the oldest event's first.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    events: VecDeque<Pending>,
    bytes: usize,
    orphans: u64,
    spare: Option<Pending>,
}

impl Chunks {
    /// Keeps a chunk; `None` if it does not lie behind those of its event that came before.
    pub(super) fn push(&mut self, key: Key, stream: Stream, offset: u32, payload: &[u8]) -> Option<()> {
        let index = match self.position(key) {
            Some(index) => index,
            None => self.open(key),
        };
        let pending = &mut self.events[index];
        let stretches = match stream {
            Stream::Argv => &mut pending.argv,
            Stream::Env => &mut pending.env,
        };
        stretches.push(offset.into(), payload)?;
        self.bytes += payload.len();
        while self.bytes > MAX_PENDING_BYTES || self.events.len() > MAX_PENDING_EVENTS {
            self.evict(0);
        }
        Some(())
    }

    /// The chunks of an event that has arrived.
    pub(super) fn take(&mut self, key: Key) -> Option<Pending> {
        let pending = self.events.remove(self.position(key)?)?;
        self.bytes -= pending.len();
        Some(pending)
    }

    /// Gives buffers back for reuse.
    pub(super) fn recycle(&mut self, mut pending: Pending) {
        pending.key = None;
        pending.argv.clear();
        pending.env.clear();
        self.spare = Some(pending);
    }

    /// How many events' chunks were given up.
    pub(super) fn orphans(&self) -> u64 {
        self.orphans
    }

    fn position(&self, key: Key) -> Option<usize> {
        self.events.iter().rposition(|p| p.key == Some(key))
    }

    fn open(&mut self, key: Key) -> usize {
        let same_thread = |p: &Pending| p.key.is_some_and(|k| k.tid == key.tid);
        if let Some(index) = self.events.iter().position(same_thread) {
            self.evict(index);
        }
        let mut pending = self.spare.take().unwrap_or_default();
        pending.key = Some(key);
        self.events.push_back(pending);
        self.events.len() - 1
    }

    fn evict(&mut self, index: usize) {
        if let Some(pending) = self.events.remove(index) {
            self.bytes -= pending.len();
            self.orphans += 1;
            self.recycle(pending);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const PAYLOAD: [u8; 4096] = [7; 4096];

    fn key(tid: u32) -> Key {
        Key { tid, boot_ns: 1 }
    }

    #[test]
    fn orphans_are_bounded_and_counted() {
        let mut chunks = Chunks::default();
        for tid in 0..5000 {
            chunks.push(key(tid), Stream::Argv, 0, &PAYLOAD).unwrap();
            assert!(chunks.events.len() <= MAX_PENDING_EVENTS);
            assert!(chunks.bytes <= MAX_PENDING_BYTES);
        }
        assert_eq!(chunks.orphans(), 5000 - MAX_PENDING_EVENTS as u64);
        assert!(chunks.take(key(0)).is_none());
        assert!(chunks.take(key(4999)).is_some());
    }

    #[test]
    fn one_endless_event_is_bounded_too() {
        let mut chunks = Chunks::default();
        for i in 0..10_000 {
            chunks.push(key(1), Stream::Env, i * 4096, &PAYLOAD).unwrap();
            assert!(chunks.bytes <= MAX_PENDING_BYTES);
        }
        assert!(chunks.orphans() >= 4);
    }

    #[test]
    fn a_threads_next_event_orphans_its_last() {
        let mut chunks = Chunks::default();
        chunks.push(key(1), Stream::Argv, 0, &PAYLOAD).unwrap();
        let next = Key { tid: 1, boot_ns: 2 };
        chunks.push(next, Stream::Argv, 0, &PAYLOAD).unwrap();
        assert!(chunks.take(key(1)).is_none());
        assert!(chunks.take(next).is_some());
        assert_eq!((chunks.bytes, chunks.orphans()), (0, 1));
    }
}
