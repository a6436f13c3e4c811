//! Functions of a program: static, global, and those that helpers call back.

use super::code::Label;
use super::shadow::{ANY_NUM, Kind, Region, Shadow};
use super::world::map;
use super::{Inside, Writer};
use crate::verifier::btf::TypeId;
use crate::verifier::{FuncInfo, Release};

/// A function that is called.
#[derive(Clone)]
pub(super) struct Function {
    label: Label,
    inside: Inside,
    args: Vec<Kind>,
    type_id: TypeId,
}

impl Writer<'_> {
    /// Calls a function: one that was called before, or a new one.
    pub(super) fn subprog(&mut self) {
        if self.style.typed && self.random.one_in(3) && self.world.release >= Release::new(5, 13) {
            return self.callback();
        }
        let again: Vec<usize> =
            (0..self.pending.len()).filter(|i| self.pending[*i].inside != Inside::Callback).collect();
        if self.inside != Inside::Main && !self.random.one_in(3) {
            return;
        }
        if self.random.one_in(3)
            && let Some(i) = self.random.pick_of(&again)
        {
            // A function calls only later ones, but for slips: a loop of calls is refused at once.
            let f = self.pending[i].clone();
            let done = self.code.at(f.label).is_some();
            if done && !self.slip() {
                return;
            }
            self.pass(&f.args.clone());
            self.code.call_sub(f.label);
            return self.now.after_call(ANY_NUM);
        }
        if self.pending.len() > 3 {
            return;
        }
        let label = self.code.label();
        let f = if self.style.typed && self.random.one_in(2) {
            self.global(label)
        } else {
            let n = self.random.below(4);
            let mut args = Vec::new();
            for _ in 0..n {
                let kind =
                    self.find(|k| !matches!(k, Kind::Unset | Kind::Opaque)).map_or(ANY_NUM, |r| self.kind(r));
                args.push(kind);
            }
            let type_id = self.world.types.statics[n];
            Function { label, inside: Inside::Static, args, type_id }
        };
        self.pass(&f.args.clone());
        self.code.call_sub(label);
        self.now.after_call(ANY_NUM);
        self.pending.push(f);
    }

    fn global(&mut self, label: Label) -> Function {
        if self.random.one_in(3) {
            let args = vec![Kind::Mem { of: Region::Handed, back: 0, room: 16 }, ANY_NUM];
            return Function { label, inside: Inside::Global, args, type_id: self.world.types.global_mem };
        }
        let n = self.random.below(3);
        Function {
            label,
            inside: Inside::Global,
            args: vec![ANY_NUM; n + 1],
            type_id: self.world.types.globals[n],
        }
    }

    /// Puts arguments like these into R1 and up.
    fn pass(&mut self, args: &[Kind]) {
        for (i, kind) in args.iter().enumerate() {
            let reg = 1 + i as u8;
            let like = *kind;
            let same = move |k: Kind| match (k, like) {
                (Kind::Num { .. }, Kind::Num { .. }) => true,
                (Kind::Mem { of: a, room: x, .. }, Kind::Mem { of: b, room: y, .. }) => {
                    (a == b || b == Region::Handed) && x >= y
                }
                (a, b) => a == b,
            };
            match self.find(same).filter(|s| !(1..reg).contains(s)) {
                Some(s) if s != reg => {
                    self.code.mov_reg(reg, s);
                    self.set(reg, self.kind(s));
                }
                Some(_) => {}
                None => match like {
                    Kind::Mem { room, .. } if room > 0 => self.stack_address(reg, room.min(64)),
                    _ => {
                        let imm = self.small();
                        self.code.mov(reg, imm);
                        self.set(reg, Kind::Num { max: imm as u64 });
                    }
                },
            }
        }
    }

    /// bpf_loop() or bpf_for_each_map_elem().
    fn callback(&mut self) {
        if self.pending.len() > 3 {
            return;
        }
        let label = self.code.label();
        let handed = Kind::Mem { of: Region::Handed, back: 0, room: 16 };
        let on_loop = self.world.release >= Release::new(5, 17) && self.random.percent(60);
        let (args, type_id) = if on_loop {
            self.code.address(2, label);
            self.stack_address(3, 16);
            let rounds = self.random.pick([1, 4, 100, 1 << 23]);
            self.code.mov(1, rounds);
            self.code.mov(4, 0);
            self.code.call(181);
            (vec![ANY_NUM, handed], self.world.types.on_loop)
        } else {
            let m = self.random.pick([map::ARRAY, map::HASH, map::PERCPU]);
            let (key, value) = (self.world.maps[m].key_size as i32, self.world.maps[m].value_size as i32);
            self.code.wide(1, 1, m as i32, 0);
            self.code.address(2, label);
            self.stack_address(3, 16);
            self.code.mov(4, 0);
            self.code.call(164);
            let of = Region::Handed;
            let args = vec![
                Kind::MapOf(m),
                Kind::Mem { of, back: 0, room: key },
                Kind::Mem { of: Region::Value, back: 0, room: value },
                handed,
            ];
            (args, self.world.types.on_element)
        };
        self.now.after_call(ANY_NUM);
        self.pending.push(Function { label, inside: Inside::Callback, args, type_id });
    }

    /// Writes a function.
    pub(super) fn function(&mut self, f: &Function) {
        self.code.put(f.label);
        self.written.push(FuncInfo { start: self.code.insns.len() as u32, type_id: f.type_id });
        self.now = Shadow::new();
        for (i, kind) in f.args.iter().enumerate() {
            self.now.regs[1 + i] = match *kind {
                // The caller's frame is not ours.
                Kind::Mem { of: Region::Stack, back: _, room } => {
                    Kind::Mem { of: Region::Handed, back: 0, room }
                }
                k => k,
            };
        }
        if f.inside == Inside::Global && f.type_id == self.world.types.global_mem {
            // A pointer that a global function is handed may be null.
            let id = self.id();
            self.now.regs[1] = Kind::Null { of: Region::Handed, room: 16, id };
            self.exit = self.code.label();
            self.inside = f.inside;
            self.settle(1, id);
        } else {
            self.exit = self.code.label();
        }
        self.inside = f.inside;
        if self.random.percent(70) {
            for r in 1..=f.args.len() as u8 {
                if self.random.one_in(2) {
                    let to = self.lasting();
                    self.code.mov_reg(to, r);
                    self.set(to, self.kind(r));
                }
            }
        }
        let n = 1 + self.random.below(6);
        self.block(n, 1);
        self.finish();
    }
}
