//! Programs that run, and the ring that they fill.

use std::{
    any::Any,
    fmt,
    os::fd::{AsRawFd, RawFd},
    time::{Duration, Instant},
};

use aya::{
    Ebpf,
    maps::{HashMap, MapData, MapError, RingBuf},
};
use tracer_common::Hook;

use crate::plan::{Part, Skipped};

use super::{
    LoadError,
    misses::Misses,
    stats::{Counters, Stats},
};

/// How long calls under way, and programs that were already running when their link went away, may
/// take to finish.
const GRACE: Duration = Duration::from_millis(200);

/// `BPF_NOEXIST`: only a key that is not there yet.
const NOEXIST: u64 = 1;

/// An attachment, which ends when it is dropped.
pub(super) struct Link {
    _link: Box<dyn Any>,
    counts_calls: bool,
}

impl Link {
    pub(super) fn new(part: &Part, link: impl Any) -> Self {
        Self { _link: Box::new(link), counts_calls: part.counts_calls() }
    }
}

/// Programs that run, and the ring that they fill.
pub struct Attached {
    pub(super) links: Vec<Link>,
    pub(super) ring: RingBuf<MapData>,
    pub(super) stats: Stats,
    pub(super) misses: Vec<(Skipped, Misses)>,
    /// Ends of calls that were seen before calls were counted.
    pub(super) early: u64,
    pub(super) hook: Hook,
    #[cfg(feature = "log")]
    pub(super) kernel_log: Option<super::kernel_log::KernelLog>,
    /// Holds the programs and maps.
    pub(super) ebpf: Ebpf,
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

    /// The counters, as they are now.
    pub fn counters(&self) -> Counters {
        self.stats.read()
    }

    /// Executions, of all processes, that no program saw because the kernel skipped its run.
    ///
    /// A skipped return is none of a failed call's when the call was seen to succeed. In the fentry
    /// family `entered` counts the successful execs that were seen, `returned` their returns.
    pub fn skipped(&self) -> u64 {
        let returns = self.missed(Skipped::Return);
        let (seen, returned) = self.stats.read().calls();
        let failed = match self.hook {
            Hook::Fentry => (returns + self.missed(Skipped::Success) + returned).saturating_sub(seen),
            _ => returns + self.missed(Skipped::Success),
        };
        failed.min(returns + self.missed(Skipped::Success))
    }

    /// Returns of system calls of any kind that no program saw: failed execs may be among them.
    pub fn unseen_returns(&self) -> u64 {
        self.missed(Skipped::AnyCall)
    }

    fn missed(&self, kind: Skipped) -> u64 {
        self.misses.iter().filter(|(of, _)| *of == kind).map(|(_, misses)| misses.read()).sum()
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
    pub fn drain(&mut self, most: usize, mut record: impl FnMut(&[u8], &dyn Fn(u32) -> u64)) -> usize {
        let stats = &self.stats;
        let dropped = |cpu| stats.dropped(cpu);
        #[cfg(feature = "log")]
        if let Some(log) = &mut self.kernel_log {
            log.flush();
        }
        let mut count = 0;
        while count < most {
            let Some(item) = self.ring.next() else { break };
            record(&item, &dropped);
            count += 1;
        }
        count
    }

    /// Makes more processes part of the traced tree, those that are not in it yet; how many.
    pub fn follow(&mut self, pids: &[u32]) -> Result<u32, LoadError> {
        let mut new = 0;
        let map = self.ebpf.map_mut("TREE").ok_or(LoadError::Missing("map TREE"))?;
        let mut tree: HashMap<&mut MapData, u32, u32> =
            HashMap::try_from(map).map_err(|error| LoadError::Map { map: "TREE", error })?;
        for pid in pids {
            match tree.insert(pid, 1, NOEXIST) {
                Ok(()) => new += 1,
                Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::EEXIST) => {
                }
                Err(error) => return Err(LoadError::Map { map: "TREE", error }),
            }
        }
        self.roots += new;
        Ok(new)
    }

    /// Processes in the traced tree.
    pub fn tree_size(&self) -> i64 {
        i64::from(self.roots) + self.stats.read().tree_size()
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
