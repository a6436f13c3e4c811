//! What `cargo xtask bench` has done in a guest: roles that start a tool, ours or another's, make executions, and say
//! what that cost as a line of JSON. No tests.
//!
//! *Invariant:* every tool goes through the same steps: a role knows of it no more than its command line.
//!
//! *Must not know:* which tools there are, what a figure is compared with.

mod cost;
mod loss;
mod memory;
mod probes;
mod start;
mod tool;
mod words;

use serde_json::{Value, json};

/// Plays `bench-ROLE NAME COUNT TOOL ARGS...`; `false` if there is no such role.
pub(crate) fn play(role: &str, args: &[&str]) -> bool {
    if let ("bench-note", [file]) = (role, args) {
        probes::note(file);
        return true;
    }
    let [name, count, tool @ ..] = args else { return false };
    let count = count.parse().unwrap();
    let figures = match role {
        "bench-cost" => cost::measure(tool, count),
        "bench-storm" => loss::storm(tool, count),
        "bench-stopped" => loss::stopped(tool, count),
        "bench-unread" => loss::unread(tool, count),
        "bench-start" => start::measure(tool, count),
        "bench-memory" => memory::measure(tool, count),
        "bench-calls" => probes::calls(tool, count),
        "bench-attach" => probes::attach(tool, count),
        _ => return false,
    };
    say(role, name, figures);
    true
}

fn say(role: &str, name: &str, figures: Value) {
    println!("{}", json!({"bench": role, "name": name, "figures": figures}));
}
