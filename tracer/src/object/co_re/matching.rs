//! The object's path, walked through a candidate type of the kernel.

use super::Failure;
use super::compat::{fields_are_compatible, types_are_compatible, types_match};
use super::spec::{Accessor, Kind, MAX_LEN, Spec, Subject, is_flexible};
use crate::verifier::btf::{Btf, Type, TypeId, essential_name};

/// How many members one path may look at: anonymous members of hostile types can contain themselves.
const MAX_MEMBERS: usize = 1 << 20;

/// The kernel's spec for the object's, if the candidate has all that it names.
pub(super) fn find<'t>(
    own: &Btf,
    spec: &Spec<'_>,
    theirs: &'t Btf,
    candidate: TypeId,
) -> Result<Option<Spec<'t>>, Failure> {
    let mut found = Spec::new(spec.kind, candidate);
    let matched = match spec.kind.subject() {
        Subject::Type if spec.kind == Kind::TypeMatches => types_match(own, spec.root, theirs, candidate)?,
        Subject::Type => types_are_compatible(own, spec.root, theirs, candidate)?,
        Subject::EnumValue => find_value(spec, theirs, candidate, &mut found)?,
        Subject::Field => find_field(own, spec, theirs, candidate, &mut found)?,
    };
    Ok(matched.then_some(found))
}

fn broken() -> Failure {
    Failure::new("a type of the kernel refers to one that does not exist, or to itself")
}

fn find_value<'t>(
    spec: &Spec<'_>,
    theirs: &'t Btf,
    candidate: TypeId,
    found: &mut Spec<'t>,
) -> Result<bool, Failure> {
    let type_id = theirs.resolve(candidate).ok_or_else(broken)?;
    let Some(Type::Enum(e) | Type::Enum64(e)) = theirs.get(type_id) else {
        return Ok(false);
    };
    let wanted = spec.accessors.first().and_then(|accessor| accessor.name).map(essential_name);
    let value = e.values().enumerate().find(|(_, value)| Some(essential_name(value.name)) == wanted);
    let Some((index, value)) = value else {
        return Ok(false);
    };
    found.accessors.push(Accessor { type_id, index: index as u32, name: Some(value.name) });
    Ok(true)
}

fn find_field<'t>(
    own: &Btf,
    spec: &Spec<'_>,
    theirs: &'t Btf,
    candidate: TypeId,
    found: &mut Spec<'t>,
) -> Result<bool, Failure> {
    let mut id = candidate;
    let mut budget = MAX_MEMBERS;
    for (n, accessor) in spec.accessors.iter().enumerate() {
        id = theirs.resolve(id).ok_or_else(broken)?;
        if accessor.name.is_some() {
            match find_member(own, accessor, theirs, id, found, &mut budget)? {
                Some(member_type) => id = member_type,
                None => return Ok(false),
            }
            continue;
        }
        // The first accessor is the element of the pointer itself; the others are elements of an array.
        if n > 0 {
            let Some(Type::Array(array)) = theirs.get(id) else {
                return Ok(false);
            };
            let flexible = found.accessors.last().is_some_and(|last| is_flexible(theirs, last, array));
            if !flexible && accessor.index >= array.count {
                return Ok(false);
            }
            id = theirs.resolve(array.element).ok_or_else(broken)?;
        }
        step(found)?;
        found.accessors.push(Accessor { type_id: id, index: accessor.index, name: None });
        let size = theirs.size_of(id).ok_or_else(|| Failure::new("a type of the kernel has no size"))?;
        found.advance(accessor.index, size);
    }
    Ok(true)
}

fn step(found: &mut Spec<'_>) -> Result<(), Failure> {
    if found.raw_len == MAX_LEN {
        return Err(Failure::new("a type of the kernel is nested too deeply"));
    }
    found.raw_len += 1;
    Ok(())
}

/// Looks for the member by name, also inside of anonymous structs and unions, in order; its type.
fn find_member<'t>(
    own: &Btf,
    accessor: &Accessor<'_>,
    theirs: &'t Btf,
    id: TypeId,
    found: &mut Spec<'t>,
    budget: &mut usize,
) -> Result<Option<TypeId>, Failure> {
    let id = theirs.resolve(id).ok_or_else(broken)?;
    let Some(Type::Struct(composite) | Type::Union(composite)) = theirs.get(id) else {
        return Ok(None);
    };
    let Some(Type::Struct(local) | Type::Union(local)) = own.get(accessor.type_id) else {
        return Ok(None);
    };
    let Some(local) = local.member(accessor.index as usize) else {
        return Ok(None);
    };
    for (index, member) in composite.members().enumerate() {
        *budget = budget.checked_sub(1).ok_or_else(|| Failure::new("a type of the kernel is too large"))?;
        let before = found.bit_offset;
        step(found)?;
        found.bit_offset = found.bit_offset.wrapping_add(member.bit_offset);
        if member.name.is_empty() {
            let inner = find_member(own, accessor, theirs, member.type_id, found, budget)?;
            if inner.is_some() {
                return Ok(inner);
            }
        } else if member.name == local.name {
            if !fields_are_compatible(own, local.type_id, theirs, member.type_id)? {
                return Ok(None);
            }
            found.accessors.push(Accessor { type_id: id, index: index as u32, name: Some(member.name) });
            return Ok(Some(member.type_id));
        }
        found.bit_offset = before;
        found.raw_len -= 1;
    }
    Ok(None)
}
