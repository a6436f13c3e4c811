//! How full the ring is: its two positions, read through shared memory.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::NonNull,
};

use crate::overhead::RingUse;

/// Of x86-64, the one architecture that we know.
const PAGE: usize = 4096;

/// The ring's positions: kernel/bpf/ringbuf.c, `struct bpf_ringbuf`: how far it is read in the first page, how far it is
/// written in the second, both counted in bytes since its creation.
pub(super) struct RingLevel {
    pages: NonNull<u8>,
    bytes: u64,
    high_water: u64,
}

// SAFETY: the mapping is read-only shared memory, and belongs to this value alone.
unsafe impl Send for RingLevel {}

impl RingLevel {
    pub(super) fn map(ring: BorrowedFd<'_>, bytes: u64) -> io::Result<Self> {
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let address = unsafe {
            libc::mmap(std::ptr::null_mut(), 2 * PAGE, libc::PROT_READ, libc::MAP_SHARED, ring.as_raw_fd(), 0)
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let pages =
            NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mmap gave a null address"))?;
        Ok(Self { pages, bytes, high_water: 0 })
    }

    /// Looks how full it is.
    pub(super) fn look(&mut self) {
        // SAFETY: both pages are mapped, and begin with a position; the kernel and the reader write them
        // meanwhile, hence volatile.
        let (read, written) = unsafe {
            let read = self.pages.cast::<u64>().read_volatile();
            (read, self.pages.add(PAGE).cast::<u64>().read_volatile())
        };
        self.high_water = self.high_water.max(written.saturating_sub(read).min(self.bytes));
    }

    pub(super) fn level(&self) -> RingUse {
        RingUse { bytes: self.bytes, high_water_bytes: self.high_water }
    }
}

impl Drop for RingLevel {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `map`, which nobody else knows.
        unsafe { libc::munmap(self.pages.as_ptr().cast(), 2 * PAGE) };
    }
}
