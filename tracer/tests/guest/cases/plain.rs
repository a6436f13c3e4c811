//! The system calls themselves: execve and execveat, scripts, threads, vfork.

use std::ffi::c_void;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd};

use super::{Case, Stage, words};
use crate::process::{Gate, launch};
use crate::sys::{c, execve, execveat, good};
use crate::want::Want;

pub(super) const CASES: &[Case] = &[
    Case::new("execve", simple),
    Case::new("execve_relative", relative),
    Case::new("execveat_cwd", at_cwd),
    Case::new("execveat_dirfd", at_dirfd),
    Case::new("execveat_dirfd_absolute", at_dirfd_absolute),
    Case::new("execveat_empty_path", at_empty_path),
    Case::new("script", script),
    Case::new("script_nested", script_nested),
    Case::new("script_execveat", script_execveat),
    Case::new("thread", thread),
    Case::new("vfork", vfork),
    Case::new("fork_literals", fork_literals),
    Case::new("twice", twice),
];

fn simple(stage: &Stage) -> Vec<Want> {
    let (path, argv) = (stage.ok(), words(["ok", "one", "two three"]));
    let who = launch(|gate| {
        gate.pass();
        execve(&path, &argv);
    });
    vec![who.runs(&path, &path, &argv)]
}

fn relative(stage: &Stage) -> Vec<Want> {
    let argv = words(["./bin/../bin/ok", ""]);
    let who = launch(|gate| {
        std::env::set_current_dir(&stage.root).unwrap();
        gate.pass();
        execve(b"./bin/../bin/ok", &argv);
    });
    vec![who.runs(b"./bin/../bin/ok", &stage.ok(), &argv)]
}

fn at_cwd(stage: &Stage) -> Vec<Want> {
    let argv = words(["x"]);
    let who = launch(|gate| {
        std::env::set_current_dir(&stage.root).unwrap();
        gate.pass();
        execveat(libc::AT_FDCWD, b"bin/ok", &argv, 0);
    });
    vec![who.runs(b"bin/ok", &stage.ok(), &argv)]
}

/// A descriptor that survives exec, of a number that no other test has.
pub(super) fn open(path: &[u8], number: i32) -> i32 {
    let path = c(path);
    // SAFETY: opens a file.
    let fd = good("open", unsafe { libc::open(path.as_ptr(), libc::O_RDONLY) });
    // SAFETY: duplicates a descriptor of our own.
    good("dup2", unsafe { libc::dup2(fd, number) })
}

fn at_dirfd(stage: &Stage) -> Vec<Want> {
    let argv = words(["x", "y"]);
    let who = launch(|gate| {
        let fd = open(&stage.path("bin"), 77);
        gate.pass();
        execveat(fd, b"ok", &argv, 0);
    });
    vec![who.runs(b"ok", &stage.ok(), &argv).set("dirfd", 77)]
}

/// The kernel then ignores the descriptor, and nothing in the new image tells of it.
fn at_dirfd_absolute(stage: &Stage) -> Vec<Want> {
    let argv = words(["x"]);
    let who = launch(|gate| {
        let fd = open(&stage.path("bin"), 77);
        gate.pass();
        execveat(fd, &stage.ok(), &argv, 0);
    });
    vec![who.runs(&stage.ok(), &stage.ok(), &argv)]
}

/// The kernel takes the name from the descriptor's number, since 6.14 (and in stable releases before
/// it) from the file (fs/exec.c, `begin_new_exec`, `comm_from_dentry`): a program is asked.
pub(super) fn comm_of_fd<'a>(number: &'a [u8], file: &'a [u8]) -> &'a [u8] {
    let (mut read, write) = std::io::pipe().unwrap();
    let who = launch(|gate| {
        leak(File::from(std::os::fd::OwnedFd::from(write.try_clone().unwrap())), 1);
        let fd = open(b"/bin/busybox", 60);
        gate.pass();
        execveat(fd, b"", &words(["cat", "/proc/self/comm"]), libc::AT_EMPTY_PATH);
    });
    drop((write, who));
    let mut comm = String::new();
    read.read_to_string(&mut comm).unwrap();
    match comm.as_str() {
        "60\n" => number,
        "busybox\n" => file,
        other => panic!("comm {other:?}"),
    }
}

fn at_empty_path(stage: &Stage) -> Vec<Want> {
    let argv = words(["x"]);
    let who = launch(|gate| {
        let fd = open(&stage.ok(), 78);
        gate.pass();
        execveat(fd, b"", &argv, libc::AT_EMPTY_PATH);
    });
    let comm = comm_of_fd(b"78", b"ok");
    vec![who.runs(b"", &stage.ok(), &argv).set("dirfd", 78).bytes("comm", comm)]
}

fn script(stage: &Stage) -> Vec<Want> {
    let interpreter = String::from_utf8(stage.ok()).unwrap();
    let path = stage.program("bin/script.sh", format!("#! {interpreter}  -x  y z\nanything").as_bytes());
    let who = launch(|gate| {
        gate.pass();
        execve(&path, &words(["argv zero is lost", "1", "2"]));
    });
    let mut argv = words([&interpreter, "-x  y z", "", "1", "2"]);
    argv[2].clone_from(&path);
    vec![who.runs(&path, &stage.ok(), &argv).set("interpreter", interpreter)]
}

fn script_nested(stage: &Stage) -> Vec<Want> {
    let ok = String::from_utf8(stage.ok()).unwrap();
    let inner = stage.program("bin/inner", format!("#!{ok}\n").as_bytes());
    let inner = String::from_utf8(inner).unwrap();
    let middle = stage.program("bin/middle", format!("#!{inner} -m\n").as_bytes());
    let middle = String::from_utf8(middle).unwrap();
    let outer = stage.program("bin/outer", format!("#!{middle}\n").as_bytes());
    let who = launch(|gate| {
        gate.pass();
        execve(&outer, &words(["o", "last"]));
    });
    let outer_text = String::from_utf8(outer.clone()).unwrap();
    let argv = words([&ok, &inner, "-m", &middle, &outer_text, "last"]);
    vec![who.runs(&outer, &stage.ok(), &argv).set("interpreter", ok)]
}

/// The interpreter is handed a path through the descriptor.
fn script_execveat(stage: &Stage) -> Vec<Want> {
    let ok = String::from_utf8(stage.ok()).unwrap();
    stage.program("bin/at.sh", format!("#!{ok}\n").as_bytes());
    let who = launch(|gate| {
        let fd = open(&stage.path("bin"), 79);
        gate.pass();
        execveat(fd, b"at.sh", &words(["x", "1"]), 0);
    });
    let argv = words([&ok, "/dev/fd/79/at.sh", "1"]);
    vec![who.runs(b"at.sh", &stage.ok(), &argv).set("dirfd", 79).set("interpreter", ok)]
}

/// A thread that is not the leader: a failed exec, then a successful one.
fn thread(stage: &Stage) -> Vec<Want> {
    let (path, argv) = (stage.ok(), words(["from a thread"]));
    let who = launch(|gate| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                gate.pass();
                execve(b"/no/such", &argv);
                execve(&path, &argv);
            });
        });
    });
    assert_ne!(who.fields["pid"], who.fields["tid"]);
    vec![who.fails(b"/no/such", &argv, libc::ENOENT), who.runs(&path, &path, &argv)]
}

/// A child that shares its parent's memory, and holds it up until it execs.
fn vfork(stage: &Stage) -> Vec<Want> {
    struct Child<'a> {
        gate: &'a mut Gate,
        path: Vec<u8>,
        argv: Vec<Vec<u8>>,
    }
    extern "C" fn child(of: *mut c_void) -> i32 {
        // SAFETY: the parent waits, so that it is the only user.
        let child = unsafe { &mut *of.cast::<Child<'_>>() };
        child.gate.pass();
        execve(b"/no/such", &child.argv);
        execve(&child.path, &child.argv);
        1
    }
    let (path, argv) = (stage.ok(), words(["from", "vfork"]));
    let who = launch(|gate| {
        let mut stack = vec![0_u128; 64 * 1024];
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        let mut of = Child { gate, path: path.clone(), argv: argv.clone() };
        // SAFETY: the stack is large enough and outlives the child's use of it.
        let pid = unsafe {
            libc::clone(child, stack.as_mut_ptr().add(stack.len()).cast(), flags, (&raw mut of).cast())
        };
        good("clone", pid);
        let mut status = 0;
        // SAFETY: `status` is writable.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert_eq!(status, 0);
    });
    vec![who.fails(b"/no/such", &argv, libc::ENOENT), who.runs(&path, &path, &argv)]
}

/// What a shell's child does: its arguments lie in the program, on pages that the new process has
/// not touched.
fn fork_literals(_: &Stage) -> Vec<Want> {
    let argv = [c"true".as_ptr(), c"of the program".as_ptr(), std::ptr::null()];
    let who = launch(|gate| {
        gate.pass();
        crate::sys::execve_at(c"/bin/true".as_ptr(), argv.as_ptr());
    });
    vec![who.runs(b"/bin/true", b"/bin/busybox", &words(["true", "of the program"]))]
}

/// One process, several images: what they share and what not.
fn twice(stage: &Stage) -> Vec<Want> {
    let path = stage.ok();
    let first = words(["sh", "-c", "exec \"$0\" again"]);
    let mut argv = first.clone();
    argv.push(path.clone());
    let who = launch(|gate| {
        gate.pass();
        execve(b"/bin/sh", &argv);
    });
    let mut again = words(["", "again"]);
    again[0].clone_from(&path);
    vec![who.runs(b"/bin/sh", b"/bin/busybox", &argv), who.runs(&path, &path, &again)]
}

/// Keeps a descriptor's owner out of the way: it is the process' now.
pub(super) fn leak(file: File, number: i32) -> i32 {
    // SAFETY: duplicates a descriptor of our own.
    let fd = good("dup2", unsafe { libc::dup2(file.as_raw_fd(), number) });
    drop(file);
    // SAFETY: `fd` is open; the owner is forgotten at once.
    std::mem::forget(unsafe { File::from_raw_fd(fd) });
    fd
}
