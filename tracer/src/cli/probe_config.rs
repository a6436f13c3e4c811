//! Meaning of `tracer probe`: words become a configuration that nothing speaks against, names apart: these are looked
//! up on the host.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::common::FormatArg;
use super::error::UsageError;
use super::probe::ProbeArgs;
use super::shared::{self, Out, Output, StatusPolicy};
use super::units;
use super::world::World;
use crate::event::ProbeFilters;
use crate::plan::probe::{Stacks, Who};
use crate::plan::resolve::{HistShape, HistWish, Request};
use crate::plan::{self, Cgroup};
use crate::session::Precheck;
use crate::sink::{Colour, Format};
use crate::spec::{self, ProbeSpec};

/// Most buckets of a histogram of equal steps.
const MOST_BUCKETS: i128 = 1024;

/// What `tracer probe` is to do.
#[derive(Clone, Debug)]
pub struct ProbeConfig {
    pub specs: Vec<ProbeSpec>,
    pub request: Request,
    /// As they were written, for the record of the start.
    pub filters: ProbeFilters,
    pub format: Format,
    pub output: Output,
    pub colour: Colour,
    pub dry_run: bool,
    /// How long to trace.
    pub duration: Option<Duration>,
    /// How many events to show.
    pub events: Option<NonZeroU64>,
    /// Of an aggregation: how often it is shown, and how many keys.
    pub interval: Option<Duration>,
    pub top: Option<NonZeroU32>,
    pub status: StatusPolicy,
    pub precheck: Precheck,
    /// How many `-v` there were.
    pub verbosity: u8,
    /// What the user should know about how the words were taken; one line each.
    pub notes: Vec<String>,
}

impl ProbeConfig {
    /// Takes the words at their meaning.
    ///
    /// # Errors
    /// If they contradict each other, or name what does not exist.
    pub fn resolve(args: ProbeArgs, world: &dyn World) -> Result<Self, UsageError> {
        shared::contradictions(&args.who, args.propagate_status, &args.command)?;
        contradictions(&args)?;
        let specs =
            args.specs.iter().map(|text| spec::parse(text).map_err(|m| UsageError::new(m.to_string())));
        let specs = specs.collect::<Result<Vec<_>, _>>()?;
        let hist = args.hist.as_deref().map(hist).transpose()?;
        let mut notes = Vec::new();
        let (buffer, precheck) = shared::load(&args.load, world, &mut notes)?;
        let who = shared::who(args.who, args.command, world, &mut notes)?;
        if args.out.format == Some(FormatArg::Tree) {
            return Err(UsageError::new("--format tree: hits of probes are no tree")
                .tip("'tracer exec --format tree' shows who runs whom; --format table shows hits"));
        }
        let Out { format, output, colour } = shared::out(args.out, world);
        let request = Request {
            show: args.show,
            where_: args.where_.clone(),
            count_by: (args.count || hist.is_some() || !args.by.is_empty()).then_some(args.by),
            hist,
            stacks: Stacks { kernel: args.stack, user: args.user_stack },
            who: Who {
                pids: who.pids.clone(),
                uids: who.uids.clone(),
                comms: who.comms.iter().map(|name| plan::comm(name)).collect(),
                cgroup: who.cgroup.as_ref().map(|c| Cgroup { id: c.id, level: c.level }),
                tree: who.tree.is_some() || who.command.is_some(),
            },
            sample: args.sample.unwrap_or(NonZeroU32::MIN),
            rate: args.rate,
            duration: args.duration,
            max_probes: args.max_probes.get() as usize,
            buffer,
            strict: args.strict,
            ..Request::default()
        };
        let filters = ProbeFilters {
            pids: who.pids,
            uids: who.uids,
            comms: who.comms,
            cgroup: who.cgroup,
            tree: who.tree,
            command: who.command,
            condition: args.where_,
        };
        Ok(Self {
            specs,
            request,
            filters,
            format,
            output,
            colour,
            dry_run: args.dry_run,
            duration: args.for_,
            events: args.events,
            interval: args.interval,
            top: args.top,
            status: shared::status(args.propagate_status),
            precheck,
            verbosity: args.verbose,
            notes,
        })
    }

    /// Whether hits are counted in the kernel rather than shown.
    pub fn aggregates(&self) -> bool {
        self.request.count_by.is_some()
    }
}

fn contradictions(args: &ProbeArgs) -> Result<(), UsageError> {
    let aggregates = args.count || args.hist.is_some() || !args.by.is_empty();
    let only_aggregated = [("--top", args.top.is_some()), ("--interval", args.interval.is_some())];
    if let Some((option, _)) = only_aggregated.iter().find(|(_, given)| *given && !aggregates) {
        return Err(UsageError::new(format!("{option} is about what is counted, but each hit is shown"))
            .tip("add --count or --hist"));
    }
    let only_streamed = [
        ("--stack", args.stack),
        ("--user-stack", args.user_stack),
        ("--sample", args.sample.is_some()),
        ("--rate", args.rate.is_some()),
        ("--events", args.events.is_some()),
        ("--show", !args.show.is_empty()),
    ];
    if let Some((option, _)) = only_streamed.iter().find(|(_, given)| *given && aggregates) {
        return Err(UsageError::new(format!(
            "{option} is about hits that are shown, but --count and --hist show none: they count all of them"
        ))
        .tip(format!("leave out {option}, or the aggregation")));
    }
    Ok(())
}

/// `VALUE`, or `VALUE:FROM..TO/STEP`.
fn hist(text: &str) -> Result<HistWish, UsageError> {
    let Some((of, range)) = text.rsplit_once(':').filter(|(_, range)| range.contains("..")) else {
        return Ok(HistWish { of: text.to_owned(), shape: HistShape::Log2 });
    };
    let wrong = |why: String| {
        UsageError::new(format!("--hist {text}: {why}"))
            .tip("such as count:0..65536/4096, or duration:0us..1ms/50us; without a range, by powers of two")
    };
    let parts = range.split_once("..").and_then(|(from, rest)| Some((from, rest.split_once('/')?)));
    let Some((from, (to, step))) = parts else {
        return Err(wrong(format!("'{range}' is no range FROM..TO/STEP")));
    };
    let number = |text: &str| units::quantity(text).map_err(&wrong);
    let (from, to, step) = (number(from)?, number(to)?, number(step)?);
    let step = u32::try_from(step).ok().and_then(NonZeroU32::new);
    let Some(step) = step else {
        return Err(wrong(format!("a step is at least 1 and at most {}", u32::MAX)));
    };
    let buckets = (i128::from(to) - i128::from(from)) / i128::from(step.get());
    if !(1..=MOST_BUCKETS).contains(&buckets) {
        return Err(wrong(format!("these are {buckets} steps: from 1 to {MOST_BUCKETS} can be drawn")));
    }
    Ok(HistWish { of: of.to_owned(), shape: HistShape::Linear { from, step, buckets: buckets as u32 } })
}
