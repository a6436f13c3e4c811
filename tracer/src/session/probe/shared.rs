//! Numbers that the kernel side counts, read through shared memory: no system call, no capability.

use std::{io, os::fd::BorrowedFd};

use crate::session::mapping::{Access, Mapping};

/// An array of 64-bit numbers, mapped into memory.
pub(super) struct Shared {
    numbers: Mapping,
}

impl Shared {
    /// `len` numbers: all that the array's elements are made of.
    pub(super) fn map(fd: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        Ok(Self { numbers: Mapping::new(fd, Access::Read, 0, len * size_of::<u64>())? })
    }

    /// A number as it is now; 0 beyond the end.
    pub(super) fn get(&self, index: usize) -> u64 {
        self.numbers.word(index * size_of::<u64>())
    }

    /// The numbers of one column, in rows of `stride` numbers.
    pub(super) fn column(&self, column: usize, stride: usize) -> impl Iterator<Item = u64> {
        (column..self.numbers.len() / size_of::<u64>()).step_by(stride.max(1)).map(|index| self.get(index))
    }
}
