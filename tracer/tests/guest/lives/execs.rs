//! What a life says of the execs in it.

use std::os::unix::ffi::OsStrExt;

use serde_json::{Value, json};

use super::{
    Check, Deed,
    deeds::{bury, end, fork},
};
use crate::{behaviour::tiny, sys::execve};

pub(super) const DEEDS: &[Deed] =
    &[Deed::new("failed_execs_then_a_good_one", failed_then_good), Deed::new("chain_of_execs", chain)];

fn field<'v>(life: &'v Value, name: &str) -> Vec<&'v Value> {
    life["execs"].as_array().unwrap().iter().map(|exec| &exec[name]).collect()
}

fn failed_then_good() -> Check {
    let program = tiny::program("tiny");
    let corpse = bury(fork(|| {
        let argv = ["tiny", "good"];
        execve(b"/nonexistent/file", &["file", "bad"]);
        execve(b"/tmp", &["folder", "bad"]);
        execve(program.as_os_str().as_bytes(), &argv);
        end(99);
    }));
    Box::new(move |told| {
        let life = corpse.check(told);
        assert_eq!(life["exit_code"], 0, "{life}");
        assert_eq!(life["exe"], program.to_str().unwrap(), "{life}");
        assert_eq!(life["comm"], "tiny", "{life}");
        assert_eq!(field(life, "errno"), [&json!("ENOENT"), &json!("EACCES"), &Value::Null], "{life}");
        let names = [json!("/nonexistent/file"), json!("/tmp"), json!(program)];
        assert_eq!(field(life, "filename"), names.iter().collect::<Vec<_>>(), "{life}");
        let argv = [json!(["file", "bad"]), json!(["folder", "bad"]), json!(["tiny", "good"])];
        assert_eq!(field(life, "argv"), argv.iter().collect::<Vec<_>>(), "{life}");
        let last = &life["execs"][2];
        let lasted = life["boot_ns"].as_u64().unwrap() - last["boot_ns"].as_u64().unwrap();
        assert_eq!(last["duration_ns"], lasted, "{life}");
    })
}

/// sh becomes sh becomes tiny: one process, one life.
fn chain() -> Check {
    let program = tiny::program("tiny");
    let corpse = bury(fork(|| {
        let inner = format!("exec {} last", program.display());
        let outer = format!("exec /bin/sh -c '{inner}'");
        execve(b"/bin/sh", &["sh", "-c", &outer]);
        end(99);
    }));
    Box::new(move |told| {
        let life = corpse.check(told);
        assert_eq!(field(life, "retval"), [&json!(0); 3], "{life}");
        let names = [json!("/bin/sh"), json!("/bin/sh"), json!(program)];
        assert_eq!(field(life, "filename"), names.iter().collect::<Vec<_>>(), "{life}");
        assert_eq!(life["execs"][2]["argv"], json!([program, "last"]), "{life}");
        // Each lasts until the next one, the last until the end.
        let mut times: Vec<_> = field(life, "boot_ns").iter().map(|ns| ns.as_u64().unwrap()).collect();
        times.push(life["boot_ns"].as_u64().unwrap());
        let lasted: Vec<_> = times.windows(2).map(|pair| json!(pair[1] - pair[0])).collect();
        assert_eq!(field(life, "duration_ns"), lasted.iter().collect::<Vec<_>>(), "{life}");
    })
}
