//! tracer as its users run it: a process with arguments, two streams and an exit status.
//!
//! Every wait has an end; a run that does not come to it is killed and its streams are shown.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::tracer;

pub(crate) use crate::tracer::{HOOKS, TRACER};

/// Nothing takes longer, on the slowest machine; only a hang does.
pub(crate) const HANG: Duration = Duration::from_secs(120);

/// A new folder of this test program's own.
pub(crate) fn folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = PathBuf::from(format!("/tmp/behaviour-{}-{number}", std::process::id()));
    fs::create_dir_all(&path).expect("a folder under /tmp");
    path
}

/// Waits for something that will surely come.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < HANG, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// `tracer ARGS`, not started yet.
pub(crate) fn program<S: AsRef<OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new(TRACER);
    command.args(args).stdin(Stdio::null());
    command
}

/// `tracer exec --format json ARGS`.
pub(crate) fn exec<S: AsRef<OsStr>>(args: &[S]) -> Command {
    let mut command = program(&["exec", "--format", "json"]);
    command.args(args);
    command
}

/// A tracer that runs.
pub(crate) struct Live {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    /// Copies a pipe to `stdout`.
    copier: Option<JoinHandle<()>>,
}

/// Starts a command with its streams in files.
pub(crate) fn spawn(mut command: Command) -> Live {
    let folder = folder();
    let (stdout, stderr) = (folder.join("stdout"), folder.join("stderr"));
    let file = |path: &Path| File::create(path).expect("a file under /tmp");
    let child = command.stdout(file(&stdout)).stderr(file(&stderr)).spawn().expect("tracer starts");
    Live::new(child, stdout, stderr)
}

/// Starts `tracer exec --format json ARGS` and waits until it traces.
pub(crate) fn start<S: AsRef<OsStr>>(args: &[S]) -> Live {
    let mut live = spawn(exec(args));
    live.traces();
    live
}

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> Ended {
    spawn(command).wait()
}

impl Live {
    /// A child, and the files that its streams are to be found in.
    pub(crate) fn new(child: Child, stdout: PathBuf, stderr: PathBuf) -> Self {
        Self { child, stdout, stderr, copier: None }
    }

    /// The standard output is a pipe that this thread copies to the file.
    pub(crate) fn copied_by(&mut self, copier: JoinHandle<()>) {
        self.copier = Some(copier);
    }

    pub(crate) fn stdout(&self) -> &Path {
        &self.stdout
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id")
    }

    /// Waits until everything is attached: the record `start` is written.
    pub(crate) fn traces(&mut self) {
        let stdout = self.stdout.clone();
        until("the record that tells the start", || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("tracer ended with {status} instead of tracing: {}", self.said());
            }
            fs::read(&stdout).ok().filter(|bytes| bytes.contains(&b'\n'))
        });
    }

    /// What it has written so far.
    pub(crate) fn records(&self) -> Vec<Value> {
        let bytes = fs::read(&self.stdout).expect("the output");
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        parse(&bytes[..whole])
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        fs::read(&self.stderr).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: the child has not been waited for, so the id is its own.
        assert_eq!(unsafe { libc::kill(self.pid(), signal) }, 0);
    }

    /// Has it ended?
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Ended {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.ended() {
                break status;
            }
            if start.elapsed() > HANG {
                let _ = self.child.kill();
                let _ = self.child.wait();
                panic!("tracer hangs; it said: {}", self.said());
            }
            thread::sleep(Duration::from_millis(20));
        };
        if let Some(copier) = self.copier.take() {
            copier.join().expect("the output was copied");
        }
        let bytes = fs::read(&self.stdout).unwrap_or_default();
        Ended { status, bytes, said: self.said() }
    }

    /// Ends it as a user would, and wants it to be content.
    pub(crate) fn stop(self) -> Ended {
        self.signal(libc::SIGTERM);
        let ended = self.wait();
        assert_eq!(ended.code(), Some(0), "{}", ended.said);
        ended
    }
}

/// What a tracer left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) bytes: Vec<u8>,
    pub(crate) said: String,
}

/// Lines as records. Each one is held against the schema, of very many every hundredth.
fn parse(bytes: &[u8]) -> Vec<Value> {
    let lines: Vec<_> = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let step = if lines.len() > 1_000 { 100 } else { 1 };
    let parse = |(number, line): (usize, &&[u8])| {
        let text = std::str::from_utf8(line).expect("UTF-8");
        match number % step {
            0 => tracer::parse(text),
            _ => serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}")),
        }
    };
    lines.iter().enumerate().map(parse).collect()
}

impl Ended {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    pub(crate) fn killed_by(&self) -> Option<i32> {
        self.status.signal()
    }

    pub(crate) fn records(&self) -> Vec<Value> {
        parse(&self.bytes)
    }

    /// The records of execs, after a look at the frame: start first, end last, sums that are equal
    /// to what is there, and a summary that says the same.
    pub(crate) fn execs(&self) -> Vec<Value> {
        let records = self.records();
        let kind = |record: &Value| record["type"].as_str().expect("a type").to_owned();
        assert_eq!(records.first().map(kind).as_deref(), Some("start"), "{}", self.said);
        assert_eq!(records.last().map(kind).as_deref(), Some("end"), "{}", self.said);
        let of = |wanted: &str| records.iter().filter(|r| kind(r) == wanted).cloned().collect::<Vec<_>>();
        let execs = of("exec");
        let end = &of("end")[0];
        let lost: u64 = of("lost").iter().map(|r| r["count"].as_u64().expect("a count")).sum();
        let failed = execs.iter().filter(|e| !e["errno"].is_null()).count();
        assert_eq!(end["events"], execs.len(), "{end}");
        assert_eq!(end["failed"], failed, "{end}");
        assert_eq!(end["lost"], lost, "{end}");
        assert_eq!(end["undelivered"], 0, "{end}");
        let noun = if execs.len() == 1 { "exec" } else { "execs" };
        let sum = format!("{} {noun} ({failed} failed, {lost} lost) in ", execs.len());
        assert!(self.said.contains(&sum), "no {sum:?} in: {}", self.said);
        execs
    }

    /// Execs that were reported as lost.
    pub(crate) fn lost(&self) -> u64 {
        let records = self.records();
        let lost = records.iter().filter(|record| record["type"] == "lost");
        lost.map(|record| record["count"].as_u64().expect("a count")).sum()
    }

    /// Why it ended.
    pub(crate) fn reason(&self) -> String {
        let records = self.records();
        let end = records.last().expect("a record");
        assert_eq!(end["type"], "end");
        end["reason"].as_str().expect("a reason").to_owned()
    }
}

/// The second argument of each exec, which is what tests tell their own ones by.
pub(crate) fn tags(execs: &[Value]) -> Vec<String> {
    execs.iter().filter_map(|exec| Some(exec["argv"].get(1)?.as_str()?.to_owned())).collect()
}
