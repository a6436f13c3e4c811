//! The decoders against a simulated kernel side, and against any bytes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::num::NonZeroU32;

use proptest::collection::vec;
use proptest::prelude::*;
use tracer::event::simulate::{SimulatedExec, records_from};
use tracer::event::{
    ArgShape, Args, Assembler, Cut, EnvWanted, Event, ExecEvent, GapReason, Limits, Missing, ProcessId,
    Unavailable, Value, WallClock,
};
use tracer::sink::{Around, Sink};
use tracer_common::{cut, field, flag};

/// Pushes all records, and checks the event that comes of the last one.
fn check(exec: &SimulatedExec, assembler: &mut Assembler, check: impl FnOnce(&ExecEvent<'_>)) {
    let records = exec.records();
    let (last, chunks) = records.split_last().unwrap();
    for chunk in chunks {
        assert!(assembler.push(chunk).unwrap().is_none());
    }
    check(&assembler.push(last).unwrap().and_then(Event::exec).unwrap());
}

fn check_default(exec: &SimulatedExec, then: impl FnOnce(&ExecEvent<'_>)) {
    check(exec, &mut Assembler::default(), then);
}

fn limits(max_args: u32, max_bytes: u32) -> Limits {
    Limits { max_args: NonZeroU32::new(max_args), max_bytes: NonZeroU32::new(max_bytes) }
}

fn whole(args: &Args<'_>) -> Vec<Vec<u8>> {
    assert!(args.gaps().is_empty());
    args.iter()
        .map(|arg| {
            assert_eq!(arg.shape, ArgShape::Whole);
            arg.bytes.to_vec()
        })
        .collect()
}

fn argument() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => vec(1u8..=255, 0..12),
        1 => vec(1u8..=255, 3000..9000),
    ]
}

fn arguments() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop_oneof![4 => vec(argument(), 0..12), 1 => vec(vec(1u8..=255, 0..3), 2000..4000)]
}

#[test]
fn an_exec_is_decoded() {
    check_default(&SimulatedExec::example(), |event| {
        assert_eq!(event.pid, 4242);
        assert_eq!(event.comm, b"true");
        assert_eq!(event.parent_comm, Value::Known(&b"bash"[..]));
        assert_eq!(event.filename, Value::Known(&b"/usr/bin/true"[..]));
        assert_eq!(event.exe, Value::Known(&b"/usr/bin/true"[..]));
        assert_eq!(event.cwd, Value::Known(&b"/home/user"[..]));
        assert_eq!(event.dirfd, Value::Known(None));
        assert_eq!(event.interpreter, Value::Known(None));
        assert_eq!(event.argc, Value::Known(3));
        let id = ProcessId { pid: 4242, start_ns: 81_234_000_000 };
        assert_eq!(event.id, Value::Known(id));
        assert!(event.env.is_none() && !event.failed());
        event.each_missing(|name, _| panic!("{name} is missing"));
    });
}

#[test]
fn absent_fields_say_why() {
    let mut unavailable = Unavailable::default();
    unavailable.add(field::SESSION_ID, "no audit");
    let mut assembler = Assembler::new(Limits::default(), EnvWanted::None, unavailable);
    let mut exec = SimulatedExec::example();
    exec.exec.missing = field::CWD | field::SESSION_ID | field::SET_ID;
    exec.exec.login_uid = u32::MAX;
    exec.exec.cut = cut::EXE;
    check(&exec, &mut assembler, |event| {
        assert_eq!(event.session_id.missing(), Some(Missing::Unavailable("no audit")));
        assert_eq!(event.login_uid.missing(), Some(Missing::NotSet));
        assert_eq!(event.exe, Value::Partial(&b"usr/bin/true"[..], Cut::PathStart));
        let mut names = Vec::new();
        event.each_missing(|name, _| names.push(name));
        assert_eq!(names, ["login_uid", "session_id", "cwd", "set_uid", "set_gid", "privilege"]);
    });
}

#[test]
fn execveat_is_shown_as_it_was_called() {
    let mut exec = SimulatedExec::example();
    exec.exec.flags = flag::EXECVEAT;
    exec.filename = b"/dev/fd/5/bin/x".to_vec();
    check_default(&exec, |event| {
        assert_eq!(event.filename, Value::Known(&b"bin/x"[..]));
        assert_eq!(event.dirfd, Value::Known(Some(5)));
    });
    exec.exec.retval = -2;
    exec.exec.dirfd = 6;
    check_default(&exec, |event| {
        assert_eq!(event.filename, Value::Known(&b"/dev/fd/5/bin/x"[..]));
        assert_eq!(event.dirfd, Value::Known(Some(6)));
    });
}

#[test]
fn unreadable_arguments_are_no_empty_strings() {
    let mut exec = SimulatedExec::example();
    exec.exec.retval = -14;
    exec.argv = [&b"a"[..], b"", b"", b"d"].map(<[u8]>::to_vec).to_vec();
    exec.exec.unreadable_count = 1;
    exec.exec.unreadable[0] = 2;
    check_default(&exec, |event| {
        let shapes: Vec<_> = event.argv.shown().unwrap().iter().map(|arg| arg.shape).collect();
        use ArgShape::{Unread, Whole};
        assert_eq!(shapes, [Whole, Whole, Unread, Whole]);
        assert_eq!(event.argv_unread, 1);
    });
    // More of them than are listed: an empty string behind the last listed one may be one.
    exec.argv = vec![Vec::new(); 12];
    exec.exec.unreadable_count = 10;
    exec.exec.unreadable = [1, 2, 3, 4, 5, 6, 7, 8];
    check_default(&exec, |event| {
        let unread = event.argv.shown().unwrap().iter().map(|arg| arg.shape == ArgShape::Unread);
        assert_eq!(unread.filter(|unread| *unread).count(), 11);
    });
}

#[test]
fn the_kernels_own_limit_leaves_an_open_end() {
    let mut exec = SimulatedExec::example();
    exec.exec.cut = cut::ARGV_END;
    check_default(&exec, |event| {
        let args = event.argv.shown().unwrap();
        assert_eq!(args.len(), 3);
        let gap = args.gaps()[0];
        assert_eq!((gap.at, gap.args, gap.bytes), (3, None, None));
        assert_eq!(gap.reason, GapReason::Limit);
        assert_eq!(event.argc, Value::Partial(3, Cut::AtLeast));
    });
}

#[test]
fn an_argument_cut_in_its_middle_is_two_pieces() {
    let mut exec = SimulatedExec::example();
    exec.argv = vec![b"sh".to_vec(), b"-c".to_vec(), vec![b'x'; 10_000]];
    let mut assembler = Assembler::new(limits(0, 100), EnvWanted::None, Unavailable::default());
    check(&exec, &mut assembler, |event| {
        let args = event.argv.shown().unwrap();
        let shapes: Vec<_> = args.iter().map(|arg| (arg.shape, arg.bytes.len())).collect();
        use ArgShape::{Head, Tail, Whole};
        assert_eq!(shapes, [(Whole, 2), (Whole, 2), (Head, 44), (Tail, 49)]);
        let gap = args.gaps()[0];
        assert_eq!((gap.at, gap.args, gap.bytes), (3, Some(0), Some(9907)));
        assert_eq!(gap.reason, GapReason::MaxBytes);
        assert_eq!(event.argc, Value::Known(3));
        assert_eq!(event.argv_bytes, Value::Known(10_007));
    });
}

#[test]
fn interleaved_events_do_not_mix() {
    let mut first = SimulatedExec::example();
    first.argv = vec![vec![b'1'; 20_000]];
    let mut second = first.clone();
    second.exec.header.tid = 9;
    second.argv = vec![vec![b'2'; 20_000]];
    let mut assembler = Assembler::default();
    let mut seen = Vec::new();
    for (a, b) in first.records().iter().zip(&second.records()) {
        for record in [a, b] {
            if let Some(Event::Exec(event)) = assembler.push(record).unwrap() {
                seen.push(whole(&event.argv.shown().unwrap()));
            }
        }
    }
    assert_eq!(seen, [first.argv, second.argv]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arguments_survive(argv in arguments(), env in vec(vec(1u8..=255, 0..300), 0..40)) {
        let mut exec = SimulatedExec::example();
        exec.argv = argv;
        exec.env = env;
        let mut assembler = Assembler::new(Limits::default(), EnvWanted::All, Unavailable::default());
        check(&exec, &mut assembler, |event| {
            assert_eq!(whole(&event.argv.shown().unwrap()), exec.argv);
            assert_eq!(whole(&event.env.unwrap().shown().unwrap()), exec.env);
        });
        prop_assert_eq!(assembler.orphans(), 0);
    }

    #[test]
    fn limits_keep_head_and_tail(argv in arguments(), max_args in 0u32..8, max_bytes in 0u32..9000) {
        let mut exec = SimulatedExec::example();
        exec.argv = argv.clone();
        let mut assembler = Assembler::new(limits(max_args, max_bytes), EnvWanted::None, Unavailable::default());
        check(&exec, &mut assembler, |event| {
            let args = event.argv.shown().unwrap();
            let stream: Vec<u8> = argv.iter().flat_map(|a| a.iter().copied().chain([0])).collect();
            assert_eq!(event.argc, Value::Known(argv.len() as u32));
            assert_eq!(event.argv_bytes, Value::Known(stream.len() as u32));
            let fits_bytes = max_bytes == 0 || stream.len() <= max_bytes as usize;
            let fits_args = max_args == 0 || argv.len() <= max_args as usize;
            if fits_bytes && fits_args {
                assert_eq!(whole(&args), argv);
                return;
            }
            // One gap; what is shown before and after it is a prefix and a suffix of the stream.
            assert_eq!(args.gaps().len(), 1);
            let gap = args.gaps()[0];
            let shown: Vec<_> = args.iter().collect();
            let (before, after) = shown.split_at(gap.at);
            let mut head = before.iter().map(|a| a.bytes).collect::<Vec<_>>().join(&0);
            let tail: Vec<u8> = after.iter().flat_map(|a| a.bytes.iter().copied().chain([0])).collect();
            let shown_bytes = stream.len() - gap.bytes.unwrap() as usize;
            // The last argument's terminator may be shown, or be in the gap.
            if head.len() + tail.len() < shown_bytes {
                head.push(0);
            }
            assert_eq!(head.len() + tail.len(), shown_bytes);
            assert!(stream.starts_with(&head));
            assert!(stream.ends_with(&tail));
            if !fits_bytes {
                assert!(shown_bytes <= max_bytes as usize);
            }
            if !fits_args {
                assert!(before.len() <= max_args.div_ceil(2) as usize);
                assert!(after.len() <= max_args as usize / 2);
            }
            let (mut start, mut absent) = (0, 0);
            for argument in &argv {
                let nul = start + argument.len();
                absent += u32::from(start >= head.len() && nul < stream.len() - tail.len());
                start = nul + 1;
            }
            assert_eq!(gap.args, Some(absent));
        });
    }

    #[test]
    fn holes_are_told(argv in arguments(), lost in vec(0u64..6, 0..4), max_args in 0u32..8) {
        let mut exec = SimulatedExec::example();
        exec.argv = argv.clone();
        exec.lost_chunks = lost;
        let mut assembler = Assembler::new(limits(max_args, 0), EnvWanted::None, Unavailable::default());
        let mut absent = 0;
        let chunks = argv.iter().map(|a| a.len() + 1).sum::<usize>() / 4096;
        for chunk in 0..chunks as u64 {
            absent += u64::from(exec.lost_chunks.contains(&chunk)) * 4096;
        }
        check(&exec, &mut assembler, |event| {
            let args = event.argv.shown().unwrap();
            let told: u64 = args.gaps().iter().map(|gap| gap.bytes.unwrap()).sum();
            assert!(told >= absent);
            assert_eq!(event.argc, Value::Known(argv.len() as u32));
            if max_args == 0 || argv.len() <= max_args as usize {
                // Ends of arguments that are empty are left to the gap.
                assert!(told - absent <= args.gaps().len() as u64);
                assert!(args.gaps().iter().all(|gap| gap.reason == GapReason::Lost));
            }
            for arg in args.iter().filter(|arg| arg.shape == ArgShape::Whole) {
                assert!(argv.iter().any(|a| a == arg.bytes));
            }
        });
    }

    #[test]
    fn any_bytes_are_an_event_or_an_error(data in vec(any::<u8>(), 0..3000)) {
        let mut assembler = Assembler::new(limits(3, 9), EnvWanted::All, Unavailable::default());
        let mut sink = Sink::Json(WallClock::default());
        let mut out = Vec::new();
        for record in &records_from(&data) {
            if let Ok(Some(Event::Exec(event))) = assembler.push(record) {
                out.clear();
                sink.exec(&event, Around::default(), &mut out);
                serde_json::from_slice::<serde_json::Value>(&out).unwrap();
            }
        }
    }

    #[test]
    fn a_damaged_record_is_an_event_or_an_error(
        argv in arguments(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        keep in any::<prop::sample::Index>(),
        max_args in 0u32..4,
        max_bytes in 0u32..4,
    ) {
        let mut exec = SimulatedExec::example();
        exec.argv = argv;
        let mut assembler = Assembler::new(limits(max_args, max_bytes), EnvWanted::All, Unavailable::default());
        let mut records = exec.records();
        let count = records.len();
        for (at, byte) in damage {
            let record = &mut records[at.index(count)];
            let at = at.index(record.len().min(240));
            record[at] ^= byte;
        }
        let shortened = keep.index(count);
        let len = keep.index(records[shortened].len());
        if len % 3 == 0 {
            records[shortened].truncate(len);
        }
        for record in &records {
            if let Ok(Some(Event::Exec(event))) = assembler.push(record) {
                if let Some(args) = event.argv.shown() {
                    args.iter().for_each(drop);
                }
                event.each_missing(|_, _| ());
            }
        }
    }
}
