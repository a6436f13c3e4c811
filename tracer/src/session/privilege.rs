//! Once attached, nothing needs privilege any more.

use std::io;

use crate::host::Capability;

/// `struct __user_cap_header_struct` and `__user_cap_data_struct` (linux/capability.h).
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}
#[repr(C)]
#[derive(Clone, Copy)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}
const VERSION_3: u32 = 0x2008_0522;

/// Gives up every capability of this thread, and of those that it starts, for good.
pub fn drop_all() -> io::Result<()> {
    keep_only(&[])
}

/// Gives up every capability but those of these that this process has.
pub fn keep_only(kept: &[Capability]) -> io::Result<()> {
    let header = Header { version: VERSION_3, pid: 0 };
    let mut data = [Data { effective: 0, permitted: 0, inheritable: 0 }; 2];
    if !kept.is_empty() {
        // SAFETY: both structures are of the layout that version 3 demands.
        let err = unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) };
        if err != 0 {
            return Err(io::Error::last_os_error());
        }
        for (half, data) in data.iter_mut().enumerate() {
            let of_half = kept.iter().filter(|capability| **capability as usize / 32 == half);
            let mask = of_half.fold(0, |mask, capability| mask | 1 << (*capability as u32 % 32));
            *data =
                Data { effective: data.effective & mask, permitted: data.permitted & mask, inheritable: 0 };
        }
    }
    // SAFETY: no pointers are passed; ambient capabilities can only shrink.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    // SAFETY: no later exec of this process gains privilege.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: both structures are of the layout that version 3 demands.
    let err = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    if err == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
