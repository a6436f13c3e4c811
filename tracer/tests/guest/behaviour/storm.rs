//! As many execs as two CPUs can make: each one is seen, or told as lost; nothing stays behind.

use std::{path::Path, thread, time::Duration};

use super::{
    kernel,
    live::{self, HOOKS},
    tiny,
};
use crate::harness::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::one("storm::auto", 600, || storm("auto", 10_000)),
        Test::one("storm::kprobe", 600, || storm("kprobe", 3_000)),
        Test::one("storm::tracepoint", 600, || storm("tracepoint", 3_000)),
        Test::one("storm::of_failures", 600, storm_of_failures),
        Test::one("storm::killed_in_its_middle_nothing_stays", 600, killed_in_mid_storm),
    ]
}

/// One more worker than CPUs, so that none of them ever waits.
const WORKERS: usize = 3;

fn storm(hook: &str, count: usize) {
    let program = tiny::program("tiny");
    let live = live::start(&["--hook", hook]);
    tiny::storm(&program, hook, count, WORKERS, 0);
    let ended = live.stop();
    let execs = ended.execs();
    let missing = tiny::missing(hook, count, &live::tags(&execs));
    assert_eq!(missing as u64, ended.lost(), "seen + lost = made: {}", ended.said);
    if skips_programs(hook) {
        only_skipped(&ended);
    } else {
        assert_eq!(ended.lost(), 0, "{}", ended.said);
    }
    numbered_without_gaps(&execs);
}

/// Where a kernel can be preempted in the middle of a program, it skips that program's runs on the
/// same CPU (kernel/bpf/trampoline.c, `__bpf_prog_enter_recur`; kernel/trace/bpf_trace.c, since
/// tracepoints no longer disable preemption), and counts them. Of the four, 7.2 can be preempted
/// without being asked to (CONFIG_PREEMPT_LAZY). Our programs disable preemption but for their first
/// and last instructions: seldom, one is caught there. Kprobes run with preemption disabled.
pub(crate) fn skips_programs(hook: &str) -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    hook != "kprobe" && release.starts_with("7.")
}

fn only_skipped(ended: &live::Ended) {
    for record in ended.records().iter().filter(|record| record["type"] == "lost") {
        assert_eq!(record["reason"], "skipped", "{record}");
    }
}

/// With nothing lost, each CPU's numbers are 1, 2, 3, …
fn numbered_without_gaps(execs: &[serde_json::Value]) {
    let mut numbers = std::collections::BTreeMap::<u64, Vec<u64>>::new();
    for exec in execs {
        let number = |name: &str| exec[name].as_u64().expect("a number");
        numbers.entry(number("cpu")).or_default().push(number("seq"));
    }
    for (cpu, mut seen) in numbers {
        seen.sort_unstable();
        let odd = seen.iter().zip(1..).find(|(seen, expected)| **seen != *expected);
        assert_eq!(odd, None, "cpu {cpu}: seen, expected");
    }
}

/// Execs that fail, of which half fail early and half when the arguments have been copied.
fn storm_of_failures() {
    let garbage = tiny::program("garbage");
    std::fs::write(&garbage, b"\x01\x02\x03 no program").expect("a file under /tmp");
    for hook in HOOKS {
        let live = live::start(&["--hook", hook, "--failed"]);
        tiny::storm(Path::new("/nonexistent/file"), "early", 500, WORKERS, libc::ENOENT);
        tiny::storm(&garbage, "late", 500, WORKERS, libc::ENOEXEC);
        let ended = live.stop();
        let execs = ended.execs();
        let tags = live::tags(&execs);
        // An argument that is not resident at the return of a failed exec is null: then the tag is.
        let unread = execs.iter().filter(|exec| exec["argv"][1].is_null()).count();
        let missing = tiny::missing("early", 500, &tags) + tiny::missing("late", 500, &tags) - unread;
        if hook == "kprobe" {
            // A kretprobe remembers a limited number of calls: on 5.10 as many as there are CPUs.
            assert_eq!(missing as u64, ended.lost(), "seen + lost = made: {}", ended.said);
        } else if !skips_programs(hook) {
            assert_eq!((missing, ended.lost()), (0, 0), "{hook}: {}", ended.said);
        } else if hook == "fentry" {
            assert_eq!(missing as u64, ended.lost(), "seen + lost = made: {}", ended.said);
            only_skipped(&ended);
        } else {
            // Which system calls the skipped returns belong to, nobody knows; that is said.
            let told = ended.said.contains("the kernel did not show the returns of");
            assert!(missing == 0 || told, "{missing} are missing: {}", ended.said);
        }
    }
}

fn killed_in_mid_storm() {
    let program = tiny::program("tiny");
    let before = kernel::held();
    for hook in HOOKS {
        let live = live::start(&["--hook", hook]);
        let during = kernel::held().beyond(&before);
        assert!(!during.programs.is_empty(), "{hook}: the look sees our programs");
        assert!(!during.maps.is_empty(), "{hook}: the look sees our maps");
        assert_eq!(during.kprobes.is_empty(), hook != "kprobe", "{hook}");
        let ended = thread::scope(|scope| {
            scope.spawn(|| tiny::storm(&program, hook, 1_000, WORKERS, 0));
            thread::sleep(Duration::from_millis(300));
            live.signal(libc::SIGKILL);
            live.wait()
        });
        assert_eq!(ended.killed_by(), Some(libc::SIGKILL));
        kernel::nothing_stays_since(&before);
    }
}
