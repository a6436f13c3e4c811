//! `cargo xtask bench precheck`: how long the pre-check of all programs of `tracer exec` takes, for each kernel, on this
//! host.

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::Value;

use super::document::thousands;
use super::report::{Bar, Budget, Chart, Section, Table, Whose};
use super::tools::number;
use super::{PARTS, host, report};

/// Milliseconds.
const BUDGET: f64 = 5.0;

/// Why the slowest is above its budget, where it is.
const WHY: &str = "Why the slowest is missed: the older kernels walk far more instructions of the same programs, and the \
    model walks what they walk. The large programs share the processors: with one for each, the longest is what is \
    waited for.";

#[derive(clap::Args, Default)]
pub(crate) struct Args {}

pub(crate) fn main(_: &Args) -> Result<ExitCode> {
    report::publish(&section(&host::measure("precheck")?, host::on()?)?, &PARTS)?;
    Ok(ExitCode::SUCCESS)
}

fn section(said: &[Value], on: Vec<(String, String)>) -> Result<Section> {
    let ms = |value: f64| format!("{value:.2} ms");
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let columns = [
        "kernel, hook",
        "programs",
        "accepted",
        "instructions walked",
        "pre-check",
        "of processors' time",
        "with preparing",
    ];
    let mut table = Table::new("", &columns);
    let (mut bars, mut worst) = (Vec::new(), 0.0_f64);
    for figures in said {
        let word = |name: &str| figures[name].as_str().with_context(|| format!("no {name}"));
        let name = format!("{}, {}", word("kernel")?, word("hook")?);
        let whole = number(figures, "/ms")?;
        worst = worst.max(whole);
        table.row([
            name.clone(),
            thousands(number(figures, "/programs")?),
            thousands(number(figures, "/accepted")?),
            thousands(number(figures, "/insns")?),
            ms(whole),
            ms(number(figures, "/processor_ms")?),
            ms(number(figures, "/whole_ms")?),
        ]);
        bars.push(Bar { label: name, value: whole, shown: ms(whole), whose: Whose::Ours });
    }
    let what = "pre-check of all programs of `tracer exec`, the slowest kernel and hook";
    let budget = Budget::at_most(what, BUDGET, worst, ms);
    Ok(Section {
        part: "precheck".to_owned(),
        title: "The pre-check".to_owned(),
        command: "cargo xtask bench precheck".to_owned(),
        on,
        how: vec![format!(
            "All programs of `tracer exec`, as they would be loaded by a run without options, judged by the model for \
             each kernel whose profile is embedded. *Preparing* reads the object and fits it to the kernel's BTF, which \
             a run does once for the gate and for loading. Programs are judged side by side, on as many processors as \
             there are: {processors} here. The best of thirty rounds."
        )],
        notes: budget.reason(WHY).into_iter().collect(),
        budgets: vec![budget],
        tables: vec![table],
        charts: vec![Chart {
            name: "precheck".to_owned(),
            title: "Pre-check".to_owned(),
            bars,
            limit: Some(BUDGET),
            logarithmic: false,
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_counts() {
        let line = |kernel: &str, ms: f64| serde_json::json!({"kernel": kernel, "hook": "fentry", "programs": 9, "accepted": 9, "insns": 4000, "ms": ms, "processor_ms": ms, "whole_ms": ms});
        let section =
            section(&[line("5.10.1", 6.0), line("6.12.1", 2.0)], Vec::new()).expect("figures are whole");
        assert_eq!(section.budgets[0].measured, "6.00 ms");
        assert!(!section.budgets[0].met);
    }
}
