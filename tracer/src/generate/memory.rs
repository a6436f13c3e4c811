//! Stack, map values and what else is reached by an address.

use super::Writer;
use super::code::{JMP, op, size_bits};
use super::shadow::{ANY_NUM, Kind, Region};
use super::world::map;

/// Maps whose values programs read and write.
const VALUES: [usize; 7] =
    [map::ARRAY, map::HASH, map::PERCPU, map::READ_ONLY, map::WRITE_ONLY, map::LRU, map::ONE];

impl Writer<'_> {
    pub(super) fn size(&mut self) -> i32 {
        self.random.pick([1, 2, 4, 8, 8, 4])
    }

    /// An offset for an access of `size` bytes to memory with this much room: inside, at its very end, or just
    /// beyond.
    pub(super) fn offset(&mut self, back: i32, room: i32, size: i32) -> i32 {
        if self.slip() {
            return self.edge();
        }
        let last = room - size;
        let off = match self.random.below(12) {
            0 => last,
            1 => -back,
            2 if self.random.one_in(8) => last + 1,
            3 if self.random.one_in(8) => -back - 1,
            _ => self.random.between(-back, last.max(-back)),
        };
        if self.random.percent(85) { off.div_euclid(size) * size } else { off }
    }

    /// Reads from where `base` points into `dst`.
    pub(super) fn load_from(&mut self, base: u8, dst: u8) -> u8 {
        let size = self.size();
        let Kind::Mem { back, room, .. } = self.kind(base) else {
            let off = self.small();
            self.code.load(size, dst, base, off);
            self.set(dst, ANY_NUM);
            return dst;
        };
        let off = self.offset(back.min(0), room, size);
        if self.style.v4 && size < 8 && self.random.one_in(3) {
            self.code.raw(0x81 | size_bits(size), dst, base, off as i16, 0);
            self.set(dst, ANY_NUM);
        } else {
            self.code.load(size, dst, base, off);
            self.set(dst, Kind::Num { max: if size == 8 { u64::MAX } else { (1 << (size * 8)) - 1 } });
        }
        dst
    }

    pub(super) fn access_some(&mut self) {
        match self.find(|k| matches!(k, Kind::Mem { room: 1.., .. })) {
            Some(base) => self.access(base),
            None => self.direct(),
        }
    }

    /// Reads or writes through a register.
    pub(super) fn access(&mut self, base: u8) {
        if self.random.percent(50) {
            let dst = self.target();
            if dst != base || self.random.one_in(8) {
                self.load_from(base, dst);
            }
            return;
        }
        let size = self.size();
        let (back, room) = match self.kind(base) {
            Kind::Mem { of: Region::Stack, back, room } => (back.min(0), room),
            Kind::Mem { back, room, .. } => (back, room),
            _ => (0, 8),
        };
        let off = self.offset(back, room, size);
        match self.find(Kind::is_num) {
            Some(src) if self.random.percent(60) => self.code.store(size, base, off, src),
            _ => {
                let imm = self.edge();
                self.code.store_imm(size, base, off, imm);
            }
        }
    }

    /// A place in the frame for `size` bytes.
    pub(super) fn place(&mut self, size: i32) -> i32 {
        let deepest = if self.random.one_in(12) { 512 } else { 64 };
        let slots = deepest / 8;
        let off = -8 * self.random.between(1, slots);
        let off = off - (size - 1) / 8 * 8;
        match self.random.below(10) {
            0 if size < 8 => off + self.random.between(0, 8 - size) / size * size,
            1 if size < 8 => off + 8 - size,
            _ if self.slip() => off + self.random.between(-3, 9),
            _ => off.max(-512),
        }
    }

    pub(super) fn stack_write(&mut self) {
        let size = if self.random.percent(60) { 8 } else { self.size() };
        let off = self.place(size);
        let source = match self.random.below(4) {
            0 => None,
            1 => self.find(|k| matches!(k, Kind::Mem { .. } | Kind::Null { .. } | Kind::Ctx)),
            _ => self.find(Kind::is_num),
        };
        match source {
            Some(r) if size == 8 || self.kind(r).is_num() || self.slip() => {
                self.code.store(size, 10, off, r);
                let kind = self.kind(r);
                self.now.write_stack(off, size, Some(kind));
            }
            _ => {
                let imm = if self.random.one_in(2) { 0 } else { self.edge() };
                self.code.store_imm(size, 10, off, imm);
                self.now.write_stack(off, size, Some(Kind::Num { max: imm as i64 as u64 }));
            }
        }
    }

    pub(super) fn stack_read(&mut self) {
        let written: Vec<usize> =
            (0..super::shadow::SLOTS).filter(|s| self.now.slots[*s].written != 0).collect();
        let Some(slot) = self.random.pick_of(&written) else { return self.stack_write() };
        let s = self.now.slots[slot];
        let base = -8 * (slot as i32 + 1);
        let dst = self.target();
        if s.written == 0xff && self.random.percent(65) {
            self.code.load(8, dst, 10, base);
            return self.set(dst, s.spill.unwrap_or(ANY_NUM));
        }
        let size = self.random.pick([1, 2, 4, 4]);
        let off = base + self.random.between(0, 8 - size) / size * size;
        if !self.now.stack_written(off, size) && !self.random.one_in(12) {
            return;
        }
        if matches!(s.spill, Some(k) if !k.is_num()) && !self.slip() {
            return;
        }
        self.code.load(size, dst, 10, off);
        self.set(dst, Kind::Num { max: (1 << (size * 8)) - 1 });
    }

    /// Makes sure that these bytes of the frame are written.
    pub(super) fn fill(&mut self, off: i32, size: i32) {
        if self.now.stack_written(off, size) || self.slip() {
            return;
        }
        let mut at = off;
        while at < off + size {
            let step = [8, 4, 2, 1].into_iter().find(|s| at % s == 0 && at + s <= off + size).unwrap_or(1);
            let imm = if self.random.one_in(3) { self.small() } else { 0 };
            self.code.store_imm(step, 10, at, imm);
            self.now.write_stack(at, step, None);
            at += step;
        }
    }

    /// Puts the address of written stack into a register.
    pub(super) fn stack_address(&mut self, reg: u8, size: i32) {
        let off = self.place(size.max(1));
        self.fill(off, size);
        self.code.mov_reg(reg, 10);
        self.code.add(reg, off);
        self.set(reg, Kind::Mem { of: Region::Stack, back: 512 + off, room: size });
    }

    /// Looks a value up, and mostly checks that it is there.
    pub(super) fn lookup(&mut self) {
        let m = self.random.pick(VALUES);
        let (key, value) = {
            let m = &self.world.maps[m];
            (m.key_size as i32, m.value_size as i32)
        };
        let off = self.place(key);
        self.fill(off, key);
        if self.random.one_in(6) && key == 4 {
            // A key that is known, or known to be small.
            let k = self.random.between(0, 5);
            self.code.store_imm(4, 10, off, k);
        }
        self.code.mov_reg(2, 10);
        self.code.add(2, off);
        self.code.wide(1, 1, m as i32, 0);
        self.code.call(1);
        let id = self.id();
        self.now.after_call(Kind::Null { of: Region::Value, room: value, id });
        self.settle(0, id);
    }

    /// Moves a pointer that may be null to where it lasts, and checks it.
    pub(super) fn settle(&mut self, reg: u8, id: u16) {
        let mut at = reg;
        if self.random.percent(60) {
            at = self.lasting();
            self.code.mov_reg(at, reg);
            self.set(at, self.kind(reg));
        }
        if self.random.one_in(30) {
            return;
        }
        let Some(out) = self.way_out_or_none() else {
            let (good, r) = (self.code.label(), at);
            // Reservations are open: leave by way of closing them all.
            self.code.jump(JMP | op::JNE, r, 0, 0, good);
            let before = self.now.clone();
            self.set(r, Kind::Unset);
            for open in self.now.open.clone() {
                self.close_ring(open);
            }
            self.code.mov(0, 0);
            self.code.exit();
            self.now = before;
            self.code.put(good);
            return self.now.not_null(id);
        };
        let tested = if self.random.one_in(5) { reg } else { at };
        match self.random.below(4) {
            0 => {
                let good = self.code.label();
                self.code.jump(JMP | op::JNE, tested, 0, 0, good);
                self.code.goto(out);
                self.code.put(good);
            }
            _ => self.code.jump(JMP | op::JEQ, tested, 0, 0, out),
        }
        self.now.not_null(id);
    }

    fn way_out_or_none(&mut self) -> Option<super::code::Label> {
        if self.now.open.is_empty() { Some(self.exit) } else { None }
    }

    /// The address of a value of an array, without lookup.
    pub(super) fn direct(&mut self) {
        let m = self.random.pick([map::ARRAY, map::ONE, map::ONE, map::CONST, map::WRITE_ONLY]);
        let size = (self.world.maps[m].value_size * self.world.maps[m].max_entries) as i32;
        let off = if self.random.percent(60) { 0 } else { self.random.between(0, size - 1) };
        let off = if self.random.percent(80) { off & !7 } else { off };
        // Arrays of more than one element have no direct values.
        if self.world.maps[m].max_entries > 1 && !self.slip() {
            return self.lookup();
        }
        let dst = self.lasting();
        self.code.wide(dst, 2, m as i32, off);
        self.set(dst, Kind::Mem { of: Region::Value, back: off, room: size - off });
        self.access(dst);
    }

    /// Memory indexed by a number that was bounded.
    pub(super) fn var_access(&mut self) {
        let idx = if self.random.percent(60) {
            let dst = self.target();
            self.random_number(dst)
        } else {
            self.some_number()
        };
        if self.random.percent(25) {
            self.arith_on(idx);
        }
        if self.random.percent(92) {
            self.bound(idx);
        }
        for _ in 0..self.random.pick([0, 0, 0, 1, 1, 2]) {
            self.arith_on(idx);
        }
        self.use_index(idx);
    }

    /// Adds a number to a pointer and goes there.
    pub(super) fn use_index(&mut self, idx: u8) {
        let wanted = |k: Kind| matches!(k, Kind::Mem { room: 9.., .. } | Kind::Mem { of: Region::Stack, .. });
        let Some(base) = self.find(wanted) else {
            return;
        };
        let Kind::Mem { of, back, room } = self.kind(base) else { return };
        let ptr = if self.random.percent(70) { self.target() } else { base };
        if ptr == idx || ptr == 10 {
            return;
        }
        if ptr != base {
            self.code.mov_reg(ptr, base);
        }
        let max = match self.kind(idx) {
            Kind::Num { max } => max.min(1 << 20) as i32,
            _ => 64,
        };
        let minus = self.random.one_in(8);
        match (self.random.below(10), minus) {
            (_, true) => self.code.raw(0x1f, ptr, idx, 0, 0),
            (0, _) => {
                // The other way round: the number becomes the pointer.
                self.code.add_reg(idx, ptr);
                let kind = Kind::Mem { of, back, room: room.saturating_sub(max) };
                self.set(idx, kind);
                return self.access(idx);
            }
            _ => self.code.add_reg(ptr, idx),
        }
        let kind = if minus {
            Kind::Mem { of, back: back.saturating_sub(max), room }
        } else {
            Kind::Mem { of, back, room: room.saturating_sub(max) }
        };
        self.set(ptr, kind);
        match kind {
            Kind::Mem { room: ..1, back: ..1, .. } if !self.random.one_in(6) => {}
            Kind::Mem { of: Region::Stack, back, .. } if ptr != 10 && !self.random.one_in(5) => {
                // Down into the written part.
                let by = self.random.between(1, 8) * 8;
                self.code.add(ptr, -by.min(back));
                let size = self.random.pick([1, 2, 4, 8]);
                if self.random.one_in(2) {
                    self.code.store_imm(size, ptr, -size * self.random.between(0, 2), 1);
                } else {
                    let dst = self.target();
                    self.code.load(size, dst, ptr, -size * self.random.between(0, 2));
                    self.set(dst, ANY_NUM);
                }
                self.set(ptr, Kind::Opaque);
            }
            _ => self.access(ptr),
        }
    }

    pub(super) fn atomic(&mut self) {
        let size = self.random.pick([4, 8]);
        let wanted = |k: Kind| matches!(k, Kind::Mem { room: 4.., of, .. } if of != Region::Packet);
        let (base, off) = match self.find(wanted) {
            Some(b) if !self.random.one_in(4) => {
                let room = match self.kind(b) {
                    Kind::Mem { room, .. } => room,
                    _ => 16,
                };
                (b, self.offset(0, room, size))
            }
            _ => {
                let off = self.place(size);
                self.fill(off, size);
                (10, off)
            }
        };
        let src = self.some_number();
        let fetch = self.world.release >= crate::verifier::Release::new(5, 12) || self.random.one_in(30);
        let newest = self.world.release >= crate::verifier::Release::new(6, 15) || self.random.one_in(50);
        let what = match self.random.below(8) {
            0 if newest => self.random.pick([0x100, 0x110]),
            1..=3 if fetch => self.random.pick([0x01, 0x41, 0x51, 0xa1, 0xe1, 0xf1]),
            4 if fetch => self.random.pick([0x40, 0x50, 0xa0]),
            _ => 0,
        };
        let (mut dst, mut source) = (base, src);
        if what == 0x100 {
            (dst, source) = (src, base);
        }
        self.code.raw(0xc3 | size_bits(size), dst, source, off as i16, what);
        match what {
            0xf1 => self.set(0, ANY_NUM),
            0x100 => self.set(src, ANY_NUM),
            w if w & 1 != 0 => self.set(src, ANY_NUM),
            _ => {}
        }
    }

    /// Pointers copied, moved, compared, subtracted.
    pub(super) fn pointer_play(&mut self) {
        let Some(p) = self.find(|k| matches!(k, Kind::Mem { .. } | Kind::Null { .. } | Kind::Ctx)) else {
            return;
        };
        let dst = self.target();
        if dst >= 10 {
            return;
        }
        let kind = self.kind(p);
        match self.random.below(8) {
            0..=2 => {
                self.code.mov_reg(dst, p);
                self.set(dst, kind);
                if let Kind::Mem { of, back, room } = kind {
                    let by = self.random.between(-8.max(-back), 16.min(room.max(0)));
                    self.code.add(dst, by);
                    self.set(dst, Kind::Mem { of, back: back + by, room: room - by });
                }
            }
            3 => {
                self.code.mov_reg(dst, p);
                self.set(dst, kind);
                if let Kind::Mem { of, back, room } = kind {
                    let by = self.random.between(0, 8);
                    self.code.raw(0x17, dst, 0, 0, by);
                    self.set(dst, Kind::Mem { of, back: back - by, room: room + by });
                }
            }
            4 => {
                if let Some(q) = self.find(|k| matches!(k, Kind::Mem { .. })) {
                    self.code.mov_reg(dst, p);
                    self.code.raw(0x1f, dst, q, 0, 0);
                    self.set(dst, ANY_NUM);
                }
            }
            5 => {
                if let (Some(q), Some(out)) =
                    (self.find(|k| matches!(k, Kind::Mem { .. })), self.way_out_or_none())
                {
                    let code = self.random.pick([op::JEQ, op::JNE, op::JGT]);
                    self.code.jump(JMP | 8 | code, p, q, 0, out);
                }
            }
            6 => {
                if let Some(out) = self.way_out_or_none() {
                    let code = self.random.pick([op::JEQ, op::JNE]);
                    let good = self.code.label();
                    self.code.jump(JMP | code, p, 0, 0, if code == op::JEQ { out } else { good });
                    self.code.put(good);
                }
            }
            _ => {
                // A pointer as a number.
                let class = self.class();
                self.code.mov_reg(dst, p);
                let imm = self.small();
                let what = self.random.pick([op::ADD, op::AND, op::OR, op::MUL]);
                self.code.raw(class | what, dst, 0, 0, imm);
                self.set(dst, Kind::Opaque);
            }
        }
    }
}
