//! A diagnostic as text, in the form of a compiler's error.
//!
//! ```text
//! error[maybe_null_access]: memory is accessed through a pointer that may be null
//!   --> count.c:20:9, program `count` (xdp) on kernel 6.12
//!    |
//! 20 |     *value += 1;
//!    |     ^ instruction 11: r1 = *(u64 *)(r0 +0); R0=map_value_or_null
//!    |
//!    = kernel: R0 invalid mem access 'map_value_or_null'
//!    = path: ...
//!    = why: ...
//!    = fix in Rust: ...
//!    = fix in C: ...
//! ```
//! Invariant: control characters of the object never reach the terminal.

use std::fmt::Write as _;

use super::{Diagnostic, PathStep, Source};

/// How wide a paragraph is set.
const WIDTH: usize = 100;

/// What a diagnostic is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'s> {
    pub program: &'s str,
    pub section: &'s str,
    /// Which kernels say so, in words.
    pub kernels: &'s str,
}

/// Appends a diagnostic.
pub fn write(diagnostic: &Diagnostic, about: &About<'_>, out: &mut String) {
    let gutter = gutter(diagnostic);
    let pad = " ".repeat(gutter);
    let mut line = |text: &str| {
        let text: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line(&format!("error[{}]: {}", diagnostic.kind, diagnostic.title));
    let who = format!("program `{}` ({}) on {}", about.program, about.section, about.kernels);
    match &diagnostic.source {
        Some(source) => {
            let (at, number) = match source.file.is_empty() {
                // Kernels before 6.10 log a line's text alone.
                true => (String::new(), String::new()),
                false => (format!("{}, ", place(source)), source.line.to_string()),
            };
            line(&format!("{pad}--> {at}{who}"));
            line(&format!("{pad} |"));
            line(&format!("{number:>gutter$} | {}", shown(&source.text)));
            line(&format!("{pad} | {}", marker(diagnostic, source)));
        }
        None => {
            line(&format!("{pad}--> {who}"));
            if diagnostic.insn.is_some() {
                line(&format!("{pad} | {}", at_fault(diagnostic)));
            }
        }
    }
    line(&format!("{pad} |"));
    line(&format!("{pad} = kernel: {}", diagnostic.message));
    let told = match diagnostic.path.split_last() {
        // The refused instruction stands above.
        Some((last, before)) if Some(last.insn) == diagnostic.insn => before,
        _ => diagnostic.path.as_slice(),
    };
    if !told.is_empty() {
        line(&format!("{pad} = how it came to this:"));
        path(told, &pad, &mut line);
    }
    paragraph("why", &diagnostic.explanation, &pad, &mut line);
    if let Some(suggestion) = &diagnostic.suggestion {
        paragraph("fix in Rust", &suggestion.rust, &pad, &mut line);
        paragraph("fix in C", &suggestion.c, &pad, &mut line);
    }
}

/// Columns that line numbers need.
fn gutter(diagnostic: &Diagnostic) -> usize {
    let lines = diagnostic.path.iter().filter_map(|step| step.source.as_ref()).map(|source| source.line);
    let widest = lines.chain(diagnostic.source.as_ref().map(|source| source.line)).max().unwrap_or(0);
    widest.to_string().len().max(2)
}

fn place(source: &Source) -> String {
    match source.column {
        0 => format!("{}:{}", source.file, source.line),
        column => format!("{}:{}:{column}", source.file, source.line),
    }
}

/// A source line without what would shift the marker below it.
fn shown(text: &str) -> String {
    text.replace('\t', "    ")
}

fn at_fault(diagnostic: &Diagnostic) -> String {
    let insn = diagnostic.insn.map_or(String::new(), |insn| format!("instruction {insn}"));
    match diagnostic.path.last().filter(|step| Some(step.insn) == diagnostic.insn) {
        Some(step) => format!("{insn}: {}", step.what),
        None => insn,
    }
}

/// The line below the source line: it points at the column, if there is one.
fn marker(diagnostic: &Diagnostic, source: &Source) -> String {
    let column = usize::from(source.column);
    let before: String = source.text.chars().take(column.saturating_sub(1)).collect();
    let start = if column == 0 || column > source.text.chars().count() {
        shown(&source.text).chars().take_while(|c| c.is_whitespace()).count()
    } else {
        shown(&before).chars().count()
    };
    format!("{}^ {}", " ".repeat(start), at_fault(diagnostic))
}

/// The steps, under the source lines that they belong to.
fn path(steps: &[PathStep], pad: &str, line: &mut impl FnMut(&str)) {
    let mut current: Option<&Source> = None;
    for step in steps {
        let same = |a: &Source| {
            current.is_some_and(|b| a.line == b.line && a.file == b.file && (a.line != 0 || a.text == b.text))
        };
        if let Some(source) = step.source.as_ref().filter(|source| !same(source)) {
            let at =
                if source.file.is_empty() { ";".into() } else { format!("{}:{} ", source.file, source.line) };
            line(&format!("{pad}   {at} {}", shown(source.text.trim())));
        }
        current = step.source.as_ref();
        let mut text = format!("{pad}     {:>5}: {}", step.insn, step.what);
        if step.times > 1 {
            let _ = write!(text, " ({} times)", step.times);
        }
        if let Some(note) = &step.note {
            let _ = write!(text, "  <- {note}");
        }
        line(&text);
    }
}

/// A labelled paragraph. What does not end as a sentence does is code, and stays as it is.
fn paragraph(label: &str, text: &str, pad: &str, line: &mut impl FnMut(&str)) {
    if !text.ends_with('.') {
        line(&format!("{pad} = {label}:"));
        text.lines().for_each(|code| line(&format!("{pad}     {code}")));
        return;
    }
    let mut current = format!("{pad} = {label}:");
    for word in text.split_whitespace() {
        if current.chars().count() + 1 + word.chars().count() > WIDTH {
            line(&current);
            current = format!("{pad}    ");
        }
        current.push(' ');
        current.push_str(word);
    }
    line(&current);
}
