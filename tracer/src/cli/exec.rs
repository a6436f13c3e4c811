//! Syntax of `tracer exec`. What it means is [`super::config`]'s.

use std::ffi::OsString;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::common::{LoadArgs, OutArgs, WhoArgs};
use super::cost::CostArgs;
use super::life::LifeArgs;
use super::place::PlaceArgs;
use super::units;

/// Arguments of `tracer exec`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Try 'tracer exec --help' for examples.", after_long_help = EXAMPLES)]
pub struct ExecArgs {
    /// How to watch the kernel
    ///
    /// All three show the same. 'auto' takes the cheapest that this host allows; -v says which
    /// and why, and 'tracer doctor' what speaks against the others.
    #[arg(long, value_enum, default_value_t, value_name = "HOOK")]
    pub hook: HookArg,

    #[command(flatten)]
    pub who: WhoArgs,

    #[command(flatten)]
    pub place: PlaceArgs,

    /// Only executions that fail
    #[arg(long, help_heading = "Filters")]
    pub failed: bool,

    /// Show this environment variable too ('*' for all; may be repeated)
    ///
    /// In JSON, as 'env'.
    #[arg(long, value_name = "NAME", value_parser = units::env_name, help_heading = "Output")]
    pub env: Vec<String>,

    #[command(flatten)]
    pub out: OutArgs,

    /// Show at most this many arguments: the first and the last of them
    #[arg(long, value_name = "N", value_parser = units::limit, help_heading = "Output")]
    pub max_args: Option<NonZeroU32>,

    /// Show at most this many bytes of arguments: the first and the last of them
    #[arg(long, value_name = "N", value_parser = units::limit, help_heading = "Output")]
    pub max_bytes: Option<NonZeroU32>,

    #[command(flatten)]
    pub life: LifeArgs,

    #[command(flatten)]
    pub cost: CostArgs,

    #[command(flatten)]
    pub load: LoadArgs,

    /// Stop after this time, such as 10s or 1m30s
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub duration: Option<Duration>,

    /// Stop after this many events
    #[arg(long, value_name = "N", value_parser = units::count)]
    pub count: Option<NonZeroU64>,

    /// Treat this kernel structure member, such as task_struct.loginuid, as if it did not exist
    ///
    /// For tests: what such a kernel cannot give is shown as missing.
    #[arg(long, value_name = "STRUCT.MEMBER", hide = true)]
    pub hide_member: Vec<String>,

    /// Write the instructions that the pre-check judged to this file, a program a line, in hexadecimal
    ///
    /// For tests.
    #[arg(long, value_name = "FILE", hide = true)]
    pub judged_insns: Option<PathBuf>,

    /// Exit as CMD does
    #[arg(long)]
    pub propagate_status: bool,

    /// Say which hook is used and why, and what no event will have
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Trace only this command and its descendants, and end with them
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

const EXAMPLES: &str = "\
Examples:
  tracer exec
      Everything that runs, as a table, until Ctrl-C.
  tracer exec -- make -j8
      What 'make' runs, and nothing else.
  tracer exec --failed --uid www-data
      What www-data tries to run in vain, and why.
  tracer exec --format json -o execs.json --duration 1h
      An hour's executions, one JSON object a line.
  tracer exec --tree 1234 --env LD_PRELOAD --env PATH --format json
      What the descendants of process 1234 run, with two environment variables.
  tracer exec --cgroup system.slice/nginx.service
      What a service runs.
  tracer exec --life --format json -- make
      Each process of 'make' when it ends: what it executed, how it ended, what it used.
  tracer exec --format tree -- make
      Who runs whom, as it happens.
  tracer exec --container '*'
      What runs in containers, and in which.

Exit status: 0 done; 1 failed while running; 2 wrong usage; 3 this host cannot (the message says
what to change); 4 the pre-check refuses; 5 the kernel refuses what the pre-check accepted; with --propagate-status that of CMD (127 not found, 126 not executable).";

/// Choices of `--hook`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum HookArg {
    /// The cheapest that this host allows
    #[default]
    Auto,
    /// Trampolines in the kernel's functions: the cheapest, needs BTF
    Fentry,
    /// Breakpoints in the kernel's functions
    Kprobe,
    /// The kernel's own trace events: everywhere
    Tracepoint,
}
