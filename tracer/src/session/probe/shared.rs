//! Numbers that the kernel side counts, read through shared memory: no system call, no capability.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::NonNull,
};

/// An array of 64-bit numbers, mapped into memory.
pub(super) struct Shared {
    numbers: NonNull<u64>,
    len: usize,
}

// SAFETY: the mapping is read-only shared memory, and belongs to this value alone.
unsafe impl Send for Shared {}

impl Shared {
    /// `len` numbers: all that the array's elements are made of.
    pub(super) fn map(fd: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len * size_of::<u64>(),
                libc::PROT_READ,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let numbers =
            NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mmap gave a null address"))?;
        Ok(Self { numbers, len })
    }

    /// A number as it is now; 0 beyond the end.
    pub(super) fn get(&self, index: usize) -> u64 {
        if index >= self.len {
            return 0;
        }
        // SAFETY: inside the mapping; the kernel writes there meanwhile, hence volatile.
        unsafe { self.numbers.add(index).read_volatile() }
    }

    /// The numbers of one column, in rows of `stride` numbers.
    pub(super) fn column(&self, column: usize, stride: usize) -> impl Iterator<Item = u64> {
        (column..self.len).step_by(stride.max(1)).map(|index| self.get(index))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `map`, which nobody else knows.
        unsafe { libc::munmap(self.numbers.as_ptr().cast(), self.len * size_of::<u64>()) };
    }
}
