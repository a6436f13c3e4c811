//! The line of a birth.

use super::{Gone, around, line, write::key};
use crate::{
    event::{ForkEvent, WallClock},
    sink::Around,
};

/// Appends the line of a birth.
pub(in crate::sink) fn fork(event: &ForkEvent<'_>, around: Around<'_>, clock: WallClock, out: &mut Vec<u8>) {
    let e = event;
    let mut o = line("fork", e.boot_ns, clock, out);
    let mut gone = Gone(false);
    o.number(key!("cpu"), e.cpu.into());
    o.number(key!("seq"), e.seq);
    o.text(key!("hook"), e.hook.name());
    o.number(key!("pid"), e.pid.into());
    gone.number(&mut o, key!("ppid"), e.ppid);
    gone.process(&mut o, key!("id"), e.id);
    gone.process(&mut o, key!("parent_id"), e.parent_id);
    o.number(key!("maker_pid"), e.maker.into());
    o.number(key!("maker_tid"), e.maker_tid.into());
    o.number(key!("uid"), e.uid.into());
    o.number(key!("gid"), e.gid.into());
    o.bytes(key!("comm"), key!("comm_raw"), e.comm);
    o.optional(key!("cgroup_id"), gone.shown(e.cgroups).map(|cgroups| cgroups.v2));
    let written = around::fields(&mut o, around);
    o.texts(key!("missing"), |tell| {
        event.each_missing(|name, reason| tell(name, &reason));
        written.each_missing(tell);
    });
    o.texts(key!("cut"), |tell| written.each_cut(tell));
    o.close();
    out.push(b'\n');
}
