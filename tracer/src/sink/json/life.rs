//! The line of a life: everything about one process.

use std::fmt;

use super::{
    Gone, args,
    around::{self, Written},
    exit::{ending, usage},
    gaps, line, rfc3339,
    write::{Key, Object, Tell, array, key},
};
use crate::{
    event::{Ending, Missing, WallClock, errno_name},
    process::{Attempt, Attempts, LeftOut, Life, STILL_RUNNING},
    sink::Around,
};

/// Appends the line of a life.
pub(in crate::sink) fn life(life: &Life<'_>, around: Around<'_>, clock: WallClock, out: &mut Vec<u8>) {
    let l = life;
    let mut o = line("life", l.boot_ns, clock, out);
    let mut gone = Gone(false);
    o.number(key!("pid"), l.pid.into());
    gone.number(&mut o, key!("ppid"), l.ppid);
    gone.process(&mut o, key!("id"), l.id);
    gone.process(&mut o, key!("parent_id"), l.parent_id);
    o.number(key!("uid"), l.uid.into());
    o.number(key!("gid"), l.gid.into());
    gone.bytes(&mut o, key!("comm"), key!("comm_raw"), l.comm);
    gone.path(&mut o, key!("exe"), key!("exe_raw"), l.exe);
    let start_ns = l.id.shown().map(|id| id.start_ns);
    moment(&mut o, key!("start"), start_ns, clock);
    o.optional(key!("start_ns"), start_ns);
    let duration_ns = start_ns.filter(|_| l.ended).map(|start_ns| l.boot_ns.saturating_sub(start_ns));
    o.optional(key!("duration_ns"), duration_ns);
    ending(&mut o, l.ending);
    usage(&mut o, &l.usage);
    array(o.key(key!("execs")), l.execs.iter(), |attempt, out| exec(&attempt, clock, out));
    o.number(key!("execs_left_out"), l.execs.left_out().total());
    o.text(key!("known_from"), l.known_from.name());
    let written = around::fields(&mut o, around);
    o.texts(key!("missing"), |tell| missing(life, written, tell));
    o.texts(key!("cut"), |tell| cut(life, written, tell));
    o.close();
    out.push(b'\n');
}

fn moment(o: &mut Object<'_>, name: Key, boot_ns: Option<u64>, clock: WallClock) {
    let Some(boot_ns) = boot_ns else {
        o.null(name);
        return;
    };
    let out = o.key(name);
    out.push(b'"');
    rfc3339(clock.unix_ns(boot_ns), out);
    out.push(b'"');
}

fn missing(life: &Life<'_>, written: Written<'_>, tell: Tell<'_>) {
    let mut field = |name: &str, missing: Option<Missing<'_>>| {
        if let Some(reason) = missing {
            tell(name, &reason);
        }
    };
    field("ppid", life.ppid.missing());
    field("id", life.id.missing());
    field("parent_id", life.parent_id.missing());
    field("comm", life.comm.missing());
    field("exe", life.exe.missing());
    field("start", life.id.missing());
    field("start_ns", life.id.missing());
    let running = (!life.ended).then_some(Missing::Unavailable(STILL_RUNNING));
    field("duration_ns", life.id.missing().or(running));
    for name in Ending::FIELDS {
        field(name, life.ending.missing());
    }
    for (name, value) in life.usage.fields() {
        field(name, value.missing());
    }
    written.each_missing(&mut *tell);
    if !life.unseen.is_none() {
        tell("execs", &life.unseen);
    }
}

fn cut(life: &Life<'_>, written: Written<'_>, tell: Tell<'_>) {
    if let Some(cut) = life.exe.cut() {
        tell("exe", &cut);
    }
    for (name, value) in life.usage.fields() {
        if let Some(cut) = value.cut() {
            tell(name, &cut);
        }
    }
    if life.execs.left_out().total() > 0 {
        tell("execs", &Gap(life.execs));
    }
    written.each_cut(tell);
}

/// What is left out of a story, and where.
struct Gap<'a>(Attempts<'a>);

impl fmt::Display for Gap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LeftOut { count, memory } = self.0.left_out();
        write!(f, "{} left out at index {}: ", count + memory, self.0.before_gap())?;
        if count > 0 {
            write!(f, "{count} since no more than {} are kept of a process", 2 * crate::process::SIDE)?;
        }
        if memory > 0 {
            let between = if count > 0 { ", " } else { "" };
            write!(f, "{between}{memory} since all execs together have only so much memory")?;
        }
        Ok(())
    }
}

fn exec(attempt: &Attempt<'_>, clock: WallClock, out: &mut Vec<u8>) {
    let a = attempt;
    let mut o = Object::open(out);
    let mut gone = Gone(false);
    moment(&mut o, key!("time"), Some(a.boot_ns), clock);
    o.number(key!("boot_ns"), a.boot_ns);
    gone.bytes(&mut o, key!("filename"), key!("filename_raw"), a.filename);
    gone.bytes(&mut o, key!("exe"), key!("exe_raw"), a.exe);
    gone.path(&mut o, key!("interpreter"), key!("interpreter_raw"), a.interpreter);
    args(&mut o, key!("argv"), key!("argv_raw"), gone.shown(a.argv));
    gone.number(&mut o, key!("argc"), a.argc);
    gone.number(&mut o, key!("argv_bytes"), a.argv_bytes);
    o.signed(key!("retval"), a.retval.into());
    match a.retval {
        0.. => o.null(key!("errno")),
        retval => o.text(key!("errno"), &errno_name(retval.unsigned_abs())),
    }
    o.optional(key!("duration_ns"), a.duration_ns);
    o.texts(key!("missing"), |tell| {
        let mut field = |name: &str, missing: Option<Missing<'_>>| {
            if let Some(reason) = missing {
                tell(name, &reason);
            }
        };
        field("filename", a.filename.missing());
        field("exe", a.exe.missing());
        field("interpreter", a.interpreter.missing());
        let unread = (a.argv_unread > 0).then_some(Missing::UnreadElements(a.argv_unread));
        field("argv", a.argv.missing().or(unread));
        field("argc", a.argc.missing());
        field("argv_bytes", a.argv_bytes.missing());
        let why = if a.failed() { Missing::Failed } else { Missing::Unavailable(STILL_RUNNING) };
        field("duration_ns", a.duration_ns.is_none().then_some(why));
    });
    let argv = a.argv.shown().filter(|args| !args.gaps().is_empty());
    if a.exe.cut().is_some() || argv.is_some() {
        let mut cut = Object::open(o.key(key!("cut")));
        if let Some(reason) = a.exe.cut() {
            cut.text(key!("exe"), &reason.to_string());
        }
        if let Some(args) = argv {
            gaps(&mut cut, key!("argv"), &args);
        }
        cut.close();
    }
    o.close();
}
