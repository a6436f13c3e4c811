//! bpf-linker, which makes one BPF object of the kernel side's LLVM bitcode.
//!
//! It must use the LLVM of the compiler that wrote the bitcode, so it is built here against that
//! very library, into `target/tools/`, unless a matching one is on the search path already.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Part, bpf};
use crate::cargo::cargo;
use crate::{paths, step};

const VERSION: &str = "0.13";

/// bpf-linker for one LLVM major, as a [`Part`].
pub(crate) struct Linker {
    pub(crate) llvm: u64,
}

impl Part for Linker {
    type Found = PathBuf;

    fn what(&self) -> String {
        format!("bpf-linker {VERSION} for LLVM {}", self.llvm)
    }

    fn why(&self) -> &'static str {
        "the kernel side is linked into one BPF object (compiled once, about a minute)"
    }

    fn find(&self) -> Result<Option<PathBuf>> {
        let mut folders = vec![paths::tools().join("bin")];
        if let Some(path) = std::env::var_os("PATH") {
            folders.extend(std::env::split_paths(&path));
        }
        let mut candidates = folders.iter().map(|folder| folder.join("bpf-linker"));
        Ok(candidates.find(|path| path.is_file() && matches(path, self.llvm)))
    }

    fn install(&self) -> Result<()> {
        let toolchain = super::require(&bpf::Toolchain)?;
        let library = bpf::llvm_library(&toolchain.rustc)?;
        let prefix = paths::tools().join("llvm");
        link_library(&library, &prefix)?;
        let folder = library.parent().unwrap_or(Path::new("/")).display();
        let build = paths::tools().join("build");
        let mut command = cargo();
        command
            .args(["install", "bpf-linker", "--version", &format!("^{VERSION}"), "--no-default-features"])
            .args(["--features", &format!("llvm-{}", self.llvm), "--force", "--root"])
            .arg(paths::tools())
            .env("CARGO_TARGET_DIR", &build)
            .env("LLVM_PREFIX", &prefix)
            // A rustup toolchain's LLVM lies outside the dynamic linker's folders.
            .env("RUSTFLAGS", format!("-C link-arg=-Wl,-rpath,{folder}"));
        step::run("bpf-linker", &mut command)?;
        fs::remove_dir_all(&build).context("cannot remove bpf-linker's build folder")
    }
}

/// Makes `PREFIX/lib/libLLVM.so`, the one name that bpf-linker's build looks for.
fn link_library(library: &Path, prefix: &Path) -> Result<()> {
    let folder = prefix.join("lib");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let link = folder.join("libLLVM.so");
    fs::remove_file(&link).ok();
    symlink(library, &link).with_context(|| format!("cannot link {}", link.display()))
}

fn matches(linker: &Path, llvm: u64) -> bool {
    let text = |command: &mut Command| {
        let output = command.output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let version = text(Command::new(linker).arg("--version"));
    version.is_some_and(|version| is_version(&version))
        && text(Command::new("ldd").arg(linker)).is_some_and(|ldd| uses_llvm(&ldd, llvm))
}

fn is_version(text: &str) -> bool {
    let number = text.trim().strip_prefix("bpf-linker ");
    number.is_some_and(|number| super::version::in_series(number, VERSION))
}

fn uses_llvm(ldd: &str, llvm: u64) -> bool {
    bpf::libraries(ldd).iter().any(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        name.is_some_and(|name| name.starts_with(&format!("libLLVM.so.{llvm}.")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_and_the_llvm_must_match() {
        assert!(is_version("bpf-linker 0.13.0\n"));
        assert!(!is_version("bpf-linker 0.9.13\n"));
        assert!(uses_llvm("\tlibLLVM.so.22.1 => /lib/libLLVM.so.22.1 (0x0)\n", 22));
        assert!(!uses_llvm("\tlibLLVM.so.23.1 => /lib/libLLVM.so.23.1 (0x0)\n", 22));
        assert!(!uses_llvm("\tlibc.so.6 => /lib/libc.so.6 (0x0)\n", 22));
    }
}
