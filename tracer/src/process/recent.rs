//! The processes that ended last: what comes late of them makes no phantom.

use std::collections::{HashSet, VecDeque};

use crate::event::ProcessId;

/// Ended processes that are known by their identities, in the order of their ends.
#[derive(Debug, Default)]
pub(super) struct Recent {
    order: VecDeque<ProcessId>,
    ids: HashSet<ProcessId>,
    /// Some were forgotten.
    pub(super) incomplete: bool,
}

impl Recent {
    /// Adds one, and forgets all but the last `most`.
    pub(super) fn add(&mut self, id: ProcessId, most: usize) {
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
        self.trim(most);
    }

    pub(super) fn trim(&mut self, most: usize) {
        while self.order.len() > most
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
            self.incomplete = true;
        }
    }

    pub(super) fn contains(&self, id: ProcessId) -> bool {
        self.ids.contains(&id)
    }
}
