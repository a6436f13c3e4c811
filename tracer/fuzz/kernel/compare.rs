//! On the host: the model's verdicts beside the kernel's answers, as a table; and the cases that differ, to be shrunk.

use std::collections::BTreeMap;
use std::path::Path;

use crate::judge::{Model, Outcome, compare};
use crate::kernel::Answer;
use crate::{CASES, KERNEL, MODEL, Words, case, read, write};

#[derive(Default)]
struct Tally {
    programs: u64,
    accepted: u64,
    rejected: u64,
    agreed: u64,
    false_accepts: u64,
    false_rejects: u64,
    unmodelled: u64,
    other_insn: u64,
    /// Rejections whose instruction both told.
    told: u64,
    other_count: u64,
    failed: u64,
    unanswered: u64,
    classes: BTreeMap<String, u64>,
    /// The bytes of the cases to be shrunk.
    wrong: Vec<u8>,
}

pub(crate) fn main(words: &Words) -> Result<bool, String> {
    let examples = words.number("examples", 1)?;
    let counts = words.number("counts", 0)? != 0;
    let mut tally = Tally::default();
    for folder in &words.plain {
        let folder = Path::new(folder);
        let cases = read(&folder.join(CASES))?;
        let text =
            |name: &str| read(&folder.join(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let mut answers: BTreeMap<usize, Answer> = text(KERNEL)?.lines().filter_map(Answer::parse).collect();
        let mut rest = cases.as_slice();
        for (at, line) in text(MODEL)?.lines().enumerate() {
            let before = rest;
            let case = case::split(&mut rest).ok_or(format!("{}: case {at} is cut", folder.display()))?;
            let whole = &before[..case.len() + 4];
            let model = Model::parse(line).ok_or(format!("{}: verdict {at} is damaged", folder.display()))?;
            tally.take(&model, answers.remove(&at), whole, examples, counts);
        }
    }
    write(Path::new(words.text("wrong")?), &tally.wrong)?;
    tally.print();
    Ok(tally.false_accepts + tally.false_rejects + tally.unanswered == 0)
}

impl Tally {
    fn take(&mut self, model: &Model, answer: Option<Answer>, case: &[u8], examples: u64, counts: bool) {
        self.programs += 1;
        let Some(answer) = answer else {
            self.unanswered += 1;
            return;
        };
        let outcome = compare(model, &answer);
        match answer.errno {
            _ if matches!(outcome, Outcome::Failed(_)) => self.failed += 1,
            None => self.accepted += 1,
            Some(_) => {
                self.rejected += 1;
                self.told += u64::from(answer.insn.is_some());
            }
        }
        match &outcome {
            Outcome::BothAccept | Outcome::BothReject => self.agreed += 1,
            Outcome::OtherInsn(_) => {
                self.agreed += 1;
                self.other_insn += 1;
            }
            Outcome::OtherCount => {
                self.agreed += 1;
                self.other_count += 1;
            }
            Outcome::FalseAccept(_) => self.false_accepts += 1,
            Outcome::FalseReject(_) => self.false_rejects += 1,
            Outcome::Unmodelled(_) => self.unmodelled += 1,
            Outcome::Failed(_) => {}
        }
        let Some(class) = outcome.class() else { return };
        let seen = self.classes.entry(class).or_default();
        *seen += 1;
        let counted = matches!(outcome, Outcome::OtherInsn(_) | Outcome::OtherCount) && counts;
        if *seen <= examples && (outcome.is_wrong() || counted) {
            self.wrong.extend(case);
        }
    }

    fn print(&self) {
        let mut classes: Vec<_> = self.classes.iter().collect();
        classes.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        for (class, n) in classes {
            println!("{n:>7} {class}");
        }
        let share = |part: u64, of: u64| 100.0 * part as f64 / of.max(1) as f64;
        println!(
            "{} programs ({} accepted, {} rejected by the kernel), {:.3} % agree, {} false accepts, {} false rejects, \
             {} unmodelled, other instruction {} of {}, other count {} of {}, {} failed, {} without an answer",
            self.programs,
            self.accepted,
            self.rejected,
            share(self.agreed, self.programs - self.failed),
            self.false_accepts,
            self.false_rejects,
            self.unmodelled,
            self.other_insn,
            self.told,
            self.other_count,
            self.accepted,
            self.failed,
            self.unanswered,
        );
    }
}
