//! Each program of an object, for each kernel.

use std::time::{Duration, Instant};

use super::Kernel;
use super::input::Input;
use crate::check;
use crate::diagnostic::{self, Diagnostic, LoaderAnswer, Source};
use crate::object::{Creation, Function, Map, Object, ObjectError, ProgramId, Resolved};
use crate::verifier::btf::{Kind, Type};
use crate::verifier::{Profile, Stats, Verdict};

/// What one kernel will say of one program.
pub(super) struct Judged {
    pub(super) object: String,
    pub(super) section: String,
    pub(super) program: String,
    pub(super) program_type: &'static str,
    /// As it was asked for.
    pub(super) kernel: String,
    pub(super) answer: Answer,
    /// `None` if the program did not come as far as the verifier.
    pub(super) stats: Option<Stats>,
    pub(super) elapsed: Duration,
}

pub(super) enum Answer {
    Accept,
    Reject(Box<Diagnostic>),
    Unmodelled { feature: String, insn: Option<u32>, source: Option<Source> },
}

/// Judges the programs of an object that are wanted (all, if none is named): for each program, kernel by kernel.
/// What is the file's own fault goes to `failures`.
pub(super) fn object(
    input: &Input,
    kernels: &[Kernel],
    wanted: &[String],
    failures: &mut Vec<String>,
) -> Vec<Judged> {
    let targets: Vec<_> = kernels.iter().map(|kernel| kernel.profile.target()).collect();
    let profiles: Vec<Profile> = kernels.iter().map(|kernel| kernel.profile.profile()).collect();
    let resolved: Vec<_> = targets.iter().map(|target| input.parsed.resolve(target)).collect();
    let mut judged = Vec::new();
    for (id, function) in input.parsed.programs() {
        if !wanted.is_empty() && !wanted.contains(&function.name) {
            continue;
        }
        for ((kernel, profile), resolved) in kernels.iter().zip(&profiles).zip(&resolved) {
            let start = Instant::now();
            let result = match resolved {
                Ok(resolved) => program(&input.parsed, resolved, id, profile),
                Err(error) => without_verifier(error),
            };
            match result {
                Ok((answer, stats)) => {
                    judged.push(entry(input, function, kernel, answer, stats, start.elapsed()));
                }
                Err(error) => {
                    let failure = format!("{}: {error}", input.name);
                    if !failures.contains(&failure) {
                        failures.push(failure);
                    }
                }
            }
        }
    }
    judged
}

fn entry(
    input: &Input,
    function: &Function,
    kernel: &Kernel,
    answer: Answer,
    stats: Option<Stats>,
    elapsed: Duration,
) -> Judged {
    Judged {
        object: input.name.clone(),
        section: function.section.to_string(),
        program: function.name.clone(),
        program_type: function.program_type().name(),
        kernel: kernel.label.clone(),
        answer,
        stats,
        elapsed,
    }
}

type Answered = Result<(Answer, Option<Stats>), ObjectError>;

fn program(object: &Object, resolved: &Resolved<'_>, id: ProgramId, profile: &Profile) -> Answered {
    if let Some(map) = resolved.maps().iter().find(|map| is_unknown(map, profile)) {
        return Ok((Answer::Reject(Box::new(diagnostic::unknown_map_type(map))), None));
    }
    let prepared = match resolved.program(id) {
        Ok(prepared) => prepared,
        Err(error) => return without_verifier(&error),
    };
    let report = check::verify(resolved, &prepared, profile);
    let answer = match &report.verdict {
        Verdict::Accept => Answer::Accept,
        Verdict::Reject(rejection) => {
            let subject = diagnostic::Subject { program: &prepared, license: object.license() };
            Answer::Reject(Box::new(diagnostic::of_rejection(rejection, &subject)))
        }
        Verdict::Unmodelled(unmodelled) => Answer::Unmodelled {
            feature: unmodelled.feature.into(),
            insn: unmodelled.insn,
            source: unmodelled.insn.and_then(|insn| prepared.source(insn as usize)).map(Source::from),
        },
    };
    Ok((answer, Some(report.stats)))
}

fn without_verifier(error: &ObjectError) -> Answered {
    match diagnostic::of_loader_error(error) {
        LoaderAnswer::Refused(diagnostic) => Ok((Answer::Reject(diagnostic), None)),
        LoaderAnswer::Unknown(feature) => {
            Ok((Answer::Unmodelled { feature: feature.into(), insn: None, source: None }, None))
        }
        LoaderAnswer::BadInput => Err(error.clone()),
    }
}

/// Is the map's type newer than the kernel? A loader creates all maps before any program.
fn is_unknown(map: &Map, profile: &Profile) -> bool {
    let Some(btf) = profile.btf.as_deref() else { return false };
    let Some(Type::Enum(types)) = btf.find(Kind::Enum, "bpf_map_type").and_then(|id| btf.get(id)) else {
        return false;
    };
    map.creation == Creation::Auto
        && !types
            .values()
            .any(|value| value.value == i64::from(map.map_type.0) && !value.name.starts_with("__MAX"))
}
