//! Whether a struct's member lies inside of it, aligned as its type wants (`btf_*_check_member`).

use super::{is_regular_int, sized};
use crate::verifier::btf::{Btf, Composite, Int, Member, MemberFlags, Type};

const EXCEEDS: &str = "Member exceeds struct_size";

pub(super) fn check_member(
    btf: &Btf,
    composite: Composite<'_>,
    member: Member<'_>,
    flags: MemberFlags,
) -> Result<(), &'static str> {
    let size = sized(btf, member.type_id).ok_or("Invalid member")?;
    let (at, bits) = (u64::from(member.bit_offset), u64::from(member.bitfield_size));
    let room = u64::from(composite.size) * 8;
    match btf.resolved(member.type_id) {
        Some(Type::Int(int)) => integer(int, at, bits, room, flags),
        Some(Type::Enum(_) | Type::Enum64(_)) if flags == MemberFlags::WithBitfields => match bits {
            0 if at % 8 != 0 => Err("Member is not byte aligned"),
            33.. => Err("Invalid member bitfield_size"),
            _ if (at + if bits == 0 { 32 } else { bits }).div_ceil(8) * 8 > room => Err(EXCEEDS),
            _ => Ok(()),
        },
        _ if bits != 0 => Err("Invalid member bitfield_size"),
        Some(Type::Float { size, .. }) if at % (u64::from(size.clamp(1, 8)) * 8) != 0 => {
            Err("Member is not properly aligned")
        }
        _ if at % 8 != 0 => Err("Member is not byte aligned"),
        _ if at + u64::from(size) * 8 > room => Err(EXCEEDS),
        _ => Ok(()),
    }
}

fn integer(int: Int<'_>, at: u64, bits: u64, room: u64, flags: MemberFlags) -> Result<(), &'static str> {
    let (at, bits) = match flags {
        MemberFlags::Plain => (at + u64::from(int.offset), u64::from(int.bits)),
        MemberFlags::WithBitfields if !is_regular_int(int) => {
            return Err("Invalid member base type");
        }
        MemberFlags::WithBitfields if bits == 0 && !at.is_multiple_of(8) => {
            return Err("Invalid member offset");
        }
        MemberFlags::WithBitfields if bits > u64::from(int.bits) => {
            return Err("Invalid member bitfield_size");
        }
        MemberFlags::WithBitfields => (at, if bits == 0 { u64::from(int.bits) } else { bits }),
    };
    let copied = bits + at % 8;
    match () {
        () if copied > 128 => Err("nr_copy_bits exceeds 128"),
        () if at / 8 * 8 + copied.div_ceil(8) * 8 > room => Err(EXCEEDS),
        () => Ok(()),
    }
}
