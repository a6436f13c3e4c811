//! What cannot be had, to the letter: `UPDATE_EXPECT=1` writes the snapshots anew.

use expect_test::expect_file;

use super::*;

/// What is said of names and values that cannot be had, each with its way out.
#[test]
fn refusals_are_explained() {
    let request = |show: &str, where_: &str, by: &str, hist: &str| Request {
        show: show.split_whitespace().map(str::to_owned).collect(),
        where_: (!where_.is_empty()).then(|| where_.to_owned()),
        count_by: (!by.is_empty()).then(|| by.split(',').map(str::to_owned).collect()),
        hist: (!hist.is_empty()).then(|| HistWish { of: hist.to_owned(), shape: HistShape::Log2 }),
        ..Request::default()
    };
    let (new, old) = (facts("6.12"), facts("5.10"));
    let names = names();
    let cases: Vec<(&HostFacts, &str, Request)> = [
        "vfs_raed",
        "vfs_readx",
        "kprobe:xfs:vfs_read",
        "kprobe:xsf:xfs_read",
        "kprobe:btrfs:btrfs_read",
        "init_task",
        "bpf_prog_1234",
        "hidden",
        "sys_openat",
        "SyS_newfstat",
        "noinstr_one",
        "fentry:notrace_one",
        "fentry:noinstr_one",
        "fentry:dup",
        "sched_switch",
        "openat",
        "nothing_like_it",
        "zzz_*",
        "noinstr_*",
        "init_tas*",
        "tracepoint:sched:sched_swich",
        "tracepoint:shed:sched_switch",
        "tracepoint:sock:sched_switch",
        "tracepoint:irq:sched_switch",
        "tracepoint:sched:zzz*",
        "rawtp:sched_swicth",
        "rawtp:sys_enter_openat",
        "rawtp:zzz*",
        "syscall:opneat",
        "syscall:sys_openat",
        "syscall:__x64_sys_openat",
        "syscall:zzz*",
        "syscall:nosuchcall",
    ]
    .into_iter()
    .map(|spec| (&new, spec, Request::default()))
    .chain([
        (&new, "vfs_read", request("fil", "", "", "")),
        (&new, "vfs_read", request("file.f_pth", "", "", "")),
        (&new, "vfs_read", request("file.f_path", "", "", "")),
        (&new, "vfs_read", request("count.x", "", "", "")),
        (&new, "vfs_read", request("count:str", "", "", "")),
        (&new, "vfs_read", request("count:be16", "", "", "")),
        (&new, "vfs_read", request("count[2]", "", "", "")),
        (&new, "vfs_read", request("file.f_path.dentry.d_iname:hex", "", "", "")),
        (&new, "vfs_read", request("task.comm[99]", "", "", "")),
        (&new, "vfs_read", request("task.cpus_mask.bits", "", "", "")),
        (&new, "vfs_*", request("", "count > 1", "", "")),
        (&new, "vfs_read", request("", "cuont > 1", "", "")),
        (&new, "vfs_read", request("", "count > file.f_path", "", "")),
        (&new, "rawtp:sched_switch", request("", "duration > 1ms", "", "")),
        (&new, "kprobe:vfs_read+4", request("", "count > 1", "", "")),
        (&new, "tracepoint:sched:sched_switch", request("", "retval == 0", "", "")),
        (&new, "vfs_read", request("", "", "nosuch", "")),
        (&new, "vfs_read", request("", "", "pid,tid,uid,cpu,comm", "")),
        (&new, "vfs_read", request("", "", "pid,a b", "")),
        (&new, "vfs_read", request("count", "", "pid", "")),
        (&new, "vfs_read", request("", "", "", "comm")),
        (&new, "vfs_read", request("", "", "", "nosuch")),
        (&new, "tracepoint:sched:sched_switch", Request { duration: true, ..Request::default() }),
        (&new, "vfs_*", Request { max_probes: 2, ..Request::default() }),
    ])
    .chain([(&old, "fentry:nothing_like_it", Request::default())])
    .collect();
    let mut out = String::new();
    for (facts, spec, request) in cases {
        let error = match try_with(facts, &names, &[spec], &request) {
            Err(error) => error,
            Ok(resolved) => panic!("{spec} {request:?} became\n{resolved}"),
        };
        out.push_str(&format!("{error}\n\n"));
    }
    expect_file!["refusals.txt"].assert_eq(&out);
}

#[test]
fn hosts_lacks_are_told() {
    let said = |facts: &HostFacts, names: &FixedNames, spec: &str| {
        try_with(facts, names, &[spec], &Request::default()).expect_err("no run").to_string()
    };
    let mut out = String::new();
    let untyped = HostFacts { btf: Err("this kernel shows no BTF".into()), ..facts("6.12") };
    let bare = HostFacts { kprobe_pmu: false, ..facts("5.10") };
    let locked = HostFacts { lockdown: Lockdown::Confidentiality, ..facts("6.12") };
    let blind = FixedNames::default();
    for (facts, names, spec) in [
        (&untyped, names(), "fentry:vfs_read"),
        (&untyped, names(), "rawtp:sched_switch"),
        (&bare, names(), "vfs_read"),
        (&locked, names(), "vfs_read"),
        (&untyped, blind, "tracepoint:sched:sched_switch"),
        (&untyped, FixedNames::default(), "vfs_read"),
    ] {
        out.push_str(&format!("{}\n\n", said(facts, &names, spec)));
    }
    expect_file!["hosts.txt"].assert_eq(&out);
}
