//! Memory access through a pointer: each kind of pointer has its own bounds and rules.
//!
//! `check_mem_access()` and the functions it divides into (kernel/bpf/verifier.c).

use super::env::{Env, MAX_OFF};
use super::explore::Extend;
use super::feature::Feature;
use super::insn::{Class, mode};
use super::profile::Release;
use super::program::{MapType, ProgType, map_flags, prog_flags};
use super::reg::{Base, Data, Flags, Reg, Type};
use super::report::{Checked, Kind, Stop, Violation, reject};
use super::tnum::Tnum;

/// What an instruction does with memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Load {
        into: u8,
        extend: Extend,
    },
    Store {
        from: Option<u8>,
    },
    /// The reading half of an atomic; alignment is required.
    AtomicRead {
        into: Option<u8>,
    },
    /// The writing half.
    AtomicWrite,
    /// One byte written by a helper.
    HelperByte,
}

/// Why a range of the stack is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A load.
    Read,
    /// A store.
    Write,
    /// A helper that reads.
    Helper,
    /// A helper that writes.
    HelperWrite,
}

/// Reading or writing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dir {
    Read,
    Write,
}

/// When one instruction meets two kinds of pointers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// Always refused.
    Never,
    /// Allowed if only trust differs.
    TrustOnly,
}

/// Who accesses a map's value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// A load or store.
    Program,
    /// A helper.
    Helper,
}

/// May a pointer of a kind that wants no offset have a fixed one?
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fixed {
    Allowed,
    Refused,
}

/// Does zero count as a size?
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ZeroSize {
    Allowed,
    Refused,
}

pub(super) fn tnum_text(t: Tnum) -> String {
    if t.is_const() { format!("{}", t.value as i64) } else { format!("({:#x}; {:#x})", t.value, t.mask) }
}

impl Env<'_> {
    /// Check an access, and transfer it.
    pub(super) fn access(&mut self, r: u8, off: i64, size: u32, how: Access) -> Checked {
        let reg = *self.cur.reg(r);
        let dir = match how {
            Access::Load { .. } | Access::AtomicRead { .. } => Dir::Read,
            Access::Store { .. } | Access::AtomicWrite | Access::HelperByte => Dir::Write,
        };
        self.check_alignment(&reg, off, size, how)?;
        let off = off + reg.off as i64;
        let into = match how {
            Access::Load { into, .. } => Some(into),
            Access::AtomicRead { into } => into,
            _ => None,
        };
        let value = match how {
            Access::Store { from } => from,
            _ => None,
        };
        // What a load yields; `None` where the access itself set the register.
        let mut loaded = Some(Reg::UNKNOWN);
        match reg.ty.base {
            Base::MapKey if reg.ty.flags == Flags::NONE => {
                if dir == Dir::Write {
                    reject!(InvalidMemAccess, "write to change key R{r} not allowed");
                }
                let size_limit = self.reg_map(&reg)?.key_size;
                self.check_region(r, &reg, off, size as i64, size_limit, ZeroSize::Refused)?;
            }
            Base::MapValue if reg.ty.flags == Flags::NONE => {
                loaded = self.access_map_value(r, &reg, off, size, dir, into, value, how)?;
            }
            Base::Mem => {
                if reg.ty.may_be_null() {
                    reject!(NullDeref, "R{r} invalid mem access '{}'", self.type_text(reg.ty));
                }
                let rdonly = reg.ty.flags.any(Flags::RDONLY);
                if dir == Dir::Write && rdonly {
                    reject!(InvalidMemAccess, "R{r} cannot write into {}", self.type_text(reg.ty));
                }
                if !(rdonly && reg.ty.flags.any(Flags::UNTRUSTED)) {
                    self.check_region(r, &reg, off, size as i64, reg.mem_size(), ZeroSize::Refused)?;
                }
            }
            Base::Ctx if reg.ty.flags == Flags::NONE => {
                loaded = Some(self.access_ctx(r, &reg, off, size, dir, how)?);
            }
            Base::Stack => {
                let purpose = if dir == Dir::Read { Purpose::Read } else { Purpose::Write };
                let rel = off;
                let at = self.stack_bounds(r, &reg, rel, size as i64, purpose)?;
                match dir {
                    Dir::Read => {
                        self.stack_read(&reg, size, into, at, r)?;
                        loaded = None;
                    }
                    Dir::Write => self.stack_write(&reg, size, value, at)?,
                }
            }
            Base::Packet | Base::PacketMeta if reg.ty.flags == Flags::NONE => {
                if dir == Dir::Write && !self.may_access_packet(dir, None) {
                    reject!(PacketWrite, "cannot write into packet");
                }
                self.check_packet(r, &reg, off, size as i64, ZeroSize::Refused)?;
            }
            Base::FlowKeys => {
                let (o, ok) = if self.has(Feature::ConstOffsetInBits) {
                    (off + reg.v.t.value as i64, reg.v.t.is_const())
                } else {
                    (off, true)
                };
                const SIZE_OF_FLOW_KEYS: i64 = 56;
                if !ok || o < 0 || o + size as i64 > SIZE_OF_FLOW_KEYS {
                    reject!(OutOfBounds, "invalid access to flow keys off={o} size={size}");
                }
            }
            _ if reg.ty.is_sock() => {
                if dir == Dir::Write {
                    reject!(InvalidMemAccess, "R{r} cannot write into {}", self.type_text(reg.ty));
                }
                self.check_sock(r, &reg, off, size)?;
            }
            Base::TpBuffer => self.check_buffer(r, &reg, "tracepoint", off, size as i64)?,
            Base::BtfId if !reg.ty.may_be_null() => {
                loaded = self.access_btf(r, &reg, off, size, dir)?;
            }
            Base::ConstMap if reg.ty.flags == Flags::NONE => {
                loaded = self.access_map_pointer(r, &reg, off, size, dir)?;
            }
            Base::Buf if !reg.ty.may_be_null() => {
                let rdonly = reg.ty.flags.any(Flags::RDONLY);
                if dir == Dir::Write && rdonly {
                    reject!(InvalidMemAccess, "R{r} cannot write into {}", self.type_text(reg.ty));
                }
                self.check_buffer(r, &reg, if rdonly { "rdonly" } else { "rdwr" }, off, size as i64)?;
            }
            Base::Arena => {}
            _ if reg.ty.may_be_null() => {
                reject!(NullDeref, "R{r} invalid mem access '{}'", self.type_text(reg.ty))
            }
            _ => reject!(InvalidMemAccess, "R{r} invalid mem access '{}'", self.type_text(reg.ty)),
        }
        if let Some(dst) = into {
            if let Some(mut v) = loaded {
                if v.id == super::btf_access::NEW_ID {
                    v.id = self.next_id();
                }
                self.set_reg(dst, &v);
            }
            let d = self.d;
            let signed = matches!(how, Access::Load { extend: Extend::Sign, .. });
            let drops_id = self.has(Feature::ConstOffsetInBits);
            let reg = self.cur.reg_mut(dst);
            if size < 8 && reg.is_scalar() {
                if signed {
                    let kept = reg.v.umax < 1u64 << (size * 8 - 1);
                    reg.v.sign_extend(size);
                    if drops_id && !kept {
                        reg.clear_id();
                    }
                } else {
                    reg.v.truncate(size, d);
                }
            }
        }
        Ok(())
    }

    /// The map behind a register.
    pub(super) fn reg_map(&self, reg: &Reg) -> Checked<&super::program::Map> {
        match reg.map() {
            Some(id) => Ok(self.map(id)),
            None => Err(Stop::Unmodelled("internal: no map")),
        }
    }

    /// `off..off+size` within `limit`, for the smallest and the largest offset (`check_mem_region_access()`).
    pub(super) fn check_region(
        &self,
        r: u8,
        reg: &Reg,
        off: i64,
        size: i64,
        limit: u32,
        zero: ZeroSize,
    ) -> Checked {
        let smin = reg.v.smin;
        if smin < 0
            && (smin == i64::MIN
                || off.wrapping_add(smin) != off.wrapping_add(smin) as i32 as i64
                || smin + off < 0)
        {
            reject!(
                OutOfBounds,
                "R{r} min value is negative, either use unsigned index or do a if (index >=0) check."
            );
        }
        if !fits(smin.wrapping_add(off) as i32 as i64, size, limit, zero) {
            reject!(OutOfBounds, "R{r} min value is outside of the allowed memory range");
        }
        if reg.v.umax >= MAX_OFF as u64 {
            reject!(
                UnboundedAccess,
                "R{r} unbounded memory access, make sure to bounds check any such access"
            );
        }
        if !fits((reg.v.umax as i64).wrapping_add(off) as i32 as i64, size, limit, zero) {
            reject!(OutOfBounds, "R{r} max value is outside of the allowed memory range");
        }
        Ok(())
    }

    /// A map's flags allow reading or writing by programs.
    pub(super) fn check_map_direction(&self, reg: &Reg, off: i64, size: i64, dir: Dir) -> Checked {
        let map = self.reg_map(reg)?;
        if dir == Dir::Write && map.flags & map_flags::RDONLY_PROG != 0 {
            reject!(
                MapForbidden,
                "write into map forbidden, value_size={} off={off} size={size}",
                map.value_size
            );
        }
        if dir == Dir::Read && map.flags & map_flags::WRONLY_PROG != 0 {
            reject!(
                MapForbidden,
                "read from map forbidden, value_size={} off={off} size={size}",
                map.value_size
            );
        }
        Ok(())
    }

    /// In bounds, and clear of what only its own functions may touch (`check_map_access()`).
    pub(super) fn check_map_value(
        &self,
        r: u8,
        reg: &Reg,
        off: i64,
        size: i64,
        zero: ZeroSize,
        of: Of,
    ) -> Checked {
        let map = self.reg_map(reg)?;
        self.check_region(r, reg, off, size, map.value_size, zero)?;
        let Some(id) = reg.map() else { return Ok(()) };
        let record = self.map_record(id);
        for field in &record.fields {
            let p = field.offset as i64;
            let overlaps = reg.v.smin.wrapping_add(off) < p + field.size as i64
                && p < (reg.v.umax as i64).wrapping_add(off).wrapping_add(size);
            if !overlaps {
                continue;
            }
            if field.kind.is_kptr() {
                if of == Of::Helper {
                    reject!(MapFieldAccess, "kptr cannot be accessed indirectly by helper");
                }
                if !reg.v.t.is_const() {
                    reject!(MapFieldAccess, "kptr access cannot have variable offset");
                }
                let at = off + reg.v.t.value as i64;
                if p != at {
                    reject!(MapFieldAccess, "kptr access misaligned expected={p} off={at}");
                }
                if size != 8 {
                    reject!(MapFieldAccess, "kptr access size must be BPF_DW");
                }
            } else {
                reject!(MapFieldAccess, "{} cannot be accessed directly by load/store", field.kind.name());
            }
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one access")]
    fn access_map_value(
        &mut self,
        r: u8,
        reg: &Reg,
        off: i64,
        size: u32,
        dir: Dir,
        into: Option<u8>,
        value: Option<u8>,
        how: Access,
    ) -> Checked<Option<Reg>> {
        self.check_map_direction(reg, off, size as i64, dir)?;
        self.check_map_value(
            r,
            reg,
            off,
            size as i64,
            ZeroSize::Refused,
            if how == Access::HelperByte { Of::Helper } else { Of::Program },
        )?;
        let Some(id) = reg.map() else { return Ok(Some(Reg::UNKNOWN)) };
        let map = self.map(id);
        if reg.v.t.is_const() {
            let at = off + reg.v.t.value as i64;
            let kptr = self
                .map_record(id)
                .fields
                .iter()
                .find(|f| f.kind.is_kptr() && f.offset as i64 == at)
                .cloned();
            if let Some(field) = kptr {
                return self.access_kptr(&field, into, value, how).map(Some);
            }
            if map.kind == MapType::INSN_ARRAY {
                super::report::unmodelled!("instruction arrays");
            }
            if dir == Dir::Read
                && into.is_some()
                && map.kind == MapType::ARRAY
                && map.flags & map_flags::RDONLY_PROG != 0
                && let Some(bytes) = &map.frozen
                && let Some(slice) = bytes.get(at as usize..at as usize + size as usize)
            {
                let extend = if let Access::Load { extend, .. } = how { extend } else { Extend::Zero };
                return Ok(Some(Reg::known(read_constant(slice, extend))));
            }
        }
        Ok(Some(Reg::UNKNOWN))
    }

    /// Whether this program type may read or write packets directly (`may_access_direct_pkt_data()`).
    /// `helper_may`: for a helper's argument, whether that helper takes packet pointers.
    pub(super) fn may_access_packet(&self, dir: Dir, helper_may: Option<bool>) -> bool {
        match self.prog.kind {
            ProgType::LWT_IN
            | ProgType::LWT_OUT
            | ProgType::LWT_SEG6LOCAL
            | ProgType::SK_REUSEPORT
            | ProgType::FLOW_DISSECTOR
            | ProgType::CGROUP_SKB => dir == Dir::Read && helper_may.unwrap_or(true),
            ProgType::SCHED_CLS
            | ProgType::SCHED_ACT
            | ProgType::XDP
            | ProgType::LWT_XMIT
            | ProgType::SK_SKB
            | ProgType::SK_MSG => helper_may.unwrap_or(true),
            ProgType::CGROUP_SOCKOPT => true,
            _ => false,
        }
    }

    /// Within the part of the packet that comparisons proved to be there.
    pub(super) fn check_packet(&self, r: u8, reg: &Reg, off: i64, size: i64, zero: ZeroSize) -> Checked {
        if self.has(Feature::VarPacketAccess) {
            if reg.range() < 0 {
                reject!(PacketOutOfBounds, "R{r} offset is outside of the packet");
            }
            let checked = self.check_region(r, reg, off, size, reg.range() as u32, zero);
            return checked.map_err(|stop| match stop {
                Stop::Reject(violation) if violation.kind == Kind::OutOfBounds => {
                    Stop::Reject(Box::new(Violation { kind: Kind::PacketOutOfBounds, ..*violation }))
                }
                stop => stop,
            });
        }
        if reg.v.smin < 0 {
            reject!(
                OutOfBounds,
                "R{r} min value is negative, either use unsigned index or do a if (index >=0) check."
            );
        }
        if reg.range() < 0 || !fits(off, size, reg.range() as u32, zero) {
            reject!(PacketOutOfBounds, "R{r} offset is outside of the packet");
        }
        Ok(())
    }

    /// A buffer whose size is known only when it is there: any constant offset will do.
    pub(super) fn check_buffer(&self, r: u8, reg: &Reg, what: &str, off: i64, size: i64) -> Checked {
        if self.has(Feature::ConstOffsetInBits) {
            if !reg.v.t.is_const() {
                reject!(
                    OutOfBounds,
                    "R{r} invalid variable buffer offset: off={off}, var_off={}",
                    tnum_text(reg.v.t)
                );
            }
            let at = off + reg.v.t.value as i64;
            if at < 0 {
                reject!(OutOfBounds, "R{r} invalid {what} buffer access: off={at}, size={size}");
            }
            return Ok(());
        }
        if off < 0 {
            reject!(OutOfBounds, "R{r} invalid {what} buffer access: off={off}, size={size}");
        }
        if !reg.v.is(0) {
            reject!(
                OutOfBounds,
                "R{r} invalid variable buffer offset: off={off}, var_off={}",
                tnum_text(reg.v.t)
            );
        }
        Ok(())
    }

    fn check_sock(&self, r: u8, reg: &Reg, off: i64, size: u32) -> Checked {
        if reg.v.smin < 0 {
            reject!(
                OutOfBounds,
                "R{r} min value is negative, either use unsigned index or do a if (index >=0) check."
            );
        }
        let at = if self.has(Feature::ConstOffsetInBits) { off + reg.v.umax as i64 } else { off };
        let var = self.has(Feature::ConstOffsetInBits) && !reg.v.t.is_const();
        if var || !super::ctx::sock_access(reg.ty.base, at, size) {
            reject!(CtxAccess, "R{r} invalid {} access off={at} size={size}", self.type_text(reg.ty));
        }
        Ok(())
    }

    /// Accesses are aligned where the kernel wants it: on the stack and in atomics always.
    fn check_alignment(&self, reg: &Reg, off: i64, size: u32, how: Access) -> Checked {
        // Loads that acquire and stores that release are plain accesses but for this.
        let insn = self.insn();
        let ordered = insn.class() == Class::Stx && insn.mode() == mode::ATOMIC;
        let atomic = matches!(how, Access::AtomicRead { .. } | Access::AtomicWrite) || ordered;
        let strict = atomic || self.prog.flags & prog_flags::STRICT_ALIGNMENT != 0;
        if reg.ty.base == Base::Arena {
            return Ok(());
        }
        let (what, strict) = match reg.ty.base {
            Base::Packet | Base::PacketMeta => {
                const IP_ALIGN: i64 = 2;
                if strict && size > 1 {
                    let t = reg.v.t.add(Tnum::constant((IP_ALIGN + reg.off as i64 + off) as u64));
                    if !t.is_aligned(size as u64) {
                        reject!(
                            Misaligned,
                            "misaligned packet access off {IP_ALIGN}+{}+{}+{off} size {size}",
                            tnum_text(reg.v.t),
                            reg.off
                        );
                    }
                }
                return Ok(());
            }
            Base::FlowKeys => ("flow keys ", strict),
            Base::MapKey => ("key ", strict),
            Base::MapValue => ("value ", strict),
            Base::Ctx => ("context ", strict),
            Base::Stack => ("stack ", true),
            Base::Socket => ("sock ", strict),
            Base::SockCommon => ("sock_common ", strict),
            Base::TcpSock => ("tcp_sock ", strict),
            Base::XdpSock => ("xdp_sock ", strict),
            _ => ("", strict),
        };
        if strict && size > 1 {
            let t = reg.v.t.add(Tnum::constant((reg.off as i64 + off) as u64));
            if !t.is_aligned(size as u64) {
                reject!(
                    Misaligned,
                    "misaligned {what}access off {}+{}+{off} size {size}",
                    tnum_text(reg.v.t),
                    reg.off
                );
            }
        }
        Ok(())
    }

    /// The offset of a context pointer or the like is what its kind allows (`__check_ptr_off_reg()`).
    pub(super) fn check_fixed_offset(&self, reg: &Reg, r: u8, fixed: Fixed) -> Checked {
        let text = self.type_text(reg.ty);
        if self.has(Feature::ConstOffsetInBits) {
            let v = reg.v.t.value as i64;
            if !reg.v.t.is_const() {
                reject!(CtxOffset, "variable {text} access var_off={} disallowed", tnum_text(reg.v.t));
            }
            if reg.v.smin < 0 {
                reject!(CtxOffset, "negative offset {text} ptr R{r} off={v} disallowed");
            }
            if fixed == Fixed::Refused && v != 0 {
                reject!(CtxOffset, "dereference of modified {text} ptr R{r} off={v} disallowed");
            }
            return Ok(());
        }
        if reg.off < 0 {
            reject!(CtxOffset, "negative offset {text} ptr R{r} off={} disallowed", reg.off);
        }
        if fixed == Fixed::Refused && reg.off != 0 {
            reject!(CtxOffset, "dereference of modified {text} ptr R{r} off={} disallowed", reg.off);
        }
        if !reg.v.is(0) {
            reject!(CtxOffset, "variable {text} access var_off={} disallowed", tnum_text(reg.v.t));
        }
        Ok(())
    }

    fn access_ctx(&mut self, r: u8, reg: &Reg, off: i64, size: u32, dir: Dir, how: Access) -> Checked<Reg> {
        let at;
        if self.has(Feature::ConstOffsetInBits) {
            if self.prog.kind == ProgType::SYSCALL {
                self.check_region(r, reg, off, size as i64, u16::MAX as u32, ZeroSize::Refused)?;
                at = off + reg.v.umax as i64;
            } else {
                self.check_fixed_offset(
                    reg,
                    r,
                    if self.converts_ctx() { Fixed::Refused } else { Fixed::Allowed },
                )?;
                at = off + reg.v.umax as i64;
            }
        } else {
            self.check_fixed_offset(reg, r, Fixed::Refused)?;
            at = off;
        }
        let extend = match how {
            Access::Load { extend, .. } => extend,
            _ => Extend::Zero,
        };
        let result = self.ctx_access(at, size, dir, extend)?;
        let Some(mut value) = result else {
            reject!(CtxAccess, "invalid bpf_context access off={at} size={size}");
        };
        if value.ty.may_be_null() && dir == Dir::Read {
            value.id = self.next_id();
        }
        Ok(value)
    }

    /// One instruction rewrites to one kind of access: two kinds of pointers are refused (`save_aux_ptr_type()`).
    pub(super) fn remember_pointer_type(&mut self, ty: Type, allow: Mismatch) -> Checked {
        let pc = self.pc as usize;
        let Some(prev) = self.aux[pc].ptr_type else {
            self.aux[pc].ptr_type = Some(ty);
            return Ok(());
        };
        // Kinds that need no rewriting may mix.
        let plain = |t: Type| match t.base {
            Base::Ctx | Base::Socket | Base::SockCommon | Base::TcpSock | Base::XdpSock => false,
            Base::Arena => false,
            Base::BtfId => self.profile.release >= Release::new(7, 0) && t.flags.any(Flags::ALLOC),
            _ => true,
        };
        if prev != ty && !(plain(prev) && plain(ty)) {
            let trust = allow == Mismatch::TrustOnly
                && self.profile.release >= Release::new(6, 3)
                && ty.base == Base::BtfId
                && prev.base == Base::BtfId;
            if trust {
                self.aux[pc].ptr_type = Some(Type::new(Base::BtfId, Flags::UNTRUSTED));
                return Ok(());
            }
            reject!(InsnPointerTypes, "same insn cannot be used with different pointers");
        }
        Ok(())
    }
}

fn fits(off: i64, size: i64, limit: u32, zero: ZeroSize) -> bool {
    let size_ok = size > 0 || (size == 0 && zero == ZeroSize::Allowed);
    off >= 0 && size_ok && off + size <= limit as i64
}

/// What a load from known memory yields (`bpf_map_direct_read()`).
fn read_constant(bytes: &[u8], extend: Extend) -> u64 {
    let mut raw = [0u8; 8];
    raw[..bytes.len()].copy_from_slice(bytes);
    let v = u64::from_le_bytes(raw);
    if extend == Extend::Zero {
        return v;
    }
    let shift = 64 - 8 * bytes.len() as u32;
    (((v << shift) as i64) >> shift) as u64
}

/// Data that a register without a map carries.
pub(super) const NO_DATA: Data = Data::None;
