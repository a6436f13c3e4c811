//! Threads are no processes, and whichever of them ends last, a process ends once.

use std::{os::unix::ffi::OsStrExt, thread, time::Duration};

use serde_json::Value;

use super::{
    Check, Corpse, Deed, Told,
    deeds::{bury, end, fork, raise},
    usage::burn,
};
use crate::{
    behaviour::tiny,
    sys::{execve, kernel},
};

pub(super) const DEEDS: &[Deed] = &[
    Deed::new("threads", threads),
    Deed::new("many_threads_end_at_once", at_once),
    Deed::new("another_thread_ends_the_process", exit_group),
    Deed::new("the_first_thread_ends_first", first_ends_first),
    Deed::new("another_thread_executes", executes),
    Deed::new("killed_with_threads", killed),
];

/// Its one life, its one fork and its one exit.
fn once<'t>(told: &'t Told, corpse: &Corpse) -> &'t Value {
    told.one("fork", corpse.pid);
    told.one("exit", corpse.pid);
    corpse.check(told)
}

fn exit_thread(status: i32) -> ! {
    // SAFETY: nothing of this thread's is used by others.
    unsafe { libc::syscall(libc::SYS_exit, status) };
    unreachable!()
}

fn threads() -> Check {
    let corpse = bury(fork(|| {
        let burn = || burn(libc::CLOCK_THREAD_CPUTIME_ID, 50);
        let threads = [(); 4].map(|()| thread::spawn(burn));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }));
    Box::new(move |told| {
        let life = once(told, &corpse);
        let [user, system] = ["user_ns", "system_ns"].map(|name| life[name].as_u64().unwrap());
        assert!((200_000_000..1_000_000_000).contains(&(user + system)), "{life}");
    })
}

/// All threads leave by themselves at the same time, again and again: who is the last is a race.
fn at_once() -> Check {
    let corpses: Vec<_> = (0..20)
        .map(|_| {
            bury(fork(|| {
                let barrier = std::sync::Arc::new(std::sync::Barrier::new(5));
                for _ in 0..4 {
                    let barrier = barrier.clone();
                    thread::spawn(move || {
                        barrier.wait();
                        exit_thread(1);
                    });
                }
                barrier.wait();
                exit_thread(5);
            }))
        })
        .collect();
    Box::new(move |told| {
        for corpse in corpses {
            once(told, &corpse);
        }
    })
}

fn exit_group() -> Check {
    let corpse = bury(fork(|| {
        thread::spawn(|| end(7));
        loop {
            thread::sleep(Duration::from_secs(1));
        }
    }));
    Box::new(move |told| assert_eq!(once(told, &corpse)["exit_code"], 7))
}

/// The status is the first thread's on kernels before 5.18, and the last one's since
/// (kernel/exit.c, `synchronize_group_exit`).
fn first_ends_first() -> Check {
    let corpse = bury(fork(|| {
        thread::spawn(|| {
            thread::sleep(Duration::from_millis(100));
            exit_thread(4);
        });
        exit_thread(9);
    }));
    Box::new(move |told| {
        let life = once(told, &corpse);
        assert_eq!(life["exit_code"], if kernel() < (5, 18) { 9 } else { 4 }, "{life}");
        assert!(life["duration_ns"].as_u64().unwrap() >= 100_000_000, "until the last ends: {life}");
        let exit = told.one("exit", corpse.pid);
        assert_ne!(exit["tid"], corpse.pid, "{exit}");
    })
}

fn executes() -> Check {
    let program = tiny::program("tiny");
    let corpse = bury(fork(|| {
        thread::spawn(move || execve(program.as_os_str().as_bytes(), &["tiny", "from-a-thread"]));
        loop {
            thread::sleep(Duration::from_secs(1));
        }
    }));
    Box::new(move |told| {
        let life = once(told, &corpse);
        assert_eq!(life["exit_code"], 0, "{life}");
        assert_eq!(life["execs"].as_array().map(Vec::len), Some(1), "{life}");
        let exec = told.one("exec", corpse.pid);
        assert_eq!(exec["id"], life["id"], "{exec}");
    })
}

fn killed() -> Check {
    let corpse = bury(fork(|| {
        for _ in 0..4 {
            thread::spawn(|| {
                loop {
                    thread::sleep(Duration::from_secs(1));
                }
            });
        }
        raise(libc::SIGKILL);
    }));
    Box::new(move |told| assert_eq!(once(told, &corpse)["signal"], libc::SIGKILL))
}
