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

use super::{
    LoadError,
    stats::{Counters, Stats},
};

/// How long a program that was already running when its link went away may take to finish.
const GRACE: Duration = Duration::from_millis(200);

/// `BPF_NOEXIST`: only a key that is not there yet.
const NOEXIST: u64 = 1;

/// An attachment, which ends when it is dropped.
pub(super) struct Link {
    _link: Box<dyn Any>,
}

impl Link {
    pub(super) fn new(link: impl Any) -> Self {
        Self { _link: Box::new(link) }
    }
}

/// Programs that run, and the ring that they fill.
pub struct Attached {
    links: Vec<Link>,
    ring: RingBuf<MapData>,
    stats: Stats,
    hook: Hook,
    #[cfg(feature = "log")]
    kernel_log: Option<super::kernel_log::KernelLog>,
    /// Holds the programs and maps.
    ebpf: Ebpf,
    /// Processes that user space made part of the tree.
    roots: u32,
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").field("hook", &self.hook).finish_non_exhaustive()
    }
}

impl Attached {
    pub(super) fn new(
        #[cfg_attr(not(feature = "log"), expect(unused_mut, reason = "the log takes its map"))]
        mut ebpf: Ebpf,
        hook: Hook,
        ring: RingBuf<MapData>,
        stats: Stats,
        links: Vec<Link>,
        roots: u32,
    ) -> Self {
        Self {
            links,
            ring,
            stats,
            hook,
            #[cfg(feature = "log")]
            kernel_log: super::kernel_log::KernelLog::new(&mut ebpf),
            ebpf,
            roots,
        }
    }

    /// The family that is attached.
    pub fn hook(&self) -> Hook {
        self.hook
    }

    /// The counters, as they are now.
    pub fn counters(&self) -> Counters {
        self.stats.read()
    }

    /// Hands every record that is in the ring to `record`, `most` at the most; how many there were.
    pub fn drain(&mut self, most: usize, mut record: impl FnMut(&[u8])) -> usize {
        #[cfg(feature = "log")]
        if let Some(log) = &mut self.kernel_log {
            log.flush();
        }
        let mut count = 0;
        while count < most {
            let Some(item) = self.ring.next() else { break };
            record(&item);
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
        // In the order of attachment: entries are no longer counted before returns are not.
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
