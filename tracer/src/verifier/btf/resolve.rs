//! What a type stands for: past modifiers and typedefs, and how large.
//!
//! Chains are followed for at most `MAX_DEPTH` steps, the kernel's and libbpf's own bound, so that a circular type ends.

use super::{Btf, Kind, Type, TypeId};

/// How long a chain of modifiers, or how deep a nesting of arrays and anonymous members, is followed.
/// (MAX_RESOLVE_DEPTH in kernel/bpf/btf.c and tools/lib/bpf/btf.c.)
pub const MAX_DEPTH: usize = 32;

impl Btf {
    /// Follows typedefs and qualifiers to the type they stand for. `None` if the chain is broken or too long.
    pub fn resolve(&self, id: TypeId) -> Option<TypeId> {
        self.skip(id, Kind::is_modifier)
    }

    /// Follows `const`, `volatile`, `restrict` and type tags, and stops at a typedef.
    pub fn skip_qualifiers(&self, id: TypeId) -> Option<TypeId> {
        self.skip(id, Kind::is_qualifier)
    }

    /// `resolve`, then the type's view.
    pub fn resolved(&self, id: TypeId) -> Option<Type<'_>> {
        self.get(self.resolve(id)?)
    }

    fn skip(&self, mut id: TypeId, skipped: fn(Kind) -> bool) -> Option<TypeId> {
        for _ in 0..MAX_DEPTH {
            if !skipped(self.kind(id)?) {
                return Some(id);
            }
            id = self.referent(id)?;
        }
        None
    }

    /// The type that a pointer, typedef, qualifier, tag, function or variable refers to.
    pub fn referent(&self, id: TypeId) -> Option<TypeId> {
        match self.get(id)? {
            Type::Ptr(target)
            | Type::Typedef { target, .. }
            | Type::Volatile(target)
            | Type::Const(target)
            | Type::Restrict(target) => Some(target),
            Type::TypeTag(tag) => Some(tag.target),
            Type::Func(func) => Some(func.proto),
            Type::Var(var) => Some(var.type_id),
            Type::DeclTag(tag) => Some(tag.type_id),
            _ => None,
        }
    }

    /// The size of a value of this type, in bytes, on a 64-bit machine. `None` for what has none (void, functions,
    /// forward declarations), and where the size overflows.
    pub fn size_of(&self, mut id: TypeId) -> Option<u32> {
        let mut count = 1_u32;
        for _ in 0..MAX_DEPTH {
            let size = match self.get(id)? {
                Type::Int(int) => int.size,
                Type::Struct(composite) | Type::Union(composite) => composite.size,
                Type::Enum(e) | Type::Enum64(e) => e.size,
                Type::Float { size, .. } => size,
                Type::Datasec(section) => section.size,
                Type::Ptr(_) => 8,
                Type::Array(array) => {
                    count = count.checked_mul(array.count)?;
                    id = array.element;
                    continue;
                }
                Type::Typedef { .. }
                | Type::Volatile(_)
                | Type::Const(_)
                | Type::Restrict(_)
                | Type::TypeTag(_)
                | Type::DeclTag(_)
                | Type::Var(_) => {
                    id = self.referent(id)?;
                    continue;
                }
                Type::Void | Type::Fwd(_) | Type::Func(_) | Type::FuncProto(_) | Type::Unknown => {
                    return None;
                }
            };
            return count.checked_mul(size);
        }
        None
    }
}
