//! Options of `tracer exec` about the lives of processes: which events are shown, lives, ancestors.

use std::num::NonZeroU32;

use clap::{Args, ValueEnum};

use super::error::UsageError;
use super::units;
use crate::process::Limits;
use crate::sink::Format;

/// What is told of processes beside their executions.
#[derive(Clone, Debug, Args)]
pub struct LifeArgs {
    /// Show these events [default: exec]
    ///
    /// 'fork': a process was born; 'exit': it ended, with its exit code or signal, and what it used. Threads are not
    /// processes.
    #[arg(long, value_enum, value_name = "EVENT", value_delimiter = ',', help_heading = "Processes")]
    pub events: Vec<EventArg>,

    /// Show each process once, when it ends: what it executed, how it ended, how long it took, what it used
    ///
    /// Processes that are there at the start are known. Those that still run at the end are shown as such, if they
    /// began meanwhile. With --events, both are shown.
    #[arg(long, help_heading = "Processes")]
    pub life: bool,

    /// Show who a process descends from, by birth, also when they are gone: N generations, or all
    #[arg(long, value_name = "N", value_parser = units::generations, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "all", help_heading = "Processes")]
    pub ancestors: Option<Generations>,

    /// Remember at most this many processes (16 or more), ended ones that others descend from among them
    ///
    /// Beyond that the longest ended are forgotten first. What is not known for that reason says so.
    #[arg(long, value_name = "N", value_parser = processes, default_value = "65536", help_heading = "Processes")]
    pub max_processes: u32,
}

/// How many processes to remember.
fn processes(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(number) if usize::try_from(number).is_ok_and(|number| number >= Limits::MIN_PROCESSES) => {
            Ok(number)
        }
        _ => Err(format!("expected a number from {} to {}", Limits::MIN_PROCESSES, u32::MAX)),
    }
}

/// Choices of `--events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EventArg {
    Exec,
    Fork,
    Exit,
}

/// How many generations of ancestors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generations {
    All,
    Most(NonZeroU32),
}

/// What is told of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Story {
    pub execs: bool,
    pub forks: bool,
    pub exits: bool,
    pub lives: bool,
    pub ancestors: Option<Generations>,
    pub max_processes: u32,
}

impl Story {
    /// Takes the words at their meaning.
    pub(super) fn resolve(args: &LifeArgs, format: Format, failed: bool) -> Result<Self, UsageError> {
        let named = |event| args.events.contains(&event);
        let any = !args.events.is_empty();
        let tree = format == Format::Tree;
        if failed && (args.life || named(EventArg::Fork) || named(EventArg::Exit) || tree) {
            return Err(UsageError::new("--failed shows executions that fail, and nothing else")
                .tip("leave --failed out: a life tells the executions that failed, too"));
        }
        Ok(Self {
            execs: if any { named(EventArg::Exec) } else { !args.life },
            forks: named(EventArg::Fork),
            // A tree shows how its branches end.
            exits: named(EventArg::Exit) || tree && !any,
            lives: args.life,
            ancestors: args.ancestors,
            max_processes: args.max_processes,
        })
    }

    /// Does it take the table of processes?
    pub fn needs_table(&self, format: Format) -> bool {
        self.lives || self.ancestors.is_some() || format == Format::Tree
    }
}
