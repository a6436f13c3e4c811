//! The programs of `tracer probe` on every kernel that we support, in representative configurations of their read-only
//! globals: the model accepts each. That the kernels do so too, the guest tests show (`probes`).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::num::NonZeroU32;

use tracer::{
    plan::{
        Cgroup,
        probe::{Aggregation, Ends, Measure, Mode, Place, Point, ProbeRun, ShowAs, Stacks, ValueSpec, Who},
    },
    profiles::{self, KernelProfile},
    session::probe,
    verifier::Verdict,
};
use tracer_common::probe::{Fetch, Filter, Test, compare, fetch, operand, read, source};

fn value(name: &str, fetch: Fetch) -> ValueSpec {
    ValueSpec { name: name.to_owned(), fetch, show: ShowAs::Unsigned, c_type: "long".to_owned() }
}

fn values() -> Vec<ValueSpec> {
    let number = Fetch { source: source::ARGUMENT, index: 0, size: 8, ..Fetch::default() };
    let text = Fetch { index: 1, read: read::TEXT, limit: 254, user_steps: 1, ..number };
    let deep = Fetch { steps: 3, read: read::NUMBER, size: 4, user_steps: 0b10, ..number };
    let record = Fetch { source: source::RECORD, read: read::DATA_LOC, limit: 32, ..number };
    let result = Fetch { source: source::RESULT, flags: fetch::AT_RETURN | fetch::SIGNED, ..number };
    [number, text, deep, record, result].into_iter().map(|fetch| value("x", fetch)).collect()
}

fn filter() -> Filter {
    let mut filter = Filter { len: 2, ..Filter::default() };
    filter.tests[0] = Test {
        left: 0,
        compare: compare::GT,
        right: operand::CONSTANT,
        then: 1,
        otherwise: 0xfe,
        mask: u64::MAX,
        constant: 4096,
        ..Test::default()
    };
    filter.tests[1] = Test {
        left: operand::COMM,
        compare: compare::TEXT_EQ,
        then: 0xff,
        otherwise: 0xfe,
        ..Test::default()
    };
    filter
}

fn point(place: Place, ends: Ends) -> Point {
    Point {
        name: "a point".to_owned(),
        place,
        ends,
        values: Vec::new(),
        filter: Filter::default(),
        filter_at_entry: false,
        keys: Vec::new(),
        measure: None,
    }
}

fn kprobe(multi: bool) -> Place {
    Place::Kprobe {
        symbol: "vfs_read".to_owned(),
        offset: 0,
        module: None,
        addresses: Vec::new(),
        multi,
        single: true,
    }
}

/// Every mechanism, at every moment.
fn everything(multi: bool) -> Vec<Point> {
    let trampoline = |function: &str, arguments| Place::Trampoline {
        function: function.to_owned(),
        module: None,
        btf_id: 1,
        arguments,
    };
    let tracepoint =
        Place::Tracepoint { category: "sched".to_owned(), name: "sched_switch".to_owned(), id: 1 };
    let raw = Place::RawTracepoint { name: "sched_process_exec".to_owned(), btf_id: 1, arguments: 3 };
    vec![
        point(kprobe(multi), Ends::Both),
        point(kprobe(false), Ends::Both),
        point(trampoline("vfs_read", 4), Ends::Both),
        point(trampoline("schedule", 0), Ends::Both),
        point(tracepoint, Ends::Entry),
        point(raw, Ends::Entry),
        point(Place::Syscall { name: "openat".to_owned(), number: 257 }, Ends::Both),
    ]
}

fn run(points: Vec<Point>) -> ProbeRun {
    ProbeRun {
        points,
        mode: Mode::Stream,
        who: Who::default(),
        sample: NonZeroU32::MIN,
        rate: None,
        stacks: Stacks::default(),
        buffer: 1 << 20,
        strict: false,
    }
}

fn aggregate(measure: Measure, keys: &[u8]) -> (Mode, Vec<u8>) {
    let names = keys.iter().map(|key| key.to_string()).collect();
    (Mode::Aggregate(Aggregation { keys: names, measure, max_keys: 1024 }), keys.to_vec())
}

fn configurations(kernel: &KernelProfile) -> Vec<(String, ProbeRun)> {
    let version = (kernel.version.major, kernel.version.minor);
    let plain = run(everything(version >= (5, 18)));
    let mut full = plain.clone();
    for point in &mut full.points {
        point.values = values();
        point.filter = filter();
    }
    let mut early = full.clone();
    early.points.iter_mut().for_each(|point| point.filter_at_entry = true);
    let mut stacks = full.clone();
    stacks.stacks = Stacks { kernel: true, user: true };
    stacks.sample = NonZeroU32::new(100).unwrap();
    stacks.rate = NonZeroU32::new(1000);
    let mut who = plain.clone();
    who.who = Who {
        pids: vec![1, 2],
        uids: vec![0],
        comms: vec![[7; 16]],
        cgroup: (version >= (5, 14)).then_some(Cgroup { id: 77, level: 3 }),
        tree: true,
    };
    let mut all = vec![
        ("plain".to_owned(), plain.clone()),
        ("full".to_owned(), full.clone()),
        ("early".to_owned(), early),
        ("stacks".to_owned(), stacks),
        ("who".to_owned(), who.clone()),
    ];
    let linear = Measure::Linear {
        of: "duration".to_owned(),
        from: -100,
        step: NonZeroU32::new(7).unwrap(),
        buckets: 10,
    };
    let keys = [operand::COMM, 1, operand::POINT, 0];
    for (base, runs) in [("plain", &plain), ("full", &full), ("who", &who)] {
        for (name, measure) in [
            ("count", Measure::Count),
            ("log2", Measure::Log2("duration".to_owned())),
            ("linear", linear.clone()),
        ] {
            for keys in [&keys[..], &[]] {
                let mut run = runs.clone();
                let (mode, operands) = aggregate(measure.clone(), keys);
                run.mode = mode;
                for point in &mut run.points {
                    point.keys.clone_from(&operands);
                    point.measure = Some(operand::DURATION);
                }
                all.push((format!("{base}, {name} by {}", keys.len()), run));
            }
        }
    }
    // Each mechanism alone: what others need is off.
    for point in plain.points {
        all.push((format!("{} alone", point.place.kind()), run(vec![point])));
    }
    all
}

fn check(release: &str) {
    let kernel = profiles::named(release).unwrap_or_else(|error| panic!("{error}"));
    let mut judged = 0;
    for (name, run) in configurations(&kernel) {
        let judgements = probe::precheck(&run, &kernel).unwrap_or_else(|error| panic!("{name}: {error}"));
        for judgement in judgements {
            judged += 1;
            if let Verdict::Reject(rejection) = &judgement.report.verdict {
                let steps = rejection.path.iter().map(|step| format!("  {}: {}", step.insn, step.what));
                println!("{}", steps.collect::<Vec<_>>().join("\n"));
            }
            let line = judgement.line();
            assert_eq!(judgement.accepted(), Some(true), "{release}, {name}: {line}");
            if std::env::var_os("SHOW").is_some() {
                println!("{release}, {name}: {line} {:?}", judgement.elapsed);
            }
        }
    }
    assert!(judged > 100, "{judged} programs were judged");
}

#[test]
fn on_5_10() {
    check("5.10");
}

#[test]
fn on_6_1() {
    check("6.1");
}

#[test]
fn on_6_12() {
    check("6.12");
}

#[test]
fn on_7_2() {
    check("7.2");
}

/// The control: what no kernel of that age has is rejected.
#[test]
fn what_a_kernel_lacks_is_rejected() {
    let kernel = profiles::named("5.10").unwrap_or_else(|error| panic!("{error}"));
    let mut run = run(everything(false));
    run.who.cgroup = Some(Cgroup { id: 77, level: 3 });
    for judgement in probe::precheck(&run, &kernel).unwrap() {
        assert_eq!(judgement.accepted(), Some(judgement.program == "freed"), "{}", judgement.line());
    }
}
