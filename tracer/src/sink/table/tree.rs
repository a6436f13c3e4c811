//! Events as a tree that grows line by line: on a terminal as it happens, in a file as it was.
//!
//! ```text
//! TIME             PID TREE
//! 23:14:41.240    4250 [4000 bash] make -j2
//! 23:14:41.251    4251 ├─ sh -c 'cc -c a.c'
//! 23:14:41.252    4252 ├─ sh -c 'cc -c b.c'
//! 23:14:41.262    4255 │  ├─ [4251 sh] cc -c a.c
//! 23:14:41.270    4255 │  ├→ cc1 a.c
//! 23:14:41.300    4255 │  │  └─ exit 0, 38.0 ms
//! 23:14:41.301    4252 │  └─ [sh] SIGTERM, 49.0 ms
//! ```
//!
//! A process stands below its parent, by birth; `├→` is one that executes something else, `└─` its end. Several
//! branches grow at once, so the line above is not always whom a line belongs to: where a reader would be misled, the
//! one it belongs to is named in brackets. What is deeper than is good for reading is drawn together, with its depth
//! in front.
//!
//! *Invariant:* the next line above that is one level higher is the parent's, and of an end the process' own, unless
//! another one is named (`tests/tree.rs`).

use super::{Paint, Table, command, life, painted};
use crate::{
    event::{ExecEvent, ExitEvent, ForkEvent, Lost, ProcessId, Value, WallClock, errno_name},
    process::{Branch, Life},
    sink::{human, time::time_of_day},
};

/// Columns of a level.
const LEVEL: usize = 3;
/// The most levels that are drawn; fewer on a narrow terminal.
const MAX_LEVELS: usize = 20;
/// With fewer than this there is nothing to see.
const MIN_LEVELS: usize = 3;
/// Levels that give way to a depth in figures.
const FIGURES: usize = 2;
/// Levels that are told apart: below them every line names its parent.
const MAX_DEPTH: usize = 4096;
/// Columns before the tree.
const BEFORE: usize = 12 + 1 + 7 + 1;

/// A tree of processes, drawn as it grows.
#[derive(Debug)]
pub struct Tree {
    table: Table,
    /// On each level the process whose line a reader finds first, going up.
    above: Vec<Option<ProcessId>>,
    /// The parent that was named at the root last.
    root: Option<ProcessId>,
}

/// A process' place in the tree.
#[derive(Clone, Copy)]
struct Spot<'a> {
    id: Option<ProcessId>,
    branch: Option<Branch<'a>>,
}

impl Spot<'_> {
    fn depth(&self) -> usize {
        self.branch.map_or(0, |branch| branch.depth as usize)
    }
}

/// What a line is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joint {
    /// A process of which there was no line.
    New,
    /// One of which there was.
    Again,
    End,
}

impl Tree {
    /// A tree in the look of a table.
    pub fn new(table: Table) -> Self {
        Self { table, above: Vec::new(), root: None }
    }

    pub(in crate::sink) fn set_clock(&mut self, clock: WallClock) {
        self.table.set_clock(clock);
    }

    pub(in crate::sink) fn set_columns(&mut self, columns: Option<usize>) {
        self.table.set_columns(columns);
    }

    /// Appends the line that names the columns.
    pub(in crate::sink) fn header(&mut self, out: &mut Vec<u8>) {
        self.table.line.clear();
        self.table.line.plain(&format!("{:<12} {:>7} TREE", "TIME", "PID"));
        self.table.fitted(Some(Paint::Header), out);
    }

    /// Appends an exec.
    pub(in crate::sink) fn exec(
        &mut self,
        event: &ExecEvent<'_>,
        branch: Option<Branch<'_>>,
        out: &mut Vec<u8>,
    ) {
        let spot = Spot { id: event.id.shown(), branch };
        let again = branch.is_some_and(|branch| branch.attempts > 1);
        self.begin(event.boot_ns, event.pid, spot, if again { Joint::Again } else { Joint::New }, event.comm);
        let table = &mut self.table;
        if event.failed() {
            table.line.mark(&format!("{} ", errno_name(event.retval.unsigned_abs())));
        }
        let room = table.width().saturating_sub(BEFORE);
        command::command(event, room, &mut table.line);
        self.finish(event.failed().then_some(Paint::Failure), out);
    }

    /// Appends a birth.
    pub(in crate::sink) fn fork(
        &mut self,
        event: &ForkEvent<'_>,
        branch: Option<Branch<'_>>,
        out: &mut Vec<u8>,
    ) {
        let spot = Spot { id: event.id.shown(), branch };
        self.begin(event.boot_ns, event.pid, spot, Joint::New, event.comm);
        self.table.line.mark("fork of ");
        self.table.line.name(event.comm, usize::MAX);
        if event.ppid != Value::Known(event.maker) {
            self.table.line.plain(&format!(" (made by {})", event.maker));
        }
        self.finish(None, out);
    }

    /// Appends an end.
    pub(in crate::sink) fn exit(
        &mut self,
        event: &ExitEvent<'_>,
        branch: Option<Branch<'_>>,
        out: &mut Vec<u8>,
    ) {
        let spot = Spot { id: event.id.shown(), branch };
        self.begin(event.boot_ns, event.pid, spot, Joint::End, event.comm);
        let mut text = life::result(event.ending).into_owned();
        if let Some(duration_ns) = event.duration_ns() {
            text.push_str(", ");
            human::duration(duration_ns, &mut text);
        }
        self.table.line.mark(&text);
        self.finish(life::paint(event.ending), out);
    }

    /// Appends the end of a life.
    pub(in crate::sink) fn life(&mut self, life: &Life<'_>, branch: Option<Branch<'_>>, out: &mut Vec<u8>) {
        let spot = Spot { id: life.id.shown(), branch };
        self.begin(life.boot_ns, life.pid, spot, Joint::End, life.comm.shown().unwrap_or(b"?"));
        let result = if life.ended { life::result(life.ending) } else { "running".into() };
        let table = &mut self.table;
        table.line.mark(&format!("{result}, "));
        let room = table.width().saturating_sub(BEFORE);
        table.story(life, room);
        self.finish(life::paint(life.ending), out);
    }

    /// For lines that are not of any process.
    pub(in crate::sink) fn table(&mut self) -> &mut Table {
        &mut self.table
    }

    /// Appends a loss of events, of which one is called `noun`.
    pub(in crate::sink) fn lost(&mut self, lost: &Lost, noun: &str, out: &mut Vec<u8>) {
        self.table.lost(lost, noun, out);
    }

    /// Begins a line: time, pid, branches, and whom it belongs to, where that is not to be seen. `comm`: the process'
    /// own name.
    fn begin(&mut self, boot_ns: u64, pid: u32, spot: Spot<'_>, joint: Joint, comm: &[u8]) {
        let said = spot.depth();
        let depth = said.min(MAX_DEPTH);
        let own = spot.id.is_some() && self.above.get(depth).copied().flatten() == spot.id;
        let joint = if joint == Joint::New && own { Joint::Again } else { joint };
        let table = &mut self.table;
        table.cell.clear();
        time_of_day(table.clock.unix_ns(boot_ns), table.look.utc_offset_s, &mut table.cell);
        table.cell.extend_from_slice(format!(" {pid:>7} ").as_bytes());
        let line = &mut table.line;
        line.clear();
        let columns = table.look.columns.unwrap_or(usize::MAX).max(super::MIN_WIDTH);
        let levels = ((columns - BEFORE) / 2 / LEVEL).clamp(MIN_LEVELS, MAX_LEVELS);
        // A new process hangs on its parent's level, an end on its own.
        let level = depth + usize::from(joint == Joint::End);
        let mut drawn = level;
        if level > levels {
            line.mark(&format!("{:<1$}", format!("…{said}"), FIGURES * LEVEL));
            drawn = levels - FIGURES;
        }
        for _ in 1..drawn {
            line.mark("│  ");
        }
        match joint {
            Joint::New if drawn > 0 => line.mark("├─ "),
            Joint::Again if drawn > 0 => line.mark("├→ "),
            Joint::Again => line.mark("→ "),
            Joint::End => line.mark("└─ "),
            Joint::New => {}
        }
        match joint {
            Joint::Again | Joint::End if own => {}
            Joint::New | Joint::Again => self.parent(spot, depth),
            Joint::End => {
                line.plain("[");
                line.name(comm, usize::MAX);
                line.plain("] ");
            }
        }
        self.above.truncate(level);
        if joint != Joint::End {
            self.above.resize(depth, None);
            self.above.push(spot.id);
        }
    }

    /// Names the parent of a process, if it is not the next one above on the level before.
    fn parent(&mut self, spot: Spot<'_>, depth: usize) {
        let Some(parent) = spot.branch.and_then(|branch| branch.parent) else { return };
        let shown = match depth.checked_sub(1) {
            Some(level) => self.above.get(level).copied().flatten(),
            None => self.root.replace(parent.id),
        };
        if shown == Some(parent.id) {
            return;
        }
        let line = &mut self.table.line;
        line.plain(&format!("[{}", parent.id.pid));
        if let Some(comm) = parent.comm.shown() {
            line.plain(" ");
            line.name(comm, usize::MAX);
        }
        line.plain("] ");
    }

    fn finish(&mut self, paint: Option<Paint>, out: &mut Vec<u8>) {
        let table = &mut self.table;
        table.line.fit(table.width().saturating_sub(BEFORE));
        painted(table.look, paint, out, |out| {
            out.extend_from_slice(&table.cell);
            out.extend_from_slice(table.line.as_str().as_bytes());
        });
    }
}
