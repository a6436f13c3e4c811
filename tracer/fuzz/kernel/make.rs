//! On the host: programs of seeds, their neighbours, and what the model says of each.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tracer::generate::{Generator, Random, near};
use tracer::verifier::{Profile, Program, verify};

use crate::case::{Case, How};
use crate::judge::Model;
use crate::kernel::Walk;
use crate::{CASES, MODEL, Words, profile, write};

/// Beyond this many instructions walked an emulated kernel is asked only once in a while.
const LONG: u32 = 30_000;

/// What is written, in one order.
#[derive(Default)]
struct Made {
    cases: Vec<u8>,
    model: String,
    count: u64,
    long: u64,
}

struct Maker {
    profile: Profile,
    generator: Generator,
    next: AtomicU64,
    count: u64,
    made: Mutex<Made>,
}

pub(crate) fn main(words: &Words) -> Result<bool, String> {
    let folder = Path::new(words.text("folder")?);
    let profile = profile(words.text("kernel")?)?;
    let generator = Generator::new(profile.release).ok_or("the generator's own types are broken")?;
    let maker = Maker {
        generator,
        profile,
        next: AtomicU64::new(words.number("seed", 1)?),
        count: words.number("count", 10_000)?,
        made: Mutex::default(),
    };
    let usual = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    std::thread::scope(|scope| -> Result<(), String> {
        for _ in 0..words.number("threads", usual)?.clamp(1, 64) {
            scope.spawn(|| maker.work());
        }
        Ok(())
    })?;
    let next = maker.next.load(Ordering::Relaxed);
    let made = maker.made.into_inner().map_err(|_| "a thread that makes programs has failed")?;
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    write(&folder.join(CASES), &made.cases)?;
    write(&folder.join(MODEL), made.model.as_bytes())?;
    // The seed to go on with, and what would take an emulated kernel too long.
    println!("{next} {} {}", made.count, made.long);
    Ok(true)
}

impl Maker {
    fn work(&self) {
        loop {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            let base = self.generator.program(seed);
            let mut random = Random::new(!seed);
            let mut cases = Vec::new();
            let walked = self.judge(seed, How::AsGenerated, base.clone(), &mut cases);
            // To look for the border is dear, and dearest for programs that are walked for long.
            if walked < 300 && random.one_in(3) {
                for near in near::neighbours(&base, &self.profile, &mut random) {
                    self.judge(seed, How::NearTheBorder, near, &mut cases);
                }
            } else if walked < 3_000 {
                self.judge(seed, How::Nudged, near::nudged(&base, &mut random), &mut cases);
            }
            if walked < 3_000 && random.one_in(3) {
                self.judge(seed, How::Damaged, near::damaged(&base, &mut random), &mut cases);
            }
            if !self.keep(&cases) {
                return;
            }
        }
    }

    /// Judges one program; how many instructions the model walked.
    fn judge(&self, seed: u64, how: How, program: Program, cases: &mut Vec<(Case, Model)>) -> u32 {
        let model = Model::of(&verify(&program, &self.profile));
        let walked = model.processed;
        // Refusals are compared to the instruction once in a while: to show where takes a kernel longer.
        let sum = program.insns.iter().fold(0u32, |s, i| s.wrapping_add(i.imm as u32 ^ u32::from(i.code)));
        let walk = if sum.is_multiple_of(8) { Walk::Shown } else { Walk::Silent };
        cases.push((Case { seed, how, walk, program }, model));
        walked
    }

    /// Keeps a seed's cases; false when there are enough.
    fn keep(&self, cases: &[(Case, Model)]) -> bool {
        let Ok(mut made) = self.made.lock() else { return false };
        for (case, model) in cases {
            if made.count >= self.count {
                return false;
            }
            if model.processed > LONG && !case.seed.is_multiple_of(256) {
                made.long += 1;
                continue;
            }
            made.count += 1;
            case.write(&mut made.cases);
            model.write(&mut made.model);
        }
        made.count < self.count
    }
}
