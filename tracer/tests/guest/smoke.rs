//! The least there is: a command is traced, with each hook family.

use crate::harness::Test;
use crate::roles::SELF;
use crate::tracer::{HOOKS, Tracer};

pub(crate) fn tests() -> Vec<Test> {
    let names = HOOKS.map(str::to_owned);
    vec![Test::batch("smoke", 120, names, |cases| {
        for hook in HOOKS {
            cases.check(hook, || a_command_is_traced(hook));
        }
    })]
}

fn a_command_is_traced(hook: &str) {
    let words = [SELF, "role", "exit", "7"];
    let trace = Tracer::run(&["--hook", hook, "--propagate-status"], &words);
    assert_eq!(trace.status.code(), Some(7), "{}", trace.stderr);
    assert_eq!(trace.start["hook"], hook);
    assert_eq!(trace.end["reason"], "command_ended");
    assert!(trace.lost.is_empty());
    let [exec] = trace.execs.as_slice() else { panic!("{:?}", trace.execs) };
    assert_eq!(exec["hook"], hook);
    assert_eq!(exec["argv"], serde_json::json!(words));
    assert_eq!(exec["filename"], SELF);
    assert_eq!(exec["retval"], 0);
}
