//! Every case, seen by every hook family and held against what was done; then by all three at
//! once, which have to agree, with strace as a witness that is none of ours.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::cases;
use crate::harness::{Cases, Test};
use crate::roles::SELF;
use crate::strace;
use crate::sys::clock;
use crate::tracer::{HOOKS, TRACER, Trace, Tracer};
use crate::want::{OF_THE_RUN, compare, seen_by};

pub(crate) fn tests() -> Vec<Test> {
    let names = || cases::all().map(|case| case.name.to_owned());
    let mut tests: Vec<_> = HOOKS
        .map(|hook| {
            let names = names().chain(["run".to_owned()]);
            Test::batch(hook, 240, names, move |cases| one_family(hook, cases))
        })
        .into();
    let witnesses = HOOKS.iter().map(|hook| format!("strace_{hook}")).chain(["equal".to_owned()]);
    tests.push(Test::batch("together", 300, witnesses, together));
    tests
}

/// Plays cases, below another program if one is given; what each wants, by name.
pub(crate) fn play<'a>(below: &[&str], names: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, Value> {
    let out = format!("/tmp/wants-{}", std::process::id());
    let words: Vec<&str> = below.iter().copied().chain([SELF]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(["role", "cases", &out]).args(names);
    let status = command.stdin(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
    let lines = fs::read_to_string(&out).unwrap();
    fs::remove_file(&out).unwrap();
    let line = |line| {
        let value: Value = serde_json::from_str(line).unwrap();
        (value["case"].as_str().unwrap().to_owned(), value)
    };
    lines.lines().map(line).collect()
}

fn one_family(hook: &'static str, cases: &Cases) {
    let names: Vec<_> = cases::all().map(|case| case.name).filter(|name| cases.wants(name)).collect();
    let tracer = Tracer::start(&["--hook", hook]);
    let from = [libc::CLOCK_BOOTTIME, libc::CLOCK_REALTIME].map(clock);
    let played = play(&[], names.iter().copied());
    let until = [libc::CLOCK_BOOTTIME, libc::CLOCK_REALTIME].map(clock);
    let trace = tracer.stop();
    for name in names {
        cases.check(name, || check_case(hook, &played[name], &trace));
    }
    cases.check("run", || check_run(hook, &trace, from, until));
}

fn check_case(hook: &str, case: &Value, trace: &Trace) {
    assert!(case["failed"].is_null(), "the case itself failed: {}", case["failed"]);
    let wants: Vec<&Value> =
        case["wants"].as_array().unwrap().iter().filter(|want| seen_by(want, hook)).collect();
    let events = events_of(case, trace);
    let shown = |event: &&Value| json!([event["filename"], event["errno"], event["ppid"]]).to_string();
    let list: Vec<String> = events.iter().map(shown).collect();
    assert_eq!(events.len(), wants.len(), "events: {list:.400?}");
    for (want, event) in wants.iter().zip(&events) {
        compare(want, event);
    }
    // The order of what one process did.
    assert!(events.is_sorted_by_key(|event| event["boot_ns"].as_u64()));
}

/// The events of a case: those of the processes that it names. Nobody knows the pids of the kernel's
/// helpers; their files are theirs alone.
pub(crate) fn events_of<'t>(case: &Value, trace: &'t Trace) -> Vec<&'t Value> {
    let wants = case["wants"].as_array().unwrap();
    let is_of = |exec: &Value, want: &Value| {
        let same = |field: &str| exec[field] == want["fields"][field];
        if want["fields"]["pid"].is_object() { same("filename") && same("argv") } else { same("pid") }
    };
    trace.execs.iter().filter(|exec| wants.iter().any(|want| is_of(exec, want))).collect()
}

/// What holds for a run as a whole.
fn check_run(hook: &str, trace: &Trace, from: [i128; 2], until: [i128; 2]) {
    trace.assert_clean();
    assert_eq!(trace.start["hook"], hook);
    assert_eq!(trace.start["unavailable"], json!({}));
    assert_eq!(trace.end["by_hook"], json!({hook: trace.execs.len()}));
    assert_eq!(trace.end["reason"], "signal");
    let mut next = BTreeMap::new();
    for exec in &trace.execs {
        assert_eq!(exec["hook"], hook);
        let seq = next.entry(exec["cpu"].as_u64().unwrap()).or_insert(1);
        assert_eq!(exec["seq"], *seq, "{exec:.300}");
        *seq += 1;
    }
    let boot = |exec: &Value| i128::from(exec["boot_ns"].as_u64().unwrap());
    for exec in trace.execs.iter().filter(|exec| exec["parent_comm"] == "guest-tests") {
        assert!((from[0]..until[0]).contains(&boot(exec)), "{exec:.300}");
        let time = unix_ns(exec["time"].as_str().unwrap());
        // The wall clock may be set meanwhile; half a second is more than any correction.
        let told = time - boot(exec);
        let true_offset = until[1] - until[0];
        assert!((told - true_offset).abs() < 500_000_000, "{told} {true_offset}");
    }
}

/// RFC 3339 in UTC with nine digits of a second, as nanoseconds since 1970.
fn unix_ns(time: &str) -> i128 {
    let numbers: Vec<i128> = time
        .split(|c: char| !c.is_ascii_digit())
        .filter(|n| !n.is_empty())
        .map(|n| n.parse().unwrap())
        .collect();
    let [year, month, day, hour, minute, second, ns] = numbers[..] else { panic!("{time}") };
    assert!(time.ends_with('Z') && time.len() == "2026-01-01T00:00:00.000000000Z".len(), "{time}");
    // Days from civil (Howard Hinnant), with years that begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    ((days * 24 + hour) * 60 + minute) * 60_000_000_000 + second * 1_000_000_000 + ns
}

/// All three families at once, below strace.
fn together(cases: &Cases) {
    let tracers = HOOKS.map(|hook| Tracer::start(&["--hook", hook]));
    let witness = format!("/tmp/strace-{}", std::process::id());
    // All but the largest one: strace writes four characters for each byte.
    let names = cases::all().map(|case| case.name).filter(|name| *name != "argv_12_100k");
    let played = play(&strace::command(&witness), names);
    let traces = tracers.map(Tracer::stop);
    let calls = strace::parse(&fs::read(&witness).unwrap());
    for (hook, trace) in HOOKS.iter().zip(&traces) {
        cases.check(&format!("strace_{hook}"), || {
            trace.assert_clean();
            strace::check(&calls, trace);
        });
    }
    cases.check("equal", || {
        assert!(played.values().all(|case| case["failed"].is_null()));
        equal(&traces);
    });
}

/// The same events, but for what belongs to the run. The tracepoint family does not see the
/// kernel's own failures (see `cases::kernel`).
fn equal(traces: &[Trace; 3]) {
    let plain = |trace: &Trace| -> Vec<Value> {
        // The first tracers see the others start.
        let common = |exec: &&Value| !is_kernels_failure(exec) && exec["filename"] != TRACER;
        let mut execs: Vec<Value> = trace.execs.iter().filter(common).cloned().collect();
        for exec in &mut execs {
            let fields = exec.as_object_mut().unwrap();
            OF_THE_RUN.iter().for_each(|name| drop(fields.remove(*name)));
        }
        // Two CPUs may report in any order.
        execs.sort_by_key(|exec| exec["pid"].as_u64());
        execs
    };
    let [fentry, kprobe, tracepoint] = traces.each_ref().map(plain);
    assert!(fentry.len() > 100);
    for (name, other) in [("kprobe", kprobe), ("tracepoint", tracepoint)] {
        assert_eq!(fentry.len(), other.len(), "{name}");
        for (a, b) in fentry.iter().zip(&other) {
            assert!(a == b, "fentry and {name} differ:\n{a:.2000}\n{b:.2000}");
        }
    }
    let failures = |trace: &Trace| trace.execs.iter().filter(|exec| is_kernels_failure(exec)).count();
    assert_eq!(traces.each_ref().map(failures), [1, 1, 0]);
}

fn is_kernels_failure(exec: &Value) -> bool {
    exec["kernel_started"] == true && exec["retval"] != 0
}
