//! `-- CMD`: that command's tree, from its first exec to the end of its last descendant.

use std::{
    fs::{self, File},
    path::Path,
    thread,
    time::Duration,
};

use serde_json::Value;

use super::{
    kernel,
    live::{self, HOOKS},
    tiny,
};
use crate::{harness::Test, roles::SELF};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::one("command::its_tree_and_nothing_else", 600, its_tree),
        Test::one("command::daemons_are_followed_to_their_end", 300, daemons),
        Test::one("command::status", 600, status),
        Test::one("command::cannot_be_executed", 600, cannot_be_executed),
        Test::one("command::reads_our_standard_input", 300, standard_input),
        Test::one("command::hears_the_signal_too", 300, hears_the_signal),
        Test::one("command::does_not_start_when_tracer_is_killed", 300, killed_before_release),
        Test::one("command::keeps_privilege_and_signals", 300, keeps_privilege),
    ]
}

/// Where the family makes no difference: the one that loads in the shortest time.
const QUICK: [&str; 2] = ["--hook", "tracepoint"];

/// `tracer exec --format json ARGS -- CMD`.
fn exec(args: &[&str], command: &[&str]) -> std::process::Command {
    let mut all = args.to_vec();
    all.push("--");
    all.extend(command);
    live::exec(&all)
}

/// Forks of forks are in it, what runs at the same time beside it is not.
fn its_tree() {
    let folder = live::folder();
    let path = folder.join("tiny");
    tiny::write(&path);
    let tiny = path.to_str().unwrap();
    let script = format!(
        "{tiny} one; ({tiny} two; ({tiny} three & wait)); {tiny} four | {tiny} five; \
         (exec {tiny} six); /nonexistent/file seven; exec {tiny} eight"
    );
    for hook in HOOKS {
        let stop = folder.join(hook);
        let ended = thread::scope(|scope| {
            // Others that run all the time.
            scope.spawn(|| {
                while !stop.exists() {
                    tiny::exec(&path, "other");
                    tiny::exec(Path::new("/nonexistent/other"), "other");
                }
            });
            let ended = live::run(exec(&["--hook", hook], &["/bin/sh", "-c", &script]));
            fs::write(&stop, "").unwrap();
            ended
        });
        assert_eq!(ended.code(), Some(0), "{}", ended.said);
        assert_eq!(ended.reason(), "command_ended");
        let execs = ended.execs();
        assert_eq!(ended.lost(), 0, "{hook}: {}", ended.said);
        let (first, rest) = execs.split_first().expect("at least the command's own exec");
        assert_eq!(first["argv"], serde_json::json!(["/bin/sh", "-c", &script]), "{hook}");
        let mut tags = live::tags(rest);
        tags.sort();
        let expected = ["eight", "five", "four", "one", "seven", "six", "three", "two"];
        assert_eq!(tags, expected, "{hook}");
        let by = |tag: &str| rest.iter().find(|e| e["argv"][1] == tag).unwrap();
        assert_eq!(by("eight")["pid"], first["pid"], "{hook}: executed by the command itself");
        assert_eq!(by("one")["ppid"], first["pid"], "{hook}");
        assert_ne!(by("three")["ppid"], first["pid"], "{hook}: a grandchild's child");
        assert_eq!(by("seven")["errno"], "ENOENT", "{hook}");
    }
}

/// A process that has left its parents behind still belongs to the tree.
fn daemons() {
    let tiny = tiny::program("tiny");
    let tiny = tiny.to_str().unwrap();
    let script = format!(
        "(setsid /bin/sh -c '/bin/busybox sleep 4; {tiny} late' </dev/null >/dev/null 2>&1 &) ; {tiny} early"
    );
    for hook in HOOKS {
        let ended = live::run(exec(&["--hook", hook], &["/bin/sh", "-c", &script]));
        assert_eq!(ended.code(), Some(0), "{}", ended.said);
        assert_eq!(ended.reason(), "command_ended");
        let tags = live::tags(&ended.execs());
        assert_eq!(tags.iter().filter(|tag| *tag == "early").count(), 1, "{hook}: {tags:?}");
        assert_eq!(tags.last().map(String::as_str), Some("late"), "{hook}: {tags:?}");
        assert!(
            ended.said.contains("the command has ended, 2 of its descendants still run"),
            "{hook}: {}",
            ended.said
        );
    }
}

fn status() {
    let cases: [(&[&str], &[&str], i32); 4] = [
        (&[], &[SELF, "role", "exit", "7"], 0),
        (&["--propagate-status"], &[SELF, "role", "exit", "7"], 7),
        (&["--propagate-status"], &["/bin/sh", "-c", "kill -KILL $$"], 128 + libc::SIGKILL),
        (&[], &["/bin/sh", "-c", "kill -TERM $$"], 0),
    ];
    for (args, command, expected) in cases {
        let ended = live::run(exec(&[args, &QUICK].concat(), command));
        assert_eq!(ended.code(), Some(expected), "{args:?} {command:?}: {}", ended.said);
        assert_eq!(ended.reason(), "command_ended", "{command:?}");
        assert_eq!(ended.execs()[0]["argv"], serde_json::json!(command));
    }
}

/// 127 for what is not there, 126 for what cannot be executed; nothing is left behind.
fn cannot_be_executed() {
    let folder = live::folder();
    let file = |name: &str, content: &[u8], mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let plain = file("plain", b"no program", 0o644);
    let garbage = file("garbage", b"\x01\x02 no program", 0o755);
    let orphan = file("orphan", b"#!/nonexistent/interpreter\n", 0o755);
    let before = kernel::held();
    for (command, expected) in
        [("nosuchcommand", 127), ("/nonexistent/file", 127), (plain.as_str(), 126), ("/tmp", 126)]
    {
        for args in [&[][..], &["--propagate-status"]] {
            let ended = live::run(exec(args, &[command, "argument"]));
            assert_eq!(ended.code(), Some(expected), "{command}: {}", ended.said);
            assert!(ended.said.contains(command), "{command}: {}", ended.said);
            assert_eq!(ended.bytes, b"", "nothing was traced");
        }
    }
    // Those that only the kernel refuses have been executed in vain: that is an event.
    for (command, expected, phrase) in
        [(&garbage, 126, "Exec format error"), (&orphan, 127, "the interpreter that it names is not there")]
    {
        let ended = live::run(exec(&QUICK, &[command, "argument"]));
        assert_eq!(ended.code(), Some(expected), "{command}: {}", ended.said);
        assert!(ended.said.contains(&format!("{command}: {phrase}")), "{}", ended.said);
        let execs = ended.execs();
        assert_eq!(execs.len(), 1, "{}", ended.said);
        assert_eq!(execs[0]["argv"], serde_json::json!([command, "argument"]));
        assert_ne!(execs[0]["errno"], Value::Null);
    }
    kernel::nothing_stays_since(&before);
}

fn standard_input() {
    let folder = live::folder();
    let (input, output) = (folder.join("input"), folder.join("output"));
    fs::write(&input, "what was typed\n").unwrap();
    let script = format!("/bin/busybox cat > {}", output.display());
    let mut command = exec(&QUICK, &["/bin/sh", "-c", &script]);
    command.stdin(File::open(&input).unwrap());
    let ended = live::run(command);
    assert_eq!(ended.code(), Some(0), "{}", ended.said);
    assert_eq!(fs::read_to_string(output).unwrap(), "what was typed\n");
}

/// The command is told to end when tracer is, and tracer does not wait for it.
fn hears_the_signal() {
    let folder = live::folder();
    for (signal, name) in [(libc::SIGTERM, "TERM"), (libc::SIGINT, "INT")] {
        let (ready, heard) = (folder.join(format!("ready-{name}")), folder.join(format!("heard-{name}")));
        let script = format!(
            "trap 'echo {name} > {}; exit 0' {name}; echo > {}; while :; do /bin/busybox sleep 0.1; done",
            heard.display(),
            ready.display(),
        );
        let mut live = live::spawn(exec(&QUICK, &["/bin/sh", "-c", &script]));
        live.traces();
        live::until("the command", || ready.exists().then_some(()));
        live.signal(signal);
        let ended = live.wait();
        assert_eq!(ended.code(), Some(0), "{}", ended.said);
        assert_eq!(ended.reason(), "signal");
        assert_eq!(ended.execs()[0]["argv"][0], "/bin/sh");
        let text = || fs::read_to_string(&heard).ok().filter(|text| !text.is_empty());
        assert_eq!(live::until("the command to hear it", text), format!("{name}\n"));
    }
}

/// The command is forked before anything is loaded: killed then, it never becomes the command.
fn killed_before_release() {
    let before = kernel::held();
    let mark = live::folder().join("mark");
    let live = live::spawn(exec(&QUICK, &["/bin/busybox", "touch", mark.to_str().unwrap()]));
    let pid = live.pid();
    let children = format!("/proc/{pid}/task/{pid}/children");
    let child = live::until("the command's process", || {
        fs::read_to_string(&children).ok()?.split_whitespace().next()?.parse::<i32>().ok()
    });
    live.signal(libc::SIGKILL);
    let ended = live.wait();
    assert_eq!(ended.killed_by(), Some(libc::SIGKILL));
    assert_eq!(ended.bytes, b"", "it was not yet tracing");
    live::until("the command's process to end", || {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
    thread::sleep(Duration::from_millis(200));
    assert!(!mark.exists(), "the command ran");
    kernel::nothing_stays_since(&before);
}

/// What tracer does to itself is no matter to the command: capabilities, no_new_privs, signals,
/// open files.
fn keeps_privilege() {
    let folder = live::folder();
    let out = folder.join("out");
    let script = format!(
        "/bin/busybox cat /proc/self/status > {0}; /bin/busybox ls /proc/self/fd >> {0}",
        out.display()
    );
    let plain = std::process::Command::new("/bin/sh").args(["-c", &script]).status().unwrap();
    assert!(plain.success());
    let lines = |text: &str| -> Vec<String> {
        let wanted = ["Cap", "NoNewPrivs", "SigIgn", "SigBlk", "Seccomp:"];
        let lines = text.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name)));
        lines.chain(text.lines().filter(|line| line.parse::<u32>().is_ok())).map(str::to_owned).collect()
    };
    let expected = lines(&fs::read_to_string(&out).unwrap());
    let ended = live::run(exec(&QUICK, &["/bin/sh", "-c", &script]));
    assert_eq!(ended.code(), Some(0), "{}", ended.said);
    assert_eq!(lines(&fs::read_to_string(&out).unwrap()), expected);
}
