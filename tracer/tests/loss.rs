//! The loss account against a simulated kernel: CPUs that number events, drop some, preempt one
//! event by another, and a ring that is read late.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;
use tracer::event::{LossTracker, Lost};
use tracer_common::{Class, ClassStats, CpuStats};

const CPUS: usize = 3;
const CLASS: usize = Class::Exit as usize;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// An event takes its number on a CPU.
    Begin(usize),
    /// The latest event under way on a CPU finds room, or does not.
    End(usize, bool),
    Read(usize),
    Poll(usize),
    Sleep(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..CPUS).prop_map(Step::Begin),
        4 => (0..CPUS, prop::bool::weighted(0.6)).prop_map(|(cpu, room)| Step::End(cpu, room)),
        2 => (1usize..20).prop_map(Step::Read),
        1 => (0..CPUS).prop_map(Step::Poll),
        1 => (0u64..400_000_000).prop_map(Step::Sleep),
    ]
}

#[derive(Default)]
struct Kernel {
    now: u64,
    stats: [CpuStats; CPUS],
    under_way: [Vec<(u64, u64)>; CPUS],
    ring: VecDeque<(usize, u64, u64)>,
    /// Times of all drops.
    drops: Vec<(usize, u64)>,
}

impl Kernel {
    fn begin(&mut self, cpu: usize) {
        self.stats[cpu].classes[CLASS].seq += 1;
        self.under_way[cpu].push((self.stats[cpu].classes[CLASS].seq, self.now));
    }

    fn end(&mut self, cpu: usize, room: bool) {
        let Some((seq, ns)) = self.under_way[cpu].pop() else {
            return;
        };
        if room {
            self.ring.push_back((cpu, seq, ns));
        } else {
            self.stats[cpu].classes[CLASS].dropped += 1;
            self.drops.push((cpu, ns));
        }
    }

    fn dropped(&self) -> u64 {
        self.stats.iter().map(|stats| stats.classes[CLASS].dropped).sum()
    }

    fn read(&mut self, tracker: &mut LossTracker, told: &mut Vec<Lost>) {
        if let Some((cpu, seq, ns)) = self.ring.pop_front() {
            let dropped = self.stats[cpu].classes[CLASS].dropped;
            told.extend(tracker.event(cpu as u32, seq, ns, || dropped));
        }
    }

    fn poll(&self, cpu: usize, tracker: &mut LossTracker, told: &mut Vec<Lost>) {
        tracker.poll(cpu as u32, &self.stats[cpu], self.now, |lost| {
            told.push(lost);
        });
    }
}

fn count(told: &[Lost]) -> u64 {
    told.iter().map(|lost| lost.count).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_total_is_exact(steps in vec(step(), 0..200)) {
        let mut kernel = Kernel::default();
        let mut tracker = LossTracker::new(Class::Exit, CPUS, 0);
        let mut told = Vec::new();
        for step in steps {
            kernel.now += 1000;
            match step {
                Step::Begin(cpu) => kernel.begin(cpu),
                Step::End(cpu, room) => kernel.end(cpu, room),
                Step::Read(events) => (0..events).for_each(|_| kernel.read(&mut tracker, &mut told)),
                Step::Poll(cpu) => kernel.poll(cpu, &mut tracker, &mut told),
                Step::Sleep(ns) => kernel.now += ns,
            }
            prop_assert!(count(&told) <= kernel.dropped());
            prop_assert!(told.iter().all(|lost| lost.count > 0 && lost.from_ns <= lost.to_ns));
        }
        for cpu in 0..CPUS {
            while !kernel.under_way[cpu].is_empty() {
                kernel.end(cpu, true);
            }
        }
        while !kernel.ring.is_empty() {
            kernel.read(&mut tracker, &mut told);
        }
        for cpu in 0..CPUS {
            tracker.settle(cpu as u32, &kernel.stats[cpu], kernel.now, |lost| told.push(lost));
        }
        prop_assert_eq!(count(&told), kernel.dropped());
        prop_assert_eq!(tracker.total(), kernel.dropped());
    }

    /// Without preemption, and with a reader that keeps up, each loss is told between the events
    /// where it happened.
    #[test]
    fn losses_are_told_where_they_happened(events in vec((0..CPUS, any::<bool>(), 0u8..8), 0..200)) {
        let mut kernel = Kernel::default();
        let mut tracker = LossTracker::new(Class::Exit, CPUS, 0);
        let mut told = Vec::new();
        for (cpu, room, poll) in events {
            kernel.now += 1000;
            kernel.begin(cpu);
            kernel.end(cpu, room);
            while !kernel.ring.is_empty() {
                kernel.read(&mut tracker, &mut told);
            }
            kernel.now += 1;
            if poll == 0 {
                kernel.poll(cpu, &mut tracker, &mut told);
                let seen = told.iter().filter(|lost| lost.cpu == Some(cpu as u32)).map(|lost| lost.count).sum::<u64>();
                prop_assert_eq!(seen, kernel.stats[cpu].classes[CLASS].dropped);
            }
        }
        for cpu in 0..CPUS {
            tracker.settle(cpu as u32, &kernel.stats[cpu], kernel.now, |lost| told.push(lost));
        }
        for lost in &told {
            let there = kernel.drops.iter().filter(|(cpu, ns)| {
                Some(*cpu as u32) == lost.cpu && (lost.from_ns..=lost.to_ns).contains(ns)
            });
            prop_assert_eq!(there.count() as u64, lost.count);
        }
        prop_assert_eq!(count(&told), kernel.dropped());
    }
}

#[test]
fn an_overtaken_event_is_no_loss() {
    let mut tracker = LossTracker::new(Class::Exit, 1, 0);
    assert_eq!(tracker.event(0, 1, 10, || 0), None);
    assert_eq!(tracker.event(0, 3, 30, || 0), None);
    assert_eq!(tracker.event(0, 2, 20, || 0), None);
    assert_eq!(tracker.event(0, 4, 40, || panic!("no gap")), None);
}

#[test]
fn a_loss_without_a_later_event_is_told_once() {
    let mut tracker = LossTracker::new(Class::Exit, 1, 0);
    assert_eq!(tracker.event(0, 1, 10, || 0), None);
    let mut stats = CpuStats::default();
    stats.classes[CLASS] = ClassStats { seq: 4, dropped: 3, withheld: 0 };
    let mut told = Vec::new();
    tracker.poll(0, &stats, 100, |lost| told.push(lost));
    tracker.poll(0, &stats, 200, |lost| told.push(lost));
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].count, told[0].from_ns, told[0].to_ns), (3, 10, 100));
    // The gap that the next event shows is known already.
    assert_eq!(tracker.event(0, 5, 300, || 3), None);
}
