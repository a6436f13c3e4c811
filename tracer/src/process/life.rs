//! The life of one process, told at its end, and what is known around an event.

use std::fmt;

use super::{
    ancestors::{self, Ancestor, Ancestors, Step},
    node::{KnownFrom, Node, Parent},
    story::Attempts,
    table::ProcessTable,
};
use crate::event::{Ending, ExitEvent, Missing, ProcessId, Usage, Value};

/// Why what belongs to an end is not known of a process that the trace did not see end.
pub const STILL_RUNNING: &str = "still running when the trace ended";

/// What a process was, from its birth to its end.
#[derive(Clone, Copy, Debug)]
pub struct Life<'a> {
    /// Boot time of its end; of the trace's end, if it still ran then.
    pub boot_ns: u64,
    pub pid: u32,
    pub id: Value<'a, ProcessId>,
    /// Its parent by birth; when the birth was not seen, the one that it had when it was first seen.
    pub ppid: Value<'a, u32>,
    pub parent_id: Value<'a, ProcessId>,
    pub uid: u32,
    pub gid: u32,
    /// As last known.
    pub comm: Value<'a, &'a [u8]>,
    /// `None`: a kernel thread has none.
    pub exe: Value<'a, Option<&'a [u8]>>,
    /// Whether it ended; if not, the trace did.
    pub ended: bool,
    pub ending: Value<'a, Ending>,
    pub usage: Usage<'a>,
    pub known_from: KnownFrom,
    pub execs: Attempts<'a>,
    /// Why there may have been more execs than are told.
    pub unseen: Unseen,
}

/// Why execs of a process may not be known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unseen {
    pub before: Option<Before>,
    /// Events that were lost while it lived.
    pub lost: u64,
}

/// What is unknown of a process' beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// The trace began later.
    Trace,
    /// Its birth was not seen.
    FirstSeen,
    /// The same, and it may be one that was forgotten.
    Forgotten,
    /// It has no identity to find its events by.
    NoIdentity,
}

impl Unseen {
    /// Whether every exec is told, or counted.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.before {
            Some(Before::Trace) => "those before the trace are not known",
            Some(Before::FirstSeen) => "those before it was first seen are not known: its birth was lost",
            Some(Before::Forgotten) => {
                "those before it was first seen are not known: its birth was lost, or it was forgotten, since there \
                 were more processes than are remembered"
            }
            Some(Before::NoIdentity) => "they are not known: without its id no event can be told to be its own",
            None => "",
        })?;
        let between = if self.before.is_some() { "; " } else { "" };
        match self.lost {
            0 => Ok(()),
            1 => write!(f, "{between}1 event was lost meanwhile, which may have been one"),
            lost => {
                write!(f, "{between}{lost} events were lost meanwhile, and some may have been among them")
            }
        }
    }
}

/// What the table knows around the event that it was given last.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub(super) table: &'a ProcessTable,
    /// The event's process.
    pub(super) node: Option<&'a Node>,
    /// Its parent, if the process is not in the table.
    pub(super) parent: Step<'a>,
    /// The event repeats what was told.
    pub(super) repeated: bool,
}

/// Where a process is in the tree of what the trace saw.
#[derive(Clone, Copy, Debug)]
pub struct Branch<'a> {
    /// How many of its ancestors were born in the trace, up to the first one that was not.
    pub depth: u32,
    /// `None`: not known, or the kernel itself.
    pub parent: Option<Ancestor<'a>>,
    /// How many execs of it were seen so far.
    pub attempts: u64,
}

impl<'a> Known<'a> {
    /// The process' ancestors, no more than `most`.
    pub fn ancestors(&self, most: usize) -> Ancestors<'a> {
        let first = self.node.map_or(self.parent, |node| Step::of(&node.parent));
        Ancestors::new(self.table.slab(), self.table.snapshot(), self.node, first, most)
    }

    /// Where it is in the tree.
    pub fn branch(&self) -> Branch<'a> {
        let depth = self.node.map_or(0, |node| node.depth);
        let story = self.node.and_then(|node| node.story.as_ref());
        let attempts = story.map_or(0, |story| story.count());
        Branch { depth, parent: self.ancestors(1).iter().next(), attempts }
    }

    /// The life that ends with an exit: the event that the table was given last. `None` if nobody asked for it, or it
    /// was told already.
    pub fn life(&self, exit: &ExitEvent<'a>) -> Option<Life<'a>> {
        if exit.quiet || self.repeated {
            return None;
        }
        let life = match self.node {
            Some(node) => of_node(self.table, node, Some(exit.boot_ns)),
            None => Life {
                boot_ns: exit.boot_ns,
                pid: exit.pid,
                id: exit.id,
                ppid: exit.ppid,
                parent_id: exit.parent_id,
                uid: exit.uid,
                gid: exit.gid,
                comm: Value::Known(exit.comm),
                exe: Value::Missing(Missing::Unavailable(super::node::UNTOLD)),
                ended: true,
                ending: exit.ending,
                usage: exit.usage,
                known_from: KnownFrom::Exit,
                execs: Attempts::default(),
                unseen: self.table.unseen_of_unknown(exit.id.shown()),
            },
        };
        let comm = match (life.comm, exit.tid == exit.pid) {
            // The last thread's name is the process' own only if that is its first.
            (_, true) | (Value::Missing(_), _) => Value::Known(exit.comm),
            (comm, _) => comm,
        };
        let (uid, gid) = (exit.uid, exit.gid);
        Some(Life { comm, uid, gid, ended: true, ending: exit.ending, usage: exit.usage, ..life })
    }
}

/// The life of a process that still runs at a time.
pub(super) fn unfinished<'a>(table: &'a ProcessTable, node: &'a Node, now_ns: u64) -> Life<'a> {
    Life { boot_ns: now_ns, ..of_node(table, node, None) }
}

fn of_node<'a>(table: &'a ProcessTable, node: &'a Node, end_ns: Option<u64>) -> Life<'a> {
    let parent_id = match &node.parent {
        Parent::Process(_, id) => Value::Known(*id),
        Parent::Kernel => Value::Known(ProcessId { pid: 0, start_ns: 0 }),
        Parent::Unknown(why) => Value::Missing(why.missing()),
    };
    let unknown = || Value::Missing(Missing::Unavailable(STILL_RUNNING));
    Life {
        boot_ns: end_ns.unwrap_or(0),
        pid: node.id.pid,
        id: Value::Known(node.id),
        ppid: match parent_id {
            Value::Known(id) | Value::Partial(id, _) => Value::Known(id.pid),
            Value::Missing(missing) => Value::Missing(missing),
        },
        parent_id,
        uid: node.uid,
        gid: node.gid,
        comm: node.comm(),
        exe: ancestors::exe(table.slab(), table.snapshot(), node),
        ended: end_ns.is_some(),
        ending: Value::Missing(Missing::Unavailable(STILL_RUNNING)),
        usage: Usage {
            user_ns: unknown(),
            system_ns: unknown(),
            max_rss_bytes: unknown(),
            minor_faults: unknown(),
            major_faults: unknown(),
            read_chars: unknown(),
            written_chars: unknown(),
            read_bytes: unknown(),
            write_bytes: unknown(),
            cancelled_write_bytes: unknown(),
        },
        known_from: node.known_from,
        execs: Attempts { story: node.story.as_deref(), end_ns },
        unseen: table.unseen(node),
    }
}
