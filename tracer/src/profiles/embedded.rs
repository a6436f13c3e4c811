//! The kernels whose profiles are part of this program.
//!
//! The build script embeds the files in the folder that `TRACER_PROFILES` names; `cargo xtask` makes them. A build
//! without them knows none, and says so when asked.

use std::io::Read as _;

use super::pack::Packed;
use super::{KernelProfile, Origin, ProfileError, parse_version};
use crate::object::KernelVersion;

/// One profile: the kernel's release, and the packed file, compressed with xz.
struct Embedded {
    release: &'static str,
    bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/profiles.rs"));

/// What a profile may unpack to.
const MAX: u64 = 64 << 20;

/// The releases of the embedded kernels, oldest first.
pub fn releases() -> Vec<&'static str> {
    let mut releases: Vec<&str> = EMBEDDED.iter().map(|embedded| embedded.release).collect();
    releases.sort_by_key(|release| parse_version(release));
    releases
}

/// The embedded kernel of this series (`6.12`). A patch level is understood and makes no difference: the model does
/// not tell them apart.
///
/// # Errors
/// No such version is embedded.
pub fn named(version: &str) -> Result<KernelProfile, ProfileError> {
    let bad = || ProfileError::BadVersion { text: version.to_owned() };
    let wanted = parse_version(version).ok_or_else(bad)?;
    let series = |version: KernelVersion| (version.major, version.minor);
    let found =
        EMBEDDED.iter().find(|embedded| parse_version(embedded.release).map(series) == Some(series(wanted)));
    let embedded = found
        .ok_or_else(|| ProfileError::NotEmbedded { version: version.to_owned(), embedded: releases() })?;
    let damaged = |reason: String| ProfileError::Embedded { release: embedded.release, reason };
    let mut bytes = Vec::new();
    lzma_rust2::XzReader::new(embedded.bytes, false)
        .take(MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| damaged(error.to_string()))?;
    let packed = Packed::decode(&bytes).map_err(damaged)?;
    KernelProfile::new(packed.release, packed.btf, Some(packed.config), Origin::Embedded)
}
