//! What a program may return.
//!
//! `check_return_code()` (kernel/bpf/verifier.c).

use super::btf::Type as T;
use super::env::Env;
use super::explore::Flow;
use super::feature::Feature;
use super::insn::{Insn, mode};
use super::memory::Fixed;
use super::profile::Release;
use super::program::{AttachType as A, ProgType};
use super::reg::{Base, Data, Reg, Type};
use super::report::{Checked, Kind, Stop, Violation, reject, unmodelled};
use super::state::Entry;
use super::tnum::Tnum;

impl Env<'_> {
    /// The range that the program's type and attach type demand of R0; `None` for any.
    fn return_range(&self) -> Checked<Option<(i32, i32)>> {
        let at = self.prog.attach;
        let release = self.profile.release;
        let names = matches!(
            at,
            A::CGROUP_INET4_GETPEERNAME
                | A::CGROUP_INET6_GETPEERNAME
                | A::CGROUP_INET4_GETSOCKNAME
                | A::CGROUP_INET6_GETSOCKNAME
                | A::CGROUP_UNIX_GETPEERNAME
                | A::CGROUP_UNIX_GETSOCKNAME
        );
        Ok(match self.prog.kind {
            ProgType::CGROUP_SOCK_ADDR => {
                let recv =
                    matches!(at, A::CGROUP_UDP4_RECVMSG | A::CGROUP_UDP6_RECVMSG | A::CGROUP_UNIX_RECVMSG);
                if names || recv {
                    Some((1, 1))
                } else if matches!(at, A::CGROUP_INET4_BIND | A::CGROUP_INET6_BIND)
                    && release >= Release::new(5, 12)
                {
                    Some((0, 3))
                } else {
                    Some((0, 1))
                }
            }
            ProgType::CGROUP_SKB => Some(if at == A::CGROUP_INET_EGRESS { (0, 3) } else { (0, 1) }),
            ProgType::CGROUP_SOCK
            | ProgType::SOCK_OPS
            | ProgType::CGROUP_DEVICE
            | ProgType::CGROUP_SYSCTL
            | ProgType::CGROUP_SOCKOPT => Some((0, 1)),
            ProgType::RAW_TRACEPOINT => {
                if self.prog.attach_btf_id.0 == 0 {
                    None
                } else {
                    Some((0, 0))
                }
            }
            ProgType::TRACING => match at {
                A::TRACE_FENTRY | A::TRACE_FEXIT => Some((0, 0)),
                A::TRACE_RAW_TP | A::MODIFY_RETURN => None,
                A::TRACE_ITER => Some((0, 1)),
                _ => super::report::unmodelled!("tracing attach type"),
            },
            ProgType::KPROBE if at == A::TRACE_KPROBE_SESSION && release >= Release::new(6, 10) => {
                Some((0, 1))
            }
            ProgType::SK_LOOKUP => Some((0, 1)),
            ProgType::NETFILTER => Some((0, 1)),
            ProgType::LSM => {
                if at == A::LSM_CGROUP {
                    if release < Release::new(6, 0) {
                        None
                    } else if self.lsm_hook_is_void() {
                        Some((1, 1))
                    } else {
                        Some((0, 1))
                    }
                } else if release >= Release::new(6, 12) {
                    self.lsm_return_range().filter(|r| *r != (i32::MIN, i32::MAX))
                } else {
                    None
                }
            }
            _ => None,
        })
    }

    pub(super) fn check_return_value(&mut self) -> Checked {
        self.check_return_register(0)
    }

    /// The result of the program, or of a function judged by itself, in this register of whatever frame.
    pub(super) fn check_return_register(&mut self, r: u8) -> Checked {
        let Some(frame) = self.cur.frames.first() else { return Ok(()) };
        let (entry, mut sub) = (frame.entry, frame.subprog);
        if self.subprogs[sub as usize].is_exception_callback {
            // What it returns is the program's result.
            sub = 0;
        }
        if sub == 0
            && self.prog.kind == ProgType::LSM
            && self.prog.attach != A::LSM_CGROUP
            && self.lsm_hook_is_void()
        {
            return Ok(());
        }
        if sub == 0 && self.prog.kind == ProgType::STRUCT_OPS && entry != Entry::AsyncCallback {
            match self.struct_ops_result() {
                Some(T::Void) => return Ok(()),
                Some(T::Ptr(_)) if self.profile.release >= Release::new(6, 14) => {
                    unmodelled!("struct_ops that return pointers");
                }
                _ => {}
            }
        }
        let is_sub = sub != 0;
        if is_sub
            && entry == Entry::Top
            && self.profile.release >= Release::new(7, 0)
            && self.returns_nothing(sub)
        {
            return Ok(());
        }
        self.read_reg(r)?;
        let r0 = *self.cur.reg(r);
        let exit = if entry == Entry::AsyncCallback { "At async callback return" } else { "At program exit" };
        let range = if entry == Entry::AsyncCallback {
            if self.profile.release >= Release::new(6, 17) {
                return self.check_async_return(&r0);
            }
            (0, 0)
        } else if is_sub {
            if !r0.is_scalar() {
                reject!(
                    ReturnValue,
                    "At subprogram exit the register R{r} is not a scalar value ({})",
                    self.type_text(r0.ty)
                );
            }
            return Ok(());
        } else {
            match self.return_range()? {
                Some(r) => r,
                None => return Ok(()),
            }
        };
        if !r0.is_scalar() {
            reject!(ReturnValue, "{exit} the register R{r} is not a known value ({})", self.type_text(r0.ty));
        }
        if self.profile.release >= Release::new(6, 8) {
            self.mark_precise(r)?;
        }
        let narrow = self.prog.kind == ProgType::LSM && self.prog.attach != A::LSM_CGROUP;
        let ok = if self.has(Feature::ReturnRanges) {
            if narrow && !is_sub {
                range.0 <= r0.v.s32min && r0.v.s32max <= range.1
            } else {
                range.0 as i64 <= r0.v.smin && r0.v.smax <= range.1 as i64
            }
        } else {
            Tnum::range(range.0 as u64, range.1 as u64).contains(r0.v.t)
        };
        if ok { Ok(()) } else { Err(self.bad_return(&r0, range, exit, &format!("R{r}"))) }
    }

    fn check_async_return(&mut self, r0: &Reg) -> Checked {
        if !r0.is_scalar() {
            reject!(ReturnValue, "At async callback return the register R0 is not a known value");
        }
        self.mark_precise(0)?;
        if r0.v.smin == 0 && r0.v.smax == 0 {
            return Ok(());
        }
        Err(self.bad_return(r0, (0, 0), "At async callback return", "R0"))
    }

    fn returns_nothing(&self, sub: u32) -> bool {
        let (Some(btf), Some(func)) = (&self.prog.btf, self.subprogs[sub as usize].func) else {
            return false;
        };
        btf.proto(func).and_then(|p| btf.resolve(p.ret)) == Some(super::btf::TypeId::VOID)
    }

    pub(super) fn bad_return(&self, r: &Reg, range: (i32, i32), ctx: &str, reg: &str) -> Stop {
        let message = if self.has(Feature::ReturnRanges) {
            let mut text = format!("{ctx} the register {reg} has");
            let mut unknown = true;
            if r.v.smin > i64::MIN {
                text += &format!(" smin={}", r.v.smin);
                unknown = false;
            }
            if r.v.smax < i64::MAX {
                text += &format!(" smax={}", r.v.smax);
                unknown = false;
            }
            if unknown {
                text += " unknown scalar value";
            }
            format!("{text} should have been in [{}, {}]", range.0, range.1)
        } else {
            let want = Tnum::range(range.0 as u64, range.1 as u64);
            let have = if r.v.t == Tnum::UNKNOWN {
                "unknown scalar value".to_owned()
            } else {
                format!("value ({:#x}; {:#x})", r.v.t.value, r.v.t.mask)
            };
            format!(
                "{ctx} the register {reg} has {have} should have been in ({:#x}; {:#x})",
                want.value, want.mask
            )
        };
        Stop::Reject(Box::new(Violation { kind: Kind::ReturnValue, message }))
    }

    /// The old loads from packets (`check_ld_abs()`).
    pub(super) fn step_ld_abs(&mut self, insn: Insn) -> Checked<Flow> {
        if !matches!(self.prog.kind, ProgType::SOCKET_FILTER | ProgType::SCHED_CLS | ProgType::SCHED_ACT) {
            reject!(LdAbs, "BPF_LD_[ABS|IND] instructions not allowed for this program type");
        }
        let ind = insn.mode() == mode::IND;
        if insn.dst != 0 || insn.off != 0 || insn.size() == 8 || (!ind && insn.src != 0) {
            reject!(ReservedFields, "BPF_LD_[ABS|IND] uses reserved fields");
        }
        self.read_reg(6)?;
        if self.check_leaks().is_err() {
            reject!(LdAbs, "BPF_LD_[ABS|IND] cannot be mixed with socket references");
        }
        if self.cur.lock.is_some() {
            reject!(LdAbs, "BPF_LD_[ABS|IND] cannot be used inside bpf_spin_lock-ed region");
        }
        if self.cur.rcu_locks > 0 {
            reject!(LdAbs, "BPF_LD_[ABS|IND] cannot be used inside bpf_rcu_read_lock-ed region");
        }
        if self.cur.preempt_locks > 0 {
            reject!(LdAbs, "BPF_LD_[ABS|IND] cannot be used inside bpf_preempt_disable-ed region");
        }
        if !self.cur.irqs.is_empty() {
            reject!(LdAbs, "BPF_LD_[ABS|IND] cannot be used inside bpf_local_irq_save-ed region");
        }
        if !self.cur.reg(6).ty.is(Base::Ctx) {
            reject!(LdAbs, "at the time of BPF_LD_ABS|IND R6 != pointer to skb");
        }
        if ind {
            self.read_reg(insn.src)?;
        }
        let ctx = *self.cur.reg(6);
        self.check_fixed_offset(&ctx, 6, Fixed::Refused)?;
        self.clear_caller_saved();
        let reg = self.cur.reg_mut(0);
        let (live, link) = (reg.live, reg.link);
        *reg = Reg { live, link, ..Reg::UNKNOWN };
        if self.has(Feature::LdAbsExits) && self.cur.frames.len() > 1 {
            return self.abnormal_return();
        }
        Ok(Flow::Next)
    }

    /// The load may leave the subprogram at once with 0: walk that, too.
    fn abnormal_return(&mut self) -> Checked<Flow> {
        let pc = self.pc;
        self.fork(pc + 1, pc)?;
        let reg = self.cur.reg_mut(0);
        let (live, link) = (reg.live, reg.link);
        *reg = Reg { live, link, ..Reg::pointer(Type::plain(Base::Scalar), Data::None) };
        self.step_exit_frame()
    }

    fn step_exit_frame(&mut self) -> Checked<Flow> {
        let callsite = self.cur.frame().callsite;
        let r0 = *self.cur.reg(0);
        self.cur.frames.pop();
        *self.cur.reg_mut(0) = r0;
        Ok(Flow::To(callsite + 1))
    }

    /// A failed tail call goes on; a successful one leaves the subprogram (from 6.18).
    pub(super) fn after_tail_call(&mut self) -> Checked {
        Ok(())
    }
}
