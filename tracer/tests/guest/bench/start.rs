//! From a tool's start to the first event that it shows on a terminal.
//!
//! A program is executed every two milliseconds until one is shown.

use std::{
    io::Read,
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::tool::{To, Tool, terminal};

const EVERY_MS: i32 = 2;
const PATIENCE: Duration = Duration::from_secs(900);

/// The least of `rounds`: seconds until the event is shown, and of them what the tool's process ran; and the first of
/// them, where nothing is warm.
pub(super) fn measure(words: &[&str], rounds: usize) -> Value {
    let all: Vec<(f64, f64)> = (0..rounds).map(|_| once(words)).collect();
    let least = all.iter().copied().min_by(|left, right| left.0.total_cmp(&right.0)).unwrap();
    json!({"first": all[0].0, "least": least.0, "cpu": least.1})
}

fn once(words: &[&str]) -> (f64, f64) {
    let (mut screen, side) = terminal();
    let start = Instant::now();
    let mut tool = Tool::start(words, To::Descriptor(side));
    let mut shown = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    let figures = loop {
        tool.program().exec("first-0");
        let mut poll = libc::pollfd { fd: screen.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one descriptor that is open.
        unsafe { libc::poll(&raw mut poll, 1, EVERY_MS) };
        if let Ok(length) = screen.read(&mut buffer) {
            shown.extend_from_slice(&buffer[..length]);
            if memchr::memmem::find(&shown, b"first-0").is_some() {
                break (start.elapsed().as_secs_f64(), tool.cpu() / 1e9);
            }
        }
        let said = || String::from_utf8_lossy(&tool.streams()).into_owned();
        assert!(start.elapsed() < PATIENCE, "{words:?} shows nothing: {}", said());
    };
    // Somebody has to read, or its last words would wait for ever.
    let reads = std::thread::spawn(move || {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(120) {
            match screen.read(&mut buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                // The other side is closed.
                Err(_) => break,
            }
        }
    });
    tool.stop();
    reads.join().unwrap();
    figures
}
