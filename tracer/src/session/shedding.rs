//! Tells the kernel side what to leave out, through shared memory: no system call, no capability.

use std::{io, os::fd::BorrowedFd};

use tracer_common::Shed;

use super::mapping::{Access, Mapping};

/// The map SHED, mapped into memory.
pub(super) struct Shedding {
    mapping: Mapping,
}

impl Shedding {
    pub(super) fn map(fd: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self { mapping: Mapping::new(fd, Access::Write, 0, size_of::<Shed>())? })
    }

    /// From now on this is left out. Each number is seen whole; an event under way may see some of the old ones.
    pub(super) fn set(&mut self, new: &Shed) {
        let shed = self.mapping.start().cast::<Shed>().as_ptr();
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
