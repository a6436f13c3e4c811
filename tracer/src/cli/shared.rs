//! Meaning of the options that commands which trace have in common.

use std::ffi::OsString;
use std::path::PathBuf;

use super::common::{ColorArg, FormatArg, LoadArgs, OutArgs, PrecheckArg, WhoArgs};
use super::error::{UsageError, nearest};
use super::world::{Stdout, World};
use crate::event::Cgroup;
use crate::session::Precheck;
use crate::sink::{Colour, Format};

/// The smallest ring buffer: it holds the largest record a few times over.
const MIN_BUFFER: u64 = 32 << 10;
const MAX_BUFFER: u64 = 1 << 30;

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

/// Whose events count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) pids: Vec<u32>,
    pub(super) uids: Vec<u32>,
    pub(super) comms: Vec<String>,
    pub(super) cgroup: Option<Cgroup>,
    pub(super) tree: Option<u32>,
    pub(super) command: Option<Vec<OsString>>,
}

/// Takes the words about who at their meaning.
pub(super) fn who(
    args: WhoArgs,
    command: Vec<OsString>,
    world: &dyn World,
    notes: &mut Vec<String>,
) -> Result<Who, UsageError> {
    let uids = args.uid.iter().map(|user| uid(user, world));
    let who = Who {
        uids: uids.collect::<Result<_, _>>()?,
        cgroup: match &args.cgroup {
            Some(spec) => Some(world.cgroup(spec).map_err(|error| {
                UsageError::new(format!("--cgroup {}: {error}", spec.display())).tip(error.way_out())
            })?),
            None => None,
        },
        pids: args.pid,
        comms: args.comm,
        tree: args.tree,
        command: (!command.is_empty()).then_some(command),
    };
    processes(&who, world, notes)?;
    Ok(who)
}

/// Where events go, and how they look.
pub(super) struct Out {
    pub(super) format: Format,
    pub(super) output: Output,
    pub(super) colour: Colour,
}

/// Takes the words about the output at their meaning.
pub(super) fn out(args: OutArgs, world: &dyn World) -> Out {
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
        Some(FormatArg::Tree) => Format::Tree,
        None if terminal => Format::Table,
        None => Format::Json,
    };
    Out { format, output, colour: if coloured { Colour::Ansi } else { Colour::None } }
}

/// The ring buffer's size, and what the pre-check is for.
pub(super) fn load(
    args: &LoadArgs,
    world: &dyn World,
    notes: &mut Vec<String>,
) -> Result<(u32, Precheck), UsageError> {
    let precheck = match args.precheck {
        PrecheckArg::Enforce => Precheck::Enforce,
        PrecheckArg::Warn => Precheck::Warn,
        PrecheckArg::Off => Precheck::Off,
    };
    Ok((buffer(args.buffer, world.page_size(), notes)?, precheck))
}

/// Whose status `tracer` ends with.
pub(super) fn status(propagate: bool) -> StatusPolicy {
    if propagate { StatusPolicy::Command } else { StatusPolicy::Own }
}

/// What cannot be wanted at the same time.
pub(super) fn contradictions(
    who: &WhoArgs,
    propagate_status: bool,
    words: &[OsString],
) -> Result<(), UsageError> {
    let command = !words.is_empty();
    let with_command = |option: &str, instead: &str| {
        UsageError::new(format!(
            "{option} and '-- CMD' exclude each other: '-- CMD' traces that command and its \
             descendants, and nothing else"
        ))
        .tip(instead)
    };
    if command && !who.pid.is_empty() {
        return Err(with_command(
            "--pid",
            "leave out '-- CMD' to trace a process that runs already, or --pid to trace CMD",
        ));
    }
    if command && who.tree.is_some() {
        return Err(with_command(
            "--tree",
            "leave out '-- CMD' to trace a tree that exists already, or --tree to trace CMD's",
        ));
    }
    if propagate_status && !command {
        return Err(UsageError::new("--propagate-status passes CMD's exit status on, but there is no CMD")
            .tip("add '-- CMD', or leave it out"));
    }
    if words.first().is_some_and(|name| name.is_empty()) {
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

fn processes(filters: &Who, world: &dyn World, notes: &mut Vec<String>) -> Result<(), UsageError> {
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
