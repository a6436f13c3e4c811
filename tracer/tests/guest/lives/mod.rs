//! Lives: what tracer tells of processes from birth to end is what a process did that was watched
//! by its parent as well.
//!
//! A [`Deed`] is done by this process and its children while tracer runs; it returns a check of what
//! tracer then has told. One run of tracer sees all deeds, and each deed is a case.

use std::panic::{self, AssertUnwindSafe};

use crate::{
    behaviour::live::{self, HOOKS},
    harness::{Cases, Test},
};

mod deeds;
mod ends;
mod execs;
mod family;
mod places;
mod storm;
mod threads;
mod told;
mod usage;

use deeds::{Corpse, Waiting};
use told::Told;

/// What is checked when everything has been told.
type Check = Box<dyn FnOnce(&Told)>;

/// Something that processes do.
struct Deed {
    name: &'static str,
    act: fn() -> Check,
}

impl Deed {
    const fn new(name: &'static str, act: fn() -> Check) -> Self {
        Self { name, act }
    }
}

fn deeds() -> impl Iterator<Item = &'static Deed> {
    [ends::DEEDS, usage::DEEDS, execs::DEEDS, threads::DEEDS, family::DEEDS].into_iter().flatten()
}

/// Cases that are no deeds.
const FRAME: &str = "lives_agree_with_events";
const EARLY: &str = "from_before_the_trace";
const LATE: &str = "outlives_the_trace";

pub(crate) fn tests() -> Vec<Test> {
    let names = || {
        let deeds = deeds().map(|deed| deed.name);
        deeds.chain([FRAME, EARLY, LATE]).map(str::to_owned).collect::<Vec<_>>()
    };
    let played = HOOKS
        .map(|hook| Test::batch(&format!("lives::{hook}"), 300, names(), move |cases| play(hook, cases)));
    played.into_iter().chain(storm::tests()).chain(places::tests()).collect()
}

/// Does all deeds while one tracer runs.
fn play(hook: &str, cases: &Cases) {
    deeds::adopt_orphans();
    let early = Waiting::fork(|| deeds::end(6));
    let silent = Waiting::fork(|| ());
    let live = live::start(&["--hook", hook, "--life", "--events", "exec,fork,exit", "--ancestors"]);
    let early = early.finish();
    let late = Waiting::fork(|| deeds::end(8));
    let acted: Vec<_> = deeds()
        .filter(|deed| cases.wants(deed.name))
        .map(|deed| (deed.name, panic::catch_unwind(AssertUnwindSafe(deed.act))))
        .collect();
    let told = Told::of(&live.stop());
    let (silent, late) = (silent.finish(), late.finish());
    for (name, acted) in acted {
        cases.check(name, || match acted {
            Ok(check) => check(&told),
            Err(payload) => panic::resume_unwind(payload),
        });
    }
    cases.check(FRAME, || told.agree());
    cases.check(EARLY, || from_before(&told, &early, &silent));
    cases.check(LATE, || outlives(&told, &late));
}

fn from_before(told: &Told, early: &Corpse, silent: &Corpse) {
    let life = early.check(told);
    assert_eq!(life["known_from"], "snapshot", "{life}");
    assert_eq!(life["parent_id"], *told::own_id(), "{life}");
    assert_eq!(life["missing"]["execs"], "those before the trace are not known", "{life}");
    assert_eq!(told.lives_of(silent.pid).len(), 0, "it neither began nor ended nor executed anything");
}

fn outlives(told: &Told, late: &Corpse) {
    let life = told.life(late.pid);
    assert_eq!(life["known_from"], "fork", "{life}");
    assert_eq!(life["id"].as_str(), Some(late.id_in(life).as_str()), "{life}");
    let fields = [
        "duration_ns",
        "exit_code",
        "signal",
        "signal_name",
        "core",
        "user_ns",
        "system_ns",
        "max_rss_bytes",
        "minor_faults",
        "major_faults",
        "read_chars",
        "written_chars",
    ];
    for field in fields {
        assert!(life[field].is_null(), "{field}: {life}");
        assert_eq!(life["missing"][field], "still running when the trace ended", "{field}: {life}");
    }
}
