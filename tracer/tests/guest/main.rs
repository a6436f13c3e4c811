//! What needs a kernel of its own: run by `cargo xtask test` as the one program of a guest.
//!
//! `guest-tests [--filter PATTERN]` runs the tests; `guest-tests role NAME …` is a program that a
//! test runs. A new module adds itself to [`tests`] (and, if it needs programs, to
//! [`roles::run`]).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::ExitCode;

mod behaviour;
mod bench;
mod cases;
mod elf;
mod families;
mod harness;
mod hidden;
mod limits;
mod list;
mod lives;
mod probe_cli;
mod probes;
mod process;
mod roles;
mod smoke;
mod strace;
mod sys;
mod tracer;
mod want;

use harness::Test;

/// Every test there is.
fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    tests.extend(smoke::tests());
    tests.extend(families::tests());
    tests.extend(hidden::tests());
    tests.extend(limits::tests());
    tests.extend(list::tests());
    tests.extend(behaviour::tests());
    tests.extend(lives::tests());
    tests.extend(probes::tests());
    tests.extend(probe_cli::tests());
    tests
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [_, "role", name, rest @ ..] => roles::run(name, rest),
        [_, harness::CHILD, name, pattern] => harness::child(&tests(), name, pattern),
        [_, "--filter", pattern] => harness::run(&tests(), pattern),
        // `cargo test` runs every test target, this one too, on a host that is no guest.
        [_, ..] if !harness::in_guest() => {
            println!("guest tests run in guests: cargo xtask test");
            ExitCode::SUCCESS
        }
        [_] => harness::run(&tests(), ""),
        _ => {
            eprintln!("usage: guest-tests [--filter PATTERN]");
            ExitCode::from(2)
        }
    }
}
