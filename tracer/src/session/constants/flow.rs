//! What registers hold at every instruction that is reached, as far as constants say it.
//!
//! A forward analysis over a flat lattice: at a place that is reached twice, a register that holds different things
//! holds something unknown. Branches on known numbers have one way.

use super::{Constants, Next, callee, code, next, slots};
use crate::object::{Insn, MapId, pseudo};

/// What a register holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Value {
    Unknown,
    Number(u64),
    /// A place in a map of constants.
    Address(MapId, u64),
}

type Registers = [Value; 11];

const UNKNOWN: Registers = [Value::Unknown; 11];

/// The instructions that are reached, and what is known where blocks begin.
pub(super) struct Flow {
    pub(super) reached: Vec<bool>,
    /// By instruction; of those that begin a block.
    begin: Vec<Option<Box<Registers>>>,
}

/// Follows a program from its entry. `None` if it has something that is not known here.
pub(super) fn follow(insns: &[Insn], constants: &Constants<'_>) -> Option<Flow> {
    let leaders = leaders(insns)?;
    let mut flow = Flow { reached: vec![false; insns.len()], begin: vec![None; insns.len()] };
    let mut work = vec![0];
    *flow.begin.first_mut()? = Some(Box::new(UNKNOWN));
    while let Some(start) = work.pop() {
        let mut registers = **flow.begin.get(start)?.as_ref()?;
        let mut at = start;
        loop {
            let insn = *insns.get(at)?;
            *flow.reached.get_mut(at)? = true;
            if let Some(subprogram) = callee(insn, at) {
                flow.arrive(subprogram, &UNKNOWN, &mut work)?;
            }
            let after = decided(insns, at, &registers)?;
            step(insns, at, constants, &mut registers);
            let through = at + slots(insn);
            let (jump, goes_on) = match after {
                Next::Exit => (None, false),
                Next::Jump(to) => (Some(to), false),
                Next::Branch(to) => (Some(to), true),
                Next::Through => (None, true),
            };
            if let Some(to) = jump {
                flow.arrive(to, &registers, &mut work)?;
            }
            if !goes_on {
                break;
            }
            if *leaders.get(through)? {
                flow.arrive(through, &registers, &mut work)?;
                break;
            }
            at = through;
        }
    }
    Some(flow)
}

impl Flow {
    /// Adds what is known on one more way to a block.
    fn arrive(&mut self, at: usize, registers: &Registers, work: &mut Vec<usize>) -> Option<()> {
        let known = self.begin.get_mut(at)?;
        match known {
            None => *known = Some(Box::new(*registers)),
            Some(known) => {
                let before = **known;
                for (known, new) in known.iter_mut().zip(registers) {
                    if known != new {
                        *known = Value::Unknown;
                    }
                }
                if **known == before {
                    return Some(());
                }
            }
        }
        work.push(at);
        Some(())
    }
}

/// Where blocks begin: whatever is jumped to or called. `None` if an instruction is not known here.
fn leaders(insns: &[Insn]) -> Option<Vec<bool>> {
    let mut leaders = vec![false; insns.len()];
    let mut at = 0;
    while let Some(&insn) = insns.get(at) {
        let known = match insn.code & code::CLASS {
            code::LD => insn.is_lddw() && insn.src != pseudo::FUNC,
            code::LDX => matches!(insn.code & code::MODE, code::MEM | code::MEMSX),
            code::ST => insn.code & code::MODE == code::MEM,
            code::STX => match insn.code & code::MODE {
                code::MEM => true,
                // Of the later ones some load and store without a bit that says so.
                code::ATOMIC => insn.imm < 0x100,
                _ => false,
            },
            _ => true,
        };
        if !known {
            return None;
        }
        if let Next::Jump(to) | Next::Branch(to) = next(insns, at)? {
            *leaders.get_mut(to)? = true;
        }
        if let Some(subprogram) = callee(insn, at) {
            *leaders.get_mut(subprogram)? = true;
        }
        at += slots(insn);
    }
    Some(leaders)
}

/// What may follow, with what is known.
fn decided(insns: &[Insn], at: usize, registers: &Registers) -> Option<Next> {
    let after = next(insns, at)?;
    let (Next::Branch(to), Some(insn)) = (after, insns.get(at)) else { return Some(after) };
    let (Some(left), Some(right)) = (number(registers, insn.dst), operand(*insn, registers)) else {
        return Some(after);
    };
    let wide = insn.code & code::CLASS == code::JMP;
    let (left, right) = if wide { (left, right) } else { (left & 0xffff_ffff, right & 0xffff_ffff) };
    let signed = |n: u64| if wide { n as i64 } else { i64::from(n as u32 as i32) };
    let taken = match insn.code & code::OP {
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
        0xd0 => signed(left) <= signed(right),
        _ => return Some(after),
    };
    Some(if taken { Next::Jump(to) } else { Next::Through })
}

fn number(registers: &Registers, register: u8) -> Option<u64> {
    match registers.get(usize::from(register)) {
        Some(Value::Number(number)) => Some(*number),
        _ => None,
    }
}

/// The other operand of an operation or a comparison.
fn operand(insn: Insn, registers: &Registers) -> Option<u64> {
    match insn.code & code::X {
        0 => Some(i64::from(insn.imm) as u64),
        _ => number(registers, insn.src),
    }
}

/// What registers hold after an instruction.
fn step(insns: &[Insn], at: usize, constants: &Constants<'_>, registers: &mut Registers) {
    let Some(&insn) = insns.get(at) else { return };
    let mut set = |register: u8, value| {
        if let Some(place) = registers.get_mut(usize::from(register)) {
            *place = value;
        }
    };
    match insn.code & code::CLASS {
        code::LD => {
            let high = insns.get(at + 1).map_or(0, |second| second.imm);
            let map = MapId(insn.imm as u32);
            let value = match insn.src {
                0 => Value::Number(u64::from(insn.imm as u32) | u64::from(high as u32) << 32),
                pseudo::MAP_VALUE if constants.bytes(map).is_some() => {
                    Value::Address(map, u64::from(high as u32))
                }
                _ => Value::Unknown,
            };
            set(insn.dst, value);
        }
        code::LDX => {
            let value = loaded(insn, constants, registers);
            if let Some(place) = registers.get_mut(usize::from(insn.dst)) {
                *place = value;
            }
        }
        code::STX if insn.code & code::MODE == code::ATOMIC => {
            if insn.imm == code::CMPXCHG {
                set(0, Value::Unknown);
            } else if insn.imm & code::FETCH != 0 {
                set(insn.src, Value::Unknown);
            }
        }
        code::ALU | code::ALU64 => {
            let value = computed(insn, registers);
            if let Some(place) = registers.get_mut(usize::from(insn.dst)) {
                *place = value;
            }
        }
        code::JMP if insn.code == code::CALL => (0..=5).for_each(|register| set(register, Value::Unknown)),
        _ => {}
    }
}

fn loaded(insn: Insn, constants: &Constants<'_>, registers: &Registers) -> Value {
    const SIZE: u8 = 0x18;
    let size = match insn.code & SIZE {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => 8,
    };
    match registers.get(usize::from(insn.src)) {
        Some(Value::Address(map, offset)) if insn.code & code::MODE == code::MEM => {
            let offset = offset.wrapping_add_signed(insn.off.into());
            constants.number(*map, offset, size).map_or(Value::Unknown, Value::Number)
        }
        _ => Value::Unknown,
    }
}

fn computed(insn: Insn, registers: &Registers) -> Value {
    let wide = insn.code & code::CLASS == code::ALU64;
    let op = insn.code & code::OP;
    if insn.off != 0 {
        // Moves that extend signs, and signed division.
        return Value::Unknown;
    }
    if op == code::MOV && wide && insn.code & code::X != 0 {
        return registers.get(usize::from(insn.src)).copied().unwrap_or(Value::Unknown);
    }
    let Some(right) = operand(insn, registers) else { return Value::Unknown };
    let left = registers.get(usize::from(insn.dst)).copied().unwrap_or(Value::Unknown);
    let left = match (op, left) {
        (code::MOV, _) => 0,
        (_, Value::Number(left)) => left,
        (0x00, Value::Address(map, offset)) if wide => {
            return Value::Address(map, offset.wrapping_add(right));
        }
        _ => return Value::Unknown,
    };
    let (left, right) = if wide { (left, right) } else { (left & 0xffff_ffff, right & 0xffff_ffff) };
    let shift = right as u32 & if wide { 63 } else { 31 };
    let value = match op {
        0x00 => left.wrapping_add(right),
        0x10 => left.wrapping_sub(right),
        0x20 => left.wrapping_mul(right),
        0x40 => left | right,
        0x50 => left & right,
        0x60 => left << shift,
        0x70 => left >> shift,
        0xa0 => left ^ right,
        code::MOV => right,
        0xc0 if wide => ((left as i64) >> shift) as u64,
        0xc0 => ((left as u32 as i32) >> shift) as u32 as u64,
        _ => return Value::Unknown,
    };
    Value::Number(if wide { value } else { value & 0xffff_ffff })
}

/// The instructions with what is known put in. Those that are not reached stay as they are.
pub(super) fn rewrite(insns: &[Insn], constants: &Constants<'_>, flow: &Flow) -> Vec<Insn> {
    let mut new = insns.to_vec();
    let mut registers = UNKNOWN;
    let mut at = 0;
    while let Some(&insn) = insns.get(at) {
        // A block that nothing jumps to is gone into from above, with what was known there.
        if let Some(begin) = flow.begin.get(at).and_then(Option::as_ref) {
            registers = **begin;
        }
        if flow.reached.get(at) == Some(&true) {
            let before = registers;
            let after = decided(insns, at, &before);
            step(insns, at, constants, &mut registers);
            if let Some(place) = new.get_mut(at) {
                *place = rewritten(insn, next(insns, at), after, &before, &registers);
            }
        }
        at += slots(insn);
    }
    new
}

fn rewritten(
    insn: Insn,
    could: Option<Next>,
    will: Option<Next>,
    before: &Registers,
    after: &Registers,
) -> Insn {
    let branch = Insn { code: code::JA, ..Insn::default() };
    match (could, will) {
        (Some(Next::Branch(_)), Some(Next::Jump(_))) => return Insn { off: insn.off, ..branch },
        (Some(Next::Branch(_)), Some(Next::Through)) => return branch,
        _ => {}
    }
    let class = insn.code & code::CLASS;
    match class {
        code::LDX | code::ALU | code::ALU64 => {
            let moved = number(after, insn.dst).and_then(|number| mov(insn.dst, number));
            moved.unwrap_or_else(|| with_constant(insn, before))
        }
        code::JMP | code::JMP32 if matches!(could, Some(Next::Branch(_))) => with_constant(insn, before),
        _ => insn,
    }
}

/// A move of the number, where one slot has room for it.
fn mov(dst: u8, number: u64) -> Option<Insn> {
    let code = if i32::try_from(number as i64).is_ok() {
        code::MOV64_IMM
    } else if u32::try_from(number).is_ok() {
        code::MOV32_IMM
    } else {
        return None;
    };
    Some(Insn { code, dst, imm: number as u32 as i32, ..Insn::default() })
}

/// The instruction with a constant in place of the register that holds it, where that means the same.
fn with_constant(insn: Insn, before: &Registers) -> Insn {
    if insn.code & code::X == 0 {
        return insn;
    }
    let class = insn.code & code::CLASS;
    let wide = matches!(class, code::ALU64 | code::JMP);
    let op = insn.code & code::OP;
    let arithmetic = matches!(class, code::ALU | code::ALU64);
    let Some(number) = number(before, insn.src) else { return insn };
    let fits = !wide || i32::try_from(number as i64).is_ok();
    let means_the_same = match op {
        _ if !arithmetic => true,
        // A division by zero, or a shift too far, is refused as a constant.
        0x00 | 0x10 | 0x20 | 0x40 | 0x50 | 0xa0 => true,
        0x60 | 0x70 | 0xc0 => number < if wide { 64 } else { 32 },
        _ => false,
    };
    if matches!(class, code::LDX) || !fits || !means_the_same || arithmetic && insn.off != 0 {
        return insn;
    }
    Insn { code: insn.code & !code::X, src: 0, imm: number as u32 as i32, ..insn }
}
