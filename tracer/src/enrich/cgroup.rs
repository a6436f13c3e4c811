//! Cgroups of the v2 hierarchy: directory -> (id, level), and id -> directory.
//!
//! A cgroup's id is the inode number of its directory, 1 for the hierarchy's root
//! (fs/kernfs/dir.c, kernfs_create_root(): "ino 1"). Its level is its depth below that root.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::event::Cgroup;

const MOUNTINFO: &str = "/proc/self/mountinfo";
const ROOT_ID: u64 = 1;

/// Why a cgroup cannot be found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CgroupError {
    #[error("no cgroup2 hierarchy is mounted")]
    NotMounted,
    #[error("no such directory under {}", .0.display())]
    NoDirectory(PathBuf),
    #[error("not a cgroup: {} is not under {}", .path.display(), .mount.display())]
    Elsewhere { path: PathBuf, mount: PathBuf },
    #[error("no cgroup under {} has the id {id}", .mount.display())]
    NoId { id: u64, mount: PathBuf },
    #[error("{} shows a part of the hierarchy only (a cgroup namespace)", .0.display())]
    Namespaced(PathBuf),
}

impl CgroupError {
    /// What to do instead.
    pub fn way_out(&self) -> String {
        match self {
            Self::NotMounted => "mount -t cgroup2 none /sys/fs/cgroup".into(),
            Self::NoDirectory(mount) | Self::NoId { mount, .. } => {
                format!("'find {} -type d' lists the cgroups", mount.display())
            }
            Self::Elsewhere { mount, .. } => {
                format!("name a directory under {}", mount.display())
            }
            Self::Namespaced(_) => "run tracer outside of the container".into(),
        }
    }
}

/// The cgroup of this host that `spec` names: a number is an id, anything else a directory under
/// the cgroup2 mount, or relative to it.
///
/// # Errors
/// If there is none, or no hierarchy to look in.
pub fn cgroup_by(spec: &OsStr) -> Result<Cgroup, CgroupError> {
    let mountinfo = std::fs::read(MOUNTINFO).unwrap_or_default();
    let mount = mount(&mountinfo).ok_or(CgroupError::NotMounted)?;
    cgroup_under(&mount, spec)
}

fn cgroup_under(mount: &Mount, spec: &OsStr) -> Result<Cgroup, CgroupError> {
    let at = &mount.at;
    if mount.level == 0 && inode(at) != Some(ROOT_ID) {
        return Err(CgroupError::Namespaced(at.clone()));
    }
    if let Some(id) = spec.to_str().and_then(|id| id.parse().ok()) {
        let path = search(at, id).ok_or_else(|| CgroupError::NoId { id, mount: at.clone() })?;
        return found(mount, path);
    }
    let spec = Path::new(spec);
    if let Ok(path) = spec.canonicalize()
        && spec.is_absolute()
        && path.starts_with(at)
        && path.is_dir()
    {
        return found(mount, path);
    }
    let relative = spec.strip_prefix("/").unwrap_or(spec);
    match at.join(relative).canonicalize() {
        Ok(path) if path.starts_with(at) && path.is_dir() => found(mount, path),
        _ if spec.is_absolute() && spec.exists() => {
            Err(CgroupError::Elsewhere { path: spec.into(), mount: at.clone() })
        }
        _ => Err(CgroupError::NoDirectory(at.clone())),
    }
}

fn found(mount: &Mount, path: PathBuf) -> Result<Cgroup, CgroupError> {
    let id = inode(&path).ok_or_else(|| CgroupError::NoDirectory(mount.at.clone()))?;
    let below = path.strip_prefix(&mount.at).map_or(0, depth);
    Ok(Cgroup { level: mount.level + below, path, id })
}

fn inode(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|meta| meta.ino())
}

fn depth(path: &Path) -> u32 {
    let normal = |part: &Component<'_>| matches!(part, Component::Normal(_));
    path.components().filter(normal).count() as u32
}

/// The directory with this inode number, at or below `path`.
fn search(path: &Path, id: u64) -> Option<PathBuf> {
    let mut left = vec![path.to_path_buf()];
    while let Some(path) = left.pop() {
        if inode(&path) == Some(id) {
            return Some(path);
        }
        let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
        let directories = entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
        left.extend(directories.map(|entry| entry.path()));
    }
    None
}

/// Where the hierarchy is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    at: PathBuf,
    /// Level of the cgroup that is mounted there.
    level: u32,
}

/// The cgroup2 mount that shows most of the hierarchy (proc_pid_mountinfo(5)).
fn mount(mountinfo: &[u8]) -> Option<Mount> {
    let lines = mountinfo.split(|byte| *byte == b'\n');
    lines.filter_map(cgroup2).min_by_key(|mount| mount.level)
}

/// `ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [TAGS...] - TYPE SOURCE OPTIONS`
fn cgroup2(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let root = fields.nth(3)?;
    let at = fields.next()?;
    fields.find(|field| *field == b"-")?;
    (fields.next()? == b"cgroup2")
        .then(|| Mount { at: PathBuf::from(unescape(at)), level: depth(Path::new(&unescape(root))) })
}

/// `\040` and the like.
fn unescape(field: &[u8]) -> OsString {
    let mut out = Vec::new();
    let mut rest = field;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        let octal = tail.get(..3).and_then(|digits| str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(code) if *byte == b'\\' => {
                out.push(code);
                rest = &tail[3..];
            }
            _ => out.push(*byte),
        }
    }
    OsString::from_vec(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mountinfo: &str, at: &str, level: u32) {
        let expected = Mount { at: at.into(), level };
        assert_eq!(mount(mountinfo.as_bytes()), Some(expected));
    }

    #[test]
    fn the_mount_is_found() {
        check("29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate", "/sys/fs/cgroup", 0);
        check(
            "30 1 0:5 / / rw shared:1 - ext4 /dev/sda rw\n\
             31 30 0:6 / /sys/fs/cgroup ro shared:9 - tmpfs tmpfs ro\n\
             33 31 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
             32 31 0:27 / /sys/fs/cgroup/unified rw shared:2 master:3 - cgroup2 cgroup2 rw",
            "/sys/fs/cgroup/unified",
            0,
        );
        check("1 1 0:1 /a/b /x\\040y rw - cgroup2 none rw", "/x y", 2);
        assert_eq!(mount(b"29 23 0:26 / /sys rw - sysfs sysfs rw\ngarbage"), None);
    }

    #[test]
    fn directories_are_found_by_path_and_id() {
        let base = std::env::temp_dir().join(format!("tracer-cgroup-{}", std::process::id()));
        let leaf = base.join("a/b");
        std::fs::create_dir_all(&leaf).expect("a directory");
        let mount = Mount { at: base.canonicalize().expect("a path"), level: 1 };
        let id = inode(&leaf).expect("an inode");
        for spec in ["a/b", "/a/b", &leaf.display().to_string(), &id.to_string()] {
            let cgroup = cgroup_under(&mount, OsStr::new(spec)).expect(spec);
            assert_eq!((cgroup.id, cgroup.level), (id, 3), "{spec}");
        }
        let error = |spec: &str| cgroup_under(&mount, OsStr::new(spec)).expect_err(spec);
        assert!(matches!(error("nosuch"), CgroupError::NoDirectory(_)));
        assert!(matches!(error("../"), CgroupError::NoDirectory(_)));
        assert!(matches!(error("/proc"), CgroupError::Elsewhere { .. }));
        std::fs::remove_dir_all(&base).expect("removed");
    }
}
