//! The model's verdict beside the kernel's.

use std::time::{Duration, Instant};

use tracer::verifier::{Profile, Program, Report, Verdict, verify};

use crate::kernel::{Answer, Kernel, Log, Walk};

/// How the two compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    BothAccept,
    BothReject,
    /// The verdicts are the same; the refusal, or the number of instructions walked, is another.
    OtherInsn(String),
    OtherCount,
    FalseAccept(String),
    FalseReject(String),
    Unmodelled(&'static str),
    /// Too much work for an emulated kernel; not asked.
    TooLong,
    /// The kernel failed for a reason that is no verdict.
    Failed(i32),
}

impl Outcome {
    /// What kind of disagreement it is, numbers aside; `None` for those that are none.
    pub(crate) fn class(&self) -> Option<String> {
        match self {
            Self::FalseAccept(m) => Some(format!("FALSE ACCEPT: {}", generic(m))),
            Self::FalseReject(m) => Some(format!("FALSE REJECT: {}", generic(m))),
            Self::Unmodelled(f) => Some(format!("unmodelled: {f}")),
            Self::OtherInsn(m) => Some(format!("other instruction: {}", generic(m))),
            Self::OtherCount => Some("other count".to_owned()),
            Self::Failed(e) => Some(format!("no verdict: {}", std::io::Error::from_raw_os_error(*e))),
            _ => None,
        }
    }

    pub(crate) const fn is_wrong(&self) -> bool {
        matches!(self, Self::FalseAccept(_) | Self::FalseReject(_))
    }
}

/// A message with its numbers blanked.
fn generic(message: &str) -> String {
    let mut out = String::new();
    for c in message.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !out.ends_with('N') {
            out.push('N');
        }
    }
    out
}

/// Beyond this many instructions walked the kernel is asked only once in a while.
const LONG: u32 = 30_000;

/// Whether long programs are worth the time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    Little,
    Endless,
}

pub(crate) struct Judged {
    pub(crate) outcome: Outcome,
    pub(crate) report: Report,
    pub(crate) answer: Option<Answer>,
    pub(crate) model: Duration,
    pub(crate) kernel: Duration,
}

pub(crate) fn judge(
    program: &Program,
    profile: &Profile,
    kernel: &Kernel,
    log: &mut Log,
    patience: Patience,
) -> Judged {
    let begun = Instant::now();
    let report = verify(program, profile);
    let model = begun.elapsed();
    if report.stats.insns_processed > LONG && patience == Patience::Little {
        return Judged { outcome: Outcome::TooLong, report, answer: None, model, kernel: Duration::ZERO };
    }
    let begun = Instant::now();
    // Refusals are compared to the instruction once in a while.
    let sum = program.insns.iter().fold(0u32, |s, i| s.wrapping_add(i.imm as u32 ^ u32::from(i.code)));
    let walk =
        if sum.is_multiple_of(8) || patience == Patience::Endless { Walk::Shown } else { Walk::Silent };
    let answer = kernel.load(program, log, walk);
    let outcome = compare(&report, &answer);
    Judged { outcome, report, answer: Some(answer), model, kernel: begun.elapsed() }
}

fn compare(report: &Report, answer: &Answer) -> Outcome {
    match (&report.verdict, answer.errno) {
        (_, Some(e @ (libc::ENOMEM | libc::EINTR | libc::EAGAIN | libc::ENOSPC))) => Outcome::Failed(e),
        (Verdict::Unmodelled(u), _) => Outcome::Unmodelled(u.feature),
        (Verdict::Accept, None) => match answer.processed {
            Some(n) if n != report.stats.insns_processed => Outcome::OtherCount,
            _ => Outcome::BothAccept,
        },
        (Verdict::Accept, Some(_)) => Outcome::FalseAccept(answer.message.clone()),
        (Verdict::Reject(r), None) => Outcome::FalseReject(r.violation.message.clone()),
        (Verdict::Reject(r), Some(_)) => match (r.insn, answer.insn) {
            (Some(a), Some(b)) if a != b => {
                Outcome::OtherInsn(format!("{} <> {}", r.violation.message, answer.message))
            }
            _ => Outcome::BothReject,
        },
    }
}
