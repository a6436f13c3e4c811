//! `cargo xtask bench verifier`: one guest, the same objects; the kernel tells its `verification time`, tracer its
//! `elapsed_us`. Both are told the least of some rounds, because a guest's neighbours make noise.
//!
//! Only programs that both accept are compared: a rejection is timed with its log. tracer's time includes preparing the
//! program (CO-RE, linking), which is no part of the kernel's.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::document::thousands;
use super::report::{Bar, Budget, Chart, Section, Table, Whose};
use super::{PARTS, report};
use crate::conformance::answer::{self, Answer, Key, Verdict};
use crate::conformance::corpus::{self, Corpus};
use crate::conformance::{compile, truth};
use crate::dist;
use crate::guest::{Ended, Kit};
use crate::profiles::Profiles;
use crate::setup::{clang, kernel, require};

/// How many of the largest programs are shown.
const LARGEST: usize = 20;

/// Both sides of a round, a line before each.
const SCRIPT: &str =
    "for round in $ROUNDS; do loader \"$@\"; tracer verify --format json --stats \"$@\"; done; exit 0";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The kernel, by a prefix of its version
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// The programs: `verifier`, `selftests`, `tools`, or a folder of object files
    #[arg(long, default_value = "verifier")]
    corpus: Vec<Corpus>,
    /// How often each side judges each program
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=50))]
    rounds: u8,
}

/// The least time of each side, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Times {
    kernel: Option<f64>,
    model: Option<f64>,
    insns: u64,
}

impl Default for Args {
    fn default() -> Self {
        Self { kernel: "6.12".to_owned(), corpus: vec![Corpus::Verifier], rounds: 3 }
    }
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let kernel = require(&kernel::Kernel::new(&args.kernel)?)?;
    let tools = require(&clang::BpfTools)?;
    let objects = corpus::objects(&args.corpus, &tools)?;
    let loader = compile::loader(&tools)?;
    let kit = Kit::new()?;
    let mut guest = truth::guest(&kernel, &objects, &loader, &tools, SCRIPT);
    guest.files.push(dist::guest_tracer(Profiles::IfThere)?);
    let rounds: Vec<String> = (1..=args.rounds).map(|round| round.to_string()).collect();
    guest.env.push(("ROUNDS".into(), rounds.join(" ").into()));
    guest.timeout = Some(Duration::from_secs(3600));
    let output = guest.run(&kit)?;
    if output.ended != Ended::Exit(0) {
        bail!(
            "the guest's command ended with {:?}: {}",
            output.ended,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let times = least(&String::from_utf8_lossy(&output.stdout));
    let on = vec![
        ("tracer".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("Linux".to_owned(), kernel.version.clone()),
        ("QEMU".to_owned(), kit.qemu_version()?),
    ];
    let corpora: Vec<String> = args.corpus.iter().map(Corpus::to_string).collect();
    let section = section(&times, on, &corpora.join(", "), args.rounds);
    report::publish(&section.context("no program was timed by both sides")?, &PARTS)?;
    Ok(ExitCode::SUCCESS)
}

/// The least times of each program, of lines from both sides.
fn least(text: &str) -> BTreeMap<Key, Times> {
    let mut times: BTreeMap<Key, Times> = BTreeMap::new();
    let less = |old: Option<f64>, new: f64| Some(old.map_or(new, |old| old.min(new)));
    for (key, answer) in text.lines().filter_map(answer::parse) {
        let Answer { verdict: Verdict::Accept, time: Some(time), insns_processed, .. } = answer else {
            continue;
        };
        let entry = times.entry(key).or_default();
        if answer.program_type.is_some() {
            entry.model = less(entry.model, time);
        } else {
            entry.kernel = less(entry.kernel, time);
            entry.insns = insns_processed.unwrap_or(0);
        }
    }
    times
}

fn section(
    times: &BTreeMap<Key, Times>,
    on: Vec<(String, String)>,
    corpora: &str,
    rounds: u8,
) -> Option<Section> {
    let mut both: Vec<(&Key, u64, f64, f64)> = times
        .iter()
        .filter_map(|(key, times)| Some((key, times.insns, times.kernel?, times.model?)))
        .collect();
    both.sort_by_key(|(_, insns, ..)| std::cmp::Reverse(*insns));
    let ms = |us: f64| format!("{:.3} ms", us / 1e3);
    let times = |value: f64| format!("{value:.2}x");
    let columns = ["program", "instructions walked", "kernel", "model", "ratio"];
    let mut table = Table::new(&format!("The {LARGEST} largest of {} programs.", both.len()), &columns);
    for (key, insns, kernel, model) in both.iter().take(LARGEST) {
        table.row([
            format!("{} {}", key.object, key.program),
            thousands(*insns as f64),
            ms(*kernel),
            ms(*model),
            times(model / kernel.max(1.0)),
        ]);
    }
    let (kernel, model) =
        both.iter().fold((0.0, 0.0), |(kernel, model), (_, _, k, m)| (kernel + k, model + m));
    let mut ratios: Vec<f64> = both.iter().map(|(_, _, kernel, model)| model / kernel.max(1.0)).collect();
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(ratios.len() / 2)?;
    let bar =
        |label: &str, value: f64, whose| Bar { label: label.to_owned(), value, shown: ms(value), whose };
    Some(Section {
        part: "verifier".to_owned(),
        title: "The model against the kernel's verifier".to_owned(),
        command: "cargo xtask bench verifier".to_owned(),
        on,
        how: vec![format!(
            "The same objects ({corpora}) in one guest: the kernel tells its `verification time`, tracer the time that the \
             model took, preparing included; of each program the least of {rounds} rounds. Programs that both accept."
        )],
        budgets: vec![Budget::at_most(
            "the model's time per program against the kernel's verifier, in total",
            1.0,
            model / kernel,
            times,
        )],
        tables: vec![table],
        charts: vec![Chart {
            name: "verifier".to_owned(),
            title: format!("{} programs in total", both.len()),
            bars: vec![
                bar("tracer's model", model, Whose::Ours),
                bar("the kernel's verifier", kernel, Whose::Peers),
            ],
            limit: None,
            logarithmic: false,
        }],
        notes: vec![format!(
            "In total the kernel takes {}, the model {}; the median of the programs' ratios is {median:.2}x.",
            ms(kernel),
            ms(model)
        )],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_counts_by_its_least_time() {
        let text = r#"{"object":"a.o","section":"xdp","program":"p","verdict":"accept","insns_processed":9,"verification_us":40}
{"object":"/c/a.o","section":"xdp","program":"p","program_type":"xdp","verdict":"accept","insns_processed":9,"elapsed_us":12}
{"object":"a.o","section":"xdp","program":"p","verdict":"accept","insns_processed":9,"verification_us":30}
{"object":"/c/a.o","section":"xdp","program":"p","program_type":"xdp","verdict":"accept","insns_processed":9,"elapsed_us":15}
{"object":"a.o","section":"xdp","program":"q","verdict":"reject","insns_processed":9,"verification_us":30}"#;
        let times: Vec<Times> = least(text).into_values().collect();
        assert_eq!(times, [Times { kernel: Some(30.0), model: Some(12.0), insns: 9 }]);
    }
}
