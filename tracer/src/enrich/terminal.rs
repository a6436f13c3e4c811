//! The terminal's width, and the time zone of the person in front of it.

use std::os::fd::{AsRawFd, BorrowedFd};

/// How many columns the terminal behind a descriptor has, if it is one and knows.
pub fn columns(fd: BorrowedFd<'_>) -> Option<usize> {
    // SAFETY: all zeroes is a `winsize`.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: TIOCGWINSZ writes a `winsize` to the pointer that follows it.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &mut size) };
    (result == 0 && size.ws_col > 0).then_some(size.ws_col.into())
}

/// Seconds that local time is ahead of UTC at a moment, given in seconds since 1970.
pub fn utc_offset_s(unix_s: u64) -> i32 {
    let Ok(time) = libc::time_t::try_from(unix_s) else {
        return 0;
    };
    // SAFETY: all zeroes is a `tm` (its pointer is only read by printing functions).
    let mut local: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call.
    let result = unsafe { libc::localtime_r(&time, &mut local) };
    if result.is_null() {
        return 0;
    }
    i32::try_from(local.tm_gmtoff).unwrap_or(0)
}
