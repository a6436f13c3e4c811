//! The running kernel's type information.

use std::{borrow::Cow, fs::File, io, io::Read, os::fd::AsRawFd};

use crate::verifier::btf::Btf;

/// Where the kernel shows its type information.
const FILE: &str = "/sys/kernel/btf/vmlinux";

/// Reads it, or says why that cannot be.
pub(super) fn read() -> Result<Btf, String> {
    let bytes = bytes().map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => {
            format!("this kernel shows no BTF ({FILE} does not exist): it needs CONFIG_DEBUG_INFO_BTF")
        }
        _ => format!("{FILE} cannot be read: {e}"),
    })?;
    Btf::parse(bytes).map_err(|e| format!("{FILE} cannot be understood: {e}"))
}

/// Since 6.16 (kernel/bpf/sysfs_btf.c, `btf_sysfs_vmlinux_mmap`) it can be mapped: no copy, and
/// none of the thousand calls that sysfs needs to hand it out by the page.
fn bytes() -> io::Result<Cow<'static, [u8]>> {
    let mut file = File::open(FILE)?;
    let len = file.metadata()?.len() as usize;
    if let Some(bytes) = map(&file, len) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut bytes = Vec::with_capacity(len);
    file.read_to_end(&mut bytes)?;
    Ok(Cow::Owned(bytes))
}

fn map(file: &File, len: usize) -> Option<&'static [u8]> {
    if len == 0 {
        return None;
    }
    // SAFETY: a fresh mapping at an address of the kernel's choice.
    let at = unsafe {
        libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0)
    };
    // SAFETY: the kernel's own constants, which never change, mapped until this process ends.
    (at != libc::MAP_FAILED).then(|| unsafe { std::slice::from_raw_parts(at.cast::<u8>(), len) })
}
