//! Options about what tracing costs.

use std::time::Duration;

use clap::Args;

use super::units;
use crate::overhead::Share;

/// What tracing may cost, and whether that is told.
#[derive(Clone, Debug, Args)]
pub struct CostArgs {
    /// Tell what tracing costs: at the end, and each time so much time has passed
    ///
    /// Runs and time of each of tracer's programs, how full the buffer was, its own processor time
    /// and memory. The kernel counts runs for CAP_SYS_ADMIN alone.
    #[arg(long, value_name = "INTERVAL", num_args = 0..=1, require_equals = true)]
    #[arg(value_parser = units::duration, help_heading = "Cost")]
    pub stats: Option<Option<Duration>>,

    /// Keep below this share of the time of all CPUs, such as 1%: leave out what is optional, then sample
    ///
    /// The share is (time of tracer's programs + processor time of its process) / (elapsed time *
    /// online CPUs), measured each half second. Above it the environment, the middle of long
    /// arguments, the working directory and ids are left out, one after the other; then one of 2, 4,
    /// up to 1024 forks, exits and execs is shown, and the others are counted. Each change is told,
    /// and taken back when there is room. The kernel counts runs for CAP_SYS_ADMIN alone.
    #[arg(long, value_name = "PERCENT", value_parser = units::share, help_heading = "Cost")]
    pub max_overhead: Option<Share>,
}

/// When costs are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatsWanted {
    #[default]
    Never,
    AtEnd,
    /// At the end too.
    Every(Duration),
}

impl CostArgs {
    pub(super) fn stats(&self) -> StatsWanted {
        match self.stats {
            None => StatsWanted::Never,
            Some(None) => StatsWanted::AtEnd,
            Some(Some(every)) => StatsWanted::Every(every),
        }
    }
}
