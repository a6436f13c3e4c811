//! Who execs: users, set-id programs, logins, namespaces, cgroups, names.

use std::fs;

use serde_json::json;

use super::exe::{mount, unshare_mounts};
use super::{Case, Stage, words};
use crate::elf;
use crate::process::{launch, launch_all};
use crate::sys::{c, execve, good};
use crate::want::Want;

pub(super) const CASES: &[Case] = &[
    Case::new("user", user),
    Case::new("effective_user", effective_user),
    Case::new("set_uid", set_uid),
    Case::new("set_gid", set_gid),
    Case::new("set_uid_without_effect", set_uid_without_effect),
    Case::new("set_uid_nosuid", set_uid_nosuid),
    Case::new("file_capability", file_capability),
    Case::new("login", login),
    Case::new("cgroup", cgroup),
    Case::new("pid_namespace", pid_namespace),
    Case::new("comm", comm),
    Case::new("orphan", orphan),
];

/// Becomes a user and a group for good.
fn become_user(uid: u32, gid: u32) {
    // SAFETY: no memory involved but the empty list.
    unsafe {
        good("setgroups", libc::setgroups(0, std::ptr::null()));
        good("setresgid", libc::setresgid(gid, gid, gid));
        good("setresuid", libc::setresuid(uid, uid, uid));
    }
}

/// A failed and a successful exec as that user.
fn user(stage: &Stage) -> Vec<Want> {
    let (path, argv) = (stage.ok(), words(["x"]));
    let who = launch(|gate| {
        become_user(1000, 1001);
        gate.pass();
        execve(b"/no/such", &argv);
        execve(&path, &argv);
    });
    assert_eq!((&who.fields["uid"], &who.fields["egid"]), (&json!(1000), &json!(1001)));
    vec![who.fails(b"/no/such", &argv, libc::ENOENT), who.runs(&path, &path, &argv)]
}

fn effective_user(stage: &Stage) -> Vec<Want> {
    let (path, argv) = (stage.ok(), words(["x"]));
    let who = launch(|gate| {
        // SAFETY: no memory involved.
        unsafe {
            good("setresgid", libc::setresgid(7, 8, 9));
            good("setresuid", libc::setresuid(1000, 1002, 0));
        }
        gate.pass();
        execve(&path, &argv);
    });
    assert_eq!((&who.fields["uid"], &who.fields["euid"]), (&json!(1000), &json!(1002)));
    vec![who.runs(&path, &path, &argv)]
}

/// A program with these permissions, of root and of group 5.
fn set_id(stage: &Stage, name: &str, mode: u32) -> Vec<u8> {
    let path = stage.program(name, &elf::exit64());
    let text = str::from_utf8(&path).unwrap();
    std::os::unix::fs::chown(text, Some(0), Some(5)).unwrap();
    // After chown, which takes the bits away.
    stage.file(name, &elf::exit64(), mode)
}

fn set_uid(stage: &Stage) -> Vec<Want> {
    let (path, argv) = (set_id(stage, "bin/suid", 0o4755), words(["x"]));
    let who = launch(|gate| {
        become_user(1000, 1000);
        gate.pass();
        execve(&path, &argv);
    });
    let want = who.runs(&path, &path, &argv).set("euid", 0);
    vec![want.set("set_uid", true).set("privilege", true)]
}

fn set_gid(stage: &Stage) -> Vec<Want> {
    let (path, argv) = (set_id(stage, "bin/sgid", 0o2755), words(["x"]));
    let who = launch(|gate| {
        become_user(1000, 1000);
        gate.pass();
        execve(&path, &argv);
    });
    let want = who.runs(&path, &path, &argv).set("egid", 5);
    vec![want.set("set_gid", true).set("privilege", true)]
}

/// A process that may not gain privilege.
fn set_uid_without_effect(stage: &Stage) -> Vec<Want> {
    let (path, argv) = (set_id(stage, "bin/suid2", 0o6755), words(["x"]));
    let who = launch(|gate| {
        become_user(1000, 1000);
        // SAFETY: no memory involved.
        good("prctl", unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) });
        gate.pass();
        execve(&path, &argv);
    });
    vec![who.runs(&path, &path, &argv)]
}

/// A mount on which the bits mean nothing.
fn set_uid_nosuid(stage: &Stage) -> Vec<Want> {
    let on = stage.path("nosuid");
    fs::create_dir(str::from_utf8(&on).unwrap()).unwrap();
    let (path, argv) = (stage.path("nosuid/suid"), words(["x"]));
    let who = launch(|gate| {
        unshare_mounts();
        mount(b"tmpfs", &on, b"tmpfs", libc::MS_NOSUID);
        set_id(stage, "nosuid/suid", 0o4755);
        become_user(1000, 1000);
        gate.pass();
        execve(&path, &argv);
    });
    vec![who.runs(&path, &path, &argv)]
}

fn file_capability(stage: &Stage) -> Vec<Want> {
    let (path, argv) = (stage.program("bin/capable", &elf::exit64()), words(["x"]));
    // include/uapi/linux/capability.h, `struct vfs_cap_data`, version 2, effective: CAP_NET_RAW.
    let words: [u32; 5] = [0x0200_0001, 1 << 13, 0, 0, 0];
    let value: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let name = c(&path);
    // SAFETY: C strings, and a value of that length.
    let result = unsafe {
        let key = c"security.capability".as_ptr();
        libc::setxattr(name.as_ptr(), key, value.as_ptr().cast(), value.len(), 0)
    };
    good("setxattr", result);
    let who = launch(|gate| {
        become_user(1000, 1000);
        gate.pass();
        execve(&path, &argv);
    });
    vec![who.runs(&path, &path, &argv).set("privilege", true)]
}

/// As pam_loginuid does it; the audit system makes a session.
fn login(stage: &Stage) -> Vec<Want> {
    let (path, argv) = (stage.ok(), words(["x"]));
    let who = launch(|gate| {
        fs::write("/proc/self/loginuid", "1234").unwrap();
        gate.pass();
        execve(b"/no/such", &argv);
        execve(&path, &argv);
    });
    assert_eq!(who.fields["login_uid"], 1234);
    assert!(who.fields["session_id"].is_u64());
    vec![who.fails(b"/no/such", &argv, libc::ENOENT), who.runs(&path, &path, &argv)]
}

fn cgroup(stage: &Stage) -> Vec<Want> {
    let (path, argv) = (stage.ok(), words(["x"]));
    let folder = format!("/sys/fs/cgroup/test-{}", std::process::id());
    fs::create_dir_all(format!("{folder}/below")).unwrap();
    let who = launch(|gate| {
        fs::write(format!("{folder}/below/cgroup.procs"), "0").unwrap();
        gate.pass();
        execve(&path, &argv);
    });
    assert_ne!(who.fields["cgroup_id"], 1);
    fs::remove_dir(format!("{folder}/below")).unwrap();
    fs::remove_dir(&folder).unwrap();
    vec![who.runs(&path, &path, &argv)]
}

/// The first process of a pid namespace, with one number there and another here.
fn pid_namespace(stage: &Stage) -> Vec<Want> {
    let (path, argv) = (stage.ok(), words(["x"]));
    let (all, status) = launch_all(libc::CLONE_NEWPID, |gate| {
        gate.pass();
        execve(b"/no/such", &argv);
        execve(&path, &argv);
    });
    assert_eq!(status, 0);
    assert_eq!(all[0].fields["ns_pid"], 1);
    assert_ne!(all[0].fields["pid"], 1);
    vec![all[0].fails(b"/no/such", &argv, libc::ENOENT), all[0].runs(&path, &path, &argv)]
}

/// A name of its own, of bytes that are no text; a successful exec takes it away.
fn comm(stage: &Stage) -> Vec<Want> {
    let (path, argv) = (stage.program("bin/a name that is too long", &elf::exit64()), words(["x"]));
    let who = launch(|gate| {
        // SAFETY: a C string.
        good("prctl", unsafe { libc::prctl(libc::PR_SET_NAME, c"\xff x\ty".as_ptr()) });
        gate.pass();
        execve(b"/no/such", &argv);
        execve(&path, &argv);
    });
    vec![who.fails(b"/no/such", &argv, libc::ENOENT), who.runs(&path, &path, &argv)]
}

/// Its parent has gone: the one that took it over is told.
fn orphan(stage: &Stage) -> Vec<Want> {
    let (path, argv) = (stage.ok(), words(["x"]));
    let (all, _) = launch_all(0, |gate| {
        // SAFETY: a process of one thread.
        if good("fork", unsafe { libc::fork() }) > 0 {
            return;
        }
        let orphaned = || fs::read_to_string("/proc/self/stat").unwrap().contains(") R 1 ");
        while !orphaned() {
            std::thread::yield_now();
        }
        gate.pass();
        execve(&path, &argv);
    });
    assert_eq!(all[0].fields["ppid"], 1);
    vec![all[0].runs(&path, &path, &argv)]
}
