//! What a tool loses of more executions than it can bear, and whether it says so.

use std::{
    io::Read,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    tool::{To, Tool, pipe},
    words::{numbers, told},
};

/// One more than CPUs, so that none of them ever waits.
const WORKERS: usize = 3;

/// As many as go, while the tool reads.
pub(super) fn storm(words: &[&str], count: usize) -> Value {
    let mut tool = Tool::ready(words);
    tool.idles();
    let start = Instant::now();
    tool.program().execs("storm", count, WORKERS);
    let took = start.elapsed().as_secs_f64();
    tool.idles();
    tool.stop();
    let streams = tool.streams();
    let shown = numbers(&streams, "storm").len();
    json!({"made": count, "seconds": took, "shown": shown, "told": told(&streams)})
}

/// As many while the tool does not run at all.
pub(super) fn stopped(words: &[&str], count: usize) -> Value {
    let mut tool = Tool::ready(words);
    tool.idles();
    tool.signal(libc::SIGSTOP);
    tool.program().execs("stopped", count, WORKERS);
    tool.signal(libc::SIGCONT);
    tool.idles();
    // Whoever tells of a loss with the next event tells nothing yet.
    let quiet = told(&tool.streams());
    tool.program().exec("after-0");
    tool.idles();
    tool.stop();
    let streams = tool.streams();
    let shown = numbers(&streams, "stopped").len();
    json!({"made": count, "shown": shown, "quiet": quiet, "told": told(&streams)})
}

/// As many while nobody reads what it writes into a pipe.
pub(super) fn unread(words: &[&str], count: usize) -> Value {
    let (mut reader, writer) = pipe();
    let mut tool = Tool::start(words, To::Descriptor(writer));
    // Until the first bytes come: those are read one by one.
    let mut first = [0; 1];
    thread::scope(|scope| {
        let waits = scope.spawn(|| reader.read_exact(&mut first).unwrap());
        for number in 0.. {
            tool.program().exec(&format!("ready-{number}"));
            thread::sleep(Duration::from_millis(if number < 100 { 50 } else { 5 }));
            assert!(number < 20_000, "{words:?} writes nothing");
            if waits.is_finished() && number >= 400 {
                break;
            }
        }
    });
    tool.program().execs("unread", count, WORKERS);
    thread::sleep(Duration::from_secs(2));
    let (sender, received) = std::sync::mpsc::channel();
    let reading = thread::spawn(move || {
        let (mut all, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
        while let Ok(length @ 1..) = reader.read(&mut buffer) {
            all.extend_from_slice(&buffer[..length]);
            let _ = sender.send(());
        }
        all
    });
    while received.recv_timeout(Duration::from_secs(3)).is_ok() {}
    tool.program().exec("after-0");
    tool.idles();
    tool.stop();
    let streams = [reading.join().unwrap(), tool.streams()].concat();
    json!({"made": count, "shown": numbers(&streams, "unread").len(), "told": told(&streams)})
}
