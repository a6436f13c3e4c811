//! What one kernel allows: its version, its behaviour by named feature, its BTF and its configuration.

use std::sync::{Arc, OnceLock};

use super::btf::{Btf, Kind, Type, TypeId};
use super::feature::{Feature, FeatureSet};
use super::tnum::Mul;
use super::value::{Deduce, Domain, Products};

/// A kernel's version, major and minor. Stable updates are not told apart: what they back-port is part of the
/// feature table's ranges where it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    /// As in 6 of 6.12.
    pub major: u16,
    /// As in 12 of 6.12.
    pub minor: u16,
}

impl Release {
    /// From its two numbers.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// From text such as "6.12.107-1".
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(|c: char| !c.is_ascii_digit());
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?.parse().ok()?;
        Some(Self { major, minor })
    }
}

/// Configuration that changes verdicts.
#[derive(Clone, Debug)]
pub struct Config {
    /// CONFIG_FUNCTION_ERROR_INJECTION: functions on its list may be hooked by sleepable programs.
    pub error_injection: Option<bool>,
    /// Possible CPUs; bounds what bpf_get_smp_processor_id returns.
    pub nr_cpus: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { error_injection: None, nr_cpus: 2 }
    }
}

/// One kernel.
#[derive(Clone)]
pub struct Profile {
    /// Its version.
    pub release: Release,
    /// Its BTF, if it has any.
    pub btf: Option<Arc<Btf>>,
    /// Its configuration.
    pub config: Config,
    features: FeatureSet,
    /// Looked up when first wanted.
    limits: OnceLock<Limits>,
}

/// How many helpers, attach types and program types a kernel has, as its enums say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// `__BPF_FUNC_MAX_ID`.
    pub(super) helpers: Option<u32>,
    /// `__MAX_BPF_ATTACH_TYPE`.
    pub(super) attach_types: Option<i64>,
    /// The greatest of `enum bpf_prog_type`.
    pub(super) program_type: Option<i64>,
}

impl Limits {
    /// All in one pass over the types.
    fn of(btf: &Btf) -> Self {
        let wanted = ["bpf_func_id", "bpf_attach_type", "bpf_prog_type"].map(|name| (Kind::Enum, name));
        let found = btf.find_batch(&wanted);
        let values = |nth: usize| match btf.get((*found.get(nth)?)?)? {
            Type::Enum(of) => Some(of),
            _ => None,
        };
        let last = |of: super::btf::Enum<'_>| {
            of.values().filter(|v| !v.name.starts_with("__MAX")).map(|v| v.value).max()
        };
        Self {
            helpers: values(0).and_then(|of| of.value("__BPF_FUNC_MAX_ID")).map(|value| value as u32),
            attach_types: values(1).and_then(|of| of.value("__MAX_BPF_ATTACH_TYPE")),
            program_type: values(2).and_then(last),
        }
    }
}

impl Profile {
    /// The profile of a kernel of this version with this BTF.
    pub fn new(release: Release, btf: Option<Arc<Btf>>, config: Config) -> Self {
        Self { release, btf, config, features: FeatureSet::of(release), limits: OnceLock::new() }
    }

    /// True if this kernel behaves so.
    pub fn has(&self, feature: Feature) -> bool {
        self.features.has(feature)
    }

    /// Which of the kernels that the tables were read off answers for this one: 5.10, 6.1, 6.12, 7.2 as bits 0 to 3.
    /// A version between two is answered for by the lower one.
    pub(super) fn table_bit(&self) -> u8 {
        match self.release {
            r if r >= Release::new(7, 0) => 1 << 3,
            r if r >= Release::new(6, 12) => 1 << 2,
            r if r >= Release::new(6, 1) => 1 << 1,
            _ => 1 << 0,
        }
    }

    /// As [`Self::table_bit`], and of a version between two the next one's bit too: for what a kernel may have gained
    /// since the lower one, and its BTF shows that it has.
    pub(super) fn table_bits_around(&self) -> u8 {
        let read = [Release::new(5, 10), Release::new(6, 1), Release::new(6, 12), Release::new(7, 2)];
        let bit = self.table_bit();
        if read.contains(&self.release) { bit } else { bit | bit << 1 }
    }

    /// The generation of the scalar domain.
    pub(super) fn domain(&self) -> Domain {
        Domain {
            deduce: if self.has(Feature::CircularRanges) {
                Deduce::Arcs
            } else if self.has(Feature::SingleValueBounds) {
                Deduce::SingleValue
            } else if self.has(Feature::CrossWidthBounds) {
                Deduce::CrossWidth
            } else if self.has(Feature::LowBitsFromWide) {
                Deduce::SameWidth
            } else {
                Deduce::Early
            },
            mul: if self.has(Feature::TnumMulJoined) {
                Mul::Joined
            } else if self.has(Feature::TnumMulGathered) {
                Mul::Gathered
            } else {
                Mul::Halves
            },
            products: if self.has(Feature::SignedProducts) { Products::AllSigns } else { Products::Unsigned },
        }
    }

    /// What the kernel's enums say; nothing without BTF.
    pub(super) fn limits(&self) -> Limits {
        *self.limits.get_or_init(|| self.btf.as_deref().map(Limits::of).unwrap_or_default())
    }

    /// A struct or union of the kernel by name.
    pub(super) fn kernel_struct(&self, name: &str) -> Option<TypeId> {
        self.btf.as_ref()?.find(Kind::Struct, name)
    }
}
