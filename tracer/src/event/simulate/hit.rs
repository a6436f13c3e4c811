//! Hits of probes as the kernel side would write them, and a run whose points they are of.

use std::{mem::offset_of, num::NonZeroU32, sync::Arc};

use tracer_common::{
    Header, Hook, Kind,
    probe::{Fetch, Filter, MAX_VALUES, Probe, fetch, hit, read, source},
};

use crate::plan::probe::{Ends, EnumNames, Mode, Place, Point, ProbeRun, ShowAs, Stacks, ValueSpec, Who};

/// A hit as the kernel side would see it.
#[derive(Clone, Debug, Default)]
pub struct SimulatedHit {
    /// Its lengths, and the values that are texts, are filled in by [`SimulatedHit::record`].
    pub record: Probe,
    /// Texts, by the number of their value.
    pub texts: Vec<(usize, Vec<u8>)>,
    pub kernel_stack: Vec<u64>,
    pub user_stack: Vec<u64>,
}

impl SimulatedHit {
    /// A hit of a point, with both ends, and these numbers.
    pub fn of(point: u32, numbers: &[u64], texts: &[(usize, &[u8])]) -> Self {
        let mut record = Probe {
            header: Header {
                hook: Hook::Kprobe as u16,
                cpu: 1,
                tid: 4242,
                boot_ns: 81_234_567_890,
                seq: 7,
                ..Header::default()
            },
            duration_ns: 12_345,
            cgroup_id: 4567,
            point,
            pid: 4242,
            uid: 1000,
            flags: hit::ENTRY | hit::RETURN,
            ..Probe::default()
        };
        record.comm[..2].copy_from_slice(b"dd");
        record.values[..numbers.len()].copy_from_slice(numbers);
        let texts = texts.iter().map(|(value, text)| (*value, text.to_vec())).collect();
        Self { record, texts, ..Self::default() }
    }

    /// A read of 4 KiB that did as it was told: point 0 of [`example_run`].
    pub fn example() -> Self {
        Self::of(0, &[0, 0x7ffe_0000_1000, 4096, 4096], &[(0, b"passwd")])
    }

    /// Its record. A stack length that is set already, to an error, is left.
    pub fn record(&self) -> Vec<u8> {
        let mut record = self.record;
        let mut body = Vec::new();
        let stacks = [
            (&self.kernel_stack, &mut record.kernel_stack_len),
            (&self.user_stack, &mut record.user_stack_len),
        ];
        for (stack, len) in stacks {
            if *len >= 0 {
                *len = (stack.len() * 8) as i32;
                body.extend(stack.iter().flat_map(|address| address.to_ne_bytes()));
            }
        }
        let mut at = 0;
        for (value, text) in &self.texts {
            record.values[*value] = at | (text.len() as u64) << 32;
            at += text.len() as u64;
            body.extend_from_slice(text);
        }
        record.text_len = at as u32;
        probe_record(record, &body)
    }
}

/// A record of a hit with these variable parts; its size and kind are filled in.
pub fn probe_record(mut record: Probe, body: &[u8]) -> Vec<u8> {
    record.header.size = (size_of::<Probe>() + body.len()) as u32;
    record.header.kind = Kind::Probe as u16;
    super::record(&record, body)
}

/// Any bytes as a record of a hit, for fuzzing: bits of `mend` say how much of it is put right (size, kind, point,
/// lengths), so that garbage gets past the first checks.
pub fn hit_from(bytes: &[u8], mend: u8) -> Vec<u8> {
    let mut record = bytes.to_vec();
    if mend & 1 != 0 {
        super::patch(&mut record, 0, &(bytes.len() as u32).to_ne_bytes());
    }
    if mend & 2 != 0 {
        super::patch(&mut record, 4, &(Kind::Probe as u16).to_ne_bytes());
    }
    if mend & 4 != 0 {
        super::patch(&mut record, offset_of!(Probe, point), &u32::from(mend >> 5).to_ne_bytes());
    }
    if mend & 8 != 0 {
        // Small whole numbers of addresses, and a few bytes of texts.
        for at in [offset_of!(Probe, kernel_stack_len), offset_of!(Probe, user_stack_len)] {
            let len = record.get(at).copied().unwrap_or(0) & 0x18;
            super::patch(&mut record, at, &u32::from(len).to_ne_bytes());
        }
        super::patch(&mut record, offset_of!(Probe, text_len) + 1, &[0, 0, 0]);
    }
    if mend & 16 != 0 {
        // Texts of a few bytes each, near the start.
        for value in 0..MAX_VALUES {
            let at = offset_of!(Probe, values) + 8 * value;
            let (start, len) =
                (record.get(at).map_or(0, |byte| byte & 7), record.get(at + 4).map_or(0, |byte| byte & 7));
            super::patch(&mut record, at, &[start, 0, 0, 0, len, 0, 0, 0]);
        }
    }
    record
}

/// A run with a point of each kind: values of every type.
pub fn example_run(stacks: Stacks) -> ProbeRun {
    ProbeRun {
        points: vec![vfs_read(), openat(), sched_switch(), tcp_set_state(), filp_open()],
        mode: Mode::Stream,
        who: Who::default(),
        sample: NonZeroU32::MIN,
        rate: None,
        stacks,
        buffer: 1 << 22,
        strict: false,
    }
}

fn vfs_read() -> Point {
    let place = Place::Kprobe {
        symbol: "vfs_read".into(),
        offset: 0,
        module: None,
        addresses: vec![0xffff_ffff_8130_0000],
        multi: true,
        single: true,
    };
    let mut hidden = value("pos", "loff_t *", ShowAs::Pointer, 8);
    hidden.fetch.flags |= fetch::HIDDEN;
    let values = vec![
        text("file.f_path.dentry.d_name.name", "const unsigned char *"),
        value("buf", "char *", ShowAs::Pointer, 8),
        value("count", "size_t", ShowAs::Unsigned, 8),
        result("ssize_t", ShowAs::Errno { bits: 64 }),
        hidden,
    ];
    point("kprobe:vfs_read", place, Ends::Both, values)
}

fn openat() -> Point {
    let place = Place::Syscall { name: "openat".into(), number: 257 };
    let values = vec![
        value("dfd", "int", ShowAs::Signed, 4),
        text("filename", "const char *"),
        value("flags", "int", ShowAs::Hex, 4),
        value("mode", "umode_t", ShowAs::Unsigned, 2),
        result("long", ShowAs::Errno { bits: 64 }),
    ];
    point("syscall:openat", place, Ends::Both, values)
}

fn sched_switch() -> Point {
    let place = Place::Tracepoint { category: "sched".into(), name: "sched_switch".into(), id: 315 };
    let values = vec![
        text("prev_comm", "char[16]"),
        value("prev_pid", "pid_t", ShowAs::Signed, 4),
        value("prev_state", "long", ShowAs::Hex, 8),
        text("next_comm", "char[16]"),
    ];
    point("tracepoint:sched:sched_switch", place, Ends::Entry, values)
}

fn tcp_set_state() -> Point {
    let place =
        Place::Trampoline { function: "tcp_set_state".into(), module: None, btf_id: 77, arguments: 2 };
    let states = [(1, "TCP_ESTABLISHED"), (2, "TCP_SYN_SENT"), (7, "TCP_CLOSE")];
    let names = EnumNames {
        name: "tcp_state".into(),
        values: states.map(|(value, name)| (value, name.to_owned())).to_vec(),
    };
    let mut err = value("sk.sk_err", "int", ShowAs::Errno { bits: 32 }, 4);
    err.fetch.flags |= fetch::SIGNED;
    let values = vec![
        value("state", "enum tcp_state", ShowAs::Enum(Arc::new(names)), 4),
        value("sk.sk_kern_sock", "bool", ShowAs::Bool, 1),
        value("tag", "char", ShowAs::Char, 1),
        err,
    ];
    point("fentry:tcp_set_state", place, Ends::Entry, values)
}

fn filp_open() -> Point {
    let place = Place::RawTracepoint { name: "filp_open".into(), btf_id: 9, arguments: 3 };
    point("rawtp:filp_open", place, Ends::Return, vec![result("struct file *", ShowAs::PointerOrErrno)])
}

fn point(name: &str, place: Place, ends: Ends, values: Vec<ValueSpec>) -> Point {
    Point {
        name: name.into(),
        place,
        ends,
        values,
        filter: Filter::default(),
        filter_at_entry: false,
        keys: Vec::new(),
        measure: None,
    }
}

fn value(name: &str, c_type: &str, show: ShowAs, size: u8) -> ValueSpec {
    let flags = if show == ShowAs::Signed { fetch::SIGNED } else { 0 };
    let fetch = Fetch { size, flags, ..Fetch::default() };
    ValueSpec { name: name.into(), fetch, show, c_type: c_type.into() }
}

fn text(name: &str, c_type: &str) -> ValueSpec {
    let fetch = Fetch { read: read::TEXT, limit: 64, ..Fetch::default() };
    ValueSpec { name: name.into(), fetch, show: ShowAs::Text, c_type: c_type.into() }
}

fn result(c_type: &str, show: ShowAs) -> ValueSpec {
    let mut value = value("retval", c_type, show, 8);
    value.fetch.source = source::RESULT;
    value.fetch.flags |= fetch::AT_RETURN;
    value
}
