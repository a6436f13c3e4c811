//! The wire contract between tracer's kernel side and its user side.
//!
//! One file per record. Everything here is `#[repr(C)]`, free of padding that could leak kernel
//! memory, and its size is asserted at compile time, so that both sides of the ring agree.
//!
//! *Invariant:* a record starts with a [`Header`]; its `size` is the length of the whole record.
//!
//! *Must not know:* how a record is produced (hooks, helpers) or what becomes of it (events, JSON).
#![no_std]

pub mod aggregate;
mod cgroup;
mod chunk;
mod exec;
mod header;
pub mod kfunc;
mod knobs;
mod life;
pub mod probe;
mod stats;

pub use cgroup::{CgroupPath, Cgroups, V1_HIERARCHIES, cgroup_cut};
pub use chunk::{CHUNK_BYTES, Chunk, Stream};
pub use exec::{Exec, MAX_UNREADABLE, cut, field, flag};
pub use header::{Header, Hook, Kind};
pub use knobs::{ABSENT, Knobs, Offsets, Shed, filter, follow, shed};
pub use life::{Alive, AliveEnd, Exit, Fork, exit_field, life_flag};
pub use stats::{Class, ClassStats, CpuStats};

/// A type whose every byte pattern is a value and which has no padding: it can be read from, and
/// written to, a ring buffer or a map as plain bytes.
///
/// # Safety
/// Implementors are `#[repr(C)]`, have no padding, and are valid for any bit pattern.
pub unsafe trait Plain: Copy + 'static {}

macro_rules! integers {
    ($($type:ty),*) => {
        // SAFETY: integers.
        $(unsafe impl Plain for $type {})*
    };
}
integers!(u8, u16, u32, u64, i32, i64);
// SAFETY: an array has no padding that its elements do not have.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// The bytes of a value.
pub fn bytes_of<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: `Plain`: no padding, so every byte is initialised.
    unsafe { core::slice::from_raw_parts(core::ptr::from_ref(value).cast(), size_of::<T>()) }
}

macro_rules! plain {
    ($type:ty, $size:expr) => {
        const _: () = assert!(core::mem::size_of::<$type>() == $size);
        // SAFETY: `repr(C)` with integer fields alone; the size asserted above is the sum of the
        // fields' sizes, so there is no padding.
        unsafe impl $crate::Plain for $type {}
    };
}
pub(crate) use plain;
