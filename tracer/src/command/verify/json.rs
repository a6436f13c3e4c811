//! One line of JSON for each program and kernel.

use serde_json::{Value, json};

use super::judge::{Answer, Judged};
use crate::diagnostic::{Diagnostic, PathStep, Source};
use crate::sink::json::SCHEMA_VERSION;

/// The line, with its end.
pub(super) fn line(judged: &Judged) -> String {
    let (verdict, reason, feature, insn, source) = match &judged.answer {
        Answer::Accept => ("accept", None, None, None, None),
        Answer::Reject(why) => ("reject", Some(why), None, why.insn, why.source.as_ref()),
        Answer::Unmodelled { feature, insn, source } => {
            ("unmodelled", None, Some(feature), *insn, source.as_ref())
        }
    };
    let text = |get: fn(&Diagnostic) -> String| reason.map(|reason| get(reason));
    let line = json!({
        "schema": SCHEMA_VERSION,
        "type": "verify",
        "object": judged.object,
        "section": judged.section,
        "program": judged.program,
        "program_type": judged.program_type,
        "kernel": judged.kernel,
        "verdict": verdict,
        "insn": insn,
        "source": source.map(place),
        "kind": reason.map(|reason| reason.kind),
        "message": text(|reason| reason.message.clone()),
        "explanation": text(|reason| reason.explanation.clone()),
        "suggestion": reason.and_then(|reason| reason.suggestion.as_ref()).map(|s| s.text()),
        "path": reason.map_or_else(Vec::new, |reason| reason.path.iter().map(step).collect()),
        "missing_feature": feature,
        "insns_processed": judged.stats.map(|stats| stats.insns_processed),
        "total_states": judged.stats.map(|stats| stats.total_states),
        "peak_states": judged.stats.map(|stats| stats.peak_states),
        "stack_depth": judged.stats.map(|stats| stats.stack_depth),
        "elapsed_us": u64::try_from(judged.elapsed.as_micros()).unwrap_or(u64::MAX),
    });
    format!("{line}\n")
}

fn place(source: &Source) -> Value {
    json!({"file": source.file, "line": source.line, "column": source.column, "text": source.text})
}

fn step(step: &PathStep) -> Value {
    json!({"insn": step.insn, "what": step.what})
}
