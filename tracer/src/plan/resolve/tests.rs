//! Runs resolved against real kernels' types and made-up names.

use expect_test::expect;
use tracer_common::probe::{Fetch, fetch, operand, read, source};

use super::*;
use crate::host::names::fixed::FixedNames;
use crate::host::names::{Blacklist, Symbols, Traceable};
use crate::host::{HostFacts, Lockdown};
use crate::plan::probe::{Ends, Point, ShowAs, ValueSpec};
use crate::profiles;
use crate::spec::parse;

mod refusals;

fn facts(release: &str) -> HostFacts {
    let kernel = profiles::named(release).unwrap_or_else(|error| panic!("{error}"));
    let version = (kernel.version.major.into(), kernel.version.minor.into());
    HostFacts::of_kernel(&kernel.name, version, kernel.btf, 2)
}

const SWITCH: &str = "ID: 310\n\tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:0;\n\
    \tfield:pid_t prev_pid;\toffset:24;\tsize:4;\tsigned:1;\n\tfield:int prev_prio;\toffset:28;\tsize:4;\tsigned:1;\n\
    \tfield:long prev_state;\toffset:32;\tsize:8;\tsigned:1;\n";
const OPENAT: &str = "ID: 600\n\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n\
    \tfield:int dfd;\toffset:16;\tsize:8;\tsigned:0;\n\tfield:const char * filename;\toffset:24;\tsize:8;\tsigned:0;\n";
const EXEC: &str = "ID: 303\n\tfield:__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;\n\
    \tfield:pid_t pid;\toffset:12;\tsize:4;\tsigned:1;\n\tfield:u8 mac[6];\toffset:16;\tsize:6;\tsigned:0;\n";

/// Functions with their addresses, as a kernel with kprobe.multi lists them.
fn names() -> FixedNames {
    let symbols = "\
ffffffff81000000 T _stext
ffffffff81000100 T vfs_read
ffffffff81000200 T vfs_write
ffffffff81000300 T vfs_readv
ffffffff81000400 t vfs_statx
ffffffff81000500 T tcp_sendmsg
ffffffff81000600 t dup
ffffffff81000700 t dup
ffffffff81000800 T do_sys_openat2
ffffffff81000900 T __x64_sys_openat
ffffffff81000a00 T __x64_sys_newfstat
ffffffff81000b00 t hidden.isra.0
ffffffff81000c00 T noinstr_one
ffffffff81000d00 T notrace_one
ffffffff81000e00 T kernel_clone
ffffffff81000f00 T sock_sendmsg
ffffffff81000100 T alias_of_read
ffffffff81001100 T schedule
ffffffff81001200 T register_fprobe
ffffffff81001300 T tcp_v4_connect
ffffffff82000000 D init_task
ffffffffc0000000 t xfs_read\t[xfs]
ffffffffc0000100 t vfs_in_module\t[fuse]
ffffffffc0001000 t bpf_prog_1234\t[bpf]
";
    let traceable = "vfs_read\nvfs_write\nvfs_readv\nvfs_statx\ntcp_sendmsg\ndup\ndup\ndo_sys_openat2\n__x64_sys_openat\n\
        __x64_sys_newfstat\nhidden.isra.0\nkernel_clone\nsock_sendmsg\nschedule\ntcp_v4_connect\nalias_of_read\nxfs_read [xfs]\nvfs_in_module [fuse]\n";
    let names = FixedNames {
        symbols: Some(Symbols::new(symbols.to_owned())),
        traceable: Some(Traceable::new(traceable.to_owned())),
        blacklist: Blacklist::of_file("0xffffffff81000c00-0xffffffff81000d00\tnoinstr_one\n"),
        modules: vec!["xfs".into(), "fuse".into()],
        ..FixedNames::default()
    };
    names.event("sched", "sched_switch", SWITCH).event("sched", "sched_process_exec", EXEC).event(
        "syscalls",
        "sys_enter_openat",
        OPENAT,
    )
}

fn try_with(
    facts: &HostFacts,
    names: &dyn Names,
    specs: &[&str],
    request: &Request,
) -> Result<Resolved, ResolveError> {
    let specs: Vec<_> =
        specs.iter().map(|spec| parse(spec).unwrap_or_else(|mistake| panic!("{mistake}"))).collect();
    resolve(&specs, request, facts, names)
}

fn run(specs: &[&str], request: &Request) -> Resolved {
    try_with(&facts("6.12"), &names(), specs, request).unwrap_or_else(|error| panic!("{error}"))
}

fn showing(paths: &[&str]) -> Request {
    Request { show: paths.iter().map(|&path| path.to_owned()).collect(), ..Request::default() }
}

fn filtering(text: &str) -> Request {
    Request { where_: Some(text.to_owned()), ..Request::default() }
}

fn only(resolved: &Resolved) -> &Point {
    let [point] = resolved.run.points.as_slice() else { panic!("{resolved}") };
    point
}

fn value<'p>(point: &'p Point, name: &str) -> &'p ValueSpec {
    point
        .values
        .iter()
        .find(|value| value.name == name)
        .unwrap_or_else(|| panic!("no {name} in {:?}", point.values))
}

/// How one path from `vfs_read`'s arguments is read.
fn run_with(facts: &HostFacts, path: &str) -> Fetch {
    // The name in the dentry itself has had two names.
    let shortname = facts.btf.as_ref().is_ok_and(|btf| btf.field("dentry", "d_shortname").is_some());
    let inner = if shortname { path.replace("d_iname", "d_shortname.string") } else { path.to_owned() };
    let resolved = try_with(facts, &names(), &["vfs_read"], &showing(&[&inner]));
    value(only(&resolved.unwrap_or_else(|error| panic!("{error}"))), &inner).fetch
}

/// Where a member lies, found without the walk.
fn offset(facts: &HostFacts, composite: &str, member: &str) -> u32 {
    let btf = facts.btf.as_ref().unwrap_or_else(|why| panic!("{why}"));
    btf.field(composite, member).unwrap_or_else(|| panic!("no {composite}.{member}")).offset_bytes
}

#[test]
fn a_function_shows_its_arguments() {
    let resolved = run(&["vfs_read"], &Request::default());
    let point = only(&resolved);
    assert_eq!((point.name.as_str(), point.ends), ("kprobe:vfs_read", Ends::Entry));
    let shown: Vec<_> = point
        .values
        .iter()
        .map(|v| (v.name.as_str(), v.c_type.as_str(), v.fetch.index, v.fetch.read))
        .collect();
    assert_eq!(
        shown,
        [
            ("file", "struct file *", 0, read::VALUE),
            // A buffer is no text.
            ("buf", "char *", 1, read::VALUE),
            ("count", "size_t", 2, read::VALUE),
            ("pos", "loff_t *", 3, read::VALUE),
        ]
    );
    let Place::Kprobe { addresses, multi: true, single: true, .. } = &point.place else {
        panic!("{:?}", point.place)
    };
    assert_eq!(addresses, &[0xffff_ffff_8100_0100]);
    assert!(point.filter_at_entry);
    let resolved = run(&["kretprobe:vfs_read"], &Request::default());
    let point = only(&resolved);
    assert_eq!(point.ends, Ends::Return);
    let [retval] = point.values.as_slice() else { panic!("{:?}", point.values) };
    assert_eq!((&retval.show, retval.fetch.source), (&ShowAs::Errno { bits: 64 }, source::RESULT));
    assert_eq!(retval.fetch.flags, fetch::AT_RETURN | fetch::SIGNED);
}

#[test]
fn entry_and_return_are_joined_where_both_are_wanted() {
    let ends = |spec: &str, request: &Request| only(&run(&[spec], request)).ends;
    let timed = Request { duration: true, ..Request::default() };
    assert_eq!(ends("vfs_read", &timed), Ends::Both);
    assert_eq!(ends("vfs_read", &filtering("retval < 0")), Ends::Both);
    assert_eq!(ends("vfs_read", &filtering("duration > 1ms")), Ends::Both);
    assert_eq!(ends("vfs_read", &filtering("count > 1")), Ends::Entry);
    assert_eq!(ends("kretprobe:vfs_read", &filtering("count > 1")), Ends::Both);
    assert_eq!(ends("kretprobe:vfs_read", &filtering("retval < 0")), Ends::Return);
    assert_eq!(ends("fexit:vfs_read", &filtering("count > 1 && retval < 0")), Ends::Return);
    assert_eq!(ends("fexit:vfs_read", &timed), Ends::Both);
    assert_eq!(ends("syscall:openat", &Request::default()), Ends::Both);
    let late = run(&["fexit:vfs_read"], &Request::default());
    assert!(only(&late).values.iter().all(|value| value.fetch.flags & fetch::AT_RETURN != 0));
    let early = run(&["vfs_read"], &Request { duration: true, ..filtering("count > 1") });
    assert!(only(&early).filter_at_entry);
    let later = run(&["vfs_read"], &Request { duration: true, ..filtering("count > 1 && retval < 0") });
    assert!(!only(&later).filter_at_entry);
}

#[test]
fn paths_lead_through_pointers() {
    for release in ["5.10", "6.1", "6.12", "7.2"] {
        let facts = facts(release);
        let request = showing(&["file.f_path.dentry.d_name.name", "file.f_inode.i_ino", "file->f_mode:hex"]);
        let resolved =
            try_with(&facts, &names(), &["vfs_read"], &request).unwrap_or_else(|error| panic!("{error}"));
        let point = only(&resolved);
        let name = value(point, "file.f_path.dentry.d_name.name");
        let mut expected =
            Fetch { source: source::ARGUMENT, read: read::TEXT, steps: 2, limit: 254, ..Fetch::default() };
        expected.offset[0] = offset(&facts, "file", "f_path.dentry");
        expected.offset[1] = offset(&facts, "dentry", "d_name.name");
        assert_eq!((name.fetch, &name.show), (expected, &ShowAs::Text), "{release}");
        let request = showing(&["file.f_path.dentry.d_name.name:str"]);
        let resolved =
            try_with(&facts, &names(), &["vfs_read"], &request).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(value(only(&resolved), "file.f_path.dentry.d_name.name:str").fetch, expected, "{release}");
        let inline = run_with(&facts, "file.f_path.dentry.d_iname:str");
        assert_eq!((inline.read, inline.steps), (read::ARRAY, 1));
        let inode = value(point, "file.f_inode.i_ino").fetch;
        assert_eq!((inode.steps, inode.read, inode.size), (1, read::NUMBER, 8));
        assert_eq!(inode.offset[..2], [offset(&facts, "file", "f_inode"), offset(&facts, "inode", "i_ino")]);
        let mode = value(point, "file.f_mode:hex");
        assert_eq!((mode.fetch.size, &mode.show), (4, &ShowAs::Hex));
    }
}

#[test]
fn big_endian_members_and_arrays_and_bit_fields() {
    let facts = facts("6.12");
    let request = showing(&[
        "sk.__sk_common.skc_dport:be16",
        "sk.sk_protocol",
        "task.comm",
        "task.real_parent.tgid",
        "sk.sk_no_check_tx",
    ]);
    let resolved =
        try_with(&facts, &names(), &["tcp_v4_connect"], &request).unwrap_or_else(|error| panic!("{error}"));
    let point = only(&resolved);
    let port = value(point, "sk.__sk_common.skc_dport:be16").fetch;
    assert_eq!(
        (port.size, port.flags, port.offset[0]),
        (2, fetch::BIG_ENDIAN, offset(&facts, "sock", "__sk_common.skc_dport"))
    );
    let comm = value(point, "task.comm").fetch;
    assert_eq!((comm.source, comm.read, comm.limit), (source::TASK, read::ARRAY, 16));
    let parent = value(point, "task.real_parent.tgid").fetch;
    assert_eq!((parent.source, parent.steps), (source::TASK, 1));
    let check = value(point, "sk.sk_no_check_tx").fetch;
    assert_eq!(check.bits, 1, "{check:?}");
}

#[test]
fn system_calls_read_the_callers_memory() {
    let resolved = run(&["syscall:openat"], &Request::default());
    let point = only(&resolved);
    assert_eq!(point.place, Place::Syscall { name: "openat".into(), number: 257 });
    let names: Vec<_> = point.values.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["dfd", "filename", "flags", "mode", "retval"]);
    let filename = value(point, "filename").fetch;
    assert_eq!((filename.index, filename.read, filename.steps, filename.user_steps), (1, read::TEXT, 0, 1));
    assert_eq!(value(point, "dfd").fetch.size, 4);
    assert_eq!(value(point, "retval").show, ShowAs::Errno { bits: 64 });
    // A structure of the caller's, read in the caller's memory.
    let resolved = run(&["syscall:openat2"], &showing(&["how.flags"]));
    let flags = value(only(&resolved), "how.flags").fetch;
    assert_eq!((flags.index, flags.steps, flags.user_steps, flags.size), (2, 0, 1, 8));
    // The function behind the call has its arguments in the registers that it is handed.
    let resolved = run(&["__x64_sys_openat"], &Request::default());
    let point = only(&resolved);
    let filename = value(point, "filename").fetch;
    assert_eq!((filename.index, filename.steps, filename.offset[0], filename.user_steps), (0, 1, 104, 0b10));
    assert_eq!((value(point, "dfd").fetch.offset[0], value(point, "dfd").fetch.read), (112, read::NUMBER));
    // Its kernel name is known too.
    assert_eq!(only(&run(&["syscall:newfstat"], &Request::default())).name, "syscall:fstat");
}

#[test]
fn texts_of_the_callers_are_known_by_function() {
    let resolved = run(&["do_sys_openat2"], &Request::default());
    let filename = value(only(&resolved), "filename").fetch;
    assert_eq!((filename.read, filename.user_steps), (read::TEXT, 1));
}

#[test]
fn tracepoints_are_read_by_their_formats() {
    let resolved = run(&["tracepoint:sched:sched_switch"], &Request::default());
    let point = only(&resolved);
    assert_eq!(
        point.place,
        Place::Tracepoint { category: "sched".into(), name: "sched_switch".into(), id: 310 }
    );
    let comm = value(point, "prev_comm").fetch;
    assert_eq!((comm.source, comm.read, comm.limit, comm.offset[0]), (source::RECORD, read::ARRAY, 16, 8));
    let pid = value(point, "prev_pid").fetch;
    assert_eq!((pid.read, pid.size, pid.flags, pid.offset[0]), (read::NUMBER, 4, fetch::SIGNED, 24));
    let resolved = run(&["tracepoint:syscalls:sys_enter_openat"], &Request::default());
    let filename = value(only(&resolved), "filename").fetch;
    assert_eq!(
        (filename.read, filename.steps, filename.offset[0], filename.user_steps),
        (read::TEXT, 1, 24, 0b10)
    );
    assert_eq!(value(only(&resolved), "dfd").fetch.size, 4);
    let resolved = run(&["tracepoint:sched:sched_process_exec"], &Request::default());
    assert_eq!(value(only(&resolved), "filename").fetch.read, read::DATA_LOC);
    assert_eq!(resolved.notes, ["sched:sched_process_exec: field mac is not shown: it is an array of u8"]);
}

#[test]
fn raw_tracepoints_are_typed_and_named() {
    for release in ["5.10", "6.1", "6.12", "7.2"] {
        let request = showing(&["next.pid"]);
        let resolved = try_with(&facts(release), &names(), &["rawtp:sched_switch"], &request);
        let resolved = resolved.unwrap_or_else(|error| panic!("{release}: {error}"));
        let point = only(&resolved);
        let Place::RawTracepoint { arguments, .. } = point.place else { panic!("{:?}", point.place) };
        assert_eq!(arguments, if release == "5.10" { 3 } else { 4 }, "{release}");
        assert_eq!(value(point, "preempt").show, ShowAs::Bool);
        let pid = value(point, "next.pid").fetch;
        assert_eq!((pid.index, pid.read, pid.size), (2, read::NUMBER, 4));
    }
}

#[test]
fn later_arguments_are_on_the_stack() {
    // Whichever function of this kernel has seven or more plain arguments.
    let facts = facts("6.12");
    let btf = facts.btf.clone().unwrap_or_else(|why| panic!("{why}"));
    let many = btf.ids().filter_map(|id| btf.func_by_id(id)).find(|func| {
        let plain = |p: &crate::verifier::btf::Param<'_>| {
            !p.name.is_empty()
                && btf.size_of(p.type_id) == Some(8)
                && btf.resolved(p.type_id).is_some_and(|t| matches!(t, crate::verifier::btf::Type::Int(_)))
        };
        func.proto.param_count() >= 8
            && func.proto.params().skip(6).take(2).all(|p| plain(&p))
            && func.proto.params().all(|p| btf.size_of(p.type_id).is_some_and(|s| s <= 8))
    });
    let many = many.unwrap_or_else(|| panic!("no function of eight arguments"));
    let names = FixedNames {
        symbols: Some(Symbols::new(format!("ffffffff81000100 T {}\n", many.name))),
        traceable: Some(Traceable::new(format!("{}\n", many.name))),
        ..FixedNames::default()
    };
    let resolved =
        try_with(&facts, &names, &[many.name], &Request::default()).unwrap_or_else(|error| panic!("{error}"));
    let point = only(&resolved);
    let (seventh, eighth) = (point.values[6].fetch, point.values[7].fetch);
    assert_eq!(
        (seventh.source, seventh.index, seventh.read, seventh.offset[0]),
        (source::REGISTER, 19, read::NUMBER, 8)
    );
    assert_eq!(eighth.offset[0], 16);
    let fentry = format!("fentry:{}", many.name);
    let resolved =
        try_with(&facts, &names, &[&fentry], &Request::default()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(only(&resolved).values[7].fetch.index, 7);
}

#[test]
fn without_types_registers_are_shown() {
    let facts = HostFacts { btf: Err("this kernel shows no BTF".into()), ..facts("6.12") };
    let resolved = try_with(&facts, &names(), &["vfs_read", "kretprobe:vfs_write"], &Request::default());
    let resolved = resolved.unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<_> =
        resolved.run.points[0].values.iter().map(|v| (v.name.as_str(), v.show.clone())).collect();
    assert_eq!(names.len(), 6);
    assert_eq!(names[0], ("arg0", ShowAs::Hex));
    assert_eq!(resolved.run.points[1].values[0].show, ShowAs::Errno { bits: 64 });
    assert_eq!(
        resolved.notes,
        ["the arguments of 2 functions are shown as registers: this kernel shows no BTF"]
    );
}

#[test]
fn patterns_take_what_can_be_traced() {
    let resolved = run(&["vfs_*", "kprobe:xfs:*", "syscall:fst*", "syscall:openat"], &Request::default());
    let names: Vec<_> = resolved.run.points.iter().map(|point| point.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "kprobe:vfs_read",
            "kprobe:vfs_write",
            "kprobe:vfs_readv",
            "kprobe:vfs_statx",
            "kprobe:fuse:vfs_in_module",
            "kprobe:xfs:xfs_read",
            "syscall:fstat",
            "syscall:openat",
        ]
        .to_vec()
    );
}

#[test]
fn copies_of_a_name_are_all_probed() {
    let resolved = run(&["dup"], &Request::default());
    let Place::Kprobe { addresses, .. } = &only(&resolved).place else { panic!("{resolved}") };
    assert_eq!(addresses.len(), 2);
    assert!(
        resolved.notes.contains(&"2 functions are called dup: each is probed".to_owned()),
        "{:?}",
        resolved.notes
    );
    // What two specs name is one point.
    assert_eq!(run(&["vfs_read", "kprobe:vfs_read", "vfs_rea[d]"], &Request::default()).run.points.len(), 1);
}

#[test]
fn one_function_of_two_names_is_one_point() {
    let resolved = run(&["kprobe:vmlinux:*_read"], &Request::default());
    let names: Vec<_> = resolved.run.points.iter().map(|point| point.name.as_str()).collect();
    assert_eq!(names, ["kprobe:vfs_read"]);
    assert_eq!(resolved.notes, ["alias_of_read: another name of vfs_read, which is probed once"]);
}

#[test]
fn mechanisms_have_reasons() {
    let how = |facts: &HostFacts, names: &FixedNames, spec: &str| {
        try_with(facts, names, &[spec], &Request::default())
            .unwrap_or_else(|error| panic!("{error}"))
            .how
            .remove(0)
    };
    let (new, old) = (facts("6.12"), facts("5.10"));
    assert_eq!(how(&new, &names(), "vfs_read"), "kprobe.multi");
    assert_eq!(how(&old, &names(), "vfs_read"), "kprobe of its own: kprobe.multi came with Linux 5.18");
    assert_eq!(how(&new, &names(), "vfs_read+4"), "kprobe of its own: kprobe.multi is for functions' starts");
    assert_eq!(how(&new, &names(), "notrace_one"), "kprobe of its own: the function is notrace");
    let blind = FixedNames { traceable: None, ..names() };
    assert_eq!(
        how(&new, &blind, "vfs_read"),
        "kprobe of its own: whether kprobe.multi can reach it is not known"
    );
    let Place::Kprobe { multi, single, .. } = &only(
        &try_with(&new, &names(), &["notrace_one"], &Request::default()).unwrap_or_else(|e| panic!("{e}")),
    )
    .place
    .clone() else {
        panic!("no kprobe")
    };
    assert_eq!((*multi, *single), (false, true));
}

#[test]
fn aggregations_read_what_they_need() {
    let request = Request {
        count_by: Some(vec!["comm".into(), "probe".into(), "count".into()]),
        hist: Some(HistWish { of: "duration".into(), shape: HistShape::Log2 }),
        ..Request::default()
    };
    let resolved = run(&["vfs_read"], &request);
    let point = only(&resolved);
    assert_eq!(point.ends, Ends::Both);
    assert_eq!(point.keys, [operand::COMM, operand::POINT, 0]);
    assert_eq!(point.measure, Some(operand::DURATION));
    assert!(!point.filter_at_entry);
    let [count] = point.values.as_slice() else { panic!("{:?}", point.values) };
    assert_ne!(count.fetch.flags & fetch::HIDDEN, 0);
    let counted = run(&["vfs_*"], &Request { count_by: Some(Vec::new()), ..Request::default() });
    assert!(counted.run.points.iter().all(|point| point.values.is_empty() && point.ends == Ends::Entry));
}

#[test]
fn filters_read_what_is_not_shown() {
    let resolved = run(&["vfs_read"], &filtering("file.f_inode.i_size > 1M && count > 4K && pid != 1"));
    let point = only(&resolved);
    assert_eq!(point.filter.len, 3);
    let size = value(point, "file.f_inode.i_size");
    assert_ne!(size.fetch.flags & fetch::HIDDEN, 0);
    assert_eq!(value(point, "count").fetch.flags & fetch::HIDDEN, 0, "it is shown anyway");
    assert_eq!(point.values.len(), 5);
}

#[test]
fn the_plan_is_printed() {
    let request = Request {
        where_: Some("pid != 1 && count > 4K".into()),
        sample: NonZeroU32::new(100).unwrap_or(NonZeroU32::MIN),
        ..showing(&["file.f_inode.i_ino"])
    };
    let resolved = run(&["vfs_read", "kprobe:vfs_readv+0"], &Request { where_: None, ..request.clone() });
    assert_eq!(resolved.run.points.len(), 2);
    expect![[r#"
        1 point: an event for each hit
        one of 100 hits is kept
          kprobe:vfs_read  kprobe.multi, at the entry
            shows struct file *file, char *buf, size_t count, loff_t *pos, long unsigned int file.f_inode.i_ino
            filters by 2 tests, at the entry
    "#]]
    .assert_eq(&run(&["vfs_read"], &request).to_string());
}

#[test]
fn many_points_are_resolved_quickly_enough() {
    let facts = facts("6.12");
    let btf = facts.btf.clone().unwrap_or_else(|why| panic!("{why}"));
    let mut functions: Vec<&str> = btf
        .ids()
        .filter(|&id| btf.kind(id) == Some(crate::verifier::btf::Kind::Func))
        .map(|id| btf.name(id))
        .collect();
    functions.sort_unstable();
    functions.dedup();
    functions.truncate(10_000);
    assert_eq!(functions.len(), 10_000);
    let lines =
        |make: &dyn Fn((usize, &&str)) -> String| functions.iter().enumerate().map(make).collect::<String>();
    let names = FixedNames {
        symbols: Some(Symbols::new(lines(&|(n, name)| {
            format!("{:016x} T {name}\n", 0xffff_ffff_8100_0000_u64 + n as u64 * 16)
        }))),
        traceable: Some(Traceable::new(lines(&|(_, name)| format!("{name}\n")))),
        ..FixedNames::default()
    };
    let request = Request { max_probes: 10_000, ..filtering("pid > 1") };
    let start = std::time::Instant::now();
    let resolved = try_with(&facts, &names, &["*"], &request).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(resolved.run.points.len(), 10_000);
    // Nothing quadratic: seconds at most, even unoptimised and on a busy machine.
    assert!(start.elapsed() < std::time::Duration::from_secs(20), "{:?}", start.elapsed());
}
