//! Where a run of probes is rendered, and what it came to in a few lines.

use std::fmt::Write;

use super::{Table, human, json};
use crate::{
    enrich::Symbols,
    event::{Aggregate, Lost, ProbeEnd, ProbeEvent, ProbeStart, WallClock, Withheld},
};

/// Where the records of a run of probes are rendered.
#[derive(Debug)]
pub struct ProbeSink {
    form: Form,
    symbols: Symbols,
}

/// Closed: a new form is a new variant.
#[derive(Debug)]
enum Form {
    Table(Box<Table>),
    Json(WallClock),
}

impl ProbeSink {
    /// Lines of a table; stacks' addresses are named by `symbols`.
    pub fn table(table: Table, symbols: Symbols) -> Self {
        Self { form: Form::Table(Box::new(table)), symbols }
    }

    /// Lines of JSON.
    pub fn json(clock: WallClock, symbols: Symbols) -> Self {
        Self { form: Form::Json(clock), symbols }
    }

    /// Appends the start of a run. The table names its columns, if events are to follow, and what is not attached.
    pub fn start(&mut self, start: &ProbeStart<'_>, out: &mut Vec<u8>) {
        match &mut self.form {
            Form::Table(table) => table.probe_start(start, out),
            Form::Json(clock) => json::probe_start(start, *clock, out),
        }
    }

    /// Appends a hit.
    pub fn hit(&mut self, event: &ProbeEvent<'_>, out: &mut Vec<u8>) {
        match &mut self.form {
            Form::Table(table) => table.hit(event, &mut self.symbols, out),
            Form::Json(clock) => json::probe(event, *clock, &mut self.symbols, out),
        }
    }

    /// Appends an interval of an aggregation.
    pub fn aggregate(&mut self, aggregate: &Aggregate<'_>, out: &mut Vec<u8>) {
        match &mut self.form {
            Form::Table(table) => table.aggregate(aggregate, out),
            Form::Json(clock) => json::aggregate(aggregate, *clock, out),
        }
    }

    /// Appends a loss.
    pub fn lost(&mut self, lost: &Lost, out: &mut Vec<u8>) {
        match &mut self.form {
            Form::Table(table) => table.lost(lost, "hit", out),
            Form::Json(clock) => json::lost(lost, "probe", *clock, out),
        }
    }

    /// Appends that hits were left out on purpose.
    pub fn withheld(&mut self, withheld: &Withheld, out: &mut Vec<u8>) {
        match &mut self.form {
            Form::Table(table) => table.withheld(withheld, out),
            Form::Json(clock) => json::withheld(withheld, *clock, out),
        }
    }

    /// Appends the end of a run. The table has none: its reader gets the [`probe_summary`].
    pub fn end(&mut self, end: &ProbeEnd, out: &mut Vec<u8>) {
        match &self.form {
            Form::Table(_) => {}
            Form::Json(clock) => json::probe_end(end, *clock, out),
        }
    }

    /// Relates boot time to the time of day anew: after the clock was set.
    pub fn set_clock(&mut self, new: WallClock) {
        match &mut self.form {
            Form::Table(table) => table.set_clock(new),
            Form::Json(clock) => *clock = new,
        }
    }

    /// Fits lines to a new width: after the terminal's changed.
    pub fn set_columns(&mut self, columns: Option<usize>) {
        match &mut self.form {
            Form::Table(table) => table.set_columns(columns),
            Form::Json(_) => {}
        }
    }

    /// Looks for new users, at most once a second.
    pub fn refresh_users(&mut self) {
        match &mut self.form {
            Form::Table(table) => table.users().refresh(),
            Form::Json(_) => {}
        }
    }
}

/// The summary of a run of probes: what passed and what became of it, then what did not go as it should.
pub fn probe_summary(end: &ProbeEnd) -> String {
    let mut text = format!("{} passed", count(end.passed, "hit"));
    let mut parts = Vec::new();
    for (number, what) in [
        (end.events, "shown"),
        (end.lost, "lost"),
        (end.sampled, "sampled away"),
        (end.rated, "held back by --rate"),
    ] {
        // What is lost is said even if it is nothing.
        if number > 0 || what == "lost" {
            parts.push(format!("{number} {what}"));
        }
    }
    // Writing into a string does not fail.
    let _ = write!(text, " ({}) in ", parts.join(", "));
    human::duration(end.duration_ns, &mut text);
    let _ = writeln!(text, "; {}", end.reason.describe());
    for (number, noun, what) in [
        (end.no_room, "hit", "found no room in the buffer: a larger --buffer loses less"),
        (
            end.unreadable,
            "hit",
            "could not be filtered, because a value could not be read: they did not pass",
        ),
        (end.unpaired, "call", "could not be followed to the return: too many were under way"),
        (end.no_entry, "return", "had no entry: the calls were under way before the probes were"),
        (end.keys_full, "hit", "found no room for a new key: they are in no count"),
        (end.undelivered, "hit", "could not be written"),
    ] {
        if number > 0 {
            let _ = writeln!(text, "{} {what}", count(number, noun));
        }
    }
    text
}

fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EndReason;
    use expect_test::expect;

    #[test]
    fn a_run_is_summed_up() {
        let quiet = ProbeEnd {
            boot_ns: 0,
            duration_ns: 4_210_000_000,
            reason: EndReason::Signal,
            passed: 1,
            events: 1,
            lost: 0,
            no_room: 0,
            sampled: 0,
            rated: 0,
            unreadable: 0,
            unpaired: 0,
            no_entry: 0,
            keys_full: 0,
            undelivered: 0,
        };
        let ugly = ProbeEnd {
            passed: 1000,
            events: 600,
            lost: 40,
            no_room: 40,
            sampled: 300,
            rated: 60,
            unreadable: 1,
            unpaired: 2,
            no_entry: 3,
            keys_full: 4,
            undelivered: 5,
            reason: EndReason::ClosedOutput,
            ..quiet.clone()
        };
        expect![[r#"
            1 hit passed (1 shown, 0 lost) in 4.21 s; stopped by a signal
            1000 hits passed (600 shown, 40 lost, 300 sampled away, 60 held back by --rate) in 4.21 s; the output was closed
            40 hits found no room in the buffer: a larger --buffer loses less
            1 hit could not be filtered, because a value could not be read: they did not pass
            2 calls could not be followed to the return: too many were under way
            3 returns had no entry: the calls were under way before the probes were
            4 hits found no room for a new key: they are in no count
            5 hits could not be written
        "#]]
        .assert_eq(&(probe_summary(&quiet) + &probe_summary(&ugly)));
    }
}
