//! CO-RE: instructions that depend on the layout of a kernel type, rewritten for the kernel at hand.
//!
//! ```text
//! relocation -> spec (what the object's own BTF says)        spec
//!            -> candidates (kernel types of that name)       candidates
//!            -> each candidate's own spec, if it matches     matching, compat
//!            -> one value, the same for all of them          value
//!            -> the instruction                              patch
//! ```
//!
//! The rules, odd corners included, are libbpf's (tools/lib/bpf/relo_core.c): what reaches the kernel must be the same.
//! Where libbpf trusts its input this bounds the work instead, because types may be circular.

mod candidates;
mod compat;
mod matching;
mod patch;
mod spec;
mod value;

pub(super) use candidates::Candidates;
pub(super) use compat::types_are_compatible;

use super::ObjectError;
use super::btf_ext::CoReRelocation;
use super::insn::Insn;
use super::target::Target;
use crate::verifier::btf::Btf;
use spec::Kind;

/// Why a relocation cannot even be tried: the object is wrong, or the kernel's types are ambiguous.
#[derive(Debug)]
pub(super) struct Failure(pub(super) String);

impl Failure {
    fn new(reason: impl Into<String>) -> Failure {
        Failure(reason.into())
    }
}

/// What became of one relocation.
pub(super) enum Outcome {
    Patched,
    /// The kernel has no such type, member or value (or one of another size): the instruction is poisoned. The text
    /// says what was looked for.
    Poisoned(String),
}

/// Applies one relocation to `insns[insn]`.
pub(super) fn apply(
    function: &str,
    insns: &mut [Insn],
    insn: usize,
    relocation: &CoReRelocation,
    own: &Btf,
    target: &Target<'_>,
    candidates: &mut Candidates,
) -> Result<Outcome, ObjectError> {
    let failed =
        |Failure(reason): Failure| ObjectError::insn(function, insn, format!("CO-RE relocation: {reason}"));
    let kind = Kind::from_number(relocation.kind)
        .ok_or_else(|| failed(Failure::new(format!("kind {} is unknown", relocation.kind))))?;
    let spec = spec::parse(own, relocation.type_id, own.string(relocation.access), kind).map_err(failed)?;
    let value = match kind {
        Kind::TypeIdLocal => value::Value::local_id(relocation.type_id),
        _ => resolve(own, &spec, target, candidates).map_err(failed)?,
    };
    let poisoned = patch::patch(insns, insn, &value).map_err(failed)?;
    Ok(match poisoned {
        patch::Patched::Yes => Outcome::Patched,
        patch::Patched::Poisoned => Outcome::Poisoned(spec::describe(own, &spec)),
    })
}

/// The value that all matching candidates agree on, or what "no candidate" means for this kind.
fn resolve(
    own: &Btf,
    spec: &spec::Spec<'_>,
    target: &Target<'_>,
    candidates: &mut Candidates,
) -> Result<value::Value, Failure> {
    if own.name(spec.root).is_empty() {
        return Err(Failure::new("an anonymous type cannot be looked for in the kernel"));
    }
    let list = candidates.of(own, spec.root, target)?;
    let mut agreed: Option<(u32, value::Value)> = None;
    let mut matching = Vec::new();
    for candidate in list {
        let Some(btf) = candidate.btf(target) else {
            continue;
        };
        let Some(theirs) = matching::find(own, spec, btf, candidate.id)? else {
            continue;
        };
        let value = value::of(own, spec, Some((btf, &theirs)))?;
        match &agreed {
            None => agreed = Some((theirs.bit_offset, value)),
            Some((offset, first)) if *offset != theirs.bit_offset || !first.agrees(&value) => {
                return Err(Failure::new(format!(
                    "types of the kernel disagree about {}",
                    spec::describe(own, spec)
                )));
            }
            Some(_) => {}
        }
        matching.push(*candidate);
    }
    match agreed {
        Some((_, value)) => {
            // As libbpf does: the next relocation of this type looks only at those that matched.
            candidates.keep(spec.root, matching);
            Ok(value)
        }
        None => value::of(own, spec, None),
    }
}
