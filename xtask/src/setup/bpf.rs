//! The compiler of the kernel side, with the source of its own `core`.
//!
//! `core` is compiled for the BPF target here, so the source must match the compiler. In order: a
//! rustup toolchain that has `rust-src`; the distribution's compiler and source (which apt can
//! install); rustup's nightly with `rust-src`. A compiler is used only when its LLVM is one that
//! bpf-linker can be built for.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Part, apt, version};
use crate::step;

/// The LLVM majors that bpf-linker 0.13 knows.
const LLVM: [u64; 3] = [21, 22, 23];

/// Debian's compiler and source packages; the first pair that is new enough is taken.
const DEBIAN: [[&str; 2]; 2] = [["rustc-web", "rust-web-src"], ["rustc", "rust-src"]];

const DISTRIBUTION: &str = "/usr/bin/rustc";

/// A compiler whose library source is there.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) rustc: PathBuf,
    /// The major version of its LLVM, which bpf-linker must share.
    pub(crate) llvm: u64,
}

/// The BPF toolchain as a [`Part`].
pub(crate) struct Toolchain;

impl Part for Toolchain {
    type Found = Found;

    fn what(&self) -> String {
        format!("a Rust compiler >= {} with its library source", minimum())
    }

    fn why(&self) -> &'static str {
        "the kernel side compiles `core` for the BPF target"
    }

    fn find(&self) -> Result<Option<Found>> {
        let mut candidates = rustup_toolchains();
        candidates.push(PathBuf::from(DISTRIBUTION));
        Ok(candidates.iter().find_map(|rustc| usable(rustc)))
    }

    fn install(&self) -> Result<()> {
        let mut reasons = Vec::new();
        if apt::available() {
            match install_from_apt() {
                Ok(()) => return Ok(()),
                Err(error) => reasons.push(format!("{error:#}")),
            }
        }
        match install_from_rustup() {
            Ok(()) => return Ok(()),
            Err(error) => reasons.push(format!("{error:#}")),
        }
        bail!(
            "no compiler for the kernel side:\n- {}\nInstall one of: a rustup toolchain with its \
             source (`rustup toolchain install nightly --component rust-src`), or your \
             distribution's rustc >= {} with its library source",
            reasons.join("\n- "),
            minimum()
        )
    }
}

/// The workspace's own minimum, which the kernel side shares.
fn minimum() -> &'static str {
    env!("CARGO_PKG_RUST_VERSION")
}

fn rustup_toolchains() -> Vec<PathBuf> {
    let output = Command::new("rustup").args(["toolchain", "list", "-v"]).output();
    let Ok(output) = output else { return Vec::new() };
    parse_toolchains(&String::from_utf8_lossy(&output.stdout))
}

/// The compilers that `rustup toolchain list -v` names, whose source is there.
fn parse_toolchains(list: &str) -> Vec<PathBuf> {
    list.lines()
        .filter_map(|line| line.find('/').map(|at| PathBuf::from(line[at..].trim())))
        .map(|folder| folder.join("bin/rustc"))
        .collect()
}

fn usable(rustc: &Path) -> Option<Found> {
    let prefix = rustc.parent()?.parent()?;
    if !prefix.join("lib/rustlib/src/rust/library/core/Cargo.toml").is_file() {
        return None;
    }
    let output = Command::new(rustc).arg("-vV").output().ok()?;
    let llvm = parse_version(&String::from_utf8_lossy(&output.stdout), minimum())?;
    Some(Found { rustc: rustc.to_path_buf(), llvm })
}

/// The LLVM major that `rustc -vV` tells, when both it and the release are good enough.
fn parse_version(text: &str, minimum: &str) -> Option<u64> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let release = field("release: ")?;
    let llvm = *version::numbers(field("LLVM version: ")?).first()?;
    (version::numbers(release) >= version::numbers(minimum) && LLVM.contains(&llvm)).then_some(llvm)
}

fn install_from_apt() -> Result<()> {
    let pair = match debian_pair()? {
        Some(pair) => Some(pair),
        None => {
            apt::update()?;
            debian_pair()?
        }
    };
    let Some(pair) = pair else {
        bail!("the distribution's rustc is older than {}", minimum());
    };
    apt::install(&pair)
}

fn debian_pair() -> Result<Option<[&'static str; 2]>> {
    for pair in DEBIAN {
        if let Some(offered) = apt::candidate(pair[0])?
            && version::numbers(version::upstream(&offered)) >= version::numbers(minimum())
        {
            return Ok(Some(pair));
        }
    }
    Ok(None)
}

fn install_from_rustup() -> Result<()> {
    if !apt::on_path("rustup") {
        bail!("rustup is not here");
    }
    step::run(
        "rustup nightly",
        Command::new("rustup").args([
            "toolchain",
            "install",
            "nightly",
            "--profile",
            "minimal",
            "--component",
            "rust-src",
        ]),
    )
    .context("rustup could not install nightly with rust-src")
}

/// The LLVM library that a compiler is linked with, as the dynamic linker finds it.
///
/// # Errors
/// The compiler has none: LLVM is linked into it.
pub(crate) fn llvm_library(rustc: &Path) -> Result<PathBuf> {
    let output = Command::new("ldd").arg(rustc).output().context("cannot run ldd")?;
    libraries(&String::from_utf8_lossy(&output.stdout))
        .into_iter()
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libLLVM")))
        .with_context(|| format!("{} uses no libLLVM of its own", rustc.display()))
}

/// The paths in what `ldd` prints.
pub(crate) fn libraries(ldd: &str) -> Vec<PathBuf> {
    ldd.lines()
        .filter_map(|line| {
            let path = line.split_once("=>").map_or(line, |(_, path)| path).trim();
            let path = path.split(" (").next()?;
            path.starts_with('/').then(|| PathBuf::from(path))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toolchain_paths_follow_the_names() {
        let list = "stable-x86_64 (active, default) /home/a b/toolchains/stable\nnew /opt/new\n";
        assert_eq!(
            parse_toolchains(list),
            [Path::new("/home/a b/toolchains/stable/bin/rustc"), Path::new("/opt/new/bin/rustc")]
        );
        assert!(parse_toolchains("no installed toolchains\n").is_empty());
    }

    #[test]
    fn a_compiler_must_be_new_and_its_llvm_known() {
        let text = |release: &str, llvm: &str| {
            format!("rustc {release}\nrelease: {release}\nLLVM version: {llvm}\n")
        };
        assert_eq!(parse_version(&text("1.96.0", "22.1.8"), "1.95"), Some(22));
        assert_eq!(parse_version(&text("1.97.0-nightly", "22.1.8"), "1.95"), Some(22));
        assert_eq!(parse_version(&text("1.85.0", "21.1.0"), "1.95"), None);
        assert_eq!(parse_version(&text("1.99.0", "25.0.0"), "1.95"), None);
        assert_eq!(parse_version("", "1.95"), None);
    }

    #[test]
    fn ldd_lines_become_paths() {
        let text = "\tlinux-vdso.so.1 (0x00007f)\n\tlibLLVM.so.22.1 => /lib/libLLVM.so.22.1 (0x0)\n\
                    \tlibgone.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        assert_eq!(
            libraries(text),
            [Path::new("/lib/libLLVM.so.22.1"), Path::new("/lib64/ld-linux-x86-64.so.2")]
        );
    }
}
