//! Meaning of `tracer exec`: words become a configuration that nothing speaks against.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use tracer_common::Hook;

use super::error::{UsageError, nearest};
use super::exec::{ColorArg, ExecArgs, FormatArg, HookArg, PrecheckArg};
use super::world::{Stdout, World};
use crate::event::{EnvWanted, Filters, Limits};
use crate::session::Precheck;
use crate::sink::{Colour, Format};

/// The smallest ring buffer: it holds the largest record a few times over.
const MIN_BUFFER: u64 = 32 << 10;
const MAX_BUFFER: u64 = 1 << 30;

/// What `tracer exec` is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecConfig {
    /// `None`: the cheapest that the host allows.
    pub hook: Option<Hook>,
    /// With the command, if one is to be run.
    pub filters: Filters,
    pub env: EnvWanted,
    pub limits: Limits,
    pub format: Format,
    pub output: Output,
    pub colour: Colour,
    /// Size of the ring buffer: a power of two, and a multiple of the page size.
    pub buffer_bytes: u32,
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

/// Where events are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    Stdout,
    /// To be created with mode 0600.
    File(PathBuf),
}

/// Whose exit status `tracer` ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusPolicy {
    Own,
    Command,
}

impl ExecConfig {
    /// Takes the words at their meaning.
    ///
    /// # Errors
    /// If they contradict each other, or name what does not exist.
    pub fn resolve(args: ExecArgs, world: &dyn World) -> Result<Self, UsageError> {
        let command = (!args.command.is_empty()).then(|| args.command.clone());
        contradictions(&args, command.is_some())?;
        let mut notes = Vec::new();
        let buffer_bytes = buffer(args.buffer, world.page_size(), &mut notes)?;
        let uids = args.uid.iter().map(|user| uid(user, world));
        let filters = Filters {
            uids: uids.collect::<Result<_, _>>()?,
            cgroup: match &args.cgroup {
                Some(spec) => Some(world.cgroup(spec).map_err(|error| {
                    UsageError::new(format!("--cgroup {}: {error}", spec.display())).tip(error.way_out())
                })?),
                None => None,
            },
            pids: args.pid,
            comms: args.comm,
            failed: args.failed,
            tree: args.tree,
            command,
        };
        processes(&filters, world, &mut notes)?;
        let (output, terminal) = match args.output {
            Some(path) if path.as_os_str() != "-" => (Output::File(path), false),
            _ => (Output::Stdout, world.stdout() == Stdout::Terminal),
        };
        let coloured = match args.color {
            ColorArg::Always => true,
            ColorArg::Never => false,
            ColorArg::Auto => terminal && !world.wants_plain(),
        };
        let format = match args.format {
            Some(FormatArg::Table) => Format::Table,
            Some(FormatArg::Json) => Format::Json,
            None if terminal => Format::Table,
            None => Format::Json,
        };
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
            limits: Limits { max_args: args.max_args, max_bytes: args.max_bytes },
            format,
            output,
            colour: if coloured { Colour::Ansi } else { Colour::None },
            buffer_bytes,
            duration: args.duration,
            count: args.count,
            status: match args.propagate_status {
                true => StatusPolicy::Command,
                false => StatusPolicy::Own,
            },
            precheck: match args.precheck {
                PrecheckArg::Enforce => Precheck::Enforce,
                PrecheckArg::Warn => Precheck::Warn,
                PrecheckArg::Off => Precheck::Off,
            },
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

fn contradictions(args: &ExecArgs, command: bool) -> Result<(), UsageError> {
    let with_command = |option: &str, instead: &str| {
        UsageError::new(format!(
            "{option} and '-- CMD' exclude each other: '-- CMD' traces that command and its \
             descendants, and nothing else"
        ))
        .tip(instead)
    };
    if command && !args.pid.is_empty() {
        return Err(with_command(
            "--pid",
            "leave out '-- CMD' to trace a process that runs already, or --pid to trace CMD",
        ));
    }
    if command && args.tree.is_some() {
        return Err(with_command(
            "--tree",
            "leave out '-- CMD' to trace a tree that exists already, or --tree to trace CMD's",
        ));
    }
    if args.propagate_status && !command {
        return Err(UsageError::new("--propagate-status passes CMD's exit status on, but there is no CMD")
            .tip("add '-- CMD', or leave it out"));
    }
    if args.command.first().is_some_and(|name| name.is_empty()) {
        return Err(
            UsageError::new("CMD is empty: there is no file without a name").tip("name a program after '--'")
        );
    }
    Ok(())
}

/// The ring buffer's size: a power of two, and of pages.
fn buffer(asked: u64, page: u64, notes: &mut Vec<String>) -> Result<u32, UsageError> {
    let unit = bytes(MAX_BUFFER);
    let refused = |why: &str| {
        UsageError::new(format!("--buffer {}: {why}", bytes(asked))).tip(format!(
            "a size between {} and {unit}; larger ones lose less when the output is slow",
            bytes(MIN_BUFFER),
        ))
    };
    if asked == 0 {
        return Err(refused("no event fits into it"));
    }
    if asked > MAX_BUFFER {
        return Err(refused("more than tracer takes from the kernel's memory"));
    }
    let given = asked.max(MIN_BUFFER).max(page).next_power_of_two();
    if given != asked {
        notes.push(format!(
            "--buffer {} is rounded up to {}: the kernel takes powers of two of its pages ({}), \
             and an event's parts need {}",
            bytes(asked),
            bytes(given),
            bytes(page),
            bytes(MIN_BUFFER),
        ));
    }
    u32::try_from(given).map_err(|_| refused("more than the kernel takes"))
}

/// A size with the largest unit that shows it exactly.
fn bytes(size: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.iter().find(|(shift, _)| size > 0 && size.trailing_zeros() >= *shift) {
        Some((shift, unit)) => format!("{} {unit}", size >> shift),
        None if size == 1 => "1 byte".into(),
        None => format!("{size} bytes"),
    }
}

fn uid(user: &str, world: &dyn World) -> Result<u32, UsageError> {
    match (user.parse::<u32>(), world.uid_of(user)) {
        (Ok(u32::MAX), _) => Err(UsageError::new("--uid 4294967295: the kernel's word for no user at all")
            .tip("name a user, or give a number up to 4294967294")),
        (Ok(uid), _) | (Err(_), Some(uid)) => Ok(uid),
        (Err(_), None) => Err(UsageError::new(format!("--uid {user}: /etc/passwd has no user of that name"))
            .tip(nearest(
                user,
                world.user_names(),
                |near| format!("did you mean '{near}'? A number is taken as it is"),
                || "give the user's number: 'id -u NAME' asks every source of users".into(),
            ))),
    }
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

fn processes(filters: &Filters, world: &dyn World, notes: &mut Vec<String>) -> Result<(), UsageError> {
    if let Some(pid) = filters.tree.filter(|pid| !world.process_exists(*pid)) {
        return Err(UsageError::new(format!(
            "--tree {pid}: there is no such process, and nothing descends from it"
        ))
        .tip("'ps -e' lists the processes; '-- CMD' starts one and traces its tree"));
    }
    for pid in filters.pids.iter().filter(|pid| !world.process_exists(**pid)) {
        notes.push(format!("--pid {pid}: there is no such process now; it is traced if one gets that id"));
    }
    Ok(())
}
