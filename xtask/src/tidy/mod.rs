//! `cargo xtask tidy`: the architecture's invariants and the documents, checked against the tree.
//!
//! Rules look at files that git tracks, as they are in the work tree. Each rule is a function
//! from text to findings, and has tests that show that it can fail.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::paths;
use crate::step;

mod docs;
mod imports;
mod source;
mod tracked;

/// From here on a file is told of, as one to look for a seam in.
const LONG: usize = 600;

#[derive(clap::Args)]
pub(crate) struct Args {}

/// A broken rule, where it is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    file: String,
    /// From 1; 0 is the file as a whole.
    line: usize,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(out, "{}: {}", self.file, self.what),
            line => write!(out, "{}:{line}: {}", self.file, self.what),
        }
    }
}

pub(crate) fn main(_: &Args, verbs: &clap::Command) -> Result<ExitCode> {
    let files = tracked_files()?;
    let forbidden = tracked::Forbidden::of_this_machine();
    let mut findings = Vec::new();
    for file in &files {
        let Ok(bytes) = fs::read(paths::root().join(file)) else { continue };
        let Ok(text) = String::from_utf8(bytes) else { continue };
        findings.extend(forbidden.check(file, &text));
        if file.ends_with(".rs") {
            findings.extend(imports::check(file, &text));
            warn(file, &text);
        }
        if file.ends_with(".md") {
            findings.extend(docs::check(file, &text, verbs, &|path| exists(&files, path)));
        }
    }
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} files, {} findings", files.len(), findings.len());
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is worth a look, but breaks no rule.
fn warn(file: &str, text: &str) {
    let lines = text.lines().count();
    if lines > LONG {
        step::say(&format!("tidy: {file} has {lines} lines: is there a seam?"));
    }
}

/// Whether the documents may name this path: a tracked file, or a folder of some.
fn exists(files: &[String], path: &Path) -> bool {
    files.iter().any(|file| Path::new(file).starts_with(path))
}

/// The files that git tracks, and new ones that it does not ignore.
fn tracked_files() -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(paths::root())
        .output()
        .context("cannot run git")?;
    if !output.status.success() {
        bail!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut files: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .split('\0')
        .filter(|name| !name.is_empty() && paths::root().join(name).is_file())
        .map(str::to_owned)
        .collect();
    files.dedup();
    Ok(files)
}
