//! `tracer probe` as its users run it: a command makes known calls, and what is shown equals what it did.

use std::ffi::CString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::Test;
use crate::roles::SELF;
use crate::tracer::{TRACER, parse};

/// How many times the role below asks for its parent.
const ASKS: u64 = 1000;
const FILE: &str = "/tmp/probe-cli-file";
const NOWHERE: &str = "/nosuch-directory/probe-cli";
const TEXT: &[u8] = b"hello";

type Case = (&'static str, fn());

const CASES: &[Case] = &[
    ("system_calls_equal_what_was_done", system_calls_equal_what_was_done),
    ("a_function_equals_what_was_done", a_function_equals_what_was_done),
    ("both_ends_of_a_function_are_joined", both_ends_of_a_function_are_joined),
    ("tracepoints_show_their_fields", tracepoints_show_their_fields),
    ("filters_choose", filters_choose),
    ("counts_are_exact", counts_are_exact),
    ("samples_add_up", samples_add_up),
    ("rates_add_up", rates_add_up),
    ("histograms_hold_every_hit", histograms_hold_every_hit),
    ("stacks_contain_the_callers", stacks_contain_the_callers),
    ("several_kinds_in_one_run", several_kinds_in_one_run),
    ("mistakes_are_explained", mistakes_are_explained),
    ("a_plan_attaches_nothing", a_plan_attaches_nothing),
    ("people_get_a_table", people_get_a_table),
];

pub(crate) fn tests() -> Vec<Test> {
    let names = CASES.iter().map(|(name, _)| (*name).to_owned());
    vec![Test::batch("probe_cli", 600, names, |cases| {
        for (name, run) in CASES {
            cases.check(name, run);
        }
    })]
}

/// The role `calls`: known calls, and nothing else that matters.
pub(crate) fn calls() {
    let file = CString::new(FILE).unwrap();
    let nowhere = CString::new(NOWHERE).unwrap();
    let mut back = [0_u8; 16];
    // SAFETY: paths are C strings, buffers are as long as they say, descriptors are this process' own.
    unsafe {
        let fd = libc::openat(libc::AT_FDCWD, file.as_ptr(), libc::O_CREAT | libc::O_RDWR, 0o640);
        assert!(fd >= 0);
        assert_eq!(libc::write(fd, TEXT.as_ptr().cast(), TEXT.len()), TEXT.len() as isize);
        assert_eq!(libc::lseek(fd, 0, libc::SEEK_SET), 0);
        assert_eq!(libc::read(fd, back.as_mut_ptr().cast(), back.len()), TEXT.len() as isize);
        libc::close(fd);
        assert_eq!(libc::openat(libc::AT_FDCWD, nowhere.as_ptr(), libc::O_RDONLY), -1);
        assert_eq!(libc::unlink(file.as_ptr()), 0);
        assert_eq!(libc::unlink(file.as_ptr()), -1);
        for _ in 0..ASKS {
            libc::syscall(libc::SYS_getppid);
        }
    }
}

/// Nanoseconds of one getppid: for `cargo xtask bench probes`. Of some rounds the least mean, because ticks and what
/// else the kernel does after boot are no part of it.
pub(crate) fn time_calls(count: u32) -> f64 {
    const ROUNDS: u32 = 20;
    let each = (count / ROUNDS).max(1);
    let round = || {
        let start = Instant::now();
        for _ in 0..each {
            // SAFETY: it takes nothing and cannot fail.
            unsafe { libc::syscall(libc::SYS_getppid) };
        }
        start.elapsed().as_nanos() as f64 / f64::from(each)
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

/// The same while `tracer probe WORDS` runs beside it, without a filter.
pub(crate) fn time_probed(count: u32, words: &[&str]) -> f64 {
    let mut tracer = Command::new(TRACER)
        .args(["probe", "-v", "-o", "/dev/null"])
        .args(words)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // With `-v` each point is told once it is attached.
    let mut said = BufReader::new(tracer.stderr.take().unwrap()).lines();
    let told = [": kprobe", ": trampoline", ": perf event", ": raw tracepoints"];
    let attached =
        said.by_ref().map_while(Result::ok).any(|line| told.iter().any(|word| line.contains(word)));
    assert!(attached, "{words:?}");
    std::thread::sleep(Duration::from_millis(500));
    let figure = time_calls(count);
    // SAFETY: a child that has not been waited for.
    unsafe { libc::kill(tracer.id() as i32, libc::SIGINT) };
    said.for_each(drop);
    assert!(tracer.wait().unwrap().success(), "{words:?}");
    figure
}

/// So many functions that can be traced, and that nothing calls for a while, as specs.
pub(crate) fn quiet_functions(count: usize) -> Vec<String> {
    let listed = Command::new(TRACER).args(["list", "--format", "json", "kprobe"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let names = listed.lines().map(parse).filter(|point| point["module"].is_null());
    let specs = names.map(|point| format!("kprobe:{}", point["name"].as_str().unwrap()));
    let quiet = ["kprobe:ip_", "kprobe:tcp_", "kprobe:ext4"];
    specs.filter(|spec| quiet.iter().any(|prefix| spec.starts_with(prefix))).take(count).collect()
}

/// What a run of `tracer probe` showed.
struct Run {
    records: Vec<Value>,
    stderr: String,
    status: ExitStatus,
}

impl Run {
    /// Traces the role.
    fn of(args: &[&str]) -> Self {
        let out = Command::new(TRACER)
            .args(["probe", "--format", "json"])
            .args(args)
            .args(["--", SELF, "role", "calls"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
        let text = String::from_utf8(out.stdout).unwrap();
        let run = Self { records: text.lines().map(parse).collect(), stderr, status: out.status };
        assert!(run.status.success(), "{}: {}", run.status, run.stderr);
        assert_eq!(run.end()["reason"], "command_ended", "{}", run.stderr);
        run
    }

    fn all(&self, kind: &str) -> Vec<&Value> {
        self.records.iter().filter(|record| record["type"] == kind).collect()
    }

    fn end(&self) -> &Value {
        self.records.last().unwrap()
    }

    /// Every hit was delivered, and there is one record for each.
    fn hits(&self) -> Vec<&Value> {
        let hits = self.all("probe");
        assert_eq!(self.end()["events"], hits.len(), "{}", self.end());
        assert_eq!(self.end()["passed"], hits.len(), "{}", self.end());
        assert_eq!(self.end()["lost"], 0, "{}", self.end());
        hits
    }
}

fn system_calls_equal_what_was_done() {
    let run = Run::of(&["syscall:openat", "syscall:write", "syscall:unlink"]);
    let hits = run.hits();
    let opened: Vec<_> = hits.iter().filter(|hit| hit["probe"] == "syscall:openat").collect();
    let good = opened.iter().find(|hit| hit["args"]["filename"] == FILE).expect("the file was opened");
    assert_eq!(good["args"]["mode"], 0o640);
    assert_eq!(good["args"]["dfd"], libc::AT_FDCWD);
    assert!(good["retval"].as_i64().unwrap() >= 3, "{good}");
    assert_eq!(good["errno"], Value::Null);
    assert!(good["duration_ns"].as_u64().unwrap() > 0, "{good}");
    let bad = opened.iter().find(|hit| hit["args"]["filename"] == NOWHERE).expect("the other was tried");
    assert_eq!(bad["retval"], -libc::ENOENT);
    assert_eq!(bad["errno"], "ENOENT");
    let fd = good["retval"].clone();
    let written: Vec<_> =
        hits.iter().filter(|hit| hit["probe"] == "syscall:write" && hit["args"]["fd"] == fd).collect();
    let [written] = written.as_slice() else { panic!("{written:?}") };
    assert_eq!((&written["args"]["count"], &written["retval"]), (&json!(5), &json!(5)));
    let results: Vec<_> =
        hits.iter().filter(|hit| hit["probe"] == "syscall:unlink").map(|hit| &hit["errno"]).collect();
    assert_eq!(results, [&Value::Null, &json!("ENOENT")]);
}

/// The role's write and no other, by its length.
fn the_write<'a>(hits: &[&'a Value]) -> &'a Value {
    let five: Vec<_> = hits.iter().filter(|hit| hit["args"]["count"] == 5).collect();
    let [write] = five.as_slice() else { panic!("{hits:?}") };
    write
}

fn a_function_equals_what_was_done() {
    let run = Run::of(&["vfs_write", "--show", "file.f_path.dentry.d_name.name"]);
    let hits = run.hits();
    let write = the_write(&hits);
    assert_eq!(write["probe"], "kprobe:vfs_write");
    assert_eq!(write["args"]["file.f_path.dentry.d_name.name"], "probe-cli-file");
    assert_eq!(write["comm"], "guest-tests");
}

fn both_ends_of_a_function_are_joined() {
    for spec in ["fexit:vfs_write", "kretprobe:vfs_write"] {
        let run = Run::of(&[spec, "--duration"]);
        let hits = run.hits();
        let write = the_write(&hits);
        assert_eq!(write["retval"], 5, "{spec}: {write}");
        assert!(write["duration_ns"].as_u64().unwrap() > 0, "{spec}: {write}");
    }
}

fn tracepoints_show_their_fields() {
    mount_tracefs();
    let run = Run::of(&["tracepoint:syscalls:sys_enter_unlink"]);
    let hits = run.hits();
    assert_eq!(hits.len(), 2, "{hits:?}");
    assert!(hits.iter().all(|hit| hit["args"]["pathname"] == FILE), "{hits:?}");
    let run = Run::of(&["rawtp:sched_process_exit"]);
    assert!(run.hits().iter().any(|hit| hit["comm"] == "guest-tests"), "{:?}", run.records);
}

fn mount_tracefs() {
    let path = CString::new("/sys/kernel/tracing").unwrap();
    let kind = CString::new("tracefs").unwrap();
    // SAFETY: C strings; mounting over a mount changes nothing for what is asked here.
    unsafe { libc::mount(kind.as_ptr(), path.as_ptr(), kind.as_ptr(), 0, std::ptr::null()) };
}

fn filters_choose() {
    let failed = Run::of(&["syscall:openat", "syscall:unlink", "--where", "retval < 0"]);
    let hits = failed.hits();
    assert!(hits.iter().all(|hit| hit["errno"].is_string()), "{hits:?}");
    let paths: Vec<_> = hits.iter().filter_map(|hit| hit["args"]["filename"].as_str()).collect();
    assert!(paths.contains(&NOWHERE), "{hits:?}");
    assert_eq!(hits.iter().filter(|hit| hit["probe"] == "syscall:unlink").count(), 1);
    let named = Run::of(&["vfs_write", "--where", "count == 5 && comm == \"guest-tests\""]);
    assert_eq!(named.hits().len(), 1);
    let none = Run::of(&["vfs_write", "--where", "count == 5 && comm == \"nobody\""]);
    assert_eq!(none.hits().len(), 0);
    let none = Run::of(&["syscall:getppid", "--comm", "nobody"]);
    assert_eq!(none.hits().len(), 0);
}

fn rows(run: &Run) -> Vec<Value> {
    run.all("aggregate").into_iter().cloned().collect()
}

fn counts_are_exact() {
    let run = Run::of(&["syscall:getppid", "--count"]);
    let rows = rows(&run);
    assert_eq!(rows.iter().map(|row| row["count"].as_u64().unwrap()).sum::<u64>(), ASKS, "{rows:?}");
    let run = Run::of(&["syscall:getppid", "syscall:unlink", "--count", "by", "comm,probe"]);
    let rows = self::rows(&run);
    let count = |probe: &str| -> u64 {
        let of =
            rows.iter().filter(|row| row["key"]["probe"] == probe && row["key"]["comm"] == "guest-tests");
        of.map(|row| row["count"].as_u64().unwrap()).sum()
    };
    assert_eq!((count("syscall:getppid"), count("syscall:unlink")), (ASKS, 2), "{rows:?}");
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("{name} of {value}"))
}

fn samples_add_up() {
    let run = Run::of(&["syscall:getppid", "--sample", "1/10"]);
    let (hits, end) = (run.all("probe").len() as u64, run.end());
    assert_eq!(number(end, "passed"), ASKS, "{end}");
    assert_eq!(hits + number(end, "sampled") + number(end, "lost"), ASKS, "{end}");
    assert!((50..=150).contains(&hits), "{end}");
}

fn rates_add_up() {
    let run = Run::of(&["syscall:getppid", "--rate", "20/s"]);
    let (hits, end) = (run.all("probe").len() as u64, run.end());
    assert_eq!(number(end, "passed"), ASKS, "{end}");
    assert_eq!(hits + number(end, "rate_limited") + number(end, "lost"), ASKS, "{end}");
    assert!(number(end, "rate_limited") > 0, "{end}");
}

fn histograms_hold_every_hit() {
    let run = Run::of(&["syscall:getppid", "--hist", "duration"]);
    let hits = |row: &Value| -> u64 {
        row["histogram"]["buckets"].as_array().unwrap().iter().map(|bucket| number(bucket, "count")).sum()
    };
    let rows = rows(&run);
    assert_eq!(rows.iter().map(hits).sum::<u64>(), ASKS, "{rows:?}");
    let run = Run::of(&["vfs_write", "--hist", "count:0..100/10", "--where", "count == 5"]);
    let rows = self::rows(&run);
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    let buckets = row["histogram"]["buckets"].as_array().unwrap();
    let [bucket] = buckets.as_slice() else { panic!("{row}") };
    assert_eq!((&bucket["from"], &bucket["to"], &bucket["count"]), (&json!(0), &json!(10), &json!(1)));
}

fn stacks_contain_the_callers() {
    let run = Run::of(&["vfs_write", "--stack", "--user-stack", "--where", "count == 5"]);
    let hits = run.hits();
    let stack = the_write(&hits)["stack"].as_array().unwrap().clone();
    let names: Vec<_> = stack.iter().filter_map(|frame| frame["symbol"].as_str()).collect();
    assert!(names.iter().any(|name| name.starts_with("ksys_write")), "{names:?}");
    let user = the_write(&hits)["user_stack"].as_array().unwrap().clone();
    assert!(!user.is_empty(), "{hits:?}");
}

fn several_kinds_in_one_run() {
    let run = Run::of(&["vfs_write", "fentry:vfs_read", "syscall:unlink", "kretprobe:vfs_read"]);
    let hits = run.hits();
    for probe in ["kprobe:vfs_write", "fentry:vfs_read", "syscall:unlink", "kretprobe:vfs_read"] {
        assert!(hits.iter().any(|hit| hit["probe"] == probe), "{probe}");
    }
    let start = run.all("probe_start");
    assert_eq!(start[0]["points"].as_array().map(Vec::len), Some(4), "{start:?}");
}

/// Exit code and words of a run that does not begin.
fn refused(args: &[&str]) -> (Option<i32>, String) {
    let out = Command::new(TRACER).arg("probe").args(args).stdin(Stdio::null()).output().unwrap();
    assert!(out.stdout.is_empty(), "{out:?}");
    (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
}

fn mistakes_are_explained() {
    let says = |args: &[&str], code, words: &str| {
        let (status, stderr) = refused(args);
        assert_eq!(status, Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(words), "{args:?}: {stderr}");
    };
    says(&["vfs_raed"], 2, "vfs_read");
    says(&["syscall:opnat"], 2, "did you mean openat?");
    says(&["vfs_read", "--where", "cuont > 3"], 2, "count");
    says(&["vfs_read", "--where", "count > \"x\""], 2, "^");
    says(&["*"], 2, "--max-probes");
    says(&["vfs_read", "--top", "3"], 2, "--count");
}

fn a_plan_attaches_nothing() {
    let out =
        Command::new(TRACER).args(["probe", "--dry-run", "vfs_read", "syscall:openat"]).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{out:?}");
    assert!(text.starts_with("2 points: an event for each hit\n"), "{text}");
    assert!(text.contains("kprobe:vfs_read") && text.contains("size_t count"), "{text}");
}

fn people_get_a_table() {
    let words = ["probe", "--format", "table", "syscall:unlink", "--", SELF, "role", "calls"];
    let out = Command::new(TRACER).args(words).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{out:?}");
    assert_eq!(text.lines().filter(|line| line.contains(FILE)).count(), 2, "{text}");
    assert!(text.contains("ENOENT"), "{text}");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.contains("2 hits passed (2 shown, 0 lost)"), "{said}");
    assert!(fs::metadata(FILE).is_err());
}
