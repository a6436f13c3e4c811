//! Calls of helpers, and ring-buffer reservations.

use super::helpers::{Give, HELPERS, Helper, Want};
use super::shadow::{ANY_NUM, Kind, Region};
use super::world::map;
use super::{Writer, code};

impl Writer<'_> {
    pub(super) fn helper(&mut self) {
        if self.random.one_in(60) {
            // Any helper, whatever it wants.
            let id = self.random.between(0, 215);
            self.code.call(id);
            return self.now.after_call(ANY_NUM);
        }
        let h = &HELPERS[self.random.below(HELPERS.len())];
        if h.id == 12 && !self.now.open.is_empty() && !self.slip() {
            return;
        }
        let mut chosen = map::ARRAY;
        let mut size = 8;
        for (i, want) in h.args.iter().enumerate() {
            self.argument(1 + i as u8, *want, h.args.get(i + 1).copied(), &mut chosen, &mut size);
        }
        self.code.call(h.id);
        self.result(h, chosen);
    }

    fn result(&mut self, h: &Helper, chosen: usize) {
        match h.give {
            Give::Num => {
                self.now.after_call(ANY_NUM);
                if matches!(h.id, 67 | 115 | 45 | 114) && self.random.percent(50) {
                    // The length that came back.
                    let to = self.lasting();
                    self.code.mov_reg(to, 0);
                    self.set(to, ANY_NUM);
                    if self.random.percent(60) {
                        self.bound(to);
                    }
                    self.use_index(to);
                }
            }
            Give::Value => {
                let id = self.id();
                let room = self.world.maps[chosen].value_size as i32;
                self.now.after_call(Kind::Null { of: Region::Value, room, id });
                self.settle(0, id);
            }
        }
    }

    fn argument(&mut self, reg: u8, want: Want, next: Option<Want>, chosen: &mut usize, size: &mut i32) {
        match want {
            Want::Imm(imm) => self.argument_imm(reg, imm),
            Want::Num => {
                let src = self.find(Kind::is_num).filter(|s| !(1..reg).contains(s));
                match src {
                    Some(s) if self.random.one_in(2) => {
                        self.code.mov_reg(reg, s);
                        self.set(reg, self.kind(s));
                    }
                    _ => {
                        let imm = if self.random.percent(70) { 0 } else { self.edge() };
                        self.argument_imm(reg, imm);
                    }
                }
            }
            Want::Ctx => match self.find(|k| k == Kind::Ctx) {
                Some(s) => {
                    self.code.mov_reg(reg, s);
                    self.set(reg, Kind::Ctx);
                }
                None => self.argument_imm(reg, 0),
            },
            Want::Map(maps) => {
                *chosen = self.random.pick_of(maps).unwrap_or(map::ARRAY);
                if self.slip() {
                    *chosen = self.random.below(self.world.maps.len());
                }
                self.code.wide(reg, 1, *chosen as i32, 0);
                self.set(reg, Kind::MapOf(*chosen));
            }
            Want::Key => {
                let n = self.world.maps[*chosen].key_size as i32;
                self.memory(reg, n);
            }
            Want::Value => {
                let n = self.world.maps[*chosen].value_size as i32;
                self.memory(reg, n);
            }
            Want::Read | Want::Write => {
                let sized = matches!(next, Some(Want::Size | Want::SizeOrZero));
                *size = if sized { self.random.pick([1, 2, 4, 8, 8, 16, 16, 24, 40]) } else { 8 };
                let n = *size;
                if want == Want::Write && self.random.one_in(2) {
                    // Need not be written before.
                    let off = self.place(n);
                    self.code.mov_reg(reg, 10);
                    self.code.add(reg, off);
                    self.set(reg, Kind::Mem { of: Region::Stack, back: 0, room: n });
                    self.now.write_stack(off, n, None);
                } else {
                    self.memory(reg, n);
                }
                if next == Some(Want::SizeOrZero) && self.random.one_in(12) {
                    self.argument_imm(reg, 0);
                    *size = 0;
                }
                if let Kind::Mem { room, .. } = self.kind(reg) {
                    *size = (*size).max(room.min(64));
                }
            }
            Want::Size | Want::SizeOrZero => self.size_argument(reg, *size),
        }
    }

    fn argument_imm(&mut self, reg: u8, imm: i32) {
        self.code.mov(reg, imm);
        self.set(reg, Kind::Num { max: imm as i64 as u64 });
    }

    /// A size: a constant near the limit, or a number with a bound near it.
    fn size_argument(&mut self, reg: u8, size: i32) {
        let src = self.find(Kind::is_num).filter(|s| !(1..reg).contains(s));
        match src {
            Some(s) if self.random.percent(45) => {
                self.code.mov_reg(reg, s);
                self.set(reg, ANY_NUM);
                let class = if self.random.one_in(3) { code::JMP32 } else { code::JMP };
                match self.random.below(4) {
                    0 => {
                        let mask = (size.max(1) as u32).next_power_of_two() as i32 - 1;
                        self.code.raw(0x57, reg, 0, 0, mask.min(size));
                    }
                    1 => self.bound(reg),
                    2 => {
                        if self.now.open.is_empty() {
                            let out = self.exit;
                            self.code.jump(class | code::op::JGT, reg, 0, size, out);
                        }
                    }
                    _ => {
                        if self.now.open.is_empty() {
                            let out = self.exit;
                            self.code.jump(class | code::op::JSGT, reg, 0, size, out);
                            let low = self.random.pick([0, 0, 1]);
                            self.code.jump(class | code::op::JSLT, reg, 0, low, out);
                        }
                    }
                }
                if self.random.one_in(3) {
                    self.arith_on(reg);
                }
            }
            _ => {
                let imm = match self.random.below(12) {
                    0 => 0,
                    1 => size + 1,
                    2 => size - 1,
                    _ => size,
                };
                self.argument_imm(reg, imm);
            }
        }
    }

    /// The address of memory of that size.
    fn memory(&mut self, reg: u8, size: i32) {
        let wanted = |k: Kind| matches!(k, Kind::Mem { room, .. } if room >= size);
        if self.random.percent(35)
            && let Some(s) = self.find(wanted)
            && !(1..reg).contains(&s)
        {
            self.code.mov_reg(reg, s);
            return self.set(reg, self.kind(s));
        }
        self.stack_address(reg, size);
    }

    /// Reserves, writes, submits or discards.
    pub(super) fn ring(&mut self, depth: u32) {
        if depth > 2 || self.now.open.len() > 1 {
            return;
        }
        let size = self.random.pick([8, 16, 24, 64]);
        self.code.wide(1, 1, map::RING as i32, 0);
        self.code.mov(2, size);
        self.code.mov(3, 0);
        self.code.call(131);
        let id = self.id();
        let of = Region::Ring(id);
        self.now.after_call(Kind::Null { of, room: size, id });
        let keep = self.lasting();
        self.code.mov_reg(keep, 0);
        self.set(keep, self.kind(0));
        let none = self.code.label();
        self.code.jump(code::JMP | code::op::JEQ, self.random.pick([0, keep]), 0, 0, none);
        let before = self.now.clone();
        self.now.not_null(id);
        self.now.open.push(id);
        for _ in 0..self.random.below(3) {
            self.access(keep);
        }
        let n = self.random.below(3);
        self.block(n, depth + 1);
        if !self.random.one_in(40) {
            self.close_ring(id);
        }
        self.code.put(none);
        self.now.open.retain(|o| *o != id);
        self.now.merge(&before);
        for r in &mut self.now.regs {
            if matches!(r, Kind::Mem { of: o, .. } | Kind::Null { of: o, .. } if *o == of) {
                *r = Kind::Unset;
            }
        }
    }

    /// Submits or discards a reservation, wherever it is kept.
    pub(super) fn close_ring(&mut self, id: u16) {
        let ours = |k: Kind| matches!(k, Kind::Mem { of: Region::Ring(r), .. } if r == id);
        let reg = (0..10).find(|r| ours(self.kind(*r)));
        match reg {
            Some(1) => {}
            Some(r) => self.code.mov_reg(1, r),
            None => {
                let slot = (0..super::shadow::SLOTS).find(|s| self.now.slots[*s].spill.is_some_and(ours));
                let Some(slot) = slot else { return };
                self.code.load(8, 1, 10, -8 * (slot as i32 + 1));
            }
        }
        self.code.mov(2, 0);
        self.code.call(self.random.pick([132, 133]));
        self.now.after_call(Kind::Unset);
        self.now.close(id);
    }
}
