//! What a process tried to execute: the first attempts and the last ones, and how many lie between them.
//!
//! *Invariant:* there is one gap at most, between `first` and `last`; `first.len() + left out + last.len()` attempts
//! were told.

use std::{collections::VecDeque, rc::Rc};

use super::kept::Kept;
use crate::event::{Args, ExecEvent, KeptArgs, Value};

/// Attempts that are kept on each side of the gap.
pub const SIDE: usize = 32;

/// An attempt to execute something, successful or not.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// Nanoseconds since boot, suspended time included.
    pub boot_ns: u64,
    /// 0, or a negative errno.
    pub retval: i32,
    /// As the caller gave it.
    pub filename: Value<'a, &'a [u8]>,
    /// A failed exec has none.
    pub exe: Value<'a, &'a [u8]>,
    /// `None`: the executable is no script.
    pub interpreter: Value<'a, Option<&'a [u8]>>,
    pub argv: Value<'a, Args<'a>>,
    /// How many arguments could not be read.
    pub argv_unread: u32,
    pub argc: Value<'a, u32>,
    /// Length of all arguments, NULs included.
    pub argv_bytes: Value<'a, u32>,
    /// How long the process then was what it executed; `None`: it failed, or still is.
    pub duration_ns: Option<u64>,
}

impl Attempt<'_> {
    /// Whether the exec failed.
    pub fn failed(&self) -> bool {
        self.retval < 0
    }
}

#[derive(Debug)]
pub(super) struct KeptAttempt {
    boot_ns: u64,
    retval: i32,
    argv_unread: u32,
    filename: Kept<Box<[u8]>>,
    exe: Kept<Rc<[u8]>>,
    interpreter: Kept<Option<Box<[u8]>>>,
    argv: Kept<KeptArgs>,
    argc: Kept<u32>,
    argv_bytes: Kept<u32>,
    /// When the next one succeeded.
    replaced_ns: Option<u64>,
    /// Memory that it takes. Its executable's path counts in full, though others may share it.
    bytes: usize,
}

impl KeptAttempt {
    /// `exe` is the path of the event, kept.
    fn new(event: &ExecEvent<'_>, exe: Kept<Rc<[u8]>>) -> Self {
        let mut kept = Self {
            boot_ns: event.boot_ns,
            retval: event.retval,
            argv_unread: event.argv_unread,
            filename: Kept::of(event.filename, Box::from),
            exe,
            interpreter: Kept::of(event.interpreter, |path| path.map(Box::from)),
            argv: Kept::of(event.argv, |args| args.keep()),
            argc: Kept::of(event.argc, |argc| argc),
            argv_bytes: Kept::of(event.argv_bytes, |bytes| bytes),
            replaced_ns: None,
            bytes: 0,
        };
        let paths = [
            kept.filename.shown().map(|path| path.len()),
            kept.exe.shown().map(|path| path.len()),
            kept.interpreter.shown().and_then(|path| Some(path.as_ref()?.len())),
            kept.argv.shown().map(KeptArgs::heap_bytes),
        ];
        kept.bytes = size_of::<Self>() + paths.into_iter().flatten().sum::<usize>();
        kept
    }

    fn attempt(&self, end_ns: Option<u64>) -> Attempt<'_> {
        let until = self.replaced_ns.or(end_ns).filter(|_| self.retval >= 0);
        Attempt {
            boot_ns: self.boot_ns,
            retval: self.retval,
            filename: self.filename.value(|path| &path[..]),
            exe: self.exe.value(|path| &path[..]),
            interpreter: self.interpreter.value(|path| path.as_deref()),
            argv: self.argv.value(KeptArgs::args),
            argv_unread: self.argv_unread,
            argc: self.argc.value(|argc| *argc),
            argv_bytes: self.argv_bytes.value(|bytes| *bytes),
            duration_ns: until.map(|until| until.saturating_sub(self.boot_ns)),
        }
    }
}

/// The attempts of one process.
#[derive(Debug, Default)]
pub(super) struct Story {
    first: Vec<KeptAttempt>,
    last: VecDeque<KeptAttempt>,
    left_out: LeftOut,
    bytes: usize,
}

/// Attempts that are no longer told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// There were more than are kept of one process.
    pub count: u64,
    /// They gave way to others: all stories together have only so much memory.
    pub memory: u64,
}

impl LeftOut {
    /// All of them.
    pub fn total(self) -> u64 {
        self.count + self.memory
    }
}

impl Story {
    /// Adds an attempt.
    pub(super) fn push(&mut self, event: &ExecEvent<'_>, exe: Kept<Rc<[u8]>>) {
        if !event.failed() {
            let mut newest_first = self.first.iter_mut().chain(&mut self.last).rev();
            if let Some(before) = newest_first.find(|attempt| attempt.retval >= 0) {
                before.replaced_ns.get_or_insert(event.boot_ns);
            }
        }
        let attempt = KeptAttempt::new(event, exe);
        self.bytes += attempt.bytes;
        if self.first.len() < SIDE && self.last.is_empty() && self.left_out == LeftOut::default() {
            self.first.push(attempt);
            return;
        }
        if self.last.len() == SIDE
            && let Some(oldest) = self.last.pop_front()
        {
            self.bytes -= oldest.bytes;
            self.left_out.count += 1;
        }
        self.last.push_back(attempt);
    }

    /// Gives up an attempt next to the gap, to save memory: the very last one is the last to go. `false` if there is
    /// none.
    pub(super) fn shorten(&mut self) -> bool {
        let given_up = match self.last.len() {
            2.. => self.last.pop_front(),
            _ => self.first.pop().or_else(|| self.last.pop_front()),
        };
        let Some(given_up) = given_up else { return false };
        self.bytes -= given_up.bytes;
        self.left_out.memory += 1;
        true
    }

    /// How many attempts were told.
    pub(super) fn count(&self) -> u64 {
        (self.first.len() + self.last.len()) as u64 + self.left_out.total()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.last.is_empty()
    }
}

/// The attempts of a process, in order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempts<'a> {
    pub(super) story: Option<&'a Story>,
    /// When the process ended.
    pub(super) end_ns: Option<u64>,
}

impl<'a> Attempts<'a> {
    /// Those that are kept.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Attempt<'a>> + use<'a> {
        let end_ns = self.end_ns;
        let (first, last) = self.story.map(|story| (&story.first, &story.last)).unzip();
        let kept = first.into_iter().flatten().chain(last.into_iter().flatten());
        kept.map(move |attempt| attempt.attempt(end_ns))
    }

    /// Those that are not.
    pub fn left_out(&self) -> LeftOut {
        self.story.map_or_else(LeftOut::default, |story| story.left_out)
    }

    /// How many are kept before those that are not.
    pub fn before_gap(&self) -> usize {
        self.story.map_or(0, |story| story.first.len())
    }
}
