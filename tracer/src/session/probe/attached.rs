//! A run under way.

use std::{
    collections::BTreeMap,
    fmt,
    os::fd::{AsRawFd, RawFd},
    time::{Duration, Instant},
};

use tracer_common::{Class, aggregate::mode, probe::counter};

use crate::plan::probe::{Mode, ProbeRun};

use super::{
    super::{
        Counters, Judgement, LoadError,
        maps::{self, Inserted, Maps},
        ring::Ring,
        stats::Stats,
    },
    Row, aggregate,
    attach::Outcome,
    settings::Settings,
    shared::Shared,
};

/// How long programs that were already running when their link went away may take to finish.
const GRACE: Duration = Duration::from_millis(200);

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

/// What an aggregation is made of, for reading it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    /// One of [`mode`].
    mode: u32,
    keys: usize,
}

impl Counted {
    pub(super) fn of(run: &ProbeRun, settings: &Settings) -> Self {
        let keys = match &run.mode {
            Mode::Stream => 0,
            Mode::Aggregate(aggregation) => aggregation.keys.len(),
        };
        Self { mode: settings.knobs.mode, keys }
    }
}

/// Programs that run, and what they fill.
pub struct Attached {
    pub(super) outcome: Outcome,
    pub(super) failed: Vec<Failed>,
    pub(super) points: usize,
    pub(super) ring: Ring,
    pub(super) stats: Stats,
    pub(super) counters: Shared,
    pub(super) counts: Shared,
    pub(super) counted: Counted,
    /// Numbers in a row of the counts.
    pub(super) stride: usize,
    pub(super) cpus: u32,
    pub(super) maps: Maps,
    pub(super) judged: Vec<Judgement>,
    /// Processes that user space made part of the tree.
    pub(super) roots: u32,
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
        self.points - self.failed.len()
    }

    /// The counters that the account of losses needs, as they are now.
    pub fn counters(&self) -> Counters {
        self.stats.read()
    }

    /// What was seen and did not become an event, as it is now.
    pub fn totals(&self) -> Totals {
        let sum = |number: u32| {
            let cpus = 0..self.cpus as usize;
            cpus.map(|cpu| self.counters.get(cpu * counter::LEN + number as usize)).sum()
        };
        let mut totals = Totals {
            passed: sum(counter::PASSED),
            sampled: sum(counter::SAMPLED),
            rated: sum(counter::RATED),
            unreadable: sum(counter::UNREADABLE),
            unpaired: sum(counter::UNPAIRED),
            no_entry: sum(counter::NO_ENTRY),
            keys_full: sum(counter::KEYS_FULL),
            no_return: sum(counter::NO_RETURN),
            busy: sum(counter::BUSY),
        };
        if self.counted.mode == mode::COUNT {
            totals.passed = (0..self.points).map(|point| self.hits(point)).sum();
        }
        totals
    }

    /// Hits of a point, where nothing but their number is kept.
    fn hits(&self, point: usize) -> u64 {
        self.counts.column(point, self.stride).sum()
    }

    /// Hits that no program saw because the kernel skipped its run, as far as this kernel counts them: of our
    /// programs, since 5.12; of kprobes' instances, since 6.7.
    pub fn skipped(&self) -> u64 {
        self.outcome.misses.iter().map(|info| info.read().skipped).sum::<u64>() + self.outcome.links.missed()
    }

    /// Hands every record that is in the ring to `record`, `most` at the most; how many there were. With each comes a
    /// look at a CPU's count of drops, as it is at that very moment: what was dropped before the record was made is
    /// in it.
    pub fn drain(&mut self, most: usize, mut record: impl FnMut(&[u8], &dyn Fn(u32) -> u64)) -> usize {
        let stats = &self.stats;
        let dropped = |cpu| stats.dropped(cpu, Class::Event);
        let mut count = 0;
        while count < most {
            if !self.ring.take(|bytes| record(bytes, &dropped)) {
                break;
            }
            count += 1;
        }
        count
    }

    /// What an aggregation holds now; empty for a run that streams. In no particular order. Before 5.19 this needs
    /// CAP_BPF, unless the aggregation is a count without keys, filters or sampling.
    ///
    /// # Errors
    /// The kernel does not let this process read the map any more.
    pub fn aggregates(&self) -> Result<Vec<Row>, LoadError> {
        match self.counted.mode {
            mode::STREAM => Ok(Vec::new()),
            mode::COUNT => Ok((0..self.points)
                .map(|point| Row {
                    point: Some(point as u32),
                    key: Vec::new(),
                    count: self.hits(point),
                    buckets: BTreeMap::new(),
                })
                .filter(|row| row.count != 0)
                .collect()),
            _ => {
                let map = self.maps.named("GROUPS").ok_or(LoadError::Missing("map GROUPS"))?;
                aggregate::read(map, self.cpus, self.counted.keys, self.counted.mode == mode::GROUP)
                    .map_err(|error| LoadError::Map { map: "GROUPS".to_owned(), what: "read", error })
            }
        }
    }

    /// Makes more processes part of the traced tree, those that are not in it yet; how many.
    ///
    /// # Errors
    /// The kernel does not let this process write the map.
    pub fn follow(&mut self, pids: &[u32]) -> Result<u32, LoadError> {
        let mut new = 0;
        let tree = self.maps.named("TREE").ok_or(LoadError::Missing("map TREE"))?;
        for pid in pids {
            let inserted = maps::insert(tree, &pid.to_ne_bytes()).map_err(|error| LoadError::Map {
                map: "TREE".to_owned(),
                what: "filled",
                error,
            })?;
            new += u32::from(inserted == Inserted::New);
        }
        self.roots += new;
        Ok(new)
    }

    /// Processes in the traced tree.
    pub fn tree_size(&self) -> i64 {
        i64::from(self.roots) + self.stats.read().tree_size()
    }

    /// Detaches everything. Programs that were already running finish; what they and the ring still hold can be
    /// drained afterwards.
    pub fn detach(&mut self) {
        self.outcome.links.clear();
        let start = Instant::now();
        let mut before = self.stats.read().produced();
        loop {
            std::thread::sleep(Duration::from_millis(2));
            let now = self.stats.read().produced();
            if now == before || start.elapsed() > GRACE {
                return;
            }
            before = now;
        }
    }
}

impl AsRawFd for Attached {
    /// Readable when the ring holds a record.
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}
