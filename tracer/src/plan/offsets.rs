//! Where the structure members that the kernel side reads lie in one kernel, and what an event
//! lacks when a member does not exist there.
//!
//! *Must not know:* where the BTF comes from.

use tracer_common::{ABSENT, Offsets};

use crate::verifier::btf::Btf;

/// One member that the kernel side reads.
struct Member {
    /// C structure, and path to the member below it.
    structure: &'static str,
    path: &'static str,
    /// Event fields that are unknown without it.
    fields: &'static [&'static str],
    slot: fn(&mut Offsets) -> &mut u32,
}

macro_rules! members {
    ($($slot:ident = $structure:literal . $path:literal => $fields:expr;)*) => {
        &[$(Member {
            structure: $structure,
            path: $path,
            fields: &$fields,
            slot: |offsets| &mut offsets.$slot,
        }),*]
    };
}

/// Every member, in the order of [`Offsets`]. `upid_size` is a size and stands apart.
const MEMBERS: &[Member] = members! {
    task_pid = "task_struct"."pid" => [];
    task_tgid = "task_struct"."tgid" => ["ppid"];
    task_comm = "task_struct"."comm" => ["parent_comm"];
    task_flags = "task_struct"."flags" => ["kernel_started"];
    task_real_parent = "task_struct"."real_parent" => ["ppid", "parent_id", "parent_comm", "kernel_started"];
    task_group_leader = "task_struct"."group_leader" => ["id", "parent_id", "ns_pid", "pid_ns"];
    task_start_boottime = "task_struct"."start_boottime" => ["id", "parent_id"];
    task_cred = "task_struct"."cred" => ["euid", "egid"];
    task_loginuid = "task_struct"."loginuid" => ["login_uid"];
    task_sessionid = "task_struct"."sessionid" => ["session_id"];
    task_nsproxy = "task_struct"."nsproxy" => ["mnt_ns"];
    task_thread_pid = "task_struct"."thread_pid" => ["ns_pid", "pid_ns"];
    task_mm = "task_struct"."mm" => ["exe", "argv", "argv_bytes", "env"];
    task_fs = "task_struct"."fs" => ["cwd"];
    task_signal = "task_struct"."signal" => [];
    task_stack = "task_struct"."stack" => [];
    task_thread_info_status = "task_struct"."thread_info.status" => [];
    cred_euid = "cred"."euid" => ["euid"];
    cred_egid = "cred"."egid" => ["egid"];
    nsproxy_mnt_ns = "nsproxy"."mnt_ns" => ["mnt_ns"];
    mnt_namespace_inum = "mnt_namespace"."ns.inum" => ["mnt_ns"];
    pid_level = "pid"."level" => ["ns_pid", "pid_ns"];
    pid_numbers = "pid"."numbers" => ["ns_pid", "pid_ns"];
    upid_nr = "upid"."nr" => ["ns_pid"];
    upid_ns = "upid"."ns" => ["pid_ns"];
    pid_namespace_inum = "pid_namespace"."ns.inum" => ["pid_ns"];
    mm_arg_start = "mm_struct"."arg_start" => ["argv", "argv_bytes"];
    mm_arg_end = "mm_struct"."arg_end" => ["argv", "argv_bytes"];
    mm_env_start = "mm_struct"."env_start" => ["env"];
    mm_env_end = "mm_struct"."env_end" => ["env"];
    mm_exe_file = "mm_struct"."exe_file" => ["exe", "exe_deleted", "set_uid", "set_gid"];
    file_path_mnt = "file"."f_path.mnt" => ["exe"];
    file_path_dentry = "file"."f_path.dentry" => ["exe", "exe_deleted"];
    file_inode = "file"."f_inode" => ["set_uid", "set_gid"];
    inode_mode = "inode"."i_mode" => ["set_uid", "set_gid"];
    fs_pwd_mnt = "fs_struct"."pwd.mnt" => ["cwd"];
    fs_pwd_dentry = "fs_struct"."pwd.dentry" => ["cwd"];
    vfsmount_mnt_root = "vfsmount"."mnt_root" => ["exe", "cwd"];
    mount_mnt = "mount"."mnt" => ["exe", "cwd"];
    mount_parent = "mount"."mnt_parent" => ["exe", "cwd"];
    mount_mountpoint = "mount"."mnt_mountpoint" => ["exe", "cwd"];
    dentry_parent = "dentry"."d_parent" => ["exe", "cwd"];
    dentry_name = "dentry"."d_name.name" => ["exe", "cwd"];
    dentry_hash_pprev = "dentry"."d_hash.pprev" => ["exe_deleted"];
    signal_live = "signal_struct"."live" => [];
    bprm_filename = "linux_binprm"."filename" => ["filename", "interpreter"];
    bprm_interp = "linux_binprm"."interp" => ["interpreter"];
    bprm_fdpath = "linux_binprm"."fdpath" => ["dirfd"];
    bprm_argc = "linux_binprm"."argc" => ["argc"];
    bprm_per_clear = "linux_binprm"."per_clear" => ["set_uid", "set_gid", "privilege"];
};

/// An event field that this kernel cannot give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// Name of the field in JSON.
    pub field: &'static str,
    pub reason: String,
}

/// Looks every member up. `hidden` names members, as `structure.path`, that are to be treated as
/// if this kernel did not have them.
pub(super) fn resolve(btf: &Btf, hidden: &[String]) -> (Offsets, Vec<Unavailable>) {
    let wanted: Vec<_> = MEMBERS.iter().map(|m| (m.structure, m.path)).collect();
    let found = btf.field_batch(&wanted);
    let mut offsets = Offsets::absent();
    let mut unavailable: Vec<Unavailable> = Vec::new();
    for (member, location) in MEMBERS.iter().zip(found) {
        let name = format!("{}.{}", member.structure, member.path);
        match location {
            Some(location) if !hidden.contains(&name) => {
                *(member.slot)(&mut offsets) = location.offset_bytes;
            }
            _ => unavailable.extend(member.fields.iter().map(|field| Unavailable {
                field,
                reason: format!("this kernel's BTF has no {name}"),
            })),
        }
    }
    if offsets.upid_nr != ABSENT && offsets.upid_ns != ABSENT {
        // An int and a pointer: the size of the structure is where the later one ends.
        offsets.upid_size = (offsets.upid_nr.max(offsets.upid_ns) + 1).next_multiple_of(8);
    }
    // The first reason is enough.
    let mut seen = Vec::new();
    unavailable.retain(|u| !seen.contains(&u.field) && { seen.push(u.field); true });
    (offsets, unavailable)
}

/// Everything that BTF would have told is unknown.
pub(super) fn nothing_known(reason: &str) -> Vec<Unavailable> {
    let mut unavailable: Vec<Unavailable> = Vec::new();
    for field in MEMBERS.iter().flat_map(|member| member.fields) {
        if unavailable.iter().all(|u| u.field != *field) {
            unavailable.push(Unavailable { field, reason: reason.to_owned() });
        }
    }
    unavailable
}

/// Is this the name of a member that the kernel side reads?
pub fn is_member(name: &str) -> bool {
    MEMBERS.iter().any(|m| name.strip_prefix(m.structure).and_then(|n| n.strip_prefix('.')) == Some(m.path))
}
