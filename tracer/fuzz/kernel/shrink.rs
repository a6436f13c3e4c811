//! In a guest: the smallest programs on which model and kernel still differ, shown.

use std::path::Path;

use tracer::generate::{Types, maps, shrink};
use tracer::verifier::{Profile, verify};

use crate::case::Case;
use crate::judge::{Model, Outcome, compare};
use crate::kernel::{Answer, Kernel, Log, Walk};
use crate::{Words, case, profile, read};

pub(crate) fn main(words: &Words) -> Result<bool, String> {
    let types = Types::new().ok_or("the generator's own types are broken")?;
    let cases = case::read_all(&read(Path::new(words.one()?))?, &types)?;
    let version = words.text("kernel")?;
    let both =
        Both { profile: profile(version)?, kernel: Kernel::new(&maps(), &types).map_err(|e| e.to_string())? };
    let mut log = Log::new();
    for case in &cases {
        let (outcome, ..) = both.ask(&case.program, &mut log);
        match outcome.class() {
            Some(class) => both.show(version, case, &class, &mut log),
            None => println!("-- {version} {} of seed {}: agrees now", case.how.name(), case.seed),
        }
    }
    Ok(true)
}

struct Both {
    profile: Profile,
    kernel: Kernel,
}

impl Both {
    fn ask(
        &self,
        program: &tracer::verifier::Program,
        log: &mut Log,
    ) -> (Outcome, tracer::verifier::Report, Answer) {
        let report = verify(program, &self.profile);
        let answer = self.kernel.load(program, log, Walk::Shown);
        (compare(&Model::of(&report), &answer), report, answer)
    }

    /// Shrinks a disagreement and prints it.
    fn show(&self, version: &str, case: &Case, class: &str, log: &mut Log) {
        let small =
            shrink::shrink(&case.program, &mut |p| self.ask(p, log).0.class().as_deref() == Some(class));
        let (_, report, answer) = self.ask(&small, log);
        let mut text = format!(
            "-- {version} {} of seed {}: {class}\n   program type {}, {} functions with types\n",
            case.how.name(),
            case.seed,
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
