//! A kernel that lacks a structure's member, simulated with `--hide-member`: the fields that need
//! it are null with the reason, everything else is right.

use serde_json::{Value, json};

use crate::families::{self, events_of};
use crate::harness::{Cases, Test};
use crate::tracer::Tracer;
use crate::want::compare;

/// Members, and what an exec lacks without them.
const MEMBERS: [(&str, &[&str]); 8] = [
    ("task_struct.loginuid", &["login_uid"]),
    ("task_struct.real_parent", &["ppid", "parent_comm", "parent_id"]),
    ("task_struct.start_boottime", &["id", "parent_id"]),
    ("pid.numbers", &["ns_pid", "pid_ns"]),
    ("mm_struct.arg_start", &["argv", "argv_bytes"]),
    ("linux_binprm.interp", &["interpreter"]),
    ("fs_struct.pwd.dentry", &["cwd"]),
    ("inode.i_mode", &["set_uid", "set_gid", "privilege"]),
];

/// What is played: something that has each of these fields.
const PLAYED: [&str; 7] =
    ["execve", "script", "enoent", "set_uid", "login", "execveat_dirfd", "pid_namespace"];

/// The members are the same for every family.
const HOOK: &str = "tracepoint";

pub(crate) fn tests() -> Vec<Test> {
    let names = MEMBERS.iter().map(|(member, _)| (*member).to_owned());
    vec![Test::batch("hidden", 240, names, run)]
}

fn run(cases: &Cases) {
    let wanted: Vec<_> = MEMBERS.iter().filter(|(member, _)| cases.wants(member)).collect();
    let tracers: Vec<_> =
        wanted.iter().map(|(member, _)| Tracer::start(&["--hook", HOOK, "--hide-member", member])).collect();
    let played = families::play(&[], PLAYED);
    for (tracer, (member, fields)) in tracers.into_iter().zip(wanted) {
        let trace = tracer.stop();
        cases.check(member, || {
            trace.assert_clean();
            let reason = json!(format!("this kernel's BTF has no {member}"));
            for field in *fields {
                assert_eq!(trace.start["unavailable"][field], reason, "{}", trace.start);
            }
            assert_eq!(trace.start["unavailable"].as_object().unwrap().len(), fields.len());
            for case in played.values() {
                assert!(case["failed"].is_null(), "{}", case["failed"]);
                let wants = case["wants"].as_array().unwrap();
                let events = events_of(case, &trace);
                assert_eq!(wants.len(), events.len());
                for (want, event) in wants.iter().zip(events) {
                    compare(&without(want, event, fields, &reason), event);
                }
            }
        });
    }
}

/// The same, but for these fields.
fn without(want: &Value, event: &Value, fields: &[&str], reason: &Value) -> Value {
    let mut want = want.clone();
    for field in fields {
        want["fields"][field] = Value::Null;
        want["fields"]["missing"][field].clone_from(reason);
    }
    if fields.contains(&"id") || fields.contains(&"parent_id") {
        want["start"] = Value::Null;
        // What is left of the two.
        if !fields.contains(&"id") {
            want["fields"]["id"].clone_from(&event["id"]);
        }
    }
    want
}
