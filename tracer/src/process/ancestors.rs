//! The chain from a process to the first one of all, as far as it is known.
//!
//! *Invariant:* it ends: each parent is older than its child ([`older`]).

use super::{
    kept::Kept,
    node::{Exe, KnownFrom, Node, Parent, State, UNTOLD},
    slab::{Handle, Slab},
};
use crate::event::{Missing, ProcessId, Value};

const PENDING: &str = "not told yet: the snapshot of what was running is still being taken";
const FORGOTTEN: &str = "forgotten: there were more processes than are remembered";
const CHANGED: &str = "not known: the process that it had it from has executed something else since";
const BIRTH_UNSEEN: &str =
    "the birth of a process was not seen: its parent is the one that it had when it was first seen";

/// A process in a chain of ancestors, as it was last known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ancestor<'a> {
    pub id: ProcessId,
    pub comm: Value<'a, &'a [u8]>,
    /// `None`: a kernel thread has none.
    pub exe: Value<'a, Option<&'a [u8]>>,
}

/// A process' ancestors by birth. One whose birth was not seen has the parent that it had when it was first seen.
#[derive(Clone, Copy, Debug)]
pub struct Ancestors<'a> {
    chain: Chain<'a>,
}

/// Where the snapshot of what was running is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Snapshot {
    #[default]
    Pending,
    Done,
}

/// Where a chain goes on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    Process(Option<Handle>, ProcessId),
    Kernel,
    Unknown(Missing<'a>),
}

impl<'a> Step<'a> {
    pub(super) fn of(parent: &'a Parent) -> Self {
        match parent {
            Parent::Process(handle, id) => Self::Process(Some(*handle), *id),
            Parent::Kernel => Self::Kernel,
            Parent::Unknown(why) => Self::Unknown(why.missing()),
        }
    }

    /// To the parent that an event names.
    pub(super) fn to(parent: Value<'a, ProcessId>) -> Self {
        match parent {
            Value::Known(ProcessId { pid: 0, .. }) => Self::Kernel,
            Value::Known(id) | Value::Partial(id, _) => Self::Process(None, id),
            Value::Missing(missing) => Self::Unknown(missing),
        }
    }
}

/// Whether one process may be an ancestor of the other. Early in the boot the clock is coarse, and pids ascend.
pub(super) fn older(ancestor: ProcessId, other: ProcessId) -> bool {
    (ancestor.start_ns, ancestor.pid) < (other.start_ns, other.pid)
}

/// The ancestors from the parent on. [`Chain::missing`] is known when all of them have been taken.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    slab: &'a Slab,
    snapshot: Snapshot,
    next: Step<'a>,
    left: usize,
    missing: Option<Missing<'a>>,
}

impl<'a> Ancestors<'a> {
    /// No more than `most`. `of`: the process itself, if it is known.
    pub(super) fn new(
        slab: &'a Slab,
        snapshot: Snapshot,
        of: Option<&'a Node>,
        first: Step<'a>,
        most: usize,
    ) -> Self {
        let mut chain = Chain { slab, snapshot, next: first, left: most, missing: None };
        if let Some(node) = of {
            chain.birth(node);
        }
        Self { chain }
    }

    /// The ancestors, the parent first.
    pub fn iter(&self) -> Chain<'a> {
        self.chain
    }

    /// Why they end before the first process of all, if they do; `None` too where no more were asked for.
    pub fn missing(&self) -> Option<Missing<'a>> {
        let mut chain = self.chain;
        chain.by_ref().for_each(drop);
        chain.missing
    }
}

impl<'a> Chain<'a> {
    /// Why the chain has ended where it has, if there were more.
    pub fn missing(&self) -> Option<Missing<'a>> {
        self.missing
    }

    fn birth(&mut self, node: &Node) {
        let unseen = matches!(node.known_from, KnownFrom::Exec | KnownFrom::Exit);
        if unseen && node.state != State::Unseen && self.snapshot == Snapshot::Done {
            self.missing.get_or_insert(Missing::Unavailable(BIRTH_UNSEEN));
        }
    }

    fn end(&mut self, why: Missing<'a>) {
        self.next = Step::Unknown(why);
        if self.left == 0 {
            // What comes behind it, nobody asked for.
            self.missing.get_or_insert(why);
        }
    }
}

impl<'a> Iterator for Chain<'a> {
    type Item = Ancestor<'a>;

    fn next(&mut self) -> Option<Ancestor<'a>> {
        if self.left == 0 {
            return None;
        }
        let (handle, id) = match self.next {
            Step::Process(handle, id) => (handle, id),
            Step::Kernel => return None,
            Step::Unknown(why) => {
                self.missing = Some(why);
                return None;
            }
        };
        self.left -= 1;
        let place = handle.filter(|handle| self.slab.get(*handle).is_some()).or_else(|| self.slab.find(id));
        let node = place.and_then(|place| self.slab.get(place));
        let told = node.filter(|node| node.state != State::Unseen);
        let Some(told) = told else {
            let why = Missing::Unavailable(match node {
                _ if self.snapshot == Snapshot::Pending => PENDING,
                None if handle.is_some() => FORGOTTEN,
                _ => UNTOLD,
            });
            self.end(why);
            let comm = node.map_or(Value::Missing(why), Node::comm);
            let comm = if comm.shown().is_some() { comm } else { Value::Missing(why) };
            return Some(Ancestor { id, comm, exe: Value::Missing(why) });
        };
        self.next = Step::of(&told.parent);
        self.birth(told);
        Some(Ancestor { id, comm: told.comm(), exe: exe(self.slab, self.snapshot, told) })
    }
}

/// What a process executes, as it was last known.
pub(super) fn exe<'a>(slab: &'a Slab, snapshot: Snapshot, node: &'a Node) -> Value<'a, Option<&'a [u8]>> {
    let why = |why| Value::Missing(Missing::Unavailable(why));
    match &node.exe {
        Exe::None => Value::Known(None),
        Exe::Path(path) => kept(path),
        Exe::Inherited(from, at_ns) => match slab.get(*from) {
            None => why(FORGOTTEN),
            Some(from) if from.exe_since_ns > *at_ns => why(CHANGED),
            Some(from) => match &from.exe {
                Exe::None => Value::Known(None),
                Exe::Path(path) if from.has_exe() => kept(path),
                _ if snapshot == Snapshot::Pending => why(PENDING),
                Exe::Path(path) => kept(path),
                Exe::Inherited(..) => why(UNTOLD),
            },
        },
    }
}

fn kept(path: &Kept<std::rc::Rc<[u8]>>) -> Value<'_, Option<&[u8]>> {
    path.value(|path| Some(&path[..]))
}
