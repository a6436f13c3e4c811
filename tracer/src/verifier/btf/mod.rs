//! BTF, the kernel's compact type information, read in place.
//!
//! Parsing proves that every type record lies inside the blob and remembers where each one starts; nothing else is
//! decoded until it is asked for. A `vmlinux` BTF of 5 MB and 150,000 types is ready in about a millisecond.
//!
//! ```text
//! bytes -> header -> scan (offset of every record) -> Btf
//! Btf   -> get(id) -> Type<'_>          a view that borrows the bytes
//!       -> find(kind, name)             through an index that is built on first use
//!       -> find_batch / field_batch     many names in one pass, without the index (start-up)
//!       -> resolve, size_of, field      what a type means
//! ```
//!
//! Invariant: no input makes this module panic, loop or allocate more than a small multiple of the input's length.
//! References to types that do not exist and circular types are found when they are followed, and end as `None`.
//! It must not know: files, ELF, programs, the running kernel.

mod batch;
pub mod builder;
mod check;
mod edit;
mod error;
mod field;
mod func;
mod header;
mod index;
mod kind;
mod resolve;
mod scan;
mod strings;
#[cfg(test)]
mod tests;
mod types;

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

pub use check::{BtfRules, Refusal, Rule, check};
pub use edit::BtfEditor;
pub use error::BtfError;
pub use field::{Bitfield, FieldLocation};
pub use func::FuncSignature;
pub use index::essential_name;
pub use kind::Kind;
pub use resolve::MAX_DEPTH;
pub use types::{
    Array, Composite, Datasec, DeclTag, DeclTagTarget, Enum, EnumValue, Func, FuncLinkage, FuncProto, Fwd,
    FwdKind, Int, Linkage, Member, Param, SectionVar, Type, TypeTag, Var,
};

/// The number of a type within one BTF (and its base). 0 is `void`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TypeId(pub u32);

impl TypeId {
    /// `void`: no record, no size.
    pub const VOID: TypeId = TypeId(0);
}

impl core::fmt::Display for TypeId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "[{}]", self.0)
    }
}

/// Whether a struct's record can declare bitfields (the kind flag).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemberFlags {
    Plain,
    WithBitfields,
}

/// One blob of BTF, alone or split (a module's BTF, on top of the kernel's).
pub struct Btf {
    data: Cow<'static, [u8]>,
    /// Where the strings lie in `data`.
    strings: core::ops::Range<usize>,
    /// Where the types end in `data`.
    types_end: usize,
    /// Byte offset in `data` of each of this blob's own records; the first has id `first_id`.
    records: Vec<u32>,
    /// The number of each record's kind.
    kinds: Vec<u8>,
    base: Option<Arc<Btf>>,
    first_id: u32,
    first_string: u32,
    index: OnceLock<index::NameIndex>,
    /// Searches by name that were made without the index.
    scans: core::sync::atomic::AtomicU32,
}

impl core::fmt::Debug for Btf {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Btf").field("types", &self.records.len()).field("first_id", &self.first_id).finish()
    }
}

impl Btf {
    /// Reads BTF that stands by itself: the kernel's, or an object file's `.BTF` section.
    pub fn parse(data: impl Into<Cow<'static, [u8]>>) -> Result<Btf, BtfError> {
        Self::parse_on(data.into(), None)
    }

    /// Reads split BTF, whose type and string numbers continue those of `base` (a module's, on the kernel's).
    pub fn parse_split(data: impl Into<Cow<'static, [u8]>>, base: Arc<Btf>) -> Result<Btf, BtfError> {
        Self::parse_on(data.into(), Some(base))
    }

    fn parse_on(data: Cow<'static, [u8]>, base: Option<Arc<Btf>>) -> Result<Btf, BtfError> {
        let (first_id, first_string) = match &base {
            Some(base) => (base.type_count(), base.string_end()),
            None => (1, 0),
        };
        let sections = header::read(&data)?;
        strings::check(&data, &sections.strings, first_string)?;
        let scan::Records { at: records, kinds } = scan::records(&data, &sections, first_id)?;
        Ok(Btf {
            types_end: sections.types.end,
            strings: sections.strings,
            records,
            kinds,
            base,
            first_id,
            first_string,
            index: OnceLock::new(),
            scans: core::sync::atomic::AtomicU32::new(0),
            data,
        })
    }

    /// The bytes this was parsed from (without the base's).
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// One more than the highest type id, the base's types and `void` included.
    pub fn type_count(&self) -> u32 {
        // `scan` refuses a blob whose ids would not fit.
        self.first_id + self.records.len() as u32
    }

    /// The first id that is this blob's own: 1, or the base's `type_count`.
    pub fn first_own_id(&self) -> TypeId {
        TypeId(self.first_id)
    }

    /// The BTF that this one continues.
    pub fn base(&self) -> Option<&Arc<Btf>> {
        self.base.as_ref()
    }

    /// Every type id, `void` excluded, the base's first.
    pub fn ids(&self) -> impl Iterator<Item = TypeId> + use<> {
        (1..self.type_count()).map(TypeId)
    }

    /// The type numbered `id`; `None` if there is none. `void` is `Type::Void`.
    pub fn get(&self, id: TypeId) -> Option<Type<'_>> {
        if id == TypeId::VOID {
            return Some(Type::Void);
        }
        let (owner, record) = self.locate(id)?;
        Some(types::decode(owner, record))
    }

    /// The kind of a type, without decoding the rest.
    pub fn kind(&self, id: TypeId) -> Option<Kind> {
        if id == TypeId::VOID {
            return Some(Kind::Void);
        }
        let (owner, record) = self.locate(id)?;
        Some(scan::kind_of(scan::word(&owner.data, record + 4)))
    }

    /// How a struct's or union's members are encoded.
    pub fn member_flags(&self, id: TypeId) -> MemberFlags {
        match self.locate(id) {
            Some((owner, record)) if scan::kind_flag(scan::word(&owner.data, record + 4)) => {
                MemberFlags::WithBitfields
            }
            _ => MemberFlags::Plain,
        }
    }

    /// A type's own name; empty for what has none, and for an id that does not exist.
    pub fn name(&self, id: TypeId) -> &str {
        match self.locate(id) {
            Some((owner, record)) => owner.string(scan::word(&owner.data, record)),
            None => "",
        }
    }

    /// The blob that holds the record of `id`, and the record's offset in it.
    fn locate(&self, id: TypeId) -> Option<(&Btf, usize)> {
        let mut owner = self;
        while id.0 < owner.first_id {
            owner = owner.base.as_deref()?;
        }
        let record = *owner.records.get((id.0 - owner.first_id) as usize)?;
        Some((owner, record as usize))
    }
}
