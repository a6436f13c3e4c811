//! Syntax of `tracer list`.

use clap::{Args, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  tracer list kprobe 'vfs_*'            functions, with their types
  tracer list tracepoint sched:         the tracepoints of a category, with their fields
  tracer list syscall open              one system call
  tracer list '*fsync*'                 whatever kind matches
  tracer list kprobe /^ext4_.*_write$/  a regular expression
  tracer list --format names kprobe     names alone, as 'tracer probe' takes them

Exit status:
  0  something was listed
  1  nothing matches, or the output could not be written
  2  the command line makes no sense";

/// Arguments of `tracer list`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Try 'tracer list --help' for examples.", after_long_help = EXAMPLES)]
pub struct ListArgs {
    /// A kind (kprobe, fentry, tracepoint, rawtp, syscall; all if none), then a pattern
    ///
    /// A pattern is a name, with '*', '?' and '[a-z]' if it stands for several, or a regular expression
    /// between slashes. MODULE:PATTERN looks in a module, CATEGORY:PATTERN in a category of tracepoints.
    #[arg(value_name = "KIND|PATTERN", num_args = 0..=2)]
    pub words: Vec<String>,

    /// How to write the list
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: ListFormat,
}

/// Forms of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// Columns, for people
    #[default]
    Table,
    /// A line of JSON each
    Json,
    /// The names alone, quickest: for completion
    Names,
}
