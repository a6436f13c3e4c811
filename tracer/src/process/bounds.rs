//! What the table forgets, and when: by its own rules, or for want of room.
//!
//! A process stays while it lives; after its end while a living one descends from it, and for [`LINGER`] more exits.
//! When there is no room, those that have ended go first, the oldest first; then living ones, the longest unused first.
//!
//! *Invariant:* every place is on the list of its state, and counted by its parent if the link leads there.

use super::{
    node::{Parent, State},
    slab::{Handle, List},
    table::{LINGER, ProcessTable},
};

/// Places that an event may take: the process', and its parent's.
const NEEDED: usize = 2;

impl ProcessTable {
    /// Before an event: what the last one showed may go now, and there is room for what comes.
    pub(super) fn prepare(&mut self) {
        if let Some(last) = self.lingering.back().copied() {
            self.drop_story(last);
        }
        while self.lingering.len() > LINGER
            && let Some(oldest) = self.lingering.pop_front()
        {
            if let Some(node) = self.slab.get_mut(oldest) {
                node.lingers = false;
                if node.children == 0 {
                    self.forget(oldest);
                }
            }
        }
        while self.slab.len() + NEEDED > self.limits.processes {
            let ended = self.slab.first(&self.remembered);
            let Some(place) = ended.or_else(|| self.slab.first(&self.living)) else { break };
            if let Some(node) = self.slab.get(place) {
                match node.state {
                    State::Alive => self.evicted.living += 1,
                    State::Ended => self.evicted.ancestors += u64::from(node.children > 0),
                    State::Unseen => {}
                }
            }
            self.forget(place);
        }
    }

    /// A living process was heard of.
    pub(super) fn used(&mut self, place: Handle) {
        if self.node(place).is_some_and(|node| node.state == State::Alive) {
            self.slab.unlink(&mut self.living, place);
            self.slab.append(&mut self.living, place);
        }
    }

    /// Changes the state of a process.
    pub(super) fn change(&mut self, place: Handle, state: State) {
        let Some(node) = self.slab.get_mut(place) else { return };
        let before = std::mem::replace(&mut node.state, state);
        self.alive -= usize::from(before == State::Alive);
        self.alive += usize::from(state == State::Alive);
        self.off_list(before, place);
        let list = list_of(state, &mut self.living, &mut self.remembered);
        self.slab.append(list, place);
    }

    fn off_list(&mut self, state: State, place: Handle) {
        let list = list_of(state, &mut self.living, &mut self.remembered);
        self.slab.unlink(list, place);
    }

    /// A child less.
    pub(super) fn release(&mut self, parent: Handle) {
        let mut next = Some(parent);
        while let Some(place) = next {
            let Some(node) = self.slab.get_mut(place) else { return };
            node.children = node.children.saturating_sub(1);
            let needed = node.children > 0 || node.lingers || node.state == State::Alive;
            next = if needed { None } else { self.remove(place) };
        }
    }

    /// Forgets a process, and those that nobody else descends from.
    fn forget(&mut self, place: Handle) {
        if let Some(parent) = self.remove(place) {
            self.release(parent);
        }
    }

    /// Takes a process out. Its parent has a child less.
    fn remove(&mut self, place: Handle) -> Option<Handle> {
        self.drop_story(place);
        let state = self.node(place)?.state;
        self.off_list(state, place);
        self.alive -= usize::from(state == State::Alive);
        match self.slab.remove(place)?.parent {
            Parent::Process(parent, _) => Some(parent),
            Parent::Kernel | Parent::Unknown(_) => None,
        }
    }

    fn drop_story(&mut self, place: Handle) {
        let Some(story) = self.slab.get_mut(place).and_then(|node| node.story.take()) else { return };
        self.story_bytes -= story.bytes();
        if !story.is_empty() {
            self.slab.unlink(&mut self.told, place);
        }
    }
}

fn list_of<'a>(state: State, living: &'a mut List, remembered: &'a mut List) -> &'a mut List {
    match state {
        State::Alive => living,
        State::Unseen | State::Ended => remembered,
    }
}
