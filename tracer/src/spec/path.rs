//! A value by its path: `count`, `file.f_path.dentry.d_name.name`, `argv[2]`, `sk.__sk_common.skc_dport:be16`.
//!
//! `->` is read as `.`: which of the steps are pointers is known from the types.

use std::{fmt, ops::Range};

use super::Mistake;

/// Most steps of a path.
const MAX_STEPS: usize = 32;

/// A path, and how its value is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// At least one.
    pub steps: Vec<Step>,
    pub format: Option<Format>,
    /// Where the format stands.
    pub format_span: Range<usize>,
    /// The whole, in the text that it is part of.
    pub span: Range<usize>,
}

/// A name, then elements of arrays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub name: String,
    pub indices: Vec<u32>,
    pub span: Range<usize>,
}

/// How a value is to be read, where its type does not say it or is not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Hex,
    Dec,
    Str,
    Be16,
    Be32,
    Be64,
}

impl Format {
    pub const ALL: [Self; 6] = [Self::Hex, Self::Dec, Self::Str, Self::Be16, Self::Be32, Self::Be64];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Dec => "dec",
            Self::Str => "str",
            Self::Be16 => "be16",
            Self::Be32 => "be32",
            Self::Be64 => "be64",
        }
    }
}

impl Path {
    /// A path of one plain name.
    pub fn simple(&self) -> Option<&str> {
        match self.steps.as_slice() {
            [step] if step.indices.is_empty() && self.format.is_none() => Some(&step.name),
            _ => None,
        }
    }

    /// Without the format.
    pub fn bare(&self) -> String {
        let steps: Vec<String> = self.steps.iter().map(Step::to_string).collect();
        steps.join(".")
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.indices.iter().try_for_each(|index| write!(f, "[{index}]"))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.bare())?;
        match self.format {
            Some(format) => write!(f, ":{}", format.name()),
            None => Ok(()),
        }
    }
}

/// Reads a text that is a path and nothing else.
///
/// # Errors
/// It is none.
pub fn parse_path(text: &str) -> Result<Path, Mistake> {
    let (path, end) = path_at(text, 0)?;
    match text[end..].chars().next() {
        None => Ok(path),
        Some(c) => Err(Mistake::new(text, end..end + c.len_utf8(), format!("no path goes on with '{c}'"))
            .help(
                "write it as NAME, file.f_path.dentry.d_name.name, argv[0] or sk.__sk_common.skc_dport:be16",
            )),
    }
}

/// Does a name begin with this?
pub fn begins_name(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn name_end(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    if !rest.starts_with(begins_name) {
        return at;
    }
    at + rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len())
}

/// Reads a path at a place of a text; also where it ends.
///
/// # Errors
/// None begins here, or it is broken.
pub fn path_at(text: &str, start: usize) -> Result<(Path, usize), Mistake> {
    let mut steps = Vec::new();
    let mut at = start;
    loop {
        let end = name_end(text, at);
        if end == at {
            let next = text[at..].chars().next().map_or(0, char::len_utf8);
            return Err(Mistake::new(text, at..at + next, "a name was expected")
                .help("a name begins with a letter or '_', as in file.f_path.dentry"));
        }
        let mut step = Step { name: text[at..end].to_owned(), indices: Vec::new(), span: at..end };
        at = end;
        while text[at..].starts_with('[') {
            let close = text[at..].find(']').map(|n| at + n);
            let index = close.and_then(|close| {
                let digits = &text[at + 1..close];
                digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
            });
            let (Some(close), Some(index)) = (close, index) else {
                let end = close.map_or(text.len(), |close| close + 1);
                return Err(Mistake::new(text, at..end, "an element's number was expected")
                    .help("write it as argv[2]"));
            };
            if step.indices.len() == MAX_STEPS {
                return Err(Mistake::new(text, start..close + 1, "too many elements of elements"));
            }
            step.indices.push(index);
            at = close + 1;
        }
        step.span.end = at;
        steps.push(step);
        if steps.len() > MAX_STEPS {
            return Err(Mistake::new(text, start..at, format!("a path of more than {MAX_STEPS} steps")));
        }
        let rest = &text[at..];
        if rest.starts_with('.') {
            at += 1;
        } else if rest.starts_with("->") {
            at += 2;
        } else {
            break;
        }
    }
    let mut path = Path { steps, format: None, format_span: at..at, span: start..at };
    if text[at..].starts_with(':') {
        let end = name_end(text, at + 1);
        let word = &text[at + 1..end];
        path.format = Some(format(text, at + 1..end, word)?);
        path.format_span = at + 1..end;
        path.span.end = end;
        at = end;
    }
    Ok((path, at))
}

fn format(text: &str, span: Range<usize>, word: &str) -> Result<Format, Mistake> {
    Format::ALL.into_iter().find(|format| format.name() == word).ok_or_else(|| {
        let what = if word.is_empty() {
            "no format after the ':'".into()
        } else {
            format!("there is no format '{word}'")
        };
        let same = match word {
            "x" | "ptr" | "pointer" => "; did you mean hex?",
            "string" | "s" => "; did you mean str?",
            "d" | "int" | "decimal" | "u" | "le16" | "le32" | "le64" => "; did you mean dec?",
            "ipv4" | "ip" => "; be32 shows the address as a number",
            "port" | "ntohs" => "; did you mean be16?",
            _ => "",
        };
        Mistake::new(text, span, what)
            .help(format!("there are {}{same}", Format::ALL.map(Format::name).join(", ")))
    })
}
