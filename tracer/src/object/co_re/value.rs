//! The number that a relocation puts into its instruction, and the one that must be there before.

use super::Failure;
use super::spec::{Accessor, Kind, Spec, Subject};
use crate::verifier::btf::{Btf, Member, Type, TypeId};

/// What a relocation comes to.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// By the object's own types: what the compiler wrote.
    pub(super) before: u64,
    /// By the kernel's types; `None` if the instruction must be poisoned.
    pub(super) after: Option<u64>,
    pub(super) check: Check,
    pub(super) access: Access,
}

/// Whether the instruction must hold the old value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Check {
    Exact,
    /// Compiler and loader may disagree: bitfields, and type ids that linking changed.
    Off,
}

/// What becomes of the width of a load or store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Access {
    Same,
    /// From and to so many bytes.
    Resize {
        from: u32,
        to: u32,
    },
    /// The field changed its size in a way that changes what is read.
    Impossible,
}

impl Value {
    pub(super) fn local_id(id: TypeId) -> Value {
        let id = u64::from(id.0);
        Value { before: id, after: Some(id), check: Check::Off, access: Access::Same }
    }

    pub(super) fn agrees(&self, other: &Value) -> bool {
        self.after == other.after
    }
}

/// One side's answer.
struct Answer {
    value: u64,
    check: Check,
    /// Size and type of a whole field, where its width matters.
    field: Option<(u32, TypeId)>,
}

impl Answer {
    fn exact(value: u64) -> Answer {
        Answer { value, check: Check::Exact, field: None }
    }
}

/// The value for a spec of the object and, if a candidate matched, the kernel's.
pub(super) fn of(own: &Btf, spec: &Spec<'_>, theirs: Option<(&Btf, &Spec<'_>)>) -> Result<Value, Failure> {
    match spec.kind.subject() {
        Subject::Field => {
            let Some(before) = field(own, spec)? else {
                return Ok(existence(theirs.is_some()));
            };
            let Some((btf, found)) = theirs else {
                return Ok(Value {
                    before: before.value,
                    after: None,
                    check: before.check,
                    access: Access::Same,
                });
            };
            let Some(after) = field(btf, found)? else {
                return Ok(existence(true));
            };
            let access = access(own, &before, btf, &after);
            Ok(Value { before: before.value, after: Some(after.value), check: before.check, access })
        }
        Subject::Type => {
            let before = type_value(own, spec)?;
            let after = theirs.map(|(btf, found)| type_value(btf, found)).transpose()?;
            let after = Some(after.map_or(0, |after| after.value));
            Ok(Value { before: before.value, after, check: before.check, access: Access::Same })
        }
        Subject::EnumValue => {
            let before = enum_value(own, spec);
            let after = match theirs {
                Some((btf, found)) => Some(enum_value(btf, found)),
                None => (spec.kind == Kind::EnumValueExists).then_some(0),
            };
            Ok(Value { before, after, check: Check::Exact, access: Access::Same })
        }
    }
}

/// Of a member that is asked for by `FieldExists`: the object itself always has it.
fn existence(exists: bool) -> Value {
    Value { before: 1, after: Some(u64::from(exists)), check: Check::Exact, access: Access::Same }
}

/// `None` for `FieldExists`, which needs no look at the field.
fn field(btf: &Btf, spec: &Spec<'_>) -> Result<Option<Answer>, Failure> {
    if spec.kind == Kind::FieldExists {
        return Ok(None);
    }
    let Some(last) = spec.accessors.last() else {
        return Err(Failure::new("the path is empty"));
    };
    let answer = match member_of(btf, last) {
        Some(member) => member_value(btf, spec, member)?,
        None => element_value(btf, spec, last)?,
    };
    Ok(Some(answer))
}

fn member_of<'b>(btf: &'b Btf, accessor: &Accessor<'_>) -> Option<Member<'b>> {
    accessor.name?;
    let (Type::Struct(composite) | Type::Union(composite)) = btf.get(accessor.type_id)? else {
        return None;
    };
    composite.member(accessor.index as usize)
}

fn element_value(btf: &Btf, spec: &Spec<'_>, element: &Accessor<'_>) -> Result<Answer, Failure> {
    let size = btf.size_of(element.type_id).ok_or_else(|| Failure::new("an element has no size"))?;
    match spec.kind {
        Kind::FieldByteOffset => Ok(Answer {
            value: u64::from(spec.bit_offset / 8),
            check: Check::Exact,
            field: Some((size, element.type_id)),
        }),
        Kind::FieldByteSize => Ok(Answer::exact(u64::from(size))),
        _ => Err(Failure::new("neither sign nor shifts can be asked of an array's element")),
    }
}

fn member_value(btf: &Btf, spec: &Spec<'_>, member: Member<'_>) -> Result<Answer, Failure> {
    let no_size = || Failure::new(format!("member '{}' has no size", member.name));
    let type_id = btf.resolve(member.type_id).ok_or_else(no_size)?;
    let size = btf.size_of(type_id);
    let bit_offset = u64::from(spec.bit_offset);
    let (bytes, start, bits) = match member.bitfield_size {
        0 => {
            let size = size.ok_or_else(no_size)?;
            (size, bit_offset / 8, u64::from(size) * 8)
        }
        bits => {
            let (bytes, start) =
                storage(bit_offset, u64::from(bits), size.filter(|size| *size > 0).ok_or_else(no_size)?)
                    .ok_or_else(|| {
                        Failure::new(format!("bitfield '{}' cannot be read at once", member.name))
                    })?;
            (bytes, start, u64::from(bits))
        }
    };
    let is_bitfield = member.bitfield_size > 0;
    let check = if is_bitfield { Check::Off } else { Check::Exact };
    let answer = |value: u64, check| Answer { value, check, field: None };
    Ok(match spec.kind {
        Kind::FieldByteOffset => {
            Answer { value: start, check, field: (!is_bitfield).then_some((bytes, type_id)) }
        }
        Kind::FieldByteSize => answer(u64::from(bytes), check),
        Kind::FieldSigned => answer(u64::from(is_signed(btf, type_id)), Check::Exact),
        // Little-endian: the load has the storage at its lower end.
        Kind::FieldLshiftU64 => {
            answer(64_u64.wrapping_sub(bit_offset + bits).wrapping_add(start * 8) & 0xffff_ffff, check)
        }
        Kind::FieldRshiftU64 => answer(64_u64.wrapping_sub(bits) & 0xffff_ffff, Check::Exact),
        _ => return Err(Failure::new("this cannot be asked of a member")),
    })
}

/// The smallest aligned load that holds all bits: its size in bytes and its offset.
fn storage(bit_offset: u64, bits: u64, size: u32) -> Option<(u32, u64)> {
    let mut bytes = u64::from(size);
    loop {
        let start = bit_offset / 8 / bytes * bytes;
        if bit_offset + bits <= (start + bytes) * 8 {
            return Some((bytes as u32, start));
        }
        if bytes >= 8 {
            return None;
        }
        bytes *= 2;
    }
}

fn is_signed(btf: &Btf, id: TypeId) -> bool {
    match btf.get(id) {
        Some(Type::Int(int)) => int.signed,
        Some(Type::Enum(e) | Type::Enum64(e)) => e.signed,
        _ => false,
    }
}

/// A load may change its width where that does not change the number: pointers, and unsigned integers.
fn access(own: &Btf, before: &Answer, theirs: &Btf, after: &Answer) -> Access {
    let size = |answer: &Answer| answer.field.map_or(0, |(size, _)| size);
    let (from, to) = (size(before), size(after));
    if from == to {
        return Access::Same;
    }
    let view = |btf: &Btf, answer: &Answer| -> Option<Shape> {
        match btf.get(answer.field?.1)? {
            Type::Ptr(_) => Some(Shape::Pointer),
            Type::Int(int) if !int.signed || int.char || int.bool => Some(Shape::Unsigned),
            _ => None,
        }
    };
    match (view(own, before), view(theirs, after)) {
        (Some(a), Some(b)) if a == b => Access::Resize { from, to },
        _ => Access::Impossible,
    }
}

#[derive(PartialEq, Eq)]
enum Shape {
    Pointer,
    Unsigned,
}

fn type_value(btf: &Btf, spec: &Spec<'_>) -> Result<Answer, Failure> {
    match spec.kind {
        Kind::TypeIdTarget => Ok(Answer { value: u64::from(spec.root.0), check: Check::Off, field: None }),
        Kind::TypeExists | Kind::TypeMatches => Ok(Answer::exact(1)),
        Kind::TypeSize => {
            let size = btf.size_of(spec.root).ok_or_else(|| Failure::new("the type has no size"))?;
            Ok(Answer::exact(u64::from(size)))
        }
        _ => Err(Failure::new("this cannot be asked of a type")),
    }
}

fn enum_value(btf: &Btf, spec: &Spec<'_>) -> u64 {
    if spec.kind == Kind::EnumValueExists {
        return 1;
    }
    let Some(accessor) = spec.accessors.first() else {
        return 0;
    };
    match btf.get(accessor.type_id) {
        // libbpf keeps a 32-bit value as it stands, sign-extended.
        Some(Type::Enum(e)) => {
            e.values().nth(accessor.index as usize).map_or(0, |v| i64::from(v.value as i32) as u64)
        }
        Some(Type::Enum64(e)) => e.values().nth(accessor.index as usize).map_or(0, |v| v.value as u64),
        _ => 0,
    }
}
