//! Whatever it is given, the model answers: it neither panics nor loops.

use super::super::insn::Insn;
use super::super::profile::{Config, Profile, Release};
use super::super::program::{AttachType, FuncInfo, MapType, ProgType, Program};
use super::super::verify;
use super::programs::{RELEASES, map_of, program};
use super::random::Random;
use crate::verifier::btf::TypeId;

/// Codes that a program could hold, so that damage gets past the first checks.
fn likely_code(r: &mut Random) -> u8 {
    const CODES: [u8; 40] = [
        0x18, 0x05, 0x85, 0x95, 0x61, 0x69, 0x71, 0x79, 0x62, 0x6a, 0x72, 0x7a, 0x63, 0x6b, 0x73, 0x7b, 0xb7,
        0xbf, 0xb4, 0xbc, 0x07, 0x0f, 0x1f, 0x27, 0x2f, 0x57, 0x5f, 0x67, 0x77, 0xc7, 0x15, 0x1d, 0x25, 0x2d,
        0x55, 0x65, 0xc5, 0xd5, 0xdb, 0xc3,
    ];
    if r.below(10) == 0 { r.next() as u8 } else { r.pick(&CODES) }
}

fn likely_insn(r: &mut Random) -> Insn {
    const OFFS: [i16; 12] = [0, 0, 1, 2, 3, -1, -2, -8, -16, 8, i16::MIN, i16::MAX];
    const IMMS: [i32; 12] = [0, 1, 2, 3, 8, -1, 14, 35, 130, i32::MIN, i32::MAX, 0xe1];
    Insn {
        code: likely_code(r),
        dst: r.below(12) as u8,
        src: r.below(12) as u8,
        off: r.pick(&OFFS),
        imm: if r.below(3) == 0 { r.next() as i32 % 220 } else { r.pick(&IMMS) },
    }
}

fn check_all(insns: &[Insn], r: &mut Random) {
    let mut p: Program = program(ProgType(r.below(36) as u32), insns);
    p.attach = AttachType(r.below(60) as u32);
    p.flags = if r.below(8) == 0 { r.next() as u32 } else { 0 };
    for kind in [MapType::ARRAY, MapType::HASH, MapType::RINGBUF, MapType(r.below(40) as u32)] {
        let mut m = map_of(kind, 4, r.below(64) as u32);
        m.handle = p.maps.len() as i32;
        m.inner = (r.below(2) == 0).then(|| Box::new(map_of(MapType::ARRAY, 4, 8)));
        p.maps.push(m);
    }
    if r.below(4) == 0 {
        p.funcs = vec![FuncInfo { start: 0, type_id: TypeId(r.below(4) as u32) }];
    }
    for release in RELEASES {
        let _ = verify(&p, &Profile::new(release, None, Config::default()));
    }
}

#[test]
fn random_bytes_get_an_answer() {
    let mut r = Random::new(11);
    for _ in 0..2_000 {
        let n = r.below(12);
        let bytes: Vec<u8> = (0..8 * n).map(|_| r.next() as u8).collect();
        check_all(&Insn::decode_all(&bytes).unwrap_or_default(), &mut r);
    }
}

#[test]
fn plausible_instructions_get_an_answer() {
    let mut r = Random::new(12);
    for _ in 0..5_000 {
        let n = 1 + r.below(24);
        let mut insns: Vec<Insn> = (0..n).map(|_| likely_insn(&mut r)).collect();
        insns.push(Insn { code: 0x95, ..Insn::default() });
        check_all(&insns, &mut r);
    }
}

#[test]
fn no_instruction_at_all_is_refused() {
    for release in RELEASES {
        let report = verify(&program(ProgType::KPROBE, &[]), &Profile::new(release, None, Config::default()));
        assert!(matches!(report.verdict, crate::verifier::Verdict::Reject(_)));
    }
}

#[test]
fn a_kernel_from_the_future_or_the_past_gets_an_answer() {
    let mut r = Random::new(13);
    let insns = [Insn { code: 0xb7, ..Insn::default() }, Insn { code: 0x95, ..Insn::default() }];
    for release in [Release::new(3, 18), Release::new(5, 15), Release::new(99, 0)] {
        let p = program(ProgType(r.below(36) as u32), &insns);
        let _ = verify(&p, &Profile::new(release, None, Config::default()));
    }
}
