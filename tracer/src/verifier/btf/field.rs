//! Where a member lies, by a dotted path: `field("file", "f_path.dentry")`.
//!
//! A path walks named members; anonymous structs and unions are searched as C does, and `name[3]` picks an element.
//! A path ends at a pointer: what it points to lies elsewhere.

use super::{Btf, Composite, Kind, MAX_DEPTH, Member, Type, TypeId};

/// Where a member lies, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldLocation {
    /// Of the bytes that hold the member, from the start of the outermost struct.
    pub offset_bytes: u32,
    /// Of the member's first bit, from the start of the outermost struct.
    pub bit_offset: u64,
    /// Of the member's type, in bytes (for a bitfield, of its declared type). 0 for a flexible array.
    pub size: u32,
    pub bitfield: Option<Bitfield>,
    /// The member's type, as declared.
    pub type_id: TypeId,
}

/// The part of the `size` bytes at `offset_bytes` that a bitfield occupies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bitfield {
    /// Of the lowest bit, from the least significant bit of the (little-endian) storage. It may not fit in `size`
    /// bytes when the struct is packed.
    pub shift: u32,
    /// Width in bits.
    pub bits: u32,
}

/// How many members one step of a path may look at; the kernel's largest struct has some hundreds.
const MAX_MEMBERS: usize = 1 << 18;

/// What is left for one step: without the second bound, members that contain themselves make 2^depth paths.
struct Budget {
    depth: usize,
    members: usize,
}

/// Where a walk along a path has got to.
#[derive(Clone, Copy)]
struct Cursor {
    type_id: TypeId,
    bit_offset: u64,
    bitfield_size: u8,
}

impl Btf {
    /// The location of the member at `path` in the struct (or union, or typedef of either) named `name`.
    pub fn field(&self, name: &str, path: &str) -> Option<FieldLocation> {
        [Kind::Struct, Kind::Union, Kind::Typedef]
            .into_iter()
            .flat_map(|kind| self.find_all(kind, name))
            .find_map(|id| self.field_of(id, path))
    }

    /// `field` for many at once, in one pass over the types and without building the name index.
    pub fn field_batch(&self, wanted: &[(&str, &str)]) -> Vec<Option<FieldLocation>> {
        let names: Vec<_> = wanted
            .iter()
            .flat_map(|(name, _)| [(Kind::Struct, *name), (Kind::Union, name), (Kind::Typedef, name)])
            .collect();
        let found = self.find_batch(&names);
        let fields = wanted.iter().zip(found.chunks_exact(3));
        fields.map(|((_, path), ids)| ids.iter().flatten().find_map(|&id| self.field_of(id, path))).collect()
    }

    /// The location of the member at `path` in a struct or union.
    pub fn field_of(&self, id: TypeId, path: &str) -> Option<FieldLocation> {
        let mut cursor = Cursor { type_id: id, bit_offset: 0, bitfield_size: 0 };
        for step in path.split('.') {
            let (name, mut indices) = step.split_at(step.find('[').unwrap_or(step.len()));
            let (Type::Struct(composite) | Type::Union(composite)) = self.resolved(cursor.type_id)? else {
                return None;
            };
            cursor = self.member_named(
                cursor,
                composite,
                name,
                &mut Budget { depth: MAX_DEPTH, members: MAX_MEMBERS },
            )?;
            while let Some((index, rest)) = indices.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                cursor = self.element(cursor, index.parse().ok()?)?;
                indices = rest;
            }
            if !indices.is_empty() {
                return None;
            }
        }
        self.location(cursor)
    }

    fn member_named(
        &self,
        base: Cursor,
        composite: Composite<'_>,
        name: &str,
        budget: &mut Budget,
    ) -> Option<Cursor> {
        if name.is_empty() {
            return None;
        }
        budget.depth = budget.depth.checked_sub(1)?;
        budget.members = budget.members.checked_sub(composite.member_count())?;
        let at = |member: &Member<'_>| Cursor {
            type_id: member.type_id,
            bit_offset: base.bit_offset + u64::from(member.bit_offset),
            bitfield_size: member.bitfield_size,
        };
        if let Some(member) = composite.members().find(|member| member.name == name) {
            return Some(at(&member));
        }
        let found = composite.members().filter(|member| member.name.is_empty()).find_map(|member| {
            let (Type::Struct(inner) | Type::Union(inner)) = self.resolved(member.type_id)? else {
                return None;
            };
            self.member_named(at(&member), inner, name, budget)
        });
        budget.depth += 1;
        found
    }

    fn element(&self, base: Cursor, index: u32) -> Option<Cursor> {
        let Type::Array(array) = self.resolved(base.type_id)? else {
            return None;
        };
        let size = self.size_of(array.element)?;
        // A flexible array has no count.
        if index >= array.count && array.count != 0 {
            return None;
        }
        let bits = u64::from(size).checked_mul(8)?.checked_mul(u64::from(index))?;
        Some(Cursor {
            type_id: array.element,
            bit_offset: base.bit_offset.checked_add(bits)?,
            bitfield_size: 0,
        })
    }

    fn location(&self, cursor: Cursor) -> Option<FieldLocation> {
        let resolved = self.resolve(cursor.type_id)?;
        let size = self.size_of(resolved)?;
        let (mut bit_offset, mut bits) = (cursor.bit_offset, u32::from(cursor.bitfield_size));
        if let (Some(Type::Int(int)), 0) = (self.get(resolved), bits) {
            // The encoding of bitfields before kind_flag (Linux 4.20).
            if u32::from(int.bits) != size.saturating_mul(8) || int.offset != 0 {
                bit_offset += u64::from(int.offset);
                bits = u32::from(int.bits);
            }
        }
        if bits == 0 {
            let offset_bytes = u32::try_from(bit_offset / 8).ok()?;
            return Some(FieldLocation {
                offset_bytes,
                bit_offset,
                size,
                bitfield: None,
                type_id: cursor.type_id,
            });
        }
        let storage_bits = u64::from(size.max(1)) * 8;
        let storage = bit_offset / storage_bits * storage_bits;
        Some(FieldLocation {
            offset_bytes: u32::try_from(storage / 8).ok()?,
            bit_offset,
            size,
            bitfield: Some(Bitfield { shift: (bit_offset - storage) as u32, bits }),
            type_id: cursor.type_id,
        })
    }
}
