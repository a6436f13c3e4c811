//! What is measured, and the share of the host that it is.

use std::fmt;

/// What one of our programs costs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramCost {
    pub name: String,
    pub runs: u64,
    pub time_ns: u64,
    /// Runs that the kernel skipped, because another task was in the program's middle.
    pub skipped: u64,
}

/// How full the ring buffer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingUse {
    pub bytes: u64,
    /// The most that was found in it.
    pub high_water_bytes: u64,
}

/// What the process costs, from its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnCost {
    pub user_ns: u64,
    pub system_ns: u64,
    /// Resident memory, now and at most.
    pub resident_bytes: u64,
    pub peak_bytes: u64,
}

/// What a run has cost so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    pub programs: Vec<ProgramCost>,
    pub ring: RingUse,
    pub own: OwnCost,
    /// Memory of the kernel's that our programs and maps take.
    pub bpf_bytes: u64,
}

impl Costs {
    /// Processor time of our programs.
    pub fn programs_ns(&self) -> u64 {
        self.programs.iter().map(|program| program.time_ns).sum()
    }

    /// Processor time of our programs and of this process.
    pub fn spent_ns(&self) -> u64 {
        self.programs_ns() + self.own.user_ns + self.own.system_ns
    }
}

/// A share of the time of all online CPUs, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

/// Millionths in a whole.
const WHOLE: u128 = 1_000_000;

impl Share {
    /// All of it.
    pub const ALL: Self = Self(WHOLE as u32);

    /// So many millionths.
    pub const fn from_ppm(ppm: u32) -> Self {
        Self(ppm)
    }

    /// In millionths.
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// What `spent_ns` is of the time that `cpus` CPUs had. More than a whole is possible: clocks differ.
    pub fn of(spent_ns: u64, elapsed_ns: u64, cpus: u32) -> Self {
        let had = (u128::from(elapsed_ns) * u128::from(cpus)).max(1);
        Self(u32::try_from(u128::from(spent_ns) * WHOLE / had).unwrap_or(u32::MAX))
    }
}

/// In percent: `0.1 %`, `12.35 %`.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = if self.0 < 1_000 { 4 } else { 2 };
        let text = format!("{:.decimals$}", f64::from(self.0) / 1e4);
        write!(f, "{} %", text.trim_end_matches('0').trim_end_matches('.'))
    }
}
