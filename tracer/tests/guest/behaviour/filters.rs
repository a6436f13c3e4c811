//! Filters: exactly the events that pass all of them.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use super::{
    live::{self, HOOKS, Live},
    tiny,
};
use crate::harness::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::one("filters::tree", 300, tree),
        Test::one("filters::pid", 300, pid),
        Test::one("filters::uid", 300, uid),
        Test::one("filters::comm", 300, comm),
        Test::one("filters::cgroup", 300, cgroup),
        Test::one("filters::failed", 300, failed),
        Test::one("filters::together", 300, together),
    ]
}

/// A shell that does what it is told, line by line.
struct Shell {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Shell {
    fn start(uid: u32) -> Self {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new("/bin/sh");
        command.uid(uid).gid(uid).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdin, stdout }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Runs a line and waits until it is done; what it printed.
    fn run(&mut self, line: &str) -> String {
        writeln!(self.stdin, "{line}\necho done").unwrap();
        let mut printed = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "the shell has ended");
            if line == "done\n" {
                return printed;
            }
            printed.push_str(&line);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The tags of what was seen, sorted; nothing may be lost.
fn seen(live: Live) -> Vec<String> {
    let ended = live.stop();
    let mut tags = live::tags(&ended.execs());
    assert_eq!(ended.lost(), 0, "{}", ended.said);
    tags.sort();
    tags
}

/// Descendants that were there before, those that come later, and the process itself.
fn tree() {
    let tiny = tiny::program("tiny");
    let tiny = tiny.display();
    for hook in HOOKS {
        let mut root = Shell::start(0);
        let mut other = Shell::start(0);
        // A child and a grandchild that are there before the trace, and wait for a file.
        let go = live::folder().join("go");
        let wait = format!("while ! test -e {}; do /bin/busybox usleep 50000; done", go.display());
        root.run(&format!("( ( {wait}; {tiny} grandchild ) & {wait}; {tiny} child; wait ) &"));
        let live = live::start(&["--hook", hook, "--tree", &root.pid().to_string()]);
        fs::write(&go, "").unwrap();
        other.run(&format!("{tiny} other"));
        root.run(&format!("{tiny} later; ({tiny} latest; /nonexistent/file failed); wait"));
        other.run(&format!("{tiny} other"));
        let tags = seen(live);
        let tags: Vec<_> = tags.iter().filter(|tag| *tag != "usleep").collect();
        assert_eq!(tags, ["child", "failed", "grandchild", "later", "latest"], "{hook}");
    }
}

/// The process itself, not its children.
fn pid() {
    let tiny = tiny::program("tiny");
    let tiny = tiny.display();
    {
        let hook = "fentry";
        let (mut one, mut two, mut three) = (Shell::start(0), Shell::start(0), Shell::start(0));
        let pids = format!("{},{}", one.pid(), two.pid());
        let live = live::start(&["--hook", hook, "--pid", &pids]);
        one.run(&format!("{tiny} child"));
        for (shell, tag) in [(&mut one, "one"), (&mut two, "two"), (&mut three, "three")] {
            writeln!(shell.stdin, "exec {tiny} {tag}").unwrap();
            shell.child.wait().unwrap();
        }
        assert_eq!(seen(live), ["one", "two"], "{hook}");
    }
}

/// The real user, by number and by name (the guest's /etc/passwd has `user` as 1000).
fn uid() {
    let path = reachable("tiny");
    let tiny = path.display();
    for (hook, who) in [("kprobe", "1000"), ("tracepoint", "user,4242")] {
        let live = live::start(&["--hook", hook, "--uid", who]);
        for uid in [0, 1000, 4242] {
            Shell::start(uid).run(&format!("{tiny} as-{uid}; /nonexistent/file failed-{uid}"));
        }
        let expected: &[&str] = match who {
            "user,4242" => &["as-1000", "as-4242", "failed-1000", "failed-4242"],
            _ => &["as-1000", "failed-1000"],
        };
        assert_eq!(seen(live), expected, "{hook} {who}");
    }
}

/// The tiny program where every user can execute it.
fn reachable(name: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = tiny::program(name);
    fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// The name after a successful exec, the caller's when it fails.
fn comm() {
    let (one, two) = (tiny::program("name-one"), tiny::program("name-two"));
    let long = tiny::program("a-name-longer-than-the-kernel-keeps");
    {
        let hook = "tracepoint";
        let args = ["--hook", hook, "--comm", "name-one", "--comm", "a-name-longer-t", "--comm", "sh"];
        let live = live::start(&args);
        for (path, tag) in [(&one, "one"), (&two, "two"), (&long, "long")] {
            assert_eq!(tiny::exec(path, tag), 0);
        }
        assert_eq!(tiny::exec(Path::new("/nonexistent/file"), "ours"), libc::ENOENT);
        Shell::start(0).run("/nonexistent/file shells");
        assert_eq!(seen(live), ["long", "one", "shells"], "{hook}");
    }
}

/// A cgroup and those below it, by path, by relative path and by id; not its siblings.
fn cgroup() {
    use std::os::unix::fs::MetadataExt;
    let tiny = tiny::program("tiny");
    let tiny = tiny.display();
    let top = Path::new("/sys/fs/cgroup").join(format!("top-{}", std::process::id()));
    let (inner, deep, sibling) = (top.join("inner"), top.join("inner/deep"), top.join("sibling"));
    for folder in [&top, &inner, &deep, &sibling] {
        fs::create_dir(folder).unwrap();
    }
    let id = fs::metadata(&inner).unwrap().ino();
    let relative = inner.strip_prefix("/sys/fs/cgroup").unwrap();
    let specs = [inner.display().to_string(), relative.display().to_string(), id.to_string()];
    for (hook, spec) in HOOKS.into_iter().zip(specs) {
        let live = live::start(&["--hook", hook, "--cgroup", &spec]);
        for folder in [&top, &inner, &deep, &sibling] {
            let mut shell = Shell::start(0);
            fs::write(folder.join("cgroup.procs"), shell.pid().to_string()).unwrap();
            let name = folder.file_name().unwrap().to_str().unwrap();
            shell.run(&format!("{tiny} in-{name}; /nonexistent/file failed-in-{name}"));
            drop(shell);
        }
        let ended = live.stop();
        let execs = ended.execs();
        let mut tags = live::tags(&execs);
        tags.sort();
        assert_eq!(tags, ["failed-in-deep", "failed-in-inner", "in-deep", "in-inner"], "{hook} {spec}");
        for exec in execs.iter().filter(|exec| exec["argv"][1] == "in-inner") {
            assert_eq!(exec["cgroup_id"], id, "{hook}");
        }
    }
    for folder in [&sibling, &deep, &inner, &top] {
        live::until("the cgroup to be empty", || fs::remove_dir(folder).ok());
    }
}

fn failed() {
    let tiny = tiny::program("tiny");
    for hook in HOOKS {
        let live = live::start(&["--hook", hook, "--failed"]);
        assert_eq!(tiny::exec(&tiny, "succeeds"), 0);
        assert_eq!(tiny::exec(Path::new("/nonexistent/file"), "fails"), libc::ENOENT);
        assert_eq!(tiny::exec(Path::new("/tmp"), "is-a-folder"), libc::EACCES);
        assert_eq!(seen(live), ["fails", "is-a-folder"], "{hook}");
    }
}

/// An event has to pass every filter.
fn together() {
    let path = reachable("tiny");
    let tiny = path.display();
    {
        let hook = "kprobe";
        let mut root = Shell::start(0);
        let tree = root.pid().to_string();
        let args = ["--hook", hook, "--tree", &tree, "--uid", "1000", "--failed", "--comm", "sh"];
        let live = live::start(&args);
        let tries = |from: &str| format!("{tiny} {from}-succeeds; /nonexistent/file {from}-fails");
        let as_user = |from: &str| format!("/bin/busybox su user -c '{}'", tries(from));
        root.run(&format!("{}; {}", tries("root"), as_user("user")));
        Shell::start(0).run(&as_user("outside"));
        Shell::start(1000).run(&tries("beside"));
        assert_eq!(seen(live), ["user-fails"], "{hook}");
    }
}
