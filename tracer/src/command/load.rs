//! What a run costs, told; and less of it, when it is too much.
//!
//! *Invariant:* each change of what is left out is told, and so is the number of events that were withheld: between two
//! records `withheld` of a class, and after the last one, none is missing.
//!
//! *Must not know:* how costs are measured, what is left out first, or how records look.

use std::time::{Duration, Instant};

use tracer_common::{Class, follow};

use super::{common::boot_ns, show::Teller};
use crate::{
    cli::{ExecConfig, StatsWanted},
    event::{Account, ClassWithheld, Made, Overhead, Stats},
    overhead::{Governor, Ladder, Share, Verdict},
    plan::Plan,
    session::{Attached, Counters},
    sink::{self, Sink},
};

/// Time between two looks at what the run costs, but for the grain of the clock that they are made by.
const LOOK: Duration = Duration::from_millis(450);

/// Classes that can be events, by their number.
const EVENTS: [(Class, u32); 3] =
    [(Class::Event, follow::EXEC), (Class::Fork, follow::FORK), (Class::Exit, follow::EXIT)];

/// When something was measured, and what had been spent until then.
#[derive(Clone, Copy)]
struct Moment {
    at: Instant,
    boot_ns: u64,
    spent_ns: u64,
}

impl Moment {
    fn now(attached: &Attached) -> Self {
        Self { at: Instant::now(), boot_ns: boot_ns(), spent_ns: attached.spent_ns() }
    }

    /// The share of `cpus` CPUs that was spent since an earlier one.
    fn share_since(&self, before: &Self, cpus: u32) -> Share {
        let elapsed = self.at.duration_since(before.at).as_nanos();
        let spent = self.spent_ns.saturating_sub(before.spent_ns);
        Share::of(spent, u64::try_from(elapsed).unwrap_or(u64::MAX), cpus)
    }
}

/// The account of what a run costs.
pub(super) struct Load {
    stats: StatsWanted,
    governor: Option<Governor>,
    /// What can be an event in this run.
    classes: Vec<Class>,
    cpus: u32,
    start: Moment,
    looked: Moment,
    told: Moment,
    /// Withheld events that were told, by class, and until when.
    withheld: [u64; 4],
    withheld_until_ns: u64,
    /// For the end.
    summary: Option<String>,
}

impl Load {
    /// `None` if nobody asked what the run costs.
    pub(super) fn new(config: &ExecConfig, plan: &Plan, attached: &Attached) -> Option<Self> {
        if !plan.wishes.stats {
            return None;
        }
        let followed = EVENTS.iter().filter(|(_, bit)| plan.knobs.follow & bit != 0);
        let classes: Vec<_> = followed.map(|(class, _)| *class).collect();
        let ladder = || Ladder::new(fields(plan, &classes), &classes);
        let now = Moment::now(attached);
        Some(Self {
            stats: config.stats,
            governor: config.max_overhead.map(|limit| Governor::new(limit, ladder())),
            classes,
            // SAFETY: sysconf() only reads its argument.
            cpus: u32::try_from(unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }).unwrap_or(1).max(1),
            start: now,
            looked: now,
            told: now,
            withheld: [0; 4],
            withheld_until_ns: now.boot_ns,
            summary: None,
        })
    }

    /// Now and then: sees to it that the run does not cost too much.
    pub(super) fn look(&mut self, attached: &mut Attached, show: &mut Teller) {
        let Some(governor) = &mut self.governor else { return };
        if self.looked.at.elapsed() < LOOK {
            return;
        }
        let now = Moment::now(attached);
        let share = now.share_since(&self.looked, self.cpus);
        self.looked = now;
        let verdict = governor.look(share);
        let overhead = Overhead {
            boot_ns: now.boot_ns,
            share,
            limit: governor.limit(),
            shed: governor.shed(),
            exhausted: governor.is_exhausted(),
        };
        // What was withheld until now comes before the change.
        self.tell_withheld(&attached.counters(), show, now.boot_ns);
        if verdict == Verdict::Stay {
            return;
        }
        attached.leave_out(&overhead.shed);
        show.sink.overhead(&overhead, &mut show.batch.bytes);
        if matches!(show.sink, Sink::Json(_)) {
            eprintln!("tracer: {}", sink::overhead_text(&overhead));
        }
    }

    fn tell_withheld(&mut self, counters: &Counters, show: &mut Teller, now_ns: u64) {
        for class in &self.classes {
            let total = counters.withheld(*class);
            let told = &mut self.withheld[*class as usize];
            let count = total.saturating_sub(std::mem::replace(told, total));
            if count > 0 {
                let (from_ns, to_ns) = (self.withheld_until_ns, now_ns);
                let withheld = ClassWithheld { class: *class, from_ns, to_ns, count };
                show.sink.withheld(&withheld, &mut show.batch.bytes);
            }
        }
        self.withheld_until_ns = now_ns;
    }

    /// Tells what the run costs.
    pub(super) fn tell(&mut self, attached: &Attached, show: &mut Teller) {
        let now = Moment::now(attached);
        let before = std::mem::replace(&mut self.told, now);
        self.stats(attached, before, now, |stats| show.sink.stats(stats, &mut show.batch.bytes));
    }

    /// Nothing is attached any more: tells the last of it.
    pub(super) fn finish(&mut self, attached: &Attached, show: &mut Teller) {
        self.tell_withheld(&attached.counters(), show, boot_ns());
        if self.stats == StatsWanted::Never {
            return;
        }
        let now = Moment::now(attached);
        let mut summary = None;
        self.stats(attached, self.start, now, |stats| {
            show.sink.stats(stats, &mut show.batch.bytes);
            summary = Some(sink::stats_summary(stats));
        });
        self.summary = summary;
    }

    /// What became of each class, of a run that leaves something out.
    pub(super) fn accounts(&self, attached: &Attached, show: &Teller) -> Vec<Account> {
        if self.governor.is_none() {
            return Vec::new();
        }
        let counters = attached.counters();
        let account = |class: &Class| {
            let (shown, lost, unnumbered) = show.account(*class);
            let Made { made, withheld, .. } = made(&counters, *class);
            Account { class: *class, made: made + unnumbered, shown, withheld, lost }
        };
        self.classes.iter().map(account).collect()
    }

    /// What the run cost, in a block of lines.
    pub(super) fn summary(&self) -> Option<&str> {
        self.summary.as_deref()
    }

    fn stats(&self, attached: &Attached, from: Moment, now: Moment, tell: impl FnOnce(&Stats<'_>)) {
        let Some(costs) = attached.costs() else { return };
        let counters = attached.counters();
        let made: Vec<_> = self.classes.iter().map(|class| made(&counters, *class)).collect();
        tell(&Stats {
            boot_ns: now.boot_ns,
            from_ns: from.boot_ns,
            share: now.share_since(&from, self.cpus),
            cpus: self.cpus,
            costs: &costs,
            made: &made,
        });
    }
}

/// What the kernel side counted of a class.
fn made(counters: &Counters, class: Class) -> Made {
    let withheld = counters.withheld(class);
    Made {
        class,
        made: counters.produced_of(class) + withheld,
        dropped: counters.dropped_of(class),
        withheld,
    }
}

/// The fields of an exec that this run has and can do without.
fn fields(plan: &Plan, classes: &[Class]) -> u32 {
    use tracer_common::shed::{CWD, ENV, IDS, LONG_ARGV};
    if !classes.contains(&Class::Event) {
        return 0;
    }
    let env = if plan.wishes.env { ENV } else { 0 };
    env | LONG_ARGV | CWD | IDS
}
