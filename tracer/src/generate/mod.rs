//! Generated BPF programs near the border of what the kernel accepts: for tests, for fuzzing, and to be compared with
//! real kernels.
//!
//! ```text
//! seed, kernel -> style   which kinds of statements, how wild
//!              -> main    statements over a shadow of the registers, then the functions they called
//!              -> Program
//! a program    -> near    its neighbours on both sides of the model's own border
//! two verdicts -> shrink  the smallest program on which they still differ
//! ```
//! The generator follows what registers hold only roughly (see [`shadow`]), so that about half of what it writes is
//! refused, and for reasons that take the kernel some thought.
//!
//! Invariant: the same seed and kernel give the same program; every program ends.
//! It must not know: verdicts (but for [`near`] and [`shrink`], which ask for them), files, system calls.

pub mod bytes;
mod call;
mod code;
mod flow;
mod function;
mod helpers;
mod memory;
pub mod near;
mod packet;
mod random;
mod scalar;
mod shadow;
pub mod shrink;
#[cfg(test)]
mod tests;
mod world;

pub use random::Random;
pub use world::{Types, maps};

use crate::verifier::{AttachType, FuncInfo, ProgType, Program, Release};
use code::{Code, Label};
use function::Function;
use shadow::{ANY_NUM, Kind, Shadow};

/// What does not change from program to program.
pub struct Generator {
    release: Release,
    types: Types,
    maps: Vec<crate::verifier::Map>,
}

impl Generator {
    /// A generator of programs for a kernel; `None` if its own types could not be built.
    pub fn new(release: Release) -> Option<Self> {
        Some(Self { release, types: Types::new()?, maps: maps() })
    }

    /// The types of the programs' functions.
    pub fn types(&self) -> &Types {
        &self.types
    }

    /// The program of a seed.
    pub fn program(&self, seed: u64) -> Program {
        let mut random = Random::new(seed);
        let style = Style::new(&mut random, self.release);
        let mut writer = Writer {
            world: self,
            style,
            random,
            code: Code::default(),
            now: Shadow::new(),
            exit: Label::default(),
            inside: Inside::Main,
            pending: Vec::new(),
            written: Vec::new(),
            next_id: 0,
            loops: 0,
        };
        writer.everything();
        let Writer { mut code, style, written, .. } = writer;
        code.link();
        let typed = style.typed;
        let funcs = if typed { written } else { Vec::new() };
        Program {
            insns: code.insns,
            kind: style.kind,
            attach: AttachType(0),
            attach_btf_id: Default::default(),
            flags: 0,
            gpl: true,
            maps: self.maps.clone(),
            btf: typed.then(|| self.types.btf.clone()),
            funcs,
        }
    }
}

/// What a seed settles beforehand: programs that do everything all look alike.
struct Style {
    kind: ProgType,
    /// Mistakes in a thousand operands.
    wild: usize,
    /// Weights of the kinds of statements.
    weights: [u8; STATEMENTS.len()],
    /// Statements of the main function.
    length: usize,
    /// Loaded with types.
    typed: bool,
    /// 32-bit operations in a hundred.
    narrow: usize,
    signed: usize,
    /// Instructions of the newest set are used.
    v4: bool,
}

impl Style {
    fn new(r: &mut Random, release: Release) -> Self {
        let kind = match r.below(16) {
            0 | 1 => ProgType::SOCKET_FILTER,
            2..=4 => ProgType::KPROBE,
            5..=7 => ProgType::SCHED_CLS,
            8 => ProgType::TRACEPOINT,
            9..=11 => ProgType::XDP,
            12 => ProgType::RAW_TRACEPOINT,
            13 => ProgType::CGROUP_SKB,
            14 => ProgType::PERF_EVENT,
            _ => ProgType::CGROUP_DEVICE,
        };
        let mut weights = [0; STATEMENTS.len()];
        for (w, (_, usual)) in weights.iter_mut().zip(STATEMENTS) {
            *w = match r.below(5) {
                0 => 0,
                1 => usual * 4,
                _ => usual,
            };
        }
        let longest = r.pick([6, 12, 12, 25, 40]);
        Self {
            kind,
            wild: r.pick([0, 0, 0, 2, 5, 20]),
            weights,
            length: 3 + r.below(longest),
            typed: r.percent(40),
            narrow: r.pick([5, 30, 60]),
            signed: r.pick([10, 40, 70]),
            v4: release >= Release::new(6, 6) && r.percent(40) || r.one_in(200),
        }
    }
}

/// A kind of statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Statement {
    Number,
    Arith,
    Bound,
    Branch,
    Loop,
    StackWrite,
    StackRead,
    Lookup,
    Direct,
    Var,
    Access,
    Helper,
    Subprog,
    Ring,
    Packet,
    Atomic,
    Pointer,
    Linked,
    Context,
}

/// The kinds, with their usual weights.
const STATEMENTS: [(Statement, u8); 19] = [
    (Statement::Number, 8),
    (Statement::Arith, 14),
    (Statement::Bound, 8),
    (Statement::Branch, 8),
    (Statement::Loop, 2),
    (Statement::StackWrite, 7),
    (Statement::StackRead, 7),
    (Statement::Lookup, 5),
    (Statement::Direct, 4),
    (Statement::Var, 12),
    (Statement::Access, 8),
    (Statement::Helper, 6),
    (Statement::Subprog, 3),
    (Statement::Ring, 3),
    (Statement::Packet, 4),
    (Statement::Atomic, 2),
    (Statement::Pointer, 3),
    (Statement::Linked, 4),
    (Statement::Context, 3),
];

/// The kind of function that is being written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Inside {
    Main,
    Static,
    Global,
    Callback,
}

/// A program being written.
struct Writer<'a> {
    world: &'a Generator,
    style: Style,
    random: Random,
    code: Code,
    now: Shadow,
    /// Where the function at hand returns.
    exit: Label,
    inside: Inside,
    /// Functions that are called but not there yet.
    pending: Vec<Function>,
    written: Vec<FuncInfo>,
    next_id: u16,
    /// Loops around the place at hand.
    loops: u32,
}

/// More is cut off: a program that is too large takes a slow kernel too long.
const MOST_INSNS: usize = 400;

impl Writer<'_> {
    fn everything(&mut self) {
        self.written.push(FuncInfo { start: 0, type_id: self.world.types.main });
        self.now.regs[1] = Kind::Ctx;
        if self.random.percent(92) {
            self.code.mov_reg(6, 1);
            self.now.regs[6] = Kind::Ctx;
        }
        self.exit = self.code.label();
        let length = self.style.length;
        self.block(length, 0);
        self.finish();
        let mut at = 0;
        while at < self.pending.len() {
            let function = self.pending[at].clone();
            self.function(&function);
            at += 1;
        }
    }

    fn block(&mut self, statements: usize, depth: u32) {
        for _ in 0..statements {
            if self.code.insns.len() > MOST_INSNS {
                return;
            }
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: u32) {
        let total: usize = self.style.weights.iter().map(|w| *w as usize).sum();
        let mut n = self.random.below(total);
        let mut chosen = Statement::Number;
        for ((kind, _), w) in STATEMENTS.iter().zip(self.style.weights) {
            if n < w as usize {
                chosen = *kind;
                break;
            }
            n -= w as usize;
        }
        match chosen {
            Statement::Number => {
                self.number();
            }
            Statement::Arith => self.arith(),
            Statement::Bound => self.bound_some(),
            Statement::Branch => self.branch(depth),
            Statement::Loop => self.repeat(depth),
            Statement::StackWrite => self.stack_write(),
            Statement::StackRead => self.stack_read(),
            Statement::Lookup => self.lookup(),
            Statement::Direct => self.direct(),
            Statement::Var => self.var_access(),
            Statement::Access => self.access_some(),
            Statement::Helper => self.helper(),
            Statement::Subprog => self.subprog(),
            Statement::Ring => self.ring(depth),
            Statement::Packet => self.packet(),
            Statement::Atomic => self.atomic(),
            Statement::Pointer => self.pointer_play(),
            Statement::Linked => self.linked(),
            Statement::Context => self.context(),
        }
    }

    /// True where this seed makes a mistake.
    fn slip(&mut self) -> bool {
        let wild = self.style.wild;
        self.random.below(1000) < wild
    }

    fn id(&mut self) -> u16 {
        self.next_id += 1;
        self.next_id
    }

    /// A register of the asked kind, if there is one.
    fn find(&mut self, wanted: impl Fn(Kind) -> bool) -> Option<u8> {
        if self.slip() {
            return Some(self.random.below(11) as u8);
        }
        let fit: Vec<u8> = (0..10).filter(|r| wanted(self.now.regs[*r as usize])).collect();
        self.random.pick_of(&fit)
    }

    /// A register to write to: one that holds nothing of worth, mostly.
    fn target(&mut self) -> u8 {
        if self.slip() {
            return self.random.below(11) as u8;
        }
        let spare: Vec<u8> = (0..10)
            .filter(|r| matches!(self.now.regs[*r as usize], Kind::Unset | Kind::Num { .. } | Kind::Opaque))
            .collect();
        match self.random.pick_of(&spare) {
            Some(r) if !self.random.one_in(25) => r,
            _ => self.random.below(10) as u8,
        }
    }

    /// A register among those that survive calls, to write to.
    fn lasting(&mut self) -> u8 {
        let spare: Vec<u8> = (6..10)
            .filter(|r| matches!(self.now.regs[*r as usize], Kind::Unset | Kind::Num { .. } | Kind::Opaque))
            .collect();
        match self.random.pick_of(&spare) {
            Some(r) => r,
            None => 6 + self.random.below(4) as u8,
        }
    }

    /// A register with a number in it; one is made if there is none.
    fn some_number(&mut self) -> u8 {
        match self.find(Kind::is_num) {
            Some(r) => r,
            None => self.number(),
        }
    }

    fn set(&mut self, reg: u8, kind: Kind) {
        if reg < 10 {
            self.now.regs[reg as usize] = kind;
        }
    }

    fn kind(&self, reg: u8) -> Kind {
        self.now.regs[reg as usize % 11]
    }

    /// The function's end: reservations closed, a result, exit.
    fn finish(&mut self) {
        while let Some(id) = self.now.open.last().copied() {
            self.close_ring(id);
            self.now.open.retain(|o| *o != id);
        }
        let exit = self.exit;
        let other = self.random.one_in(4);
        if other {
            // A result of its own, where the range may matter.
            match self.find(Kind::is_num) {
                Some(r) if self.inside != Inside::Main || self.random.percent(60) => {
                    self.code.mov_reg(0, r);
                    if self.random.percent(50) {
                        let mask = self.random.pick([0, 1, 1, 3]);
                        self.code.raw(0x57, 0, 0, 0, mask);
                    }
                }
                _ => self.code.mov(0, self.random.pick([0, 0, 1, 1, 2, 3, -1])),
            }
            self.code.exit();
        }
        self.code.put(exit);
        let result = match (self.style.kind, self.inside) {
            (_, Inside::Callback) => self.random.pick([0, 0, 1]),
            (ProgType::CGROUP_SKB | ProgType::CGROUP_DEVICE, _) => self.random.pick([0, 1, 1, 1]),
            _ => 0,
        };
        self.code.mov(0, result);
        self.code.exit();
        self.now.regs[0] = ANY_NUM;
    }
}
