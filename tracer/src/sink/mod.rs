//! Events to text: a table for people, JSON lines for programs.
//!
//! *Invariant:* a sink appends whole lines to a byte buffer and does nothing else.
//!
//! *Must not know:* where the bytes go (files, pipes, terminals), how events were obtained.

pub mod json;
mod time;

use crate::event::{End, ExecEvent, Lost, Start, WallClock};

/// Forms of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Table,
    Json,
}

/// Whether text may carry colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    None,
    Ansi,
}

/// Where a run's records are rendered. Closed: a new form is a new variant.
#[derive(Debug)]
pub enum Sink {
    Json(WallClock),
}

impl Sink {
    /// Appends the start of a run.
    pub fn start(&mut self, start: &Start<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Json(clock) => json::start(start, *clock, out),
        }
    }

    /// Appends an exec.
    pub fn exec(&mut self, event: &ExecEvent<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Json(clock) => json::exec(event, *clock, out),
        }
    }

    /// Appends a loss.
    pub fn lost(&mut self, lost: &Lost, out: &mut Vec<u8>) {
        match self {
            Self::Json(clock) => json::lost(lost, *clock, out),
        }
    }

    /// Appends the end of a run.
    pub fn end(&mut self, end: &End, out: &mut Vec<u8>) {
        match self {
            Self::Json(clock) => json::end(end, *clock, out),
        }
    }

    /// Relates boot time to the time of day anew: after the clock was set.
    pub fn set_clock(&mut self, new: WallClock) {
        match self {
            Self::Json(clock) => *clock = new,
        }
    }
}
