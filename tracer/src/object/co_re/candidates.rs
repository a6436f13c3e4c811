//! Kernel types that may be the one an object speaks of: same kind, same name but for a `___flavor`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::Failure;
use crate::object::target::{ModuleId, Target};
use crate::verifier::btf::{Btf, Kind, TypeId, essential_name};

/// A kernel has one type of a name, sometimes a few.
const MAX_CANDIDATES: usize = 256;

/// One of the kernel's types.
#[derive(Clone, Copy)]
pub(in crate::object) struct Candidate {
    module: Option<ModuleId>,
    pub(super) id: TypeId,
}

/// The candidates for each type of the object that was asked for.
#[derive(Default)]
pub(in crate::object) struct Candidates {
    known: HashMap<TypeId, Vec<Candidate>>,
}

impl Candidate {
    pub(super) fn btf<'t>(&self, target: &Target<'t>) -> Option<&'t Btf> {
        match self.module {
            Some(id) => target.modules.get(id.0 as usize).map(|module| module.btf),
            None => target.btf,
        }
    }
}

impl Candidates {
    /// The kernel's own types; only if it has none, those of its modules.
    pub(super) fn of(&mut self, own: &Btf, id: TypeId, target: &Target<'_>) -> Result<&[Candidate], Failure> {
        match self.known.entry(id) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(search(own, id, target)?)),
        }
    }

    pub(super) fn keep(&mut self, id: TypeId, matching: Vec<Candidate>) {
        self.known.insert(id, matching);
    }
}

fn search(own: &Btf, id: TypeId, target: &Target<'_>) -> Result<Vec<Candidate>, Failure> {
    let Some(btf) = target.btf else {
        return Err(Failure::new("the kernel's BTF is not known"));
    };
    let Some(kind) = own.kind(id) else {
        return Err(Failure::new(format!("type {id} does not exist in the object")));
    };
    let essential = essential_name(own.name(id));
    let fits = |btf: &Btf, found: &TypeId| btf.kind(*found).is_some_and(|other| same_kind(kind, other));
    let own_types: Vec<_> = btf.find_essential(essential).filter(|found| fits(btf, found)).collect();
    if own_types.len() > MAX_CANDIDATES {
        return Err(Failure::new(format!("the kernel has {} types of this name", own_types.len())));
    }
    if !own_types.is_empty() {
        return Ok(own_types.into_iter().map(|id| Candidate { module: None, id }).collect());
    }
    let mut found = Vec::new();
    for (index, module) in target.modules.iter().enumerate() {
        let first = module.btf.first_own_id();
        let types = module.btf.find_essential(essential).filter(|id| *id >= first && fits(module.btf, id));
        found.extend(types.map(|id| Candidate { module: Some(ModuleId(index as u32)), id }));
    }
    Ok(found)
}

/// The same kind, or two enums of either width.
pub(super) fn same_kind(a: Kind, b: Kind) -> bool {
    a == b || a.is_enum() && b.is_enum()
}
