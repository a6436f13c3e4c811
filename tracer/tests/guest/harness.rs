//! Runs tests: each one in a process group of its own, with a time limit, its output kept back
//! unless it fails.
//!
//! A [`Test`] is one function, or a batch of cases that share a costly beginning (a tracer that
//! takes seconds to load). A batch runs in one process and reports each case by itself; a case that
//! has no report when its process ends counts as failed.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::panic::{self, AssertUnwindSafe};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// First argument of the process that a test runs in.
pub(crate) const CHILD: &str = "child";

/// Marks a report among a test's output: nothing else starts a line with it.
const MARK: &str = "\u{1}test ";

/// A test, or a batch of them.
pub(crate) struct Test {
    name: String,
    limit: Duration,
    body: Body,
}

enum Body {
    One(fn()),
    Batch { names: Vec<String>, run: Box<dyn Fn(&Cases)> },
}

impl Test {
    /// A single test. It fails by panicking, or when it takes longer than `seconds`.
    pub(crate) fn one(name: &str, seconds: u64, run: fn()) -> Self {
        Self { name: name.to_owned(), limit: Duration::from_secs(seconds), body: Body::One(run) }
    }

    /// A batch, whose tests are called `NAME::CASE`. `run` calls [`Cases::check`] for each case.
    pub(crate) fn batch(
        name: &str,
        seconds: u64,
        names: impl IntoIterator<Item = String>,
        run: impl Fn(&Cases) + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            limit: Duration::from_secs(seconds),
            body: Body::Batch { names: names.into_iter().collect(), run: Box::new(run) },
        }
    }

    /// The full names of its tests that match.
    fn names(&self, pattern: &str) -> Vec<String> {
        let all = match &self.body {
            Body::One(_) => vec![self.name.clone()],
            Body::Batch { names, .. } => names.iter().map(|case| self.case(case)).collect(),
        };
        all.into_iter().filter(|name| name.contains(pattern)).collect()
    }

    fn case(&self, case: &str) -> String {
        format!("{}::{case}", self.name)
    }
}

/// Is this a guest, where a test may do as it likes? Its first process is our own init.
pub(crate) fn in_guest() -> bool {
    std::path::Path::new("/init").exists() && std::path::Path::new("/bin/tracer").exists()
}

/// Runs every test that matches; the last line says how it went.
pub(crate) fn run(tests: &[Test], pattern: &str) -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    for test in tests {
        let names = test.names(pattern);
        if names.is_empty() {
            continue;
        }
        let start = Instant::now();
        let good = run_one(test, names.clone(), pattern);
        println!("# {}: {:.1} s", test.name, start.elapsed().as_secs_f32());
        passed += good;
        failed += names.len() - good;
    }
    if passed + failed == 0 {
        println!("no test matches {pattern:?}");
        failed = 1;
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one test's process to its end; how many of its cases passed.
fn run_one(test: &Test, waiting: Vec<String>, pattern: &str) -> usize {
    let (read, write) = std::io::pipe().unwrap();
    let mut command = Command::new("/proc/self/exe");
    command.args([CHILD, &test.name, pattern]).stdin(Stdio::null()).process_group(0);
    command.stdout(write.try_clone().unwrap()).stderr(write);
    let mut child = command.spawn().unwrap();
    drop(command);
    let lines = lines(read);
    let mut heard = Heard { waiting, passed: 0, other: Vec::new(), good: false };
    let deadline = Instant::now() + test.limit;
    let end = loop {
        match lines.recv_timeout(Duration::from_millis(100)) {
            Ok(line) => heard.line(line),
            Err(RecvTimeoutError::Disconnected) => break end_of(child),
            Err(RecvTimeoutError::Timeout) if Instant::now() > deadline => {
                break format!("hangs: stopped after {} s", kill(&mut child, test.limit));
            }
            Err(RecvTimeoutError::Timeout) => {
                if matches!(child.try_wait(), Ok(Some(_))) {
                    // Somebody else may hold its output open: what it wrote itself is all here soon.
                    while Instant::now() < deadline
                        && let Ok(line) = lines.recv_timeout(Duration::from_millis(500))
                    {
                        heard.line(line);
                    }
                    break end_of(child);
                }
            }
        }
    };
    let Heard { waiting, passed, other, .. } = heard;
    for name in &waiting {
        println!("test {name} ... FAILED");
        println!("    no result: its process {end}");
    }
    if !waiting.is_empty() {
        other.iter().for_each(|line| println!("    | {line}"));
    }
    passed
}

/// What a test's process has said so far.
struct Heard {
    /// The tests without a result yet.
    waiting: Vec<String>,
    passed: usize,
    /// What is no report.
    other: Vec<String>,
    /// Was the last report a good one? What is indented below a bad one says why.
    good: bool,
}

impl Heard {
    fn line(&mut self, line: String) {
        match line.strip_prefix(MARK) {
            Some(result) => {
                println!("test {result}");
                let (name, verdict) = result.split_once(" ... ").unwrap();
                self.good = verdict == "ok";
                self.passed += usize::from(self.good);
                self.waiting.retain(|waiting| waiting != name);
            }
            None if !self.good && line.starts_with("    ") => println!("{line}"),
            None => self.other.push(line),
        }
    }
}

fn kill(child: &mut Child, limit: Duration) -> u64 {
    // SAFETY: the group of a child that has not been waited for.
    unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
    let _ = child.wait();
    limit.as_secs()
}

/// How it ended; what it left running ends with it.
fn end_of(mut child: Child) -> String {
    let status = child.wait().unwrap();
    // SAFETY: no memory involved; the group is gone, or made of what the test left behind.
    unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
    format!("ended with {status}")
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
    lines
}

/// The process of a test: runs it and reports.
pub(crate) fn child(tests: &[Test], name: &str, pattern: &str) -> ExitCode {
    panic::set_hook(Box::new(|info| {
        let text = format!("{info}");
        LAST_PANIC.with_borrow_mut(|last| last.push_str(&text));
        eprintln!("{text}");
    }));
    let test = tests.iter().find(|test| test.name == name).unwrap();
    let cases = Cases { wanted: test.names(pattern), prefix: test.name.clone(), alone: Mutex::new(()) };
    match &test.body {
        Body::One(run) => cases.report(&test.name, *run),
        Body::Batch { run, .. } => run(&cases),
    }
    ExitCode::SUCCESS
}

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Where a batch reports its cases.
pub(crate) struct Cases {
    wanted: Vec<String>,
    prefix: String,
    alone: Mutex<()>,
}

impl Cases {
    /// Is this case to be run?
    pub(crate) fn wants(&self, case: &str) -> bool {
        let name = format!("{}::{case}", self.prefix);
        self.wanted.contains(&name)
    }

    /// Checks a case, which fails by panicking, and reports it; nothing if it is not to be run.
    pub(crate) fn check(&self, case: &str, check: impl FnOnce()) {
        if self.wants(case) {
            self.report(&format!("{}::{case}", self.prefix), check);
        }
    }

    fn report(&self, name: &str, check: impl FnOnce()) {
        LAST_PANIC.with_borrow_mut(String::clear);
        let result = panic::catch_unwind(AssertUnwindSafe(check));
        let _alone = self.alone.lock();
        let mut out = std::io::stdout().lock();
        match result {
            Ok(()) => writeln!(out, "{MARK}{name} ... ok").unwrap(),
            Err(_) => {
                writeln!(out, "{MARK}{name} ... FAILED").unwrap();
                LAST_PANIC.with_borrow(|text| {
                    text.lines().for_each(|line| writeln!(out, "    {line}").unwrap());
                });
            }
        }
        out.flush().unwrap();
    }
}
