//! What to probe, as it is written: `kprobe:tcp_*`, `fentry:xfs:xfs_read`, `tracepoint:sched:sched_switch`,
//! `syscall:openat`, `kprobe:/^ext4_.*_write$/`, `kprobe:vfs_read+0x10`; `vfs_read` means `kprobe:vfs_read`.
//!
//! *Invariant:* pure; any text is a spec or a [`Mistake`] at a place of it.
//!
//! *Must not know:* which names there are.

mod mistake;
mod path;
mod pattern;
#[cfg(test)]
mod tests;

use std::{fmt, ops::Range};

pub use mistake::Mistake;
pub use path::{Format, Path, Step, begins_name, parse_path, path_at};
pub use pattern::Pattern;

/// Longest spec, in bytes: the kernel's longest name has 511.
const MAX_TEXT: usize = 1024;

/// By which mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Kprobe,
    Kretprobe,
    Fentry,
    Fexit,
    Tracepoint,
    RawTracepoint,
    Syscall,
}

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::Kprobe,
        Self::Kretprobe,
        Self::Fentry,
        Self::Fexit,
        Self::Tracepoint,
        Self::RawTracepoint,
        Self::Syscall,
    ];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kprobe => "kprobe",
            Self::Kretprobe => "kretprobe",
            Self::Fentry => "fentry",
            Self::Fexit => "fexit",
            Self::Tracepoint => "tracepoint",
            Self::RawTracepoint => "rawtp",
            Self::Syscall => "syscall",
        }
    }

    /// What has to follow the kind.
    const fn form(self) -> &'static str {
        match self {
            Self::Kprobe => "kprobe:[MODULE:]FUNCTION[+OFFSET]",
            Self::Kretprobe => "kretprobe:[MODULE:]FUNCTION",
            Self::Fentry => "fentry:[MODULE:]FUNCTION",
            Self::Fexit => "fexit:[MODULE:]FUNCTION",
            Self::Tracepoint => "tracepoint:CATEGORY:NAME",
            Self::RawTracepoint => "rawtp:NAME",
            Self::Syscall => "syscall:NAME",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One spec.
#[derive(Clone, Debug)]
pub struct ProbeSpec {
    /// As it was written.
    pub text: String,
    pub kind: Kind,
    /// The module of a function; the category of a tracepoint, which is always there.
    pub group: Option<Pattern>,
    pub name: Pattern,
    /// Bytes from the start of the function: only of a kprobe whose name is exact.
    pub offset: u64,
    /// Where in the text the name stands, for what is found wrong with it later.
    pub name_span: Range<usize>,
    pub group_span: Range<usize>,
}

impl ProbeSpec {
    /// A mistake about the name, found when it was looked up.
    pub fn at_name(&self, what: impl Into<String>) -> Mistake {
        Mistake::new(&self.text, self.name_span.clone(), what)
    }

    /// A mistake about the module or the category.
    pub fn at_group(&self, what: impl Into<String>) -> Mistake {
        Mistake::new(&self.text, self.group_span.clone(), what)
    }

    /// One thing is meant, not whatever matches.
    pub fn is_exact(&self) -> bool {
        self.name.exact().is_some() && self.group.as_ref().is_none_or(|group| group.exact().is_some())
    }
}

/// Reads a spec.
///
/// # Errors
/// It is none; the mistake says where and why.
pub fn parse(text: &str) -> Result<ProbeSpec, Mistake> {
    if text.trim().is_empty() {
        return Err(Mistake::new(text, 0..text.len(), "an empty probe")
            .help("name a function, such as vfs_read, or KIND:NAME, such as syscall:openat"));
    }
    if text.len() > MAX_TEXT {
        let what = format!("a probe of {} bytes: {MAX_TEXT} are the most", text.len());
        let (start, end) = (text.floor_char_boundary(40), text.len());
        let start_of = &text[..start];
        return Err(Mistake::new(&format!("{start_of}..."), start..end, what)
            .help("name fewer at once: several probes may be given"));
    }
    if let Some((at, blank)) = text.char_indices().find(|(_, c)| c.is_whitespace()) {
        return Err(Mistake::new(text, at..at + blank.len_utf8(), "a probe has no blanks")
            .help("several probes are several words; what to show is --show, what to filter is --where"));
    }
    let (kind, start) = kind_of(text)?;
    Reader { text, kind }.rest(start)
}

/// The kind, and where what follows it starts.
fn kind_of(text: &str) -> Result<(Kind, usize), Mistake> {
    if text.starts_with('/') {
        return Ok((Kind::Kprobe, 0));
    }
    let Some((word, _)) = text.split_once(':') else {
        if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == text) {
            return Err(Mistake::new(text, text.len()..text.len(), format!("a {kind} of what?"))
                .help(format!("write {}", kind.form())));
        }
        return Ok((Kind::Kprobe, 0));
    };
    if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == word) {
        return Ok((kind, word.len() + 1));
    }
    let what = if word.is_empty() {
        "no kind before the ':'".to_owned()
    } else {
        format!("there is no kind of probe '{word}'")
    };
    Err(Mistake::new(text, 0..word.len().max(1), what).help(instead_of(word, text)))
}

/// The way out for one who wrote this kind.
fn instead_of(word: &str, text: &str) -> String {
    /// What other tools call them.
    const OTHERS: [(&str, &[&str]); 7] = [
        ("kprobe", &["k", "p", "kp", "function", "func", "kprobe.multi", "kprobe_multi"]),
        ("kretprobe", &["kr", "r", "krp", "kretprobe.multi", "kretprobe_multi", "return"]),
        ("fentry", &["kfunc", "f", "fe"]),
        ("fexit", &["kretfunc", "fr", "fx"]),
        ("tracepoint", &["t", "tp", "trace", "event", "tracing"]),
        ("rawtp", &["rt", "rawtracepoint", "raw_tracepoint", "raw_tp", "tp_btf", "btf_tp", "btf"]),
        ("syscall", &["sys", "syscalls", "ksyscall", "kretsyscall", "s", "sc"]),
    ];
    const NOT_KERNEL: [&str; 8] = ["uprobe", "uretprobe", "u", "ur", "usdt", "U", "uprobe.multi", "perf"];
    let lower = word.to_ascii_lowercase();
    if NOT_KERNEL.contains(&word) || NOT_KERNEL.contains(&lower.as_str()) {
        return "tracer probes the kernel alone: kprobe, kretprobe, fentry, fexit, tracepoint, rawtp, syscall".to_owned();
    }
    let known = OTHERS.iter().find(|(_, others)| others.contains(&lower.as_str())).map(|(kind, _)| *kind);
    let like = || {
        let likeness = |kind: &Kind| strsim::jaro(&lower, kind.name());
        Kind::ALL
            .into_iter()
            .filter(|kind| likeness(kind) > 0.75)
            .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
    };
    if let Some(kind) = known.or_else(|| like().map(Kind::name)) {
        return format!("did you mean '{kind}'?");
    }
    let all = Kind::ALL.map(Kind::name).join(", ");
    match text.split(':').count() {
        2 if !word.is_empty() => format!(
            "there are {all}; for a function of a module write kprobe:{text}, for a tracepoint tracepoint:{text}"
        ),
        _ => format!("there are {all}"),
    }
}

struct Reader<'t> {
    text: &'t str,
    kind: Kind,
}

impl Reader<'_> {
    fn mistake(&self, span: Range<usize>, what: impl Into<String>) -> Mistake {
        Mistake::new(self.text, span, what)
    }

    /// What follows the kind.
    fn rest(&self, start: usize) -> Result<ProbeSpec, Mistake> {
        let text = self.text;
        let end = text.len();
        let form = || format!("write {}", self.kind.form());
        if start == end {
            return Err(self.mistake(end..end, format!("a {} of what?", self.kind)).help(form()));
        }
        // A regular expression may hold colons: it is the rest, from its slash on.
        let (group, name) = match (text[start..].find(':'), text[start..].find('/')) {
            (Some(colon), slash) if slash.is_none_or(|slash| colon < slash) => {
                (Some(start..start + colon), start + colon + 1..end)
            }
            _ => (None, start..end),
        };
        let grouped = !matches!(self.kind, Kind::RawTracepoint | Kind::Syscall);
        if let Some(group) = &group {
            if !grouped {
                let what = format!("a {} has no module or category", self.kind);
                return Err(self.mistake(group.start..group.end + 1, what).help(form()));
            }
            if group.is_empty() {
                let what = format!("no {} before the ':'", self.group_word());
                return Err(self.mistake(group.start..group.end + 1, what).help(form()));
            }
        } else if self.kind == Kind::Tracepoint {
            let what = "a tracepoint without its category";
            let all = &text[name.clone()];
            return Err(self
                .mistake(name, what)
                .help(format!("write tracepoint:CATEGORY:NAME; 'tracepoint:*:{all}' looks in all of them")));
        }
        let (name, offset) = self.offset(name)?;
        let spec = ProbeSpec {
            text: text.to_owned(),
            kind: self.kind,
            group: group.clone().map(|span| self.pattern(span, self.group_word())).transpose()?,
            name: self.pattern(name.clone(), "name")?,
            offset: offset.as_ref().map_or(0, |(_, offset)| *offset),
            name_span: name,
            group_span: group.unwrap_or(0..0),
        };
        match offset {
            Some((span, _)) if spec.name.exact().is_none() => Err(self
                .mistake(span, "an offset needs one function, and this is a pattern")
                .help("name the function: kprobe:vfs_read+0x10")),
            Some((span, _)) if self.kind != Kind::Kprobe => {
                let what = format!("a {} has no offset", self.kind);
                Err(self
                    .mistake(span, what)
                    .help("only a kprobe can be inside of a function: kprobe:vfs_read+0x10"))
            }
            _ => Ok(spec),
        }
    }

    fn group_word(&self) -> &'static str {
        if self.kind == Kind::Tracepoint { "category" } else { "module" }
    }

    /// The name without its offset, and the offset with its place.
    #[expect(clippy::type_complexity, reason = "an offset and its place, if there is one")]
    fn offset(&self, name: Range<usize>) -> Result<(Range<usize>, Option<(Range<usize>, u64)>), Mistake> {
        let text = &self.text[name.clone()];
        if text.starts_with('/') {
            return Ok((name, None));
        }
        let Some((function, offset)) = text.split_once('+') else { return Ok((name, None)) };
        let at = name.start + function.len();
        let number = match offset.strip_prefix("0x").or_else(|| offset.strip_prefix("0X")) {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => offset.parse(),
        };
        // Neither `from_str_radix` nor `parse` may see a second sign.
        let sign = offset.contains(['+', '-']);
        match number {
            // MAX_FUNCTION of any kernel is far below; the kernel's own check is exact.
            Ok(number) if !sign && number <= 1 << 24 => Ok((name.start..at, Some((at..name.end, number)))),
            Ok(_) if !sign => Err(self.mistake(at + 1..name.end, "no function is that long")),
            _ => Err(self
                .mistake(at + 1..name.end, "an offset is a number of bytes")
                .help("write it as +16 or +0x10")),
        }
    }

    fn pattern(&self, span: Range<usize>, what: &str) -> Result<Pattern, Mistake> {
        let text = &self.text[span.clone()];
        if let Some(rest) = text.strip_prefix('/') {
            let Some(inner) = rest.strip_suffix('/') else {
                return Err(self
                    .mistake(span, "a regular expression without its last '/'")
                    .help("write it as /^ext4_.*_write$/, nothing after it"));
            };
            if inner.is_empty() {
                return Err(self
                    .mistake(span, "an empty regular expression")
                    .help("'*' stands for every name"));
            }
            let at = span.start + 1..span.end - 1;
            return Pattern::regex(inner)
                .map_err(|why| self.mistake(at, format!("no regular expression: {why}")));
        }
        if text.is_empty() {
            return Err(self.mistake(span, format!("no {what}")).help(format!("write {}", self.kind.form())));
        }
        let odd = |c: &char| !(c.is_ascii_alphanumeric() || "_.$-*?[]!^".contains(*c));
        if let Some((at, c)) = text.char_indices().find(|(_, c)| odd(c)) {
            let at = span.start + at;
            let what = format!("no {what} has a '{c}'");
            let error = self.mistake(at..at + c.len_utf8(), what);
            return Err(match c {
                ':' | '(' | ')' | '%' => error.help(format!("write {}", self.kind.form())),
                ',' => error.help("several probes are several words: kprobe:vfs_read kprobe:vfs_write"),
                '/' => error.help("a regular expression stands alone between slashes: /^ext4_.*_write$/"),
                _ => error
                    .help("a pattern has '*', '?' and '[a-z]', or is a regular expression between slashes"),
            });
        }
        Pattern::glob(text).map_err(|why| self.mistake(span, why))
    }
}

impl fmt::Display for ProbeSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.kind)?;
        if let Some(group) = &self.group {
            write!(f, "{group}:")?;
        }
        write!(f, "{}", self.name)?;
        if self.offset > 0 {
            write!(f, "+{:#x}", self.offset)?;
        }
        Ok(())
    }
}
