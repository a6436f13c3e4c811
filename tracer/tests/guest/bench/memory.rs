//! What a tool holds of memory: its process, and what the kernel holds for it.

use std::{
    collections::BTreeMap,
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::tool::Tool;

const WORKERS: usize = 3;

/// KiB at rest and at most while `count` executions are made.
pub(super) fn measure(words: &[&str], count: usize) -> Value {
    let mut tool = Tool::ready(words);
    tool.idles();
    let rest = resident(tool.pid());
    let done = AtomicBool::new(false);
    let storm = thread::scope(|scope| {
        let looks = scope.spawn(|| {
            let mut most = rest;
            while !done.load(Ordering::Relaxed) {
                let now = resident(tool.pid());
                most = (most.0.max(now.0), most.1.max(now.1));
                thread::sleep(Duration::from_millis(50));
            }
            most
        });
        tool.program().execs("memory", count, WORKERS);
        tool.idles();
        done.store(true, Ordering::Relaxed);
        looks.join().unwrap()
    });
    let (maps, programs) = bpf(tool.pid());
    let figures = json!({
        "rest": {"pss": rest.0, "rss": rest.1},
        "storm": {"pss": storm.0, "rss": storm.1},
        "maps": maps, "programs": programs, "perf": perf(tool.pid()),
    });
    tool.stop();
    figures
}

/// Proportional and whole resident set, in KiB.
fn resident(pid: i32) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let field = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    (field("Pss:"), field("Rss:"))
}

/// What its maps and programs hold, in KiB, each counted once.
fn bpf(pid: i32) -> (u64, u64) {
    let (mut maps, mut programs) = (BTreeMap::new(), BTreeMap::new());
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap().flatten() {
        let Ok(text) = fs::read_to_string(entry.path()) else { continue };
        let field = |name: &str| -> Option<u64> {
            text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        };
        let Some(memlock) = field("memlock:") else { continue };
        if let Some(id) = field("map_id:") {
            maps.insert(id, memlock);
        } else if let Some(id) = field("prog_id:") {
            programs.insert(id, memlock);
        }
    }
    (maps.values().sum::<u64>() / 1024, programs.values().sum::<u64>() / 1024)
}

/// The kernel's buffers for perf events that it has mapped, in KiB.
fn perf(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let length = |line: &str| -> Option<u64> {
        let (from, to) = line.split_whitespace().next()?.split_once('-')?;
        Some(u64::from_str_radix(to, 16).ok()? - u64::from_str_radix(from, 16).ok()?)
    };
    text.lines().filter(|line| line.ends_with("[perf_event]")).filter_map(length).sum::<u64>() / 1024
}
