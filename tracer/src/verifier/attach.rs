//! What a program may attach to, and what that says of it: LSM hooks, sleepable functions, return ranges.
//!
//! `check_attach_btf_id()`, `bpf_check_attach_target()` (kernel/bpf/verifier.c), `bpf_lsm_*` (kernel/bpf/bpf_lsm.c).

use super::btf::TypeId;
use super::env::Env;
use super::lsm_hooks::{self, lists};
use super::prepare::calling_obstacle;
use super::profile::Release;
use super::program::{AttachType, ProgType};
use super::report::{Checked, reject, unmodelled};

/// May a program that changes a function's result sleep?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sleeps {
    Yes,
    No,
}

const MPTCP_HOOK: &str = "update_socket_protocol";

/// Functions registered as ones whose result may change (`register_btf_fmodret_id_set()`; net/bpf/test_run.c,
/// net/mptcp/bpf.c), with the kernel from which on.
const RESULT_MAY_CHANGE: &[(&str, Release, Sleeps)] = &[
    ("bpf_modify_return_test", Release::new(6, 2), Sleeps::No),
    ("bpf_modify_return_test2", Release::new(6, 6), Sleeps::No),
    ("bpf_modify_return_test_tp", Release::new(6, 10), Sleeps::No),
    ("bpf_fentry_test1", Release::new(6, 2), Sleeps::Yes),
    (MPTCP_HOOK, Release::new(6, 6), Sleeps::No),
];

impl Env<'_> {
    /// True if the LSM hook returns nothing.
    pub(super) fn lsm_hook_is_void(&self) -> bool {
        let (Some(btf), Some(target)) = (&self.profile.btf, self.attach_target()) else { return false };
        btf.proto(target.proto).and_then(|p| btf.resolve(p.ret)) == Some(TypeId::VOID)
    }

    /// What an LSM hook's program may return; `None` for anything (`bpf_lsm_get_retval_range()`).
    pub(super) fn lsm_return_range(&self) -> Option<(i32, i32)> {
        if self.prog.kind != ProgType::LSM || self.lsm_hook_is_void() {
            return None;
        }
        let target = self.attach_target()?;
        if !target.name.starts_with("bpf_lsm_") {
            return None;
        }
        let is_bool = lists(lsm_hooks::BOOL, self.profile.table_bit(), &target.name);
        Some(if is_bool { (0, 1) } else { (-4095, 0) })
    }

    /// May this program attach to what it names?
    pub(super) fn check_attach(&self) -> Checked {
        let release = self.profile.release;
        let kind = self.prog.kind;
        let sleepable = self.prog.sleepable();
        let tracing =
            matches!(kind, ProgType::TRACING | ProgType::LSM | ProgType::EXT | ProgType::STRUCT_OPS);
        if kind == ProgType::SYSCALL {
            if sleepable {
                return Ok(());
            }
            reject!(AttachTarget, "Syscall programs can only be sleepable");
        }
        if sleepable && !self.can_be_sleepable() {
            match release {
                r if r >= Release::new(6, 0) => reject!(
                    AttachTarget,
                    "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable"
                ),
                _ => reject!(AttachTarget, "Only fentry/fexit/fmod_ret and lsm programs can be sleepable"),
            }
        }
        if kind == ProgType::STRUCT_OPS {
            return self.check_struct_ops();
        }
        if kind == ProgType::EXT {
            unmodelled!("extension programs");
        }
        if !tracing {
            return Ok(());
        }
        if self.prog.attach_btf_id.0 == 0 {
            reject!(AttachTarget, "Tracing programs must provide btf_id");
        }
        if self.profile.btf.is_none() {
            unmodelled!("tracing without BTF");
        }
        let Some(target) = self.attach_target() else {
            if self.prog.attach == AttachType::TRACE_RAW_TP {
                reject!(AttachTarget, "attach_btf_id {} is not a typedef", self.prog.attach_btf_id.0);
            }
            reject!(AttachTarget, "attach_btf_id {} is not a function", self.prog.attach_btf_id.0);
        };
        let name = target.name.as_str();
        if kind == ProgType::LSM {
            if self.prog.attach == AttachType::LSM_CGROUP && release < Release::new(6, 0) {
                // An attach type that the kernel does not know: refused without a word.
                reject!(AttachTarget, "");
            }
            if !self.prog.gpl {
                reject!(AttachTarget, "LSM programs must have a GPL compatible license");
            }
            let id = self.prog.attach_btf_id.0;
            if release >= Release::new(6, 12) && lists(lsm_hooks::DISABLED, self.profile.table_bit(), name) {
                reject!(AttachTarget, "attach_btf_id {id} points to disabled hook {name}");
            }
            if !name.starts_with("bpf_lsm_") {
                reject!(AttachTarget, "attach_btf_id {id} points to wrong type name {name}");
            }
        }
        if let Some(btf) = self.profile.btf.as_deref()
            && self.prog.attach != AttachType::TRACE_RAW_TP
            && let Some(proto) = btf.proto(target.proto)
            && let Some(obstacle) = calling_obstacle(btf, name, proto, release)
        {
            reject!(AttachTarget, "{obstacle}");
        }
        if sleepable {
            let ok = match kind {
                ProgType::LSM => lists(lsm_hooks::SLEEPABLE, self.profile.table_bit(), name),
                ProgType::TRACING => match self.prog.attach {
                    AttachType::TRACE_ITER => true,
                    _ => return self.check_sleepable_function(name),
                },
                _ => true,
            };
            if !ok {
                reject!(AttachTarget, "{name} is not sleepable");
            }
        }
        if self.prog.attach == AttachType::MODIFY_RETURN && kind == ProgType::TRACING {
            return self.check_modify_return(name);
        }
        Ok(())
    }

    fn can_be_sleepable(&self) -> bool {
        let release = self.profile.release;
        match self.prog.kind {
            ProgType::TRACING => match self.prog.attach {
                AttachType::TRACE_FENTRY | AttachType::TRACE_FEXIT | AttachType::MODIFY_RETURN => true,
                AttachType::TRACE_ITER => release >= Release::new(5, 19) || release < Release::new(5, 13),
                _ => release < Release::new(5, 13) && self.prog.attach != AttachType::TRACE_RAW_TP,
            },
            ProgType::LSM => release < Release::new(6, 0) || self.prog.attach != AttachType::LSM_CGROUP,
            ProgType::KPROBE => release >= Release::new(6, 0),
            ProgType::STRUCT_OPS => release >= Release::new(6, 2),
            ProgType::RAW_TRACEPOINT | ProgType::TRACEPOINT => release >= Release::new(7, 2),
            _ => false,
        }
    }

    /// Sleepable tracing programs attach to functions that may fail by injection, or to system calls.
    fn check_sleepable_function(&self, name: &str) -> Checked {
        let syscall = name.starts_with("__x64_sys_");
        if self.result_may_change(name) == Some(Sleeps::Yes) {
            return Ok(());
        }
        match self.profile.config.error_injection {
            Some(true) if syscall => Ok(()),
            Some(false) if self.is_open_syscall(name) => Ok(()),
            Some(false) => reject!(AttachTarget, "{name} is not sleepable"),
            None if self.is_open_syscall(name) => Ok(()),
            _ => unmodelled!("list of functions with error injection"),
        }
    }

    /// Functions whose result programs may change without error injection, and whether those programs may sleep
    /// (`btf_kfunc_is_modify_return()`). The last one is registered by MPTCP.
    fn result_may_change(&self, name: &str) -> Option<Sleeps> {
        let btf = self.profile.btf.as_deref()?;
        let (_, since, sleeps) = RESULT_MAY_CHANGE.iter().find(|(n, ..)| *n == name)?;
        let registered = name != MPTCP_HOOK || btf.func("bpf_mptcp_sock_from_subflow").is_some();
        (registered && self.profile.release >= *since).then_some(*sleeps)
    }

    /// From 7.0 on, a kernel without error injection takes sleepable and result-changing programs on system calls
    /// (`has_arch_syscall_prefix()`, kernel/bpf/verifier.c of 7.2).
    fn is_open_syscall(&self, name: &str) -> bool {
        name.starts_with("__x64_") && self.profile.release >= Release::new(7, 0)
    }

    fn check_modify_return(&self, name: &str) -> Checked {
        if name.starts_with("security_") || self.result_may_change(name).is_some() {
            return Ok(());
        }
        match self.profile.config.error_injection {
            Some(false) if self.is_open_syscall(name) => Ok(()),
            Some(false) => reject!(AttachTarget, "{name}() is not modifiable"),
            _ => unmodelled!("list of functions with error injection"),
        }
    }
}
