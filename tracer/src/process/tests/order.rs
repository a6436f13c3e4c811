//! Orders that are rare in the simulated world, one by one.

use tracer_common::{AliveEnd, Exit, Fork, life_flag};

use super::super::{KnownFrom, Life, Limits, ProcessTable};
use crate::event::{
    Assembler, Event,
    simulate::{self, SimulatedExec},
};

/// What the table says after records: of each exit its life, in words.
fn lives(records: &[Vec<u8>]) -> (Vec<String>, ProcessTable) {
    let mut table = ProcessTable::new(Limits::default());
    let mut assembler = Assembler::default();
    let mut lives = Vec::new();
    for record in records {
        let event = assembler.push(record).unwrap().unwrap();
        let known = table.event(&event);
        if let Event::Exit(exit) = &event {
            lives.push(known.life(exit).map_or("none".into(), |life| words(&life)));
        }
    }
    (lives, table)
}

fn words(life: &Life<'_>) -> String {
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"?")).into_owned();
    let execs = life.execs.iter().count();
    let (from, ppid) = (life.known_from.name(), life.ppid.shown());
    let exe = text(life.exe.shown().flatten());
    let comm = text(life.comm.shown());
    format!("{comm} {exe} of {ppid:?} by {from}, {execs} execs; {}", life.unseen)
}

fn fork() -> Vec<u8> {
    simulate::fork_record(simulate::example_fork())
}

fn exec() -> Vec<u8> {
    SimulatedExec::example().records().remove(0)
}

fn exit() -> Vec<u8> {
    simulate::exit_record(simulate::example_exit())
}

/// The parent, in the snapshot.
fn parent() -> Vec<u8> {
    let (alive, exe) = simulate::example_alive();
    simulate::alive_record(alive, &exe)
}

/// The process itself, in the snapshot: before its exec, or after.
fn itself(boot_ns: u64, exe: &str) -> Vec<u8> {
    let (mut alive, _) = simulate::example_alive();
    alive.header.boot_ns = boot_ns;
    (alive.pid, alive.start_ns) = (4242, 81_234_000_000);
    (alive.ppid, alive.parent_start_ns) = (4000, 60_000_000_000);
    simulate::alive_record(alive, &[b"bin".to_vec(), exe.as_bytes().to_vec()])
}

fn end() -> Vec<u8> {
    simulate::alive_end_record(AliveEnd::default())
}

#[track_caller]
fn check(records: &[Vec<u8>], expected: &[&str], alive: usize) {
    let (lives, table) = lives(records);
    assert_eq!(lives, expected);
    assert_eq!(table.alive(), alive);
}

const WHOLE: &str = "true /usr/bin/true of Some(4000) by fork, 1 execs; ";

#[test]
fn the_plain_order() {
    check(&[parent(), end(), fork(), exec(), exit()], &[WHOLE], 1);
}

#[test]
fn a_fork_may_be_late() {
    check(&[end(), exec(), fork(), exit()], &[WHOLE], 0);
    let first_seen = "those before it was first seen are not known: its birth was lost";
    let late = format!("true /usr/bin/true of Some(4000) by exec, 1 execs; {first_seen}");
    check(&[end(), exec(), exit(), fork()], &[&late], 0);
    let only = format!("true ? of Some(4000) by exit, 0 execs; {first_seen}");
    check(&[end(), exit(), fork()], &[&only], 0);
}

#[test]
fn a_late_fork_keeps_the_link_of_descendants() {
    let child = simulate::fork_record(Fork {
        pid: 4300,
        start_ns: 81_300_000_000,
        ppid: 4242,
        maker: 4242,
        parent_start_ns: 81_234_000_000,
        ..simulate::example_fork()
    });
    let (_, table) = lives(&[end(), parent(), child, exit(), fork()]);
    let (known, life) = table.unfinished(1 << 40).next().unwrap();
    assert_eq!((life.pid, life.known_from), (4300, KnownFrom::Fork));
    let pids: Vec<u32> = known.ancestors(9).iter().map(|ancestor| ancestor.id.pid).collect();
    assert_eq!(pids, [4242, 4000, 1]);
}

#[test]
fn a_second_exit_is_none() {
    check(&[end(), fork(), exec(), exit(), exit()], &[WHOLE, "none"], 0);
}

#[test]
fn the_snapshot_undoes_nothing() {
    let before = itself(81_234_100_000, "before");
    let after = itself(82_000_000_000, "after");
    check(&[fork(), exec(), before.clone(), end(), exit()], &[WHOLE], 0);
    check(&[fork(), before.clone(), exec(), end(), exit()], &[WHOLE], 0);
    check(&[before.clone(), fork(), exec(), end(), exit()], &[WHOLE], 0);
    // It ended before it was told: no phantom.
    check(&[fork(), exec(), exit(), before.clone(), end()], &[WHOLE], 0);
    let unknown =
        "true /usr/bin/true of Some(4000) by snapshot, 1 execs; those before the trace are not known";
    check(&[before.clone(), exec(), end(), exit()], &[unknown], 0);
    check(&[exec(), before, end(), exit()], &[unknown], 0);
    // An exec must have been lost.
    let lost = "true /bin/after of Some(4000) by snapshot, 1 execs; those before the trace are not known";
    check(&[exec(), after, end(), exit()], &[lost], 0);
}

/// So many processes come and go.
fn others(count: u32) -> Vec<Vec<u8>> {
    let other = |number: u32| {
        let (pid, start_ns) = (10_000 + number, 81_300_000_000 + u64::from(number));
        let fork = Fork { pid, start_ns, ..simulate::example_fork() };
        let exit = Exit { pid, start_ns, flags: life_flag::QUIET, ..simulate::example_exit() };
        [simulate::fork_record(fork), simulate::exit_record(exit)]
    };
    (0..count).flat_map(other).collect()
}

#[test]
fn what_comes_very_late_makes_no_phantom() {
    for late in [itself(81_234_100_000, "before"), fork(), exec(), exit()] {
        let mut records = vec![fork(), exec(), exit()];
        records.extend(others(2000));
        records.extend([late, end()]);
        let (lives, table) = lives(&records);
        assert_eq!(lives.iter().filter(|life| *life != "none").count(), 1);
        assert_eq!(table.alive(), 0);
    }
}

#[test]
fn a_child_has_its_executable_from_a_parent_that_is_told_later() {
    let unread = "true /usr/bin/bash of Some(4000) by fork, 0 execs; ";
    check(&[fork(), parent(), end(), exit()], &[unread], 1);
}

#[test]
fn what_nobody_asked_for_is_no_life() {
    let mut quiet = simulate::example_exit();
    quiet.flags = life_flag::QUIET;
    check(&[end(), fork(), exec(), simulate::exit_record(quiet)], &["none"], 0);
    let mut quiet = simulate::example_fork();
    quiet.flags = life_flag::QUIET;
    let (_, table) = lives(&[end(), simulate::fork_record(quiet)]);
    assert_eq!((table.unfinished(1 << 40).count(), table.alive()), (0, 1));
}

#[test]
fn a_process_without_identity_is_not_guessed() {
    let mut nameless = simulate::example_exit();
    nameless.missing = tracer_common::field::START;
    let expected = "true ? of Some(4000) by exit, 0 execs; they are not known: without its id no event can be told \
                    to be its own";
    check(&[end(), fork(), exec(), simulate::exit_record(nameless)], &[expected], 1);
}

#[test]
fn losses_are_told_in_the_lives_that_they_fall_into() {
    let mut table = ProcessTable::new(Limits::default());
    let mut assembler = Assembler::default();
    table.note_loss(5);
    table.event(&assembler.push(&end()).unwrap().unwrap());
    table.event(&assembler.push(&fork()).unwrap().unwrap());
    table.note_loss(2);
    let record = exit();
    let event = assembler.push(&record).unwrap().unwrap();
    let known = table.event(&event);
    let Event::Exit(exit) = &event else { panic!("no exit") };
    assert_eq!(
        known.life(exit).unwrap().unseen.to_string(),
        "2 events were lost meanwhile, and some may have been among them"
    );
}

#[test]
fn losses_that_are_not_told_yet_are_in_the_life_that_is() {
    let mut table = ProcessTable::new(Limits::default());
    let mut assembler = Assembler::default();
    table.event(&assembler.push(&end()).unwrap().unwrap());
    table.event(&assembler.push(&fork()).unwrap().unwrap());
    table.note_untold(1);
    let record = exit();
    let event = assembler.push(&record).unwrap().unwrap();
    let known = table.event(&event);
    let Event::Exit(exit) = &event else { panic!("no exit") };
    assert_eq!(
        known.life(exit).unwrap().unseen.to_string(),
        "1 event was lost meanwhile, which may have been one"
    );
}
