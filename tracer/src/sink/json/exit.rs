//! The line of an end, and what it shares with that of a life.

use super::{
    Gone, around, line,
    write::{Object, key},
};
use crate::{
    event::{Ending, ExitEvent, Usage, Value, WallClock, signal_name},
    sink::Around,
};

/// Appends the line of an end.
pub(in crate::sink) fn exit(event: &ExitEvent<'_>, around: Around<'_>, clock: WallClock, out: &mut Vec<u8>) {
    let e = event;
    let mut o = line("exit", e.boot_ns, clock, out);
    let mut gone = Gone(false);
    o.number(key!("cpu"), e.cpu.into());
    o.number(key!("seq"), e.seq);
    o.text(key!("hook"), e.hook.name());
    o.number(key!("pid"), e.pid.into());
    o.number(key!("tid"), e.tid.into());
    gone.number(&mut o, key!("ppid"), e.ppid);
    gone.process(&mut o, key!("id"), e.id);
    gone.process(&mut o, key!("parent_id"), e.parent_id);
    o.number(key!("uid"), e.uid.into());
    o.number(key!("gid"), e.gid.into());
    o.bytes(key!("comm"), key!("comm_raw"), e.comm);
    o.optional(key!("duration_ns"), e.duration_ns());
    ending(&mut o, e.ending);
    usage(&mut o, &e.usage);
    o.optional(key!("cgroup_id"), gone.shown(e.cgroups).map(|cgroups| cgroups.v2));
    let written = around::fields(&mut o, around);
    o.texts(key!("missing"), |tell| {
        event.each_missing(|name, reason| tell(name, &reason));
        written.each_missing(tell);
    });
    o.texts(key!("cut"), |tell| {
        for (name, value) in event.usage.fields() {
            if let Some(cut) = value.cut() {
                tell(name, &cut);
            }
        }
        written.each_cut(tell);
    });
    o.close();
    out.push(b'\n');
}

/// Writes how a process ended.
pub(super) fn ending(o: &mut Object<'_>, ending: Value<'_, Ending>) {
    let (code, signal, core) = match ending.shown() {
        Some(Ending::Exited(code)) => (Some(code), None, Some(false)),
        Some(Ending::Killed { signal, core }) => (None, Some(signal), Some(core)),
        None => (None, None, None),
    };
    o.optional(key!("exit_code"), code.map(Into::into));
    o.optional(key!("signal"), signal.map(Into::into));
    match signal {
        Some(signal) => o.text(key!("signal_name"), &signal_name(signal)),
        None => o.null(key!("signal_name")),
    }
    match core {
        Some(core) => o.flag(key!("core"), core),
        None => o.null(key!("core")),
    }
}

/// Writes what a process used.
pub(super) fn usage(o: &mut Object<'_>, usage: &Usage<'_>) {
    o.optional(key!("user_ns"), usage.user_ns.shown());
    o.optional(key!("system_ns"), usage.system_ns.shown());
    o.optional(key!("max_rss_bytes"), usage.max_rss_bytes.shown());
    o.optional(key!("minor_faults"), usage.minor_faults.shown());
    o.optional(key!("major_faults"), usage.major_faults.shown());
    o.optional(key!("read_chars"), usage.read_chars.shown());
    o.optional(key!("written_chars"), usage.written_chars.shown());
    o.optional(key!("read_bytes"), usage.read_bytes.shown());
    o.optional(key!("write_bytes"), usage.write_bytes.shown());
    o.optional(key!("cancelled_write_bytes"), usage.cancelled_write_bytes.shown());
}
