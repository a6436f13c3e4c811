//! The processes that there are when a trace begins, out of the kernel's own list.
//!
//! The programs are attached before it is read, so that what begins or ends meanwhile is told by them too: a process
//! may be told twice, but none is missed.
//!
//! *Must not know:* what a record says.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd},
};

use super::{
    bpf,
    mapping::{Access, Mapping},
};

/// How many tasks are told with one read: the program writes a byte for each (tracer-ebpf, `hooks/iter.rs`).
const TASKS: usize = 256;
/// Space for the program's counts: `told` and `dropped`.
const COUNTS: usize = 16;

/// An iterator over the tasks, ready to be read.
pub(super) struct Snapshot {
    iterator: File,
    counts: Mapping,
}

/// What a snapshot came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotCounts {
    /// Processes that were told, and those that found no room in the ring.
    pub told: u64,
    pub dropped: u64,
}

impl Snapshot {
    pub(super) fn open(program: BorrowedFd<'_>, counts: BorrowedFd<'_>) -> io::Result<Self> {
        let link = bpf::iterator_link(program)?;
        let iterator = File::from(bpf::iterator(link.as_fd())?);
        Ok(Self { iterator, counts: Mapping::new(counts, Access::Read, 0, COUNTS)? })
    }

    /// Tells some tasks more; false at the end of the list. The ring has to be emptied in between.
    pub(super) fn go_on(&mut self) -> io::Result<bool> {
        let mut bytes = [0; TASKS];
        loop {
            match self.iterator.read(&mut bytes) {
                Ok(read) => return Ok(read > 0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn counts(&self) -> SnapshotCounts {
        let [told, dropped] = [0, 8].map(|at| self.counts.word(at));
        SnapshotCounts { told, dropped }
    }
}
