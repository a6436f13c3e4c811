//! `cargo xtask bench memory`: what each tool's process holds, and what the kernel holds for it.

use std::process::ExitCode;

use anyhow::Result;

use super::report::{Bar, Budget, Chart, Section, Table};
use super::tools::{self, Bench, GuestArgs, OURS, Said, Tool, number};
use super::{PARTS, report};
use crate::guest::Clock;

const ROLE: &str = "bench-memory";
/// Executions in the storm.
const COUNT: usize = 3_000;
/// Budgets, in MiB: the process at rest and in a storm, and what the kernel holds.
const REST: f64 = 8.0;
const STORM: f64 = 24.0;
const KERNEL: f64 = 10.0;

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    #[command(flatten)]
    guest: GuestArgs,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let bench = Bench::new(&args.guest)?;
    let tools = bench.tools(OURS);
    let script: String = tools.iter().map(|tool| tools::role(ROLE, tool.name, COUNT, tool.words)).collect();
    let said = bench.run(Clock::Real, &script)?;
    report::publish(&section(&said, &tools, bench.on()?)?, &PARTS)?;
    Ok(ExitCode::SUCCESS)
}

fn mib(value: f64) -> String {
    format!("{value:.1} MiB")
}

fn section(said: &Said, tools: &[Tool], on: Vec<(String, String)>) -> Result<Section> {
    let columns = [
        "tool",
        "PSS at rest",
        "RSS at rest",
        "PSS in a storm",
        "RSS in a storm",
        "maps",
        "programs",
        "perf buffers",
        "kernel in all",
    ];
    let mut table = Table::new("", &columns);
    let (mut bars, mut budgets, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for tool in tools {
        let Some(figures) = said.of(ROLE, tool.name) else {
            notes.push(format!("{} did not come to its end.", tool.name));
            continue;
        };
        let of = |pointer: &str| number(figures, pointer).map(|kib| kib / 1024.0);
        let (rest, storm) = (of("/rest/pss")?, of("/storm/pss")?);
        let (maps, programs, perf) = (of("/maps")?, of("/programs")?, of("/perf")?);
        let kernel = maps + programs + perf;
        table.row([
            tool.name.to_owned(),
            mib(rest),
            mib(of("/rest/rss")?),
            mib(storm),
            mib(of("/storm/rss")?),
            mib(maps),
            mib(programs),
            mib(perf),
            mib(kernel),
        ]);
        let all = rest + kernel;
        bars.push(Bar { label: tool.name.to_owned(), value: all, shown: mib(all), whose: tool.whose });
        if tool.name == OURS[0].name {
            budgets.push(Budget::at_most("memory resident at rest", REST, rest, mib));
            budgets.push(Budget::at_most("memory resident in a storm", STORM, storm, mib));
            budgets.push(Budget::at_most("memory that the kernel holds for BPF", KERNEL, kernel, mib));
        }
    }
    notes.push(
        "Maps and programs: the kernel's own count (`memlock` in fdinfo), each map and program once. Perf buffers: what \
         the process has mapped of them. The kernel's ring buffer lies in maps, and where a process has touched its pages \
         they count as resident too."
            .to_owned(),
    );
    Ok(Section {
        part: "memory".to_owned(),
        title: "Memory".to_owned(),
        command: "cargo xtask bench memory".to_owned(),
        on,
        how: vec![format!(
            "Each tool by itself on two CPUs: at rest once it has shown its first events, and the most that is seen, every \
             50 ms, while {COUNT} executions are made as fast as they go."
        )],
        budgets,
        tables: vec![table],
        charts: vec![Chart {
            name: "memory".to_owned(),
            title: "Memory at rest: process (PSS) and kernel (logarithmic)".to_owned(),
            bars,
            limit: Some(REST + KERNEL),
            logarithmic: true,
        }],
        notes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kibibytes_become_mebibytes_and_budgets() {
        let said = Said::parse(
            r#"{"bench":"bench-memory","name":"tracer","figures":{"rest":{"pss":4096,"rss":5120},"storm":{"pss":25600,"rss":26000},"maps":9216,"programs":512,"perf":0}}"#,
        );
        let section = section(&said, &OURS[..2], Vec::new()).expect("figures are whole");
        assert_eq!(section.tables[0].rows[0][1], "4.0 MiB");
        assert_eq!(section.tables[0].rows[0][8], "9.5 MiB");
        let met: Vec<bool> = section.budgets.iter().map(|budget| budget.met).collect();
        assert_eq!(met, [true, false, true]);
        assert!(section.notes[0].starts_with("tracer --hook kprobe did not"));
    }
}
