//! Records as JSON lines: one object a line, `schema` and `type` first.
//!
//! *Invariant:* types never change from line to line: an unknown value is `null`, with its reason
//! in `missing`; a value that is not whole says so in `cut`; a string that is not UTF-8 has its
//! bytes in base64 beside it. Every line is valid under `docs/schema/v1.json`, which is generated
//! from `schema.rs` (proven by `schema.rs`'s tests).
//!
//! *Must not know:* where the lines go.

#[cfg(test)]
mod schema;
mod write;

use super::time::rfc3339;
use crate::event::{
    ArgShape, Args, Cut, End, ExecEvent, Filters, Lost, ProcessId, Start, Value, WallClock,
    errno_name,
};
use write::{Object, array, base64, number, string};

/// Version of the lines' schema: raised when a field is removed or changes its type.
pub const SCHEMA_VERSION: u64 = 1;

fn line<'o>(
    kind: &'static str,
    boot_ns: u64,
    clock: WallClock,
    out: &'o mut Vec<u8>,
) -> Object<'o> {
    let mut object = Object::open(out);
    object.number("schema", SCHEMA_VERSION);
    object.text("type", kind);
    let time = object.key("time");
    time.push(b'"');
    rfc3339(clock.unix_ns(boot_ns), time);
    time.push(b'"');
    object.number("boot_ns", boot_ns);
    object
}

/// Appends the line of an exec.
pub fn exec(event: &ExecEvent<'_>, clock: WallClock, out: &mut Vec<u8>) {
    let e = event;
    let mut o = line("exec", e.boot_ns, clock, out);
    let mut gone = Gone(false);
    o.number("cpu", e.cpu.into());
    o.number("seq", e.seq);
    o.text("hook", e.hook.name());
    o.number("pid", e.pid.into());
    o.number("tid", e.tid.into());
    gone.number(&mut o, "ppid", e.ppid);
    gone.bytes(&mut o, "parent_comm", "parent_comm_raw", e.parent_comm);
    gone.process(&mut o, "id", e.id);
    gone.process(&mut o, "parent_id", e.parent_id);
    o.number("uid", e.uid.into());
    o.number("gid", e.gid.into());
    gone.number(&mut o, "euid", e.euid);
    gone.number(&mut o, "egid", e.egid);
    gone.number(&mut o, "login_uid", e.login_uid);
    gone.number(&mut o, "session_id", e.session_id);
    o.bytes("comm", "comm_raw", e.comm);
    gone.bytes(&mut o, "filename", "filename_raw", e.filename);
    match gone.shown(e.dirfd).flatten() {
        Some(fd) => o.signed("dirfd", fd.into()),
        None => o.null("dirfd"),
    }
    gone.bytes(&mut o, "exe", "exe_raw", e.exe);
    o.flag("exe_deleted", e.exe_deleted);
    match gone.shown(e.interpreter).flatten() {
        Some(interpreter) => o.bytes("interpreter", "interpreter_raw", interpreter),
        None => o.null("interpreter"),
    }
    args(&mut o, "argv", "argv_raw", gone.shown(e.argv));
    gone.number(&mut o, "argc", e.argc);
    gone.number(&mut o, "argv_bytes", e.argv_bytes);
    gone.bytes(&mut o, "cwd", "cwd_raw", e.cwd);
    o.flag("cwd_deleted", e.cwd_deleted);
    o.signed("retval", e.retval.into());
    match e.retval {
        0.. => o.null("errno"),
        retval => o.text("errno", &errno_name(retval.unsigned_abs())),
    }
    gone.number(&mut o, "cgroup_id", e.cgroup_id);
    gone.number(&mut o, "pid_ns", e.pid_ns);
    gone.number(&mut o, "mnt_ns", e.mnt_ns);
    gone.number(&mut o, "ns_pid", e.ns_pid);
    gone.flag(&mut o, "set_uid", e.set_uid);
    gone.flag(&mut o, "set_gid", e.set_gid);
    gone.flag(&mut o, "privilege", e.privilege);
    o.flag("compat", e.compat);
    o.flag("kernel_started", e.kernel_started);
    if let Some(env) = e.env {
        args(&mut o, "env", "env_raw", gone.shown(env));
    }
    if gone.0 || e.argv_unread > 0 {
        let mut missing = Object::open(o.key("missing"));
        event.each_missing(|name, reason| missing.text(name, &reason.to_string()));
        missing.close();
    }
    cut(&mut o, event);
    o.close();
    out.push(b'\n');
}

/// Whether a value was missing.
struct Gone(bool);

impl Gone {
    fn shown<T: Copy>(&mut self, value: Value<'_, T>) -> Option<T> {
        let shown = value.shown();
        self.0 |= shown.is_none();
        shown
    }

    fn number<T: Copy + Into<u64>>(
        &mut self,
        o: &mut Object<'_>,
        name: &'static str,
        value: Value<'_, T>,
    ) {
        o.optional(name, self.shown(value).map(Into::into));
    }

    fn flag(&mut self, o: &mut Object<'_>, name: &'static str, value: Value<'_, bool>) {
        match self.shown(value) {
            Some(value) => o.flag(name, value),
            None => o.null(name),
        }
    }

    fn bytes(
        &mut self,
        o: &mut Object<'_>,
        name: &'static str,
        raw: &'static str,
        value: Value<'_, &[u8]>,
    ) {
        match self.shown(value) {
            Some(value) => o.bytes(name, raw, value),
            None => o.null(name),
        }
    }

    fn process(&mut self, o: &mut Object<'_>, name: &'static str, value: Value<'_, ProcessId>) {
        match self.shown(value) {
            Some(id) => {
                let out = o.key(name);
                out.push(b'"');
                number(id.pid.into(), out);
                out.push(b'-');
                number(id.start_ns, out);
                out.push(b'"');
            }
            None => o.null(name),
        }
    }
}

/// The arguments as an array of strings; an unreadable one is null.
fn args(o: &mut Object<'_>, name: &'static str, raw: &'static str, value: Option<Args<'_>>) {
    let Some(args) = value else {
        o.null(name);
        return;
    };
    let strings = args
        .iter()
        .map(|arg| (arg.shape != ArgShape::Unread).then_some(arg.bytes));
    byte_strings(o, name, raw, strings);
}

/// An array of strings of bytes. If any is not UTF-8, all of them follow in base64.
fn byte_strings<'a>(
    o: &mut Object<'_>,
    name: &'static str,
    raw: &'static str,
    strings: impl Iterator<Item = Option<&'a [u8]>> + Clone,
) {
    let mut utf8 = true;
    array(o.key(name), strings.clone(), |bytes, out| {
        match bytes.map(|bytes| (bytes, str::from_utf8(bytes))) {
            None => out.extend_from_slice(b"null"),
            Some((_, Ok(text))) => string(text, out),
            Some((bytes, Err(_))) => {
                utf8 = false;
                string(&String::from_utf8_lossy(bytes), out);
            }
        }
    });
    if !utf8 {
        array(o.key(raw), strings, |bytes, out| match bytes {
            None => out.extend_from_slice(b"null"),
            Some(bytes) => base64(bytes, out),
        });
    }
}

/// What is not whole, if anything is.
fn cut(o: &mut Object<'_>, event: &ExecEvent<'_>) {
    let exe = event.exe.cut();
    let cwd = event.cwd.cut();
    let argv = event.argv.shown().filter(|args| !args.gaps().is_empty());
    let env = event.env.and_then(|env| env.shown());
    let env = env.filter(|args| !args.gaps().is_empty());
    if exe.is_none() && cwd.is_none() && argv.is_none() && env.is_none() {
        return;
    }
    let path = |o: &mut Object<'_>, name, cut: Option<Cut>| {
        if let Some(cut) = cut {
            o.text(name, &cut.to_string());
        }
    };
    let mut cut = Object::open(o.key("cut"));
    path(&mut cut, "exe", exe);
    if let Some(args) = argv {
        gaps(&mut cut, "argv", &args);
    }
    path(&mut cut, "cwd", cwd);
    if let Some(args) = env {
        gaps(&mut cut, "env", &args);
    }
    cut.close();
}

fn gaps(o: &mut Object<'_>, name: &'static str, args: &Args<'_>) {
    use ArgShape::{Head, Middle, Tail};
    array(o.key(name), args.gaps().iter(), |gap, out| {
        let shape = |index: Option<usize>| Some(args.get(index?)?.shape);
        let before = shape(gap.at.checked_sub(1));
        let after = shape(Some(gap.at));
        let mut gap_object = Object::open(out);
        gap_object.text("reason", gap.reason.name());
        gap_object.number("at", gap.at as u64);
        gap_object.optional("args", gap.args.map(Into::into));
        gap_object.optional("bytes", gap.bytes);
        gap_object.flag("cuts_before", matches!(before, Some(Head | Middle)));
        gap_object.flag("cuts_after", matches!(after, Some(Tail | Middle)));
        gap_object.close();
    });
}

/// Appends the line of a loss.
pub fn lost(lost: &Lost, clock: WallClock, out: &mut Vec<u8>) {
    let mut o = line("lost", lost.to_ns, clock, out);
    o.optional("cpu", lost.cpu.map(Into::into));
    o.number("count", lost.count);
    o.number("from_ns", lost.from_ns);
    o.number("to_ns", lost.to_ns);
    o.text("reason", lost.reason.name());
    o.close();
    out.push(b'\n');
}

/// Appends the line of a run's start.
pub fn start(start: &Start<'_>, clock: WallClock, out: &mut Vec<u8>) {
    let mut o = line("start", start.boot_ns, clock, out);
    o.text("version", start.version);
    o.text("kernel", start.kernel);
    o.text("hook", start.hook.name());
    o.text("hook_reason", start.hook_reason);
    filters(Object::open(o.key("filters")), start.filters);
    o.number("buffer_bytes", start.buffer_bytes);
    let mut unavailable = Object::open(o.key("unavailable"));
    for (name, reason) in start.unavailable.iter() {
        unavailable.text(name, reason);
    }
    unavailable.close();
    o.close();
    out.push(b'\n');
}

fn filters(mut o: Object<'_>, filters: &Filters) {
    use std::os::unix::ffi::OsStrExt;
    let numbers = |values: &[u32], out: &mut Vec<u8>| {
        array(out, values.iter(), |value, out| {
            number((*value).into(), out);
        });
    };
    numbers(&filters.pids, o.key("pid"));
    numbers(&filters.uids, o.key("uid"));
    array(o.key("comm"), filters.comms.iter(), |comm, out| {
        string(comm, out);
    });
    match &filters.cgroup {
        Some(cgroup) => {
            let mut object = Object::open(o.key("cgroup"));
            object.number("id", cgroup.id);
            object.bytes("path", "path_raw", cgroup.path.as_os_str().as_bytes());
            object.close();
        }
        None => o.null("cgroup"),
    }
    o.flag("failed", filters.failed);
    o.optional("tree", filters.tree.map(Into::into));
    match &filters.command {
        Some(command) => {
            let words = command.iter().map(|word| Some(word.as_bytes()));
            byte_strings(&mut o, "command", "command_raw", words);
        }
        None => o.null("command"),
    }
    o.close();
}

/// Appends the line of a run's end.
pub fn end(end: &End, clock: WallClock, out: &mut Vec<u8>) {
    let mut o = line("end", end.boot_ns, clock, out);
    o.text("reason", end.reason.name());
    o.number("events", end.events);
    o.number("failed", end.failed);
    o.number("lost", end.lost);
    o.number("undelivered", end.undelivered);
    let mut by_hook = Object::open(o.key("by_hook"));
    for (hook, events) in &end.by_hook {
        by_hook.number(hook.name(), *events);
    }
    by_hook.close();
    o.number("duration_ns", end.duration_ns);
    o.close();
    out.push(b'\n');
}
