//! The context, and packets behind it.

use super::Writer;
use super::code::{JMP, op};
use super::shadow::{ANY_NUM, Kind, Region};
use crate::verifier::ProgType;

impl Writer<'_> {
    /// Offsets in the context that are numbers, and their sizes.
    fn context_field(&mut self) -> (i32, i32) {
        match self.style.kind {
            ProgType::SOCKET_FILTER | ProgType::SCHED_CLS | ProgType::CGROUP_SKB => {
                (4 * self.random.between(0, 48), self.random.pick([4, 4, 4, 4, 2, 1, 8]))
            }
            ProgType::XDP => (4 * self.random.between(2, 5), self.random.pick([4, 4, 4, 8])),
            ProgType::KPROBE | ProgType::RAW_TRACEPOINT => {
                (8 * self.random.between(0, 21), self.random.pick([8, 8, 8, 4]))
            }
            ProgType::TRACEPOINT => (8 * self.random.between(0, 30), self.random.pick([8, 4, 2, 1])),
            ProgType::PERF_EVENT => (8 * self.random.between(0, 23), self.random.pick([8, 8, 4])),
            _ => (4 * self.random.between(0, 3), self.random.pick([4, 4, 2, 1])),
        }
    }

    /// A number out of the context into a register; false if there is no context.
    pub(super) fn context_number(&mut self, dst: u8) -> bool {
        let Some(ctx) = self.find(|k| k == Kind::Ctx) else { return false };
        if self.inside != super::Inside::Main && !self.random.one_in(4) {
            return false;
        }
        let (off, size) = self.context_field();
        self.code.load(size, dst, ctx, off);
        self.set(dst, Kind::Num { max: if size == 8 { u64::MAX } else { (1 << (size * 8)) - 1 } });
        true
    }

    pub(super) fn context(&mut self) {
        let Some(ctx) = self.find(|k| k == Kind::Ctx) else { return };
        let (off, size) = self.context_field();
        match self.random.below(6) {
            0 => {
                let value = self.some_number();
                self.code.store(size, ctx, off, value);
            }
            1 => self.code.store_imm(size, ctx, 48 + 4 * self.random.between(0, 4), 1),
            2 => {
                let dst = self.target();
                self.code.mov_reg(dst, ctx);
                self.code.add(dst, off);
                self.code.load(size, dst, dst, 0);
                self.set(dst, ANY_NUM);
            }
            3 if matches!(self.style.kind, ProgType::SOCKET_FILTER | ProgType::SCHED_CLS) => {
                // The old packet loads: the context in R6.
                if self.kind(6) == Kind::Ctx && (self.now.open.is_empty() || self.slip()) {
                    let mode = self.random.pick([0x20, 0x40]);
                    let size = self.random.pick([0x00, 0x08, 0x10]);
                    let src = if mode == 0x40 { self.some_number() } else { 0 };
                    let imm = self.small();
                    self.code.raw(mode | size, 0, src, 0, imm);
                    self.now.after_call(ANY_NUM);
                }
            }
            _ => {
                let dst = self.target();
                self.context_number(dst);
            }
        }
    }

    /// Packet bytes, behind a check.
    pub(super) fn packet(&mut self) {
        let (data, end) = match self.style.kind {
            ProgType::XDP => (0, 4),
            ProgType::SCHED_CLS | ProgType::CGROUP_SKB => (76, 80),
            _ => return,
        };
        let Some(ctx) = self.find(|k| k == Kind::Ctx) else { return };
        let Some(out) = self.way_out() else { return };
        let (start, limit, probe) = (self.lasting(), self.random.below(6) as u8, self.random.below(6) as u8);
        if start == ctx || limit == probe || limit == ctx || probe == ctx {
            return;
        }
        let data = if self.random.one_in(30) { if data == 76 { 140 } else { 8 } } else { data };
        self.code.load(4, start, ctx, data);
        self.set(start, Kind::Opaque);
        self.code.load(4, limit, ctx, end);
        self.set(limit, Kind::PacketEnd);
        let mut var = 0;
        if self.random.one_in(3)
            && let Some(n) = self.find(Kind::is_num)
            && n != start
            && n != limit
        {
            self.bound(n);
            for _ in 0..self.random.pick([0, 0, 1]) {
                self.arith_on(n);
            }
            self.code.add_reg(start, n);
            var = 1;
        }
        let room = self.random.pick([1, 2, 8, 14, 20, 34, 64, 1500]);
        self.code.mov_reg(probe, start);
        self.code.add(probe, room);
        let room = self.check_packet(probe, limit, room, out);
        self.set(probe, Kind::Opaque);
        self.set(start, Kind::Mem { of: Region::Packet, back: 0, room });
        for _ in 0..1 + self.random.below(2) {
            self.access(start);
        }
        if var == 0 && self.random.one_in(3) {
            let n = self.some_number();
            if n != start && n != limit {
                self.bound(n);
                self.code.mov_reg(probe, start);
                self.code.add_reg(probe, n);
                self.set(probe, Kind::Opaque);
                let base = self.lasting();
                if base != start && base != n && base != limit {
                    self.code.mov_reg(base, probe);
                    let more = self.random.pick([1, 4, 8, 20]);
                    self.code.add(probe, more);
                    let room = self.check_packet(probe, limit, more, out);
                    self.set(base, Kind::Mem { of: Region::Packet, back: 0, room });
                    self.access(base);
                }
            }
        }
    }

    /// Compares with the packet's end; how many bytes are known to be there on the way on.
    fn check_packet(&mut self, probe: u8, limit: u8, room: i32, out: super::code::Label) -> i32 {
        let good = self.code.label();
        match self.random.below(8) {
            0 => {
                self.code.jump(JMP | 8 | op::JGE, probe, limit, 0, out);
                return room + 1;
            }
            1 => self.code.jump(JMP | 8 | op::JLT, limit, probe, 0, out),
            2 => {
                self.code.jump(JMP | 8 | op::JLE, probe, limit, 0, good);
                self.code.goto(out);
            }
            3 => {
                self.code.jump(JMP | 8 | op::JGE, limit, probe, 0, good);
                self.code.goto(out);
            }
            4 => {
                self.code.jump(JMP | 8 | op::JLE, limit, probe, 0, out);
                return room + 1;
            }
            5 => {
                self.code.jump(JMP | 8 | op::JLT, probe, limit, 0, good);
                self.code.goto(out);
                self.code.put(good);
                return room + 1;
            }
            _ => self.code.jump(JMP | 8 | op::JGT, probe, limit, 0, out),
        }
        self.code.put(good);
        room
    }
}
