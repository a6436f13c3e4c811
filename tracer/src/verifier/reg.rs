//! What a register or a spilled register holds.
//!
//! Invariant: for a pointer the [`Value`] is the variable part of its offset and `off` the constant part (kernels
//! from 7.0 on keep both in the value; then `off` stays 0). For a scalar `off` is the distance to the register it is
//! linked with.

use super::btf::TypeId;
use super::value::Value;

/// The kinds of value (`enum bpf_reg_type` without its flags).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
/// The names are those of `enum bpf_reg_type`.
pub(super) enum Base {
    NotInit,
    Scalar,
    Ctx,
    ConstMap,
    MapValue,
    MapKey,
    Stack,
    PacketMeta,
    Packet,
    PacketEnd,
    FlowKeys,
    Socket,
    SockCommon,
    TcpSock,
    XdpSock,
    BtfId,
    Mem,
    Buf,
    TpBuffer,
    Func,
    Dynptr,
    Arena,
}

/// Flags on a kind of value (`enum bpf_type_flag`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Flags(pub u16);

/// The names are those of `enum bpf_type_flag`.
impl Flags {
    pub(super) const NONE: Self = Self(0);
    pub(super) const MAYBE_NULL: Self = Self(1);
    pub(super) const RDONLY: Self = Self(1 << 1);
    pub(super) const RINGBUF: Self = Self(1 << 2);
    pub(super) const USER: Self = Self(1 << 3);
    pub(super) const PERCPU: Self = Self(1 << 4);
    pub(super) const UNTRUSTED: Self = Self(1 << 5);
    pub(super) const ALLOC: Self = Self(1 << 6);
    pub(super) const TRUSTED: Self = Self(1 << 7);
    pub(super) const RCU: Self = Self(1 << 8);
    pub(super) const NON_OWN_REF: Self = Self(1 << 9);
    pub(super) const DYN_SLICE: Self = Self(1 << 10);

    /// Those of either.
    #[must_use]
    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those of `self` that are not in `other`.
    #[must_use]
    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// True if any flag of `other` is set.
    pub(super) const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A kind of value with its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Type {
    /// The kind.
    pub base: Base,
    /// The flags.
    pub flags: Flags,
}

impl Type {
    /// Without flags.
    pub(super) const fn plain(base: Base) -> Self {
        Self { base, flags: Flags::NONE }
    }

    /// With flags.
    pub(super) const fn new(base: Base, flags: Flags) -> Self {
        Self { base, flags }
    }

    /// True if just this kind, without flags.
    pub(super) fn is(self, base: Base) -> bool {
        self.base == base && self.flags == Flags::NONE
    }

    /// True if it may be null.
    pub(super) const fn may_be_null(self) -> bool {
        self.flags.any(Flags::MAYBE_NULL)
    }

    /// True for pointers into packets.
    pub(super) const fn is_packet(self) -> bool {
        matches!(self.base, Base::Packet | Base::PacketMeta)
    }

    /// True for pointers into packets and the one behind the end.
    pub(super) const fn is_packet_or_end(self) -> bool {
        matches!(self.base, Base::Packet | Base::PacketMeta | Base::PacketEnd)
    }

    /// True for pointers to the four socket kinds that are not BTF.
    pub(super) fn is_sock(self) -> bool {
        matches!(self.base, Base::Socket | Base::SockCommon | Base::TcpSock | Base::XdpSock)
            && self.flags == Flags::NONE
    }

    /// True if a register of this kind can be spilled with all that is known of it (`is_spillable_regtype()`).
    pub(super) const fn is_spillable(self) -> bool {
        !matches!(self.base, Base::NotInit | Base::Scalar | Base::TpBuffer | Base::Dynptr)
    }

    /// As the kernel's messages spell it (`reg_type_str()`).
    pub(super) fn text(self, scalar: &'static str) -> String {
        let name = match self.base {
            Base::NotInit => "?",
            Base::Scalar => scalar,
            Base::Ctx => "ctx",
            Base::ConstMap => "map_ptr",
            Base::MapValue => "map_value",
            Base::MapKey => "map_key",
            Base::Stack => "fp",
            Base::PacketMeta => "pkt_meta",
            Base::Packet => "pkt",
            Base::PacketEnd => "pkt_end",
            Base::FlowKeys => "flow_keys",
            Base::Socket => "sock",
            Base::SockCommon => "sock_common",
            Base::TcpSock => "tcp_sock",
            Base::XdpSock => "xdp_sock",
            Base::BtfId => "ptr_",
            Base::Mem => "mem",
            Base::Buf => "buf",
            Base::TpBuffer => "tp_buffer",
            Base::Func => "func",
            Base::Dynptr => "dynptr_ptr",
            Base::Arena => "arena",
        };
        let mut out = String::new();
        for (flag, prefix) in [
            (Flags::RDONLY, "rdonly_"),
            (Flags::RINGBUF, "ringbuf_"),
            (Flags::USER, "user_"),
            (Flags::PERCPU, "percpu_"),
            (Flags::UNTRUSTED, "untrusted_"),
            (Flags::TRUSTED, "trusted_"),
            (Flags::RCU, "rcu_"),
        ] {
            if self.flags.any(flag) {
                out.push_str(prefix);
            }
        }
        out.push_str(name);
        if self.may_be_null() {
            out.push_str(if self.base == Base::BtfId { "or_null_" } else { "_or_null" });
        }
        out
    }
}

/// Index of a map in the program's list, or an inner map's template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct MapId(pub u16);

/// Which BTF a type is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum BtfOf {
    /// The kernel's.
    Kernel,
    /// The program's own.
    Program,
}

/// What a dynptr points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
/// The names are those of `enum bpf_dynptr_type`.
pub(super) enum DynptrKind {
    Local,
    Ringbuf,
    Skb,
    Xdp,
}

/// Where an iterator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum IterState {
    /// It may give another element.
    Active,
    /// It gave its last.
    Drained,
}

/// What else a value carries, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// Nothing.
    None,
    /// Map pointers, values and keys. `uid` tells apart the maps found in a map of maps.
    Map { map: MapId, uid: u32 },
    /// Packet pointers: how many bytes from the pointer's base on are known to be there; below 0: at or behind the end.
    Range(i32),
    /// Memory of a known size.
    Size(u32),
    /// Memory of a dynptr.
    Slice { size: u32, dynptr: u32 },
    /// A BTF type.
    Btf { of: BtfOf, id: TypeId },
    /// A subprogram.
    Func(u32),
    /// A dynptr; `first` for the first of its two slots.
    Dynptr { kind: DynptrKind, first: bool },
    /// An iterator.
    Iter { id: TypeId, state: IterState, depth: u32 },
}

/// A packet pointer's range just at the packet's end.
pub(super) const AT_PKT_END: i32 = -1;
/// A packet pointer's range behind the packet's end.
pub(super) const BEYOND_PKT_END: i32 = -2;

/// What was read of a register, and whether it was written (`enum bpf_reg_liveness`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Live(pub u8);

impl Live {
    pub(super) const NONE: Self = Self(0);
    pub(super) const READ32: Self = Self(1);
    pub(super) const READ64: Self = Self(2);
    pub(super) const READ: Self = Self(3);
    pub(super) const WRITTEN: Self = Self(4);
    pub(super) const DONE: Self = Self(8);

    pub(super) const fn any(self, o: Self) -> bool {
        self.0 & o.0 != 0
    }

    pub(super) fn set(&mut self, o: Self) {
        self.0 |= o.0;
    }

    pub(super) const fn read(self) -> Self {
        Self(self.0 & Self::READ.0)
    }
}

/// Where a register of a kept state is: that state, the frame, and the register or stack slot. Reads are marked there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) state: u32,
    pub(super) frame: u8,
    /// 0 to 10: a register; from 16 on: a stack slot.
    pub(super) at: u8,
}

impl Link {
    pub(super) const NONE: Self = Self { state: u32::MAX, frame: 0, at: 0 };

    pub(super) const fn is_none(self) -> bool {
        self.state == u32::MAX
    }
}

/// A scalar's id carries one of these bits when the scalar is linked at a constant distance (`BPF_ADD_CONST`).
pub(super) const ADD_CONST: u32 = ADD_CONST64 | ADD_CONST32;
/// The distance was added at full width, or to the low half (`BPF_ADD_CONST64`, `BPF_ADD_CONST32`).
pub(super) const ADD_CONST64: u32 = 1 << 31;
/// See [`ADD_CONST64`].
pub(super) const ADD_CONST32: u32 = 1 << 30;

/// A register's or a spilled register's content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reg {
    /// Its kind.
    pub ty: Type,
    /// The constant part of its offset.
    pub off: i32,
    /// What else it carries.
    pub data: Data,
    /// The scalar, or the variable part of the offset.
    pub v: Value,
    /// Registers with one id other than 0 hold copies of one value.
    pub id: u32,
    /// The reference that it holds or derives from; 0 for none.
    pub ref_id: u32,
    /// For a stack pointer: whose stack.
    pub frame: u8,
    /// True if a verdict depended on this scalar's exact range.
    pub precise: bool,
    pub(super) live: Live,
    pub(super) link: Link,
}

impl Reg {
    /// Never written.
    pub(super) const NOT_INIT: Self = Self {
        ty: Type::plain(Base::NotInit),
        off: 0,
        data: Data::None,
        v: Value::UNKNOWN,
        id: 0,
        ref_id: 0,
        frame: 0,
        precise: false,
        live: Live::NONE,
        link: Link::NONE,
    };

    /// Any number.
    pub(super) const UNKNOWN: Self = Self { ty: Type::plain(Base::Scalar), ..Self::NOT_INIT };

    /// A known number.
    pub(super) const fn known(v: u64) -> Self {
        Self { v: Value::known(v), ..Self::UNKNOWN }
    }

    /// A pointer to the start of something.
    pub(super) const fn pointer(ty: Type, data: Data) -> Self {
        Self { ty, data, v: Value::known(0), ..Self::NOT_INIT }
    }

    /// Take over another's content; what is known of reads and writes stays (`copy_register_state()`).
    pub(super) fn assign(&mut self, from: &Self) {
        let (live, link) = (self.live, self.link);
        *self = *from;
        self.live = live;
        self.link = link;
    }

    /// Take over another's content: this is a write.
    pub(super) fn write(&mut self, from: &Self) {
        self.assign(from);
        self.live.set(Live::WRITTEN);
    }

    /// True for numbers.
    pub(super) fn is_scalar(&self) -> bool {
        self.ty.base == Base::Scalar
    }

    /// True for the number 0.
    pub(super) fn is_null(&self) -> bool {
        self.is_scalar() && self.v.is(0)
    }

    /// True if kind, offset, data, bits and ranges are equal: all but ids and marks.
    pub(super) fn same_value(&self, o: &Self) -> bool {
        self.ty == o.ty && self.off == o.off && self.data == o.data && self.v == o.v
    }

    /// True if kind, offset and data are equal.
    pub(super) fn same_shape(&self, o: &Self) -> bool {
        self.ty == o.ty && self.off == o.off && self.data == o.data
    }

    /// Drop the link to other scalars.
    pub(super) fn clear_id(&mut self) {
        self.id = 0;
        self.off = 0;
    }

    /// The map of a map pointer, value or key.
    pub(super) fn map(&self) -> Option<MapId> {
        match self.data {
            Data::Map { map, .. } => Some(map),
            _ => None,
        }
    }

    /// A packet pointer's range.
    pub(super) fn range(&self) -> i32 {
        match self.data {
            Data::Range(r) => r,
            _ => 0,
        }
    }

    /// The size of a memory region.
    pub(super) fn mem_size(&self) -> u32 {
        match self.data {
            Data::Size(s) => s,
            Data::Slice { size, .. } => size,
            _ => 0,
        }
    }
}
