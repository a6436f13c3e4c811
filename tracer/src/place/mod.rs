//! Where a process runs: container, service, pod, read off the path of its control group.
//!
//! ```text
//! path -> components ┬-> systemd: slice, unit, user's unit
//!                    ├-> container: the innermost
//!                    └-> kubernetes: pod uid              -> Place
//! records of paths -> Places (kept, bounded) -> locate(ids of an event) -> Located
//! ```
//!
//! *Invariant:* pure (no I/O): a path is judged by its form alone. Any bytes yield a place, never a panic
//! (`tests.rs`, `any_path_has_a_place`). What is not known is never taken for what is not there.
//!
//! *Must not know:* how a path came to be known, how a place is shown.

mod cache;
mod container;
mod filter;
mod hierarchies;
mod kubernetes;
mod systemd;
#[cfg(test)]
mod tests;

pub use cache::{MAX_PLACES, Places};
pub use filter::{ContainerWanted, PlaceFilter, UnitWanted};
pub use hierarchies::hierarchies;

/// What the path of a control group says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The path, absolute in its hierarchy; without its beginning, and then without a leading slash, if that was
    /// not copied.
    pub cgroup: Vec<u8>,
    /// The innermost, where they are nested.
    pub container: Option<Container>,
    /// The systemd unit, of the host's systemd: service, scope, socket, mount, swap. The units of a systemd inside of
    /// a container are no units of the host's: there it is the unit that the container as a whole runs in.
    pub unit: Option<String>,
    /// The unit of the user's own systemd, below `user@UID.service`.
    pub user_unit: Option<String>,
    /// The slice that `unit` lies in; `None` in the root slice.
    pub slice: Option<String>,
    /// Of Kubernetes.
    pub pod_uid: Option<String>,
    /// Why something that is `None` may be there all the same.
    pub in_doubt: Option<&'static str>,
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// As its runtime names it: most often 64 hexadecimal digits, or a name.
    pub id: String,
    /// `None`: the path does not tell.
    pub runtime: Option<Runtime>,
}

/// What made a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    Docker,
    Containerd,
    CriO,
    Podman,
    SystemdNspawn,
    Lxc,
}

/// A process' place, or why it is not known.
#[derive(Clone, Copy, Debug)]
pub enum Located<'a> {
    At(&'a Place),
    Unknown(&'a str),
}

/// Why a path that lacks its beginning leaves questions open.
const NO_START: &str = "the path of its control group is too long: its beginning is missing";

impl Place {
    /// What a path says. Without a leading slash it is one that lacks its beginning: what that would have said is
    /// in doubt.
    pub fn of_path(path: &[u8]) -> Self {
        let parts = components(path);
        let whole = path.starts_with(b"/");
        let units = if whole { systemd::units(&parts) } else { systemd::Units::default() };
        Self {
            cgroup: path.to_vec(),
            container: container::all(&parts).last(),
            unit: units.unit,
            user_unit: units.user_unit,
            slice: units.slice,
            pod_uid: kubernetes::pod_uid(&parts),
            in_doubt: (!whole).then_some(NO_START),
        }
    }

    /// All containers that it lies in, the outermost first.
    pub fn containers(&self) -> Vec<Container> {
        container::all(&components(&self.cgroup)).collect()
    }

    /// The slices of the host's systemd that it lies in, the outermost first.
    pub fn slices(&self) -> Vec<String> {
        match self.cgroup.starts_with(b"/") {
            true => systemd::slices(&components(&self.cgroup)),
            false => Vec::new(),
        }
    }
}

impl Container {
    /// Its id as people write it: the first 12 digits of a long hexadecimal one.
    pub fn short(&self) -> &str {
        match container::is_hex(self.id.as_bytes(), 32) {
            true => &self.id[..12],
            false => &self.id,
        }
    }
}

impl Runtime {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Docker, Self::Containerd, Self::CriO, Self::Podman, Self::SystemdNspawn, Self::Lxc];

    /// Its name in JSON and in filters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Podman => "podman",
            Self::SystemdNspawn => "systemd-nspawn",
            Self::Lxc => "lxc",
        }
    }

    /// Whether people give its containers their names in control groups; else it makes up an id.
    pub const fn names(self) -> bool {
        matches!(self, Self::SystemdNspawn | Self::Lxc)
    }
}

/// The names between the slashes.
fn components(path: &[u8]) -> Vec<&[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect()
}
