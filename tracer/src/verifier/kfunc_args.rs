//! Arguments of kernel functions: each against its type and the suffix of its name.
//!
//! `get_kfunc_ptr_arg_type()`, `check_kfunc_args()` (kernel/bpf/verifier.c). What kind of pointer an argument is stands
//! in the kernel's BTF, and only where that leaves it open in the register.

use super::args::Call;
use super::btf::{Btf, Type as T, TypeId};
use super::btf_access::Match;
use super::env::Env;
use super::feature::Feature;
use super::graph::Owner;
use super::helper::{Arg, ArgKind, flag};
use super::irq;
use super::kfunc::{Kfunc, Meta};
use super::kfunc_table::kf;
use super::memory::{Dir, Fixed, ZeroSize};
use super::profile::Release;
use super::program::{AttachType, ProgType};
use super::record::FieldKind;
use super::reg::{Base, BtfOf, Data, DynptrKind, Flags, MapId, Reg, Type};
use super::report::{Checked, reject, unmodelled};

/// What kind of pointer an argument is (`enum kfunc_ptr_arg_type`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pointer {
    Ctx,
    Null,
    Dynptr,
    Iter,
    ConstStr,
    Map,
    Btf,
    Callback,
    Mem,
    MemSize,
    IrqFlag,
    /// An object that the program owns.
    Object,
    /// An object that counts its owners.
    Refcounted,
    /// A list's or a tree's root.
    Root(FieldKind),
    /// A node of one.
    Node(FieldKind),
    Workqueue,
}

impl Env<'_> {
    pub(super) fn check_kfunc_args(&mut self, k: &Kfunc, meta: &mut Meta) -> Checked {
        let btf = match &self.profile.btf {
            Some(b) => b.clone(),
            None => unmodelled!("no BTF"),
        };
        if k.params.len() > 5 {
            unmodelled!("arguments on the stack");
        }
        let mut i = 0;
        while i < k.params.len() {
            let (pname, pid) = &k.params[i];
            let r = 1 + i as u8;
            let reg = *self.cur.reg(r);
            i += 1;
            if pname.ends_with("__ign") || pname.ends_with("__prog") || pname == "aux__prog" {
                continue;
            }
            if k.has(kf::KF_IMPLICIT_ARGS) && is_implicit(&btf, *pid) {
                continue;
            }
            let Some(t) = btf.resolve(*pid) else { reject!(Kfunc, "Unrecognized arg#{} type", i - 1) };
            let Some(T::Ptr(target)) = btf.get(t) else {
                if !matches!(btf.get(t), Some(T::Int(_) | T::Enum(_) | T::Enum64(_))) {
                    reject!(Kfunc, "Unrecognized arg#{} type", i - 1);
                }
                self.kfunc_scalar(r, &reg, pname, meta)?;
                continue;
            };
            let skip = self.kfunc_pointer(k, &btf, i - 1, target, &reg, meta)?;
            i += skip;
        }
        if k.has(kf::KF_RELEASE) && meta.release.is_none() {
            reject!(Reference, "release kernel function {} expects refcounted PTR_TO_BTF_ID", k.name);
        }
        Ok(())
    }

    fn kfunc_scalar(&mut self, r: u8, reg: &Reg, name: &str, meta: &mut Meta) -> Checked {
        if !reg.is_scalar() {
            reject!(ArgType, "R{r} is not a scalar");
        }
        if name.ends_with("__k") {
            if !reg.v.t.is_const() {
                reject!(ArgConst, "R{r} must be a known constant");
            }
            self.mark_precise(r)?;
            meta.constant = Some(reg.v.t.value);
        } else if matches!(name, "rdonly_buf_size" | "rdwr_buf_size") {
            if !reg.v.t.is_const() {
                reject!(ArgConst, "R{r} is not a const");
            }
            meta.r0_rdonly = name == "rdonly_buf_size";
            meta.r0_size = reg.v.t.value;
            self.mark_precise(r)?;
        }
        Ok(())
    }

    /// A pointer argument; how many further arguments were looked at with it.
    fn kfunc_pointer(
        &mut self,
        k: &Kfunc,
        btf: &Btf,
        i: usize,
        target: TypeId,
        reg: &Reg,
        meta: &mut Meta,
    ) -> Checked<usize> {
        let r = 1 + i as u8;
        let pname = k.params[i].0.clone();
        let release_1 = self.profile.release;
        let all_trusted = release_1 >= Release::new(7, 0);
        let trusted = all_trusted
            || k.has(kf::KF_TRUSTED_ARGS)
            || (k.has(kf::KF_RELEASE) && release_1 >= Release::new(6, 2));
        let rcu = k.has(kf::KF_RCU);
        let nullable = pname.ends_with("__nullable") || (all_trusted && pname.ends_with("__opt"));
        let who = if all_trusted { format!("R{r}") } else { format!("arg{i}") };
        if (trusted || rcu)
            && release_1 >= Release::new(6, 2)
            && (reg.is_null() || reg.ty.may_be_null())
            && !nullable
        {
            reject!(ArgNull, "Possibly NULL pointer passed to trusted {who}");
        }
        if all_trusted && k.has(kf::KF_RELEASE) && reg.ref_id == 0 && meta.release.is_none() && !reg.is_null()
        {
            let is_dynptr = btf.resolve(target).is_some_and(|t| btf.name(t) == "bpf_dynptr");
            if !is_dynptr {
                reject!(
                    Reference,
                    "release kfunc {} expects referenced PTR_TO_BTF_ID passed to R{r}",
                    k.name
                );
            }
        }
        if reg.ref_id != 0 {
            meta.ref_id = reg.ref_id;
            if k.has(kf::KF_RELEASE) {
                meta.release = Some(r);
            }
        }
        let Some(ref_t) = btf.resolve(target) else { reject!(Kfunc, "Unrecognized arg#{i} type") };
        let kind = self.kfunc_pointer_kind(k, btf, i, target, ref_t, reg)?;
        let at = if all_trusted { format!("R{r}") } else { format!("arg#{i}") };
        match kind {
            Pointer::Null => return Ok(0),
            Pointer::Map | Pointer::Btf | Pointer::Object if trusted || rcu => {
                if release_1 < Release::new(6, 2) {
                    if reg.ref_id == 0 && !reg.is_null() {
                        reject!(Reference, "R{r} must be referenced");
                    }
                } else if !self.is_trusted(reg) && kind != Pointer::Map {
                    if !rcu {
                        reject!(ArgType, "R{r} must be referenced or trusted");
                    }
                    if !reg.ty.flags.any(Flags::RCU) {
                        reject!(ArgType, "R{r} must be a rcu pointer");
                    }
                }
            }
            _ => {}
        }
        let flags = if k.has(kf::KF_RELEASE) && reg.ref_id != 0 { flag::RELEASE } else { 0 };
        let object = matches!(kind, Pointer::Object | Pointer::Root(_) | Pointer::Node(_));
        if kind == Pointer::Refcounted && all_trusted {
            // Where the count is, the object has to begin.
            self.check_fixed_offset(reg, r, Fixed::Refused)?;
        } else if kind == Pointer::Btf || kind == Pointer::Ctx || object || !all_trusted {
            self.check_arg_offset(r, reg, Arg { kind: ArgKind::Anything, flags, size: 0, btf: "" })?;
        }
        match kind {
            Pointer::Ctx => {
                if !reg.ty.is(Base::Ctx) {
                    reject!(ArgType, "arg#{i} expected pointer to ctx, but got {}", self.type_text(reg.ty));
                }
                if k.name == "bpf_cast_to_kern_ctx" {
                    meta.ctx_struct = self.kernel_ctx();
                }
            }
            Pointer::Dynptr => self.kfunc_dynptr(k, r, &pname, reg, meta)?,
            Pointer::Iter if k.name == "bpf_iter_css_task_new" && !self.may_iterate_css_tasks() => {
                reject!(Iterator, "css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs");
            }
            Pointer::Iter => self.kfunc_iter(k, r, ref_t, reg, meta)?,
            Pointer::IrqFlag => {
                let does = if k.name == "bpf_local_irq_save" { irq::Flag::Save } else { irq::Flag::Restore };
                self.kfunc_irq_flag(does, r, reg)?;
            }
            Pointer::ConstStr => {
                if !reg.ty.is(Base::MapValue) {
                    reject!(ArgConst, "arg#{i} doesn't point to a const string");
                }
                self.const_str_arg(r, reg)?;
            }
            Pointer::Map => {
                // A pointer to the kernel's own object for a map does as well, since `bpf_map_elem` iterators (6.7).
                match reg.data {
                    Data::Btf { .. } => {
                        let Some(map) = self.profile.kernel_struct("bpf_map") else {
                            unmodelled!("no struct bpf_map")
                        };
                        self.kfunc_struct(k, btf, i, map, reg)?;
                    }
                    Data::Map { map, uid } => {
                        self.kfunc_map(r, map, uid, meta)?;
                    }
                    _ => reject!(ArgType, "pointer in R{r} isn't map pointer"),
                }
            }
            Pointer::Btf => self.kfunc_struct(k, btf, i, ref_t, reg)?,
            Pointer::Object => self.owned_object_arg(&at, &k.name, reg, meta)?,
            Pointer::Refcounted => self.refcounted_arg(&at, reg, meta)?,
            Pointer::Root(kind) => self.root_arg(r, &at, kind, reg, meta)?,
            Pointer::Node(kind) => {
                let owner =
                    if pname.ends_with("__nonown_allowed") { Owner::Optional } else { Owner::Program };
                self.node_arg(r, &at, &k.name, (kind, owner), reg, meta)?;
            }
            Pointer::Workqueue => self.workqueue_arg(r, &at, reg, meta)?,
            Pointer::Callback => {
                let Data::Func(sub) = reg.data else {
                    let who = if all_trusted { format!("R{r}") } else { format!("arg{i}") };
                    reject!(ArgType, "{who} expected pointer to func");
                };
                meta.subprog = Some(sub);
            }
            Pointer::Mem => {
                let Some(size) = btf.size_of(ref_t) else {
                    reject!(ArgSize, "arg#{i} reference type size cannot be determined");
                };
                self.check_mem_reg(r, reg, size)?;
            }
            Pointer::MemSize => {
                let optional = pname.ends_with("__opt");
                if !(reg.is_null() && (optional || nullable)) {
                    self.kfunc_memory(r, reg, i)?;
                }
                if k.params[i + 1].0.ends_with("__szk") {
                    let size = *self.cur.reg(r + 1);
                    if !size.v.t.is_const() {
                        reject!(ArgConst, "R{} must be a known constant", r + 1);
                    }
                    meta.constant = Some(size.v.t.value);
                }
                return Ok(1);
            }
            Pointer::Null => {}
        }
        Ok(0)
    }

    /// Elsewhere the iterator's lock may be held already (`check_css_task_iter_allowlist()`).
    fn may_iterate_css_tasks(&self) -> bool {
        match self.prog.kind {
            ProgType::LSM => true,
            ProgType::TRACING if self.prog.attach == AttachType::TRACE_ITER => true,
            _ => self.is_sleepable(),
        }
    }

    fn kfunc_pointer_kind(
        &self,
        k: &Kfunc,
        btf: &Btf,
        i: usize,
        target: TypeId,
        ref_t: TypeId,
        reg: &Reg,
    ) -> Checked<Pointer> {
        let pname = k.params[i].0.as_str();
        let name = btf.name(ref_t);
        let late = self.profile.release >= Release::new(7, 0);
        let session = late && matches!(k.name.as_str(), "bpf_session_is_return" | "bpf_session_cookie");
        if session || k.name == "bpf_cast_to_kern_ctx" || super::global::is_ctx(btf, target, self.prog.kind) {
            return Ok(Pointer::Ctx);
        }
        let sized = k.params.get(i + 1).is_some_and(|(n, id)| {
            (n.ends_with("__sz") || n.ends_with("__szk"))
                && self.cur.reg(2 + i as u8).is_scalar()
                && btf.resolve(*id).is_some_and(|t| matches!(btf.get(t), Some(T::Int(_) | T::Enum(_))))
        });
        // A buffer that is not there still has a size, which 7.x looks at.
        if pname.ends_with("__nullable") && reg.is_null() && !(late && sized) {
            return Ok(Pointer::Null);
        }
        if pname.ends_with("__alloc") || pname.ends_with("__refcounted_kptr") {
            return Ok(if pname.ends_with("__alloc") { Pointer::Object } else { Pointer::Refcounted });
        }
        if matches!(name, "bpf_dynptr" | "bpf_dynptr_kern") {
            return Ok(Pointer::Dynptr);
        }
        if i == 0 && k.has(kf::KF_ITER_NEW | kf::KF_ITER_NEXT | kf::KF_ITER_DESTROY) {
            return Ok(Pointer::Iter);
        }
        if pname.ends_with("__iter") {
            return Ok(Pointer::Iter);
        }
        match name {
            "bpf_list_head" => return Ok(Pointer::Root(FieldKind::ListHead)),
            "bpf_list_node" => return Ok(Pointer::Node(FieldKind::ListNode)),
            "bpf_rb_root" => return Ok(Pointer::Root(FieldKind::RbRoot)),
            "bpf_rb_node" => return Ok(Pointer::Node(FieldKind::RbNode)),
            _ => {}
        }
        if pname.ends_with("__str") {
            return Ok(Pointer::ConstStr);
        }
        if pname.ends_with("__irq_flag") {
            return Ok(Pointer::IrqFlag);
        }
        if pname.ends_with("__map") {
            return Ok(Pointer::Map);
        }
        if name == "bpf_wq" {
            return Ok(Pointer::Workqueue);
        }
        if matches!(name, "bpf_timer" | "bpf_task_work" | "bpf_res_spin_lock") {
            unmodelled!("special kfuncs");
        }
        let is_struct = matches!(btf.get(ref_t), Some(T::Struct(_) | T::Union(_)));
        // Before 6.2 a pointer that may be null is no pointer to a struct here.
        let maybe_null = self.profile.release < Release::new(6, 2) && reg.ty.flags != Flags::NONE;
        if (reg.ty.base == Base::BtfId || reg2struct(reg.ty.base).is_some()) && !maybe_null {
            if !is_struct {
                reject!(ArgType, "kernel function {} args#{i} pointer type is not supported", k.name);
            }
            return Ok(Pointer::Btf);
        }
        if btf.proto(ref_t).is_some() {
            return Ok(Pointer::Callback);
        }
        let scalar = matches!(btf.get(ref_t), Some(T::Int(_) | T::Enum(_) | T::Enum64(_)));
        let void = ref_t == TypeId::VOID;
        let readable = scalar || is_scalar_struct(btf, ref_t, 0) || (sized && void);
        if !readable {
            let at = if self.profile.release >= Release::new(7, 0) {
                format!("R{}", i + 1)
            } else {
                format!("arg#{i}")
            };
            reject!(
                ArgType,
                "{at} pointer type STRUCT {name} must point to {}scalar, or struct with scalar",
                if sized { "void, " } else { "" }
            );
        }
        Ok(if sized { Pointer::MemSize } else { Pointer::Mem })
    }

    fn kfunc_memory(&mut self, r: u8, reg: &Reg, i: usize) -> Checked {
        let size = *self.cur.reg(r + 1);
        let nullable = reg.ty.may_be_null();
        if nullable {
            self.cur.reg_mut(r).ty.flags = reg.ty.flags.without(Flags::MAYBE_NULL);
        }
        let mut call = Call::default();
        let mut result = self.size_arg(r + 1, &size, Dir::Read, ZeroSize::Allowed, &mut call);
        if result.is_ok() {
            result = self.size_arg(r + 1, &size, Dir::Write, ZeroSize::Allowed, &mut call);
        }
        if nullable {
            self.cur.reg_mut(r).ty = reg.ty;
        }
        match result {
            Err(super::report::Stop::Reject(_)) => {
                reject!(ArgSize, "arg#{i} arg#{} memory, len pair leads to invalid memory access", i + 1)
            }
            other => other,
        }
    }

    fn kfunc_struct(&self, k: &Kfunc, btf: &Btf, i: usize, ref_t: TypeId, reg: &Reg) -> Checked {
        let (of, have) = match reg.data {
            Data::Btf { of, id } => (of, id),
            _ => {
                let Some(n) = reg2struct(reg.ty.base) else { reject!(ArgType, "arg#{i} is not a pointer") };
                let Some(id) = self.profile.kernel_struct(n) else {
                    unmodelled!("kfunc's struct not in BTF")
                };
                (BtfOf::Kernel, id)
            }
        };
        let unsafe_flags = reg
            .ty
            .flags
            .any(Flags(Flags::MAYBE_NULL.0 | Flags::UNTRUSTED.0 | Flags::PERCPU.0 | Flags::USER.0));
        if reg.ty.base == Base::BtfId
            && unsafe_flags
            && !reg.ty.flags.any(Flags::RCU)
            && self.has(Feature::TrustedPointers)
        {
            reject!(
                ArgType,
                "arg#{i} is {} expected {} or socket",
                self.type_text(reg.ty),
                self.type_text(Type::plain(Base::BtfId))
            );
        }
        let strict = k.has(kf::KF_RELEASE) && reg.ref_id != 0;
        let off =
            reg.off as i64 + if self.has(Feature::ConstOffsetInBits) { reg.v.t.value as i64 } else { 0 };
        let alias = {
            // nf_conn and its ___init flavour must not be taken for each other.
            let (a, b) = (self.btf_of(of)?.name(have), btf.name(ref_t));
            super::btf::essential_name(a) == super::btf::essential_name(b) && a != b
        };
        let name = self.btf_of(of)?.name(have);
        let projection = PROJECTIONS.contains(&(btf.name(ref_t), name));
        if !projection
            && !self.struct_matches(
                (of, have),
                off,
                (BtfOf::Kernel, ref_t),
                if strict || alias { Match::Strict } else { Match::Prefix },
            )
        {
            reject!(
                ArgType,
                "kernel function {} args#{i} expected pointer to STRUCT {} but R{} has a pointer to STRUCT {name}",
                k.name,
                btf.name(ref_t),
                i + 1
            );
        }
        Ok(())
    }

    fn kfunc_dynptr(&mut self, k: &Kfunc, r: u8, pname: &str, reg: &Reg, meta: &mut Meta) -> Checked {
        let uninit = pname.ends_with("__uninit");
        let mut from = None;
        let kind = match k.name.as_str() {
            "bpf_dynptr_clone" if uninit => {
                let Some((_, kind, ref_id)) = meta.dynptr else {
                    unmodelled!("internal: a clone of nothing")
                };
                from = Some(ref_id);
                kind
            }
            "bpf_dynptr_from_skb" => DynptrKind::Skb,
            "bpf_dynptr_from_xdp" => DynptrKind::Xdp,
            _ if uninit => unmodelled!("dynptr kfuncs"),
            _ => DynptrKind::Local,
        };
        if uninit {
            if !reg.ty.is(Base::Stack) {
                reject!(Dynptr, "arg#{} expected pointer to stack or const struct bpf_dynptr", r - 1);
            }
            return self.make_dynptr(r, reg, kind, from);
        }
        let arg = Arg { kind: ArgKind::Dynptr, flags: flag::RDONLY, size: 0, btf: "" };
        self.dynptr_arg(r, reg, arg)?;
        meta.dynptr = self.dynptr_identity(reg);
        Ok(())
    }

    /// A map, and if a work queue came before, the one that holds it.
    fn kfunc_map(&self, r: u8, map: MapId, uid: u32, meta: &mut Meta) -> Checked {
        let record = self.map_record(map);
        let told_apart = record.has(FieldKind::Workqueue) || record.has(FieldKind::TaskWork);
        if let Some((m, u)) = meta.map.filter(|known| told_apart && *known != (map, uid)) {
            let _ = m;
            reject!(
                MapIncompatible,
                "workqueue pointer in R{} map_uid={u} doesn't match map pointer in R{r} map_uid={uid}",
                r - 1
            );
        }
        meta.map = Some((map, uid));
        Ok(())
    }

    /// A work queue in a map's value (`process_wq_func()`; `check_map_field_pointer()` of 7.2).
    fn workqueue_arg(&self, r: u8, at: &str, reg: &Reg, meta: &mut Meta) -> Checked {
        let Data::Map { map, uid } = reg.data else {
            reject!(ArgType, "{at} doesn't point to a map value");
        };
        if !reg.ty.is(Base::MapValue) {
            reject!(ArgType, "{at} doesn't point to a map value");
        }
        let place = self.map_record(map).offset_of(FieldKind::Workqueue);
        if self.profile.release >= Release::new(7, 0) {
            let name = &self.map(map).name;
            if !reg.v.t.is_const() {
                reject!(
                    MapFieldAccess,
                    "R{r} doesn't have constant offset. bpf_wq has to be at the constant offset"
                );
            }
            if !self.map_has_btf(map) {
                reject!(MapFieldAccess, "map '{name}' has to have BTF in order to use bpf_wq");
            }
            if place.is_none() {
                reject!(MapFieldAccess, "map '{name}' has no valid bpf_wq");
            }
        }
        let Some(place) = place else { unmodelled!("a work queue that its map does not know") };
        let off = self.fixed_offset(reg);
        if off != i64::from(place) {
            reject!(MapFieldAccess, "off {off} doesn't point to 'struct bpf_wq' that is at {place}");
        }
        meta.map = Some((map, uid));
        Ok(())
    }
}

/// What programs see of a kernel struct, and that struct (`btf_is_projection_of()`).
const PROJECTIONS: &[(&str, &str)] = &[("__sk_buff", "sk_buff"), ("xdp_md", "xdp_buff")];

/// The kernel's struct behind a pointer that is not BTF (`reg2btf_ids[]`).
fn reg2struct(base: Base) -> Option<&'static str> {
    Some(match base {
        Base::Socket => "sock",
        Base::SockCommon => "sock_common",
        Base::TcpSock => "tcp_sock",
        Base::ConstMap => "bpf_map",
        _ => return None,
    })
}

fn is_implicit(btf: &Btf, id: TypeId) -> bool {
    match btf.resolved(id) {
        Some(T::Ptr(t)) => btf.resolve(t).is_some_and(|t| btf.name(t) == "bpf_prog_aux"),
        _ => false,
    }
}

/// A struct of numbers only, nested three deep at most.
pub(super) fn is_scalar_struct(btf: &Btf, id: TypeId, depth: u32) -> bool {
    let Some(T::Struct(s) | T::Union(s)) = btf.get(id) else { return false };
    s.members().all(|m| {
        let Some(t) = btf.resolve(m.type_id) else { return false };
        let scalar = |t| matches!(btf.get(t), Some(T::Int(_) | T::Enum(_) | T::Enum64(_)));
        match btf.get(t) {
            Some(T::Struct(_) | T::Union(_)) => depth < 3 && is_scalar_struct(btf, t, depth + 1),
            Some(T::Array(a)) => a.count > 0 && btf.resolve(a.element).is_some_and(scalar),
            _ => scalar(t),
        }
    })
}
