//! Programs that the kernel itself starts (kernel/umh.c, `call_usermodehelper_exec_async`): no
//! system call, everything in the kernel's memory, the parent a kernel thread.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::json;

use super::{Case, Stage, words};
use crate::elf;
use crate::process::launch_all;
use crate::want::Want;

pub(super) const CASES: &[Case] = &[
    Case::new("kernel_modprobe", modprobe),
    Case::new("kernel_modprobe_enoent", modprobe_enoent),
    Case::new("kernel_core_pattern", core_pattern),
];

/// Sets a value below /proc/sys/kernel for as long as `during` takes.
fn with_setting(name: &str, value: &[u8], during: impl FnOnce()) {
    let file = format!("/proc/sys/kernel/{name}");
    let before = fs::read(&file).unwrap();
    fs::write(&file, value).unwrap();
    during();
    fs::write(&file, before).unwrap();
}

/// Asks for a protocol family that no kernel has built in: net/socket.c, `__sock_create`, then asks
/// for the module and waits for the program that is to load it.
fn request_module() {
    // SAFETY: makes no descriptor, as there is no such family.
    assert_eq!(unsafe { libc::socket(FAMILY, libc::SOCK_RAW, 0) }, -1);
}
/// `AF_CAIF`.
const FAMILY: i32 = 37;

/// What can be known of a process that the kernel makes.
fn helper(want: Want) -> Want {
    let inum = |kind: &str| fs::metadata(format!("/proc/1/ns/{kind}")).unwrap().ino();
    let mut want = want.set("kernel_started", true).set("cwd", "/");
    for name in ["uid", "gid", "euid", "egid"] {
        want = want.set(name, 0);
    }
    for name in ["pid", "tid", "ppid", "ns_pid", "parent_comm"] {
        want = want.any(name);
    }
    want = want.set("cgroup_id", fs::metadata("/sys/fs/cgroup").unwrap().ino());
    want = want.gone("login_uid", "not set").gone("session_id", "not set");
    want.set("pid_ns", inum("pid")).set("mnt_ns", inum("mnt"))
}

fn modprobe(stage: &Stage) -> Vec<Want> {
    let path = stage.program("bin/modprobe", &elf::exit64());
    with_setting("modprobe", &path, request_module);
    let mut argv = words(["", "-q", "--", &format!("net-pf-{FAMILY}")]);
    argv[0].clone_from(&path);
    vec![helper(Want::nobody(&path, &argv))]
}

/// `kernel_execve` is no system call: the family of tracepoints has nothing to see its failure by.
fn modprobe_enoent(stage: &Stage) -> Vec<Want> {
    let path = stage.path("bin/nomodprobe");
    with_setting("modprobe", &path, request_module);
    let mut argv = words(["", "-q", "--", &format!("net-pf-{FAMILY}")]);
    argv[0].clone_from(&path);
    let want = helper(Want::nobody(&path, &argv)).set("retval", -libc::ENOENT).set("errno", "ENOENT");
    vec![want.any("comm").gone("exe", "the exec failed").unseen_by("tracepoint")]
}

fn core_pattern(stage: &Stage) -> Vec<Want> {
    let path = stage.program("bin/core", &elf::exit64());
    let line = [b"|", path.as_slice(), b" %s 'a b' %P"].concat();
    let mut pid = 0;
    with_setting("core_pattern", &line, || {
        let (all, status) = launch_all(0, |gate| {
            gate.pass();
            // SAFETY: ends this process.
            unsafe { libc::kill(libc::getpid(), libc::SIGABRT) };
        });
        assert_eq!(status & 0x7f, libc::SIGABRT);
        pid = all[0].pid;
    });
    let mut argv = words(["", "6", "'a", "b'", &pid.to_string()]);
    argv[0].clone_from(&path);
    // kernel/umh.c: a child of kthreadd's, the kernel does not wait for it.
    let want = helper(Want::nobody(&path, &argv)).set("parent_comm", "kthreadd").set("ppid", 2);
    vec![want.set("kernel_started", json!(true))]
}
