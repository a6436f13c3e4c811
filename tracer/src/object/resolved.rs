//! An object on one kernel: externs have values, struct_ops have slots, BTF has the form that this kernel takes.

use std::sync::Arc;
use std::sync::OnceLock;

use super::attach::AttachPoints;
use super::functions::{Autoload, Function};
use super::kinds::MapType;
use super::maps::{Map, MapId};
use super::program::{self, Program};
use super::resolve::{self, Resolution};
use super::target::Target;
use super::{Object, ObjectError, ProgramId, btf_fixup, struct_ops};
use crate::verifier::btf::{Btf, Refusal, check};

/// An object on one kernel.
pub struct Resolved<'o> {
    pub(super) object: &'o Object,
    pub(super) target: &'o Target<'o>,
    pub(super) maps: Vec<Map>,
    pub(super) externs: Vec<Resolution>,
    pub(super) bound: struct_ops::Bound,
    /// What the kernel has; `None` also if it refused it.
    pub(super) btf: Option<Arc<Btf>>,
    pub(super) refused: Option<Refusal>,
    /// Looked up when a program first wants one.
    pub(super) attach_points: OnceLock<AttachPoints>,
}

impl Resolved<'_> {
    /// The maps, as they will be created on this kernel.
    pub fn maps(&self) -> &[Map] {
        &self.maps
    }

    /// The object's licence; empty if there is none.
    pub fn license(&self) -> &str {
        self.object.license()
    }

    /// What each of the object's externs is on this kernel.
    pub fn externs(&self) -> &[Resolution] {
        &self.externs
    }

    /// The object's BTF as this kernel has it. `None` if there is none, or the kernel refuses it.
    pub fn btf(&self) -> Option<&Arc<Btf>> {
        self.btf.as_ref()
    }

    /// Why the kernel refuses the object's BTF. A loader goes on without it, unless the object has struct_ops.
    pub fn btf_refusal(&self) -> Option<Refusal> {
        self.refused
    }

    /// struct_ops maps that this kernel cannot take, and why. A loader that creates all maps fails at the first.
    pub fn unfit_maps(&self) -> &[(MapId, ObjectError)] {
        &self.bound.unfit
    }

    /// The programs that are loaded unless the user says otherwise.
    pub fn autoloaded(&self) -> impl Iterator<Item = ProgramId> {
        let decided = |id: ProgramId, function: &Function| {
            *self.bound.autoload.get(&id).unwrap_or(&function.autoload) == Autoload::Yes
        };
        self.object.programs().filter(move |(id, function)| decided(*id, function)).map(|(id, _)| id)
    }

    /// One program, ready for bpf(BPF_PROG_LOAD).
    pub fn program(&self, id: ProgramId) -> Result<Program, ObjectError> {
        program::build(self, id)
    }
}

impl Object {
    /// Fits the object to a kernel.
    pub fn resolve<'o>(&'o self, target: &'o Target<'o>) -> Result<Resolved<'o>, ObjectError> {
        let mut maps = self.maps.clone();
        let externs = resolve::externs(self, &mut maps, target)?;
        let bound = struct_ops::bind(self, &mut maps, target);
        let without_size = |map: &&mut Map| map.map_type == MapType::PERF_EVENT_ARRAY && map.max_entries == 0;
        for map in maps.iter_mut().filter(without_size) {
            map.max_entries = target.possible_cpus.unwrap_or(0);
        }
        let mut btf = match self.btf.as_deref() {
            Some(btf) => Some(Arc::new(btf_fixup::for_kernel(btf, &self.functions.list, &target.features)?)),
            None => None,
        };
        let refused = btf.as_deref().and_then(|btf| check(btf, target.features.btf_rules()).err());
        if refused.is_some() {
            btf = None;
        }
        for map in &mut maps {
            adapt_types(map, btf.as_deref());
            map.inner.as_deref_mut().into_iter().for_each(|inner| adapt_types(inner, btf.as_deref()));
        }
        Ok(Resolved {
            object: self,
            target,
            maps,
            externs,
            bound,
            btf,
            refused,
            attach_points: OnceLock::new(),
        })
    }
}

/// Types of keys and values are for kernels that have the object's BTF, and for some types of maps.
fn adapt_types(map: &mut Map, btf: Option<&Btf>) {
    if map.map_type.is_created_without_btf() || btf.is_none() && map.map_type != MapType::STRUCT_OPS {
        (map.key_type, map.value_type) = Default::default();
    }
}
