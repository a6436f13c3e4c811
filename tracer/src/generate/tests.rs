//! The generator against its own promises, and the model against the generator: no panic on anything it writes.

use super::{Generator, Random, near, shrink};
use crate::verifier::{Config, Profile, Release, Verdict, verify};

const RELEASES: [Release; 4] =
    [Release::new(5, 10), Release::new(6, 1), Release::new(6, 12), Release::new(7, 2)];

fn generator(release: Release) -> Generator {
    Generator::new(release).expect("types that can be parsed")
}

fn profile(release: Release) -> Profile {
    Profile::new(release, None, Config::default())
}

#[test]
fn the_same_seed_is_the_same_program() {
    for seed in 0..50 {
        let g = generator(RELEASES[2]);
        assert_eq!(g.program(seed).insns, g.program(seed).insns);
        assert_ne!(g.program(seed).insns, g.program(seed + 1).insns);
    }
}

/// The border is where faults are: neither verdict may be rare.
#[test]
fn both_verdicts_are_common() {
    for release in RELEASES {
        let (g, p) = (generator(release), profile(release));
        let (mut accepted, all) = (0, 400);
        for seed in 0..all {
            let verdict = verify(&g.program(seed), &p).verdict;
            accepted += u64::from(matches!(verdict, Verdict::Accept));
        }
        assert!((all / 5..all * 4 / 5).contains(&accepted), "{release:?}: {accepted} of {all} accepted");
    }
}

#[test]
fn damaged_programs_get_an_answer() {
    for release in RELEASES {
        let (g, p) = (generator(release), profile(release));
        let mut r = Random::new(7);
        for seed in 0..150 {
            let program = g.program(seed);
            for _ in 0..4 {
                let _ = verify(&near::damaged(&program, &mut r), &p);
            }
        }
    }
}

/// What the fuzz targets `verify` and `near` run, on bytes of the generator's own.
#[test]
fn any_bytes_get_an_answer() {
    let mut r = Random::new(17);
    let g = generator(RELEASES[3]);
    for seed in 0..400 {
        let mut bytes = vec![r.any() as u8, r.any() as u8];
        for insn in g.program(seed).insns {
            bytes.extend([insn.code, insn.dst | insn.src << 4]);
            bytes.extend(insn.off.to_le_bytes());
            bytes.extend(insn.imm.to_le_bytes());
        }
        for _ in 0..r.below(12) {
            let at = r.below(bytes.len());
            bytes[at] = r.any() as u8;
        }
        bytes.truncate(bytes.len() - r.below(20));
        super::bytes::answers(&bytes);
        super::bytes::damaged_answers(&bytes);
    }
}

#[test]
fn neighbours_lie_on_both_sides() {
    let (g, p) = (generator(RELEASES[2]), profile(RELEASES[2]));
    let mut r = Random::new(3);
    let mut pairs = 0;
    for seed in 0..60 {
        let around = near::neighbours(&g.program(seed), &p, &mut r);
        if let [a, b] = &around[..] {
            let accepts = |x| matches!(verify(x, &p).verdict, Verdict::Accept);
            assert_ne!(accepts(a), accepts(b), "seed {seed}");
            pairs += 1;
        }
    }
    assert!(pairs > 10, "{pairs} pairs");
}

#[test]
fn a_shrunk_program_still_does_it_and_is_smaller() {
    let (g, p) = (generator(RELEASES[2]), profile(RELEASES[2]));
    let mut shrunk = 0;
    for seed in 0..20 {
        let program = g.program(seed);
        let Verdict::Reject(why) = verify(&program, &p).verdict else { continue };
        let mut same = |x: &crate::verifier::Program| matches!(verify(x, &p).verdict, Verdict::Reject(r) if r.violation.kind == why.violation.kind);
        let small = shrink::shrink(&program, &mut same);
        assert!(same(&small), "seed {seed}");
        assert!(small.insns.len() <= program.insns.len());
        shrunk += usize::from(small.insns.len() * 2 < program.insns.len());
    }
    assert!(shrunk > 3, "{shrunk} were shrunk to less than half");
}
