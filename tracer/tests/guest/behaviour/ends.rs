//! How a trace ends: by a signal, a limit, a reader that goes away or stalls, a disk that is full.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Duration,
};

use super::{
    kernel,
    live::{self, HOOKS},
    stall, storm, tiny,
};
use crate::harness::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::one("ends::by_a_signal_with_everything_delivered", 300, by_a_signal),
        Test::one("ends::reader_gone_while_events_come", 300, reader_gone_in_a_storm),
        Test::one("ends::reader_gone_without_an_event", 300, reader_gone_in_silence),
        Test::one("ends::reader_stalled", 300, reader_stalled),
        Test::one("ends::reader_stalled_and_a_second_signal", 300, second_signal),
        Test::one("ends::disk_full", 300, disk_full),
        Test::one("ends::device_full", 300, device_full),
        Test::one("ends::file_is_its_owners_alone", 300, file_mode),
        Test::one("ends::duration", 300, duration),
        Test::one("ends::count", 300, count),
    ]
}

/// More than the pipe, the queue and the batch hold.
const FLOOD: usize = 2_000;

/// What is in the ring when the signal comes is still delivered.
fn by_a_signal() {
    let program = tiny::program("tiny");
    let before = kernel::held();
    for (signal, hook) in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP].into_iter().zip(HOOKS) {
        let live = live::start(&["--hook", hook]);
        tiny::storm(&program, "last", 300, 2, 0);
        live.signal(signal);
        let ended = live.wait();
        assert_eq!(ended.code(), Some(0), "{}", ended.said);
        assert_eq!(ended.reason(), "signal");
        assert!(ended.said.contains("stopped by a signal"), "{}", ended.said);
        let missing = tiny::missing("last", 300, &live::tags(&ended.execs()));
        assert_eq!(missing as u64, ended.lost(), "{hook}: {}", ended.said);
        assert!(missing == 0 || storm::skips_programs(hook), "{hook}: {}", ended.said);
        kernel::nothing_stays_since(&before);
    }
}

fn reader_gone_in_a_storm() {
    let program = tiny::program("tiny");
    for format in ["json", "table"] {
        let live = stall::start_as(format, &["--hook", "tracepoint", "--comm", "tiny"]).leave();
        tiny::storm(&program, "gone", 20, 1, 0);
        let ended = live.wait();
        assert_eq!(ended.code(), Some(0), "{}", ended.said);
        assert!(ended.said.contains("the output was closed"), "{}", ended.said);
    }
}

fn reader_gone_in_silence() {
    let live = stall::start(&["--hook", "tracepoint", "--comm", "nobody"]).leave();
    let ended = live.wait();
    assert_eq!(ended.code(), Some(0), "{}", ended.said);
    assert!(ended.said.contains("0 execs (0 failed, 0 lost)"), "{}", ended.said);
    assert!(ended.said.contains("the output was closed"), "{}", ended.said);
}

/// Nobody reads and a signal comes: the trace ends, and says what it could not deliver.
fn reader_stalled() {
    let program = tiny::program("stalled");
    let stalled = stall::start(&["--hook", "tracepoint", "--buffer", "64K", "--comm", "stalled"]);
    tiny::storm(&program, "stuck", FLOOD, 2, 0);
    stalled.live.signal(libc::SIGTERM);
    let (ended, bytes) = stalled.wait_then_read();
    assert_eq!(ended.code(), Some(1), "{}", ended.said);
    assert!(ended.said.contains("the output took nothing for 5 s"), "{}", ended.said);
    accounted_for(&ended.said, &bytes, FLOOD as u64);
}

/// delivered + lost + not written = made. The pipe may hold a part of what was not written whole.
fn accounted_for(said: &str, bytes: &[u8], made: u64) {
    let number_before = |text: &str| {
        let before = &said[..said.find(text).unwrap_or_else(|| panic!("no {text:?} in: {said}"))];
        let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap();
        digits.parse::<u64>().unwrap()
    };
    let (events, lost) = (number_before(" execs ("), number_before(" lost)"));
    let unwritten = number_before(" more could not be written");
    assert_eq!(events + lost + unwritten, made, "{said}");
    assert!(unwritten > 0, "{said}");
    let lines = bytes.split(|byte| *byte == b'\n');
    let whole = lines.filter(|line| line.starts_with(b"{") && line.ends_with(b"}"));
    let execs = whole.filter(|line| line.windows(13).any(|part| part == b"\"type\":\"exec\""));
    assert!(execs.count() as u64 >= events, "more was read than was said to be delivered");
}

fn second_signal() {
    let program = tiny::program("stalled");
    let stalled = stall::start(&["--hook", "tracepoint", "--buffer", "64K", "--comm", "stalled"]);
    tiny::storm(&program, "stuck", FLOOD, 2, 0);
    stalled.live.signal(libc::SIGINT);
    // The first one has been heard, and the end is waiting for the output.
    thread::sleep(Duration::from_secs(1));
    stalled.live.signal(libc::SIGINT);
    let (ended, bytes) = stalled.wait_then_read();
    assert_eq!(ended.code(), Some(1), "{}", ended.said);
    assert!(ended.said.contains("given up at the second signal"), "{}", ended.said);
    accounted_for(&ended.said, &bytes, FLOOD as u64);
}

/// A file system of 64 KiB in a folder, until it is dropped.
struct Small(PathBuf);

impl Small {
    fn new() -> Self {
        let folder = live::folder();
        kernel::mount("tmpfs", &folder, "size=64k");
        Self(folder)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        kernel::unmount(&self.0);
    }
}

fn disk_full() {
    let small = Small::new();
    let program = tiny::program("tiny");
    for format in ["json", "table"] {
        let path = small.0.join("out");
        let mut command = live::program(&["exec", "--hook", "tracepoint", "--format", format, "-o"]);
        command.arg(&path);
        let mut live = live::spawn(command);
        live::until("the file", || fs::read(&path).ok().filter(|bytes| bytes.contains(&b'\n')));
        let mut made = 0;
        while live.ended().is_none() {
            tiny::exec(&program, &format!("full-{made}"));
            made += 1;
            assert!(made < 100_000, "it goes on although nothing can be written");
        }
        let ended = live.wait();
        assert_eq!(ended.code(), Some(1), "{}", ended.said);
        assert!(ended.said.contains("No space left on device"), "{}", ended.said);
        assert!(ended.said.contains(" more could not be written"), "{}", ended.said);
        let bytes = fs::read(&path).unwrap();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').unwrap();
        if format == "json" {
            for line in bytes[..whole].split(|byte| *byte == b'\n') {
                crate::tracer::parse(std::str::from_utf8(line).unwrap());
            }
        }
        fs::remove_file(path).unwrap();
    }
}

fn device_full() {
    let mut command = live::exec(&["--hook", "tracepoint", "--", "/bin/true"]);
    command.stdout(File::options().write(true).open("/dev/full").unwrap()).stderr(Stdio::piped());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the output cannot be written: No space left on device"), "{said}");
}

fn file_mode() {
    let folder = live::folder();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    // SAFETY: no memory involved.
    unsafe { libc::umask(0) };
    let new = folder.join("new");
    let mut command = live::exec(&["-o"]);
    command.arg(&new).args(["--hook", "tracepoint", "--", "/bin/true"]);
    let ended = live::run(command);
    assert_eq!(ended.code(), Some(0), "{}", ended.said);
    assert_eq!(mode(&new), 0o600);
    assert_eq!(ended.bytes, b"", "everything went to the file");
    let text = fs::read_to_string(&new).unwrap();
    assert!(text.ends_with('\n') && text.contains("\"type\":\"end\""), "{text}");
    // A file that is there is written anew, and stays as its owner made it.
    let old = folder.join("old");
    fs::write(&old, "x".repeat(100_000)).unwrap();
    let before = mode(&old);
    let mut command = live::exec(&["-o"]);
    command.arg(&old).args(["--hook", "tracepoint", "--", "/bin/true"]);
    assert_eq!(live::run(command).code(), Some(0));
    assert_eq!(mode(&old), before);
    assert!(!fs::read_to_string(&old).unwrap().contains('x'.to_string().repeat(9).as_str()));
}

fn duration() {
    let program = tiny::program("tiny");
    let mut command = live::exec(&["--hook", "tracepoint", "--duration", "1s", "--comm", "tiny"]);
    command.stdin(Stdio::null());
    let mut live = live::spawn(command);
    live.traces();
    tiny::exec(&program, "during");
    let ended = live.wait();
    assert_eq!(ended.code(), Some(0), "{}", ended.said);
    assert_eq!(ended.reason(), "duration");
    assert!(ended.said.contains("the time is over"), "{}", ended.said);
    assert_eq!(live::tags(&ended.execs()), ["during"]);
}

/// Exactly as many as were asked for, although more come at the same time.
fn count() {
    let program = tiny::program("tiny");
    for (hook, wanted) in [("kprobe", 1), ("fentry", 600)] {
        let live = live::start(&["--hook", hook, "--comm", "tiny", "--count", &wanted.to_string()]);
        tiny::storm(&program, "count", 1_000, 1, 0);
        let ended = live.wait();
        assert_eq!(ended.code(), Some(0), "{}", ended.said);
        assert_eq!(ended.reason(), "count");
        assert!(ended.said.contains("--count is reached"), "{}", ended.said);
        let expected: Vec<_> = (0..wanted).map(|number| format!("count-{number}")).collect();
        assert_eq!(live::tags(&ended.execs()), expected, "{hook}");
        assert_eq!(ended.lost(), 0, "{hook}: {}", ended.said);
    }
}
