//! Aggregations as the kernel keeps them, read and added up over the CPUs.

use std::{collections::BTreeMap, io, os::fd::BorrowedFd};

use tracer_common::{
    aggregate::{Key, bucket},
    probe::MAX_KEYS,
};

use crate::plan::probe::Measure;

use super::super::bpf;

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

/// Reads the map `GROUPS`. A key that comes while it is read may be missing, and is there the next time.
pub(super) fn read(map: BorrowedFd<'_>, cpus: u32, keys: usize, plain: bool) -> io::Result<Vec<Row>> {
    let mut rows: BTreeMap<(Option<u32>, Vec<Part>), Row> = BTreeMap::new();
    let mut key;
    let mut next = [0_u8; size_of::<Key>()];
    let mut values = vec![0_u8; cpus as usize * size_of::<u64>()];
    let mut before = None;
    // No more than the map can hold: one that changes meanwhile may lead in a circle.
    for _ in 0..MOST_ROUNDS {
        if !bpf::map_next_key(map, before, &mut next)? {
            break;
        }
        key = next;
        before = Some(key.as_slice());
        if bpf::map_lookup(map, &key, &mut values)?.is_none() {
            continue;
        }
        let numbers = values.as_chunks::<8>().0.iter();
        let count: u64 = numbers.map(|bytes| u64::from_ne_bytes(*bytes)).sum();
        let decoded = decode(&key);
        let parts: Vec<Part> = parts(&decoded).into_iter().take(keys).collect();
        let point = (keys == 0).then_some(decoded.point);
        let row = rows.entry((point, parts)).or_insert_with_key(|(point, key)| Row {
            point: *point,
            key: key.clone(),
            count: 0,
            buckets: BTreeMap::new(),
        });
        row.count += count;
        if !plain {
            *row.buckets.entry(decoded.bucket).or_default() += count;
        }
    }
    Ok(rows.into_values().collect())
}

/// More than any map of ours has entries.
const MOST_ROUNDS: u32 = 1 << 26;

/// A key from its bytes.
fn decode(bytes: &[u8; size_of::<Key>()]) -> Key {
    // SAFETY: `Key` is plain: any bytes of its size are one.
    unsafe { bytes.as_ptr().cast::<Key>().read_unaligned() }
}

/// The parts of a key.
fn parts(key: &Key) -> [Part; MAX_KEYS] {
    std::array::from_fn(|i| {
        let number = key.parts.get(i).copied().unwrap_or_default();
        let is = |bits: u16| bits >> i & 1 != 0;
        if is(key.unreadable) {
            return Part::Unreadable;
        }
        let text = |bytes: &[u8], cut| Part::Text {
            bytes: bytes.get(..number as usize).unwrap_or(bytes).to_vec(),
            cut: cut || number > bytes.len() as u64,
        };
        if is(key.comms) {
            text(&key.comm, false)
        } else if is(key.texts) {
            text(&key.text, is(key.cut))
        } else {
            Part::Number(number)
        }
    })
}
