//! ProbeDecoder of [`tracer_common::probe::Probe`], and the event that it becomes.
//!
//! *Invariant:* an event borrows from its record and from the [`ProbeDecoder`]; decoding allocates nothing. Every part of
//! the record that the event can show has been checked when there is an event.
//!
//! *Must not know:* how points are attached, how events are rendered.

use tracer_common::{
    Kind,
    probe::{MAX_FRAMES, MAX_VALUES, Probe, fetch, hit, read, source},
};

use super::{Cut, Datum, DecodeError, Missing, Value, wire};
use crate::plan::probe::{Ends, Point, ProbeRun, Stacks, ValueSpec};

/// Turns records of hits into events: what the points of a run look like.
#[derive(Clone, Debug, Default)]
pub struct ProbeDecoder {
    points: Vec<Layout>,
    stacks: Stacks,
}

/// What a record says of a point.
#[derive(Clone, Debug)]
struct Layout {
    name: String,
    hook: &'static str,
    ends: Ends,
    values: Vec<ValueSpec>,
    /// The places in `values` of those that are shown as arguments.
    args: Vec<usize>,
    retval: Option<usize>,
}

/// A hit of a probe.
///
/// Strings are bytes: the kernel promises no encoding.
#[derive(Clone, Copy, Debug)]
pub struct ProbeEvent<'a> {
    /// Nanoseconds since boot, suspended time included: of the entry, where one was seen.
    pub boot_ns: u64,
    pub cpu: u32,
    pub seq: u64,
    /// What kind of probe it was: `kprobe`, `fentry`, `tracepoint`, `rawtp`, `syscall`.
    pub hook: &'static str,
    /// The point's name: `kprobe:vfs_read`.
    pub probe: &'a str,
    /// The point's number.
    pub point: usize,
    pub pid: u32,
    pub tid: u32,
    pub uid: u32,
    /// Id of the process' cgroup in the v2 hierarchy.
    pub cgroup_id: u64,
    /// From the entry to the return, in nanoseconds; `None`: the point has but one of them.
    pub duration_ns: Option<Value<'a, u64>>,
    /// Of a 32-bit system call.
    pub compat: bool,
    /// `None`: nobody asked for it.
    pub kernel_stack: Option<Value<'a, Frames<'a>>>,
    pub user_stack: Option<Value<'a, Frames<'a>>>,
    record: Probe,
    layout: &'a Layout,
    texts: &'a [u8],
}

/// The addresses of a stack, the innermost first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frames<'a>(&'a [[u8; 8]]);

impl<'a> Frames<'a> {
    /// The addresses.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u64> + Clone + use<'a> {
        self.0.iter().map(|address| u64::from_ne_bytes(*address))
    }
}

impl Layout {
    fn of(point: &Point) -> Self {
        let values: Vec<_> = point.values.iter().take(MAX_VALUES).cloned().collect();
        let shown = |at: &usize| values[*at].fetch.flags & fetch::HIDDEN == 0;
        // A parameter may be called so, too.
        let is_retval =
            |at: &usize| values[*at].fetch.source == source::RESULT && values[*at].name == "retval";
        let retval = (0..values.len()).filter(shown).find(is_retval);
        let args = (0..values.len()).filter(shown).filter(|at| retval != Some(*at)).collect();
        Self { name: point.name.clone(), hook: point.place.kind(), ends: point.ends, values, args, retval }
    }
}

/// Whether a value is a text, whose bytes lie among the record's texts.
pub(super) fn is_text(spec: &ValueSpec) -> bool {
    matches!(spec.fetch.read, read::TEXT | read::ARRAY | read::DATA_LOC | read::REL_LOC)
}

impl ProbeDecoder {
    /// The decoder for what a run's points make.
    pub fn new(run: &ProbeRun) -> Self {
        Self { points: run.points.iter().map(Layout::of).collect(), stacks: run.stacks }
    }

    /// Takes one record from the ring.
    ///
    /// # Errors
    /// If the record breaks the wire contract. Later records are not affected.
    pub fn decode<'a>(&'a self, record: &'a [u8]) -> Result<ProbeEvent<'a>, DecodeError> {
        let (header, record) = wire::header(record)?;
        let (cpu, tid) = (header.cpu, header.tid);
        if Kind::from_u16(header.kind) != Some(Kind::Probe) {
            return Err(DecodeError::Kind { kind: header.kind, cpu, tid });
        }
        let (record, rest) = wire::split::<Probe>(record)?;
        let number = record.point as usize;
        let points = self.points.len();
        let layout =
            self.points.get(number).ok_or(DecodeError::Point { point: record.point, points, cpu, tid })?;

        let stack = |len: i32| usize::try_from(len).unwrap_or(0);
        let (kernel, user) = (stack(record.kernel_stack_len), stack(record.user_stack_len));
        let named = kernel as u64 + user as u64 + u64::from(record.text_len);
        let parts = DecodeError::HitParts { named, carried: rest.len(), cpu, tid };
        let Some((kernel, rest)) = rest.split_at_checked(kernel) else { return Err(parts) };
        let Some((user, rest)) = rest.split_at_checked(user) else { return Err(parts) };
        let Some(texts) = rest.get(..record.text_len as usize) else { return Err(parts) };
        let frames = |bytes: &'a [u8]| match bytes.as_chunks() {
            (frames, []) => Ok(Frames(frames)),
            _ => Err(DecodeError::Stack { len: bytes.len(), cpu, tid }),
        };
        let kernel_stack = frames(kernel).map(|frames| stack_value(frames, record.kernel_stack_len))?;
        let user_stack = frames(user).map(|frames| stack_value(frames, record.user_stack_len))?;

        let event = ProbeEvent {
            boot_ns: header.boot_ns,
            cpu,
            seq: header.seq,
            hook: layout.hook,
            probe: &layout.name,
            point: number,
            pid: record.pid,
            tid,
            uid: record.uid,
            cgroup_id: record.cgroup_id,
            duration_ns: duration(layout, &record),
            compat: record.flags & hit::COMPAT != 0,
            kernel_stack: self.stacks.kernel.then_some(kernel_stack),
            user_stack: self.stacks.user.then_some(user_stack),
            record,
            layout,
            texts,
        };
        for (at, spec) in layout.values.iter().enumerate() {
            if is_text(spec) && event.gone(at, spec).is_none() && event.text(at).is_none() {
                return Err(DecodeError::Text { value: at, texts: texts.len(), cpu, tid });
            }
        }
        Ok(event)
    }
}

fn stack_value(frames: Frames<'_>, len: i32) -> Value<'_, Frames<'_>> {
    match len {
        ..0 => Value::Missing(Missing::Errno(len.unsigned_abs())),
        _ if frames.0.len() >= MAX_FRAMES => Value::Partial(frames, Cut::Frames),
        _ => Value::Known(frames),
    }
}

fn duration<'a>(layout: &Layout, record: &Probe) -> Option<Value<'a, u64>> {
    let seen = record.flags & (hit::ENTRY | hit::RETURN);
    if seen == hit::ENTRY | hit::RETURN {
        return Some(Value::Known(record.duration_ns));
    }
    let unseen = if seen & hit::ENTRY == 0 { Missing::EntryUnseen } else { Missing::ReturnUnseen };
    (layout.ends == Ends::Both).then_some(Value::Missing(unseen))
}

impl<'a> ProbeEvent<'a> {
    /// Name of the thread.
    pub fn comm(&self) -> &[u8] {
        let end = self.record.comm.iter().position(|byte| *byte == 0);
        &self.record.comm[..end.unwrap_or(self.record.comm.len())]
    }

    /// The values by name, save the result.
    pub fn args(&self) -> impl Iterator<Item = (&'a str, Value<'a, Datum<'a>>)> + '_ {
        self.layout.args.iter().map(|at| (self.layout.values[*at].name.as_str(), self.value(*at)))
    }

    /// The result; `None`: the point shows none.
    pub fn retval(&self) -> Option<Value<'a, Datum<'a>>> {
        self.layout.retval.map(|at| self.value(at))
    }

    /// The error that the result is, if it is one.
    pub fn errno(&self) -> Option<u32> {
        self.retval()?.shown()?.errno()
    }

    fn value(&self, at: usize) -> Value<'a, Datum<'a>> {
        let spec = &self.layout.values[at];
        if let Some(reason) = self.gone(at, spec) {
            return Value::Missing(reason);
        }
        if !is_text(spec) {
            return Value::Known(Datum::number(spec, self.record.values[at]));
        }
        // `decode` has found it within the texts.
        let text = Datum::Text(self.text(at).unwrap_or_default());
        match self.record.cut & 1 << at {
            0 => Value::Known(text),
            _ => Value::Partial(text, Cut::Text(text_limit(spec))),
        }
    }

    /// Why there is no such value, if there is none.
    fn gone(&self, at: usize, spec: &ValueSpec) -> Option<Missing<'a>> {
        if self.layout.ends == Ends::Both {
            let (end, unseen) = match spec.fetch.flags & fetch::AT_RETURN {
                0 => (hit::ENTRY, Missing::EntryUnseen),
                _ => (hit::RETURN, Missing::ReturnUnseen),
            };
            if self.record.flags & end == 0 {
                return Some(unseen);
            }
        }
        (self.record.unreadable & 1 << at != 0).then_some(Missing::Unread)
    }

    fn text(&self, at: usize) -> Option<&'a [u8]> {
        let place = self.record.values[at];
        let (start, len) = (place as u32 as usize, (place >> 32) as usize);
        self.texts.get(start..start.checked_add(len)?)
    }
}

/// The longest text that is kept of a value.
fn text_limit(spec: &ValueSpec) -> u32 {
    match spec.fetch.limit {
        0 => tracer_common::probe::MAX_TEXT as u32,
        limit => limit.into(),
    }
}

#[cfg(test)]
mod tests;
