//! Failures, each with its errno.

use super::plain::open;
use super::{Case, Stage, words};
use crate::process::launch;
use crate::sys::{Strings, c, execve, execve_at, execveat, good};
use crate::want::Want;

pub(super) const CASES: &[Case] = &[
    Case::new("enoent", |_| fails(b"/no/such/file", libc::ENOENT)),
    Case::new("enoent_empty", |_| fails(b"", libc::ENOENT)),
    Case::new("enoent_interpreter", |stage| {
        fails(&stage.program("bin/lost.sh", b"#!/no/such/interpreter -x\n"), libc::ENOENT)
    }),
    Case::new("eacces", |stage| fails(&stage.file("plain", b"text", 0o644), libc::EACCES)),
    Case::new("eacces_folder", |stage| fails(&stage.path("bin"), libc::EACCES)),
    Case::new("enoexec", |stage| fails(&stage.program("bin/text", b"no program\n"), libc::ENOEXEC)),
    Case::new("eloop", eloop),
    Case::new("eloop_scripts", eloop_scripts),
    Case::new("enotdir", |stage| fails(&stage.path("bin/ok/x"), libc::ENOTDIR)),
    Case::new("enametoolong", |_| fails(&[b"/", &[b'n'; 300][..]].concat(), libc::ENAMETOOLONG)),
    Case::new("e2big", e2big),
    Case::new("efault_filename", efault_filename),
    Case::new("efault_argv", efault_argv),
    Case::new("efault_argument", efault_argument),
    Case::new("einval", einval),
    Case::new("execveat_cwd_enoent", at_cwd),
    Case::new("execveat_dirfd_enoent", at_dirfd),
    Case::new("execveat_ebadf", at_bad_fd),
    Case::new("execveat_empty_path_eacces", at_empty_path),
    Case::new("execveat_script_cloexec", at_script_cloexec),
    Case::new("no_argv", no_argv),
];

fn fails(path: &[u8], errno: i32) -> Vec<Want> {
    let argv = words(["in", "vain"]);
    let who = launch(|gate| {
        gate.pass();
        assert_eq!(execve(path, &argv), errno);
    });
    vec![who.fails(path, &argv, errno)]
}

fn eloop(stage: &Stage) -> Vec<Want> {
    std::os::unix::fs::symlink("loop", format!("{}/loop", stage.root)).unwrap();
    fails(&stage.path("loop"), libc::ELOOP)
}

/// fs/exec.c, `exec_binprm`: five interpreters at most.
fn eloop_scripts(stage: &Stage) -> Vec<Want> {
    let path = stage.path("bin/endless");
    let line = [b"#!", path.as_slice(), b"\n"].concat();
    fails(&stage.program("bin/endless", &line), libc::ELOOP)
}

/// One argument of more than 128 KiB (include/uapi/linux/binfmts.h, `MAX_ARG_STRLEN`).
fn e2big(stage: &Stage) -> Vec<Want> {
    let (path, argv) = (stage.ok(), [b"x".to_vec(), vec![b'a'; 131_072], b"last".to_vec()]);
    let who = launch(|gate| {
        gate.pass();
        assert_eq!(execve(&path, &argv), libc::E2BIG);
    });
    vec![who.fails(&path, &argv, libc::E2BIG)]
}

const UNREAD: &str = "could not be read at the event";

fn efault_filename(_: &Stage) -> Vec<Want> {
    let argv = words(["x"]);
    let who = launch(|gate| {
        let strings = Strings::new(&argv);
        gate.pass();
        assert_eq!(execve_at(std::ptr::without_provenance(16), strings.as_ptr()), libc::EFAULT);
    });
    vec![who.fails(b"", &argv, libc::EFAULT).gone("filename", UNREAD)]
}

fn efault_argv(stage: &Stage) -> Vec<Want> {
    let path = stage.ok();
    let who = launch(|gate| {
        let name = c(&path);
        gate.pass();
        assert_eq!(execve_at(name.as_ptr(), std::ptr::without_provenance(16)), libc::EFAULT);
    });
    let want = who.fails(&path, &words([]), libc::EFAULT);
    vec![want.gone("argv", UNREAD).gone("argc", UNREAD).gone("argv_bytes", UNREAD)]
}

fn efault_argument(stage: &Stage) -> Vec<Want> {
    let path = stage.ok();
    let who = launch(|gate| {
        let name = c(&path);
        let bad = std::ptr::without_provenance(16);
        // On the heap: a literal's page need not be resident.
        let (first, third) = (c(b"first"), c(b"third"));
        let argv = [first.as_ptr(), bad, third.as_ptr(), bad, std::ptr::null()];
        gate.pass();
        assert_eq!(execve_at(name.as_ptr(), argv.as_ptr()), libc::EFAULT);
    });
    vec![who.fails(&path, &words(["first", "", "third", ""]), libc::EFAULT).unread(&[1, 3])]
}

/// An unknown flag.
fn einval(stage: &Stage) -> Vec<Want> {
    let argv = words(["x"]);
    let who = launch(|gate| {
        gate.pass();
        assert_eq!(execveat(libc::AT_FDCWD, &stage.ok(), &argv, 0x4000_0000), libc::EINVAL);
    });
    vec![who.fails(&stage.ok(), &argv, libc::EINVAL)]
}

fn at_cwd(_: &Stage) -> Vec<Want> {
    let argv = words(["x"]);
    let who = launch(|gate| {
        gate.pass();
        assert_eq!(execveat(libc::AT_FDCWD, b"no/such", &argv, 0), libc::ENOENT);
    });
    vec![who.fails(b"no/such", &argv, libc::ENOENT)]
}

fn at_dirfd(stage: &Stage) -> Vec<Want> {
    let argv = words(["x"]);
    let who = launch(|gate| {
        let fd = open(&stage.path("bin"), 80);
        gate.pass();
        assert_eq!(execveat(fd, b"nosuch", &argv, 0), libc::ENOENT);
    });
    vec![who.fails(b"nosuch", &argv, libc::ENOENT).set("dirfd", 80)]
}

fn at_bad_fd(_: &Stage) -> Vec<Want> {
    let argv = words(["x"]);
    let who = launch(|gate| {
        gate.pass();
        assert_eq!(execveat(99, b"rel", &argv, 0), libc::EBADF);
    });
    vec![who.fails(b"rel", &argv, libc::EBADF).set("dirfd", 99)]
}

fn at_empty_path(stage: &Stage) -> Vec<Want> {
    let argv = words(["x"]);
    let path = stage.file("plain2", b"text", 0o644);
    let who = launch(|gate| {
        let fd = open(&path, 81);
        gate.pass();
        assert_eq!(execveat(fd, b"", &argv, libc::AT_EMPTY_PATH), libc::EACCES);
    });
    vec![who.fails(b"", &argv, libc::EACCES).set("dirfd", 81)]
}

/// The interpreter could not open the script any more (execveat(2), BUGS).
fn at_script_cloexec(stage: &Stage) -> Vec<Want> {
    let argv = words(["x", "y"]);
    let ok = String::from_utf8(stage.ok()).unwrap();
    let path = stage.program("bin/closes.sh", format!("#!{ok}\n").as_bytes());
    let who = launch(|gate| {
        let fd = open(&path, 82);
        // SAFETY: a descriptor of our own.
        good("fcntl", unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) });
        gate.pass();
        assert_eq!(execveat(fd, b"", &argv, libc::AT_EMPTY_PATH), libc::ENOENT);
    });
    vec![who.fails(b"", &argv, libc::ENOENT).set("dirfd", 82)]
}

/// A null pointer is an empty array.
fn no_argv(_: &Stage) -> Vec<Want> {
    let who = launch(|gate| {
        gate.pass();
        assert_eq!(execve_at(c"/no/such".as_ptr(), std::ptr::null()), libc::ENOENT);
    });
    vec![who.fails(b"/no/such", &words([]), libc::ENOENT)]
}
