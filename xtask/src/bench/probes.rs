//! `cargo xtask bench probes`: what a hit of a probe costs, and how long attaching takes, ours and bpftrace's in one guest.
//!
//! The guest counts time in instructions, so that a nanosecond is an instruction. A cost is the difference to the same
//! calls untraced.

use std::process::ExitCode;

use anyhow::{Context, Result};

use super::document::thousands;
use super::report::{Bar, Budget, Chart, Section, Table, Whose};
use super::tools::{self, Bench, GuestArgs, Said, number};
use super::{PARTS, report};
use crate::guest::Clock;

/// Calls that are timed.
const CALLS: usize = 20_000;

/// What is attached while they are made: a name, and the words behind `tracer probe`. Not every kernel lets trampolines
/// reach `__x64_sys_getppid`; it calls `__task_pid_nr_ns` once.
const OURS: &[(&str, &str)] = &[
    ("fentry, counted", "fentry:__task_pid_nr_ns --count"),
    ("kprobe, counted", "kprobe:__x64_sys_getppid --count"),
    ("kretprobe, counted", "kretprobe:__x64_sys_getppid --count"),
    ("fexit with duration, histogram", "fexit:__task_pid_nr_ns --hist duration"),
    ("tracepoint, counted", "tracepoint:syscalls:sys_enter_getppid --count"),
    ("system call, counted", "syscall:getppid --count"),
    ("kprobe, counted by comm", "kprobe:__x64_sys_getppid --count --by comm"),
    ("kprobe, every hit shown", "kprobe:__x64_sys_getppid"),
    ("system call, every hit shown", "syscall:getppid"),
];

/// The same by bpftrace, where it has the like.
const BPFTRACE: &[(&str, &str)] = &[
    ("fentry, counted", "fentry:__task_pid_nr_ns { @ = count(); }"),
    ("kprobe, counted", "kprobe:__x64_sys_getppid { @ = count(); }"),
    ("kretprobe, counted", "kretprobe:__x64_sys_getppid { @ = count(); }"),
    ("tracepoint, counted", "tracepoint:syscalls:sys_enter_getppid { @ = count(); }"),
    ("kprobe, counted by comm", "kprobe:__x64_sys_getppid { @[comm] = count(); }"),
];

/// Why attaching takes what it does, where that is above its budget.
const WHY: &str = "Why attaching is missed: it takes nearly as long for a hundred functions, or for one. The kernel prints its \
    list of symbols (several functions may have one name, and each is probed) and of what can be traced, and that is most \
    of the time; it has no way to be asked for single names.";
/// Whose figures are the budgets, and how much of them is allowed.
const BUDGETS: [&str; 2] = ["fentry, counted", "kprobe, counted"];

/// How many functions are attached to be timed.
const FUNCTIONS: [usize; 2] = [100, 1000];
/// Of bpftrace's time for the most of these.
const ATTACH: f64 = 0.05;
const BY_BPFTRACE: &str = "by bpftrace: ";

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    #[command(flatten)]
    guest: GuestArgs,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let bench = Bench::new(&args.guest)?;
    let said = bench.run(Clock::Instructions, &script())?;
    report::publish(&section(&said, bench.on()?)?, &PARTS)?;
    Ok(ExitCode::SUCCESS)
}

fn script() -> String {
    let mut script = tools::role("bench-calls", "untraced", CALLS, "");
    for (name, words) in OURS {
        script += &tools::role("bench-calls", name, CALLS, &format!("probe {words}"));
    }
    let bpftrace = "chroot /peers /usr/bin/bpftrace";
    for (name, program) in BPFTRACE {
        let name = format!("{BY_BPFTRACE}{name}");
        script += &tools::role("bench-calls", &name, CALLS, &format!("{bpftrace} -e '{program}'"));
    }
    for count in FUNCTIONS {
        let ours = "tracer probe --count --max-probes 100000 -o /dev/null";
        script += &tools::role("bench-attach", &attaching("", count), count, ours);
        script += &tools::role("bench-attach", &attaching(BY_BPFTRACE, count), count, bpftrace);
    }
    script
}

fn attaching(whose: &str, count: usize) -> String {
    format!("{whose}{count} functions")
}

fn section(said: &Said, on: Vec<(String, String)>) -> Result<Section> {
    let each = |name: &str| said.of("bench-calls", name).map(|figures| number(figures, "/each")).transpose();
    let untraced = each("untraced")?.context("the untraced calls did not run")?;
    let added = |name: &str| -> Result<Option<f64>> { Ok(each(name)?.map(|traced| traced - untraced)) };
    let shown = |value: Option<f64>| value.map_or("-".to_owned(), thousands);
    let mut hits = Table::new("Instructions added per hit.", &["", "tracer", "bpftrace"]);
    let (mut bars, mut budgets, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for (name, _) in OURS {
        let (ours, theirs) = (added(name)?, added(&format!("{BY_BPFTRACE}{name}"))?);
        hits.row([(*name).to_owned(), shown(ours), shown(theirs)]);
        for (value, whose, by) in [(ours, Whose::Ours, "tracer"), (theirs, Whose::Peers, "bpftrace")] {
            if let (Some(value), true) = (value, BPFTRACE.iter().any(|(with, _)| with == name)) {
                bars.push(Bar { label: format!("{name}, {by}"), value, shown: thousands(value), whose });
            }
        }
        if let (Some(ours), Some(theirs), true) = (ours, theirs, BUDGETS.contains(name)) {
            let what = format!("instructions added per hit: {name}, against bpftrace's in the same guest");
            budgets.push(Budget::at_most(&what, theirs, ours, thousands));
        }
    }
    let columns = [
        "listed functions",
        "tracer: attached",
        "tracer: ended",
        "bpftrace: attached",
        "bpftrace: ended",
        "attached, ratio",
    ];
    let mut attach = Table::new(
        "Kprobes, each listed by its name, counted: seconds from the start until all are attached (a command that the tool \
         starts then runs), and until the tool has ended.",
        &columns,
    );
    for count in FUNCTIONS {
        let figure = |whose: &str, pointer: &str| {
            said.of("bench-attach", &attaching(whose, count))
                .map(|figures| number(figures, pointer))
                .transpose()
        };
        let seconds = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3} s"));
        let (ours, theirs) = (figure("", "/attached")?, figure(BY_BPFTRACE, "/attached")?);
        let ratio = ours.zip(theirs).map(|(ours, theirs)| ours / theirs);
        attach.row([
            thousands(count as f64),
            seconds(ours),
            seconds(figure("", "/whole")?),
            seconds(theirs),
            seconds(figure(BY_BPFTRACE, "/whole")?),
            ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.4}x")),
        ]);
        if let (Some(ratio), true) = (ratio, Some(&count) == FUNCTIONS.last()) {
            let what = "attaching 1,000 listed kprobes, against bpftrace";
            let budget = Budget::at_most(what, ATTACH, ratio, |value| format!("{value:.4}x"));
            notes.extend(budget.reason(WHY));
            budgets.push(budget);
        }
    }
    Ok(Section {
        part: "probes".to_owned(),
        title: "Probes by name".to_owned(),
        command: "cargo xtask bench probes".to_owned(),
        on,
        how: vec![format!(
            "What a call of getppid costs more while it is probed: the best of twenty rounds of {} calls. Untraced it costs \
             {} instructions.",
            thousands(CALLS as f64 / 20.0),
            thousands(untraced)
        )],
        budgets,
        tables: vec![hits, attach],
        charts: vec![Chart {
            name: "probes".to_owned(),
            title: "Instructions added per hit".to_owned(),
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
    fn ours_stands_beside_bpftraces() {
        let said = Said::parse(
            r#"{"bench":"bench-calls","name":"untraced","figures":{"each":500.0}}
{"bench":"bench-calls","name":"fentry, counted","figures":{"each":640.0}}
{"bench":"bench-calls","name":"by bpftrace: fentry, counted","figures":{"each":653.0}}
{"bench":"bench-attach","name":"1000 functions","figures":{"attached":0.2,"whole":0.4}}
{"bench":"bench-attach","name":"by bpftrace: 1000 functions","figures":{"attached":20.0,"whole":60.0}}"#,
        );
        let section = section(&said, Vec::new()).expect("figures are whole");
        assert_eq!(section.tables[0].rows[0], ["fentry, counted", "140", "153"]);
        assert_eq!(section.tables[0].rows[1], ["kprobe, counted", "-", "-"]);
        let budgets: Vec<_> =
            section.budgets.iter().map(|b| (b.measured.as_str(), b.limit.as_str(), b.met)).collect();
        assert_eq!(budgets, [("140", "<= 153", true), ("0.0100x", "<= 0.0500x", true)]);
        let untraced = Said::parse("{\"bench\":\"bench-attach\",\"name\":\"x\",\"figures\":{}}");
        assert!(super::section(&untraced, Vec::new()).is_err());
    }
}
