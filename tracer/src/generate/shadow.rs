//! What the generator believes of registers and stack: enough to choose plausible operands, never enough to judge.
//!
//! It is deliberately coarse (one bound for a number, one room for a pointer): what it gets wrong makes programs that
//! are refused for an interesting reason.

/// What a pointer points into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Region {
    Stack,
    Value,
    /// A ring-buffer reservation, by number.
    Ring(u16),
    Packet,
    /// Memory that a function was handed.
    Handed,
}

/// What a register holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Unset,
    /// A number that is believed to be at most `max`.
    Num {
        max: u64,
    },
    Ctx,
    MapOf(usize),
    /// A pointer with that many bytes before and from it.
    Mem {
        of: Region,
        back: i32,
        room: i32,
    },
    /// The same, but it may be null; copies share the number.
    Null {
        of: Region,
        room: i32,
        id: u16,
    },
    PacketEnd,
    /// Something that must not be used.
    Opaque,
}

pub(super) const ANY_NUM: Kind = Kind::Num { max: u64::MAX };

impl Kind {
    pub(super) const fn is_num(self) -> bool {
        matches!(self, Self::Num { .. })
    }

    fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Num { max: a }, Self::Num { max: b }) => Self::Num { max: if a > b { a } else { b } },
            (Self::Mem { of, back, room }, Self::Mem { of: of2, back: back2, room: room2 }) if of == of2 => {
                Self::Mem { of, back: back.min(back2), room: room.min(room2) }
            }
            (a, b) if a == b => a,
            _ => Self::Unset,
        }
    }
}

/// Eight bytes of stack.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    /// A bit for each byte that was written.
    pub(super) written: u8,
    pub(super) spill: Option<Kind>,
}

/// Slots that the generator uses: the upper half of a frame, mostly.
pub(super) const SLOTS: usize = 64;

/// Everything that is believed at one place.
#[derive(Clone)]
pub(super) struct Shadow {
    pub(super) regs: [Kind; 11],
    pub(super) slots: [Slot; SLOTS],
    /// Reservations that are neither submitted nor discarded.
    pub(super) open: Vec<u16>,
}

pub(super) const FRAME: Kind = Kind::Mem { of: Region::Stack, back: 512, room: 0 };

impl Shadow {
    pub(super) fn new() -> Self {
        let mut regs = [Kind::Unset; 11];
        regs[10] = FRAME;
        Self { regs, slots: [Slot { written: 0, spill: None }; SLOTS], open: Vec::new() }
    }

    /// Where two paths meet.
    pub(super) fn merge(&mut self, other: &Self) {
        for (a, b) in self.regs.iter_mut().zip(other.regs) {
            *a = a.merge(b);
        }
        for (a, b) in self.slots.iter_mut().zip(other.slots) {
            a.written &= b.written;
            if a.spill != b.spill {
                a.spill = None;
            }
        }
    }

    /// What a call leaves.
    pub(super) fn after_call(&mut self, result: Kind) {
        for r in &mut self.regs[1..=5] {
            *r = Kind::Unset;
        }
        self.regs[0] = result;
    }

    /// Bytes `off..off + size` of the frame (off is negative) are written.
    pub(super) fn write_stack(&mut self, off: i32, size: i32, spill: Option<Kind>) {
        for at in off..off + size {
            if let Some(slot) = slot_of(at) {
                let s = &mut self.slots[slot];
                s.written |= 1 << (at.rem_euclid(8));
                s.spill = if size == 8 && off % 8 == 0 { spill } else { None };
            }
        }
    }

    pub(super) fn stack_written(&self, off: i32, size: i32) -> bool {
        (off..off + size)
            .all(|at| slot_of(at).is_some_and(|s| self.slots[s].written & 1 << at.rem_euclid(8) != 0))
    }

    /// All copies of a pointer that may be null, where it is known not to be.
    pub(super) fn not_null(&mut self, id: u16) {
        let sure = |k: &mut Kind| {
            if let Kind::Null { of, room, id: i } = *k
                && i == id
            {
                *k = Kind::Mem { of, back: 0, room };
            }
        };
        self.regs.iter_mut().for_each(sure);
        for s in &mut self.slots {
            if let Some(k) = &mut s.spill {
                sure(k);
            }
        }
    }

    /// A reservation is gone, and so are all pointers to it.
    pub(super) fn close(&mut self, id: u16) {
        self.open.retain(|o| *o != id);
        let gone = |k: &Kind| match *k {
            Kind::Mem { of, .. } | Kind::Null { of, .. } => of == Region::Ring(id),
            _ => false,
        };
        for r in &mut self.regs {
            if gone(r) {
                *r = Kind::Unset;
            }
        }
        for s in &mut self.slots {
            if s.spill.as_ref().is_some_and(gone) {
                s.spill = None;
            }
        }
    }
}

/// The slot of a byte of the frame, from the top.
fn slot_of(at: i32) -> Option<usize> {
    (-512..0).contains(&at).then(|| ((-at - 1) / 8) as usize)
}
