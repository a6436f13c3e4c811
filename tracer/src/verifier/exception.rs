//! Exceptions: `bpf_throw()` leaves the program from any depth; a function that the program names receives what was
//! thrown, or it is the program's result.
//!
//! `bpf_find_exception_callback_insn_off()`, `check_kfunc_call()`, `check_resource_leak()` (kernel/bpf/verifier.c).
//! Invariant: a path that throws ends there; no caller sees it return. This module must not know other kfuncs.

use super::btf::{Btf, DeclTagTarget, FuncLinkage, Kind, TypeId};
use super::env::Env;
use super::explore::Flow;
use super::feature::Feature;
use super::insn::Insn;
use super::profile::Release;
use super::report::{Checked, reject};
use super::subprog::{GlobalArg, linkage};

/// The function that throws.
pub(super) const THROW: &str = "bpf_throw";

const TAG: &str = "exception_callback:";

impl Env<'_> {
    /// Where the program's exception callback starts, if it names one.
    pub(super) fn exception_callback_start(&self) -> Checked<Option<u32>> {
        let (Some(main), Some(btf)) = (self.prog.funcs.first(), &self.prog.btf) else { return Ok(None) };
        if !self.has(Feature::Exceptions) {
            return Ok(None);
        }
        let Some(name) = callback_name(btf, main.type_id)? else { return Ok(None) };
        let Some(id) = btf.find(Kind::Func, name) else {
            reject!(FuncInfo, "exception callback '{name}' could not be found in BTF");
        };
        if linkage(btf, id) != Some(FuncLinkage::Global) {
            reject!(FuncInfo, "exception callback '{name}' must have global linkage");
        }
        let Some(func) = self.prog.funcs.iter().rfind(|func| func.type_id == id) else {
            reject!(FuncInfo, "exception callback type id not found in func_info");
        };
        if func.start == 0 {
            reject!(FuncInfo, "invalid exception callback insn_off in func_info: 0");
        }
        Ok(Some(func.start))
    }

    /// The subprogram that receives what is thrown.
    pub(super) fn exception_callback(&self) -> Option<u32> {
        self.subprogs.iter().position(|s| s.is_exception_callback).map(|sub| sub as u32)
    }

    /// What a function must be that is to receive exceptions.
    pub(super) fn check_exception_callback(&self, sub: u32, args: &[GlobalArg]) -> Checked {
        if !self.subprogs[sub as usize].is_exception_callback {
            return Ok(());
        }
        if self.profile.release >= Release::new(7, 0) && self.returns_void(sub) {
            reject!(SubprogArgs, "exception cb cannot return void");
        }
        if args != [GlobalArg::Scalar] {
            reject!(SubprogArgs, "exception cb only supports single integer argument");
        }
        Ok(())
    }

    pub(super) fn is_throw(&self, insn: Insn) -> bool {
        let Some(btf) = self.profile.btf.as_ref().filter(|_| insn.is_kfunc_call() && insn.off == 0) else {
            return false;
        };
        btf.func_by_id(TypeId(insn.imm as u32)).is_some_and(|func| func.name == THROW)
    }

    /// The call itself: without a callback, what is thrown is the program's result.
    pub(super) fn check_thrown(&mut self) -> Checked {
        if self.exception_callback().is_some() {
            return Ok(());
        }
        self.check_return_register(1)
    }

    /// The end of a path that has thrown, from whatever depth: nothing may be held.
    pub(super) fn leave_by_exception(&mut self) -> Checked<Flow> {
        if self.profile.release < Release::new(6, 13) {
            self.check_exit_locks()?;
        } else {
            self.check_nothing_locked()?;
        }
        if let Some(held) = self.cur.refs.first() {
            reject!(ReferenceLeak, "Unreleased reference id={} alloc_insn={}", held.id, held.insn);
        }
        if self.profile.release >= Release::new(6, 13) {
            self.check_nothing_off()?;
        }
        Ok(Flow::End)
    }

    fn check_nothing_locked(&self) -> Checked {
        if self.cur.lock.is_some() {
            reject!(Lock, "{THROW} cannot be used inside bpf_spin_lock-ed region");
        }
        Ok(())
    }

    fn check_nothing_off(&self) -> Checked {
        if !self.cur.irqs.is_empty() {
            reject!(Lock, "{THROW} cannot be used inside bpf_local_irq_save-ed region");
        }
        if self.cur.rcu_locks > 0 {
            reject!(Lock, "{THROW} cannot be used inside bpf_rcu_read_lock-ed region");
        }
        if self.cur.preempt_locks > 0 {
            reject!(Lock, "{THROW} cannot be used inside bpf_preempt_disable-ed region");
        }
        Ok(())
    }

    /// A call to a global function that may throw is also walked as if it did.
    pub(super) fn after_call_that_may_throw(&mut self, sub: u32) -> Checked<Flow> {
        if !self.has(Feature::ThrowingGlobals) || !self.subprogs[sub as usize].may_throw {
            return Ok(Flow::Next);
        }
        let pc = self.pc;
        self.fork(pc + 1, pc)?;
        self.leave_by_exception()
    }

    /// May this instruction of a function in this chain of calls throw?
    pub(super) fn check_throw_in_chain(&self, at: u32, chain: &[usize]) -> Checked {
        if !self.is_throw(self.insns[at as usize]) {
            return Ok(());
        }
        match chain.iter().rev().find(|sub| self.subprogs[**sub].is_callback) {
            Some(sub) => reject!(
                FunctionNotAllowed,
                "bpf_throw kfunc (insn {at}) cannot be called from callback subprog {sub}"
            ),
            None => Ok(()),
        }
    }
}

/// The callback that a function's tag names.
fn callback_name(btf: &Btf, main: TypeId) -> Checked<Option<&str>> {
    let tags = btf.decl_tags().map(|(_, tag)| tag);
    let mut names = tags
        .filter(|tag| tag.type_id == main && tag.target == DeclTagTarget::Whole)
        .filter_map(|tag| tag.name.strip_prefix(TAG));
    let name = names.next();
    if names.next().is_some() {
        reject!(FuncInfo, "multiple exception callback tags for main subprog");
    }
    Ok(name)
}
