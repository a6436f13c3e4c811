//! What user space tells the kernel side before it is loaded, as read-only globals: the verifier
//! sees constants and drops what is switched off.

use crate::plain;

/// An [`Offsets`] entry for a member that this kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// Switches of one run.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Knobs {
    /// Bits of [`filter`].
    pub filters: u32,
    /// 1: copy the environment.
    pub env: u32,
    /// Longest arguments that are copied whole, in bytes; 0: no limit. Beyond it the middle is
    /// left out in steps of a chunk.
    pub max_argv_bytes: u32,
    /// 1: this kernel has bpf_get_current_task_btf and bpf_task_pt_regs (since 5.15).
    pub task_pt_regs: u32,
    /// 1: this kernel has cgroups (the helper that reads the id exists).
    pub cgroups: u32,
    /// Level of the cgroup that is filtered for, in the v2 hierarchy.
    pub cgroup_level: u32,
    /// Id of that cgroup.
    pub cgroup_id: u64,
    /// Bits of [`follow`].
    pub follow: u32,
    /// 1: `sched_process_exit` says whether the thread is its process' last (since 6.16).
    pub exit_says_last: u32,
    /// Numbers of the v1 hierarchies whose groups events name; 0: none.
    pub hierarchies: [u32; crate::V1_HIERARCHIES],
    /// 1: the map SHED is looked at.
    pub governed: u32,
    /// 1: paths of control groups are sent.
    pub places: u32,
    /// The block of scratch memory that the iterator uses.
    pub alive_slot: u32,
    pub reserved: u32,
}
plain!(Knobs, 64);

/// Bits of [`Knobs::follow`]: what is told beside executions.
pub mod follow {
    /// Forks and exits that pass the filters are events of their own.
    pub const FORK: u32 = 1 << 0;
    pub const EXIT: u32 = 1 << 1;
    /// Executions that pass the filters are events. Without it they serve the table alone.
    pub const EXEC: u32 = 1 << 2;
    /// Every fork, exec and exit is told, quietly where it is no event, so that the table of processes is whole.
    pub const TABLE: u32 = 1 << 3;
}

/// What a run that costs too much leaves out, written by user space while it runs: the one value of the map SHED.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shed {
    /// Bits of [`shed`].
    pub fields: u32,
    /// One event of this many is produced, by [`crate::Class`]; 0 and 1: each. [`crate::Class::Quiet`] is not sampled.
    pub sample: [u32; 4],
    pub reserved: [u32; 3],
}
plain!(Shed, 32);

/// Bits of [`Shed::fields`]: optional fields of an exec, which are then missing with the reason.
pub mod shed {
    pub const ENV: u32 = 1 << 0;
    pub const CWD: u32 = 1 << 1;
    /// The middle of a successful exec's arguments that are longer than some KiB: the record says how much there was.
    pub const LONG_ARGV: u32 = 1 << 2;
    /// Namespaces, audit ids, effective ids.
    pub const IDS: u32 = 1 << 3;
}

/// Bits of [`Knobs::filters`]: an event has to pass every one that is set.
pub mod filter {
    /// The process id is in the map `PIDS`.
    pub const PID: u32 = 1 << 0;
    /// The user id is in the map `UIDS`.
    pub const UID: u32 = 1 << 1;
    /// The comm is in the map `COMMS`.
    pub const COMM: u32 = 1 << 2;
    /// The cgroup is `cgroup_id` or below it.
    pub const CGROUP: u32 = 1 << 3;
    /// The exec failed.
    pub const FAILED: u32 = 1 << 4;
    /// The process is in the map `TREE`.
    pub const TREE: u32 = 1 << 5;
}

/// Where members lie in this kernel's structures, in bytes; [`ABSENT`] when they do not exist.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    pub task_pid: u32,
    pub task_tgid: u32,
    pub task_comm: u32,
    pub task_flags: u32,
    pub task_real_parent: u32,
    pub task_group_leader: u32,
    pub task_start_boottime: u32,
    pub task_cred: u32,
    pub task_loginuid: u32,
    pub task_sessionid: u32,
    pub task_nsproxy: u32,
    pub task_thread_pid: u32,
    pub task_mm: u32,
    pub task_fs: u32,
    pub task_signal: u32,
    pub task_stack: u32,
    pub task_thread_info_status: u32,
    pub cred_euid: u32,
    pub cred_egid: u32,
    pub nsproxy_mnt_ns: u32,
    pub mnt_namespace_inum: u32,
    pub pid_level: u32,
    pub pid_numbers: u32,
    pub upid_size: u32,
    pub upid_nr: u32,
    pub upid_ns: u32,
    pub pid_namespace_inum: u32,
    pub mm_arg_start: u32,
    pub mm_arg_end: u32,
    pub mm_env_start: u32,
    pub mm_env_end: u32,
    pub mm_exe_file: u32,
    pub file_path_mnt: u32,
    pub file_path_dentry: u32,
    pub file_inode: u32,
    pub inode_mode: u32,
    pub fs_pwd_mnt: u32,
    pub fs_pwd_dentry: u32,
    pub vfsmount_mnt_root: u32,
    pub mount_mnt: u32,
    pub mount_parent: u32,
    pub mount_mountpoint: u32,
    pub dentry_parent: u32,
    pub dentry_name: u32,
    pub dentry_hash_pprev: u32,
    pub signal_live: u32,
    pub bprm_filename: u32,
    pub bprm_interp: u32,
    pub bprm_fdpath: u32,
    pub bprm_argc: u32,
    pub bprm_per_clear: u32,
    pub task_cgroups: u32,
    pub css_set_dfl_cgrp: u32,
    pub css_set_cgrp_links: u32,
    pub cset_link_cgrp: u32,
    pub cset_link_cgrp_link: u32,
    pub cgroup_kn: u32,
    pub cgroup_root: u32,
    pub cgroup_root_hierarchy_id: u32,
    pub kernfs_node_id: u32,
    pub kernfs_node_name: u32,
    pub kernfs_node_parent: u32,
    pub task_exit_code: u32,
    pub task_utime: u32,
    pub task_stime: u32,
    pub task_sum_exec_runtime: u32,
    pub task_min_flt: u32,
    pub task_maj_flt: u32,
    pub task_ioac: u32,
    pub task_thread_node: u32,
    pub signal_flags: u32,
    pub signal_group_exit_code: u32,
    pub signal_utime: u32,
    pub signal_stime: u32,
    pub signal_sum_sched_runtime: u32,
    pub signal_min_flt: u32,
    pub signal_maj_flt: u32,
    pub signal_maxrss: u32,
    pub signal_ioac: u32,
    pub signal_nr_threads: u32,
    pub signal_thread_head: u32,
    pub ioac_read_bytes: u32,
    pub cred_uid: u32,
    pub cred_gid: u32,
}
plain!(Offsets, 336);

impl Default for Offsets {
    fn default() -> Self {
        Self::absent()
    }
}

impl Offsets {
    /// A kernel that nothing is known of.
    pub const fn absent() -> Self {
        // SAFETY: every field is a `u32`, and ABSENT is all ones.
        unsafe { core::mem::transmute([ABSENT; size_of::<Self>() / 4]) }
    }
}
