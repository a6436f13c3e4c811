//! Children, and what waiting for them tells.

use std::{collections::BTreeMap, fs, mem::MaybeUninit};

use serde_json::Value;

use super::Told;
use crate::sys::good;

/// Ends this process, and runs nothing of its parent's.
pub(super) fn end(status: i32) -> ! {
    // SAFETY: no precondition.
    unsafe { libc::_exit(status) }
}

/// Forks a process that runs `body` and ends, with 0 if `body` comes back. This process has one
/// thread.
pub(super) fn fork(body: impl FnOnce()) -> i32 {
    // SAFETY: see above.
    let pid = good("fork", unsafe { libc::fork() });
    if pid == 0 {
        body();
        end(0);
    }
    pid
}

/// The children of children that end before those are ours.
pub(super) fn adopt_orphans() {
    // SAFETY: no memory involved.
    good("prctl", unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) });
}

/// Sends a signal to this process.
pub(super) fn raise(signal: i32) {
    // SAFETY: the default action; no memory involved.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::kill(libc::getpid(), signal);
    }
}

/// A child that waits for a word.
pub(super) struct Waiting {
    pub(super) pid: i32,
    go: i32,
}

impl Waiting {
    pub(super) fn fork(body: impl FnOnce()) -> Self {
        let [read, go] = pipe();
        let pid = fork(|| {
            take(read);
            body();
        });
        // SAFETY: our own descriptor.
        unsafe { libc::close(read) };
        Self { pid, go }
    }

    pub(super) fn finish(self) -> Corpse {
        give(self.go, 0);
        // SAFETY: our own descriptor.
        unsafe { libc::close(self.go) };
        bury(self.pid)
    }
}

pub(super) fn pipe() -> [i32; 2] {
    let mut ends = [0; 2];
    // SAFETY: room for two.
    good("pipe", unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) });
    ends
}

/// Takes a number from a pipe; waits for it.
pub(super) fn take(from: i32) -> i32 {
    let mut number = [0; 4];
    // SAFETY: room for as much.
    let read = unsafe { libc::read(from, number.as_mut_ptr().cast(), 4) };
    assert_eq!(read, 4);
    i32::from_ne_bytes(number)
}

pub(super) fn give(to: i32, number: i32) {
    let number = number.to_ne_bytes();
    // SAFETY: as many bytes.
    let written = unsafe { libc::write(to, number.as_ptr().cast(), 4) };
    assert_eq!(written, 4);
}

/// What is known of a child that has ended.
pub(super) struct Corpse {
    pub(super) pid: i32,
    pub(super) status: i32,
    /// With its own children's.
    pub(super) usage: libc::rusage,
    /// Ticks of a hundredth of a second since boot.
    start: u64,
    /// /proc/PID/io.
    io: BTreeMap<String, u64>,
}

/// Waits for a child's end.
pub(super) fn bury(pid: i32) -> Corpse {
    let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
    // SAFETY: `info` is writable.
    let waited =
        unsafe { libc::waitid(libc::P_PID, pid as u32, info.as_mut_ptr(), libc::WEXITED | libc::WNOWAIT) };
    good("waitid", waited);
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let start = rest.split_whitespace().nth(19).unwrap().parse().unwrap();
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    let io = io.lines().map(|line| {
        let (name, number) = line.split_once(": ").unwrap();
        (name.to_owned(), number.parse().unwrap())
    });
    let io = io.collect();
    let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: both are writable.
    good("wait4", unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) });
    // SAFETY: numbers, which the kernel has written.
    Corpse { pid, status, usage: unsafe { usage.assume_init() }, start, io }
}

impl Corpse {
    /// The id of its life, if its start is the one that /proc told.
    pub(super) fn id_in(&self, life: &Value) -> String {
        let start_ns = life["start_ns"].as_u64().unwrap();
        assert_eq!(start_ns / 10_000_000, self.start, "{life}");
        format!("{}-{start_ns}", self.pid)
    }

    /// Holds its life against what its parent knows, and returns it.
    pub(super) fn check<'t>(&self, told: &'t Told) -> &'t Value {
        let life = told.life(self.pid);
        self.check_status(life);
        self.check_usage(life);
        assert_eq!(life["id"].as_str(), Some(self.id_in(life).as_str()), "{life}");
        let (start, end) = (life["start_ns"].as_u64().unwrap(), life["boot_ns"].as_u64().unwrap());
        assert_eq!(life["duration_ns"], end - start, "{life}");
        life
    }

    /// How it ended: exit code, signal, core.
    fn check_status(&self, life: &Value) {
        let status = self.status;
        let of_signal = [&life["signal"], &life["signal_name"]];
        if libc::WIFEXITED(status) {
            assert_eq!(life["exit_code"], libc::WEXITSTATUS(status), "{status:#x}: {life}");
            assert!(of_signal.iter().all(|field| field.is_null()), "{status:#x}: {life}");
            assert_eq!(life["core"], false, "{life}");
        } else {
            assert!(life["exit_code"].is_null(), "{status:#x}: {life}");
            assert_eq!(life["signal"], libc::WTERMSIG(status), "{status:#x}: {life}");
            assert!(of_signal[1].as_str().is_some_and(|name| name.starts_with("SIG")), "{life}");
            assert_eq!(life["core"], libc::WCOREDUMP(status), "{status:#x}: {life}");
        }
    }

    /// What it used, if it had no children. What the kernel counts on the way from the event to the
    /// end of the process is in its own sums alone.
    fn check_usage(&self, life: &Value) {
        let ns = |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1_000;
        let number = |name: &str| life[name].as_u64().unwrap_or_else(|| panic!("no {name}: {life}"));
        let sum = number("user_ns") + number("system_ns");
        let all = ns(self.usage.ru_utime) + ns(self.usage.ru_stime);
        assert!(sum <= all + 2_000, "{sum} of {all}: {life}");
        assert!(all <= sum + 50_000_000, "{sum} of {all}: {life}");
        assert_eq!(number("max_rss_bytes"), self.usage.ru_maxrss as u64 * 1024, "{life}");
        let near = |name: &str, of: i64| {
            let of = of as u64;
            assert!((number(name)..=number(name) + 50).contains(&of), "{name}: {of}: {life}");
        };
        near("minor_faults", self.usage.ru_minflt);
        near("major_faults", self.usage.ru_majflt);
        for (name, of) in [
            ("read_chars", "rchar"),
            ("written_chars", "wchar"),
            ("read_bytes", "read_bytes"),
            ("write_bytes", "write_bytes"),
            ("cancelled_write_bytes", "cancelled_write_bytes"),
        ] {
            assert_eq!(number(name), self.io[of], "{name}: {life}");
        }
    }
}
