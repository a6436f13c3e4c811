//! Reading kernel and user memory. A read that fails is an answer, never a default.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::{
    bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_probe_read_user, bpf_probe_read_user_str,
};
use tracer_common::{ABSENT, Plain};

/// Which address space an address belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    Kernel,
    User,
}

/// Reads a `T` at `base + offset` in kernel memory; `None` if this kernel has no such member, or the
/// read fails (as it does for a null base).
#[inline(always)]
pub(crate) fn read<T: Plain>(base: u64, offset: u32) -> Option<T> {
    if offset == ABSENT {
        return None;
    }
    let mut value = MaybeUninit::<T>::uninit();
    let from = (base + u64::from(offset)) as *const _;
    // SAFETY: the helper checks the address; the destination is a `T`.
    let err = unsafe { bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, from) };
    // SAFETY: the helper has written it, and any bytes are a `T`.
    (err == 0).then(|| unsafe { value.assume_init() })
}

/// The same for an address; null if the read fails, so that the next one fails too.
#[inline(always)]
pub(crate) fn follow(base: u64, offset: u32) -> u64 {
    read(base, offset).unwrap_or(0)
}

/// Copies `len` bytes: 0, or a negative errno and the destination cleared.
///
/// # Safety
/// `to` has room for `len` bytes, in the verifier's eyes too.
#[inline(always)]
pub(crate) unsafe fn copy(space: Space, to: *mut u8, len: u32, from: u64) -> i64 {
    // SAFETY: the helpers check the address; the caller vouches for the destination.
    unsafe {
        match space {
            Space::Kernel => bpf_probe_read_kernel(to.cast(), len, from as *const _),
            Space::User => bpf_probe_read_user(to.cast(), len, from as *const _),
        }
    }
}

/// Copies a NUL-terminated string of at most `len` bytes, the NUL included: the number of bytes
/// copied, or a negative errno. A longer string is cut, and ends with a NUL all the same. An empty
/// string in user memory counts 0 bytes, without its NUL (mm/maccess.c, `strncpy_from_user_nofault`,
/// 5.10 to 7.2).
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
