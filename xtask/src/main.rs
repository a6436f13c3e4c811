//! `cargo xtask VERB`: everything that is done to this project rather than with it.
//!
//! One file per verb; this one knows their syntax alone. What a verb needs from outside the
//! workspace is a [`setup`] part, which the verb requires by itself, so that a fresh machine needs
//! no preparation. No verb knows a mirror's address or a path outside the workspace: those come
//! from the machine's own configuration.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

mod bench;
mod build;
mod cargo;
mod conformance;
mod dist;
mod fuzz;
mod guest;
mod lint;
mod paths;
mod profiles;
mod run;
mod setup;
mod step;
mod summary;
mod test;
mod tidy;
mod vm;

#[derive(Parser)]
#[command(name = "cargo xtask", version, about = "Set up, build, run, boot, test and check tracer")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install what is missing, saying what and why; nothing happens when all is there
    Setup(setup::Args),
    /// Compile the kernel side, then the user side around it
    Build(build::Args),
    /// Build, then run tracer on this host (as root, by sudo where needed)
    Run(run::Args),
    /// Make the profiles of kernels that tracer embeds, in target/profiles/
    Profiles(profiles::Args),
    /// Make a static tracer for any host, with its manual and completions, in target/dist/
    Dist(dist::Args),
    /// Boot a kernel in QEMU and run tracer, or any program, in it
    Vm(vm::Args),
    /// Run every test: on this host, and in guests of four kernels
    Test(test::Args),
    /// Measure what things cost
    Bench(bench::Args),
    /// Compare the verifier model's verdicts with those of real kernels
    Conformance(conformance::Args),
    /// Compare the model of the verifier with real kernels, on generated programs
    Fuzz(fuzz::Args),
    /// Check form, clippy's lints, and the dependencies' licences and sources
    Lint(lint::Args),
    /// Check the architecture's invariants, and that the documents name what exists
    Tidy(tidy::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Setup(args) => setup::main(&args),
        Verb::Build(args) => build::main(&args),
        Verb::Run(args) => run::main(&args),
        Verb::Profiles(args) => profiles::main(&args),
        Verb::Dist(args) => dist::main(&args),
        Verb::Vm(args) => vm::main(&args),
        Verb::Test(args) => test::main(&args),
        Verb::Bench(args) => bench::main(&args),
        Verb::Conformance(args) => conformance::main(&args),
        Verb::Fuzz(args) => fuzz::main(&args),
        Verb::Lint(args) => lint::main(&args),
        Verb::Tidy(args) => tidy::main(&args, &Cli::command()),
    };
    result.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
