//! The kinds of BTF types (include/uapi/linux/btf.h, up to BTF_KIND_ENUM64) and how long their records are.

/// What sort of thing a type record describes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    Void,
    Int,
    Ptr,
    Array,
    Struct,
    Union,
    Enum,
    Fwd,
    Typedef,
    Volatile,
    Const,
    Restrict,
    Func,
    FuncProto,
    Var,
    Datasec,
    Float,
    DeclTag,
    TypeTag,
    Enum64,
    /// Newer than this reader; its length came from the blob's own layout section.
    Unknown,
}

const KINDS: [Kind; 20] = [
    Kind::Void,
    Kind::Int,
    Kind::Ptr,
    Kind::Array,
    Kind::Struct,
    Kind::Union,
    Kind::Enum,
    Kind::Fwd,
    Kind::Typedef,
    Kind::Volatile,
    Kind::Const,
    Kind::Restrict,
    Kind::Func,
    Kind::FuncProto,
    Kind::Var,
    Kind::Datasec,
    Kind::Float,
    Kind::DeclTag,
    Kind::TypeTag,
    Kind::Enum64,
];

impl Kind {
    /// The kind with this number in a record's info word.
    pub fn from_number(number: u32) -> Kind {
        KINDS.get(number as usize).copied().unwrap_or(Kind::Unknown)
    }

    /// This kind's number in a record's info word.
    pub fn number(self) -> u32 {
        self as u32
    }

    /// `const`, `volatile`, `restrict` and type tags: they change no layout and have no name of their own.
    pub fn is_qualifier(self) -> bool {
        matches!(self, Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag)
    }

    /// What the kernel calls a modifier: the qualifiers, and `typedef`.
    pub fn is_modifier(self) -> bool {
        self == Kind::Typedef || self.is_qualifier()
    }

    /// A struct or a union.
    pub fn is_composite(self) -> bool {
        matches!(self, Kind::Struct | Kind::Union)
    }

    /// An enum of either width.
    pub fn is_enum(self) -> bool {
        matches!(self, Kind::Enum | Kind::Enum64)
    }
}

/// The length of what follows a record's 12 bytes.
#[derive(Clone, Copy)]
pub(super) struct Tail {
    /// Bytes that are always there.
    pub(super) fixed: u8,
    /// Bytes for each of `vlen` elements.
    pub(super) each: u8,
}

const fn tail(fixed: u8, each: u8) -> Tail {
    Tail { fixed, each }
}

/// By kind number; `None` for 0, which no record may have.
pub(super) const TAILS: [Option<Tail>; 20] = [
    None,
    Some(tail(4, 0)),
    Some(tail(0, 0)),
    Some(tail(12, 0)),
    Some(tail(0, 12)),
    Some(tail(0, 12)),
    Some(tail(0, 8)),
    Some(tail(0, 0)),
    Some(tail(0, 0)),
    Some(tail(0, 0)),
    Some(tail(0, 0)),
    Some(tail(0, 0)),
    Some(tail(0, 0)),
    Some(tail(0, 8)),
    Some(tail(4, 0)),
    Some(tail(0, 12)),
    Some(tail(0, 0)),
    Some(tail(4, 0)),
    Some(tail(0, 0)),
    Some(tail(0, 12)),
];
