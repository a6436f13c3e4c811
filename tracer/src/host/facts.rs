//! The facts, and where each is read.

use std::{fs, io, path::Path, sync::Arc};

use crate::verifier::btf::Btf;

/// A capability that tracing can need (capabilities(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    SysPtrace = 19,
    SysAdmin = 21,
    SysResource = 24,
    Perfmon = 38,
    Bpf = 39,
}

impl Capability {
    /// Its name in capabilities(7).
    pub const fn name(self) -> &'static str {
        match self {
            Self::SysPtrace => "CAP_SYS_PTRACE",
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::SysResource => "CAP_SYS_RESOURCE",
            Self::Perfmon => "CAP_PERFMON",
            Self::Bpf => "CAP_BPF",
        }
    }
}

/// What the lockdown security module allows (kernel_lockdown(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lockdown {
    /// The kernel has no such module, or does not show it.
    Unknown,
    None,
    Integrity,
    Confidentiality,
}

impl Lockdown {
    /// Why nothing can be traced, if that is so.
    pub const fn obstacle(self) -> Option<&'static str> {
        match self {
            Self::Confidentiality => Some(
                "kernel lockdown is in confidentiality mode, which forbids BPF to read kernel memory: \
                 boot without lockdown=confidentiality",
            ),
            _ => None,
        }
    }

    /// Its name in /sys/kernel/security/lockdown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::None => "none",
            Self::Integrity => "integrity",
            Self::Confidentiality => "confidentiality",
        }
    }
}

/// What this host is and allows.
#[derive(Debug)]
pub struct HostFacts {
    /// As uname -r says, and its first two numbers.
    pub release: String,
    pub version: (u32, u32),
    /// The kernel's type information, or why there is none.
    pub btf: Result<Arc<Btf>, String>,
    /// Effective capabilities of this process, as a bit set.
    pub capabilities: u64,
    pub lockdown: Lockdown,
    /// kernel.perf_event_paranoid and kernel.unprivileged_bpf_disabled.
    pub perf_event_paranoid: Option<i32>,
    pub unprivileged_bpf_disabled: Option<i32>,
    /// The kernel can attach kprobes through perf events.
    pub kprobe_pmu: bool,
    /// The kernel has control groups.
    pub cgroups: bool,
    /// Where tracefs is mounted, if it is.
    pub tracefs: Option<String>,
    /// Highest possible CPU number, plus one.
    pub possible_cpus: u32,
}

impl HostFacts {
    /// Reads what a trace needs to know.
    pub fn read() -> io::Result<Self> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned();
        Ok(Self {
            version: version(&release),
            release,
            btf: super::btf::read().map(Arc::new),
            capabilities: effective_capabilities().unwrap_or(0),
            lockdown: lockdown(&fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default()),
            perf_event_paranoid: read_number("/proc/sys/kernel/perf_event_paranoid"),
            unprivileged_bpf_disabled: read_number("/proc/sys/kernel/unprivileged_bpf_disabled"),
            kprobe_pmu: Path::new("/sys/bus/event_source/devices/kprobe").exists(),
            cgroups: Path::new("/proc/cgroups").exists(),
            tracefs: mount_point(&fs::read_to_string("/proc/self/mounts").unwrap_or_default(), "tracefs"),
            possible_cpus: possible_cpus(
                &fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default(),
            )
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get() as u32)),
        })
    }

    /// A host of which only the kernel is known: it withholds nothing. For plans that are made for another kernel than the
    /// running one.
    pub fn of_kernel(release: &str, version: (u32, u32), btf: Arc<Btf>, possible_cpus: u32) -> Self {
        Self {
            release: release.to_owned(),
            version,
            btf: Ok(btf),
            capabilities: u64::MAX,
            lockdown: Lockdown::None,
            perf_event_paranoid: None,
            unprivileged_bpf_disabled: None,
            kprobe_pmu: true,
            cgroups: true,
            tracefs: None,
            possible_cpus,
        }
    }

    /// Does this process have the capability? CAP_SYS_ADMIN stands for the narrower ones.
    pub fn has(&self, capability: Capability) -> bool {
        let bit = |c: Capability| self.capabilities & (1 << c as u32) != 0;
        bit(capability)
            || (matches!(capability, Capability::Bpf | Capability::Perfmon) && bit(Capability::SysAdmin))
    }

    /// Which of these capabilities this process does not have.
    pub fn lacking(&self, wanted: &[Capability]) -> Vec<Capability> {
        wanted.iter().copied().filter(|c| !self.has(*c)).collect()
    }
}

fn read_number(file: &str) -> Option<i32> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn effective_capabilities() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let hex = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

/// The first two numbers of a release such as `6.12.107+deb13-cloud-amd64`.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The mode between brackets, as in `none [integrity] confidentiality`.
fn lockdown(text: &str) -> Lockdown {
    match text.split('[').nth(1).and_then(|rest| rest.split(']').next()) {
        Some("none") => Lockdown::None,
        Some("integrity") => Lockdown::Integrity,
        Some("confidentiality") => Lockdown::Confidentiality,
        _ => Lockdown::Unknown,
    }
}

/// Where a file system of this type is mounted.
fn mount_point(mounts: &str, kind: &str) -> Option<String> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let point = fields.next()?;
        (fields.next()? == kind).then(|| point.to_owned())
    })
}

/// Highest number of a list such as `0-3,8-11`, plus one.
fn possible_cpus(list: &str) -> Option<u32> {
    let last = list.trim().rsplit([',', '-']).next()?;
    Some(last.parse::<u32>().ok()? + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_notations() {
        assert_eq!(version("6.12.107+deb13-cloud-amd64"), (6, 12));
        assert_eq!(version("7.3-rc7"), (7, 3));
        assert_eq!(version("nonsense"), (0, 0));
        assert_eq!(lockdown("none [integrity] confidentiality\n"), Lockdown::Integrity);
        assert_eq!(lockdown(""), Lockdown::Unknown);
        assert_eq!(possible_cpus("0-3,8-11\n"), Some(12));
        assert_eq!(possible_cpus("0\n"), Some(1));
        assert_eq!(possible_cpus(""), None);
        let mounts = "proc /proc proc rw 0 0\ntracefs /sys/kernel/tracing tracefs rw 0 0\n";
        assert_eq!(mount_point(mounts, "tracefs").as_deref(), Some("/sys/kernel/tracing"));
        assert_eq!(mount_point(mounts, "cgroup2"), None);
    }
}
