//! The lines of what a run costs and leaves out.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::version;

/// What the run costs: with `--stats`, at each interval and at the end. All is counted from the start of the run, but for
/// `overhead`, and the time of the process itself.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Stats {
    #[schemars(schema_with = "version")]
    pub(super) schema: u64,
    pub(super) time: String,
    pub(super) boot_ns: u64,
    /// Since when `overhead` was measured: the last line of this kind; of the last one, the start of the run.
    pub(super) from_ns: u64,
    /// (time of tracer's programs + processor time of its process) / (elapsed time * online CPUs).
    pub(super) overhead: f64,
    /// Online CPUs.
    pub(super) cpus: u32,
    pub(super) programs: Vec<ProgramCost>,
    pub(super) ring: Ring,
    pub(super) tracer: OwnCost,
    /// Memory of the kernel's that the programs and maps take.
    pub(super) bpf_bytes: u64,
    /// By `exec`, `fork`, `exit`. More may come.
    pub(super) events: BTreeMap<String, Made>,
}

/// One of tracer's BPF programs.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct ProgramCost {
    pub(super) name: String,
    pub(super) runs: u64,
    pub(super) time_ns: u64,
    /// Runs that the kernel skipped, because another task was in the program's middle.
    pub(super) skipped: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Ring {
    pub(super) bytes: u64,
    /// The most that was in it when it was emptied.
    pub(super) high_water_bytes: u64,
}

/// tracer's process, from its own start.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct OwnCost {
    pub(super) user_ns: u64,
    pub(super) system_ns: u64,
    pub(super) resident_bytes: u64,
    pub(super) peak_bytes: u64,
}

/// What the kernel side counted of a class of events.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Made {
    /// Events that passed the filters.
    pub(super) made: u64,
    /// Of these, the ones that found no room in the ring buffer.
    pub(super) dropped: u64,
    /// Of these, the ones that were left out to keep below `--max-overhead`.
    pub(super) withheld: u64,
}

/// From here on something else is left out than before, to keep below `--max-overhead`; or nothing more can be.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Overhead {
    #[schemars(schema_with = "version")]
    pub(super) schema: u64,
    pub(super) time: String,
    pub(super) boot_ns: u64,
    /// What was measured since the last look, as `overhead` in `stats`.
    pub(super) share: f64,
    pub(super) limit: f64,
    /// Fields that are left out of each exec, and missing there with that reason: `env`, `long_argv` (the middle of
    /// arguments that are longer than some KiB), `cwd`, `ids` (namespaces, audit ids, effective ids). More may come.
    pub(super) shed: Vec<String>,
    /// One of so many events is shown, by class; the others are counted in lines of the type `withheld`. A class that is
    /// shown whole is not here.
    pub(super) sample: BTreeMap<String, u32>,
    /// It is too much, and nothing more can be left out.
    pub(super) exhausted: bool,
}

/// What became of the events of a class: `made` is the sum of the others, unless the run was ended by `--count`.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Account {
    /// Events that passed the filters, as the kernel side counted them.
    pub(super) made: u64,
    pub(super) shown: u64,
    /// Left out to keep below `--max-overhead`.
    pub(super) withheld: u64,
    pub(super) lost: u64,
}
