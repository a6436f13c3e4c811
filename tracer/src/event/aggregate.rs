//! What an aggregation came to between two moments: numbers and histograms by key.
//!
//! *Invariant:* what a cut ([`Aggregate::top`]) leaves out is counted: [`Aggregate::total`] is the same before and
//! after it.
//!
//! *Must not know:* how the kernel side keeps keys and buckets, how they are rendered.

use std::num::NonZeroU32;

use tracer_common::probe::{MAX_VALUES, operand};

use super::{Datum, probe::is_text};
use crate::plan::probe::Point;

/// One interval of an aggregation.
#[derive(Clone, Debug, Default)]
pub struct Aggregate<'a> {
    /// Boot times between which it was counted.
    pub from_ns: u64,
    pub to_ns: u64,
    /// Names of the parts of the keys.
    pub keys: &'a [String],
    /// What the histograms measure; `None`: hits are counted.
    pub of: Option<Measure<'a>>,
    /// The most frequent first, once sorted.
    pub rows: Vec<Row<'a>>,
    pub left_out: LeftOut,
    /// Hits that found no room for a new key.
    pub keys_full: u64,
}

/// What histograms measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure<'a> {
    pub name: &'a str,
    pub unit: Unit,
}

/// What a measured number counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    #[default]
    None,
    Nanoseconds,
}

/// What a cut leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    pub keys: u64,
    /// Hits of these keys.
    pub hits: u64,
}

/// What was counted of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// As many as there are names.
    pub key: Vec<KeyPart<'a>>,
    pub measured: Measured,
}

/// A part of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyPart<'a> {
    /// A point, by its name.
    Probe(&'a str),
    /// Name of a thread, without its NULs.
    Comm(&'a [u8]),
    Uid(u32),
    /// Another number of the hit: a process, a CPU, a cgroup.
    Number(u64),
    Value(Datum<'a>),
    /// The beginning of a text that is longer than a key holds.
    Cut(&'a [u8]),
    /// A value that could not be read.
    Unreadable,
}

/// What was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measured {
    Count(u64),
    /// In ascending order; those that are empty may be left out.
    Histogram(Vec<Bucket>),
}

/// A bucket of a histogram: numbers from `from` on, and below `to`. `None`: no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    pub from: Option<i128>,
    pub to: Option<i128>,
    pub count: u64,
}

impl<'a> KeyPart<'a> {
    /// What an operand ([`operand`]) of a point's key is: by the number that it has, or the text.
    pub fn of(operand: u8, point: &'a Point, number: u64, text: &'a [u8]) -> Self {
        let value =
            Some(usize::from(operand)).filter(|at| *at < MAX_VALUES).and_then(|at| point.values.get(at));
        match (operand, value) {
            (_, Some(spec)) if is_text(spec) => Self::Value(Datum::Text(text)),
            (_, Some(spec)) => Self::Value(Datum::number(spec, number)),
            (operand::POINT, _) => Self::Probe(&point.name),
            (operand::COMM, _) => Self::Comm(text.split(|byte| *byte == 0).next().unwrap_or_default()),
            (operand::UID, _) => Self::Uid(number as u32),
            _ => Self::Number(number),
        }
    }
}

impl Bucket {
    /// Of numbers with so many significant bits: 0, 1, 2..4, 4..8, and so on.
    pub fn log2(bits: u32, count: u64) -> Self {
        let bits = bits.min(64);
        let from = if bits == 0 { 0 } else { 1 << (bits - 1) };
        Self { from: Some(from), to: Some(1 << bits), count }
    }

    /// Of negative numbers whose amounts have so many significant bits: -1, -3..=-2, -7..=-4, and so on.
    pub fn negative_log2(bits: u32, count: u64) -> Self {
        let amounts = Self::log2(bits.max(1), count);
        let mirrored = |bound: Option<i128>| bound.map(|bound| 1 - bound);
        Self { from: mirrored(amounts.to), to: mirrored(amounts.from), count }
    }

    /// Bucket `slot` of `buckets` of equal width from `from` on: 0 is what lies below them, `buckets` + 1 what lies
    /// above.
    pub fn linear(from: i64, step: NonZeroU32, buckets: u32, slot: u32, count: u64) -> Self {
        let bound = |slot: u32| Some(i128::from(from) + i128::from(slot) * i128::from(step.get()));
        Self {
            from: slot.checked_sub(1).and_then(bound),
            to: if slot > buckets { None } else { bound(slot) },
            count,
        }
    }
}

impl Measured {
    /// How many hits it counts.
    pub fn hits(&self) -> u64 {
        match self {
            Self::Count(count) => *count,
            Self::Histogram(buckets) => buckets.iter().map(|bucket| bucket.count).sum(),
        }
    }
}

impl Aggregate<'_> {
    /// How many hits were counted, those of rows that are left out among them.
    pub fn total(&self) -> u64 {
        self.left_out.hits + self.rows.iter().map(|row| row.measured.hits()).sum::<u64>()
    }

    /// Puts the most frequent keys first, and leaves out all but so many.
    pub fn top(&mut self, most: Option<NonZeroU32>) {
        // Equal counts in the order of their keys: the kernel hands them over in none.
        let order = |left: &Row<'_>, right: &Row<'_>| {
            right.measured.hits().cmp(&left.measured.hits()).then_with(|| left.key.cmp(&right.key))
        };
        self.rows.sort_by(order);
        let kept = most.map_or(self.rows.len(), |most| self.rows.len().min(most.get() as usize));
        for row in self.rows.drain(kept..) {
            self.left_out.keys += 1;
            self.left_out.hits += row.measured.hits();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::simulate::example_run, plan::probe::Stacks};

    #[test]
    fn buckets_of_powers_meet() {
        let bounds = |bucket: Bucket| (bucket.from.unwrap_or(0), bucket.to.unwrap_or(0));
        let positive: Vec<_> = (0..=64).map(|bits| bounds(Bucket::log2(bits, 1))).collect();
        assert_eq!(positive[..4], [(0, 1), (1, 2), (2, 4), (4, 8)]);
        assert!(positive.windows(2).all(|pair| pair[0].1 == pair[1].0));
        assert_eq!(positive[64].1, 1 << 64);
        let negative: Vec<_> = (1..=64).map(|bits| bounds(Bucket::negative_log2(bits, 1))).collect();
        assert_eq!(negative[..3], [(-1, 0), (-3, -1), (-7, -3)]);
        assert!(negative.windows(2).all(|pair| pair[0].0 == pair[1].1));
    }

    #[test]
    fn buckets_of_equal_width_meet() {
        let step = NonZeroU32::MIN.saturating_add(9);
        let buckets: Vec<_> = (0..=4).map(|slot| Bucket::linear(-10, step, 3, slot, 1)).collect();
        let bounds: Vec<_> = buckets.iter().map(|bucket| (bucket.from, bucket.to)).collect();
        let expected = [
            (None, Some(-10)),
            (Some(-10), Some(0)),
            (Some(0), Some(10)),
            (Some(10), Some(20)),
            (Some(20), None),
        ];
        assert_eq!(bounds, expected);
    }

    #[test]
    fn operands_are_parts_of_keys() {
        let run = example_run(Stacks::default());
        let part = |operand, number, text| KeyPart::of(operand, &run.points[1], number, text);
        assert_eq!(part(0, -100_i64 as u64, b""), KeyPart::Value(Datum::Signed(-100)));
        assert_eq!(part(1, 7, b"/etc"), KeyPart::Value(Datum::Text(b"/etc")));
        assert_eq!(part(4, -2_i64 as u64, b""), KeyPart::Value(Datum::Result(-2)));
        assert_eq!(part(operand::POINT, 1, b""), KeyPart::Probe("syscall:openat"));
        assert_eq!(part(operand::COMM, 0, b"dd\0\0x"), KeyPart::Comm(b"dd"));
        assert_eq!(part(operand::UID, 1000, b""), KeyPart::Uid(1000));
        assert_eq!(part(operand::PID, 42, b""), KeyPart::Number(42));
    }

    #[test]
    fn equal_counts_are_in_the_order_of_their_keys() {
        let row = |pid| Row { key: vec![KeyPart::Number(pid)], measured: Measured::Count(1) };
        let mut aggregate = Aggregate { rows: [3, 1, 2].map(row).to_vec(), ..Aggregate::default() };
        aggregate.top(None);
        assert_eq!(aggregate.rows, [1, 2, 3].map(row));
    }

    #[test]
    fn a_cut_counts_what_it_leaves_out() {
        let row = |count| Row { key: Vec::new(), measured: Measured::Count(count) };
        let mut aggregate = Aggregate { rows: [3, 9, 1, 5].map(row).to_vec(), ..Aggregate::default() };
        aggregate.top(NonZeroU32::new(2));
        assert_eq!(aggregate.rows, [row(9), row(5)]);
        assert_eq!(aggregate.left_out, LeftOut { keys: 2, hits: 4 });
        assert_eq!(aggregate.total(), 18);
    }
}
