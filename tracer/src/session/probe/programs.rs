//! Which programs a run needs, and which points each of them serves.
//!
//! Where an attachment has a cookie, one program serves all points of its kind, and the cookie is the point's number.
//! Elsewhere (trampolines, which are bound when they are loaded; kernels before 5.15) each point has a clone of the
//! program with its number as a constant.
//!
//! *Invariant:* pure.

use std::collections::BTreeMap;

use tracer_common::aggregate::{COOKIE, Here};

use crate::{
    object::KernelVersion,
    plan::probe::{Ends, Place, Point},
};

use super::settings::{COOKIES, GRAPH};

/// What a program is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// kprobe.multi.
    Multi(Moment),
    /// A kprobe of its own.
    Single(Moment),
    Trampoline(Moment),
    Tracepoint,
    RawTracepoint,
    /// A raw tracepoint by name, which serves the run and not a point: of all system calls, or of tasks.
    Named(&'static str),
}

impl Kind {
    /// The moment, if it is kprobe.multi.
    fn many(self) -> Option<Moment> {
        match self {
            Self::Multi(moment) => Some(moment),
            _ => None,
        }
    }
}

/// Which end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    Entry,
    Return,
}

/// Programs that are the same but for their point's number: one verdict for all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Class {
    /// Its name in the object.
    pub(super) program: &'static str,
    pub(super) kind: Kind,
    pub(super) arguments: u32,
    pub(super) stack_pointer: u32,
}

/// The points of a class, and how each is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Serves {
    pub(super) points: Vec<u32>,
    /// The one point that it will ever serve: a constant, which no cookie has to tell.
    pub(super) only: Option<u32>,
}

impl Class {
    /// One program for all points?
    pub(super) fn is_shared(&self, kernel: KernelVersion) -> bool {
        match self.kind {
            Kind::Multi(_) | Kind::Named(_) => true,
            Kind::Single(_) | Kind::Tracepoint => kernel >= COOKIES,
            Kind::Trampoline(_) | Kind::RawTracepoint => false,
        }
    }

    /// What a program of this class knows about its place.
    pub(super) fn here(&self, point: Option<u32>) -> Here {
        Here {
            point: point.unwrap_or(COOKIE),
            arguments: self.arguments,
            stack_pointer: self.stack_pointer,
            reserved: 0,
        }
    }
}

/// What a run needs besides its points' programs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Besides {
    pub(super) tree: bool,
    pub(super) pairs: bool,
}

/// The programs of a run by class, in the order in which they are attached: what makes a process part of the tree, or
/// ends calls under way, comes first, and what ends a process last; returns come before entries, so that no call is waited
/// for in vain.
pub(super) fn classes(
    points: &[Point],
    ends: &[Ends],
    kernel: KernelVersion,
    besides: Besides,
) -> Vec<(Class, Serves)> {
    let named = |program, tracepoint| Class {
        program,
        kind: Kind::Named(tracepoint),
        arguments: 0,
        stack_pointer: 0,
    };
    let mut first = Vec::new();
    // Programs at one tracepoint run in the order of their attachment: a point there sees the process that ends as
    // one of the tree. The tree of a command cannot lose a process meanwhile, since the command still waits.
    let last = besides.tree.then(|| (named("exited", "sched_process_exit"), Serves::default()));
    if besides.tree {
        first.push((named("forked", "sched_process_fork"), Serves::default()));
    }
    if besides.pairs {
        first.push((named("freed", "sched_process_free"), Serves::default()));
    }
    let mut returns: BTreeMap<Class, Serves> = BTreeMap::new();
    let mut entries: BTreeMap<Class, Serves> = BTreeMap::new();
    for (number, (point, ends)) in points.iter().zip(ends).enumerate() {
        let moments: &[Moment] = match ends {
            Ends::Entry => &[Moment::Entry],
            Ends::Return => &[Moment::Return],
            Ends::Both => &[Moment::Return, Moment::Entry],
        };
        for &moment in moments {
            let class = class_of(&point.place, moment, kernel);
            let list = if moment == Moment::Return { &mut returns } else { &mut entries };
            list.entry(class).or_default().points.push(number as u32);
        }
    }
    let mut all: Vec<(Class, Serves)> = first.into_iter().chain(returns).chain(entries).chain(last).collect();
    // Kprobes of their own stand in for what kprobe.multi does not take.
    let many: Vec<Moment> = all.iter().filter_map(|(class, _)| class.kind.many()).collect();
    for (class, serves) in &mut all {
        if let [only] = serves.points.as_slice()
            && !matches!(class.kind, Kind::Single(moment) if many.contains(&moment))
        {
            serves.only = Some(*only);
        }
    }
    all
}

fn class_of(place: &Place, moment: Moment, kernel: KernelVersion) -> Class {
    let by = |entry, ret| if moment == Moment::Entry { entry } else { ret };
    let class = |program, kind| Class { program, kind, arguments: 0, stack_pointer: 0 };
    match place {
        Place::Kprobe { multi, offset, .. } if *multi && *offset == 0 => Class {
            stack_pointer: (kernel < GRAPH).into(),
            ..class(by("kprobe_entry", "kprobe_return"), Kind::Multi(moment))
        },
        Place::Kprobe { .. } => single(moment),
        Place::Trampoline { arguments, .. } => Class {
            arguments: (*arguments).into(),
            ..class(by("trampoline_entry", "trampoline_return"), Kind::Trampoline(moment))
        },
        Place::Tracepoint { .. } => class("tracepoint_hit", Kind::Tracepoint),
        Place::RawTracepoint { arguments, .. } => {
            Class { arguments: (*arguments).into(), ..class("raw_hit", Kind::RawTracepoint) }
        }
        Place::Syscall { .. } => {
            class(by("syscall_enter", "syscall_exit"), Kind::Named(by("sys_enter", "sys_exit")))
        }
    }
}

/// The class of kprobes of their own.
pub(super) fn single(moment: Moment) -> Class {
    let program = match moment {
        Moment::Entry => "kprobe_entry",
        Moment::Return => "kprobe_return",
    };
    Class { program, kind: Kind::Single(moment), arguments: 0, stack_pointer: 1 }
}
