//! Mistakes on the command line: each one is named, exit code 2, before anything is attached.

use std::fs;

use super::{
    kernel,
    live::{self, Ended},
    privilege, tiny,
};
use crate::harness::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::one("mistakes::are_named", 300, are_named),
        Test::one("mistakes::destroy_nothing", 300, destroy_nothing),
        Test::one("mistakes::in_a_size_are_mended_and_said", 300, sizes_are_mended),
        Test::one("mistakes::in_a_pid_are_said", 300, no_such_pid),
    ]
}

/// A command line, and what the message says.
const MISTAKES: &[(&[&str], &[&str])] = &[
    (&[], &["Usage: tracer <COMMAND>"]),
    (&["exce"], &["unrecognized subcommand 'exce'", "exec"]),
    (&["exec", "--frobnicate"], &["unexpected argument '--frobnicate'"]),
    (&["exec", "ls", "-l"], &["unexpected argument 'ls'", "tracer exec -- ls"]),
    (
        &["exec", "--hook", "uprobe"],
        &["invalid value 'uprobe'", "--hook <HOOK>", "fentry, kprobe, tracepoint"],
    ),
    (&["exec", "--hook", "fetnry"], &["invalid value 'fetnry'", "a similar value exists: 'fentry'"]),
    (&["exec", "--format", "xml"], &["invalid value 'xml'", "--format <FORMAT>", "table, json"]),
    (&["exec", "--color", "blue"], &["invalid value 'blue'", "--color <WHEN>"]),
    (&["exec", "--pid", "0"], &["'0'", "--pid <PID>", "0 is the idle task"]),
    (&["exec", "--pid", "abc"], &["'abc'", "--pid <PID>", "expected a process id"]),
    (&["exec", "--pid", "-1"], &["-1"]),
    (&["exec", "--pid", "4194305"], &["no process ids above 4194304"]),
    (&["exec", "--tree", "4194303"], &["--tree 4194303", "there is no such process"]),
    (&["exec", "--uid", "nosuchuser"], &["--uid nosuchuser", "no user of that name"]),
    (&["exec", "--uid", "usr"], &["--uid usr", "did you mean 'user'?"]),
    (&["exec", "--uid", "4294967295"], &["the kernel's word for no user at all"]),
    (
        &["exec", "--comm", "a-name-longer-than-15"],
        &["the kernel keeps the first 15", "try 'a-name-longer-t'"],
    ),
    (&["exec", "--comm", ""], &["a process' name is not empty"]),
    (&["exec", "--cgroup", "/sys/fs/cgroup/none"], &["--cgroup /sys/fs/cgroup/none"]),
    (&["exec", "--cgroup", "none/at/all"], &["--cgroup none/at/all"]),
    (&["exec", "--cgroup", "999999999"], &["--cgroup 999999999"]),
    (&["exec", "--cgroup", "/proc"], &["--cgroup /proc"]),
    (&["exec", "--pid", "1", "--", "true"], &["--pid and '-- CMD' exclude each other"]),
    (&["exec", "--tree", "1", "--", "true"], &["--tree and '-- CMD' exclude each other"]),
    (&["exec", "--propagate-status"], &["--propagate-status", "there is no CMD"]),
    (&["exec", "--", ""], &["CMD is empty"]),
    (&["exec", "--buffer", "0"], &["--buffer 0 bytes", "no event fits into it"]),
    (&["exec", "--buffer", "64Q"], &["'64Q'", "expected a size such as"]),
    (&["exec", "--buffer", "2G"], &["--buffer 2 GiB", "between 32 KiB and 1 GiB"]),
    (&["exec", "--buffer", "99999999999999999999"], &["--buffer <SIZE>"]),
    (&["exec", "--duration", "10"], &["no unit: write 10s for seconds"]),
    (&["exec", "--duration", "0s"], &["no time at all"]),
    (&["exec", "--count", "0"], &["nothing would be traced"]),
    (&["exec", "--max-args", "0"], &["0 would show nothing"]),
    (&["exec", "--max-bytes", "many"], &["expected a number from 1"]),
    (&["exec", "--env", "A=B"], &["a name has no '='", "try 'A'"]),
    (&["exec", "--hide-member", "task_struct.nonsense"], &["--hide-member task_struct.nonsense"]),
    (
        &["exec", "-o", "/nonexistent/folder/file"],
        &["-o /nonexistent/folder/file", "No such file or directory"],
    ),
    (&["exec", "-o", "/tmp"], &["-o /tmp", "Is a directory"]),
    (&["exec", "-o", "/etc/passwd"], &["-o /etc/passwd", "Permission denied"]),
    (&["exec", "--hook", "kprobe", "--hook", "fentry"], &["--hook <HOOK>", "cannot be used multiple times"]),
    (&["doctor", "--format", "table"], &["invalid value 'table'", "text, json"]),
    (&["completions", "tcsh"], &["invalid value 'tcsh'"]),
];

/// Each is said to somebody who could not attach anything: the mistake comes first.
fn are_named() {
    let before = kernel::held();
    for (words, phrases) in MISTAKES {
        let mut command = live::program(words);
        privilege::with_capabilities(&mut command, &[]);
        is_usage(&live::run(command), words, phrases);
    }
    // The same to root, for those that a capability may make a difference to.
    for (words, phrases) in &MISTAKES[MISTAKES.len() - 8..] {
        if words.contains(&"/etc/passwd") {
            continue;
        }
        is_usage(&live::run(live::program(words)), words, phrases);
    }
    kernel::nothing_since(&before);
}

fn is_usage(ended: &Ended, words: &[&str], phrases: &[&str]) {
    assert_eq!(ended.code(), Some(2), "{words:?}: {}", ended.said);
    assert_eq!(ended.bytes, b"", "{words:?}");
    for phrase in phrases {
        assert!(ended.said.contains(phrase), "{words:?}: no {phrase:?} in: {}", ended.said);
    }
}

/// A mistake does not cost the file of an earlier trace.
fn destroy_nothing() {
    let path = live::folder().join("out");
    let name = path.to_str().unwrap();
    fs::write(&path, "an earlier trace\n").unwrap();
    let mistakes: [&[&str]; 5] = [
        &["--uid", "nosuchuser"],
        &["--buffer", "0"],
        &["--hook", "uprobe"],
        &["--hide-member", "task_struct.nonsense"],
        &["--", "nosuchcommand"],
    ];
    for words in mistakes {
        let mut all = vec!["exec", "-o", name];
        all.extend(words);
        let ended = live::run(live::program(&all));
        assert!(matches!(ended.code(), Some(2 | 127)), "{words:?}: {}", ended.said);
        assert_eq!(fs::read_to_string(&path).unwrap(), "an earlier trace\n", "{words:?}");
    }
}

/// Said before anything else happens, so that somebody without privilege hears it too.
fn sizes_are_mended() {
    let cases = [
        ("1", "--buffer 1 byte is rounded up to 32 KiB"),
        ("5000", "--buffer 5000 bytes is rounded up to 32 KiB"),
        ("100K", "--buffer 100 KiB is rounded up to 128 KiB"),
        ("64K", ""),
    ];
    for (asked, note) in cases {
        let mut command = live::exec(&["--buffer", asked]);
        privilege::with_capabilities(&mut command, &[]);
        let ended = live::run(command);
        assert_eq!(ended.code(), Some(3), "{}", ended.said);
        assert_eq!(ended.said.contains(" is rounded up "), !note.is_empty(), "{}", ended.said);
        assert!(ended.said.contains(note), "{}", ended.said);
    }
    let live = live::start(&["--hook", "tracepoint", "--buffer", "100K"]);
    assert_eq!(tiny::exec(&tiny::program("tiny"), "tag"), 0);
    let ended = live.stop();
    assert_eq!(ended.records()[0]["buffer_bytes"], 128 << 10);
    assert_eq!(live::tags(&ended.execs()), ["tag"]);
}

fn no_such_pid() {
    let ended = live::start(&["--hook", "tracepoint", "--pid", "4194303"]).stop();
    let note = "--pid 4194303: there is no such process now; it is traced if one gets that id";
    assert!(ended.said.contains(note), "{}", ended.said);
    assert_eq!(ended.execs().len(), 0);
}
