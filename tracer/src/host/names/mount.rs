//! tracefs and debugfs, wherever they are mounted; if they are not, mounted for this process alone.
//!
//! Such a mount is attached nowhere: no other process sees it, and it ends with its descriptor.

use std::{
    ffi::CStr,
    fs, io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    path::{Path, PathBuf},
};

/// A file system that can be read.
#[derive(Debug)]
pub(super) struct Mounted {
    root: PathBuf,
    /// Keeps a mount of our own alive: `root` leads through it.
    _own: Option<OwnedFd>,
}

impl Mounted {
    /// Finds a file system of this type, or mounts it.
    pub(super) fn find(kind: &CStr, usual: &[&str]) -> Result<Self, String> {
        let name = kind.to_string_lossy();
        // The mount point is there even where its content may not be read.
        let visible = |path: &Path| fs::read_dir(path).map(|mut entries| entries.next().is_some());
        let mut denied = None;
        for path in usual.iter().map(PathBuf::from) {
            match visible(&path) {
                Ok(true) => return Ok(Self { root: path, _own: None }),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => denied = Some((path, error)),
                _ => {}
            }
        }
        match detached(kind) {
            Ok(fd) => {
                Ok(Self { root: PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd())), _own: Some(fd) })
            }
            Err(error) => Err(match denied {
                Some((path, error)) => {
                    format!("{} cannot be read: {error}; run tracer as root", path.display())
                }
                None => format!(
                    "{name} is not mounted, and cannot be mounted by this process ({error}); run tracer as root"
                ),
            }),
        }
    }

    pub(super) fn path(&self, inner: &str) -> PathBuf {
        self.root.join(inner)
    }

    pub(super) fn read(&self, inner: &str) -> io::Result<String> {
        fs::read(self.path(inner)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A mount that is attached nowhere (fsopen(2), since Linux 5.2).
fn detached(kind: &CStr) -> io::Result<OwnedFd> {
    const FSCONFIG_CMD_CREATE: libc::c_long = 6;
    const CLOEXEC: libc::c_long = 1;
    let descriptor = |result: libc::c_long| {
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just handed out this descriptor, and nobody else knows of it.
        Ok(unsafe { OwnedFd::from_raw_fd(result as i32) })
    };
    // SAFETY: a NUL-terminated name and a flag.
    let context = descriptor(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), CLOEXEC) })?;
    // SAFETY: no memory is involved in this command.
    let made = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            FSCONFIG_CMD_CREATE,
            std::ptr::null::<u8>(),
            std::ptr::null::<u8>(),
            0,
        )
    };
    if made < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor and flags.
    descriptor(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), CLOEXEC, 0) })
}
