//! The model's rejection as a diagnostic.

use super::particulars::particulars;
use super::{Diagnostic, LoaderKind, PathStep, Subject, Suggestion, advice, loader, source_of};
use crate::object::{Poisoned, Program};
use crate::verifier::{Kind, Rejection, Role, Step};

/// Tells why the model says that a prepared program is refused.
pub fn of_rejection(rejection: &Rejection, subject: &Subject<'_>) -> Diagnostic {
    let program = subject.program;
    let violation = &rejection.violation;
    let source = rejection.insn.and_then(|insn| source_of(program, insn));
    let path = steps(rejection, program);
    if let Some(poisoned) = poisoned(rejection, program) {
        let message = poisoned.reason.clone();
        return Diagnostic {
            insn: rejection.insn,
            source,
            path,
            ..loader::diagnostic(LoaderKind::MissingOnKernel, message)
        };
    }
    let advice = advice(violation.kind);
    let why = advice.map_or("", |advice| advice.why);
    let explanation = match particulars(violation, &rejection.path, subject) {
        Some(case) => format!("{case} {why}"),
        None => why.to_owned(),
    };
    Diagnostic {
        kind: violation.kind.code(),
        title: advice.map_or("", |advice| advice.title).to_owned(),
        message: violation.message.clone(),
        insn: rejection.insn,
        source,
        path,
        explanation,
        suggestion: advice.map(Suggestion::of),
    }
}

/// The refused instruction, if a loader had made it unacceptable.
fn poisoned<'p>(rejection: &Rejection, program: &'p Program) -> Option<&'p Poisoned> {
    program.poisoned.iter().find(|poisoned| Some(poisoned.insn) == rejection.insn)
}

/// Steps that repeat (a loop's rounds) are told once, with their number.
fn steps(rejection: &Rejection, program: &Program) -> Vec<PathStep> {
    let mut steps: Vec<PathStep> = Vec::new();
    for step in &rejection.path {
        let told = steps.iter_mut().find(|told| told.insn == step.insn && told.what == step.what);
        if let Some(told) = told.filter(|_| step.role != Role::Refused) {
            told.times += 1;
            continue;
        }
        steps.push(PathStep {
            insn: step.insn,
            what: step.what.clone(),
            note: note(step, rejection.violation.kind),
            source: source_of(program, step.insn),
            times: 1,
        });
    }
    steps
}

fn note(step: &Step, kind: Kind) -> Option<String> {
    match (step.role, kind) {
        (Role::Acquired, _) => Some("acquired here, and not released".into()),
        (Role::Refused, Kind::InfiniteLoop) => Some("here again, and nothing has changed".into()),
        _ => None,
    }
}
