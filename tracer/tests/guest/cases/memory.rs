//! Arguments on pages that are not resident: mapped, and not touched by the process.

use std::ffi::c_char;
use std::fs::File;
use std::os::fd::AsRawFd;

use super::{Case, Stage, words};
use crate::process::launch;
use crate::sys::{c, execve_at, good, kernel, map};
use crate::want::Want;

pub(super) const CASES: &[Case] = &[
    Case::new("absent_arguments", absent),
    Case::new("absent_arguments_enoent", absent_enoent),
    Case::new("absent_arguments_enoexec", absent_enoexec),
    Case::new("absent_filename", absent_filename),
    Case::new("absent_filename_enoent", absent_filename_enoent),
    Case::new("absent_array", absent_array),
    Case::new("dropped_arguments_enoent", dropped_enoent),
    Case::new("unreadable_argument", unreadable),
];

const PAGE: usize = 4096;

/// A file whose pages hold these strings, mapped and not touched. Far apart, because a fault brings
/// its neighbours in (mm/memory.c, `do_fault_around`: 64 KiB).
fn untouched(stage: &Stage, strings: &[&[u8]]) -> Vec<*const c_char> {
    const STEP: usize = 64 * PAGE;
    let mut content = vec![0; strings.len() * STEP];
    for (n, string) in strings.iter().enumerate() {
        content[n * STEP..][..string.len()].copy_from_slice(string);
    }
    let name = format!("strings-{}", std::process::id());
    let path = stage.file(&name, &content, 0o644);
    let file = File::open(str::from_utf8(&path).unwrap()).unwrap();
    let at = map(content.len(), libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd());
    (0..strings.len()).map(|n| at.wrapping_add(n * STEP).cast_const().cast()).collect()
}

/// The first argument is resident, the second is not.
fn run(stage: &Stage, path: &[u8], want: impl FnOnce(&crate::process::Who) -> Want) -> Vec<Want> {
    let name = c(path);
    let who = launch(|gate| {
        let absent = untouched(stage, &[b"not resident"]);
        let first = c(b"resident");
        let argv = [first.as_ptr(), absent[0], std::ptr::null()];
        gate.pass();
        execve_at(name.as_ptr(), argv.as_ptr());
    });
    vec![want(&who)]
}

fn argv() -> Vec<Vec<u8>> {
    words(["resident", "not resident"])
}

fn absent(stage: &Stage) -> Vec<Want> {
    run(stage, &stage.ok(), |who| who.runs(&stage.ok(), &stage.ok(), &argv()))
}

/// Since 6.8 the file is opened before the arguments are copied (fs/exec.c, `alloc_bprm`): nobody
/// has touched them then, and the event says so. No program of these families can fault a page in.
fn absent_enoent(stage: &Stage) -> Vec<Want> {
    run(stage, b"/no/such", |who| {
        let want = who.fails(b"/no/such", &argv(), libc::ENOENT);
        if kernel() >= (6, 8) { want.unread(&[1]) } else { want }
    })
}

/// The arguments have been copied, and so are resident, when the format turns out to be none.
fn absent_enoexec(stage: &Stage) -> Vec<Want> {
    let path = stage.program("bin/none", b"no program\n");
    run(stage, &path, |who| who.fails(&path, &argv(), libc::ENOEXEC))
}

/// The kernel reads the file name first of all.
fn absent_filename(stage: &Stage) -> Vec<Want> {
    let path = stage.ok();
    let who = launch(|gate| {
        let absent = untouched(stage, &[&path]);
        let x = c(b"x");
        let argv = [x.as_ptr(), std::ptr::null()];
        gate.pass();
        execve_at(absent[0], argv.as_ptr());
    });
    vec![who.runs(&path, &path, &words(["x"]))]
}

fn absent_filename_enoent(stage: &Stage) -> Vec<Want> {
    let who = launch(|gate| {
        let absent = untouched(stage, &[b"/no/such"]);
        let x = c(b"x");
        let argv = [x.as_ptr(), std::ptr::null()];
        gate.pass();
        execve_at(absent[0], argv.as_ptr());
    });
    vec![who.fails(b"/no/such", &words(["x"]), libc::ENOENT)]
}

/// Strings and array both.
fn absent_array(stage: &Stage) -> Vec<Want> {
    let name = c(&stage.ok());
    let who = launch(|gate| {
        let strings = untouched(stage, &[b"of an", b"absent array"]);
        let bytes: Vec<u8> = strings.iter().flat_map(|s| (s.addr() as u64).to_ne_bytes()).collect();
        let name_of_array = format!("{}/array", stage.root);
        std::fs::write(&name_of_array, [&bytes[..], &[0; 8]].concat()).unwrap();
        let file = File::open(name_of_array).unwrap();
        let array = map(PAGE, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd());
        gate.pass();
        execve_at(name.as_ptr(), array.cast_const().cast());
    });
    vec![who.runs(&stage.ok(), &stage.ok(), &words(["of an", "absent array"]))]
}

/// Touched once, then given back: the page would come back as zeroes, an empty string, but the
/// kernel side may not assume that.
fn dropped_enoent(_: &Stage) -> Vec<Want> {
    let who = launch(|gate| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let page = map(PAGE, libc::PROT_READ | libc::PROT_WRITE, flags, -1);
        // SAFETY: a page of our own.
        unsafe {
            page.write(b'x');
            good("madvise", libc::madvise(page.cast(), PAGE, libc::MADV_DONTNEED));
        }
        let (first, third) = (c(b"first"), c(b"third"));
        let argv = [first.as_ptr(), page.cast_const().cast(), third.as_ptr(), std::ptr::null()];
        gate.pass();
        execve_at(c"/no/such".as_ptr(), argv.as_ptr());
    });
    let want = who.fails(b"/no/such", &words(["first", "", "third"]), libc::ENOENT);
    vec![if kernel() >= (6, 8) { want.unread(&[1]) } else { want }]
}

/// A page that may not be read: the kernel cannot copy it either.
fn unreadable(stage: &Stage) -> Vec<Want> {
    let name = c(&stage.ok());
    let who = launch(|gate| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let page = map(PAGE, libc::PROT_NONE, flags, -1);
        let first = c(b"first");
        let argv = [first.as_ptr(), page.cast_const().cast(), std::ptr::null()];
        gate.pass();
        assert_eq!(execve_at(name.as_ptr(), argv.as_ptr()), libc::EFAULT);
    });
    vec![who.fails(&stage.ok(), &words(["first", ""]), libc::EFAULT).unread(&[1])]
}
