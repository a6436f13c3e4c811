//! Options that commands which trace have in common.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::units;

/// Whose events count.
#[derive(Clone, Debug, Args)]
pub struct WhoArgs {
    /// Only this process (may be repeated)
    #[arg(long, value_name = "PID", value_parser = units::pid, value_delimiter = ',')]
    #[arg(help_heading = "Filters")]
    pub pid: Vec<u32>,

    /// Only processes of this user, by name or number (may be repeated)
    #[arg(long, value_name = "USER", value_delimiter = ',', help_heading = "Filters")]
    pub uid: Vec<String>,

    /// Only processes of this name, of at most 15 bytes (may be repeated)
    #[arg(long, value_name = "NAME", value_parser = units::comm, help_heading = "Filters")]
    pub comm: Vec<String>,

    /// Only this cgroup and those below it, by path or id
    ///
    /// A path is one under the cgroup2 mount, or one relative to it such as 'system.slice'.
    #[arg(long, value_name = "PATH|ID", help_heading = "Filters")]
    pub cgroup: Option<OsString>,

    /// Only this process and its descendants
    #[arg(long, value_name = "PID", value_parser = units::pid, help_heading = "Filters")]
    pub tree: Option<u32>,
}

/// Where events go, and how they look.
#[derive(Clone, Debug, Args)]
pub struct OutArgs {
    /// How to show events [default: table on a terminal, else json]
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<FormatArg>,

    /// Write to this file ('-' for standard output)
    ///
    /// It is created for its owner alone (mode 0600): arguments hold secrets.
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,

    /// Colour the table
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", help_heading = "Output")]
    pub color: ColorArg,
}

/// How programs are loaded.
#[derive(Clone, Debug, Args)]
pub struct LoadArgs {
    /// Size of the buffer between the kernel and tracer, such as 64K or 8M
    ///
    /// It is rounded up to a power of two of pages. A larger one loses less when the output is
    /// slow.
    #[arg(long, value_name = "SIZE", value_parser = units::size, default_value = "8M")]
    pub buffer: u64,

    /// What to do with the verdict of tracer's model of the kernel's verifier on its own programs
    ///
    /// They are judged for this very kernel before they are loaded.
    #[arg(long, value_enum, default_value_t, value_name = "MODE")]
    pub precheck: PrecheckArg,
}

/// Choices of `--precheck`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PrecheckArg {
    /// Do not load what the kernel would refuse
    #[default]
    Enforce,
    /// Load it all the same, and say so
    Warn,
    /// Do not ask the model
    Off,
}

/// Choices of `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// For people
    Table,
    /// For programs: one object a line
    Json,
    /// For people: who runs whom ('tracer exec' alone)
    Tree,
}

/// Choices of `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorArg {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    Always,
    Never,
}
