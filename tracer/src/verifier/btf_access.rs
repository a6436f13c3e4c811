//! Walking kernel structs through BTF pointers: what a load yields, and how far it can be trusted.
//!
//! `check_ptr_to_btf_access()` (kernel/bpf/verifier.c), `btf_struct_access()`, `btf_struct_walk()` (kernel/bpf/btf.c).
//! Which fields of which structs are safe under trust or RCU stands in the kernel's own BTF, as structs named
//! `task_struct__safe_rcu` and so on.

use super::btf::{Btf, Kind, Type as T, TypeId};
use super::env::Env;
use super::feature::Feature;
use super::memory::Dir;
use super::profile::Release;
use super::program::{MapType, ProgType};
use super::reg::{Base, BtfOf, Data, Flags, Reg, Type};
use super::report::{Checked, reject, unmodelled};

/// What lies at an offset in a struct.
enum Found {
    Scalar,
    /// A pointer to a struct: its id, flags, and the field's name.
    Pointer(TypeId, Flags, String),
}

/// The number of a pointer that is still to be numbered.
pub(super) const NEW_ID: u32 = u32::MAX >> 2;

/// How closely two struct types match.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// The same type.
    Strict,
    /// Or one that begins with it, however deep.
    Prefix,
}

impl Env<'_> {
    /// True if the register's pointer is trusted: it holds a reference, or came so (`is_trusted_reg()`).
    pub(super) fn is_trusted(&self, r: &Reg) -> bool {
        if r.ref_id != 0 {
            return true;
        }
        if matches!(r.ty.base, Base::Socket | Base::SockCommon | Base::TcpSock | Base::XdpSock | Base::Ctx)
            && r.ty.flags == Flags::NONE
        {
            return true;
        }
        let vouched = Flags(Flags::TRUSTED.0 | Flags::ALLOC.0 | Flags::NON_OWN_REF.0);
        let trusted = r.ty.flags.any(vouched);
        let unsafe_ = r.ty.flags.any(Flags(
            Flags::MAYBE_NULL.0 | Flags::UNTRUSTED.0 | Flags::RCU.0 | Flags::USER.0 | Flags::PERCPU.0,
        ));
        trusted && !unsafe_
    }

    /// True inside of an RCU read section, or where every program is in one (`in_rcu_cs()`).
    pub(super) fn in_rcu(&self) -> bool {
        self.cur.rcu_locks > 0
            || (self.cur.lock.is_some() && self.profile.release >= Release::new(6, 7))
            || !self.is_sleepable()
    }

    /// True if the path at hand may sleep.
    pub(super) fn is_sleepable(&self) -> bool {
        self.prog.sleepable() || self.cur.in_sleepable
    }

    /// The BTF that a type is of.
    pub(super) fn btf_of(&self, of: BtfOf) -> Checked<&Btf> {
        let btf = match of {
            BtfOf::Kernel => self.profile.btf.as_deref(),
            BtfOf::Program => self.prog.btf.as_deref(),
        };
        match btf {
            Some(b) => Ok(b),
            None => unmodelled!("no BTF"),
        }
    }

    pub(super) fn access_btf(&self, r: u8, reg: &Reg, off: i64, size: u32, dir: Dir) -> Checked<Option<Reg>> {
        let Data::Btf { of, id } = reg.data else { unmodelled!("internal: BTF pointer without type") };
        let btf = self.btf_of(of)?;
        let name = btf.name(id).to_owned();
        if !self.prog.gpl && of == BtfOf::Kernel && self.profile.release >= Release::new(6, 4) {
            reject!(BtfAccess, "Cannot access kernel 'struct {name}' from non-GPL compatible program");
        }
        let mut off = off;
        if self.has(Feature::ConstOffsetInBits) {
            if !reg.v.t.is_const() {
                reject!(BtfAccess, "R{r} is ptr_{name} invalid variable offset: off={off}");
            }
            off += reg.v.t.value as i64;
        }
        if off < 0 {
            reject!(BtfAccess, "R{r} is ptr_{name} invalid negative access: off={off}");
        }
        if !self.has(Feature::ConstOffsetInBits) && !reg.v.is(0) {
            reject!(BtfAccess, "R{r} is ptr_{name} invalid variable offset: off={off}");
        }
        if reg.ty.flags.any(Flags::USER) {
            reject!(BtfAccess, "R{r} is ptr_{name} access user memory: off={off}");
        }
        if reg.ty.flags.any(Flags::PERCPU) {
            reject!(BtfAccess, "R{r} is ptr_{name} access percpu memory: off={off}");
        }
        let alloc = reg.ty.flags.any(Flags::ALLOC);
        let late = self.profile.release >= Release::new(7, 0);
        let object = alloc && !(late && reg.ty.flags.any(Flags::UNTRUSTED));
        if dir == Dir::Write && alloc && !object {
            reject!(BtfAccess, "only read is supported");
        }
        if dir == Dir::Write && !alloc {
            if self.prog.kind == ProgType::STRUCT_OPS {
                self.check_struct_ops_write(id, off, size)?;
                return Ok(Some(Reg::UNKNOWN));
            }
            // Of connection tracking entries, listed fields may be written.
            if matches!(self.prog.kind, ProgType::XDP | ProgType::SCHED_CLS) {
                unmodelled!("writes to kernel structs");
            }
            reject!(BtfAccess, "only read is supported");
        }
        if self.prog.kind == ProgType::STRUCT_OPS && !alloc {
            self.struct_ops_may_read(id)?;
        }
        let borrowed = reg.ty.flags.any(Flags(Flags::NON_OWN_REF.0 | Flags::RCU.0));
        if alloc && !borrowed && reg.ref_id == 0 {
            reject!(
                Misconfigured,
                "verifier internal error: ref_obj_id for allocated object must be non-zero"
            );
        }
        if let Some(record) = self.locals.get(&id).filter(|_| alloc && of == BtfOf::Program) {
            for f in &record.fields {
                if off < (f.offset + f.size) as i64 && (f.offset as i64) < off + size as i64 {
                    reject!(BtfAccess, "direct access to {} is disallowed", f.kind.name());
                }
            }
        }
        let (found, untrusted_union) = self.walk_struct(btf, id, off, size, reg.ty.flags)?;
        let Found::Pointer(next, found_flags, field) = found else { return Ok(Some(Reg::UNKNOWN)) };
        if alloc {
            return Ok(Some(Reg::UNKNOWN));
        }
        let flags = self.flags_of_loaded(btf, reg, id, &field, next, found_flags, untrusted_union);
        let mut out = Reg::pointer(Type::new(Base::BtfId, flags), Data::Btf { of, id: next });
        if flags.any(Flags::MAYBE_NULL) {
            // Numbered by the caller.
            out.id = NEW_ID;
        }
        Ok(Some(out))
    }

    #[expect(clippy::too_many_arguments, reason = "what the kernel looks at, too")]
    fn flags_of_loaded(
        &self,
        btf: &Btf,
        reg: &Reg,
        id: TypeId,
        field: &str,
        next: TypeId,
        found: Flags,
        untrusted_union: bool,
    ) -> Flags {
        let mut flags = found;
        if untrusted_union && self.has(Feature::TrustedPointers) {
            flags = flags.with(Flags::UNTRUSTED);
        }
        if !self.has(Feature::TrustedPointers) {
            // 6.1: what comes through an untrusted pointer is untrusted.
            if reg.ty.flags.any(Flags::UNTRUSTED) {
                flags = flags.with(Flags::UNTRUSTED);
            }
            return flags;
        }
        if reg.ty.flags.any(Flags::UNTRUSTED) {
            return Flags::UNTRUSTED;
        }
        let clear = |f: Flags| f.without(Flags(Flags::TRUSTED.0 | Flags::RCU.0 | Flags::UNTRUSTED.0));
        let rcu_reg = reg.ty.flags.any(Flags::RCU);
        if !self.is_trusted(reg) && !rcu_reg {
            return clear(flags);
        }
        let safe = |suffix: &str| is_listed(btf, id, field, next, suffix);
        if safe("__safe_trusted") {
            flags.with(Flags::TRUSTED)
        } else if safe("__safe_trusted_or_null") {
            flags.with(Flags::TRUSTED).with(Flags::MAYBE_NULL)
        } else if self.in_rcu() && !reg.ty.may_be_null() {
            if safe("__safe_rcu") {
                flags.with(Flags::RCU)
            } else if flags.any(Flags::RCU) || safe("__safe_rcu_or_null") {
                let f = flags.with(Flags::RCU).with(Flags::MAYBE_NULL);
                if safe("__safe_rcu_or_null") { f.without(Flags::UNTRUSTED) } else { f }
            } else if flags.any(Flags(Flags::PERCPU.0 | Flags::USER.0)) {
                flags
            } else {
                clear(flags)
            }
        } else {
            Flags::UNTRUSTED
        }
    }

    /// Follow an access to the member it hits.
    fn walk_struct(
        &self,
        btf: &Btf,
        start: TypeId,
        off: i64,
        size: u32,
        _flags: Flags,
    ) -> Checked<(Found, bool)> {
        let (mut id, mut off, size) = (start, off, size as i64);
        let mut untrusted = false;
        'again: for _ in 0..64 {
            let Some(tid) = btf.resolve(id) else { reject!(BtfAccess, "Type is not a struct") };
            let (s, is_union) = match btf.get(tid) {
                Some(T::Struct(s)) => (s, false),
                Some(T::Union(s)) => (s, true),
                _ => reject!(BtfAccess, "Type '{}' is not a struct", btf.name(tid)),
            };
            let name = s.name.to_owned();
            // Before 6.2 what is read out of a union was as good as any field.
            if is_union && s.member_count() != 1 && self.has(Feature::TrustedPointers) {
                untrusted = true;
            }
            if off + size > s.size as i64 {
                // A flexible array at the end goes on for ever.
                let last = s.member_count().checked_sub(1).and_then(|n| s.member(n));
                let flex = last.and_then(|m| match btf.resolved(m.type_id) {
                    Some(T::Array(a)) if a.count == 0 => Some((m.bit_offset as i64 / 8, a.element)),
                    _ => None,
                });
                if let Some((at, element)) = flex
                    && off >= at
                    && let Some(e) = btf.resolve(element)
                {
                    match btf.get(e) {
                        Some(T::Int(_)) => return Ok((Found::Scalar, untrusted)),
                        Some(T::Struct(es) | T::Union(es)) if es.size > 0 => {
                            off = (off - at) % es.size as i64;
                            id = e;
                            continue 'again;
                        }
                        _ => {}
                    }
                }
                reject!(BtfAccess, "access beyond struct {name} at off {off} size {size}");
            }
            for m in s.members() {
                let mut at = m.bit_offset as i64 / 8;
                if off + size <= at {
                    break;
                }
                if m.bitfield_size != 0 {
                    let end = (m.bit_offset as i64 + m.bitfield_size as i64 + 7) / 8;
                    if off <= at && end <= off + size {
                        return Ok((Found::Scalar, untrusted));
                    }
                    continue;
                }
                if off < at {
                    break;
                }
                let Some(msize) = btf.size_of(m.type_id) else {
                    reject!(BtfAccess, "field {} doesn't have size", m.name);
                };
                let end = at + msize as i64;
                if off >= end {
                    continue;
                }
                let mut mid = m.type_id;
                let mut width = msize as i64;
                // Arrays, of arrays: down to the element.
                while let Some(T::Array(a)) = btf.resolved(mid) {
                    if a.count == 0 {
                        break;
                    }
                    width /= a.count as i64;
                    mid = a.element;
                }
                if width > 0 && width != msize as i64 {
                    at += (off - at) / width * width;
                }
                let Some(rid) = btf.resolve(mid) else { reject!(BtfAccess, "field {} has no type", m.name) };
                match btf.get(rid) {
                    Some(T::Struct(_) | T::Union(_)) => {
                        off -= at;
                        id = rid;
                        continue 'again;
                    }
                    Some(T::Ptr(target)) => {
                        if width != size || off != at {
                            reject!(
                                BtfAccess,
                                "cannot access ptr member {} with moff {at} in struct {name} with off {off} size {size}",
                                m.name
                            );
                        }
                        let mut flags = Flags::NONE;
                        if self.profile.release >= Release::new(5, 17)
                            && let Some(T::TypeTag(tag)) = btf.get(target)
                        {
                            match tag.name {
                                "user" => flags = Flags::USER,
                                "percpu" => flags = Flags::PERCPU,
                                "rcu" if self.has(Feature::RcuPointers) => flags = Flags::RCU,
                                _ => {}
                            }
                        }
                        if let Some(t) = btf.resolve(target)
                            && matches!(btf.get(t), Some(T::Struct(_) | T::Union(_)))
                        {
                            return Ok((Found::Pointer(t, flags, m.name.to_owned()), untrusted));
                        }
                    }
                    _ => {}
                }
                if off + size > end && !untrusted {
                    reject!(
                        BtfAccess,
                        "access beyond the end of member {} (mend:{end}) in struct {name} with off {off} size {size}",
                        m.name
                    );
                }
                return Ok((Found::Scalar, untrusted));
            }
            reject!(BtfAccess, "struct {name} doesn't have field at offset {off}");
        }
        unmodelled!("deeply nested structs")
    }

    /// A load through a map pointer reads the kernel's own struct (`check_ptr_to_map_access()`).
    pub(super) fn access_map_pointer(
        &self,
        r: u8,
        reg: &Reg,
        off: i64,
        size: u32,
        dir: Dir,
    ) -> Checked<Option<Reg>> {
        let map = self.reg_map(reg)?;
        let Some(name) = map_struct(map.kind, self.profile.release) else {
            reject!(BtfAccess, "map_ptr access not supported for map type {}", map.kind.0);
        };
        if off < 0 {
            reject!(BtfAccess, "R{r} is {name} invalid negative access: off={off}");
        }
        if dir == Dir::Write {
            reject!(BtfAccess, "only read from {name} is supported");
        }
        let Some(id) = self.profile.kernel_struct(name) else { unmodelled!("map struct") };
        let btf = self.btf_of(BtfOf::Kernel)?;
        let mut off = off;
        if self.has(Feature::ConstOffsetInBits) {
            off += reg.v.t.value as i64;
        }
        let (found, _) = self.walk_struct(btf, id, off, size, Flags::NONE)?;
        Ok(Some(match found {
            Found::Scalar => Reg::UNKNOWN,
            Found::Pointer(next, flags, _) => {
                let flags = flags.without(Flags(Flags::RCU.0));
                Reg::pointer(Type::new(Base::BtfId, flags), Data::Btf { of: BtfOf::Kernel, id: next })
            }
        }))
    }

    /// Do two struct types match, at this offset into the first (`btf_struct_ids_match()`)?
    pub(super) fn struct_matches(
        &self,
        have: (BtfOf, TypeId),
        off: i64,
        need: (BtfOf, TypeId),
        how: Match,
    ) -> bool {
        if off == 0 && have == need {
            return true;
        }
        if how == Match::Strict {
            return false;
        }
        let Ok(hb) = self.btf_of(have.0) else { return false };
        // An embedded struct at this offset matches, too.
        let (mut id, mut off) = (have.1, off);
        for _ in 0..32 {
            let Some(T::Struct(s) | T::Union(s)) = hb.resolved(id) else { return false };
            let mut inner = None;
            for m in s.members() {
                let at = m.bit_offset as i64 / 8;
                let (mut mid, Some(msize)) = (m.type_id, hb.size_of(m.type_id)) else { continue };
                if m.bitfield_size != 0 || off < at || off >= at + msize as i64 {
                    continue;
                }
                let mut width = msize as i64;
                while let Some(T::Array(a)) = hb.resolved(mid) {
                    if a.count == 0 {
                        break;
                    }
                    width /= a.count as i64;
                    mid = a.element;
                }
                let at = if width > 0 { at + (off - at) / width * width } else { at };
                if let Some(r) = hb.resolve(mid)
                    && matches!(hb.get(r), Some(T::Struct(_) | T::Union(_)))
                {
                    inner = Some((r, off - at));
                    break;
                }
            }
            let Some((next, rest)) = inner else { return false };
            if rest == 0 && (have.0, next) == need {
                return true;
            }
            (id, off) = (next, rest);
        }
        false
    }
}

/// Is the field listed as safe in the kernel's own BTF (`btf_nested_type_is_trusted()`)?
fn is_listed(btf: &Btf, id: TypeId, field: &str, target: TypeId, suffix: &str) -> bool {
    let name = format!("{}{suffix}", btf.name(id));
    let Some(list) = btf.find(Kind::Struct, &name) else { return false };
    let Some(T::Struct(s)) = btf.get(list) else { return false };
    s.members().any(|m| {
        m.name == field
            && matches!(btf.resolved(m.type_id), Some(T::Ptr(t)) if btf.resolve(t) == Some(target))
    })
}

/// The kernel's struct for a map type (`map_btf_id`).
fn map_struct(kind: MapType, release: Release) -> Option<&'static str> {
    Some(match kind {
        MapType::ARRAY | MapType::PERCPU_ARRAY | MapType::PROG_ARRAY | MapType::PERF_EVENT_ARRAY => {
            "bpf_array"
        }
        MapType::CGROUP_ARRAY | MapType::ARRAY_OF_MAPS => "bpf_array",
        MapType::HASH | MapType::PERCPU_HASH | MapType::LRU_HASH | MapType::LRU_PERCPU_HASH => "bpf_htab",
        MapType::HASH_OF_MAPS => "bpf_htab",
        MapType::LPM_TRIE => "lpm_trie",
        MapType::STACK_TRACE => "bpf_stack_map",
        MapType::DEVMAP | MapType::DEVMAP_HASH => "bpf_dtab",
        MapType::CPUMAP => "bpf_cpu_map",
        MapType::XSKMAP => "xsk_map",
        MapType::SOCKMAP => "bpf_stab",
        MapType::SOCKHASH => "bpf_shtab",
        MapType::CGROUP_STORAGE | MapType::PERCPU_CGROUP_STORAGE => "bpf_cgroup_storage_map",
        MapType::REUSEPORT_SOCKARRAY => "reuseport_array",
        MapType::QUEUE | MapType::STACK => "bpf_queue_stack",
        MapType::SK_STORAGE | MapType::INODE_STORAGE => "bpf_local_storage_map",
        MapType::TASK_STORAGE | MapType::CGRP_STORAGE => "bpf_local_storage_map",
        MapType::RINGBUF => "bpf_ringbuf_map",
        MapType::USER_RINGBUF if release >= Release::new(6, 1) => "bpf_ringbuf_map",
        MapType::BLOOM_FILTER => "bpf_bloom_filter",
        MapType::STRUCT_OPS => "bpf_struct_ops_map",
        MapType::ARENA => "bpf_arena",
        _ => return None,
    })
}
