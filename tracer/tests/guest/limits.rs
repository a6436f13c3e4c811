//! What the user asks for: environment variables, and less than all of the arguments.

use serde_json::{Value, json};

use crate::families::{self, events_of};
use crate::harness::{Cases, Test};
use crate::tracer::{HOOKS, Trace, Tracer};
use crate::want::base64;

const PLAYED: [&str; 4] = ["environment", "argv_1000", "argv_12_100k", "execve"];

pub(crate) fn tests() -> Vec<Test> {
    let names = HOOKS.iter().map(|hook| format!("all_{hook}")).chain(["some".to_owned()]);
    vec![Test::batch("limits", 240, names, run)]
}

/// Both options change the programs, so that each family is loaded with them.
fn run(cases: &Cases) {
    let all = HOOKS.map(|hook| Tracer::start(&["--hook", hook, "--env", "*", "--max-bytes", "20000"]));
    let some = ["--hook", "tracepoint", "--env", "FOO", "--env", "BYTES", "--max-args", "5"];
    let some = Tracer::start(&some);
    let played = families::play(&[], PLAYED);
    let wants = |case: &str| played[case]["wants"].as_array().unwrap().clone();
    let each = |case: &str, trace: &Trace, check: &dyn Fn(&Value, &Value)| {
        let events = events_of(&played[case], trace);
        assert_eq!(events.len(), wants(case).len());
        wants(case).iter().zip(events).for_each(|(want, event)| check(&want["fields"], event));
    };
    for (hook, tracer) in HOOKS.into_iter().zip(all) {
        let trace = tracer.stop();
        cases.check(&format!("all_{hook}"), || {
            trace.assert_clean();
            each("environment", &trace, &|want, event| {
                assert_eq!(event["argv"], want["argv"]);
                let shown = |text: &[u8]| json!(String::from_utf8_lossy(text));
                assert_eq!(event["env"], json!(ENVIRONMENT.map(shown)));
                assert_eq!(event["env_raw"], json!(ENVIRONMENT.map(base64)));
            });
            each("execve", &trace, &|_, event| assert_eq!(event["env"], json!([])));
            each("argv_1000", &trace, &|want, event| {
                assert_eq!(event["argv"], want["argv"]);
                assert!(event["cut"].is_null());
            });
            each("argv_12_100k", &trace, &head_and_tail_bytes);
        });
    }
    let trace = some.stop();
    cases.check("some", || {
        trace.assert_clean();
        each("environment", &trace, &|_, event| {
            assert_eq!(event["env"], json!(["FOO=bar", "BYTES=\u{fffd}", "FOO=again"]));
        });
        each("execve", &trace, &|want, event| assert_eq!(event["argv"], want["argv"]));
        for case in ["argv_1000", "argv_12_100k"] {
            each(case, &trace, &head_and_tail_arguments);
        }
    });
}

/// What the case `environment` gives.
pub(crate) const ENVIRONMENT: [&[u8]; 6] =
    [b"FOO=bar", b"EMPTY=", b"=odd", b"no equals sign", b"BYTES=\xff", b"FOO=again"];

fn head_and_tail_bytes(want: &Value, event: &Value) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (first, last) = (text(&want["argv"][0]), text(&want["argv"][11]));
    // The last 10,000 bytes hold the last argument's NUL.
    assert_eq!(event["argv"], json!([first[..10_000], last[last.len() - 9_999..]]));
    assert_eq!(event["argc"], want["argc"]);
    assert_eq!(event["argv_bytes"], want["argv_bytes"]);
    let bytes = want["argv_bytes"].as_u64().unwrap() - 20_000;
    let gap = json!({"reason": "max_bytes", "at": 1, "args": 10, "bytes": bytes,
        "cuts_before": true, "cuts_after": true});
    assert_eq!(event["cut"], json!({"argv": [gap]}));
}

fn head_and_tail_arguments(want: &Value, event: &Value) {
    let argv = want["argv"].as_array().unwrap();
    let (head, rest) = argv.split_at(3);
    let (middle, tail) = rest.split_at(rest.len() - 2);
    assert_eq!(event["argv"], json!([head, tail].concat()));
    assert_eq!(event["argc"], want["argc"]);
    assert_eq!(event["argv_bytes"], want["argv_bytes"]);
    let bytes: usize = middle.iter().map(|arg| arg.as_str().unwrap().len() + 1).sum();
    let gap = json!({"reason": "max_args", "at": 3, "args": middle.len(), "bytes": bytes,
        "cuts_before": false, "cuts_after": false});
    assert_eq!(event["cut"], json!({"argv": [gap]}));
}
