//! Who descends from whom, also when they are gone.

use std::os::unix::ffi::OsStrExt;

use super::{
    Check, Deed,
    deeds::{Waiting, bury, end, fork, give, pipe, take},
    told::{ancestors, own_id},
};
use crate::{behaviour::tiny, sys::execve};

pub(super) const DEEDS: &[Deed] = &[Deed::new("double_fork", double_fork), Deed::new("orphans_exec", orphan)];

/// A daemon: its parent and its parent's parent are gone when it executes something.
fn double_fork() -> Check {
    let program = tiny::program("tiny");
    let [read, write] = pipe();
    let [wait, go] = pipe();
    let grandparent = bury(fork(|| {
        let parent = fork(|| {
            let daemon = fork(|| {
                take(wait);
                execve(program.as_os_str().as_bytes(), &["tiny", "daemon"]);
                end(99);
            });
            give(write, daemon);
            end(1);
        });
        give(write, parent);
        bury(parent);
        end(2);
    }));
    // The one that is larger was made later, as long as pids do not come again.
    let (one, two) = (take(read), take(read));
    let (parent, daemon) = (one.min(two), one.max(two));
    give(go, 0);
    let daemon = bury(daemon);
    Box::new(move |told| {
        let life = daemon.check(told);
        assert_eq!(life["exit_code"], 0, "{life}");
        let ids = [parent, grandparent.pid].map(|pid| told.life(pid)["id"].as_str().unwrap());
        assert_eq!(life["ppid"], parent, "{life}");
        assert_eq!(life["parent_id"], ids[0], "{life}");
        for record in [life, told.one("exec", daemon.pid), told.one("exit", daemon.pid)] {
            let chain = ancestors(record);
            assert_eq!(chain[..3], [ids[0], ids[1], own_id()], "{record}");
            assert!(chain.last().unwrap().starts_with("1-"), "{record}");
        }
        let comms: Vec<_> = life["ancestors"].as_array().unwrap().iter().map(|a| &a["comm"]).collect();
        assert!(comms.iter().all(|comm| comm.is_string()), "{life}");
        // At the end its parent is the one that has taken it in: this process.
        let exit = told.one("exit", daemon.pid);
        assert_eq!(exit["parent_id"], *own_id(), "{exit}");
    })
}

/// Its parent dies, and right after that it execs: the chain is the one by birth.
fn orphan() -> Check {
    let program = tiny::program("tiny");
    let [read, write] = pipe();
    let [wait, go] = pipe();
    let parent = Waiting::fork(|| {
        let child = fork(|| {
            take(wait);
            execve(b"/nonexistent/file", &["file", "orphan"]);
            execve(program.as_os_str().as_bytes(), &["tiny", "orphan"]);
            end(99);
        });
        give(write, child);
        end(0);
    });
    let parent = parent.finish();
    let child = take(read);
    give(go, 0);
    let child = bury(child);
    Box::new(move |told| {
        let ids = [told.life(parent.pid)["id"].as_str().unwrap(), own_id()];
        let execs = told.about("exec", child.pid);
        assert_eq!(execs.len(), 2, "{execs:?}");
        for exec in execs {
            assert_eq!(ancestors(exec)[..2], ids, "{exec}");
            assert_eq!(exec["parent_id"], *own_id(), "the parent that it has now: {exec}");
        }
        let life = child.check(told);
        assert_eq!(ancestors(life)[..2], ids, "{life}");
        assert_eq!(life["parent_id"], ids[0], "the parent by birth: {life}");
    })
}
