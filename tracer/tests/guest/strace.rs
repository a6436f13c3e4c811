//! strace as a witness: what it saw of each execve and execveat.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::tracer::Trace;
use crate::want::{base64, text};

/// A call, as its caller made it.
#[derive(Debug, Default)]
pub(crate) struct Call {
    /// `None` where strace could not read it.
    filename: Option<Vec<u8>>,
    argv: Option<Vec<Option<Vec<u8>>>>,
    /// The error's name, when it failed.
    errno: Option<String>,
}

/// strace before the words of a program.
pub(crate) fn command(out: &str) -> [&str; 11] {
    ["/usr/bin/strace", "-f", "-v", "-q", "-s", "2000000", "-xx", "-e", "trace=execve,execveat", "-o", out]
}

/// The finished calls of each thread, in order.
pub(crate) fn parse(output: &[u8]) -> BTreeMap<u64, Vec<Call>> {
    let mut calls: BTreeMap<u64, Vec<Call>> = BTreeMap::new();
    let mut begun: BTreeMap<u64, String> = BTreeMap::new();
    for line in String::from_utf8_lossy(output).lines() {
        let (tid, rest) = line.trim_start().split_once(' ').unwrap();
        let (tid, rest): (u64, _) = (tid.parse().unwrap(), rest.trim_start());
        // A thread that execs comes back under its leader's number: in one of two ways.
        if let Some((head, leader)) = rest.rsplit_once(" <pid changed to ") {
            let leader = leader.trim_end_matches(" ...>").parse().unwrap();
            begun.insert(leader, head.to_owned());
            continue;
        }
        if let Some(thread) = rest.strip_prefix("+++ superseded by execve in pid ") {
            let thread = thread.trim_end_matches(" +++").parse().unwrap();
            if let Some(head) = begun.remove(&thread) {
                begun.insert(tid, head);
            }
            continue;
        }
        if let Some(head) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(tid, head.to_owned());
            continue;
        }
        let whole = match rest.strip_prefix("<... exec") {
            Some(tail) => {
                let tail = tail.split_once(" resumed>").unwrap().1;
                begun.remove(&tid).map(|head| head + tail)
            }
            None => rest.starts_with("exec").then(|| rest.to_owned()),
        };
        if let Some(whole) = whole {
            calls.entry(tid).or_default().push(call(&whole));
        }
    }
    calls
}

/// `execve("\x2f…", ["\x2f…"], NULL) = -1 ENOENT (No such file or directory)`
fn call(line: &str) -> Call {
    let (name, mut rest) = line.split_once('(').unwrap();
    if name == "execveat" {
        rest = rest.split_once(", ").unwrap().1;
    }
    let (filename, rest) = string(rest);
    let mut rest = rest.strip_prefix(", ").unwrap();
    let mut call = Call { filename, ..Call::default() };
    if rest.starts_with("NULL") {
        call.argv = Some(Vec::new());
    } else if let Some(inner) = rest.strip_prefix('[') {
        rest = inner;
        let mut argv = Vec::new();
        while !rest.starts_with(']') {
            let (arg, after) = string(rest);
            argv.push(arg);
            rest = after.strip_prefix(", ").unwrap_or(after);
        }
        call.argv = Some(argv);
    }
    let (_, result) = rest.rsplit_once(" = ").unwrap();
    call.errno = result.strip_prefix("-1 ").map(|error| error.split(' ').next().unwrap().to_owned());
    call
}

/// A string in hexadecimal digits, or an address in its place.
fn string(from: &str) -> (Option<Vec<u8>>, &str) {
    let Some(inner) = from.strip_prefix('"') else {
        let end = from.find([',', ']', ')']).unwrap();
        return (None, &from[end..]);
    };
    let (digits, rest) = inner.split_once('"').unwrap();
    let bytes = digits.split("\\x").skip(1).map(|byte| u8::from_str_radix(byte, 16).unwrap());
    (Some(bytes.collect()), rest)
}

/// Every call that strace saw is an event, and says the same.
pub(crate) fn check(calls: &BTreeMap<u64, Vec<Call>>, trace: &Trace) {
    let mut compared = 0;
    for (tid, calls) in calls {
        let of = |exec: &Value| exec[if exec["retval"] == 0 { "pid" } else { "tid" }] == *tid;
        let events: Vec<&Value> = trace.execs.iter().filter(|exec| of(exec)).collect();
        let shown = events.iter().map(|e| &e["filename"]);
        assert_eq!(events.len(), calls.len(), "{tid}: {:.500?} {calls:.500?}", shown.collect::<Vec<_>>());
        for (event, call) in events.iter().zip(calls) {
            same(event, call);
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared}");
}

fn same(event: &Value, call: &Call) {
    let about = format!("{call:.600?}\n{event:.2000}");
    assert_eq!(event["errno"].as_str(), call.errno.as_deref(), "{about}");
    match &call.filename {
        Some(name) => assert_eq!(event["filename"], text(name), "{about}"),
        None => assert!(event["filename"].is_null(), "{about}"),
    }
    let Some(mut argv) = call.argv.clone() else {
        assert!(event["argv"].is_null(), "{about}");
        return;
    };
    let succeeded = call.errno.is_none();
    if succeeded && !event["interpreter"].is_null() {
        // The new image's arguments end with those of the caller, but the first.
        let shown = event["argv"].as_array().unwrap();
        argv.remove(0);
        argv = [vec![None; shown.len() - argv.len()], argv].concat();
    } else if succeeded && argv.is_empty() && event["argc"] == 1 {
        // Since 5.18; see `cases::argv`.
        argv.push(Some(Vec::new()));
    }
    let shown = event["argv"].as_array().unwrap();
    assert_eq!(shown.len(), argv.len(), "{about}");
    assert_eq!(event["argc"], argv.len(), "{about}");
    for (n, (arg, wanted)) in shown.iter().zip(&argv).enumerate() {
        // strace reads through ptrace, which faults pages in: it may know more than the kernel side,
        // whose null says so.
        let Some(wanted) = wanted else { continue };
        if arg.is_null() {
            assert!(event["missing"]["argv"].is_string(), "{about}");
            continue;
        }
        match event["argv_raw"][n].as_str() {
            Some(raw) => assert_eq!(raw, base64(wanted), "{about}"),
            None => assert!(*arg == text(wanted), "argument {n}: {about}"),
        }
    }
}
