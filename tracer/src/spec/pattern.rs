//! What a name is compared with: itself, a glob, or a regular expression.
//!
//! *Invariant:* matching takes time linear in the name (the regex crate's promise), whatever was written.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

/// Largest compiled form of a pattern, in bytes: a pattern that needs more is a mistake.
const MAX_COMPILED: usize = 1 << 20;

/// A name, or many.
#[derive(Clone, Debug)]
pub enum Pattern {
    Exact(String),
    /// `*`, `?`, `[a-z]`, `[!a-z]`.
    Glob {
        text: String,
        regex: Regex,
    },
    /// What was written between slashes.
    Regex {
        text: String,
        regex: Regex,
    },
}

impl Pattern {
    /// A name, or a glob if it has one of a glob's characters.
    ///
    /// # Errors
    /// If it is no glob: why.
    pub fn glob(text: &str) -> Result<Self, String> {
        if !text.contains(['*', '?', '[', ']']) {
            return Ok(Self::Exact(text.to_owned()));
        }
        let regex = compile(&translated(text)?)?;
        Ok(Self::Glob { text: text.to_owned(), regex })
    }

    /// What was written between slashes. Matches anywhere in a name, unless anchored.
    pub(super) fn regex(text: &str) -> Result<Self, String> {
        Ok(Self::Regex { text: text.to_owned(), regex: compile(text)? })
    }

    /// Every name.
    pub fn any() -> Self {
        Self::glob("*").unwrap_or(Self::Exact(String::new()))
    }

    /// Does this name match?
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(text) => text == name,
            Self::Glob { regex, .. } | Self::Regex { regex, .. } => regex.is_match(name.as_bytes()),
        }
    }

    /// The name, if only one can match.
    pub fn exact(&self) -> Option<&str> {
        match self {
            Self::Exact(text) => Some(text),
            Self::Glob { .. } | Self::Regex { .. } => None,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) | Self::Glob { text, .. } => f.write_str(text),
            Self::Regex { text, .. } => write!(f, "/{text}/"),
        }
    }
}

/// Names of the kernel are ASCII: bytes are compared, so that no tables of Unicode are needed.
fn compile(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).unicode(false).size_limit(MAX_COMPILED).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "it is too large to be compiled".to_owned(),
        // The crate draws the pattern and an arrow; the last line says what is wrong.
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim().trim_start_matches("error: ").to_owned()
        }
    })
}

/// A glob as a regular expression for whole names.
fn translated(glob: &str) -> Result<String, String> {
    let mut out = String::from("^");
    let mut rest = glob.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => {
                let (set, tail) = rest.as_str().split_once(']').ok_or("a '[' has no ']'")?;
                let (not, set) = match set.strip_prefix(['!', '^']) {
                    Some(set) => ("^", set),
                    None => ("", set),
                };
                if set.is_empty() {
                    return Err("a '[]' has no characters".to_owned());
                }
                if !set.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')) {
                    return Err(
                        "between '[' and ']' stand letters, digits, '_', '.', and ranges such as a-z"
                            .to_owned(),
                    );
                }
                out.push_str(&format!("[{not}{set}]"));
                rest = tail.chars();
            }
            ']' => return Err("a ']' has no '['".to_owned()),
            c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push('$');
    Ok(out)
}
