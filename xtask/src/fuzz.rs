//! `cargo xtask fuzz`: the model of the verifier against real kernels, on generated programs.
//!
//! ```text
//! host    fuzz make     programs and the model's verdicts   (target/fuzz/VERSION/CHUNK)
//! guest   fuzz load     the kernel's answers
//! host    fuzz compare  a table; what differs
//! guest   fuzz shrink   the smallest programs on which they differ
//! ```
//! A verdict that differs, and a program without an answer, is a failure.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cargo::check;
use crate::guest::{Ended, Guest, GuestFile, Kit};
use crate::profiles::Profiles;
use crate::setup::{self, kernel, require};
use crate::{build, dist, paths, profiles, step};

const GUEST_FUZZ: &str = "/bin/fuzz";
const GUEST_CASES: &str = "/cases";

/// Programs of one guest's run: they all lie in its memory, twice while they are unpacked.
const CHUNK: u64 = 50_000;

/// MiB.
const MEMORY: u32 = 2048;

/// Programs that even a loaded machine's kernel gets through in a minute.
const SLOWEST: u64 = 1_000;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// In a guest of this kernel alone (repeatable); all four by default
    #[arg(long, value_name = "VERSION")]
    kernel: Vec<String>,
    /// Programs per kernel
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    count: u64,
    /// The first seed; the same seed is the same program
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Disagreements of each kind that are shrunk and shown
    #[arg(long, default_value_t = 1)]
    examples: u32,
    /// Show those, too, that agree but for the instruction or the count of instructions walked
    #[arg(long)]
    counts: bool,
}

impl Default for Args {
    fn default() -> Self {
        Self { kernel: Vec::new(), count: 20_000, seed: 1, examples: 1, counts: false }
    }
}

impl Args {
    /// The usual ones, for these kernels.
    pub(crate) fn of_kernels(kernel: Vec<String>) -> Self {
        Self { kernel, ..Self::default() }
    }
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
    let fuzzer = Fuzzer { program: fuzzer()?, kit: Kit::new()?, args };
    let mut failed = Vec::new();
    for kernel in kernels {
        if !fuzzer.one(&kernel)? {
            failed.push(kernel.version);
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    bail!("the model and the kernel differ on {}: examples are above, shrunk", failed.join(", "))
}

/// What `fuzz make` says of a chunk.
struct Chunk {
    /// The seed to go on with.
    next: u64,
    count: u64,
    /// Programs too long for an emulated kernel; left out.
    long: u64,
}

struct Fuzzer<'a> {
    program: PathBuf,
    kit: Kit,
    args: &'a Args,
}

impl Fuzzer<'_> {
    /// Everything for one kernel; whether it agrees.
    fn one(&self, kernel: &kernel::Found) -> Result<bool> {
        let start = Instant::now();
        let folder = paths::target().join("fuzz").join(&kernel.version);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
        }
        let (mut seed, mut made, mut long, mut chunks) = (self.args.seed, 0, 0, Vec::new());
        while made < self.args.count {
            let folder = folder.join(chunks.len().to_string());
            let chunk = self.make(kernel, &folder, seed, CHUNK.min(self.args.count - made))?;
            let answers = self.guest(kernel, &folder.join("cases"), &["load".into()], chunk.count)?;
            fs::write(folder.join("kernel"), answers).context("cannot keep the kernel's answers")?;
            (seed, made, long) = (chunk.next, made + chunk.count, long + chunk.long);
            chunks.push(folder);
            step::say(&format!(
                "{}: {made} of {} programs in {} s",
                kernel.version,
                self.args.count,
                start.elapsed().as_secs()
            ));
        }
        let wrong = folder.join("wrong");
        let agrees = self.compare(kernel, &wrong, &chunks)?;
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "fuzz {}: {long} left out as too long; {:.0} programs a minute, seeds {} to {}",
            kernel.version,
            60.0 * made as f64 / seconds,
            self.args.seed,
            seed - 1
        );
        if fs::metadata(&wrong).is_ok_and(|meta| meta.len() > 0) {
            let words = ["shrink".into(), "--kernel".into(), OsString::from(&kernel.version)];
            let shown = self.guest(kernel, &wrong, &words, CHUNK)?;
            println!("{}", String::from_utf8_lossy(&shown).trim_end());
        }
        Ok(agrees)
    }

    fn make(&self, kernel: &kernel::Found, folder: &Path, seed: u64, count: u64) -> Result<Chunk> {
        let mut command = Command::new(&self.program);
        command.args(["make", "--kernel", &kernel.version, "--folder"]).arg(folder);
        command.args(["--seed", &seed.to_string(), "--count", &count.to_string()]);
        let output = command.output().context("cannot run the fuzzer")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let numbers: Vec<u64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        match numbers.as_slice() {
            &[next, count, long] if output.status.success() && count > 0 => Ok(Chunk { next, count, long }),
            _ => bail!(
                "making programs ended with {}: {}",
                output.status,
                step::tail(&String::from_utf8_lossy(&output.stderr), 5)
            ),
        }
    }

    /// Runs the fuzzer in a guest on a file of cases; its standard output.
    fn guest(&self, kernel: &kernel::Found, cases: &Path, words: &[OsString], count: u64) -> Result<Vec<u8>> {
        let mut command = vec![OsString::from(GUEST_FUZZ)];
        command.extend(words.iter().cloned());
        command.push(GUEST_CASES.into());
        let mut guest = Guest::new(kernel.clone(), command);
        guest.files = vec![
            GuestFile { host: self.program.clone(), guest: GUEST_FUZZ.to_owned() },
            GuestFile { host: cases.to_owned(), guest: GUEST_CASES.to_owned() },
        ];
        guest.memory = MEMORY;
        guest.timeout = Some(Duration::from_secs(600 + count * 60 / SLOWEST));
        let output = guest.run(&self.kit)?;
        if output.ended != Ended::Exit(0) {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            bail!(
                "guest {}: the fuzzer ended with {:?}: {}",
                kernel.version,
                output.ended,
                step::tail(&said, 5)
            );
        }
        Ok(output.stdout)
    }

    fn compare(&self, kernel: &kernel::Found, wrong: &Path, chunks: &[PathBuf]) -> Result<bool> {
        let mut command = Command::new(&self.program);
        command.args(["compare", "--examples", &self.args.examples.to_string()]);
        command.args(["--counts", if self.args.counts { "1" } else { "0" }, "--wrong"]).arg(wrong);
        let output = command.args(chunks).output().context("cannot run the fuzzer")?;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            println!("fuzz {}: {line}", kernel.version);
        }
        match output.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => bail!(
                "comparing ended with {}: {}",
                output.status,
                step::tail(&String::from_utf8_lossy(&output.stderr), 5)
            ),
        }
    }
}

/// Builds the fuzzer, statically: it runs here and in guests.
fn fuzzer() -> Result<PathBuf> {
    let object = build::kernel_side(&[])?;
    let mut command = dist::static_cargo("build");
    command
        .args(["--release", "--package", "tracer", "--bin", "fuzz", "--features", "generate"])
        .env(build::OBJECT_VARIABLE, object)
        .envs(profiles::variable(Profiles::Made)?);
    check(&mut command, "building the fuzzer statically")?;
    Ok(paths::static_target().join(dist::TARGET).join("release/fuzz"))
}
