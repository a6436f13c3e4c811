//! Records as JSON lines: one object a line, `schema` and `type` first.
//!
//! *Invariant:* types never change from line to line: an unknown value is `null`, with its reason
//! in `missing`; a value that is not whole says so in `cut`; a string that is not UTF-8 has its
//! bytes in base64 beside it. Every line is valid under `docs/schema/v1.json`, which is generated
//! from `schema.rs` (proven by `schema.rs`'s tests).
//!
//! *Must not know:* where the lines go.

mod aggregate;
mod around;
mod exit;
mod fork;
mod life;
mod load;
mod place;
mod probe;
mod probe_run;
#[cfg(test)]
mod schema;
mod write;

use std::os::unix::ffi::OsStrExt;

use super::{Around, time::rfc3339};
use crate::event::{
    ArgShape, Args, Cgroup, Cut, End, ExecEvent, Filters, Lost, Missing, ProcessId, Start, Value, WallClock,
    errno_name,
};
pub(super) use aggregate::aggregate;
pub(super) use exit::exit;
pub(super) use fork::fork;
pub(super) use life::life;
pub(super) use load::{class_withheld, overhead, stats};
pub(super) use probe::probe;
pub(super) use probe_run::{probe_end, probe_start, withheld};
pub(super) use write::PAIRS;
use write::{Key, Object, array, base64, is_plain, key, number, plain, signed, string};

/// Version of the lines' schema: raised when a field is removed or changes its type.
pub const SCHEMA_VERSION: u64 = 1;

fn line<'o>(kind: &'static str, boot_ns: u64, clock: WallClock, out: &'o mut Vec<u8>) -> Object<'o> {
    let mut object = Object::open(out);
    object.number(key!("schema"), SCHEMA_VERSION);
    object.text(key!("type"), kind);
    let time = object.key(key!("time"));
    time.push(b'"');
    rfc3339(clock.unix_ns(boot_ns), time);
    time.push(b'"');
    object.number(key!("boot_ns"), boot_ns);
    object
}

/// Appends the line of an exec.
pub fn exec(event: &ExecEvent<'_>, around: Around<'_>, clock: WallClock, out: &mut Vec<u8>) {
    let e = event;
    let mut o = line("exec", e.boot_ns, clock, out);
    let mut gone = Gone(false);
    o.number(key!("cpu"), e.cpu.into());
    o.number(key!("seq"), e.seq);
    o.text(key!("hook"), e.hook.name());
    o.number(key!("pid"), e.pid.into());
    o.number(key!("tid"), e.tid.into());
    gone.number(&mut o, key!("ppid"), e.ppid);
    gone.bytes(&mut o, key!("parent_comm"), key!("parent_comm_raw"), e.parent_comm);
    gone.process(&mut o, key!("id"), e.id);
    gone.process(&mut o, key!("parent_id"), e.parent_id);
    o.number(key!("uid"), e.uid.into());
    o.number(key!("gid"), e.gid.into());
    gone.number(&mut o, key!("euid"), e.euid);
    gone.number(&mut o, key!("egid"), e.egid);
    gone.number(&mut o, key!("login_uid"), e.login_uid);
    gone.number(&mut o, key!("session_id"), e.session_id);
    o.bytes(key!("comm"), key!("comm_raw"), e.comm);
    gone.bytes(&mut o, key!("filename"), key!("filename_raw"), e.filename);
    match gone.shown(e.dirfd).flatten() {
        Some(fd) => o.signed(key!("dirfd"), fd.into()),
        None => o.null(key!("dirfd")),
    }
    gone.bytes(&mut o, key!("exe"), key!("exe_raw"), e.exe);
    o.flag(key!("exe_deleted"), e.exe_deleted);
    gone.path(&mut o, key!("interpreter"), key!("interpreter_raw"), e.interpreter);
    args(&mut o, key!("argv"), key!("argv_raw"), gone.shown(e.argv));
    gone.number(&mut o, key!("argc"), e.argc);
    gone.number(&mut o, key!("argv_bytes"), e.argv_bytes);
    gone.bytes(&mut o, key!("cwd"), key!("cwd_raw"), e.cwd);
    o.flag(key!("cwd_deleted"), e.cwd_deleted);
    o.signed(key!("retval"), e.retval.into());
    match e.retval {
        0.. => o.null(key!("errno")),
        retval => o.text(key!("errno"), &errno_name(retval.unsigned_abs())),
    }
    gone.number(&mut o, key!("cgroup_id"), e.cgroup_id);
    gone.number(&mut o, key!("pid_ns"), e.pid_ns);
    gone.number(&mut o, key!("mnt_ns"), e.mnt_ns);
    gone.number(&mut o, key!("ns_pid"), e.ns_pid);
    gone.flag(&mut o, key!("set_uid"), e.set_uid);
    gone.flag(&mut o, key!("set_gid"), e.set_gid);
    gone.flag(&mut o, key!("privilege"), e.privilege);
    o.flag(key!("compat"), e.compat);
    o.flag(key!("kernel_started"), e.kernel_started);
    place::fields(&mut o, around.place);
    if let Some(env) = e.env {
        args(&mut o, key!("env"), key!("env_raw"), gone.shown(env));
    }
    let chain = around::ancestors(&mut o, around.ancestors);
    if gone.0 || e.argv_unread > 0 || chain.missing().is_some() || place::missing(around.place) {
        let mut missing = Object::open(o.key(key!("missing")));
        let mut tell = |name: &str, reason: Missing<'_>| string(&reason.text(), missing.named(name));
        event.each_missing(&mut tell);
        if let Some(reason) = chain.missing() {
            tell("ancestors", reason);
        }
        place::each_missing(around.place, |name, reason| string(reason, missing.named(name)));
        missing.close();
    }
    cut(&mut o, event, place::cut(around.place), chain.cut());
    o.close();
    out.push(b'\n');
}

/// Whether a value was missing.
struct Gone(bool);

impl Gone {
    #[inline(always)]
    fn shown<T: Copy>(&mut self, value: Value<'_, T>) -> Option<T> {
        let shown = value.shown();
        self.0 |= shown.is_none();
        shown
    }

    #[inline(always)]
    fn number<T: Copy + Into<u64>>(&mut self, o: &mut Object<'_>, name: Key, value: Value<'_, T>) {
        o.optional(name, self.shown(value).map(Into::into));
    }

    #[inline(always)]
    fn flag(&mut self, o: &mut Object<'_>, name: Key, value: Value<'_, bool>) {
        match self.shown(value) {
            Some(value) => o.flag(name, value),
            None => o.null(name),
        }
    }

    #[inline(always)]
    fn bytes(&mut self, o: &mut Object<'_>, name: Key, raw: Key, value: Value<'_, &[u8]>) {
        match self.shown(value) {
            Some(value) => o.bytes(name, raw, value),
            None => o.null(name),
        }
    }

    /// A path, where there may be none.
    #[inline(always)]
    fn path(&mut self, o: &mut Object<'_>, name: Key, raw: Key, value: Value<'_, Option<&[u8]>>) {
        match self.shown(value).flatten() {
            Some(path) => o.bytes(name, raw, path),
            None => o.null(name),
        }
    }

    #[inline(always)]
    fn process(&mut self, o: &mut Object<'_>, name: Key, value: Value<'_, ProcessId>) {
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
fn args(o: &mut Object<'_>, name: Key, raw: Key, value: Option<Args<'_>>) {
    let Some(args) = value else {
        o.null(name);
        return;
    };
    let strings = args.iter().map(|arg| (arg.shape != ArgShape::Unread).then_some(arg.bytes));
    byte_strings(o, name, raw, strings);
}

/// An array of strings of bytes. If any is not UTF-8, all of them follow in base64.
fn byte_strings<'a>(
    o: &mut Object<'_>,
    name: Key,
    raw: Key,
    strings: impl Iterator<Item = Option<&'a [u8]>> + Clone,
) {
    let mut utf8 = true;
    array(o.key(name), strings.clone(), |bytes, out| {
        if let Some(bytes) = bytes.filter(|bytes| is_plain(bytes)) {
            plain(bytes, out);
            return;
        }
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
fn cut(o: &mut Object<'_>, event: &ExecEvent<'_>, cgroup: Option<Cut>, ancestors: Option<Missing<'_>>) {
    let exe = event.exe.cut();
    let cwd = event.cwd.cut();
    let argv = event.argv.shown().filter(|args| !args.gaps().is_empty());
    let env = event.env.and_then(|env| env.shown());
    let env = env.filter(|args| !args.gaps().is_empty());
    let streams = argv.is_some() || env.is_some();
    if exe.is_none() && cwd.is_none() && !streams && cgroup.is_none() && ancestors.is_none() {
        return;
    }
    let path = |o: &mut Object<'_>, name, cut: Option<Cut>| {
        if let Some(cut) = cut {
            o.text(name, &cut.to_string());
        }
    };
    let mut cut = Object::open(o.key(key!("cut")));
    path(&mut cut, key!("exe"), exe);
    if let Some(args) = argv {
        gaps(&mut cut, key!("argv"), &args);
    }
    path(&mut cut, key!("cwd"), cwd);
    if let Some(args) = env {
        gaps(&mut cut, key!("env"), &args);
    }
    path(&mut cut, key!("cgroup"), cgroup);
    if let Some(reason) = ancestors {
        cut.text(key!("ancestors"), &reason.to_string());
    }
    cut.close();
}

fn gaps(o: &mut Object<'_>, name: Key, args: &Args<'_>) {
    use ArgShape::{Head, Middle, Tail};
    array(o.key(name), args.gaps().iter(), |gap, out| {
        let shape = |index: Option<usize>| Some(args.get(index?)?.shape);
        let before = shape(gap.at.checked_sub(1));
        let after = shape(Some(gap.at));
        let mut gap_object = Object::open(out);
        gap_object.text(key!("reason"), gap.reason.name());
        gap_object.number(key!("at"), gap.at as u64);
        gap_object.optional(key!("args"), gap.args.map(Into::into));
        gap_object.optional(key!("bytes"), gap.bytes);
        gap_object.flag(key!("cuts_before"), matches!(before, Some(Head | Middle)));
        gap_object.flag(key!("cuts_after"), matches!(after, Some(Tail | Middle)));
        gap_object.close();
    });
}

/// Appends the line of a loss. `class`: what was lost.
pub fn lost(lost: &Lost, class: &'static str, clock: WallClock, out: &mut Vec<u8>) {
    let mut o = line("lost", lost.to_ns, clock, out);
    o.optional(key!("cpu"), lost.cpu.map(Into::into));
    o.number(key!("count"), lost.count);
    o.number(key!("from_ns"), lost.from_ns);
    o.number(key!("to_ns"), lost.to_ns);
    o.text(key!("reason"), lost.reason.name());
    o.text(key!("class"), class);
    o.close();
    out.push(b'\n');
}

/// Appends the line of a run's start.
pub fn start(start: &Start<'_>, clock: WallClock, out: &mut Vec<u8>) {
    let mut o = line("start", start.boot_ns, clock, out);
    o.text(key!("version"), start.version);
    o.text(key!("kernel"), start.kernel);
    o.text(key!("hook"), start.hook.name());
    o.text(key!("hook_reason"), start.hook_reason);
    filters(Object::open(o.key(key!("filters"))), start.filters);
    o.number(key!("buffer_bytes"), start.buffer_bytes);
    let mut unavailable = Object::open(o.key(key!("unavailable")));
    for (name, reason) in start.unavailable.iter() {
        string(reason, unavailable.named(name));
    }
    unavailable.close();
    o.close();
    out.push(b'\n');
}

fn filters(mut o: Object<'_>, filters: &Filters) {
    let numbers = |values: &[u32], out: &mut Vec<u8>| {
        array(out, values.iter(), |value, out| {
            number((*value).into(), out);
        });
    };
    numbers(&filters.pids, o.key(key!("pid")));
    numbers(&filters.uids, o.key(key!("uid")));
    array(o.key(key!("comm")), filters.comms.iter(), |comm, out| {
        string(comm, out);
    });
    cgroup(&mut o, filters.cgroup.as_ref());
    array(o.key(key!("container")), filters.containers.iter(), |wanted, out| string(wanted, out));
    array(o.key(key!("unit")), filters.units.iter(), |wanted, out| string(wanted, out));
    o.flag(key!("failed"), filters.failed);
    o.optional(key!("tree"), filters.tree.map(Into::into));
    match &filters.command {
        Some(command) => {
            let words = command.iter().map(|word| Some(word.as_bytes()));
            byte_strings(&mut o, key!("command"), key!("command_raw"), words);
        }
        None => o.null(key!("command")),
    }
    o.close();
}

fn cgroup(o: &mut Object<'_>, cgroup: Option<&Cgroup>) {
    match cgroup {
        Some(cgroup) => {
            let mut object = Object::open(o.key(key!("cgroup")));
            object.number(key!("id"), cgroup.id);
            object.bytes(key!("path"), key!("path_raw"), cgroup.path.as_os_str().as_bytes());
            object.close();
        }
        None => o.null(key!("cgroup")),
    }
}

/// Appends the line of a run's end.
pub fn end(end: &End, clock: WallClock, out: &mut Vec<u8>) {
    let mut o = line("end", end.boot_ns, clock, out);
    o.text(key!("reason"), end.reason.name());
    o.number(key!("events"), end.events);
    o.number(key!("failed"), end.failed);
    o.number(key!("lost"), end.lost);
    o.number(key!("undelivered"), end.undelivered);
    let mut by_hook = Object::open(o.key(key!("by_hook")));
    for (hook, events) in &end.by_hook {
        number(*events, by_hook.named(hook.name()));
    }
    by_hook.close();
    o.number(key!("duration_ns"), end.duration_ns);
    load::accounts(&mut o, &end.accounts);
    if let Some(followed) = end.followed {
        o.number(key!("forks"), followed.forks);
        o.number(key!("exits"), followed.exits);
        o.number(key!("lives"), followed.lives);
        if let Some(alive) = followed.alive {
            o.number(key!("alive"), alive);
        }
        o.number(key!("evicted"), followed.evicted);
    }
    o.close();
    out.push(b'\n');
}
