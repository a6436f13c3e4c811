//! Views of single types. They borrow the blob; elements (members, values, parameters) are decoded as they are iterated.
//!
//! Every view is made by `decode` from a record that `scan` proved in bounds.

use super::scan::{COMMON, kind_flag, kind_of, vlen_of, word};
use super::{Btf, Kind, TypeId};

/// One type.
#[derive(Clone, Copy, Debug)]
pub enum Type<'a> {
    Void,
    Int(Int<'a>),
    Ptr(TypeId),
    Array(Array),
    Struct(Composite<'a>),
    Union(Composite<'a>),
    /// Of 32 bits or fewer a value.
    Enum(Enum<'a>),
    /// Of 64 bits a value.
    Enum64(Enum<'a>),
    Fwd(Fwd<'a>),
    Typedef {
        name: &'a str,
        target: TypeId,
    },
    Volatile(TypeId),
    Const(TypeId),
    Restrict(TypeId),
    Func(Func<'a>),
    FuncProto(FuncProto<'a>),
    Var(Var<'a>),
    Datasec(Datasec<'a>),
    Float {
        name: &'a str,
        size: u32,
    },
    DeclTag(DeclTag<'a>),
    TypeTag(TypeTag<'a>),
    /// A kind newer than this reader.
    Unknown,
}

/// An integer. `bits` and `offset` differ from `size * 8` and 0 only in old bitfields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Int<'a> {
    pub name: &'a str,
    /// In bytes.
    pub size: u32,
    pub bits: u8,
    /// Of the value within its storage, in bits.
    pub offset: u8,
    pub signed: bool,
    pub char: bool,
    pub bool: bool,
}

/// An array; `[N]` of `[M]` is an array whose element is an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array {
    pub element: TypeId,
    pub index: TypeId,
    pub count: u32,
}

/// A struct or a union.
#[derive(Clone, Copy, Debug)]
pub struct Composite<'a> {
    pub name: &'a str,
    /// In bytes.
    pub size: u32,
    elements: Elements<'a>,
}

/// A member of a struct or union.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Empty for an anonymous struct or union.
    pub name: &'a str,
    pub type_id: TypeId,
    /// From the start of the struct.
    pub bit_offset: u32,
    /// Width in bits where the record declares a bitfield; 0 where not (but see `Int::bits`).
    pub bitfield_size: u8,
}

/// An enumeration.
#[derive(Clone, Copy, Debug)]
pub struct Enum<'a> {
    pub name: &'a str,
    /// Of a variable of this type, in bytes.
    pub size: u32,
    pub signed: bool,
    elements: Elements<'a>,
}

/// A named value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnumValue<'a> {
    pub name: &'a str,
    /// Sign-extended if the enum is signed. An unsigned value above `i64::MAX` is recovered with `as u64`.
    pub value: i64,
}

/// `struct name;` or `union name;`, declared and not defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fwd<'a> {
    pub name: &'a str,
    pub kind: FwdKind,
}

/// What a forward declaration declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FwdKind {
    Struct,
    Union,
}

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Func<'a> {
    pub name: &'a str,
    pub proto: TypeId,
    pub linkage: FuncLinkage,
}

/// Who may call a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FuncLinkage {
    Static,
    Global,
    Extern,
    /// A number that BTF does not define.
    Other(u16),
}

/// A function's type.
#[derive(Clone, Copy, Debug)]
pub struct FuncProto<'a> {
    pub ret: TypeId,
    elements: Elements<'a>,
}

/// A parameter. A last one that is nameless and `void` stands for `...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    pub name: &'a str,
    pub type_id: TypeId,
}

/// A global variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Var<'a> {
    pub name: &'a str,
    pub type_id: TypeId,
    pub linkage: Linkage,
}

/// Who may see a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    Static,
    Global,
    Extern,
    /// A number that BTF does not define.
    Other(u32),
}

/// The variables of one ELF section.
#[derive(Clone, Copy, Debug)]
pub struct Datasec<'a> {
    pub name: &'a str,
    /// In bytes; 0 in an object file that libbpf has not yet completed.
    pub size: u32,
    elements: Elements<'a>,
}

/// Where a variable lies in its section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionVar {
    /// A `Var`, or a `Func` in `.ksyms`.
    pub type_id: TypeId,
    pub offset: u32,
    pub size: u32,
}

/// `__attribute__((btf_decl_tag(name)))` on a declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeclTag<'a> {
    pub name: &'a str,
    pub type_id: TypeId,
    pub target: DeclTagTarget,
}

/// Which part of the declaration carries the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeclTagTarget {
    Whole,
    /// The member or parameter with this number.
    Component(u32),
}

/// `__attribute__((btf_type_tag(name)))` on a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeTag<'a> {
    pub name: &'a str,
    pub target: TypeId,
}

/// What follows a record's common part: `count` elements of a size that depends on the kind.
#[derive(Clone, Copy)]
struct Elements<'a> {
    owner: &'a Btf,
    at: usize,
    count: usize,
    info: u32,
}

impl core::fmt::Debug for Elements<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.count)
    }
}

impl<'a> Elements<'a> {
    /// The three first words of each element (the third is the next element's for elements of 8 bytes).
    fn words(self, size: usize) -> impl ExactSizeIterator<Item = [u32; 3]> + Clone + use<'a> {
        (0..self.count).map(move |n| self.element(n, size))
    }

    /// The words of element `n`, which must be less than `count`.
    fn element(self, n: usize, size: usize) -> [u32; 3] {
        let at = self.at + n * size;
        [0, 4, 8].map(|field| word(&self.owner.data, at + field))
    }
}

impl<'a> Composite<'a> {
    pub fn member_count(&self) -> usize {
        self.elements.count
    }

    pub fn members(&self) -> impl ExactSizeIterator<Item = Member<'a>> + Clone + use<'a> {
        let elements = self.elements;
        elements.words(12).map(move |words| Self::decode(elements, words))
    }

    /// The member with this number.
    pub fn member(&self, number: usize) -> Option<Member<'a>> {
        let elements = self.elements;
        (number < elements.count).then(|| Self::decode(elements, elements.element(number, 12)))
    }

    fn decode(elements: Elements<'a>, [name, type_id, offset]: [u32; 3]) -> Member<'a> {
        let with_bitfields = kind_flag(elements.info);
        Member {
            name: elements.owner.string(name),
            type_id: TypeId(type_id),
            bit_offset: if with_bitfields { offset & 0xff_ffff } else { offset },
            bitfield_size: if with_bitfields { (offset >> 24) as u8 } else { 0 },
        }
    }
}

impl<'a> Enum<'a> {
    pub fn value_count(&self) -> usize {
        self.elements.count
    }

    pub fn values(&self) -> impl ExactSizeIterator<Item = EnumValue<'a>> + Clone + use<'a> {
        let Elements { owner, info, .. } = self.elements;
        let (signed, wide) = (self.signed, kind_of(info) == Kind::Enum64);
        self.elements.words(if wide { 12 } else { 8 }).map(move |[name, low, high]| EnumValue {
            name: owner.string(name),
            value: match (wide, signed) {
                (true, _) => (u64::from(high) << 32 | u64::from(low)) as i64,
                (false, true) => i64::from(low as i32),
                (false, false) => i64::from(low),
            },
        })
    }

    /// The value with this name.
    pub fn value(&self, name: &str) -> Option<i64> {
        self.values().find(|value| value.name == name).map(|value| value.value)
    }
}

impl<'a> FuncProto<'a> {
    pub fn param_count(&self) -> usize {
        self.elements.count
    }

    pub fn params(&self) -> impl ExactSizeIterator<Item = Param<'a>> + Clone + use<'a> {
        let owner = self.elements.owner;
        self.elements
            .words(8)
            .map(move |[name, type_id, _]| Param { name: owner.string(name), type_id: TypeId(type_id) })
    }
}

impl<'a> Datasec<'a> {
    pub fn var_count(&self) -> usize {
        self.elements.count
    }

    pub fn vars(&self) -> impl ExactSizeIterator<Item = SectionVar> + Clone + use<'a> {
        self.elements.words(12).map(Self::decode)
    }

    /// The variable with this number.
    pub fn var(&self, number: usize) -> Option<SectionVar> {
        (number < self.elements.count).then(|| Self::decode(self.elements.element(number, 12)))
    }

    fn decode([type_id, offset, size]: [u32; 3]) -> SectionVar {
        SectionVar { type_id: TypeId(type_id), offset, size }
    }
}

/// The view of the record at `at`, which must be one of `owner`'s.
pub(super) fn decode(owner: &Btf, at: usize) -> Type<'_> {
    let [name_offset, info, third, fourth] = [0, 4, 8, 12].map(|field| word(&owner.data, at + field));
    let name = || owner.string(name_offset);
    let target = TypeId(third);
    let elements = Elements { owner, at: at + COMMON, count: vlen_of(info), info };
    let enumeration = || Enum { name: name(), size: third, signed: kind_flag(info), elements };
    let composite = || Composite { name: name(), size: third, elements };
    match kind_of(info) {
        Kind::Void | Kind::Unknown => Type::Unknown,
        Kind::Int => Type::Int(Int {
            name: name(),
            size: third,
            bits: fourth as u8,
            offset: (fourth >> 16) as u8,
            signed: fourth >> 24 & 1 != 0,
            char: fourth >> 24 & 2 != 0,
            bool: fourth >> 24 & 4 != 0,
        }),
        Kind::Ptr => Type::Ptr(target),
        Kind::Array => Type::Array(Array {
            element: TypeId(fourth),
            index: TypeId(word(&owner.data, at + 16)),
            count: word(&owner.data, at + 20),
        }),
        Kind::Struct => Type::Struct(composite()),
        Kind::Union => Type::Union(composite()),
        Kind::Enum => Type::Enum(enumeration()),
        Kind::Enum64 => Type::Enum64(enumeration()),
        Kind::Fwd => Type::Fwd(Fwd {
            name: name(),
            kind: if kind_flag(info) { FwdKind::Union } else { FwdKind::Struct },
        }),
        Kind::Typedef => Type::Typedef { name: name(), target },
        Kind::Volatile => Type::Volatile(target),
        Kind::Const => Type::Const(target),
        Kind::Restrict => Type::Restrict(target),
        Kind::Func => {
            let linkage = match vlen_of(info) {
                0 => FuncLinkage::Static,
                1 => FuncLinkage::Global,
                2 => FuncLinkage::Extern,
                other => FuncLinkage::Other(other as u16),
            };
            Type::Func(Func { name: name(), proto: target, linkage })
        }
        Kind::FuncProto => Type::FuncProto(FuncProto { ret: target, elements }),
        Kind::Var => {
            let linkage = match fourth {
                0 => Linkage::Static,
                1 => Linkage::Global,
                2 => Linkage::Extern,
                other => Linkage::Other(other),
            };
            Type::Var(Var { name: name(), type_id: target, linkage })
        }
        Kind::Datasec => Type::Datasec(Datasec { name: name(), size: third, elements }),
        Kind::Float => Type::Float { name: name(), size: third },
        Kind::DeclTag => {
            let component =
                if fourth == u32::MAX { DeclTagTarget::Whole } else { DeclTagTarget::Component(fourth) };
            Type::DeclTag(DeclTag { name: name(), type_id: target, target: component })
        }
        Kind::TypeTag => Type::TypeTag(TypeTag { name: name(), target }),
    }
}
