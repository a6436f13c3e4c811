//! An interval of an aggregation: its keys with their counts, or a histogram of each.
//!
//! ```text
//! 23:14:41.234 to 23:14:42.234: 1234 hits of 5 keys
//!        COUNT  PROBE            COMM
//!         1000  kprobe:vfs_read  dd
//! ```

use super::{Line, Paint, Table, cell_width, hit, painted};
use crate::{
    event::{Aggregate, KeyPart, Measured, Row, Unit},
    sink::time::time_of_day,
};

/// Widest column of a part of the keys, save the last.
const KEY_WIDTH: usize = 40;

impl Table {
    /// Appends an interval.
    pub(in crate::sink) fn aggregate(&mut self, aggregate: &Aggregate<'_>, out: &mut Vec<u8>) {
        self.span(aggregate, out);
        match aggregate.of {
            None => self.counts(aggregate, out),
            Some(of) => {
                let unit = match of.unit {
                    Unit::None => "",
                    Unit::Nanoseconds => " in ns",
                };
                for row in &aggregate.rows {
                    self.line.clear();
                    for (name, part) in aggregate.keys.iter().zip(&row.key) {
                        self.line.name(name.as_bytes(), usize::MAX);
                        self.line.plain("=");
                        let text = self.key_part(part);
                        self.line.mark(&text);
                        self.line.plain(" ");
                    }
                    let hits = row.measured.hits();
                    let title = format!("{}{unit}: {hits} {}", of.name, noun(hits, "hit"));
                    self.line.name(title.as_bytes(), usize::MAX);
                    self.fitted(Some(Paint::Header), out);
                    if let Measured::Histogram(buckets) = &row.measured {
                        super::histogram::histogram(buckets, self.look.columns, out);
                    }
                }
            }
        }
        if aggregate.left_out.keys > 0 {
            let (keys, hits) = (aggregate.left_out.keys, aggregate.left_out.hits);
            self.line.clear();
            self.line.plain(&format!(
                "+{keys} {} with {hits} {} left out",
                noun(keys, "key"),
                noun(hits, "hit")
            ));
            self.fitted(None, out);
        }
        if aggregate.keys_full > 0 {
            self.cell.clear();
            let full = aggregate.keys_full;
            let text = format!("!!! {full} {} found no room for a new key: in no count", noun(full, "hit"));
            self.cell.extend_from_slice(text.as_bytes());
            self.warning(out);
        }
        out.push(b'\n');
    }

    fn span(&mut self, aggregate: &Aggregate<'_>, out: &mut Vec<u8>) {
        let offset = self.look.utc_offset_s;
        self.cell.clear();
        time_of_day(self.clock.unix_ns(aggregate.from_ns), offset, &mut self.cell);
        self.cell.extend_from_slice(b" to ");
        time_of_day(self.clock.unix_ns(aggregate.to_ns), offset, &mut self.cell);
        let (hits, keys) = (aggregate.total(), aggregate.rows.len() as u64 + aggregate.left_out.keys);
        let mut text = format!(": {hits} {}", noun(hits, "hit"));
        if !aggregate.keys.is_empty() {
            text += &format!(" of {keys} {}", noun(keys, "key"));
        }
        self.cell.extend_from_slice(text.as_bytes());
        self.line.clear();
        self.line.name(&self.cell, usize::MAX);
        self.fitted(Some(Paint::Header), out);
    }

    fn counts(&mut self, aggregate: &Aggregate<'_>, out: &mut Vec<u8>) {
        let titles: Vec<_> =
            aggregate.keys.iter().map(|name| self.escaped(name.to_uppercase().as_bytes())).collect();
        let rows: Vec<_> = aggregate.rows.iter().map(|row| self.cells(row)).collect();
        let mut widths: Vec<_> = titles.iter().map(|title| cell_width(title.as_bytes())).collect();
        for cells in &rows {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell_width(cell.as_bytes())).min(KEY_WIDTH);
            }
        }
        if rows.is_empty() {
            return;
        }
        self.row("COUNT", &titles, &widths, Some(Paint::Header), out);
        for (row, cells) in aggregate.rows.iter().zip(&rows) {
            self.row(&row.measured.hits().to_string(), cells, &widths, None, out);
        }
    }

    fn row(
        &mut self,
        count: &str,
        cells: &[String],
        widths: &[usize],
        paint: Option<Paint>,
        out: &mut Vec<u8>,
    ) {
        self.line.clear();
        self.line.plain(&format!("{count:>12}"));
        let last = cells.len().saturating_sub(1);
        for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
            self.line.plain("  ");
            let start = self.line.width();
            self.line.name(cell.as_bytes(), usize::MAX);
            if index < last {
                self.line.fit(start + width);
                while self.line.width() < start + width {
                    self.line.plain(" ");
                }
            }
        }
        self.line.fit(self.width());
        painted(self.look, paint, out, |out| {
            out.extend_from_slice(self.line.as_str().as_bytes());
        });
    }

    fn cells(&self, row: &Row<'_>) -> Vec<String> {
        row.key.iter().map(|part| self.key_part(part)).collect()
    }

    /// A part of a key, harmless.
    fn key_part(&self, part: &KeyPart<'_>) -> String {
        let mut line = Line::default();
        match part {
            KeyPart::Probe(name) => line.name(name.as_bytes(), usize::MAX),
            KeyPart::Comm(comm) => line.name(comm, usize::MAX),
            KeyPart::Uid(uid) => match self.users.name(*uid) {
                Some(name) => line.name(name.as_bytes(), usize::MAX),
                None => line.plain(&uid.to_string()),
            },
            KeyPart::Number(value) => line.plain(&value.to_string()),
            KeyPart::Value(value) => hit::datum(value, usize::MAX, &mut line),
            KeyPart::Cut(text) => {
                line.word(text, usize::MAX);
                line.mark("…");
            }
            KeyPart::Unreadable => line.plain("?"),
        }
        line.as_str().to_owned()
    }

    fn escaped(&self, bytes: &[u8]) -> String {
        let mut line = Line::default();
        line.name(bytes, usize::MAX);
        line.as_str().to_owned()
    }
}

fn noun(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{noun}{plural}")
}
