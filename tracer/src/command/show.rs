//! Records become events, and events bytes; losses are told where they happened.
//!
//! *Invariant:* an event that the kernel side produced is shown, or told as lost, exactly once.

use std::collections::BTreeMap;

use tracer_common::{Class, Hook};

use crate::{
    event::{Assembler, End, EndReason, Event, LossTracker, Lost, LostReason},
    session::Counters,
    sink::{Around, Batch, Sink},
};

/// The way of records to the output.
pub(super) struct Show {
    pub(super) sink: Sink,
    pub(super) batch: Batch,
    assembler: Assembler,
    /// By class.
    losses: [LossTracker; 4],
    events: u64,
    failed: u64,
    /// Lost otherwise than for want of room in the ring.
    lost_otherwise: u64,
    /// Of these the ones that the kernel skipped.
    skipped: u64,
    by_hook: BTreeMap<&'static str, (Hook, u64)>,
    start_ns: u64,
}

impl Show {
    pub(super) fn new(sink: Sink, assembler: Assembler, cpus: u32, start_ns: u64) -> Self {
        Self {
            sink,
            batch: Batch::default(),
            assembler,
            losses: Class::ALL.map(|class| LossTracker::new(class, cpus as usize, start_ns)),
            events: 0,
            failed: 0,
            lost_otherwise: 0,
            skipped: 0,
            by_hook: BTreeMap::new(),
            start_ns,
        }
    }

    /// Events shown so far.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// Takes one record of the ring. `dropped` reads a CPU's counter of a class.
    pub(super) fn record(&mut self, record: &[u8], dropped: &dyn Fn(u32, Class) -> u64, now_ns: u64) {
        match self.assembler.push(record) {
            Ok(Some(Event::Exec(event))) => {
                let cpu = event.cpu;
                let class = if event.quiet { Class::Quiet } else { Class::Event };
                let losses = &mut self.losses[class as usize];
                let lost = losses.event(cpu, event.seq, event.boot_ns, || dropped(cpu, class));
                if let Some(lost) = lost {
                    self.sink.lost(&lost, &mut self.batch.bytes);
                }
                self.sink.exec(&event, Around::default(), &mut self.batch.bytes);
                self.batch.events += 1;
                self.events += 1;
                self.failed += u64::from(event.failed());
                self.by_hook.entry(event.hook.name()).or_insert((event.hook, 0)).1 += 1;
            }
            Ok(_) => {}
            Err(error) => {
                eprintln!("tracer: a record cannot be understood, which is a bug: {error}");
                self.lost(1, now_ns, LostReason::Undecodable);
            }
        }
    }

    /// Tells a loss that belongs to no CPU.
    pub(super) fn lost(&mut self, count: u64, now_ns: u64, reason: LostReason) {
        let lost =
            Lost { class: Class::Event, cpu: None, count, from_ns: self.start_ns, to_ns: now_ns, reason };
        self.sink.lost(&lost, &mut self.batch.bytes);
        self.lost_otherwise += count;
    }

    /// Tells events that the kernel skipped, `total` so far.
    pub(super) fn skipped(&mut self, total: u64, now_ns: u64) {
        let new = total.saturating_sub(self.skipped);
        if new > 0 {
            self.skipped = total;
            self.lost(new, now_ns, LostReason::Skipped);
        }
    }

    /// Looks at the counters: losses are told although no event follows them.
    pub(super) fn poll(&mut self, counters: &Counters, now_ns: u64) {
        for (cpu, stats) in counters.cpus.iter().enumerate() {
            for losses in &mut self.losses {
                let (sink, out) = (&mut self.sink, &mut self.batch.bytes);
                losses.poll(cpu as u32, stats, now_ns, |lost| sink.lost(&lost, out));
            }
        }
    }

    /// The last look, when nothing is attached and the ring is empty.
    /// `missed` returns were not shown by the kernel.
    pub(super) fn settle(&mut self, counters: &Counters, missed: u64, now_ns: u64) {
        for (cpu, stats) in counters.cpus.iter().enumerate() {
            for losses in &mut self.losses {
                let (sink, out) = (&mut self.sink, &mut self.batch.bytes);
                losses.settle(cpu as u32, stats, now_ns, |lost| sink.lost(&lost, out));
            }
        }
        if missed > 0 {
            self.lost(missed, now_ns, LostReason::MissedReturn);
        }
    }

    /// What the run came to.
    pub(super) fn end(&self, reason: EndReason, now_ns: u64) -> End {
        let no_room = self.losses.iter().map(LossTracker::total).sum();
        End {
            boot_ns: now_ns,
            events: self.events,
            failed: self.failed,
            lost: no_room + self.lost_otherwise,
            no_room,
            by_hook: self.by_hook.values().copied().collect(),
            duration_ns: now_ns.saturating_sub(self.start_ns),
            reason,
            undelivered: 0,
        }
    }
}
