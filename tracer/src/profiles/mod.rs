//! What one kernel is, as far as a verdict depends on it: its version, its BTF, its configuration.
//!
//! ```text
//! "6.12"        -> named       embedded at build time (`cargo xtask profiles` makes them)   ┐
//! vmlinuz       -> from_image  version, BTF and configuration out of the image              ├-> KernelProfile
//! version, BTF  -> from_btf    whatever was given                                           │
//! this machine  -> host        uname, /sys/kernel/btf, /proc/config.gz or /boot             ┘
//! KernelProfile -> verifier::Profile, object::Target
//! ```
//! Invariant: what is not known is said ([`KernelProfile::caveats`]), never assumed in silence.
//! It must not know programs and objects. Only `host.rs` touches the world.

use std::fmt;
use std::sync::Arc;

use crate::object::{KernelFeatures, KernelVersion, Symbols, Target};
use crate::verifier::btf::{Btf, BtfError};
use crate::verifier::{Config, Profile, Release};

mod config;
mod embedded;
mod host;
pub mod image;
#[cfg_attr(not(test), expect(dead_code, reason = "xtask writes what is read here"))]
mod pack;
#[cfg(test)]
mod tests;
mod version;

pub use embedded::{named, releases};
pub use host::{from_image_file, host};
pub use image::ImageError;
pub use version::parse_version;

/// The newest kernel whose behaviour the model knows; a newer one is modelled as this.
pub const NEWEST_KNOWN: Release = Release::new(7, 2);

/// One kernel.
#[derive(Clone)]
pub struct KernelProfile {
    /// Its release as `uname -r` prints it, as far as it is known: `6.12.107+deb13-cloud-amd64`, or `6.12`.
    pub name: String,
    /// Major, minor and patch level.
    pub version: KernelVersion,
    /// Its BTF.
    pub btf: Arc<Btf>,
    /// Configuration that changes verdicts.
    pub config: Config,
    /// The text of its configuration, for programs that read it; `None` if unknown.
    pub kconfig: Option<Arc<str>>,
    /// Where all this comes from.
    pub origin: Origin,
}

/// Where a profile comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Embedded in this program.
    Embedded,
    /// Read out of a kernel image.
    Image,
    /// A version and BTF that were given.
    Given,
    /// The running kernel.
    Host,
}

/// Why there is no profile.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProfileError {
    /// The text is no kernel version.
    BadVersion { text: String },
    /// No profile of this version is embedded.
    NotEmbedded { version: String, embedded: Vec<&'static str> },
    /// An embedded profile cannot be read: a fault of this build.
    Embedded { release: &'static str, reason: String },
    /// The image cannot be read.
    Image { error: ImageError },
    /// The image has no BTF.
    NoBtf { release: String },
    /// The image does not say which kernel it is.
    NoVersion,
    /// The BTF cannot be read.
    Btf { error: BtfError },
    /// A file of this machine cannot be read.
    Read { path: String, error: std::io::Error },
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadVersion { text } => {
                write!(f, "{text:?} is no kernel version: write it as 6.12 or 6.12.107")
            }
            Self::NotEmbedded { version, embedded } if embedded.is_empty() => write!(
                f,
                "kernel {version} is not embedded, because this tracer was built without kernels: build it with \
                 `cargo xtask dist`, or give the kernel's own BTF (--btf FILE) or image (--kernel-image vmlinuz)"
            ),
            Self::NotEmbedded { version, embedded } => write!(
                f,
                "kernel {version} is not embedded (these are: {}): give its BTF (--btf FILE, from its \
                 /sys/kernel/btf/vmlinux) or its image (--kernel-image vmlinuz)",
                embedded.join(", ")
            ),
            Self::Embedded { release, reason } => {
                write!(
                    f,
                    "the embedded profile of {release} is damaged ({reason}): build tracer again, and report this"
                )
            }
            Self::Image { error } => error.fmt(f),
            Self::NoBtf { release } => write!(
                f,
                "kernel {release} was built without BTF (CONFIG_DEBUG_INFO_BTF), which the model needs: take a \
                 distribution's kernel of the same version"
            ),
            Self::NoVersion => {
                write!(f, "the image does not say which version it is: it holds no \"Linux version\" text")
            }
            Self::Btf { error } => write!(f, "the kernel's BTF: {error}"),
            Self::Read { path, error } => write!(f, "cannot read {path}: {error}"),
        }
    }
}

impl std::error::Error for ProfileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Image { error } => Some(error),
            Self::Btf { error } => Some(error),
            Self::Read { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// A kernel image's profile: a bzImage (vmlinuz), or a vmlinux.
///
/// # Errors
/// It cannot be read, or has no BTF or no version.
pub fn from_image(bytes: &[u8]) -> Result<KernelProfile, ProfileError> {
    let image = image::read(bytes).map_err(|error| ProfileError::Image { error })?;
    let name = image.release.ok_or(ProfileError::NoVersion)?;
    let btf = image.btf.ok_or_else(|| ProfileError::NoBtf { release: name.clone() })?;
    KernelProfile::new(name, btf, image.config, Origin::Image)
}

/// The profile of a kernel of this version whose BTF is given.
///
/// # Errors
/// The text is no version, or the bytes are no BTF.
pub fn from_btf(version: &str, btf: Vec<u8>) -> Result<KernelProfile, ProfileError> {
    KernelProfile::new(version.to_owned(), btf, None, Origin::Given)
}

impl KernelProfile {
    fn new(
        name: String,
        btf: Vec<u8>,
        kconfig: Option<String>,
        origin: Origin,
    ) -> Result<Self, ProfileError> {
        let version = parse_version(&name).ok_or_else(|| ProfileError::BadVersion { text: name.clone() })?;
        let btf = Btf::parse(btf).map_err(|error| ProfileError::Btf { error })?;
        let config = config::of(kconfig.as_deref(), &btf);
        Ok(Self { name, version, btf: Arc::new(btf), config, kconfig: kconfig.map(Into::into), origin })
    }

    /// The same kernel with the configuration that this text says it has.
    #[must_use]
    pub fn with_kconfig(mut self, text: &str) -> Self {
        let cpus = self.config.nr_cpus;
        self.config = Config { nr_cpus: cpus, ..config::of(Some(text), &self.btf) };
        self.kconfig = Some(text.into());
        self
    }

    /// Its version as the model knows versions.
    pub fn release(&self) -> Release {
        Release::new(self.version.major, self.version.minor)
    }

    /// As the model takes it.
    pub fn profile(&self) -> Profile {
        Profile::new(self.release(), Some(Arc::clone(&self.btf)), self.config.clone())
    }

    /// As objects are fitted to it. Modules and symbols' addresses are not part of a profile.
    pub fn target(&self) -> Target<'_> {
        Target {
            btf: Some(&self.btf),
            modules: &[],
            features: KernelFeatures::of(self.version),
            kconfig: self.kconfig.as_deref(),
            symbols: Symbols::Unknown,
            possible_cpus: Some(self.config.nr_cpus),
        }
    }

    /// What is not known of this kernel and may change a verdict, each as a sentence for the user.
    pub fn caveats(&self) -> Vec<String> {
        let mut caveats = Vec::new();
        if self.release() > NEWEST_KNOWN {
            let (major, minor) = (NEWEST_KNOWN.major, NEWEST_KNOWN.minor);
            caveats.push(format!(
                "kernel {} is newer than the newest that the model knows: judged as {major}.{minor}",
                self.name
            ));
        }
        if self.kconfig.is_none() {
            caveats.push(format!(
                "the configuration of kernel {} is unknown: what its BTF shows of it is used",
                self.name
            ));
        }
        caveats
    }
}

impl fmt::Debug for KernelProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelProfile")
            .field("name", &self.name)
            .field("origin", &self.origin)
            .field("config", &self.config)
            .field("kconfig", &self.kconfig.is_some())
            .finish_non_exhaustive()
    }
}
