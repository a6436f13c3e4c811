//! `cargo xtask fuzz`: the model of the verifier against real kernels, on generated programs.
//!
//! The example `fuzz` of tracer, built statically, runs in a guest of each kernel: it generates programs, asks the model
//! and the kernel, and shrinks what they disagree about. A verdict that differs, and a guest that does not report, is a
//! failure.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::cargo::check;
use crate::guest::{Ended, Guest, GuestFile, Kit, Stream};
use crate::setup::{self, kernel, require};
use crate::{build, dist, paths, step};

const GUEST_FUZZ: &str = "/bin/fuzz";

/// Some programs are walked for a million instructions before the model gives up as the kernel does.
const MEMORY: u32 = 3072;

/// Programs that even a loaded machine gets through in a minute.
const SLOWEST: u64 = 500;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// In a guest of this kernel alone (repeatable); all four by default
    #[arg(long, value_name = "VERSION")]
    kernel: Vec<String>,
    /// Programs per kernel
    #[arg(long, default_value_t = 20_000)]
    count: u64,
    /// The first seed; the same seed is the same program
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Disagreements of each kind that are shrunk and shown
    #[arg(long, default_value_t = 1)]
    examples: u32,
    /// Show those, too, that agree but for the instructions walked
    #[arg(long)]
    counts: bool,
    /// The program of this seed alone
    #[arg(long, value_name = "SEED")]
    only: Option<u64>,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
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
    let program = GuestFile { host: fuzzer()?, guest: GUEST_FUZZ.to_owned() };
    let mut failed = Vec::new();
    for kernel in kernels {
        let version = kernel.version.clone();
        let mut guest = Guest::new(kernel, command(args));
        guest.files = vec![program.clone()];
        guest.memory = MEMORY;
        guest.timeout = Some(Duration::from_secs(600 + args.count * 60 / SLOWEST));
        let ended = guest.stream(&kit, None, &mut |stream, bytes| {
            // A reader that has gone changes nothing about the result.
            let _ = match stream {
                Stream::Stdout => std::io::stdout().lock().write_all(bytes),
                Stream::Stderr => std::io::stderr().lock().write_all(bytes),
            };
        });
        match ended {
            Ok(Ended::Exit(0)) => {}
            Ok(Ended::Exit(1)) => failed.push(version),
            Ok(ended) => {
                step::say(&format!("guest {version}: the fuzzer ended with {ended:?}"));
                failed.push(version);
            }
            Err(error) => {
                step::say(&format!("{error:#}"));
                failed.push(version);
            }
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    bail!(
        "the model and the kernel differ on {}: each case is above, with its seed for --only",
        failed.join(", ")
    )
}

fn command(args: &Args) -> Vec<OsString> {
    let mut words = vec![OsString::from(GUEST_FUZZ)];
    let mut add = |name: &str, value: String| words.extend([name.into(), value.into()]);
    add("--count", args.count.to_string());
    add("--seed", args.seed.to_string());
    add("--examples", args.examples.to_string());
    if let Some(seed) = args.only {
        add("--only", seed.to_string());
    }
    if args.counts {
        words.push("--counts".into());
    }
    words
}

/// Builds the example statically.
fn fuzzer() -> Result<PathBuf> {
    let object = build::kernel_side(&[])?;
    let mut command = dist::static_cargo("build");
    command
        .args(["--release", "--package", "tracer", "--example", "fuzz", "--features", "generate"])
        .env(build::OBJECT_VARIABLE, object);
    check(&mut command, "building the fuzzer statically")?;
    Ok(paths::static_target().join(dist::TARGET).join("release/examples/fuzz"))
}
