//! The stack: writes, spills, reads and fills, at known and at unknown offsets.
//!
//! `check_stack_write_fixed_off()`, `check_stack_read_fixed_off()`, their `_var_off` twins and
//! `check_stack_range_initialized()` (kernel/bpf/verifier.c). All for a privileged program: it may read what it never
//! wrote, and overwrite parts of spilled pointers.

use super::env::{Env, MAX_OFF, MAX_STACK};
use super::feature::Feature;
use super::memory::Purpose;
use super::reg::{Base, Live, Reg};
use super::report::{Checked, reject};
use super::state::{Byte, Slot, StackSlot, byte_in_slot};
use super::value::Value;

/// A range of the stack: offsets from the frame pointer of the first byte, lowest and highest.
#[derive(Clone, Copy)]
pub(super) struct StackRange {
    pub min: i64,
    pub max: i64,
}

impl Env<'_> {
    /// Is the access within the stack? Grows it (`check_stack_access_within_bounds()`).
    pub(super) fn stack_bounds(
        &mut self,
        r: u8,
        reg: &Reg,
        off: i64,
        size: i64,
        purpose: Purpose,
    ) -> Checked<StackRange> {
        let what = match purpose {
            Purpose::Helper if self.profile.release < super::profile::Release::new(6, 13) => {
                " indirect access to"
            }
            Purpose::Helper | Purpose::Read => " read from",
            Purpose::Write | Purpose::HelperWrite => " write to",
        };
        let what = if purpose == Purpose::HelperWrite
            && self.profile.release < super::profile::Release::new(6, 13)
        {
            " indirect access to"
        } else {
            what
        };
        let constant = reg.v.t.is_const();
        let (min, max_end) = if constant {
            let min = (reg.v.t.value as i64).wrapping_add(off);
            (min, min.wrapping_add(size))
        } else {
            if reg.v.smax >= MAX_OFF || reg.v.smin <= -MAX_OFF {
                reject!(StackOutOfBounds, "invalid unbounded variable-offset{what} stack R{r}");
            }
            (reg.v.smin + off, reg.v.smax + off + size)
        };
        let lowest = if purpose == Purpose::Read && !self.has(Feature::ReadsGrowStack) {
            -self.cur.frames[reg.frame as usize].depth()
        } else {
            -MAX_STACK
        };
        if !(lowest..=-1).contains(&min) || max_end > 0 || size < 0 {
            if constant {
                reject!(StackOutOfBounds, "invalid{what} stack R{r} off={min} size={size}");
            }
            reject!(
                StackOutOfBounds,
                "invalid variable-offset{what} stack R{r} var_off={} off={off} size={size}",
                super::memory::tnum_text(reg.v.t)
            );
        }
        if self.has(Feature::ReadsGrowStack) || purpose == Purpose::Write {
            self.cur.frames[reg.frame as usize].grow(-min);
        }
        let depth = -min;
        self.note_stack_depth(reg.frame as usize, depth);
        Ok(StackRange { min, max: max_end - size })
    }

    /// Which subprogram's stack this is, for the sum over call chains.
    fn note_stack_depth(&mut self, frame: usize, depth: i64) {
        let sub = self.cur.frames[frame].subprog as usize;
        let s = &mut self.subprogs[sub];
        s.stack_depth = s.stack_depth.max(depth as u32);
    }

    /// Store `size` bytes: a register, or a constant.
    pub(super) fn stack_write(&mut self, base: &Reg, size: u32, from: Option<u8>, at: StackRange) -> Checked {
        if base.v.t.is_const() {
            self.stack_write_fixed(base.frame as usize, at.min, size, from)
        } else {
            self.stack_write_variable(base, size, from, at)
        }
    }

    fn stack_write_fixed(&mut self, frame: usize, off: i64, size: u32, from: Option<u8>) -> Checked {
        let slot = Slot::of(off);
        let insn = self.insn();
        let value = from.map(|r| *self.cur.reg(r));
        let constant = from.is_none() && self.stores_constant();
        self.destroy_dynptr(frame, slot)?;
        self.note_stack_touch(frame, off);
        let aligned = off % 8 == 0;
        let spill = match &value {
            Some(v) if v.is_scalar() && aligned => {
                self.has(Feature::SpillAnyScalar) || (is_bounded(v) && !v.is_null())
            }
            None => constant && aligned && (self.has(Feature::SpillAnyScalar) || insn.imm != 0),
            _ => false,
        };
        let mut recorded = false;
        if spill {
            let mut v = match (value, from) {
                (Some(v), Some(r)) => {
                    if self.has(Feature::SpillAnyScalar) {
                        if v.v.width() <= 8 * size {
                            self.give_scalar_id(r);
                        }
                    } else if !self.has(Feature::PreciseSpills) && insn.dst != 10 {
                        self.mark_precise(r)?;
                    }
                    let fits = v.v.width() <= 8 * size;
                    let mut v = *self.cur.reg(r);
                    if !fits {
                        v.id = 0;
                    }
                    v
                }
                _ => Reg::known(insn.imm as i64 as u64),
            };
            v.live = Live::NONE;
            self.save(frame, slot, &v, size);
            recorded = true;
        } else if let Some(v) = value
            && v.ty.is_spillable()
        {
            if size != 8 {
                reject!(StackSpill, "invalid size of register spill");
            }
            if frame != self.cur.current() && v.ty.is(Base::Stack) {
                reject!(StackSpill, "cannot spill pointers to stack into stack frame of the caller");
            }
            self.save(frame, slot, &v, 8);
            recorded = true;
        } else {
            let zero = value.is_some_and(|v| v.is_null()) || (constant && insn.imm == 0);
            self.scrub(frame, slot);
            if size == 8 {
                self.cur.frames[frame].stack[slot.0].reg.live.set(Live::WRITTEN);
            }
            let mut kind = Byte::Misc;
            if zero {
                if let Some(r) = from {
                    self.mark_precise(r)?;
                }
                kind = Byte::Zero;
            }
            let s = &mut self.cur.frames[frame].stack[slot.0];
            for i in 0..size as usize {
                // Byte `i` of the value lies `i` bytes above `off`; slots count down.
                let at = (byte_in_slot(off) + 8 - i) % 8;
                s.bytes[at] = kind;
            }
        }
        if recorded && self.has(Feature::PreciseSpills) {
            let (f, s) = (frame as u8, slot.0 as u8);
            self.note_jump(|j| j.stack = Some((f, s)));
        }
        Ok(())
    }

    /// True if the instruction at hand stores a constant of its own (not a helper that fills memory).
    fn stores_constant(&self) -> bool {
        self.insn().class() == super::insn::Class::St
    }

    fn save(&mut self, frame: usize, slot: Slot, v: &Reg, size: u32) {
        let misc_over_invalid = self.has(Feature::SpillAnyScalar);
        let s = &mut self.cur.frames[frame].stack[slot.0];
        s.reg.assign(v);
        if size == 8 {
            s.reg.live.set(Live::WRITTEN);
        }
        for (i, b) in s.bytes.iter_mut().enumerate() {
            if i >= 8 - size as usize {
                *b = Byte::Spill;
            } else if misc_over_invalid {
                if !matches!(*b, Byte::Zero | Byte::Invalid) {
                    *b = Byte::Misc;
                }
            } else if *b != Byte::Invalid {
                *b = Byte::Misc;
            }
        }
    }

    /// Whatever was spilled here is so no more (`scrub_special_slot()`).
    fn scrub(&mut self, frame: usize, slot: Slot) {
        let s = &mut self.cur.frames[frame].stack[slot.0];
        s.reg.ty = super::reg::Type::plain(Base::NotInit);
        if s.is_special() {
            for b in &mut s.bytes {
                if *b != Byte::Invalid {
                    *b = Byte::Misc;
                }
            }
        }
    }

    fn stack_write_variable(&mut self, base: &Reg, size: u32, from: Option<u8>, at: StackRange) -> Checked {
        let frame = base.frame as usize;
        let zero = from.is_some_and(|r| self.cur.reg(r).is_null())
            || (from.is_none() && self.stores_constant() && self.insn().imm == 0);
        let mut zero_used = false;
        for o in at.min..at.max + size as i64 {
            self.destroy_dynptr(frame, Slot::of(o))?;
        }
        self.note_stack_touch(frame, at.min);
        let keeps_spilled_zero = self.has(Feature::SpillAnyScalar);
        for o in at.min..at.max + size as i64 {
            let slot = Slot::of(o);
            let b = byte_in_slot(o);
            let s = &self.cur.frames[frame].stack[slot.0];
            if zero && keeps_spilled_zero && s.bytes[b] == Byte::Spill && s.is_scalar_spill() && s.reg.v.is(0)
            {
                zero_used = true;
                continue;
            }
            let was_zero = s.bytes[b] == Byte::Zero;
            if keeps_spilled_zero {
                self.scrub(frame, slot);
            } else {
                self.cur.frames[frame].stack[slot.0].reg.ty = super::reg::Type::plain(Base::NotInit);
            }
            let keep = zero && was_zero;
            zero_used |= keep;
            self.cur.frames[frame].stack[slot.0].bytes[b] = if keep { Byte::Zero } else { Byte::Misc };
        }
        if zero_used && let Some(r) = from {
            self.mark_precise(r)?;
        }
        Ok(())
    }

    /// Load `size` bytes into a register, or just read them.
    pub(super) fn stack_read(
        &mut self,
        base: &Reg,
        size: u32,
        into: Option<u8>,
        at: StackRange,
        r: u8,
    ) -> Checked {
        if base.v.t.is_const() {
            return self.stack_read_fixed(base.frame as usize, at.min, size, into);
        }
        if into.is_none() {
            reject!(
                StackOutOfBounds,
                "variable offset stack pointer cannot be passed into helper function; var_off={} off={} size={size}",
                super::memory::tnum_text(base.v.t),
                at.min - base.v.smin
            );
        }
        self.stack_range_readable(r, base, at, size as i64, Purpose::Read)?;
        self.note_stack_touch(base.frame as usize, at.min);
        if let Some(dst) = into {
            self.stack_read_plain(base.frame as usize, at.min, at.max + size as i64, dst);
        }
        Ok(())
    }

    fn stack_read_fixed(&mut self, frame: usize, off: i64, size: u32, into: Option<u8>) -> Checked {
        let slot = Slot::of(off);
        // The kernel charges the function at hand, even for another frame's stack.
        self.note_stack_touch(self.cur.current(), off);
        let s: StackSlot = self.cur.frames[frame].stack[slot.0];
        let mut recorded = true;
        if s.is_spill() {
            let spilled = s.bytes.iter().rev().take_while(|b| **b == Byte::Spill).count() as u32;
            if size != 8 || spilled != 8 {
                if !s.reg.is_scalar() {
                    reject!(StackSpill, "invalid size of register fill");
                }
                self.arena.mark_read(Some(s.reg.live), s.reg.link, Live::READ64);
                let Some(dst) = into else { return Ok(()) };
                let narrow = self.has(Feature::NarrowFills) && size <= spilled && narrow_ok(off);
                let whole = off % 8 == 0 && size == spilled;
                if narrow || (!self.has(Feature::NarrowFills) && whole) {
                    let mut v = s.reg;
                    if self.has(Feature::NarrowFills) && v.v.width() > size * 8 {
                        v.clear_id();
                    }
                    self.cur.reg_mut(dst).write(&v);
                } else {
                    let (mut spills, mut zeros) = (0, 0);
                    for i in 0..size as usize {
                        match s.bytes[(byte_in_slot(off) + 8 - i) % 8] {
                            Byte::Spill => spills += 1,
                            Byte::Zero => {
                                zeros += 1;
                                if !self.has(Feature::ImpreciseZeroSpills) {
                                    reject!(StackUninit, "invalid read from stack off {off}+{i} size {size}");
                                }
                            }
                            Byte::Misc | Byte::Invalid => {}
                            Byte::Dynptr | Byte::Iter | Byte::Irq => {
                                reject!(StackUninit, "invalid read from stack off {off}+{i} size {size}")
                            }
                        }
                    }
                    let zero_spill =
                        self.has(Feature::ImpreciseZeroSpills) && spills == size && s.reg.v.is(0);
                    let zero_bytes = self.has(Feature::ImpreciseZeroSpills) && zeros == size;
                    recorded = zero_spill;
                    let v = if zero_spill || zero_bytes { self.const_zero() } else { Reg::UNKNOWN };
                    self.cur.reg_mut(dst).write(&v);
                }
            } else if let Some(dst) = into {
                self.cur.reg_mut(dst).write(&s.reg);
                self.arena.mark_read(Some(s.reg.live), s.reg.link, Live::READ64);
            } else {
                self.arena.mark_read(Some(s.reg.live), s.reg.link, Live::READ64);
            }
        } else {
            for i in 0..size as usize {
                if matches!(
                    s.bytes[(byte_in_slot(off) + 8 - i) % 8],
                    Byte::Dynptr | Byte::Iter | Byte::Irq | Byte::Spill
                ) {
                    reject!(StackUninit, "invalid read from stack off {off}+{i} size {size}");
                }
            }
            self.arena.mark_read(Some(s.reg.live), s.reg.link, Live::READ64);
            if let Some(dst) = into {
                self.stack_read_plain(frame, off, off + size as i64, dst);
            }
            recorded = false;
        }
        if recorded && self.has(Feature::PreciseSpills) {
            let (f, s) = (frame as u8, slot.0 as u8);
            self.note_jump(|j| j.stack = Some((f, s)));
        }
        Ok(())
    }

    /// Zero read from zero bytes: precise where the zero bytes were written as a precise zero.
    fn const_zero(&self) -> Reg {
        let imprecise = self.profile.release >= super::profile::Release::new(6, 8);
        Reg { precise: !imprecise, ..Reg::known(0) }
    }

    fn stack_read_plain(&mut self, frame: usize, from: i64, end: i64, dst: u8) {
        let zero = (from..end)
            .all(|o| self.cur.frames[frame].stack[Slot::of(o).0].bytes[byte_in_slot(o)] == Byte::Zero);
        let v = if zero { self.const_zero() } else { Reg::UNKNOWN };
        self.cur.reg_mut(dst).write(&v);
    }

    /// Every byte of the range may be read by a helper (which, if it may write, leaves nothing known behind).
    pub(super) fn stack_range_readable(
        &mut self,
        r: u8,
        base: &Reg,
        at: StackRange,
        size: i64,
        purpose: Purpose,
    ) -> Checked {
        let frame = base.frame as usize;
        let clobbers = match purpose {
            Purpose::Read => false,
            Purpose::Helper => !self.has(Feature::HelperAccessByFlag) || self.helper_always_clobbers(),
            Purpose::HelperWrite | Purpose::Write => true,
        };
        let min_off = at.min;
        for o in at.min..at.max + size {
            let slot = Slot::of(o);
            let b = byte_in_slot(o);
            let Some(s) = self.cur.frames[frame].stack.get_mut(slot.0) else {
                let (from, n) = (o - at.min, size);
                if base.v.t.is_const() {
                    reject!(
                        StackUninit,
                        "invalid indirect read from stack R{r} off {min_off}+{from} size {n}"
                    );
                }
                let var = super::memory::tnum_text(base.v.t);
                reject!(StackUninit, "invalid indirect read from stack R{r} var_off {var}+{from} size {n}");
            };
            match s.bytes[b] {
                Byte::Misc => {}
                Byte::Zero | Byte::Invalid => {
                    if clobbers {
                        s.bytes[b] = Byte::Misc;
                    }
                }
                _ if s.is_spill() => {
                    if clobbers {
                        let (live, link) = (s.reg.live, s.reg.link);
                        s.reg = Reg { live, link, ..Reg::UNKNOWN };
                        for x in &mut s.bytes {
                            if *x == Byte::Spill {
                                *x = Byte::Misc;
                            }
                        }
                    }
                }
                _ => {
                    let indirect = if purpose == Purpose::Read
                        || self.profile.release >= super::profile::Release::new(6, 13)
                    {
                        ""
                    } else {
                        " indirect"
                    };
                    if base.v.t.is_const() {
                        reject!(
                            StackUninit,
                            "invalid{indirect} read from stack R{r} off {min_off}+{} size {size}",
                            o - at.min
                        );
                    }
                    reject!(
                        StackUninit,
                        "invalid{indirect} read from stack R{r} var_off {}+{} size {size}",
                        super::memory::tnum_text(base.v.t),
                        o - at.min
                    );
                }
            }
            let s = &self.cur.frames[frame].stack[slot.0];
            self.arena.mark_read(Some(s.reg.live), s.reg.link, Live::READ64);
        }
        Ok(())
    }

    /// Up to 6.12 a helper's access counted as a write whatever the helper does.
    fn helper_always_clobbers(&self) -> bool {
        self.profile.release < super::profile::Release::new(6, 13)
    }
}

/// True if anything is known of the scalar (`register_is_bounded()`).
fn is_bounded(r: &Reg) -> bool {
    r.v != Value::UNKNOWN
}

/// May the low part of a wider spill be read as if it had been spilled so (`bpf_stack_narrow_access_ok()`)?
fn narrow_ok(off: i64) -> bool {
    // Little endian: the low part lies at the low end of the slot.
    off % 8 == 0
}
