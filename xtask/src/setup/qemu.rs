//! QEMU, which boots the guests.
//!
//! Debian 12's own (7.2) corrupts guests under software emulation, so 9 is the least. Unless the
//! machine has one, the distribution's packages are unpacked into `target/tools/qemu`; only the
//! libraries that they depend on are installed on the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Part, apt, index, sources, version};
use crate::paths;

const MINIMUM: u64 = 9;
const PROGRAM: &str = "qemu-system-x86_64";

/// What is unpacked: the emulator, its modules, its firmware tables and the BIOS.
const PACKAGES: [&str; 4] = ["qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios"];

/// A QEMU that can be used.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) program: PathBuf,
    /// Where its firmware and modules are, if it is the private one.
    pub(crate) prefix: Option<PathBuf>,
}

/// QEMU as a [`Part`].
pub(crate) struct Qemu;

impl Part for Qemu {
    type Found = Found;

    fn what(&self) -> String {
        format!("QEMU >= {MINIMUM}")
    }

    fn why(&self) -> &'static str {
        "guests boot other kernels in it"
    }

    fn find(&self) -> Result<Option<Found>> {
        let prefix = prefix();
        let private = prefix.join("usr/bin").join(PROGRAM);
        if private.is_file() && major(&private).is_some_and(|major| major >= MINIMUM) {
            return Ok(Some(Found { program: private, prefix: Some(prefix) }));
        }
        let program = PathBuf::from(PROGRAM);
        let there = major(&program).is_some_and(|major| major >= MINIMUM);
        Ok(there.then_some(Found { program, prefix: None }))
    }

    fn install(&self) -> Result<()> {
        if !apt::available() {
            bail!("install QEMU {MINIMUM} or newer ({PROGRAM}): only Debian's packages are known here");
        }
        let codename = sources::archives()?.codename;
        for suite in [format!("{codename}-backports"), codename.clone()] {
            let Ok(suite) = apt::Suite::open(&suite) else { continue };
            if install_from(&suite)? {
                return Ok(());
            }
        }
        bail!("neither {codename} nor {codename}-backports has QEMU >= {MINIMUM}: install {PROGRAM} by hand")
    }
}

fn prefix() -> PathBuf {
    paths::tools().join("qemu")
}

fn install_from(suite: &apt::Suite) -> Result<bool> {
    let packages = suite.packages(|name| PACKAGES.contains(&name))?;
    let Some(emulator) = index::newest(&packages, PACKAGES[0]) else { return Ok(false) };
    if version::numbers(version::upstream(&emulator.version)) < vec![MINIMUM] {
        return Ok(false);
    }
    for name in PACKAGES {
        let package = index::newest(&packages, name)
            .with_context(|| format!("the suite that has QEMU lacks {name}"))?;
        suite.unpack(package, &prefix())?;
    }
    if major(&prefix().join("usr/bin").join(PROGRAM)).is_none() {
        let libraries: Vec<&str> =
            emulator.depends.iter().map(String::as_str).filter(|name| is_library(name)).collect();
        apt::install(&libraries)?;
    }
    Ok(true)
}

/// Of what the emulator's package depends on, that which is not unpacked beside it.
fn is_library(name: &str) -> bool {
    name.starts_with("lib") || name.starts_with("zlib")
}

/// The version that an emulator tells.
///
/// # Errors
/// It cannot be run, or tells none.
pub(crate) fn version(program: &Path) -> Result<String> {
    let output = Command::new(program).arg("--version").output().context("cannot run QEMU")?;
    let banner = String::from_utf8_lossy(&output.stdout).into_owned();
    parse_version(&banner).map(str::to_owned).context("QEMU does not tell its version")
}

fn major(program: &Path) -> Option<u64> {
    let output = Command::new(program).arg("--version").output().ok()?;
    output.status.success().then_some(())?;
    parse_major(&String::from_utf8_lossy(&output.stdout))
}

fn parse_version(banner: &str) -> Option<&str> {
    banner.split("version ").nth(1)?.split_whitespace().next()
}

fn parse_major(text: &str) -> Option<u64> {
    version::numbers(parse_version(text)?).first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_is_read_from_the_banner() {
        let banner = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright (c)\n";
        assert_eq!(parse_major(banner), Some(10));
        assert_eq!(parse_major("QEMU emulator version 7.2.22\n"), Some(7));
        assert_eq!(parse_major("nonsense"), None);
    }
}
