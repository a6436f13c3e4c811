//! Who and what counts; samples and rates; every hit accounted for.

use std::num::NonZeroU32;

use tracer::{
    plan::probe::{Ends, Who},
    session::Precheck,
};
use tracer_common::probe::{FAIL, Filter, PASS, Test as One, compare, operand};

use super::{
    hit::all,
    run::{Host, argument, point, result, run, sink, test, text_test, user_text, write},
};
use crate::harness::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::one("probes::filters::of_values", 120, of_values),
        Test::one("probes::filters::who", 60, who),
        Test::one("probes::filters::sample_and_rate", 60, sample_and_rate),
    ]
}

/// Which of these writes pass each filter, asked at the return and, where that can be, at the entry.
fn of_values() {
    const TEXTS: [&[u8]; 4] = [b"apple\0", b"apples\0", b"pear\0", b"\0"];
    let host = Host::new();
    let mut both = test(0, compare::GT, 1);
    both.tests[0].then = 1;
    both.len = 2;
    both.tests[1] = One { left: 0, compare: compare::LT, constant: 7, ..test(0, 0, 0).tests[0] };
    let mut either: Filter = text_test(1, compare::TEXT_EQ, b"pear");
    either.tests[0].otherwise = 1;
    either.len = 2;
    either.tests[1] = One { left: 0, compare: compare::EQ, constant: 1, ..test(0, 0, 0).tests[0] };
    let mut masked = test(0, compare::EQ, 2);
    masked.tests[0].mask = 3;
    let mut operands = test(0, compare::EQ, 0);
    operands.tests[0].right = 2;
    // What passes, by its place among the texts. Values: the length, the text, the result.
    let cases: Vec<(&str, Filter, bool, &[usize])> = vec![
        ("length > 5", test(0, compare::GT, 5), true, &[0, 1]),
        ("length <= 5", test(0, compare::LE, 5), true, &[2, 3]),
        ("length == 7", test(0, compare::EQ, 7), true, &[1]),
        ("length != 7", test(0, compare::NE, 7), true, &[0, 2, 3]),
        ("length > -1 unsigned", test(0, compare::ABOVE, -1), true, &[]),
        ("length > -1 signed", test(0, compare::GT, -1), true, &[0, 1, 2, 3]),
        ("1 < length < 7", both, true, &[0, 2]),
        ("length & 3 == 2", masked, true, &[0]),
        ("text == apple", text_test(1, compare::TEXT_EQ, b"apple"), true, &[0]),
        ("text != apple", text_test(1, compare::TEXT_NE, b"apple"), true, &[1, 2, 3]),
        ("text == apple*", text_test(1, compare::TEXT_PREFIX, b"apple"), true, &[0, 1]),
        ("text == \"\"", text_test(1, compare::TEXT_EQ, b""), true, &[3]),
        ("text == pear || length == 1", either, true, &[2, 3]),
        ("result >= 6", test(2, compare::GE, 6), false, &[0, 1]),
        ("length == result", operands, false, &[0, 1, 2, 3]),
        ("duration > 1 h", test(operand::DURATION, compare::GT, 3_600_000_000_000), false, &[]),
        ("duration > 0", test(operand::DURATION, compare::GT, 0), false, &[0, 1, 2, 3]),
        ("comm == nobody", text_test(operand::COMM, compare::TEXT_EQ, b"nobody"), true, &[]),
        ("pid == me", test(operand::PID, compare::EQ, std::process::id().into()), true, &[0, 1, 2, 3]),
    ];
    let fd = sink();
    for (name, filter, early, wanted) in cases {
        for at_entry in [false, true].into_iter().filter(|at_entry| early || !at_entry) {
            let place = host.trampoline("vfs_write", 4);
            let mut probe = point(place, Ends::Both, &[argument(2), user_text(1, 64), result()]);
            probe.filter = filter;
            probe.filter_at_entry = at_entry;
            // One program for all of them, which other tests have judged.
            let mut attached = host.start_with(&run(vec![probe]), Precheck::Off);
            for text in TEXTS {
                assert_eq!(write(fd, text.as_ptr(), text.len()), text.len() as i64);
            }
            let hits = all(&mut attached);
            let passed: Vec<_> = hits.iter().map(|hit| hit.number(0) as usize).collect();
            let lengths: Vec<_> = wanted.iter().map(|i| TEXTS[*i].len()).collect();
            assert_eq!(passed, lengths, "{name}, at entry: {at_entry}");
            let totals = attached.totals();
            assert_eq!((totals.no_entry, totals.unreadable), (0, 0), "{name}");
        }
    }
    // What cannot be read is neither equal nor unequal.
    let mut probe = point(host.trampoline("vfs_write", 4), Ends::Both, &[argument(2), user_text(1, 64)]);
    probe.filter = text_test(1, compare::TEXT_NE, b"x");
    let mut attached = host.start(&run(vec![probe]));
    write(fd, std::ptr::without_provenance(1), 3);
    assert!(all(&mut attached).is_empty());
    assert_eq!(attached.totals().unreadable, 1);
    const { assert!(PASS != FAIL) };
}

fn who() {
    let host = Host::new();
    let own = std::fs::read("/proc/self/comm").unwrap();
    let mut comm = [0; 16];
    comm[..own.len() - 1].copy_from_slice(own.trim_ascii_end());
    let me = std::process::id();
    let none = Who::default;
    let cases = [
        (Who { pids: vec![me], ..none() }, true),
        (Who { pids: vec![1], ..none() }, false),
        (Who { pids: vec![me], uids: vec![0], ..none() }, true),
        (Who { pids: vec![me], uids: vec![77], ..none() }, false),
        (Who { pids: vec![me], comms: vec![comm], ..none() }, true),
        (Who { pids: vec![me], comms: vec![*b"nobody\0\0\0\0\0\0\0\0\0\0"], ..none() }, false),
        (Who { tree: true, ..none() }, true),
    ];
    let fd = sink();
    for (who, wanted) in cases {
        let mut run = run(vec![point(host.kprobe("vfs_write"), Ends::Entry, &[argument(2)])]);
        run.who = who.clone();
        let mut attached = host.start(&run);
        assert_eq!(write(fd, [0; 5].as_ptr(), 5), 5);
        let hits = all(&mut attached);
        assert_eq!(hits.len(), usize::from(wanted), "{who:?}");
    }
}

fn sample_and_rate() {
    const MADE: u64 = 1000;
    let host = Host::new();
    let fd = sink();
    for (sample, rate) in [(10, None), (1, NonZeroU32::new(100)), (7, NonZeroU32::new(20))] {
        let mut run = run(vec![point(host.kprobe("vfs_write"), Ends::Entry, &[])]);
        run.sample = NonZeroU32::new(sample).unwrap();
        run.rate = rate;
        let mut attached = host.start(&run);
        for _ in 0..MADE {
            assert_eq!(write(fd, [0].as_ptr(), 0), 0);
        }
        let hits = all(&mut attached).len() as u64;
        let totals = attached.totals();
        assert_eq!(totals.passed, MADE);
        assert_eq!(hits + totals.sampled + totals.rated, MADE, "{totals:?}");
        let cpus = u64::from(host.facts.possible_cpus);
        let sampled = MADE - totals.sampled;
        let share = MADE / u64::from(sample);
        assert!((share..=share + cpus).contains(&sampled), "1/{sample}: {sampled}");
        match rate {
            Some(rate) => assert!(hits >= u64::from(rate.get()).min(share) && totals.rated > 0, "{hits}"),
            None => assert_eq!(totals.rated, 0),
        }
    }
}
