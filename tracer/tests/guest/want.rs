//! What an exec's event has to say, field by field, and the comparison.
//!
//! A wanted value is compared exactly, but for `{"$any": true}`, which is whatever, and
//! `{"$end_of": "…"}`, which is a proper end of that string.

use serde_json::{Map, Value, json};

use crate::process::{Who, nowhere};

/// Fields that say when and by whom an exec was seen: told apart from what was done.
pub(crate) const OF_THE_RUN: [&str; 7] = ["schema", "type", "time", "boot_ns", "cpu", "seq", "hook"];

/// One exec.
#[derive(Clone, Debug)]
pub(crate) struct Want {
    fields: Map<String, Value>,
    missing: Map<String, Value>,
    start: Option<(u64, u64)>,
    /// Hook families that cannot see it.
    unseen: Vec<String>,
}

impl Who {
    /// The exec of `path` succeeds: `exe` is the program that runs, `argv` its arguments.
    pub(crate) fn runs<S: AsRef<[u8]>>(&self, path: &[u8], exe: &[u8], argv: &[S]) -> Want {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap();
        self.want(path, argv).bytes("comm", &name[..name.len().min(15)]).bytes("exe", exe)
    }

    /// The exec of `path` fails.
    pub(crate) fn fails<S: AsRef<[u8]>>(&self, path: &[u8], argv: &[S], errno: i32) -> Want {
        let name = errno_name(errno);
        let mut want = self.want(path, argv).set("retval", -errno).set("errno", name).set("exe", Value::Null);
        want.missing.insert("exe".to_owned(), json!("the exec failed"));
        want
    }

    fn want<S: AsRef<[u8]>>(&self, path: &[u8], argv: &[S]) -> Want {
        let mut fields = self.fields.clone();
        for name in
            ["exe_deleted", "cwd_deleted", "set_uid", "set_gid", "privilege", "compat", "kernel_started"]
        {
            fields.insert(name.to_owned(), json!(false));
        }
        for name in ["dirfd", "interpreter", "errno"] {
            fields.insert(name.to_owned(), Value::Null);
        }
        fields.insert("retval".to_owned(), json!(0));
        let start = Some((self.start, self.parent_start));
        let want = Want { fields, missing: self.missing.clone(), start, unseen: Vec::new() };
        want.bytes("filename", path).argv(argv)
    }
}

impl Want {
    pub(crate) fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Whatever this field says is right.
    pub(crate) fn any(self, name: &str) -> Self {
        self.set(name, json!({"$any": true}))
    }

    pub(crate) fn bytes(mut self, name: &str, bytes: &[u8]) -> Self {
        put_bytes(&mut self.fields, name, bytes);
        self
    }

    pub(crate) fn argv<S: AsRef<[u8]>>(self, argv: &[S]) -> Self {
        let strings: Vec<_> = argv.iter().map(|arg| text(arg.as_ref())).collect();
        let raw: Vec<_> = argv.iter().map(|arg| base64(arg.as_ref())).collect();
        let bytes: usize = argv.iter().map(|arg| arg.as_ref().len() + 1).sum();
        let utf8 = argv.iter().all(|arg| str::from_utf8(arg.as_ref()).is_ok());
        let want = self.set("argv", strings).set("argc", argv.len()).set("argv_bytes", bytes);
        if utf8 { want } else { want.set("argv_raw", raw) }
    }

    /// These arguments could not be read.
    pub(crate) fn unread(mut self, indices: &[usize]) -> Self {
        let argv = self.fields["argv"].as_array_mut().unwrap();
        indices.iter().for_each(|index| argv[*index] = Value::Null);
        let reason = match indices.len() {
            1 => "1 element could not be read at the event".to_owned(),
            n => format!("{n} elements could not be read at the event"),
        };
        self.gone("argv_bytes", &reason).because("argv", &reason)
    }

    /// The field is null, for this reason.
    pub(crate) fn gone(self, name: &str, reason: &str) -> Self {
        self.set(name, Value::Null).because(name, reason)
    }

    fn because(mut self, name: &str, reason: &str) -> Self {
        self.missing.insert(name.to_owned(), json!(reason));
        self
    }

    pub(crate) fn unseen_by(mut self, hook: &str) -> Self {
        self.unseen.push(hook.to_owned());
        self
    }

    /// The process is one that the kernel started: who it is cannot be known before.
    pub(crate) fn nobody<S: AsRef<[u8]>>(path: &[u8], argv: &[S]) -> Self {
        let mut fields = Map::new();
        fields.insert("cgroup".to_owned(), json!("/"));
        nowhere(&mut fields);
        let who = Who { pid: 0, fields, missing: Map::new(), start: 0, parent_start: 0 };
        let mut want = who.runs(path, path, argv);
        want.start = None;
        want
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut fields = self.fields.clone();
        if !self.missing.is_empty() {
            fields.insert("missing".to_owned(), json!(self.missing));
        }
        json!({"fields": fields, "start": self.start, "unseen": self.unseen})
    }
}

/// Is it for this family to see?
pub(crate) fn seen_by(want: &Value, hook: &str) -> bool {
    !want["unseen"].as_array().unwrap().iter().any(|family| family == hook)
}

/// Panics with every difference.
pub(crate) fn compare(want: &Value, event: &Value) {
    let mut wrong = Vec::new();
    let wanted = want["fields"].as_object().unwrap();
    let shown = event.as_object().unwrap();
    for (name, value) in shown {
        let known = wanted.contains_key(name) || OF_THE_RUN.contains(&name.as_str());
        if !known && name != "id" && name != "parent_id" {
            wrong.push(format!("{name}: {} was not to be there", short(value)));
        }
    }
    for (name, value) in wanted {
        let event = shown.get(name).unwrap_or(&Value::Null);
        if !matches(value, event) {
            wrong.push(format!("{name}: {}, wanted {}", short(event), short(value)));
        }
    }
    if let (Some(own), Some(parents)) = (want["start"][0].as_u64(), want["start"][1].as_u64()) {
        for (name, pid, ticks) in [("id", &event["pid"], own), ("parent_id", &event["ppid"], parents)] {
            let id = event[name].as_str().unwrap_or_default();
            let (shown_pid, ns) = id.split_once('-').unwrap_or_default();
            let right = *pid == shown_pid.parse::<u64>().unwrap_or(0)
                && ns.parse::<u64>().unwrap_or(0) / 10_000_000 == ticks;
            if !right {
                wrong.push(format!("{name}: {id:?}, wanted {pid} since {ticks} ticks"));
            }
        }
    }
    assert!(wrong.is_empty(), "differences:\n{}", wrong.join("\n"));
}

fn matches(want: &Value, event: &Value) -> bool {
    if want["$any"] == true {
        return true;
    }
    match want["$end_of"].as_str() {
        Some(whole) => event.as_str().is_some_and(|end| {
            whole.len() > end.len() && end.len() > 1000 && whole.ends_with(end) && !end.starts_with('/')
        }),
        None => want == event,
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.len() {
        0..500 => text,
        len => {
            let head: String = text.chars().take(200).collect();
            format!("{head}… ({len} bytes)")
        }
    }
}

/// As JSON shows bytes.
pub(crate) fn text(bytes: &[u8]) -> Value {
    json!(String::from_utf8_lossy(bytes))
}

/// Puts bytes into a field, and into its companion if they are not UTF-8.
pub(crate) fn put_bytes(fields: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    let raw = format!("{name}_raw");
    fields.remove(&raw);
    fields.insert(name.to_owned(), text(bytes));
    if str::from_utf8(bytes).is_err() {
        fields.insert(raw, json!(base64(bytes)));
    }
}

/// RFC 4648, with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let byte = |at| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 63;
            out.push(if digit > group.len() { '=' } else { char::from(DIGITS[value as usize]) });
        }
    }
    out
}

pub(crate) fn errno_name(errno: i32) -> &'static str {
    match errno {
        libc::ENOENT => "ENOENT",
        libc::E2BIG => "E2BIG",
        libc::ENOEXEC => "ENOEXEC",
        libc::EBADF => "EBADF",
        libc::EACCES => "EACCES",
        libc::EFAULT => "EFAULT",
        libc::EINVAL => "EINVAL",
        libc::ENOTDIR => "ENOTDIR",
        libc::ELOOP => "ELOOP",
        libc::ENAMETOOLONG => "ENAMETOOLONG",
        _ => panic!("errno {errno}"),
    }
}
