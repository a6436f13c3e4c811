//! The answer as text: a table of programs by kernels, then each refusal explained.

use std::fmt::Write as _;

use super::Kernel;
use super::judge::{Answer, Judged};
use crate::diagnostic::{Diagnostic, text};

/// Whether the work of each verification is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Shown,
    Hidden,
}

/// What is shown of one object.
pub(super) fn text(object: &str, kernels: &[Kernel], judged: &[Judged], work: Work) -> String {
    let mut out = String::new();
    if judged.is_empty() {
        return out;
    }
    table(object, kernels, judged, &mut out);
    if work == Work::Shown {
        out.push('\n');
        works(judged, &mut out);
    }
    for refusal in refusals(judged) {
        out.push('\n');
        let kernels = list(&refusal.kernels);
        let about = text::About {
            program: &refusal.judged.program,
            section: &refusal.judged.section,
            kernels: &kernels,
        };
        text::write(refusal.diagnostic, &about, &mut out);
    }
    unmodelled(judged, &mut out);
    let count = |wanted: &str| judged.iter().filter(|judged| word(&judged.answer) == wanted).count();
    let (accepted, rejected, unknown) = (count("accept"), count("reject"), count("unmodelled"));
    let _ = write!(out, "\n{accepted} accepted, {rejected} rejected");
    if unknown > 0 {
        let _ = write!(out, ", {unknown} unmodelled");
    }
    out.push('\n');
    out
}

fn word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Accept => "accept",
        Answer::Reject(_) => "reject",
        Answer::Unmodelled { .. } => "unmodelled",
    }
}

/// Programs in rows, kernels in columns. The judgements lie program by program, a kernel each.
fn table(object: &str, kernels: &[Kernel], judged: &[Judged], out: &mut String) {
    let mut rows: Vec<Vec<&str>> = vec![["program", "section"].into()];
    rows[0].extend(kernels.iter().map(|kernel| kernel.label.as_str()));
    let mut at = 0;
    while let Some(first) = judged.get(at) {
        let mut row = vec![first.program.as_str(), first.section.as_str()];
        for kernel in kernels {
            let here = judged.get(at).filter(|j| j.program == first.program && j.kernel == kernel.label);
            row.push(here.map_or("-", |judged| word(&judged.answer)));
            at += usize::from(here.is_some());
        }
        rows.push(row);
    }
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..kernels.len() + 2).map(width).collect();
    let _ = writeln!(out, "{}", printable(object));
    for row in &rows {
        let mut line = String::from(" ");
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, " {:<width$} ", printable(cell));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

fn works(judged: &[Judged], out: &mut String) {
    let _ = writeln!(
        out,
        "  {:>9} {:>7} {:>6} {:>6} {:>9}  program, kernel",
        "processed", "states", "peak", "stack", "time"
    );
    for judged in judged {
        if let Some(stats) = judged.stats {
            let _ = writeln!(
                out,
                "  {:>9} {:>7} {:>6} {:>6} {:>6} us  {}, {}",
                stats.insns_processed,
                stats.total_states,
                stats.peak_states,
                stats.stack_depth,
                judged.elapsed.as_micros(),
                printable(&judged.program),
                judged.kernel,
            );
        }
    }
}

/// A refusal, and the kernels on which it is the same.
struct Refusal<'j> {
    judged: &'j Judged,
    diagnostic: &'j Diagnostic,
    kernels: Vec<&'j str>,
}

fn refusals(judged: &[Judged]) -> Vec<Refusal<'_>> {
    let mut refusals: Vec<Refusal<'_>> = Vec::new();
    for judged in judged {
        let Answer::Reject(diagnostic) = &judged.answer else { continue };
        let same = refusals.iter_mut().find(|refusal| {
            refusal.judged.program == judged.program
                && refusal.diagnostic.kind == diagnostic.kind
                && refusal.diagnostic.insn == diagnostic.insn
                && (refusal.diagnostic.source.is_some() || refusal.diagnostic.message == diagnostic.message)
        });
        match same {
            Some(refusal) => refusal.kernels.push(&judged.kernel),
            None => refusals.push(Refusal { judged, diagnostic, kernels: vec![&judged.kernel] }),
        }
    }
    refusals
}

fn list(kernels: &[&str]) -> String {
    match kernels {
        [one] => format!("kernel {one}"),
        several => format!("kernels {}", several.join(", ")),
    }
}

fn unmodelled(judged: &[Judged], out: &mut String) {
    for judged in judged {
        let Answer::Unmodelled { feature, insn, source } = &judged.answer else { continue };
        let at = match (source, insn) {
            (Some(source), _) => format!(" ({}:{})", source.file, source.line),
            (None, Some(insn)) => format!(" (instruction {insn})"),
            (None, None) => String::new(),
        };
        let _ = writeln!(
            out,
            "\nunmodelled: program `{}` on kernel {} needs what the model does not know: {feature}{at}",
            printable(&judged.program),
            judged.kernel
        );
    }
}

/// Names come from the object: nothing of them may steer a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
