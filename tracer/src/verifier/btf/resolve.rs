//! What a type stands for: past modifiers and typedefs, and how large.
//!
//! Chains are followed for at most `MAX_DEPTH` steps, the kernel's and libbpf's own bound, so that a circular type ends.

use super::scan::{kind_of, word};
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
        match self.kind_and_word(id)? {
            (
                Kind::Ptr
                | Kind::Typedef
                | Kind::Volatile
                | Kind::Const
                | Kind::Restrict
                | Kind::TypeTag
                | Kind::Func
                | Kind::Var
                | Kind::DeclTag,
                target,
            ) => Some(TypeId(target)),
            _ => None,
        }
    }

    /// The size of a value of this type, in bytes, on a 64-bit machine. `None` for what has none (void, functions,
    /// forward declarations), and where the size overflows.
    pub fn size_of(&self, mut id: TypeId) -> Option<u32> {
        let mut count = 1_u32;
        for _ in 0..MAX_DEPTH {
            let size = match self.kind_and_word(id)? {
                (
                    Kind::Int
                    | Kind::Struct
                    | Kind::Union
                    | Kind::Enum
                    | Kind::Enum64
                    | Kind::Float
                    | Kind::Datasec,
                    size,
                ) => size,
                (Kind::Ptr, _) => 8,
                (Kind::Array, _) => {
                    let Type::Array(array) = self.get(id)? else {
                        return None;
                    };
                    count = count.checked_mul(array.count)?;
                    id = array.element;
                    continue;
                }
                (kind, target) if kind.is_modifier() || matches!(kind, Kind::DeclTag | Kind::Var) => {
                    id = TypeId(target);
                    continue;
                }
                _ => return None,
            };
            return count.checked_mul(size);
        }
        None
    }
    /// The kind, and the word that is a size or another type's id. `void` has neither.
    fn kind_and_word(&self, id: TypeId) -> Option<(Kind, u32)> {
        let (owner, record) = self.locate(id)?;
        Some((kind_of(word(&owner.data, record + 4)), word(&owner.data, record + 8)))
    }
}
