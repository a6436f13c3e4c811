//! Kernel functions that programs may call.
//!
//! What a function takes and gives stands in the kernel's BTF: types, and suffixes of parameter names (`__sz`: the size
//! of the memory before, `__k`: a constant, `__ign`: not looked at, `__nullable`, `__uninit`, `__map`, `__str`). Who may
//! call it and what it does with references is in [`super::kfunc_table`]. `check_kfunc_call()`, `check_kfunc_args()`
//! (kernel/bpf/verifier.c).

use super::args::Call;
use super::btf::{Btf, Type as T, TypeId};
use super::btf_access::Match;
use super::env::Env;
use super::explore::Flow;
use super::feature::Feature;
use super::helper::{Arg, ArgKind, flag};
use super::insn::Insn;
use super::irq;
use super::kfunc_table::{Filter, ROWS, hook, kf};
use super::memory::{Access, Dir, ZeroSize};
use super::profile::Release;
use super::program::ProgType;
use super::record::SpecialField;
use super::reg::{Base, BtfOf, Data, DynptrKind, Flags, Live, Reg, Type};
use super::report::{Checked, reject, unmodelled};

/// A kernel function as this program sees it.
#[derive(Clone, Debug)]
pub(super) struct Kfunc {
    pub name: String,
    pub flags: u32,
    pub params: Vec<(String, TypeId)>,
    pub ret: TypeId,
}

impl Kfunc {
    pub(super) fn has(&self, f: u32) -> bool {
        self.flags & f != 0
    }
}

/// What the arguments say together.
#[derive(Default)]
pub(super) struct Meta {
    pub ref_id: u32,
    release: Option<u8>,
    constant: Option<u64>,
    r0_size: u64,
    r0_rdonly: bool,
    ctx_struct: Option<TypeId>,
    dynptr: Option<(u32, DynptrKind)>,
    pub iter: Option<(usize, usize)>,
}

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
}

/// Functions whose rules of their own are not modelled.
const SPECIAL: &[&str] = &[
    "bpf_obj_new_impl",
    "bpf_obj_new",
    "bpf_obj_drop_impl",
    "bpf_obj_drop",
    "bpf_refcount_acquire_impl",
    "bpf_refcount_acquire",
    "bpf_list_push_front_impl",
    "bpf_list_push_front",
    "bpf_list_push_back_impl",
    "bpf_list_push_back",
    "bpf_list_pop_front",
    "bpf_list_pop_back",
    "bpf_list_front",
    "bpf_list_back",
    "bpf_rbtree_remove",
    "bpf_rbtree_add_impl",
    "bpf_rbtree_add",
    "bpf_rbtree_first",
    "bpf_rbtree_root",
    "bpf_rbtree_left",
    "bpf_rbtree_right",
    "bpf_percpu_obj_new_impl",
    "bpf_percpu_obj_new",
    "bpf_percpu_obj_drop_impl",
    "bpf_percpu_obj_drop",
    "bpf_wq_init",
    "bpf_wq_set_callback_impl",
    "bpf_wq_set_callback",
    "bpf_wq_start",
    "bpf_dynptr_clone",
    "bpf_res_spin_lock",
    "bpf_res_spin_unlock",
    "bpf_res_spin_lock_irqsave",
    "bpf_res_spin_unlock_irqrestore",
    "bpf_task_work_schedule_signal",
    "bpf_task_work_schedule_resume",
    "bpf_iter_css_task_new",
    "bpf_dynptr_from_file",
    "bpf_dynptr_from_skb_meta",
    "bpf_session_cookie",
];

impl Env<'_> {
    /// Groups of functions that this program type may call.
    fn kfunc_hooks(&self) -> u16 {
        let r = self.profile.release;
        let own = match self.prog.kind {
            ProgType::XDP => hook::XDP,
            ProgType::SCHED_CLS => hook::TC,
            ProgType::STRUCT_OPS => hook::STRUCT_OPS,
            ProgType::TRACING | ProgType::LSM => hook::TRACING,
            ProgType::TRACEPOINT | ProgType::PERF_EVENT if r >= Release::new(6, 12) => hook::TRACING,
            ProgType::RAW_TRACEPOINT if r >= Release::new(7, 0) => hook::TRACING,
            ProgType::SYSCALL => hook::SYSCALL,
            ProgType::CGROUP_SKB => hook::CGROUP,
            ProgType::CGROUP_SOCK
            | ProgType::CGROUP_DEVICE
            | ProgType::CGROUP_SOCK_ADDR
            | ProgType::CGROUP_SOCKOPT
            | ProgType::CGROUP_SYSCTL
                if r >= Release::new(6, 8) =>
            {
                hook::CGROUP
            }
            ProgType::SOCK_OPS if r >= Release::new(7, 0) => hook::CGROUP,
            ProgType::SCHED_ACT => hook::SCHED_ACT,
            ProgType::SK_SKB => hook::SK_SKB,
            ProgType::SOCKET_FILTER => hook::SOCKET_FILTER,
            ProgType::LWT_IN | ProgType::LWT_OUT | ProgType::LWT_XMIT | ProgType::LWT_SEG6LOCAL => hook::LWT,
            ProgType::NETFILTER => hook::NETFILTER,
            ProgType::KPROBE => hook::KPROBE,
            _ => 0,
        };
        own | hook::COMMON
    }

    /// The function that a call names; a refusal if this program may not call it.
    fn kfunc(&self, insn: Insn) -> Checked<Kfunc> {
        if insn.off != 0 {
            unmodelled!("kfuncs of modules");
        }
        let btf = self.btf_of(BtfOf::Kernel)?;
        let Some(sig) = btf.func_by_id(TypeId(insn.imm as u32)) else {
            reject!(Kfunc, "kernel btf_id {} is not a function", insn.imm);
        };
        let name = sig.name.to_owned();
        // The function is in this kernel's BTF; which programs may call it, a later kernel tells as well.
        let bits = self.profile.table_bits_around();
        let mut rows = ROWS.iter().filter(|r| r.on & bits != 0 && r.name == name).peekable();
        if rows.peek().is_none() {
            unmodelled!("kfunc not in the table");
        }
        let hooks = self.kfunc_hooks();
        let Some(row) = rows.find(|r| r.hooks & hooks != 0) else {
            reject!(Kfunc, "calling kernel function {name} is not allowed");
        };
        match row.filter {
            Filter::Any => {}
            Filter::LsmOnly => {
                if self.prog.kind != ProgType::LSM {
                    reject!(Kfunc, "calling kernel function {name} is not allowed");
                }
            }
            Filter::Unknown => unmodelled!("kfunc filter"),
        }
        if SPECIAL.contains(&name.as_str()) {
            unmodelled!("special kfuncs");
        }
        let params = sig.proto.params().map(|p| (p.name.to_owned(), p.type_id)).collect();
        Ok(Kfunc { name, flags: row.flags, params, ret: sig.proto.ret })
    }

    /// How many arguments, whether a result, and whether instructions replace the call (see [`super::fastcall`]).
    pub(super) fn kfunc_clobbers(&self, insn: Insn) -> Option<(usize, bool, bool)> {
        let btf = self.profile.btf.as_ref()?;
        let sig = btf.func_by_id(TypeId(insn.imm as u32)).filter(|_| insn.off == 0)?;
        let result = btf.resolve(sig.proto.ret) != Some(TypeId::VOID);
        let inlined = matches!(sig.name, "bpf_cast_to_kern_ctx" | "bpf_rdonly_cast");
        Some((sig.proto.params().count(), result, inlined))
    }

    pub(super) fn is_iter_next(&self, insn: Insn) -> bool {
        self.kfunc(insn).is_ok_and(|k| k.has(kf::KF_ITER_NEXT))
    }

    pub(super) fn is_graph_kfunc(&self, _insn: Insn) -> bool {
        false
    }

    pub(super) fn step_kfunc_call(&mut self, insn: Insn) -> Checked<Flow> {
        if insn.imm == 0 {
            return Ok(Flow::Next);
        }
        let k = self.kfunc(insn)?;
        let name = k.name.clone();
        if k.has(kf::KF_SLEEPABLE) && !self.is_sleepable() {
            reject!(Sleep, "program must be sleepable to call sleepable kfunc {name}");
        }
        let mut meta = Meta::default();
        self.check_kfunc_args(&k, &mut meta)?;
        self.check_sections(&k)?;
        if let Some(r) = meta.release {
            let ref_id = self.cur.reg(r).ref_id;
            if !self.release_reference(ref_id)? {
                reject!(Reference, "kfunc {name}#{} reference has not been acquired before", insn.imm);
            }
        }
        if name == super::exception::THROW {
            self.check_thrown()?;
        }
        self.clear_caller_saved();
        self.set_kfunc_result(&k, &mut meta)?;
        if self.kfunc_changes_packet(&name) {
            self.forget_packets();
        }
        if k.has(kf::KF_ITER_NEXT) {
            self.iter_next(&meta)?;
        }
        if name == super::exception::THROW {
            return self.leave_by_exception();
        }
        Ok(Flow::Next)
    }

    fn kfunc_changes_packet(&self, name: &str) -> bool {
        self.profile.release >= Release::new(6, 13) && matches!(name, "bpf_xdp_pull_data")
    }

    /// RCU read sections and sections without preemption.
    fn check_sections(&mut self, k: &Kfunc) -> Checked {
        let name = k.name.as_str();
        let nests = self.profile.release >= Release::new(6, 18);
        let sleeps = k.has(kf::KF_SLEEPABLE);
        match name {
            "bpf_rcu_read_lock" => {
                if self.cur.rcu_locks > 0 && !nests {
                    reject!(Lock, "nested rcu read lock (kernel function {name})");
                }
                self.cur.rcu_locks += 1;
            }
            "bpf_rcu_read_unlock" => {
                if self.cur.rcu_locks == 0 {
                    reject!(Lock, "unmatched rcu read unlock (kernel function {name})");
                }
                self.cur.rcu_locks -= 1;
                if self.cur.rcu_locks == 0 {
                    let spills = self.spills();
                    self.cur.for_each_reg(spills, |r| {
                        if r.ty.flags.any(Flags::RCU) {
                            let keep = r.ty.flags.without(Flags(Flags::RCU.0 | Flags::MAYBE_NULL.0));
                            r.ty.flags = keep.with(Flags::UNTRUSTED);
                        }
                    });
                }
            }
            "bpf_preempt_disable" => self.cur.preempt_locks += 1,
            "bpf_preempt_enable" => {
                if self.cur.preempt_locks == 0 {
                    reject!(Lock, "unmatched attempt to enable preemption (kernel function {name})");
                }
                self.cur.preempt_locks -= 1;
            }
            _ => {
                if sleeps && self.cur.rcu_locks > 0 {
                    reject!(Sleep, "kernel func {name} is sleepable within rcu_read_lock region");
                }
                if sleeps && self.cur.preempt_locks > 0 {
                    reject!(Sleep, "kernel func {name} is sleepable within non-preemptible region");
                }
                if sleeps && !self.cur.irqs.is_empty() {
                    reject!(Sleep, "kernel func {name} is sleepable within IRQ-disabled region");
                }
            }
        }
        Ok(())
    }

    fn check_kfunc_args(&mut self, k: &Kfunc, meta: &mut Meta) -> Checked {
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
        match kind {
            Pointer::Null => return Ok(0),
            Pointer::Map | Pointer::Btf if trusted || rcu => {
                if release_1 < Release::new(6, 2) {
                    if reg.ref_id == 0 && !reg.is_null() {
                        reject!(Reference, "R{r} must be referenced");
                    }
                } else if !self.is_trusted(reg) && kind == Pointer::Btf {
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
        if kind == Pointer::Btf || kind == Pointer::Ctx || !all_trusted {
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
            Pointer::Iter => self.kfunc_iter(k, r, ref_t, reg, meta)?,
            Pointer::IrqFlag => {
                let does = if k.name == "bpf_local_irq_save" { irq::Flag::Save } else { irq::Flag::Restore };
                self.kfunc_irq_flag(does, r, reg)?;
            }
            Pointer::ConstStr => {
                if !reg.ty.is(Base::MapValue) {
                    reject!(ArgConst, "arg#{i} doesn't point to a const string");
                }
                unmodelled!("constant strings");
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
                    _ if reg.map().is_some() => {}
                    _ => reject!(ArgType, "pointer in R{r} isn't map pointer"),
                }
            }
            Pointer::Btf => self.kfunc_struct(k, btf, i, ref_t, reg)?,
            Pointer::Callback => unmodelled!("kfunc callbacks"),
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
        if k.name == "bpf_cast_to_kern_ctx" || super::global::is_ctx(btf, target, self.prog.kind) {
            return Ok(Pointer::Ctx);
        }
        if pname.ends_with("__nullable") && reg.is_null() {
            return Ok(Pointer::Null);
        }
        if pname.ends_with("__alloc") || pname.ends_with("__refcounted_kptr") {
            unmodelled!("allocated objects");
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
        if pname.ends_with("__str") {
            return Ok(Pointer::ConstStr);
        }
        if pname.ends_with("__irq_flag") {
            return Ok(Pointer::IrqFlag);
        }
        if pname.ends_with("__map") {
            return Ok(Pointer::Map);
        }
        if matches!(
            name,
            "bpf_list_head"
                | "bpf_list_node"
                | "bpf_rb_root"
                | "bpf_rb_node"
                | "bpf_wq"
                | "bpf_timer"
                | "bpf_task_work"
                | "bpf_res_spin_lock"
        ) {
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
        let sized = k.params.get(i + 1).is_some_and(|(n, id)| {
            (n.ends_with("__sz") || n.ends_with("__szk"))
                && self.cur.reg(2 + i as u8).is_scalar()
                && btf.resolve(*id).is_some_and(|t| matches!(btf.get(t), Some(T::Int(_) | T::Enum(_))))
        });
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
        let unsafe_flags = reg.ty.flags.any(Flags(
            Flags::MAYBE_NULL.0 | Flags::UNTRUSTED.0 | Flags::PERCPU.0 | Flags::USER.0 | Flags::ALLOC.0,
        ));
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
        let kind = match k.name.as_str() {
            "bpf_dynptr_from_skb" => DynptrKind::Skb,
            "bpf_dynptr_from_xdp" => DynptrKind::Xdp,
            _ if uninit => unmodelled!("dynptr kfuncs"),
            _ => DynptrKind::Local,
        };
        if uninit {
            if !reg.ty.is(Base::Stack) {
                reject!(Dynptr, "arg#{} expected pointer to stack or const struct bpf_dynptr", r - 1);
            }
            return self.make_dynptr(r, reg, kind);
        }
        let arg = Arg { kind: ArgKind::Dynptr, flags: flag::RDONLY, size: 0, btf: "" };
        self.dynptr_arg(r, reg, arg)?;
        meta.dynptr = self.dynptr_identity(reg);
        Ok(())
    }

    fn kernel_ctx(&self) -> Option<TypeId> {
        let name = match self.prog.kind {
            ProgType::XDP => "xdp_buff",
            ProgType::SOCKET_FILTER | ProgType::SCHED_CLS | ProgType::SCHED_ACT | ProgType::CGROUP_SKB => {
                "sk_buff"
            }
            ProgType::KPROBE => "pt_regs",
            ProgType::PERF_EVENT => "bpf_perf_event_data_kern",
            ProgType::CGROUP_SOCK => "sock",
            ProgType::CGROUP_SOCK_ADDR => "bpf_sock_addr_kern",
            ProgType::CGROUP_SOCKOPT => "bpf_sockopt_kern",
            ProgType::CGROUP_SYSCTL => "bpf_sysctl_kern",
            ProgType::SOCK_OPS => "bpf_sock_ops_kern",
            ProgType::SK_MSG => "sk_msg",
            ProgType::SK_SKB
            | ProgType::LWT_IN
            | ProgType::LWT_OUT
            | ProgType::LWT_XMIT
            | ProgType::LWT_SEG6LOCAL => "sk_buff",
            ProgType::SK_LOOKUP => "bpf_sk_lookup_kern",
            ProgType::SK_REUSEPORT => "sk_reuseport_kern",
            ProgType::FLOW_DISSECTOR => "bpf_flow_dissector",
            ProgType::NETFILTER => "bpf_nf_ctx",
            _ => return None,
        };
        self.profile.kernel_struct(name)
    }

    fn set_kfunc_result(&mut self, k: &Kfunc, meta: &mut Meta) -> Checked {
        let btf = match &self.profile.btf {
            Some(b) => b.clone(),
            None => unmodelled!("no BTF"),
        };
        let Some(t) = btf.resolve(k.ret) else { unmodelled!("kfunc's result") };
        let mut r0 = match btf.get(t) {
            Some(T::Void) => return Ok(()),
            Some(T::Int(_) | T::Enum(_) | T::Enum64(_)) => {
                let mut r = Reg::UNKNOWN;
                if let Some(T::Int(i)) = btf.get(t)
                    && i.size < 8
                    && self.profile.release >= Release::new(7, 3)
                {
                    r.v.truncate(i.size, self.d);
                }
                r
            }
            Some(T::Ptr(target)) => self.kfunc_pointer_result(k, &btf, target, meta)?,
            _ => unmodelled!("kfunc's result"),
        };
        if k.has(kf::KF_RET_NULL) && !r0.is_scalar() {
            r0.ty.flags = r0.ty.flags.with(Flags::MAYBE_NULL);
            r0.id = self.next_id();
        }
        if k.has(kf::KF_ACQUIRE) {
            let id = self.acquire_reference();
            if k.has(kf::KF_RET_NULL) {
                r0.id = id;
            }
            r0.ref_id = id;
        }
        let reg = self.cur.reg_mut(0);
        let link = reg.link;
        *reg = Reg { link, live: Live::WRITTEN, ..r0 };
        Ok(())
    }

    fn kfunc_pointer_result(
        &mut self,
        k: &Kfunc,
        btf: &Btf,
        target: TypeId,
        meta: &mut Meta,
    ) -> Checked<Reg> {
        let Some(t) = btf.resolve(target) else { unmodelled!("kfunc's result") };
        let kernel = |id| Data::Btf { of: BtfOf::Kernel, id };
        match k.name.as_str() {
            "bpf_cast_to_kern_ctx" => {
                let Some(id) = meta.ctx_struct else { unmodelled!("kernel context") };
                return Ok(Reg::pointer(Type::new(Base::BtfId, Flags::TRUSTED), kernel(id)));
            }
            "bpf_rdonly_cast" => {
                let id = TypeId(meta.constant.unwrap_or(0) as u32);
                let is_struct =
                    btf.resolve(id).is_some_and(|x| matches!(btf.get(x), Some(T::Struct(_) | T::Union(_))));
                if is_struct {
                    let id = btf.resolve(id).unwrap_or(id);
                    return Ok(Reg::pointer(Type::new(Base::BtfId, Flags::UNTRUSTED), kernel(id)));
                }
                if self.profile.release >= Release::new(6, 17) && id == TypeId::VOID {
                    return Ok(Reg::pointer(
                        Type::new(Base::Mem, Flags(Flags::RDONLY.0 | Flags::UNTRUSTED.0)),
                        Data::Size(0),
                    ));
                }
                reject!(Kfunc, "kfunc bpf_rdonly_cast type ID argument must be of a struct");
            }
            "bpf_dynptr_slice" | "bpf_dynptr_slice_rdwr" => {
                let (Some(size), Some((dynptr, kind))) = (meta.constant, meta.dynptr) else {
                    unmodelled!("dynptr slice")
                };
                let mut flags = Flags::NONE;
                if matches!(kind, DynptrKind::Skb | DynptrKind::Xdp) {
                    flags = flags.with(Flags::DYN_SLICE);
                }
                if k.name == "bpf_dynptr_slice" {
                    flags = flags.with(Flags::RDONLY);
                } else if !self.may_access_packet(Dir::Write, None) {
                    reject!(PacketWrite, "the prog does not allow writes to packet data");
                }
                return Ok(Reg::pointer(
                    Type::new(Base::Mem, flags),
                    Data::Slice { size: size as u32, dynptr },
                ));
            }
            _ => {}
        }
        if k.has(kf::KF_ARENA_RET) {
            return Ok(Reg {
                v: super::value::Value::UNKNOWN,
                ..Reg::pointer(Type::plain(Base::Arena), Data::None)
            });
        }
        if t == TypeId::VOID && meta.r0_size == 0 {
            return Ok(Reg::UNKNOWN);
        }
        if matches!(btf.get(t), Some(T::Struct(_) | T::Union(_))) {
            let mut flags = Flags::NONE;
            if let Some((f, s)) = meta.iter
                && k.has(kf::KF_ITER_NEXT)
            {
                let rcu = self.cur.frames[f].stack[s].reg.ty.flags.any(Flags::RCU);
                flags = if rcu { Flags::RCU } else { Flags::TRUSTED };
            } else if self.profile.release >= Release::new(6, 15) && k.has(kf::KF_RCU_PROTECTED) {
                flags = Flags::RCU;
            }
            return Ok(Reg::pointer(Type::new(Base::BtfId, flags), kernel(t)));
        }
        if meta.r0_size == 0 {
            match btf.size_of(t) {
                Some(s) => {
                    meta.r0_size = s as u64;
                    meta.r0_rdonly = true;
                }
                None => {
                    reject!(Kfunc, "kernel function {} returns pointer type that is not supported", k.name)
                }
            }
        }
        let flags = if meta.r0_rdonly { Flags::RDONLY } else { Flags::NONE };
        Ok(Reg {
            ref_id: meta.ref_id,
            ..Reg::pointer(Type::new(Base::Mem, flags), Data::Size(meta.r0_size as u32))
        })
    }

    pub(super) fn access_kptr(
        &mut self,
        _field: &SpecialField,
        _into: Option<u8>,
        _value: Option<u8>,
        _how: Access,
    ) -> Checked<Reg> {
        unmodelled!("kptrs")
    }

    pub(super) fn kptr_arg(&mut self, _r: u8, _reg: &Reg, _call: &mut Call) -> Checked {
        unmodelled!("kptrs")
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
fn is_scalar_struct(btf: &Btf, id: TypeId, depth: u32) -> bool {
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
