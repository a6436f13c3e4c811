//! The report that kernels from 7.3 on append: category, Reason, At, Causal path, Suggestion.

use crate::diagnostic::Suggestion;

#[derive(Debug, Default)]
pub(super) struct Report {
    /// After "Verification failed:".
    pub(super) category: String,
    pub(super) reason: String,
    pub(super) insn: Option<u32>,
    advice: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    Reason,
    At,
    Path,
    Suggestion,
}

impl Report {
    pub(super) fn read(log: &str) -> Option<Report> {
        const HEAD: &str = "Verification failed:";
        let at = log.find(HEAD)?;
        let mut lines = log[at + HEAD.len()..].lines();
        let mut report = Report { category: lines.next()?.trim().into(), ..Report::default() };
        let mut part = Part::Head;
        for line in lines {
            if line.starts_with("processed ") {
                break;
            }
            part = match line.trim_end() {
                "Reason:" => Part::Reason,
                "At:" => Part::At,
                "Causal path:" => Part::Path,
                "Suggestion:" => Part::Suggestion,
                text => {
                    report.add(part, text.trim());
                    part
                }
            };
        }
        Some(report)
    }

    fn add(&mut self, part: Part, text: &str) {
        let paragraph = match part {
            Part::Reason => &mut self.reason,
            Part::Suggestion => &mut self.advice,
            Part::At => {
                let insn =
                    text.strip_prefix("insn ").and_then(|rest| rest.split([' ', ':']).next()?.parse().ok());
                self.insn = self.insn.or(insn);
                return;
            }
            Part::Head | Part::Path => return,
        };
        if !paragraph.is_empty() && !text.is_empty() {
            paragraph.push(' ');
        }
        paragraph.push_str(text);
    }

    /// What stands for the message, where the log has no line of its own for it.
    pub(super) fn headline(&self) -> String {
        if self.reason.is_empty() { self.category.clone() } else { self.reason.clone() }
    }

    pub(super) fn suggestion(&self) -> Option<Suggestion> {
        (!self.advice.is_empty()).then(|| Suggestion { rust: self.advice.clone(), c: self.advice.clone() })
    }
}
