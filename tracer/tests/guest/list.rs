//! `tracer list`: known names of a real kernel, with their types, whoever asks.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::Test;
use crate::tracer::{TRACER, parse};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::one("list::functions", 120, functions),
        Test::one("list::tracepoints", 120, tracepoints),
        Test::one("list::system_calls", 120, system_calls),
        Test::one("list::everything", 300, everything),
        Test::one("list::without_privilege", 120, without_privilege),
        Test::one("list::nothing_matches", 120, nothing_matches),
        Test::one("list::a_reader_goes_away", 120, a_reader_goes_away),
    ]
}

fn list(words: &[&str]) -> (Vec<Value>, String, Option<i32>) {
    let output = Command::new(TRACER).args(["list", "--format", "json"]).args(words).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (text.lines().map(parse).collect(), stderr, output.status.code())
}

/// The only line, with nothing to be said about it.
fn only(words: &[&str]) -> Value {
    let (mut lines, stderr, status) = list(words);
    assert_eq!((lines.len(), stderr.as_str(), status), (1, "", Some(0)), "{words:?}: {lines:?}");
    lines.remove(0)
}

fn version() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut parts = release.split('.').map(|part| part.parse().unwrap());
    (parts.next().unwrap(), parts.next().unwrap())
}

fn functions() {
    let line = only(&["kprobe", "vfs_read"]);
    let signature = line["signature"].as_str().unwrap();
    assert_eq!(signature, "ssize_t vfs_read(struct file *file, char *buf, size_t count, loff_t *pos)");
    assert_eq!(line["spec"], "kprobe:vfs_read");
    assert_eq!(line["module"], Value::Null);
    // Debian's 6.1 is new enough, but built without CONFIG_FPROBE.
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap();
    let multi = version() >= (5, 18) && symbols.lines().any(|line| line.ends_with(" register_fprobe"));
    let expected: &[&str] = if multi { &["kprobe.multi", "kprobe", "fentry"] } else { &["kprobe", "fentry"] };
    assert_eq!(line["mechanisms"], serde_json::json!(expected));
    let line = only(&["fentry:vfs_read"]);
    assert_eq!(
        (&line["signature"], &line["spec"]),
        (&Value::from(signature), &Value::from("fentry:vfs_read"))
    );
    let (lines, _, _) = list(&["kprobe", "/^vfs_(read|write)$/"]);
    let names: Vec<_> = lines.iter().map(|line| line["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["vfs_read", "vfs_write"]);
}

fn tracepoints() {
    let line = only(&["tracepoint", "sched:sched_switch"]);
    assert_eq!(line["category"], "sched");
    let signature = line["signature"].as_str().unwrap();
    assert!(
        signature.starts_with("sched_switch(char prev_comm[16], pid_t prev_pid, int prev_prio, "),
        "{signature}"
    );
    let line = only(&["rawtp", "sched_switch"]);
    let signature = line["signature"].as_str().unwrap();
    assert!(
        signature
            .starts_with("sched_switch(bool preempt, struct task_struct *prev, struct task_struct *next"),
        "{signature}"
    );
}

fn system_calls() {
    let line = only(&["syscall", "openat"]);
    assert_eq!(line["signature"], "long openat(int dfd, const char *filename, int flags, umode_t mode)");
    // Those that this kernel does not have are not listed.
    let (lines, ..) = list(&["syscall", "futex_wait"]);
    assert_eq!(lines.len(), usize::from(version() >= (6, 7)));
}

fn everything() {
    let (lines, stderr, status) = list(&[]);
    assert_eq!((stderr.as_str(), status), ("", Some(0)));
    let count = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    let least =
        [("kprobe", 20_000), ("fentry", 15_000), ("tracepoint", 500), ("rawtp", 300), ("syscall", 300)];
    for (kind, least) in least {
        assert!(count(kind) > least, "{}: {kind}", count(kind));
    }
}

/// Types, and names of the kernel's symbols, are for everybody.
fn without_privilege() {
    let run = |words: &[&str]| {
        let mut command = Command::new(TRACER);
        command.args(["list"]).args(words).uid(1000).gid(1000);
        let output = command.output().unwrap();
        (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
            output.status.code(),
        )
    };
    let (out, err, status) = run(&["fentry", "vfs_read"]);
    assert!(out.contains("ssize_t vfs_read(struct file *file"), "{out}{err}");
    assert_eq!(status, Some(0));
    assert!(err.starts_with("tracer: note: which functions can be traced is not known: "), "{err}");
    let (out, err, status) = run(&["kprobe", "vfs_read"]);
    assert!(out.contains("ssize_t vfs_read(struct file *file"), "{out}{err}");
    assert_eq!(status, Some(0));
    let (out, err, status) = run(&["syscall", "openat"]);
    assert!(out.contains("const char *filename"), "{out}{err}");
    assert_eq!((err.as_str(), status), ("", Some(0)));
    let (_, err, status) = run(&["tracepoint", "sched_switch"]);
    assert!(
        err.contains("tracepoints cannot be listed: ") && err.contains("rawtp needs no tracefs"),
        "{err}"
    );
    assert_eq!(status, Some(1));
}

fn nothing_matches() {
    let (lines, stderr, status) = list(&["kprobe", "no_such_function"]);
    assert!(lines.is_empty());
    assert_eq!(
        (stderr.as_str(), status),
        ("tracer: nothing here matches kprobe no_such_function\n", Some(1))
    );
    let (_, stderr, status) = list(&["kprobe", "a b"]);
    assert!(stderr.contains("a probe has no blanks"), "{stderr}");
    assert_eq!(status, Some(2));
}

fn a_reader_goes_away() {
    let mut command = Command::new(TRACER);
    command.args(["list", "kprobe"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::with_capacity(64, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}
