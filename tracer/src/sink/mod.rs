//! Events to text: a table for people, JSON lines for programs.
//!
//! *Invariant:* a sink appends whole lines to a byte buffer and does nothing else.
//!
//! *Must not know:* where the bytes go (files, pipes, terminals), how events were obtained.

mod human;
pub mod json;
mod output;
mod probe;
#[cfg(test)]
mod samples;
mod summary;
mod table;
mod time;

use crate::event::{End, ExecEvent, Lost, Start, WallClock};
use crate::place::Located;
use crate::process::Ancestors;

pub use output::{Batch, Failure, Output, stdout};
pub use probe::{ProbeSink, probe_summary};
pub use summary::summary;
pub use table::{Look, Table};

/// Forms of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Table,
    Json,
}

/// Whether text may carry colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    #[default]
    None,
    Ansi,
}

/// What is known of an event's process beyond the event; `None`: nobody asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around<'a> {
    pub ancestors: Option<Ancestors<'a>>,
    pub place: Option<Located<'a>>,
}

/// Where a run's records are rendered. Closed: a new form is a new variant.
#[derive(Debug)]
pub enum Sink {
    Table(Box<Table>),
    Json(WallClock),
}

impl Sink {
    /// Appends the start of a run.
    pub fn start(&mut self, start: &Start<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Table(table) => table.header(out),
            Self::Json(clock) => json::start(start, *clock, out),
        }
    }

    /// Appends an exec.
    pub fn exec(&mut self, event: &ExecEvent<'_>, around: Around<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Table(table) => table.exec(event, out),
            Self::Json(clock) => json::exec(event, around, *clock, out),
        }
    }

    /// Appends a loss.
    pub fn lost(&mut self, lost: &Lost, out: &mut Vec<u8>) {
        match self {
            Self::Table(table) => table.lost(lost, "exec", out),
            Self::Json(clock) => json::lost(lost, *clock, out),
        }
    }

    /// Appends the end of a run. The table has none: its reader gets the [`summary`].
    pub fn end(&mut self, end: &End, out: &mut Vec<u8>) {
        match self {
            Self::Table(_) => {}
            Self::Json(clock) => json::end(end, *clock, out),
        }
    }

    /// Relates boot time to the time of day anew: after the clock was set.
    pub fn set_clock(&mut self, new: WallClock) {
        match self {
            Self::Table(table) => table.set_clock(new),
            Self::Json(clock) => *clock = new,
        }
    }

    /// Fits lines to a new width: after the terminal's changed.
    pub fn set_columns(&mut self, columns: Option<usize>) {
        match self {
            Self::Table(table) => table.set_columns(columns),
            Self::Json(_) => {}
        }
    }

    /// Looks for new users, at most once a second: the one thing that asks the host.
    pub fn refresh_users(&mut self) {
        match self {
            Self::Table(table) => table.users().refresh(),
            Self::Json(_) => {}
        }
    }
}
