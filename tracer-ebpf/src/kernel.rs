//! Reading kernel and user memory. A read that fails is an answer, never a default.

use aya_ebpf::helpers::generated::{
    bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_probe_read_user,
    bpf_probe_read_user_str,
};
use tracer_common::ABSENT;

/// Which address space an address belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    Kernel,
    User,
}

/// Reads a `T` at `base + offset` in kernel memory; `None` if this kernel has no such member, the
/// base is null or the read fails.
#[inline(always)]
pub(crate) fn read<T: Copy + Default>(base: u64, offset: u32) -> Option<T> {
    if offset == ABSENT || base == 0 {
        return None;
    }
    let mut value = T::default();
    // SAFETY: the helper checks the address; the destination is a `T`.
    let err = unsafe {
        bpf_probe_read_kernel(
            (&raw mut value).cast(),
            size_of::<T>() as u32,
            (base + u64::from(offset)) as *const _,
        )
    };
    (err == 0).then_some(value)
}

/// Copies `len` bytes; `false` if the read fails.
///
/// # Safety
/// `to` has room for `len` bytes, in the verifier's eyes too.
#[inline(always)]
pub(crate) unsafe fn copy(space: Space, to: *mut u8, len: u32, from: u64) -> bool {
    // SAFETY: the helpers check the address; the caller vouches for the destination.
    let err = unsafe {
        match space {
            Space::Kernel => bpf_probe_read_kernel(to.cast(), len, from as *const _),
            Space::User => bpf_probe_read_user(to.cast(), len, from as *const _),
        }
    };
    err == 0
}

/// Copies a NUL-terminated string of at most `len` bytes, the NUL included: the number of bytes
/// copied, or a negative errno. A longer string is cut, and ends with a NUL all the same.
///
/// # Safety
/// `to` has room for `len` bytes, in the verifier's eyes too.
#[inline(always)]
pub(crate) unsafe fn copy_str(space: Space, to: *mut u8, len: u32, from: u64) -> i64 {
    // SAFETY: the helpers check the address; the caller vouches for the destination.
    unsafe {
        match space {
            Space::Kernel => bpf_probe_read_kernel_str(to.cast(), len, from as *const _),
            Space::User => bpf_probe_read_user_str(to.cast(), len, from as *const _),
        }
    }
}
