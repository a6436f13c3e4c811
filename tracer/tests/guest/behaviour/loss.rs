//! Losses: counted exactly, told where they happened, told without an event that follows.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::Value;

use super::{live, stall, storm, tiny, waiting};
use crate::harness::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::one("loss::fentry_exact_and_in_its_place", 300, || stalled("fentry")),
        Test::one("loss::kprobe_exact_and_in_its_place", 300, || stalled("kprobe")),
        Test::one("loss::tracepoint_exact_and_in_its_place", 300, || stalled("tracepoint")),
        Test::one("loss::of_returns", 300, missed_returns),
    ]
}

/// More than the pipe, the queue and a ring of 64 KiB hold together.
const MADE: usize = 4_000;

/// The reader stalls, the ring overflows, the reader reads on: everything is accounted for.
fn stalled(hook: &str) {
    let program = tiny::program("stalled");
    let reader = stall::start(&["--hook", hook, "--buffer", "64K", "--comm", "stalled"]);
    tiny::storm(&program, "first", MADE, 2, 0);
    let collected = reader.read_on();
    // Everything is told although nothing is executed any more.
    let account = || {
        let records = collected.records();
        let execs = records.iter().filter(|record| record["type"] == "exec").count();
        let lost = records.iter().filter(|record| record["type"] == "lost");
        let lost: u64 = lost.map(|record| record["count"].as_u64().expect("a count")).sum();
        (execs as u64 + lost == MADE as u64).then_some(lost)
    };
    let told = live::until("all losses to be told", account);
    assert!(told > 0, "the ring overflowed");
    // Room again: these come through, and show the gaps before them.
    tiny::storm(&program, "second", 50, 1, 0);
    let ended = collected.stop();
    let execs = ended.execs();
    let lost = ended.lost();
    assert_eq!(lost, told, "what came later came through: {}", ended.said);
    assert_eq!(execs.len() as u64 + lost, MADE as u64 + 50, "{}", ended.said);
    in_place(hook, &ended.records());
}

/// Walks the stream: per CPU, losses fill exactly the gap that they stand in.
fn in_place(hook: &str, records: &[Value]) {
    #[derive(Default)]
    struct Cpu {
        seq: u64,
        boot_ns: u64,
        told: u64,
        from_ns: u64,
    }
    let mut cpus = BTreeMap::<u64, Cpu>::new();
    for record in records {
        let number = |name: &str| record[name].as_u64().unwrap_or_else(|| panic!("{name} of {record}"));
        match record["type"].as_str() {
            // Belongs to no CPU's numbers: the program did not run.
            Some("lost") if record["reason"] == "skipped" && storm::skips_programs(hook) => {
                assert!(record["cpu"].is_null(), "{record}");
            }
            Some("lost") => {
                assert_eq!(record["reason"], "ring_full", "{record}");
                let cpu = cpus.entry(number("cpu")).or_default();
                assert!(number("from_ns") <= number("to_ns"), "{record}");
                assert!(number("from_ns") >= cpu.boot_ns.max(cpu.from_ns), "{record}");
                cpu.from_ns = number("to_ns");
                cpu.told += number("count");
            }
            Some("exec") => {
                let cpu = cpus.entry(number("cpu")).or_default();
                let skipped = number("seq") - cpu.seq - 1;
                assert_eq!(skipped, cpu.told, "losses told before {record}");
                assert!(number("boot_ns") >= cpu.from_ns, "after the loss: {record}");
                cpu.told = 0;
                cpu.seq = number("seq");
                cpu.boot_ns = number("boot_ns");
            }
            _ => {}
        }
    }
}

/// A kernel keeps a limited number of pending returns for a kretprobe (kernel/trace/trace_kprobe.c,
/// `create_local_trace_kprobe`: the larger of 10 and twice the CPUs) and drops the others silently.
/// Execs that wait in the kernel all at once are more than that. Successful ones are seen elsewhere.
fn missed_returns() {
    const WAITING: usize = 40;
    let garbage = tiny::program("garbage");
    fs::write(&garbage, b"\x01\x02\x03 no program").expect("a file under /tmp");
    for hook in ["kprobe", "fentry"] {
        let live = live::start(&["--hook", hook]);
        waiting::exec_all(&garbage, "fails", WAITING, libc::ENOEXEC);
        waiting::exec_all(&tiny::program("waits"), "succeeds", WAITING, 0);
        let ended = live.stop();
        let tags = live::tags(&ended.execs());
        let count = |tag: &str| tags.iter().filter(|seen| *seen == tag).count();
        let (succeeds, fails, lost) = (count("succeeds"), count("fails"), ended.lost() as usize);
        // An argument that is not resident at the return of a failed exec is null.
        let unread = ended.execs().iter().filter(|exec| exec["argv"][1].is_null()).count();
        assert_eq!(succeeds + fails + unread + lost, 2 * WAITING, "{hook}: {}", ended.said);
        let reasons: BTreeSet<_> = ended
            .records()
            .iter()
            .filter(|record| record["type"] == "lost")
            .map(|record| record["reason"].as_str().unwrap().to_owned())
            .collect();
        if hook == "kprobe" {
            assert_eq!(succeeds, WAITING, "{hook}: {}", ended.said);
            assert_eq!(reasons, ["missed_return".to_owned()].into(), "{hook}: {}", ended.said);
        } else if storm::skips_programs(hook) {
            assert!(reasons.iter().all(|reason| reason == "skipped"), "{hook}: {reasons:?}");
        } else {
            assert_eq!(lost, 0, "{hook}: {}", ended.said);
        }
    }
}
