//! What a program may attach to, and what that says of it: LSM hooks, sleepable functions, return ranges.
//!
//! `check_attach_btf_id()`, `bpf_check_attach_target()` (kernel/bpf/verifier.c), `bpf_lsm_*` (kernel/bpf/bpf_lsm.c).

use super::btf::TypeId;
use super::env::Env;
use super::profile::Release;
use super::program::{AttachType, ProgType};
use super::report::{Checked, reject, unmodelled};

/// LSM hooks whose arguments are not trusted (`untrusted_lsm_hooks`).
pub(super) const LSM_UNTRUSTED: &[&str] = &[
    "bpf_lsm_bpf_map_free",
    "bpf_lsm_bpf_prog_free",
    "bpf_lsm_file_alloc_security",
    "bpf_lsm_file_free_security",
    "bpf_lsm_file_release",
    "bpf_lsm_sk_alloc_security",
    "bpf_lsm_sk_free_security",
    "bpf_lsm_task_free",
];

/// LSM hooks that sleepable programs may attach to (`sleepable_lsm_hooks`), with the first kernel that has each.
const LSM_SLEEPABLE: &[&str] = &[
    "bpf", "bpf_map", "bpf_map_create", "bpf_map_free", "bpf_prog", "bpf_prog_load", "bpf_prog_free",
    "bpf_token_create", "bpf_token_free", "bpf_token_cmd", "bpf_token_capable", "bprm_check_security",
    "bprm_committed_creds", "bprm_committing_creds", "bprm_creds_for_exec", "bprm_creds_from_file", "capget",
    "capset", "cred_prepare", "file_ioctl", "file_lock", "file_open", "file_post_open", "file_receive",
    "inode_create", "inode_free_security", "inode_getattr", "inode_getxattr", "inode_mknod", "inode_need_killpriv",
    "inode_post_setxattr", "inode_post_removexattr", "inode_readlink", "inode_removexattr", "inode_remove_acl",
    "inode_post_remove_acl", "inode_rename", "inode_rmdir", "inode_setattr", "inode_setxattr", "inode_set_acl",
    "inode_post_set_acl", "inode_symlink", "inode_unlink", "kernel_module_request", "kernel_read_file",
    "kernel_post_read_file", "kernfs_init_security", "mmap_file", "netlink_send", "path_notify", "release_secctx",
    "sb_alloc_security", "sb_eat_lsm_opts", "sb_kern_mount", "sb_mount", "sb_remount", "sb_set_mnt_opts",
    "sb_show_options", "sb_statfs", "sb_umount", "settime", "socket_accept", "socket_bind", "socket_connect",
    "socket_create", "socket_getpeername", "socket_getpeersec_dgram", "socket_getsockname", "socket_getsockopt",
    "socket_listen", "socket_post_create", "socket_recvmsg", "socket_sendmsg", "socket_setsockopt",
    "socket_shutdown", "socket_socketpair", "syslog", "task_getsecid_subj", "task_getsecid_obj", "task_prctl",
    "task_setscheduler", "task_to_inode", "userns_create", "key_free", "task_alloc", "current_getsecid_subj",
];

/// LSM hooks that this kernel's BPF may not use (`bpf_lsm_disabled_hooks`).
const LSM_DISABLED: &[&str] = &[
    "vm_enough_memory", "inode_need_killpriv", "inode_getsecurity", "inode_listsecurity", "inode_copy_up_xattr",
    "getselfattr", "getprocattr", "setprocattr", "ismaclabel", "file_alloc_security", "msg_msg_alloc_security",
    "audit_rule_known", "inode_xattr_skipcap", "setselfattr", "secid_to_secctx", "lsmprop_to_secctx",
];

/// LSM hooks that return 0 or 1 (`bool_lsm_hooks`).
const LSM_BOOL: &[&str] = &["xfrm_state_pol_flow_match", "audit_rule_known", "inode_xattr_skipcap"];

/// True if a sleepable program may attach to this hook.
pub(super) fn lsm_may_sleep(name: &str, release: Release) -> bool {
    release >= Release::new(5, 11) && name.strip_prefix("bpf_lsm_").is_some_and(|n| LSM_SLEEPABLE.contains(&n))
}

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
        let hook = target.name.strip_prefix("bpf_lsm_")?;
        Some(if LSM_BOOL.contains(&hook) { (0, 1) } else { (-4095, 0) })
    }

    /// May this program attach to what it names?
    pub(super) fn check_attach(&self) -> Checked {
        let release = self.profile.release;
        let kind = self.prog.kind;
        let sleepable = self.prog.sleepable();
        let tracing = matches!(kind, ProgType::TRACING | ProgType::LSM | ProgType::EXT | ProgType::STRUCT_OPS);
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
            unmodelled!("struct_ops");
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
        let Some(btf) = self.profile.btf.clone() else { unmodelled!("tracing without BTF") };
        let Some(target) = self.attach_target() else {
            if self.prog.attach == AttachType::TRACE_RAW_TP {
                reject!(AttachTarget, "attach_btf_id {} is not a typedef", self.prog.attach_btf_id.0);
            }
            reject!(AttachTarget, "attach_btf_id {} is not a function", self.prog.attach_btf_id.0);
        };
        let name = target.name.as_str();
        let returns = btf.proto(target.proto).and_then(|p| btf.resolve(p.ret));
        if kind == ProgType::LSM {
            if !self.prog.gpl {
                reject!(AttachTarget, "LSM programs must have a GPL compatible license");
            }
            let id = self.prog.attach_btf_id.0;
            if release >= Release::new(6, 12)
                && name.strip_prefix("bpf_lsm_").is_some_and(|n| self.hook_is_disabled(n))
            {
                reject!(AttachTarget, "attach_btf_id {id} points to disabled hook {name}");
            }
            if !name.starts_with("bpf_lsm_") {
                reject!(AttachTarget, "attach_btf_id {id} points to wrong type name {name}");
            }
        }
        if sleepable {
            let ok = match kind {
                ProgType::LSM => self.lsm_hook_may_sleep(name),
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
            return self.check_modify_return(name, returns);
        }
        Ok(())
    }

    fn can_be_sleepable(&self) -> bool {
        let release = self.profile.release;
        match self.prog.kind {
            ProgType::TRACING => match self.prog.attach {
                AttachType::TRACE_FENTRY | AttachType::TRACE_FEXIT | AttachType::MODIFY_RETURN => true,
                AttachType::TRACE_ITER => release >= Release::new(5, 19),
                _ => release < Release::new(5, 13) && self.prog.attach != AttachType::TRACE_RAW_TP,
            },
            ProgType::LSM => release < Release::new(6, 0) || self.prog.attach != AttachType::LSM_CGROUP,
            ProgType::KPROBE => release >= Release::new(6, 0),
            ProgType::STRUCT_OPS => release >= Release::new(6, 2),
            ProgType::RAW_TRACEPOINT | ProgType::TRACEPOINT => release >= Release::new(7, 2),
            _ => false,
        }
    }

    fn hook_is_disabled(&self, hook: &str) -> bool {
        // The two kernels' lists differ by a few hooks.
        match hook {
            "file_alloc_security" => self.profile.release >= Release::new(7, 0),
            _ => LSM_DISABLED.contains(&hook),
        }
    }

    fn lsm_hook_may_sleep(&self, name: &str) -> bool {
        let release = self.profile.release;
        let Some(hook) = name.strip_prefix("bpf_lsm_") else { return false };
        match hook {
            // 5.10's list came with 5.11; its own is empty.
            _ if release < Release::new(5, 11) => {
                matches!(hook, "bpf" | "bprm_committed_creds" | "file_ioctl") && false
            }
            "task_alloc" => release >= Release::new(5, 11),
            _ => LSM_SLEEPABLE.contains(&hook),
        }
    }

    /// Sleepable tracing programs attach to functions that may fail by injection, or to system calls.
    fn check_sleepable_function(&self, name: &str) -> Checked {
        let syscall = name.strip_prefix("__x64_sys_").is_some();
        match self.profile.config.error_injection {
            Some(true) if syscall => Ok(()),
            Some(false) if syscall && self.profile.release < Release::new(7, 0) => {
                reject!(AttachTarget, "{name} is not sleepable")
            }
            _ if syscall && self.profile.release >= Release::new(7, 0) => Ok(()),
            _ => unmodelled!("list of functions with error injection"),
        }
    }

    fn check_modify_return(&self, name: &str, returns: Option<TypeId>) -> Checked {
        let _ = returns;
        if name.starts_with("security_") {
            return Ok(());
        }
        match self.profile.config.error_injection {
            Some(false) => reject!(AttachTarget, "{name}() is not modifiable"),
            _ => unmodelled!("list of functions with error injection"),
        }
    }
}
