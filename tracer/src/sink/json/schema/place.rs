//! Where a process is.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// Where a process is: of the control group that it was in at the event. All of these fields are absent when nobody
/// asked for them (`--place`); null without a reason in `missing` means that there is none.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Place {
    /// Path of the control group in the v2 hierarchy; on a host with v1 hierarchies, in the one that says most.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "asked")]
    #[schemars(with = "Option<String>")]
    pub(in crate::sink::json) cgroup: Option<Option<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(in crate::sink::json) cgroup_raw: Option<String>,
    /// The container; the innermost, where they are nested.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "asked")]
    #[schemars(with = "Option<Container>")]
    pub(in crate::sink::json) container: Option<Option<Container>>,
    /// The unit of the host's systemd. The units of a systemd inside of a container are not meant.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "asked")]
    #[schemars(with = "Option<String>")]
    pub(in crate::sink::json) unit: Option<Option<String>>,
    /// The unit of a user's own systemd, when `unit` is `user@UID.service`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "asked")]
    #[schemars(with = "Option<String>")]
    pub(in crate::sink::json) user_unit: Option<Option<String>>,
    /// The slice of `unit`; null in the root slice too.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "asked")]
    #[schemars(with = "Option<String>")]
    pub(in crate::sink::json) slice: Option<Option<String>>,
    /// The uid of the Kubernetes pod.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "asked")]
    #[schemars(with = "Option<String>")]
    pub(in crate::sink::json) pod_uid: Option<Option<String>>,
}

/// A container.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Container {
    /// As its runtime names it: most often 64 hexadecimal digits; a name for LXC and systemd-nspawn.
    pub(in crate::sink::json) id: String,
    /// `docker`, `containerd`, `cri-o`, `podman`, `systemd-nspawn` or `lxc`; null if the path does not tell. More may
    /// come.
    pub(in crate::sink::json) runtime: Option<String>,
}

/// A field that is there is `Some`, be it null.
fn asked<'d, T: Deserialize<'d>, D: Deserializer<'d>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Deserialize::deserialize(from).map(Some)
}
