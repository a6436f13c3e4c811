//! The table of processes: events in, what is known out.

use std::collections::VecDeque;

use super::{
    ancestors::{Snapshot, Step},
    life::{self, Before, Known, Life, Unseen},
    node::{KnownFrom, Node, State},
    recent::Recent,
    slab::{Handle, List, Slab, Thread},
    told::RECENT,
};
use crate::event::{Event, Missing, ProcessId, Value};

/// Processes that are kept after their end although nobody descends from them: their fork, or a child's, may be late.
pub(super) const LINGER: usize = 256;
/// How much a table remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Processes, living and ended; fewer than [`Limits::MIN_PROCESSES`] are taken for so many.
    pub processes: usize,
    /// Bytes that the execs of all of them may take.
    pub story_bytes: usize,
}

impl Limits {
    /// With fewer processes, a table would forget a parent while its child is being born.
    pub const MIN_PROCESSES: usize = 16;
}

impl Default for Limits {
    fn default() -> Self {
        Self { processes: 65_536, story_bytes: 16 << 20 }
    }
}

/// What was given up for the [`Limits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Ended processes from which living ones descend.
    pub ancestors: u64,
    pub living: u64,
    /// Execs of processes that still lived.
    pub attempts: u64,
}

impl Evicted {
    /// How many things.
    pub fn total(self) -> u64 {
        self.ancestors + self.living + self.attempts
    }
}

/// Everything that is known of processes.
#[derive(Debug)]
pub struct ProcessTable {
    pub(super) limits: Limits,
    pub(super) slab: Slab,
    /// The longest unused first.
    pub(super) living: List,
    /// Ended, or known as parents alone: the first to be forgotten, the oldest first.
    pub(super) remembered: List,
    /// Those that have a story, the one that grew longest ago first.
    pub(super) told: List,
    pub(super) story_bytes: usize,
    /// The last to end, as long as they linger.
    pub(super) lingering: VecDeque<Handle>,
    pub(super) recent: Recent,
    pub(super) snapshot: Snapshot,
    pub(super) alive: usize,
    pub(super) lost: u64,
    /// Events that are known to be lost, and not noted yet as such.
    untold: u64,
    pub(super) evicted: Evicted,
}

impl Default for ProcessTable {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

/// Where the process of an event is.
pub(super) enum Place {
    At(Handle),
    /// The event says what was known.
    Repeated(Option<Handle>),
    None,
}

impl ProcessTable {
    /// An empty table, to be fed with all events from before the snapshot on.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits: Limits { processes: limits.processes.max(Limits::MIN_PROCESSES), ..limits },
            slab: Slab::default(),
            living: List::new(Thread::Use),
            remembered: List::new(Thread::Use),
            told: List::new(Thread::Story),
            story_bytes: 0,
            lingering: VecDeque::new(),
            recent: Recent::default(),
            snapshot: Snapshot::default(),
            alive: 0,
            lost: 0,
            untold: 0,
            evicted: Evicted::default(),
        }
    }

    /// Takes the next event of the ring, and gives what is known around it.
    pub fn event<'t, 'e: 't>(&'t mut self, event: &Event<'e>) -> Known<'t> {
        self.prepare();
        let (parent, place) = match event {
            Event::Fork(fork) => (fork.parent_id, self.fork(fork)),
            Event::Exec(exec) => (exec.parent_id, self.exec(exec)),
            Event::Exit(exit) => (exit.parent_id, self.exit(exit)),
            Event::Alive(alive) => (alive.parent_id, self.found(alive)),
            Event::AliveEnd(_) => {
                self.end_snapshot();
                (Value::Missing(Missing::NotSet), Place::None)
            }
            Event::Cgroup(_) => (Value::Missing(Missing::NotSet), Place::None),
        };
        let node = match place {
            Place::At(place) | Place::Repeated(Some(place)) => self.slab.get(place),
            Place::None | Place::Repeated(None) => None,
        };
        let repeated = matches!(place, Place::Repeated(_));
        Known { table: self, node, parent: Step::to(parent), repeated }
    }

    /// Notes that events were lost: the lives of those who lived then will say so.
    pub fn note_loss(&mut self, count: u64) {
        self.lost += count;
    }

    /// Events were lost that [`Self::note_loss`] was not told of yet: lives that are told meanwhile will say so.
    pub fn note_untold(&mut self, count: u64) {
        self.untold = count;
    }

    /// Ends the wait for a snapshot; also for one that cannot be taken.
    pub fn end_snapshot(&mut self) {
        self.snapshot = Snapshot::Done;
        self.recent.trim(RECENT);
    }

    /// The lives of those that were seen to be born or to exec, and have not ended, in the order of their births.
    pub fn unfinished(&self, now_ns: u64) -> impl Iterator<Item = (Known<'_>, Life<'_>)> {
        let alive = self.slab.iter().map(|(_, node)| node).filter(|node| node.state == State::Alive);
        let mut lives: Vec<&Node> = alive
            .filter(|n| n.wanted && (n.known_from != KnownFrom::Snapshot || n.story.is_some()))
            .collect();
        lives.sort_by_key(|node| (node.id.start_ns, node.id.pid));
        lives.into_iter().map(move |node| {
            let parent = Step::of(&node.parent);
            let known = Known { table: self, node: Some(node), parent, repeated: false };
            (known, life::unfinished(self, node, now_ns))
        })
    }

    /// How many processes are alive, as far as is known.
    pub fn alive(&self) -> usize {
        self.alive
    }

    /// How many places are taken: never more than [`Limits::processes`].
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that execs take: never more than [`Limits::story_bytes`].
    pub fn story_bytes(&self) -> usize {
        self.story_bytes
    }

    /// What was given up so far.
    pub fn evicted(&self) -> Evicted {
        self.evicted
    }

    pub(super) fn slab(&self) -> &Slab {
        &self.slab
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.snapshot
    }

    /// What of its execs was not seen.
    pub(super) fn unseen(&self, node: &Node) -> Unseen {
        let before = match node.known_from {
            KnownFrom::Fork => None,
            KnownFrom::Snapshot => Some(Before::Trace),
            _ if self.snapshot == Snapshot::Pending => Some(Before::Trace),
            _ if node.maybe_forgotten => Some(Before::Forgotten),
            _ => Some(Before::FirstSeen),
        };
        Unseen { before, lost: self.lost + self.untold - node.lost_before }
    }

    /// The same of a process that is known by its end alone.
    pub(super) fn unseen_of_unknown(&self, id: Option<ProcessId>) -> Unseen {
        let before = match id {
            None => Before::NoIdentity,
            _ if self.snapshot == Snapshot::Pending => Before::Trace,
            _ if self.evicted.living > 0 => Before::Forgotten,
            _ => Before::FirstSeen,
        };
        Unseen { before: Some(before), lost: self.lost + self.untold }
    }
}
