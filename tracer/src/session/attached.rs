//! Programs that run, and the ring that they fill.

use std::{
    fmt, io,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    time::{Duration, Instant},
};

use tracer_common::{AliveEnd, Class, Header, Hook, Kind, Shed, bytes_of};

use crate::{
    overhead::Costs,
    plan::{Part, Plan, Skipped},
};

use super::{
    LoadError, bpf,
    fdinfo::FdInfo,
    gate::Judgement,
    maps::{self, Inserted, Maps},
    meter::{Meter, Statistics},
    ring::Ring,
    shedding::Shedding,
    snapshot::{Snapshot, SnapshotCounts},
    stats::{Counters, Stats},
};

/// How long calls under way, and programs that were already running when their link went away, may
/// take to finish.
const GRACE: Duration = Duration::from_millis(200);

/// An attachment, which ends when it is dropped.
pub(super) struct Link {
    _link: OwnedFd,
    counts_calls: bool,
}

impl Link {
    pub(super) fn new(part: &Part, link: OwnedFd) -> Self {
        Self { _link: link, counts_calls: part.counts_calls() }
    }
}

/// Programs that run, and the ring that they fill.
pub struct Attached {
    pub(super) links: Vec<Link>,
    /// The processes that there are, to be read, or why they cannot be; `None`: nobody asked, or they have been read.
    pub(super) snapshot: Option<Result<Snapshot, String>>,
    pub(super) ring: Ring,
    pub(super) stats: Stats,
    pub(super) misses: Vec<(Skipped, FdInfo)>,
    /// Ends of calls that were seen before calls were counted.
    pub(super) early: u64,
    pub(super) hook: Hook,
    #[cfg(feature = "log")]
    pub(super) kernel_log: Option<super::kernel_log::KernelLog>,
    /// For as long as /proc is asked what was skipped.
    pub(super) programs: Vec<(Part, OwnedFd)>,
    /// If costs are wanted.
    pub(super) meter: Option<Meter>,
    /// If the run is governed.
    pub(super) shedding: Option<Shedding>,
    pub(super) maps: Maps,
    pub(super) judged: Vec<Judgement>,
    /// Processes that user space made part of the tree.
    pub(super) roots: u32,
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").field("hook", &self.hook).finish_non_exhaustive()
    }
}

impl Attached {
    /// The family that is attached.
    pub fn hook(&self) -> Hook {
        self.hook
    }

    /// What the pre-check said of each program, all of which the kernel took; empty if it was not asked.
    pub fn judged(&self) -> &[Judgement] {
        &self.judged
    }

    /// The counters, as they are now.
    pub fn counters(&self) -> Counters {
        self.stats.read()
    }

    /// Executions, of all processes, that no program saw because the kernel skipped its run.
    ///
    /// In the fentry family `entered` counts the successful execs that were seen, and `returned`
    /// the returns of successful ones that were seen. At rest
    ///
    /// ```text
    /// calls = failures seen + returned + skipped returns
    /// seen  = failures seen + entered
    /// ```
    ///
    /// so `calls - seen = returned + skipped returns - entered`. Calls under way at the first or the
    /// last moment make it inexact by as many; no more than what was skipped was lost.
    pub fn skipped(&self) -> u64 {
        let (returns, successes) = (self.missed(Skipped::Return), self.missed(Skipped::Success));
        match self.hook {
            Hook::Fentry => {
                let (entered, returned) = self.stats.read().calls();
                (returned + returns).saturating_sub(entered).min(returns + successes)
            }
            Hook::Kprobe | Hook::Tracepoint => successes,
        }
    }

    /// Returns of system calls of any kind that no program saw: failed execs may be among them.
    pub fn unseen_returns(&self) -> u64 {
        self.missed(Skipped::AnyCall)
    }

    /// Opens what it takes to say what the run costs, and to leave something out, while there is privilege.
    pub(super) fn measure(&mut self, statistics: Statistics, plan: &Plan) -> Result<(), LoadError> {
        let programs = self.programs.iter().map(|(part, fd)| (part.program, fd.as_fd()));
        let meter = Meter::new(statistics, programs, self.maps.all(), &self.ring);
        self.meter = Some(meter.map_err(LoadError::Meter)?);
        if plan.wishes.governed {
            let shed = self.maps.named("SHED").ok_or(LoadError::Missing("map SHED"))?;
            let fail = |error| LoadError::Map { map: "SHED".to_owned(), what: "mapped into memory", error };
            self.shedding = Some(Shedding::map(shed).map_err(fail)?);
        }
        Ok(())
    }

    /// What the run has cost so far; `None` if nobody asked ([`crate::plan::Wishes::stats`]).
    pub fn costs(&self) -> Option<Costs> {
        self.meter.as_ref().map(Meter::costs)
    }

    /// Processor time of the programs and of this process so far: as [`Costs::spent_ns`], for less.
    pub fn spent_ns(&self) -> u64 {
        self.meter.as_ref().map_or(0, Meter::spent_ns)
    }

    /// From now on this is left out, if the run is governed ([`crate::plan::Wishes::governed`]).
    pub fn leave_out(&mut self, shed: &Shed) {
        if let Some(shedding) = &mut self.shedding {
            shedding.set(shed);
        }
    }

    /// Births and ends, threads' among them, that no program saw because the kernel skipped its run.
    pub fn skipped_lives(&self) -> (u64, u64) {
        (self.missed(Skipped::Birth), self.missed(Skipped::End))
    }

    fn missed(&self, kind: Skipped) -> u64 {
        self.misses.iter().filter(|(of, _)| *of == kind).map(|(_, info)| info.read().skipped).sum()
    }

    /// Calls whose return the kernel did not show, or is still to show.
    pub fn pending_returns(&self) -> u64 {
        match self.hook {
            Hook::Kprobe => {
                let (called, ended) = self.stats.read().calls();
                (called + self.early).saturating_sub(ended)
            }
            Hook::Fentry | Hook::Tracepoint => 0,
        }
    }

    /// Hands every record that is in the ring to `record`, `most` at the most; how many there were.
    /// With each comes a look at a CPU's count of drops, as it is at that very moment: what was
    /// dropped before the record was made is in it.
    pub fn drain(&mut self, most: usize, mut record: impl FnMut(&[u8], &dyn Fn(u32, Class) -> u64)) -> usize {
        if let Some(meter) = &mut self.meter {
            meter.look_at_ring(&self.ring);
        }
        let stats = &self.stats;
        let dropped = |cpu, class| stats.dropped(cpu, class);
        #[cfg(feature = "log")]
        if let Some(log) = &mut self.kernel_log {
            log.flush();
        }
        let mut count = 0;
        while count < most {
            if !self.ring.take(|bytes| record(bytes, &dropped)) {
                break;
            }
            count += 1;
        }
        count
    }

    /// Tells the processes that there are, once: hands their records, and all that comes between them, to `record`,
    /// as [`Self::drain`] does. `None`: nobody asked.
    ///
    /// # Errors
    /// Why they cannot be told.
    pub fn snapshot(
        &mut self,
        mut record: impl FnMut(&[u8], &dyn Fn(u32, Class) -> u64),
    ) -> Option<Result<SnapshotCounts, String>> {
        let mut snapshot = match self.snapshot.take()? {
            Ok(snapshot) => snapshot,
            Err(reason) => return Some(Err(reason)),
        };
        loop {
            let more = snapshot.go_on();
            self.drain(usize::MAX, &mut record);
            match more {
                Ok(true) => {}
                Ok(false) => {
                    let counts = snapshot.counts();
                    // A record like the others, which cannot be lost: so it is made here.
                    let header = Header {
                        size: size_of::<AliveEnd>() as u32,
                        kind: Kind::AliveEnd as u16,
                        ..Header::default()
                    };
                    let end = AliveEnd { header, told: counts.told, dropped: counts.dropped };
                    record(bytes_of(&end), &|_, _| 0);
                    return Some(Ok(counts));
                }
                Err(error) => return Some(Err(format!("it cannot be read: {error}"))),
            }
        }
    }

    /// Makes more processes part of the traced tree, those that are not in it yet; how many.
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

    /// Processes in the traced tree, with those whose end no program saw ([`Self::skipped_lives`]).
    pub fn tree_size(&self) -> i64 {
        i64::from(self.roots) + self.stats.read().tree_size()
    }

    /// Which they are.
    ///
    /// # Errors
    /// The kernel does not show the map, as before 5.19 without privilege.
    pub fn tree(&self) -> io::Result<Vec<u32>> {
        let Some(map) = self.maps.named("TREE") else { return Ok(Vec::new()) };
        let mut pids: Vec<u32> = Vec::new();
        let mut next = [0; 4];
        loop {
            let before = pids.last().map(|pid| pid.to_ne_bytes());
            if !bpf::map_next_key(map, before.as_ref().map(<[u8; 4]>::as_slice), &mut next)? {
                return Ok(pids);
            }
            pids.push(u32::from_ne_bytes(next));
            // A key that is removed meanwhile has the kernel begin anew.
            if pids.len() as i64 > self.tree_size() + i64::from(u16::MAX) {
                return Ok(pids);
            }
        }
    }

    /// Detaches everything. Programs that were already running finish; what they and the ring still
    /// hold can be drained afterwards.
    pub fn detach(&mut self) {
        self.links.retain(|link| !link.counts_calls);
        let start = Instant::now();
        while self.pending_returns() > 0 && start.elapsed() < GRACE {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.links.clear();
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
