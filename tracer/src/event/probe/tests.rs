//! The decoder against a simulated kernel side, and against any bytes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::event::simulate::{SimulatedHit, example_run, hit_from, probe_record};

const BOTH: Stacks = Stacks { kernel: true, user: true };

fn decoder(stacks: Stacks) -> ProbeDecoder {
    ProbeDecoder::new(&example_run(stacks))
}

fn check(hit: &SimulatedHit, check: impl FnOnce(&ProbeEvent<'_>)) {
    check(&decoder(BOTH).decode(&hit.record()).unwrap());
}

fn args<'a>(event: &ProbeEvent<'a>) -> Vec<(&'a str, Value<'a, Datum<'a>>)> {
    event.args().collect()
}

fn error(record: &[u8]) -> String {
    decoder(BOTH).decode(record).unwrap_err().to_string()
}

#[test]
fn a_hit_is_decoded() {
    let mut hit = SimulatedHit::example();
    hit.kernel_stack = vec![1, 2];
    check(&hit, |event| {
        assert_eq!((event.boot_ns, event.cpu, event.seq), (81_234_567_890, 1, 7));
        assert_eq!((event.hook, event.probe, event.point), ("kprobe", "kprobe:vfs_read", 0));
        assert_eq!((event.pid, event.tid, event.uid, event.cgroup_id), (4242, 4242, 1000, 4567));
        assert_eq!(event.comm(), b"dd");
        assert_eq!(event.duration_ns, Some(Value::Known(12_345)));
        // What only a filter wants is not shown.
        let expected = [
            ("file.f_path.dentry.d_name.name", Value::Known(Datum::Text(b"passwd"))),
            ("buf", Value::Known(Datum::Pointer(0x7ffe_0000_1000))),
            ("count", Value::Known(Datum::Unsigned(4096))),
        ];
        assert_eq!(args(event), expected);
        assert_eq!((event.retval(), event.errno()), (Some(Value::Known(Datum::Result(4096))), None));
        let frames = event.kernel_stack.unwrap().shown().unwrap();
        assert_eq!(frames.iter().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(event.user_stack, Some(Value::Known(Frames(&[]))));
    });
}

#[test]
fn a_stack_that_nobody_asked_for_is_none() {
    let record = SimulatedHit::example().record();
    let decoder = decoder(Stacks::default());
    let event = decoder.decode(&record).unwrap();
    assert_eq!((event.kernel_stack, event.user_stack), (None, None));
}

#[test]
fn a_stack_that_is_not_there_says_why() {
    let mut hit = SimulatedHit::example();
    hit.record.kernel_stack_len = -14;
    hit.user_stack = vec![7; MAX_FRAMES];
    check(&hit, |event| {
        assert_eq!(event.kernel_stack, Some(Value::Missing(Missing::Errno(14))));
        assert_eq!(event.user_stack.unwrap().cut(), Some(Cut::Frames));
    });
}

#[test]
fn values_of_an_end_that_was_not_seen_are_missing() {
    let mut hit = SimulatedHit::example();
    // Texts of an entry that was not seen lie nowhere.
    hit.record.values[0] = u64::MAX;
    hit.texts.clear();
    hit.record.flags = hit::RETURN;
    check(&hit, |event| {
        assert!(args(event).iter().all(|(_, value)| value.missing() == Some(Missing::EntryUnseen)));
        assert_eq!(event.duration_ns, Some(Value::Missing(Missing::EntryUnseen)));
        assert_eq!(event.retval().unwrap().shown(), Some(Datum::Result(4096)));
    });
    let mut hit = SimulatedHit::example();
    hit.record.flags = hit::ENTRY;
    check(&hit, |event| {
        assert!(args(event).iter().all(|(_, value)| value.missing().is_none()));
        assert_eq!(event.duration_ns, Some(Value::Missing(Missing::ReturnUnseen)));
        assert_eq!(event.retval(), Some(Value::Missing(Missing::ReturnUnseen)));
    });
}

#[test]
fn a_point_with_one_end_misses_none() {
    let mut hit = SimulatedHit::of(4, &[-13_i64 as u64], &[]);
    hit.record.flags = hit::RETURN;
    check(&hit, |event| {
        assert_eq!((event.duration_ns, event.errno()), (None, Some(13)));
        assert_eq!(args(event), []);
    });
}

#[test]
fn cut_and_unreadable_values_say_so() {
    let mut hit = SimulatedHit::of(1, &[0, 0, 0, 0, 3], &[(1, b"/etc/pa")]);
    hit.record.cut = 1 << 1;
    hit.record.unreadable = 1 << 2;
    check(&hit, |event| {
        let args = args(event);
        assert_eq!(args[1].1, Value::Partial(Datum::Text(b"/etc/pa"), Cut::Text(64)));
        assert_eq!(args[2].1, Value::Missing(Missing::Unread));
        assert_eq!(args[0].1, Value::Known(Datum::Signed(0)));
    });
}

#[test]
fn a_parameter_that_is_called_retval_is_none() {
    let mut run = example_run(Stacks::default());
    run.points[0].values[1].name = "retval".into();
    let record = SimulatedHit::example().record();
    let decoder = ProbeDecoder::new(&run);
    let event = decoder.decode(&record).unwrap();
    assert_eq!(event.retval(), Some(Value::Known(Datum::Result(4096))));
    assert_eq!(args(&event)[1], ("retval", Value::Known(Datum::Pointer(0x7ffe_0000_1000))));
}

#[test]
fn a_record_that_breaks_the_contract_is_an_error() {
    let mut hit = SimulatedHit::example();
    hit.record.point = 5;
    assert_eq!(error(&hit.record()), "a hit of tid 4242 (cpu 1) is of point 5, but there are 5");

    let mut record = SimulatedHit::example().record;
    record.text_len = 1;
    assert_eq!(
        error(&probe_record(record, b"")),
        "the hit of tid 4242 (cpu 1) names 1 bytes of stacks and texts, but carries 0"
    );
    record.text_len = 0;
    record.kernel_stack_len = 7;
    assert_eq!(
        error(&probe_record(record, b"1234567")),
        "the hit of tid 4242 (cpu 1) has a stack of 7 bytes, which are no whole addresses"
    );
    record.kernel_stack_len = 0;
    record.text_len = 4;
    record.values[0] = 3 | 2 << 32;
    assert_eq!(
        error(&probe_record(record, b"text")),
        "the hit of tid 4242 (cpu 1) has its text 0 outside of its 4 bytes of texts"
    );
    // One that could not be read lies nowhere.
    record.unreadable = 1;
    assert!(decoder(BOTH).decode(&probe_record(record, b"text")).is_ok());

    let mut record = SimulatedHit::example().record();
    assert_eq!(error(&record[..100]), "a record says that it has 238 bytes, but 100 arrived");
    record[4] = 2;
    assert_eq!(error(&record), "a record of unknown kind 2 (cpu 1, tid 4242)");
}

/// Looks at everything that an event shows.
fn look_at(event: &ProbeEvent<'_>) {
    for (name, value) in event.args() {
        assert!(!name.is_empty());
        let _ = (value, value.shown().and_then(|value| value.errno()));
    }
    let _ = (event.comm(), event.retval(), event.errno());
    for stack in [event.kernel_stack, event.user_stack].into_iter().flatten() {
        let _ = stack.shown().map(|frames| frames.iter().max());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Any bytes are an event or an error.
    #[test]
    fn any_bytes_are_an_event_or_an_error(bytes in vec(any::<u8>(), 0..600), mend in any::<u8>()) {
        match decoder(BOTH).decode(&hit_from(&bytes, mend)) {
            Ok(event) => look_at(&event),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    /// Any numbers in a record whose parts are whole are an event, if its texts lie within it.
    #[test]
    fn any_numbers_are_an_event_if_the_texts_are_there(
        point in 0u32..6,
        numbers in vec(any::<u64>(), MAX_VALUES),
        places in vec((0u64..48, 0u64..48), MAX_VALUES),
        texts_of in any::<u16>(),
        flags in any::<u32>(),
        unreadable in any::<u32>(),
        cut in any::<u32>(),
    ) {
        let mut record = SimulatedHit::of(point, &numbers, &[]).record;
        for (at, (start, len)) in places.iter().enumerate().filter(|(at, _)| texts_of & 1 << at != 0) {
            record.values[at] = start | len << 32;
        }
        (record.flags, record.unreadable, record.cut, record.text_len) = (flags, unreadable, cut, 64);
        match decoder(BOTH).decode(&probe_record(record, &[b'x'; 64])) {
            Ok(event) => look_at(&event),
            Err(DecodeError::Point { .. }) => prop_assert_eq!(point, 5),
            Err(DecodeError::Text { value, .. }) => {
                let (start, len) = (record.values[value] & 0xffff_ffff, record.values[value] >> 32);
                prop_assert!(start + len > 64);
                prop_assert_eq!(unreadable & 1 << value, 0);
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
