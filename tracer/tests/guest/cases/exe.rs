//! Where the executable and the working directory are: memfd, deleted files, roots and mounts.

use std::fs;
use std::os::fd::AsRawFd;

use serde_json::{Value, json};

use super::abi::memfd;
use super::plain::{comm_of_fd, leak, open};
use super::{Case, Stage, words};
use crate::elf;
use crate::process::{launch, launch_all};
use crate::sys::{c, execve, execveat, good};
use crate::want::Want;

pub(super) const CASES: &[Case] = &[
    Case::new("memfd", memfd_empty_path),
    Case::new("memfd_proc", memfd_proc),
    Case::new("deleted", deleted),
    Case::new("symlink", symlink),
    Case::new("cwd_deleted", cwd_deleted),
    Case::new("path_2000", path_2000),
    Case::new("path_not_utf8", path_not_utf8),
    Case::new("cwd_deep", cwd_deep),
    Case::new("cwd_too_deep", cwd_too_deep),
    Case::new("chroot", chroot),
    Case::new("bind_mount", bind_mount),
    Case::new("mount_namespace", mount_namespace),
];

fn memfd_empty_path(_: &Stage) -> Vec<Want> {
    let argv = words(["from memory"]);
    let who = launch(|gate| {
        let fd = leak(memfd(c"mem ory", &elf::exit64()), 84);
        gate.pass();
        execveat(fd, b"", &argv, libc::AT_EMPTY_PATH);
    });
    let want = who.runs(b"", b"/memfd:mem ory", &argv).set("dirfd", 84).set("exe_deleted", true);
    vec![want.bytes("comm", comm_of_fd(b"84", b"memfd:mem ory"))]
}

fn memfd_proc(_: &Stage) -> Vec<Want> {
    let argv = words(["from memory"]);
    let who = launch(|gate| {
        let fd = leak(memfd(c"m", &elf::exit64()), 85);
        assert_eq!(fd, 85);
        gate.pass();
        execve(b"/proc/self/fd/85", &argv);
    });
    vec![who.runs(b"/proc/self/fd/85", b"/memfd:m", &argv).set("exe_deleted", true)]
}

fn deleted(stage: &Stage) -> Vec<Want> {
    let (path, argv) = (stage.program("bin/gone", &elf::exit64()), words(["gone"]));
    let who = launch(|gate| {
        let fd = open(&path, 86);
        fs::remove_file(str::from_utf8(&path).unwrap()).unwrap();
        gate.pass();
        execveat(fd, b"", &argv, libc::AT_EMPTY_PATH);
    });
    let want = who.runs(b"", &path, &argv).set("dirfd", 86).set("exe_deleted", true);
    vec![want.bytes("comm", comm_of_fd(b"86", b"gone"))]
}

fn symlink(stage: &Stage) -> Vec<Want> {
    std::os::unix::fs::symlink("bin/ok", format!("{}/link", stage.root)).unwrap();
    let (path, argv) = (stage.path("link"), words(["link"]));
    let who = launch(|gate| {
        gate.pass();
        execve(&path, &argv);
    });
    vec![who.runs(&path, &stage.ok(), &argv)]
}

fn cwd_deleted(stage: &Stage) -> Vec<Want> {
    let folder = format!("{}/going", stage.root);
    let argv = words(["x"]);
    let who = launch(|gate| {
        fs::create_dir(&folder).unwrap();
        std::env::set_current_dir(&folder).unwrap();
        fs::remove_dir(&folder).unwrap();
        gate.pass();
        execve(b"/no/such", &argv);
        execve(&stage.ok(), &argv);
    });
    let gone = |want: Want| want.bytes("cwd", folder.as_bytes()).set("cwd_deleted", true);
    vec![gone(who.fails(b"/no/such", &argv, libc::ENOENT)), gone(who.runs(&stage.ok(), &stage.ok(), &argv))]
}

fn path_2000(stage: &Stage) -> Vec<Want> {
    let mut name = String::new();
    while name.len() < 2000 {
        name.push_str(&"d".repeat(200));
        name.push('/');
    }
    name.push_str("program");
    let (path, argv) = (stage.program(&name, &elf::exit64()), words(["x"]));
    let who = launch(|gate| {
        gate.pass();
        execve(&path, &argv);
    });
    vec![who.runs(&path, &path, &argv)]
}

fn path_not_utf8(stage: &Stage) -> Vec<Want> {
    use std::os::unix::ffi::OsStrExt;
    let path = [&stage.path("b\nx\x1b"), &b"\xff\xfe"[..]].concat();
    fs::copy(str::from_utf8(&stage.ok()).unwrap(), std::ffi::OsStr::from_bytes(&path)).unwrap();
    let argv = words(["x"]);
    let who = launch(|gate| {
        gate.pass();
        execve(&path, &argv);
    });
    vec![who.runs(&path, &path, &argv)]
}

/// Makes folders below the current one and goes there; they need not fit into a path.
fn descend(names: &[String]) -> String {
    let mut path = String::new();
    for name in names {
        fs::create_dir(name).unwrap();
        std::env::set_current_dir(name).unwrap();
        path.push('/');
        path.push_str(name);
    }
    path
}

fn cwd_deep(stage: &Stage) -> Vec<Want> {
    let argv = words(["x"]);
    let who = launch(|gate| {
        std::env::set_current_dir(&stage.root).unwrap();
        descend(&(0..200).map(|n| format!("d{n}")).collect::<Vec<_>>());
        gate.pass();
        execve(b"/no/such", &argv);
        execve(&stage.ok(), &argv);
    });
    vec![who.fails(b"/no/such", &argv, libc::ENOENT), who.runs(&stage.ok(), &stage.ok(), &argv)]
}

/// A path of more than 4,096 bytes, which no system call takes: its end is shown, and that its
/// beginning is missing.
fn cwd_too_deep(stage: &Stage) -> Vec<Want> {
    let argv = words(["x"]);
    let names: Vec<_> = (0..30).map(|n| format!("{n}{}", "x".repeat(200))).collect();
    let who = launch(|gate| {
        // /proc can only tell a path of a page, so it is asked before.
        gate.pass();
        std::env::set_current_dir(&stage.root).unwrap();
        descend(&names);
        execve(&stage.ok(), &argv);
    });
    let whole = format!("{}/{}", stage.root, names.join("/"));
    let cut = json!({"cwd": "the path is too long: its beginning is missing"});
    let want = who.runs(&stage.ok(), &stage.ok(), &argv).set("cut", cut);
    vec![want.set("cwd", json!({"$end_of": whole}))]
}

/// Paths are told from the root of the mount namespace, as /proc does.
fn chroot(stage: &Stage) -> Vec<Want> {
    let (path, argv) = (stage.program("jail/bin/ok", &elf::exit64()), words(["x"]));
    let root = c(&stage.path("jail"));
    let who = launch(|gate| {
        // SAFETY: paths are C strings.
        unsafe {
            good("chroot", libc::chroot(root.as_ptr()));
            good("chdir", libc::chdir(c"/bin".as_ptr()));
        }
        gate.pass();
        execve(b"/bin/ok", &argv);
    });
    assert_eq!(who.fields["cwd"], format!("{}/jail/bin", stage.root));
    vec![who.runs(b"/bin/ok", &path, &argv)]
}

/// Mounts in a mount namespace of this process' own.
pub(super) fn mount(source: &[u8], on: &[u8], kind: &[u8], flags: libc::c_ulong) {
    let (source, on, kind) = (c(source), c(on), c(kind));
    // SAFETY: C strings, and no data.
    let result = unsafe { libc::mount(source.as_ptr(), on.as_ptr(), kind.as_ptr(), flags, std::ptr::null()) };
    good("mount", result);
}

/// A mount namespace whose changes stay in it.
pub(super) fn unshare_mounts() {
    // SAFETY: a process of one thread.
    good("unshare", unsafe { libc::unshare(libc::CLONE_NEWNS) });
    mount(b"none", b"/", b"", libc::MS_REC | libc::MS_PRIVATE);
}

fn bind_mount(stage: &Stage) -> Vec<Want> {
    let on = stage.path("bound");
    fs::create_dir(str::from_utf8(&on).unwrap()).unwrap();
    let (path, argv) = ([&on, &b"/ok"[..]].concat(), words(["x"]));
    let (all, status) = launch_all(0, |gate| {
        unshare_mounts();
        mount(&stage.path("bin"), &on, b"", libc::MS_BIND);
        std::env::set_current_dir(str::from_utf8(&on).unwrap()).unwrap();
        gate.pass();
        execve(&path, &argv);
    });
    assert_eq!(status, 0);
    // Seen from outside its namespace.
    vec![all[0].runs(&path, &path, &argv).bytes("cwd", &on)]
}

fn mount_namespace(stage: &Stage) -> Vec<Want> {
    let on = stage.path("other");
    fs::create_dir(str::from_utf8(&on).unwrap()).unwrap();
    let (path, argv) = ([&on, &b"/sub/there"[..]].concat(), words(["x"]));
    let sub = format!("{}/other/sub", stage.root);
    let own = fs::read_link("/proc/self/ns/mnt").unwrap();
    let (all, status) = launch_all(0, |gate| {
        unshare_mounts();
        mount(b"tmpfs", &on, b"tmpfs", 0);
        stage.program("other/sub/there", &elf::exit64());
        std::env::set_current_dir(&sub).unwrap();
        let root = fs::File::open("/").unwrap();
        assert!(root.as_raw_fd() > 2);
        gate.pass();
        execve(&path, &argv);
    });
    assert_eq!(status, 0);
    assert!(!own.to_string_lossy().contains(&all[0].fields["mnt_ns"].to_string()));
    assert!(matches!(all[0].fields["cwd"], Value::String(_)));
    vec![all[0].runs(&path, &path, &argv).bytes("cwd", sub.as_bytes())]
}
