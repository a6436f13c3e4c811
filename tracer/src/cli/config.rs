//! Meaning of `tracer exec`: words become a configuration that nothing speaks against.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use tracer_common::Hook;

use super::cost::StatsWanted;
use super::error::UsageError;
use super::exec::{ExecArgs, HookArg};
use super::life::Story;
use super::place;
use super::shared::{self, Out, Output, StatusPolicy};
use super::world::World;
use crate::event::{EnvWanted, Filters, Limits};
use crate::overhead::Share;
use crate::place::PlaceFilter;
use crate::session::Precheck;
use crate::sink::{Colour, Format};

/// What `tracer exec` is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecConfig {
    /// `None`: the cheapest that the host allows.
    pub hook: Option<Hook>,
    /// With the command, if one is to be run.
    pub filters: Filters,
    pub env: EnvWanted,
    /// Which places are wanted; `None`: nobody asks where processes run.
    pub places: Option<PlaceFilter>,
    pub limits: Limits,
    pub story: Story,
    pub format: Format,
    pub output: Output,
    pub colour: Colour,
    /// Size of the ring buffer: a power of two, and a multiple of the page size.
    pub buffer_bytes: u32,
    pub stats: StatsWanted,
    pub max_overhead: Option<Share>,
    pub duration: Option<Duration>,
    pub count: Option<NonZeroU64>,
    pub status: StatusPolicy,
    pub precheck: Precheck,
    /// Kernel structure members to treat as if they did not exist.
    pub hide_members: Vec<String>,
    /// Where to write the instructions that the pre-check judged.
    pub judged_insns: Option<PathBuf>,
    /// How many `-v` there were.
    pub verbosity: u8,
    /// What the user should know about how the words were taken; one line each.
    pub notes: Vec<String>,
}

impl ExecConfig {
    /// Takes the words at their meaning.
    ///
    /// # Errors
    /// If they contradict each other, or name what does not exist.
    pub fn resolve(args: ExecArgs, world: &dyn World) -> Result<Self, UsageError> {
        shared::contradictions(&args.who, args.propagate_status, &args.command)?;
        let mut notes = Vec::new();
        let (buffer_bytes, precheck) = shared::load(&args.load, world, &mut notes)?;
        let who = shared::who(args.who, args.command, world, &mut notes)?;
        let Out { format, output, colour } = shared::out(args.out, world);
        let places = place::places(args.place, format, &mut notes)?;
        let wanted = places.as_ref();
        let filters = Filters {
            pids: who.pids,
            uids: who.uids,
            comms: who.comms,
            cgroup: who.cgroup,
            containers: wanted.map_or_else(Vec::new, |places| words(&places.containers)),
            units: wanted.map_or_else(Vec::new, |places| words(&places.units)),
            failed: args.failed,
            tree: who.tree,
            command: who.command,
        };
        let story = Story::resolve(&args.life, format, args.failed)?;
        let env = env(&args.env);
        if format == Format::Table && env != EnvWanted::None {
            notes.push("the table does not show the environment: add --format json".into());
        }
        Ok(Self {
            hook: match args.hook {
                HookArg::Auto => None,
                HookArg::Fentry => Some(Hook::Fentry),
                HookArg::Kprobe => Some(Hook::Kprobe),
                HookArg::Tracepoint => Some(Hook::Tracepoint),
            },
            filters,
            env,
            story,
            places,
            limits: Limits { max_args: args.max_args, max_bytes: args.max_bytes },
            format,
            output,
            colour,
            buffer_bytes,
            stats: args.cost.stats(),
            max_overhead: args.cost.max_overhead,
            duration: args.duration,
            count: args.count,
            status: shared::status(args.propagate_status),
            precheck,
            hide_members: args.hide_member,
            judged_insns: args.judged_insns,
            verbosity: args.verbose,
            notes,
        })
    }

    /// The command to run and trace.
    pub fn command(&self) -> Option<&[OsString]> {
        self.filters.command.as_deref()
    }
}

fn words<T: ToString>(wanted: &[T]) -> Vec<String> {
    wanted.iter().map(T::to_string).collect()
}

fn env(names: &[String]) -> EnvWanted {
    if names.iter().any(|name| name == "*") {
        return EnvWanted::All;
    }
    match names {
        [] => EnvWanted::None,
        names => EnvWanted::Named(names.iter().map(|name| name.clone().into_bytes()).collect()),
    }
}
