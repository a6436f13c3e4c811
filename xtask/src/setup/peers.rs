//! The tools that benchmarks hold ours against: libbpf-tools, bpftrace and bcc, as the distribution ships them.
//!
//! The packages and all that they depend on are unpacked into `target/tools/peers`, a root that guests enter by chroot:
//! nothing of it runs on this machine. bcc compiles against the headers of the kernel that the guest boots, so the root
//! is that kernel's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::index::{self, Package};
use super::{Part, apt, kernel};
use crate::paths;

/// The release whose tools they are.
const SUITE: &str = "trixie";

/// What is measured.
const TOOLS: [&str; 3] = ["libbpf-tools", "bpftrace", "bpfcc-tools"];

/// What packages depend on, and their programs do not need here.
const NOT_NEEDED: [&str; 4] = ["debconf", "install-info", "media-types", "netbase"];

/// Folders that no program reads when it runs.
const DOCUMENTS: [&str; 7] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/info",
    "usr/share/bpfcc-tools/doc",
    "usr/src/linux-headers-*/Documentation",
];

/// What the release's base system has, of which no package depends on.
const MERGED: [(&str, &str); 4] =
    [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")];

/// Where the guest mounts what it has.
const MOUNT_POINTS: [&str; 5] = ["proc", "sys", "dev", "tmp", MODULES];

/// Where bcc looks for the links to headers.
pub(crate) const MODULES: &str = "usr/lib/modules";

/// Where those links lie instead: bpftrace, which needs no headers, would read them too.
pub(crate) const HEADERS: &str = "usr/src/modules";

/// The tools as a [`Part`], for one kernel.
pub(crate) struct Peers<'a> {
    pub(crate) kernel: &'a kernel::Found,
}

/// Tools that are there.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The folder that stands for `/`.
    pub(crate) root: PathBuf,
    /// The package's version of each tool.
    pub(crate) versions: BTreeMap<String, String>,
}

impl Peers<'_> {
    fn root(&self) -> PathBuf {
        paths::tools().join("peers").join(&self.kernel.version)
    }

    /// Written last: an interrupted set-up has none.
    fn complete(&self) -> PathBuf {
        paths::tools().join("peers").join(format!("versions-{}", self.kernel.version))
    }
}

impl Part for Peers<'_> {
    type Found = Found;

    fn what(&self) -> String {
        TOOLS.join(", ")
    }

    fn why(&self) -> &'static str {
        "benchmarks hold tracer against them"
    }

    fn find(&self) -> Result<Option<Found>> {
        let Ok(text) = fs::read_to_string(self.complete()) else { return Ok(None) };
        Ok(Some(Found { root: self.root(), versions: parse_versions(&text) }))
    }

    fn install(&self) -> Result<()> {
        if !apt::available() {
            bail!("the tools come from the packages of Debian's {SUITE}, and apt is not here");
        }
        let suite = apt::Suite::open(SUITE)?;
        let packages = suite.packages(|_| true)?;
        let mut wanted = closure(&packages, &TOOLS)?;
        wanted.extend(headers(&packages, &self.kernel.version)?);
        let root = self.root();
        suite.unpack_all("peers", &wanted, &root)?;
        for folder in DOCUMENTS {
            remove(&root, folder)?;
        }
        let (modules, kept) = (root.join(MODULES), root.join(HEADERS));
        fs::rename(&modules, &kept).with_context(|| format!("cannot move {}", modules.display()))?;
        for (folder, place) in MERGED {
            let link = root.join(folder);
            if link.symlink_metadata().is_err() {
                symlink(place, &link).with_context(|| format!("cannot make {}", link.display()))?;
            }
        }
        for folder in MOUNT_POINTS {
            let folder = root.join(folder);
            fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let lines = TOOLS.iter().filter_map(|name| {
            let package = wanted.iter().find(|package| package.name == *name)?;
            Some(format!("{name} {}\n", package.version))
        });
        fs::write(self.complete(), lines.collect::<String>()).context("cannot mark the tools as complete")
    }
}

fn parse_versions(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs.map(|(name, version)| (name.to_owned(), version.to_owned())).collect()
}

/// These packages and all that they depend on. A name that no package bears is virtual, and left out.
fn closure<'a>(packages: &'a [Package], names: &[&str]) -> Result<Vec<&'a Package>> {
    let mut newest: BTreeMap<&str, &Package> = BTreeMap::new();
    for package in packages {
        newest
            .entry(&package.name)
            .and_modify(|known| {
                let both = [(*known).clone(), package.clone()];
                if index::newest(&both, &package.name).is_some_and(|new| new.version == package.version) {
                    *known = package;
                }
            })
            .or_insert(package);
    }
    for name in names {
        if !newest.contains_key(name) {
            bail!("{SUITE} has no {name}");
        }
    }
    let mut left: Vec<&str> = names.to_vec();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    while let Some(name) = left.pop() {
        if NOT_NEEDED.contains(&name) || !seen.insert(name) {
            continue;
        }
        if let Some(package) = newest.get(name) {
            left.extend(package.depends.iter().map(String::as_str));
            found.push(*package);
        }
    }
    Ok(found)
}

/// The two packages that hold a cloud kernel's headers.
fn headers<'a>(packages: &'a [Package], version: &str) -> Result<Vec<&'a Package>> {
    let prefix = format!("linux-headers-{version}");
    let of = |suffix: &str| {
        packages
            .iter()
            .find(|package| {
                let rest = package.name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(suffix));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('+'))
            })
            .with_context(|| format!("{SUITE} has no {prefix}*{suffix}, which bcc compiles against"))
    };
    Ok(vec![of("-cloud-amd64")?, of("-common")?])
}

/// Removes a folder if it is there; of its components, one may be a prefix with a `*` behind it.
fn remove(root: &Path, folder: &str) -> Result<()> {
    let mut folders = vec![root.to_owned()];
    for part in folder.split('/') {
        folders = match part.strip_suffix('*') {
            None => folders.into_iter().map(|folder| folder.join(part)).collect(),
            Some(prefix) => folders
                .iter()
                .flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten())
                .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
                .map(|entry| entry.path())
                .collect(),
        };
    }
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "Package: a
Version: 1-1
Depends: b (>= 2), virtual | c, debconf (>= 0.5)

Package: b
Version: 2-1
Depends: a

Package: b
Version: 10-1
Depends: d:any

Package: d
Version: 1

Package: e
Version: 1

Package: linux-headers-6.12.9-cloud-amd64
Version: 6.12.9-1

Package: linux-headers-6.12.95+deb13-cloud-amd64
Version: 6.12.95-1

Package: linux-headers-6.12.95+deb13-common
Version: 6.12.95-1
";

    fn names(packages: &[&Package]) -> Vec<String> {
        packages.iter().map(|package| format!("{} {}", package.name, package.version)).collect()
    }

    #[test]
    fn a_closure_holds_the_newest_of_all_that_is_needed() {
        let packages = index::parse(INDEX, |_| true);
        let mut found = names(&closure(&packages, &["a"]).expect("a is there"));
        found.sort();
        assert_eq!(found, ["a 1-1", "b 10-1", "d 1"]);
        assert!(closure(&packages, &["z"]).is_err());
    }

    #[test]
    fn headers_are_of_that_very_version() {
        let packages = index::parse(INDEX, |_| true);
        let found = names(&headers(&packages, "6.12.95").expect("both are there"));
        assert_eq!(found[0], "linux-headers-6.12.95+deb13-cloud-amd64 6.12.95-1");
        assert_eq!(found[1], "linux-headers-6.12.95+deb13-common 6.12.95-1");
        assert!(headers(&packages, "6.12.9").is_err(), "that one has no common part");
    }

    #[test]
    fn versions_read_back() {
        let versions = parse_versions("bpftrace 0.23.2-1\nlibbpf-tools 0.31.0+ds-7\n");
        assert_eq!(versions["bpftrace"], "0.23.2-1");
        assert_eq!(versions.len(), 2);
    }
}
