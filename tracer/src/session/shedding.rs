//! Tells the kernel side what to leave out, through shared memory: no system call, no capability.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::NonNull,
};

use tracer_common::Shed;

/// The map SHED, mapped into memory.
pub(super) struct Shedding {
    shed: NonNull<Shed>,
}

// SAFETY: the mapping is shared memory that this value alone writes to.
unsafe impl Send for Shedding {}

impl Shedding {
    pub(super) fn map(fd: BorrowedFd<'_>) -> io::Result<Self> {
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<Shed>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let shed =
            NonNull::new(address.cast()).ok_or_else(|| io::Error::other("mmap gave a null address"))?;
        Ok(Self { shed })
    }

    /// From now on this is left out. Each number is seen whole; an event under way may see some of the old ones.
    pub(super) fn set(&mut self, new: &Shed) {
        let shed = self.shed.as_ptr();
        // SAFETY: inside the mapping; the kernel side reads it meanwhile, hence volatile.
        unsafe {
            (&raw mut (*shed).fields).write_volatile(new.fields);
            let sample = (&raw mut (*shed).sample).cast::<u32>();
            for (class, one_of) in new.sample.iter().enumerate() {
                sample.add(class).write_volatile(*one_of);
            }
        }
    }
}

impl Drop for Shedding {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `map`, which nobody else knows.
        unsafe { libc::munmap(self.shed.as_ptr().cast(), size_of::<Shed>()) };
    }
}
