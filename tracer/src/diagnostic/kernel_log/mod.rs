//! The kernel's own verifier log as a diagnostic, for a load that fails.
//!
//! ```text
//! up to 7.2   0: R1=ctx() R10=fp0                       state
//!             ; return *value; @ count.c:20             source line (the place from 6.10 on)
//!             3: (61) r0 = *(u32 *)(r0 +0)              instruction
//!             R0 invalid mem access 'map_value_or_null' message, the last line that is none of the others
//!             processed 4 insns (limit 1000000) ...
//! from 7.3    the same, then: Verification failed: CATEGORY, Reason:, At:, Causal path:, Suggestion:
//! ```
//! The log's text is no interface: whatever is not recognised is left out, and nothing depends on its being there.
//!
//! Invariant: any text gives a diagnostic or none; work and memory are bounded by the text's length.
//! It must not know: programs, the model's state.

mod kinds;
mod lines;
mod report;
mod slice;

use super::{Diagnostic, Source, Suggestion, advice};
use crate::verifier::Kind;

pub use kinds::kind_of;

/// What a log says of a program that was refused. `None` if it names no reason.
pub fn parse(log: &str) -> Option<Diagnostic> {
    let trace = lines::Trace::read(log);
    let report = report::Report::read(log);
    let message = trace.message().or_else(|| report.as_ref().map(report::Report::headline))?;
    let kind = kind_of(&message);
    let advice = kind.and_then(advice);
    let insn = report.as_ref().and_then(|report| report.insn).or_else(|| trace.last_insn());
    let why = advice.map_or("", |advice| advice.why);
    let own = advice.map(Suggestion::of);
    let (explanation, suggestion, title) = match &report {
        Some(report) => (
            joined(&report.reason, why),
            own.or_else(|| report.suggestion()),
            advice.map_or_else(|| report.category.clone(), |advice| advice.title.to_owned()),
        ),
        None => {
            (why.to_owned(), own, advice.map_or("the kernel refuses the program", |a| a.title).to_owned())
        }
    };
    Some(Diagnostic {
        kind: kind.map_or(UNKNOWN, Kind::code),
        title,
        path: slice::slice(&trace, &message),
        source: insn.and_then(|insn| trace.source_of(insn)),
        insn,
        message,
        explanation,
        suggestion,
    })
}

/// The code of a message that belongs to no known kind.
pub const UNKNOWN: &str = "unknown";

fn joined(first: &str, second: &str) -> String {
    match (first.is_empty(), second.is_empty()) {
        (true, _) => second.to_owned(),
        (_, true) => first.to_owned(),
        _ => format!("{first} {second}"),
    }
}

/// `text @ file:line`, or, from kernels before 6.10, the text alone.
fn source(comment: &str) -> Source {
    let placed = comment.rsplit_once(" @ ").and_then(|(text, place)| {
        let (file, line) = place.rsplit_once(':')?;
        Some(Source { file: file.into(), line: line.parse().ok()?, column: 0, text: text.into() })
    });
    placed.unwrap_or_else(|| Source { file: String::new(), line: 0, column: 0, text: comment.into() })
}
