//! Where a process is: its control groups, by number in each event, by name once.
//!
//! A host has one v2 hierarchy, and may have hierarchies of v1, of which up to [`V1_HIERARCHIES`] are looked at.
//! A path is sent before the first event that names its group; user space keeps it.

use crate::{Header, plain};

/// How many v1 hierarchies are looked at.
pub const V1_HIERARCHIES: usize = 2;

/// Ids of a process' control groups: inode numbers of their directories, unique within their hierarchy.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cgroups {
    /// In the v2 hierarchy.
    pub v2: u64,
    /// In the v1 hierarchies that [`crate::Knobs::hierarchies`] names, in that order; 0 where there is none, or
    /// where it could not be read.
    pub v1: [u64; V1_HIERARCHIES],
}
plain!(Cgroups, 24);

/// A control group's path. Its components follow from the last to the first, each followed by a NUL byte, without
/// the root, as those of a file's path do in [`crate::Exec`].
///
/// It is no event: it has no number, and if it finds no room in the ring it is sent again before the next event.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CgroupPath {
    pub header: Header,
    /// The group, and the hierarchy that it is of: 0 for v2, else the number in the first column of
    /// /proc/PID/cgroup.
    pub id: u64,
    pub hierarchy: u32,
    /// Bits of [`crate::cgroup_cut`].
    pub cut: u32,
    /// Length of the components.
    pub len: u32,
    pub reserved: u32,
}
plain!(CgroupPath, 56);

/// Bits of [`CgroupPath::cut`].
pub mod cgroup_cut {
    /// It has more components, or bytes, than the kernel side copies: its beginning is missing.
    pub const START: u32 = 1 << 0;
    /// A read failed: its beginning is missing.
    pub const UNREAD: u32 = 1 << 1;
}
