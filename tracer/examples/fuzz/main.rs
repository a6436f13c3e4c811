//! The model of the verifier against the running kernel, on generated programs. For guests: it needs bpf(2).
//!
//! `fuzz [--seed S] [--count N] [--threads T] [--examples E] [--counts] [--only SEED]`
//!
//! Ends with one line of numbers, and with status 1 if a verdict differs. A disagreement is shrunk, and shown as a
//! program; `--counts` shrinks and shows those, too, that agree but for the instructions walked.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tracer::generate::{Generator, Random, maps, near, shrink};
use tracer::verifier::btf::Btf;
use tracer::verifier::{Config, Profile, Program, Release};

mod judge;
mod kernel;

use judge::{Judged, Outcome, Patience, judge};
use kernel::{Kernel, Log};

struct Args {
    seed: u64,
    count: u64,
    threads: usize,
    /// Examples shown of each kind of disagreement.
    examples: u32,
    counts: bool,
    only: Option<u64>,
}

impl Args {
    fn parse() -> Result<Self, String> {
        let mut args = Self { seed: 1, count: 10_000, threads: 2, examples: 1, counts: false, only: None };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut number =
                || words.next().and_then(|n| n.parse::<u64>().ok()).ok_or(format!("{word} takes a number"));
            match word.as_str() {
                "--seed" => args.seed = number()?,
                "--count" => args.count = number()?,
                "--threads" => args.threads = number()?.clamp(1, 64) as usize,
                "--examples" => args.examples = number()?.min(1000) as u32,
                "--counts" => args.counts = true,
                "--only" => args.only = Some(number()?),
                _ => return Err(format!("unknown word {word:?}")),
            }
        }
        Ok(args)
    }
}

#[derive(Default)]
struct Tally {
    programs: u64,
    accepted: u64,
    rejected: u64,
    agreed: u64,
    false_accepts: u64,
    false_rejects: u64,
    unmodelled: u64,
    other_insn: u64,
    other_count: u64,
    unasked: u64,
    failed: u64,
    model: Duration,
    kernel: Duration,
    classes: BTreeMap<String, u32>,
}

struct Run {
    args: Args,
    release: String,
    profile: Profile,
    generator: Generator,
    kernel: Kernel,
    next: AtomicU64,
    tally: Mutex<Tally>,
}

fn main() -> ExitCode {
    match start() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("fuzz: {e}");
            ExitCode::from(2)
        }
    }
}

fn start() -> Result<bool, String> {
    let args = Args::parse()?;
    let read = |path: &str| std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"));
    let text = read("/proc/sys/kernel/osrelease")?;
    let release = Release::parse(&text).ok_or_else(|| format!("no version: {text}"))?;
    let btf = std::fs::read("/sys/kernel/btf/vmlinux").map_err(|e| format!("kernel BTF: {e}"))?;
    let btf = Btf::parse(btf).map_err(|e| format!("kernel BTF: {e}"))?;
    let possible = read("/sys/devices/system/cpu/possible")?;
    let nr_cpus = possible.trim().rsplit('-').next().and_then(|n| n.parse::<u32>().ok()).unwrap_or(0) + 1;
    let config = Config { nr_cpus, ..Config::default() };
    let profile = Profile::new(release, Some(Arc::new(btf)), config);
    let generator = Generator::new(release).ok_or("the generator's own types are broken")?;
    let kernel = Kernel::new(&maps(), generator.types()).map_err(|e| e.to_string())?;
    let run = Run {
        release: text.trim().to_owned(),
        profile,
        generator,
        kernel,
        next: AtomicU64::new(args.only.unwrap_or(args.seed)),
        tally: Mutex::default(),
        args,
    };
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..run.args.threads {
            scope.spawn(|| run.work());
        }
    });
    Ok(run.finish(begun))
}

impl Run {
    fn work(&self) {
        let mut log = Log::new();
        loop {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if self.args.only.is_some_and(|only| seed != only) || self.enough() {
                return;
            }
            let base = self.generator.program(seed);
            let patience = if seed.is_multiple_of(256) { Patience::Endless } else { Patience::Little };
            let walked = self.one(seed, "", &base, patience, &mut log);
            let mut random = Random::new(!seed);
            // To look for the border is dear, and dearest for programs that are walked for long.
            if walked < 300 && random.one_in(3) {
                for near in near::neighbours(&base, &self.profile, &mut random) {
                    self.one(seed, "near ", &near, Patience::Little, &mut log);
                }
            } else if walked < 3_000 {
                let nudged = near::nudged(&base, &mut random);
                self.one(seed, "nudged ", &nudged, Patience::Little, &mut log);
            }
            if walked < 3_000 && random.one_in(3) {
                let damaged = near::damaged(&base, &mut random);
                self.one(seed, "damaged ", &damaged, Patience::Little, &mut log);
            }
        }
    }

    /// Judges one program; how many instructions the model walked.
    fn one(&self, seed: u64, how: &str, program: &Program, patience: Patience, log: &mut Log) -> u32 {
        let judged = judge(program, &self.profile, &self.kernel, log, patience);
        self.take(seed, how, program, &judged, log);
        judged.report.stats.insns_processed
    }

    fn enough(&self) -> bool {
        self.tally.lock().is_ok_and(|t| t.programs >= self.args.count)
    }

    fn take(&self, seed: u64, how: &str, program: &Program, judged: &Judged, log: &mut Log) {
        let Ok(mut t) = self.tally.lock() else { return };
        t.model += judged.model;
        t.kernel += judged.kernel;
        match &judged.outcome {
            Outcome::TooLong => {
                t.unasked += 1;
                return;
            }
            Outcome::Failed(_) => t.failed += 1,
            _ => {
                t.programs += 1;
                // A long run that is stopped has told how far it came.
                if t.programs.is_multiple_of(5_000) {
                    eprintln!(
                        "fuzz {}: {} programs, {} false accepts, {} false rejects so far",
                        self.release, t.programs, t.false_accepts, t.false_rejects
                    );
                }
                match judged.answer.as_ref().and_then(|a| a.errno) {
                    None => t.accepted += 1,
                    Some(_) => t.rejected += 1,
                }
            }
        }
        match &judged.outcome {
            Outcome::BothAccept | Outcome::BothReject => t.agreed += 1,
            Outcome::OtherInsn(_) => {
                t.agreed += 1;
                t.other_insn += 1;
            }
            Outcome::OtherCount => {
                t.agreed += 1;
                t.other_count += 1;
            }
            Outcome::FalseAccept(_) => t.false_accepts += 1,
            Outcome::FalseReject(_) => t.false_rejects += 1,
            Outcome::Unmodelled(_) => t.unmodelled += 1,
            Outcome::TooLong | Outcome::Failed(_) => {}
        }
        let Some(class) = judged.outcome.class() else { return };
        let seen = t.classes.entry(class.clone()).or_default();
        *seen += 1;
        let show = *seen <= self.args.examples;
        drop(t);
        let counts =
            self.args.counts && matches!(judged.outcome, Outcome::OtherInsn(_) | Outcome::OtherCount);
        if show && (judged.outcome.is_wrong() || counts) {
            self.show(seed, how, program, &class, log);
        }
    }

    /// Shrinks a disagreement and prints it.
    fn show(&self, seed: u64, how: &str, program: &Program, class: &str, log: &mut Log) {
        let small = shrink::shrink(program, &mut |p| {
            let judged = judge(p, &self.profile, &self.kernel, log, Patience::Little);
            judged.outcome.class().as_deref() == Some(class)
        });
        let Judged { report, answer, .. } =
            judge(&small, &self.profile, &self.kernel, log, Patience::Endless);
        let mut text = format!(
            "-- {} {how}seed {seed}: {class}\n   program type {}, {} functions with types\n",
            self.release,
            small.kind.0,
            small.funcs.len()
        );
        let mut second = false;
        for (i, insn) in small.insns.iter().enumerate() {
            if !std::mem::take(&mut second) {
                text += &format!("   {i:>3}: {insn}{}\n", jump(*insn, i));
                second = insn.is_ld_imm64();
            }
        }
        text += &format!("   model:  {:?} {:?}\n   kernel: {answer:?}", report.verdict, report.stats);
        println!("{text}");
    }

    fn finish(&self, begun: Instant) -> bool {
        let Ok(t) = self.tally.lock() else { return false };
        let mut classes: Vec<_> = t.classes.iter().collect();
        classes.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        for (class, n) in classes {
            println!("{n:>7} {class}");
        }
        let pct = |n: u64, of: u64| 100.0 * n as f64 / of.max(1) as f64;
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "fuzz {}: {} programs ({} accepted, {} rejected by the kernel), {:.3} % agree, {} false accepts, \
             {} false rejects, {} unmodelled, other instruction {:.3} %, other count {:.3} %, {} not asked, \
             {} failed, {:.0} a minute; model {:.1} s, kernel {:.1} s of {:.1} s",
            self.release,
            t.programs,
            t.accepted,
            t.rejected,
            pct(t.agreed, t.programs),
            t.false_accepts,
            t.false_rejects,
            t.unmodelled,
            pct(t.other_insn, t.rejected),
            pct(t.other_count, t.accepted),
            t.unasked,
            t.failed,
            60.0 * t.programs as f64 / seconds,
            t.model.as_secs_f64(),
            t.kernel.as_secs_f64(),
            seconds
        );
        t.false_accepts + t.false_rejects == 0
    }
}

/// Where an instruction jumps to, in words.
fn jump(insn: tracer::verifier::Insn, at: usize) -> String {
    let by = if insn.is_subprog_call() || insn.is_subprog_address() {
        i64::from(insn.imm)
    } else if insn.cmp().is_some() && insn.is_jump() || insn.is_goto() || insn.is_may_goto() {
        insn.distance()
    } else {
        return String::new();
    };
    format!("  -> {}", at as i64 + 1 + by)
}
