//! Kernel functions that programs may call.
//!
//! Not modelled yet: every call is `unmodelled`.

use super::env::Env;
use super::explore::Flow;
use super::insn::Insn;
use super::memory::Access;
use super::record::SpecialField;
use super::reg::Reg;
use super::args::Call;
use super::report::{Checked, reject, unmodelled};

impl Env<'_> {
    pub(super) fn step_kfunc_call(&mut self, insn: Insn) -> Checked<Flow> {
        if insn.imm == 0 && insn.off == 0 {
            reject!(Kfunc, "invalid kernel function call not eliminated in verifier pass");
        }
        unmodelled!("kfuncs")
    }

    pub(super) fn is_iter_next(&self, _insn: Insn) -> bool {
        false
    }

    pub(super) fn is_graph_kfunc(&self, _insn: Insn) -> bool {
        false
    }

    pub(super) fn access_kptr(&mut self, _field: &SpecialField, _into: Option<u8>, _value: Option<u8>, _how: Access) -> Checked<Reg> {
        unmodelled!("kptrs")
    }

    pub(super) fn kptr_arg(&mut self, _r: u8, _reg: &Reg, _call: &mut Call) -> Checked {
        unmodelled!("kptrs")
    }
}
