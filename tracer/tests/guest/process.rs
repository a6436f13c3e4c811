//! Processes that stop at a gate before they exec, so that what /proc says of them can be written
//! down.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;

use serde_json::{Map, Value, json};

use crate::sys::good;
use crate::want::{put_bytes, text};

/// What /proc told of a process at its gate: the fields of its exec, by their names in JSON.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) pid: i32,
    pub(crate) fields: Map<String, Value>,
    pub(crate) missing: Map<String, Value>,
    /// Its own start and its parent's, in ticks of a hundredth of a second since boot.
    pub(crate) start: u64,
    pub(crate) parent_start: u64,
}

/// Where a process stops.
pub(crate) struct Gate {
    ready: File,
    open: File,
}

impl Gate {
    /// Stops until the process has been looked at.
    pub(crate) fn pass(&mut self) {
        // SAFETY: the call has no precondition.
        let tid = unsafe { libc::syscall(libc::SYS_gettid) } as i32;
        self.ready.write_all(&tid.to_ne_bytes()).unwrap();
        self.open.read_exact(&mut [0]).unwrap();
    }
}

/// Forks a process that runs `body` and ends, if `body` comes back. Each process that passes the
/// gate is looked at.
pub(crate) fn launch_all(clone_flags: i32, body: impl FnOnce(&mut Gate)) -> (Vec<Who>, i32) {
    let (mut readies, ready) = pipe();
    let (open, mut opener) = pipe();
    // SAFETY: fork, and namespaces if wanted: this process has one thread.
    let child = unsafe { libc::syscall(libc::SYS_clone, clone_flags | libc::SIGCHLD, 0, 0, 0, 0) } as i32;
    if good("clone", child) == 0 {
        drop((readies, opener));
        body(&mut Gate { ready, open });
        // SAFETY: ends the process, and runs nothing of its parent's.
        unsafe { libc::_exit(0) };
    }
    drop((ready, open));
    let mut all = Vec::new();
    let mut tid = [0; 4];
    while readies.read_exact(&mut tid).is_ok() {
        // In a pid namespace of its own, it does not know its number here.
        let own_namespace = clone_flags & libc::CLONE_NEWPID != 0;
        all.push(Who::of(if own_namespace { child } else { i32::from_ne_bytes(tid) }));
        opener.write_all(&[1]).unwrap();
    }
    let mut status = 0;
    // SAFETY: `status` is writable.
    good("waitpid", unsafe { libc::waitpid(child, &raw mut status, 0) });
    (all, status)
}

/// The same for a body in which one process passes the gate, and which ends well.
pub(crate) fn launch(body: impl FnOnce(&mut Gate)) -> Who {
    let (mut all, status) = launch_all(0, body);
    assert_eq!((all.len(), status), (1, 0));
    all.remove(0)
}

fn pipe() -> (File, File) {
    // Both ends close on exec: that is how a successful exec is noticed.
    let (read, write) = std::io::pipe().unwrap();
    (File::from(std::os::fd::OwnedFd::from(read)), File::from(std::os::fd::OwnedFd::from(write)))
}

impl Who {
    fn of(tid: i32) -> Self {
        let mut fields = Map::new();
        let mut missing = Map::new();
        // The name in its first line may be any bytes.
        let status = |id| fs::read(format!("/proc/{id}/status")).unwrap();
        let of_thread = String::from_utf8_lossy(&status(tid)).into_owned();
        let numbers = |name: &str| -> Vec<u64> {
            let line = of_thread.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().map(|n| n.parse().unwrap()).collect()
        };
        let (pid, ppid) = (numbers("Tgid:")[0] as i32, numbers("PPid:")[0] as i32);
        let of_leader = String::from_utf8_lossy(&status(pid)).into_owned();
        let ns_pids = of_leader.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
        let ns_pid: u64 = ns_pids.split_whitespace().last().unwrap().parse().unwrap();
        for (name, value) in [
            ("pid", numbers("Tgid:")[0]),
            ("tid", numbers("Pid:")[0]),
            ("ppid", numbers("PPid:")[0]),
            ("uid", numbers("Uid:")[0]),
            ("euid", numbers("Uid:")[1]),
            ("gid", numbers("Gid:")[0]),
            ("egid", numbers("Gid:")[1]),
            ("ns_pid", ns_pid),
            ("pid_ns", namespace(pid, "pid")),
            ("mnt_ns", namespace(pid, "mnt")),
            ("cgroup_id", cgroup(pid)),
        ] {
            fields.insert(name.to_owned(), json!(value));
        }
        for (name, file) in [("login_uid", "loginuid"), ("session_id", "sessionid")] {
            let id = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
            let id: u32 = id.trim().parse().unwrap();
            if id == u32::MAX {
                missing.insert(name.to_owned(), json!("not set"));
            }
            fields.insert(name.to_owned(), if id == u32::MAX { Value::Null } else { json!(id) });
        }
        fields.insert("cgroup".to_owned(), json!(cgroup_path(pid)));
        nowhere(&mut fields);
        put_bytes(&mut fields, "comm", &comm(tid));
        put_bytes(&mut fields, "parent_comm", &comm(ppid));
        fields.insert("cwd".to_owned(), text(link(pid, "cwd").as_bytes()));
        Self { pid, fields, missing, start: start(pid), parent_start: start(ppid) }
    }
}

fn comm(pid: i32) -> Vec<u8> {
    let mut comm = fs::read(format!("/proc/{pid}/comm")).unwrap();
    assert_eq!(comm.pop(), Some(b'\n'));
    comm
}

fn link(pid: i32, name: &str) -> String {
    fs::read_link(format!("/proc/{pid}/{name}")).unwrap().to_string_lossy().into_owned()
}

fn namespace(pid: i32, kind: &str) -> u64 {
    let link = link(pid, &format!("ns/{kind}"));
    link.split(['[', ']']).nth(1).unwrap().parse().unwrap()
}

fn cgroup_path(pid: i32) -> String {
    let all = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    all.lines().find_map(|line| line.strip_prefix("0::")).unwrap().to_owned()
}

/// The inode number of the process' cgroup, which is its id.
fn cgroup(pid: i32) -> u64 {
    fs::metadata(format!("/sys/fs/cgroup{}", cgroup_path(pid))).unwrap().ino()
}

/// No container and no service: what the processes of a guest are in, where a test does not make it so.
pub(crate) fn nowhere(fields: &mut Map<String, Value>) {
    for name in ["container", "unit", "user_unit", "slice", "pod_uid"] {
        fields.insert(name.to_owned(), Value::Null);
    }
}

/// proc(5), field 22 of /proc/PID/stat. The comm before it may hold anything.
fn start(pid: i32) -> u64 {
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap();
    let stat = String::from_utf8_lossy(&stat).into_owned();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    rest.split_whitespace().nth(19).unwrap().parse().unwrap()
}
