//! What the model of the kernel's verifier says of the programs that are about to be loaded.
//!
//! *Invariant:* the instructions judged are those that reach bpf(2), descriptors of maps aside.
//!
//! *Must not know:* how a verdict is shown.

use std::{
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    check,
    diagnostic::{self, Subject, text::About},
    object::{KernelVersion, Program, Resolved},
    verifier::{Profile, Report, Verdict},
};

/// What is done with the verdict of the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precheck {
    /// What the model rejects is not loaded.
    #[default]
    Enforce,
    /// What the model rejects is loaded all the same, and told.
    Warn,
    /// The model is not asked.
    Off,
}

/// What the model says of one program.
#[derive(Clone, Debug)]
pub struct Judgement {
    pub program: String,
    /// The instructions that were judged, 8 bytes each; a map is its number in the object.
    pub insns: Vec<u8>,
    pub report: Report,
    /// Processor time, nearly.
    pub elapsed: Duration,
}

/// What the model says of the programs of one family.
#[derive(Clone, Debug)]
pub struct Judged {
    pub programs: Vec<Judgement>,
    /// How long judging them took, on as many processors as there are.
    pub elapsed: Duration,
}

impl Judgement {
    /// Whether the kernel is expected to take it; `None` if the model does not know.
    pub fn accepted(&self) -> Option<bool> {
        match self.report.verdict {
            Verdict::Accept => Some(true),
            Verdict::Reject(_) => Some(false),
            Verdict::Unmodelled(_) => None,
        }
    }

    /// The verdict in a line.
    pub fn line(&self) -> String {
        let at = |insn: Option<u32>| insn.map_or_else(String::new, |insn| format!(" at instruction {insn}"));
        match &self.report.verdict {
            Verdict::Accept => format!("program {}: accepted", self.program),
            Verdict::Reject(rejection) => {
                let (kind, message) = (rejection.violation.kind.code(), &rejection.violation.message);
                format!("program {}: rejected{}: {message} [{kind}]", self.program, at(rejection.insn))
            }
            Verdict::Unmodelled(lack) => {
                format!(
                    "program {}: not judged{}: the model lacks '{}'",
                    self.program,
                    at(lack.insn),
                    lack.feature
                )
            }
        }
    }
}

/// Why the model rejects this program, in full; `None` if it does not.
pub(super) fn explanation(
    judgement: &Judgement,
    program: &Program,
    license: &str,
    kernel: KernelVersion,
) -> Option<String> {
    let Verdict::Reject(rejection) = &judgement.report.verdict else { return None };
    let diagnostic = diagnostic::of_rejection(rejection, &Subject { program, license });
    let kernels = format!("kernel {}.{}", kernel.major, kernel.minor);
    let about = About { program: &program.name, section: &program.section, kernels: &kernels };
    let mut text = String::new();
    diagnostic::text::write(&diagnostic, &about, &mut text);
    Some(text)
}

/// Judges each program by itself, on as many processors as there are.
pub(super) fn judge(resolved: &Resolved<'_>, programs: &[Program], profile: &Profile) -> Vec<Judgement> {
    let one = |program: &Program| {
        let start = Instant::now();
        let report = check::verify(resolved, program, profile);
        Judgement { program: program.name.clone(), insns: program.bytes(), report, elapsed: start.elapsed() }
    };
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    // The longest first, so that none is left over when all others are done.
    let mut order: Vec<(usize, &Program)> = programs.iter().enumerate().collect();
    order.sort_by_key(|(_, program)| std::cmp::Reverse(program.insns.len()));
    let next = AtomicUsize::new(0);
    // Of each program whose turn came, its place and what was found.
    let some = || {
        let turns = std::iter::repeat_with(|| order.get(next.fetch_add(1, Ordering::Relaxed)));
        turns.map_while(|turn| turn.map(|(place, program)| (*place, one(program)))).collect::<Vec<_>>()
    };
    let mut all = thread::scope(|scope| {
        let helpers = 1..processors.min(programs.len());
        // Where no thread can be had, there is this one.
        let helpers: Vec<_> =
            helpers.filter_map(|_| thread::Builder::new().spawn_scoped(scope, some).ok()).collect();
        let mut all = some();
        for helper in helpers {
            match helper.join() {
                Ok(judged) => all.extend(judged),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    all.sort_unstable_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, judgement)| judgement).collect()
}
