//! A program that does nothing, as cheaply as the kernel allows, and many runs of it.

use std::{
    ffi::CString,
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    ptr, thread,
};

/// `exit(0)` as a static ELF file of 129 bytes.
#[rustfmt::skip]
const ELF: [u8; 129] = [
    0x7f, b'E', b'L', b'F', 2, 1, 1, 0,  0, 0, 0, 0, 0, 0, 0, 0,
    2, 0, 62, 0, 1, 0, 0, 0,             // executable, x86-64
    0x78, 0, 0x40, 0, 0, 0, 0, 0,        // entry
    64, 0, 0, 0, 0, 0, 0, 0,             // program headers
    0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0,
    1, 0, 0, 0, 5, 0, 0, 0,              // PT_LOAD, readable and executable
    0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0x40, 0, 0, 0, 0, 0,
    0, 0, 0x40, 0, 0, 0, 0, 0,
    129, 0, 0, 0, 0, 0, 0, 0,
    129, 0, 0, 0, 0, 0, 0, 0,
    0, 0x10, 0, 0, 0, 0, 0, 0,
    0x31, 0xff,                          // xor edi, edi
    0xb8, 60, 0, 0, 0,                   // mov eax, SYS_exit
    0x0f, 0x05,                          // syscall
];

/// Writes the program to `path`.
pub(crate) fn write(path: &Path) {
    fs::write(path, ELF).expect("the tiny program can be written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it can be made executable");
}

/// The program as a file named `name` in a folder of its own.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = super::live::folder().join(name);
    write(&path);
    path
}

/// Executes `program` with one argument, through vfork as posix_spawn does it, and waits for its
/// end; the errno if it cannot be executed.
pub(crate) fn exec(program: &Path, tag: &str) -> i32 {
    let program = CString::new(program.as_os_str().as_bytes()).expect("no NUL");
    let tag = CString::new(tag).expect("no NUL");
    spawn(&program, &tag)
}

fn spawn(program: &CString, tag: &CString) -> i32 {
    let argv = [program.as_ptr().cast_mut(), tag.as_ptr().cast_mut(), ptr::null_mut()];
    let envp = [ptr::null_mut()];
    let mut pid = 0;
    // SAFETY: all strings are C strings that live across the call, both arrays end with null.
    let errno = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            program.as_ptr(),
            ptr::null(),
            ptr::null(),
            argv.as_ptr(),
            envp.as_ptr(),
        )
    };
    if errno == 0 {
        let mut status = 0;
        // SAFETY: `status` is writable; the child is ours.
        let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert_eq!((waited, status), (pid, 0), "the tiny program exits with 0");
    }
    errno
}

/// Executes `program` `count` times as fast as it goes, with the arguments `PREFIX-0` to
/// `PREFIX-(count-1)`, on `workers` threads; each exec must end with `errno`.
pub(crate) fn storm(program: &Path, prefix: &str, count: usize, workers: usize, errno: i32) {
    let path = CString::new(program.as_os_str().as_bytes()).expect("no NUL");
    thread::scope(|scope| {
        for worker in 0..workers {
            let path = &path;
            scope.spawn(move || {
                for number in (worker..count).step_by(workers) {
                    let tag = CString::new(format!("{prefix}-{number}")).expect("no NUL");
                    assert_eq!(spawn(path, &tag), errno, "exec number {number}");
                }
            });
        }
    });
}

/// Of a storm's execs, how many were not seen. None may be seen twice.
pub(crate) fn missing(prefix: &str, count: usize, tags: &[String]) -> usize {
    let mut seen = vec![0_u32; count];
    for tag in tags {
        if let Some(number) = tag.strip_prefix(prefix).and_then(|tag| tag.strip_prefix('-')) {
            seen[number.parse::<usize>().expect("a number")] += 1;
        }
    }
    let repeated: Vec<_> = seen.iter().enumerate().filter(|(_, times)| **times > 1).take(9).collect();
    assert!(repeated.is_empty(), "of {count} execs {prefix}-* some were seen more than once: {repeated:?}");
    seen.iter().filter(|times| **times == 0).count()
}

/// Each exec of a storm was seen, and seen once.
pub(crate) fn each_once(prefix: &str, count: usize, tags: &[String]) {
    let missing = missing(prefix, count, tags);
    assert_eq!(missing, 0, "of {count} execs {prefix}-* so many are missing");
}
