//! The comparison as text: on the terminal, and as docs/CONFORMANCE.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::Run;
use super::answer::{Key, Verdict};
use super::compare::{Outcome, Pair, Tally, percent};
use super::corpus::Corpus;
use super::ledger::{Findings, Ledger};

/// Prints one kernel's matrices.
pub(super) fn print(run: &Run) {
    for corpus in corpora(run) {
        let tally = tally(run, &corpus);
        println!(
            "== {} {corpus}: {} programs, {} more never reached the verifier",
            run.kernel,
            tally.all(),
            tally.not_judged
        );
        println!("   model \\ kernel   accept  reject");
        println!("   accept          {:>7} {:>7}", tally.both_accept, tally.false_accept);
        println!("   reject          {:>7} {:>7}", tally.false_reject, tally.both_reject);
        println!("   unmodelled      {:>7} {:>7}", tally.unmodelled_accept, tally.unmodelled_reject);
        println!(
            "   agree {:.2} %, false accepts {:.2} %, same instruction {:.1} % of {}, same count {:.1} % of {}",
            percent(tally.agreed(), tally.all()),
            percent(tally.false_accept, tally.all()),
            percent(tally.same_insn, tally.insns),
            tally.insns,
            percent(tally.same_count, tally.both_accept),
            tally.both_accept,
        );
    }
}

/// Prints where runs and the ledger are at odds.
pub(super) fn print_findings(findings: &Findings) {
    for (line, words) in &findings.unlisted {
        println!("unlisted: {line}\n    {words}");
    }
    for line in &findings.vanished {
        println!("listed in docs/conformance-ledger.json, but differs no more: {line}");
    }
    let (unlisted, vanished) = (findings.unlisted.len(), findings.vanished.len());
    println!("{unlisted} differences are not in the ledger, {vanished} of the ledger's differ no more");
}

fn corpora(run: &Run) -> BTreeSet<Corpus> {
    run.pairs.values().map(|pair| pair.corpus.clone()).collect()
}

fn tally(run: &Run, corpus: &Corpus) -> Tally {
    Tally::of(run.pairs.values().filter(|pair| pair.corpus == *corpus))
}

const HEAD: &str = "\
# Conformance

What real kernels and the model said of the same programs, written by `cargo xtask conformance`.

Each program is loaded alone, as root, by libbpf 1.5 in a booted guest, and judged by `tracer verify --kernel`. Corpora:
`verifier` are the kernel's own verifier_* BPF selftests (linux-source-6.12, clang 19), `selftests` its other ones,
`tools` the objects that the distribution's libbpf-tools carry. Programs that libbpf gives up before the verifier sees
them (a missing symbol, a type or map that this kernel lacks) are not counted.
";

/// docs/CONFORMANCE.md.
pub(super) fn document(runs: &[Run], ledger: &Ledger) -> String {
    let mut out = HEAD.to_owned();
    out.push_str("\n## Verdicts\n\n| kernel | corpus | programs | agree | false accepts | false rejects | unmodelled | same instruction | same count |\n|---|---|---|---|---|---|---|---|---|\n");
    for run in runs {
        for corpus in corpora(run) {
            let tally = tally(run, &corpus);
            let all = tally.all();
            let _ = writeln!(
                out,
                "| {} | {corpus} | {all} | {:.2} % | {} ({:.2} %) | {} | {} | {:.1} % of {} | {:.1} % of {} |",
                run.kernel,
                percent(tally.agreed(), all),
                tally.false_accept,
                percent(tally.false_accept, all),
                tally.false_reject,
                tally.unmodelled(),
                percent(tally.same_insn, tally.insns),
                tally.insns,
                percent(tally.same_count, tally.both_accept),
                tally.both_accept,
            );
        }
    }
    out.push_str("\n*Same instruction*: of the agreed rejections whose instruction the kernel's log tells. *Same count*: of the agreed\nacceptances, those for which model and kernel processed equally many instructions.\n");
    matrices(&mut out, runs);
    by(&mut out, runs, "program type", |_, pair| Some(pair.program_type().to_owned()));
    by(&mut out, runs, "object, where not all agree", {
        let differing = differing(runs);
        move |key, _| differing.contains(&key.object).then(|| key.object.clone())
    });
    unmodelled(&mut out, runs);
    differences(&mut out, ledger);
    out
}

fn matrices(out: &mut String, runs: &[Run]) {
    out.push_str("\n## Matrices\n\nThe model's verdict against the kernel's.\n\n| kernel | corpus | accept/accept | reject/reject | accept/reject | reject/accept | unmodelled/accept | unmodelled/reject | not judged |\n|---|---|---|---|---|---|---|---|---|\n");
    for run in runs {
        for corpus in corpora(run) {
            let t = tally(run, &corpus);
            let _ = writeln!(
                out,
                "| {} | {corpus} | {} | {} | {} | {} | {} | {} | {} |",
                run.kernel,
                t.both_accept,
                t.both_reject,
                t.false_accept,
                t.false_reject,
                t.unmodelled_accept,
                t.unmodelled_reject,
                t.not_judged
            );
        }
    }
}

/// A table of agreement by a property of programs: a row for each value, a column for each kernel.
fn by(out: &mut String, runs: &[Run], what: &str, group: impl Fn(&Key, &Pair) -> Option<String>) {
    let mut rows: BTreeMap<String, Vec<Tally>> = BTreeMap::new();
    for (number, run) in runs.iter().enumerate() {
        let mut groups: BTreeMap<String, Vec<&Pair>> = BTreeMap::new();
        for (key, pair) in &run.pairs {
            if let Some(group) = group(key, pair) {
                groups.entry(group).or_default().push(pair);
            }
        }
        for (name, pairs) in groups {
            let row = rows.entry(name).or_insert_with(|| vec![Tally::default(); runs.len()]);
            row[number] = Tally::of(pairs);
        }
    }
    let _ = write!(out, "\n## By {what}\n\nAgreed verdicts of those that the kernel gave.\n\n| |");
    runs.iter().for_each(|run| {
        let _ = write!(out, " {} |", run.kernel);
    });
    let _ = writeln!(out, "\n|---|{}", "---|".repeat(runs.len()));
    for (name, tallies) in rows.iter().filter(|(_, tallies)| tallies.iter().any(|tally| tally.all() > 0)) {
        let _ = write!(out, "| {name} |");
        for tally in tallies {
            let _ = match tally.all() {
                0 => write!(out, " |"),
                all => write!(out, " {} of {all} |", tally.agreed()),
            };
        }
        out.push('\n');
    }
}

/// The objects of which some program does not agree on some kernel.
fn differing(runs: &[Run]) -> BTreeSet<String> {
    let agrees =
        |pair: &Pair| matches!(pair.outcome(), None | Some(Outcome::BothAccept | Outcome::BothReject));
    let pairs = runs.iter().flat_map(|run| &run.pairs);
    pairs.filter(|(_, pair)| !agrees(pair)).map(|(key, _)| key.object.clone()).collect()
}

fn unmodelled(out: &mut String, runs: &[Run]) {
    let mut features: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for (number, run) in runs.iter().enumerate() {
        for pair in run.pairs.values().filter(|pair| pair.outcome() == Some(Outcome::Unmodelled)) {
            let feature = match &pair.model {
                Some(model) if model.verdict == Verdict::Unmodelled => model.message.as_str(),
                Some(_) => "object that cannot be prepared",
                None => "object that cannot be read",
            };
            features.entry(feature).or_insert_with(|| vec![0; runs.len()])[number] += 1;
        }
    }
    out.push_str("\n## Not modelled\n\nPrograms by the feature that the model lacks.\n\n| |");
    runs.iter().for_each(|run| {
        let _ = write!(out, " {} |", run.kernel);
    });
    let _ = writeln!(out, "\n|---|{}", "---|".repeat(runs.len()));
    for (feature, counts) in features {
        let counts: Vec<String> = counts.iter().map(u32::to_string).collect();
        let _ = writeln!(out, "| {feature} | {} |", counts.join(" | "));
    }
}

fn differences(out: &mut String, ledger: &Ledger) {
    out.push_str("\n## Known differences\n\nFrom [the ledger](conformance-ledger.json): each must still differ.\n\n| reason | differences |\n|---|---|\n");
    let mut reasons: BTreeMap<&str, u32> = BTreeMap::new();
    for reason in ledger.values() {
        *reasons.entry(reason).or_default() += 1;
    }
    for (reason, count) in reasons {
        let _ = writeln!(out, "| {reason} | {count} |");
    }
}
