//! `cargo xtask bench start`: from each tool's start to the first event that it shows, in one guest; and ours on this
//! very host.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::host;
use super::report::{Bar, Budget, Chart, Section, Table};
use super::tools::{self, BPFTRACE, Bench, GuestArgs, OURS, REFERENCE, Said, Tool, number};
use super::{PARTS, report};
use crate::guest::Clock;
use crate::profiles::Profiles;
use crate::{dist, step};

const ROLE: &str = "bench-start";
/// Starts of each tool in the guest.
const ROUNDS: usize = 2;
/// Starts on this host.
const HOST_ROUNDS: usize = 20;
/// Budgets: ms on a host, and the ratios to libbpf-tools and bpftrace.
const HOST: f64 = 60.0;
const TO_REFERENCE: f64 = 0.3;
const TO_BPFTRACE: f64 = 0.1;

/// Why the ratios are what they are, where they are above their budgets.
const WHY: &str = "Why the ratios are missed: most of a start is the kernel's. It verifies four programs that each hold \
    all that an execution tells (arguments in full, paths, ids, control groups), where the others' copy a few fields and \
    leave the rest to /proc or out; and it writes a trampoline for each of five functions, going over all that it can \
    trace each time. That alone takes longer than the budgets allow. The model's own judgement and the kernel's types, \
    read and searched once, are the smaller part. `--hook tracepoint` starts faster, and costs more per execution.";

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    #[command(flatten)]
    guest: GuestArgs,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let bench = Bench::new(&args.guest)?;
    let tools = bench.tools(OURS);
    let script: String = tools.iter().map(|tool| tools::role(ROLE, tool.name, ROUNDS, tool.words)).collect();
    let said = bench.run(Clock::Instructions, &script)?;
    let mut on = bench.on()?;
    on.push(("this host's Linux".to_owned(), host::kernel()?));
    let here = here();
    if let Err(error) = &here {
        step::say(&format!("this host: {error:#}"));
    }
    report::publish(&section(&said, &tools, here.ok(), on)?, &PARTS)?;
    Ok(ExitCode::SUCCESS)
}

/// Milliseconds of runs on this host, sorted.
#[derive(Debug, PartialEq)]
struct Here {
    /// Until the event can be read.
    first: Vec<f64>,
    /// Until the process has ended.
    whole: Vec<f64>,
    hook: String,
}

/// `tracer exec -- /bin/true`, some times.
fn here() -> Result<Here> {
    let program = dist::tracer(Profiles::IfThere)?;
    let (mut first, mut whole, mut hook) = (Vec::new(), Vec::new(), String::new());
    for _ in 0..HOST_ROUNDS {
        let start = Instant::now();
        let mut child = Command::new(&program)
            .args(["exec", "--format", "json", "--", "/bin/true"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run tracer")?;
        let mut lines = BufReader::new(child.stdout.take().context("tracer has no output")?).lines();
        let seen = lines.by_ref().map_while(Result::ok).find(|line| line.contains("\"type\":\"exec\""));
        let shown = start.elapsed().as_secs_f64() * 1e3;
        lines.for_each(drop);
        let status = child.wait().context("cannot wait for tracer")?;
        let (Some(line), true) = (seen, status.success()) else {
            bail!("tracer cannot trace this host: {status} (as root?)");
        };
        first.push(shown);
        whole.push(start.elapsed().as_secs_f64() * 1e3);
        let record: serde_json::Value = serde_json::from_str(&line).context("no JSON")?;
        hook = record["hook"].as_str().unwrap_or_default().to_owned();
    }
    first.sort_by(f64::total_cmp);
    whole.sort_by(f64::total_cmp);
    Ok(Here { first, whole, hook })
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn ms(value: f64) -> String {
    format!("{value:.1} ms")
}

fn section(said: &Said, tools: &[Tool], here: Option<Here>, on: Vec<(String, String)>) -> Result<Section> {
    let least = |name: &str| said.of(ROLE, name).map(|figures| number(figures, "/least")).transpose();
    let (ours, reference, bpftrace) = (least(OURS[0].name)?, least(REFERENCE)?, least(BPFTRACE)?);
    let mut table = Table::new(
        "In a guest: seconds of a machine that executes 10⁹ instructions a second and waits as long as any does.",
        &["tool", "first start", "next starts", "of it computing", "tracer is to it as"],
    );
    let (mut bars, mut budgets, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for tool in tools {
        let Some(figures) = said.of(ROLE, tool.name) else {
            notes.push(format!("{} did not come to its end.", tool.name));
            continue;
        };
        let of = |pointer: &str| number(figures, pointer);
        let time = of("/least")?;
        let seconds = |value: f64| format!("{value:.3} s");
        table.row([
            tool.name.to_owned(),
            seconds(of("/first")?),
            seconds(time),
            seconds(of("/cpu")?),
            ours.map_or("-".to_owned(), |ours| format!("{:.3}x", ours / time)),
        ]);
        bars.push(Bar { label: tool.name.to_owned(), value: time, shown: seconds(time), whose: tool.whose });
    }
    for (name, limit, theirs) in [
        ("libbpf-tools' execsnoop", TO_REFERENCE, reference),
        ("bpftrace's execsnoop.bt", TO_BPFTRACE, bpftrace),
    ] {
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            let what = format!("start to first event, against {name}");
            budgets.push(Budget::at_most(&what, limit, ours / theirs, |value| format!("{value:.2}x")));
        }
    }
    notes.extend(budgets.iter().find_map(|budget| budget.reason(WHY)));
    let mut tables = vec![table];
    if let Some(here) = here {
        let title = format!(
            "On this host: `tracer exec -- /bin/true`, {HOST_ROUNDS} times, by {}, beside whatever else it was busy with.",
            here.hook
        );
        let mut table = Table::new(&title, &["until", "least", "median", "most"]);
        for (name, all) in [("the event can be read", &here.first), ("the process has ended", &here.whole)] {
            let (least, most) = (all.first().copied(), all.last().copied());
            table.row([
                name.to_owned(),
                ms(least.unwrap_or(f64::NAN)),
                ms(median(all)),
                ms(most.unwrap_or(f64::NAN)),
            ]);
        }
        tables.push(table);
        let what = "start to first event on a real host (median)";
        budgets.push(Budget::at_most(what, HOST, median(&here.first), ms));
    } else {
        notes.push("This host could not be traced.".to_owned());
    }
    notes.push(
        "Each tool writes to a terminal, as a user's does, while a program is executed every two milliseconds; the time is \
         until one of these is shown. What a tool waits for (grace periods of the kernel) passes as time, but is nothing \
         that it computes. Everything is in memory: no disk is read."
            .to_owned(),
    );
    Ok(Section {
        part: "start".to_owned(),
        title: "From start to first event".to_owned(),
        command: "cargo xtask bench start".to_owned(),
        on,
        how: Vec::new(),
        budgets,
        tables,
        charts: vec![Chart {
            name: "start".to_owned(),
            title: "Start to first event (logarithmic)".to_owned(),
            bars,
            limit: reference.map(|theirs| theirs * TO_REFERENCE),
            logarithmic: true,
        }],
        notes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_and_medians_meet_their_budgets() {
        let said = Said::parse(
            r#"{"bench":"bench-start","name":"tracer","figures":{"first":0.5,"least":0.06,"cpu":0.03}}
{"bench":"bench-start","name":"libbpf-tools execsnoop","figures":{"first":0.3,"least":0.3,"cpu":0.1}}
{"bench":"bench-start","name":"bpftrace execsnoop.bt","figures":{"first":2.0,"least":0.5,"cpu":0.4}}"#,
        );
        let tools: Vec<Tool> = OURS.iter().chain(tools::PEERS).copied().collect();
        let here =
            Here { first: vec![10.0, 20.0, 70.0], whole: vec![30.0, 40.0, 90.0], hook: "kprobe".to_owned() };
        let section = section(&said, &tools, Some(here), Vec::new()).expect("figures are whole");
        let budgets: Vec<_> = section.budgets.iter().map(|b| (b.measured.as_str(), b.met)).collect();
        assert_eq!(budgets, [("0.20x", true), ("0.12x", false), ("20.0 ms", true)]);
        assert_eq!(section.tables[0].rows[1][4], "0.200x");
    }
}
