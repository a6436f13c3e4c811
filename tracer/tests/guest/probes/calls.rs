//! Functions: arguments, strings, results, durations, nesting and recursion, by every mechanism.

use tracer::plan::probe::Ends;
use tracer_common::probe::{Fetch, hit};

use super::{
    hit::all,
    run::{Host, argument, point, result, run, sink, user_text, write},
};
use crate::{harness::Test, sys};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::one("probes::calls::entry", 60, entry),
        Test::one("probes::calls::joined", 60, joined),
        Test::one("probes::calls::returned", 60, returned),
        Test::one("probes::calls::texts", 60, texts),
        Test::one("probes::calls::duration", 60, duration),
        Test::one("probes::calls::recursion", 60, recursion),
        Test::one("probes::calls::nesting", 60, nesting),
    ]
}

const LENGTHS: [usize; 4] = [1, 7, 4096, 0];

fn write_lengths() {
    let (fd, bytes) = (sink(), vec![b'x'; 4096]);
    for len in LENGTHS {
        assert_eq!(write(fd, bytes.as_ptr(), len), len as i64);
    }
}

fn entry() {
    let host = Host::new();
    for (way, place) in host.ways("vfs_write", 4) {
        let mut attached = host.start(&run(vec![point(place, Ends::Entry, &[argument(2)])]));
        write_lengths();
        let hits = all(&mut attached);
        let lengths: Vec<_> = hits.iter().map(|hit| hit.number(0) as usize).collect();
        assert_eq!(lengths, LENGTHS, "{way}");
        for hit in &hits {
            assert_eq!(hit.probe.flags, hit::ENTRY, "{way}");
            assert_eq!(hit.probe.pid, std::process::id());
            assert_eq!(hit.duration(), 0);
            assert!(hit.probe.comm.starts_with(b"exe\0") || hit.probe.comm.starts_with(b"guest-tests"));
        }
        assert_eq!(attached.totals().passed, LENGTHS.len() as u64);
    }
}

fn joined() {
    let host = Host::new();
    for (way, place) in host.ways("vfs_write", 4) {
        let mut attached = host.start(&run(vec![point(place, Ends::Both, &[argument(2), result()])]));
        let fd = sink();
        let before = sys::clock(libc::CLOCK_BOOTTIME);
        write_lengths();
        assert_eq!(write(fd, std::ptr::without_provenance(1), 5), -i64::from(libc::EFAULT));
        let after = sys::clock(libc::CLOCK_BOOTTIME);
        let hits = all(&mut attached);
        let seen: Vec<_> = hits.iter().map(|hit| (hit.number(0), hit.number(1))).collect();
        assert_eq!(seen, [(1, 1), (7, 7), (4096, 4096), (0, 0), (5, -14)], "{way}");
        for hit in &hits {
            assert_eq!(hit.probe.flags, hit::ENTRY | hit::RETURN, "{way}");
            assert!(hit.duration() > 0 && i128::from(hit.duration()) < after - before, "{way}");
            let at = i128::from(hit.probe.header.boot_ns);
            assert!(before < at && at < after, "{way}");
        }
        let totals = attached.totals();
        assert_eq!((totals.unpaired, totals.no_entry, totals.no_return), (0, 0, 0), "{way}");
    }
}

fn returned() {
    let host = Host::new();
    for (way, place) in host.ways("vfs_write", 4) {
        let mut attached = host.start(&run(vec![point(place, Ends::Return, &[result()])]));
        write_lengths();
        let hits = all(&mut attached);
        let results: Vec<_> = hits.iter().map(|hit| hit.number(0) as usize).collect();
        assert_eq!(results, LENGTHS, "{way}");
        assert!(hits.iter().all(|hit| hit.probe.flags == hit::RETURN), "{way}");
    }
}

/// Texts of the limit's length, longer ones, empty ones, and some that cannot be read.
fn texts() {
    let host = Host::new();
    for (way, place) in host.ways("vfs_write", 4) {
        let values = [user_text(1, 8), user_text(1, 254), result()];
        let mut attached = host.start(&run(vec![point(place, Ends::Both, &values)]));
        let fd = sink();
        let long = [[b'y'; 254].as_slice(), b"\0"].concat();
        let longer = [[b'z'; 255].as_slice(), b"\0"].concat();
        for text in [b"\0".as_slice(), b"1234567\0", b"12345678\0", b"123456789\0", &long, &longer] {
            assert_eq!(write(fd, text.as_ptr(), text.len()), text.len() as i64);
        }
        write(fd, std::ptr::without_provenance(1), 1);
        let hits = all(&mut attached);
        let short: Vec<_> = hits[..6].iter().map(|hit| (hit.text(0), hit.is_cut(0))).collect();
        let eight = |text: &'static [u8], cut| (text, cut);
        assert_eq!(
            short,
            [
                eight(b"", false),
                eight(b"1234567", false),
                eight(b"12345678", false),
                eight(b"12345678", true),
                eight(b"yyyyyyyy", true),
                eight(b"zzzzzzzz", true)
            ],
            "{way}"
        );
        let whole: Vec<_> = hits[..6].iter().map(|hit| (hit.text(1).len(), hit.is_cut(1))).collect();
        assert_eq!(
            whole,
            [(0, false), (7, false), (8, false), (9, false), (254, false), (254, true)],
            "{way}"
        );
        assert_eq!(hits.len(), 7);
        assert!(hits[6].is_unreadable(0) && hits[6].is_unreadable(1), "{way}");
        assert_eq!(hits[6].number(2), -14, "{way}");
    }
}

fn duration() {
    let host = Host::new();
    for (way, place) in host.ways("hrtimer_nanosleep", 3) {
        let mut attached = host.start(&run(vec![point(place, Ends::Both, &[])]));
        std::thread::sleep(std::time::Duration::from_millis(60));
        let hits = all(&mut attached);
        let [hit] = hits.as_slice() else { panic!("{way}: {} hits", hits.len()) };
        assert!((60_000_000..2_000_000_000).contains(&hit.duration()), "{way}: {} ns", hit.duration());
    }
}

/// An event descriptor in an epoll in an epoll in an epoll: what wakes the first calls `ep_poll_callback` within
/// itself, once for each.
fn recursion() {
    const DEPTH: usize = 3;
    let host = Host::new();
    for (way, place) in host.ways("ep_poll_callback", 4) {
        // SAFETY: descriptors and a structure that lives across the call.
        let event = unsafe {
            let event = sys::good("eventfd", libc::eventfd(0, 0));
            let mut inner = event;
            for _ in 0..DEPTH {
                let outer = sys::good("epoll_create1", libc::epoll_create1(0));
                let mut what = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
                sys::good("epoll_ctl", libc::epoll_ctl(outer, libc::EPOLL_CTL_ADD, inner, &raw mut what));
                inner = outer;
            }
            event
        };
        let mut attached = host.start(&run(vec![point(place, Ends::Both, &[argument(0), result()])]));
        assert_eq!(write(event, 1_u64.to_ne_bytes().as_ptr(), 8), 8);
        let hits = all(&mut attached);
        let totals = attached.totals();
        // Before 5.14 a return probe has as many instances as there are CPUs: what it does not show is counted, and
        // takes no other call's place.
        let few = way == "kprobe" && sys::kernel() < (5, 14);
        let missed = if few { DEPTH - host.facts.possible_cpus as usize } else { 0 };
        assert_eq!((hits.len(), totals.no_return), (DEPTH - missed, missed as u64), "{way}");
        // The innermost ends first.
        for pair in hits.windows(2) {
            let (inner, outer) = (&pair[0], &pair[1]);
            assert!(inner.probe.header.boot_ns > outer.probe.header.boot_ns, "{way}");
            assert!(inner.duration() < outer.duration(), "{way}");
            assert_ne!(inner.number(0), outer.number(0), "{way}");
        }
        assert_eq!((totals.unpaired, totals.no_entry), (0, 0), "{way}");
    }
}

/// A function within another, of one run.
fn nesting() {
    let host = Host::new();
    for ((way, outer), (_, inner)) in host.ways("ksys_write", 3).into_iter().zip(host.ways("vfs_write", 4)) {
        let points = vec![
            point(outer, Ends::Both, &[Fetch { size: 4, ..argument(0) }, result()]),
            point(inner, Ends::Both, &[argument(2), result()]),
        ];
        let mut attached = host.start(&run(points));
        let fd = sink();
        assert_eq!(write(fd, [0; 9].as_ptr(), 9), 9);
        let hits = all(&mut attached);
        let seen: Vec<_> = hits.iter().map(|h| (h.probe.point, h.number(0), h.number(1))).collect();
        assert_eq!(seen, [(1, 9, 9), (0, i64::from(fd), 9)], "{way}");
        assert!(hits[0].duration() < hits[1].duration(), "{way}");
    }
}
