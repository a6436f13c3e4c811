//! `cargo xtask lint`: form, clippy on both sides, and what the dependencies may be.
//!
//! Every check runs, whatever the one before it said; the names of those that failed come last.

use std::env;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::cargo::{cargo, check};
use crate::setup::{deny, require};
use crate::{build, paths, step};

#[derive(clap::Args)]
pub(crate) struct Args {}

/// A check's name, and what runs it.
type Check = (&'static str, fn() -> Result<()>);

pub(crate) fn main(_: &Args) -> Result<ExitCode> {
    let checks: [Check; 4] =
        [("fmt", fmt), ("clippy", clippy), ("clippy of the kernel side", clippy_kernel_side), ("deny", deny)];
    let mut failed = Vec::new();
    for (name, run) in checks {
        step::say(&format!("lint: {name}"));
        if let Err(error) = run() {
            step::say(&format!("{error:#}"));
            failed.push(name);
        }
    }
    if failed.is_empty() {
        println!("lint: clean");
        return Ok(ExitCode::SUCCESS);
    }
    println!("lint: failed: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

fn fmt() -> Result<()> {
    check(cargo().args(["fmt", "--all", "--check"]), "cargo fmt")
}

fn clippy() -> Result<()> {
    let object = build::kernel_side(&[])?;
    let mut command = cargo();
    command
        .args(["clippy", "--workspace", "--exclude", "tracer-ebpf", "--all-targets"])
        // What is behind a feature is ours too: the fuzzer, the benchmarks' program.
        .args(["--features", "tracer/generate,tracer/bench"])
        .args(["--", "-D", "warnings"])
        .env(build::OBJECT_VARIABLE, object);
    check(&mut command, "cargo clippy")
}

/// Clippy needs a `core` of its own compiler's, and the one with which the kernel side is built
/// may have no clippy. The crate's code does not ask which target it is for, so it is checked,
/// though never linked, for this host.
fn clippy_kernel_side() -> Result<()> {
    let mut command = cargo();
    command
        .args(["clippy", "--package", "tracer-ebpf", "--all-features", "--target-dir"])
        .arg(paths::target().join("clippy-bpf"))
        .args(["--", "-D", "warnings"])
        .env("RUSTC_BOOTSTRAP", "1")
        // The crate has a panic handler that never returns, and nothing that unwinds.
        .env("CARGO_PROFILE_DEV_PANIC", "abort");
    check(&mut command, "cargo clippy of the kernel side")
}

fn deny() -> Result<()> {
    let program = require(&deny::CargoDeny)?;
    let mut command = Command::new(program);
    command.current_dir(paths::root()).args([
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]);
    if let Some(cargo) = env::var_os("CARGO") {
        command.env("CARGO", cargo);
    }
    check(&mut command, "cargo deny")
}
