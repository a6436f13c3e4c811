//! Births, ends and lives in a line each.
//!
//! ```text
//! TIME             PID    PPID USER       RESULT  COMMAND
//! 23:14:41.234    4242    4000 root       fork    bash
//! 23:14:42.500    4242    4000 root       exit 1  true, 1.26 s
//! 23:14:42.500    4242    4000 root       SIGSEGV* 1.26 s, cpu 15.0 ms, 2.00 MiB: true --flag
//! ```
//!
//! A star behind a signal: the memory was dumped.

use std::{borrow::Cow, fmt::Write as _, io::Write as _};

use super::{Paint, Table, cell_width, command, painted, place};
use crate::{
    event::{Ending, ExitEvent, ForkEvent, Value, signal_name},
    place::Located,
    process::Life,
    sink::{human, time::time_of_day},
};

/// With less room than this for the command, a life's numbers but its duration are left out.
const ROOM_FOR_NUMBERS: usize = 64;

/// What stands in the columns before the command.
struct Columns<'a> {
    boot_ns: u64,
    pid: u32,
    ppid: Option<u32>,
    uid: u32,
    result: &'a str,
    place: Option<Located<'a>>,
}

/// How a process ended, in as few letters as there are.
pub(super) fn result(ending: Value<'_, Ending>) -> Cow<'static, str> {
    match ending.shown() {
        Some(Ending::Exited(code)) => format!("exit {code}").into(),
        Some(Ending::Killed { signal, core: true }) => format!("{}*", signal_name(signal)).into(),
        Some(Ending::Killed { signal, core: false }) => signal_name(signal),
        None => "exit ?".into(),
    }
}

/// A process that was killed is red.
pub(super) fn paint(ending: Value<'_, Ending>) -> Option<Paint> {
    matches!(ending.shown(), Some(Ending::Killed { .. })).then_some(Paint::Failure)
}

impl Table {
    /// Appends a birth.
    pub(in crate::sink) fn fork(
        &mut self,
        event: &ForkEvent<'_>,
        place: Option<Located<'_>>,
        out: &mut Vec<u8>,
    ) {
        let ppid = event.ppid.shown();
        let e = event;
        let room =
            self.columns(Columns { boot_ns: e.boot_ns, pid: e.pid, ppid, uid: e.uid, result: "fork", place });
        self.line.clear();
        self.line.name(event.comm, usize::MAX);
        if ppid != Some(event.maker) {
            self.line.plain(&format!(" (made by {})", event.maker));
        }
        self.beside(room, None, out);
    }

    /// Appends an end.
    pub(in crate::sink) fn exit(
        &mut self,
        event: &ExitEvent<'_>,
        place: Option<Located<'_>>,
        out: &mut Vec<u8>,
    ) {
        let result = result(event.ending);
        let e = event;
        let ppid = e.ppid.shown();
        let room = self.columns(Columns {
            boot_ns: e.boot_ns,
            pid: e.pid,
            ppid,
            uid: e.uid,
            result: &result,
            place,
        });
        self.line.clear();
        self.line.name(event.comm, usize::MAX);
        if let Some(duration_ns) = event.duration_ns() {
            let mut text = String::from(", ");
            human::duration(duration_ns, &mut text);
            self.line.mark(&text);
        }
        self.beside(room, paint(event.ending), out);
    }

    /// Appends a life.
    pub(in crate::sink) fn life(&mut self, life: &Life<'_>, place: Option<Located<'_>>, out: &mut Vec<u8>) {
        let l = life;
        let result = if l.ended { result(l.ending) } else { "running".into() };
        let ppid = l.ppid.shown();
        let room = self.columns(Columns {
            boot_ns: l.boot_ns,
            pid: l.pid,
            ppid,
            uid: l.uid,
            result: &result,
            place,
        });
        self.line.clear();
        self.story(life, room);
        self.beside(room, paint(life.ending), out);
    }

    /// Appends a life's numbers, and what it executed last, to the line.
    pub(super) fn story(&mut self, life: &Life<'_>, room: usize) {
        let left = room.saturating_sub(self.line.width());
        self.line.mark(&numbers(life, left));
        match life.execs.iter().rfind(|attempt| !attempt.failed()) {
            Some(attempt) => command::command(&attempt, room.max(self.line.width()), &mut self.line),
            None => match (life.exe.shown().flatten(), life.comm.shown()) {
                (_, Some(comm)) => self.line.name(comm, usize::MAX),
                (Some(exe), None) => self.line.name(exe, usize::MAX),
                (None, None) => self.line.plain("?"),
            },
        }
    }

    /// Fills the cell; gives the room that is left.
    fn columns(&mut self, columns: Columns<'_>) -> usize {
        self.cell.clear();
        time_of_day(self.clock.unix_ns(columns.boot_ns), self.look.utc_offset_s, &mut self.cell);
        let ppid = columns.ppid.map_or_else(|| "?".into(), |p| p.to_string());
        // Writing into a vector does not fail.
        let _ = write!(self.cell, " {:>7} {ppid:>7} ", columns.pid);
        self.user(columns.uid);
        let _ = write!(self.cell, " {:<7} ", columns.result);
        let width = self.width();
        if self.places {
            self.place(columns.place, place::width(width));
            self.cell.push(b' ');
        }
        width.saturating_sub(cell_width(&self.cell))
    }

    /// Appends the cell, and the line in the room beside it.
    fn beside(&mut self, room: usize, paint: Option<Paint>, out: &mut Vec<u8>) {
        self.line.fit(room);
        painted(self.look, paint, out, |out| {
            out.extend_from_slice(&self.cell);
            out.extend_from_slice(self.line.as_str().as_bytes());
        });
    }
}

/// `1.26 s, cpu 15.0 ms, 2.00 MiB: `, as far as it is known.
fn numbers(life: &Life<'_>, room: usize) -> String {
    let mut text = String::new();
    if let Some(id) = life.id.shown() {
        human::duration(life.boot_ns.saturating_sub(id.start_ns), &mut text);
    }
    let mut next = |number: std::fmt::Arguments<'_>| {
        let between = if text.is_empty() { "" } else { ", " };
        // Writing into a string does not fail.
        let _ = write!(text, "{between}{number}");
    };
    if room >= ROOM_FOR_NUMBERS {
        if let (Some(user), Some(system)) = (life.usage.user_ns.shown(), life.usage.system_ns.shown()) {
            let mut cpu = String::new();
            human::duration(user.saturating_add(system), &mut cpu);
            next(format_args!("cpu {cpu}"));
        }
        if let Some(bytes) = life.usage.max_rss_bytes.shown() {
            let mut rss = String::new();
            human::bytes(bytes, &mut rss);
            next(format_args!("{rss}"));
        }
        let failed = life.execs.iter().filter(|attempt| attempt.failed()).count();
        let others = life.execs.iter().count() - failed;
        if others > 1 {
            next(format_args!("{others} execs"));
        }
        if failed > 0 {
            next(format_args!("{failed} failed"));
        }
        match life.execs.left_out().total() {
            0 => {}
            left_out => next(format_args!("{left_out} left out")),
        }
    }
    if !text.is_empty() {
        text.push_str(": ");
    }
    text
}
