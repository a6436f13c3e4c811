//! From specs and wishes to a [`ProbeRun`]: every name looked up before anything is loaded.
//!
//! ```text
//! ProbeSpec -> find (functions, events)   what the name stands for here, and how it can be reached
//!           -> Found                      a place, and the values that it offers
//!           -> point                      what is shown, tested, counted there
//! ```
//! *Invariant:* pure, but for what [`Names`] reads. What is named exactly and cannot be had is an error; what merely
//! matched is left out with a note.
//!
//! *Must not know:* how points are attached, how values are shown.

mod error;
mod events;
mod functions;
mod near;
mod place;
mod point;
mod scope;
mod show;
#[cfg(test)]
mod tests;

use std::{num::NonZeroU32, sync::Arc};

pub use error::ResolveError;
pub(crate) use events::raw_names;
pub(crate) use near::near;

use super::probe::{Aggregation, Measure, Mode, Place, ProbeRun, Stacks, Who};
use super::values::Offer;
use crate::host::HostFacts;
use crate::host::names::Names;
use crate::spec::{Kind, ProbeSpec};
use crate::verifier::btf::Btf;

/// What one run of `tracer probe` wants, apart from where.
#[derive(Clone, Debug)]
pub struct Request {
    /// Paths of values that are shown beside the arguments, as they were written.
    pub show: Vec<String>,
    /// The filter, as it was written.
    pub where_: Option<String>,
    /// Count, by these values; empty: by point.
    pub count_by: Option<Vec<String>>,
    pub hist: Option<HistWish>,
    pub stacks: Stacks,
    pub who: Who,
    pub sample: NonZeroU32,
    pub rate: Option<NonZeroU32>,
    /// Join entries with returns, and tell how long calls took.
    pub duration: bool,
    /// Most points.
    pub max_probes: usize,
    /// Size of the ring, in bytes: a power-of-two multiple of the page size.
    pub buffer: u32,
    pub strict: bool,
    /// Most different keys of an aggregation.
    pub max_keys: u32,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            show: Vec::new(),
            where_: None,
            count_by: None,
            hist: None,
            stacks: Stacks::default(),
            who: Who::default(),
            sample: NonZeroU32::MIN,
            rate: None,
            duration: false,
            max_probes: 1000,
            buffer: 8 << 20,
            strict: false,
            max_keys: 10_000,
        }
    }
}

/// A histogram that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistWish {
    /// `duration`, or the path of a value.
    pub of: String,
    pub shape: HistShape,
}

/// How values fall into buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistShape {
    /// By powers of two.
    Log2,
    /// By equal widths.
    Linear { from: i64, step: NonZeroU32, buckets: u32 },
}

/// A run, and what is to be said of how it came to be.
#[derive(Clone, Debug)]
pub struct Resolved {
    pub run: ProbeRun,
    /// By which mechanism each point is reached, and why that one; as many as there are points.
    pub how: Vec<String>,
    /// What was left out or may surprise.
    pub notes: Vec<String>,
}

/// What names are looked up in.
struct Context<'c> {
    facts: &'c HostFacts,
    names: &'c dyn Names,
    /// This kernel can attach many kprobes at once.
    multi: bool,
}

/// A place that a spec means, and the values that it offers.
struct Found {
    name: String,
    kind: Kind,
    place: Place,
    how: String,
    offer: Offer,
    /// The types that paths are walked in: the module's, for its functions.
    btf: Option<Arc<Btf>>,
    /// The spec names it alone.
    exact: bool,
}

impl<'c> Context<'c> {
    fn new(facts: &'c HostFacts, names: &'c dyn Names) -> Self {
        // CONFIG_FPROBE, and bpf_kprobe_multi_link_attach since 5.18 (kernel/trace/bpf_trace.c).
        let multi =
            facts.version >= (5, 18) && names.symbols().is_ok_and(|symbols| symbols.has("register_fprobe"));
        Self { facts, names, multi }
    }

    fn btf(&self) -> Option<&Arc<Btf>> {
        self.facts.btf.as_ref().ok()
    }

    fn blacklisted(&self, function: &functions::Function) -> bool {
        let list = self.names.blacklist();
        match function.addresses.as_slice() {
            [] => list.has(&function.name, 0),
            addresses => addresses.iter().all(|&address| list.has(&function.name, address)),
        }
    }

    /// The types of a module, or the kernel's.
    fn btf_of(&self, module: Option<&str>) -> Result<Arc<Btf>, String> {
        match module {
            None => self.facts.btf.clone(),
            Some(module) => self.names.module_btf(module),
        }
    }
}

/// Resolves what was asked for.
///
/// # Errors
/// A name that is not there or cannot be probed, a value that a point does not have, too many points.
pub fn resolve(
    specs: &[ProbeSpec],
    request: &Request,
    facts: &HostFacts,
    names: &dyn Names,
) -> Result<Resolved, ResolveError> {
    let functions = [Kind::Kprobe, Kind::Kretprobe, Kind::Fentry, Kind::Fexit];
    if let Some(reason) = facts.lockdown.obstacle() {
        return Err(ResolveError::Host(reason.to_owned()));
    }
    // Symbols are read only if a spec needs them.
    let needed = specs.iter().any(|spec| functions.contains(&spec.kind));
    let context = if needed { Context::new(facts, names) } else { Context { facts, names, multi: false } };
    let mut notes = Vec::new();
    let mut places = Vec::new();
    let mut parts = Vec::new();
    for spec in specs {
        let before = places.len();
        place::find(spec, &context, &mut places, &mut notes)?;
        parts.push((spec.text.clone(), places.len() - before));
    }
    if places.len() > request.max_probes {
        return Err(ResolveError::TooMany { count: places.len(), max: request.max_probes, parts });
    }
    let found = place::offers(places, &context, &mut notes)?;
    let wishes = point::Wishes::read(request)?;
    let (points, how) = point::points(found, &wishes, facts, &mut notes)?;
    let mode = mode(request);
    let run = ProbeRun {
        points,
        mode,
        who: request.who.clone(),
        sample: request.sample,
        rate: request.rate,
        stacks: request.stacks,
        buffer: request.buffer,
        strict: request.strict,
    };
    Ok(Resolved { run, how, notes })
}

fn mode(request: &Request) -> Mode {
    let measure = match &request.hist {
        None if request.count_by.is_none() => return Mode::Stream,
        None => Measure::Count,
        Some(HistWish { of, shape: HistShape::Log2 }) => Measure::Log2(of.clone()),
        Some(HistWish { of, shape: HistShape::Linear { from, step, buckets } }) => {
            Measure::Linear { of: of.clone(), from: *from, step: *step, buckets: *buckets }
        }
    };
    Mode::Aggregate(Aggregation {
        keys: request.count_by.clone().unwrap_or_default(),
        measure,
        max_keys: request.max_keys,
    })
}
