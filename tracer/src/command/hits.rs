//! Records of hits become events, counts become aggregates, and both become bytes; losses are told where they happened.
//!
//! *Invariant:* a hit that the kernel side saw is shown, counted, or told as lost, exactly once.

use std::{collections::BTreeMap, num::NonZeroU32};

use tracer_common::{Class, probe::operand};

use crate::{
    event::{
        self, Aggregate, Bucket, EndReason, KeyPart, LossTracker, Lost, LostReason, Measured, ProbeDecoder,
        ProbeEnd, ProbeStart, Row, Withheld,
    },
    plan::probe::{self, Mode, ProbeRun},
    session::{
        Counters,
        probe::{self as kept, Part, Totals},
    },
    sink::{Batch, ProbeSink},
};

/// A key as it is kept, and what was counted of it so far.
type Seen = BTreeMap<(Option<u32>, Vec<Part>), (u64, BTreeMap<u32, u64>)>;

/// The way of hits to the output.
pub(super) struct Hits {
    pub(super) sink: ProbeSink,
    pub(super) batch: Batch,
    run: ProbeRun,
    decoder: ProbeDecoder,
    losses: LossTracker,
    events: u64,
    /// Lost otherwise than for want of room in the ring.
    lost_otherwise: u64,
    /// Of these the ones that the kernel skipped.
    skipped: u64,
    start_ns: u64,
    /// What has been shown of an aggregation.
    seen: Seen,
    shown_until: u64,
    keys_full: u64,
    top: Option<NonZeroU32>,
    /// What has been told of `--sample` and `--rate`, and until when.
    withheld: (u64, u64),
    withheld_until: u64,
}

impl Hits {
    pub(super) fn new(
        sink: ProbeSink,
        run: ProbeRun,
        cpus: u32,
        start_ns: u64,
        top: Option<NonZeroU32>,
    ) -> Self {
        Self {
            sink,
            batch: Batch::default(),
            decoder: ProbeDecoder::new(&run),
            run,
            losses: LossTracker::new(Class::Event, cpus as usize, start_ns),
            events: 0,
            lost_otherwise: 0,
            skipped: 0,
            start_ns,
            seen: Seen::new(),
            shown_until: start_ns,
            keys_full: 0,
            top,
            withheld: (0, 0),
            withheld_until: start_ns,
        }
    }

    pub(super) fn run(&self) -> &ProbeRun {
        &self.run
    }

    /// Events shown so far.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    pub(super) fn start(&mut self, start: &ProbeStart<'_>) {
        self.sink.start(start, &mut self.batch.bytes);
    }

    /// Takes one record of the ring. `dropped` reads a CPU's counter.
    pub(super) fn record(&mut self, record: &[u8], dropped: impl FnOnce(u32) -> u64, now_ns: u64) {
        match self.decoder.decode(record) {
            Ok(event) => {
                let cpu = event.cpu;
                let lost = self.losses.event(cpu, event.seq, event.boot_ns, || dropped(cpu));
                if let Some(lost) = lost {
                    self.sink.lost(&lost, &mut self.batch.bytes);
                }
                self.sink.hit(&event, &mut self.batch.bytes);
                self.batch.events += 1;
                self.events += 1;
            }
            Err(error) => {
                eprintln!("tracer: a record cannot be understood, which is a bug: {error}");
                self.lost(1, now_ns, LostReason::Undecodable);
            }
        }
    }

    /// Tells a loss that belongs to no CPU.
    fn lost(&mut self, count: u64, now_ns: u64, reason: LostReason) {
        let lost =
            Lost { class: Class::Event, cpu: None, count, from_ns: self.start_ns, to_ns: now_ns, reason };
        self.sink.lost(&lost, &mut self.batch.bytes);
        self.lost_otherwise += count;
    }

    /// Tells hits that the kernel skipped, `total` so far.
    pub(super) fn skipped(&mut self, total: u64, now_ns: u64) {
        let new = total.saturating_sub(self.skipped);
        if new > 0 {
            self.skipped = total;
            self.lost(new, now_ns, LostReason::Skipped);
        }
    }

    /// Looks at the counters: losses are told although no event follows them.
    pub(super) fn poll(&mut self, counters: &Counters, now_ns: u64) {
        for (cpu, stats) in counters.cpus.iter().enumerate() {
            let (sink, out) = (&mut self.sink, &mut self.batch.bytes);
            self.losses.poll(cpu as u32, stats, now_ns, |lost| sink.lost(&lost, out));
        }
    }

    /// The last look, when nothing is attached and the ring is empty.
    pub(super) fn settle(&mut self, counters: &Counters, now_ns: u64) {
        for (cpu, stats) in counters.cpus.iter().enumerate() {
            let (sink, out) = (&mut self.sink, &mut self.batch.bytes);
            self.losses.settle(cpu as u32, stats, now_ns, |lost| sink.lost(&lost, out));
        }
    }

    /// Shows what was counted since the last time.
    pub(super) fn aggregate(&mut self, rows: &[kept::Row], keys_full: u64, now_ns: u64) {
        let Mode::Aggregate(wanted) = &self.run.mode else { return };
        let by_point = ["probe".to_owned()];
        let new = since(&mut self.seen, rows);
        let measure = &wanted.measure;
        let mut shown = Aggregate {
            from_ns: self.shown_until,
            to_ns: now_ns,
            keys: if wanted.keys.is_empty() { &by_point } else { &wanted.keys },
            of: measured(measure),
            rows: new.iter().map(|row| shown_row(row, &self.run, measure)).collect(),
            left_out: event::LeftOut::default(),
            keys_full: keys_full.saturating_sub(self.keys_full),
        };
        shown.top(self.top);
        self.sink.aggregate(&shown, &mut self.batch.bytes);
        (self.shown_until, self.keys_full) = (now_ns, keys_full);
    }

    /// Tells what `--sample` and `--rate` have left out since the last time.
    pub(super) fn withheld(&mut self, totals: &Totals, now_ns: u64) {
        let withheld = Withheld {
            from_ns: self.withheld_until,
            to_ns: now_ns,
            sampled: totals.sampled.saturating_sub(self.withheld.0),
            rated: totals.rated.saturating_sub(self.withheld.1),
        };
        self.withheld_until = now_ns;
        if withheld.sampled + withheld.rated > 0 {
            self.withheld = (totals.sampled, totals.rated);
            self.sink.withheld(&withheld, &mut self.batch.bytes);
        }
    }

    /// What the run came to.
    pub(super) fn end(&self, reason: EndReason, totals: &Totals, now_ns: u64) -> ProbeEnd {
        ProbeEnd {
            boot_ns: now_ns,
            duration_ns: now_ns.saturating_sub(self.start_ns),
            reason,
            passed: totals.passed,
            events: self.events,
            lost: self.losses.total() + self.lost_otherwise,
            no_room: self.losses.total(),
            sampled: totals.sampled,
            rated: totals.rated,
            unreadable: totals.unreadable,
            unpaired: totals.unpaired,
            no_entry: totals.no_entry,
            keys_full: totals.keys_full,
            undelivered: 0,
        }
    }
}

/// What came to `rows` since `seen`, which becomes them.
fn since(seen: &mut Seen, rows: &[kept::Row]) -> Vec<kept::Row> {
    let mut new = Vec::new();
    for row in rows {
        let before = seen.entry((row.point, row.key.clone())).or_default();
        let count = row.count.saturating_sub(before.0);
        if count == 0 {
            continue;
        }
        let grown = |(number, hits): (&u32, &u64)| {
            let grown = hits.saturating_sub(before.1.get(number).copied().unwrap_or(0));
            (grown > 0).then_some((*number, grown))
        };
        let buckets = row.buckets.iter().filter_map(grown).collect();
        new.push(kept::Row { point: row.point, key: row.key.clone(), count, buckets });
        *before = (row.count, row.buckets.clone());
    }
    new
}

fn measured(measure: &probe::Measure) -> Option<event::Measure<'_>> {
    let name = match measure {
        probe::Measure::Count => return None,
        probe::Measure::Log2(of) | probe::Measure::Linear { of, .. } => of,
    };
    let unit = if name == "duration" { event::Unit::Nanoseconds } else { event::Unit::None };
    Some(event::Measure { name, unit })
}

fn shown_row<'a>(row: &'a kept::Row, run: &'a ProbeRun, measure: &probe::Measure) -> Row<'a> {
    let name_of = |point: u64| {
        let point = usize::try_from(point).ok().and_then(|at| run.points.get(at));
        point.map_or(KeyPart::Unreadable, |point| KeyPart::Probe(&point.name))
    };
    let mut key: Vec<_> = row.point.iter().map(|point| name_of(u64::from(*point))).collect();
    // Points of one run have a key of the same type, or it is shown as the first one has it.
    if let Some(point) = run.points.first() {
        key.extend(point.keys.iter().zip(&row.key).map(|(operand, part)| match part {
            Part::Number(number) if *operand == operand::POINT => name_of(*number),
            Part::Number(number) => KeyPart::of(*operand, point, *number, b""),
            Part::Text { bytes, cut: true } if *operand != operand::COMM => KeyPart::Cut(bytes),
            Part::Text { bytes, .. } => KeyPart::of(*operand, point, 0, bytes),
            Part::Unreadable => KeyPart::Unreadable,
        }));
    }
    let bucket = |(number, count): (&u32, &u64)| {
        let bounds = kept::Bucket::of(measure, *number)?;
        let open = |bound: i128, end: i128| (bound != end).then_some(bound);
        Some(Bucket {
            from: open(bounds.from, i64::MIN.into()),
            to: open(bounds.to, u64::MAX.into()).map(|last| last + 1),
            count: *count,
        })
    };
    let measured = match measure {
        probe::Measure::Count => Measured::Count(row.count),
        _ => Measured::Histogram(row.buckets.iter().filter_map(bucket).collect()),
    };
    Row { key, measured }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_its_operand_says_whatever_it_is_called() {
        let mut run = event::simulate::example_run(probe::Stacks::default());
        for point in &mut run.points {
            point.keys = vec![operand::POINT, operand::UID, operand::COMM];
        }
        let comm = Part::Text { bytes: b"sh\0".to_vec(), cut: false };
        let row = kept::Row {
            point: None,
            key: vec![Part::Number(1), Part::Number(7), comm],
            count: 1,
            buckets: BTreeMap::new(),
        };
        let shown = shown_row(&row, &run, &probe::Measure::Count);
        let name = &run.points[1].name;
        assert_eq!(shown.key, [KeyPart::Probe(name), KeyPart::Uid(7), KeyPart::Comm(b"sh")]);
    }

    #[test]
    fn an_interval_shows_what_is_new() {
        let row = |key, count, bucket| kept::Row {
            point: None,
            key: vec![Part::Number(key)],
            count,
            buckets: BTreeMap::from([(bucket, count)]),
        };
        let mut seen = Seen::new();
        assert_eq!(since(&mut seen, &[row(1, 5, 3), row(2, 1, 0)]), [row(1, 5, 3), row(2, 1, 0)]);
        assert_eq!(since(&mut seen, &[row(1, 7, 3), row(2, 1, 0)]), [row(1, 2, 3)]);
        assert_eq!(since(&mut seen, &[row(1, 7, 3), row(3, 4, 9)]), [row(3, 4, 9)]);
    }
}
