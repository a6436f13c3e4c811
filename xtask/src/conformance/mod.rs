//! `cargo xtask conformance`: real kernels and the model judge the same programs, and every difference is accounted for.
//!
//! ```text
//! corpus   -> objects          selftests compiled with the distribution's clang, its libbpf-tools, a folder of your own
//! kernels  -> truth            each booted; libbpf loads each program of each object alone (loader.c)
//! tracer   -> answers          `tracer verify` on the same objects for the same kernels
//! both     -> compare -> ledger -> table, docs/CONFORMANCE.md
//! ```
//! Invariant: the two sides share nothing but the object files: libbpf prepares a program for the kernel, tracer's own
//! `object` for the model.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::guest::Kit;
use crate::profiles::Profiles;
use crate::setup::{KERNELS, clang, kernel, require};
use crate::{dist, fuzz, paths, step, test};

pub(crate) mod answer;
mod compare;
pub(crate) mod compile;
pub(crate) mod corpus;
mod ledger;
mod model;
mod report;
mod shipped;
pub(crate) mod truth;

use answer::Key;
use corpus::Corpus;

/// The kernel that `--quick` boots.
const QUICK: &str = "6.12";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these kernels, by a prefix of their version (default: the four that tests boot)
    #[arg(long, conflicts_with = "quick")]
    kernel: Vec<String>,
    /// Only these programs: `verifier` (the kernel's verifier_* selftests), `selftests` (its others), `tools` (what the
    /// distribution's libbpf-tools ship), `own` (this project's), `fuzz` (generated), or a folder of object files
    /// (default: the first three)
    #[arg(long)]
    corpus: Vec<Corpus>,
    /// One kernel and the verifier_* selftests alone
    #[arg(long)]
    quick: bool,
    /// Only objects whose names contain this
    #[arg(long, value_name = "PATTERN")]
    only: Option<String>,
    /// Fail on a difference that the ledger does not list (one that it lists must differ in any case)
    #[arg(long)]
    strict: bool,
    /// Write docs/CONFORMANCE.md (a run over all kernels and corpora does)
    #[arg(long)]
    write: bool,
}

/// What both sides said, by kernel.
pub(crate) struct Run {
    /// The kernel's version.
    pub(crate) kernel: String,
    pub(crate) pairs: BTreeMap<Key, compare::Pair>,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let kernels: Vec<&str> = match (args.quick, args.kernel.as_slice()) {
        (true, _) => vec![QUICK],
        (_, []) => KERNELS.to_vec(),
        (_, some) => some.iter().map(String::as_str).collect(),
    };
    let corpora = match (args.quick, args.corpus.as_slice()) {
        (true, []) => vec![Corpus::Verifier],
        (_, []) => vec![Corpus::Verifier, Corpus::Selftests, Corpus::Tools],
        (_, some) => some.to_vec(),
    };
    if corpora.contains(&Corpus::Own) {
        let compared =
            test::main(&test::Args::in_guests(args.kernel.clone(), "gate::agrees_with_the_kernel"))?;
        if compared != ExitCode::SUCCESS {
            return Ok(compared);
        }
    }
    if corpora.contains(&Corpus::Fuzz) {
        fuzz::main(&fuzz::Args::of_kernels(args.kernel.clone()))?;
    }
    if corpora.iter().all(|corpus| matches!(corpus, Corpus::Own | Corpus::Fuzz)) {
        return Ok(ExitCode::SUCCESS);
    }
    let whole = args.kernel.is_empty() && args.corpus.is_empty() && args.only.is_none() && !args.quick;
    let ledger = ledger::read()?;
    let runs = runs(&kernels, &corpora, args.only.as_deref())?;
    for run in &runs {
        report::print(run);
    }
    let found = ledger::check(&ledger, &runs);
    report::print_findings(&found);
    if whole || args.write {
        let file = paths::root().join("docs/CONFORMANCE.md");
        fs::write(&file, report::document(&runs, &ledger))
            .with_context(|| format!("cannot write {}", file.display()))?;
        step::say(&format!("wrote {}", file.display()));
    }
    let failed = !found.vanished.is_empty() || (args.strict && !found.unlisted.is_empty());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Has kernels and model judge these corpora.
///
/// # Errors
/// Something cannot be had or built, or a guest fails.
pub(crate) fn runs(kernels: &[&str], corpora: &[Corpus], only: Option<&str>) -> Result<Vec<Run>> {
    let mut found = Vec::new();
    for series in kernels {
        found.push(require(&kernel::Kernel::new(series)?)?);
    }
    let tools = require(&clang::BpfTools)?;
    let mut objects = corpus::objects(corpora, &tools)?;
    objects.retain(|object| only.is_none_or(|pattern| object.name().contains(pattern)));
    if objects.is_empty() {
        bail!(
            "no object file in {}{}",
            corpora.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            only.map(|pattern| format!(" has {pattern:?} in its name")).unwrap_or_default()
        );
    }
    let loader = compile::loader(&tools)?;
    let tracer: PathBuf = dist::tracer(Profiles::Made)?;
    let kit = Kit::new()?;
    let mut runs = Vec::new();
    for kernel in found {
        let truth = truth::of(&kit, &kernel, &objects, &loader, &tools)?;
        let answers = model::of(&tracer, &kernel.version, &objects)?;
        runs.push(Run { pairs: compare::pairs(&objects, truth, answers), kernel: kernel.version });
    }
    Ok(runs)
}
