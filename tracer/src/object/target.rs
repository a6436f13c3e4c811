//! The kernel that an object is prepared for, as far as a loader has to know it. All of it is given, nothing is read.

use super::features::KernelFeatures;
use crate::verifier::btf::{Btf, Kind, TypeId};

/// Index of a module in `Target::modules`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ModuleId(pub u32);

/// One kernel.
pub struct Target<'t> {
    /// The kernel's own BTF; `None` where it has none.
    pub btf: Option<&'t Btf>,
    /// Loaded modules that have BTF.
    pub modules: &'t [Module<'t>],
    pub features: KernelFeatures,
    /// The text of the kernel's configuration (`CONFIG_X=y` by line), if known.
    pub kconfig: Option<&'t str>,
    pub symbols: Symbols<'t>,
    /// How many CPUs the kernel may have: the size of a perf event array that names none.
    pub possible_cpus: Option<u32>,
}

/// A module's name and split BTF.
pub struct Module<'t> {
    pub name: &'t str,
    pub btf: &'t Btf,
}

/// Addresses of kernel symbols (/proc/kallsyms).
#[derive(Clone, Copy)]
pub enum Symbols<'t> {
    /// Not known: every symbol is taken to exist, at `ASSUMED_ADDRESS`, and the program says so.
    Unknown,
    /// `None` for a symbol that the kernel does not have.
    Known(&'t (dyn Fn(&str) -> Option<u64> + Sync)),
}

/// Stands for a symbol's address where addresses are not known.
pub const ASSUMED_ADDRESS: u64 = 0xffff_ffff_8100_0000;

impl<'t> Target<'t> {
    /// The first type of this kind and name: the kernel's, else a module's own.
    pub(super) fn find(&self, kind: Kind, name: &str) -> Option<(&'t Btf, TypeId, Option<ModuleId>)> {
        let btf = self.btf?;
        if let Some(id) = btf.find(kind, name) {
            return Some((btf, id, None));
        }
        self.modules.iter().enumerate().find_map(|(index, module)| {
            let id = module.btf.find_all(kind, name).find(|id| *id >= module.btf.first_own_id())?;
            Some((module.btf, id, Some(ModuleId(index as u32))))
        })
    }
}
