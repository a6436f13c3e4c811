//! When two types, one of the object's and one of the kernel's, count as the same. Three relations, from loose to strict:
//! fields that may be read as each other, types of one shape, and types that match in full.
//!
//! Each is libbpf's (`bpf_core_fields_are_compat`, `__bpf_core_types_are_compat`, `__bpf_core_types_match`). `Work`
//! bounds the last two, which branch at every member and parameter.

use super::Failure;
use super::candidates::same_kind;
use crate::verifier::btf::{Btf, Composite, Enum, Fwd, FwdKind, MAX_DEPTH, Type, TypeId, essential_name};

/// How many pairs of types one question may compare.
const MAX_PAIRS: u32 = 1 << 20;

/// What is left to spend on one question.
struct Work {
    pairs: u32,
}

impl Work {
    fn new() -> Work {
        Work { pairs: MAX_PAIRS }
    }

    fn spend(&mut self) -> Result<(), Failure> {
        self.pairs =
            self.pairs.checked_sub(1).ok_or_else(|| Failure::new("the types are too large to compare"))?;
        Ok(())
    }
}

/// Two types, each with where it lives.
#[derive(Clone, Copy)]
struct Pair<'a> {
    own: &'a Btf,
    theirs: &'a Btf,
    a: TypeId,
    b: TypeId,
}

impl Pair<'_> {
    fn with(self, a: TypeId, b: TypeId) -> Self {
        Pair { a, b, ..self }
    }

    fn resolved(self) -> Result<Self, Failure> {
        match (self.own.resolve(self.a), self.theirs.resolve(self.b)) {
            (Some(a), Some(b)) => Ok(self.with(a, b)),
            _ => Err(Failure::new("a type refers to one that does not exist, or to itself")),
        }
    }

    fn same_kind(self) -> bool {
        matches!((self.own.kind(self.a), self.theirs.kind(self.b)), (Some(a), Some(b)) if same_kind(a, b))
    }

    fn names_match(self) -> bool {
        names_match(self.own.name(self.a), self.theirs.name(self.b))
    }
}

/// Equal but for flavors; a nameless one matches only a nameless one.
fn names_match(a: &str, b: &str) -> bool {
    essential_name(a) == essential_name(b)
}

fn plain_integers(a: Type<'_>, b: Type<'_>) -> bool {
    matches!((a, b), (Type::Int(a), Type::Int(b)) if a.offset == 0 && b.offset == 0)
}

fn too_deep() -> Failure {
    Failure::new("a type is nested too deeply")
}

/// Whether a member of type `a` may be read as one of type `b`.
pub(super) fn fields_are_compatible(own: &Btf, a: TypeId, theirs: &Btf, b: TypeId) -> Result<bool, Failure> {
    let mut pair = Pair { own, theirs, a, b };
    for _ in 0..MAX_DEPTH {
        pair = pair.resolved()?;
        let (Some(a), Some(b)) = (own.get(pair.a), theirs.get(pair.b)) else {
            return Ok(false);
        };
        let composite = |t| matches!(t, Type::Struct(_) | Type::Union(_));
        if composite(a) && composite(b) {
            return Ok(true);
        }
        if !pair.same_kind() {
            return Ok(false);
        }
        match (a, b) {
            (Type::Ptr(_) | Type::Float { .. }, _) => return Ok(true),
            (Type::Fwd(_) | Type::Enum(_) | Type::Enum64(_), _) => {
                let anonymous = own.name(pair.a).is_empty() || theirs.name(pair.b).is_empty();
                return Ok(anonymous || pair.names_match());
            }
            (Type::Int(_), _) => return Ok(plain_integers(a, b)),
            (Type::Array(a), Type::Array(b)) => pair = pair.with(a.element, b.element),
            _ => return Ok(false),
        }
    }
    Err(too_deep())
}

/// Whether two types have one shape; names are not looked at, nor members.
pub(in crate::object) fn types_are_compatible(
    own: &Btf,
    a: TypeId,
    theirs: &Btf,
    b: TypeId,
) -> Result<bool, Failure> {
    compatible(Pair { own, theirs, a, b }, MAX_DEPTH, &mut Work::new())
}

fn compatible(mut pair: Pair<'_>, level: usize, work: &mut Work) -> Result<bool, Failure> {
    if !pair.same_kind() {
        return Ok(false);
    }
    for _ in 0..MAX_DEPTH {
        work.spend()?;
        pair = pair.resolved()?;
        if !pair.same_kind() {
            return Ok(false);
        }
        let (Some(a), Some(b)) = (pair.own.get(pair.a), pair.theirs.get(pair.b)) else {
            return Ok(false);
        };
        match (a, b) {
            (
                Type::Void
                | Type::Struct(_)
                | Type::Union(_)
                | Type::Enum(_)
                | Type::Enum64(_)
                | Type::Fwd(_),
                _,
            ) => return Ok(true),
            (Type::Int(_), _) => return Ok(plain_integers(a, b)),
            (Type::Ptr(a), Type::Ptr(b)) => pair = pair.with(a, b),
            (Type::Array(a), Type::Array(b)) => pair = pair.with(a.element, b.element),
            (Type::FuncProto(a), Type::FuncProto(b)) => {
                if a.param_count() != b.param_count() {
                    return Ok(false);
                }
                for (a, b) in a.params().zip(b.params()) {
                    let deeper = level.checked_sub(1).ok_or_else(too_deep)?;
                    if !compatible(pair.with(a.type_id, b.type_id).resolved()?, deeper, work)? {
                        return Ok(false);
                    }
                }
                pair = pair.with(a.ret, b.ret);
            }
            _ => return Ok(false),
        }
    }
    Err(too_deep())
}

/// How much of a struct is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// All its members.
    Whole,
    /// Behind a pointer: name and kind alone, and a declaration will do.
    Named,
}

/// Whether every part of the object's type is found in the kernel's, by name.
pub(super) fn types_match(own: &Btf, a: TypeId, theirs: &Btf, b: TypeId) -> Result<bool, Failure> {
    matches_in_full(Pair { own, theirs, a, b }, Depth::Whole, MAX_DEPTH, &mut Work::new())
}

fn matches_in_full(
    mut pair: Pair<'_>,
    mut depth: Depth,
    level: usize,
    work: &mut Work,
) -> Result<bool, Failure> {
    if level == 0 {
        return Err(too_deep());
    }
    for _ in 0..MAX_DEPTH {
        work.spend()?;
        pair = pair.resolved()?;
        if !pair.names_match() {
            return Ok(false);
        }
        let (Some(a), Some(b)) = (pair.own.get(pair.a), pair.theirs.get(pair.b)) else {
            return Ok(false);
        };
        match (a, b) {
            (Type::Void, Type::Void) => return Ok(true),
            (Type::Fwd(a), b) => return Ok(forward_matches(a, b, depth)),
            (Type::Enum(a) | Type::Enum64(a), Type::Enum(b) | Type::Enum64(b)) => {
                return enums_match(a, b, work);
            }
            (Type::Struct(_), Type::Struct(_)) | (Type::Union(_), Type::Union(_))
                if depth == Depth::Named =>
            {
                return Ok(true);
            }
            (Type::Struct(a), Type::Struct(b)) | (Type::Union(a), Type::Union(b)) => {
                return members_match(pair, a, b, level, work);
            }
            (Type::Struct(_), Type::Fwd(b)) => {
                return Ok(depth == Depth::Named && b.kind == FwdKind::Struct);
            }
            (Type::Union(_), Type::Fwd(b)) => {
                return Ok(depth == Depth::Named && b.kind == FwdKind::Union);
            }
            (Type::Int(a), Type::Int(b)) => return Ok(a.size == b.size && a.signed == b.signed),
            (Type::Ptr(a), Type::Ptr(b)) => {
                depth = Depth::Named;
                pair = pair.with(a, b);
            }
            (Type::Array(a), Type::Array(b)) if a.count == b.count => pair = pair.with(a.element, b.element),
            (Type::FuncProto(a), Type::FuncProto(b)) if a.param_count() == b.param_count() => {
                for (a, b) in a.params().zip(b.params()) {
                    if !matches_in_full(pair.with(a.type_id, b.type_id), depth, level - 1, work)? {
                        return Ok(false);
                    }
                }
                pair = pair.with(a.ret, b.ret);
            }
            _ => return Ok(false),
        }
    }
    Err(too_deep())
}

fn forward_matches(a: Fwd<'_>, b: Type<'_>, depth: Depth) -> bool {
    match b {
        Type::Fwd(b) => a.kind == b.kind,
        Type::Struct(_) => depth == Depth::Named && a.kind == FwdKind::Struct,
        Type::Union(_) => depth == Depth::Named && a.kind == FwdKind::Union,
        _ => false,
    }
}

fn enums_match(a: Enum<'_>, b: Enum<'_>, work: &mut Work) -> Result<bool, Failure> {
    if a.size != b.size || a.value_count() > b.value_count() {
        return Ok(false);
    }
    for value in a.values() {
        let mut found = false;
        for other in b.values() {
            work.spend()?;
            if names_match(value.name, other.name) {
                found = true;
                break;
            }
        }
        if !found {
            return Ok(false);
        }
    }
    Ok(true)
}

fn members_match(
    pair: Pair<'_>,
    a: Composite<'_>,
    b: Composite<'_>,
    level: usize,
    work: &mut Work,
) -> Result<bool, Failure> {
    if a.member_count() > b.member_count() {
        return Ok(false);
    }
    for member in a.members() {
        let mut found = false;
        for other in b.members() {
            work.spend()?;
            if names_match(member.name, other.name)
                && matches_in_full(pair.with(member.type_id, other.type_id), Depth::Whole, level - 1, work)?
            {
                found = true;
                break;
            }
        }
        if !found {
            return Ok(false);
        }
    }
    Ok(true)
}
