//! The kernel's own BPF selftests, out of the distribution's linux-source package: `target/conformance/source-SERIES/`
//! holds the parts of the tree that compiling them needs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Part, apt, index, kernel, version};
use crate::{paths, step};

/// What is taken of the tree: 20 of 1,600 MB.
const PARTS: [&str; 5] = [
    "*/tools/testing/selftests/bpf/progs/*",
    "*/tools/testing/selftests/bpf/*.h",
    "*/tools/lib/bpf/*.h",
    "*/tools/include/*",
    "*/include/uapi/*",
];

/// The selftests of one series as a [`Part`].
pub(crate) struct Selftests {
    /// As `6.12`.
    pub(crate) series: String,
}

impl Part for Selftests {
    /// The root of the tree.
    type Found = PathBuf;

    fn what(&self) -> String {
        format!("BPF selftests of Linux {}", self.series)
    }

    fn why(&self) -> &'static str {
        "they are programs whose verdicts the kernel's authors know"
    }

    fn find(&self) -> Result<Option<PathBuf>> {
        let folder = self.folder();
        Ok(folder.join("complete").is_file().then_some(folder))
    }

    fn install(&self) -> Result<()> {
        if !apt::available() {
            bail!("the selftests come from Debian's linux-source packages, and apt is not here");
        }
        let name = format!("linux-source-{}", self.series);
        for suite in kernel::suites(&self.series) {
            let Ok(suite) = apt::Suite::open(suite) else { continue };
            let packages = suite.packages(|package| package == name)?;
            let Some(package) = index::newest(&packages, &name) else { continue };
            step::say(&format!("{name} {} (150 MB)", version::upstream(&package.version)));
            let folder = self.folder();
            fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
            suite.with_files(&name, &[package], |file| {
                let list = PARTS.map(|part| format!("'{part}'")).join(" ");
                let script = format!(
                    "set -o pipefail; dpkg-deb --fsys-tarfile \"$0\" | tar -xO --wildcards './usr/src/*.tar.xz' \
                     | xz -dc | tar -x -C \"$1\" --strip-components=1 --wildcards {list}"
                );
                let mut command = Command::new("bash");
                step::run(&format!("unpacking {name}"), command.args(["-c", &script]).arg(file).arg(&folder))
            })?;
            return fs::write(folder.join("complete"), "").context("cannot mark the sources as complete");
        }
        bail!("no suite has {name}")
    }
}

impl Selftests {
    fn folder(&self) -> PathBuf {
        paths::conformance().join(format!("source-{}", self.series))
    }
}
