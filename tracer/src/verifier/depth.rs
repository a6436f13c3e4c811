//! The stack that chains of calls need, and calls that lead back to their own function.
//!
//! `check_max_stack_depth()`, from 7.0 also `sort_subprogs_topo()` (kernel/bpf/verifier.c).

use super::env::{Env, MAX_FRAMES};
use super::feature::Feature;
use super::profile::Release;
use super::program::{AttachType, ProgType};
use super::report::{Checked, reject, unmodelled};
use super::subprog::Subprog;

/// Where a walk over the call graph is with a function.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    Open,
    Done,
}

/// What a walk along all chains of calls keeps.
struct Chains {
    /// By function: where it calls, or refers to, another.
    calls: Vec<Vec<u32>>,
    /// From where the walk began to where it is.
    chain: Vec<usize>,
    /// Instructions that may still be gone over.
    budget: u32,
}

impl Env<'_> {
    /// The stack of every call chain is within bounds.
    pub(super) fn check_stack_depth(&mut self) -> Checked {
        let starts: Vec<usize> = (0..self.subprogs.len())
            .rev()
            .filter(|i| *i == 0 || (self.subprogs[*i].is_async && self.profile.release >= Release::new(6, 1)))
            .collect();
        let calls = self.subprogs.iter().map(|s| self.calls_of(s)).collect();
        // The kernel follows every chain of calls, however many there are; we do not.
        let mut chains = Chains { calls, chain: Vec::new(), budget: 16_000_000 };
        for s in starts {
            chains.chain = vec![s];
            self.check_chain(s, &mut chains, 0, 0)?;
        }
        Ok(())
    }

    /// The instructions of a function that a chain of calls may go on from, or that it matters to.
    fn calls_of(&self, s: &Subprog) -> Vec<u32> {
        let concerns = |i: &u32| {
            let insn = self.insns[*i as usize];
            insn.is_kfunc_call() || insn.is_subprog_call() || insn.is_subprog_address()
        };
        (s.start..s.end).filter(concerns).collect()
    }

    fn check_chain(&self, root: usize, chains: &mut Chains, depth: u32, frame: usize) -> Checked {
        let sub = chains.chain.last().copied().unwrap_or(root);
        let s = &self.subprogs[sub];
        if sub != 0 && s.has_tail_call && depth >= 256 && (frame > 0 || root != 0) {
            reject!(
                TailCall,
                "tail_calls are not allowed when call stack of previous frames is {depth} bytes. Too large"
            );
        }
        // With a JIT, which these kernels all have, a function without a stack takes none from 6.8 on.
        let jit = self.profile.release >= Release::new(6, 8);
        let own =
            if jit { s.stack_depth.next_multiple_of(16) } else { s.stack_depth.max(1).next_multiple_of(32) };
        let private = self.has(Feature::PrivateStack) && self.private_stacks();
        let depth = if private && root == 0 && own >= 64 {
            if own > 512 {
                reject!(StackTooDeep, "stack size of subprog {sub} is {own}. Too large");
            }
            depth
        } else {
            depth + own
        };
        if depth > 512 {
            reject!(StackTooDeep, "combined stack size of {} calls is {depth}. Too large", frame + 1);
        }
        if chains.budget < s.end - s.start {
            unmodelled!("calls along too many chains");
        }
        chains.budget -= s.end - s.start;
        for at in 0..chains.calls[sub].len() {
            let i = chains.calls[sub][at];
            let insn = self.insns[i as usize];
            if insn.is_kfunc_call() {
                self.check_throw_in_chain(i, &chains.chain)?;
                continue;
            }
            let callback = insn.is_subprog_address() && self.has(Feature::SubprogPointers);
            if !insn.is_subprog_call() && !callback {
                continue;
            }
            let Some(callee) = self.subprog_at((i as i64 + insn.imm as i64 + 1) as u32) else { continue };
            let c = &self.subprogs[callee as usize];
            if c.is_async && callback {
                continue;
            }
            if c.is_exception_callback {
                reject!(FunctionNotAllowed, "insn {i} cannot call exception cb directly");
            }
            let restarts = c.global && self.profile.release >= Release::new(7, 0);
            let frame = if restarts { 0 } else { frame + 1 };
            if frame >= MAX_FRAMES {
                reject!(CallTooDeep, "the call stack of {frame} frames is too deep !");
            }
            if chains.chain.contains(&(callee as usize)) && restarts {
                unmodelled!("global functions that call themselves");
            }
            chains.chain.push(callee as usize);
            self.check_chain(root, chains, depth, frame)?;
            chains.chain.pop();
        }
        let chain = &chains.chain;
        // Before 7.0 a function's own tail calls counted for its callers alone.
        let concerned =
            if self.profile.release >= Release::new(7, 0) { chain.len() } else { chain.len() - 1 };
        let receives = |sub: &usize| self.subprogs[*sub].is_exception_callback;
        if s.has_tail_call && chain[..concerned].iter().any(receives) {
            reject!(TailCall, "cannot tail call within exception cb");
        }
        Ok(())
    }

    /// Functions that no path enters are removed, and with them, at the program's end, what an address referred to
    /// (`opt_remove_dead_code()`, then `jit_subprogs()`).
    pub(super) fn check_lost_functions(&self) -> Checked {
        let stays = |s: &&Subprog| self.aux[s.start as usize..s.end as usize].iter().any(|aux| aux.walked);
        // A program that is left with one function is compiled as one, and nobody looks at addresses.
        if !self.has(Feature::SubprogPointers) || self.subprogs.iter().filter(stays).count() < 2 {
            return Ok(());
        }
        let last = self.aux.iter().rposition(|aux| aux.walked).unwrap_or(0) as i64;
        for (i, insn) in self.insns.iter().enumerate() {
            if self.aux[i].walked && insn.is_subprog_address() && i as i64 + i64::from(insn.imm) + 1 > last {
                reject!(BadProgram, "");
            }
        }
        Ok(())
    }

    /// From 7.0 on calls that lead back to their own function are refused before the walk (`sort_subprogs_topo()`).
    pub(super) fn check_recursion(&self) -> Checked {
        if self.profile.release < Release::new(7, 0) {
            return Ok(());
        }
        let mut marks = vec![Mark::New; self.subprogs.len()];
        for sub in 0..self.subprogs.len() {
            self.check_recursion_from(sub, &mut marks)?;
        }
        Ok(())
    }

    fn check_recursion_from(&self, sub: usize, marks: &mut [Mark]) -> Checked {
        if marks[sub] == Mark::Done {
            return Ok(());
        }
        marks[sub] = Mark::Open;
        let s = &self.subprogs[sub];
        for i in s.start..s.end {
            let insn = self.insns[i as usize];
            if !insn.is_subprog_call() && !insn.is_subprog_address() {
                continue;
            }
            let Some(callee) = self.subprog_at((i as i64 + insn.imm as i64 + 1) as u32) else { continue };
            let callee = callee as usize;
            if marks[callee] == Mark::Open {
                if insn.is_subprog_call() {
                    reject!(
                        CallTooDeep,
                        "recursive call from {}() to {}()",
                        s.name,
                        self.subprogs[callee].name
                    );
                }
                continue;
            }
            self.check_recursion_from(callee, marks)?;
        }
        marks[sub] = Mark::Done;
        Ok(())
    }

    /// Program types that get a private stack where the JIT has them (`bpf_enable_priv_stack()`).
    fn private_stacks(&self) -> bool {
        if self.subprogs.iter().any(|s| s.has_tail_call) {
            return false;
        }
        match self.prog.kind {
            ProgType::KPROBE | ProgType::TRACEPOINT | ProgType::PERF_EVENT | ProgType::RAW_TRACEPOINT => true,
            // Those that are kept from running twice at a time (`bpf_prog_check_recur()`).
            ProgType::TRACING => self.prog.attach != AttachType::TRACE_ITER,
            ProgType::LSM => self.prog.attach != AttachType::LSM_CGROUP,
            _ => false,
        }
    }
}
