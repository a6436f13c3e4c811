//! A hit of a probe in a line, and its stacks below it.
//!
//! ```text
//! TIME             PID COMM            PROBE
//! 23:14:41.234    4242 dd              kprobe:vfs_read buf=0x7ffe1000 count=4096 -> 4096 12.3 µs
//!         ksys_read+0x5f
//! ```
//!
//! Values that find too little room beside the columns stand in a line of their own.
//!
//! A value that could not be read is `?`, one that was cut ends in `…`; neither can be a value's own text, which a
//! shell's quotes would show. The result and the duration are shown whatever must be cut before them.

use std::fmt::Write;

use super::{Paint, Table, painted, text::Line};
use crate::{
    enrich::{KernelFrame, Symbols, UserFrame},
    event::{Attachment, Datum, Frames, ProbeEvent, ProbeStart, Value, Withheld, errno_name},
    plan::probe::Mode,
    sink::{human, time::time_of_day},
};

const PID_END: usize = 12 + 1 + 7;
const COMM_WIDTH: usize = 15;
/// Widest column of names.
const PROBE_WIDTH: usize = 32;
/// A table is narrow if it leaves little room beside the columns.
const NARROW: usize = 120;
/// With less room than this beside the columns, values that do not fit get a line of their own.
const VALUES_WIDTH: usize = 48;
/// Widest text that a result is shown as.
const RESULT_WIDTH: usize = 40;

impl Table {
    /// Appends the names of the columns, if events are to follow, and what could not be attached.
    pub(in crate::sink) fn probe_start(&mut self, start: &ProbeStart<'_>, out: &mut Vec<u8>) {
        let points = || start.run.points.iter().zip(start.attachments);
        let attached = points().filter(|(_, attachment)| matches!(attachment, Attachment::By(_)));
        let longest = attached.map(|(point, _)| point.name.chars().count()).max();
        self.probe_width = longest.unwrap_or(0).min(PROBE_WIDTH);
        for (point, attachment) in points() {
            if let Attachment::Failed(reason) = attachment {
                self.cell.clear();
                self.cell.extend_from_slice(format!("!!! not attached: {point}: {reason}").as_bytes());
                self.warning(out);
            }
        }
        if start.run.mode == Mode::Stream {
            self.line.clear();
            self.line.plain(&format!("{:<12} {:>7} {:<COMM_WIDTH$} PROBE", "TIME", "PID", "COMM"));
            self.fitted(Some(Paint::Header), out);
        }
    }

    /// Appends a hit.
    pub(in crate::sink) fn hit(&mut self, event: &ProbeEvent<'_>, symbols: &mut Symbols, out: &mut Vec<u8>) {
        let width = self.width();
        tail(event, &mut self.tail);
        self.tail.fit(width - 1);
        let room = width - self.tail.width();

        self.cell.clear();
        time_of_day(self.clock.unix_ns(event.boot_ns), self.look.utc_offset_s, &mut self.cell);
        let line = &mut self.line;
        line.clear();
        line.name(&self.cell, usize::MAX);
        line.plain(&format!(" {:>7}", event.pid));
        if event.tid != event.pid {
            line.plain(&format!("/{}", event.tid));
        }
        line.plain(" ");
        let start = line.width();
        line.name(event.comm(), start + COMM_WIDTH);
        line.fit(start + COMM_WIDTH);
        pad(line, PID_END + 1 + COMM_WIDTH);
        line.plain(" ");
        let start = line.width();
        line.name(event.probe.as_bytes(), usize::MAX);
        if width >= NARROW {
            pad(line, start + self.probe_width);
        }
        let paint = event.errno().map(|_| Paint::Failure);
        self.values.clear();
        let beside = room.saturating_sub(self.line.width());
        let fits = self.line.width() <= room && args(event, beside, &mut self.values);
        if !fits && beside < VALUES_WIDTH {
            self.fitted(paint, out);
            self.line.clear();
            self.line.plain("       ");
            self.values.clear();
            args(event, room.saturating_sub(self.line.width()), &mut self.values);
            self.line.fit(room - self.values.width());
        }
        painted(self.look, paint, out, |out| {
            for part in [&self.line, &self.values, &self.tail] {
                out.extend_from_slice(part.as_str().as_bytes());
            }
        });
        self.stacks(event, symbols, out);
    }

    /// Appends how many hits were left out on purpose.
    pub(in crate::sink) fn withheld(&mut self, withheld: &Withheld, out: &mut Vec<u8>) {
        self.cell.clear();
        let offset = self.look.utc_offset_s;
        time_of_day(self.clock.unix_ns(withheld.to_ns), offset, &mut self.cell);
        let parts: Vec<_> = [(withheld.sampled, "sampled away"), (withheld.rated, "held back by --rate")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        self.cell.extend_from_slice(format!(" ... {} since ", parts.join(", ")).as_bytes());
        time_of_day(self.clock.unix_ns(withheld.from_ns), offset, &mut self.cell);
        self.line.clear();
        self.line.name(&self.cell, usize::MAX);
        self.fitted(None, out);
    }

    fn stacks(&mut self, event: &ProbeEvent<'_>, symbols: &mut Symbols, out: &mut Vec<u8>) {
        let name = |line: &mut Line, bytes: &[u8]| line.name(bytes, usize::MAX);
        if let Some(frames) = self.stack("stack", event.kernel_stack, out) {
            for frame in symbols.kernel_stack(frames.iter()) {
                kernel_frame(&frame, &mut self.line);
                self.fitted(None, out);
            }
        }
        if let Some(frames) = self.stack("user stack", event.user_stack, out) {
            let result = symbols.user_stack(event.pid, frames.iter(), |frame| {
                user_frame(&frame, &mut self.line);
                self.fitted(None, out);
            });
            if let Err(error) = result {
                self.line.clear();
                name(&mut self.line, format!("        ({error})").as_bytes());
                self.fitted(None, out);
            }
        }
        if let Some(reason) = event.kernel_stack.and(symbols.kernel_reason()) {
            self.line.clear();
            name(&mut self.line, format!("        ({reason})").as_bytes());
            self.fitted(None, out);
        }
    }

    /// Begins a stack: says which one, and why it is not whole. Its frames, if there are any.
    fn stack<'a>(
        &mut self,
        title: &str,
        stack: Option<Value<'a, Frames<'a>>>,
        out: &mut Vec<u8>,
    ) -> Option<Frames<'a>> {
        let stack = stack?;
        self.line.clear();
        self.line.plain(&format!("    {title}:"));
        if let Some(reason) = stack.missing() {
            self.line.name(format!(" {reason}").as_bytes(), usize::MAX);
        }
        if let Some(cut) = stack.cut() {
            self.line.name(format!(" ({cut})").as_bytes(), usize::MAX);
        }
        self.fitted(None, out);
        stack.shown()
    }
}

fn pad(line: &mut Line, width: usize) {
    while line.width() < width {
        line.plain(" ");
    }
}

/// The values, as far as there is room; what is not shown is counted. Whether all of it is shown.
fn args(event: &ProbeEvent<'_>, room: usize, line: &mut Line) -> bool {
    // Where each value ends.
    let mut ends = Vec::new();
    let mut values = 0;
    for (name, value) in event.args() {
        values += 1;
        if line.width() > room {
            continue;
        }
        line.plain(" ");
        line.name(name.as_bytes(), usize::MAX);
        line.plain("=");
        shown(value, room, line);
        ends.push(line.width());
    }
    if line.width() <= room {
        return true;
    }
    // One value that is shown in part is no more than a cut.
    let fitting = |room: usize| values - ends.iter().filter(|end| **end <= room).count();
    let mark = match fitting(room.saturating_sub(1)) {
        0 | 1 => "…".to_owned(),
        _ => {
            // The mark itself takes room, by which one more value may go.
            let hidden = fitting(room.saturating_sub(format!("… +{values}").len()));
            format!("… +{hidden}")
        }
    };
    match room.checked_sub(mark.chars().count()) {
        Some(left) => {
            line.cut_to(left);
            line.mark(&mark);
        }
        None => line.fit(room),
    }
    false
}

/// ` -> RESULT DURATION`: what there is of both.
fn tail(event: &ProbeEvent<'_>, line: &mut Line) {
    line.clear();
    if let Some(value) = event.retval() {
        line.plain(" -> ");
        shown(value, RESULT_WIDTH, line);
        line.fit(RESULT_WIDTH);
    }
    match event.duration_ns {
        Some(Value::Known(ns)) => {
            let mut text = String::from(" ");
            human::duration(ns, &mut text);
            line.mark(&text);
        }
        Some(_) => line.mark(" ?"),
        None => {}
    }
    if event.compat {
        line.mark(" (32-bit)");
    }
}

/// Appends a value, until the line is wider than `limit`.
fn shown(value: Value<'_, Datum<'_>>, limit: usize, line: &mut Line) {
    match value.shown() {
        Some(shown) => datum(&shown, limit, line),
        None => line.plain("?"),
    }
    if value.cut().is_some() {
        line.mark("…");
    }
}

/// Appends a value as people read it, until the line is wider than `limit`.
pub(super) fn datum(value: &Datum<'_>, limit: usize, line: &mut Line) {
    match value {
        Datum::Signed(value) => line.plain(&value.to_string()),
        Datum::Unsigned(value) => line.plain(&value.to_string()),
        Datum::Hex(value) | Datum::Pointer(value) => line.plain(&format!("{value:#x}")),
        Datum::Bool(value) => line.plain(if *value { "true" } else { "false" }),
        Datum::Char(byte) => line.word(&[*byte], limit),
        Datum::Result(value) => {
            line.plain(&value.to_string());
            if let Some(errno) = Datum::Result(*value).errno() {
                line.plain(" ");
                line.plain(&errno_name(errno));
            }
        }
        Datum::Enum { name: Some(name), .. } => line.name(name.as_bytes(), limit),
        Datum::Enum { value, name: None } => line.plain(&value.to_string()),
        Datum::Text(text) => line.word(text, limit),
    }
}

/// `        vfs_read+0x10 [module]`
fn kernel_frame(frame: &KernelFrame<'_>, line: &mut Line) {
    let mut text = String::from("        ");
    // Writing into a string does not fail.
    let _ = match (frame.symbol, frame.offset) {
        (Some(symbol), Some(offset)) => write!(text, "{symbol}+{offset:#x}"),
        _ => write!(text, "{:#x}", frame.address),
    };
    if let Some(module) = frame.module {
        let _ = write!(text, " [{module}]");
    }
    line.clear();
    line.name(text.as_bytes(), usize::MAX);
}

/// `        main+0x10 (/usr/bin/dd)`, or `        0x55d0c0a02010 (/usr/bin/dd+0x2010)`
fn user_frame(frame: &UserFrame<'_>, line: &mut Line) {
    line.clear();
    line.plain("        ");
    match (frame.symbol, frame.offset) {
        (Some(symbol), Some(offset)) => {
            line.name(symbol, usize::MAX);
            line.plain(&format!("+{offset:#x}"));
        }
        _ => line.plain(&format!("{:#x}", frame.address)),
    }
    let Some(file) = frame.file else { return };
    line.plain(" (");
    line.name(file, usize::MAX);
    if let (None, Some(offset)) = (frame.symbol, frame.offset) {
        line.plain(&format!("+{offset:#x}"));
    }
    line.plain(")");
}
