//! How container runtimes name control groups.
//!
//! ```text
//!                  systemd driver                       cgroupfs driver
//! docker           docker-ID.scope                      docker/ID, docker/buildkit/ID
//! containerd       cri-containerd-ID.scope,             kubepods/.../podUID/ID
//!                  SLICE:cri-containerd:ID, nerdctl-ID.scope
//! CRI-O            crio-ID.scope                        .../crio-ID
//! podman           libpod-ID.scope                      libpod_parent/libpod-ID
//!                  UNIT/libpod-payload-ID (--cgroups=split, quadlets)
//! systemd-nspawn   systemd-nspawn@NAME.service/payload, machine-NAME.scope[/payload]
//! LXC                                                   lxc.payload.NAME, lxc.payload/NAME, lxc/NAME
//! ```
//!
//! Each component is judged by itself and its neighbours, from the outermost to the innermost. A monitor (conmon,
//! `lxc.monitor`, nspawn's `supervisor`) is no container: it is a process of whatever is around it.
//!
//! Who may make control groups inside of a container may name them like containers: the innermost is what the path
//! says, and the outer ones are what the host says. [`super::PlaceFilter`] looks at all of them.

use super::{Container, Runtime, systemd};

/// What comes before an id, joined with `-`, or between colons.
const PREFIXES: [(&[u8], Option<Runtime>); 7] = [
    (b"docker", Some(Runtime::Docker)),
    (b"cri-containerd", Some(Runtime::Containerd)),
    (b"nerdctl", Some(Runtime::Containerd)),
    (b"crio", Some(Runtime::CriO)),
    (b"libpod", Some(Runtime::Podman)),
    (b"libpod-payload", Some(Runtime::Podman)),
    // A buildkitd of its own: Docker's is named like Docker.
    (b"buildkit", None),
];

/// Drivers that libvirt puts before the name of a machine: `machine-qemu\x2d1\x2dNAME.scope`.
const VIRTUAL_MACHINES: [&str; 4] = ["qemu", "xen", "ch", "bhyve"];

/// All containers of a path, the outermost first.
pub(super) fn all(parts: &[&[u8]]) -> impl Iterator<Item = Container> {
    (0..parts.len()).filter_map(|at| container(parts, at))
}

/// The container whose id a component carries.
fn container(parts: &[&[u8]], at: usize) -> Option<Container> {
    let part = parts[at];
    let above = &parts[..at];
    let below = parts.get(at + 1).copied();
    prefixed(part)
        .or_else(|| bare(part, above))
        .or_else(|| lxc(part, above, below))
        .or_else(|| machine(part, above, below))
        .or_else(|| plain_oci(part))
        .or_else(|| cloud(part, above))
}

/// `PREFIX-ID`, `PREFIX-ID.scope`, `SLICE:PREFIX:ID`.
fn prefixed(part: &[u8]) -> Option<Container> {
    let mut fields = part.split(|byte| *byte == b':');
    let (prefix, id) = match (fields.next(), fields.next(), fields.next(), fields.next()) {
        (Some(_), Some(prefix), Some(id), None) => (prefix, id),
        _ => {
            let name = part.strip_suffix(b".scope").unwrap_or(part);
            let dash = name.iter().rposition(|byte| *byte == b'-')?;
            (&name[..dash], &name[dash + 1..])
        }
    };
    let (_, runtime) = PREFIXES.iter().find(|(known, _)| *known == prefix)?;
    is_id(id).then(|| named(id, *runtime))
}

/// A component that is nothing but an id.
fn bare(part: &[u8], above: &[&[u8]]) -> Option<Container> {
    let runtime = match above {
        // A pod of podman's; its containers lie below.
        [.., b"libpod_parent"] => return None,
        [.., b"docker"] | [.., b"docker", b"buildkit"] => Some(Runtime::Docker),
        _ => None,
    };
    let of_buildkit = above.last().is_some_and(|name| *name == b"buildkit") && is_build(part);
    (is_hex(part, 64) && part.len() == 64 || of_buildkit).then(|| named(part, runtime))
}

/// src/lxc/cgroups/cgfsng.c, `cgfsng_payload_create`; before LXC 4 `lxc/NAME`.
fn lxc(part: &[u8], above: &[&[u8]], below: Option<&[u8]>) -> Option<Container> {
    let lxc = |name| Some(named(name, Some(Runtime::Lxc)));
    match above {
        [.., b"lxc.payload"] => return lxc(part),
        [.., b"lxc"] if !below.is_some_and(|name| name.starts_with(b"monitor")) => return lxc(part),
        _ => {}
    }
    match part.strip_prefix(b"lxc.payload.") {
        Some([]) | None => {}
        Some(name) => return lxc(name),
    }
    match part.strip_suffix(b".libvirt-lxc") {
        Some([]) | None => None,
        Some(name) => Some(Container { id: systemd::plain_text(name), runtime: None }),
    }
}

/// A machine of systemd-machined's (src/machine/machine.c, `machine_start_scope`), or a container of systemd-nspawn's
/// that it does not know. The container's own processes are in `payload`, and nspawn's in `supervisor`
/// (src/nspawn/nspawn-cgroup.c, `create_subcgroup`); old ones go without.
fn machine(part: &[u8], above: &[&[u8]], below: Option<&[u8]>) -> Option<Container> {
    if below == Some(&b"supervisor"[..]) {
        return None;
    }
    let name = systemd::unescaped(part);
    let scope = name.strip_suffix(b".scope");
    let nspawn = |name: &[u8]| {
        let id = systemd::plain_text(name);
        (!id.is_empty()).then_some(Container { id, runtime: Some(Runtime::SystemdNspawn) })
    };
    if let Some(name) = scope.and_then(|name| name.strip_prefix(b"machine-")) {
        let machine = nspawn(name)?;
        return match libvirt_driver(&machine.id) {
            Some("lxc") => Some(Container { runtime: None, ..machine }),
            Some(_) => None,
            None => Some(machine),
        };
    }
    let service = name.strip_suffix(b".service");
    if let Some(name) = service.and_then(|name| name.strip_prefix(b"systemd-nspawn@")) {
        // Nothing below: nspawn itself, before it makes the container.
        return below.and_then(|_| nspawn(name));
    }
    let in_machines = above.last().is_some_and(|slice| *slice == b"machine.slice");
    match below {
        Some(b"payload") if in_machines => nspawn(scope.or(service)?),
        _ => None,
    }
}

/// The driver in `DRIVER-NUMBER-NAME`.
fn libvirt_driver(machine: &str) -> Option<&str> {
    let mut words = machine.splitn(3, '-');
    let (driver, number, _) = (words.next()?, words.next()?, words.next()?);
    let known = driver == "lxc" || VIRTUAL_MACHINES.contains(&driver);
    (known && number.parse::<u32>().is_ok()).then_some(driver)
}

/// Where an OCI runtime was told of no control group, it names one itself: buildah's are such.
fn plain_oci(part: &[u8]) -> Option<Container> {
    let name = part.strip_suffix(b".scope")?;
    let id = name.strip_prefix(b"crun-").or_else(|| name.strip_prefix(b"runc-"))?;
    (!id.is_empty()).then(|| Container { id: systemd::plain_text(id), runtime: None })
}

/// Amazon's ECS on Fargate (`ecs/TASK/TASK-NUMBER`; elsewhere Docker's ids are there), and Cloud Foundry's Garden
/// (`garden/HANDLE`, `garden/good/HANDLE`).
fn cloud(part: &[u8], above: &[&[u8]]) -> Option<Container> {
    let is = match above {
        [.., b"ecs", task] => part.strip_prefix(*task).is_some_and(|rest| {
            rest.strip_prefix(b"-")
                .is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
        }),
        [.., b"garden", b"good" | b"bad"] => true,
        [.., b"garden"] => part != b"good" && part != b"bad",
        _ => false,
    };
    is.then(|| named(part, None))
}

fn named(id: &[u8], runtime: Option<Runtime>) -> Container {
    Container { id: String::from_utf8_lossy(id).into_owned(), runtime }
}

/// An id that a runtime makes up: runtimes' 64 hexadecimal digits, of which some programs keep fewer, or buildkit's.
fn is_id(text: &[u8]) -> bool {
    is_hex(text, 12) || is_build(text)
}

/// Lower-case hexadecimal digits, at least so many, and at most 64.
pub(super) fn is_hex(text: &[u8], at_least: usize) -> bool {
    (at_least..=64).contains(&text.len()) && text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// 25 digits of base 36 (buildkit's identity/randomid.go, `NewID`).
fn is_build(text: &[u8]) -> bool {
    text.len() == 25 && text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z'))
}
