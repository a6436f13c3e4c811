//! 32-bit callers, and 64-bit ones that use the 32-bit door.

use std::fs::File;
use std::io::Write;

use super::plain::open;
use super::{Case, Stage, words};
use crate::elf::{self, Call32};
use crate::process::{Who, launch};
use crate::sys::{execve, execve_int80};
use crate::want::Want;

pub(super) const CASES: &[Case] = &[
    Case::new("ia32_image", ia32_image),
    Case::new("ia32_execve", ia32_execve),
    Case::new("ia32_execve_enoent", ia32_execve_enoent),
    Case::new("ia32_execveat", ia32_execveat),
    Case::new("ia32_execveat_enoent", ia32_execveat_enoent),
    Case::new("int80_execve", int80),
    Case::new("int80_execve_enoent", int80_enoent),
];

fn ia32_image(stage: &Stage) -> Vec<Want> {
    let (path, argv) = (stage.program("bin/ok32", &elf::exit32()), words(["ok32", "a"]));
    let who = launch(|gate| {
        gate.pass();
        execve(&path, &argv);
    });
    vec![who.runs(&path, &path, &argv)]
}

/// Runs a 32-bit program that makes this call: the process, and its own exec's wants.
fn caller(stage: &Stage, name: &str, call: Call32<'_>, argv: &[&[u8]]) -> (Who, Want) {
    let path = stage.program(name, &elf::exec32(call, argv));
    let own = words(["caller32"]);
    let (mut all, _) = crate::process::launch_all(0, |gate| {
        open(&stage.path("bin"), 83);
        gate.pass();
        execve(&path, &own);
    });
    let who = all.remove(0);
    let want = who.runs(&path, &path, &own);
    (who, want)
}

/// Nothing in the new image tells that its caller was a 32-bit one (tracer-common, `COMPAT`).
fn ia32_execve(stage: &Stage) -> Vec<Want> {
    let (path, argv) = (stage.ok(), words(["of", "32 bits"]));
    let (who, first) = caller(stage, "bin/c32", Call32::Execve(&path), &[b"of", b"32 bits"]);
    vec![first, who.runs(&path, &path, &argv)]
}

/// Its comm is by then that of the 32-bit program.
fn ia32_execve_enoent(stage: &Stage) -> Vec<Want> {
    let argv = words(["of", "", "32 bits"]);
    let call = Call32::Execve(b"/no/such32");
    let (who, first) = caller(stage, "bin/c32f", call, &[b"of", b"", b"32 bits"]);
    let want = who.fails(b"/no/such32", &argv, libc::ENOENT).set("compat", true);
    vec![first, want.bytes("comm", b"c32f")]
}

fn ia32_execveat(stage: &Stage) -> Vec<Want> {
    let (who, first) = caller(stage, "bin/c32at", Call32::Execveat(83, b"ok", 0), &[b"x"]);
    vec![first, who.runs(b"ok", &stage.ok(), &words(["x"])).set("dirfd", 83)]
}

fn ia32_execveat_enoent(stage: &Stage) -> Vec<Want> {
    let (who, first) = caller(stage, "bin/c32atf", Call32::Execveat(83, b"none", 0), &[b"x", b"y"]);
    let want = who.fails(b"none", &words(["x", "y"]), libc::ENOENT).set("dirfd", 83);
    vec![first, want.set("compat", true).bytes("comm", b"c32atf")]
}

fn int80(stage: &Stage) -> Vec<Want> {
    let path = stage.ok();
    let who = launch(|gate| {
        gate.pass();
        execve_int80(&path, &[b"by", b"int 0x80"]);
    });
    vec![who.runs(&path, &path, &words(["by", "int 0x80"]))]
}

fn int80_enoent(_: &Stage) -> Vec<Want> {
    let who = launch(|gate| {
        gate.pass();
        assert_eq!(execve_int80(b"/no/such80", &[b"by", b"int 0x80"]), libc::ENOENT);
        // Number 11 means munmap to a 64-bit caller: a failing one is no exec.
        // SAFETY: the address is no page's start, so that nothing is unmapped.
        assert_eq!(unsafe { libc::syscall(libc::SYS_munmap, 1, 4096) }, -1);
    });
    let want = who.fails(b"/no/such80", &words(["by", "int 0x80"]), libc::ENOENT);
    vec![want.set("compat", true)]
}

/// A memfd with a program in it.
pub(super) fn memfd(name: &std::ffi::CStr, content: &[u8]) -> File {
    // SAFETY: makes a descriptor.
    let fd = crate::sys::good("memfd_create", unsafe { libc::memfd_create(name.as_ptr(), 0) });
    // SAFETY: it was just made.
    let mut file = unsafe { <File as std::os::fd::FromRawFd>::from_raw_fd(fd) };
    file.write_all(content).unwrap();
    file
}
