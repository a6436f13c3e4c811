//! The border: a program's neighbours on both sides of it, and programs with random damage.
//!
//! A constant of the program (an offset, a size, a limit) is moved until the model's verdict changes; the last program
//! before that and the first one after it are where a fault of one is seen.

use super::Random;
use crate::verifier::insn::Class;
use crate::verifier::{Insn, Profile, Program, Verdict, verify};

/// Where a program has a constant that may be moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Knob {
    Off(usize),
    Imm(usize),
}

fn knobs(insns: &[Insn]) -> Vec<Knob> {
    let mut found = Vec::new();
    let mut second = false;
    for (i, insn) in insns.iter().enumerate() {
        if std::mem::take(&mut second) {
            continue;
        }
        second = insn.is_ld_imm64();
        match insn.class() {
            Class::Ldx | Class::St | Class::Stx => found.push(Knob::Off(i)),
            Class::Alu | Class::Alu64 if !insn.is_reg() && insn.op_bits() != 0xd0 => found.push(Knob::Imm(i)),
            Class::Jmp | Class::Jmp32 if !insn.is_reg() && insn.cmp().is_some() => found.push(Knob::Imm(i)),
            _ => {}
        }
    }
    found
}

fn turned(program: &Program, knob: Knob, by: i32) -> Option<Program> {
    let mut p = program.clone();
    match knob {
        Knob::Off(i) => {
            let insn = p.insns.get_mut(i)?;
            insn.off = i16::try_from(i32::from(insn.off) + by).ok()?;
        }
        Knob::Imm(i) => {
            let insn = p.insns.get_mut(i)?;
            insn.imm = insn.imm.checked_add(by)?;
        }
    }
    Some(p)
}

fn accepted(program: &Program, profile: &Profile) -> Option<bool> {
    match verify(program, profile).verdict {
        Verdict::Accept => Some(true),
        Verdict::Reject(_) => Some(false),
        Verdict::Unmodelled(_) => None,
    }
}

/// Two neighbours of a program, one on each side of the model's border; none if no constant tried moves it.
pub fn neighbours(program: &Program, profile: &Profile, random: &mut Random) -> Vec<Program> {
    let knobs = knobs(&program.insns);
    let Some(here) = accepted(program, profile) else { return Vec::new() };
    for _ in 0..2 {
        let Some(knob) = random.pick_of(&knobs) else { break };
        let sign = random.pick([1, -1]);
        let differs = |by: i32| {
            let p = turned(program, knob, sign * by)?;
            Some(accepted(&p, profile)? != here)
        };
        let (mut same, mut other) = (0, None);
        for step in [1, 4, 16, 64, 256] {
            match differs(step) {
                Some(true) => {
                    other = Some(step);
                    break;
                }
                Some(false) => same = step,
                None => break,
            }
        }
        let Some(mut far) = other else { continue };
        while far - same > 1 {
            let middle = same + (far - same) / 2;
            match differs(middle) {
                Some(true) => far = middle,
                Some(false) => same = middle,
                None => break,
            }
        }
        return [same, far].into_iter().filter_map(|by| turned(program, knob, sign * by)).collect();
    }
    Vec::new()
}

/// The program with one of its constants moved a little.
pub fn nudged(program: &Program, random: &mut Random) -> Program {
    let knob = random.pick_of(&knobs(&program.insns));
    let by = random.pick([1, -1, 1, -1, 2, -2, 4, -4, 8, -8, 16, -16]);
    knob.and_then(|k| turned(program, k, by)).unwrap_or_else(|| program.clone())
}

/// The program with a few random changes.
pub fn damaged(program: &Program, random: &mut Random) -> Program {
    const EDGES: [i32; 14] = [0, 1, -1, 2, 8, -8, 16, 63, 64, 255, 512, -512, i32::MAX, i32::MIN];
    let mut p = program.clone();
    let len = p.insns.len();
    if len == 0 {
        return p;
    }
    for _ in 0..1 + random.below(3) {
        let i = random.below(len);
        let other = p.insns[random.below(len)];
        let edge = random.pick(EDGES);
        let near = random.between(-9, 9);
        let insn = &mut p.insns[i];
        match random.below(10) {
            0 => insn.code = random.any() as u8,
            1 => insn.dst = random.below(11) as u8,
            2 => insn.src = random.below(11) as u8,
            3 => insn.off = edge as i16,
            4 => insn.imm = edge,
            5 => insn.imm = insn.imm.wrapping_add(near),
            6 => insn.off = insn.off.wrapping_add(near as i16),
            7 => insn.code ^= 1 << random.below(8),
            8 => p.insns.swap(i, i.saturating_sub(1)),
            _ => *insn = other,
        }
        // Programs are loaded without an array of descriptors, so none is named by its place in one.
        if p.insns[i].is_ld_imm64() && p.insns[i].src > 4 {
            p.insns[i].src = 1;
        }
    }
    p
}
