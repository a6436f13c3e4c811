//! Spills around calls that clobber few registers, which the kernel takes out again.
//!
//! Compilers that know `bpf_fastcall` surround a call with stores of the registers it would clobber and loads that
//! bring them back, below everything else on the stack. Where the kernel replaces the call by instructions that
//! clobber nothing, it removes the stores and loads, and the function's stack shrinks to `bottom`. That holds only while
//! nothing else touches the stack below `bottom`, and only if every such pattern in the function can go.
//!
//! `mark_fastcall_patterns()`, `check_fastcall_stack_contract()`, `remove_fastcall_spills_fills()`
//! (kernel/bpf/verifier.c of 6.12; from 7.0 the last in fixups.c). The inlining is that of x86-64.

use super::env::Env;
use super::feature::Feature;
use super::helper::{Lookup, RetKind, id};
use super::insn::{CALL, Insn};
use super::profile::Release;

/// What is known of one function's patterns.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fastcalls {
    /// The stack above this stays. `i64::MIN` when something else touched what is below.
    bottom: i64,
    /// Some call's spills can go.
    removable: bool,
    /// Some call's spills have to stay.
    keep: bool,
}

const STORE: u8 = 0x7b;
const LOAD: u8 = 0x79;

impl Env<'_> {
    /// Find the patterns, before the walk.
    pub(super) fn mark_fastcalls(&mut self) {
        if !self.has(Feature::FastCalls) {
            return;
        }
        for s in 0..self.subprogs.len() {
            let (start, end) = (self.subprogs[s].start as usize, self.subprogs[s].end as usize);
            let stores = self.insns[start..end].iter().filter(|i| i.code == STORE && i.dst == 10);
            let lowest = stores.map(|i| i.off).min().unwrap_or(0).min(0);
            for at in start..end {
                if self.insns[at].code == CALL {
                    self.mark_fastcall(s, at, lowest.into());
                }
            }
        }
    }

    fn mark_fastcall(&mut self, sub: usize, at: usize, lowest: i64) {
        const CALLER_SAVED: u16 = 0x3f;
        let Some((clobbered, inlined)) = self.clobbers(self.insns[at]) else { return };
        let mut expected = CALLER_SAVED & !clobbered;
        let (mut off, mut pairs) = (lowest, 0);
        while pairs < 6 {
            let n = pairs + 1;
            let Some(before) = at.checked_sub(n) else { break };
            let (Some(st), Some(ld)) = (self.insns.get(before).copied(), self.insns.get(at + n).copied())
            else {
                break;
            };
            let is_pair = st.code == STORE
                && ld.code == LOAD
                && st.dst == 10
                && ld.src == 10
                && st.src == ld.dst
                && expected & (1 << (st.src & 15)) != 0
                && i64::from(st.off) == off
                && i64::from(ld.off) == off;
            // From 7.0 on nothing may jump in between.
            let jumped_into = self.profile.release >= Release::new(7, 0)
                && (self.aux[before + 1].jump_target || self.aux[at + n].jump_target);
            if !is_pair || jumped_into {
                break;
            }
            expected &= !(1 << (st.src & 15));
            (self.aux[before].fastcall, self.aux[at + n].fastcall) = (true, true);
            (off, pairs) = (off + 8, n);
        }
        if pairs == 0 {
            return;
        }
        let f = &mut self.subprogs[sub].fastcalls;
        if inlined {
            f.removable = true
        } else {
            f.keep = true
        }
        f.bottom = f.bottom.min(off);
    }

    /// The registers that a call clobbers by its prototype, and whether the kernel replaces it by instructions.
    fn clobbers(&self, insn: Insn) -> Option<(u16, bool)> {
        let args = |n: usize| ((1u16 << n.min(5)) - 1) << 1;
        if insn.is_helper_call() {
            let func = insn.imm as u32;
            let found = self.helper(func);
            let Lookup::Found(proto) = found else { return None };
            let result = u16::from(!matches!(proto.ret.kind, RetKind::Void));
            return Some((args(proto.args.len()) | result, func == id::GET_SMP_PROCESSOR_ID));
        }
        if insn.is_kfunc_call() {
            return self
                .kfunc_clobbers(insn)
                .map(|(n, result, inlined)| (args(n) | u16::from(result), inlined));
        }
        None
    }

    /// The stack is touched here other than by a pattern's own store or load.
    pub(super) fn note_stack_touch(&mut self, frame: usize, off: i64) {
        let sub = self.cur.frames[frame].subprog as usize;
        if off < self.subprogs[sub].fastcalls.bottom && !self.aux[self.pc as usize].fastcall {
            let s = &mut self.subprogs[sub];
            (s.fastcalls.bottom, s.fastcalls.removable) = (i64::MIN, false);
            let (start, end) = (s.start as usize, s.end as usize);
            for aux in &mut self.aux[start..end] {
                aux.fastcall = false;
            }
        }
    }

    /// After the walk: functions whose spills go need less stack.
    pub(super) fn remove_fastcalls(&mut self) {
        for s in &mut self.subprogs {
            if s.fastcalls.removable && !s.fastcalls.keep {
                s.stack_depth = (-s.fastcalls.bottom).clamp(0, 512) as u32;
            }
        }
    }
}
