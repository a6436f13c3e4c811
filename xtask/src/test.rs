//! `cargo xtask test`: every test there is, on this host and in guests.
//!
//! What needs no kernel of its own is `cargo test`. What touches bpf() is tracer's test target
//! `guest`: one static program that runs in a guest of each kernel and says how each test went.
//! The run ends with the line `N passed, N failed`. A guest that does not report counts as failed.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cargo::cargo;
use crate::guest::{Ended, Guest, GuestFile, Kit, Stream, with_libraries};
use crate::profiles::Profiles;
use crate::setup::{self, kernel, require, userland};
use crate::summary::Summary;
use crate::{build, dist, profiles, step};

/// Where the tests lie in a guest.
pub(crate) const GUEST_TESTS: &str = "/bin/guest-tests";

/// A guest's whole run: several times what it takes on a loaded machine.
const GUEST_TIME: Duration = Duration::from_secs(35 * 60);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Test in a guest of this kernel alone (repeatable); all four by default
    #[arg(long, value_name = "VERSION")]
    kernel: Vec<String>,
    /// Test on this host alone
    #[arg(long, conflicts_with_all = ["kernel", "guest_filter"])]
    no_guests: bool,
    /// Test in guests alone
    #[arg(long)]
    no_host: bool,
    /// Run only the guest tests whose names contain this
    #[arg(long, value_name = "PATTERN")]
    guest_filter: Option<String>,
    /// Guests at a time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,
}

impl Args {
    /// The guests' tests alone whose names contain `pattern`; every kernel if none is named.
    pub(crate) fn in_guests(kernel: Vec<String>, pattern: &str) -> Self {
        Self { kernel, no_guests: false, no_host: true, guest_filter: Some(pattern.to_owned()), jobs: 2 }
    }
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let start = Instant::now();
    let mut sum = Summary::default();
    if !args.no_host {
        sum += host()?;
    }
    if !args.no_guests {
        sum += guests(args)?;
    }
    step::say(&format!("tests took {} s", start.elapsed().as_secs()));
    println!("{sum}");
    Ok(if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `cargo test`, its output shown as it comes.
fn host() -> Result<Summary> {
    let object = build::kernel_side(&[])?;
    let mut command = cargo();
    command
        .args(["test", "--no-fail-fast"])
        .env(build::OBJECT_VARIABLE, object)
        .envs(profiles::variable(Profiles::Made)?);
    let mut sum = Summary::default();
    let mut reported = false;
    let success = lines(&mut command, &mut |line| {
        println!("{line}");
        if let Some(summary) = Summary::of_cargo(line) {
            sum += summary;
            reported = true;
        }
    })?;
    if !success && !reported {
        bail!("the host's tests could not be built");
    }
    if !success && sum.failed == 0 {
        step::say("a test program of the host's ended without a report: counted as failed");
        sum.failed += 1;
    }
    Ok(sum)
}

/// Runs a command, handing on each line of its output; whether it succeeded.
fn lines(command: &mut Command, each: &mut dyn FnMut(&str)) -> Result<bool> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let stdout = child.stdout.take().context("cargo has no output")?;
    for line in BufReader::new(stdout).split(b'\n') {
        each(&String::from_utf8_lossy(&line.context("cannot read cargo's output")?));
    }
    Ok(child.wait().context("cannot wait for cargo")?.success())
}

fn guests(args: &Args) -> Result<Summary> {
    let wanted: Vec<&str> = if args.kernel.is_empty() {
        setup::KERNELS.to_vec()
    } else {
        args.kernel.iter().map(String::as_str).collect()
    };
    let mut kernels = Vec::new();
    for series in wanted {
        kernels.push(require(&kernel::Kernel::new(series)?)?);
    }
    let kit = Kit::new()?;
    let mut files = vec![
        dist::guest_tracer(Profiles::Made)?,
        GuestFile { host: guest_tests()?, guest: GUEST_TESTS.to_owned() },
    ];
    files.extend(with_libraries(&require(&userland::Strace)?)?);
    let mut command = vec![OsString::from(GUEST_TESTS)];
    if let Some(pattern) = &args.guest_filter {
        command.extend(["--filter".into(), pattern.into()]);
    }
    let guests: Vec<Guest> = kernels
        .into_iter()
        .map(|kernel| {
            let mut guest = Guest::new(kernel, command.clone());
            guest.files.clone_from(&files);
            guest.memory = 1024;
            guest.timeout = Some(GUEST_TIME);
            guest
        })
        .collect();
    Ok(run_all(&kit, &guests, usize::from(args.jobs)))
}

/// Runs the guests, some at a time, the first ones first.
fn run_all(kit: &Kit, guests: &[Guest], jobs: usize) -> Summary {
    let next = AtomicUsize::new(0);
    let sum = Mutex::new(Summary::default());
    thread::scope(|scope| {
        for _ in 0..jobs.min(guests.len()) {
            scope.spawn(|| {
                while let Some(guest) = guests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let summary = run_one(kit, guest);
                    if let Ok(mut sum) = sum.lock() {
                        *sum += summary;
                    }
                }
            });
        }
    });
    sum.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn run_one(kit: &Kit, guest: &Guest) -> Summary {
    let version = &guest.kernel.version;
    let start = Instant::now();
    let mut report = Report::new(version);
    let ended = guest.stream(kit, None, &mut |stream, bytes| report.take(stream, bytes));
    report.finish();
    let seconds = start.elapsed().as_secs();
    match (report.last, ended) {
        (Some(summary), Ok(Ended::Exit(status))) if (status == 0) == (summary.failed == 0) => {
            step::say(&format!("guest {version}: {summary} in {seconds} s"));
            summary
        }
        (last, ended) => {
            let how = match ended {
                Ok(ended) => format!("its tests ended with {ended:?} and said {last:?}"),
                Err(error) => format!("{error:#}"),
            };
            step::say(&format!("guest {version} counts as failed after {seconds} s: {how}"));
            let mut summary = last.unwrap_or_default();
            summary.failed = summary.failed.max(1);
            summary
        }
    }
}

/// A guest's output as lines that name its kernel, and the summary among them.
struct Report<'a> {
    version: &'a str,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    last: Option<Summary>,
}

impl<'a> Report<'a> {
    fn new(version: &'a str) -> Self {
        Self { version, stdout: Vec::new(), stderr: Vec::new(), last: None }
    }

    fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let pending = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        pending.extend_from_slice(bytes);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            // The last line is the one that counts: a test may print one like it.
            self.last = Summary::of_guest(line).or(self.last);
            println!("[{}] {line}", self.version);
        }
    }

    /// Ends lines that were left open.
    fn finish(&mut self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let open = match stream {
                Stream::Stdout => !self.stdout.is_empty(),
                Stream::Stderr => !self.stderr.is_empty(),
            };
            if open {
                self.take(stream, b"\n");
            }
        }
    }
}

/// Builds the guest tests; returns the program.
///
/// Hardly optimised: what tests depend on is compiled for them alone, and takes longer to optimise
/// than it could save in the guests. The tracer that they test is the release build.
pub(crate) fn guest_tests() -> Result<PathBuf> {
    let object = build::kernel_side(&[])?;
    let mut command = dist::static_cargo("test");
    command
        .args(["--no-run", "--package", "tracer", "--test", "guest"])
        .args(["--message-format", "json-render-diagnostics"])
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_INCREMENTAL", "0")
        .env(build::OBJECT_VARIABLE, object);
    let mut program = None;
    if !lines(&mut command, &mut |line| program = executable(line, "guest").or(program.take()))? {
        bail!("the guest tests could not be built");
    }
    program.context("cargo built tracer's test target `guest`, but named no program for it")
}

/// The program of a test target, where cargo's message tells of it.
fn executable(message: &str, target: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let is_it = message["reason"] == "compiler-artifact"
        && message["target"]["name"] == target
        && message["target"]["kind"].as_array()?.iter().any(|kind| kind == "test");
    if is_it { message["executable"].as_str().map(PathBuf::from) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_in_cargos_messages() {
        let message = r#"{"reason":"compiler-artifact","target":{"name":"guest","kind":["test"]},"executable":"/t/guest-1"}"#;
        assert_eq!(executable(message, "guest"), Some(PathBuf::from("/t/guest-1")));
        assert_eq!(executable(message, "other"), None);
        assert_eq!(executable(&message.replace("[\"test\"]", "[\"bin\"]"), "guest"), None);
        assert_eq!(executable("not json", "guest"), None);
    }

    #[test]
    fn a_report_keeps_the_last_summary_over_any_cut() {
        let mut report = Report::new("6.12");
        for byte in b"test a ... ok\n1 passed, 0 failed\n2 passed, 1 failed" {
            report.take(Stream::Stdout, &[*byte]);
        }
        assert_eq!(report.last, Some(Summary { passed: 1, failed: 0 }));
        report.finish();
        assert_eq!(report.last, Some(Summary { passed: 2, failed: 1 }));
    }
}
