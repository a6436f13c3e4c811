//! The lines of an aggregation: one of each key, then one that says that the interval is whole.

use super::{
    Object, array, base64, key, line, number,
    probe::{Written, bytes, datum, each_raw},
    string,
};
use crate::event::{Aggregate, Bucket, Datum, KeyPart, Measure, Measured, Row, Unit, WallClock};

/// Appends the lines of an interval.
pub(in crate::sink) fn aggregate(aggregate: &Aggregate<'_>, clock: WallClock, out: &mut Vec<u8>) {
    for row in &aggregate.rows {
        let mut o = line("aggregate", aggregate.to_ns, clock, out);
        o.number(key!("from_ns"), aggregate.from_ns);
        o.number(key!("to_ns"), aggregate.to_ns);
        key_object(&mut o, aggregate.keys, row);
        o.number(key!("count"), row.measured.hits());
        match (&row.measured, aggregate.of) {
            (Measured::Histogram(buckets), Some(of)) => histogram(&mut o, of, buckets),
            _ => o.null(key!("histogram")),
        }
        o.close();
        out.push(b'\n');
    }
    let mut o = line("interval", aggregate.to_ns, clock, out);
    o.number(key!("from_ns"), aggregate.from_ns);
    o.number(key!("to_ns"), aggregate.to_ns);
    o.number(key!("keys"), aggregate.rows.len() as u64 + aggregate.left_out.keys);
    o.number(key!("count"), aggregate.total());
    o.number(key!("left_out_keys"), aggregate.left_out.keys);
    o.number(key!("left_out_count"), aggregate.left_out.hits);
    o.number(key!("keys_full"), aggregate.keys_full);
    o.close();
    out.push(b'\n');
}

fn key_object(o: &mut Object<'_>, names: &[String], row: &Row<'_>) {
    let parts = || names.iter().zip(&row.key);
    let mut lossy = false;
    let mut object = Object::open(o.key(key!("key")));
    for (name, part) in parts() {
        lossy |= key_part(part, object.named(name)) == Written::Lossy;
    }
    object.close();
    if lossy {
        let mut raw = Object::open(o.key(key!("key_raw")));
        for (name, part) in parts() {
            each_raw(text_of(part), |bytes| base64(bytes, raw.named(name)));
        }
        raw.close();
    }
    if parts().any(|(_, part)| *part == KeyPart::Unreadable) {
        let mut missing = Object::open(o.key(key!("missing")));
        for (name, _) in parts().filter(|(_, part)| **part == KeyPart::Unreadable) {
            string("could not be read at the event", missing.named(&format!("key.{name}")));
        }
        missing.close();
    }
    if parts().any(|(_, part)| matches!(part, KeyPart::Cut(_))) {
        let mut cut = Object::open(o.key(key!("cut")));
        for (name, _) in parts().filter(|(_, part)| matches!(part, KeyPart::Cut(_))) {
            string(
                "the text is longer than a key holds: its end is missing",
                cut.named(&format!("key.{name}")),
            );
        }
        cut.close();
    }
}

fn key_part(part: &KeyPart<'_>, out: &mut Vec<u8>) -> Written {
    match part {
        KeyPart::Probe(name) => string(name, out),
        KeyPart::Comm(text) | KeyPart::Cut(text) => return bytes(text, out),
        KeyPart::Uid(uid) => number((*uid).into(), out),
        KeyPart::Number(value) => number(*value, out),
        KeyPart::Value(value) => return datum(value, out),
        KeyPart::Unreadable => out.extend_from_slice(b"null"),
    }
    Written::Whole
}

fn text_of<'a>(part: &KeyPart<'a>) -> Option<Datum<'a>> {
    match part {
        KeyPart::Comm(text) | KeyPart::Cut(text) => Some(Datum::Text(text)),
        KeyPart::Value(value) => Some(*value),
        _ => None,
    }
}

fn histogram(o: &mut Object<'_>, of: Measure<'_>, buckets: &[Bucket]) {
    let mut object = Object::open(o.key(key!("histogram")));
    object.text(key!("of"), of.name);
    match of.unit {
        Unit::None => object.null(key!("unit")),
        Unit::Nanoseconds => object.text(key!("unit"), "ns"),
    }
    array(object.key(key!("buckets")), buckets.iter(), |bucket, out| {
        let mut object = Object::open(out);
        bound(bucket.from, object.key(key!("from")));
        bound(bucket.to, object.key(key!("to")));
        object.number(key!("count"), bucket.count);
        object.close();
    });
    object.close();
}

/// A bound that no 64-bit number is beyond is none.
fn bound(bound: Option<i128>, out: &mut Vec<u8>) {
    match bound.map(|bound| (u64::try_from(bound), i64::try_from(bound))) {
        Some((Ok(bound), _)) => number(bound, out),
        Some((_, Ok(bound))) => super::signed(bound, out),
        _ => out.extend_from_slice(b"null"),
    }
}
