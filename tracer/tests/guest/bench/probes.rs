//! What a probe adds to a call, and how long a thousand of them take to be attached.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::tool::{To, Tool};
use crate::{
    probe_cli::{quiet_functions, time_calls, time_probed},
    roles::SELF,
    sys,
};

/// Where the command of a run says when it ran. Tools that live in a root of their own see the same /tmp.
const NOTED: &str = "/tmp/bench-noted";
/// This program, where they see it.
const COPY: &str = "/tmp/bench-self";

/// Nanoseconds that a call of getppid takes at least while the tool runs. `probe ...` is ours.
pub(super) fn calls(words: &[&str], count: usize) -> Value {
    let count = count as u32;
    let each = match words {
        [] => time_calls(count),
        ["probe", words @ ..] => time_probed(count, words),
        _ => {
            let mut tool = Tool::start(words, To::File);
            // It says what it attaches before it does.
            let start = Instant::now();
            while tool.streams().len() < 5 {
                std::thread::sleep(Duration::from_millis(100));
                assert!(start.elapsed() < Duration::from_secs(600), "{words:?} says nothing");
            }
            tool.idles();
            tool.idles();
            let each = time_calls(count);
            tool.stop();
            each
        }
    };
    json!({"each": each})
}

/// Seconds until so many functions are attached, each listed by its name, and until the run has ended.
pub(super) fn attach(words: &[&str], count: usize) -> Value {
    fs::copy(SELF, COPY).unwrap();
    let _ = fs::remove_file(NOTED);
    let specs = quiet_functions(count);
    assert_eq!(specs.len(), count);
    let mut command = Command::new(words[0]);
    if words[0] == "tracer" {
        command.args(&words[1..]).args(&specs).args(["--", COPY, "role", "bench-note", NOTED]);
    } else {
        let program = format!("{} {{ @ = count(); }}", specs.join(","));
        command.args(&words[1..]).args(["-c", &format!("{COPY} role bench-note {NOTED}"), "-e", &program]);
    }
    let start = sys::clock(libc::CLOCK_MONOTONIC);
    let run = command.output().unwrap();
    let end = sys::clock(libc::CLOCK_MONOTONIC);
    let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(1000)]).into_owned();
    assert!(run.status.success(), "{:?}: {} {}", run.status, text(&run.stdout), text(&run.stderr));
    let ran: i128 = fs::read_to_string(NOTED).unwrap().parse().unwrap();
    json!({"attached": (ran - start) as f64 / 1e9, "whole": (end - start) as f64 / 1e9})
}

/// The command's part.
pub(super) fn note(file: &str) {
    fs::write(file, sys::clock(libc::CLOCK_MONOTONIC).to_string()).unwrap();
}
