//! Which v1 hierarchies of control groups this host has.

use std::{fs, io};

use tracer_common::V1_HIERARCHIES;

use crate::place;

/// The ones that tell where a process is, by number; 0: none. All processes are in all hierarchies, so the own process
/// shows them, and whatever namespace it is in the numbers are the kernel's.
///
/// # Errors
/// If /proc cannot be read. A kernel without control groups has no hierarchies.
pub fn v1_hierarchies() -> io::Result<[u32; V1_HIERARCHIES]> {
    match fs::read("/proc/self/cgroup") {
        Ok(text) => Ok(place::hierarchies(&String::from_utf8_lossy(&text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok([0; V1_HIERARCHIES]),
        Err(error) => Err(error),
    }
}
