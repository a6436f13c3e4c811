//! `cargo xtask bench probes`: what a hit of a probe costs, and how long attaching takes, in a guest.
//!
//! The guest counts time in instructions (`-icount`), so that a nanosecond is an instruction, and figures repeat
//! within a few per cent whatever the machine is busy with. A cost is the difference to the same calls untraced.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::dist;
use crate::guest::{Clock, Ended, Guest, GuestFile, Kit};
use crate::profiles::Profiles;
use crate::setup::{kernel, require};
use crate::test::{GUEST_TESTS, guest_tests};

/// Calls that are timed.
const CALLS: &str = "20000";

/// What is attached while they are made: a name, and the words behind `tracer probe`. Not every kernel lets trampolines
/// reach `__x64_sys_getppid`; it calls `__task_pid_nr_ns` once.
const RUNS: &[(&str, &str)] = &[
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

/// How many functions are attached to be timed.
const FUNCTIONS: &[&str] = &["100", "1000"];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The kernel, by a prefix of its version
    #[arg(long, default_value = "6.12")]
    kernel: String,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let kernel = require(&kernel::Kernel::new(&args.kernel)?)?;
    let version = kernel.version.clone();
    let kit = Kit::new()?;
    let mut script = format!("{GUEST_TESTS} role time-calls untraced {CALLS}\n");
    for (name, words) in RUNS {
        script += &format!("{GUEST_TESTS} role time-probed '{name}' {CALLS} {words}\n");
    }
    for count in FUNCTIONS {
        script += &format!("{GUEST_TESTS} role time-attach {count}\n");
    }
    script += "exit 0\n";
    let mut guest = Guest::new(kernel, ["sh", "-c", &script].map(OsString::from).to_vec());
    guest.files = vec![
        dist::guest_tracer(Profiles::IfThere)?,
        GuestFile { host: guest_tests()?, guest: GUEST_TESTS.to_owned() },
    ];
    guest.cpus = 1;
    guest.memory = 1024;
    guest.clock = Clock::Instructions;
    guest.tracefs = true;
    guest.timeout = Some(Duration::from_secs(1800));
    let output = guest.run(&kit)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.ended != Ended::Exit(0) {
        bail!("the guest's command ended with {:?}: {said}", output.ended);
    }
    print(&version, &said).with_context(|| format!("the guest did not say what is needed: {said}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Lines `calls NAME: N` and `attach COUNT: N` of the roles.
fn print(version: &str, said: &str) -> Option<()> {
    let figure = |name: &str| -> Option<f64> {
        let line = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))?;
        line.trim().parse().ok()
    };
    let untraced = figure("calls untraced")?;
    println!("{version}: instructions per call of getppid: {untraced:.0} untraced; added by");
    for (name, _) in RUNS {
        match figure(&format!("calls {name}")) {
            Some(traced) => println!("{:>8.0}  {name}", traced - untraced),
            None => println!("       -  {name}: it did not run"),
        }
    }
    println!("budgets: 153 for fentry, 377 for kprobe, counted");
    println!(
        "from start to end of `tracer probe --count` of so many functions, in millions of instructions:"
    );
    for count in FUNCTIONS {
        let total = figure(&format!("attach {count}"))?;
        let each = total / count.parse::<f64>().ok()?;
        println!("{:>8.0}  {count} functions ({each:.3} each)", total);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_by_their_names() {
        let said = "calls untraced: 500\ncalls fentry, counted: 640\nattach 100: 70\nattach 1000: 300\n";
        assert!(print("6.12", said).is_some());
        assert!(print("6.12", "calls fentry, counted: 640\n").is_none());
    }
}
