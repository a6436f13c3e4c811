//! What a run costs: its programs' time, its ring, its memory, and this process.
//!
//! *Invariant:* everything that takes privilege is opened when the meter is made; reading takes none.
//!
//! *Must not know:* what is too much, and what becomes of it.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::FileExt,
    },
};

use super::{bpf, fdinfo::FdInfo, ring::Ring};
use crate::overhead::{Costs, OwnCost, ProgramCost, RingUse};

/// Where the kernel says whether it keeps statistics for everybody.
const FOR_EVERYBODY: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// The kernel counts the runs of BPF programs, and their time, for as long as this lives.
pub(super) struct Statistics {
    /// `None`: it does so anyway.
    _on: Option<OwnedFd>,
}

impl Statistics {
    pub(super) fn enable() -> io::Result<Self> {
        match bpf::enable_run_time_stats() {
            Ok(on) => Ok(Self { _on: Some(on) }),
            Err(error) => {
                let anyway = std::fs::read_to_string(FOR_EVERYBODY).is_ok_and(|text| text.trim() == "1");
                if anyway { Ok(Self { _on: None }) } else { Err(error) }
            }
        }
    }
}

/// Reads what a run costs.
pub(super) struct Meter {
    _statistics: Statistics,
    programs: Vec<(String, FdInfo)>,
    maps: Vec<FdInfo>,
    /// Before 6.4 the kernel counts no byte of a ring (kernel/bpf/syscall.c, `bpf_map_memory_footprint`).
    ring_info: FdInfo,
    ring: RingUse,
    own: Own,
}

impl Meter {
    /// Of these programs and maps, and of the ring, which is not among the maps.
    pub(super) fn new<'f>(
        statistics: Statistics,
        programs: impl Iterator<Item = (&'f str, BorrowedFd<'f>)>,
        maps: impl Iterator<Item = BorrowedFd<'f>>,
        ring: &'f Ring,
    ) -> io::Result<Self> {
        let programs = programs.map(|(name, fd)| Ok((name.to_owned(), FdInfo::of(fd)?)));
        Ok(Self {
            _statistics: statistics,
            programs: programs.collect::<io::Result<_>>()?,
            maps: maps.map(FdInfo::of).collect::<io::Result<_>>()?,
            ring_info: FdInfo::of(ring.as_fd())?,
            ring: RingUse { bytes: ring.size(), high_water_bytes: 0 },
            own: Own { statm: File::open("/proc/self/statm")? },
        })
    }

    /// Looks how full the ring is: before it is emptied.
    pub(super) fn look_at_ring(&mut self, ring: &Ring) {
        self.ring.high_water_bytes = self.ring.high_water_bytes.max(ring.used());
    }

    /// Processor time of the programs and of this process so far.
    pub(super) fn spent_ns(&self) -> u64 {
        let programs: u64 = self.programs.iter().map(|(_, info)| info.read().time_ns).sum();
        let (user, system, _) = usage();
        programs + user + system
    }

    pub(super) fn costs(&self) -> Costs {
        let ring = self.ring;
        let mut bpf_bytes = self.ring_info.read().memory.max(ring.bytes);
        bpf_bytes += self.maps.iter().map(|info| info.read().memory).sum::<u64>();
        let program = |(name, info): &(String, FdInfo)| {
            let said = info.read();
            bpf_bytes += said.memory;
            ProgramCost { name: name.clone(), runs: said.runs, time_ns: said.time_ns, skipped: said.skipped }
        };
        let programs = self.programs.iter().map(program).collect();
        Costs { programs, ring, own: self.own.read(), bpf_bytes }
    }
}

/// This process.
struct Own {
    statm: File,
}

impl Own {
    fn read(&self) -> OwnCost {
        let (user_ns, system_ns, peak_bytes) = usage();
        let mut text = [0; 128];
        let n = self.statm.read_at(&mut text, 0).unwrap_or(0);
        let text = String::from_utf8_lossy(text.get(..n).unwrap_or_default());
        let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
        let resident_bytes = pages * 4096;
        // The peak is counted with some delay.
        OwnCost { user_ns, system_ns, resident_bytes, peak_bytes: peak_bytes.max(resident_bytes) }
    }
}

/// Time in user and in kernel mode, in nanoseconds, and the most resident memory, in bytes: getrusage(2).
fn usage() -> (u64, u64, u64) {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is writable; zeroes are a value of it, should the call fail.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let ns = |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1_000;
    (ns(usage.ru_utime), ns(usage.ru_stime), usage.ru_maxrss as u64 * 1024)
}
