//! Syntax of `tracer probe`. What it means is [`super::probe_config`]'s.

use std::ffi::OsString;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use clap::Args;

use super::common::{LoadArgs, OutArgs, WhoArgs};
use super::units;

/// Arguments of `tracer probe`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Try 'tracer probe --help' for examples.", after_long_help = EXAMPLES)]
pub struct ProbeArgs {
    /// What to probe: [KIND:]NAME, such as vfs_read, fexit:tcp_* or syscall:openat
    ///
    /// Kinds are kprobe (which a bare name means), kretprobe, fentry, fexit, tracepoint, rawtp and
    /// syscall. A name may be a pattern (tcp_*) or a regular expression (/^ext4_.*_write$/), and that
    /// of a function may say its module (MODULE:FUNCTION) or a place in it (FUNCTION+0x10).
    /// 'tracer list' shows what there is.
    #[arg(required = true, value_name = "SPEC")]
    pub specs: Vec<String>,

    /// Show this value too, by its path through pointers (may be repeated)
    ///
    /// Such as 'file.f_path.dentry.d_name.name', or with a format 'sk.__sk_common.skc_dport:be16'.
    #[arg(long, value_name = "PATH[:FORMAT]", help_heading = "Values")]
    pub show: Vec<String>,

    /// Show the kernel's stack
    #[arg(long, help_heading = "Values")]
    pub stack: bool,

    /// Show the process' stack
    #[arg(long, help_heading = "Values")]
    pub user_stack: bool,

    /// Join each call with its return, and show how long it took
    #[arg(long, help_heading = "Values")]
    pub duration: bool,

    #[command(flatten)]
    pub who: WhoArgs,

    /// Only hits of which this holds, such as 'count > 4096 && comm == "dd"'
    ///
    /// Over arguments and fields by name, retval, duration, pid, tid, uid, cpu, cgroup and comm. It is
    /// answered in the kernel.
    #[arg(long = "where", value_name = "EXPRESSION", help_heading = "Filters")]
    pub where_: Option<String>,

    /// Show one of so many hits, and count the others
    #[arg(long, value_name = "1/N", value_parser = units::sample, help_heading = "Filters")]
    pub sample: Option<NonZeroU32>,

    /// Show at most so many hits a second, and count the others
    #[arg(long, value_name = "N/s", value_parser = units::rate, help_heading = "Filters")]
    pub rate: Option<NonZeroU32>,

    /// Count hits in the kernel instead of showing each: by probe, or 'by' KEY[,KEY...]
    ///
    /// Keys are values by name, and probe, pid, tid, uid, comm, cpu and cgroup.
    #[arg(long, help_heading = "Aggregation")]
    pub count: bool,

    /// What to count, or measure, by
    #[arg(long, value_name = "KEY", value_delimiter = ',', help_heading = "Aggregation")]
    pub by: Vec<String>,

    /// Draw a histogram of this value, or of 'duration', kept in the kernel
    ///
    /// By powers of two; or by equal steps, such as count:0..65536/4096.
    #[arg(long, value_name = "VALUE[:FROM..TO/STEP]", help_heading = "Aggregation")]
    pub hist: Option<String>,

    /// Show the most frequent keys alone
    #[arg(long, value_name = "N", value_parser = units::limit, help_heading = "Aggregation")]
    pub top: Option<NonZeroU32>,

    /// Show what was counted each time so much time has passed, not only at the end
    #[arg(long, value_name = "TIME", value_parser = units::duration, help_heading = "Aggregation")]
    pub interval: Option<Duration>,

    #[command(flatten)]
    pub out: OutArgs,

    #[command(flatten)]
    pub load: LoadArgs,

    /// Print what would be attached and shown, and why so, and attach nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do not attach more probes than this
    #[arg(long, value_name = "N", value_parser = units::limit, default_value = "1000")]
    pub max_probes: NonZeroU32,

    /// Give up, rather than go on without, when a probe cannot be attached
    #[arg(long)]
    pub strict: bool,

    /// Stop after this time, such as 10s or 1m30s
    #[arg(long = "for", value_name = "TIME", value_parser = units::duration)]
    pub for_: Option<Duration>,

    /// Stop after this many events
    #[arg(long, value_name = "N", value_parser = units::count)]
    pub events: Option<NonZeroU64>,

    /// Exit as CMD does
    #[arg(long)]
    pub propagate_status: bool,

    /// Say by which mechanism each probe is attached and why
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Only what this command and its descendants do, and end with them
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

const EXAMPLES: &str = "\
Examples:
  tracer probe vfs_unlink
      Every call of a kernel function, with its arguments.
  tracer probe syscall:openat --where 'retval < 0'
      System calls that fail, entry and return in one.
  tracer probe fexit:tcp_connect --show 'sk.__sk_common.skc_dport:be16' --duration
      A field of a structure, and how long each call took.
  tracer probe 'kprobe:vfs_*' --count --interval 1s --top 10
      What is called most, counted in the kernel.
  tracer probe vfs_read --hist duration -- dd if=/dev/zero of=/dev/null count=1000
      How long the reads of a command take.
  tracer probe tracepoint:sched:sched_switch --count by prev_comm --for 5s
      Who is switched away from, for five seconds.
  tracer probe 'ext4_*' --dry-run
      What that would attach to.

Exit status: 0 done; 1 failed while running; 2 wrong usage, or no such probe; 3 this host cannot (the
message says what to change); 4 the pre-check refuses; 5 the kernel refuses what the pre-check accepted;
with --propagate-status that of CMD (127 not found, 126 not executable).";

/// Lets `--count by KEY` be written as it is said: without `by` as a word of its own, KEY could be a probe's name.
pub(super) fn with_by(words: Vec<OsString>) -> Vec<OsString> {
    let mut out: Vec<OsString> = Vec::with_capacity(words.len());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            out.push(word);
            out.extend(words);
            break;
        }
        let after_count = out.last().is_some_and(|last| last == "--count");
        out.push(if after_count && word == "by" { "--by".into() } else { word });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_by_is_said_as_it_is() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let taken = with_by(words("tracer probe --count by comm by -- sh --count by"));
        assert_eq!(taken, words("tracer probe --count --by comm by -- sh --count by"));
    }
}
