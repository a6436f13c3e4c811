//! A clang that knows today's BPF, bpftool, and libbpf: what the conformance corpus is built and loaded with.
//!
//! The distribution's packages of one release are unpacked into `target/tools/bpf` and run through that release's own
//! dynamic linker, so that they work on any host and nothing of the machine changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Part, apt, index};
use crate::paths;

/// The release whose compiler it is: clang 19, libbpf 1.5.
const SUITE: &str = "trixie";

/// What is run or linked with, and every library that these need.
const PACKAGES: [&str; 26] = [
    "clang-19",
    "libclang-common-19-dev",
    "libclang-cpp19",
    "libllvm19",
    "bpftool",
    "libbpf-dev",
    "libc6",
    "libc6-dev",
    "linux-libc-dev",
    "libcap2",
    "libedit2",
    "libelf-dev",
    "libelf1t64",
    "libbsd0",
    "libffi8",
    "libgcc-s1",
    "libicu76",
    "liblzma5",
    "libmd0",
    "libstdc++6",
    "libtinfo6",
    "libxml2",
    "libz3-4",
    "libzstd1",
    "zlib1g",
    "zlib1g-dev",
];

const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const LINKER: &str = "usr/lib64/ld-linux-x86-64.so.2";
const CLANG: &str = "usr/lib/llvm-19/bin/clang";
const RESOURCES: &str = "usr/lib/llvm-19/lib/clang/19";
const BPFTOOL: &str = "usr/sbin/bpftool";

/// The tools as a [`Part`].
pub(crate) struct BpfTools;

/// Tools that are there.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    root: PathBuf,
}

impl Part for BpfTools {
    type Found = Found;

    fn what(&self) -> String {
        "clang 19, bpftool and libbpf".to_owned()
    }

    fn why(&self) -> &'static str {
        "the conformance corpus is compiled and loaded with them"
    }

    fn find(&self) -> Result<Option<Found>> {
        let root = paths::tools().join("bpf");
        // Written last: an interrupted set-up has none.
        let complete = root.join("complete").is_file();
        Ok(complete.then_some(Found { root }))
    }

    fn install(&self) -> Result<()> {
        if !apt::available() {
            bail!("conformance needs the packages of Debian's {SUITE}, and apt is not here");
        }
        let root = paths::tools().join("bpf");
        let suite = apt::Suite::open(SUITE)?;
        let packages = suite.packages(|name| PACKAGES.contains(&name))?;
        let newest: Vec<_> = PACKAGES
            .iter()
            .map(|name| index::newest(&packages, name).with_context(|| format!("{SUITE} has no {name}")))
            .collect::<Result<_>>()?;
        suite.unpack_all("bpf-tools", &newest, &root)?;
        fs::write(root.join("complete"), "").context("cannot mark the tools as complete")
    }
}

impl Found {
    /// A command of the tools' own.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.root.join(LINKER));
        command.arg("--library-path").arg(self.library("")).arg(self.root.join(program));
        command
    }

    /// A file among the libraries.
    pub(crate) fn library(&self, name: &str) -> PathBuf {
        self.root.join(LIBRARIES).join(name)
    }

    /// The dynamic linker.
    pub(crate) fn linker(&self) -> PathBuf {
        self.root.join(LINKER)
    }

    /// Where the headers of packages are.
    pub(crate) fn include(&self) -> PathBuf {
        self.root.join("usr/include")
    }

    /// The folder that stands for `/`.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The compiler.
    pub(crate) fn clang(&self) -> Command {
        let mut command = self.command(CLANG);
        command.arg("-resource-dir").arg(self.root.join(RESOURCES));
        command
    }

    /// bpftool.
    pub(crate) fn bpftool(&self) -> Command {
        self.command(BPFTOOL)
    }
}
