//! Memory that is shared with the kernel: maps and rings, read and written without a system call or a capability.
//!
//! *Invariant:* a mapping belongs to one value, and ends with it; everything in it is accessed as what somebody else
//! writes meanwhile.
//!
//! *Must not know:* what lies in it.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::NonNull,
};

/// What may be done with the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// Shared memory of a descriptor.
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone.
unsafe impl Send for Mapping {}

impl Mapping {
    /// `len` bytes from `offset` on, which is a multiple of the page size.
    pub(super) fn new(fd: BorrowedFd<'_>, access: Access, offset: u64, len: usize) -> io::Result<Self> {
        let offset = i64::try_from(offset).map_err(io::Error::other)?;
        let protection = match access {
            Access::Read => libc::PROT_READ,
            Access::Write => libc::PROT_READ | libc::PROT_WRITE,
        };
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let address = unsafe {
            libc::mmap(std::ptr::null_mut(), len, protection, libc::MAP_SHARED, fd.as_raw_fd(), offset)
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start =
            NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mmap gave a null address"))?;
        Ok(Self { start, len })
    }

    /// Where it begins: at a page.
    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// How many bytes it has.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The word at an offset, as it is now; 0 beyond the end.
    pub(super) fn word(&self, offset: usize) -> u64 {
        if !offset.is_multiple_of(8) || offset + 8 > self.len {
            return 0;
        }
        // SAFETY: inside the mapping, and aligned; somebody else writes there meanwhile, hence volatile.
        unsafe { self.start.add(offset).cast::<u64>().read_volatile() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, which nobody else knows.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
