//! `cargo xtask setup`: what the other verbs need from outside the workspace.
//!
//! Each need is a [`Part`]: it can be found, and it can be installed. A verb calls [`require`] for
//! the parts that it uses, so that nothing is installed before it is needed. What a part finds is
//! checked each time (versions included), and finding all of them takes well below a second.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::step;

pub(crate) mod apt;
pub(crate) mod bpf;
pub(crate) mod clang;
pub(crate) mod deny;
pub(crate) mod index;
pub(crate) mod kernel;
pub(crate) mod linker;
pub(crate) mod peers;
pub(crate) mod qemu;
pub(crate) mod selftests;
pub(crate) mod sources;
pub(crate) mod userland;
pub(crate) mod version;

/// The kernels that `cargo xtask test` boots: one per Debian release that is alive, and the newest.
pub(crate) const KERNELS: [&str; 4] = ["5.10", "6.1", "6.12", "7.2"];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only say what is there and what is missing (exit status 1); install nothing
    #[arg(long)]
    check: bool,
}

/// Something that a verb needs and that may have to be installed.
pub(crate) trait Part {
    /// What a verb uses of it: paths, mostly.
    type Found;
    /// Its name, as the user reads it.
    fn what(&self) -> String;
    /// What it is needed for.
    fn why(&self) -> &'static str;
    /// Looks for a usable one.
    ///
    /// # Errors
    /// Only when looking is impossible; a missing or unsuitable one is `None`.
    fn find(&self) -> Result<Option<Self::Found>>;
    /// Installs it.
    ///
    /// # Errors
    /// It cannot be had here; the message says what to install by hand.
    fn install(&self) -> Result<()>;
}

/// Finds the part, or installs it and finds it then.
///
/// # Errors
/// The installation failed, or what it installed is not found.
pub(crate) fn require<P: Part>(part: &P) -> Result<P::Found> {
    if let Some(found) = part.find()? {
        return Ok(found);
    }
    step::say(&format!("installing {}: {}", part.what(), part.why()));
    part.install()?;
    match part.find()? {
        Some(found) => Ok(found),
        None => bail!("{} was installed, but is not found after it", part.what()),
    }
}

/// Says whether the part is there; `false` when it is missing.
fn present<P: Part>(part: &P) -> Result<bool> {
    let there = part.find()?.is_some();
    println!("{} {}: {}", if there { "present" } else { "missing" }, part.what(), part.why());
    Ok(there)
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    if args.check {
        return check();
    }
    let toolchain = require(&bpf::Toolchain)?;
    require(&linker::Linker { llvm: toolchain.llvm })?;
    require(&qemu::Qemu)?;
    require(&userland::Busybox)?;
    require(&userland::Strace)?;
    require(&deny::CargoDeny)?;
    for version in KERNELS {
        require(&kernel::Kernel::new(version)?)?;
    }
    println!("everything is present");
    Ok(ExitCode::SUCCESS)
}

fn check() -> Result<ExitCode> {
    let mut all = present(&bpf::Toolchain)?;
    match bpf::Toolchain.find()? {
        Some(toolchain) => all &= present(&linker::Linker { llvm: toolchain.llvm })?,
        None => println!("missing bpf-linker: its version depends on the toolchain's"),
    }
    all &= present(&qemu::Qemu)?;
    all &= present(&userland::Busybox)?;
    all &= present(&userland::Strace)?;
    all &= present(&deny::CargoDeny)?;
    for version in KERNELS {
        all &= present(&kernel::Kernel::new(version)?)?;
    }
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
