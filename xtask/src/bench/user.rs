//! `cargo xtask bench user`: how many events a second one core decodes and writes, on this host.

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::Value;

use super::document::thousands;
use super::report::{Bar, Budget, Chart, Section, Table, Whose};
use super::tools::number;
use super::{PARTS, host, report};

/// Events a second, decoded and written as JSON.
const BUDGET: f64 = 1_000_000.0;
const JSON: &str = "decode, JSON";

#[derive(clap::Args, Default)]
pub(crate) struct Args {}

pub(crate) fn main(_: &Args) -> Result<ExitCode> {
    report::publish(&section(&host::measure("user")?, host::on()?)?, &PARTS)?;
    Ok(ExitCode::SUCCESS)
}

fn section(said: &[Value], on: Vec<(String, String)>) -> Result<Section> {
    let mut table = Table::new("", &["", "events a second", "ns for each", "bytes of text for each"]);
    let (mut bars, mut budgets) = (Vec::new(), Vec::new());
    let first = said.first().context("the benchmark said nothing")?;
    for figures in said {
        let name = figures["name"].as_str().context("no name")?;
        let rate = number(figures, "/rate")?;
        table.row([
            name.to_owned(),
            thousands(rate),
            thousands(number(figures, "/ns")?),
            thousands(number(figures, "/bytes")?),
        ]);
        let shown = format!("{:.2} M/s", rate / 1e6);
        bars.push(Bar { label: name.to_owned(), value: rate, shown, whose: Whose::Ours });
        if name == JSON {
            let what = "events decoded and written as JSON on one core, a second";
            budgets.push(Budget::at_least(what, BUDGET, rate, thousands));
        }
    }
    Ok(Section {
        part: "user".to_owned(),
        title: "The user side alone".to_owned(),
        command: "cargo xtask bench user".to_owned(),
        on,
        how: vec![format!(
            "Bytes of the ring to events to text, without a kernel: the records of {} executions (a small project's build \
             with its compilers and linkers, shell scripts, failed look-ups on PATH; {} bytes each on average), over and \
             over, on one thread, written to /dev/null in batches. Processor time, the best of seven rounds.",
            thousands(number(first, "/events")?),
            thousands(number(first, "/record_bytes")?),
        )],
        budgets,
        tables: vec![table],
        charts: vec![Chart {
            name: "user".to_owned(),
            title: "Events a second on one core".to_owned(),
            bars,
            limit: Some(BUDGET),
            logarithmic: false,
        }],
        notes: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_for_json() {
        let line = |name: &str, rate: f64| serde_json::json!({"name": name, "rate": rate, "ns": 1e9 / rate, "bytes": 600, "events": 100, "record_bytes": 500});
        let said = [line("decode alone", 5e6), line(JSON, 9e5)];
        let section = section(&said, Vec::new()).expect("figures are whole");
        assert_eq!((section.budgets.len(), section.budgets[0].met), (1, false));
        assert_eq!(section.tables[0].rows[1][1], "900,000");
    }
}
