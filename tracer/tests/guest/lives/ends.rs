//! How processes end: with a code, by a signal, with a core.

use std::fs;

use super::{
    Check, Deed,
    deeds::{bury, end, fork, raise},
};
use crate::{behaviour::live, sys::good};

pub(super) const DEEDS: &[Deed] =
    &[Deed::new("exit_codes", exit_codes), Deed::new("signals", signals), Deed::new("core_dump", core_dump)];

fn exit_codes() -> Check {
    let codes = [0, 3, 127, 128, 255];
    let corpses = codes.map(|code| bury(fork(|| end(code))));
    Box::new(move |told| {
        for (code, corpse) in codes.into_iter().zip(corpses) {
            let life = corpse.check(told);
            assert_eq!(life["exit_code"], code, "{life}");
            assert_eq!(life["known_from"], "fork", "{life}");
            assert_eq!(life["execs"].as_array().map(Vec::len), Some(0), "{life}");
        }
    })
}

fn limit_cores(bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: `limit` is readable.
    good("setrlimit", unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) });
}

fn signals() -> Check {
    let signals = [
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGTERM, "SIGTERM"),
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGHUP, "SIGHUP"),
        (libc::SIGPIPE, "SIGPIPE"),
    ];
    let corpses = signals.map(|(signal, _)| {
        bury(fork(|| {
            limit_cores(0);
            raise(signal);
        }))
    });
    Box::new(move |told| {
        for ((signal, name), corpse) in signals.into_iter().zip(corpses) {
            let life = corpse.check(told);
            assert_eq!((&life["signal"], &life["signal_name"]), (&signal.into(), &name.into()), "{life}");
            assert_eq!(life["core"], false, "{life}");
        }
    })
}

fn core_dump() -> Check {
    const PATTERN: &str = "/proc/sys/kernel/core_pattern";
    let folder = live::folder();
    let before = fs::read(PATTERN).unwrap();
    fs::write(PATTERN, format!("{}/core.%p", folder.display())).unwrap();
    let corpse = bury(fork(|| {
        limit_cores(libc::RLIM_INFINITY);
        raise(libc::SIGSEGV);
    }));
    fs::write(PATTERN, before).unwrap();
    Box::new(move |told| {
        let core = folder.join(format!("core.{}", corpse.pid));
        assert!(fs::metadata(&core).is_ok_and(|meta| meta.len() > 4096), "{}", core.display());
        let life = corpse.check(told);
        assert_eq!((&life["signal"], &life["core"]), (&libc::SIGSEGV.into(), &true.into()), "{life}");
    })
}
