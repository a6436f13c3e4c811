//! The model's verdict, as a line of text, and beside the kernel's.

use std::fmt::Write;

use tracer::verifier::{Report, Verdict};

use crate::kernel::Answer;

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
    Unmodelled(String),
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

/// What the model said of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) verdict: Said,
    pub(crate) processed: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Accept,
    Reject {
        insn: Option<u32>,
        message: String,
    },
    /// The feature that is missing.
    Unmodelled(String),
}

impl Model {
    pub(crate) fn of(report: &Report) -> Self {
        let verdict = match &report.verdict {
            Verdict::Accept => Said::Accept,
            Verdict::Reject(r) => Said::Reject { insn: r.insn, message: r.violation.message.clone() },
            Verdict::Unmodelled(u) => Said::Unmodelled(u.feature.to_owned()),
        };
        Self { verdict, processed: report.stats.insns_processed }
    }

    /// Appends its line: verdict, instructions walked, the one refused or `-`, words; with tabs between.
    pub(crate) fn write(&self, out: &mut String) {
        let (letter, insn, text) = match &self.verdict {
            Said::Accept => ('A', None, ""),
            Said::Reject { insn, message } => ('R', *insn, message.as_str()),
            Said::Unmodelled(feature) => ('U', None, feature.as_str()),
        };
        let _ = write!(out, "{letter}\t{}\t", self.processed);
        let _ = match insn {
            Some(insn) => write!(out, "{insn}"),
            None => write!(out, "-"),
        };
        let _ = writeln!(out, "\t{}", text.replace(['\n', '\t'], " "));
    }

    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(4, '\t');
        let letter = fields.next()?;
        let processed = fields.next()?.parse().ok()?;
        let insn = fields.next()?.parse().ok();
        let text = fields.next()?.to_owned();
        let verdict = match letter {
            "A" => Said::Accept,
            "R" => Said::Reject { insn, message: text },
            "U" => Said::Unmodelled(text),
            _ => return None,
        };
        Some(Self { verdict, processed })
    }
}

pub(crate) fn compare(model: &Model, answer: &Answer) -> Outcome {
    match (&model.verdict, answer.errno) {
        (_, Some(e @ (libc::ENOMEM | libc::EINTR | libc::EAGAIN | libc::ENOSPC))) => Outcome::Failed(e),
        (Said::Unmodelled(feature), _) => Outcome::Unmodelled(feature.clone()),
        (Said::Accept, None) => match answer.processed {
            Some(n) if n != model.processed => Outcome::OtherCount,
            _ => Outcome::BothAccept,
        },
        (Said::Accept, Some(_)) => Outcome::FalseAccept(answer.message.clone()),
        (Said::Reject { message, .. }, None) => Outcome::FalseReject(message.clone()),
        (Said::Reject { insn, message }, Some(_)) => match (insn, answer.insn) {
            (Some(a), Some(b)) if *a != b => Outcome::OtherInsn(format!("{message} <> {}", answer.message)),
            _ => Outcome::BothReject,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_read_as_it_was_written() {
        let reject = |insn| Said::Reject { insn, message: "R1 is\tbad".into() };
        for verdict in [Said::Accept, reject(Some(7)), reject(None), Said::Unmodelled("x".into())] {
            let model = Model { verdict, processed: 12 };
            let mut line = String::new();
            model.write(&mut line);
            let read = Model::parse(line.trim_end_matches('\n')).expect("a line");
            let told = Model {
                verdict: match model.verdict {
                    Said::Reject { insn, .. } => Said::Reject { insn, message: "R1 is bad".into() },
                    other => other,
                },
                ..model
            };
            assert_eq!(read, told);
        }
    }
}
