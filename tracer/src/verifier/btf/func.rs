//! Functions with their prototypes.

use super::{Btf, FuncLinkage, FuncProto, Kind, Type, TypeId};

/// A function and its prototype, in one.
#[derive(Clone, Copy, Debug)]
pub struct FuncSignature<'a> {
    pub id: TypeId,
    pub name: &'a str,
    pub linkage: FuncLinkage,
    pub proto: FuncProto<'a>,
}

impl Btf {
    /// The first function of this name.
    pub fn func(&self, name: &str) -> Option<FuncSignature<'_>> {
        // Looked up with `find_name` by hand: the result borrows only the blob, not the name.
        let id = self.find(Kind::Func, name)?;
        self.func_by_id(id)
    }

    /// The function with this id; `None` if the id is of something else.
    pub fn func_by_id(&self, id: TypeId) -> Option<FuncSignature<'_>> {
        let Type::Func(func) = self.get(id)? else {
            return None;
        };
        Some(FuncSignature { id, name: func.name, linkage: func.linkage, proto: self.proto(func.proto)? })
    }

    /// The function prototype that `id` stands for: itself one, or a function, or a pointer or typedef that leads to one.
    pub fn proto(&self, mut id: TypeId) -> Option<FuncProto<'_>> {
        for _ in 0..super::MAX_DEPTH {
            match self.get(id)? {
                Type::FuncProto(proto) => return Some(proto),
                _ => id = self.referent(id)?,
            }
        }
        None
    }
}
