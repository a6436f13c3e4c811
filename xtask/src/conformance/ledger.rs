//! docs/conformance-ledger.json: the differences that are known, each with its reason. They must still differ.
//!
//! Groups of one reason: `{"reason": "...", "differences": ["6.12 verifier_x.bpf.o program accept, not reject"]}`.
//! What the model says comes first, then what the kernel of that series says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Run;
use super::answer::Key;
use super::compare::{Outcome, Pair};
use crate::paths;
use crate::setup::version;

/// Each difference, and its reason.
pub(crate) type Ledger = BTreeMap<String, String>;

/// Where a run and the ledger are at odds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Listed, but they differ no more.
    pub(crate) vanished: BTreeSet<String>,
    /// They differ, and are not listed; with the kernel's words.
    pub(crate) unlisted: BTreeMap<String, String>,
}

/// Reads the ledger; one that is missing is empty.
///
/// # Errors
/// It is not as this module's head says, or lists a difference twice or without a reason.
pub(super) fn read() -> Result<Ledger> {
    let file = paths::root().join("docs/conformance-ledger.json");
    match fs::read_to_string(&file) {
        Ok(text) => parse(&text).with_context(|| file.display().to_string()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Ledger::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

fn parse(text: &str) -> Result<Ledger> {
    let groups: Vec<Value> = serde_json::from_str(text).context("not a list of groups")?;
    let mut ledger = Ledger::new();
    for group in groups {
        let reason = group["reason"].as_str().filter(|reason| !reason.trim().is_empty());
        let reason = reason.context("a group without a reason")?;
        for difference in group["differences"].as_array().context("a group without differences")? {
            let line = difference.as_str().context("a difference that is no text")?;
            if line.split_whitespace().count() != 6 {
                bail!("not KERNEL OBJECT PROGRAM OURS, not THEIRS: {line}");
            }
            if ledger.insert(line.to_owned(), reason.to_owned()).is_some() {
                bail!("listed twice: {line}");
            }
        }
    }
    Ok(ledger)
}

/// The series of a version: `6.12` of `6.12.107`.
fn series(kernel: &str) -> String {
    version::numbers(kernel).iter().take(2).map(u64::to_string).collect::<Vec<_>>().join(".")
}

/// The difference as the ledger writes it, if there is one. What is unmodelled is counted elsewhere.
pub(super) fn difference(kernel: &str, key: &Key, pair: &Pair) -> Option<String> {
    let verdicts = match pair.outcome()? {
        Outcome::FalseAccept => "accept, not reject",
        Outcome::FalseReject => "reject, not accept",
        _ => return None,
    };
    Some(format!("{} {} {} {verdicts}", series(kernel), key.object, key.program))
}

/// Compares runs with the ledger. What a run did not judge, it says nothing of.
pub(super) fn check(ledger: &Ledger, runs: &[Run]) -> Findings {
    let mut findings = Findings::default();
    for run in runs {
        let mut there = BTreeSet::new();
        for (key, pair) in &run.pairs {
            if let Some(line) = difference(&run.kernel, key, pair) {
                if !ledger.contains_key(&line) {
                    let said = |insn: Option<i64>, message: &str| match insn {
                        Some(insn) => format!("{message} (at {insn})"),
                        None => message.to_owned(),
                    };
                    let kernel = said(pair.kernel.insn, &pair.kernel.message);
                    let model = pair.model.as_ref().map(|model| said(model.insn, &model.message));
                    let words = format!("ours: {}; the kernel's: {kernel}", model.unwrap_or_default());
                    findings.unlisted.insert(line.clone(), words);
                }
                there.insert(line);
            }
        }
        let judged: BTreeSet<&str> = run.pairs.keys().map(|key| key.object.as_str()).collect();
        let kernel = series(&run.kernel);
        let listed = ledger.keys().filter(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some(kernel.as_str())
                && words.next().is_some_and(|object| judged.contains(object))
        });
        findings.vanished.extend(listed.filter(|line| !there.contains(*line)).cloned());
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::answer::{Answer, Verdict};
    use super::super::corpus::Corpus;
    use super::*;

    fn run(verdicts: &[(&str, Verdict, Verdict)]) -> Run {
        let answer = |verdict| Answer {
            verdict,
            insn: None,
            message: "why".into(),
            program_type: None,
            insns_processed: None,
            time: None,
        };
        let pair = |(program, model, kernel): &(&str, Verdict, Verdict)| {
            let key = Key { object: "a.o".into(), section: "xdp".into(), program: (*program).into() };
            (key, Pair { corpus: Corpus::Tools, kernel: answer(*kernel), model: Some(answer(*model)) })
        };
        Run { kernel: "6.12.107".into(), pairs: verdicts.iter().map(pair).collect() }
    }

    #[test]
    fn what_is_listed_must_differ_and_what_differs_is_listed() {
        use Verdict::{Accept, Reject, Unmodelled};
        let ledger = r#"[{"reason": "known", "differences": ["6.12 a.o one accept, not reject",
            "6.12 a.o two accept, not reject", "6.12 b.o one accept, not reject", "6.1 a.o one accept, not reject"]}]"#;
        let ledger = parse(ledger).expect("a ledger");
        let run = run(&[
            ("one", Accept, Reject),
            ("two", Reject, Reject),
            ("three", Reject, Accept),
            ("four", Unmodelled, Accept),
        ]);
        let findings = check(&ledger, &[run]);
        assert_eq!(findings.vanished.into_iter().collect::<Vec<_>>(), ["6.12 a.o two accept, not reject"]);
        assert_eq!(findings.unlisted.into_keys().collect::<Vec<_>>(), ["6.12 a.o three reject, not accept"]);
    }

    #[test]
    fn a_ledger_without_reasons_is_refused() {
        for bad in [
            "{}",
            r#"[{"differences": []}]"#,
            r#"[{"reason": " ", "differences": []}]"#,
            r#"[{"reason": "x", "differences": ["6.12 a.o one"]}]"#,
            r#"[{"reason": "x", "differences": ["6.12 a.o one accept, not reject", "6.12 a.o one accept, not reject"]}]"#,
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
