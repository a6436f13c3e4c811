//! Why a program is refused, told to the one who wrote it.
//!
//! ```text
//! model's rejection + prepared program  ┐
//! loader's error                        ├-> Diagnostic -> text  (text)
//! kernel's verifier log                 ┘              -> JSON  (its fields, one by one)
//! ```
//! Invariant: whatever the source, there is one [`Diagnostic`]; `message` is the kernel's (or the loader's) own, and
//! what is said about it comes from one table ([`advice()`]). No input makes this module panic.
//! It must not know: files, command lines, how a program came to be judged.

pub mod advice;
pub mod kernel_log;
mod loader;
mod model;
mod particulars;
#[cfg(test)]
mod tests;
pub mod text;

pub use advice::{Advice, advice};
pub use loader::{LoaderAnswer, LoaderKind, of_loader_error, unknown_map_type};
pub use model::of_rejection;

use crate::object::{Program, SourceLine};

/// What is refused.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'s> {
    pub program: &'s Program,
    /// Of the object.
    pub license: &'s str,
}

/// Why a program is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// A stable snake_case code: of `verifier::Kind`, or of [`LoaderKind`].
    pub kind: &'static str,
    /// What is wrong, as a short clause.
    pub title: String,
    /// In the kernel's or the loader's words.
    pub message: String,
    /// Where, in the relocated program. `None` if the program as a whole is refused.
    pub insn: Option<u32>,
    /// The source line of that instruction.
    pub source: Option<Source>,
    /// How it came to this, oldest first; the last is the refused instruction itself.
    pub path: Vec<PathStep>,
    /// Why the kernel insists, after what can be said of this very case.
    pub explanation: String,
    /// The usual way out.
    pub suggestion: Option<Suggestion>,
}

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub file: String,
    pub line: u32,
    /// From 1; 0 if unknown.
    pub column: u16,
    /// The line itself; may be empty.
    pub text: String,
}

/// One step of the path that leads to a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathStep {
    pub insn: u32,
    /// The instruction, and what became of it.
    pub what: String,
    /// What it has to do with the refusal, if that is more than the instruction says.
    pub note: Option<String>,
    pub source: Option<Source>,
    /// How often it was met one after the other.
    pub times: u32,
}

/// The usual way out, in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    pub rust: String,
    pub c: String,
}

impl From<SourceLine<'_>> for Source {
    fn from(line: SourceLine<'_>) -> Source {
        Source { file: line.file.into(), line: line.line, column: line.column, text: line.text.into() }
    }
}

impl Suggestion {
    fn of(advice: &Advice) -> Suggestion {
        Suggestion { rust: advice.rust.into(), c: advice.c.into() }
    }

    /// As one text.
    pub fn text(&self) -> String {
        format!("In Rust (aya):\n{}\nIn C:\n{}", self.rust, self.c)
    }
}

/// The source line of an instruction, if the object has it.
fn source_of(program: &Program, insn: u32) -> Option<Source> {
    program.source(insn as usize).filter(|line| line.line != 0 || !line.text.is_empty()).map(Source::from)
}
