//! What processes use: processor time, memory, bytes.

use std::fs;

use super::{
    Check, Deed,
    deeds::{bury, fork},
};
use crate::{
    behaviour::live,
    sys::{clock, map},
};

pub(super) const DEEDS: &[Deed] =
    &[Deed::new("processor_time", processor_time), Deed::new("memory", memory), Deed::new("bytes", bytes)];

/// Computes until a clock of processor time has gone on so far.
pub(super) fn burn(id: libc::clockid_t, ms: i128) {
    let end = clock(id) + ms * 1_000_000;
    while clock(id) < end {
        for number in 0..10_000_u64 {
            std::hint::black_box(number);
        }
    }
}

fn processor_time() -> Check {
    let corpse = bury(fork(|| burn(libc::CLOCK_PROCESS_CPUTIME_ID, 200)));
    Box::new(move |told| {
        let life = corpse.check(told);
        let [user, system] = ["user_ns", "system_ns"].map(|name| life[name].as_u64().unwrap());
        assert!((200_000_000..1_000_000_000).contains(&(user + system)), "{life}");
        assert!(user > 100_000_000, "{life}");
        let of = corpse.usage.ru_utime;
        let of = of.tv_sec as u64 * 1_000_000_000 + of.tv_usec as u64 * 1_000;
        assert!(user.abs_diff(of) < 50_000_000, "getrusage: {of}: {life}");
    })
}

fn memory() -> Check {
    const SIZE: usize = 20 << 20;
    let corpse = bury(fork(|| {
        let at = map(SIZE, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1);
        for page in (0..SIZE).step_by(4096) {
            // SAFETY: within the mapping.
            unsafe { at.add(page).write_volatile(1) };
        }
        // What is given back was used all the same.
        // SAFETY: our own mapping.
        unsafe { libc::munmap(at.cast(), SIZE) };
    }));
    Box::new(move |told| {
        let life = corpse.check(told);
        assert!(life["max_rss_bytes"].as_u64().unwrap() >= SIZE as u64, "{life}");
        // One for each page, or for each huge one.
        assert!(life["minor_faults"].as_u64().unwrap() >= 10, "{life}");
    })
}

fn bytes() -> Check {
    let file = live::folder().join("bytes");
    let corpse = bury(fork(|| {
        fs::write(&file, vec![1_u8; 100_000]).unwrap();
        for _ in 0..3 {
            assert_eq!(fs::read(&file).unwrap().len(), 100_000);
        }
    }));
    assert_eq!(corpse.status, 0);
    Box::new(move |told| {
        let life = corpse.check(told);
        assert!(life["written_chars"].as_u64().is_some_and(|n| (100_000..101_000).contains(&n)), "{life}");
        assert!(life["read_chars"].as_u64().is_some_and(|n| (300_000..301_000).contains(&n)), "{life}");
    })
}
