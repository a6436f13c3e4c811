//! What a run of probes tells the kernel side before it is loaded, and how an aggregation is kept.

use crate::{plain, probe::MAX_KEYS};

/// Switches of one run of probes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbeKnobs {
    /// Bits of [`crate::filter`], those about who.
    pub filters: u32,
    /// One of [`mode`].
    pub mode: u32,
    /// Bits of [`run`].
    pub flags: u32,
    /// One of so many hits becomes an event; 1: each.
    pub sample: u32,
    /// Most events a second; 0: no limit.
    pub rate: u32,
    /// How many points there are.
    pub points: u32,
    /// Where a point's count lies in the map `COUNTS`: `(cpu & counts_mask) * counts_stride + point`. A stride is whole
    /// lines of cache, so that CPUs do not wait for each other.
    pub counts_mask: u32,
    pub counts_stride: u32,
    /// Bytes of a record that are kept from entry to return; 0: only that there was an entry.
    pub saved: u32,
    /// Blocks of working memory per CPU.
    pub blocks: u32,
    /// Level of the cgroup that is filtered for, in the v2 hierarchy.
    pub cgroup_level: u32,
    /// Offset of `task_struct.thread_info.status`, or [`crate::ABSENT`].
    pub task_status: u32,
    /// Id of that cgroup.
    pub cgroup_id: u64,
    /// A linear histogram: where it begins, the width of a bucket, and how many there are.
    pub linear_from: u64,
    pub linear_step: u64,
    pub linear_buckets: u64,
}
plain!(ProbeKnobs, 80);

/// What becomes of a hit: [`ProbeKnobs::mode`].
pub mod mode {
    /// A record each.
    pub const STREAM: u32 = 0;
    /// A number per point, in the map `COUNTS`: no key, no filter over values.
    pub const COUNT: u32 = 1;
    /// A number per [`super::Key`], in the map `GROUPS`.
    pub const GROUP: u32 = 2;
    /// The same, and by powers of two of what is measured.
    pub const LOG2: u32 = 3;
    /// The same, and by buckets of equal width.
    pub const LINEAR: u32 = 4;
}

/// Bits of [`ProbeKnobs::flags`].
pub mod run {
    pub const KERNEL_STACK: u32 = 1 << 0;
    pub const USER_STACK: u32 = 1 << 1;
    /// Some point reads values, or has a filter.
    pub const VALUES: u32 = 1 << 2;
    /// Some point has a filter.
    pub const FILTER: u32 = 1 << 3;
    /// This kernel has cgroups (the helper that reads the id exists).
    pub const CGROUPS: u32 = 1 << 4;
    /// This kernel's atomic instructions can fetch (since 5.12).
    pub const FETCH_ADD: u32 = 1 << 5;
    /// Some point's entry and return are joined.
    pub const PAIRS: u32 = 1 << 6;
}

/// What one program, or one clone of it, knows about its place.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Here {
    /// The point's number; [`COOKIE`]: the attachment's cookie says it.
    pub point: u32,
    /// How many arguments a trampoline brings.
    pub arguments: u32,
    /// 1: the stack pointer is right where a function returns.
    pub stack_pointer: u32,
    pub reserved: u32,
}
plain!(Here, 16);

/// A [`Here::point`] that only the attachment knows.
pub const COOKIE: u32 = u32::MAX;

/// An element of the map `SYSCALLS`: the point's number plus one, and at which moments it is hit.
pub mod syscall {
    pub const POINT: u32 = (1 << 24) - 1;
    pub const AT_ENTRY: u32 = 1 << 30;
    pub const AT_RETURN: u32 = 1 << 31;
}

/// Longest text in a key, in bytes: a longer one is kept as its first bytes and its length.
pub const KEY_TEXT: usize = 64;

/// A key of the map `GROUPS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The point's number, if the aggregation has no keys; else 0.
    pub point: u32,
    /// The histogram's bucket, see [`bucket`].
    pub bucket: u32,
    /// Numbers as they are; of a text its length; of a value that could not be read 0.
    pub parts: [u64; MAX_KEYS],
    /// Bit i: part i could not be read, or the point has none.
    pub unreadable: u16,
    /// Bit i: part i is a text, which is longer than its limit.
    pub cut: u16,
    /// Bit i: part i is the text.
    pub texts: u16,
    /// Bit i: part i is the comm.
    pub comms: u16,
    /// The comm, if it is a part.
    pub comm: [u8; 16],
    /// The text, if one is a part.
    pub text: [u8; KEY_TEXT],
}
plain!(Key, 128);

impl Default for Key {
    fn default() -> Self {
        Self {
            point: 0,
            bucket: 0,
            parts: [0; MAX_KEYS],
            unreadable: 0,
            cut: 0,
            texts: 0,
            comms: 0,
            comm: [0; 16],
            text: [0; KEY_TEXT],
        }
    }
}

/// Numbers of a histogram's buckets.
pub mod bucket {
    /// By powers of two: below zero.
    pub const NEGATIVE: u32 = 0;
    /// By powers of two: zero. From here on, bucket `2 + k` is `2^k ..= 2^(k+1) - 1`.
    pub const ZERO: u32 = 1;
    /// Linear: below where it begins. Bucket `1 + k` is `from + k * step .. from + (k + 1) * step`; the one after
    /// the last is everything above.
    pub const BELOW: u32 = 0;
}

/// What a call under way is known by: the task, and how many calls it had under way before.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallKey {
    pub task: u64,
    pub depth: u64,
}
plain!(CallKey, 16);

/// Most calls under way that one thread can have.
pub const MAX_CALLS: usize = 32;

/// A call under way.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Where on the stack it was seen: the same, or nearly, at its return.
    pub at: u64,
    pub boot_ns: u64,
    pub point: u32,
    /// 1: a filter has rejected it.
    pub forgotten: u16,
    /// Which sort of place `at` is.
    pub class: u16,
}
plain!(Call, 24);

/// A thread's calls under way.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    pub depth: u64,
    pub calls: [Call; MAX_CALLS],
}
plain!(Calls, 776);
