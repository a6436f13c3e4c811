//! Where the processes of the table lie: reusable places, found by identity, and threaded on lists.
//!
//! *Invariant:* a [`Handle`] leads to the process that it was made for, or to none: a place that is given to another
//! process has a new generation. A place is on at most one [`List`] of each [`Thread`].

use std::collections::HashMap;

use super::node::Node;
use crate::event::ProcessId;

const NONE: u32 = u32::MAX;

/// Where a process lies, or lay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle {
    place: u32,
    generation: u32,
}

/// What a list threads places by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Thread {
    /// Whether it may be forgotten, and how soon.
    Use = 0,
    /// Whether it has a story.
    Story = 1,
}

#[derive(Clone, Copy, Debug)]
struct Links {
    before: u32,
    after: u32,
}

#[derive(Debug)]
struct Place {
    generation: u32,
    /// The next place with the same pid.
    same_pid: u32,
    links: [Links; 2],
    node: Option<Node>,
}

/// Places in an order; all in constant time.
#[derive(Debug)]
pub(super) struct List {
    thread: Thread,
    first: u32,
    last: u32,
}

impl List {
    pub(super) fn new(thread: Thread) -> Self {
        Self { thread, first: NONE, last: NONE }
    }
}

/// All processes.
#[derive(Debug, Default)]
pub(super) struct Slab {
    places: Vec<Place>,
    free: Vec<u32>,
    by_pid: HashMap<u32, u32>,
}

impl Slab {
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn get(&self, handle: Handle) -> Option<&Node> {
        let place = self.places.get(handle.place as usize)?;
        place.node.as_ref().filter(|_| place.generation == handle.generation)
    }

    pub(super) fn get_mut(&mut self, handle: Handle) -> Option<&mut Node> {
        let place = self.places.get_mut(handle.place as usize)?;
        place.node.as_mut().filter(|_| place.generation == handle.generation)
    }

    pub(super) fn find(&self, id: ProcessId) -> Option<Handle> {
        self.of_pid(id.pid).find(|(_, node)| node.id == id).map(|(handle, _)| handle)
    }

    /// The processes that have, or had, a pid.
    pub(super) fn of_pid(&self, pid: u32) -> impl Iterator<Item = (Handle, &Node)> {
        let mut next = self.by_pid.get(&pid).copied();
        std::iter::from_fn(move || {
            let at = next?;
            let place = self.places.get(at as usize)?;
            next = Some(place.same_pid);
            Some((Handle { place: at, generation: place.generation }, place.node.as_ref()?))
        })
    }

    /// All processes, in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Handle, &Node)> {
        let places = (0..).zip(&self.places);
        places.filter_map(|(at, place)| {
            Some((Handle { place: at, generation: place.generation }, place.node.as_ref()?))
        })
    }

    pub(super) fn insert(&mut self, node: Node) -> Handle {
        let pid = node.id.pid;
        let at = self.free.pop().unwrap_or_else(|| {
            let links = [Links { before: NONE, after: NONE }; 2];
            self.places.push(Place { generation: 0, same_pid: NONE, links, node: None });
            (self.places.len() - 1) as u32
        });
        let same_pid = self.by_pid.insert(pid, at).unwrap_or(NONE);
        let place = &mut self.places[at as usize];
        (place.node, place.same_pid) = (Some(node), same_pid);
        Handle { place: at, generation: place.generation }
    }

    /// Takes a process out. It must be on no list.
    pub(super) fn remove(&mut self, handle: Handle) -> Option<Node> {
        let id = self.get(handle)?.id;
        let at = handle.place;
        let next = self.places[at as usize].same_pid;
        let first = self.by_pid.get(&id.pid).copied().unwrap_or(NONE);
        if first != at {
            let mut before = first;
            while self.places[before as usize].same_pid != at {
                before = self.places[before as usize].same_pid;
            }
            self.places[before as usize].same_pid = next;
        } else if next == NONE {
            self.by_pid.remove(&id.pid);
        } else {
            self.by_pid.insert(id.pid, next);
        }
        let place = &mut self.places[at as usize];
        place.generation = place.generation.wrapping_add(1);
        place.same_pid = NONE;
        self.free.push(at);
        place.node.take()
    }

    /// The first of a list.
    pub(super) fn first(&self, list: &List) -> Option<Handle> {
        let place = self.places.get(list.first as usize)?;
        Some(Handle { place: list.first, generation: place.generation })
    }

    /// Puts a process, which is on no list of this thread, at the end of a list.
    pub(super) fn append(&mut self, list: &mut List, handle: Handle) {
        let at = handle.place;
        *self.links(at, list) = Links { before: list.last, after: NONE };
        match list.last {
            NONE => list.first = at,
            last => self.links(last, list).after = at,
        }
        list.last = at;
    }

    /// Takes a process off the list that it is on.
    pub(super) fn unlink(&mut self, list: &mut List, handle: Handle) {
        let Links { before, after } = *self.links(handle.place, list);
        match before {
            NONE => list.first = after,
            before => self.links(before, list).after = after,
        }
        match after {
            NONE => list.last = before,
            after => self.links(after, list).before = before,
        }
    }

    fn links(&mut self, at: u32, list: &List) -> &mut Links {
        &mut self.places[at as usize].links[list.thread as usize]
    }
}
