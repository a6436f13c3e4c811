//! Aggregations as the kernel keeps them, read and added up over the CPUs.

use std::collections::BTreeMap;

use tracer_common::aggregate::bucket;

use crate::plan::probe::Measure;

/// One key of an aggregation, and what was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The point, if the aggregation has no keys.
    pub point: Option<u32>,
    /// As many as the aggregation has keys.
    pub key: Vec<Part>,
    /// Hits, of all buckets.
    pub count: u64,
    /// Of a histogram: hits by bucket, those without any left out.
    pub buckets: BTreeMap<u32, u64>,
}

/// One part of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Number(u64),
    /// `len` is the text's whole length, if it is known: what a key keeps of a text is bounded.
    Text {
        bytes: Vec<u8>,
        cut: bool,
    },
    /// The value could not be read, or the point has none.
    Unreadable,
}

/// What a histogram's bucket holds: the least and the greatest value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub from: i128,
    pub to: i128,
}

impl Bucket {
    /// The bucket of this number; `None` if the measure has none such.
    pub fn of(measure: &Measure, number: u32) -> Option<Self> {
        match *measure {
            Measure::Count => None,
            Measure::Log2(_) => match number {
                bucket::NEGATIVE => Some(Self { from: i64::MIN.into(), to: -1 }),
                bucket::ZERO => Some(Self { from: 0, to: 0 }),
                2..=65 => {
                    let from = 1_i128 << (number - 2);
                    Some(Self { from, to: from * 2 - 1 })
                }
                _ => None,
            },
            Measure::Linear { from, step, buckets, .. } => {
                let from = i128::from(from);
                let edge = |n: u32| from + i128::from(n) * i128::from(step.get());
                match number {
                    bucket::BELOW => Some(Self { from: i64::MIN.into(), to: from - 1 }),
                    n if n <= buckets => Some(Self { from: edge(n - 1), to: edge(n) - 1 }),
                    n if n == buckets + 1 => Some(Self { from: edge(buckets), to: u64::MAX.into() }),
                    _ => None,
                }
            }
        }
    }
}
