//! `cargo xtask bench PART`: what things cost. Benchmarks print; none asserts a time.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

mod probes;
mod verifier;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// What a hit of a probe costs, and how long attaching takes
    Probes(probes::Args),
    /// The model's time per program against the kernel's own verifier, in the same guest
    Verifier(verifier::Args),
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    match &args.part {
        Part::Probes(args) => probes::main(args),
        Part::Verifier(args) => verifier::main(args),
    }
}
