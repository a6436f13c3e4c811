//! Where the structure members that the kernel side reads lie in one kernel, and what an event
//! lacks when a member does not exist there.
//!
//! *Must not know:* where the BTF comes from.

use tracer_common::{ABSENT, Offsets, exit_field::*, field::*};

use crate::{event::Unavailable, verifier::btf::Btf};

/// One member that the kernel side reads.
struct Member {
    /// C structure, and path to the member below it; of a member that was renamed both paths, separated by `|`.
    structure: &'static str,
    path: &'static str,
    /// What an event lacks without it: bits of [`field`].
    fields: u64,
    slot: fn(&mut Offsets) -> &mut u32,
}

macro_rules! members {
    ($($slot:ident = $structure:literal . $path:literal => $fields:expr;)*) => {
        &[$(Member {
            structure: $structure,
            path: $path,
            fields: $fields,
            slot: |offsets| &mut offsets.$slot,
        }),*]
    };
}

/// Every member, in the order of [`Offsets`]. `upid_size` is a size and stands apart.
const MEMBERS: &[Member] = members! {
    task_pid = "task_struct"."pid" => 0;
    task_tgid = "task_struct"."tgid" => PPID;
    task_comm = "task_struct"."comm" => PARENT_COMM;
    task_flags = "task_struct"."flags" => 0;
    task_real_parent = "task_struct"."real_parent" => PPID | PARENT_START | PARENT_COMM;
    task_group_leader = "task_struct"."group_leader" => START | PARENT_START | NS_PID | PID_NS;
    task_start_boottime = "task_struct"."start_boottime" => START | PARENT_START;
    task_cred = "task_struct"."cred" => EUID;
    task_loginuid = "task_struct"."loginuid" => LOGIN_UID;
    task_sessionid = "task_struct"."sessionid" => SESSION_ID;
    task_nsproxy = "task_struct"."nsproxy" => MNT_NS;
    task_thread_pid = "task_struct"."thread_pid" => NS_PID | PID_NS;
    task_mm = "task_struct"."mm" => EXE | ARGV | ENV;
    task_fs = "task_struct"."fs" => CWD;
    task_signal = "task_struct"."signal" => 0;
    task_stack = "task_struct"."stack" => 0;
    task_thread_info_status = "task_struct"."thread_info.status" => 0;
    cred_euid = "cred"."euid" => EUID;
    cred_egid = "cred"."egid" => EUID;
    nsproxy_mnt_ns = "nsproxy"."mnt_ns" => MNT_NS;
    mnt_namespace_inum = "mnt_namespace"."ns.inum" => MNT_NS;
    pid_level = "pid"."level" => NS_PID | PID_NS;
    pid_numbers = "pid"."numbers" => NS_PID | PID_NS;
    upid_nr = "upid"."nr" => NS_PID;
    upid_ns = "upid"."ns" => PID_NS;
    pid_namespace_inum = "pid_namespace"."ns.inum" => PID_NS;
    mm_arg_start = "mm_struct"."arg_start" => ARGV;
    mm_arg_end = "mm_struct"."arg_end" => ARGV;
    mm_env_start = "mm_struct"."env_start" => ENV;
    mm_env_end = "mm_struct"."env_end" => ENV;
    mm_exe_file = "mm_struct"."exe_file" => EXE | SET_ID;
    file_path_mnt = "file"."f_path.mnt" => EXE;
    file_path_dentry = "file"."f_path.dentry" => EXE;
    file_inode = "file"."f_inode" => SET_ID;
    inode_mode = "inode"."i_mode" => SET_ID;
    fs_pwd_mnt = "fs_struct"."pwd.mnt" => CWD;
    fs_pwd_dentry = "fs_struct"."pwd.dentry" => CWD;
    vfsmount_mnt_root = "vfsmount"."mnt_root" => EXE | CWD;
    mount_mnt = "mount"."mnt" => EXE | CWD;
    mount_parent = "mount"."mnt_parent" => EXE | CWD;
    mount_mountpoint = "mount"."mnt_mountpoint" => EXE | CWD;
    dentry_parent = "dentry"."d_parent" => EXE | CWD;
    dentry_name = "dentry"."d_name.name" => EXE | CWD;
    dentry_hash_pprev = "dentry"."d_hash.pprev" => 0;
    signal_live = "signal_struct"."live" => 0;
    bprm_filename = "linux_binprm"."filename" => FILENAME | INTERPRETER;
    bprm_interp = "linux_binprm"."interp" => INTERPRETER;
    bprm_fdpath = "linux_binprm"."fdpath" => DIRFD;
    bprm_argc = "linux_binprm"."argc" => ARGC;
    bprm_per_clear = "linux_binprm"."per_clear" => SET_ID;
    task_cgroups = "task_struct"."cgroups" => 0;
    css_set_dfl_cgrp = "css_set"."dfl_cgrp" => 0;
    css_set_cgrp_links = "css_set"."cgrp_links" => 0;
    cset_link_cgrp = "cgrp_cset_link"."cgrp" => 0;
    cset_link_cgrp_link = "cgrp_cset_link"."cgrp_link" => 0;
    cgroup_kn = "cgroup"."kn" => 0;
    cgroup_root = "cgroup"."root" => 0;
    cgroup_root_hierarchy_id = "cgroup_root"."hierarchy_id" => 0;
    kernfs_node_id = "kernfs_node"."id" => 0;
    kernfs_node_name = "kernfs_node"."name" => 0;
    kernfs_node_parent = "kernfs_node"."__parent|parent" => 0;
    task_exit_code = "task_struct"."exit_code" => STATUS;
    task_utime = "task_struct"."utime" => TIMES;
    task_stime = "task_struct"."stime" => TIMES;
    task_sum_exec_runtime = "task_struct"."se.sum_exec_runtime" => TIMES;
    task_min_flt = "task_struct"."min_flt" => FAULTS;
    task_maj_flt = "task_struct"."maj_flt" => FAULTS;
    task_ioac = "task_struct"."ioac" => IO;
    task_thread_node = "task_struct"."thread_node" => 0;
    signal_flags = "signal_struct"."flags" => STATUS;
    signal_group_exit_code = "signal_struct"."group_exit_code" => STATUS;
    signal_utime = "signal_struct"."utime" => TIMES;
    signal_stime = "signal_struct"."stime" => TIMES;
    signal_sum_sched_runtime = "signal_struct"."sum_sched_runtime" => TIMES;
    signal_min_flt = "signal_struct"."min_flt" => FAULTS;
    signal_maj_flt = "signal_struct"."maj_flt" => FAULTS;
    signal_maxrss = "signal_struct"."maxrss" => MAX_RSS;
    signal_ioac = "signal_struct"."ioac" => IO;
    signal_nr_threads = "signal_struct"."nr_threads" => 0;
    signal_thread_head = "signal_struct"."thread_head" => 0;
    ioac_read_bytes = "task_io_accounting"."read_bytes" => IO;
    cred_uid = "cred"."uid" => 0;
    cred_gid = "cred"."gid" => 0;
};

/// Looks every member up. `hidden` names members, as `structure.path`, that are to be treated as
/// if this kernel did not have them.
pub(super) fn resolve(btf: &Btf, hidden: &[String]) -> (Offsets, Unavailable) {
    let wanted: Vec<_> =
        MEMBERS.iter().flat_map(|m| m.path.split('|').map(|path| (m.structure, path))).collect();
    let mut found = wanted.iter().zip(btf.field_batch(&wanted));
    let mut offsets = Offsets::absent();
    let mut unavailable = Unavailable::default();
    for member in MEMBERS {
        let mut name = String::new();
        for ((structure, path), location) in found.by_ref().take(member.path.split('|').count()) {
            name = format!("{structure}.{path}");
            if let Some(location) = location
                && !hidden.contains(&name)
            {
                *(member.slot)(&mut offsets) = location.offset_bytes;
            }
        }
        if *(member.slot)(&mut offsets) == ABSENT {
            add(&mut unavailable, member.fields, &format!("this kernel's BTF has no {name}"));
        }
    }
    if offsets.upid_nr != ABSENT && offsets.upid_ns != ABSENT {
        // An int and a pointer: the size of the structure is where the later one ends.
        offsets.upid_size = (offsets.upid_nr.max(offsets.upid_ns) + 1).next_multiple_of(8);
    }
    (offsets, unavailable)
}

/// Adds the fields that are not there yet: the first reason is enough.
fn add(unavailable: &mut Unavailable, fields: u64, reason: &str) {
    let new = fields & !unavailable.mask();
    if new != 0 {
        unavailable.add(new, reason);
    }
}

/// Everything that BTF would have told is unknown.
pub(super) fn nothing_known(reason: &str) -> Unavailable {
    let mut unavailable = Unavailable::default();
    add(&mut unavailable, MEMBERS.iter().fold(0, |bits, member| bits | member.fields), reason);
    unavailable
}

/// Is this the name of a member that the kernel side reads?
pub fn is_member(name: &str) -> bool {
    members().any(|member| member == name)
}

/// Is it a member that is read for lives and places alone? These stand behind the others.
pub fn is_of_lives(name: &str) -> bool {
    members().skip_while(|member| member != "task_struct.cgroups").any(|member| member == name)
}

/// Every member that the kernel side reads, as `structure.path`.
pub fn members() -> impl Iterator<Item = String> {
    MEMBERS.iter().flat_map(|m| m.path.split('|').map(|path| format!("{}.{path}", m.structure)))
}
