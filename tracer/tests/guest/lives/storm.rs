//! Very many short processes: each one has its life, or is told as lost; ids stay unique although
//! pids do not; a trace that begins in the middle of it knows everybody.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    thread,
    time::Duration,
};

use serde_json::Value;

use super::{
    Told,
    deeds::{bury, fork},
    told::{self, unique},
};
use crate::{
    behaviour::{
        live::{self, HOOKS},
        storm::skips_programs,
        tiny,
    },
    harness::Test,
};

/// One more worker than CPUs, so that none of them ever waits.
const WORKERS: usize = 3;

pub(super) fn tests() -> impl Iterator<Item = Test> {
    let all = |name: &str, seconds, run: fn(&str)| {
        Test::batch(&format!("lives::{name}"), seconds, HOOKS.map(str::to_owned), move |cases| {
            for hook in HOOKS {
                cases.check(hook, || run(hook));
            }
        })
    };
    [
        all("storm", 600, storm),
        all("storm_that_loses", 300, lossy),
        all("pids_that_come_again", 300, few_pids),
        all("storm_while_it_starts", 300, race),
    ]
    .into_iter()
}

/// The lives of a storm's processes, by tag; none is there twice.
fn by_tag<'t>(told: &'t Told, prefix: &str) -> BTreeMap<String, &'t Value> {
    let mut lives = BTreeMap::new();
    for life in told.all("life") {
        let last = life["execs"].as_array().and_then(|execs| execs.last());
        let Some(tag) = last.and_then(|exec| exec["argv"][1].as_str()) else { continue };
        if tag.starts_with(prefix) {
            assert!(lives.insert(tag.to_owned(), life).is_none(), "two lives: {tag}");
        }
    }
    lives
}

fn storm(hook: &str) {
    let count = if hook == "fentry" { 10_000 } else { 3_000 };
    let program = tiny::program("tiny");
    let live = live::start(&["--hook", hook, "--life"]);
    tiny::storm(&program, hook, count, WORKERS, 0);
    let told = Told::of(&live.stop());
    unique(told.all("life"));
    let (lost, lives) = (all_lost(&told), by_tag(&told, hook));
    assert_eq!(told.end()["lives"], told.all("life").count(), "{}", told.said);
    assert_eq!(told.end()["lost"], lost.values().sum::<u64>(), "{}", told.said);
    if skips_programs(hook) {
        // A life lacks what was lost, and says so.
        let missing = (count - lives.len()) as u64;
        assert!(missing <= lost.values().sum(), "{missing} of {lost:?}: {}", told.said);
    } else {
        assert!(lost.is_empty(), "{lost:?}: {}", told.said);
        assert_eq!(lives.len(), count, "{}", told.said);
    }
    if lost.is_empty() {
        for life in lives.values() {
            assert_eq!(life["known_from"], "fork", "{life}");
            assert_eq!((&life["exit_code"], &life["execs"][0]["retval"]), (&0.into(), &0.into()), "{life}");
            assert_eq!(life["execs"].as_array().map(Vec::len), Some(1), "{life}");
        }
        // Who else ends or begins meanwhile is none of ours.
        let own = std::process::id();
        assert_eq!(told.all("life").filter(|life| life["ppid"] == own).count(), count, "{}", told.said);
    }
}

/// What was lost, by class.
fn all_lost(told: &Told) -> BTreeMap<String, u64> {
    let mut lost = BTreeMap::new();
    for record in told.all("lost") {
        *lost.entry(record["class"].as_str().unwrap().to_owned()).or_default() +=
            record["count"].as_u64().unwrap();
    }
    lost
}

/// The tracer stands still meanwhile, and its buffer is small: of each class, seen + lost = made.
fn lossy(hook: &str) {
    const COUNT: usize = 2_000;
    let program = tiny::program("tiny");
    let live = live::start(&[
        "--hook",
        hook,
        "--life",
        "--events",
        "exec,fork,exit",
        "--buffer",
        "256K",
        "--ancestors",
    ]);
    live.signal(libc::SIGSTOP);
    tiny::storm(&program, hook, COUNT, WORKERS, 0);
    live.signal(libc::SIGCONT);
    tiny::storm(&program, "after", 100, WORKERS, 0);
    let told = Told::of(&live.stop());
    let own = std::process::id();
    let forks = told.all("fork").filter(|fork| fork["ppid"] == own);
    let exits = told.all("exit").filter(|exit| exit["ppid"] == own);
    let execs = told.all("exec").filter(|exec| exec["ppid"] == own);
    for (class, seen) in [("fork", forks.count()), ("exit", exits.count()), ("exec", execs.count())] {
        let lost = told.lost(class);
        assert!(lost > 0, "{class}: {}", told.said);
        let (sum, made) = (seen as u64 + lost, COUNT as u64 + 100);
        if skips_programs(hook) {
            // Of runs that the kernel skipped nobody knows whether they were for a thread of somebody else's.
            assert!(sum.abs_diff(made) <= 64, "{class}: {lost} lost of {made}: {}", told.said);
        } else {
            assert_eq!(sum, made, "{class}: {lost} lost: {}", told.said);
        }
    }
    unique(told.all("life"));
    told.agree();
    // What is known of somebody whose birth was lost is said, and nothing is made up.
    let ours = told.all("life").filter(|life| life["ppid"] == own);
    for life in ours {
        let execs = life["execs"].as_array().unwrap();
        let whole = life["known_from"] == "fork" && execs.len() == 1;
        let said = !life["missing"]["execs"].is_null();
        assert!(whole || said, "{life}");
    }
}

/// A hundred or two pids, used again and again.
fn few_pids(hook: &str) {
    const COUNT: usize = 2_000;
    const PID_MAX: &str = "/proc/sys/kernel/pid_max";
    let program = tiny::program("tiny");
    let before = fs::read(PID_MAX).unwrap();
    let live = live::start(&["--hook", hook, "--life", "--events", "exec,fork,exit", "--ancestors"]);
    fs::write(PID_MAX, "450").unwrap();
    tiny::storm(&program, hook, COUNT, WORKERS, 0);
    fs::write(PID_MAX, before).unwrap();
    let told = Told::of(&live.stop());
    told.agree();
    let lives = by_tag(&told, hook);
    let pids: BTreeSet<_> = lives.values().map(|life| life["pid"].as_u64()).collect();
    assert!(pids.len() < 1_000, "pids come again: {}", pids.len());
    if !skips_programs(hook) || told.nothing_lost() {
        assert_eq!(lives.len(), COUNT, "{}", told.said);
        for life in lives.values() {
            let chain = told::ancestors(life);
            assert_eq!(chain[0], told::own_id(), "{life}");
            assert_eq!(life["execs"].as_array().map(Vec::len), Some(1), "one's own alone: {life}");
        }
    }
}

/// Processes that were there for certain, when `look` was called.
fn alive() -> usize {
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok()).count()
}

/// A storm rages while the trace starts and takes its snapshot.
fn race(hook: &str) {
    let program = tiny::program("tiny");
    let calm = live::folder().join("calm");
    let source = fork(|| rage(&program, &calm));
    thread::sleep(Duration::from_millis(200));
    let live = live::start(&["--hook", hook, "--life", "--events", "exec,fork,exit", "--ancestors"]);
    thread::sleep(Duration::from_millis(700));
    fs::write(&calm, "").unwrap();
    let source = bury(source);
    assert_eq!(source.status, 0);
    thread::sleep(Duration::from_millis(500));
    let there = alive();
    let told = Told::of(&live.stop());
    told.agree();
    if told.nothing_lost() {
        let id = told.life(source.pid)["id"].as_str().unwrap();
        let (mut early, mut seen) = (0, 0);
        for record in told.records.iter().filter(|record| record["ppid"] == source.pid) {
            // Told before the snapshot is: that is said, and it does not come again.
            if is_early(record) {
                assert_eq!(seen, 0, "{record}");
                assert_eq!(record["ancestors"][0]["id"], id, "{record}");
                early += 1;
                continue;
            }
            let chain = told::ancestors(record);
            assert_eq!(chain[0], id, "{record}");
            let own = format!("{}-", std::process::id());
            assert!(chain[1].starts_with(&own) && chain.last().unwrap().starts_with("1-"), "{record}");
            seen += 1;
        }
        assert!(seen > 100, "{early} events came before the snapshot, {seen} later");
    } else {
        assert!(skips_programs(hook), "{}", told.said);
    }
    // The tracer itself may have threads, but they are none.
    let known = told.end()["alive"].as_u64().unwrap() as usize;
    assert!(known.abs_diff(there) <= 3, "{known} known alive of {there} in /proc: {}", told.said);
}

/// Is its chain one that waits for the snapshot?
fn is_early(record: &Value) -> bool {
    record["cut"]["ancestors"].as_str().is_some_and(|reason| reason.starts_with("not told yet: the snapshot"))
}

fn rage(program: &Path, calm: &Path) {
    let mut round = 0;
    while !calm.exists() {
        tiny::storm(program, &format!("race-{round}"), 60, WORKERS, 0);
        round += 1;
    }
}
