//! The shape of the program: subprograms, what is reachable, and where states are kept.
//!
//! `check_subprogs()` and `check_cfg()` (kernel/bpf/verifier.c; from 7.0 cfg.c). Reachability is a depth-first walk
//! whose order decides which message comes first. Invariant: afterwards every jump lands inside of its subprogram,
//! and every instruction is reachable.

use super::env::Env;
use super::feature::Feature;
use super::insn::{Class, EXIT, Insn, mode};
use super::report::{Checked, reject};

const DISCOVERED: u8 = 0x10;
const EXPLORED: u8 = 0x20;
const FALLTHROUGH: u8 = 1;
const BRANCH: u8 = 2;

enum Next {
    Done,
    Deeper,
}

/// Jumps stay within their subprogram, and each ends in a jump or an exit.
pub(super) fn check_jumps(env: &mut Env) -> Checked {
    let count = env.insns.len();
    let mut sub = 0;
    let (mut start, mut end) = (0, env.subprogs[0].end as i64);
    for (i, insn) in env.insns.iter().enumerate() {
        if insn.is_helper_call() && insn.imm == super::helper::TAIL_CALL as i32 {
            env.subprogs[sub].has_tail_call = true;
        }
        if insn.class() == Class::Ld && matches!(insn.mode(), mode::ABS | mode::IND) {
            env.subprogs[sub].has_ld_abs = true;
        }
        let compares_or_goes = insn.is_jump() && !matches!(insn.op_bits(), 0x80 | 0x90);
        if compares_or_goes {
            let far = if env.has(Feature::LongJumps) { insn.distance() } else { insn.off as i64 };
            let to = i as i64 + far + 1;
            if to < start || to >= end {
                env.blame = Some(i as u32);
                reject!(JumpOutOfRange, "jump out of range from insn {i} to {to}");
            }
            env.aux[to as usize].jump_target = true;
        }
        if i as i64 == end - 1 {
            let ends = insn.code == EXIT
                || insn.code == super::insn::JA
                || (insn.is_goto() && env.has(Feature::LongJumps));
            if !ends {
                reject!(BadProgram, "last insn is not an exit or jmp");
            }
            start = end;
            sub += 1;
            if sub < env.subprogs.len() {
                end = env.subprogs[sub].end as i64;
            }
        }
    }
    debug_assert!(count > 0);
    Ok(())
}

/// Everything is reachable; mark where states are kept and where jumps are recorded.
pub(super) fn check_reachable(env: &mut Env) -> Checked {
    let count = env.insns.len();
    let mut state = vec![0u8; count];
    let mut stack: Vec<u32> = vec![0];
    state[0] = DISCOVERED;
    walk(env, &mut state, &mut stack)?;
    if let Some(callback) = env.exception_callback() {
        let start = env.subprogs[callback as usize].start;
        if state[start as usize] != EXPLORED {
            state[start as usize] = DISCOVERED;
            stack.push(start);
            walk(env, &mut state, &mut stack)?;
        }
    }
    let skips_second = wide_step(env) == 2;
    let mut i = 0;
    while i < count {
        if state[i] != EXPLORED {
            env.blame = Some(i as u32);
            reject!(Unreachable, "unreachable insn {i}");
        }
        if skips_second && env.insns[i].is_ld_imm64() {
            if state.get(i + 1).is_some_and(|s| *s != 0) {
                reject!(BadProgram, "jump into the middle of ldimm64 insn {i}");
            }
            i += 1;
        }
        i += 1;
    }
    Ok(())
}

fn walk(env: &mut Env, state: &mut [u8], stack: &mut Vec<u32>) -> Checked {
    while let Some(&t) = stack.last() {
        match visit(env, t as usize, state, stack)? {
            Next::Deeper => {}
            Next::Done => {
                state[t as usize] = EXPLORED;
                stack.pop();
            }
        }
    }
    Ok(())
}

/// How many slots a 64-bit constant is in this walk: two since 6.1 ("bpf: Fix a few selftest failures due to llvm18
/// change" and its stable copies), before that its second slot was a step of its own.
fn wide_step(env: &Env) -> usize {
    if env.profile.release >= super::profile::Release::new(6, 1) { 2 } else { 1 }
}

fn step_over(env: &Env, t: usize) -> usize {
    t + if env.insns[t].is_ld_imm64() { wide_step(env) } else { 1 }
}

fn mark_prune(env: &mut Env, t: usize) {
    if let Some(a) = env.aux.get_mut(t) {
        a.prune_point = true;
    }
}

fn mark_jump(env: &mut Env, t: usize) {
    if let Some(a) = env.aux.get_mut(t) {
        a.jump_point = true;
    }
}

fn push(
    env: &mut Env,
    t: usize,
    w: i64,
    edge: u8,
    loop_ok: bool,
    state: &mut [u8],
    stack: &mut Vec<u32>,
) -> Checked<Next> {
    if state[t] >= DISCOVERED | edge {
        return Ok(Next::Done);
    }
    if w < 0 || w >= state.len() as i64 {
        env.blame = Some(t as u32);
        reject!(JumpOutOfRange, "jump out of range from insn {t} to {w}");
    }
    let w = w as usize;
    if edge == BRANCH {
        mark_prune(env, w);
        mark_jump(env, w);
    }
    if state[w] == 0 {
        state[t] = DISCOVERED | edge;
        state[w] = DISCOVERED;
        stack.push(w as u32);
        return Ok(Next::Deeper);
    }
    if state[w] & 0xf0 == DISCOVERED {
        if !loop_ok {
            env.blame = Some(t as u32);
            reject!(BackEdge, "back-edge from insn {t} to {w}");
        }
        return Ok(Next::Done);
    }
    state[t] = DISCOVERED | edge;
    Ok(Next::Done)
}

fn visit(env: &mut Env, t: usize, state: &mut [u8], stack: &mut Vec<u32>) -> Checked<Next> {
    let insn: Insn = env.insns[t];
    // Before 6.1 a call counted as an edge, so that recursion was a back-edge.
    let calls_may_loop = env.profile.release >= super::profile::Release::new(6, 8);
    if insn.is_subprog_address() {
        let callee = Some(t as i64 + insn.imm as i64 + 1);
        return visit_call(env, t, callee, Loops { over: calls_may_loop, into: true }, state, stack);
    }
    if !insn.is_jump() {
        let next = step_over(env, t) as i64;
        return push(env, t, next, FALLTHROUGH, calls_may_loop, state, stack);
    }
    match insn.op_bits() {
        0x90 => Ok(Next::Done),
        0x80 => {
            super::call::mark_call_points(env, t);
            let callee = (insn.src == super::insn::pseudo::CALL).then(|| t as i64 + insn.imm as i64 + 1);
            visit_call(env, t, callee, Loops { over: calls_may_loop, into: calls_may_loop }, state, stack)
        }
        0x00 => {
            if insn.is_reg() {
                if env.profile.release >= super::profile::Release::new(6, 19) {
                    super::report::unmodelled!("indirect jumps");
                }
                reject!(ReservedFields, "");
            }
            let w = t as i64 + insn.distance() + 1;
            if let Next::Deeper = push(env, t, w, FALLTHROUGH, true, state, stack)? {
                return Ok(Next::Deeper);
            }
            mark_prune(env, w as usize);
            mark_jump(env, w as usize);
            if wide_step(env) == 1 {
                mark_prune(env, t + 1);
            }
            Ok(Next::Done)
        }
        _ => {
            mark_prune(env, t);
            if insn.is_may_goto() {
                env.aux[t].force_checkpoint = true;
            }
            if let Next::Deeper = push(env, t, t as i64 + 1, FALLTHROUGH, true, state, stack)? {
                return Ok(Next::Deeper);
            }
            push(env, t, t as i64 + insn.off as i64 + 1, BRANCH, true, state, stack)
        }
    }
}

/// Where a call may lead back to what is being visited.
struct Loops {
    over: bool,
    into: bool,
}

fn visit_call(
    env: &mut Env,
    t: usize,
    callee: Option<i64>,
    loops: Loops,
    state: &mut [u8],
    stack: &mut Vec<u32>,
) -> Checked<Next> {
    let next = step_over(env, t);
    if let Next::Deeper = push(env, t, next as i64, FALLTHROUGH, loops.over, state, stack)? {
        return Ok(Next::Deeper);
    }
    mark_prune(env, next);
    mark_jump(env, next);
    if let Some(w) = callee {
        mark_prune(env, t);
        env.merge_effects(t as u32, w as u32);
        return push(env, t, w, BRANCH, loops.into, state, stack);
    }
    Ok(Next::Done)
}
