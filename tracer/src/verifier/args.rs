//! Helper arguments: each against its prototype.
//!
//! `check_func_arg()`, `check_reg_type()`, `check_helper_mem_access()` and what they call (kernel/bpf/verifier.c).

use super::btf::TypeId;
use super::btf_access::Match;
use super::env::{Env, MAX_SIZE};
use super::feature::Feature;
use super::helper::{Arg, ArgKind, Proto, flag, id, name as helper_name};
use super::memory::{Dir, Fixed, Of, Purpose, ZeroSize};
use super::profile::Release;
use super::program::{MapType, ProgType};
use super::reg::{Base, BtfOf, Data, Flags, MapId, Reg, Type};
use super::report::{Checked, reject, unmodelled};

/// What the arguments of one call say together.
#[derive(Clone, Copy, Default)]
pub(super) struct Call {
    pub func: u32,
    pub map: Option<(MapId, u32)>,
    /// Memory that the helper fills: the register and the number of bytes on the stack.
    pub fills: Option<(u8, u32)>,
    pub raw: bool,
    pub packets_ok: bool,
    pub ref_id: u32,
    pub release: Option<u8>,
    pub mem_size: u32,
    pub size_max: u64,
    pub subprog: Option<u32>,
    pub ret_btf: Option<(BtfOf, TypeId)>,
    pub dynptr_id: u32,
    /// The field that bpf_kptr_xchg() exchanges.
    pub kptr: Option<super::record::SpecialField>,
}

const fn t(base: Base) -> Type {
    Type::plain(base)
}

const fn tf(base: Base, flags: Flags) -> Type {
    Type::new(base, flags)
}

const ALLOC: Flags = Flags::ALLOC;
const RING_MEM: Type = tf(Base::Mem, Flags::RINGBUF);

/// Which kinds of registers do for which kind of argument (`compatible_reg_types[]`), by kernel.
fn compatible(kind: ArgKind, release: Release) -> &'static [Type] {
    const MAP_KEY_VALUE_510: &[Type] =
        &[t(Base::Stack), t(Base::Packet), t(Base::PacketMeta), t(Base::MapValue)];
    // "bpf: Allow ringbuf memory to be used as map key"
    const MAP_KEY_VALUE_62: &[Type] =
        &[t(Base::Stack), t(Base::Packet), t(Base::PacketMeta), t(Base::MapKey), t(Base::MapValue), RING_MEM];
    const MEM_510: &[Type] = &[
        t(Base::Stack),
        t(Base::Packet),
        t(Base::PacketMeta),
        t(Base::MapValue),
        t(Base::Mem),
        tf(Base::Buf, Flags::RDONLY),
        t(Base::Buf),
    ];
    const MEM_61: &[Type] = &[
        t(Base::Stack),
        t(Base::Packet),
        t(Base::PacketMeta),
        t(Base::MapKey),
        t(Base::MapValue),
        t(Base::Mem),
        RING_MEM,
        t(Base::Buf),
    ];
    const MEM_612: &[Type] = &[
        t(Base::Stack),
        t(Base::Packet),
        t(Base::PacketMeta),
        t(Base::MapKey),
        t(Base::MapValue),
        t(Base::Mem),
        RING_MEM,
        t(Base::Buf),
        tf(Base::BtfId, Flags::TRUSTED),
    ];
    const SOCK: &[Type] = &[t(Base::SockCommon), t(Base::Socket), t(Base::TcpSock), t(Base::XdpSock)];
    const SOCK_BTF_61: &[Type] =
        &[t(Base::SockCommon), t(Base::Socket), t(Base::TcpSock), t(Base::XdpSock), t(Base::BtfId)];
    const SOCK_BTF_612: &[Type] = &[
        t(Base::SockCommon),
        t(Base::Socket),
        t(Base::TcpSock),
        t(Base::XdpSock),
        t(Base::BtfId),
        tf(Base::BtfId, Flags::TRUSTED),
    ];
    const BTF_61: &[Type] = &[t(Base::BtfId)];
    const BTF_612: &[Type] = &[t(Base::BtfId), tf(Base::BtfId, Flags::TRUSTED), tf(Base::BtfId, Flags::RCU)];
    const INT_PTR: &[Type] =
        &[t(Base::Stack), t(Base::Packet), t(Base::PacketMeta), t(Base::MapKey), t(Base::MapValue)];
    const SPIN_LOCK: &[Type] = &[t(Base::MapValue), tf(Base::BtfId, ALLOC)];
    const MAP_VALUE_BTF: &[Type] = &[t(Base::MapValue)];
    const PERCPU_61: &[Type] = &[tf(Base::BtfId, Flags::PERCPU)];
    const PERCPU_612: &[Type] = &[
        tf(Base::BtfId, Flags::PERCPU),
        tf(Base::BtfId, Flags(Flags::PERCPU.0 | Flags::RCU.0)),
        tf(Base::BtfId, Flags(Flags::PERCPU.0 | Flags::TRUSTED.0)),
    ];
    const DYNPTR: &[Type] = &[t(Base::Stack), t(Base::Dynptr)];
    let (mid, late) = (release >= Release::new(5, 13), release >= Release::new(6, 2));
    match kind {
        ArgKind::MapKey | ArgKind::MapValue if release >= Release::new(6, 9) => MEM_MAP_612,
        ArgKind::MapKey | ArgKind::MapValue => {
            if late {
                MAP_KEY_VALUE_62
            } else if mid {
                INT_PTR
            } else {
                MAP_KEY_VALUE_510
            }
        }
        ArgKind::Mem => {
            if late {
                MEM_612
            } else if mid {
                MEM_61
            } else {
                MEM_510
            }
        }
        ArgKind::ConstSize | ArgKind::ConstSizeOrZero | ArgKind::AllocSize => const { &[t(Base::Scalar)] },
        ArgKind::ConstMap => const { &[t(Base::ConstMap)] },
        ArgKind::Ctx => const { &[t(Base::Ctx)] },
        ArgKind::SockCommon => SOCK,
        ArgKind::BtfIdSockCommon => {
            if late {
                SOCK_BTF_612
            } else {
                SOCK_BTF_61
            }
        }
        ArgKind::Socket => const { &[t(Base::Socket)] },
        ArgKind::BtfId => {
            if late {
                BTF_612
            } else {
                BTF_61
            }
        }
        ArgKind::SpinLock => {
            if late {
                SPIN_LOCK
            } else {
                MAP_VALUE_BTF
            }
        }
        ArgKind::RingbufMem => {
            if mid {
                const { &[RING_MEM] }
            } else {
                const { &[t(Base::Mem)] }
            }
        }
        ArgKind::IntPtr | ArgKind::LongPtr => INT_PTR,
        ArgKind::PercpuBtfId => {
            if late {
                PERCPU_612
            } else {
                PERCPU_61
            }
        }
        ArgKind::Func => const { &[t(Base::Func)] },
        ArgKind::Stack => const { &[t(Base::Stack)] },
        ArgKind::ConstStr | ArgKind::Timer => MAP_VALUE_BTF,
        ArgKind::KptrXchg => {
            if release >= Release::new(6, 12) {
                SPIN_LOCK
            } else {
                MAP_VALUE_BTF
            }
        }
        ArgKind::Dynptr => DYNPTR,
        ArgKind::Anything => &[],
    }
}

const MEM_MAP_612: &[Type] = &[
    t(Base::Stack),
    t(Base::Packet),
    t(Base::PacketMeta),
    t(Base::MapKey),
    t(Base::MapValue),
    t(Base::Mem),
    RING_MEM,
    t(Base::Buf),
    tf(Base::BtfId, Flags::TRUSTED),
];

impl Env<'_> {
    /// One argument.
    pub(super) fn check_arg(&mut self, n: usize, proto: &Proto, call: &mut Call) -> Checked {
        let arg = proto.args[n];
        let r = 1 + n as u8;
        self.read_reg(r)?;
        let reg = *self.cur.reg(r);
        if arg.kind == ArgKind::Anything {
            return Ok(());
        }
        if reg.ty.is_packet() && !self.may_access_packet(Dir::Read, Some(call.packets_ok)) {
            reject!(PacketWrite, "helper access to the packet is not allowed");
        }
        let mut arg = arg;
        if arg.kind == ArgKind::MapValue {
            self.resolve_map_value_arg(&mut arg, call)?;
        }
        let nullable = arg.flags & flag::NULLABLE != 0;
        if !(reg.is_null() && nullable) {
            self.check_arg_type(r, &reg, arg, call)?;
            self.check_arg_offset(r, &reg, arg)?;
        }
        let releases = self.arg_releases(arg, call.func);
        if releases {
            if arg.kind == ArgKind::Dynptr {
                if reg.ty.is(Base::Stack) {
                    if self.dynptr_ref(&reg) == 0 {
                        reject!(Reference, "arg {r} is an unacquired reference");
                    }
                } else {
                    reject!(Reference, "cannot release unowned const bpf_dynptr");
                }
            } else if self.has(Feature::RingbufByFlag) && reg.ref_id == 0 && !reg.is_null() {
                reject!(Reference, "R{r} must be referenced when passed to release function");
            }
            call.release = Some(r);
        }
        if reg.ref_id != 0 && arg.kind != ArgKind::KptrXchg {
            let many = self.has(Feature::ManyRefArgs);
            if call.ref_id != 0 && !many {
                reject!(
                    Misconfigured,
                    "verifier internal error: more than one arg with ref_obj_id R{r} {} {}",
                    reg.ref_id,
                    call.ref_id
                );
            }
            if call.ref_id == 0 || releases || !many {
                call.ref_id = reg.ref_id;
            }
        }
        self.check_arg_value(n, &reg, arg, proto, call)
    }

    fn arg_releases(&self, arg: Arg, func: u32) -> bool {
        arg.flags & flag::RELEASE != 0
            || (!self.has(Feature::RingbufByFlag)
                && match func {
                    id::SK_RELEASE => true,
                    id::RINGBUF_SUBMIT | id::RINGBUF_DISCARD => arg.kind == ArgKind::RingbufMem,
                    _ => false,
                })
    }

    fn check_arg_value(&mut self, n: usize, reg: &Reg, arg: Arg, proto: &Proto, call: &mut Call) -> Checked {
        let r = 1 + n as u8;
        let writes = if self.has(Feature::HelperAccessByFlag) {
            arg.flags & flag::WRITE != 0
        } else {
            arg.flags & flag::UNINIT != 0
        };
        let dir = if writes { Dir::Write } else { Dir::Read };
        match arg.kind {
            ArgKind::ConstMap => {
                let Data::Map { map, uid } = reg.data else { return Ok(()) };
                if let Some((m, u)) = call.map
                    && (m, u) != (map, uid)
                {
                    reject!(
                        MapIncompatible,
                        "timer pointer in R1 map_uid={u} doesn't match map pointer in R2 map_uid={uid}"
                    );
                }
                call.map = Some((map, uid));
            }
            ArgKind::MapKey => {
                let Some((map, _)) = call.map else {
                    reject!(Misconfigured, "invalid map_ptr to access map->key")
                };
                let size = self.map(map).key_size;
                self.helper_memory(r, size as i64, Dir::Read, ZeroSize::Refused, None)?;
            }
            ArgKind::MapValue => {
                if arg.flags & flag::NULLABLE != 0 && reg.is_null() {
                    return Ok(());
                }
                let Some((map, _)) = call.map else {
                    reject!(Misconfigured, "invalid map_ptr to access map->value")
                };
                call.raw = arg.flags & flag::UNINIT != 0;
                let size = self.map(map).value_size;
                self.helper_memory(r, size as i64, dir, ZeroSize::Refused, Some(call))?;
            }
            ArgKind::PercpuBtfId => {
                let Data::Btf { of, id } = reg.data else {
                    reject!(ArgType, "Helper has invalid btf_id in R{r}")
                };
                call.ret_btf = Some((of, id));
            }
            ArgKind::SpinLock => self.spin_lock_arg(r, reg, call.func)?,
            ArgKind::Timer => self.timer_arg(r, reg, call)?,
            ArgKind::Func => {
                if let Data::Func(sub) = reg.data {
                    call.subprog = Some(sub);
                }
            }
            ArgKind::Mem => {
                call.raw = arg.flags & flag::UNINIT != 0;
                if arg.flags & flag::FIXED != 0 {
                    self.helper_memory(r, arg.size as i64, dir, ZeroSize::Refused, Some(call))?;
                    if arg.flags & flag::ALIGNED != 0 {
                        self.check_arg_alignment(reg, arg.size)?;
                    }
                }
            }
            ArgKind::ConstSize | ArgKind::ConstSizeOrZero => {
                let zero =
                    if arg.kind == ArgKind::ConstSizeOrZero { ZeroSize::Allowed } else { ZeroSize::Refused };
                let before = proto.args[n - 1];
                let writes = if self.has(Feature::HelperAccessByFlag) {
                    before.flags & flag::WRITE != 0
                } else {
                    before.flags & flag::UNINIT != 0
                };
                let dir = if writes { Dir::Write } else { Dir::Read };
                self.size_arg(r, reg, dir, zero, call)?;
            }
            ArgKind::Dynptr => self.dynptr_arg(r, reg, arg)?,
            ArgKind::AllocSize => {
                if !reg.v.t.is_const() {
                    reject!(ArgConst, "R{r} is not a known constant'");
                }
                call.mem_size = reg.v.t.value as u32;
                if self.profile.release >= Release::new(5, 16) {
                    self.mark_precise(r)?;
                }
            }
            ArgKind::IntPtr | ArgKind::LongPtr => {
                let size = if arg.kind == ArgKind::IntPtr { 4 } else { 8 };
                self.helper_memory(r, size, Dir::Read, ZeroSize::Refused, Some(call))?;
                self.check_arg_alignment(reg, size as u32)?;
            }
            ArgKind::ConstStr => self.const_str_arg(r, reg)?,
            ArgKind::KptrXchg => self.kptr_arg(r, reg, call)?,
            _ => {}
        }
        Ok(())
    }

    fn check_arg_alignment(&self, reg: &Reg, size: u32) -> Checked {
        let at = reg.v.t.add(super::tnum::Tnum::constant(reg.off as i64 as u64));
        if !at.is_aligned(size as u64) {
            reject!(
                Misaligned,
                "misaligned {}access off {}+{}+0 size {size}",
                if reg.ty.is(Base::Stack) {
                    "stack "
                } else if reg.ty.is(Base::MapValue) {
                    "value "
                } else {
                    ""
                },
                super::memory::tnum_text(reg.v.t),
                reg.off
            );
        }
        Ok(())
    }

    fn resolve_map_value_arg(&self, arg: &mut Arg, call: &Call) -> Checked {
        let Some((map, _)) = call.map else {
            reject!(Misconfigured, "invalid map_ptr to access map->type");
        };
        if matches!(self.map(map).kind, MapType::SOCKMAP | MapType::SOCKHASH) {
            if arg.flags == 0 {
                arg.kind = ArgKind::BtfIdSockCommon;
                return Ok(());
            }
            // Before flags the argument had to be exactly the plain kind.
            reject!(ArgType, "invalid arg_type for sockmap/sockhash");
        }
        if self.map(map).kind == MapType::BLOOM_FILTER && call.func == id::MAP_PEEK_ELEM {
            arg.flags = 0;
        }
        Ok(())
    }

    /// The register's kind is one of those the argument takes.
    fn check_arg_type(&self, r: u8, reg: &Reg, arg: Arg, call: &Call) -> Checked {
        let list = compatible(arg.kind, self.profile.release);
        let mut ty = reg.ty;
        let by_flags = self.has(Feature::NullableAsFlag);
        if by_flags && arg.flags & flag::RDONLY != 0 {
            ty.flags = ty.flags.without(Flags::RDONLY);
        }
        if arg.flags & flag::NULLABLE != 0 && (by_flags || matches!(arg.kind, ArgKind::Ctx | ArgKind::Stack))
        {
            ty.flags = ty.flags.without(Flags::MAYBE_NULL);
        }
        if arg.kind == ArgKind::Mem {
            ty.flags = ty.flags.without(Flags::DYN_SLICE);
            // Memory from a ring buffer counts as memory where 5.10 had no flag for it.
            if !by_flags {
                ty.flags = ty.flags.without(Flags::RINGBUF);
            }
        }
        if arg.kind == ArgKind::RingbufMem && !by_flags {
            ty.flags = ty.flags.without(Flags::RINGBUF);
        }
        if call.func == id::KPTR_XCHG && r == 2 && ty.flags.any(Flags::ALLOC) {
            ty.flags = ty.flags.without(Flags(Flags::ALLOC.0 | Flags::PERCPU.0));
        }
        if !list.contains(&ty) {
            let expected: Vec<String> = list.iter().map(|x| self.type_text(*x)).collect();
            reject!(ArgType, "R{r} type={} expected={}", self.type_text(reg.ty), expected.join(", "));
        }
        if reg.ty.base != Base::BtfId {
            return Ok(());
        }
        if arg.kind == ArgKind::Mem {
            if arg.flags & flag::RDONLY == 0 {
                reject!(
                    ArgType,
                    "{}() may write into memory pointed by R{r} type={}",
                    helper_name(call.func),
                    self.type_text(reg.ty)
                );
            }
            return Ok(());
        }
        self.check_arg_struct(r, reg, arg, call)
    }

    fn check_arg_struct(&self, r: u8, reg: &Reg, arg: Arg, call: &Call) -> Checked {
        let flags = reg.ty.flags;
        if flags.any(Flags(Flags::PERCPU.0)) && !flags.any(Flags::ALLOC) {
            return Ok(());
        }
        if flags.any(Flags::ALLOC) {
            let whole = matches!(flags.without(Flags::PERCPU), Flags::ALLOC);
            if !whole || !matches!(call.func, id::SPIN_LOCK | id::SPIN_UNLOCK | id::KPTR_XCHG) {
                reject!(Misconfigured, "verifier internal error: unimplemented handling of MEM_ALLOC");
            }
            if call.func == id::KPTR_XCHG && r == 2 {
                return self.exchange_matches(r, reg, call);
            }
            return Ok(());
        }
        if flags.any(Flags::MAYBE_NULL)
            && (arg.flags & flag::NULLABLE == 0 || arg.flags & flag::RELEASE != 0)
            && self.has(Feature::TrustedPointers)
        {
            reject!(ArgNull, "Possibly NULL pointer passed to helper arg{r}");
        }
        let wanted = match arg.kind {
            ArgKind::BtfIdSockCommon => "sock_common",
            _ if call.func == id::KPTR_XCHG => return self.exchange_matches(r, reg, call),
            _ => arg.btf,
        };
        let Data::Btf { of, id } = reg.data else { unmodelled!("internal: BTF pointer without type") };
        let Some(need) = self.profile.kernel_struct(wanted) else {
            unmodelled!("helper's struct not in BTF")
        };
        let strict = arg.flags & flag::RELEASE != 0
            && call.func != id::SK_RELEASE
            && self.has(Feature::TrustedPointers);
        let off =
            reg.off as i64 + if self.has(Feature::ConstOffsetInBits) { reg.v.t.value as i64 } else { 0 };
        let how = if strict { Match::Strict } else { Match::Prefix };
        if !self.struct_matches((of, id), off, (BtfOf::Kernel, need), how) {
            let have = self.btf_of(of)?.name(id).to_owned();
            reject!(ArgType, "R{r} is of type {have} but {wanted} is expected");
        }
        Ok(())
    }

    /// The register's offset is one the argument takes (`check_func_arg_reg_off()`).
    pub(super) fn check_arg_offset(&self, r: u8, reg: &Reg, arg: Arg) -> Checked {
        let late = self.has(Feature::RingbufByFlag);
        if arg.flags & flag::RELEASE != 0 && late {
            if arg.kind == ArgKind::Dynptr && reg.ty.is(Base::Stack) {
                return Ok(());
            }
            let in_bits = self.has(Feature::ConstOffsetInBits) && !reg.v.is(0);
            if (reg.off != 0 || in_bits) && self.profile.release >= Release::new(6, 4) {
                reject!(
                    Reference,
                    "R{r} must have zero offset when passed to release func or trusted arg to kfunc"
                );
            }
            return self.check_fixed_offset(reg, r, Fixed::Refused);
        }
        if self.profile.release < Release::new(5, 14) && !matches!(reg.ty.base, Base::Ctx | Base::BtfId) {
            return Ok(());
        }
        match reg.ty.base {
            Base::Stack
            | Base::Packet
            | Base::PacketMeta
            | Base::MapKey
            | Base::MapValue
            | Base::Scalar
            | Base::Arena => {
                if reg.ty.may_be_null() {
                    self.check_fixed_offset(reg, r, Fixed::Refused)
                } else {
                    Ok(())
                }
            }
            Base::Mem | Base::Buf => {
                let plain = reg.ty.flags.without(Flags(Flags::RDONLY.0 | Flags::RINGBUF.0)) == Flags::NONE;
                // A ring buffer's record may be passed at an offset, but not given back so.
                if arg.kind == ArgKind::RingbufMem && !late && (reg.off != 0 || !reg.v.is(0)) {
                    return self.check_fixed_offset(reg, r, Fixed::Refused);
                }
                if plain { Ok(()) } else { self.check_fixed_offset(reg, r, Fixed::Refused) }
            }
            Base::BtfId => {
                let unsure =
                    reg.ty.flags.any(Flags(Flags::MAYBE_NULL.0 | Flags::PERCPU.0 | Flags::UNTRUSTED.0));
                let loose = if unsure { Fixed::Refused } else { Fixed::Allowed };
                self.check_fixed_offset(reg, r, loose)
            }
            _ => self.check_fixed_offset(reg, r, Fixed::Refused),
        }
    }

    /// `size` bytes at the register may be read or written by the helper (`check_helper_mem_access()`).
    pub(super) fn helper_memory(
        &mut self,
        r: u8,
        size: i64,
        dir: Dir,
        zero: ZeroSize,
        call: Option<&mut Call>,
    ) -> Checked {
        let reg = *self.cur.reg(r);
        let off = reg.off as i64;
        let old = !self.has(Feature::HelperAccessByFlag);
        match reg.ty.base {
            Base::Packet | Base::PacketMeta => self.check_packet(r, &reg, off, size, zero),
            Base::MapKey => {
                if dir == Dir::Write && self.profile.release >= Release::new(6, 1) {
                    reject!(InvalidMemAccess, "R{r} cannot write into {}", self.type_text(reg.ty));
                }
                let limit = self.reg_map(&reg)?.key_size;
                self.check_region(r, &reg, off, size, limit, if old { zero } else { ZeroSize::Refused })
            }
            Base::MapValue if !reg.ty.may_be_null() => {
                self.check_map_direction(&reg, off, size, dir)?;
                self.check_map_value(r, &reg, off, size, zero, Of::Helper)
            }
            Base::Mem if !reg.ty.may_be_null() => {
                if reg.ty.flags.any(Flags::RDONLY) && dir == Dir::Write {
                    reject!(InvalidMemAccess, "R{r} cannot write into {}", self.type_text(reg.ty));
                }
                self.check_region(r, &reg, off, size, reg.mem_size(), zero)
            }
            Base::Buf if !reg.ty.may_be_null() => {
                let rdonly = reg.ty.flags.any(Flags::RDONLY);
                if rdonly && dir == Dir::Write {
                    reject!(InvalidMemAccess, "R{r} cannot write into {}", self.type_text(reg.ty));
                }
                self.check_buffer(r, &reg, if rdonly { "rdonly" } else { "rdwr" }, off, size)
            }
            Base::Stack => self.helper_stack(r, &reg, off, size, dir, zero, call),
            Base::BtfId if self.has(Feature::TrustedPointers) && !reg.ty.may_be_null() => {
                self.access_btf(r, &reg, off, size as u32, Dir::Read).map(|_| ())
            }
            Base::Ctx if !self.converts_ctx() && self.profile.release >= Release::new(5, 14) => {
                if size == 0 {
                    if zero == ZeroSize::Allowed {
                        return Ok(());
                    }
                    reject!(ArgSize, "");
                }
                match self.ctx_access(size - 1 + off, 1, dir, super::explore::Extend::Zero)? {
                    Some(_) => Ok(()),
                    None => reject!(CtxAccess, "invalid bpf_context access off={} size=1", size - 1),
                }
            }
            _ => {
                if zero == ZeroSize::Allowed && size == 0 && reg.is_null() {
                    return Ok(());
                }
                reject!(ArgType, "R{r} type={} expected=fp", self.type_text(reg.ty));
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one access")]
    fn helper_stack(
        &mut self,
        r: u8,
        reg: &Reg,
        off: i64,
        size: i64,
        dir: Dir,
        zero: ZeroSize,
        call: Option<&mut Call>,
    ) -> Checked {
        if size == 0 && zero == ZeroSize::Refused {
            reject!(ArgSize, "invalid zero-sized read");
        }
        let purpose = if dir == Dir::Write { Purpose::HelperWrite } else { Purpose::Helper };
        let at = self.stack_bounds(r, reg, off, size, purpose)?;
        if let Some(call) = call
            && call.raw
            && reg.v.t.is_const()
        {
            let frame = &self.cur.frames[reg.frame as usize];
            for o in at.min..at.max + size {
                let slot = super::state::Slot::of(o);
                if frame
                    .stack
                    .get(slot.0)
                    .is_some_and(|s| s.bytes[super::state::byte_in_slot(o)] == super::state::Byte::Dynptr)
                {
                    reject!(Dynptr, "potential write to dynptr at off={o} disallowed");
                }
            }
            call.fills = Some((r, size as u32));
            return Ok(());
        }
        self.stack_range_readable(r, reg, at, size, purpose)
    }

    /// A size for the memory in the argument before (`check_mem_size_reg()`).
    pub(super) fn size_arg(
        &mut self,
        r: u8,
        reg: &Reg,
        dir: Dir,
        zero: ZeroSize,
        call: &mut Call,
    ) -> Checked {
        call.size_max = reg.v.umax;
        let mut none = Call { raw: false, ..*call };
        let constant = reg.v.t.is_const();
        // Without the flag the direction is that of `raw`, which an unknown size drops.
        let dir = if constant || self.has(Feature::HelperAccessByFlag) { dir } else { Dir::Read };
        if reg.v.smin < 0 {
            reject!(ArgSize, "R{r} min value is negative, either use unsigned or 'var &= const'");
        }
        if reg.v.umin == 0 {
            if self.profile.release >= Release::new(6, 8) {
                if zero == ZeroSize::Refused {
                    reject!(
                        ArgSize,
                        "R{r} invalid zero-sized read: u64=[{},{}]",
                        reg.v.umin as i64,
                        reg.v.umax as i64
                    );
                }
            } else {
                let dir0 = if self.has(Feature::HelperAccessByFlag) { dir } else { Dir::Read };
                self.helper_memory(r - 1, 0, dir0, zero, Some(&mut none))?;
            }
        }
        if reg.v.umax >= MAX_SIZE {
            reject!(
                UnboundedAccess,
                "R{r} unbounded memory access, use 'var &= const' or 'if (var < const)'"
            );
        }
        let size = reg.v.umax as i64;
        // With an unknown size the helper may leave part of the memory as it was: it has to be readable.
        let to = if constant { call } else { &mut none };
        self.helper_memory(r - 1, size, dir, zero, Some(to))?;
        self.mark_precise(r)
    }

    pub(super) fn const_str_arg(&mut self, r: u8, reg: &Reg) -> Checked {
        let map = self.reg_map(reg)?;
        let constant = map.flags & super::program::map_flags::RDONLY_PROG != 0 && map.frozen.is_some();
        if !constant {
            reject!(ArgConst, "R{r} does not point to a readonly map'");
        }
        if !reg.v.t.is_const() {
            reject!(ArgConst, "R{r} is not a constant address'");
        }
        let at = reg.off as i64 + reg.v.t.value as i64;
        let left = map.value_size as i64 - at;
        let bytes = map.frozen.clone();
        self.check_map_value(r, reg, reg.off as i64, left, ZeroSize::Refused, Of::Helper)?;
        let ends = bytes.as_ref().and_then(|b| b.get(at as usize..)).is_some_and(|s| s.contains(&0));
        if !ends {
            reject!(ArgConst, "string is not zero-terminated");
        }
        Ok(())
    }

    /// True for program types that count as tracing for maps' special fields (`is_tracing_prog_type()`).
    pub(super) fn is_tracing_type(&self) -> bool {
        matches!(
            self.prog.kind,
            ProgType::KPROBE
                | ProgType::TRACEPOINT
                | ProgType::PERF_EVENT
                | ProgType::RAW_TRACEPOINT
                | ProgType::RAW_TRACEPOINT_WRITABLE
        )
    }
}
