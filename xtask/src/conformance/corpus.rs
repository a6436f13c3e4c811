//! The corpora: which object files there are.

use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};

use super::{compile, shipped};
use crate::setup::clang;

/// A set of object files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Corpus {
    /// The kernel's verifier_* selftests.
    Verifier,
    /// The kernel's other BPF selftests.
    Selftests,
    /// What the distribution's libbpf-tools carry.
    Tools,
    /// This project's own programs: the guests' tests compare, because libbpf cannot load them.
    Own,
    /// Generated programs: `cargo xtask fuzz`.
    Fuzz,
    /// A folder.
    Folder(PathBuf),
}

impl FromStr for Corpus {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "verifier" => Self::Verifier,
            "selftests" => Self::Selftests,
            "tools" => Self::Tools,
            "own" => Self::Own,
            "fuzz" => Self::Fuzz,
            folder => Self::Folder(folder.into()),
        })
    }
}

impl fmt::Display for Corpus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verifier => out.write_str("verifier"),
            Self::Selftests => out.write_str("selftests"),
            Self::Tools => out.write_str("tools"),
            Self::Own => out.write_str("own"),
            Self::Fuzz => out.write_str("fuzz"),
            Self::Folder(folder) => folder.display().fmt(out),
        }
    }
}

/// One object file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) corpus: Corpus,
    pub(crate) path: PathBuf,
}

impl Object {
    /// Its file name; no two of a run have the same.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// The object files of these corpora, built or unpacked as needed.
///
/// # Errors
/// They cannot be made, or two have the same name.
pub(crate) fn objects(corpora: &[Corpus], tools: &clang::Found) -> Result<Vec<Object>> {
    let mut objects = Vec::new();
    for corpus in corpora {
        let paths = match corpus {
            Corpus::Verifier => compile::selftests(tools, |name| name.starts_with("verifier_"))?,
            Corpus::Selftests => compile::selftests(tools, |name| !name.starts_with("verifier_"))?,
            Corpus::Tools => shipped::objects()?,
            Corpus::Own | Corpus::Fuzz => Vec::new(),
            Corpus::Folder(folder) => list(folder)?,
        };
        objects.extend(paths.into_iter().map(|path| Object { corpus: corpus.clone(), path }));
    }
    let mut names: Vec<String> = objects.iter().map(Object::name).collect();
    names.sort();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        bail!("two object files are called {}: give one corpus at a time", pair[0]);
    }
    Ok(objects)
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| {
        format!(
            "--corpus {}: neither verifier, selftests, tools, own or fuzz, nor a folder",
            folder.display()
        )
    })?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "o"));
    files.sort();
    Ok(files)
}
