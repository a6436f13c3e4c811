//! What the guest's init is told to do, and what it answers: the contract between xtask and
//! `bin/guest-init.rs`, which is compiled with this very file.
//!
//! The job is a file in the initramfs: records that end with a NUL, each `key=value`. Answers are
//! lines on the control port.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Where the job lies in the guest.
pub(crate) const PATH: &str = "/job";

/// The guest's serial ports, by the kernel's names. The console is the kernel's own.
pub(crate) const STDOUT: &str = "/dev/ttyS1";
/// See [`STDOUT`].
pub(crate) const STDERR: &str = "/dev/ttyS2";
/// See [`STDOUT`].
pub(crate) const CONTROL: &str = "/dev/ttyS3";

/// What init runs, and in which surroundings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Job {
    /// The program and its arguments.
    pub(crate) command: Vec<OsString>,
    /// Variables, besides `PATH` and `HOME`.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// Whether tracefs is mounted. Not by default: tracer must get along without.
    pub(crate) tracefs: bool,
}

impl Job {
    /// The job as the file that init reads.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut record = |key: &str, value: &[u8]| {
            out.extend_from_slice(key.as_bytes());
            out.push(b'=');
            out.extend_from_slice(value);
            out.push(0);
        };
        for argument in &self.command {
            record("arg", argument.as_bytes());
        }
        for (name, value) in &self.env {
            record("env", &[name.as_bytes(), b"=", value.as_bytes()].concat());
        }
        if self.tracefs {
            record("mount", b"tracefs");
        }
        out
    }

    /// Reads what [`Job::encode`] wrote; records that are unknown are an error, with their text.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut job = Self::default();
        for record in bytes.split(|byte| *byte == 0).filter(|record| !record.is_empty()) {
            let text = || String::from_utf8_lossy(record).into_owned();
            let (key, value) = split(record).ok_or_else(text)?;
            match key {
                b"arg" => job.command.push(OsStr::from_bytes(value).to_owned()),
                b"env" => {
                    let (name, value) = split(value).ok_or_else(text)?;
                    let owned = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
                    job.env.push((owned(name), owned(value)));
                }
                b"mount" if value == b"tracefs" => job.tracefs = true,
                _ => return Err(text()),
            }
        }
        Ok(job)
    }
}

fn split(record: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..at], &record[at + 1..]))
}

/// What init says on the control port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It runs; the job starts now.
    Hello,
    /// The command ended with this status.
    Exit(u8),
    /// The command was ended by this signal.
    Signal(u8),
    /// The command could not be started: this errno.
    NotStarted(i32),
}

impl Answer {
    /// The line, with its end.
    pub(crate) fn line(self) -> String {
        match self {
            Self::Hello => "hello\n".to_owned(),
            Self::Exit(status) => format!("exit {status}\n"),
            Self::Signal(signal) => format!("signal {signal}\n"),
            Self::NotStarted(errno) => format!("notstarted {errno}\n"),
        }
    }

    /// Reads a line; `None` when it is no answer.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        match line.trim().split_once(' ') {
            None if line.trim() == "hello" => Some(Self::Hello),
            Some(("exit", status)) => status.parse().ok().map(Self::Exit),
            Some(("signal", signal)) => signal.parse().ok().map(Self::Signal),
            Some(("notstarted", errno)) => errno.parse().ok().map(Self::NotStarted),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_reads_back() {
        let bytes = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        let job = Job {
            command: vec!["/bin/x".into(), "".into(), "a=b\n\x1b".into(), bytes(b"\xff\xfe")],
            env: vec![("A".into(), "b=c".into()), ("B".into(), "".into())],
            tracefs: true,
        };
        assert_eq!(Job::decode(&job.encode()), Ok(job));
        assert_eq!(Job::decode(b""), Ok(Job::default()));
        assert!(Job::decode(b"mount=usb\0").is_err());
        assert!(Job::decode(b"nonsense\0").is_err());
    }

    #[test]
    fn answers_read_back() {
        for answer in
            [Answer::Hello, Answer::Exit(0), Answer::Exit(255), Answer::Signal(9), Answer::NotStarted(2)]
        {
            assert_eq!(Answer::parse(&answer.line()), Some(answer));
        }
        for line in ["", "exit", "exit x", "exit 256", "hello there"] {
            assert_eq!(Answer::parse(line), None, "{line:?}");
        }
    }
}
