//! Helper calls: may it be called, are its arguments right, what does it leave behind.
//!
//! `check_helper_call()` (kernel/bpf/verifier.c).

use super::args::Call;
use super::env::Env;
use super::explore::Flow;
use super::feature::Feature;
use super::helper::{self, Allow, Lookup, Proto, RetKind, TailCalls, flag, id};
use super::insn::{Insn, pseudo};
use super::memory::Access;
use super::profile::Release;
use super::program::{AttachType, MapType, ProgType};
use super::reg::{Base, BtfOf, Data, Flags, Live, Reg, Type};
use super::report::{Checked, Kind, Stop, Violation, reject, unmodelled};

/// Mark where calls make states be kept (`visit_insn()`).
pub(super) fn mark_call_points(env: &mut Env, t: usize) {
    let insn = env.insns[t];
    let callbacks = env.has(Feature::CallbackUnrolling);
    let sync = insn.is_helper_call()
        && matches!(
            insn.imm as u32,
            id::FOR_EACH_MAP_ELEM | id::FIND_VMA | id::LOOP | id::USER_RINGBUF_DRAIN
        );
    let is_async = insn.is_helper_call() && insn.imm as u32 == id::TIMER_SET_CALLBACK;
    if is_async {
        env.aux[t].prune_point = true;
    }
    if sync && callbacks {
        mark_callback_point(env, t);
    }
    if insn.is_helper_call() && helper::changes_packet(insn.imm as u32, env.tail_calls()) {
        env.mark_changes_packet(t as u32);
    }
    if env.is_throw(insn) {
        env.mark_may_throw(t as u32);
    }
    if insn.is_kfunc_call() {
        match env.kfunc_name(insn).map(super::local::plain_name) {
            Some("bpf_rbtree_add") if callbacks => mark_callback_point(env, t),
            Some("bpf_wq_set_callback") => env.aux[t].prune_point = true,
            _ => {}
        }
    }
    if insn.is_kfunc_call() && env.is_iter_next(insn) {
        let a = &mut env.aux[t];
        a.iter_next = true;
        a.prune_point = true;
        a.force_checkpoint = true;
    }
}

/// A call that is walked again when what it calls returns.
fn mark_callback_point(env: &mut Env, t: usize) {
    let a = &mut env.aux[t];
    a.calls_callback = true;
    a.force_checkpoint = true;
    a.prune_point = true;
    a.jump_point = true;
}

const ACQUIRES: &[u32] =
    &[id::SK_LOOKUP_TCP, id::SK_LOOKUP_UDP, id::SKC_LOOKUP_TCP, id::RINGBUF_RESERVE, id::KPTR_XCHG];

const CASTS: &[u32] =
    &[id::TCP_SOCK, id::SK_FULLSOCK, 137, 136, 138, 139, id::SKC_TO_UDP6_SOCK, id::SKC_TO_MPTCP_SOCK];

impl Env<'_> {
    pub(super) fn tail_calls(&self) -> TailCalls {
        if self.has(Feature::PacketEffects) { TailCalls::Change } else { TailCalls::Keep }
    }

    /// While a lock is held only a few functions may be called.
    pub(super) fn check_call_under_lock(&self, insn: Insn) -> Checked {
        if self.cur.lock.is_none() {
            return Ok(());
        }
        let refused = match insn.src {
            0 => {
                let late = self.profile.release >= Release::new(6, 18);
                insn.imm as u32 != id::SPIN_UNLOCK && !(late && insn.imm as u32 == id::KPTR_XCHG)
            }
            pseudo::CALL => !self.has(Feature::RcuPointers) || self.profile.release < Release::new(6, 8),
            _ => !self.kfunc_name(insn).is_some_and(|n| self.allowed_under_lock(n)),
        };
        if refused {
            reject!(Lock, "function calls are not allowed while holding a lock");
        }
        Ok(())
    }

    pub(super) fn step_helper_call(&mut self, insn: Insn) -> Checked<Flow> {
        let func = insn.imm as u32;
        let name = helper::name(func);
        let found = self.helper(func);
        let overrides = self.profile.config.error_injection != Some(false);
        let proto = match found {
            // Results are overridden by error injection, which this kernel lacks.
            Lookup::Found(_) if func == id::OVERRIDE_RETURN && !overrides => {
                return Err(self.helper_not_allowed(func));
            }
            Lookup::Found(p) => p,
            Lookup::Unknown => {
                reject!(UnknownFunction, "invalid func {}#{}", self.func_label(insn.imm), insn.imm)
            }
            Lookup::NotAllowed => return Err(self.helper_not_allowed(func)),
            Lookup::Unmodelled => unmodelled!("helpers of this program type"),
        };
        if !self.prog.gpl && proto.flags & flag::GPL != 0 {
            reject!(
                FunctionNotAllowed,
                "cannot call GPL-restricted function from non-GPL compatible program"
            );
        }
        self.check_allowed(proto)?;
        let sleeps = proto.flags & flag::SLEEPS != 0;
        if sleeps && !self.is_sleepable() {
            reject!(Sleep, "helper call might sleep in a non-sleepable prog");
        }
        if self.cur.rcu_locks > 0 && sleeps {
            reject!(Sleep, "sleepable helper bpf_{name}#{func} in rcu_read_lock region");
        }
        if self.cur.preempt_locks > 0 && sleeps {
            reject!(Sleep, "sleepable helper bpf_{name}#{func} in non-preemptible region");
        }
        if !self.cur.irqs.is_empty() && sleeps {
            reject!(Sleep, "sleepable helper bpf_{name}#{func} in IRQ-disabled region");
        }
        let mut call = Call { func, packets_ok: proto.flags & flag::PKT != 0, ..Call::default() };
        for n in 0..proto.args.len() {
            self.check_arg(n, proto, &mut call)?;
        }
        self.record_map(&call)?;
        self.check_array_key(&call)?;
        if let Some((r, size)) = call.fills {
            for i in 0..size {
                self.access(r, i as i64, 1, Access::HelperByte)?;
            }
        }
        self.release_arg(proto, &call)?;
        self.check_special(&mut call)?;
        let old: [Reg; 6] = std::array::from_fn(|i| *self.cur.reg(i as u8));
        self.clear_caller_saved();
        self.set_result(proto, &call, &old)?;
        let inline = self.enter_callback(&call, &old)?;
        if let Some((map, _)) = call.map {
            self.check_map_function(map, func)?;
        } else {
            self.check_function_map_required(func)?;
        }
        if func == id::GET_FUNC_IP {
            self.check_func_ip()?;
        }
        let mut changes = helper::changes_packet(func, self.tail_calls());
        if func == id::DYNPTR_WRITE && self.dynptr_is_packet(&old[1]) {
            changes = true;
        }
        if changes {
            self.forget_packets();
        }
        Ok(inline.map_or(Flow::Next, Flow::To))
    }

    /// What this program's gate says of a helper.
    pub(super) fn helper(&self, func: u32) -> Lookup {
        if self.prog.kind == ProgType::STRUCT_OPS {
            return self.struct_ops_helper(func);
        }
        let kernel = self.profile.table_bit();
        let hooked = helper::decided_by_hook(func)
            .then(|| self.attach_target())
            .flatten()
            .and_then(|t| helper::at_hook(func, self.prog, &t.name, kernel));
        hooked.unwrap_or_else(|| helper::lookup(func, self.prog, kernel, self.known_helpers()))
    }

    fn helper_not_allowed(&self, func: u32) -> Stop {
        let name = helper::name(func);
        let message = if self.profile.release >= Release::new(6, 11) {
            format!("program of this type cannot use helper bpf_{name}#{func}")
        } else {
            format!("unknown func bpf_{name}#{func}")
        };
        Stop::Reject(Box::new(Violation { kind: Kind::FunctionNotAllowed, message }))
    }

    /// How many helpers this kernel has.
    pub(super) fn known_helpers(&self) -> u32 {
        self.profile.limits().helpers.unwrap_or(212)
    }

    fn func_label(&self, imm: i32) -> String {
        let n = helper::name(imm as u32);
        if n == "unknown" { n.to_owned() } else { format!("bpf_{n}") }
    }

    fn check_allowed(&self, proto: &Proto) -> Checked {
        let ok = match proto.allow {
            Allow::Any => true,
            Allow::DPath => self.d_path_allowed(),
            Allow::SkStorage => self.sk_storage_allowed(),
            Allow::ImaInode => self.hook_sleeps(),
        };
        if !ok {
            reject!(FunctionNotAllowed, "helper call is not allowed in probe");
        }
        Ok(())
    }

    /// The program hooks where sleeping is allowed (`bpf_lsm_is_sleepable_hook()`).
    fn hook_sleeps(&self) -> bool {
        use super::lsm_hooks::{SLEEPABLE, lists};
        self.attach_target().is_some_and(|t| lists(SLEEPABLE, self.profile.table_bit(), &t.name))
    }

    fn d_path_allowed(&self) -> bool {
        const FUNCTIONS: &[&str] = &[
            "security_file_permission",
            "security_inode_getattr",
            "security_file_open",
            "security_path_truncate",
            "vfs_truncate",
            "vfs_fallocate",
            "dentry_open",
            "vfs_getattr",
            "filp_close",
        ];
        if self.prog.kind == ProgType::TRACING && self.prog.attach == AttachType::TRACE_ITER {
            return self.profile.release >= Release::new(5, 12);
        }
        let Some(target) = self.attach_target() else { return false };
        if self.prog.kind == ProgType::LSM {
            return self.profile.release >= Release::new(5, 11) && self.hook_sleeps();
        }
        FUNCTIONS.contains(&target.name.as_str())
    }

    fn sk_storage_allowed(&self) -> bool {
        // Storage helpers may not be called from what they themselves call.
        match self.prog.attach {
            AttachType::TRACE_ITER | AttachType::TRACE_RAW_TP => true,
            AttachType::TRACE_FENTRY | AttachType::TRACE_FEXIT => {
                self.attach_target().is_some_and(|t| !t.name.starts_with("bpf_sk_storage"))
            }
            _ => false,
        }
    }

    /// One call with several maps: allowed, but tail calls and constants lose what depends on the map.
    fn record_map(&mut self, call: &Call) -> Checked {
        let Some((map, _)) = call.map else { return Ok(()) };
        let pc = self.pc as usize;
        let m = self.map(map);
        let writes = matches!(
            call.func,
            id::MAP_UPDATE_ELEM | id::MAP_DELETE_ELEM | id::MAP_PUSH_ELEM | id::MAP_POP_ELEM
        );
        let recorded = matches!(
            call.func,
            id::TAIL_CALL
                | id::MAP_LOOKUP_ELEM
                | id::MAP_UPDATE_ELEM
                | id::MAP_DELETE_ELEM
                | id::MAP_PUSH_ELEM
                | id::MAP_POP_ELEM
                | id::MAP_PEEK_ELEM
                | id::FOR_EACH_MAP_ELEM
                | id::REDIRECT_MAP
                | id::MAP_LOOKUP_PERCPU_ELEM
        );
        if !recorded {
            return Ok(());
        }
        if m.flags & super::program::map_flags::RDONLY_PROG != 0 && writes {
            reject!(MapForbidden, "write into map forbidden");
        }
        self.aux[pc].call_map = match self.aux[pc].call_map {
            None => Some(Some(map)),
            Some(Some(prev)) if prev == map => Some(Some(map)),
            _ => Some(None),
        };
        Ok(())
    }

    /// A tail call's index, if constant, is compiled in: its exact value matters (`record_func_key()`).
    fn check_array_key(&mut self, call: &Call) -> Checked {
        if call.func != id::TAIL_CALL {
            return Ok(());
        }
        let Some((map, _)) = call.map else {
            reject!(Misconfigured, "kernel subsystem misconfigured verifier")
        };
        if self.map(map).kind != MapType::PROG_ARRAY {
            reject!(Misconfigured, "kernel subsystem misconfigured verifier");
        }
        let reg = self.cur.reg(3);
        if reg.is_scalar() && reg.v.t.is_const() && reg.v.t.value < self.map(map).max_entries as u64 {
            self.mark_precise(3)?;
        }
        Ok(())
    }

    fn release_arg(&mut self, proto: &Proto, call: &Call) -> Checked {
        let Some(r) = call.release else { return Ok(()) };
        let reg = *self.cur.reg(r);
        let name = helper::name(call.func);
        if proto.args[r as usize - 1].kind == helper::ArgKind::Dynptr {
            return self.release_dynptr(&reg);
        }
        let released = match call.ref_id {
            0 => false,
            ref_id if call.func == id::KPTR_XCHG => self.release_to_kptr(ref_id, &reg)?,
            ref_id => self.release_reference(ref_id)?,
        };
        if released {
            return Ok(());
        }
        if call.ref_id == 0 && reg.is_null() && self.has(Feature::RingbufByFlag) {
            return Ok(());
        }
        reject!(Reference, "func bpf_{name}#{} reference has not been acquired before", call.func);
    }

    /// Give a reference back; registers that hold it are gone. False if it is not held.
    pub(super) fn release_reference(&mut self, ref_id: u32) -> Checked<bool> {
        let frame = self.cur.current();
        let in_callback = self.cur.frame().in_callback();
        let unrolls = self.has(Feature::CallbackUnrolling) || self.profile.release >= Release::new(6, 1);
        let Some(i) = self.cur.ref_index(ref_id) else { return Ok(false) };
        if in_callback && unrolls && self.cur.refs[i].callback_frame as usize != frame {
            return Ok(false);
        }
        self.cur.refs.swap_remove(i);
        self.invalidate(|r| r.ref_id == ref_id);
        Ok(true)
    }

    /// Registers and spills that match are gone.
    pub(super) fn invalidate(&mut self, dead: impl Fn(&Reg) -> bool) {
        let spills = self.spills();
        self.cur.for_each_reg(spills, |r| {
            if dead(r) {
                let (live, link) = (r.live, r.link);
                // A spilled pointer becomes some number; a privileged program may even use the number.
                *r = Reg::UNKNOWN;
                r.live = live;
                r.link = link;
            }
        });
    }

    /// Pointers into the packet are no longer good.
    pub(super) fn forget_packets(&mut self) {
        self.invalidate(|r| {
            r.ty.is_packet_or_end() || (r.ty.base == Base::Mem && r.ty.flags.any(Flags::DYN_SLICE))
        });
    }

    /// After a call R0 to R5 hold nothing.
    pub(super) fn clear_caller_saved(&mut self) {
        for r in 0..6 {
            let reg = self.cur.reg_mut(r);
            let link = reg.link;
            *reg = Reg { link, live: Live::WRITTEN, ..Reg::NOT_INIT };
        }
    }

    fn check_special(&mut self, call: &mut Call) -> Checked {
        match call.func {
            id::TAIL_CALL => {
                if self.cur.lock.is_some() && self.has(Feature::TailCallWithLock) {
                    reject!(TailCall, "tail_call cannot be used inside bpf_spin_lock-ed region");
                }
                if self.check_leaks().is_err() {
                    reject!(TailCall, "tail_call would lead to reference leak");
                }
                if self.cur.rcu_locks > 0 {
                    reject!(TailCall, "tail_call cannot be used inside bpf_rcu_read_lock-ed region");
                }
                if self.cur.preempt_locks > 0 {
                    reject!(TailCall, "tail_call cannot be used inside bpf_preempt_disable-ed region");
                }
                if !self.cur.irqs.is_empty() {
                    reject!(TailCall, "tail_call cannot be used inside bpf_local_irq_save-ed region");
                }
                self.after_tail_call()?;
            }
            id::GET_LOCAL_STORAGE if !self.cur.reg(2).is_null() => {
                reject!(ArgConst, "get_local_storage() doesn't support non-zero flags");
            }
            id::FOR_EACH_MAP_ELEM | id::TIMER_SET_CALLBACK | id::FIND_VMA | id::USER_RINGBUF_DRAIN => {
                self.call_callback_of(call)?;
            }
            id::LOOP => {
                if self.profile.release >= Release::new(6, 0) {
                    self.mark_precise(4)?;
                }
                if self.has(Feature::CallbackUnrolling) {
                    // A count that is a pointer was let through so far, and has no precision to mark.
                    if !self.cur.reg(1).is_scalar() {
                        reject!(Misconfigured, "backtracking misuse");
                    }
                    self.mark_precise(1)?;
                    let rounds = self.cur.reg(1).v.umax;
                    if (self.cur.frame().callback_depth as u64) < rounds {
                        self.call_callback_of(call)?;
                    } else {
                        self.cur.frame_mut().callback_depth = 0;
                    }
                } else {
                    self.call_callback_of(call)?;
                }
            }
            id::SNPRINTF => self.check_snprintf()?,
            id::DYNPTR_FROM_MEM => {
                let ty = self.cur.reg(1).ty;
                if !ty.is(Base::MapValue) {
                    reject!(
                        Dynptr,
                        "Unsupported reg type {} for bpf_dynptr_from_mem data",
                        self.type_text(ty)
                    );
                }
            }
            id::DYNPTR_DATA => self.dynptr_data_ids(call)?,
            id::SET_RETVAL
                if self.prog.kind == ProgType::LSM
                    && self.prog.attach == AttachType::LSM_CGROUP
                    && self.lsm_hook_is_void() =>
            {
                reject!(
                    FunctionNotAllowed,
                    "BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!"
                );
            }
            _ => {}
        }
        Ok(())
    }

    fn set_result(&mut self, proto: &Proto, call: &Call, old: &[Reg; 6]) -> Checked {
        let nullable = proto.ret.flags & flag::NULLABLE != 0;
        let nf = if nullable { Flags::MAYBE_NULL } else { Flags::NONE };
        let mut r0 = match proto.ret.kind {
            RetKind::Integer => Reg::UNKNOWN,
            RetKind::Void => Reg::NOT_INIT,
            RetKind::MapValue => {
                let Some((map, uid)) = call.map else {
                    reject!(Misconfigured, "kernel subsystem misconfigured verifier");
                };
                let nf = if nullable && !self.elides_null_check(call, old) { nf } else { Flags::NONE };
                let mut r = Reg::pointer(Type::new(Base::MapValue, nf), Data::Map { map, uid });
                if self.may_hold_lock(&r) {
                    r.id = self.next_id();
                }
                r
            }
            RetKind::Socket => Reg::pointer(Type::new(Base::Socket, nf), Data::None),
            RetKind::SockCommon => Reg::pointer(Type::new(Base::SockCommon, nf), Data::None),
            RetKind::TcpSock => Reg::pointer(Type::new(Base::TcpSock, nf), Data::None),
            RetKind::RingbufMem => {
                Reg::pointer(Type::new(Base::Mem, nf.with(Flags::RINGBUF)), Data::Size(call.mem_size))
            }
            RetKind::DynptrMem => Reg::pointer(
                Type::new(Base::Mem, nf),
                Data::Slice { size: call.mem_size, dynptr: call.dynptr_id },
            ),
            RetKind::MemOrBtfId => self.percpu_result(proto, call, nf, &old[1])?,
            RetKind::BtfId if call.func == id::KPTR_XCHG => self.exchanged_kptr(call)?,
            RetKind::BtfId => {
                let mut flags = nf;
                if proto.ret.flags & flag::TRUSTED != 0 {
                    flags = flags.with(Flags::TRUSTED);
                }
                let Some(id) = self.profile.kernel_struct(proto.ret.btf) else {
                    unmodelled!("helper's struct not in BTF");
                };
                Reg::pointer(Type::new(Base::BtfId, flags), Data::Btf { of: BtfOf::Kernel, id })
            }
        };
        if r0.ty.may_be_null() {
            r0.id = self.next_id();
        }
        let map_kind = call.map.map(|(m, _)| self.map(m).kind);
        let from_sockmap = call.func == id::MAP_LOOKUP_ELEM
            && matches!(map_kind, Some(MapType::SOCKMAP | MapType::SOCKHASH));
        if CASTS.contains(&call.func) || call.func == id::DYNPTR_DATA {
            r0.ref_id = call.ref_id;
        } else if ACQUIRES.contains(&call.func) || from_sockmap {
            let id = self.acquire_reference();
            r0.id = id;
            r0.ref_id = id;
        }
        self.refine_result(proto, call, &mut r0);
        let reg = self.cur.reg_mut(0);
        let link = reg.link;
        *reg = Reg { link, live: Live::WRITTEN, ..r0 };
        Ok(())
    }

    /// Take a reference at this instruction.
    pub(super) fn acquire_reference(&mut self) -> u32 {
        let id = self.next_id();
        let callback_frame = if self.cur.frame().in_callback() { self.cur.current() as u8 } else { 0 };
        let insn = self.pc;
        self.cur.refs.push(super::state::Reference { id, insn, callback_frame });
        id
    }

    /// Some results are bounded by what was asked for (`do_refine_retval_range()`).
    fn refine_result(&self, proto: &Proto, call: &Call, r0: &mut Reg) {
        const MAX_ERRNO: i32 = 4095;
        if proto.ret.kind != RetKind::Integer {
            return;
        }
        match call.func {
            id::GET_STACK
            | id::GET_TASK_STACK
            | id::PROBE_READ_STR
            | id::PROBE_READ_KERNEL_STR
            | id::PROBE_READ_USER_STR => {
                let task = call.func == id::GET_TASK_STACK;
                if task && self.profile.release < Release::new(5, 16) {
                    return;
                }
                r0.v.smax = call.size_max as i64;
                r0.v.s32max = call.size_max as i32;
                r0.v.smin = -(MAX_ERRNO as i64);
                r0.v.s32min = -MAX_ERRNO;
                r0.v.sync(self.d);
            }
            id::GET_SMP_PROCESSOR_ID if self.profile.release >= Release::new(6, 4) => {
                let top = self.profile.config.nr_cpus.saturating_sub(1);
                (r0.v.umin, r0.v.umax, r0.v.smin, r0.v.smax) = (0, top as u64, 0, top as i64);
                (r0.v.u32min, r0.v.u32max, r0.v.s32min, r0.v.s32max) = (0, top, 0, top as i32);
                r0.v.sync(self.d);
            }
            _ => {}
        }
    }

    /// From 6.14 a lookup in an array with a key known to be in range is never null.
    fn elides_null_check(&mut self, call: &Call, old: &[Reg; 6]) -> bool {
        if !self.has(Feature::ElidedNullChecks) || call.func != id::MAP_LOOKUP_ELEM {
            return false;
        }
        let Some((map, _)) = call.map else { return false };
        let m = self.map(map);
        if !matches!(m.kind, MapType::ARRAY | MapType::PERCPU_ARRAY) || self.inner[map.0 as usize].is_some() {
            return false;
        }
        self.constant_key(&old[2], m.key_size).is_some_and(|k| k < m.max_entries as u64)
    }

    /// The key's value, if the stack holds a constant there (`get_constant_map_key()`).
    fn constant_key(&mut self, key: &Reg, size: u32) -> Option<u64> {
        use super::state::{Byte, Slot, byte_in_slot};
        if !key.ty.is(Base::Stack) || !key.v.t.is_const() {
            return None;
        }
        let off = key.off as i64 + key.v.t.value as i64;
        if !(-512..0).contains(&off) {
            return None;
        }
        let slot = Slot::of(off);
        let s = *self.cur.frames.get(key.frame as usize)?.stack.get(slot.0)?;
        let first = byte_in_slot(off);
        let bytes: Vec<Byte> = (0..size as usize).map(|i| s.bytes[(first + 8 - i) % 8]).collect();
        if off % 8 != 0 && bytes.iter().any(|b| *b != Byte::Zero) {
            return None;
        }
        if bytes.iter().all(|b| *b == Byte::Zero) {
            return Some(0);
        }
        let spilled = s.bytes.iter().rev().take_while(|b| **b == Byte::Spill).count() as u32;
        if spilled == size && s.is_scalar_spill() && s.reg.v.t.is_const() {
            return Some(s.reg.v.t.value & super::tnum::low_bytes(size));
        }
        None
    }

    fn percpu_result(&self, proto: &Proto, call: &Call, nf: Flags, of_cpus: &Reg) -> Checked<Reg> {
        let Some((of, id)) = call.ret_btf else { unmodelled!("per-CPU pointer") };
        let btf = self.btf_of(of)?;
        let Some(t) = btf.resolve(id) else { unmodelled!("per-CPU pointer") };
        let rdonly = if proto.ret.flags & flag::RDONLY != 0 { Flags::RDONLY } else { Flags::NONE };
        if matches!(btf.get(t), Some(super::btf::Type::Struct(_) | super::btf::Type::Union(_))) {
            // Of an object that the program allocated, not of a kernel variable.
            let own = of_cpus.ty.flags.any(Flags::RCU) && self.has(Feature::PercpuKptrs);
            let flags = if own { Flags::ALLOC.with(Flags::RCU) } else { nf };
            return Ok(Reg::pointer(Type::new(Base::BtfId, flags), Data::Btf { of, id: t }));
        }
        match btf.size_of(t) {
            Some(size) => Ok(Reg::pointer(Type::new(Base::Mem, nf.with(rdonly)), Data::Size(size))),
            None => reject!(BtfAccess, "unable to resolve the size of type '{}'", btf.name(t)),
        }
    }

    fn check_func_ip(&self) -> Checked {
        match self.prog.kind {
            ProgType::KPROBE => Ok(()),
            ProgType::TRACING if self.prog.has_trampoline() => Ok(()),
            ProgType::TRACING => reject!(
                FunctionNotAllowed,
                "func bpf_get_func_ip#173 supported only for fentry/fexit/fmod_ret programs"
            ),
            other => reject!(
                FunctionNotAllowed,
                "func bpf_get_func_ip#173 not supported for program type {}",
                other.0
            ),
        }
    }
}
