//! A mistake in something that the user wrote: where, what, and the way out.
//!
//! ```text
//! there is no kind of probe 'kprob'
//!   kprob:vfs_read
//!   ^^^^^
//!   did you mean 'kprobe'?
//! ```

use std::{fmt, ops::Range};

use unicode_width::UnicodeWidthChar;

/// A mistake at a place of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The whole text, as it was written.
    pub text: String,
    /// The bytes of it that are wrong; empty where something is missing.
    pub span: Range<usize>,
    /// What is wrong.
    pub what: String,
    /// What to do instead.
    pub help: Option<String>,
}

impl Mistake {
    /// A mistake in these bytes of a text.
    pub fn new(text: &str, span: Range<usize>, what: impl Into<String>) -> Self {
        Self { text: text.to_owned(), span, what: what.into(), help: None }
    }

    /// Adds the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// What is printed of a character, and its width: nothing that a user pastes may steer a terminal.
fn shown(c: char) -> (char, usize) {
    let c = if c.is_control() { '\u{fffd}' } else { c };
    (c, c.width().unwrap_or(1))
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clean = |text: &str| text.chars().map(|c| shown(c).0).collect::<String>();
        let (mut before, mut under) = (0, 0);
        for (at, c) in self.text.char_indices() {
            match at {
                at if at < self.span.start => before += shown(c).1,
                at if at < self.span.end => under += shown(c).1,
                _ => break,
            }
        }
        write!(
            f,
            "{}\n  {}\n  {:before$}{}",
            clean(&self.what),
            clean(&self.text),
            "",
            "^".repeat(under.max(1))
        )?;
        match &self.help {
            Some(help) => write!(f, "\n  {}", help.replace('\n', "\n  ")),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Mistake {}
