//! The lines of a run of probes are the types' lines, and carry every byte.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::{collection::vec, prelude::*};
use tracer_common::probe::MAX_VALUES;

use super::{
    Line,
    probe::{AskedStack, Probe, Scalar},
    tests::{bytes_of, check_line},
};
use crate::{
    enrich::Symbols,
    event::{
        ProbeDecoder, WallClock,
        simulate::{SimulatedHit, example_run},
    },
    plan::probe::Stacks,
    sink::{json, samples},
};

#[test]
fn every_sample_is_a_valid_line() {
    let lines = samples::render(&mut samples::json());
    let mut kinds = Vec::new();
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        kinds.push(match check_line(line) {
            Line::ProbeStart(_) => "start",
            Line::Probe(_) => "hit",
            Line::Aggregate(_) => "aggregate",
            Line::Interval(_) => "interval",
            Line::ProbeEnd(_) => "end",
            Line::Lost(_) => "lost",
            Line::Withheld(_) => "withheld",
            other => panic!("{other:?}"),
        });
    }
    kinds.dedup();
    let counted = ["aggregate", "interval"].repeat(4);
    let expected = [&["start", "hit", "start"][..], &counted, &["lost", "withheld", "end"]].concat();
    assert_eq!(kinds, expected);
}

fn render(hit: &SimulatedHit, stacks: Stacks) -> Probe {
    let decoder = ProbeDecoder::new(&example_run(stacks));
    let mut line = Vec::new();
    let record = hit.record();
    json::probe(&decoder.decode(&record).unwrap(), WallClock::default(), &mut Symbols::default(), &mut line);
    match check_line(&line) {
        Line::Probe(probe) => *probe,
        other => panic!("{other:?}"),
    }
}

fn string_of(probe: &Probe, name: &str) -> Vec<u8> {
    let Scalar::Text(text) = &probe.args[name] else { panic!("{name} is no text") };
    bytes_of(text, probe.args_raw.as_ref().and_then(|raw| raw.get(name)))
}

proptest! {
    #[test]
    fn a_hits_line_carries_every_byte(
        filename in vec(any::<u8>(), 0..254),
        comm in vec(1u8..=255, 0..16),
        dfd in any::<i32>(),
        flags in any::<u32>(),
        mode in any::<u16>(),
        retval in any::<i64>(),
        numbers in any::<[u32; 3]>(),
        big in any::<[u64; 3]>(),
    ) {
        let words = [dfd as u64, 0, flags.into(), mode.into(), retval as u64];
        let mut hit = SimulatedHit::of(1, &words, &[(1, &filename)]);
        let record = &mut hit.record;
        record.comm = [0; 16];
        record.comm[..comm.len()].copy_from_slice(&comm);
        [record.pid, record.uid, record.header.tid] = numbers;
        [record.duration_ns, record.cgroup_id, record.header.seq] = big;
        let line = render(&hit, Stacks::default());
        prop_assert_eq!(string_of(&line, "filename"), filename);
        prop_assert_eq!(bytes_of(&line.comm, line.comm_raw.as_ref()), comm);
        prop_assert_eq!([line.pid, line.uid, line.tid], numbers);
        prop_assert_eq!([line.duration_ns.unwrap(), line.cgroup_id, line.seq], big);
        let signed = |value: i64| match u64::try_from(value) {
            Ok(value) => Scalar::Unsigned(value),
            Err(_) => Scalar::Signed(value),
        };
        prop_assert_eq!(&line.args["dfd"], &signed(dfd.into()));
        prop_assert_eq!(&line.args["flags"], &Scalar::Unsigned(flags.into()));
        prop_assert_eq!(&line.args["mode"], &Scalar::Unsigned(mode.into()));
        prop_assert_eq!(&line.retval, &signed(retval));
        prop_assert_eq!(line.errno.is_some(), (-4095..0).contains(&retval));
        prop_assert_eq!((line.missing, line.cut), (None, None));
    }

    /// Whatever a record says, its line is valid.
    #[test]
    fn any_hit_is_a_valid_line(
        point in 0u32..5,
        numbers in vec(any::<u64>(), MAX_VALUES),
        texts in vec(any::<u8>(), 0..40),
        flags in any::<u32>(),
        unreadable in any::<u32>(),
        cut in any::<u32>(),
        stack in vec(any::<u64>(), 0..4),
        stack_error in -200i32..1,
        comm in any::<[u8; 16]>(),
    ) {
        let text_at: &[usize] = [&[0][..], &[1], &[0, 3], &[], &[]][point as usize];
        let texts: Vec<_> = text_at.iter().map(|at| (*at, &texts[..])).collect();
        let mut hit = SimulatedHit::of(point, &numbers, &texts);
        hit.record.flags = flags;
        hit.record.unreadable = unreadable;
        hit.record.cut = cut;
        hit.record.comm = comm;
        hit.record.user_stack_len = stack_error;
        hit.kernel_stack = stack.clone();
        // No process has this id.
        hit.record.pid = u32::MAX;
        let line = render(&hit, Stacks { kernel: true, user: true });
        let AskedStack::Frames(frames) = &line.stack else { panic!("no stack") };
        prop_assert_eq!(frames.iter().map(|frame| frame.address).collect::<Vec<_>>(), stack);
        prop_assert_eq!(line.user_stack == AskedStack::Null(()), stack_error < 0);
        // Each null has its reason, and nothing else has one.
        let missing = line.missing.unwrap();
        for (name, value) in &line.args {
            prop_assert_eq!(*value == Scalar::Null(()), missing.contains_key(&format!("args.{name}")));
        }
        prop_assert!(line.errno.is_none() || line.retval != Scalar::Null(()));
    }
}
