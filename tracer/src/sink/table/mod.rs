//! Events as a table for people: one line each, as wide as the terminal.
//!
//! *Invariant:* a line holds no control characters but the colours that this module sets, and is
//! no wider than asked (`tests`). What does not fit is told at its end.

mod aggregate;
mod command;
mod histogram;
mod hit;
mod life;
mod load;
mod place;
#[cfg(test)]
mod tests;
mod text;
mod tree;

use std::io::Write;

use super::Colour;
use super::time::time_of_day;
use crate::enrich::Users;
use crate::event::{ExecEvent, Lost, WallClock, errno_name};
use crate::place::Located;
use text::Line;
pub use tree::Tree;

/// Below this width there is no point in cutting.
const MIN_WIDTH: usize = 40;
const USER_WIDTH: usize = 10;

/// A table of events.
#[derive(Debug, Default)]
pub struct Table {
    clock: WallClock,
    look: Look,
    users: Users,
    /// There is a column for where processes are.
    places: bool,
    line: Line,
    values: Line,
    /// The end of a line, which is shown whatever must be cut before it.
    tail: Line,
    cell: Vec<u8>,
    /// Columns that the names of probes take.
    probe_width: usize,
}

/// What a table looks like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// The terminal's width; `None`: lines are as long as they are.
    pub columns: Option<usize>,
    pub colour: Colour,
    /// Seconds that the reader's time is ahead of UTC.
    pub utc_offset_s: i32,
}

/// Colours, as ANSI sequences.
#[derive(Clone, Copy)]
enum Paint {
    Failure,
    Header,
    Loss,
}

impl Paint {
    fn sequence(self) -> &'static [u8] {
        match self {
            Self::Failure => b"\x1b[31m",
            Self::Header => b"\x1b[1m",
            Self::Loss => b"\x1b[1;33m",
        }
    }
}

impl Table {
    /// An empty table.
    pub fn new(clock: WallClock, look: Look, users: Users) -> Self {
        Self { clock, look, users, ..Self::default() }
    }

    /// With a column that shows where processes are.
    #[must_use]
    pub fn with_places(self) -> Self {
        Self { places: true, ..self }
    }

    pub(super) fn set_clock(&mut self, clock: WallClock) {
        self.clock = clock;
    }

    pub(super) fn set_columns(&mut self, columns: Option<usize>) {
        self.look.columns = columns;
    }

    pub(super) fn users(&mut self) -> &mut Users {
        &mut self.users
    }

    /// Appends the line that names the columns.
    pub(super) fn header(&mut self, out: &mut Vec<u8>) {
        self.line.clear();
        let (time, user) = ("TIME", "USER");
        let columns = format!("{time:<12} {:>7} {:>7} {user:<USER_WIDTH$} {:<7} ", "PID", "PPID", "RESULT");
        self.line.plain(&columns);
        let width = self.width();
        if self.places {
            self.line.plain(&format!("{:<1$} ", "WHERE", place::width(width)));
        }
        self.line.plain("COMMAND");
        self.line.cut_to(width);
        let look = self.look;
        painted(look, Some(Paint::Header), out, |out| {
            out.extend_from_slice(self.line.as_str().as_bytes());
        });
    }

    /// Appends an exec. `place` is shown if there is a column for it.
    pub(super) fn exec(&mut self, event: &ExecEvent<'_>, place: Option<Located<'_>>, out: &mut Vec<u8>) {
        let width = self.width();
        self.cell.clear();
        time_of_day(self.clock.unix_ns(event.boot_ns), self.look.utc_offset_s, &mut self.cell);
        let result = match event.retval {
            0.. => "ok".into(),
            retval => errno_name(retval.unsigned_abs()),
        };
        let ppid = event.ppid.shown().map_or_else(|| "?".into(), |p| p.to_string());
        // Writing into a vector does not fail.
        let _ = write!(self.cell, " {:>7} {ppid:>7} ", event.pid);
        self.user(event.uid);
        let _ = write!(self.cell, " {result:<7} ");
        if self.places {
            self.place(place, place::width(width));
            self.cell.push(b' ');
        }
        let room = width.saturating_sub(cell_width(&self.cell));
        self.line.clear();
        command::command(event, room, &mut self.line);

        let paint = event.failed().then_some(Paint::Failure);
        let look = self.look;
        painted(look, paint, out, |out| {
            out.extend_from_slice(&self.cell);
            out.extend_from_slice(self.line.as_str().as_bytes());
        });
    }

    /// Appends a loss of events, of which one is called `noun`.
    pub(super) fn lost(&mut self, lost: &Lost, noun: &str, out: &mut Vec<u8>) {
        let Lost { count, from_ns, to_ns, .. } = *lost;
        let offset = self.look.utc_offset_s;
        self.cell.clear();
        time_of_day(self.clock.unix_ns(to_ns), offset, &mut self.cell);
        let plural = if count == 1 { "" } else { "s" };
        let _ = write!(self.cell, " !!! {count} {noun}{plural} LOST (");
        if let Some(cpu) = lost.cpu {
            let _ = write!(self.cell, "CPU {cpu}, ");
        }
        let _ = write!(self.cell, "since ");
        time_of_day(self.clock.unix_ns(from_ns), offset, &mut self.cell);
        let _ = write!(self.cell, "): {}", lost.reason.describe());
        self.warning(out);
    }

    /// Appends the cell as a line that is not to be overlooked.
    fn warning(&mut self, out: &mut Vec<u8>) {
        self.line.clear();
        self.line.name(&self.cell, usize::MAX);
        self.fitted(Some(Paint::Loss), out);
    }

    /// Appends the line, cut to the table's width.
    fn fitted(&mut self, paint: Option<Paint>, out: &mut Vec<u8>) {
        self.line.fit(self.width());
        painted(self.look, paint, out, |out| {
            out.extend_from_slice(self.line.as_str().as_bytes());
        });
    }

    fn width(&self) -> usize {
        let columns = self.look.columns;
        columns.map_or(usize::MAX, |columns| columns.max(MIN_WIDTH))
    }

    /// Appends the user's name to the cell, in its column's width.
    fn user(&mut self, uid: u32) {
        self.line.clear();
        match self.users.name(uid) {
            Some(name) => self.line.name(name.as_bytes(), USER_WIDTH),
            None => self.line.plain(&uid.to_string()),
        }
        self.line.fit(USER_WIDTH);
        self.padded(USER_WIDTH);
    }

    /// Appends the place to the cell, in its column's width; nothing but the width if nobody looked for it.
    fn place(&mut self, place: Option<Located<'_>>, width: usize) {
        self.line.clear();
        if let Some(located) = place {
            place::place(located, width, &mut self.line);
        }
        self.padded(width);
    }

    /// Appends the line to the cell, and blanks up to `width`.
    fn padded(&mut self, width: usize) {
        let pad = width.saturating_sub(self.line.width());
        self.cell.extend_from_slice(self.line.as_str().as_bytes());
        self.cell.extend(std::iter::repeat_n(b' ', pad));
    }
}

/// Columns that a cell takes: all of its characters are one wide, save those of a user's or a place's name.
fn cell_width(cell: &[u8]) -> usize {
    str::from_utf8(cell).map_or(cell.len(), unicode_width::UnicodeWidthStr::width)
}

/// Appends a line in a colour.
fn painted(look: Look, paint: Option<Paint>, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let paint = paint.filter(|_| look.colour == Colour::Ansi);
    out.extend_from_slice(paint.map_or(b"", Paint::sequence));
    write(out);
    if paint.is_some() {
        out.extend_from_slice(b"\x1b[0m");
    }
    out.push(b'\n');
}
