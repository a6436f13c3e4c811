//! The lines about births, ends and lives are the types' lines, whatever the records say.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::{collection::vec, prelude::*};

use super::{
    Line,
    life::{Asked, Life},
    tests::check_line,
};
use crate::{
    event::{Assembler, Event, Followed, WallClock, simulate},
    process::{Limits, ProcessTable},
    sink::{Around, Sink},
};

const CLOCK: WallClock = WallClock { offset_ns: 1_700_000_000_000_000_000 };

/// Feeds records to a table, and renders everything that there is to be rendered.
fn render(records: &[Vec<u8>], limits: Limits, sink: &mut Sink) -> Vec<u8> {
    let mut table = ProcessTable::new(limits);
    let mut assembler = Assembler::default();
    let mut out = Vec::new();
    for record in records {
        let Ok(Some(event)) = assembler.push(record) else { continue };
        let known = table.event(&event);
        let around = Around { ancestors: Some(known.ancestors(100)), ..Around::default() };
        match &event {
            Event::Exec(exec) => sink.exec(exec, around, &mut out),
            Event::Fork(fork) => sink.fork(fork, around, &mut out),
            Event::Exit(exit) => {
                sink.exit(exit, around, &mut out);
                if let Some(life) = known.life(exit) {
                    sink.life(&life, around, &mut out);
                }
            }
            Event::Alive(_) | Event::AliveEnd(_) | Event::Cgroup(_) => {}
        }
    }
    for (known, life) in table.unfinished(90_000_000_000) {
        let around = Around { ancestors: Some(known.ancestors(100)), ..Around::default() };
        sink.life(&life, around, &mut out);
    }
    out
}

fn example() -> Vec<Vec<u8>> {
    let (alive, exe) = simulate::example_alive();
    let mut records = vec![simulate::alive_record(alive, &exe)];
    records.push(simulate::alive_end_record(tracer_common::AliveEnd::default()));
    records.push(simulate::fork_record(simulate::example_fork()));
    let mut exec = simulate::SimulatedExec::example();
    exec.exec.retval = -2;
    exec.exec.header.boot_ns -= 1000;
    exec.filename = b"/usr/local/bin/tr\xffe".to_vec();
    records.extend(exec.records());
    records.extend(simulate::SimulatedExec::example().records());
    records.push(simulate::exit_record(simulate::example_exit()));
    records
}

#[test]
fn a_life_looks_like_this() {
    let lines = render(&example(), Limits::default(), &mut Sink::Json(CLOCK));
    let mut kinds = Vec::new();
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        kinds.push(match check_line(line) {
            Line::Fork(_) => "fork",
            Line::Exec(exec) => {
                assert!(matches!(&exec.ancestors, Asked::Chain(chain) if chain.len() == 2));
                "exec"
            }
            Line::Exit(_) => "exit",
            Line::Life(_) => "life",
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(kinds, ["fork", "exec", "exec", "exit", "life"]);
    let text = String::from_utf8(lines).unwrap();
    expect_test::expect![[r#"
        {"schema":1,"type":"exit","time":"2023-11-14T22:14:42.500000000Z","boot_ns":82500000000,"cpu":1,"seq":4,"hook":"fentry","pid":4242,"tid":4242,"ppid":4000,"id":"4242-81234000000","parent_id":"4000-60000000000","uid":1000,"gid":1000,"comm":"true","duration_ns":1266000000,"exit_code":1,"signal":null,"signal_name":null,"core":false,"user_ns":3750000,"system_ns":11250000,"max_rss_bytes":2097152,"minor_faults":100,"major_faults":2,"read_chars":5000,"written_chars":60,"read_bytes":4096,"write_bytes":8192,"cancelled_write_bytes":4096,"cgroup_id":4567,"ancestors":[{"id":"4000-60000000000","pid":4000,"comm":"bash","exe":"/usr/bin/bash"},{"id":"1-1000000000","pid":1,"comm":null,"exe":null,"missing":{"comm":"its birth was lost, or the snapshot missed it","exe":"its birth was lost, or the snapshot missed it"}}],"cut":{"ancestors":"its birth was lost, or the snapshot missed it"}}
        {"schema":1,"type":"life","time":"2023-11-14T22:14:42.500000000Z","boot_ns":82500000000,"pid":4242,"ppid":4000,"id":"4242-81234000000","parent_id":"4000-60000000000","uid":1000,"gid":1000,"comm":"true","exe":"/usr/bin/true","start":"2023-11-14T22:14:41.234000000Z","start_ns":81234000000,"duration_ns":1266000000,"exit_code":1,"signal":null,"signal_name":null,"core":false,"user_ns":3750000,"system_ns":11250000,"max_rss_bytes":2097152,"minor_faults":100,"major_faults":2,"read_chars":5000,"written_chars":60,"read_bytes":4096,"write_bytes":8192,"cancelled_write_bytes":4096,"execs":[{"time":"2023-11-14T22:14:41.234566890Z","boot_ns":81234566890,"filename":"/usr/local/bin/tr�e","filename_raw":"L3Vzci9sb2NhbC9iaW4vdHL/ZQ==","exe":null,"interpreter":null,"argv":["true","--flag","value with spaces"],"argc":3,"argv_bytes":30,"retval":-2,"errno":"ENOENT","duration_ns":null,"missing":{"exe":"the exec failed","duration_ns":"the exec failed"}},{"time":"2023-11-14T22:14:41.234567890Z","boot_ns":81234567890,"filename":"/usr/bin/true","exe":"/usr/bin/true","interpreter":null,"argv":["true","--flag","value with spaces"],"argc":3,"argv_bytes":30,"retval":0,"errno":null,"duration_ns":1265432110}],"execs_left_out":0,"known_from":"fork","ancestors":[{"id":"4000-60000000000","pid":4000,"comm":"bash","exe":"/usr/bin/bash"},{"id":"1-1000000000","pid":1,"comm":null,"exe":null,"missing":{"comm":"its birth was lost, or the snapshot missed it","exe":"its birth was lost, or the snapshot missed it"}}],"cut":{"ancestors":"its birth was lost, or the snapshot missed it"}}
    "#]].assert_eq(&text.split_inclusive('\n').skip(3).collect::<String>());
}

#[test]
fn a_kill_and_a_birth_that_was_lost() {
    let mut exit = simulate::example_exit();
    exit.status = 11 | 0x80;
    exit.missing = tracer_common::exit_field::IO;
    exit.flags = tracer_common::life_flag::THREADS_CUT;
    let end = simulate::alive_end_record(tracer_common::AliveEnd::default());
    let lines = render(&[end, simulate::exit_record(exit)], Limits::default(), &mut Sink::Json(CLOCK));
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        check_line(line);
    }
    let text = String::from_utf8(lines).unwrap();
    expect_test::expect![[r#"
        {"schema":1,"type":"life","time":"2023-11-14T22:14:42.500000000Z","boot_ns":82500000000,"pid":4242,"ppid":4000,"id":"4242-81234000000","parent_id":"4000-60000000000","uid":1000,"gid":1000,"comm":"true","exe":null,"start":"2023-11-14T22:14:41.234000000Z","start_ns":81234000000,"duration_ns":1266000000,"exit_code":null,"signal":11,"signal_name":"SIGSEGV","core":true,"user_ns":3750000,"system_ns":11250000,"max_rss_bytes":2097152,"minor_faults":100,"major_faults":2,"read_chars":null,"written_chars":null,"read_bytes":null,"write_bytes":null,"cancelled_write_bytes":null,"execs":[],"execs_left_out":0,"known_from":"exit","ancestors":[{"id":"4000-60000000000","pid":4000,"comm":null,"exe":null,"missing":{"comm":"its birth was lost, or the snapshot missed it","exe":"its birth was lost, or the snapshot missed it"}}],"missing":{"exe":"its birth was lost, or the snapshot missed it","read_chars":"could not be read at the event","written_chars":"could not be read at the event","read_bytes":"could not be read at the event","write_bytes":"could not be read at the event","cancelled_write_bytes":"could not be read at the event","execs":"those before it was first seen are not known: its birth was lost"},"cut":{"user_ns":"a lower bound: the process had more threads than are summed up","system_ns":"a lower bound: the process had more threads than are summed up","minor_faults":"a lower bound: the process had more threads than are summed up","major_faults":"a lower bound: the process had more threads than are summed up","ancestors":"its birth was lost, or the snapshot missed it"}}
    "#]].assert_eq(text.split_inclusive('\n').next_back().unwrap());
}

#[test]
fn an_end_counts_lives() {
    let followed = Followed { forks: 1, exits: 2, lives: 3, alive: Some(4), evicted: 5 };
    let end = crate::event::End {
        boot_ns: 10,
        events: 5,
        failed: 1,
        lost: 3,
        no_room: 3,
        by_hook: Vec::new(),
        duration_ns: 9,
        reason: crate::event::EndReason::Signal,
        undelivered: 0,
        accounts: Vec::new(),
        followed: Some(followed),
    };
    let mut line = Vec::new();
    Sink::Json(CLOCK).end(&end, &mut line);
    let Line::End(end) = check_line(&line) else { panic!("no end") };
    assert_eq!((end.forks, end.lives, end.alive, end.evicted), (Some(1), Some(3), Some(4), Some(5)));
}

/// The life of a process with so many execs.
fn after(execs: u64, limits: Limits) -> Life {
    let mut records = example()[..3].to_vec();
    for number in 0..execs {
        let mut exec = simulate::SimulatedExec::example();
        exec.exec.header.boot_ns += number;
        exec.argv = vec![number.to_string().into_bytes()];
        records.extend(exec.records());
    }
    records.push(simulate::exit_record(simulate::example_exit()));
    let lines = render(&records, limits, &mut Sink::Json(CLOCK));
    match check_line(lines.split_inclusive(|byte| *byte == b'\n').next_back().unwrap()) {
        Line::Life(life) => *life,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_story_has_the_first_and_the_last_execs() {
    let life = after(64, Limits::default());
    assert_eq!((life.execs.len(), life.execs_left_out), (64, 0));
    assert!(!life.cut.unwrap().contains_key("execs"));
    let life = after(1000, Limits::default());
    let number = |index: usize| life.execs[index].argv.as_ref().unwrap()[0].clone().unwrap();
    assert_eq!([0, 31, 32, 63].map(number), ["0", "31", "968", "999"]);
    assert_eq!(life.execs[31].duration_ns, Some(1));
    assert_eq!(life.execs_left_out, 936);
    expect_test::expect!["936 left out at index 32: 936 since no more than 64 are kept of a process"]
        .assert_eq(&life.cut.unwrap()["execs"]);
    // Room for about four.
    let life = after(100, Limits { story_bytes: 2000, ..Limits::default() });
    assert_eq!(life.execs.len() as u64 + life.execs_left_out, 100);
    assert_eq!(life.execs.last().unwrap().argv.as_ref().unwrap()[0].as_deref(), Some("99"));
    expect_test::expect!["94 left out at index 5: 94 since all execs together have only so much memory"]
        .assert_eq(&life.cut.unwrap()["execs"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever records say, and in whatever order they come: every line is valid.
    #[test]
    fn any_records_are_valid_lines(data in vec(vec(any::<u8>(), 0..400), 0..20), order in any::<u64>()) {
        let mut records = example();
        for bytes in &data {
            records.extend(simulate::records_from(bytes));
        }
        let mut seed = order | 1;
        for at in (1..records.len()).rev() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            records.swap(at, (seed >> 33) as usize % (at + 1));
        }
        let limits = Limits { processes: 16, story_bytes: 1 << 12 };
        let lines = render(&records, limits, &mut Sink::Json(CLOCK));
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            check_line(line);
        }
    }

    #[test]
    fn any_field_may_be_missing(missing in any::<[u64; 4]>(), flags in any::<u32>(), status in any::<u32>()) {
        let mut fork = simulate::example_fork();
        let mut exit = simulate::example_exit();
        let (mut alive, exe) = simulate::example_alive();
        let mut exec = simulate::SimulatedExec::example();
        [fork.missing, exit.missing, alive.missing, exec.exec.missing] = missing;
        (fork.flags, exit.flags, alive.flags) = (flags & !1, flags & !1, flags);
        (exit.status, alive.cut) = (status, flags >> 8);
        let mut records = vec![simulate::alive_record(alive, &exe), simulate::fork_record(fork)];
        records.extend(exec.records());
        records.push(simulate::exit_record(exit));
        let lines = render(&records, Limits::default(), &mut Sink::Json(CLOCK));
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            check_line(line);
        }
    }
}
