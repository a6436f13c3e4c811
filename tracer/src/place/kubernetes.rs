//! How the kubelet names the control groups of pods (pkg/kubelet/cm/cgroup_manager_linux.go, `ToSystemd`,
//! `ToCgroupfs`; pkg/kubelet/cm/pod_container_manager_linux.go, `GetPodContainerName`).
//!
//! ```text
//! systemd:  kubepods[-QOS]-podUID.slice   with _ for - in the uid
//! cgroupfs: kubepods[/QOS]/podUID
//! ```
//!
//! A node that is itself a container (kind) puts `kubelet-` or `kubelet/` before it.

/// The uid of the innermost pod.
pub(super) fn pod_uid(parts: &[&[u8]]) -> Option<String> {
    (0..parts.len()).rev().find_map(|at| in_slice(parts[at]).or_else(|| in_directory(parts, at)))
}

fn in_slice(part: &[u8]) -> Option<String> {
    // Also the first of `SLICE:PREFIX:ID`, which a runtime makes a directory if nobody told it of systemd.
    let slice = part.split(|byte| *byte == b':').next()?;
    let name = str::from_utf8(slice.strip_suffix(b".slice")?).ok()?;
    let (group, uid) = name.rsplit_once("-pod")?;
    let of_kubelet = group.split('-').any(|word| word == "kubepods");
    (of_kubelet && !uid.is_empty()).then(|| uid.replace('_', "-"))
}

fn in_directory(parts: &[&[u8]], at: usize) -> Option<String> {
    const QOS: [&[u8]; 3] = [b"burstable", b"besteffort", b"guaranteed"];
    let above = match &parts[..at] {
        [above @ .., qos] if QOS.contains(qos) => above,
        above => above,
    };
    let uid = parts[at].strip_prefix(b"pod").filter(|uid| !uid.is_empty())?;
    let of_kubelet = above.last().is_some_and(|name| *name == b"kubepods");
    of_kubelet.then(|| String::from_utf8_lossy(uid).into_owned())
}
