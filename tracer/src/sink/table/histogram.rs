//! A histogram as bars: of block characters on a terminal, as wide as it allows; else of ASCII.
//!
//! *Invariant:* each bucket that counts anything has a bar that is seen, and no line is wider than the terminal.
//! Empty buckets between others are shown, many of them as one; those before and behind are not.

use std::io::Write;

use super::MIN_WIDTH;
use crate::{event::Bucket, sink::human};

/// Width where there is no terminal.
const PIPED_WIDTH: usize = 80;
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// Appends a line of each bucket.
pub(super) fn histogram(buckets: &[Bucket], columns: Option<usize>, out: &mut Vec<u8>) {
    let buckets = with_gaps(buckets);
    let labels: Vec<_> = buckets.iter().map(label).collect();
    let counts: Vec<_> = buckets.iter().map(|bucket| bucket.count.to_string()).collect();
    let widest = |texts: &[String]| texts.iter().map(String::len).max().unwrap_or(0);
    let (label_width, count_width) = (widest(&labels), widest(&counts));
    let width = columns.map_or(PIPED_WIDTH, |columns| columns.max(MIN_WIDTH));
    let room = width.saturating_sub(label_width + count_width + 5).max(1);
    let most = buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0);
    for ((bucket, label), count) in buckets.iter().zip(&labels).zip(&counts) {
        // Writing into a vector does not fail.
        let _ = write!(out, "{label:<label_width$}  {count:>count_width$} |");
        match columns {
            Some(_) => blocks(bucket.count, most, room, out),
            None => signs(bucket.count, most, room, out),
        }
        out.extend_from_slice(b"|\n");
    }
}

/// How many of so many units a count takes, at least one if it is anything.
fn units(count: u64, most: u64, all: usize) -> usize {
    match most {
        0 => 0,
        _ => {
            let units = u128::from(count) * all as u128 / u128::from(most);
            (units as usize).max(usize::from(count > 0))
        }
    }
}

fn blocks(count: u64, most: u64, room: usize, out: &mut Vec<u8>) {
    let units = units(count, most, room * 8);
    let (whole, rest) = (units / 8, EIGHTHS[units % 8]);
    out.extend("█".repeat(whole).bytes());
    out.extend(rest.bytes());
    let used = whole + usize::from(!rest.is_empty());
    out.extend(std::iter::repeat_n(b' ', room - used));
}

fn signs(count: u64, most: u64, room: usize, out: &mut Vec<u8>) {
    let units = units(count, most, room);
    out.extend(std::iter::repeat_n(b'@', units));
    out.extend(std::iter::repeat_n(b' ', room - units));
}

/// Empty buckets in a row that are shown each by itself.
const MAX_EMPTY: usize = 3;

/// The buckets from the first that counts anything to the last, and one in place of those that are left out between,
/// or that are empty and many.
fn with_gaps(buckets: &[Bucket]) -> Vec<Bucket> {
    let full = |bucket: &Bucket| bucket.count > 0;
    let (Some(first), Some(last)) = (buckets.iter().position(full), buckets.iter().rposition(full)) else {
        return Vec::new();
    };
    let mut shown: Vec<Bucket> = Vec::new();
    for bucket in &buckets[first..=last] {
        if let Some(before) = shown.last()
            && before.to != bucket.from
        {
            shown.push(Bucket { from: before.to, to: bucket.from, count: 0 });
        }
        shown.push(*bucket);
    }
    let mut joined: Vec<Bucket> = Vec::new();
    for run in shown.chunk_by(|left, right| left.count == 0 && right.count == 0) {
        match run {
            [first, .., last] if run.len() > MAX_EMPTY => {
                joined.push(Bucket { from: first.from, to: last.to, count: 0 });
            }
            run => joined.extend_from_slice(run),
        }
    }
    joined
}

/// `[4K, 8K)`; `(..., 0)` and `[100, ...)` where there is no bound; the number itself if it is but one.
fn label(bucket: &Bucket) -> String {
    let mut text = String::new();
    if let (Some(from), Some(to)) = (bucket.from, bucket.to)
        && from.checked_add(1) == Some(to)
    {
        text.push('[');
        human::bound(from, &mut text);
        text.push(']');
        return text;
    }
    match bucket.from {
        Some(from) => {
            text.push('[');
            human::bound(from, &mut text);
        }
        None => text.push_str("(..."),
    }
    text.push_str(", ");
    match bucket.to {
        Some(to) => human::bound(to, &mut text),
        None => text.push_str("..."),
    }
    text.push(')');
    text
}
