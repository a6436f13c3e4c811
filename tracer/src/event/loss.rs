//! Gaps in sequence numbers and counters of drops, joined into one account of what was lost.
//!
//! Per CPU the kernel side numbers its events from 1 and counts those that found no room. A gap
//! tells *where* events are missing, the counter *how many*: a gap alone may be an event that is
//! still to come, because a task that was preempted in mid-event delivers a smaller number after
//! a bigger one. So nothing is told but what the counter confirms:
//!
//! ```text
//! told <= dropped             always
//! told  = dropped             after settle(), with the final counters
//! ```
//!
//! A confirmed gap is told at the event that shows it. What the counter knows and no gap shows
//! yet is told by [`LossTracker::poll`], without waiting for a next event: at once if nothing else
//! can be under way, else after [`PATIENCE_NS`]. The gap that the next event then shows is known.
//! Proven by `tests/loss.rs` with a simulated kernel.

use std::collections::VecDeque;

use tracer_common::{Class, ClassStats, CpuStats};

/// How long the counter may be ahead of the events before its losses are told without a gap. With
/// polls every 250 ms, a loss is told within a second.
const PATIENCE_NS: u64 = 500_000_000;
/// Gaps that are remembered per CPU; the counters tell what is forgotten here.
const MAX_GAPS: usize = 64;

/// Events that the kernel side saw and could not deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    pub class: Class,
    /// The CPU, if the loss belongs to one.
    pub cpu: Option<u32>,
    pub count: u64,
    /// The boot time between which they happened: of the event before, and of the event after (or
    /// of the look at the counter).
    pub from_ns: u64,
    pub to_ns: u64,
    pub reason: LostReason,
}

/// What events were lost to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostReason {
    /// The ring had no room: the reader was too slow, or the buffer is too small.
    RingFull,
    /// The kernel did not show the return of a call.
    MissedReturn,
    /// The kernel skipped the program that would have shown it: another task was in its middle.
    Skipped,
    /// A record could not be decoded.
    Undecodable,
}

impl LostReason {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::MissedReturn => "missed_return",
            Self::Skipped => "skipped",
            Self::Undecodable => "undecodable",
        }
    }

    /// What happened, for people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::RingFull => "ring buffer full",
            Self::MissedReturn => "the kernel did not show the call's return",
            Self::Skipped => "the kernel skipped the program that would have shown them",
            Self::Undecodable => "record not decodable",
        }
    }
}

/// The account of every CPU, of one class of events.
#[derive(Debug)]
pub struct LossTracker {
    class: Class,
    cpus: Vec<Cpu>,
}

#[derive(Debug)]
struct Cpu {
    /// The smallest number that no event has reached.
    next: u64,
    /// Boot time of what was told or delivered last.
    last_ns: u64,
    told: u64,
    /// Losses told that no gap has shown yet.
    ahead: u64,
    gaps: VecDeque<Gap>,
    /// Since when the counter has been ahead.
    waiting_since: Option<u64>,
}

/// Numbers that were skipped.
#[derive(Clone, Copy, Debug)]
struct Gap {
    from: u64,
    to: u64,
    /// How many of them are neither told nor delivered.
    open: u64,
    from_ns: u64,
    to_ns: u64,
}

/// What to do with losses that no gap shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unseen {
    Wait,
    Tell,
}

impl LossTracker {
    /// The account of `cpus` CPUs, from a boot time on. Events of other CPUs are ignored.
    pub fn new(class: Class, cpus: usize, start_ns: u64) -> Self {
        let cpu = || Cpu {
            next: 1,
            last_ns: start_ns,
            told: 0,
            ahead: 0,
            gaps: VecDeque::new(),
            waiting_since: None,
        };
        Self { class, cpus: std::iter::repeat_with(cpu).take(cpus).collect() }
    }

    /// Notes an event's number: a loss that it shows happened before it. `dropped` reads the
    /// CPU's counter; it is only asked when there is a gap.
    pub fn event(&mut self, cpu: u32, seq: u64, boot_ns: u64, dropped: impl FnOnce() -> u64) -> Option<Lost> {
        self.cpus.get_mut(cpu as usize)?.event((self.class, cpu), seq, boot_ns, dropped)
    }

    /// Looks at a CPU's counters, at a boot time: call it for every CPU at least every 250 ms,
    /// best after the ring was emptied.
    pub fn poll(&mut self, cpu: u32, stats: &CpuStats, now_ns: u64, tell: impl FnMut(Lost)) {
        if let Some(state) = self.cpus.get_mut(cpu as usize) {
            let stats = &stats.classes[self.class as usize];
            state.look((self.class, cpu), stats, now_ns, Unseen::Wait, tell);
        }
    }

    /// Looks at a CPU's final counters, after everything is detached and the ring is empty.
    pub fn settle(&mut self, cpu: u32, stats: &CpuStats, now_ns: u64, tell: impl FnMut(Lost)) {
        if let Some(state) = self.cpus.get_mut(cpu as usize) {
            let stats = &stats.classes[self.class as usize];
            state.look((self.class, cpu), stats, now_ns, Unseen::Tell, tell);
        }
    }

    /// How many losses the CPUs' counters, which `dropped` reads, are ahead of what was told.
    pub fn untold(&self, dropped: impl Fn(u32) -> u64) -> u64 {
        let ahead = |(number, cpu): (usize, &Cpu)| dropped(number as u32).saturating_sub(cpu.told);
        self.cpus.iter().enumerate().map(ahead).sum()
    }

    /// How many losses were told so far.
    pub fn total(&self) -> u64 {
        self.cpus.iter().map(|cpu| cpu.told).sum()
    }
}

/// Whose account it is: the class and the CPU.
type Of = (Class, u32);

impl Cpu {
    fn event(&mut self, of: Of, seq: u64, boot_ns: u64, dropped: impl FnOnce() -> u64) -> Option<Lost> {
        if seq < self.next {
            self.late(seq);
            return None;
        }
        let skipped = seq - self.next;
        let known = skipped.min(self.ahead);
        self.ahead -= known;
        let missing = skipped - known;
        let mut gap = Gap {
            from: self.next,
            to: seq,
            open: missing,
            from_ns: self.last_ns.min(boot_ns),
            to_ns: boot_ns,
        };
        self.next = seq.saturating_add(1);
        self.last_ns = boot_ns;
        if missing == 0 {
            return None;
        }
        let lost = self.confirm(of, &mut gap, dropped());
        if gap.open > 0 {
            if self.gaps.len() == MAX_GAPS {
                self.gaps.pop_front();
            }
            self.gaps.push_back(gap);
        }
        lost
    }

    /// An event that was overtaken.
    fn late(&mut self, seq: u64) {
        if let Some(gap) = self.gaps.iter_mut().find(|gap| (gap.from..gap.to).contains(&seq)) {
            gap.open -= 1;
        }
        self.gaps.retain(|gap| gap.open > 0);
    }

    /// Tells as much of a gap as the counter confirms.
    fn confirm(&mut self, of: Of, gap: &mut Gap, dropped: u64) -> Option<Lost> {
        let count = gap.open.min(dropped.saturating_sub(self.told));
        gap.open -= count;
        self.told += count;
        (count > 0).then_some(Lost {
            class: of.0,
            cpu: Some(of.1),
            count,
            from_ns: gap.from_ns,
            to_ns: gap.to_ns,
            reason: LostReason::RingFull,
        })
    }

    fn look(&mut self, of: Of, stats: &ClassStats, now_ns: u64, unseen: Unseen, mut tell: impl FnMut(Lost)) {
        let mut gaps = std::mem::take(&mut self.gaps);
        for gap in &mut gaps {
            self.confirm(of, gap, stats.dropped).map(&mut tell);
        }
        gaps.retain(|gap| gap.open > 0);
        self.gaps = gaps;

        let unseen_count = stats.dropped.saturating_sub(self.told);
        if unseen_count == 0 {
            self.waiting_since = None;
            return;
        }
        // Numbers given out and not accounted for: if all of them are lost, none is under way.
        let outstanding = stats.seq.saturating_sub(self.next - 1);
        let quiet = outstanding.saturating_sub(self.ahead) == unseen_count;
        let since = *self.waiting_since.get_or_insert(now_ns);
        let waited = now_ns.saturating_sub(since) >= PATIENCE_NS;
        if !(quiet || waited || unseen == Unseen::Tell) {
            return;
        }
        self.waiting_since = None;
        self.told += unseen_count;
        self.ahead += unseen_count;
        tell(Lost {
            class: of.0,
            cpu: Some(of.1),
            count: unseen_count,
            from_ns: self.last_ns.min(now_ns),
            to_ns: now_ns,
            reason: LostReason::RingFull,
        });
        self.last_ns = now_ns;
    }
}
