//! Many functions at once, and nothing of them left behind.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tracer::{
    plan::probe::{Ends, Measure, Place, Point, ProbeRun, Who},
    session::{Precheck, probe},
};

use super::run::{Host, aggregate, point, run, sink, tracefs, write};
use crate::{harness::Test, roles::SELF};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::one("probes::many::functions", 300, functions),
        Test::one("probes::many::ten_thousand", 300, ten_thousand),
        Test::one("probes::many::nothing_is_left", 120, nothing_is_left),
        Test::one("probes::many::some_fail", 60, some_fail),
    ]
}

/// Functions that can be traced, which this test's own work does not keep busy all the time.
fn names(count: usize) -> Vec<String> {
    let all = fs::read_to_string(format!("{}/available_filter_functions", tracefs())).unwrap();
    let plain = |name: &&str| {
        !name.contains(['.', ' ', '\t']) && name.starts_with("ext4_")
            || name.starts_with("tcp_")
            || name.starts_with("nfs")
            || name.starts_with("vfs_")
            || name.starts_with("ip")
            || name.starts_with("sock")
    };
    let mut names: Vec<String> =
        all.lines().filter(|line| !line.contains('[')).filter(plain).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names.retain(|name| name != "vfs_write");
    names.truncate(count - 1);
    names.push("vfs_write".to_owned());
    names
}

fn counting(host: &Host, count: usize) -> ProbeRun {
    let multi = host.has_multi();
    let place = |symbol: String| Place::Kprobe {
        symbol,
        offset: 0,
        module: None,
        addresses: Vec::new(),
        multi,
        single: !multi,
    };
    let points: Vec<Point> =
        names(count).into_iter().map(|name| point(place(name), Ends::Entry, &[])).collect();
    assert_eq!(points.len(), count);
    let mut run = run(points);
    aggregate(&mut run, Measure::Count, None, &[]);
    run
}

fn how_many(host: &Host) -> usize {
    if host.has_multi() { 1000 } else { 200 }
}

fn functions() {
    let host = Host::new();
    let count = how_many(&host);
    let run = counting(&host, count);
    let start = Instant::now();
    let mut attached = host.start(&run);
    let took = start.elapsed();
    let fd = sink();
    for _ in 0..17 {
        write(fd, [0].as_ptr(), 0);
    }
    attached.detach();
    println!("{count} functions attached in {took:?}");
    let rows = attached.aggregates().unwrap();
    let last = rows.iter().find(|row| row.point == Some(count as u32 - 1)).unwrap();
    assert_eq!(last.count, 17);
    drop(attached);
    assert_eq!(probed(), 0, "nothing is left");
}

/// As many by address, where the kernel can take them at once; the host's own names for them, those that are not unique
/// left out.
fn ten_thousand() {
    const COUNT: usize = 10_000;
    let host = Host::new();
    if !host.has_multi() {
        return;
    }
    let mut named: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (name, address) in host.symbols() {
        named.entry(name.to_owned()).or_default().push(address);
    }
    let all = fs::read_to_string(format!("{}/available_filter_functions", tracefs())).unwrap();
    let unique = all.lines().filter_map(|name| match named.get(name).map(Vec::as_slice) {
        Some([address]) => Some((name, *address)),
        _ => None,
    });
    let mut wanted: Vec<_> = unique.filter(|(name, _)| *name != "vfs_write").take(COUNT - 1).collect();
    wanted.push(("vfs_write", host.address("vfs_write").unwrap()));
    let points = wanted.into_iter().map(|(name, address)| {
        let place = Place::Kprobe {
            symbol: name.to_owned(),
            offset: 0,
            module: None,
            addresses: vec![address],
            multi: true,
            single: false,
        };
        point(place, Ends::Entry, &[])
    });
    let mut run = run(points.collect());
    assert_eq!(run.points.len(), COUNT);
    aggregate(&mut run, Measure::Count, None, &[]);
    let start = Instant::now();
    let mut attached = host.start(&run);
    let took = start.elapsed();
    let fd = sink();
    for _ in 0..17 {
        write(fd, [0].as_ptr(), 0);
    }
    attached.detach();
    println!("{COUNT} functions attached in {took:?}");
    let rows = attached.aggregates().unwrap();
    let last = rows.iter().find(|row| row.point == Some(COUNT as u32 - 1)).unwrap();
    assert_eq!(last.count, 17);
    drop(attached);
    assert_eq!(probed(), 0, "nothing is left");
}

/// How many functions are being traced.
fn probed() -> usize {
    let all = fs::read_to_string(format!("{}/enabled_functions", tracefs())).unwrap();
    all.lines().count()
}

/// The role of a process that is killed: attaches, says so, and stays.
pub(crate) fn hold() {
    let host = Host::new();
    let count = how_many(&host);
    let mut run = counting(&host, count);
    run.who = Who::default();
    let attached = host.start(&run);
    println!("{} points", attached.points());
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}

fn nothing_is_left() {
    let before = probed();
    let mut child = Command::new(SELF).args(["role", "hold"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let count = how_many(&Host::new());
    assert_eq!(line, format!("{count} points\n"));
    assert!(probed() >= before + count, "{} are probed", probed());
    // SIGKILL: nothing of its own gets to run.
    child.kill().unwrap();
    child.wait().unwrap();
    let start = Instant::now();
    while probed() > before && start.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(probed(), before);
}

/// One that does not exist among others: listed, or, if that is wanted, the end of it.
fn some_fail() {
    let host = Host::new();
    for multi in [false, true].into_iter().filter(|multi| !multi || host.has_multi()) {
        let place = |symbol: &str| Place::Kprobe {
            symbol: symbol.to_owned(),
            offset: 0,
            module: None,
            addresses: Vec::new(),
            multi,
            single: true,
        };
        let points = ["vfs_read", "no_such_function", "vfs_write", "vfs_rename"]
            .map(|name| point(place(name), Ends::Entry, &[]));
        let mut run = run(points.to_vec());
        aggregate(&mut run, Measure::Count, None, &[]);
        run.strict = false;
        let attached = probe::start(&run, &host.facts, Precheck::Enforce, &[]).unwrap();
        let failed: Vec<_> = attached.failed().iter().map(|failed| failed.point).collect();
        assert_eq!(failed, [1]);
        assert_eq!(attached.points(), 3);
        let fd = sink();
        write(fd, [0].as_ptr(), 0);
        let rows = attached.aggregates().unwrap();
        // The tracer reads files itself: of its writes there are none.
        let count = |point| rows.iter().find(|row| row.point == Some(point)).map(|row| row.count);
        assert_eq!((count(1), count(2), count(3)), (None, Some(1), None), "{rows:?}");
        drop(attached);
        run.strict = true;
        let error = probe::start(&run, &host.facts, Precheck::Enforce, &[]).unwrap_err().to_string();
        assert!(error.starts_with("kprobe:a point cannot be attached: "), "{error}");
        assert_eq!(probed(), 0, "all detached again");
    }
}
