//! Counts, exact to the last one; by keys and in buckets; and losses, which are counted too.

use std::num::NonZeroU32;

use tracer::{
    plan::probe::{Ends, Measure, Place},
    session::probe::Part,
};
use tracer_common::probe::operand;

use super::{
    hit::drain,
    run::{Host, aggregate, argument, point, result, run, sink, tracepoint, user_text, write},
};
use crate::harness::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::one("probes::counts::million", 120, million),
        Test::one("probes::counts::by_key", 60, by_key),
        Test::one("probes::counts::histograms", 60, histograms),
        Test::one("probes::counts::losses", 60, losses),
    ]
}

fn million() {
    const MADE: u64 = 1_000_000;
    let host = Host::new();
    let mut ways = host.ways("__x64_sys_umask", 1);
    ways.push(("syscall", Place::Syscall { name: "umask".to_owned(), number: libc::SYS_umask as u32 }));
    ways.push(("tracepoint", tracepoint("syscalls", "sys_enter_umask").0));
    for (way, place) in ways {
        let mut run = run(vec![point(place, Ends::Entry, &[])]);
        aggregate(&mut run, Measure::Count, None, &[]);
        let mut attached = host.start(&run);
        for _ in 0..MADE {
            // SAFETY: no memory involved.
            unsafe { libc::syscall(libc::SYS_umask, 0o22) };
        }
        attached.detach();
        let rows = attached.aggregates().unwrap();
        let [row] = rows.as_slice() else { panic!("{way}: {rows:?}") };
        assert_eq!((row.point, row.count, attached.skipped()), (Some(0), MADE, 0), "{way}");
        assert_eq!(attached.totals().passed, MADE);
    }
}

fn by_key() {
    let host = Host::new();
    let place = host.trampoline("vfs_write", 4);
    let mut run = run(vec![point(place, Ends::Both, &[argument(2), user_text(1, 200), result()])]);
    aggregate(&mut run, Measure::Count, None, &[operand::COMM, 1, 2, operand::PID]);
    let mut attached = host.start(&run);
    let fd = sink();
    let long = [[b'l'; 100].as_slice(), b"\0"].concat();
    for (text, times) in [(b"one\0".as_slice(), 3), (b"three\0", 1), (&long, 2)] {
        for _ in 0..times {
            write(fd, text.as_ptr(), text.len());
        }
    }
    write(fd, std::ptr::without_provenance(1), 3);
    attached.detach();
    let mut rows: Vec<_> =
        attached.aggregates().unwrap().into_iter().map(|row| (row.key, row.count)).collect();
    rows.sort();
    let own = std::fs::read("/proc/self/comm").unwrap().trim_ascii_end().to_vec();
    let key = |text: &[u8], cut, result: i64| {
        vec![
            Part::Text { bytes: own.clone(), cut: false },
            Part::Text { bytes: text.to_vec(), cut },
            Part::Number(result as u64),
            Part::Number(std::process::id().into()),
        ]
    };
    let mut bad = key(b"", false, -14);
    bad[1] = Part::Unreadable;
    let mut wanted = vec![
        (key(b"one", false, 4), 3),
        (key(b"three", false, 6), 1),
        (key(&[b'l'; 64], true, 101), 2),
        (bad, 1),
    ];
    wanted.sort();
    assert_eq!(rows, wanted);
    assert_eq!(attached.totals().keys_full, 0);
}

fn histograms() {
    let host = Host::new();
    let fd = sink();
    let bytes = [0; 4096];
    let lengths = [0, 1, 2, 3, 4, 7, 8, 100, 4096];
    let linear =
        Measure::Linear { of: "result".to_owned(), from: 2, step: NonZeroU32::new(3).unwrap(), buckets: 3 };
    let cases = [
        (
            Measure::Log2("result".to_owned()),
            vec![(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 1), (8, 1), (14, 1)],
        ),
        // below 2; 2..5; 5..8; 8..11; above
        (linear, vec![(0, 3), (1, 3), (2, 1), (3, 1), (4, 2)]),
    ];
    for (measure, wanted) in cases {
        let mut run = run(vec![point(host.kprobe("vfs_write"), Ends::Both, &[result()])]);
        aggregate(&mut run, measure.clone(), Some(0), &[]);
        let mut attached = host.start(&run);
        for len in lengths {
            assert_eq!(write(fd, bytes.as_ptr(), len), len as i64);
        }
        write(fd, std::ptr::without_provenance(1), 1);
        attached.detach();
        let rows = attached.aggregates().unwrap();
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!(row.count, lengths.len() as u64 + 1);
        let buckets: Vec<_> = row.buckets.iter().map(|(bucket, count)| (*bucket, *count)).collect();
        assert_eq!(buckets, wanted, "{measure:?}");
    }
}

/// Nobody reads: what the ring has room for comes, the rest is counted.
fn losses() {
    const MADE: u64 = 5000;
    let host = Host::new();
    let mut run = run(vec![point(host.kprobe("vfs_write"), Ends::Entry, &[argument(2)])]);
    run.buffer = 64 << 10;
    let mut attached = host.start(&run);
    let fd = sink();
    for _ in 0..MADE {
        write(fd, [0].as_ptr(), 0);
    }
    attached.detach();
    let hits = drain(&mut attached).len() as u64;
    let counters = attached.counters();
    assert!(hits > 0 && counters.dropped() > 0);
    assert_eq!(hits + counters.dropped(), MADE);
    assert_eq!(counters.produced(), MADE);
    assert_eq!(attached.totals().passed, MADE);
}
