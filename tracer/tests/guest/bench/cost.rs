//! What a tool adds to an execution, its own process included.
//!
//! Where the clock counts instructions, times are instructions. One execution after the other on one CPU leaves no time
//! idle, so that the time that passes is all that anybody computes; what the tool puts off is waited for, and counted by
//! its processor time.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::tool::{Program, Tool};

/// Before anything is counted: caches fill, lazy things happen.
const WARM: usize = 100;
/// Seconds of rest that are looked at.
const REST: f64 = 2.0;

/// Nanoseconds for each execution: in all, by the tool's process while they are made, and by it after them; and by it
/// for each second at rest.
pub(super) fn measure(words: &[&str], count: usize) -> Value {
    if words.is_empty() {
        let program = Program::new("/tmp/bench-tiny".as_ref());
        program.execs("warm", WARM, 1);
        let start = Instant::now();
        program.execs("cost", count, 1);
        return json!({"loop": start.elapsed().as_nanos() as f64 / count as f64});
    }
    let mut tool = Tool::ready(words);
    tool.program().execs("warm", WARM, 1);
    tool.idles();
    let (before, start) = (tool.cpu(), Instant::now());
    tool.program().execs("cost", count, 1);
    let took = start.elapsed().as_nanos() as f64;
    let (during, ended) = (tool.cpu(), Instant::now());
    tool.idles();
    let (after, waited) = (tool.cpu(), ended.elapsed().as_secs_f64());
    thread::sleep(Duration::from_secs_f64(REST));
    let rest = (tool.cpu() - after) / REST;
    tool.stop();
    let each = |time: f64| time / count as f64;
    json!({
        "loop": each(took),
        "user": each(during - before),
        "later": each((after - during - rest * waited).max(0.0)),
        "rest": rest,
    })
}
