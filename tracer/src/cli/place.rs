//! Syntax and meaning of the options about where processes run.

use clap::{Args, ValueEnum};

use super::error::UsageError;
use crate::place::{ContainerWanted, PlaceFilter, UnitWanted};
use crate::sink::Format;

/// Where processes run.
#[derive(Clone, Debug, Args)]
pub struct PlaceArgs {
    /// Only in this container, by its name or the beginning of its id ('*' for any; may be repeated)
    ///
    /// With the runtime before it, if that matters: 'podman:*', 'docker:3c5f'. Names are those of LXC and
    /// systemd-nspawn: control groups name other containers by id. What runs in a container of the container counts
    /// too. An event whose place could not be told is shown, and says so.
    #[arg(long, value_name = "ID|NAME", value_parser = ContainerWanted::parse, help_heading = "Filters")]
    pub container: Vec<ContainerWanted>,

    /// Only in this unit of systemd's, by name or pattern ('.service' is implied; may be repeated)
    ///
    /// Such as 'nginx', 'session-*.scope', 'user.slice', also a unit of a user's own systemd. An event whose place
    /// could not be told is shown, and says so.
    #[arg(long, value_name = "UNIT", value_parser = UnitWanted::parse, help_heading = "Filters")]
    pub unit: Vec<UnitWanted>,

    /// Show where processes run: container, unit, pod [default: in JSON]
    ///
    /// In the table, as the column WHERE. With --place=never, not even in JSON.
    #[arg(long, value_enum, value_name = "WHEN", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "always", hide_possible_values = true, help_heading = "Output")]
    pub place: Option<PlaceArg>,
}

/// Choices of `--place`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlaceArg {
    Always,
    Never,
}

/// Whether places are looked at, and then which are wanted: `None`: nobody asks.
pub(super) fn places(
    args: PlaceArgs,
    format: Format,
    notes: &mut Vec<String>,
) -> Result<Option<PlaceFilter>, UsageError> {
    let filter = PlaceFilter { containers: args.container, units: args.unit };
    let filtering = if filter.containers.is_empty() { "--unit" } else { "--container" };
    match args.place {
        Some(PlaceArg::Never) if !filter.is_empty() => {
            return Err(UsageError::new(format!(
                "--place=never and {filtering} exclude each other: an event whose place could not be told has to say so"
            ))
            .tip(format!("leave out --place=never, or {filtering}")));
        }
        Some(PlaceArg::Never) => return Ok(None),
        Some(PlaceArg::Always) => {}
        None if format == Format::Table && filter.is_empty() => return Ok(None),
        None => {}
    }
    for name in filter.containers.iter().filter_map(ContainerWanted::name_only) {
        notes.push(format!(
            "--container {name}: finds LXC and systemd-nspawn containers of that name; others are known by their ids, as \
             'docker inspect -f {{{{.Id}}}} {name}' tells them"
        ));
    }
    Ok(Some(filter))
}
