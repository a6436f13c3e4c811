//! The table against a simulated world that knows everything.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bounds;
mod order;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Before, Known, KnownFrom, Life, Limits, ProcessTable};
use crate::event::{Assembler, Event, ProcessId, Value};
use world::{Odds, Step, What, World};

/// What was told so far, and what follows from it.
#[derive(Default)]
struct Oracle {
    /// By birth, or as it was when the process was first told of.
    parents: BTreeMap<usize, usize>,
    /// All that were ever told.
    ever: BTreeSet<(usize, usize)>,
    seen: BTreeSet<usize>,
    /// The latest time at which its name was told.
    named: BTreeMap<usize, u64>,
    /// Who made those whose birth was told.
    makers: BTreeMap<usize, usize>,
    /// Those whose birth was told before the snapshot was.
    early: BTreeSet<usize>,
    snapshot_done: bool,
    lives: BTreeSet<usize>,
    execs: BTreeMap<usize, Vec<usize>>,
}

impl Oracle {
    fn take(&mut self, step: &Step) {
        let being = step.being;
        match step.what {
            What::Lost => return,
            What::AliveEnd => {
                self.snapshot_done = true;
                return;
            }
            What::Fork => {
                self.parents.insert(being, step.parent);
                self.makers.insert(being, step.maker);
                if !self.snapshot_done {
                    self.early.insert(being);
                }
                if step.maker == step.parent {
                    self.name(step.maker, step.at);
                }
            }
            What::Exec(place) => {
                self.parents.entry(being).or_insert(step.parent);
                self.execs.entry(being).or_default().push(place);
                if !self.seen.contains(&step.parent) && self.parents[&being] == step.parent {
                    self.name(step.parent, step.at);
                }
            }
            What::Exit | What::Alive => {
                self.parents.entry(being).or_insert(step.parent);
            }
        }
        self.ever.insert((being, step.parent));
        self.seen.insert(being);
        self.name(being, step.at);
    }

    /// Whether there is one whose beginning nobody told: it ended before the snapshot came to it.
    fn untold(world: &World, line: &BTreeMap<usize, usize>, being: usize) -> bool {
        let told = |at: usize| world.beings[at].told.fork || world.beings[at].told.alive;
        let mut at = being;
        while told(at) {
            match line.get(&at) {
                Some(next) if at != 0 => at = *next,
                _ => return false,
            }
        }
        true
    }

    /// Whether a process may have its executable from one that nobody had told of when it was born.
    fn nothing_to_have_it_from(&self, world: &World, being: usize) -> bool {
        let mut at = being;
        loop {
            let told = &world.beings[at].told;
            match self.makers.get(&at) {
                _ if told.alive => return false,
                Some(maker) if !self.early.contains(&at) => at = *maker,
                _ => return true,
            }
        }
    }

    fn name(&mut self, being: usize, at: u64) {
        let named = self.named.entry(being).or_insert(at);
        *named = (*named).max(at);
    }
}

/// What a check may rely on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sure {
    /// Everything is told, nearly in order.
    All,
    /// Some events are lost.
    Told,
    /// The table may forget.
    Little,
}

fn check_chain(world: &World, oracle: &Oracle, being: usize, known: &Known<'_>, sure: Sure) {
    let ancestors = known.ancestors(1000);
    let mut at = being;
    for ancestor in ancestors.iter() {
        let parent = world.beings.iter().position(|b| b.id == ancestor.id).unwrap();
        if sure == Sure::Little {
            let born = world.beings[at].birth_parent == parent;
            assert!(born || oracle.ever.contains(&(at, parent)));
            at = parent;
            continue;
        }
        assert_eq!(parent, oracle.parents[&at], "of {at}");
        let truth = &world.beings[parent];
        match ancestor.comm {
            Value::Known(comm) => {
                // Told later or at that time: a fork whose maker is not to be told apart names nobody.
                let named = oracle.named[&parent];
                let (expected, _) = truth.at(named);
                let exact = String::from_utf8_lossy(comm) == expected;
                let ever = truth.execs.iter().any(|(at, ..)| format!("c{at}").as_bytes() == comm);
                assert!(
                    exact || sure != Sure::All && (ever || truth.born.0.as_bytes() == comm),
                    "{ancestor:?} at {named}: {truth:?}"
                );
            }
            _ => assert!(!oracle.seen.contains(&parent)),
        }
        match ancestor.exe {
            Value::Known(exe) => {
                let exe = String::from_utf8_lossy(exe.unwrap()).into_owned();
                let ever = truth.execs.iter().any(|(at, ..)| exe == format!("/bin/c{at}"));
                assert!(sure != Sure::All || ever || exe == truth.born.1, "{exe}");
            }
            // Out of order, or during the snapshot, there may be nothing to have it from.
            _ => {
                let untold = oracle.nothing_to_have_it_from(world, parent);
                assert!(
                    sure != Sure::All || !oracle.snapshot_done || world.shuffled || untold,
                    "{ancestor:?}"
                );
            }
        }
        at = parent;
        if !oracle.seen.contains(&at) {
            assert!(ancestors.missing().is_some());
        }
    }
    if sure == Sure::Little {
        return;
    }
    // It ends with the first process of all, or where nothing is told.
    assert!(at == 0 || !oracle.seen.contains(&at), "ends with {at}, of {being}");
    if sure == Sure::All && oracle.snapshot_done && !world.shuffled {
        let untold = Oracle::untold(world, &oracle.parents, being);
        assert_eq!(ancestors.missing().is_some(), untold);
    }
}

fn check_life(world: &World, oracle: &Oracle, being: usize, life: &Life<'_>, sure: Sure) {
    let truth = &world.beings[being];
    assert_eq!(life.id, Value::Known(truth.id));
    let told: Vec<_> = life
        .execs
        .iter()
        .map(|attempt| {
            let arg = attempt.argv.shown().unwrap().get(0).unwrap().bytes.to_vec();
            (attempt.boot_ns, String::from_utf8(arg).unwrap(), !attempt.failed())
        })
        .collect();
    let empty = Vec::new();
    let expected = oracle.execs.get(&being).unwrap_or(&empty).iter().map(|at| truth.execs[*at].clone());
    if sure != Sure::Little {
        assert_eq!(told, expected.collect::<Vec<_>>());
    }
    if life.unseen.is_none() {
        assert_eq!(told.len() as u64 + life.execs.left_out().total(), truth.execs.len() as u64);
        assert_eq!(life.known_from, KnownFrom::Fork);
    }
    if sure != Sure::Little {
        for (attempt, (at, _, succeeded)) in life.execs.iter().zip(&told) {
            let next = told.iter().find(|(time, _, succeeded)| time > at && *succeeded);
            let end = next.map(|(time, ..)| *time).or(truth.ended);
            let expected = end.filter(|_| *succeeded).map(|end| end - at);
            assert_eq!(attempt.duration_ns, expected);
        }
    }
    if sure == Sure::All && !world.shuffled {
        assert_eq!(life.unseen.is_none(), truth.told.fork);
        assert_eq!(life.unseen.before.is_some(), !truth.told.fork);
        assert!(truth.told.fork || life.unseen.before == Some(Before::Trace));
    }
}

/// Tells a table of a world, and checks all that it says.
fn check(world: &World, limits: Limits, sure: Sure) -> ProcessTable {
    let mut table = ProcessTable::new(limits);
    let mut assembler = Assembler::default();
    let mut oracle = Oracle::default();
    for step in &world.steps {
        if step.what == What::Lost {
            table.note_loss(1);
        }
        oracle.take(step);
        for record in &step.records {
            let event = assembler.push(record).unwrap().unwrap();
            let known = table.event(&event);
            if matches!(step.what, What::Fork | What::Exec(_) | What::Exit) {
                check_chain(world, &oracle, step.being, &known, sure);
            }
            if let Event::Exit(exit) = &event {
                let life = known.life(exit).unwrap();
                assert!(oracle.lives.insert(step.being));
                check_life(world, &oracle, step.being, &life, sure);
            }
        }
        assert!(table.len() <= limits.processes && table.story_bytes() <= limits.story_bytes);
    }
    if sure == Sure::All {
        check_end(world, &oracle, &table);
    }
    table
}

fn check_end(world: &World, oracle: &Oracle, table: &ProcessTable) {
    // No phantoms, no gaps.
    assert_eq!(table.alive(), world.living.len());
    let mut ids: Vec<ProcessId> = world
        .living
        .iter()
        .filter(|being| world.beings[**being].told.fork || oracle.execs.contains_key(being))
        .map(|being| world.beings[*being].id)
        .collect();
    ids.sort_by_key(|id| (id.start_ns, id.pid));
    let unfinished: Vec<_> = table
        .unfinished(1 << 40)
        .map(|(_, life)| {
            assert!(!life.ended && life.ending.missing().is_some());
            life.id.shown().unwrap()
        })
        .collect();
    assert_eq!(unfinished, ids);
    // Nothing is kept but what lives, the last to end, and whom these descend from.
    let exits = world.steps.iter().rev().filter(|step| step.what == What::Exit).map(|step| step.being);
    let kept: Vec<usize> = world.living.iter().copied().chain(exits.take(super::table::LINGER + 1)).collect();
    let mut needed: BTreeSet<usize> = kept.iter().copied().collect();
    for being in kept {
        let mut at = being;
        while let Some(parent) = oracle.parents.get(&at).filter(|_| at != 0) {
            needed.insert(*parent);
            at = *parent;
        }
    }
    assert!(table.len() <= needed.len() + 2, "{} of {}", table.len(), needed.len());
}

fn odds(lost: usize, shuffle: usize, steps: usize) -> Odds {
    Odds { lost, shuffle, steps }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_world_is_told_as_it_is(seed in any::<u64>(), shuffle in prop_oneof![Just(0_usize), 2..12_usize]) {
        let world = World::new(seed, odds(0, shuffle, 2000));
        let table = check(&world, Limits::default(), Sure::All);
        prop_assert_eq!(table.evicted().total(), 0);
    }

    #[test]
    fn what_is_lost_is_said(seed in any::<u64>(), lost in 2..30_usize, shuffle in 0..6_usize) {
        check(&World::new(seed, odds(lost, shuffle, 2000)), Limits::default(), Sure::Told);
    }

    #[test]
    fn what_is_forgotten_is_not_guessed(seed in any::<u64>(), lost in 0..30_usize, shuffle in 0..6_usize) {
        let limits = Limits { processes: 16, story_bytes: 3000 };
        check(&World::new(seed, odds(lost, shuffle, 600)), limits, Sure::Little);
    }
}

#[test]
fn a_long_world_leaks_nothing() {
    for seed in 1..4 {
        check(&World::new(seed, odds(0, 6, 12_000)), Limits::default(), Sure::All);
    }
}
