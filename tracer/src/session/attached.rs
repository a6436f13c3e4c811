//! Programs that run, and the ring that they fill.

use std::{
    any::Any,
    fmt, io,
    os::fd::{AsRawFd, RawFd},
    time::{Duration, Instant},
};

use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use tracer_common::Hook;

use super::stats::{Counters, Stats};

/// How long a program that was already running when its link went away may take to finish.
const GRACE: Duration = Duration::from_millis(200);

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
    records: u64,
    /// Holds the programs; what they count is asked of it.
    _ebpf: Ebpf,
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").field("hook", &self.hook).finish_non_exhaustive()
    }
}

/// Calls that the kernel did not show to a program, in total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    pub calls: u64,
}

impl Attached {
    pub(super) fn new(
        ebpf: Ebpf,
        hook: Hook,
        ring: RingBuf<MapData>,
        stats: Stats,
        links: Vec<Link>,
    ) -> io::Result<Self> {
        Ok(Self { links, ring, stats, hook, records: 0, _ebpf: ebpf })
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
        let mut count = 0;
        while count < most {
            let Some(item) = self.ring.next() else { break };
            record(&item);
            count += 1;
        }
        self.records += count as u64;
        count
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
