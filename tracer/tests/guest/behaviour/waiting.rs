//! Calls of execve that wait in the kernel, all at once, until they are let go.
//!
//! Their argument lies on a page that userfaultfd(2) withholds: copying it is where they wait.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    ptr, thread,
};

// uapi/linux/userfaultfd.h
const UFFD_API: u64 = 0xaa;
const UFFDIO_API: libc::c_ulong = 0xc018_aa3f;
const UFFDIO_REGISTER: libc::c_ulong = 0xc020_aa00;
const UFFDIO_COPY: libc::c_ulong = 0xc028_aa03;
const UFFDIO_REGISTER_MODE_MISSING: u64 = 1;
const MESSAGE: usize = 32;
const PAGE: usize = 4096;

/// Calls execve(`program`, [`program`, `tag`]) `count` times at once; each ends with `errno`.
pub(crate) fn exec_all(program: &Path, tag: &str, count: usize, errno: i32) {
    let withheld = Page::new();
    let path = CString::new(program.as_os_str().as_bytes()).expect("no NUL");
    thread::scope(|scope| {
        for _ in 0..count {
            let (path, at) = (&path, withheld.at);
            // Each thread's child shares our memory until its exec succeeds: vfork.
            scope.spawn(move || assert_eq!(spawn(path, at), errno));
        }
        for _ in 0..count {
            withheld.wait();
        }
        withheld.give(tag.as_bytes());
    });
}

fn spawn(path: &CString, argument: usize) -> i32 {
    let argv = [path.as_ptr().cast_mut(), argument as *mut libc::c_char, ptr::null_mut()];
    let envp = [ptr::null_mut()];
    let mut pid = 0;
    // SAFETY: the argument becomes a C string before anybody reads it; the others are already.
    let errno = unsafe {
        libc::posix_spawn(&raw mut pid, path.as_ptr(), ptr::null(), ptr::null(), argv.as_ptr(), envp.as_ptr())
    };
    if errno == 0 {
        // SAFETY: the child is ours; its status is not wanted.
        unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
    }
    errno
}

/// A page that is not there until it is given.
struct Page {
    faults: OwnedFd,
    at: usize,
}

fn check(result: libc::c_long, what: &str) -> libc::c_long {
    assert!(result >= 0, "{what}: {}", io::Error::last_os_error());
    result
}

impl Page {
    fn new() -> Self {
        // SAFETY: no pointers are passed.
        let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
        let fd = i32::try_from(check(fd, "userfaultfd")).expect("a descriptor");
        // SAFETY: it was just opened and belongs to nobody else.
        let faults = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut api = [UFFD_API, 0, 0];
        // SAFETY: `struct uffdio_api` is three words.
        check(unsafe { libc::ioctl(fd, UFFDIO_API, api.as_mut_ptr()) }.into(), "UFFDIO_API");
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let at = unsafe {
            libc::mmap(
                ptr::null_mut(),
                PAGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(at, libc::MAP_FAILED, "mmap: {}", io::Error::last_os_error());
        let at = at as usize;
        let mut register = [at as u64, PAGE as u64, UFFDIO_REGISTER_MODE_MISSING, 0];
        // SAFETY: `struct uffdio_register` is four words.
        check(unsafe { libc::ioctl(fd, UFFDIO_REGISTER, register.as_mut_ptr()) }.into(), "UFFDIO_REGISTER");
        Self { faults, at }
    }

    /// Waits until one more call has come to the page.
    fn wait(&self) {
        let mut message = [0_u8; MESSAGE];
        // SAFETY: the buffer has room for one message.
        let n = unsafe { libc::read(self.faults.as_raw_fd(), message.as_mut_ptr().cast(), MESSAGE) };
        assert_eq!(n, MESSAGE as isize, "userfaultfd: {}", io::Error::last_os_error());
    }

    /// Gives the page, which begins with a string.
    fn give(&self, text: &[u8]) {
        #[repr(align(4096))]
        struct Content([u8; PAGE]);
        let mut content = Box::new(Content([0; PAGE]));
        content.0[..text.len()].copy_from_slice(text);
        let mut copy = [self.at as u64, content.0.as_ptr() as u64, PAGE as u64, 0, 0];
        // SAFETY: `struct uffdio_copy` is five words; the source is a page.
        let err = unsafe { libc::ioctl(self.faults.as_raw_fd(), UFFDIO_COPY, copy.as_mut_ptr()) };
        check(err.into(), "UFFDIO_COPY");
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, which nobody uses any more.
        unsafe { libc::munmap(self.at as *mut libc::c_void, PAGE) };
    }
}
