//! System calls as the cases make them: raw, so that nothing comes between.

use std::arch::asm;
use std::ffi::{CString, c_char, c_long};

/// A string for the kernel.
pub(crate) fn c(bytes: &[u8]) -> CString {
    CString::new(bytes).unwrap()
}

/// Strings, and the array of pointers to them.
pub(crate) struct Strings {
    _strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Strings {
    pub(crate) fn new<S: AsRef<[u8]>>(strings: &[S]) -> Self {
        let strings: Vec<_> = strings.iter().map(|string| c(string.as_ref())).collect();
        let mut pointers: Vec<_> = strings.iter().map(|string| string.as_ptr()).collect();
        pointers.push(std::ptr::null());
        Self { _strings: strings, pointers }
    }

    pub(crate) fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

fn errno(result: c_long) -> i32 {
    assert_eq!(result, -1);
    std::io::Error::last_os_error().raw_os_error().unwrap()
}

/// execve of whatever is at these addresses, with an empty environment; returns the errno.
pub(crate) fn execve_at(path: *const c_char, argv: *const *const c_char) -> i32 {
    let envp = [std::ptr::null::<c_char>()];
    // SAFETY: the kernel checks the addresses; on success nothing of this program is left.
    errno(unsafe { libc::syscall(libc::SYS_execve, path, argv, envp.as_ptr()) })
}

pub(crate) fn execve<S: AsRef<[u8]>>(path: &[u8], argv: &[S]) -> i32 {
    execve_at(c(path).as_ptr(), Strings::new(argv).as_ptr())
}

pub(crate) fn execve_env<S: AsRef<[u8]>>(path: &[u8], argv: &[S], env: &[S]) -> i32 {
    let (path, argv, env) = (c(path), Strings::new(argv), Strings::new(env));
    // SAFETY: as in `execve_at`.
    errno(unsafe { libc::syscall(libc::SYS_execve, path.as_ptr(), argv.as_ptr(), env.as_ptr()) })
}

pub(crate) fn execveat<S: AsRef<[u8]>>(fd: i32, path: &[u8], argv: &[S], flags: i32) -> i32 {
    let (path, argv, envp) = (c(path), Strings::new(argv), [std::ptr::null::<c_char>()]);
    // SAFETY: as in `execve_at`.
    errno(unsafe {
        libc::syscall(libc::SYS_execveat, fd, path.as_ptr(), argv.as_ptr(), envp.as_ptr(), flags)
    })
}

/// execve through `int 0x80`, from this 64-bit program; returns the errno.
pub(crate) fn execve_int80(path: &[u8], argv: &[&[u8]]) -> i32 {
    let page = map_32bit();
    let low = page as u32;
    let table = 4 * (argv.len() + 2);
    let mut strings = path.to_vec();
    let mut pointers = Vec::new();
    strings.push(0);
    for arg in argv {
        pointers.push(low + (table + strings.len()) as u32);
        strings.extend(*arg);
        strings.push(0);
    }
    pointers.extend([0, 0]);
    assert!(table + strings.len() <= 4096);
    // SAFETY: a fresh page that is large enough for both, one after the other.
    unsafe {
        page.cast::<u32>().copy_from(pointers.as_ptr(), pointers.len());
        page.add(table).copy_from(strings.as_ptr(), strings.len());
    }
    let (name, envp) = (low + table as u32, low + 4 * argv.len() as u32);
    let result: i32;
    // SAFETY: a system call; rbx is put back, the registers that it spoils are named.
    unsafe {
        asm!(
            "push rbx", "mov ebx, {name:e}", "int 0x80", "pop rbx",
            name = in(reg) name,
            inlateout("eax") 11 => result,
            in("ecx") low, in("edx") envp, in("esi") 0, in("edi") 0,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    -result
}

/// A page below 4 GiB.
fn map_32bit() -> *mut u8 {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
    map(4096, libc::PROT_READ | libc::PROT_WRITE, flags, -1)
}

/// Maps memory.
pub(crate) fn map(len: usize, protection: i32, flags: i32, fd: i32) -> *mut u8 {
    // SAFETY: a new mapping, at an address that the kernel chooses.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, fd, 0) };
    assert_ne!(at, libc::MAP_FAILED);
    at.cast()
}

/// Panics with the call's errno if it failed.
pub(crate) fn good(what: &str, result: i32) -> i32 {
    assert!(result >= 0, "{what}: {}", std::io::Error::last_os_error());
    result
}

/// Version of this kernel.
pub(crate) fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// A clock's nanoseconds.
pub(crate) fn clock(id: libc::clockid_t) -> i128 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}
