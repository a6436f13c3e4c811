//! The smallest program that still does it: instructions are taken out, or made harmless, as long as the test holds.

use crate::verifier::insn::Class;
use crate::verifier::{Insn, Program};

/// Shrinks a program while `still` holds of it. `still` holds of the program given.
pub fn shrink(program: &Program, still: &mut dyn FnMut(&Program) -> bool) -> Program {
    let mut best = program.clone();
    let mut budget = 4_000;
    loop {
        let before = weight(&best);
        let mut size = best.insns.len() / 2;
        while size > 0 {
            let mut at = 0;
            while at < best.insns.len() {
                let less = without(&best, at, size);
                let step = keep(&mut best, &less, still, &mut budget);
                at += if step { 0 } else { size };
            }
            size /= 2;
        }
        for i in 0..best.insns.len() {
            for simpler in simpler(best.insns[i]) {
                let mut p = best.clone();
                p.insns[i] = simpler;
                if weight(&p) < weight(&best) && keep(&mut best, &Some(p), still, &mut budget) {
                    break;
                }
            }
        }
        if !best.funcs.is_empty() {
            let p = Program { funcs: Vec::new(), btf: None, ..best.clone() };
            keep(&mut best, &Some(p), still, &mut budget);
        }
        if weight(&best) >= before || budget == 0 {
            return best;
        }
    }
}

fn keep(
    best: &mut Program,
    candidate: &Option<Program>,
    still: &mut dyn FnMut(&Program) -> bool,
    budget: &mut u32,
) -> bool {
    let Some(p) = candidate else { return false };
    if *budget == 0 {
        return false;
    }
    *budget -= 1;
    let better = still(p);
    if better {
        *best = p.clone();
    }
    better
}

/// What shrinking makes less.
fn weight(p: &Program) -> usize {
    let of = |i: &Insn| {
        let constant = i.imm.unsigned_abs().min(1 << 20) as usize;
        1_000 + 32 * usize::from(i.code != 0xb7) + (constant.min(64) + usize::from(constant > 64) * 8) / 4
    };
    p.insns.iter().map(of).sum::<usize>() + p.funcs.len() * 100
}

/// Simpler instructions that may do.
fn simpler(insn: Insn) -> Vec<Insn> {
    let mut out = vec![Insn { code: 0xb7, dst: insn.dst, src: 0, off: 0, imm: 0 }];
    match insn.class() {
        Class::Ld => return Vec::new(),
        Class::Jmp | Class::Jmp32 if insn.code != 0x95 && !insn.is_reg() => {
            out.push(Insn { imm: 0, ..insn });
            out.push(Insn { imm: insn.imm / 2, ..insn });
        }
        Class::Alu | Class::Alu64 if !insn.is_reg() => {
            out.push(Insn { imm: 1, ..insn });
            out.push(Insn { imm: insn.imm / 2, ..insn });
        }
        _ => {}
    }
    out
}

/// Where an instruction leads, if it leads elsewhere.
fn target(insns: &[Insn], at: usize) -> Option<i64> {
    let i = insns[at];
    let by = match i.class() {
        Class::Jmp | Class::Jmp32 if i.is_subprog_call() => i64::from(i.imm),
        Class::Jmp | Class::Jmp32 if i.cmp().is_some() || i.is_goto() || i.is_may_goto() => i.distance(),
        Class::Ld if i.is_subprog_address() => i64::from(i.imm),
        _ => return None,
    };
    Some(at as i64 + 1 + by)
}

/// The program without `count` slots from `at` on; jumps into the gap land behind it.
fn without(program: &Program, at: usize, count: usize) -> Option<Program> {
    let old = &program.insns;
    let mut first = at;
    let mut end = (at + count).min(old.len());
    let mut second = vec![false; old.len() + 1];
    for i in 0..old.len() {
        second[i + 1] = !second[i] && old[i].is_ld_imm64();
    }
    if second[first] {
        first += 1;
    }
    if second[end] {
        end = (end + 1).min(old.len());
    }
    if first >= end || end - first >= old.len() {
        return None;
    }
    let moved = |x: i64| match usize::try_from(x) {
        Ok(x) if x >= end => x as i64 - (end - first) as i64,
        Ok(x) if x >= first => first as i64,
        _ => x,
    };
    let mut insns = Vec::with_capacity(old.len());
    for (i, insn) in old.iter().enumerate() {
        if (first..end).contains(&i) {
            continue;
        }
        let mut insn = *insn;
        if !second[i]
            && let Some(t) = target(old, i)
        {
            let by = moved(t) - moved(i as i64) - 1;
            if insn.is_goto() && insn.code == 0x06 || insn.is_subprog_call() || insn.is_subprog_address() {
                insn.imm = by as i32;
            } else {
                insn.off = by as i16;
            }
        }
        insns.push(insn);
    }
    let mut funcs = program.funcs.clone();
    for f in &mut funcs {
        f.start = moved(i64::from(f.start)) as u32;
    }
    // Of two that start together the later one is left.
    let starts: Vec<u32> = funcs.iter().map(|f| f.start).collect();
    let mut n = 0;
    funcs.retain(|_| {
        n += 1;
        starts.get(n).is_none_or(|next| *next != starts[n - 1])
    });
    funcs.retain(|f| (f.start as usize) < insns.len());
    Some(Program { insns, funcs, ..program.clone() })
}
