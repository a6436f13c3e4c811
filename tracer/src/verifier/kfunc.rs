//! Kernel functions that programs may call.
//!
//! What a function takes and gives stands in the kernel's BTF: types, and suffixes of parameter names (`__sz`: the size
//! of the memory before, `__k`: a constant, `__ign`: not looked at, `__nullable`, `__uninit`, `__map`, `__str`). Who may
//! call it and what it does with references is in [`super::kfunc_table`]. `check_kfunc_call()`, `check_kfunc_args()`
//! (kernel/bpf/verifier.c).

use super::btf::{Btf, Type as T, TypeId};
use super::callback::Caller;
use super::env::Env;
use super::explore::Flow;
use super::graph;
use super::insn::Insn;
use super::kfunc_table::{Filter, ROWS, hook, kf};
use super::local::plain_name;
use super::memory::Dir;
use super::profile::Release;
use super::program::{AttachType, ProgType};
use super::record::SpecialField;
use super::reg::{Base, BtfOf, Data, DynptrKind, Flags, Live, MapId, Reg, Type};
use super::report::{Checked, reject, unmodelled};
use super::state::Byte;

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
    pub release: Option<u8>,
    pub constant: Option<u64>,
    pub r0_size: u64,
    pub r0_rdonly: bool,
    pub ctx_struct: Option<TypeId>,
    /// The initialised dynptr: its number, kind and reference.
    pub dynptr: Option<(u32, DynptrKind, u32)>,
    pub iter: Option<(usize, usize)>,
    pub map: Option<(MapId, u32)>,
    pub subprog: Option<u32>,
    /// The list's or tree's root.
    pub root: Option<SpecialField>,
    /// The type of the object that was handed in.
    pub object: Option<Data>,
    /// That object is one that the program owns.
    pub owning: bool,
}

/// Functions whose rules of their own are not modelled.
const SPECIAL: &[&str] = &[
    "bpf_res_spin_lock",
    "bpf_res_spin_unlock",
    "bpf_res_spin_lock_irqsave",
    "bpf_res_spin_unlock_irqrestore",
    "bpf_task_work_schedule_signal",
    "bpf_task_work_schedule_resume",
    "bpf_dynptr_from_file",
    "bpf_dynptr_from_skb_meta",
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
            Filter::IterOnly => {
                if self.prog.attach != AttachType::TRACE_ITER {
                    reject!(Kfunc, "calling kernel function {name} is not allowed");
                }
            }
            Filter::Session => {
                let uprobes = self.profile.release >= Release::new(6, 13);
                let session = self.prog.attach == AttachType::TRACE_KPROBE_SESSION
                    || (uprobes && self.prog.attach == AttachType::TRACE_UPROBE_SESSION);
                if self.prog.kind != ProgType::KPROBE {
                    unmodelled!("kfunc filter");
                }
                if !session {
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

    /// The name of the function that a call names.
    pub(super) fn kfunc_name(&self, insn: Insn) -> Option<&str> {
        let btf = self.profile.btf.as_ref()?;
        btf.func_by_id(TypeId(insn.imm as u32)).filter(|_| insn.off == 0).map(|sig| sig.name)
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
        match plain_name(&name) {
            "bpf_rbtree_add" => self.call_callback(Caller::Less, meta.subprog)?,
            "bpf_wq_set_callback" => self.call_callback(Caller::Workqueue, meta.subprog)?,
            "bpf_session_cookie" => meta.r0_size = 8,
            "bpf_obj_drop" if self.profile.release >= Release::new(7, 0) && self.may_run_in_nmi() => {
                self.check_nmi_safe(&name, &meta)?;
            }
            _ => {}
        }
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
        if graph::inserts(&name) {
            self.hand_over(&name)?;
        }
        self.mark_args_read(&k)?;
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

    /// What only RCU kept is no longer to be trusted.
    pub(super) fn forget_rcu(&mut self) {
        let spills = self.spills();
        let expire = |r: &mut Reg| {
            if r.ty.flags.any(Flags::RCU) {
                let keep = r.ty.flags.without(Flags(Flags::RCU.0 | Flags::MAYBE_NULL.0));
                r.ty.flags = keep.with(Flags::UNTRUSTED);
            }
        };
        self.cur.for_each_reg(spills, expire);
        if self.profile.release >= Release::new(6, 7) {
            let slots = self.cur.frames.iter_mut().flat_map(|f| f.stack.iter_mut());
            slots.filter(|s| s.bytes[0] == Byte::Iter).for_each(|s| expire(&mut s.reg));
        }
    }

    /// Arguments are read with the width of their types (`mark_btf_func_reg_size()`).
    fn mark_args_read(&mut self, k: &Kfunc) -> Checked {
        let btf = match &self.profile.btf {
            Some(b) => b.clone(),
            None => unmodelled!("no BTF"),
        };
        for (i, (_, id)) in k.params.iter().enumerate().take(5) {
            let reg = *self.cur.reg(1 + i as u8);
            let flag = if btf.size_of(*id) == Some(8) { Live::READ64 } else { Live::READ32 };
            self.arena.mark_read(Some(reg.live), reg.link, flag);
        }
        Ok(())
    }

    /// The program may interrupt anything at all.
    fn may_run_in_nmi(&self) -> bool {
        self.is_tracing_type()
            || (self.prog.kind == ProgType::TRACING
                && self.prog.attach != AttachType::TRACE_ITER
                && !self.prog.sleepable())
    }

    /// Objects with such fields cannot be freed in an NMI.
    fn check_nmi_safe(&self, name: &str, meta: &Meta) -> Checked {
        let Some(Data::Btf { id, .. }) = meta.object else { return Ok(()) };
        let Some(record) = self.locals.get(&id) else { return Ok(()) };
        if record.fields.iter().any(|f| !f.kind.is_nmi_safe()) {
            reject!(Kfunc, "{name} cannot be used in tracing programs on types with NMI unsafe fields");
        }
        Ok(())
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
            "bpf_rcu_read_lock" | "bpf_rcu_read_unlock"
                if self.cur.rcu_locks > 0 && self.in_tree_callback() =>
            {
                reject!(Lock, "Calling bpf_rcu_read_{{lock,unlock}} in unnecessary rbtree callback");
            }
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
                    self.forget_rcu();
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

    pub(super) fn kernel_ctx(&self) -> Option<TypeId> {
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
        // Who owns an object already may always have another reference to it.
        let sure = plain_name(&k.name) == "bpf_refcount_acquire" && meta.owning;
        let nullable = k.has(kf::KF_RET_NULL) && !sure;
        if nullable && !r0.is_scalar() {
            r0.ty.flags = r0.ty.flags.with(Flags::MAYBE_NULL);
            r0.id = self.next_id();
        }
        if k.has(kf::KF_ACQUIRE) {
            let id = self.acquire_reference();
            if nullable {
                r0.id = id;
            }
            r0.ref_id = id;
        } else if r0.ty.base == Base::BtfId && graph::api(&k.name).is_some() {
            r0 = self.non_owning(r0);
        }
        if r0.id == 0 && self.may_hold_lock(&r0) {
            r0.id = self.next_id();
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
        if graph::api(&k.name).is_some() {
            let node = meta.root.and_then(|root| self.graph_node(root.target));
            return match node {
                Some(node) => Ok(node),
                None => unmodelled!("internal: a node without root"),
            };
        }
        match plain_name(&k.name) {
            "bpf_obj_new" => return self.new_object(false, meta),
            "bpf_percpu_obj_new" => return self.new_object(true, meta),
            "bpf_refcount_acquire" => return self.another_owner(meta),
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
                let (Some(size), Some((dynptr, kind, _))) = (meta.constant, meta.dynptr) else {
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
}
