//! A tree, and births, ends and lives in a table, of scripts of what happened.

use expect_test::{Expect, expect};
use proptest::prelude::*;
use tracer_common::{Alive, AliveEnd, Exit, Fork, Header, Hook};

use super::{super::Tree, table};
use crate::{
    event::{
        Assembler, Event, Lost, LostReason,
        simulate::{self, SimulatedExec},
    },
    process::{Limits, ProcessTable},
    sink::{Around, Colour, Sink},
};

/// What is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Show {
    /// Execs and ends.
    Execs,
    Forks,
    Lives,
}

fn comm(name: &str) -> [u8; 16] {
    let mut comm = [0; 16];
    let name = &name.as_bytes()[..name.len().min(15)];
    comm[..name.len()].copy_from_slice(name);
    comm
}

/// Renders a script: a line each with the time in milliseconds, then `alive PID PPID NAME`, `fork PID PPID NAME`,
/// `exec PID ARGUMENTS`, `fails PID ARGUMENTS`, `exit PID STATUS` or `lost COUNT`.
fn render(script: &str, show: Show, sink: &mut Sink) -> String {
    let mut processes = ProcessTable::new(Limits::default());
    let mut assembler = Assembler::default();
    let mut starts = std::collections::BTreeMap::from([(0, 0)]);
    let mut parents = std::collections::BTreeMap::new();
    let mut out = Vec::new();
    let mut snapshot = true;
    if let Sink::Tree(tree) = sink {
        tree.header(&mut out);
    }
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split(' ').collect();
        let boot_ns = 81_000_000_000 + words[0].parse::<u64>().unwrap() * 1_000_000;
        let pid: u32 = words[2].parse().unwrap();
        let tid = pid;
        let header = Header { hook: Hook::Fentry as u16, tid, boot_ns, seq: 1, ..Header::default() };
        let number = |at: usize| words[at].parse::<u32>().unwrap();
        if words[1] != "alive" && snapshot {
            snapshot = false;
            let end = simulate::alive_end_record(AliveEnd::default());
            processes.event(&assembler.push(&end).unwrap().unwrap());
        }
        let records = match words[1] {
            "alive" | "fork" => {
                let ppid = number(3);
                let parent_start_ns = starts.get(&ppid).copied().unwrap_or(1);
                let start_ns = if words[1] == "fork" { boot_ns } else { u64::from(pid) };
                starts.insert(pid, start_ns);
                parents.insert(pid, ppid);
                let comm = comm(words[4]);
                let uid = 1000;
                let maker = ppid;
                let header = Header { tid: ppid, ..header };
                let alive =
                    Alive { header, start_ns, parent_start_ns, pid, ppid, comm, uid, ..Alive::default() };
                let fork = Fork {
                    header,
                    start_ns,
                    parent_start_ns,
                    pid,
                    ppid,
                    maker,
                    comm,
                    uid,
                    ..Fork::default()
                };
                match words[1] {
                    "alive" => vec![simulate::alive_record(alive, &[words[4].as_bytes().to_vec()])],
                    _ => vec![simulate::fork_record(fork)],
                }
            }
            "exec" | "fails" => {
                let mut exec = SimulatedExec::example();
                exec.argv = words[3..].iter().map(|word| word.replace('_', " ").into_bytes()).collect();
                exec.filename = format!("/usr/bin/{}", words[3]).into_bytes();
                exec.exec.header = header;
                (exec.exec.pid, exec.exec.start_ns) = (pid, starts[&pid]);
                exec.exec.ppid = parents[&pid];
                exec.exec.parent_start_ns = starts.get(&parents[&pid]).copied().unwrap_or(1);
                exec.exec.comm = comm(words[3]);
                exec.exec.retval = if words[1] == "fails" { -2 } else { 0 };
                exec.records()
            }
            "exit" => {
                let example = simulate::example_exit();
                let (start_ns, ppid, status) = (starts[&pid], parents[&pid], number(3));
                vec![simulate::exit_record(Exit {
                    header,
                    start_ns,
                    pid,
                    ppid,
                    status,
                    comm: comm(words[4]),
                    ..example
                })]
            }
            "lost" => {
                let lost = Lost {
                    class: tracer_common::Class::Fork,
                    cpu: Some(1),
                    count: pid.into(),
                    from_ns: boot_ns - 1_000_000,
                    to_ns: boot_ns,
                    reason: LostReason::RingFull,
                };
                sink.lost(&lost, &mut out);
                Vec::new()
            }
            other => panic!("{other}"),
        };
        for record in &records {
            let Some(event) = assembler.push(record).unwrap() else { continue };
            let known = processes.event(&event);
            let around = Around { branch: Some(known.branch()), ..Around::default() };
            match &event {
                Event::Exec(exec) if show != Show::Lives => sink.exec(exec, around, &mut out),
                Event::Fork(fork) if show == Show::Forks => sink.fork(fork, around, &mut out),
                Event::Exit(exit) if show != Show::Lives => sink.exit(exit, around, &mut out),
                Event::Exit(exit) => sink.life(&known.life(exit).unwrap(), around, &mut out),
                _ => {}
            }
        }
    }
    if show == Show::Lives {
        for (known, life) in processes.unfinished(82_000_000_000) {
            let around = Around { branch: Some(known.branch()), ..Around::default() };
            sink.life(&life, around, &mut out);
        }
    }
    String::from_utf8(out).unwrap()
}

fn tree(columns: Option<usize>) -> Sink {
    Sink::Tree(Box::new(Tree::new(table(columns, Colour::None))))
}

#[track_caller]
fn check(script: &str, show: Show, sink: &mut Sink, expected: &Expect) {
    expected.assert_eq(&render(script, show, sink));
}

const ONE_BY_ONE: &str = "
    0 alive 1 0 init
    0 alive 4000 1 bash
    100 fork 4250 4000 bash
    101 exec 4250 make
    110 fork 4251 4250 make
    111 exec 4251 sh -c cc_-c_a.c_&&_touch_done
    112 fork 4252 4251 sh
    113 fails 4252 cc -c a.c
    114 exec 4252 cc -c a.c
    115 fork 4253 4252 cc
    116 exec 4253 cc1 a.c
    150 exit 4253 0 cc1
    151 fork 4254 4252 cc
    152 exec 4254 as -o a.o
    160 exit 4254 0 as
    161 exit 4252 0 cc
    170 fork 4255 4251 sh
    171 exec 4255 touch done
    172 exit 4255 256 touch
    173 exit 4251 256 sh
    180 exit 4250 512 make
    500 fork 4256 4000 bash
    501 exec 4256 ls
    502 exit 4256 0 ls
";

const INTERLEAVED: &str = "
    0 alive 1 0 init
    0 alive 4000 1 bash
    100 fork 4250 4000 bash
    101 exec 4250 make -j3
    110 fork 4251 4250 make
    111 fork 4252 4250 make
    112 exec 4251 sh -c cc_-c_a.c
    113 exec 4252 sh -c cc_-c_b.c
    114 fork 4253 4250 make
    115 exec 4253 sh -c cc_-c_c.c
    116 fork 4254 4251 sh
    117 fork 4255 4252 sh
    118 exec 4255 cc -c b.c
    119 exec 4254 cc -c a.c
    120 exec 4253 cc -c c.c
    121 fork 4256 4254 cc
    122 fork 4257 4255 cc
    123 exec 4256 cc1 a.c
    124 exec 4257 cc1 b.c
    125 fork 4258 4253 cc
    126 exec 4258 cc1 c.c
    127 lost 3
    150 exit 4257 0 cc1
    151 fork 4259 4255 cc
    152 exec 4259 as -o b.o
    153 exit 4256 11 cc1
    154 exit 4254 256 cc
    155 exit 4251 256 sh
    156 exit 4259 0 as
    157 exit 4255 0 cc
    158 exit 4252 0 sh
    160 exit 4258 139 cc1
    161 exit 4253 256 cc
    170 exit 4250 512 make
";

#[test]
fn a_tree_of_one_thing_after_the_other() {
    check(
        ONE_BY_ONE,
        Show::Execs,
        &mut tree(Some(80)),
        &expect![[r#"
        TIME             PID TREE
        23:14:41.101    4250 [4000 bash] make
        23:14:41.111    4251 ├─ sh -c 'cc -c a.c && touch done'
        23:14:41.113    4252 │  ├─ ENOENT [/usr/bin/cc] cc -c a.c
        23:14:41.114    4252 │  ├→ cc -c a.c
        23:14:41.116    4253 │  │  ├─ cc1 a.c
        23:14:41.150    4253 │  │  │  └─ exit 0, 35.0 ms
        23:14:41.152    4254 │  │  ├─ as -o a.o
        23:14:41.160    4254 │  │  │  └─ exit 0, 9.00 ms
        23:14:41.161    4252 │  │  └─ exit 0, 49.0 ms
        23:14:41.171    4255 │  ├─ touch done
        23:14:41.172    4255 │  │  └─ exit 1, 2.00 ms
        23:14:41.173    4251 │  └─ exit 1, 63.0 ms
        23:14:41.180    4250 └─ exit 2, 80.0 ms
        23:14:41.501    4256 ls
        23:14:41.502    4256 └─ exit 0, 2.00 ms
    "#]],
    );
}

#[test]
fn a_tree_of_many_things_at_once() {
    check(
        INTERLEAVED,
        Show::Execs,
        &mut tree(Some(80)),
        &expect![[r#"
        TIME             PID TREE
        23:14:41.101    4250 [4000 bash] make -j3
        23:14:41.112    4251 ├─ sh -c 'cc -c a.c'
        23:14:41.113    4252 ├─ sh -c 'cc -c b.c'
        23:14:41.115    4253 ├─ sh -c 'cc -c c.c'
        23:14:41.118    4255 │  ├─ [4252 sh] cc -c b.c
        23:14:41.119    4254 │  ├─ [4251 sh] cc -c a.c
        23:14:41.120    4253 ├→ cc -c c.c
        23:14:41.123    4256 │  │  ├─ [4254 cc] cc1 a.c
        23:14:41.124    4257 │  │  ├─ [4255 cc] cc1 b.c
        23:14:41.126    4258 │  ├─ cc1 c.c
        23:14:41.127 !!! 3 forks LOST (CPU 1, since 23:14:41.126): ring buffer full
        23:14:41.150    4257 │  │  │  └─ [cc1] exit 0, 28.0 ms
        23:14:41.152    4259 │  │  ├─ [4255 cc] as -o b.o
        23:14:41.153    4256 │  │  │  └─ [cc1] SIGSEGV, 32.0 ms
        23:14:41.154    4254 │  │  └─ [cc] exit 1, 38.0 ms
        23:14:41.155    4251 │  └─ [sh] exit 1, 45.0 ms
        23:14:41.156    4259 │  │  │  └─ [as] exit 0, 5.00 ms
        23:14:41.157    4255 │  │  └─ [cc] exit 0, 40.0 ms
        23:14:41.158    4252 │  └─ [sh] exit 0, 47.0 ms
        23:14:41.160    4258 │  │  └─ [cc1] SIGSEGV*, 35.0 ms
        23:14:41.161    4253 │  └─ exit 1, 47.0 ms
        23:14:41.170    4250 └─ exit 2, 70.0 ms
    "#]],
    );
}

#[test]
fn a_tree_with_forks() {
    check(
        INTERLEAVED,
        Show::Forks,
        &mut tree(None),
        &expect![[r#"
        TIME             PID TREE
        23:14:41.100    4250 [4000 bash] fork of bash
        23:14:41.101    4250 → make -j3
        23:14:41.110    4251 ├─ fork of make
        23:14:41.111    4252 ├─ fork of make
        23:14:41.112    4251 ├─ sh -c 'cc -c a.c'
        23:14:41.113    4252 ├─ sh -c 'cc -c b.c'
        23:14:41.114    4253 ├─ fork of make
        23:14:41.115    4253 ├→ sh -c 'cc -c c.c'
        23:14:41.116    4254 │  ├─ [4251 sh] fork of sh
        23:14:41.117    4255 │  ├─ [4252 sh] fork of sh
        23:14:41.118    4255 │  ├→ cc -c b.c
        23:14:41.119    4254 │  ├─ [4251 sh] cc -c a.c
        23:14:41.120    4253 ├→ cc -c c.c
        23:14:41.121    4256 │  │  ├─ [4254 cc] fork of cc
        23:14:41.122    4257 │  │  ├─ [4255 cc] fork of cc
        23:14:41.123    4256 │  │  ├─ [4254 cc] cc1 a.c
        23:14:41.124    4257 │  │  ├─ [4255 cc] cc1 b.c
        23:14:41.125    4258 │  ├─ fork of cc
        23:14:41.126    4258 │  ├→ cc1 c.c
        23:14:41.127 !!! 3 forks LOST (CPU 1, since 23:14:41.126): ring buffer full
        23:14:41.150    4257 │  │  │  └─ [cc1] exit 0, 28.0 ms
        23:14:41.151    4259 │  │  ├─ [4255 cc] fork of cc
        23:14:41.152    4259 │  │  ├→ as -o b.o
        23:14:41.153    4256 │  │  │  └─ [cc1] SIGSEGV, 32.0 ms
        23:14:41.154    4254 │  │  └─ [cc] exit 1, 38.0 ms
        23:14:41.155    4251 │  └─ [sh] exit 1, 45.0 ms
        23:14:41.156    4259 │  │  │  └─ [as] exit 0, 5.00 ms
        23:14:41.157    4255 │  │  └─ [cc] exit 0, 40.0 ms
        23:14:41.158    4252 │  └─ [sh] exit 0, 47.0 ms
        23:14:41.160    4258 │  │  └─ [cc1] SIGSEGV*, 35.0 ms
        23:14:41.161    4253 │  └─ exit 1, 47.0 ms
        23:14:41.170    4250 └─ exit 2, 70.0 ms
    "#]],
    );
}

#[test]
fn a_tree_of_lives() {
    check(
        ONE_BY_ONE,
        Show::Lives,
        &mut tree(Some(100)),
        &expect![[r#"
        TIME             PID TREE
        23:14:41.150    4253 │  │  │  └─ [cc1] exit 0, 35.0 ms: cc1 a.c
        23:14:41.160    4254 │  │  │  └─ [as] exit 0, 9.00 ms: as -o a.o
        23:14:41.161    4252 │  │  └─ [cc] exit 0, 49.0 ms: cc -c a.c
        23:14:41.172    4255 │  │  └─ [touch] exit 1, 2.00 ms: touch done
        23:14:41.173    4251 │  └─ [sh] exit 1, 63.0 ms: sh -c 'cc -c a.c && touch done'
        23:14:41.180    4250 └─ [make] exit 2, 80.0 ms: make
        23:14:41.502    4256 └─ [ls] exit 0, 2.00 ms: ls
    "#]],
    );
}

#[test]
fn a_deep_tree_says_how_deep() {
    let mut script = String::from("0 alive 1 0 init\n");
    for depth in 0..14 {
        let (pid, ppid) = (4000 + depth, if depth == 0 { 1 } else { 3999 + depth });
        script += &format!("{depth} fork {pid} {ppid} sh\n{depth} exec {pid} sh -c level_{depth}\n");
    }
    for depth in (10..14).rev() {
        script += &format!("20 exit {} 0 sh\n", 4000 + depth);
    }
    check(
        &script,
        Show::Execs,
        &mut tree(Some(80)),
        &expect![[r#"
        TIME             PID TREE
        23:14:41.000    4000 [1 sh] sh -c 'level 0'
        23:14:41.001    4001 ├─ sh -c 'level 1'
        23:14:41.002    4002 │  ├─ sh -c 'level 2'
        23:14:41.003    4003 │  │  ├─ sh -c 'level 3'
        23:14:41.004    4004 │  │  │  ├─ sh -c 'level 4'
        23:14:41.005    4005 │  │  │  │  ├─ sh -c 'level 5'
        23:14:41.006    4006 │  │  │  │  │  ├─ sh -c 'level 6'
        23:14:41.007    4007 │  │  │  │  │  │  ├─ sh -c 'level 7'
        23:14:41.008    4008 │  │  │  │  │  │  │  ├─ sh -c 'level 8'
        23:14:41.009    4009 │  │  │  │  │  │  │  │  ├─ sh -c 'level 9'
        23:14:41.010    4010 …10   │  │  │  │  │  │  ├─ sh -c 'level 10'
        23:14:41.011    4011 …11   │  │  │  │  │  │  ├─ sh -c 'level 11'
        23:14:41.012    4012 …12   │  │  │  │  │  │  ├─ sh -c 'level 12'
        23:14:41.013    4013 …13   │  │  │  │  │  │  ├─ sh -c 'level 13'
        23:14:41.020    4013 …13   │  │  │  │  │  │  └─ exit 0, 7.00 ms
        23:14:41.020    4012 …12   │  │  │  │  │  │  └─ exit 0, 8.00 ms
        23:14:41.020    4011 …11   │  │  │  │  │  │  └─ exit 0, 9.00 ms
        23:14:41.020    4010 …10   │  │  │  │  │  │  └─ exit 0, 10.0 ms
    "#]],
    );
}

#[test]
fn a_table_of_births_and_ends() {
    let mut table = Sink::Table(Box::new(table(Some(80), Colour::None)));
    check(
        INTERLEAVED,
        Show::Forks,
        &mut table,
        &expect![[r#"
        23:14:41.100    4250    4000 1000       fork    bash
        23:14:41.101    4250    4000 1000       ok      make -j3
        23:14:41.110    4251    4250 1000       fork    make
        23:14:41.111    4252    4250 1000       fork    make
        23:14:41.112    4251    4250 1000       ok      sh -c 'cc -c a.c'
        23:14:41.113    4252    4250 1000       ok      sh -c 'cc -c b.c'
        23:14:41.114    4253    4250 1000       fork    make
        23:14:41.115    4253    4250 1000       ok      sh -c 'cc -c c.c'
        23:14:41.116    4254    4251 1000       fork    sh
        23:14:41.117    4255    4252 1000       fork    sh
        23:14:41.118    4255    4252 1000       ok      cc -c b.c
        23:14:41.119    4254    4251 1000       ok      cc -c a.c
        23:14:41.120    4253    4250 1000       ok      cc -c c.c
        23:14:41.121    4256    4254 1000       fork    cc
        23:14:41.122    4257    4255 1000       fork    cc
        23:14:41.123    4256    4254 1000       ok      cc1 a.c
        23:14:41.124    4257    4255 1000       ok      cc1 b.c
        23:14:41.125    4258    4253 1000       fork    cc
        23:14:41.126    4258    4253 1000       ok      cc1 c.c
        23:14:41.127 !!! 3 forks LOST (CPU 1, since 23:14:41.126): ring buffer full
        23:14:41.150    4257    4255 1000       exit 0  cc1, 28.0 ms
        23:14:41.151    4259    4255 1000       fork    cc
        23:14:41.152    4259    4255 1000       ok      as -o b.o
        23:14:41.153    4256    4254 1000       SIGSEGV cc1, 32.0 ms
        23:14:41.154    4254    4251 1000       exit 1  cc, 38.0 ms
        23:14:41.155    4251    4250 1000       exit 1  sh, 45.0 ms
        23:14:41.156    4259    4255 1000       exit 0  as, 5.00 ms
        23:14:41.157    4255    4252 1000       exit 0  cc, 40.0 ms
        23:14:41.158    4252    4250 1000       exit 0  sh, 47.0 ms
        23:14:41.160    4258    4253 1000       SIGSEGV* cc1, 35.0 ms
        23:14:41.161    4253    4250 1000       exit 1  cc, 47.0 ms
        23:14:41.170    4250    4000 1000       exit 2  make, 70.0 ms
    "#]],
    );
}

#[test]
fn a_table_of_lives() {
    let mut narrow = Sink::Table(Box::new(table(Some(80), Colour::None)));
    check(
        ONE_BY_ONE,
        Show::Lives,
        &mut narrow,
        &expect![[r#"
        23:14:41.150    4253    4252 1000       exit 0  35.0 ms: cc1 a.c
        23:14:41.160    4254    4252 1000       exit 0  9.00 ms: as -o a.o
        23:14:41.161    4252    4251 1000       exit 0  49.0 ms: cc -c a.c
        23:14:41.172    4255    4251 1000       exit 1  2.00 ms: touch done
        23:14:41.173    4251    4250 1000       exit 1  63.0 ms: sh -c 'cc -c… +18 bytes
        23:14:41.180    4250    4000 1000       exit 2  80.0 ms: make
        23:14:41.502    4256    4000 1000       exit 0  2.00 ms: ls
    "#]],
    );
    let mut wide = Sink::Table(Box::new(table(None, Colour::Ansi)));
    let text = render(INTERLEAVED, Show::Lives, &mut wide).replace('\u{1b}', "ESC");
    expect![[r#"
        ESC[1;33m23:14:41.127 !!! 3 forks LOST (CPU 1, since 23:14:41.126): ring buffer fullESC[0m
        23:14:41.150    4257    4255 1000       exit 0  28.0 ms, cpu 15.0 ms, 2.00 MiB: cc1 b.c
        ESC[31m23:14:41.153    4256    4254 1000       SIGSEGV 32.0 ms, cpu 15.0 ms, 2.00 MiB: cc1 a.cESC[0m
        23:14:41.154    4254    4251 1000       exit 1  38.0 ms, cpu 15.0 ms, 2.00 MiB: cc -c a.c
        23:14:41.155    4251    4250 1000       exit 1  45.0 ms, cpu 15.0 ms, 2.00 MiB: sh -c 'cc -c a.c'
        23:14:41.156    4259    4255 1000       exit 0  5.00 ms, cpu 15.0 ms, 2.00 MiB: as -o b.o
        23:14:41.157    4255    4252 1000       exit 0  40.0 ms, cpu 15.0 ms, 2.00 MiB: cc -c b.c
        23:14:41.158    4252    4250 1000       exit 0  47.0 ms, cpu 15.0 ms, 2.00 MiB: sh -c 'cc -c b.c'
        ESC[31m23:14:41.160    4258    4253 1000       SIGSEGV* 35.0 ms, cpu 15.0 ms, 2.00 MiB: cc1 c.cESC[0m
        23:14:41.161    4253    4250 1000       exit 1  47.0 ms, cpu 15.0 ms, 2.00 MiB, 2 execs: cc -c c.c
        23:14:41.170    4250    4000 1000       exit 2  70.0 ms, cpu 15.0 ms, 2.00 MiB: make -j3
    "#]]
    .assert_eq(&text);
}

/// Of each line the pid, and the level that it is on.
fn levels(text: &str) -> Vec<(u32, usize, String)> {
    let line = |line: &str| {
        let pid = line[12..20].trim().parse().ok()?;
        let rest = &line[21..];
        let level = rest.chars().position(|c| !"│├└─→ ".contains(c))? / 3;
        Some((pid, level, rest.trim_start_matches(['│', '├', '└', '─', '→', ' ']).to_owned()))
    };
    text.lines().skip(1).filter_map(line).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A reader who goes up to the next line of the level before finds the parent, or is told who it is; and lines fit.
    #[test]
    fn a_tree_does_not_mislead(choices in proptest::collection::vec((0..12_u32, 0..8_u32), 1..60), columns in 60..120_usize) {
        let mut script = String::from("0 alive 1 0 init\n0 alive 10 1 bash\n");
        let mut living = vec![(10_u32, 0_usize)];
        let mut parents = std::collections::BTreeMap::new();
        let mut next = 100;
        for (time, (who, what)) in choices.iter().enumerate() {
            let (pid, depth) = living[*who as usize % living.len()];
            if *what > 4 && pid != 10 {
                living.retain(|(other, _)| *other != pid);
                script += &format!("{time} exit {pid} 0 c{pid}\n");
            } else if *what > 3 && pid != 10 {
                script += &format!("{time} exec {pid} again{pid}\n");
            } else if depth < 6 {
                script += &format!("{time} fork {next} {pid} c{pid}\n{time} exec {next} c{next}\n");
                living.push((next, depth + 1));
                parents.insert(next, pid);
                next += 1;
            }
        }
        let text = render(&script, Show::Execs, &mut tree(Some(columns)));
        let lines = levels(&text);
        for (at, (pid, level, words)) in lines.iter().enumerate() {
            let above = lines[..at].iter().rfind(|(_, other, _)| *other < *level);
            // Of an end that is cut to its width the name is left.
            let end = words.contains("exit 0") || words.starts_with('[') && words.ends_with("] …");
            let owner = if end { *pid } else { parents[pid] };
            let named = words.starts_with(&format!("[{owner} ")) || end && words.starts_with('[');
            let visible = above.is_some_and(|(other, on, _)| *other == owner && on + 1 == *level);
            // It goes on where it was.
            let beside = lines[..at].iter().rfind(|(_, other, _)| *other <= *level);
            let goes_on = beside.is_some_and(|(other, on, _)| other == pid && on == level);
            prop_assert!(named || visible || goes_on || *level == 0, "{pid}: {words}\n{text}");
        }
        for line in text.lines() {
            prop_assert!(line.chars().count() <= columns && !line.chars().any(char::is_control));
        }
    }
}
