//! Before 5.11 the kernel charges maps to the limit of locked memory.

/// Raises the limit as far as this process may. A failure shows when a map cannot be created.
pub(super) fn raise() {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the argument is a valid rlimit.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
}
