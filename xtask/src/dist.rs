//! `cargo xtask dist`: tracer as one static file for any Linux host, with its manual and its
//! completions. The guests run the very same build.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::cargo::{cargo, check};
use crate::guest::GuestFile;
use crate::profiles::Profiles;
use crate::{build, paths, profiles, step};

/// The one target: glibc's static libraries come with the C compiler, another libc's would not.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Where tracer lies in a guest.
pub(crate) const GUEST_TRACER: &str = "/bin/tracer";

/// What tracer can write of itself: the subcommand's words, and the file.
const OF_ITSELF: [(&[&str], &str); 4] = [
    (&["man"], "tracer.1"),
    (&["completions", "bash"], "completions/tracer.bash"),
    (&["completions", "zsh"], "completions/_tracer"),
    (&["completions", "fish"], "completions/tracer.fish"),
];

#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn main(_: &Args) -> Result<ExitCode> {
    let built = tracer(Profiles::Made)?;
    let folder = paths::target().join("dist");
    fs::create_dir_all(folder.join("completions"))
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let program = folder.join("tracer");
    check(Command::new("strip").arg("-o").arg(&program).arg(&built), "stripping tracer")?;
    for (words, file) in OF_ITSELF {
        let output = Command::new(&program).args(words).output().context("cannot run tracer")?;
        if !output.status.success() {
            bail!("`tracer {}` failed: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        fs::write(folder.join(file), output.stdout).with_context(|| format!("cannot write {file}"))?;
    }
    let size = fs::metadata(&program).context("cannot read what strip wrote")?.len();
    step::say(&format!("{} ({} KiB)", program.display(), size / 1024));
    Ok(ExitCode::SUCCESS)
}

/// cargo, set to build static programs into their own folder, unoptimised unless told so.
pub(crate) fn static_cargo(verb: &str) -> Command {
    let mut command = cargo();
    command
        .args([verb, "--target", TARGET, "--target-dir"])
        .arg(paths::static_target())
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-Ctarget-feature=+crt-static")
        // Either would take precedence over the line above.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
}

fn built(name: &str) -> PathBuf {
    paths::static_target().join(TARGET).join("release").join(name)
}

/// Builds tracer statically, the kernel side and the profiles within it; not stripped.
///
/// # Errors
/// As [`build::build`].
pub(crate) fn tracer(embed: Profiles) -> Result<PathBuf> {
    let object = build::kernel_side(&[])?;
    let mut command = static_cargo("build");
    command
        .args(["--release", "--package", "tracer", "--bin", "tracer"])
        .env(build::OBJECT_VARIABLE, object)
        .envs(profiles::variable(embed)?);
    check(&mut command, "building tracer statically")?;
    Ok(built("tracer"))
}

/// Builds the program that benchmarks run on this host, all profiles within it.
///
/// # Errors
/// As [`tracer`].
pub(crate) fn bench() -> Result<PathBuf> {
    let object = build::kernel_side(&[])?;
    let mut command = static_cargo("build");
    command
        .args(["--release", "--package", "tracer", "--bin", "bench", "--features", "bench"])
        .env(build::OBJECT_VARIABLE, object)
        .envs(profiles::variable(Profiles::Made)?);
    check(&mut command, "building the benchmarks' program")?;
    Ok(built("bench"))
}

/// Tracer as a file of a guest's.
///
/// # Errors
/// As [`tracer`].
pub(crate) fn guest_tracer(embed: Profiles) -> Result<GuestFile> {
    Ok(GuestFile { host: tracer(embed)?, guest: GUEST_TRACER.to_owned() })
}

/// Builds the guests' init.
///
/// # Errors
/// A compiler's error; it has been printed.
pub(crate) fn guest_init() -> Result<PathBuf> {
    let mut command = static_cargo("build");
    command.args(["--quiet", "--release", "--package", "xtask", "--bin", "guest-init"]);
    check(&mut command, "building the guests' init")?;
    Ok(built("guest-init"))
}
