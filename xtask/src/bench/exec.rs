//! `cargo xtask bench exec`: instructions that each tool adds to an execution, its own process included, in one guest.

use std::process::ExitCode;

use anyhow::{Context, Result};

use super::document::thousands;
use super::report::{Bar, Budget, Chart, Section, Table};
use super::tools::{self, Bench, GuestArgs, OURS, REFERENCE, Said, Tool, number};
use super::{PARTS, report};
use crate::guest::Clock;

const ROLE: &str = "bench-cost";
/// Executions that are counted, of each tool.
const COUNT: usize = 500;
/// The first executions after a boot cost twice as much, whoever looks at them.
const FIRST: usize = 2500;
/// Of what libbpf-tools' execsnoop adds.
const BUDGET: f64 = 0.5;
/// The untraced runs, before and after all others.
const UNTRACED: [&str; 2] = ["untraced", "untraced again"];

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    #[command(flatten)]
    guest: GuestArgs,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let bench = Bench::new(&args.guest)?;
    let tools = bench.tools(OURS);
    let mut script = tools::role(ROLE, "first", FIRST, "");
    script += &tools::role(ROLE, UNTRACED[0], COUNT, "");
    for tool in &tools {
        script += &tools::role(ROLE, tool.name, COUNT, tool.words);
    }
    script += &tools::role(ROLE, UNTRACED[1], COUNT, "");
    let said = bench.run(Clock::Instructions, &script)?;
    report::publish(&section(&said, &tools, bench.on()?)?, &PARTS)?;
    Ok(ExitCode::SUCCESS)
}

/// Instructions for each execution that one tool adds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Added {
    whole: f64,
    /// By the tool's own process.
    user: f64,
    /// For each second in which nothing is executed.
    rest: f64,
}

fn added(said: &Said, tool: &Tool, untraced: f64) -> Result<Option<Added>> {
    let Some(figures) = said.of(ROLE, tool.name) else { return Ok(None) };
    let later = number(figures, "/later")?;
    Ok(Some(Added {
        whole: number(figures, "/loop")? + later - untraced,
        user: number(figures, "/user")? + later,
        rest: number(figures, "/rest")?,
    }))
}

fn section(said: &Said, tools: &[Tool], on: Vec<(String, String)>) -> Result<Section> {
    let untraced = |name: &str| number(said.of(ROLE, name).context("the untraced run failed")?, "/loop");
    let untraced = (untraced(UNTRACED[0])?, untraced(UNTRACED[1])?);
    let base = (untraced.0 + untraced.1) / 2.0;
    let drift = (untraced.1 - untraced.0).abs() / base * 100.0;
    let reference = tools.iter().find(|tool| tool.name == REFERENCE);
    let reference =
        reference.map(|tool| added(said, tool, base)).transpose()?.flatten().map(|added| added.whole);

    let mut table = Table::new(
        "",
        &[
            "tool",
            "added",
            "of it in its own process",
            "in the execution",
            "an execution costs",
            "against libbpf-tools",
            "at rest, per second",
        ],
    );
    let (mut bars, mut budgets, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for tool in tools {
        let Some(added) = added(said, tool, base)? else {
            notes.push(format!("{} did not come to its end.", tool.name));
            continue;
        };
        let ratio = reference.map(|reference| added.whole / reference);
        table.row([
            tool.name.to_owned(),
            thousands(added.whole),
            thousands(added.user),
            thousands(added.whole - added.user),
            format!("{:.3}x", (base + added.whole) / base),
            ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}x")),
            thousands(added.rest),
        ]);
        bars.push(Bar {
            label: tool.name.to_owned(),
            value: added.whole,
            shown: thousands(added.whole),
            whose: tool.whose,
        });
        if let (Some(ratio), true) = (ratio, tool.name == OURS[0].name) {
            let what = "instructions added per execution, against libbpf-tools' execsnoop";
            budgets.push(Budget::at_most(what, BUDGET, ratio, |value| format!("{value:.2}x")));
        }
    }
    notes.push(format!(
        "An execution by itself costs {} instructions; untraced runs before and after all others differ by {drift:.2} %, \
         {} instructions: figures are no more certain than that.",
        thousands(base),
        thousands((untraced.1 - untraced.0).abs())
    ));
    Ok(Section {
        part: "exec".to_owned(),
        title: "What an execution costs".to_owned(),
        command: "cargo xtask bench exec".to_owned(),
        on,
        how: vec![format!(
            "Instructions that each tool adds to one vfork, exec of a static program with four arguments, exit and wait: \
             the mean of {COUNT}, one after the other on one CPU, in one guest. The tool's own process is counted, with \
             what it does later; every tool writes its default format into a file in memory, ours JSON."
        )],
        budgets,
        tables: vec![table],
        charts: vec![Chart {
            name: "exec".to_owned(),
            title: "Instructions added per execution".to_owned(),
            bars,
            limit: reference.map(|reference| reference * BUDGET),
            logarithmic: false,
        }],
        notes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Said {
        Said::parse(
            r#"{"bench":"bench-cost","name":"untraced","figures":{"loop":100000.0}}
{"bench":"bench-cost","name":"untraced again","figures":{"loop":101000.0}}
{"bench":"bench-cost","name":"tracer","figures":{"loop":110500.0,"user":4000.0,"later":2000.0,"rest":9.0}}
{"bench":"bench-cost","name":"libbpf-tools execsnoop","figures":{"loop":130500.0,"user":1000.0,"later":0.0,"rest":0.0}}"#,
        )
    }

    #[test]
    fn what_is_added_is_the_difference_to_untraced_runs() {
        let bench: Vec<Tool> = OURS.iter().chain(tools::PEERS).copied().collect();
        let section = section(&said(), &bench, Vec::new()).expect("all that is needed is there");
        let row: Vec<&str> = section.tables[0].rows[0].iter().map(String::as_str).collect();
        assert_eq!(row, ["tracer", "12,000", "6,000", "6,000", "1.119x", "0.40x", "9"]);
        assert!(section.budgets[0].met);
        assert_eq!(section.charts[0].limit, Some(15_000.0));
        // Those that said nothing are named.
        assert_eq!(section.tables[0].rows.len(), 2);
        assert!(section.notes.iter().any(|note| note.starts_with("bcc execsnoop did not")));
    }
}
