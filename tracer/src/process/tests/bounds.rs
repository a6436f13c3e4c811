//! Memory is bounded, whatever happens.

use tracer_common::{AliveEnd, Exit, Fork, Header, Hook};

use super::super::{LeftOut, Limits, ProcessTable, table::LINGER};
use crate::event::{
    Assembler, Missing,
    simulate::{self, SimulatedExec},
};

/// A table, and a way to tell it of things.
struct Teller {
    table: ProcessTable,
    assembler: Assembler,
    now: u64,
}

impl Teller {
    fn new(limits: Limits) -> Self {
        let mut teller =
            Self { table: ProcessTable::new(limits), assembler: Assembler::default(), now: 1_000 };
        let (mut init, exe) = simulate::example_alive();
        (init.pid, init.start_ns, init.ppid, init.parent_start_ns) = (INIT.0, INIT.1, 0, 0);
        teller.tell(&simulate::alive_record(init, &exe));
        teller.tell(&simulate::alive_end_record(AliveEnd::default()));
        teller
    }

    fn tell(&mut self, record: &[u8]) {
        let event = self.assembler.push(record).unwrap().unwrap();
        self.table.event(&event);
    }

    fn header(&mut self, tid: u32) -> Header {
        self.now += 1;
        Header { hook: Hook::Fentry as u16, tid, boot_ns: self.now, seq: 1, ..Header::default() }
    }

    /// (pid, start) of parent and child; the child starts now.
    fn fork(&mut self, parent: (u32, u64), pid: u32) -> (u32, u64) {
        let header = self.header(parent.0);
        let start_ns = self.now;
        self.tell(&simulate::fork_record(Fork {
            header,
            start_ns,
            parent_start_ns: parent.1,
            pid,
            ppid: parent.0,
            maker: parent.0,
            ..Fork::default()
        }));
        (pid, start_ns)
    }

    fn exec(&mut self, (pid, start_ns): (u32, u64), argv: &[Vec<u8>]) {
        let mut exec = SimulatedExec::example();
        exec.argv = argv.to_vec();
        exec.exec.header = self.header(pid);
        (exec.exec.pid, exec.exec.start_ns) = (pid, start_ns);
        for record in exec.records() {
            if let Some(event) = self.assembler.push(&record).unwrap() {
                self.table.event(&event);
            }
        }
    }

    fn exit(&mut self, (pid, start_ns): (u32, u64)) {
        let header = self.header(pid);
        let exit = Exit { header, start_ns, parent_start_ns: 5, pid, ppid: 1, ..Exit::default() };
        self.tell(&simulate::exit_record(exit));
    }
}

const INIT: (u32, u64) = (1, 5);

#[test]
fn short_processes_leave_nothing_behind() {
    let mut teller = Teller::new(Limits::default());
    let shell = teller.fork(INIT, 100);
    for number in 0..100_000 {
        let child = teller.fork(shell, 200 + number % 1000);
        teller.exec(child, &[b"true".to_vec()]);
        teller.exit(child);
        assert!(teller.table.len() <= LINGER + 4);
    }
    assert_eq!((teller.table.alive(), teller.table.evicted().total()), (2, 0));
    assert!(teller.table.story_bytes() < 4096);
}

/// Each process makes the next one and ends: all of them are ancestors of the last.
#[test]
fn a_chain_without_end_is_forgotten_from_its_beginning() {
    let limits = Limits { processes: 1000, ..Limits::default() };
    let mut teller = Teller::new(limits);
    let mut last = teller.fork(INIT, 100);
    for number in 0..100_000 {
        let next = teller.fork(last, 101 + number % 30_000);
        teller.exit(last);
        last = next;
        assert!(teller.table.len() <= 1000);
    }
    assert!(teller.table.evicted().ancestors > 98_000 && teller.table.evicted().living == 0);
    let mut exec = SimulatedExec::example();
    (exec.exec.pid, exec.exec.start_ns) = last;
    let records = exec.records();
    let event = teller.assembler.push(&records[0]).unwrap().unwrap();
    let known = teller.table.event(&event);
    let chain = known.ancestors(usize::MAX);
    assert!(chain.iter().count() > 900);
    let forgotten = "forgotten: there were more processes than are remembered";
    assert_eq!(chain.missing(), Some(Missing::Unavailable(forgotten)));
    // Nobody misses what nobody asked for.
    assert_eq!((known.ancestors(5).iter().count(), known.ancestors(5).missing()), (5, None));
    // When the last ends, they all go.
    teller.exit(last);
    for _ in 0..2 * LINGER {
        let child = teller.fork(INIT, 77);
        teller.exit(child);
    }
    assert!(teller.table.len() <= LINGER + 3);
}

#[test]
fn living_processes_are_the_last_to_go() {
    let mut teller = Teller::new(Limits { processes: 100, ..Limits::default() });
    for pid in 0..1000 {
        teller.fork(INIT, 100 + pid);
        assert!(teller.table.len() <= 100 && teller.table.alive() <= 100);
    }
    assert_eq!(teller.table.evicted().ancestors, 0);
    assert_eq!(teller.table.evicted().living + teller.table.alive() as u64, 1001);
}

#[test]
fn stories_share_their_memory() {
    let limits = Limits { story_bytes: 100_000, ..Limits::default() };
    let mut teller = Teller::new(limits);
    let argument = vec![vec![b'x'; 2000]];
    let old = teller.fork(INIT, 50);
    teller.exec(old, &argument);
    for round in 0..100 {
        let one = teller.fork(INIT, 100 + round);
        for _ in 0..100 {
            teller.exec(one, &argument);
            assert!(teller.table.story_bytes() <= 100_000);
        }
    }
    assert!(teller.table.evicted().attempts > 0);
    let lives: Vec<_> = teller.table.unfinished(1 << 40).collect();
    assert_eq!(lives.len(), 101);
    for (_, life) in &lives {
        let count = life.execs.iter().count() as u64;
        let all = if life.pid == 50 { 1 } else { 100 };
        assert_eq!(count + life.execs.left_out().total(), all);
    }
    // The oldest gave way, the newest has all that is kept of a process that room is for.
    assert_eq!(lives[0].1.execs.left_out(), LeftOut { count: 0, memory: 1 });
    assert!(lives[100].1.execs.iter().count() > 40);
}

#[test]
fn one_endless_argument_list_is_bounded_too() {
    let mut teller = Teller::new(Limits { story_bytes: 100_000, ..Limits::default() });
    let one = teller.fork(INIT, 50);
    let arguments: Vec<Vec<u8>> = (0..100_000).map(|_| b"x".to_vec()).collect();
    for _ in 0..3 {
        teller.exec(one, &arguments);
        assert_eq!(teller.table.story_bytes(), 0);
    }
    let (_, life) = teller.table.unfinished(1 << 40).next().unwrap();
    assert_eq!((life.execs.iter().count(), life.execs.left_out().total()), (0, 3));
}
