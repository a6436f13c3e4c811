//! The kernel side's counters, read through shared memory: no system call, no capability.

use std::{io, os::fd::BorrowedFd};

use tracer_common::{Class, ClassStats, CpuStats};

use super::mapping::{Access, Mapping};

/// The map STATS, mapped into memory.
pub(super) struct Stats {
    mapping: Mapping,
    cpus: usize,
}

impl Stats {
    pub(super) fn map(fd: BorrowedFd<'_>, cpus: u32) -> io::Result<Self> {
        let cpus = cpus as usize;
        Ok(Self { mapping: Mapping::new(fd, Access::Read, 0, cpus * size_of::<CpuStats>())?, cpus })
    }

    /// A CPU's count of drops of a class, as it is now; 0 for a CPU that does not exist.
    pub(super) fn dropped(&self, cpu: u32, class: Class) -> u64 {
        let block = cpu as usize * size_of::<CpuStats>();
        let account = class as usize * size_of::<ClassStats>();
        self.mapping.word(block + account + std::mem::offset_of!(ClassStats, dropped))
    }

    /// The counters of every CPU, as they are now.
    pub(super) fn read(&self) -> Counters {
        let cpus = (0..self.cpus).map(|cpu| {
            // SAFETY: inside the mapping; the kernel writes there meanwhile, hence volatile.
            unsafe { self.mapping.start().cast::<CpuStats>().add(cpu).read_volatile() }
        });
        Counters { cpus: cpus.collect() }
    }
}

/// A snapshot of the counters, by CPU.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    pub cpus: Vec<CpuStats>,
}

impl Counters {
    fn sum(&self, counter: impl Fn(&CpuStats) -> u64) -> u64 {
        self.cpus.iter().map(counter).sum()
    }

    /// Events produced, delivered or not.
    pub fn produced(&self) -> u64 {
        self.sum(|c| c.classes.iter().map(|class| class.seq).sum())
    }

    /// The same of one class, and of these those that found no room.
    pub fn produced_of(&self, class: Class) -> u64 {
        self.sum(|c| c.classes[class as usize].seq)
    }

    pub fn dropped_of(&self, class: Class) -> u64 {
        self.sum(|c| c.classes[class as usize].dropped)
    }

    /// Events that found no room in the ring.
    pub fn dropped(&self) -> u64 {
        self.sum(|c| c.classes.iter().map(|class| class.dropped).sum())
    }

    /// Events of a class that were not produced because the run sheds load.
    pub fn withheld(&self, class: Class) -> u64 {
        self.sum(|c| c.classes[class as usize].withheld)
    }

    /// Processes in the traced tree, those that it started with left aside.
    pub fn tree_size(&self) -> i64 {
        self.sum(|c| c.tree_entered) as i64 - self.sum(|c| c.tree_left) as i64
    }

    /// Processes that found no room in the traced tree.
    pub fn tree_full(&self) -> u64 {
        self.sum(|c| c.tree_full)
    }

    /// The counters of calls (tracer-common, `CpuStats::entered` and `returned`).
    pub fn calls(&self) -> (u64, u64) {
        (self.sum(|c| c.entered), self.sum(|c| c.returned))
    }
}
