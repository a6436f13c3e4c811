//! Kernels for guests: the distribution's cloud kernels, by version prefix, out of whichever
//! suite has them, kept in `target/kernels/VERSION/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::index::{self, Package};
use super::{Part, apt, version};
use crate::{paths, step};

/// The suites that are known to hold kernels, each release before its own updates: a release's
/// kernel stays the same for long, and that is what a test wants.
const SUITES: [&str; 10] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "bullseye-security",
    "bookworm-security",
    "trixie-security",
    "bookworm-backports",
    "trixie-backports",
    "experimental",
];

/// Where a series is at home, so that no other suite's index is fetched for it.
const HOME: [(&str, &str); 5] = [
    ("5.10", "bullseye"),
    ("6.1", "bookworm"),
    ("6.12", "trixie"),
    ("7.2", "forky"),
    ("7.3", "experimental"),
];

/// A kernel of one series, as a [`Part`].
pub(crate) struct Kernel {
    series: String,
}

/// A kernel that can be booted.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Its version, as `6.12.94`.
    pub(crate) version: String,
    pub(crate) image: PathBuf,
}

impl Kernel {
    /// A kernel by a prefix of its version: `6.12`, or `6.12.94` for that one alone.
    ///
    /// # Errors
    /// The prefix is not two or three numbers with dots between them.
    pub(crate) fn new(series: &str) -> Result<Self> {
        let numbers = series.split('.').all(|part| part.parse::<u32>().is_ok());
        if !numbers || !(2..=3).contains(&series.split('.').count()) {
            bail!("no such kernel: {series:?} is not a version prefix such as 6.12 or 5.10.223");
        }
        Ok(Self { series: series.to_owned() })
    }
}

impl Part for Kernel {
    type Found = Found;

    fn what(&self) -> String {
        format!("kernel {}", self.series)
    }

    fn why(&self) -> &'static str {
        "a guest boots it"
    }

    fn find(&self) -> Result<Option<Found>> {
        let Ok(entries) = fs::read_dir(paths::kernels()) else { return Ok(None) };
        let newest = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| version::in_series(name, &self.series))
            .filter(|name| paths::kernels().join(name).join("vmlinuz").is_file())
            .max_by(|left, right| version::compare(left, right));
        Ok(newest.map(|version| {
            let image = paths::kernels().join(&version).join("vmlinuz");
            Found { version, image }
        }))
    }

    fn install(&self) -> Result<()> {
        if !apt::available() {
            bail!(
                "kernels come from Debian's packages, and apt is not here; put one at {}",
                paths::kernels().join(&self.series).join("vmlinuz").display()
            );
        }
        let mut unread = Vec::new();
        for name in suites(&self.series) {
            let suite = match apt::Suite::open(name) {
                Ok(suite) => suite,
                Err(error) => {
                    unread.push(format!("{name}: {error:#}"));
                    continue;
                }
            };
            let packages = suite.packages(|name| index::is_kernel(name) || is_base(name))?;
            let kernels: Vec<Package> =
                packages.iter().filter(|package| !is_base(&package.name)).cloned().collect();
            if let Some(kernel) = index::newest_kernel(&kernels, &self.series) {
                return fetch(&suite, kernel, &packages);
            }
        }
        let unread: String = unread.iter().map(|reason| format!("\nunread: {reason}")).collect();
        bail!("no kernel {} in any of {}{unread}", self.series, SUITES.join(", "))
    }
}

/// All suites, the one where the series is at home first.
pub(crate) fn suites(series: &str) -> Vec<&'static str> {
    let at_home = HOME.iter().find(|(home, _)| version::in_series(series, home));
    let first = at_home.map(|(_, suite)| *suite);
    first.into_iter().chain(SUITES.into_iter().filter(|suite| Some(*suite) != first)).collect()
}

/// From 7.x on the configuration lies in a package of its own.
fn is_base(name: &str) -> bool {
    name.starts_with("linux-base-") && name.ends_with("-cloud-amd64")
}

fn fetch(suite: &apt::Suite, kernel: &Package, packages: &[Package]) -> Result<()> {
    let version = version::upstream(&kernel.version).to_owned();
    step::say(&format!("kernel {version} is in {}", kernel.name));
    let unpacked = paths::kernels().join("unpacked");
    remove(&unpacked)?;
    suite.unpack(kernel, &unpacked)?;
    for name in kernel.depends.iter().filter(|name| is_base(name)) {
        if let Some(base) = index::newest(packages, name) {
            suite.unpack(base, &unpacked)?;
        }
    }
    let folder = paths::kernels().join(&version);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for (name, needed) in [("config", false), ("vmlinuz", true)] {
        match find_file(&unpacked, name)? {
            Some(path) => fs::rename(&path, folder.join(name))
                .with_context(|| format!("cannot move {}", path.display()))?,
            None if needed => bail!("{} holds no {name}", kernel.name),
            None => {}
        }
    }
    remove(&unpacked)
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// `boot/NAME-RELEASE`, or `usr/lib/modules/RELEASE/NAME` (where 7.x keeps it).
fn find_file(unpacked: &Path, name: &str) -> Result<Option<PathBuf>> {
    let list = |folder: PathBuf| -> Result<Vec<PathBuf>> {
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        Ok(entries.flatten().map(|entry| entry.path()).collect())
    };
    let prefix = format!("{name}-");
    let in_boot = list(unpacked.join("boot"))?
        .into_iter()
        .find(|path| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&prefix)));
    if in_boot.is_some() {
        return Ok(in_boot);
    }
    let modules = list(unpacked.join("usr/lib/modules"))?;
    Ok(modules.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_two_or_three_numbers() {
        for good in ["6.12", "5.10.223"] {
            assert!(Kernel::new(good).is_ok(), "{good}");
        }
        for bad in ["6", "6.", "6.x", "v6.12", "", "6.1.2.3", "../6.1", "6.12-rc1"] {
            assert!(Kernel::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_home_suite_is_asked_first_and_none_twice() {
        assert_eq!(suites("6.12")[0], "trixie");
        assert_eq!(suites("6.12.94")[0], "trixie");
        assert_eq!(suites("6.19")[0], "bullseye");
        for series in ["5.10", "6.19"] {
            assert_eq!(suites(series).len(), SUITES.len(), "{series}");
        }
    }
}
