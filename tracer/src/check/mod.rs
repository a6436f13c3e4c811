//! From the loader's side to the verifier's: what `object` prepared for one kernel, as the model takes it.
//!
//! ```text
//! Resolved, object::Program -> verifier::Program     (program)
//! release, BTF, Config      -> verifier::Profile     (profile)
//! ```
//! Invariant: nothing is decided here. Instructions, sizes and types are handed on as they are; what the model has no
//! place for is `Unmodelled`, not left out.
//! It must not know: ELF, files, command lines, rendering. `object` and `verifier` do not know this module.

mod program;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::object::{self, KernelVersion, Resolved};
use crate::verifier::btf::Btf;
use crate::verifier::{self, Config, Profile, Release, Report, Stats, Unmodelled, Verdict};

pub use program::{is_gpl_compatible, program};

/// One kernel, as the model takes it. Without BTF little more than plain programs can be judged.
pub fn profile(release: Release, btf: Option<Arc<Btf>>, config: Config) -> Profile {
    Profile::new(release, btf, config)
}

/// A version without its patch level, which is all that the model tells apart.
pub fn release(version: KernelVersion) -> Release {
    Release::new(version.major, version.minor)
}

/// What the kernel of this profile will say of a program that was prepared for it.
pub fn verify(resolved: &Resolved<'_>, prepared: &object::Program, profile: &Profile) -> Report {
    match program(resolved, prepared) {
        Ok(program) => verifier::verify(&program, profile),
        Err(unmodelled) => unknown(unmodelled),
    }
}

fn unknown(unmodelled: Unmodelled) -> Report {
    Report { verdict: Verdict::Unmodelled(unmodelled), stats: Stats::default() }
}
