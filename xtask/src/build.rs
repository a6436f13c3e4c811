//! `cargo xtask build`: the kernel side as BPF objects, one per command, then the user side that carries them.
//!
//! The kernel side has its own target folder: another compiler, other flags, `core` from source.
//! The user side's build script takes the objects from the folder `TRACER_BPF_OBJECTS`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cargo::{cargo, check};
use crate::profiles::Profiles;
use crate::setup::{bpf, linker, require};
use crate::{paths, profiles};

/// The variable that names the folder of the kernel side's objects to the user side's build script.
pub(crate) const OBJECT_VARIABLE: &str = "TRACER_BPF_OBJECTS";

/// The programs of the kernel side's crate, and the objects that they become.
const OBJECTS: [(&str, &str); 2] = [("tracer-ebpf", "tracer.bpf.o"), ("tracer-probe", "probe.bpf.o")];

const TARGET: &str = "bpfel-unknown-none";

/// BPF's instruction set v3 (32-bit subregisters and jumps) is known to every kernel from 5.1 on.
const CPU: &str = "v3";

#[derive(clap::Args, Clone)]
#[group(id = "build")]
pub(crate) struct Args {
    /// Optimise the user side (the kernel side always is)
    #[arg(long)]
    release: bool,
    /// Features to compile in; `log` is the kernel side's logging through aya-log
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    build(args, Profiles::IfThere)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds both sides.
///
/// # Errors
/// A missing tool that cannot be installed, or a compiler's error (it has been printed).
///
/// Returns the path of the program.
pub(crate) fn build(args: &Args, embed: Profiles) -> Result<PathBuf> {
    let object = kernel_side(&args.features)?;
    let mut command = cargo();
    command.args(["build", "--package", "tracer", "--bin", "tracer"]);
    if args.release {
        command.arg("--release");
    }
    if !args.features.is_empty() {
        command.args(["--features", &args.features.join(",")]);
    }
    command.env(OBJECT_VARIABLE, &object).envs(profiles::variable(embed)?);
    check(&mut command, "building the user side")?;
    Ok(paths::target().join(if args.release { "release" } else { "debug" }).join("tracer"))
}

/// Compiles the kernel side; returns the folder of its objects.
///
/// # Errors
/// As [`build`].
pub(crate) fn kernel_side(features: &[String]) -> Result<PathBuf> {
    let toolchain = require(&bpf::Toolchain)?;
    let linker = require(&linker::Linker { llvm: toolchain.llvm })?;
    let flags = [
        "-Cdebuginfo=2".to_owned(),
        format!("-Clinker={}", linker.display()),
        "-Clink-arg=--btf".to_owned(),
        format!("-Ctarget-cpu={CPU}"),
    ];
    let mut command = cargo();
    command
        .args(["build", "--release", "--package", "tracer-ebpf", "--bins"])
        .args(["--target", TARGET, "-Zbuild-std=core", "--target-dir"])
        .arg(paths::bpf_target())
        .env("RUSTC", &toolchain.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        // Encoded, so that a path with a space in it stays one flag.
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER");
    if !features.is_empty() {
        command.args(["--features", &features.join(",")]);
    }
    check(&mut command, "building the kernel side")?;
    for (program, object) in OBJECTS {
        let built = paths::bpf_target().join(TARGET).join("release").join(program);
        publish(&built, &paths::bpf_target().join(object))?;
    }
    Ok(paths::bpf_target())
}

/// Copies an object to where the user side looks for it, only when it changed: its time of
/// change is what makes cargo build the user side again.
fn publish(built: &Path, object: &Path) -> Result<()> {
    let new = fs::read(built).with_context(|| format!("cannot read {}", built.display()))?;
    if fs::read(object).ok().as_ref() != Some(&new) {
        fs::write(object, new).with_context(|| format!("cannot write {}", object.display()))?;
    }
    Ok(())
}
