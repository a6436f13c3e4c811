//! Puts what is kept of a program together: distances of jumps and calls, and what is known of each place, move with it.

use super::{callee, code, slots};
use crate::object::{Insn, Program};

/// Leaves out all but `kept`.
pub(super) fn compact(program: &mut Program, mut insns: Vec<Insn>, mut kept: Vec<bool>) {
    let ends: Vec<usize> = program.functions.iter().map(|placed| placed.start as usize).collect();
    drop_jumps_to_the_next(&insns, &mut kept);
    // Where each place is now: what is left out, at what follows it.
    let mut now = Vec::with_capacity(kept.len() + 1);
    let mut count = 0_u32;
    for keep in &kept {
        now.push(count);
        count += u32::from(*keep);
    }
    now.push(count);
    let place = |at: usize| now.get(at).copied().unwrap_or(count);
    let is_kept = |at: usize| kept.get(at) == Some(&true);

    let mut at = 0;
    while let Some(&insn) = insns.get(at) {
        let new = insns.get_mut(at).filter(|_| is_kept(at));
        if let Some(new) = new {
            let distance = |to: i64| i64::from(place(to as usize)) - i64::from(place(at)) - 1;
            if let Some(to) = callee(insn, at) {
                new.imm = distance(to as i64) as i32;
            } else if matches!(insn.code & code::CLASS, code::JMP | code::JMP32)
                && !matches!(insn.code, code::CALL | code::EXIT)
            {
                new.off = distance(at as i64 + 1 + i64::from(insn.off)) as i16;
            }
        }
        at += slots(insn);
    }
    let mut all = kept.iter();
    insns.retain(|_| all.next() == Some(&true));
    program.insns = insns;

    // A function of which nothing is kept is gone.
    let end_of = |start: usize| ends.iter().copied().find(|end| *end > start).unwrap_or(kept.len());
    let is_left = |start: u32| (start as usize..end_of(start as usize)).any(is_kept);
    program.functions.retain(|placed| is_left(placed.start));
    program.func_info.retain(|info| is_left(info.insn));
    program.poisoned.retain(|poisoned| is_kept(poisoned.insn as usize));
    let function_of = |at: u32| ends.partition_point(|start| *start <= at as usize);
    // Of the lines that have come to lie at one place the last one is that place's, unless it is the next function's.
    let mut lines: Vec<_> = Vec::with_capacity(program.line_info.len());
    for line in &program.line_info {
        let end = ends.get(function_of(line.insn)).copied().unwrap_or(kept.len());
        let moved = place(line.insn as usize);
        if moved == place(end) {
            // Nothing of its function follows it.
            continue;
        }
        let mut line = *line;
        line.insn = moved;
        match lines.last_mut() {
            Some(last) if moved == place_of(last) => *last = line,
            _ => lines.push(line),
        }
    }
    program.line_info = lines;
    program.functions.iter_mut().for_each(|placed| placed.start = place(placed.start as usize));
    program.func_info.iter_mut().for_each(|info| info.insn = place(info.insn as usize));
    program.poisoned.iter_mut().for_each(|poisoned| poisoned.insn = place(poisoned.insn as usize));
}

fn place_of(line: &crate::object::LineInfo) -> u32 {
    line.insn
}

/// A jump over nothing but what is left out is none.
fn drop_jumps_to_the_next(insns: &[Insn], kept: &mut [bool]) {
    loop {
        let mut changed = false;
        for at in (0..insns.len()).rev() {
            let Some(insn) = insns.get(at).filter(|insn| insn.code == code::JA && insn.off >= 0) else {
                continue;
            };
            let over = at + 1..at + 1 + insn.off as usize;
            let nothing = kept.get(over).is_some_and(|over| over.iter().all(|keep| !keep));
            if let Some(keep) = kept.get_mut(at).filter(|keep| **keep && nothing) {
                *keep = false;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
}
