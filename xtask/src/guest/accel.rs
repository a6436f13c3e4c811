//! Hardware or software: whether guests run on KVM here.
//!
//! `/dev/kvm` may be there and guests still die under it, so it is believed only after a guest
//! has said hello. What was learnt holds until this machine boots again.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;

use crate::paths;

/// What executes a guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accel {
    /// The processor itself.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

impl Accel {
    /// What to try first.
    pub(crate) fn choose() -> Self {
        let usable = OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
        if usable && !known_not_to_work() { Self::Kvm } else { Self::Tcg }
    }

    /// QEMU's arguments for it.
    pub(crate) fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            Self::Tcg => ["-accel", "tcg", "-cpu", "max"],
        }
    }
}

/// Notes that guests die under KVM here.
pub(crate) fn kvm_failed() {
    // Only a note that saves the next guest the same attempt: it may be lost.
    let _ = fs::write(note(), boot_id());
}

fn known_not_to_work() -> bool {
    let id = boot_id();
    !id.is_empty() && fs::read_to_string(note()).is_ok_and(|noted| noted == id)
}

fn note() -> PathBuf {
    paths::vm().join("kvm-does-not-work")
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}
