//! Both programs do the same: an interpreter runs random ones before and after.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::object::{
    FuncInfo, KernelFeatures, KernelVersion, LineInfo, Object, Placed, Symbols, Target, pseudo,
    sample::Sample,
};

/// The value of the map of constants.
const VALUES: [u8; 32] = [
    1, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 7, 0, 0, 0, 0, 0, 0, 0x80, 3, 2, 1, 0, 0xfe, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff,
];

/// An instruction.
fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn { code, dst, src, off, imm }
}

fn mov(dst: u8, imm: i32) -> Insn {
    insn(0xb7, dst, 0, 0, imm)
}

/// The address of a constant.
fn address(dst: u8, offset: i32) -> [Insn; 2] {
    [insn(0x18, dst, pseudo::MAP_VALUE, 0, 0), insn(0, 0, 0, 0, offset)]
}

const EXIT: Insn = Insn { code: 0x95, dst: 0, src: 0, off: 0, imm: 0 };

/// A program of these instructions; every third has a source line.
fn program(insns: &[Insn]) -> Program {
    let text = "; a line\nr0 = 0\nexit\n";
    let object = Sample::new("GPL").program("kprobe", "p", text).unwrap().build();
    let object = Object::parse(&object, "p").unwrap();
    let target = Target {
        btf: None,
        modules: &[],
        features: KernelFeatures::of(KernelVersion::new(6, 12, 0)),
        kconfig: None,
        symbols: Symbols::Unknown,
        possible_cpus: Some(1),
    };
    let resolved = object.resolve(&target).unwrap();
    let mut program = resolved.program(object.program_named("p").unwrap()).unwrap();
    let line = program.line_info[0];
    program.insns = insns.to_vec();
    let lines = (0..insns.len() as u32).step_by(3).filter(|at| insns[*at as usize].code != 0);
    program.line_info = lines.map(|insn| LineInfo { insn, line: insn, ..line }).collect();
    program
}

fn constants() -> Constants<'static> {
    Constants { values: vec![Some(&VALUES)] }
}

fn after(insns: &[Insn]) -> Program {
    let mut program = program(insns);
    put_in(&mut program, &constants());
    program
}

#[track_caller]
fn check(insns: &[Insn], expected: &[Insn]) {
    assert_eq!(after(insns).insns, expected);
}

#[test]
fn a_load_of_a_constant_is_the_constant() {
    let [a, b] = address(1, 8);
    check(&[a, b, insn(0x61, 0, 1, 0, 0), EXIT], &[insn(0xb4, 0, 0, 0, -1), EXIT]);
    check(&[a, b, insn(0x61, 0, 1, 4, 0), EXIT], &[mov(0, 7), EXIT]);
    // Eight bytes that no move has room for, and some beyond the end.
    for load in [insn(0x79, 0, 1, 8, 0), insn(0x79, 0, 1, 20, 0)] {
        check(&[a, b, load, EXIT], &[a, b, load, EXIT]);
    }
}

#[test]
fn what_a_constant_decides_is_left_out() {
    let [a, b] = address(1, 0);
    let call = insn(0x85, 0, 0, 0, 6);
    // if w1 != 0 goto +1; call; r0 = 2; exit
    let insns = [a, b, insn(0x61, 1, 1, 0, 0), insn(0x56, 1, 0, 1, 0), call, mov(0, 2), EXIT];
    check(&insns, &[mov(0, 2), EXIT]);
    // The same, on nought: the call stays, and what may be its arguments.
    let [a, b] = address(1, 4);
    let insns = [a, b, insn(0x61, 1, 1, 0, 0), insn(0x56, 1, 0, 1, 0), call, mov(0, 2), EXIT];
    check(&insns, &[mov(1, 0), call, mov(0, 2), EXIT]);
}

#[test]
fn calls_and_lines_move_with_what_they_are_of() {
    let [a, b] = address(1, 0);
    let sub = insn(0x85, 0, pseudo::CALL, 0, 2);
    // A dead address, a call of the function at 5, and one at 7 that nobody calls.
    let insns = [a, b, sub, EXIT, EXIT, mov(0, 3), EXIT, mov(0, 4), EXIT];
    let mut whole = program(&insns);
    let first = whole.functions[0];
    whole.functions = [0, 5, 7].map(|start| Placed { start, ..first }).to_vec();
    whole.func_info = [0, 5, 7].map(|insn| FuncInfo { insn, type_id: Default::default() }).to_vec();
    let line = whole.line_info[0];
    whole.line_info = [0, 2, 3, 4, 5, 6, 7].map(|insn| LineInfo { insn, line: insn, ..line }).to_vec();
    put_in(&mut whole, &constants());
    // The address stays: it may be an argument of the call.
    assert_eq!(whole.insns, [a, b, insn(0x85, 0, pseudo::CALL, 0, 1), EXIT, mov(0, 3), EXIT]);
    assert_eq!(whole.functions.iter().map(|placed| placed.start).collect::<Vec<_>>(), [0, 4]);
    assert_eq!(whole.func_info.iter().map(|info| info.insn).collect::<Vec<_>>(), [0, 4]);
    let lines: Vec<_> = whole.line_info.iter().map(|line| (line.insn, line.line)).collect();
    assert_eq!(lines, [(0, 0), (2, 2), (3, 3), (4, 5), (5, 6)]);
}

#[test]
fn what_is_not_known_here_is_left_alone() {
    let [a, b] = address(1, 0);
    for unknown in [insn(0x06, 0, 0, 1, 1), insn(0xe5, 0, 0, 1, 0), insn(0x20, 0, 0, 0, 0)] {
        let insns = [a, b, mov(0, 0), unknown, mov(0, 1), EXIT];
        check(&insns, &insns);
    }
}

/// What a run of a program did: its calls with their arguments, its stores, its result.
#[derive(Debug, PartialEq, Eq, Default)]
struct Trace {
    calls: Vec<(i32, u64)>,
    stack: [u64; 4],
    result: Option<u64>,
}

/// Runs a program of what [`random`] makes.
fn run(insns: &[Insn]) -> Trace {
    let mut r = [0_u64; 11];
    let mut trace = Trace::default();
    let mut at = 0;
    for _ in 0..1000 {
        let insn = insns[at];
        at += 1;
        let other = if insn.code & 8 != 0 { r[insn.src as usize] } else { i64::from(insn.imm) as u64 };
        let dst = insn.dst as usize;
        let wide = matches!(insn.code & 7, 7 | 5);
        let cut = |n: u64| if wide { n } else { n & 0xffff_ffff };
        let (left, right) = (cut(r[dst]), cut(other));
        let signed = |n: u64| if wide { n as i64 } else { i64::from(n as u32 as i32) };
        match (insn.code & 7, insn.code & 0xf0) {
            // An address of a constant is its offset.
            (0, _) => {
                r[dst] = insns[at].imm as u32 as u64;
                at += 1;
            }
            (1, _) => {
                let size = [4, 2, 1, 8][usize::from(insn.code >> 3 & 3)];
                let start = (r[insn.src as usize] as usize).wrapping_add_signed(insn.off.into());
                let mut word = [0; 8];
                if let Some(bytes) = VALUES.get(start..start.wrapping_add(size)) {
                    word[..size].copy_from_slice(bytes);
                }
                r[dst] = u64::from_le_bytes(word);
            }
            (3, _) => trace.stack[insn.off as usize] = r[insn.src as usize],
            (4 | 7, op) => {
                let shift = right as u32 & if wide { 63 } else { 31 };
                r[dst] = cut(match op {
                    0x00 => left.wrapping_add(right),
                    0x10 => left.wrapping_sub(right),
                    0x20 => left.wrapping_mul(right),
                    0x40 => left | right,
                    0x50 => left & right,
                    0x60 => left << shift,
                    0x70 => left >> shift,
                    0x80 => left.wrapping_neg(),
                    0xa0 => left ^ right,
                    0xb0 => right,
                    _ => (signed(left) >> shift) as u64,
                });
            }
            (_, 0x80) => {
                // The time has no arguments.
                let argument = if insn.imm == 5 { 0 } else { r[1] };
                trace.calls.push((insn.imm, argument));
                r[0] = argument.wrapping_add(u64::from(insn.imm as u32) * 3 + trace.calls.len() as u64);
                r[1..6].fill(0xbad);
            }
            (_, 0x90) => {
                trace.result = Some(r[0]);
                return trace;
            }
            (_, op) => {
                let taken = match op {
                    0x00 => true,
                    0x10 => left == right,
                    0x20 => left > right,
                    0x30 => left >= right,
                    0x40 => left & right != 0,
                    0x50 => left != right,
                    0x60 => signed(left) > signed(right),
                    0x70 => signed(left) >= signed(right),
                    0xa0 => left < right,
                    0xb0 => left <= right,
                    0xc0 => signed(left) < signed(right),
                    _ => signed(left) <= signed(right),
                };
                if taken {
                    at = at.wrapping_add_signed(insn.off.into());
                }
            }
        }
    }
    // It runs in a circle: what it did until then says nothing.
    Trace::default()
}

/// A program from random numbers, with loops, addresses, loads, branches and calls.
fn random(next: &mut impl FnMut(u32) -> u32) -> Vec<Insn> {
    const ALU: [u8; 10] = [0x00, 0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0];
    const JUMP: [u8; 12] = [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0, 0x00];
    let mut insns: Vec<Insn> = (0..10).map(|register| mov(register, next(3) as i32)).collect();
    // Where an instruction starts, for jumps.
    let mut starts: Vec<usize> = (0..10).collect();
    for _ in 0..next(40) + 5 {
        starts.push(insns.len());
        let (dst, src, imm) = (next(10) as u8, next(10) as u8, next(5) as i32 - 2);
        match next(10) {
            0 => insns.extend(address(dst, next(4) as i32 * 4)),
            1 | 2 => {
                // Never of anything but an address: a load of a number means nothing.
                insns.extend(address(src, next(4) as i32 * 4));
                let load = [0x61, 0x69, 0x71, 0x79][next(4) as usize];
                insns.push(insn(load, dst, src, next(8) as i16, 0));
            }
            3 => insns.push(insn(0x7b, 10, src, next(4) as i16, 0)),
            4 => insns.push(insn(0x85, 0, 0, 0, if next(2) == 0 { 5 } else { 6 })),
            5 | 6 => {
                let class = [5, 6][next(2) as usize];
                let op = JUMP[next(12) as usize];
                let x = if op == 0 { 0 } else { next(2) as u8 * 8 };
                // The distance is put in below.
                let class = if op == 0 { 5 } else { class };
                insns.push(insn(class | op | x, dst, if x == 0 { 0 } else { src }, i16::MAX, imm));
            }
            _ => {
                let x = next(2) as u8 * 8;
                let op = ALU[next(10) as usize];
                let class = [4, 7][next(2) as usize];
                let imm = if matches!(op, 0x60 | 0x70 | 0xc0) { imm & 7 } else { imm };
                insns.push(insn(class | op | x, dst, if x == 0 { 0 } else { src }, 0, imm));
            }
        }
    }
    starts.push(insns.len());
    insns.push(EXIT);
    for (at, insn) in insns.iter_mut().enumerate().filter(|(_, insn)| insn.off == i16::MAX) {
        let back = next(4) == 0;
        let choice: Vec<usize> = starts.iter().copied().filter(|to| (*to <= at) == back).collect();
        let to = choice[next(choice.len() as u32) as usize];
        insn.off = to as i16 - at as i16 - 1;
    }
    insns
}

#[test]
fn both_do_the_same() {
    let mut seed = 1_u64;
    let mut next = |below: u32| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u32 % below
    };
    let (mut smaller, mut ended) = (0, 0);
    let mut whole = program(&[mov(0, 0), EXIT]);
    for _ in 0..5_000 {
        let insns = random(&mut next);
        whole.insns.clone_from(&insns);
        whole.line_info.clear();
        put_in(&mut whole, &constants());
        let before = run(&insns);
        smaller += usize::from(whole.insns.len() + 5 < insns.len());
        ended += usize::from(before.result.is_some());
        // A circle may be run through in fewer steps.
        if before.result.is_some() {
            assert_eq!(run(&whole.insns), before, "{insns:#?}\n{:#?}", whole.insns);
        }
    }
    assert!(smaller > 2_500 && ended > 2_500, "{smaller} {ended}");
}
