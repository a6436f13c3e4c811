//! The lines of what a run costs and leaves out.

use std::io::Write;

use tracer_common::Shed;

use super::{Object, array, key, line, number, string, write::Key};
use crate::{
    event::{Account, ClassWithheld, Overhead, Stats, WallClock, class_name},
    overhead::{FIELDS, Share},
    sink::load::sampled,
};

fn share(o: &mut Object<'_>, name: Key, share: Share) {
    let ppm = share.ppm();
    // Writing into a vector does not fail.
    let _ = write!(o.key(name), "{}.{:06}", ppm / 1_000_000, ppm % 1_000_000);
}

/// Appends the line of what the run costs.
pub(in crate::sink) fn stats(stats: &Stats<'_>, clock: WallClock, out: &mut Vec<u8>) {
    let mut o = line("stats", stats.boot_ns, clock, out);
    o.number(key!("from_ns"), stats.from_ns);
    share(&mut o, key!("overhead"), stats.share);
    o.number(key!("cpus"), stats.cpus.into());
    let costs = stats.costs;
    array(o.key(key!("programs")), costs.programs.iter(), |program, out| {
        let mut object = Object::open(out);
        object.text(key!("name"), &program.name);
        object.number(key!("runs"), program.runs);
        object.number(key!("time_ns"), program.time_ns);
        object.number(key!("skipped"), program.skipped);
        object.close();
    });
    let mut ring = Object::open(o.key(key!("ring")));
    ring.number(key!("bytes"), costs.ring.bytes);
    ring.number(key!("high_water_bytes"), costs.ring.high_water_bytes);
    ring.close();
    let mut own = Object::open(o.key(key!("tracer")));
    own.number(key!("user_ns"), costs.own.user_ns);
    own.number(key!("system_ns"), costs.own.system_ns);
    own.number(key!("resident_bytes"), costs.own.resident_bytes);
    own.number(key!("peak_bytes"), costs.own.peak_bytes);
    own.close();
    o.number(key!("bpf_bytes"), costs.bpf_bytes);
    let mut events = Object::open(o.key(key!("events")));
    for made in stats.made {
        let mut object = Object::open(events.named(class_name(made.class)));
        object.number(key!("made"), made.made);
        object.number(key!("dropped"), made.dropped);
        object.number(key!("withheld"), made.withheld);
        object.close();
    }
    events.close();
    o.close();
    out.push(b'\n');
}

/// Appends the line of a change of what is left out.
pub(in crate::sink) fn overhead(overhead: &Overhead, clock: WallClock, out: &mut Vec<u8>) {
    let mut o = line("overhead", overhead.boot_ns, clock, out);
    share(&mut o, key!("share"), overhead.share);
    share(&mut o, key!("limit"), overhead.limit);
    shed(&mut o, &overhead.shed);
    o.flag(key!("exhausted"), overhead.exhausted);
    o.close();
    out.push(b'\n');
}

fn shed(o: &mut Object<'_>, shed: &Shed) {
    let fields = FIELDS.iter().filter(|(bit, _)| shed.fields & bit != 0);
    array(o.key(key!("shed")), fields, |(_, name), out| string(name, out));
    let mut sample = Object::open(o.key(key!("sample")));
    for (class, one_of) in sampled(shed) {
        number(one_of.into(), sample.named(class_name(class)));
    }
    sample.close();
}

/// Appends the line of events that were not produced.
pub(in crate::sink) fn class_withheld(withheld: &ClassWithheld, clock: WallClock, out: &mut Vec<u8>) {
    let mut o = line("withheld", withheld.to_ns, clock, out);
    o.number(key!("from_ns"), withheld.from_ns);
    o.number(key!("to_ns"), withheld.to_ns);
    o.number(key!("sampled"), withheld.count);
    o.number(key!("rate_limited"), 0);
    o.text(key!("class"), class_name(withheld.class));
    o.text(key!("reason"), "max_overhead");
    o.close();
    out.push(b'\n');
}

/// Writes what became of each class.
pub(super) fn accounts(o: &mut Object<'_>, accounts: &[Account]) {
    if accounts.is_empty() {
        return;
    }
    let mut classes = Object::open(o.key(key!("by_class")));
    for account in accounts {
        let mut object = Object::open(classes.named(class_name(account.class)));
        object.number(key!("made"), account.made);
        object.number(key!("shown"), account.shown);
        object.number(key!("withheld"), account.withheld);
        object.number(key!("lost"), account.lost);
        object.close();
    }
    classes.close();
}
