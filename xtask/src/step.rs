//! A long step of set-up, told while it runs: what, why, and how far it is.
//!
//! The step's own output goes to a log; a terminal sees the log's last line with the seconds
//! behind it, anything else a line every half minute. A failed step shows the log's end.

use std::fs::{self, File};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::paths;

const LOG_TAIL: usize = 20;
const SAID_EVERY: Duration = Duration::from_secs(30);

/// Says one line of what xtask is about to do.
pub(crate) fn say(what: &str) {
    eprintln!("xtask: {what}");
}

/// Runs `command` with its output in `target/logs/NAME.log`, showing progress.
///
/// # Errors
/// The command cannot be started, or ends with a failure: its last lines are in the message.
pub(crate) fn run(name: &str, command: &mut Command) -> Result<()> {
    let log = log_path(name)?;
    let out = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
    let err = out.try_clone().context("cannot share the log")?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .with_context(|| format!("cannot start {}", program(command)))?;
    let mut progress = Progress::new();
    let status = loop {
        if let Some(status) = child.try_wait().context("cannot wait for a step")? {
            break status;
        }
        progress.tick(name, &log);
        thread::sleep(Duration::from_millis(100));
    };
    progress.clear();
    if !status.success() {
        bail!(
            "{name}: {} ended with {status}; the end of {}:\n{}",
            program(command),
            log.display(),
            tail(&fs::read_to_string(&log).unwrap_or_default(), LOG_TAIL)
        );
    }
    Ok(())
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn log_path(name: &str) -> Result<PathBuf> {
    let folder = paths::logs();
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let file: String = name.chars().map(|c| if c.is_alphanumeric() || c == '.' { c } else { '-' }).collect();
    Ok(folder.join(format!("{file}.log")))
}

/// The last `count` lines of `text`.
pub(crate) fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

struct Progress {
    start: Instant,
    said: Instant,
    terminal: bool,
}

impl Progress {
    fn new() -> Self {
        let now = Instant::now();
        Self { start: now, said: now, terminal: std::io::stderr().is_terminal() }
    }

    fn tick(&mut self, name: &str, log: &Path) {
        let seconds = self.start.elapsed().as_secs();
        if self.terminal {
            let last = fs::read(log).map(|bytes| last_line(&bytes)).unwrap_or_default();
            eprint!("\r\x1b[K  {seconds:>3} s  {last}");
            std::io::stderr().flush().ok();
        } else if self.said.elapsed() >= SAID_EVERY {
            self.said = Instant::now();
            eprintln!("xtask:   {name}: {seconds} s");
        }
    }

    fn clear(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}

/// The last line that says something, without control characters and short enough for a terminal.
fn last_line(log: &[u8]) -> String {
    let end = &log[log.len().saturating_sub(400)..];
    let text = String::from_utf8_lossy(end);
    let line = text.rsplit(['\n', '\r']).find(|line| !line.trim().is_empty()).unwrap_or("");
    line.trim().chars().filter(|c| !c.is_control()).take(66).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_keeps_the_last_lines() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a", 5), "a");
        assert_eq!(tail("", 5), "");
    }

    #[test]
    fn last_line_skips_blank_and_control() {
        assert_eq!(last_line(b"one\ntwo\x1b[K\n\n"), "two[K");
        assert_eq!(last_line(b"10%\r20%\r"), "20%");
        assert_eq!(last_line(b""), "");
    }
}
