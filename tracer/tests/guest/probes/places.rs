//! Places that are no functions: tracepoints, BTF raw tracepoints, system calls; and a process' descendants.

use std::process::Command;

use tracer::{
    plan::probe::{Ends, Place, Who},
    session::{Precheck, probe},
};
use tracer_common::probe::{Fetch, fetch, hit, read, source};

use super::{
    hit::{Hit, all},
    run::{Host, argument, point, result, run, tracepoint, user_text},
};
use crate::{harness::Test, roles::SELF, sys};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::one("probes::places::tracepoint", 60, a_tracepoint),
        Test::one("probes::places::raw_tracepoint", 60, a_raw_tracepoint),
        Test::one("probes::places::syscall", 60, a_syscall),
        Test::one("probes::places::twins", 60, twins),
        Test::one("probes::places::tree", 60, a_tree),
    ]
}

/// Signals that are ignored by default.
const SIGNALS: [i32; 3] = [libc::SIGURG, libc::SIGWINCH, libc::SIGCHLD];

fn signal_myself() {
    for signal in SIGNALS {
        // SAFETY: no memory involved.
        sys::good("kill", unsafe { libc::kill(std::process::id() as i32, signal) });
    }
}

fn a_tracepoint() {
    let host = Host::new();
    let (place, offset) = tracepoint("signal", "signal_generate");
    let field = |name: &str, size| {
        let mut fetch = Fetch {
            source: source::RECORD,
            read: read::NUMBER,
            size,
            flags: fetch::SIGNED,
            ..Fetch::default()
        };
        fetch.offset[0] = offset(name);
        fetch
    };
    let comm = Fetch { read: read::ARRAY, limit: 16, ..field("comm", 0) };
    let mut attached =
        host.start(&run(vec![point(place, Ends::Entry, &[field("sig", 4), field("pid", 4), comm])]));
    signal_myself();
    let hits = all(&mut attached);
    let seen: Vec<_> = hits.iter().map(|hit| (hit.number(0) as i32, hit.number(1) as u32)).collect();
    assert_eq!(seen, SIGNALS.map(|signal| (signal, std::process::id())));
    let own = std::fs::read("/proc/self/comm").unwrap();
    assert!(hits.iter().all(|hit| hit.text(2) == own.trim_ascii_end()), "{:?}", hits[0].text(2));
}

fn a_raw_tracepoint() {
    let host = Host::new();
    // signal_generate(int sig, struct kernel_siginfo *info, struct task_struct *task, int group, int result)
    let mut pid = Fetch { read: read::NUMBER, size: 4, ..argument(2) };
    pid.offset[0] = host.offset("task_struct", "tgid");
    let sig = Fetch { size: 4, ..argument(0) };
    // task->signal->pids is no pointer to a text; task->group_leader->comm is one that is reached in two steps.
    let mut comm = Fetch { read: read::ARRAY, limit: 16, steps: 1, ..argument(2) };
    comm.offset[0] = host.offset("task_struct", "group_leader");
    comm.offset[1] = host.offset("task_struct", "comm");
    let place = host.raw("signal_generate", 5);
    let mut attached = host.start(&run(vec![point(place, Ends::Entry, &[sig, pid, comm])]));
    signal_myself();
    let hits = all(&mut attached);
    let seen: Vec<_> = hits.iter().map(|hit| (hit.number(0) as i32, hit.number(1) as u32)).collect();
    assert_eq!(seen, SIGNALS.map(|signal| (signal, std::process::id())));
    let own = std::fs::read("/proc/self/comm").unwrap();
    assert!(hits.iter().all(|hit| hit.text(2) == own.trim_ascii_end()));
}

fn a_syscall() {
    let host = Host::new();
    let place = |name: &str, number: i64| Place::Syscall { name: name.to_owned(), number: number as u32 };
    let points = vec![
        point(place("openat", libc::SYS_openat), Ends::Both, &[user_text(1, 64), argument(2), result()]),
        point(place("close", libc::SYS_close), Ends::Entry, &[argument(0)]),
    ];
    let mut attached = host.start(&run(points));
    // SAFETY: C strings, and an address that the kernel checks.
    let (good, missing, bad) = unsafe {
        let open =
            |path: *const libc::c_char, flags: i32| libc::syscall(libc::SYS_openat, -100, path, flags, 0);
        let good = open(c"/proc/self/comm".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        libc::syscall(libc::SYS_close, good);
        (good, open(c"/no/such/file".as_ptr(), libc::O_RDWR), open(std::ptr::null(), 0))
    };
    assert!(good >= 0 && missing == -1 && bad == -1);
    // Number 257 through `int $0x80` is another call: remap_file_pages of a 32-bit program.
    let compat = compat_call(257);
    assert_ne!(compat, 0);
    let hits = all(&mut attached);
    // The tracer opens and closes files itself, while it attaches and detaches.
    let is_first =
        |hit: &Hit| hit.probe.point == 0 && !hit.is_unreadable(0) && hit.text(0) == b"/proc/self/comm";
    let at = hits.iter().position(is_first).expect("the first call");
    let [first, close, second, third, ..] = &hits[at..] else { panic!("{hits:?}") };
    assert_eq!(first.text(0), b"/proc/self/comm");
    assert_eq!(first.number(1) as i32, libc::O_RDONLY | libc::O_CLOEXEC);
    assert_eq!(first.number(2), good);
    assert_eq!(first.probe.flags, hit::ENTRY | hit::RETURN);
    assert!(first.duration() > 0);
    assert_eq!((close.probe.point, close.number(0)), (1, good));
    assert_eq!((second.text(0), second.number(2)), (b"/no/such/file".as_slice(), -2));
    assert!(third.is_unreadable(0));
    assert_eq!(third.number(2), -14);
}

/// Two points of one system call: the second is listed, the first works.
fn twins() {
    let host = Host::new();
    let place = Place::Syscall { name: "umask".to_owned(), number: libc::SYS_umask as u32 };
    let mut run = run(vec![point(place.clone(), Ends::Both, &[argument(0)]), point(place, Ends::Both, &[])]);
    run.strict = false;
    let mut attached = probe::start(&run, &host.facts, Precheck::Enforce, &[]).unwrap();
    assert_eq!(attached.failed().iter().map(|failed| failed.point).collect::<Vec<_>>(), [1]);
    // SAFETY: no memory involved.
    unsafe { libc::umask(0o22) };
    let hits = all(&mut attached);
    let [hit] = hits.as_slice() else { panic!("{} hits", hits.len()) };
    assert_eq!((hit.probe.point, hit.number(0)), (0, 0o22));
}

/// A system call of the 32-bit convention, all arguments of which are 0.
fn compat_call(number: i32) -> i32 {
    let result: i32;
    // SAFETY: a system call that touches no memory; rbx is put back.
    unsafe {
        std::arch::asm!(
            "push rbx", "xor ebx, ebx", "int 0x80", "pop rbx",
            inlateout("eax") number => result,
            in("ecx") 0, in("edx") 0, in("esi") 0, in("edi") 0,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    result
}

/// A child's exec, by the text of a tracepoint that says where it lies; nobody else's.
fn a_tree() {
    let host = Host::new();
    let (place, offset) = tracepoint("sched", "sched_process_exec");
    let mut name = Fetch { source: source::RECORD, read: read::DATA_LOC, limit: 64, ..Fetch::default() };
    name.offset[0] = offset("filename");
    let mut run = run(vec![point(place, Ends::Entry, &[name])]);
    run.who = Who { tree: true, ..Who::default() };
    let mut attached = host.start(&run);
    let status = Command::new(SELF).args(["role", "exit", "3"]).status().unwrap();
    assert_eq!(status.code(), Some(3));
    let hits = all(&mut attached);
    let [hit] = hits.as_slice() else { panic!("{} hits", hits.len()) };
    assert_eq!(hit.text(0), SELF.as_bytes());
    assert_ne!(hit.probe.pid, std::process::id());
    assert_eq!(attached.tree_size(), 1, "the child has left");
}
