//! Where processes run, read off control groups that are named as each runtime names its own.

use std::{
    ffi::CString,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    Told,
    deeds::{bury, end, fork},
};
use crate::{
    behaviour::{
        live::{self, HOOKS},
        tiny,
    },
    harness::{Cases, Test},
    sys::{c, execve},
};

const V2: &str = "/sys/fs/cgroup";

/// A group, and what its path says.
struct Group {
    path: String,
    /// Runtime, id.
    container: Option<(&'static str, String)>,
    unit: Option<&'static str>,
    slice: Option<&'static str>,
    pod_uid: Option<&'static str>,
}

/// An id of 64 digits that begins like this.
fn id(start: &str) -> String {
    format!("{start:0<64}")
}

fn groups() -> Vec<(&'static str, Group)> {
    let group =
        |path: String, container, unit, slice, pod_uid| Group { path, container, unit, slice, pod_uid };
    let [docker, pod, podman, crio, bare] = ["d0c", "90d", "90d3a4", "c410", "ba4e"].map(id);
    vec![
        (
            "docker",
            group(
                format!("system.slice/docker-{docker}.scope"),
                Some(("docker", docker)),
                Some("docker-…"),
                Some("system.slice"),
                None,
            ),
        ),
        (
            "kubernetes",
            group(
                format!(
                    "kubepods.slice/kubepods-burstable.slice/\
                     kubepods-burstable-pod1b2c_3d.slice/cri-containerd-{pod}.scope"
                ),
                Some(("containerd", pod)),
                Some("cri-…"),
                Some("kubepods-burstable-pod1b2c_3d.slice"),
                Some("1b2c-3d"),
            ),
        ),
        (
            "podman",
            group(
                format!("machine.slice/libpod-{podman}.scope"),
                Some(("podman", podman)),
                Some("libpod-…"),
                Some("machine.slice"),
                None,
            ),
        ),
        (
            "crio",
            group(
                format!("kubepods/besteffort/pod77-88/crio-{crio}"),
                Some(("cri-o", crio)),
                None,
                None,
                Some("77-88"),
            ),
        ),
        ("docker-cgroupfs", group(format!("docker/{bare}"), Some(("docker", bare)), None, None, None)),
        ("lxc", group("lxc.payload.web".to_owned(), Some(("lxc", "web".to_owned())), None, None, None)),
        (
            "nspawn",
            group(
                "machine.slice/systemd-nspawn@web.service/payload".to_owned(),
                Some(("systemd-nspawn", "web".to_owned())),
                Some("systemd-nspawn@web.service"),
                Some("machine.slice"),
                None,
            ),
        ),
        (
            "nginx",
            group(
                "system.slice/nginx.service".to_owned(),
                None,
                Some("nginx.service"),
                Some("system.slice"),
                None,
            ),
        ),
        ("nobody", group("some/where".to_owned(), None, None, None, None)),
    ]
}

pub(super) fn tests() -> impl Iterator<Item = Test> {
    let mut tests = Vec::new();
    for hook in HOOKS {
        let names = groups().into_iter().map(|(name, _)| name.to_owned()).chain(["filters".to_owned()]);
        tests.push(Test::batch(&format!("lives::places::{hook}"), 300, names, move |cases| v2(hook, cases)));
    }
    let names = HOOKS.map(str::to_owned);
    tests.push(Test::batch("lives::places::v1_named", 300, names.clone(), |cases| {
        for hook in HOOKS {
            cases.check(hook, || {
                v1(hook, "none,name=systemd", &format!("system.slice/docker-{}.scope", id("d1")))
            });
        }
    }));
    tests.push(Test::batch("lives::places::v1_pids", 300, names, |cases| {
        for hook in HOOKS {
            cases.check(hook, || v1(hook, "pids", &format!("docker/{}", id("d2"))));
        }
    }));
    tests.into_iter()
}

/// Executes the tiny program in a group.
fn exec_in(group: &Path, program: &Path, tag: &str) {
    fs::create_dir_all(group).unwrap();
    let corpse = bury(fork(|| {
        fs::write(group.join("cgroup.procs"), "0").unwrap();
        execve(program.as_os_str().as_bytes(), &["tiny", tag]);
        end(99);
    }));
    assert_eq!(corpse.status, 0, "{tag}");
}

/// The exec of a tag.
fn exec<'t>(told: &'t Told, tag: &str) -> &'t Value {
    told.all("exec").find(|exec| exec["argv"][1] == tag).unwrap_or_else(|| panic!("no {tag}: {}", told.said))
}

fn tags(told: &Told) -> Vec<String> {
    let execs: Vec<_> = told.all("exec").cloned().collect();
    let mut tags = live::tags(&execs);
    tags.sort();
    tags
}

fn v2(hook: &str, cases: &Cases) {
    let program = tiny::program("tiny");
    let live = live::start(&["--hook", hook]);
    for (name, group) in groups() {
        exec_in(&Path::new(V2).join(&group.path), &program, name);
    }
    let told = Told::of(&live.stop());
    for (name, group) in groups() {
        cases.check(name, || group.check(exec(&told, name)));
    }
    cases.check("filters", || {
        filtered(hook, &["--container", "*"], |group| group.container.is_some());
        let is = |wanted: &'static str| {
            move |group: &Group| group.container.as_ref().is_some_and(|(runtime, _)| *runtime == wanted)
        };
        filtered(hook, &["--container", &id("c410")[..14]], is("cri-o"));
        filtered(hook, &["--container", "docker:*"], is("docker"));
        filtered(hook, &["--unit", "nginx"], |group| group.unit == Some("nginx.service"));
    });
}

impl Group {
    fn check(&self, exec: &Value) {
        assert_eq!(exec["cgroup"], format!("/{}", self.path), "{exec}");
        match &self.container {
            Some((runtime, id)) => {
                assert_eq!(exec["container"], json!({"id": id, "runtime": runtime}), "{exec}")
            }
            None => assert!(exec["container"].is_null(), "{exec}"),
        }
        assert!(exec["missing"]["container"].is_null(), "{exec}");
        // A scope is named like the last part of the path.
        let last = self.path.rsplit('/').next().unwrap();
        let unit = self.unit.map(|unit| if unit.ends_with('…') { last } else { unit });
        assert_eq!(exec["unit"].as_str(), unit, "{exec}");
        assert_eq!(exec["slice"].as_str(), self.slice, "{exec}");
        assert_eq!(exec["pod_uid"].as_str(), self.pod_uid, "{exec}");
    }
}

/// Exactly what is in the groups that are wanted is shown.
fn filtered(hook: &str, words: &[&str], wanted: impl Fn(&Group) -> bool) {
    let program = tiny::program("tiny");
    let mut args = vec!["--hook", hook, "--life", "--events", "exec,exit"];
    args.extend(words);
    let live = live::start(&args);
    for (name, group) in groups() {
        exec_in(&Path::new(V2).join(&group.path), &program, name);
    }
    let told = Told::of(&live.stop());
    let mut expected: Vec<_> =
        groups().into_iter().filter(|(_, group)| wanted(group)).map(|(name, _)| name.to_owned()).collect();
    expected.sort();
    assert_eq!(tags(&told), expected, "{words:?}");
    for kind in ["exit", "life"] {
        let count = told.all(kind).filter(|record| record["comm"] == "tiny").count();
        assert_eq!(count, expected.len(), "{kind}: {words:?}: {:?}", told.all(kind).collect::<Vec<_>>());
        // It ended where it executed.
        for record in told.all(kind).filter(|record| record["comm"] == "tiny") {
            let exec = told.all("exec").find(|exec| exec["id"] == record["id"]).unwrap();
            for field in ["cgroup", "container", "unit", "user_unit", "slice", "pod_uid"] {
                assert!(record.get(field).is_some(), "no {field}: {record}");
                assert_eq!(record[field], exec[field], "{field}: {record}");
            }
        }
    }
}

/// A hierarchy of cgroup v1, as long as it is mounted.
struct Hierarchy(PathBuf);

impl Hierarchy {
    fn mount(options: &str) -> std::io::Result<Self> {
        let at = live::folder();
        let options = CString::new(options).unwrap();
        let at_c = c(at.as_os_str().as_bytes());
        // SAFETY: all are C strings.
        let mounted = unsafe {
            libc::mount(c"none".as_ptr(), at_c.as_ptr(), c"cgroup".as_ptr(), 0, options.as_ptr().cast())
        };
        match mounted {
            0 => Ok(Self(at)),
            _ => Err(std::io::Error::last_os_error()),
        }
    }
}

impl Drop for Hierarchy {
    fn drop(&mut self) {
        let at = c(self.0.as_os_str().as_bytes());
        // SAFETY: a C string.
        unsafe { libc::umount2(at.as_ptr(), libc::MNT_DETACH) };
    }
}

/// A container's group is in a hierarchy of v1 alone; in v2 the process is in the root.
fn v1(hook: &str, options: &str, group: &str) {
    let hierarchy = match Hierarchy::mount(options) {
        Ok(hierarchy) => hierarchy,
        // Controllers of v1 may be left out of a kernel; hierarchies without one may not.
        Err(error) => {
            assert!(!options.contains("name="), "{options}: {error}");
            println!("{options}: cannot be mounted here: {error}");
            return;
        }
    };
    let program = tiny::program("tiny");
    let live = live::start(&["--hook", hook]);
    exec_in(&hierarchy.0.join(group), &program, "inside");
    exec_in(&hierarchy.0, &program, "outside");
    let told = Told::of(&live.stop());
    let inside = exec(&told, "inside");
    assert_eq!(inside["cgroup"], format!("/{group}"), "{inside}");
    let digits = group.split(|c: char| !c.is_ascii_hexdigit()).find(|part| part.len() == 64).unwrap();
    assert_eq!(inside["container"], json!({"id": digits, "runtime": "docker"}), "{inside}");
    let unit = group.rsplit('/').next().filter(|name| name.ends_with(".scope"));
    assert_eq!(inside["unit"].as_str(), unit, "{inside}");
    let outside = exec(&told, "outside");
    assert!(outside["container"].is_null() && outside["missing"]["container"].is_null(), "{outside}");
}
