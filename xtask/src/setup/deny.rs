//! cargo-deny, which holds the dependencies to `deny.toml`.
//!
//! Built without optimisation and without its advisory client, which needs a database from
//! elsewhere: a minute and a half of two cores instead of more than four, for a check of seconds.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::Part;
use crate::cargo::cargo;
use crate::{paths, step};

const VERSION: &str = "0.20";

/// cargo-deny as a [`Part`].
pub(crate) struct CargoDeny;

impl Part for CargoDeny {
    type Found = PathBuf;

    fn what(&self) -> String {
        format!("cargo-deny {VERSION}")
    }

    fn why(&self) -> &'static str {
        "lint checks the dependencies' licences and sources (compiled once, some minutes)"
    }

    fn find(&self) -> Result<Option<PathBuf>> {
        let mut candidates = [paths::tools().join("bin/cargo-deny"), PathBuf::from("cargo-deny")].into_iter();
        Ok(candidates.find(|path| {
            let output = Command::new(path).arg("--version").output();
            output.is_ok_and(|output| output.status.success())
        }))
    }

    fn install(&self) -> Result<()> {
        let build = paths::tools().join("build");
        let mut command = cargo();
        command
            .args(["install", "cargo-deny", "--version", &format!("^{VERSION}"), "--locked"])
            .args(["--no-default-features", "--debug", "--root"])
            .arg(paths::tools())
            .env("CARGO_TARGET_DIR", &build)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_INCREMENTAL", "0");
        step::run("cargo-deny", &mut command)?;
        fs::remove_dir_all(&build).context("cannot remove cargo-deny's build folder")
    }
}
