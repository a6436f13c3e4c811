//! What a run costs and leaves out, as lines between events.

use super::{Paint, Table, time_of_day};
use crate::{
    event::{ClassWithheld, Overhead, Stats, class_name},
    sink::load::{overhead_text, stats_line},
};

impl Table {
    /// Appends what the run costs.
    pub(in crate::sink) fn stats(&mut self, stats: &Stats<'_>, out: &mut Vec<u8>) {
        self.note(stats.boot_ns, &format!("... {}", stats_line(stats)), None, out);
    }

    /// Appends that something else is left out from now on.
    pub(in crate::sink) fn overhead(&mut self, overhead: &Overhead, out: &mut Vec<u8>) {
        let text = format!("!!! {}", overhead_text(overhead));
        self.note(overhead.boot_ns, &text, Some(Paint::Loss), out);
    }

    /// Appends that events were not produced.
    pub(in crate::sink) fn class_withheld(&mut self, withheld: &ClassWithheld, out: &mut Vec<u8>) {
        let ClassWithheld { class, from_ns, to_ns, count } = *withheld;
        let plural = if count == 1 { "" } else { "s" };
        let mut since = Vec::new();
        time_of_day(self.clock.unix_ns(from_ns), self.look.utc_offset_s, &mut since);
        let since = String::from_utf8_lossy(&since);
        let text = format!("... {count} {}{plural} withheld since {since}: the overhead", class_name(class));
        self.note(to_ns, &text, None, out);
    }

    /// Appends a text with its time.
    fn note(&mut self, boot_ns: u64, text: &str, paint: Option<Paint>, out: &mut Vec<u8>) {
        self.cell.clear();
        time_of_day(self.clock.unix_ns(boot_ns), self.look.utc_offset_s, &mut self.cell);
        self.cell.push(b' ');
        self.cell.extend_from_slice(text.as_bytes());
        self.line.clear();
        self.line.name(&self.cell, usize::MAX);
        self.fitted(paint, out);
    }
}
