//! Dynptrs: handles on the stack to memory whose size is known only at run time.
//!
//! `process_dynptr_func()`, `mark_stack_slots_dynptr()` and around (kernel/bpf/verifier.c). A dynptr takes two stack
//! slots; writing over either destroys it, which is refused if it holds a reference.

use super::args::Call;
use super::env::Env;
use super::feature::Feature;
use super::helper::{Arg, flag};
use super::profile::Release;
use super::reg::{Base, Data, DynptrKind, Live, Reg, Type};
use super::report::{Checked, reject, unmodelled};
use super::state::{Byte, Slot};

impl Env<'_> {
    /// The frame and first slot (the higher one) of a dynptr that a stack pointer points to.
    pub(super) fn dynptr_slot(&self, reg: &Reg) -> Option<(usize, usize)> {
        if !reg.v.t.is_const() {
            return None;
        }
        let off = reg.off as i64 + reg.v.t.value as i64;
        if off % 8 != 0 || off >= 0 {
            return None;
        }
        let slot = Slot::of(off).0;
        let frame = reg.frame as usize;
        let stack = &self.cur.frames.get(frame)?.stack;
        let hi = slot.checked_sub(1)?;
        let ok = |i: usize| stack.get(i).is_some_and(|s| s.bytes.iter().all(|b| *b == Byte::Dynptr));
        let first = matches!(stack.get(slot)?.reg.data, Data::Dynptr { first: true, .. });
        (ok(slot) && ok(hi) && first).then_some((frame, slot))
    }

    fn dynptr_reg(&self, reg: &Reg) -> Option<Reg> {
        if reg.ty.is(Base::Dynptr) {
            return Some(*reg);
        }
        let (f, s) = self.dynptr_slot(reg)?;
        Some(self.cur.frames[f].stack[s].reg)
    }

    /// The reference that the dynptr holds; 0 for none.
    pub(super) fn dynptr_ref(&self, reg: &Reg) -> u32 {
        self.dynptr_reg(reg).map_or(0, |r| r.ref_id)
    }

    /// True for dynptrs into packets.
    pub(super) fn dynptr_is_packet(&self, reg: &Reg) -> bool {
        matches!(self.dynptr_reg(reg).map(|r| r.data), Some(Data::Dynptr { kind: DynptrKind::Skb, .. }))
    }

    /// A write over a slot of a dynptr destroys it (`destroy_if_dynptr_stack_slot()`).
    pub(super) fn destroy_dynptr(&mut self, frame: usize, slot: Slot) -> Checked {
        let Some(s) = self.cur.frames[frame].stack.get(slot.0) else { return Ok(()) };
        if s.bytes[0] != Byte::Dynptr {
            return Ok(());
        }
        if !self.has(Feature::DynptrOverwrites) {
            unmodelled!("overwritten dynptrs before 6.3");
        }
        let first = matches!(s.reg.data, Data::Dynptr { first: true, .. });
        let lo = if first { slot.0 } else { slot.0 + 1 };
        let Some(hi) = lo.checked_sub(1) else { return Ok(()) };
        let dynptr = self.cur.frames[frame].stack[lo].reg;
        if dynptr.ref_id != 0 {
            let others = self.profile.release >= Release::new(6, 17)
                && self
                    .cur
                    .frames
                    .iter()
                    .flat_map(|f| f.stack.iter())
                    .filter(|s| s.bytes[0] == Byte::Dynptr && s.reg.ref_id == dynptr.ref_id)
                    .count()
                    > 2;
            if !others {
                reject!(Dynptr, "cannot overwrite referenced dynptr");
            }
        }
        let id = dynptr.id;
        for i in [lo, hi] {
            let s = &mut self.cur.frames[frame].stack[i];
            s.bytes = [Byte::Invalid; 8];
            let link = s.reg.link;
            s.reg = Reg { link, live: Live::WRITTEN, ..Reg::NOT_INIT };
        }
        // Slices of it are no longer good.
        self.invalidate(|r| matches!(r.data, Data::Slice { dynptr, .. } if dynptr == id));
        Ok(())
    }

    /// A dynptr argument: a fresh one to fill, or an initialised one.
    pub(super) fn dynptr_arg(&mut self, r: u8, reg: &Reg, arg: Arg) -> Checked {
        let kind = match arg.flags {
            f if f & flag::DYN_RINGBUF != 0 => Some(DynptrKind::Ringbuf),
            f if f & flag::DYN_LOCAL != 0 => Some(DynptrKind::Local),
            _ => None,
        };
        let uninit = arg.flags & flag::UNINIT != 0;
        let late = self.profile.release >= Release::new(7, 0);
        if !reg.ty.is(Base::Stack) && !reg.ty.is(Base::Dynptr) {
            reject!(Dynptr, "arg#{} expected pointer to stack or const struct bpf_dynptr", r - 1);
        }
        if uninit {
            let Some(kind) = kind else { unmodelled!("dynptr") };
            return self.make_dynptr(r, reg, kind, None);
        }
        let mutates = if late { arg.flags & flag::RELEASE != 0 } else { arg.flags & flag::RDONLY == 0 };
        if reg.ty.is(Base::Dynptr) && mutates {
            reject!(Dynptr, "cannot pass pointer to const bpf_dynptr, the helper mutates it");
        }
        let Some(have) = self.dynptr_reg(reg) else {
            reject!(Dynptr, "Expected an initialized dynptr as arg #{}", r - u8::from(late));
        };
        if let (Some(want), Data::Dynptr { kind: k, .. }) = (kind, have.data)
            && want != k
        {
            reject!(
                Dynptr,
                "Expected a dynptr of type {} as arg #{r}",
                if want == DynptrKind::Ringbuf { "ringbuf" } else { "local" }
            );
        }
        if let Some((f, s)) = self.dynptr_slot(reg) {
            for i in [s, s - 1] {
                let x = &self.cur.frames[f].stack[i].reg;
                self.arena.mark_read(Some(x.live), x.link, Live::READ64);
            }
        }
        Ok(())
    }

    /// A fresh dynptr on the stack (`mark_stack_slots_dynptr()`).
    /// `from` is the reference that a clone shares with its original.
    pub(super) fn make_dynptr(&mut self, r: u8, reg: &Reg, kind: DynptrKind, from: Option<u32>) -> Checked {
        if (!reg.v.t.is_const() || reg.ty.is(Base::Dynptr)) && !self.has(Feature::DynptrOverwrites) {
            unmodelled!("overwritten dynptrs before 6.3");
        }
        if !reg.v.t.is_const() {
            reject!(Dynptr, "dynptr has to be at a constant offset");
        }
        let off = reg.off as i64 + reg.v.t.value as i64;
        if off % 8 != 0 {
            reject!(Dynptr, "cannot pass in dynptr at an offset={off}");
        }
        let frame = reg.frame as usize;
        if !(-512..-8).contains(&off) {
            reject!(Dynptr, "Dynptr has to be an uninitialized dynptr");
        }
        // Both slots are written byte by byte, which the bounds and the state of other dynptrs must allow.
        self.stack_bounds(r, reg, reg.off as i64, 16, super::memory::Purpose::HelperWrite)?;
        // Its writes made the stack reach this far.
        self.cur.frames[frame].grow(-off);
        let lo = Slot::of(off).0;
        for i in [lo, lo - 1] {
            self.destroy_dynptr(frame, Slot(i))?;
        }
        let id = self.next_id();
        let ref_id = match (kind, from) {
            (DynptrKind::Ringbuf, Some(shared)) => shared,
            (DynptrKind::Ringbuf, None) => self.acquire_reference(),
            _ => 0,
        };
        for (i, first) in [(lo, true), (lo - 1, false)] {
            let s = &mut self.cur.frames[frame].stack[i];
            s.bytes = [Byte::Dynptr; 8];
            let link = s.reg.link;
            s.reg = Reg {
                link,
                live: Live::WRITTEN,
                id,
                ref_id,
                ..Reg::pointer(Type::plain(Base::Dynptr), Data::Dynptr { kind, first })
            };
        }
        Ok(())
    }

    /// The dynptr's number, kind and reference.
    pub(super) fn dynptr_identity(&self, reg: &Reg) -> Option<(u32, DynptrKind, u32)> {
        let r = self.dynptr_reg(reg)?;
        match r.data {
            Data::Dynptr { kind, .. } => Some((r.id, kind, r.ref_id)),
            _ => None,
        }
    }

    /// Submit or discard: the dynptr and all made from its reference are gone.
    pub(super) fn release_dynptr(&mut self, reg: &Reg) -> Checked {
        let Some((f, s)) = self.dynptr_slot(reg) else {
            reject!(Reference, "reference has not been acquired before")
        };
        let ref_id = self.cur.frames[f].stack[s].reg.ref_id;
        if !self.release_reference(ref_id)? {
            reject!(Reference, "reference has not been acquired before");
        }
        for frame in &mut self.cur.frames {
            for slot in &mut frame.stack {
                if slot.bytes[0] == Byte::Dynptr && slot.reg.ref_id == ref_id {
                    slot.bytes = [Byte::Invalid; 8];
                    let link = slot.reg.link;
                    slot.reg = Reg { link, live: Live::WRITTEN, ..Reg::NOT_INIT };
                }
            }
        }
        Ok(())
    }

    /// What bpf_dynptr_data gives belongs to the dynptr.
    pub(super) fn dynptr_data_ids(&mut self, call: &mut Call) -> Checked {
        let reg = *self.cur.reg(1);
        let Some(have) = self.dynptr_reg(&reg) else { unmodelled!("dynptr") };
        call.dynptr_id = have.id;
        call.ref_id = have.ref_id;
        Ok(())
    }
}
