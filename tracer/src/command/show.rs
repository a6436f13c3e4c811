//! Records become events, and events bytes; losses are told where they happened.
//!
//! *Invariant:* an event that the kernel side produced is shown, or told as lost, exactly once; one that nobody asked
//! to see is neither, and serves the table of processes.

use std::collections::BTreeMap;

use tracer_common::{Cgroups, Class, Hook};

use crate::{
    event::{Assembler, End, EndReason, Event, Followed, LossTracker, Lost, LostReason, Value},
    place::{Located, PlaceFilter, Places},
    process::{ProcessTable, STILL_RUNNING},
    session::Counters,
    sink::{Around, Batch, Sink},
};

/// What of all that arrives is shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    pub(super) execs: bool,
    pub(super) forks: bool,
    pub(super) exits: bool,
    pub(super) lives: bool,
    /// How many generations, if any.
    pub(super) ancestors: Option<usize>,
    /// Where each process is in the tree.
    pub(super) branches: bool,
    pub(super) places: PlaceFilter,
}

/// The way of records to the output.
pub(super) struct Show {
    assembler: Assembler,
    pub(super) teller: Teller,
}

/// What becomes of events.
pub(super) struct Teller {
    pub(super) sink: Sink,
    pub(super) batch: Batch,
    shown: Shown,
    /// If anything that is shown takes it.
    table: Option<ProcessTable>,
    /// If anybody asked where processes are.
    places: Option<Places>,
    /// By class.
    losses: [LossTracker; 4],
    counts: Counts,
    /// Lost otherwise than for want of room in the ring, by class.
    lost_otherwise: [u64; 4],
    /// Of these the ones that the kernel skipped.
    skipped: [u64; 4],
    by_hook: BTreeMap<&'static str, (Hook, u64)>,
    start_ns: u64,
}

#[derive(Default)]
struct Counts {
    /// That arrived, by class.
    arrived: [u64; 4],
    execs: u64,
    failed: u64,
    forks: u64,
    exits: u64,
    lives: u64,
}

/// What numbers an event, and when and where it was.
struct Origin<'a> {
    class: Class,
    cpu: u32,
    seq: u64,
    boot_ns: u64,
    cgroups: Value<'a, Cgroups>,
}

impl<'a> Origin<'a> {
    /// `None`: it is no event of its own.
    fn of(event: &Event<'a>) -> Option<Self> {
        let (own, quiet, cpu, seq, boot_ns, cgroups) = match event {
            Event::Exec(e) => (Class::Event, e.quiet, e.cpu, e.seq, e.boot_ns, e.cgroups),
            Event::Fork(e) => (Class::Fork, e.quiet, e.cpu, e.seq, e.boot_ns, e.cgroups),
            Event::Exit(e) => (Class::Exit, e.quiet, e.cpu, e.seq, e.boot_ns, e.cgroups),
            Event::Alive(_) | Event::AliveEnd(_) | Event::Cgroup(_) => return None,
        };
        Some(Self { class: if quiet { Class::Quiet } else { own }, cpu, seq, boot_ns, cgroups })
    }
}

impl Show {
    pub(super) fn new(assembler: Assembler, teller: Teller) -> Self {
        Self { assembler, teller }
    }

    /// Takes one record of the ring. `dropped` reads a CPU's counter of a class.
    pub(super) fn record(&mut self, record: &[u8], dropped: &dyn Fn(u32, Class) -> u64, now_ns: u64) {
        match self.assembler.push(record) {
            Ok(Some(event)) => self.teller.event(&event, dropped),
            Ok(None) => {}
            Err(error) => {
                eprintln!("tracer: a record cannot be understood, which is a bug: {error}");
                self.teller.lost(1, now_ns, LostReason::Undecodable);
            }
        }
    }
}

impl Teller {
    pub(super) fn new(
        sink: Sink,
        shown: Shown,
        table: Option<ProcessTable>,
        places: Option<Places>,
        cpus: u32,
        start_ns: u64,
    ) -> Self {
        Self {
            sink,
            batch: Batch::default(),
            shown,
            table,
            places,
            losses: Class::ALL.map(|class| LossTracker::new(class, cpus as usize, start_ns)),
            counts: Counts::default(),
            lost_otherwise: [0; 4],
            skipped: [0; 4],
            by_hook: BTreeMap::new(),
            start_ns,
        }
    }

    /// Lines of events shown so far.
    pub(super) fn events(&self) -> u64 {
        let Counts { execs, forks, exits, lives, .. } = self.counts;
        execs + forks + exits + lives
    }

    /// Events of a class that arrived; those that were lost; and of these the ones that have no number, since the
    /// kernel side did not see them.
    pub(super) fn account(&self, class: Class) -> (u64, u64, u64) {
        let unnumbered = self.lost_otherwise[class as usize];
        let lost = self.losses[class as usize].total() + unnumbered;
        (self.counts.arrived[class as usize], lost, unnumbered)
    }

    fn event(&mut self, event: &Event<'_>, dropped: &dyn Fn(u32, Class) -> u64) {
        let origin = Origin::of(event);
        if let Some(Origin { class, cpu, seq, boot_ns, .. }) = origin {
            let lost = self.losses[class as usize].event(cpu, seq, boot_ns, || dropped(cpu, class));
            if let Some(lost) = lost {
                self.tell(&lost);
            }
            self.counts.arrived[class as usize] += 1;
        }
        if let (Some(places), Event::Cgroup(group)) = (&mut self.places, event) {
            places.learn(group);
        }
        if let (Some(table), Event::Exit(_), true) = (&mut self.table, event, self.shown.lives) {
            // A gap is told by what comes behind it, and a life ends before: its exec may be in there.
            let untold = |class: Class| self.losses[class as usize].untold(|cpu| dropped(cpu, class));
            table.note_untold(untold(Class::Event) + untold(Class::Quiet));
        }
        let known = self.table.as_mut().map(|table| table.event(event));
        let Some(origin) = origin.filter(|origin| origin.class != Class::Quiet) else { return };
        let place = self.places.as_mut().map(|places| places.locate(origin.cgroups));
        if place.is_some_and(|place| !self.shown.places.passes(place)) {
            return;
        }
        let (shown, counts, out) = (&self.shown, &mut self.counts, &mut self.batch.bytes);
        let around = Around {
            ancestors: shown.ancestors.and_then(|most| Some(known?.ancestors(most))),
            branch: if shown.branches { known.map(|known| known.branch()) } else { None },
            place,
        };
        match event {
            Event::Exec(exec) if shown.execs => {
                self.sink.exec(exec, around, out);
                counts.execs += 1;
                counts.failed += u64::from(exec.failed());
                self.by_hook.entry(exec.hook.name()).or_insert((exec.hook, 0)).1 += 1;
                self.batch.events += 1;
            }
            Event::Fork(fork) if shown.forks => {
                self.sink.fork(fork, around, out);
                counts.forks += 1;
                self.batch.events += 1;
            }
            Event::Exit(exit) => {
                if shown.exits {
                    self.sink.exit(exit, around, out);
                    counts.exits += 1;
                    self.batch.events += 1;
                }
                if shown.lives
                    && let Some(life) = known.and_then(|known| known.life(exit))
                {
                    self.sink.life(&life, around, out);
                    counts.lives += 1;
                    self.batch.events += 1;
                }
            }
            _ => {}
        }
    }

    /// There is no snapshot of what was there before, or there will be none.
    pub(super) fn no_snapshot(&mut self) {
        if let Some(table) = &mut self.table {
            table.end_snapshot();
        }
    }

    fn tell(&mut self, lost: &Lost) {
        self.sink.lost(lost, &mut self.batch.bytes);
        if let Some(table) = &mut self.table {
            table.note_loss(lost.count);
        }
    }

    /// Tells a loss that belongs to no CPU.
    pub(super) fn lost(&mut self, count: u64, now_ns: u64, reason: LostReason) {
        self.lost_of(Class::Event, count, now_ns, reason);
    }

    fn lost_of(&mut self, class: Class, count: u64, now_ns: u64, reason: LostReason) {
        let lost = Lost { class, cpu: None, count, from_ns: self.start_ns, to_ns: now_ns, reason };
        self.tell(&lost);
        self.lost_otherwise[class as usize] += count;
    }

    /// Are births and ends told, or needed to know processes? Otherwise they serve trees alone.
    pub(super) fn follows(&self) -> bool {
        self.shown.forks || self.shown.exits || self.table.is_some()
    }

    /// Tells executions that the kernel skipped, and births and ends, as many as there were so far.
    pub(super) fn skipped(&mut self, execs: u64, (births, ends): (u64, u64), now_ns: u64) {
        for (class, total) in [(Class::Event, execs), (Class::Fork, births), (Class::Exit, ends)] {
            let new = total.saturating_sub(self.skipped[class as usize]);
            if new > 0 {
                self.skipped[class as usize] = total;
                self.lost_of(class, new, now_ns, LostReason::Skipped);
            }
        }
    }

    /// Looks at the counters: losses are told although no event follows them.
    pub(super) fn poll(&mut self, counters: &Counters, now_ns: u64) {
        let mut told = Vec::new();
        for (cpu, stats) in counters.cpus.iter().enumerate() {
            for losses in &mut self.losses {
                losses.poll(cpu as u32, stats, now_ns, |lost| told.push(lost));
            }
        }
        told.iter().for_each(|lost| self.tell(lost));
    }

    /// The last look, when nothing is attached and the ring is empty.
    /// `missed` returns were not shown by the kernel.
    pub(super) fn settle(&mut self, counters: &Counters, missed: u64, now_ns: u64) {
        let mut told = Vec::new();
        for (cpu, stats) in counters.cpus.iter().enumerate() {
            for losses in &mut self.losses {
                losses.settle(cpu as u32, stats, now_ns, |lost| told.push(lost));
            }
        }
        told.iter().for_each(|lost| self.tell(lost));
        if let Some(table) = &mut self.table {
            table.note_untold(0);
        }
        if missed > 0 {
            self.lost(missed, now_ns, LostReason::MissedReturn);
        }
    }

    /// Tells the lives that have not ended, and what the run came to.
    pub(super) fn end(&mut self, reason: EndReason, now_ns: u64) -> End {
        if let (Some(table), true) = (&self.table, self.shown.lives) {
            for (known, life) in table.unfinished(now_ns) {
                let around = Around {
                    ancestors: self.shown.ancestors.map(|most| known.ancestors(most)),
                    branch: self.shown.branches.then(|| known.branch()),
                    // Where it was is told with its end.
                    place: self.places.is_some().then_some(Located::Unknown(STILL_RUNNING)),
                };
                self.sink.life(&life, around, &mut self.batch.bytes);
                self.counts.lives += 1;
                self.batch.events += 1;
            }
        }
        let no_room = self.losses.iter().map(LossTracker::total).sum();
        End {
            boot_ns: now_ns,
            events: self.counts.execs,
            failed: self.counts.failed,
            lost: no_room + self.lost_otherwise.iter().sum::<u64>(),
            no_room,
            by_hook: self.by_hook.values().copied().collect(),
            duration_ns: now_ns.saturating_sub(self.start_ns),
            reason,
            undelivered: 0,
            accounts: Vec::new(),
            followed: self.follows().then(|| Followed {
                forks: self.counts.forks,
                exits: self.counts.exits,
                lives: self.counts.lives,
                alive: self.table.as_ref().map(|table| table.alive() as u64),
                evicted: self.table.as_ref().map_or(0, |table| table.evicted().total()),
            }),
        }
    }
}
