//! What guests hold besides our own programs: busybox (static), and strace as a second witness.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{Part, apt, index, sources};
use crate::paths;

/// A static busybox as a [`Part`].
pub(crate) struct Busybox;

impl Part for Busybox {
    type Found = PathBuf;

    fn what(&self) -> String {
        "busybox-static".to_owned()
    }

    fn why(&self) -> &'static str {
        "guests run commands such as sh and ls"
    }

    fn find(&self) -> Result<Option<PathBuf>> {
        let prefix = paths::tools().join("busybox");
        let mut candidates = ["bin/busybox", "usr/bin/busybox"].map(|path| prefix.join(path)).into_iter();
        Ok(candidates.find(|path| path.is_file()))
    }

    fn install(&self) -> Result<()> {
        if !apt::available() {
            bail!(
                "put a static busybox at {}: only Debian's packages are known here",
                paths::tools().join("busybox/bin/busybox").display()
            );
        }
        let name = "busybox-static";
        let suite = apt::Suite::open(&sources::archives()?.codename)?;
        let packages = suite.packages(|package| package == name)?;
        let package = index::newest(&packages, name).context("the release has no busybox-static")?;
        suite.unpack(package, &paths::tools().join("busybox"))
    }
}

/// strace as a [`Part`].
pub(crate) struct Strace;

impl Part for Strace {
    type Found = PathBuf;

    fn what(&self) -> String {
        "strace".to_owned()
    }

    fn why(&self) -> &'static str {
        "guest tests compare tracer's events with it"
    }

    fn find(&self) -> Result<Option<PathBuf>> {
        Ok(Some(Path::new("/usr/bin/strace").to_path_buf()).filter(|path| path.is_file()))
    }

    fn install(&self) -> Result<()> {
        if !apt::available() {
            bail!("install strace: only Debian's packages are known here");
        }
        apt::install(&["strace"])
    }
}
