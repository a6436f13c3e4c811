//! From a run of probes to records and counts: fit, judge, load, attach, read, end.
//!
//! As for `tracer exec`, everything is a descriptor of this process: nothing is pinned or named, so nothing is left
//! when it ends, however it ends.
//!
//! *Must not know:* how names were resolved, or how values are shown.

mod aggregate;
mod attach;
mod attached;
mod fit;
mod load;
mod programs;
mod settings;
mod shared;

pub use aggregate::{Bucket, Part, Row};
pub use attached::{Attached, Failed, Totals};

use std::fs;

use tracer_common::{aggregate::run, probe::counter};

use crate::{host::HostFacts, plan::probe::ProbeRun, profiles::KernelProfile};

use super::{Judgement, LoadError, Precheck, kernel_side::Kernel, memlock, ring::Ring, stats::Stats};
use attach::{Attaching, Outcome};
use attached::Counted;
use fit::Kernelside;
use load::Loader;
use programs::{Besides, Class, Kind, Serves};
use settings::Settings;
use shared::Shared;

/// Loads and attaches a run. `roots` are the processes whose trees are followed, if the run says so.
///
/// # Errors
/// Nothing could be attached; or, if the run is strict, not everything.
pub fn start(
    run: &ProbeRun,
    facts: &HostFacts,
    precheck: Precheck,
    roots: &[u32],
) -> Result<Attached, LoadError> {
    start_telling(run, facts, precheck, roots, &mut |_| ())
}

/// As [`start`]; `progress` is told how many points of a class have been attached one by one, before the next one is.
///
/// # Errors
/// As [`start`].
pub fn start_telling(
    run: &ProbeRun,
    facts: &HostFacts,
    precheck: Precheck,
    roots: &[u32],
    progress: &mut dyn FnMut(usize),
) -> Result<Attached, LoadError> {
    memlock::raise();
    raise_descriptors();
    let kernel = Kernel::of(facts);
    let settings = Settings::of(run, &kernel, facts.cgroups, tasks());
    let side = fitted(run, &settings, &kernel, precheck)?;
    let loader = Loader::new(&side, run, &settings)?;
    if run.who.tree {
        loader.insert("TREE", roots.iter().map(|pid| pid.to_ne_bytes()))?;
    }
    let (programs, judged) = load::judged(side);
    let mut attaching = Attaching {
        run,
        loader: &loader,
        kernel: kernel.version,
        kprobes: None,
        outcome: Outcome::default(),
        singles: &programs,
        progress,
    };
    attaching.refuse_twins()?;
    for fitted in &programs {
        attaching.attach(fitted)?;
    }
    let outcome = attaching.outcome;
    let failed = outcome.failed();
    if !run.points.is_empty() && failed.len() == run.points.len() {
        let name = |point: u32| run.points.get(point as usize).map_or_else(String::new, ToString::to_string);
        return Err(LoadError::NoPoint(failed.into_iter().map(|f| (name(f.point), f.reason)).collect()));
    }
    let mut maps = loader.maps;
    let ring = maps.take("EVENTS").ok_or(LoadError::Missing("map EVENTS"))?;
    let ring = Ring::map(ring, settings.sizes.ring).map_err(LoadError::Ring)?;
    let named = |name| maps.named(name).ok_or(LoadError::Missing(name));
    let cpus = facts.possible_cpus;
    let stats = Stats::map(named("STATS")?, cpus).map_err(LoadError::Stats)?;
    let counters = Shared::map(named("COUNTERS")?, cpus as usize * counter::LEN).map_err(LoadError::Stats)?;
    let counts =
        Shared::map(named(fit::COUNTS)?, settings.sizes.counts as usize).map_err(LoadError::Stats)?;
    let counted = Counted::of(run, &settings);
    Ok(Attached {
        outcome,
        failed,
        points: run.points.len(),
        ring,
        stats,
        counters,
        counts,
        counted,
        stride: settings.knobs.counts_stride as usize,
        cpus,
        maps,
        judged,
        roots: roots.len() as u32,
    })
}

/// What the model says of a run's programs on any kernel, without asking it.
///
/// # Errors
/// The object does not fit that kernel.
pub fn precheck(run: &ProbeRun, kernel: &KernelProfile) -> Result<Vec<Judgement>, LoadError> {
    let kernel = Kernel::profiled(kernel);
    let settings = Settings::of(run, &kernel, true, 0);
    Ok(fitted(run, &settings, &kernel, Precheck::Warn)?.judged)
}

/// The programs of a run, in the order in which they are attached.
fn fitted(
    run: &ProbeRun,
    settings: &Settings,
    kernel: &Kernel<'_>,
    precheck: Precheck,
) -> Result<Kernelside, LoadError> {
    let pairs = settings.knobs.flags & run::PAIRS != 0;
    let besides = Besides { tree: run.who.tree, pairs };
    let mut classes = programs::classes(&run.points, &settings.ends, kernel.version, besides);
    // What kprobe.multi does not take is tried by itself.
    let fallbacks: Vec<(Class, Serves)> = classes
        .iter()
        .filter_map(|(class, _)| match class.kind {
            Kind::Multi(moment) => Some(programs::single(moment)),
            _ => None,
        })
        .filter(|single| !classes.iter().any(|(class, _)| class == single))
        .map(|single| (single, Serves::default()))
        .collect();
    classes.extend(fallbacks);
    fit::fit(run, settings, classes, kernel, precheck)
}

/// About how many tasks there are (proc(5), loadavg).
fn tasks() -> u32 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let all = text.split('/').nth(1).and_then(|rest| rest.split(' ').next());
    all.and_then(|number| number.parse().ok()).unwrap_or(1024)
}

/// Every point may need some descriptors. A failure shows when one cannot be opened.
fn raise_descriptors() {
    const MANY: libc::rlim_t = 1 << 17;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the argument is writable.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return;
    }
    let wanted = libc::rlimit { rlim_cur: limit.rlim_max.max(MANY), rlim_max: limit.rlim_max.max(MANY) };
    let most = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
    // SAFETY: the arguments are valid rlimits.
    unsafe {
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const wanted) != 0 {
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const most);
        }
    }
}
