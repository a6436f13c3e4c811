//! The table of processes: events in, what is known out.
//!
//! Events come in the order of the ring, which is almost, but not quite, the order in which they happened on several
//! CPUs; and the snapshot of what was running comes in their midst. So what an event says is joined to what is there,
//! whichever was first:
//!
//! ```text
//! fork              makes a process, or completes one that an exec, an exit or the snapshot told of before
//! exec              changes name and executable; makes the process if nobody told of it
//! exit              ends it; it stays while a descendant does, and for LINGER more exits
//! alive             makes a process, unless it has ended; says what an exec of a later time has not said
//! ```
//!
//! A parent that is not known yet has a place of its own at once, so that links need not be mended when it is told.

use std::{collections::VecDeque, rc::Rc};

use super::{
    ancestors::{Snapshot, Step, older},
    kept::{Kept, Why},
    life::{self, Before, Known, Life, Unseen},
    node::{Exe, KnownFrom, Node, Parent, State},
    recent::Recent,
    slab::{Handle, List, Slab, Thread},
};
use crate::event::{AliveEvent, Event, ExecEvent, ExitEvent, ForkEvent, Missing, ProcessId, Value};

/// Processes that are kept after their end although nobody descends from them: their fork, or a child's, may be late.
pub(super) const LINGER: usize = 256;
/// Identities that are remembered after that, so that what comes late makes no phantom.
const RECENT: usize = 4096;
/// Fewer processes than this are not worth a table.
const MIN_PROCESSES: usize = 16;

/// How much a table remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Processes, living and ended; at least 16.
    pub processes: usize,
    /// Bytes that the execs of all of them may take.
    pub story_bytes: usize,
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
    recent: Recent,
    snapshot: Snapshot,
    pub(super) alive: usize,
    lost: u64,
    pub(super) evicted: Evicted,
}

impl Default for ProcessTable {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

/// Where the process of an event is.
enum Place {
    At(Handle),
    /// The event says what was known.
    Repeated(Option<Handle>),
    None,
}

impl ProcessTable {
    /// An empty table, to be fed with all events from before the snapshot on.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits: Limits { processes: limits.processes.max(MIN_PROCESSES), ..limits },
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
        Unseen { before, lost: self.lost - node.lost_before }
    }

    /// The same of a process that is known by its end alone.
    pub(super) fn unseen_of_unknown(&self, id: Option<ProcessId>) -> Unseen {
        let before = match id {
            None => Before::NoIdentity,
            _ if self.snapshot == Snapshot::Pending => Before::Trace,
            _ if self.evicted.living > 0 => Before::Forgotten,
            _ => Before::FirstSeen,
        };
        Unseen { before: Some(before), lost: self.lost }
    }

    fn fork(&mut self, fork: &ForkEvent<'_>) -> Place {
        let Some(id) = fork.id.shown() else { return Place::None };
        let place = match self.slab.find(id) {
            None if self.recent.contains(id) => return Place::None,
            None => self.begin(id),
            Some(place) => place,
        };
        if self
            .node(place)
            .is_some_and(|node| node.state != State::Unseen && node.known_from == KnownFrom::Fork)
        {
            return Place::Repeated(Some(place));
        }
        self.seen(place, State::Alive);
        self.descend(place, fork.parent_id);
        let maker = self.maker(place, fork);
        let inherited = self.inherited(maker, fork);
        let parent = self.parent(place).and_then(|parent| self.node(parent));
        let born = parent.filter(|node| node.state != State::Unseen && node.known_from == KnownFrom::Fork);
        let depth = born.map_or(0, |parent| parent.depth.saturating_add(1));
        let Some(node) = self.slab.get_mut(place) else { return Place::None };
        node.known_from = KnownFrom::Fork;
        node.maybe_forgotten = false;
        node.wanted |= !fork.quiet;
        node.depth = depth;
        node.named(fork.comm, fork.boot_ns);
        if !node.has_exe() {
            node.exe = inherited;
        }
        if node.story.is_none() {
            (node.uid, node.gid) = (fork.uid, fork.gid);
        }
        if let Some(maker) = maker {
            self.used(maker);
            if fork.maker_tid == fork.maker
                && let Some(node) = self.slab.get_mut(maker)
            {
                node.named(fork.comm, fork.boot_ns);
            }
        }
        Place::At(place)
    }

    /// The process that made a child: its parent, as a rule (CLONE_PARENT is the exception).
    fn maker(&self, child: Handle, fork: &ForkEvent<'_>) -> Option<Handle> {
        match &self.node(child)?.parent {
            Parent::Process(handle, id) if id.pid == fork.maker => Some(*handle),
            _ => {
                // The event has no identity but the pid, whose owner of old may have ended unseen: it must have
                // the name that the child has from its maker.
                let sure = |node: &Node| {
                    let same = node.comm().shown() == Some(fork.comm);
                    node.state == State::Alive && node.lost_before == self.lost && same
                };
                let mut of_pid = self.slab.of_pid(fork.maker);
                Some(of_pid.find(|(place, node)| sure(node) && *place != child)?.0)
            }
        }
    }

    /// What a child executes: the same as who made it.
    fn inherited(&self, maker: Option<Handle>, fork: &ForkEvent<'_>) -> Exe {
        const NO_MAKER: &str = "not known: the process that made it is not known";
        let unknown = Exe::Path(Kept::Missing(Why::Plain(Missing::Unavailable(NO_MAKER))));
        let Some((place, maker)) = maker.and_then(|place| Some((place, self.node(place)?))) else {
            return unknown;
        };
        match &maker.exe {
            exe if maker.has_exe() && maker.exe_since_ns <= fork.boot_ns => exe.clone(),
            Exe::Inherited(from, at_ns) => Exe::Inherited(*from, *at_ns),
            _ => Exe::Inherited(place, fork.boot_ns),
        }
    }

    fn exec(&mut self, exec: &ExecEvent<'_>) -> Place {
        let Some(id) = exec.id.shown() else { return Place::None };
        let place = match self.slab.find(id) {
            Some(place) if self.node(place).is_some_and(|node| node.state == State::Ended) => {
                return Place::At(place);
            }
            Some(place) => place,
            None if self.recent.contains(id) => return Place::None,
            None => self.begin(id),
        };
        if self.first_seen(place, State::Alive, KnownFrom::Exec) || self.has_unknown_parent(place) {
            self.descend(place, exec.parent_id);
        }
        if let Some(parent) = self.parent(place).and_then(|parent| self.slab.get_mut(parent))
            && parent.state == State::Unseen
            && exec.parent_id == Value::Known(parent.id)
            && let Some(comm) = exec.parent_comm.shown()
        {
            parent.named(comm, exec.boot_ns);
        }
        let Some(node) = self.slab.get_mut(place) else { return Place::None };
        node.wanted |= !exec.quiet;
        if !exec.failed() || exec.tid == exec.pid {
            node.named(exec.comm, exec.boot_ns);
        }
        (node.uid, node.gid) = (exec.uid, exec.gid);
        let exe = match &node.exe {
            // The same program again shares its path.
            Exe::Path(Kept::Known(path)) if exec.exe == Value::Known(&path[..]) => Kept::Known(path.clone()),
            _ => Kept::of(exec.exe, Rc::from),
        };
        if !exec.failed() && exec.boot_ns >= node.exe_since_ns {
            node.exe = Exe::Path(exe.clone());
            node.exe_since_ns = exec.boot_ns;
        }
        self.used(place);
        self.tell(place, exec, exe);
        Place::At(place)
    }

    /// Adds an exec to a process' story, and shortens the oldest ones for it.
    fn tell(&mut self, place: Handle, exec: &ExecEvent<'_>, exe: Kept<Rc<[u8]>>) {
        let Some(node) = self.slab.get_mut(place) else { return };
        let had = node.story.as_ref().is_some_and(|story| !story.is_empty());
        let story = node.story.get_or_insert_default();
        let before = story.bytes();
        story.push(exec, exe);
        self.story_bytes = self.story_bytes - before + story.bytes();
        if had {
            self.slab.unlink(&mut self.told, place);
        }
        self.slab.append(&mut self.told, place);
        while self.story_bytes > self.limits.story_bytes
            && let Some(oldest) = self.slab.first(&self.told)
        {
            let story = self.slab.get_mut(oldest).and_then(|node| node.story.as_deref_mut());
            let Some(story) = story else { break };
            let before = story.bytes();
            self.evicted.attempts += u64::from(story.shorten());
            self.story_bytes -= before - story.bytes();
            if story.is_empty() {
                self.slab.unlink(&mut self.told, oldest);
            }
        }
    }

    fn exit(&mut self, exit: &ExitEvent<'_>) -> Place {
        let Some(id) = exit.id.shown() else { return Place::None };
        let place = match self.slab.find(id) {
            Some(place) if self.node(place).is_some_and(|node| node.state == State::Ended) => {
                return Place::Repeated(Some(place));
            }
            Some(place) => place,
            None if self.recent.contains(id) => return Place::Repeated(None),
            None => self.begin(id),
        };
        if self.first_seen(place, State::Ended, KnownFrom::Exit) || self.has_unknown_parent(place) {
            self.descend(place, exit.parent_id);
        }
        if self.node(place).is_some_and(|node| node.state == State::Alive) {
            self.change(place, State::Ended);
        }
        if let Some(node) = self.slab.get_mut(place) {
            node.lingers = true;
            if exit.tid == exit.pid || node.comm.is_none() {
                node.named(exit.comm, exit.boot_ns);
            }
        }
        self.lingering.push_back(place);
        let most = match self.snapshot {
            Snapshot::Pending => self.limits.processes,
            Snapshot::Done => RECENT,
        };
        self.recent.add(id, most);
        Place::At(place)
    }

    fn found(&mut self, alive: &AliveEvent<'_>) -> Place {
        let Some(id) = alive.id.shown() else { return Place::None };
        let place = match self.slab.find(id) {
            None if self.recent.contains(id) => return Place::None,
            None if self.recent.incomplete => {
                // Perhaps it has ended, and that was forgotten: rather unknown than a phantom.
                self.evicted.living += 1;
                return Place::None;
            }
            None => self.begin(id),
            Some(place) => place,
        };
        if self.first_seen(place, State::Alive, KnownFrom::Snapshot) || self.has_unknown_parent(place) {
            self.descend(place, alive.parent_id);
            if let Some(node) = self.slab.get_mut(place) {
                (node.uid, node.gid) = (alive.uid, alive.gid);
            }
        }
        let Some(node) = self.slab.get_mut(place) else { return Place::None };
        if node.known_from == KnownFrom::Exec {
            node.known_from = KnownFrom::Snapshot;
        }
        if node.known_from == KnownFrom::Snapshot {
            node.lost_before = 0;
        }
        node.named(alive.comm, alive.boot_ns);
        let known = alive.exe.shown().is_some();
        if alive.boot_ns > node.exe_since_ns && (known || !node.has_exe()) {
            let exe = match alive.exe {
                Value::Known(None) | Value::Partial(None, _) => Exe::None,
                exe => Exe::Path(Kept::of(exe, |path| path.unwrap_or_default().into())),
            };
            // An exec that was told says the same, unless another one was lost.
            if node.exe_since_ns > 0 && !same(&node.exe, &exe) {
                node.exe_since_ns = alive.boot_ns;
            }
            node.exe = exe;
        }
        Place::At(place)
    }

    /// A process that is not known, for now as a parent alone. There is room for it: [`ProcessTable::prepare`].
    fn begin(&mut self, id: ProcessId) -> Handle {
        let mut node = Node::unseen(id);
        node.lost_before = self.lost;
        node.maybe_forgotten = self.evicted.living > 0;
        let place = self.slab.insert(node);
        self.slab.append(&mut self.remembered, place);
        place
    }

    /// A process is told of. Whether for the first time.
    fn first_seen(&mut self, place: Handle, state: State, known_from: KnownFrom) -> bool {
        let first = self.node(place).is_some_and(|node| node.state == State::Unseen);
        if first {
            self.seen(place, state);
            if let Some(node) = self.slab.get_mut(place) {
                node.known_from = known_from;
            }
        }
        first
    }

    /// Changes the state of a process that was unseen.
    fn seen(&mut self, place: Handle, state: State) {
        if self.node(place).is_some_and(|node| node.state == State::Unseen) {
            self.change(place, state);
        }
    }

    pub(super) fn node(&self, place: Handle) -> Option<&Node> {
        self.slab.get(place)
    }

    fn parent(&self, place: Handle) -> Option<Handle> {
        match self.node(place)?.parent {
            Parent::Process(parent, _) => Some(parent),
            _ => None,
        }
    }

    fn has_unknown_parent(&self, place: Handle) -> bool {
        self.node(place).is_some_and(|node| matches!(node.parent, Parent::Unknown(_)))
    }

    /// Makes a process the child of the one that an event names.
    fn descend(&mut self, place: Handle, parent: Value<'_, ProcessId>) {
        const CONTRADICTION: &str = "not known: the kernel names a parent that is younger than its child";
        let Some(id) = self.node(place).map(|node| node.id) else { return };
        let parent = match parent {
            Value::Known(ProcessId { pid: 0, .. }) => Parent::Kernel,
            Value::Known(parent) | Value::Partial(parent, _) if older(parent, id) => {
                let handle = self.slab.find(parent).unwrap_or_else(|| self.begin(parent));
                if let Some(parent) = self.slab.get_mut(handle) {
                    parent.children += 1;
                }
                Parent::Process(handle, parent)
            }
            Value::Known(_) | Value::Partial(..) => {
                Parent::Unknown(Why::Plain(Missing::Unavailable(CONTRADICTION)))
            }
            Value::Missing(missing) => Parent::Unknown(Why::keep(missing)),
        };
        let before = self.slab.get_mut(place).map(|node| std::mem::replace(&mut node.parent, parent));
        if let Some(Parent::Process(before, _)) = before {
            self.release(before);
        }
    }
}

/// Whether two executables are the same, as far as is known.
fn same(left: &Exe, right: &Exe) -> bool {
    match (left, right) {
        (Exe::None, Exe::None) => true,
        (Exe::Path(left), Exe::Path(right)) => left.shown() == right.shown(),
        _ => false,
    }
}
