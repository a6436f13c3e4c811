//! A mistake in what a command line means: what, why, and the way out.

use std::fmt;

/// A mistake of the caller's: exit code 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError {
    message: String,
    tip: Option<String>,
}

impl UsageError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), tip: None }
    }

    /// Adds what to do instead.
    pub(super) fn tip(mut self, tip: impl Into<String>) -> Self {
        self.tip = Some(tip.into());
        self
    }
}

/// In clap's form, so that all mistakes look alike.
impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.message)?;
        if let Some(tip) = &self.tip {
            writeln!(f, "\n  tip: {tip}")?;
        }
        write!(f, "\nFor more information, try '--help'.")
    }
}

impl std::error::Error for UsageError {}

/// A sentence about the candidate that is most like `word`, or another if none is.
pub(super) fn nearest<S: AsRef<str>>(
    word: &str,
    candidates: impl IntoIterator<Item = S>,
    found: impl FnOnce(&str) -> String,
    otherwise: impl FnOnce() -> String,
) -> String {
    let likeness = |candidate: &S| strsim::jaro(word, candidate.as_ref());
    let best = candidates
        .into_iter()
        .map(|candidate| (likeness(&candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    match best {
        Some((_, candidate)) => found(candidate.as_ref()),
        None => otherwise(),
    }
}
