//! The line of a hit.
//!
//! A value's JSON type depends on its C type alone: numbers are numbers (pointers, too), enumerations the name of
//! the value (its number as a string, where it has no name), `char` and texts are strings. What is said of a value
//! besides stands in objects beside `args`, under the value's name: `args_raw` its bytes where they are not UTF-8,
//! `args_errno` the name of the error that it is.

use std::fmt::{self, Write};

use super::{Key, Object, array, base64, key, line, number, signed, string};
use crate::{
    enrich::{KernelFrame, Symbols, UserFrame},
    event::{Datum, Frames, ProbeEvent, Value, WallClock, errno_name},
};

/// Appends the line of a hit.
pub(in crate::sink) fn probe(
    event: &ProbeEvent<'_>,
    clock: WallClock,
    symbols: &mut Symbols,
    out: &mut Vec<u8>,
) {
    let e = event;
    let mut o = line("probe", e.boot_ns, clock, out);
    o.number(key!("cpu"), e.cpu.into());
    o.number(key!("seq"), e.seq);
    o.text(key!("hook"), e.hook);
    o.text(key!("probe"), e.probe);
    o.number(key!("pid"), e.pid.into());
    o.number(key!("tid"), e.tid.into());
    o.number(key!("uid"), e.uid.into());
    o.bytes(key!("comm"), key!("comm_raw"), e.comm());
    o.number(key!("cgroup_id"), e.cgroup_id);
    o.optional(key!("duration_ns"), e.duration_ns.and_then(|duration| duration.shown()));
    let mut also = Also::default();
    args(&mut o, event, &mut also);
    retval(&mut o, event, &mut also);
    o.flag(key!("compat"), e.compat);
    let mut unnamed = None;
    if let Some(stack) = e.kernel_stack {
        kernel_stack(&mut o, stack, symbols);
        also.see(&stack);
    }
    if let Some(stack) = e.user_stack {
        unnamed = user_stack(&mut o, stack, e.pid, symbols);
        also.see(&stack);
    }
    also.missing |= e.duration_ns.is_some_and(|duration| duration.shown().is_none());
    if also.missing || unnamed.is_some() || e.kernel_stack.is_some() && symbols.kernel_reason().is_some() {
        missing(&mut o, event, symbols, unnamed.as_deref());
    }
    if also.cut {
        cut(&mut o, event);
    }
    o.close();
    out.push(b'\n');
}

/// What there is to say of values besides the values.
#[derive(Default)]
struct Also {
    raw: bool,
    errno: bool,
    missing: bool,
    cut: bool,
}

impl Also {
    fn see<T: Copy>(&mut self, value: &Value<'_, T>) {
        match value {
            Value::Known(_) => {}
            Value::Partial(..) => self.cut = true,
            Value::Missing(_) => self.missing = true,
        }
    }
}

fn args(o: &mut Object<'_>, event: &ProbeEvent<'_>, also: &mut Also) {
    let mut args = Object::open(o.key(key!("args")));
    for (name, value) in event.args() {
        also.see(&value);
        let out = args.named(name);
        match value.shown() {
            Some(value) => {
                also.raw |= datum(&value, out) == Written::Lossy;
                also.errno |= value.errno().is_some();
            }
            None => out.extend_from_slice(b"null"),
        }
    }
    args.close();
    if also.raw {
        let mut raw = Object::open(o.key(key!("args_raw")));
        for (name, value) in event.args() {
            each_raw(value.shown(), |bytes| base64(bytes, raw.named(name)));
        }
        raw.close();
    }
    if also.errno {
        let mut errnos = Object::open(o.key(key!("args_errno")));
        for (name, value) in event.args() {
            if let Some(errno) = value.shown().and_then(|value| value.errno()) {
                string(&errno_name(errno), errnos.named(name));
            }
        }
        errnos.close();
    }
}

fn retval(o: &mut Object<'_>, event: &ProbeEvent<'_>, also: &mut Also) {
    let Some(value) = event.retval() else {
        o.null(key!("retval"));
        o.null(key!("errno"));
        return;
    };
    also.see(&value);
    match value.shown() {
        Some(shown) => {
            if datum(&shown, o.key(key!("retval"))) == Written::Lossy {
                each_raw(Some(shown), |bytes| base64(bytes, o.key(key!("retval_raw"))));
            }
        }
        None => o.null(key!("retval")),
    }
    match event.errno() {
        Some(errno) => o.text(key!("errno"), &errno_name(errno)),
        None => o.null(key!("errno")),
    }
}

/// Whether a value could be written as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Whole,
    /// It is a text that is not UTF-8.
    Lossy,
}

/// Writes a value.
pub(super) fn datum(value: &Datum<'_>, out: &mut Vec<u8>) -> Written {
    match value {
        Datum::Signed(value) | Datum::Result(value) => signed(*value, out),
        Datum::Unsigned(value) | Datum::Hex(value) | Datum::Pointer(value) => number(*value, out),
        Datum::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Datum::Enum { name: Some(name), .. } => string(name, out),
        Datum::Enum { value, name: None } => {
            out.push(b'"');
            signed(*value, out);
            out.push(b'"');
        }
        Datum::Char(byte) => return bytes(&[*byte], out),
        Datum::Text(text) => return bytes(text, out),
    }
    Written::Whole
}

/// Writes bytes as a string, with U+FFFD where they are not UTF-8.
pub(super) fn bytes(value: &[u8], out: &mut Vec<u8>) -> Written {
    match str::from_utf8(value) {
        Ok(text) => {
            string(text, out);
            Written::Whole
        }
        Err(_) => {
            string(&String::from_utf8_lossy(value), out);
            Written::Lossy
        }
    }
}

/// Calls `tell` with the bytes of a text that is not UTF-8.
pub(super) fn each_raw(value: Option<Datum<'_>>, tell: impl FnOnce(&[u8])) {
    let one;
    let bytes = match value {
        Some(Datum::Text(text)) => text,
        Some(Datum::Char(byte)) => {
            one = [byte];
            &one
        }
        _ => return,
    };
    if str::from_utf8(bytes).is_err() {
        tell(bytes);
    }
}

fn kernel_stack(o: &mut Object<'_>, stack: Value<'_, Frames<'_>>, symbols: &Symbols) {
    let Some(frames) = stack.shown() else {
        o.null(key!("stack"));
        return;
    };
    array(o.key(key!("stack")), symbols.kernel_stack(frames.iter()), |frame: KernelFrame<'_>, out| {
        let mut object = Object::open(out);
        object.number(key!("address"), frame.address);
        optional_text(&mut object, key!("symbol"), frame.symbol);
        object.optional(key!("offset"), frame.offset);
        optional_text(&mut object, key!("module"), frame.module);
        object.close();
    });
}

/// Writes the stack; why its frames have no names, if they have none.
fn user_stack(
    o: &mut Object<'_>,
    stack: Value<'_, Frames<'_>>,
    pid: u32,
    symbols: &mut Symbols,
) -> Option<String> {
    let Some(frames) = stack.shown() else {
        o.null(key!("user_stack"));
        return None;
    };
    let out = o.key(key!("user_stack"));
    out.push(b'[');
    let mut first = true;
    let result = symbols.user_stack(pid, frames.iter(), |frame: UserFrame<'_>| {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        let mut object = Object::open(out);
        object.number(key!("address"), frame.address);
        match frame.symbol {
            Some(symbol) => object.bytes(key!("symbol"), key!("symbol_raw"), symbol),
            None => object.null(key!("symbol")),
        }
        object.optional(key!("offset"), frame.offset);
        match frame.file {
            Some(file) => object.bytes(key!("file"), key!("file_raw"), file),
            None => object.null(key!("file")),
        }
        object.close();
    });
    out.push(b']');
    result.err().map(|error| error.to_string())
}

fn optional_text(o: &mut Object<'_>, name: Key, text: Option<&str>) {
    match text {
        Some(text) => o.text(name, text),
        None => o.null(name),
    }
}

fn missing(o: &mut Object<'_>, event: &ProbeEvent<'_>, symbols: &Symbols, unnamed: Option<&str>) {
    let mut told = Told { object: Object::open(o.key(key!("missing"))), name: String::new() };
    if let Some(reason) = event.duration_ns.and_then(|duration| duration.missing()) {
        told.tell("", "duration_ns", &reason);
    }
    for (name, value) in event.args() {
        if let Some(reason) = value.missing() {
            told.tell("args.", name, &reason);
        }
    }
    if let Some(reason) = event.retval().and_then(|value| value.missing()) {
        told.tell("", "retval", &reason);
    }
    match event.kernel_stack {
        Some(Value::Missing(reason)) => told.tell("", "stack", &reason),
        Some(_) => {
            if let Some(reason) = symbols.kernel_reason() {
                told.tell("stack.", "symbol", &reason);
            }
        }
        None => {}
    }
    if let Some(reason) = event.user_stack.and_then(|stack| stack.missing()) {
        told.tell("", "user_stack", &reason);
    }
    if let Some(reason) = unnamed {
        told.tell("user_stack.", "symbol", &reason);
    }
    told.object.close();
}

fn cut(o: &mut Object<'_>, event: &ProbeEvent<'_>) {
    let mut told = Told { object: Object::open(o.key(key!("cut"))), name: String::new() };
    for (name, value) in event.args() {
        if let Some(cut) = value.cut() {
            told.tell("args.", name, &cut);
        }
    }
    if let Some(cut) = event.retval().and_then(|value| value.cut()) {
        told.tell("", "retval", &cut);
    }
    for (name, stack) in [("stack", event.kernel_stack), ("user_stack", event.user_stack)] {
        if let Some(cut) = stack.and_then(|stack| stack.cut()) {
            told.tell("", name, &cut);
        }
    }
    told.object.close();
}

/// An object of fields and what is to be said of them.
struct Told<'o> {
    object: Object<'o>,
    name: String,
}

impl Told<'_> {
    fn tell(&mut self, parent: &str, name: &str, what: &dyn fmt::Display) {
        self.name.clear();
        self.name.push_str(parent);
        self.name.push_str(name);
        let out = self.object.named(&self.name);
        self.name.clear();
        // Writing into a string does not fail.
        let _ = write!(self.name, "{what}");
        string(&self.name, out);
    }
}
