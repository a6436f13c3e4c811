//! Events to text: a table for people, JSON lines for programs.
//!
//! *Invariant:* a sink appends whole lines to a byte buffer and does nothing else.
//!
//! *Must not know:* where the bytes go (files, pipes, terminals), how events were obtained.

mod human;
pub mod json;
mod load;
mod output;
mod probe;
#[cfg(test)]
mod samples;
mod summary;
mod table;
mod time;

use tracer_common::Class;

use crate::event::{
    ClassWithheld, End, ExecEvent, ExitEvent, ForkEvent, Lost, Overhead, Start, Stats, WallClock, class_name,
};
use crate::place::Located;
use crate::process::{Ancestors, Branch, Life};

pub use load::{overhead_text, stats_summary};
pub use output::{Batch, Failure, Output, stdout};
pub use probe::{ProbeSink, probe_summary};
pub use summary::summary;
pub use table::{Look, Table, Tree};

/// Forms of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Table,
    Json,
    /// Processes below their parents; needs a [`Branch`] of each.
    Tree,
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
    /// For [`Format::Tree`].
    pub branch: Option<Branch<'a>>,
}

/// What events of a loss are called, for people.
fn noun(lost: &Lost) -> &'static str {
    match lost.class {
        Class::Quiet => "unshown event",
        class => class_name(class),
    }
}

/// Where a run's records are rendered. Closed: a new form is a new variant.
#[derive(Debug)]
pub enum Sink {
    Table(Box<Table>),
    Json(WallClock),
    Tree(Box<Tree>),
}

impl Sink {
    /// Appends the start of a run.
    pub fn start(&mut self, start: &Start<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Table(table) => table.header(out),
            Self::Tree(tree) => tree.header(out),
            Self::Json(clock) => json::start(start, *clock, out),
        }
    }

    /// Appends an exec.
    pub fn exec(&mut self, event: &ExecEvent<'_>, around: Around<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Table(table) => table.exec(event, around.place, out),
            Self::Tree(tree) => tree.exec(event, around.branch, out),
            Self::Json(clock) => json::exec(event, around, *clock, out),
        }
    }

    /// Appends a birth.
    pub fn fork(&mut self, event: &ForkEvent<'_>, around: Around<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Table(table) => table.fork(event, around.place, out),
            Self::Tree(tree) => tree.fork(event, around.branch, out),
            Self::Json(clock) => json::fork(event, around, *clock, out),
        }
    }

    /// Appends an end.
    pub fn exit(&mut self, event: &ExitEvent<'_>, around: Around<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Table(table) => table.exit(event, around.place, out),
            Self::Tree(tree) => tree.exit(event, around.branch, out),
            Self::Json(clock) => json::exit(event, around, *clock, out),
        }
    }

    /// Appends a life.
    pub fn life(&mut self, life: &Life<'_>, around: Around<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Table(table) => table.life(life, around.place, out),
            Self::Tree(tree) => tree.life(life, around.branch, out),
            Self::Json(clock) => json::life(life, around, *clock, out),
        }
    }

    /// Appends a loss.
    pub fn lost(&mut self, lost: &Lost, out: &mut Vec<u8>) {
        match self {
            Self::Table(table) => table.lost(lost, noun(lost), out),
            Self::Tree(tree) => tree.lost(lost, noun(lost), out),
            Self::Json(clock) => json::lost(lost, class_name(lost.class), *clock, out),
        }
    }

    /// Appends what the run costs.
    pub fn stats(&mut self, stats: &Stats<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Table(table) => table.stats(stats, out),
            Self::Tree(tree) => tree.table().stats(stats, out),
            Self::Json(clock) => json::stats(stats, *clock, out),
        }
    }

    /// Appends that something else is left out from now on.
    pub fn overhead(&mut self, overhead: &Overhead, out: &mut Vec<u8>) {
        match self {
            Self::Table(table) => table.overhead(overhead, out),
            Self::Tree(tree) => tree.table().overhead(overhead, out),
            Self::Json(clock) => json::overhead(overhead, *clock, out),
        }
    }

    /// Appends that events were not produced, because the run costs too much.
    pub fn withheld(&mut self, withheld: &ClassWithheld, out: &mut Vec<u8>) {
        match self {
            Self::Table(table) => table.class_withheld(withheld, out),
            Self::Tree(tree) => tree.table().class_withheld(withheld, out),
            Self::Json(clock) => json::class_withheld(withheld, *clock, out),
        }
    }

    /// Appends the end of a run. The table and the tree have none: their reader gets the [`summary`].
    pub fn end(&mut self, end: &End, out: &mut Vec<u8>) {
        match self {
            Self::Table(_) | Self::Tree(_) => {}
            Self::Json(clock) => json::end(end, *clock, out),
        }
    }

    /// Relates boot time to the time of day anew: after the clock was set.
    pub fn set_clock(&mut self, new: WallClock) {
        match self {
            Self::Table(table) => table.set_clock(new),
            Self::Tree(tree) => tree.set_clock(new),
            Self::Json(clock) => *clock = new,
        }
    }

    /// Fits lines to a new width: after the terminal's changed.
    pub fn set_columns(&mut self, columns: Option<usize>) {
        match self {
            Self::Table(table) => table.set_columns(columns),
            Self::Tree(tree) => tree.set_columns(columns),
            Self::Json(_) => {}
        }
    }

    /// Looks for new users, at most once a second: the one thing that asks the host.
    pub fn refresh_users(&mut self) {
        match self {
            Self::Table(table) => table.users().refresh(),
            Self::Json(_) | Self::Tree(_) => {}
        }
    }
}
