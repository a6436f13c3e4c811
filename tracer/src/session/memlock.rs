//! Before 5.11 the kernel charges maps to the limit of locked memory.

/// Raises the limit as far as this process may. A failure shows when a map cannot be created.
pub(super) fn raise() {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the argument is a valid rlimit.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
}

/// Can this limit be why a map was refused with EPERM (kernel/bpf/syscall.c, `bpf_charge_memlock`,
/// up to 5.10)?
pub(super) fn is_the_obstacle() -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the argument is writable.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) } == 0;
    known && limit.rlim_cur != libc::RLIM_INFINITY && before_5_11()
}

fn before_5_11() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split('.').map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) < (Some(5), Some(11))
}
