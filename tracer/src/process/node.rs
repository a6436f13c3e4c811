//! What is remembered of one process.

use std::rc::Rc;

use super::{
    kept::{Kept, Name, Why},
    slab::Handle,
    story::Story,
};
use crate::event::{Missing, ProcessId, Value};

/// Which event told of a process first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownFrom {
    /// Its birth was seen.
    Fork,
    /// It was there when the trace began.
    Snapshot,
    /// Its birth was not seen, and no snapshot told of it.
    Exec,
    Exit,
}

impl KnownFrom {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Snapshot => "snapshot",
            Self::Exec => "exec",
            Self::Exit => "exit",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Known as a parent alone.
    Unseen,
    Alive,
    Ended,
}

/// Who a process descends from.
#[derive(Clone, Debug)]
pub(super) enum Parent {
    /// Counted by the parent, as long as the handle leads to it.
    Process(Handle, ProcessId),
    /// The kernel itself.
    Kernel,
    Unknown(Why),
}

/// What a process executes.
#[derive(Clone, Debug)]
pub(super) enum Exe {
    /// A kernel thread.
    None,
    Path(Kept<Rc<[u8]>>),
    /// What this one executed at that time: it was not known yet.
    Inherited(Handle, u64),
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: ProcessId,
    pub(super) parent: Parent,
    pub(super) state: State,
    pub(super) known_from: KnownFrom,
    /// Somebody asked to see it.
    pub(super) wanted: bool,
    /// It was found when older processes had been forgotten: it may have been one of them.
    pub(super) maybe_forgotten: bool,
    /// It has ended, but not long ago.
    pub(super) lingers: bool,
    /// How many places have it as their parent.
    pub(super) children: u32,
    /// How many of its ancestors were born in this trace, up to the first one that was not.
    pub(super) depth: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// `None`: not known.
    pub(super) comm: Option<Name>,
    /// When it had that name.
    pub(super) comm_ns: u64,
    pub(super) exe: Exe,
    /// Since when it has executed that, if that began in the trace.
    pub(super) exe_since_ns: u64,
    /// Losses of the trace before it was known.
    pub(super) lost_before: u64,
    pub(super) story: Option<Box<Story>>,
}

/// Nobody told of it.
pub(super) const UNTOLD: &str = "its birth was lost, or the snapshot missed it";

impl Node {
    /// A process that nothing is known of but its identity.
    pub(super) fn unseen(id: ProcessId) -> Self {
        Self {
            id,
            parent: Parent::Unknown(Why::Plain(Missing::Unavailable(UNTOLD))),
            state: State::Unseen,
            known_from: KnownFrom::Exec,
            wanted: false,
            maybe_forgotten: false,
            lingers: false,
            children: 0,
            depth: 0,
            uid: 0,
            gid: 0,
            comm: None,
            comm_ns: 0,
            exe: Exe::Path(Kept::Missing(Why::Plain(Missing::Unavailable(UNTOLD)))),
            exe_since_ns: 0,
            lost_before: 0,
            story: None,
        }
    }

    /// Notes the name that it had at a time.
    pub(super) fn named(&mut self, comm: &[u8], boot_ns: u64) {
        if self.comm.is_none() || boot_ns >= self.comm_ns {
            self.comm = Some(Name::new(comm));
            self.comm_ns = boot_ns;
        }
    }

    pub(super) fn comm(&self) -> Value<'_, &[u8]> {
        match &self.comm {
            Some(name) => Value::Known(name.as_bytes()),
            None => Value::Missing(Missing::Unavailable(UNTOLD)),
        }
    }

    /// Whether its executable is known, or it is known why not.
    pub(super) fn has_exe(&self) -> bool {
        match &self.exe {
            Exe::None | Exe::Path(Kept::Known(_) | Kept::Partial(..)) => true,
            Exe::Path(Kept::Missing(_)) | Exe::Inherited(..) => false,
        }
    }
}
