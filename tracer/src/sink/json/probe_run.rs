//! The lines that frame a run of probes.

use super::{Object, array, byte_strings, cgroup, key, line, number, string};
use crate::{
    event::{Attachment, ProbeEnd, ProbeFilters, ProbeStart, WallClock, Withheld},
    plan::probe::{Aggregation, Ends, Measure, Mode, Point, ProbeRun},
};
use tracer_common::probe::fetch;

/// Appends the line of a run's start.
pub(in crate::sink) fn probe_start(start: &ProbeStart<'_>, clock: WallClock, out: &mut Vec<u8>) {
    let mut o = line("probe_start", start.boot_ns, clock, out);
    o.text(key!("version"), start.version);
    o.text(key!("kernel"), start.kernel);
    array(o.key(key!("specs")), start.specs.iter(), |spec, out| string(spec, out));
    mode(&mut o, &start.run.mode);
    filters(&mut o, start.filters, start.run);
    o.number(key!("buffer_bytes"), start.run.buffer.into());
    let points = || start.run.points.iter().zip(start.attachments);
    let attached = points().filter_map(|(point, attachment)| match attachment {
        Attachment::By(mechanism) => Some((point, *mechanism)),
        Attachment::Failed(_) => None,
    });
    array(o.key(key!("points")), attached, |(point, mechanism), out| point_object(point, mechanism, out));
    let failed = points().filter_map(|(point, attachment)| match attachment {
        Attachment::By(_) => None,
        Attachment::Failed(reason) => Some((point, reason)),
    });
    array(o.key(key!("not_attached")), failed, |(point, reason), out| {
        let mut object = Object::open(out);
        object.text(key!("probe"), &point.name);
        object.text(key!("reason"), reason);
        object.close();
    });
    o.close();
    out.push(b'\n');
}

fn mode(o: &mut Object<'_>, mode: &Mode) {
    let Mode::Aggregate(Aggregation { keys, measure, max_keys }) = mode else {
        o.null(key!("aggregation"));
        return;
    };
    let mut object = Object::open(o.key(key!("aggregation")));
    array(object.key(key!("by")), keys.iter(), |key, out| string(key, out));
    let (kind, of) = match measure {
        Measure::Count => ("count", None),
        Measure::Log2(of) => ("log2", Some(of)),
        Measure::Linear { of, .. } => ("linear", Some(of)),
    };
    object.text(key!("measure"), kind);
    match of {
        Some(of) => object.text(key!("of"), of),
        None => object.null(key!("of")),
    }
    object.number(key!("max_keys"), (*max_keys).into());
    object.close();
}

fn filters(o: &mut Object<'_>, filters: &ProbeFilters, run: &ProbeRun) {
    let mut object = Object::open(o.key(key!("filters")));
    let numbers = |values: &[u32], out: &mut Vec<u8>| {
        array(out, values.iter(), |value, out| number((*value).into(), out));
    };
    numbers(&filters.pids, object.key(key!("pid")));
    numbers(&filters.uids, object.key(key!("uid")));
    array(object.key(key!("comm")), filters.comms.iter(), |comm, out| string(comm, out));
    cgroup(&mut object, filters.cgroup.as_ref());
    object.optional(key!("tree"), filters.tree.map(Into::into));
    match &filters.command {
        Some(command) => {
            let words = command.iter().map(|word| Some(word.as_encoded_bytes()));
            byte_strings(&mut object, key!("command"), key!("command_raw"), words);
        }
        None => object.null(key!("command")),
    }
    match &filters.condition {
        Some(condition) => object.text(key!("where"), condition),
        None => object.null(key!("where")),
    }
    object.number(key!("sample"), run.sample.get().into());
    object.optional(key!("rate"), run.rate.map(|rate| rate.get().into()));
    object.close();
}

fn point_object(point: &Point, mechanism: &str, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.text(key!("probe"), &point.name);
    object.text(key!("hook"), point.place.kind());
    object.text(key!("mechanism"), mechanism);
    object.text(
        key!("ends"),
        match point.ends {
            Ends::Entry => "entry",
            Ends::Return => "return",
            Ends::Both => "both",
        },
    );
    let shown = point.values.iter().filter(|value| value.fetch.flags & fetch::HIDDEN == 0);
    array(object.key(key!("values")), shown, |value, out| {
        let mut object = Object::open(out);
        object.text(key!("name"), &value.name);
        object.text(key!("type"), &value.c_type);
        object.close();
    });
    object.close();
}

/// Appends the line of hits that were left out on purpose.
pub(in crate::sink) fn withheld(withheld: &Withheld, clock: WallClock, out: &mut Vec<u8>) {
    let mut o = line("withheld", withheld.to_ns, clock, out);
    o.number(key!("from_ns"), withheld.from_ns);
    o.number(key!("to_ns"), withheld.to_ns);
    o.number(key!("sampled"), withheld.sampled);
    o.number(key!("rate_limited"), withheld.rated);
    o.close();
    out.push(b'\n');
}

/// Appends the line of a run's end.
pub(in crate::sink) fn probe_end(end: &ProbeEnd, clock: WallClock, out: &mut Vec<u8>) {
    let mut o = line("probe_end", end.boot_ns, clock, out);
    o.text(key!("reason"), end.reason.name());
    o.number(key!("passed"), end.passed);
    o.number(key!("events"), end.events);
    o.number(key!("lost"), end.lost);
    o.number(key!("sampled"), end.sampled);
    o.number(key!("rate_limited"), end.rated);
    o.number(key!("unreadable"), end.unreadable);
    o.number(key!("unpaired"), end.unpaired);
    o.number(key!("no_entry"), end.no_entry);
    o.number(key!("keys_full"), end.keys_full);
    o.number(key!("undelivered"), end.undelivered);
    o.number(key!("duration_ns"), end.duration_ns);
    o.close();
    out.push(b'\n');
}
