//! LSM hooks by what programs may do with them (kernel/bpf/bpf_lsm.c, kernel/bpf/verifier.c of 5.10; 6.1, 6.12, 7.2).

/// (kernels as bits: 5.10, 6.1, 6.12, 7.2; the hook's name without `bpf_lsm_`).
pub(super) type Hook = (u8, &'static str);

/// True if this kernel's list names the hook's function.
pub(super) fn lists(list: &[Hook], kernel: u8, function: &str) -> bool {
    function.strip_prefix("bpf_lsm_").is_some_and(|n| list.iter().any(|(on, h)| on & kernel != 0 && *h == n))
}

/// Hooks that sleepable programs may attach to (`sleepable_lsm_hooks`).
#[rustfmt::skip]
pub(super) const SLEEPABLE: &[Hook] = &[
    (0b1000, "bdev_alloc_security"),
    (0b1000, "bdev_setintegrity"),
    (0b1110, "bpf"),
    (0b1110, "bpf_map"),
    (0b0010, "bpf_map_alloc_security"),
    (0b1100, "bpf_map_create"),
    (0b1100, "bpf_map_free"),
    (0b0010, "bpf_map_free_security"),
    (0b1110, "bpf_prog"),
    (0b0100, "bpf_prog_free"),
    (0b1100, "bpf_prog_load"),
    (0b1100, "bpf_token_capable"),
    (0b1100, "bpf_token_cmd"),
    (0b1100, "bpf_token_create"),
    (0b1100, "bpf_token_free"),
    (0b1110, "bprm_check_security"),
    (0b1111, "bprm_committed_creds"),
    (0b1110, "bprm_committing_creds"),
    (0b1110, "bprm_creds_for_exec"),
    (0b1110, "bprm_creds_from_file"),
    (0b1110, "capget"),
    (0b1110, "capset"),
    (0b1110, "cred_prepare"),
    (0b0110, "current_getsecid_subj"),
    (0b1110, "file_ioctl"),
    (0b1110, "file_lock"),
    (0b1110, "file_open"),
    (0b1100, "file_post_open"),
    (0b1110, "file_receive"),
    (0b0010, "inet_conn_established"),
    (0b1110, "inode_create"),
    (0b1110, "inode_free_security"),
    (0b1110, "inode_getattr"),
    (0b1110, "inode_getxattr"),
    (0b1110, "inode_mknod"),
    (0b1110, "inode_need_killpriv"),
    (0b1000, "inode_post_removexattr"),
    (0b1110, "inode_post_setxattr"),
    (0b1110, "inode_readlink"),
    (0b1000, "inode_removexattr"),
    (0b1110, "inode_rename"),
    (0b1110, "inode_rmdir"),
    (0b1110, "inode_setattr"),
    (0b1110, "inode_setxattr"),
    (0b1110, "inode_symlink"),
    (0b1110, "inode_unlink"),
    (0b1110, "kernel_module_request"),
    (0b1110, "kernel_read_file"),
    (0b1110, "kernfs_init_security"),
    (0b0010, "key_free"),
    (0b1110, "mmap_file"),
    (0b1110, "netlink_send"),
    (0b1100, "path_chmod"),
    (0b1100, "path_chown"),
    (0b1100, "path_link"),
    (0b1100, "path_mkdir"),
    (0b1110, "path_notify"),
    (0b1100, "path_rename"),
    (0b1100, "path_rmdir"),
    (0b1100, "path_symlink"),
    (0b1100, "path_truncate"),
    (0b1100, "path_unlink"),
    (0b1110, "release_secctx"),
    (0b1110, "sb_alloc_security"),
    (0b1110, "sb_eat_lsm_opts"),
    (0b1110, "sb_kern_mount"),
    (0b1110, "sb_mount"),
    (0b1110, "sb_remount"),
    (0b1110, "sb_set_mnt_opts"),
    (0b1110, "sb_show_options"),
    (0b1110, "sb_statfs"),
    (0b1110, "sb_umount"),
    (0b1110, "settime"),
    (0b1110, "socket_accept"),
    (0b1110, "socket_bind"),
    (0b1110, "socket_connect"),
    (0b1110, "socket_create"),
    (0b1110, "socket_getpeername"),
    (0b1110, "socket_getpeersec_dgram"),
    (0b1110, "socket_getsockname"),
    (0b1110, "socket_getsockopt"),
    (0b1110, "socket_listen"),
    (0b1110, "socket_post_create"),
    (0b1110, "socket_recvmsg"),
    (0b1110, "socket_sendmsg"),
    (0b1110, "socket_shutdown"),
    (0b1110, "socket_socketpair"),
    (0b1110, "syslog"),
    (0b1110, "task_alloc"),
    (0b0110, "task_getsecid_obj"),
    (0b1110, "task_prctl"),
    (0b1110, "task_setscheduler"),
    (0b1110, "userns_create"),
];

/// Hooks that programs may not attach to (`bpf_lsm_disabled_hooks`).
#[rustfmt::skip]
pub(super) const DISABLED: &[Hook] = &[
    (0b1100, "audit_rule_match"),
    (0b1000, "file_alloc_security"),
    (0b1100, "getprocattr"),
    (0b1100, "getselfattr"),
    (0b1100, "inode_copy_up_xattr"),
    (0b1100, "inode_getsecurity"),
    (0b1100, "inode_listsecurity"),
    (0b1100, "inode_need_killpriv"),
    (0b1100, "ismaclabel"),
    (0b1100, "key_getsecurity"),
    (0b1100, "setprocattr"),
    (0b1100, "vm_enough_memory"),
    (0b1100, "xfrm_decode_session"),
];

/// Hooks whose arguments are not trusted (`untrusted_lsm_hooks`).
#[rustfmt::skip]
pub(super) const UNTRUSTED: &[Hook] = &[
    (0b1000, "bdev_alloc_security"),
    (0b1000, "bdev_free_security"),
    (0b1100, "bpf_map_free"),
    (0b1100, "bpf_prog_free"),
    (0b1100, "file_alloc_security"),
    (0b1100, "file_free_security"),
    (0b1100, "sk_alloc_security"),
    (0b1100, "sk_free_security"),
    (0b1100, "task_free"),
];

/// Hooks that return 0 or 1 (`bool_lsm_hooks`).
#[rustfmt::skip]
pub(super) const BOOL: &[Hook] = &[
    (0b1100, "audit_rule_known"),
    (0b1100, "inode_xattr_skipcap"),
    (0b1100, "xfrm_state_pol_flow_match"),
];
