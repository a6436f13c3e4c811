//! Subprograms: where they are, calls and returns, functions judged by themselves, and stack over call chains.
//!
//! `check_func_call()`, `prepare_func_exit()`, `push_callback_call()`, `btf_prepare_func_args()`,
//! `check_max_stack_depth()` (kernel/bpf/verifier.c, kernel/bpf/btf.c).

use super::btf::{Btf, FuncLinkage, Type as T, TypeId};
use super::btf_access::Match;
use super::env::{Env, MAX_FRAMES};
use super::explore::Flow;
use super::feature::Feature;
use super::insn::{Insn, pseudo};
use super::memory::{Dir, Fixed, ZeroSize};
use super::profile::Release;
use super::reg::{Base, BtfOf, Data, DynptrKind, Flags, Live, Reg, Type};
use super::report::{Checked, reject, unmodelled};
use super::state::{Entry, Frame, State, StateId};

/// One subprogram.
#[derive(Clone, Debug)]
pub(super) struct Subprog {
    pub start: u32,
    pub end: u32,
    pub stack_depth: u32,
    pub has_tail_call: bool,
    pub has_ld_abs: bool,
    pub changes_packet: bool,
    pub is_callback: bool,
    pub is_async: bool,
    /// Receives what the program throws.
    pub is_exception_callback: bool,
    /// It, or what it calls, may throw.
    pub may_throw: bool,
    pub global: bool,
    pub name: String,
    /// Its function in the program's BTF.
    pub func: Option<TypeId>,
    pub called: bool,
    pub verified: bool,
    pub args: Option<Vec<GlobalArg>>,
    pub fastcalls: super::fastcall::Fastcalls,
}

/// What a global function expects (`struct bpf_subprog_arg_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GlobalArg {
    Scalar,
    Ctx,
    Mem { size: u32, nullable: bool },
    Btf { id: TypeId, flags: Flags },
    Dynptr,
    Arena,
    UntrustedMem,
}

impl Env<'_> {
    /// The subprogram that starts here.
    pub(super) fn subprog_at(&self, pc: u32) -> Option<u32> {
        self.subprogs.binary_search_by_key(&pc, |s| s.start).ok().map(|i| i as u32)
    }

    fn subprog_of(&self, pc: u32) -> usize {
        self.subprogs.partition_point(|s| s.start <= pc).saturating_sub(1)
    }

    pub(super) fn is_global(&self, sub: u32) -> bool {
        self.subprogs[sub as usize].global
    }

    pub(super) fn mark_changes_packet(&mut self, pc: u32) {
        let i = self.subprog_of(pc);
        self.subprogs[i].changes_packet = true;
    }

    pub(super) fn mark_may_throw(&mut self, pc: u32) {
        let i = self.subprog_of(pc);
        self.subprogs[i].may_throw = true;
    }

    pub(super) fn merge_effects(&mut self, caller: u32, callee: u32) {
        let (a, b) = (self.subprog_of(caller), self.subprog_of(callee));
        self.subprogs[a].changes_packet |= self.subprogs[b].changes_packet;
        self.subprogs[a].may_throw |= self.subprogs[b].may_throw;
    }

    pub(super) fn step_subprog_call(&mut self, insn: Insn) -> Checked<Flow> {
        let target = (self.pc as i64 + insn.imm as i64 + 1) as u32;
        let Some(sub) = self.subprog_at(target) else {
            reject!(BadProgram, "verifier bug. No program starts at insn {target}");
        };
        if self.is_global(sub) {
            return self.call_global(sub);
        }
        self.enter_frame(sub, Entry::Call)?;
        let top = self.cur.current();
        let (callers, callee) = self.cur.frames.split_at_mut(top);
        let Some(caller) = callers.last_mut() else { return Ok(Flow::Next) };
        for r in 1..=5 {
            callee[0].regs[r] = caller.regs[r];
        }
        for r in 0..6 {
            let link = caller.regs[r].link;
            caller.regs[r] = Reg { link, live: Live::WRITTEN, ..Reg::NOT_INIT };
        }
        Ok(Flow::To(self.subprogs[sub as usize].start))
    }

    /// A frame on top, called from here.
    fn enter_frame(&mut self, sub: u32, entry: Entry) -> Checked {
        let depth = self.cur.frames.len();
        if depth >= MAX_FRAMES {
            reject!(CallTooDeep, "the call stack of {} frames is too deep", depth + 1);
        }
        let mut frame = Frame::new(sub, self.pc, depth as u8, entry);
        frame.async_depth = self.cur.frame().async_depth;
        frame.async_depth = 0;
        self.cur.frames.push(frame);
        Ok(())
    }

    fn call_global(&mut self, sub: u32) -> Checked<Flow> {
        let name = self.subprogs[sub as usize].name.clone();
        let checked = self.check_global_args(sub);
        if self.cur.lock.is_some() {
            reject!(
                Lock,
                "global function calls are not allowed while holding a lock,\nuse static function instead"
            );
        }
        if self.has(Feature::GlobalCallsThatSleep) {
            let sleepless = self.cur.preempt_locks > 0 || self.cur.rcu_locks > 0 || !self.cur.irqs.is_empty();
            if sleepless && self.is_sleepable() {
                unmodelled!("global functions that sleep");
            }
        } else if self.cur.preempt_locks > 0 {
            reject!(
                Lock,
                "global function calls are not allowed with preemption disabled,\nuse static function instead"
            );
        } else if !self.cur.irqs.is_empty() {
            reject!(
                Lock,
                "global functions calls are not allowed with IRQs disabled,\nuse static function instead"
            );
        }
        match checked {
            Ok(()) => {}
            Err(super::report::Stop::Reject(_)) => {
                reject!(SubprogArgs, "Caller passes invalid args into func#{sub} ('{name}')")
            }
            Err(e) => return Err(e),
        }
        if self.subprogs[sub as usize].changes_packet && self.has(Feature::PacketEffects) {
            self.forget_packets();
        }
        self.subprogs[sub as usize].called = true;
        let void = self.returns_void(sub) && self.profile.release >= Release::new(7, 0);
        self.clear_caller_saved();
        if !void {
            let reg = self.cur.reg_mut(0);
            let link = reg.link;
            *reg = Reg { link, live: Live::WRITTEN, ..Reg::UNKNOWN };
        }
        self.after_call_that_may_throw(sub)
    }

    pub(super) fn returns_void(&self, sub: u32) -> bool {
        let (Some(btf), Some(func)) = (&self.prog.btf, self.subprogs[sub as usize].func) else {
            return false;
        };
        btf.proto(func).and_then(|p| btf.resolve(p.ret)) == Some(TypeId::VOID)
    }

    /// The caller's registers against what a global function expects (`btf_check_func_arg_match()`).
    fn check_global_args(&mut self, sub: u32) -> Checked {
        let args = self.global_args(sub)?;
        for (i, arg) in args.iter().enumerate() {
            let r = 1 + i as u8;
            let reg = *self.cur.reg(r);
            match *arg {
                GlobalArg::Scalar => {
                    if !reg.is_scalar() {
                        reject!(SubprogArgs, "R{r} is not a scalar");
                    }
                }
                GlobalArg::Ctx => {
                    self.check_global_offset(r, &reg)?;
                    if !reg.ty.is(Base::Ctx) {
                        reject!(SubprogArgs, "arg#{i} expects pointer to ctx");
                    }
                }
                GlobalArg::Mem { size, nullable } => {
                    self.check_global_offset(r, &reg)?;
                    self.check_mem_reg(r, &reg, size)?;
                    if !nullable && reg.ty.may_be_null() && self.has(Feature::GlobalArgsByTag) {
                        reject!(SubprogArgs, "arg#{i} is expected to be non-NULL");
                    }
                }
                GlobalArg::Arena => {
                    if reg.ty.base != Base::Arena && !reg.is_scalar() {
                        reject!(SubprogArgs, "R{r} is not a pointer to arena or scalar.");
                    }
                }
                GlobalArg::Dynptr => self.check_global_dynptr(r, &reg)?,
                GlobalArg::Btf { id, flags } => {
                    if reg.is_null() && flags.any(Flags::MAYBE_NULL) {
                        continue;
                    }
                    self.check_global_btf(r, &reg, id, flags)?;
                }
                GlobalArg::UntrustedMem => {
                    if !reg.ty.flags.any(Flags::UNTRUSTED) && reg.ty.base == Base::NotInit {
                        reject!(SubprogArgs, "arg#{i} is not memory");
                    }
                }
            }
        }
        Ok(())
    }

    fn check_global_offset(&self, r: u8, reg: &Reg) -> Checked {
        let arg = super::helper::Arg { kind: super::helper::ArgKind::Anything, flags: 0, size: 0, btf: "" };
        self.check_arg_offset(r, reg, arg)
    }

    /// Memory of this size, readable and writable, or null (`check_mem_reg()`).
    pub(super) fn check_mem_reg(&mut self, r: u8, reg: &Reg, size: u32) -> Checked {
        if reg.is_null() {
            return Ok(());
        }
        let nullable = reg.ty.may_be_null();
        if nullable {
            let mut known = *reg;
            known.ty.flags = known.ty.flags.without(Flags::MAYBE_NULL);
            *self.cur.reg_mut(r) = known;
        }
        let mut result = self.helper_memory(r, size as i64, Dir::Read, ZeroSize::Allowed, None);
        if result.is_ok() && self.profile.release >= Release::new(5, 13) {
            result = self.helper_memory(r, size as i64, Dir::Write, ZeroSize::Allowed, None);
        }
        if nullable {
            *self.cur.reg_mut(r) = *reg;
        }
        result
    }

    fn check_global_btf(&self, r: u8, reg: &Reg, id: TypeId, flags: Flags) -> Checked {
        let Data::Btf { of, id: have } = reg.data else {
            reject!(SubprogArgs, "R{r} type={}", self.type_text(reg.ty));
        };
        let f = reg.ty.flags;
        let base_ok = matches!(f.without(Flags::MAYBE_NULL), Flags::NONE | Flags::TRUSTED | Flags::RCU);
        let null_ok = !f.any(Flags::MAYBE_NULL) || flags.any(Flags::MAYBE_NULL);
        if !base_ok || !null_ok {
            reject!(ArgNull, "Possibly NULL pointer passed to helper arg{r}");
        }
        let off = reg.off as i64;
        if !self.struct_matches((of, have), off, (BtfOf::Kernel, id), Match::Prefix) {
            reject!(SubprogArgs, "R{r} is of another type");
        }
        self.check_fixed_offset(reg, r, Fixed::Allowed)
    }

    fn check_global_dynptr(&self, r: u8, reg: &Reg) -> Checked {
        self.check_global_offset(r, reg)?;
        if reg.ty.is(Base::Dynptr) {
            return self.check_fixed_offset(reg, r, Fixed::Refused);
        }
        if !reg.ty.is(Base::Stack) {
            reject!(SubprogArgs, "arg#{} expected pointer to stack or const struct bpf_dynptr", r - 1);
        }
        match self.dynptr_slot(reg) {
            Some(_) => Ok(()),
            None => reject!(Dynptr, "Expected an initialized dynptr as arg #{}", r),
        }
    }

    /// What a global function's types and tags say of its arguments.
    pub(super) fn global_args(&mut self, sub: u32) -> Checked<Vec<GlobalArg>> {
        if let Some(a) = &self.subprogs[sub as usize].args {
            return Ok(a.clone());
        }
        let args = super::global::args_of(self, sub)?;
        self.subprogs[sub as usize].args = Some(args.clone());
        Ok(args)
    }

    /// Registers at the start of the program, or of a function judged by itself.
    pub(super) fn set_entry_registers(&mut self, sub: u32) -> Checked {
        self.cur.in_sleepable = self.prog.sleepable();
        if sub == 0 {
            let ctx = Reg::pointer(Type::plain(Base::Ctx), Data::None);
            *self.cur.reg_mut(1) = ctx;
            return Ok(());
        }
        let args = self.global_args(sub)?;
        self.check_exception_callback(sub, &args)?;
        for (i, arg) in args.iter().enumerate() {
            let r = 1 + i as u8;
            let mut reg = match *arg {
                GlobalArg::Scalar | GlobalArg::Arena => Reg::UNKNOWN,
                GlobalArg::Ctx => Reg::pointer(Type::plain(Base::Ctx), Data::None),
                GlobalArg::Mem { size, nullable } => {
                    let flags = if nullable { Flags::MAYBE_NULL } else { Flags::NONE };
                    Reg::pointer(Type::new(Base::Mem, flags), Data::Size(size))
                }
                GlobalArg::Btf { id, flags } => {
                    Reg::pointer(Type::new(Base::BtfId, flags), Data::Btf { of: BtfOf::Kernel, id })
                }
                GlobalArg::Dynptr => Reg::pointer(
                    Type::plain(Base::Dynptr),
                    Data::Dynptr { kind: DynptrKind::Local, first: true },
                ),
                GlobalArg::UntrustedMem => Reg::pointer(
                    Type::new(Base::Mem, Flags(Flags::RDONLY.0 | Flags::UNTRUSTED.0)),
                    Data::Size(0),
                ),
            };
            if !matches!(arg, GlobalArg::Scalar | GlobalArg::Ctx | GlobalArg::Arena) {
                reg.id = self.next_id();
            }
            *self.cur.reg_mut(r) = reg;
        }
        Ok(())
    }

    /// `exit`: back to the caller, or the end of the path.
    pub(super) fn step_exit(&mut self) -> Checked<Flow> {
        self.check_exit_locks()?;
        self.check_leaks()?;
        if self.cur.frames.len() > 1 {
            return self.leave_frame();
        }
        self.check_return_value()?;
        Ok(Flow::End)
    }

    pub(super) fn check_exit_locks(&self) -> Checked {
        let outermost = self.cur.frames.len() == 1;
        if self.cur.lock.is_some() && (outermost || self.profile.release < Release::new(6, 8)) {
            reject!(Lock, "bpf_spin_unlock is missing");
        }
        if self.cur.rcu_locks > 0 && outermost {
            reject!(Lock, "bpf_rcu_read_unlock is missing");
        }
        if !self.cur.irqs.is_empty() && outermost {
            reject!(
                Lock,
                "BPF_EXIT instruction in main prog cannot be used inside bpf_local_irq_save-ed region"
            );
        }
        if self.cur.preempt_locks > 0 && outermost {
            let n = self.cur.preempt_locks;
            reject!(Lock, "{n} bpf_preempt_enable{} missing", if n == 1 { " is" } else { "(s) are" });
        }
        Ok(())
    }

    /// References must have been given back (`check_reference_leak()`).
    pub(super) fn check_leaks(&self) -> Checked {
        let frame = self.cur.frame();
        let depth = self.cur.current();
        if depth > 0 && !frame.in_callback() {
            return Ok(());
        }
        for r in &self.cur.refs {
            if frame.in_callback() && r.callback_frame as usize != depth {
                continue;
            }
            reject!(ReferenceLeak, "Unreleased reference id={} alloc_insn={}", r.id, r.insn);
        }
        Ok(())
    }

    fn leave_frame(&mut self) -> Checked<Flow> {
        let r0 = *self.cur.reg(0);
        if r0.ty.is(Base::Stack) {
            reject!(PointerLeak, "cannot return stack pointer to the caller");
        }
        let callee = self.cur.frame();
        let (in_callback, callsite, range) = (callee.in_callback(), callee.callsite, callee.callback_ret);
        if in_callback {
            if !r0.is_scalar() {
                reject!(ReturnValue, "R0 not a scalar value");
            }
            if self.profile.release >= Release::new(5, 13) {
                self.arena.mark_read(Some(r0.live), r0.link, Live::READ64);
                self.mark_precise(0)?;
            }
            let ok = if self.has(Feature::ReturnRanges) {
                (range.0 as i64) <= r0.v.smin && r0.v.smax <= range.1 as i64
            } else {
                super::tnum::Tnum::range(range.0 as u64, range.1 as u64).contains(r0.v.t)
            };
            if !ok {
                return Err(self.bad_return(&r0, range, "At callback return", "R0"));
            }
        }
        self.cur.frames.pop();
        if !in_callback {
            // The caller takes the callee's R0 over with its history of reads and writes.
            *self.cur.reg_mut(0) = r0;
            return Ok(Flow::To(callsite + 1));
        }
        if !self.has(Feature::CallbackUnrolling) {
            return Ok(Flow::To(callsite + 1));
        }
        if let Some(prev) = self.previous_entry(callsite, None)? {
            let mut cur =
                std::mem::replace(&mut self.cur, State::new(0, Frame::new(0, 0, 0, Entry::Top), false));
            let result = self.widen(prev, &mut cur);
            self.cur = cur;
            result?;
        }
        Ok(Flow::To(callsite))
    }

    /// The last unfinished state at `pc` on the way here (`find_prev_entry()`).
    pub(super) fn previous_entry(&self, pc: u32, base: Option<StateId>) -> Checked<Option<StateId>> {
        let depth = match base {
            Some(b) => self.arena.get(b)?.dfs_depth,
            None => self.cur.dfs_depth,
        };
        for kept in &self.explored[pc as usize] {
            let st = self.arena.get(kept.id)?;
            if st.branches > 0 && st.same_callsites(&self.cur) && st.dfs_depth < depth {
                return Ok(Some(kept.id));
            }
        }
        Ok(None)
    }

    /// Scalars that nothing relied on and that changed since then become unknown, so that the loop converges
    /// (`widen_imprecise_scalars()`).
    pub(super) fn widen(&self, old: StateId, cur: &mut State) -> Checked {
        let old = self.arena.get(old)?;
        let widen = |o: &Reg, c: &mut Reg| {
            if !o.is_scalar() || !c.is_scalar() || o.precise || c.precise {
                return;
            }
            if o.same_value(c) && (o.id == 0) == (c.id == 0) {
                return;
            }
            let (live, link) = (c.live, c.link);
            *c = Reg { live, link, ..Reg::UNKNOWN };
        };
        for (f, of) in old.frames.iter().enumerate() {
            let Some(cf) = cur.frames.get_mut(f) else { continue };
            for (o, c) in of.regs.iter().zip(cf.regs.iter_mut()) {
                widen(o, c);
            }
            for (o, c) in of.stack.iter().zip(cf.stack.iter_mut()) {
                if o.is_spill() && c.is_spill() {
                    widen(&o.reg, &mut c.reg);
                }
            }
        }
        Ok(())
    }
}

/// The subprograms, in order, from calls and callback addresses (`add_subprog_and_kfunc()`).
pub(super) fn find_subprogs(
    insns: &[Insn],
    pointers: Pointers,
    callback: Option<u32>,
) -> Result<Vec<u32>, super::report::Stop> {
    let mut starts = vec![0u32];
    starts.extend(callback);
    if callback.is_some_and(|start| start as usize >= insns.len()) {
        reject!(BadProgram, "call to invalid destination");
    }
    for (i, insn) in insns.iter().enumerate() {
        let refers = insn.is_subprog_call() || (pointers == Pointers::Known && insn.is_subprog_address());
        if !refers {
            continue;
        }
        let to = i as i64 + insn.imm as i64 + 1;
        if to < 0 || to >= insns.len() as i64 {
            reject!(BadProgram, "call to invalid destination");
        }
        starts.push(to as u32);
    }
    starts.sort_unstable();
    starts.dedup();
    if starts.len() > 256 {
        reject!(TooComplex, "too many subprograms");
    }
    Ok(starts)
}

/// Whether this kernel knows addresses of subprograms.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pointers {
    Known,
    Unknown,
}

/// The linkage of a function in the program's BTF.
pub(super) fn linkage(btf: &Btf, id: TypeId) -> Option<FuncLinkage> {
    match btf.get(id)? {
        T::Func(f) => Some(f.linkage),
        _ => None,
    }
}

const _: u8 = pseudo::CALL;
