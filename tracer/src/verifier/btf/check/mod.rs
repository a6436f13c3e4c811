//! Whether a kernel takes an object's BTF (BPF_BTF_LOAD).
//!
//! A loader that is refused goes on without BTF where it can: the program then has no function records, and its maps no
//! types, which changes what the verifier allows. In the kernel's order: every record by itself (`meta`), then what the
//! records say of each other (`graph`, `member`), then the order of type tags. Seen in kernel/bpf/btf.c of 5.10, 6.12
//! and 7.2 (`btf_parse_type_sec`, `btf_check_type_tags`).
//!
//! Not modelled: the special fields that later kernels look for in structs (`btf_parse_struct_metas`).

mod graph;
mod member;
mod meta;
#[cfg(test)]
mod tests;

use super::{Btf, Kind, MAX_DEPTH, Type, TypeId};

/// What a kernel allows that others do not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BtfRules {
    /// A section without variables (5.11, "bpf: Permit size-0 datasec").
    pub empty_datasec: Rule,
    /// Tags that carry any attribute, marked by the kind flag (6.15).
    pub attribute_tags: Rule,
}

/// Whether something is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    Allowed,
    Refused,
}

/// Why a kernel refuses BTF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    pub type_id: TypeId,
    /// In the kernel's words.
    pub reason: &'static str,
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the kernel refuses BTF type {}: {}", self.type_id, self.reason)
    }
}

/// Says whether a kernel takes this BTF, which must stand by itself.
pub fn check(btf: &Btf, rules: BtfRules) -> Result<(), Refusal> {
    if btf.type_count() <= 1 {
        return Err(Refusal { type_id: TypeId::VOID, reason: "No type found" });
    }
    for id in btf.ids() {
        meta::check(btf, id, rules).map_err(|reason| Refusal { type_id: id, reason })?;
    }
    graph::check(btf)?;
    for id in btf.ids() {
        type_tags(btf, id).map_err(|reason| Refusal { type_id: id, reason })?;
    }
    Ok(())
}

/// Type tags must come before other modifiers.
fn type_tags(btf: &Btf, start: TypeId) -> Result<(), &'static str> {
    let mut id = start;
    let mut in_tags = btf.kind(id) == Some(Kind::TypeTag);
    for _ in 0..MAX_DEPTH {
        let Some(kind) = btf.kind(id).filter(|kind| kind.is_modifier()) else {
            return Ok(());
        };
        match kind {
            Kind::TypeTag if !in_tags => return Err("Type tags don't precede modifiers"),
            Kind::TypeTag => {}
            _ => in_tags = false,
        }
        id = btf.referent(id).unwrap_or(TypeId::VOID);
    }
    Err("Max chain length or cycle detected")
}

/// The size of a type that the kernel would accept where one is needed.
fn sized(btf: &Btf, id: TypeId) -> Option<u32> {
    let resolved = btf.resolve(id)?;
    match btf.get(resolved)? {
        Type::Var(_) | Type::DeclTag(_) => None,
        _ => btf.size_of(resolved),
    }
}

/// An integer that fills whole bytes, of which there is a power of two.
fn is_regular_int(int: super::Int<'_>) -> bool {
    int.offset == 0 && matches!(int.bits, 8 | 16 | 32 | 64 | 128)
}
