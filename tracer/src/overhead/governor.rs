//! Up the ladder at once, down again with patience.
//!
//! ```text
//! share > limit                  up:   1 + floor(log2(share / limit)) steps
//! share <= 2/5 limit, for long   down: floor(log2(4/5 limit / share)) steps
//! ```
//!
//! A step halves what one class costs at most, so a descent into a load that stays as it is ends below 4/5 of the limit,
//! and is not taken back. Where a step weighs more than that (counterexample: a field that is nearly all of the
//! cost), the ascent that follows a descent doubles the patience for the next one. Proven by `tests`.

use tracer_common::Shed;

use super::{Ladder, Share};

/// Looks with room in a row before the first descent, and before the last.
const LEAST_PATIENCE: u32 = 4;
const MOST_PATIENCE: u32 = 256;

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All stays as it is.
    Stay,
    /// Something else is left out than before.
    Changed,
    /// It is too much, and nothing more can be left out. Said once.
    Exhausted,
}

/// Decides how much is left out.
#[derive(Clone, Debug)]
pub struct Governor {
    limit: Share,
    ladder: Ladder,
    level: usize,
    /// Looks in a row with room for a descent.
    calm: u32,
    patience: u32,
    /// Looks since the last descent, if no ascent has followed it.
    descended: Option<u32>,
    exhausted: bool,
}

impl Governor {
    /// One that keeps below `limit`, if it can; to begin with nothing is left out.
    pub fn new(limit: Share, ladder: Ladder) -> Self {
        let limit = limit.max(Share::from_ppm(1));
        Self { limit, ladder, level: 0, calm: 0, patience: LEAST_PATIENCE, descended: None, exhausted: false }
    }

    pub fn limit(&self) -> Share {
        self.limit
    }

    pub fn level(&self) -> usize {
        self.level
    }

    /// What is left out now.
    pub fn shed(&self) -> Shed {
        self.ladder.shed(self.level)
    }

    /// It was too much at the last look, with everything left out that can be.
    pub fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Takes a look at what was measured since the last one.
    pub fn look(&mut self, share: Share) -> Verdict {
        if let Some(looks) = &mut self.descended {
            *looks = looks.saturating_add(1);
        }
        if share > self.limit {
            return self.ascend(share);
        }
        self.exhausted = false;
        let steps = self.room(share).min(self.level);
        if steps == 0 {
            self.calm = 0;
            return Verdict::Stay;
        }
        self.calm += 1;
        if self.calm < self.patience {
            return Verdict::Stay;
        }
        if self.descended.is_some() {
            // The descent before this one held.
            self.patience = (self.patience / 2).max(LEAST_PATIENCE);
        }
        self.calm = 0;
        self.descended = Some(0);
        self.level -= steps;
        Verdict::Changed
    }

    fn ascend(&mut self, share: Share) -> Verdict {
        self.calm = 0;
        if self.descended.take().is_some_and(|looks| looks <= self.patience) {
            self.patience = (self.patience * 2).min(MOST_PATIENCE);
        }
        if self.level == self.ladder.top() {
            return match std::mem::replace(&mut self.exhausted, true) {
                true => Verdict::Stay,
                false => Verdict::Exhausted,
            };
        }
        let steps = 1 + (share.ppm() / self.limit.ppm()).ilog2() as usize;
        self.level = (self.level + steps).min(self.ladder.top());
        Verdict::Changed
    }

    /// How many steps down there is room for.
    fn room(&self, share: Share) -> usize {
        let times = u64::from(self.limit.ppm()) * 4 / (u64::from(share.ppm()).max(1) * 5);
        times.checked_ilog2().unwrap_or(0) as usize
    }
}
