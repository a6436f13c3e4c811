//! `cargo xtask bench [PART]`: what things cost, beside the tools that a user would take instead.
//!
//! Each part measures, keeps its section of docs/BENCHMARKS.md under `docs/bench/`, and has the document rendered from
//! all that are kept. Benchmarks print and write; none asserts a time.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::step;

mod chart;
mod document;
mod exec;
mod host;
mod memory;
mod precheck;
mod probes;
mod report;
mod start;
mod storm;
mod tools;
mod user;
mod verifier;

/// The parts, in the document's order.
const PARTS: [&str; 8] = ["exec", "storm", "start", "memory", "user", "precheck", "probes", "verifier"];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// One part; all of them by default
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// Instructions added per execution, beside other tools
    Exec(exec::Args),
    /// What each tool loses of as many executions as two CPUs make, and whether it says so
    Storm(storm::Args),
    /// From start to first event, beside other tools and on this host
    Start(start::Args),
    /// What each tool's process holds, and what the kernel holds for it
    Memory(memory::Args),
    /// Events a second that one core decodes and writes, on this host
    User(user::Args),
    /// How long the pre-check takes for each kernel, on this host
    Precheck(precheck::Args),
    /// What a hit of a probe costs, and how long attaching takes
    Probes(probes::Args),
    /// The model's time per program against the kernel's own verifier, in the same guest
    Verifier(verifier::Args),
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    match &args.part {
        Some(part) => run(part),
        None => all(),
    }
}

fn run(part: &Part) -> Result<ExitCode> {
    match part {
        Part::Exec(args) => exec::main(args),
        Part::Storm(args) => storm::main(args),
        Part::Start(args) => start::main(args),
        Part::Memory(args) => memory::main(args),
        Part::User(args) => user::main(args),
        Part::Precheck(args) => precheck::main(args),
        Part::Probes(args) => probes::main(args),
        Part::Verifier(args) => verifier::main(args),
    }
}

/// Every part; one that fails is told of, and keeps no other from being run.
fn all() -> Result<ExitCode> {
    let parts = [
        Part::Exec(exec::Args::default()),
        Part::Storm(storm::Args::default()),
        Part::Start(start::Args::default()),
        Part::Memory(memory::Args::default()),
        Part::User(user::Args::default()),
        Part::Precheck(precheck::Args::default()),
        Part::Probes(probes::Args::default()),
        Part::Verifier(verifier::Args::default()),
    ];
    let mut status = ExitCode::SUCCESS;
    for part in &parts {
        if let Err(error) = run(part) {
            step::say(&format!("{error:#}"));
            status = ExitCode::FAILURE;
        }
    }
    Ok(status)
}
