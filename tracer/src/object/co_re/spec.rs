//! What a relocation asks for, as a path through types.
//!
//! The compiler writes a member access as member numbers, `0:1:2:3`. Names matter instead, since numbers differ between
//! kernels: the spec keeps the *named* turning points (and array elements), and leaves out anonymous structs.

use core::fmt::Write;

use super::Failure;
use crate::verifier::btf::{Array, Btf, Composite, Type, TypeId};

/// The longest path (BPF_CORE_SPEC_MAX_LEN).
pub(super) const MAX_LEN: usize = 64;

/// What is asked about the type or member (`enum bpf_core_relo_kind`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    FieldByteOffset,
    FieldByteSize,
    FieldExists,
    FieldSigned,
    FieldLshiftU64,
    FieldRshiftU64,
    TypeIdLocal,
    TypeIdTarget,
    TypeExists,
    TypeSize,
    EnumValueExists,
    EnumValue,
    TypeMatches,
}

const KINDS: [Kind; 13] = [
    Kind::FieldByteOffset,
    Kind::FieldByteSize,
    Kind::FieldExists,
    Kind::FieldSigned,
    Kind::FieldLshiftU64,
    Kind::FieldRshiftU64,
    Kind::TypeIdLocal,
    Kind::TypeIdTarget,
    Kind::TypeExists,
    Kind::TypeSize,
    Kind::EnumValueExists,
    Kind::EnumValue,
    Kind::TypeMatches,
];

/// What a kind is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Field,
    Type,
    EnumValue,
}

impl Kind {
    pub(super) fn from_number(number: u32) -> Option<Kind> {
        KINDS.get(number as usize).copied()
    }

    pub(super) fn subject(self) -> Subject {
        match self {
            Kind::FieldByteOffset
            | Kind::FieldByteSize
            | Kind::FieldExists
            | Kind::FieldSigned
            | Kind::FieldLshiftU64
            | Kind::FieldRshiftU64 => Subject::Field,
            Kind::TypeIdLocal
            | Kind::TypeIdTarget
            | Kind::TypeExists
            | Kind::TypeSize
            | Kind::TypeMatches => Subject::Type,
            Kind::EnumValueExists | Kind::EnumValue => Subject::EnumValue,
        }
    }
}

/// A path through the types of one BTF.
pub(super) struct Spec<'b> {
    pub(super) kind: Kind,
    pub(super) root: TypeId,
    pub(super) accessors: Vec<Accessor<'b>>,
    /// Steps so far, anonymous ones included.
    pub(super) raw_len: usize,
    pub(super) bit_offset: u32,
}

/// One turning point.
#[derive(Clone, Copy)]
pub(super) struct Accessor<'b> {
    /// The struct of a named member, or the type of an array's element.
    pub(super) type_id: TypeId,
    /// Of the member, element or enumerator.
    pub(super) index: u32,
    /// `None` for an array's element.
    pub(super) name: Option<&'b str>,
}

impl<'b> Spec<'b> {
    pub(super) fn new(kind: Kind, root: TypeId) -> Spec<'b> {
        Spec { kind, root, accessors: Vec::new(), raw_len: 0, bit_offset: 0 }
    }

    pub(super) fn advance(&mut self, index: u32, size: u32) {
        self.bit_offset = self.bit_offset.wrapping_add(index.wrapping_mul(size).wrapping_mul(8));
    }
}

/// Reads the compiler's path against the object's own types.
pub(super) fn parse<'b>(btf: &'b Btf, root: TypeId, text: &str, kind: Kind) -> Result<Spec<'b>, Failure> {
    let bad =
        |what: &str| Failure::new(format!("access '{text}' of type {root} '{}': {what}", btf.name(root)));
    let mut spec = Spec::new(kind, root);
    if kind.subject() == Subject::Type {
        return if text == "0" && btf.get(root).is_some() {
            Ok(spec)
        } else {
            Err(bad("a type has the path 0"))
        };
    }
    let path =
        text.split(':').map(str::parse).collect::<Result<Vec<u32>, _>>().map_err(|_| bad("it is no path"))?;
    let (&first, rest) = path.split_first().ok_or_else(|| bad("it is empty"))?;
    if path.len() > MAX_LEN {
        return Err(bad("it is too long"));
    }
    spec.raw_len = path.len();
    let mut id = btf.resolve(root).ok_or_else(|| bad("the type does not exist"))?;
    if kind.subject() == Subject::EnumValue {
        let (Some(Type::Enum(e) | Type::Enum64(e)), []) = (btf.get(id), rest) else {
            return Err(bad("it is no enum"));
        };
        let value = e.values().nth(first as usize).ok_or_else(|| bad("the enum has fewer values"))?;
        spec.accessors.push(Accessor { type_id: id, index: first, name: Some(value.name) });
        return Ok(spec);
    }
    spec.accessors.push(Accessor { type_id: id, index: first, name: None });
    spec.advance(first, btf.size_of(id).ok_or_else(|| bad("the type has no size"))?);
    for &index in rest {
        id = btf.resolve(id).ok_or_else(|| bad("a type on the path does not exist"))?;
        match btf.get(id) {
            Some(Type::Struct(composite) | Type::Union(composite)) => {
                let member =
                    composite.member(index as usize).ok_or_else(|| bad("a struct has fewer members"))?;
                spec.bit_offset = spec.bit_offset.wrapping_add(member.bit_offset);
                if !member.name.is_empty() {
                    spec.accessors.push(Accessor { type_id: id, index, name: Some(member.name) });
                }
                id = member.type_id;
            }
            Some(Type::Array(array)) => {
                let element =
                    btf.resolve(array.element).ok_or_else(|| bad("an array's type does not exist"))?;
                let flexible = spec.accessors.last().is_some_and(|last| is_flexible(btf, last, array));
                if !flexible && index >= array.count {
                    return Err(bad("an array has fewer elements"));
                }
                id = element;
                spec.accessors.push(Accessor { type_id: id, index, name: None });
                spec.advance(index, btf.size_of(id).ok_or_else(|| bad("an element has no size"))?);
            }
            _ => return Err(bad("it goes through something that has no parts")),
        }
    }
    Ok(spec)
}

/// An array without a size at the end of the struct that the accessor before it named.
pub(super) fn is_flexible(btf: &Btf, before: &Accessor<'_>, array: Array) -> bool {
    let last_of = |composite: Composite<'_>| before.index as usize + 1 == composite.member_count();
    before.name.is_some()
        && array.count == 0
        && matches!(btf.get(before.type_id), Some(Type::Struct(c) | Type::Union(c)) if last_of(c))
}

/// The path in words, for messages: `struct task_struct, member mm.pgd (offset 16)`.
pub(super) fn describe(btf: &Btf, spec: &Spec<'_>) -> String {
    let what = match btf.kind(spec.root) {
        Some(kind) => format!("{kind:?}").to_lowercase(),
        None => "type".into(),
    };
    let mut text = format!("{what} {}", btf.name(spec.root));
    for (n, accessor) in spec.accessors.iter().enumerate() {
        // Writing to a String does not fail.
        let _ = match accessor.name {
            Some(name) => write!(text, ".{name}"),
            None if n > 0 || accessor.index > 0 => write!(text, "[{}]", accessor.index),
            None => Ok(()),
        };
    }
    text
}
