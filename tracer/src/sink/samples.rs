//! A run of probes with everything that may come in one, typical and ugly, as each sink shows it.
//!
//! `UPDATE_EXPECT=1 cargo test -p tracer samples` writes `samples/` anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{ffi::OsString, num::NonZeroU32, os::unix::ffi::OsStringExt};

use expect_test::expect_file;
use tracer_common::probe::{MAX_FRAMES, hit};

use super::{Colour, Look, ProbeSink, Table};
use crate::{
    enrich::{Symbols, Users},
    event::{
        Aggregate, Attachment, Bucket, Datum, EndReason, KeyPart, Lost, LostReason, Measure, Measured,
        ProbeDecoder, ProbeEnd, ProbeFilters, ProbeStart, Row, Unit, WallClock, Withheld,
        simulate::{SimulatedHit, example_run},
    },
    plan::probe::{Aggregation, Measure as Measures, Mode, Stacks},
};

const CLOCK: WallClock = WallClock { offset_ns: 1_700_000_000_000_000_000 };
/// No process has it, so nothing of this machine gets into a sample.
const NOBODY: u32 = u32::MAX;

const KALLSYMS: &[u8] = b"ffffffff81300000 T vfs_read
ffffffff81300200 T ksys_read
ffffffff81300400 t do_syscall_64
ffffffff81300800 D data
ffffffffc0000000 t nf_hook\t[nf_tables]
ffffffffc0000100 t nf_end\t[nf_tables]
";

/// Renders all of it.
pub(super) fn render(sink: &mut ProbeSink) -> Vec<u8> {
    let mut out = Vec::new();
    start(sink, Mode::Stream, &mut out);
    hits(sink, &mut out);
    let by = Aggregation {
        keys: vec!["probe".into()],
        measure: Measures::Log2("duration".into()),
        max_keys: 1024,
    };
    start(sink, Mode::Aggregate(by), &mut out);
    counts(sink, &mut out);
    histograms(sink, &mut out);
    let lost = Lost {
        class: tracer_common::Class::Event,
        cpu: Some(1),
        count: 1,
        from_ns: 81_000_000_000,
        to_ns: 82_000_000_000,
        reason: LostReason::RingFull,
    };
    sink.lost(&lost, &mut out);
    sink.lost(
        &Lost {
            class: tracer_common::Class::Event,
            cpu: None,
            count: 23,
            reason: LostReason::MissedReturn,
            ..lost
        },
        &mut out,
    );
    let withheld = Withheld { from_ns: 81_000_000_000, to_ns: 82_000_000_000, sampled: 99, rated: 1 };
    sink.withheld(&withheld, &mut out);
    sink.withheld(&Withheld { sampled: 0, ..withheld }, &mut out);
    sink.end(&end(), &mut out);
    out
}

fn start(sink: &mut ProbeSink, mode: Mode, out: &mut Vec<u8>) {
    let mut run = example_run(Stacks::default());
    run.rate = (mode == Mode::Stream).then_some(NonZeroU32::MIN);
    run.mode = mode;
    let filters = ProbeFilters {
        pids: vec![1, 2],
        comms: vec!["a\"b".into()],
        command: Some(vec!["sh".into(), OsString::from_vec(vec![0xff])]),
        condition: Some("count > 4096 && comm == \"dd\"".into()),
        ..ProbeFilters::default()
    };
    let start = ProbeStart {
        boot_ns: 1,
        version: "0.1.0",
        kernel: "6.12.0",
        specs: &["vfs_read".into(), "tracepoint:sched:*".into()],
        run: &run,
        attachments: &[
            Attachment::By("kprobe_multi"),
            Attachment::By("syscall"),
            Attachment::By("tracepoint"),
            Attachment::Failed("no such function:\n\"tcp_set_state\"".into()),
            Attachment::By("rawtp"),
        ],
        filters: &filters,
    };
    sink.start(&start, out);
}

fn hits(sink: &mut ProbeSink, out: &mut Vec<u8>) {
    let mut show = |stacks: Stacks, hit: &SimulatedHit| {
        let decoder = ProbeDecoder::new(&example_run(stacks));
        sink.hit(&decoder.decode(&hit.record()).unwrap(), out);
    };
    let plain = |hit: &SimulatedHit| (Stacks::default(), hit.clone());
    let changed = |point, numbers: &[u64], texts: &[(usize, &[u8])], change: fn(&mut SimulatedHit)| {
        let mut hit = SimulatedHit::of(point, numbers, texts);
        change(&mut hit);
        plain(&hit)
    };
    let at_fdcwd = -100_i64 as u64;
    let kernel = Stacks { kernel: true, user: false };
    let both = Stacks { kernel: true, user: true };

    let mut stacked = SimulatedHit::example();
    stacked.kernel_stack =
        vec![0xffff_ffff_8130_0000, 0xffff_ffff_8130_0400, 0xffff_ffff_c000_0010, 0xffff_ffff_c000_8000];
    stacked.user_stack = vec![0x55d0_c0a0_2010, 0x7f00_0000_1000];
    stacked.record.pid = NOBODY;
    let mut unreadable_stacks = SimulatedHit::example();
    unreadable_stacks.record.kernel_stack_len = -14;
    unreadable_stacks.record.user_stack_len = -14;
    let mut empty_stack = SimulatedHit::example();
    empty_stack.record.flags |= hit::COMPAT;

    let samples = [
        plain(&SimulatedHit::example()),
        // A thread, a name that would act on a terminal, and an error.
        changed(
            1,
            &[at_fdcwd, 0, 0x8_0000, 0o644, -2_i64 as u64],
            &[(1, b"/tmp/\x1b[2J\xff \"x\"\n")],
            |hit| {
                hit.record.header.tid = 4250;
                hit.record.comm = *b"\x1b[31mdd\xff\n\0\0\0\0\0\0\0";
            },
        ),
        // A text that was cut, one that is empty, and numbers wider than their types.
        changed(1, &[u64::MAX, 0, u64::MAX, u64::MAX, 3], &[(1, &[b'x'; 64])], |hit| hit.record.cut = 1 << 1),
        changed(1, &[3, 0, 0, 0, 4], &[(1, b"")], |_| {}),
        changed(1, &[at_fdcwd, 0, 0, 0, -14_i64 as u64], &[], |hit| hit.record.unreadable = 1 << 1),
        // Only one end of a call.
        changed(0, &[0, 0, 0, 512], &[], |hit| hit.record.flags = hit::RETURN),
        changed(0, &[0, 1, 2], &[(0, b"f")], |hit| hit.record.flags = hit::ENTRY),
        // The greatest numbers.
        changed(0, &[0, u64::MAX, u64::MAX, i64::MIN as u64], &[(0, b"f")], |hit| {
            hit.record.duration_ns = u64::MAX
        }),
        // One moment.
        changed(2, &[0, 17, 0x80, 0], &[(0, b"dd"), (3, "swapper/1 \u{202e}".as_bytes())], |hit| {
            hit.record.flags = hit::ENTRY;
        }),
        changed(3, &[2, 1, u64::from(b'a'), 0], &[], |hit| hit.record.flags = hit::ENTRY),
        changed(3, &[99, 0, 0xff, -104_i64 as u64], &[], |hit| hit.record.flags = hit::ENTRY),
        changed(4, &[0xffff_8880_1234_5678], &[], |hit| hit.record.flags = hit::RETURN),
        changed(4, &[-13_i64 as u64], &[], |hit| hit.record.flags = hit::RETURN),
        (both, stacked),
        (both, unreadable_stacks),
        (kernel, empty_stack),
    ];
    for (stacks, hit) in &samples {
        show(*stacks, hit);
    }
}

fn counts(sink: &mut ProbeSink, out: &mut Vec<u8>) {
    let keys = ["probe", "comm", "uid", "filename"].map(str::to_owned);
    let row = |comm: &'static [u8], uid, last, count| Row {
        key: vec![KeyPart::Probe("kprobe:vfs_read"), KeyPart::Comm(comm), KeyPart::Uid(uid), last],
        measured: Measured::Count(count),
    };
    let text = |text: &'static [u8]| KeyPart::Value(Datum::Text(text));
    let mut aggregate = Aggregate {
        from_ns: 81_000_000_000,
        to_ns: 82_000_000_000,
        keys: &keys,
        of: None,
        rows: vec![
            row(b"cat", 0, text(b"/etc/passwd"), 234),
            row(b"dd", 1000, text(b"a b\xff\n"), 1_000_000),
            row(b"\x1b[2J\xff", 4_294_967_294, KeyPart::Unreadable, u64::from(u32::MAX)),
            row(b"", 0, KeyPart::Cut(b"/a/long/name"), 5),
            row(b"rare", 0, KeyPart::Value(Datum::Result(-2)), 1),
        ],
        keys_full: 7,
        ..Aggregate::default()
    };
    aggregate.top(NonZeroU32::new(4));
    sink.aggregate(&aggregate, out);

    // Everything under one key that has no parts, and an interval in which nothing happened.
    let total = Row { key: Vec::new(), measured: Measured::Count(12) };
    let aggregate = Aggregate { from_ns: 82_000_000_000, to_ns: 83_000_000_000, ..Aggregate::default() };
    sink.aggregate(&Aggregate { rows: vec![total], ..aggregate.clone() }, out);
    sink.aggregate(&Aggregate { keys: &keys, ..aggregate }, out);
}

fn histograms(sink: &mut ProbeSink, out: &mut Vec<u8>) {
    let keys = ["state".to_owned()];
    let key = |name| KeyPart::Value(Datum::Enum { value: 2, name });
    let log2 = [(0, 0), (1, 3), (10, 1), (11, 800), (12, 399), (14, 100), (64, 1), (30, 0), (31, 0), (32, 0)];
    let mut log2: Vec<_> = log2.map(|(bits, count)| Bucket::log2(bits, count)).to_vec();
    log2.sort_by_key(|bucket| bucket.from);
    log2.insert(0, Bucket::negative_log2(3, 7));
    let counts = [4, 0, 9, 1000, 2];
    let step = NonZeroU32::new(1000).unwrap();
    let linear = (0..).zip(counts).map(|(slot, count)| Bucket::linear(-1000, step, 3, slot, count)).collect();
    let row = |name, buckets| Row { key: vec![key(name)], measured: Measured::Histogram(buckets) };
    let mut aggregate = Aggregate {
        from_ns: 81_000_000_000,
        to_ns: 82_000_000_000,
        keys: &keys,
        of: Some(Measure { name: "duration", unit: Unit::Nanoseconds }),
        rows: vec![row(Some("TCP_SYN_SENT"), log2), row(None, vec![Bucket::log2(0, 1)])],
        ..Aggregate::default()
    };
    sink.aggregate(&aggregate, out);
    aggregate.of = Some(Measure { name: "count", unit: Unit::None });
    aggregate.rows = vec![row(None, linear), row(Some("EMPTY"), Vec::new())];
    sink.aggregate(&aggregate, out);
}

fn end() -> ProbeEnd {
    ProbeEnd {
        boot_ns: 90_000_000_000,
        duration_ns: 9_000_000_000,
        reason: EndReason::Duration,
        passed: 100,
        events: 60,
        lost: 10,
        no_room: 10,
        sampled: 20,
        rated: 10,
        unreadable: 1,
        unpaired: 2,
        no_entry: 3,
        keys_full: 4,
        undelivered: 5,
    }
}

/// A sink for JSON.
pub(super) fn json() -> ProbeSink {
    ProbeSink::json(CLOCK, Symbols::of_kallsyms(KALLSYMS))
}

fn table(columns: Option<usize>, colour: Colour) -> ProbeSink {
    let look = Look { columns, colour, utc_offset_s: 3600 };
    ProbeSink::table(Table::new(CLOCK, look, Users::default()), Symbols::of_kallsyms(KALLSYMS))
}

fn text(sink: &mut ProbeSink) -> String {
    String::from_utf8(render(sink)).unwrap().replace('\u{1b}', "ESC")
}

#[test]
fn samples_look_like_this() {
    expect_file!["samples/piped.txt"].assert_eq(&text(&mut table(None, Colour::None)));
    expect_file!["samples/columns-80.txt"].assert_eq(&text(&mut table(Some(80), Colour::None)));
    expect_file!["samples/columns-132.txt"].assert_eq(&text(&mut table(Some(132), Colour::Ansi)));
    expect_file!["samples/probe.jsonl"].assert_eq(&text(&mut json()));
}

#[test]
fn lines_fit_and_are_harmless() {
    use unicode_width::UnicodeWidthStr;
    for columns in 40..200 {
        for line in String::from_utf8(render(&mut table(Some(columns), Colour::None))).unwrap().lines() {
            assert!(!line.chars().any(char::is_control), "{line:?}");
            let width: usize = line.chars().map(|c| c.to_string().width()).sum();
            assert!(width <= columns, "{width} > {columns}: {line}");
        }
    }
}

#[test]
fn hidden_kernel_symbols_are_told_once() {
    let stacks = Stacks { kernel: true, user: false };
    let mut hit = SimulatedHit::example();
    hit.kernel_stack = vec![0xffff_ffff_8130_0000; MAX_FRAMES];
    let record = hit.record();
    let decoder = ProbeDecoder::new(&example_run(stacks));
    let event = decoder.decode(&record).unwrap();
    let symbols = || Symbols::of_kallsyms(b"0000000000000000 T vfs_read\n");
    let look = Look { columns: None, colour: Colour::None, utc_offset_s: 0 };
    let mut out = Vec::new();
    ProbeSink::table(Table::new(CLOCK, look, Users::default()), symbols()).hit(&event, &mut out);
    ProbeSink::json(CLOCK, symbols()).hit(&event, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches("kernel.kptr_restrict").count(), 2, "{text}");
    assert_eq!(text.matches("no more than 127 frames are kept").count(), 2, "{text}");
}
