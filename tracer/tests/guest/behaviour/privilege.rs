//! What privilege a trace takes, and what is said to who lacks it.

use std::{fs, io, os::unix::process::CommandExt, path::Path, process::Command};

use super::{
    kernel,
    live::{self, Ended, HOOKS},
    tiny,
};
use crate::harness::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::one("privilege::none", 300, none),
        Test::one("privilege::one_of_two", 300, one_of_two),
        Test::one("privilege::bpf_and_perfmon_are_enough", 600, enough),
        Test::one("privilege::locked_memory", 300, locked_memory),
        Test::one("privilege::paranoid_perf_events", 600, paranoid),
        Test::one("privilege::is_dropped_once_attached", 300, dropped),
        Test::one("privilege::without_btf", 300, without_btf),
        Test::one("privilege::without_proc_and_sys", 300, without_proc_and_sys),
        Test::one("privilege::doctor", 600, doctor),
    ]
}

/// capabilities(7)
pub(crate) const CAP_SYS_RESOURCE: u32 = 24;
pub(crate) const CAP_PERFMON: u32 = 38;
pub(crate) const CAP_BPF: u32 = 39;

/// Makes the command run as the user 1000, with these capabilities alone.
pub(crate) fn with_capabilities(command: &mut Command, capabilities: &'static [u32]) {
    // SAFETY: between fork and exec only system calls are made.
    unsafe {
        command.pre_exec(move || {
            let bits = capabilities.iter().fold(0_u64, |bits, capability| bits | 1 << capability);
            let check =
                |result: libc::c_long| if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
            check(libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0).into())?;
            check(libc::syscall(libc::SYS_setgroups, 0, 0))?;
            check(libc::syscall(libc::SYS_setresgid, 1000, 1000, 1000))?;
            check(libc::syscall(libc::SYS_setresuid, 1000, 1000, 1000))?;
            let header = [0x2008_0522_u32, 0];
            let (low, high) = (bits as u32, (bits >> 32) as u32);
            let data = [low, low, low, high, high, high];
            check(libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()))?;
            for capability in capabilities {
                let raise = libc::PR_CAP_AMBIENT_RAISE;
                check(libc::prctl(libc::PR_CAP_AMBIENT, raise, *capability, 0, 0).into())?;
            }
            Ok(())
        });
    }
}

/// `tracer exec --format json ARGS` of the user 1000 with these capabilities, to its end.
fn exec_with(capabilities: &'static [u32], args: &[&str]) -> Ended {
    let mut command = live::exec(args);
    with_capabilities(&mut command, capabilities);
    live::run(command)
}

/// Before 5.11 maps count as locked memory (kernel/bpf/syscall.c, `bpf_charge_memlock`).
fn maps_are_locked_memory() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    release.starts_with("5.10.")
}

fn refused(ended: &Ended, phrases: &[&str]) {
    assert_eq!(ended.code(), Some(3), "{}", ended.said);
    for phrase in phrases {
        assert!(ended.said.contains(phrase), "no {phrase:?} in: {}", ended.said);
    }
    assert_eq!(ended.bytes, b"", "nothing was traced");
}

fn none() {
    let before = kernel::held();
    for args in [&[][..], &["--hook", "tracepoint"], &["--", "/bin/true"]] {
        let ended = exec_with(&[], args);
        refused(&ended, &["CAP_BPF and CAP_PERFMON", "root", "setcap cap_bpf,cap_perfmon"]);
    }
    kernel::nothing_since(&before);
}

fn one_of_two() {
    let ended = exec_with(&[CAP_BPF], &[]);
    refused(&ended, &["this needs CAP_PERFMON:"]);
    let ended = exec_with(&[CAP_PERFMON], &[]);
    refused(&ended, &["this needs CAP_BPF:"]);
}

/// The two, and what else this kernel asks for.
fn capabilities() -> &'static [u32] {
    match maps_are_locked_memory() {
        true => &[CAP_BPF, CAP_PERFMON, CAP_SYS_RESOURCE],
        false => &[CAP_BPF, CAP_PERFMON],
    }
}

fn works_with(capabilities: &'static [u32], hook: &str) {
    let args = ["--hook", hook, "--", "/bin/sh", "-c", "/nonexistent/file tag"];
    let ended = exec_with(capabilities, &args);
    assert_eq!(ended.code(), Some(0), "{hook}: {}", ended.said);
    let execs = ended.execs();
    assert_eq!(execs.len(), 2, "{hook}: {}", ended.said);
    assert_eq!(execs[0]["uid"], 1000, "{hook}");
    assert_eq!(execs[1]["errno"], "ENOENT", "{hook}");
}

fn enough() {
    works_with(capabilities(), "fentry");
    works_with(capabilities(), "tracepoint");
}

/// Kprobes are perf events, which Debian's kernels withhold from all but CAP_SYS_ADMIN when
/// kernel.perf_event_paranoid is 3 or more (their patch to kernel/events/core.c,
/// `perf_event_open`); 3 is their default. The other families do not care.
fn paranoid() {
    let setting = "/proc/sys/kernel/perf_event_paranoid";
    let before = fs::read_to_string(setting).unwrap();
    assert_eq!(before.trim(), "3");
    let ended = exec_with(capabilities(), &["--hook", "kprobe"]);
    refused(&ended, &["kprobe", "kernel.perf_event_paranoid is 3", "CAP_SYS_ADMIN"]);
    fs::write(setting, "4").unwrap();
    works_with(capabilities(), "auto");
    fs::write(setting, "2").unwrap();
    works_with(capabilities(), "kprobe");
    fs::write(setting, before.trim()).unwrap();
}

/// Where maps are locked memory, the two are not enough unless the limit is high; that is said.
fn locked_memory() {
    let two: &[u32] = &[CAP_BPF, CAP_PERFMON];
    let ended = exec_with(two, &["--hook", "tracepoint", "--", "/bin/true"]);
    if !maps_are_locked_memory() {
        assert_eq!(ended.code(), Some(0), "{}", ended.said);
        return;
    }
    refused(&ended, &["CAP_SYS_RESOURCE", "locked memory", "ulimit -l"]);
    let mut command = live::exec(&["--hook", "tracepoint", "--", "/bin/true"]);
    // SAFETY: between fork and exec only a system call is made.
    unsafe {
        command.pre_exec(|| {
            let all = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
            libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const all);
            Ok(())
        });
    }
    with_capabilities(&mut command, two);
    let ended = live::run(command);
    assert_eq!(ended.code(), Some(0), "with a high limit: {}", ended.said);
}

/// Once attached there is no capability in any thread, and no way back.
fn dropped() {
    {
        let hook = "fentry";
        let mut live = live::start(&["--hook", hook]);
        let tasks = fs::read_dir(format!("/proc/{}/task", live.pid())).unwrap();
        let mut threads = 0;
        for task in tasks {
            let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            for name in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
                let line = format!("{name}:\t0000000000000000\n");
                assert!(status.contains(&line), "{hook}: {status}");
            }
            assert!(status.contains("NoNewPrivs:\t1\n"), "{hook}: {status}");
            threads += 1;
        }
        assert!(threads >= 2, "the writer is a thread of its own");
        assert!(live.ended().is_none());
        let program = tiny::program("tiny");
        assert_eq!(tiny::exec(&program, "after"), 0);
        assert_eq!(live::tags(&live.stop().execs()), ["after"], "{hook}");
    }
}

/// Hides a folder from the command: an empty one lies over it.
fn hide(command: &mut Command, folders: &'static [&'static std::ffi::CStr]) {
    // SAFETY: between fork and exec only system calls are made.
    unsafe {
        command.pre_exec(move || {
            let check =
                |result: libc::c_int| if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
            let (none, kind) = (std::ptr::null(), c"tmpfs".as_ptr());
            check(libc::unshare(libc::CLONE_NEWNS))?;
            let private = libc::MS_REC | libc::MS_PRIVATE;
            check(libc::mount(none, c"/".as_ptr(), none, private, std::ptr::null()))?;
            for folder in folders {
                check(libc::mount(kind, folder.as_ptr(), kind, 0, std::ptr::null()))?;
            }
            Ok(())
        });
    }
}

/// No BTF: what stands in kernel structures is unknown, with the reason; the rest works.
fn without_btf() {
    let hidden: &[&std::ffi::CStr] = &[c"/sys/kernel/btf"];
    let mut command = live::exec(&["--hook", "fentry"]);
    hide(&mut command, hidden);
    refused(&live::run(command), &["fentry", "CONFIG_DEBUG_INFO_BTF", "/sys/kernel/btf/vmlinux"]);

    let mut command = live::exec(&["--hook", "tracepoint", "--", "/bin/true"]);
    hide(&mut command, hidden);
    refused(&live::run(command), &["process tree", "CONFIG_DEBUG_INFO_BTF"]);

    let program = tiny::program("tiny");
    let mut command = live::exec(&["-v"]);
    hide(&mut command, hidden);
    let mut live = live::spawn(command);
    live.traces();
    assert_eq!(tiny::exec(&program, "succeeds"), 0);
    assert_eq!(tiny::exec(Path::new("/nonexistent/file"), "fails"), libc::ENOENT);
    let ended = live.stop();
    let start = &ended.records()[0];
    // Before 5.15 a kretprobe needs BTF to find what a failed exec was called with.
    let old = maps_are_locked_memory();
    assert_eq!(start["hook"], if old { "tracepoint" } else { "kprobe" }, "the next cheapest: {start}");
    let reason = start["hook_reason"].as_str().unwrap();
    assert!(reason.contains("not fentry: this kernel shows no BTF"), "{reason}");
    assert!(start["unavailable"]["argv"].as_str().unwrap().contains("BTF"), "{start}");
    let execs = ended.execs();
    assert_eq!(execs.len(), 2, "{}", ended.said);
    let pid = u64::from(std::process::id());
    for exec in &execs {
        assert!(exec["pid"].as_u64().unwrap() > pid);
        assert_eq!((&exec["uid"], &exec["gid"]), (&0.into(), &0.into()));
        for name in ["ppid", "exe", "cwd", "euid", "mnt_ns"] {
            assert!(exec[name].is_null(), "{name}: {exec}");
            if name != "exe" || exec["errno"].is_null() {
                assert!(exec["missing"][name].as_str().unwrap().contains("BTF"), "{name}: {exec}");
            }
        }
    }
    let [succeeded, failed] = execs.as_slice() else { unreachable!() };
    assert_eq!(succeeded["comm"], "tiny");
    assert!(succeeded["errno"].is_null() && succeeded["argv"].is_null());
    assert_eq!(failed["errno"], "ENOENT");
}

/// A container's view of the host: no sysfs.
fn without_proc_and_sys() {
    let mut command = live::exec(&["-v", "--hook", "tracepoint"]);
    hide(&mut command, &[c"/sys"]);
    let mut live = live::spawn(command);
    live.traces();
    assert_eq!(tiny::exec(&tiny::program("tiny"), "tag"), 0);
    let ended = live.stop();
    assert_eq!(ended.execs().len(), 1, "{}", ended.said);

    let mut command = live::exec::<&str>(&[]);
    hide(&mut command, &[c"/proc"]);
    let ended = live::run(command);
    refused(&ended, &["/proc"]);
}

/// `tracer doctor` says the same, for people and for programs.
fn doctor() {
    let run = |capabilities: Option<&'static [u32]>, format: &str| {
        let mut command = live::program(&["doctor", "--format", format]);
        if let Some(capabilities) = capabilities {
            with_capabilities(&mut command, capabilities);
        }
        let ended = live::run(command);
        let text = String::from_utf8(ended.bytes.clone()).unwrap();
        (ended, text)
    };
    let before = kernel::held();
    let (ended, text) = run(None, "text");
    assert_eq!(ended.code(), Some(0), "{text}{}", ended.said);
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    for phrase in [release.trim(), "not mounted (tracer does not need it)"] {
        assert!(text.contains(phrase), "no {phrase:?} in: {text}");
    }
    for hook in HOOKS {
        let line = text.lines().find(|line| line.starts_with(&format!("hook {hook}"))).unwrap();
        let works = if hook == "fentry" { "works; --hook auto takes it" } else { "works" };
        assert!(line.ends_with(works), "{text}");
    }
    let (ended, text) = run(None, "json");
    assert_eq!(ended.code(), Some(0), "{text}{}", ended.said);
    let doctor: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&doctor["schema"], &doctor["type"]), (&1.into(), &"doctor".into()));
    assert_eq!(doctor["kernel"], release.trim());
    assert_eq!(doctor["auto"], "fentry");
    assert_eq!((&doctor["btf"], doctor["tracefs"].is_null()), (&true.into(), true));
    for hook in HOOKS {
        assert_eq!(doctor["hooks"][hook], serde_json::json!({"usable": true, "reason": null}), "{hook}");
    }

    for (capabilities, lacking, there) in [
        (&[][..], "CAP_BPF and CAP_PERFMON", [false, false]),
        (&[CAP_BPF][..], "this needs CAP_PERFMON", [true, false]),
    ] {
        let (ended, text) = run(Some(capabilities), "text");
        assert_eq!(ended.code(), Some(3), "{text}{}", ended.said);
        assert_eq!(text.matches(lacking).count(), 3, "each family says so: {text}");
        let (ended, text) = run(Some(capabilities), "json");
        assert_eq!(ended.code(), Some(3), "{text}{}", ended.said);
        let doctor: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(doctor["auto"].is_null());
        let has = |name: &str| doctor["capabilities"][name].as_bool().unwrap();
        assert_eq!([has("CAP_BPF"), has("CAP_PERFMON")], there);
        for hook in HOOKS {
            assert_eq!(doctor["hooks"][hook]["usable"], false, "{hook}");
            assert!(doctor["hooks"][hook]["reason"].as_str().unwrap().contains(lacking), "{hook}");
        }
    }
    kernel::nothing_stays_since(&before);
}
