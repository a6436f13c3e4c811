//! The plan as text: what `--dry-run` prints.

use std::fmt;

use tracer_common::probe::fetch;

use super::Resolved;
use crate::plan::probe::{Aggregation, Ends, Measure, Mode, Place, Point};
use crate::plan::values::c_type::declared;

impl fmt::Display for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let run = &self.run;
        let count = run.points.len();
        writeln!(f, "{count} point{}: {}", if count == 1 { "" } else { "s" }, mode(&run.mode))?;
        if run.sample.get() > 1 {
            writeln!(f, "one of {} hits is kept", run.sample)?;
        }
        if let Some(rate) = run.rate {
            writeln!(f, "at most {rate} events a second")?;
        }
        for (point, how) in run.points.iter().zip(&self.how) {
            write_point(f, point, how)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}

fn mode(mode: &Mode) -> String {
    let Mode::Aggregate(Aggregation { keys, measure, .. }) = mode else {
        return "an event for each hit".to_owned();
    };
    let by = if keys.is_empty() { String::new() } else { format!(" by {}", keys.join(", ")) };
    match measure {
        Measure::Count => format!("hits counted{by}"),
        Measure::Log2(of) => format!("a histogram of {of}{by}, by powers of two"),
        Measure::Linear { of, from, step, buckets } => {
            format!("a histogram of {of}{by}, {buckets} buckets of {step} from {from}")
        }
    }
}

fn write_point(f: &mut fmt::Formatter<'_>, point: &Point, how: &str) -> fmt::Result {
    let when = match point.ends {
        Ends::Entry => "at the entry",
        Ends::Return => "at the return",
        Ends::Both => "entry joined to return",
    };
    let when =
        if matches!(point.place, Place::Tracepoint { .. } | Place::RawTracepoint { .. }) { "" } else { when };
    write!(f, "  {}  {how}", point.name)?;
    if !when.is_empty() {
        write!(f, ", {when}")?;
    }
    if let Place::Kprobe { addresses, .. } = &point.place
        && addresses.len() > 1
    {
        write!(f, ", {} functions of that name", addresses.len())?;
    }
    let shown = point.values.iter().filter(|value| value.fetch.flags & fetch::HIDDEN == 0);
    let shown: Vec<String> = shown.map(|value| declared(&value.c_type, &value.name)).collect();
    if !shown.is_empty() {
        write!(f, "\n    shows {}", shown.join(", "))?;
    }
    let hidden: Vec<&str> =
        point.values.iter().filter(|v| v.fetch.flags & fetch::HIDDEN != 0).map(|v| v.name.as_str()).collect();
    if !hidden.is_empty() {
        write!(f, "\n    reads {}", hidden.join(", "))?;
    }
    if point.filter.len > 0 {
        let when = if point.filter_at_entry { "at the entry" } else { "at the return" };
        write!(f, "\n    filters by {} tests, {when}", point.filter.len)?;
    }
    writeln!(f)
}
