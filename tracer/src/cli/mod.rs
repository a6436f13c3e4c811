//! The command line: one file per command for its syntax, and apart from it its meaning.
//!
//! ```text
//! words -> parse -> Invocation (syntax) -> ExecConfig::resolve (meaning; asks a World) -> run
//! ```
//!
//! *Invariant:* a mistake is told before anything is opened, attached or started: by clap where
//! the syntax alone shows it, else as a [`UsageError`]. Exit codes are `main`'s.
//!
//! *Must not know:* hooks, plans, sessions. Nothing but `main` imports this module.

mod common;
mod config;
mod cost;
mod doctor;
mod error;
mod exec;
mod generate;
mod life;
mod list;
mod place;
mod probe;
mod probe_config;
mod shared;
mod units;
mod verify;
mod world;

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand};

pub use common::{LoadArgs, OutArgs, WhoArgs};
pub use config::ExecConfig;
pub use cost::{CostArgs, StatsWanted};
pub use doctor::{DoctorArgs, DoctorFormat};
pub use error::UsageError;
pub use exec::ExecArgs;
pub use generate::{CompletionsArgs, ManArgs, completions, man};
pub use life::{Generations, LifeArgs, Story};
pub use list::{ListArgs, ListFormat};
pub use place::{PlaceArg, PlaceArgs};
pub use probe::ProbeArgs;
pub use probe_config::ProbeConfig;
pub use shared::{Output, StatusPolicy};
pub use verify::{VerifyArgs, VerifyFormat};
pub use world::{Live, Stdout, World};

/// Shows what runs on this host: every process execution, complete, as it happens.
#[derive(Debug, Parser)]
#[command(name = "tracer", version, max_term_width = 100, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Invocation,
}

/// A command and its arguments, as they were written.
#[derive(Debug, Subcommand)]
pub enum Invocation {
    /// Trace process executions, successful and failed
    ///
    /// Each one is shown with its arguments as they are: complete, whatever bytes they hold. What
    /// could not be delivered is counted, and shown where it happened.
    ///
    /// Filters are applied in the kernel, --container and --unit after it; an execution is shown if it passes all
    /// of them.
    Exec(Box<ExecArgs>),
    /// Attach to functions, tracepoints and system calls by name, with their arguments and results
    ///
    /// Names are looked up before anything is attached. Types come from the kernel's BTF. Filters and
    /// counts work in the kernel.
    Probe(Box<ProbeArgs>),
    /// Say whether a kernel will take the programs of a BPF object file, and if not, why
    ///
    /// Each program is judged by itself, as the kernel's own verifier would judge it, without that
    /// kernel and without any privilege. What cannot be judged is named.
    Verify(Box<VerifyArgs>),
    /// List what can be probed here: functions, tracepoints and system calls, with their types
    List(ListArgs),
    /// Say what this host offers to tracer, and what it withholds
    Doctor(DoctorArgs),
    /// Print a shell's completions
    Completions(CompletionsArgs),
    /// Print a manual page
    Man(ManArgs),
}

/// Parses a command line, the program's name first.
///
/// # Errors
/// What clap makes of `--help` and `--version` (exit code 0), and of mistakes (exit code 2):
/// print it, and exit with its `exit_code()`.
pub fn parse(words: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Invocation, clap::Error> {
    let mut words: Vec<OsString> = words.into_iter().map(Into::into).collect();
    if words.get(1).is_some_and(|command| command == "probe") {
        words = probe::with_by(words);
    }
    let traces = words.get(1).is_some_and(|command| command == "exec");
    match Cli::try_parse_from(words) {
        Ok(cli) => Ok(cli.command),
        Err(error) if traces => Err(with_dashes(error)),
        Err(error) => Err(error),
    }
}

/// Tells who wrote `tracer exec CMD` how to.
fn with_dashes(mut error: clap::Error) -> clap::Error {
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg)
        && !word.starts_with('-')
    {
        let tip = format!("to trace a command, put it after '--': tracer exec -- {word}");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// The whole syntax, for what is generated from it.
fn syntax() -> clap::Command {
    Cli::command()
}
