//! Where things are in the workspace. Everything that xtask makes lies under `target/`.

use std::path::{Path, PathBuf};

/// The workspace's root: the folder above this crate, as it was when xtask was compiled.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// `target/`, where cargo leaves the user side.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// Programs that set-up installs for this workspace alone.
pub(crate) fn tools() -> PathBuf {
    target().join("tools")
}

/// Kernels that guests boot, one folder per version.
pub(crate) fn kernels() -> PathBuf {
    target().join("kernels")
}

/// Package indexes and downloads of other suites than the machine's own.
pub(crate) fn apt() -> PathBuf {
    target().join("apt")
}

/// The logs of set-up's steps.
pub(crate) fn logs() -> PathBuf {
    target().join("logs")
}

/// The kernel side's own cargo target folder: other flags and another compiler than the rest.
pub(crate) fn bpf_target() -> PathBuf {
    target().join("bpf")
}

/// The target folder of static programs, for guests and for `dist`.
pub(crate) fn static_target() -> PathBuf {
    target().join("static")
}

/// What guests leave: console logs, sockets, initramfs images.
pub(crate) fn vm() -> PathBuf {
    target().join("vm")
}

/// Kernels' profiles, which tracer embeds.
pub(crate) fn profiles() -> PathBuf {
    target().join("profiles")
}

/// What conformance runs are made of: sources, objects, kernels' answers.
pub(crate) fn conformance() -> PathBuf {
    target().join("conformance")
}
