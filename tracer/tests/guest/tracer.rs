//! `tracer exec` as a fixture: started, its lines collected and held against the JSON schema,
//! ended.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jsonschema::Validator;
use serde_json::Value;

pub(crate) const TRACER: &str = "/bin/tracer";

/// The hook families, each of which must do alone.
pub(crate) const HOOKS: [&str; 3] = ["fentry", "kprobe", "tracepoint"];

/// Longest wait for a tracer's next word: loading takes seconds under emulation.
const PATIENCE: Duration = Duration::from_secs(60);

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema = include_str!("../../../docs/schema/v1.json");
    jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap()
});

/// A tracer that runs.
pub(crate) struct Tracer {
    child: Child,
    lines: Receiver<String>,
    stderr: Option<JoinHandle<String>>,
    seen: Vec<Value>,
}

/// What a run of tracer showed.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) start: Value,
    /// Records of type `exec`, in the order in which they came.
    pub(crate) execs: Vec<Value>,
    pub(crate) lost: Vec<Value>,
    pub(crate) end: Value,
    pub(crate) stderr: String,
    pub(crate) status: ExitStatus,
}

/// A command `tracer exec --format json ARGS`, for runs that the fixture does not cover.
pub(crate) fn command<S: AsRef<OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new(TRACER);
    command.args(["exec", "--format", "json"]).args(args).stdin(Stdio::null());
    command
}

/// Parses a line and holds it against the schema.
pub(crate) fn parse(line: &str) -> Value {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON: {e}: {line:.400}"));
    if let Err(error) = SCHEMA.validate(&value) {
        panic!("not valid under the schema: {error}: {line:.400}");
    }
    assert_eq!(value["schema"], 1);
    value
}

impl Tracer {
    /// Starts `tracer exec` and waits until it traces.
    pub(crate) fn start<S: AsRef<OsStr>>(args: &[S]) -> Self {
        let mut tracer = Self::spawn(args);
        let start = tracer.next();
        assert!(
            start.as_ref().is_some_and(|start| start["type"] == "start"),
            "tracer did not start: {start:?}\n{}",
            tracer.rest_of_stderr()
        );
        tracer
    }

    fn spawn<S: AsRef<OsStr>>(args: &[S]) -> Self {
        let mut child = command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take().unwrap();
        thread::spawn(move || {
            for line in BufReader::with_capacity(1 << 20, stdout).lines() {
                let line = line.unwrap_or_else(|e| format!("tracer's output is not UTF-8: {e}"));
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut stderr = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Self { child, lines, stderr: Some(stderr), seen: Vec::new() }
    }

    /// Traces a command to its end: `ARGS -- COMMAND`.
    pub(crate) fn run<S: AsRef<OsStr>>(args: &[&str], command: &[S]) -> Trace {
        let mut all: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        all.push(OsStr::new("--"));
        all.extend(command.iter().map(AsRef::as_ref));
        Self::spawn(&all).finish()
    }

    /// The next record, kept for [`Trace`] too; `None` at the end of its output.
    pub(crate) fn next(&mut self) -> Option<Value> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                let value = parse(&line);
                self.seen.push(value.clone());
                Some(value)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("tracer said nothing for {PATIENCE:?}"),
        }
    }

    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: a child that has not been waited for.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// Ends it with SIGINT.
    pub(crate) fn stop(self) -> Trace {
        self.signal(libc::SIGINT);
        self.finish()
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Trace {
        while self.next().is_some() {}
        let status = self.child.wait().unwrap();
        let stderr = self.rest_of_stderr();
        let mut seen = std::mem::take(&mut self.seen);
        assert!(seen.len() >= 2, "tracer ended early with {status}: {seen:?}\n{stderr}");
        let end = seen.pop().unwrap();
        assert_eq!(end["type"], "end", "{stderr}");
        let start = seen.remove(0);
        assert_eq!(start["type"], "start", "{stderr}");
        let (execs, lost): (Vec<_>, Vec<_>) = seen.into_iter().partition(|v| v["type"] == "exec");
        assert!(lost.iter().all(|v| v["type"] == "lost"));
        Trace { start, execs, lost, end, stderr, status }
    }

    fn rest_of_stderr(&mut self) -> String {
        let _ = self.child.wait();
        self.stderr.take().map_or_else(String::new, |thread| thread.join().unwrap())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Trace {
    /// Ended well, lost nothing, and counted what it showed.
    pub(crate) fn assert_clean(&self) {
        assert!(self.status.success(), "{}: {}", self.status, self.stderr);
        assert!(self.lost.is_empty(), "{:?}", self.lost);
        let failed = self.execs.iter().filter(|exec| exec["retval"] != 0).count();
        assert_eq!(self.end["events"], self.execs.len(), "{}", self.end);
        assert_eq!(self.end["failed"], failed, "{}", self.end);
        assert_eq!(self.end["lost"], 0, "{}", self.end);
        assert_eq!(self.end["undelivered"], 0, "{}", self.end);
    }
}
