//! Both sides' answers, program by program, and what they add up to.

use std::collections::BTreeMap;

use super::answer::{Answer, Key, Verdict};
use super::corpus::{Corpus, Object};

/// What was said of one program.
pub(crate) struct Pair {
    pub(crate) corpus: Corpus,
    pub(crate) kernel: Answer,
    /// `None` if the model was silent: its input could not be read.
    pub(crate) model: Option<Answer>,
}

/// How two answers compare. Programs that never came to the kernel's verifier are not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    BothAccept,
    BothReject,
    FalseAccept,
    FalseReject,
    /// The model does not know, and the kernel accepts or rejects.
    Unmodelled,
}

impl Pair {
    /// How they compare; `None` where there is nothing to compare with.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        let model = self.model.as_ref().map(|model| model.verdict);
        Some(match (model, self.kernel.verdict) {
            (_, Verdict::Unloadable | Verdict::Unmodelled) => return None,
            (Some(Verdict::Accept), Verdict::Accept) => Outcome::BothAccept,
            (Some(Verdict::Reject), Verdict::Reject) => Outcome::BothReject,
            (Some(Verdict::Accept), Verdict::Reject) => Outcome::FalseAccept,
            (Some(Verdict::Reject), Verdict::Accept) => Outcome::FalseReject,
            (Some(Verdict::Unmodelled | Verdict::Unloadable) | None, _) => Outcome::Unmodelled,
        })
    }

    /// The program's type, as the model names it.
    pub(crate) fn program_type(&self) -> &str {
        self.model.as_ref().and_then(|model| model.program_type.as_deref()).unwrap_or("unknown")
    }
}

/// Puts both sides' answers together, by the kernel's programs.
pub(super) fn pairs(
    objects: &[Object],
    truth: BTreeMap<Key, Answer>,
    mut answers: BTreeMap<Key, Answer>,
) -> BTreeMap<Key, Pair> {
    let corpora: BTreeMap<String, &Corpus> =
        objects.iter().map(|object| (object.name(), &object.corpus)).collect();
    let mut pairs = BTreeMap::new();
    for (key, kernel) in truth {
        let Some(corpus) = corpora.get(&key.object) else { continue };
        let model = answers.remove(&key);
        pairs.insert(key, Pair { corpus: (*corpus).clone(), kernel, model });
    }
    pairs
}

/// What pairs add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) both_accept: u32,
    pub(crate) both_reject: u32,
    pub(crate) false_accept: u32,
    pub(crate) false_reject: u32,
    pub(crate) unmodelled_accept: u32,
    pub(crate) unmodelled_reject: u32,
    /// Agreed rejections whose instruction the kernel tells, and those where the model names the same.
    pub(crate) insns: u32,
    pub(crate) same_insn: u32,
    /// Agreed acceptances, and those that took both the same number of instructions.
    pub(crate) same_count: u32,
    /// Programs that libbpf gave up before the verifier saw them.
    pub(crate) not_judged: u32,
}

impl Tally {
    /// Of these pairs.
    pub(crate) fn of<'p>(pairs: impl IntoIterator<Item = &'p Pair>) -> Self {
        let mut tally = Self::default();
        pairs.into_iter().for_each(|pair| tally.add(pair));
        tally
    }

    fn add(&mut self, pair: &Pair) {
        let model = pair.model.as_ref();
        match pair.outcome() {
            None => self.not_judged += 1,
            Some(Outcome::BothAccept) => {
                self.both_accept += 1;
                let same = model.is_some_and(|model| model.insns_processed == pair.kernel.insns_processed);
                self.same_count += u32::from(same);
            }
            Some(Outcome::BothReject) => {
                self.both_reject += 1;
                if let Some(insn) = pair.kernel.insn {
                    self.insns += 1;
                    self.same_insn += u32::from(model.is_some_and(|model| model.insn == Some(insn)));
                }
            }
            Some(Outcome::FalseAccept) => self.false_accept += 1,
            Some(Outcome::FalseReject) => self.false_reject += 1,
            Some(Outcome::Unmodelled) if pair.kernel.verdict == Verdict::Accept => {
                self.unmodelled_accept += 1
            }
            Some(Outcome::Unmodelled) => self.unmodelled_reject += 1,
        }
    }

    pub(crate) fn unmodelled(&self) -> u32 {
        self.unmodelled_accept + self.unmodelled_reject
    }

    pub(crate) fn agreed(&self) -> u32 {
        self.both_accept + self.both_reject
    }

    /// All programs that the kernel judged.
    pub(crate) fn all(&self) -> u32 {
        self.agreed() + self.false_accept + self.false_reject + self.unmodelled()
    }
}

/// A share in percent.
pub(crate) fn percent(part: u32, all: u32) -> f64 {
    100.0 * f64::from(part) / f64::from(all.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(verdict: Verdict, insn: Option<i64>) -> Answer {
        Answer {
            verdict,
            insn,
            message: String::new(),
            program_type: None,
            insns_processed: Some(1),
            time: None,
        }
    }

    #[test]
    fn every_pair_of_verdicts_is_counted_once() {
        use Verdict::{Accept, Reject, Unloadable, Unmodelled};
        let mut pairs = Vec::new();
        for kernel in [Accept, Reject, Unloadable] {
            for model in [Some(Accept), Some(Reject), Some(Unmodelled), Some(Unloadable), None] {
                let model = model.map(|verdict| answer(verdict, Some(3)));
                pairs.push(Pair { corpus: Corpus::Verifier, kernel: answer(kernel, Some(3)), model });
            }
        }
        let tally = Tally::of(&pairs);
        let expected = Tally {
            both_accept: 1,
            both_reject: 1,
            false_accept: 1,
            false_reject: 1,
            unmodelled_accept: 3,
            unmodelled_reject: 3,
            insns: 1,
            same_insn: 1,
            same_count: 1,
            not_judged: 5,
        };
        assert_eq!(tally, expected);
        assert_eq!(tally.all() + tally.not_judged, 15);
    }
}
