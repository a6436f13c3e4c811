//! The jump history of a path: what `bpf_verifier_state::jmp_history` holds (kernel/bpf/verifier.c).
//!
//! A path that forks hands its history to both, and thousands of paths may wait; so full chunks are shared, and only
//! the last one is copied. Entries but the last never change.

use std::rc::Rc;

use super::state::Jump;

/// Jumps in a chunk.
const CHUNK: usize = 128;

#[derive(Debug)]
struct Chunk {
    before: Option<Rc<Chunk>>,
    /// Entries in the chunks before.
    start: usize,
    jumps: Vec<Jump>,
}

impl Drop for Chunk {
    /// One after the other: a chain may be longer than the stack is deep.
    fn drop(&mut self) {
        let mut next = self.before.take();
        while let Some(mut chunk) = next.and_then(Rc::into_inner) {
            next = chunk.before.take();
        }
    }
}

/// The history, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    shared: Option<Rc<Chunk>>,
    own: Vec<Jump>,
}

impl History {
    fn shared_len(&self) -> usize {
        self.shared.as_ref().map_or(0, |c| c.start + c.jumps.len())
    }

    pub(super) fn len(&self) -> usize {
        self.shared_len() + self.own.len()
    }

    pub(super) fn push(&mut self, jump: Jump) {
        if self.own.len() >= CHUNK {
            let start = self.shared_len();
            let jumps = std::mem::take(&mut self.own);
            self.shared = Some(Rc::new(Chunk { before: self.shared.take(), start, jumps }));
        }
        self.own.push(jump);
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut Jump> {
        self.own.last_mut()
    }

    pub(super) fn get(&self, i: usize) -> Option<&Jump> {
        if let Some(own) = i.checked_sub(self.shared_len()) {
            return self.own.get(own);
        }
        let mut chunk = self.shared.as_ref()?;
        while i < chunk.start {
            chunk = chunk.before.as_ref()?;
        }
        chunk.jumps.get(i - chunk.start)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jump(at: u32) -> Jump {
        Jump {
            at,
            from: 0,
            stack: None,
            src_is_stack: false,
            dst_is_stack: false,
            linked: Default::default(),
        }
    }

    #[test]
    fn a_fork_shares_the_past_and_not_the_future() {
        let mut a = History::default();
        for at in 0..1000 {
            a.push(jump(at));
        }
        let mut b = a.clone();
        b.push(jump(7));
        a.push(jump(8));
        assert_eq!((a.len(), b.len()), (1001, 1001));
        for at in 0..1000 {
            assert_eq!(
                (a.get(at as usize).map(|j| j.at), b.get(at as usize).map(|j| j.at)),
                (Some(at), Some(at))
            );
        }
        assert_eq!((a.get(1000).map(|j| j.at), b.get(1000).map(|j| j.at)), (Some(8), Some(7)));
        assert!(a.get(1001).is_none());
        a.clear();
        assert_eq!((a.len(), b.len()), (0, 1001));
    }

    #[test]
    fn a_long_history_goes_without_a_deep_stack() {
        let mut a = History::default();
        for at in 0..2_000_000 {
            a.push(jump(at));
        }
        drop(a);
    }
}
