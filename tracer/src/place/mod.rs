//! Where a process runs: container, service, pod, read off the path of its control group.
//!
//! *Invariant:* pure (no I/O): a path is judged by its form alone.
//!
//! *Must not know:* how a path came to be known, how a place is shown.

/// What the path of a control group says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The path, absolute in its hierarchy.
    pub cgroup: Vec<u8>,
    pub container: Option<Container>,
    /// The systemd unit: service, scope, socket, mount.
    pub unit: Option<String>,
    /// The unit of the user's own systemd, below `user@UID.service`.
    pub user_unit: Option<String>,
    pub slice: Option<String>,
    /// Of Kubernetes.
    pub pod_uid: Option<String>,
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
