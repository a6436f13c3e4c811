//! Writes BTF, for tests and for fuzzing: the smallest blob that has the types a case needs.
//!
//! It checks nothing: it must be able to write what `Btf::parse` refuses, and references to types that come later
//! (`reserve` tells their ids).

use super::{Kind, TypeId};

/// A blob in the making. Ids are handed out in the order of the calls, from 1 (or from the base's end).
pub struct BtfBuilder {
    types: Vec<u8>,
    strings: Vec<u8>,
    next_id: u32,
    first_string: u32,
}

impl Default for BtfBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BtfBuilder {
    pub fn new() -> Self {
        BtfBuilder { types: Vec::new(), strings: vec![0], next_id: 1, first_string: 0 }
    }

    /// A blob whose ids and strings continue those of `base`.
    pub fn on(base: &super::Btf) -> Self {
        BtfBuilder {
            types: Vec::new(),
            strings: vec![0],
            next_id: base.type_count(),
            first_string: base.string_end(),
        }
    }

    /// The id that the next type will get, plus `ahead`.
    pub fn reserve(&self, ahead: u32) -> TypeId {
        TypeId(self.next_id + ahead)
    }

    /// Adds a string; its offset.
    pub fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let offset = self.first_string + self.strings.len() as u32;
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        offset
    }

    /// Adds any record: `info` is composed of kind, vlen and flag; `tail` follows the common 12 bytes.
    pub fn record(
        &mut self,
        name: &str,
        kind: Kind,
        vlen: usize,
        flag: u32,
        third: u32,
        tail: &[u32],
    ) -> TypeId {
        let name = self.string(name);
        let info = kind.number() << 24 | vlen as u32 & 0xffff | flag << 31;
        for word in [name, info, third].iter().chain(tail) {
            self.types.extend_from_slice(&word.to_le_bytes());
        }
        let id = TypeId(self.next_id);
        self.next_id += 1;
        id
    }

    /// An integer of `size` bytes; `encoding`: 1 signed, 2 char, 4 bool.
    pub fn int(&mut self, name: &str, size: u32, encoding: u32) -> TypeId {
        self.record(name, Kind::Int, 0, 0, size, &[(encoding << 24) | (size * 8)])
    }

    /// A pointer, typedef, qualifier, type tag or forward declaration.
    pub fn reference(&mut self, kind: Kind, name: &str, target: TypeId) -> TypeId {
        self.record(name, kind, 0, 0, target.0, &[])
    }

    pub fn ptr(&mut self, target: TypeId) -> TypeId {
        self.reference(Kind::Ptr, "", target)
    }

    pub fn typedef(&mut self, name: &str, target: TypeId) -> TypeId {
        self.reference(Kind::Typedef, name, target)
    }

    pub fn array(&mut self, element: TypeId, index: TypeId, count: u32) -> TypeId {
        self.record("", Kind::Array, 0, 0, 0, &[element.0, index.0, count])
    }

    /// A struct or union; members are (name, type, bit offset).
    pub fn composite(
        &mut self,
        kind: Kind,
        name: &str,
        size: u32,
        members: &[(&str, TypeId, u32)],
    ) -> TypeId {
        let tail = self.named(members.iter().map(|&(name, id, offset)| (name, [id.0, offset])));
        self.record(name, kind, members.len(), 0, size, &tail)
    }

    /// A struct with bitfields; members are (name, type, bit offset, width in bits or 0).
    pub fn bitfields(&mut self, name: &str, size: u32, members: &[(&str, TypeId, u32, u32)]) -> TypeId {
        let tail =
            self.named(members.iter().map(|&(name, id, offset, bits)| (name, [id.0, bits << 24 | offset])));
        self.record(name, Kind::Struct, members.len(), 1, size, &tail)
    }

    pub fn structure(&mut self, name: &str, size: u32, members: &[(&str, TypeId, u32)]) -> TypeId {
        self.composite(Kind::Struct, name, size, members)
    }

    pub fn union(&mut self, name: &str, size: u32, members: &[(&str, TypeId, u32)]) -> TypeId {
        self.composite(Kind::Union, name, size, members)
    }

    /// An unsigned enum of 4 bytes.
    pub fn enumeration(&mut self, name: &str, values: &[(&str, u32)]) -> TypeId {
        let tail = self.named(values.iter().map(|&(name, value)| (name, [value])));
        self.record(name, Kind::Enum, values.len(), 0, 4, &tail)
    }

    /// An unsigned enum of 8 bytes.
    pub fn enumeration64(&mut self, name: &str, values: &[(&str, u64)]) -> TypeId {
        let tail =
            self.named(values.iter().map(|&(name, value)| (name, [value as u32, (value >> 32) as u32])));
        self.record(name, Kind::Enum64, values.len(), 0, 8, &tail)
    }

    pub fn func_proto(&mut self, ret: TypeId, params: &[(&str, TypeId)]) -> TypeId {
        let tail = self.named(params.iter().map(|&(name, id)| (name, [id.0])));
        self.record("", Kind::FuncProto, params.len(), 0, ret.0, &tail)
    }

    /// A function; `linkage`: 0 static, 1 global, 2 extern.
    pub fn func(&mut self, name: &str, proto: TypeId, linkage: usize) -> TypeId {
        self.record(name, Kind::Func, linkage, 0, proto.0, &[])
    }

    /// A variable; `linkage`: 0 static, 1 global, 2 extern.
    pub fn var(&mut self, name: &str, type_id: TypeId, linkage: u32) -> TypeId {
        self.record(name, Kind::Var, 0, 0, type_id.0, &[linkage])
    }

    /// A section; variables are (type, offset, size).
    pub fn datasec(&mut self, name: &str, size: u32, vars: &[(TypeId, u32, u32)]) -> TypeId {
        let tail: Vec<u32> = vars.iter().flat_map(|&(id, offset, size)| [id.0, offset, size]).collect();
        self.record(name, Kind::Datasec, vars.len(), 0, size, &tail)
    }

    /// A tag on a declaration, or on the member or parameter with this number.
    pub fn decl_tag(&mut self, name: &str, type_id: TypeId, component: Option<u32>) -> TypeId {
        self.record(name, Kind::DeclTag, 0, 0, type_id.0, &[component.unwrap_or(u32::MAX)])
    }

    /// The blob.
    pub fn build(&self) -> Vec<u8> {
        let mut blob = vec![0x9f, 0xeb, 1, 0];
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        for word in [24, 0, types, types, strings] {
            blob.extend_from_slice(&word.to_le_bytes());
        }
        blob.extend_from_slice(&self.types);
        blob.extend_from_slice(&self.strings);
        blob
    }

    fn named<'n, const N: usize>(&mut self, elements: impl Iterator<Item = (&'n str, [u32; N])>) -> Vec<u32> {
        let mut words = Vec::new();
        for (name, rest) in elements {
            words.push(self.string(name));
            words.extend(rest);
        }
        words
    }
}
