//! `cargo xtask bench storm`: as many executions as two CPUs make, and what becomes of them: while the tool reads, while
//! it is stopped, and while nobody reads what it writes.

use std::process::ExitCode;

use anyhow::Result;

use super::document::thousands;
use super::report::{Bar, Budget, Chart, Section, Table, Whose};
use super::tools::{self, Bench, GuestArgs, OURS, Said, Tool, number};
use super::{PARTS, report};
use crate::guest::Clock;

/// Executions in a storm.
const STORM: usize = 3_000;
/// The first executions after a boot are slow, whoever looks at them: none of these is counted.
const FIRST: usize = 1_000;
/// Executions while a tool is stopped.
const STOPPED: usize = 10_000;

/// Ours with less room than is needed: what is lost has to be told.
const NARROW: Tool =
    Tool { name: "tracer --buffer 512K", words: "tracer exec --buffer 512K", whose: Whose::Ours };

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    #[command(flatten)]
    guest: GuestArgs,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let bench = Bench::new(&args.guest)?;
    let ours: Vec<Tool> = OURS.iter().copied().chain([NARROW]).collect();
    let tools = bench.tools(&ours);
    let mut script = tools::role("bench-cost", "first", FIRST, "");
    for tool in &tools {
        script += &tools::role("bench-storm", tool.name, STORM, tool.words);
        script += &tools::role("bench-stopped", tool.name, STOPPED, tool.words);
        // The families share what comes after the ring.
        if !tool.name.contains("--hook") {
            script += &tools::role("bench-unread", tool.name, STOPPED, tool.words);
        }
    }
    let said = bench.run(Clock::Real, &script)?;
    report::publish(&section(&said, &tools, bench.on()?)?, &PARTS)?;
    Ok(ExitCode::SUCCESS)
}

/// Whether events and told losses are as many as were made.
fn exact(made: f64, shown: f64, told: f64) -> String {
    let unaccounted = made - shown - told;
    if unaccounted.abs() < 0.5 {
        "yes".to_owned()
    } else {
        format!("no: {} unaccounted", thousands(unaccounted))
    }
}

fn section(said: &Said, tools: &[Tool], on: Vec<(String, String)>) -> Result<Section> {
    let mut storm = Table::new(
        "As many as go, while the tool reads.",
        &["tool", "executions", "a second", "shown", "lost", "told as lost", "exact"],
    );
    let mut stopped = Table::new(
        "While the tool is stopped (SIGSTOP); then it goes on.",
        &["tool", "executions", "shown", "lost", "told before the next event", "told at the end", "exact"],
    );
    let mut unread = Table::new(
        "While nobody reads the pipe that the tool writes into; then somebody does.",
        &["tool", "executions", "shown", "lost", "told at the end", "exact"],
    );
    let (mut bars, mut budgets, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for tool in tools {
        let name = tool.name.to_owned();
        let figures = |role: &str| said.of(role, tool.name);
        if let Some(figures) = figures("bench-storm") {
            let of = |pointer: &str| number(figures, pointer);
            let (made, shown, told) = (of("/made")?, of("/shown")?, of("/told")?);
            let rate = made / of("/seconds")?;
            storm.row([
                name.clone(),
                thousands(made),
                thousands(rate),
                thousands(shown),
                thousands(made - shown),
                thousands(told),
                exact(made, shown, told),
            ]);
            if tool.name == OURS[0].name {
                let what = "events lost at the highest rate that two CPUs can make, default buffer";
                budgets.push(Budget::at_most(what, 0.0, made - shown, thousands));
            }
        } else {
            notes.push(format!("{name} did not come to the end of the storm."));
        }
        if let Some(figures) = figures("bench-stopped") {
            let of = |pointer: &str| number(figures, pointer);
            let (made, shown, told) = (of("/made")?, of("/shown")?, of("/told")?);
            stopped.row([
                name.clone(),
                thousands(made),
                thousands(shown),
                thousands(made - shown),
                thousands(of("/quiet")?),
                thousands(told),
                exact(made, shown, told),
            ]);
            bars.push(Bar { label: name.clone(), value: shown, shown: thousands(shown), whose: tool.whose });
        } else {
            notes.push(format!("{name} did not come to the end of being stopped."));
        }
        if let Some(figures) = figures("bench-unread") {
            let of = |pointer: &str| number(figures, pointer);
            let (made, shown, told) = (of("/made")?, of("/shown")?, of("/told")?);
            let cells = [thousands(made), thousands(shown), thousands(made - shown), thousands(told)];
            let [made_cell, shown_cell, lost, told_cell] = cells;
            unread.row([name, made_cell, shown_cell, lost, told_cell, exact(made, shown, told)]);
        } else if !name.contains("--hook") {
            notes.push(format!("{name} did not come to the end of not being read."));
        }
    }
    notes.push(
        "The rates are an emulated machine's: they compare tools in this table, no machines. *Exact*: what is shown and \
         what is told as lost are together what was executed."
            .to_owned(),
    );
    Ok(Section {
        part: "storm".to_owned(),
        title: "Losses".to_owned(),
        command: "cargo xtask bench storm".to_owned(),
        on,
        how: vec![
            "Three threads execute a static program as fast as two CPUs go, each time with an argument of its own that is \
             looked for in what the tool wrote. What a tool tells as lost is the sum of the numbers in its own words."
                .to_owned(),
        ],
        budgets,
        tables: vec![storm, stopped, unread],
        charts: vec![Chart {
            name: "storm".to_owned(),
            title: format!("Of {} executions while the tool is stopped, shown", thousands(STOPPED as f64)),
            bars,
            limit: None,
            logarithmic: false,
        }],
        notes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_exact_or_says_by_how_much_not() {
        assert_eq!(exact(10.0, 7.0, 3.0), "yes");
        assert_eq!(exact(10.0, 7.0, 0.0), "no: 3 unaccounted");
        assert_eq!(exact(10.0, 10.0, 2.0), "no: -2 unaccounted");
    }

    #[test]
    fn losses_are_what_is_not_shown() {
        let said = Said::parse(
            r#"{"bench":"bench-storm","name":"tracer","figures":{"made":100,"seconds":0.5,"shown":98,"told":2}}
{"bench":"bench-stopped","name":"tracer","figures":{"made":100,"shown":100,"quiet":0,"told":0}}"#,
        );
        let section = section(&said, &OURS[..1], Vec::new()).expect("figures are whole");
        let cells: Vec<&str> = section.tables[0].rows[0].iter().map(String::as_str).collect();
        assert_eq!(cells, ["tracer", "100", "200", "98", "2", "2", "yes"]);
        assert!(!section.budgets[0].met);
        assert_eq!(section.tables[1].rows[0][6], "yes");
        assert!(section.tables[2].rows.is_empty());
        assert!(section.notes[0].contains("not being read"));
    }
}
