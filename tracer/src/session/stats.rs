//! The kernel side's counters, read through shared memory: no system call, no capability.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::NonNull,
};

use tracer_common::{Class, CpuStats};

/// The map STATS, mapped into memory.
pub(super) struct Stats {
    blocks: NonNull<CpuStats>,
    cpus: usize,
    bytes: usize,
}

// SAFETY: the mapping is read-only shared memory, and belongs to this value alone.
unsafe impl Send for Stats {}

impl Stats {
    pub(super) fn map(fd: BorrowedFd<'_>, cpus: u32) -> io::Result<Self> {
        let cpus = cpus as usize;
        let bytes = cpus * size_of::<CpuStats>();
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let address = unsafe {
            libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ, libc::MAP_SHARED, fd.as_raw_fd(), 0)
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let blocks =
            NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mmap gave a null address"))?;
        Ok(Self { blocks, cpus, bytes })
    }

    /// A CPU's count of drops of a class, as it is now; 0 for a CPU that does not exist.
    pub(super) fn dropped(&self, cpu: u32, class: Class) -> u64 {
        let cpu = cpu as usize;
        if cpu >= self.cpus {
            return 0;
        }
        // SAFETY: inside the mapping; the kernel writes there meanwhile, hence volatile.
        unsafe {
            let block = self.blocks.add(cpu).as_ptr();
            (&raw const (*block).classes[class as usize].dropped).read_volatile()
        }
    }

    /// The counters of every CPU, as they are now.
    pub(super) fn read(&self) -> Counters {
        let cpus = (0..self.cpus).map(|cpu| {
            // SAFETY: inside the mapping; the kernel writes there meanwhile, hence volatile.
            unsafe { self.blocks.add(cpu).read_volatile() }
        });
        Counters { cpus: cpus.collect() }
    }
}

impl Drop for Stats {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `map`, which nobody else knows.
        unsafe { libc::munmap(self.blocks.as_ptr().cast(), self.bytes) };
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
