//! The state of one path: call frames with registers and stack, references and locks held.
//!
//! Kept states form a tree through `parent`: a path's history is the chain of its parents, and each holds the jumps
//! taken since the one before. `branches` counts the paths below a state that are not finished.

use super::reg::{Live, Reg};
use super::report::Stop;

/// What a byte of the stack holds (`enum bpf_stack_slot_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Byte {
    /// Never written.
    Invalid,
    /// Part of a spilled register.
    Spill,
    /// Something.
    Misc,
    /// Zero.
    Zero,
    /// Part of a dynptr.
    Dynptr,
    /// Part of an iterator.
    Iter,
    /// Part of the flags of a section with interrupts off.
    Irq,
}

/// Eight bytes of stack. `bytes[i]` is the byte at address offset `i` from the slot's high end down, as the kernel
/// counts: `bytes[7]` is the lowest byte of a spilled register.
#[derive(Clone, Copy, Debug)]
pub(super) struct StackSlot {
    pub(super) bytes: [Byte; 8],
    pub(super) reg: Reg,
}

impl StackSlot {
    pub(super) const EMPTY: Self = Self { bytes: [Byte::Invalid; 8], reg: Reg::NOT_INIT };

    /// True if a register was spilled here (its low bytes, at least).
    pub(super) fn is_spill(&self) -> bool {
        self.bytes[7] == Byte::Spill
    }

    /// True if a scalar was spilled here.
    pub(super) fn is_scalar_spill(&self) -> bool {
        self.is_spill() && self.reg.is_scalar()
    }

    /// True if all 8 bytes of a scalar were spilled here.
    pub(super) fn is_full_scalar_spill(&self) -> bool {
        self.bytes[0] == Byte::Spill && self.reg.is_scalar()
    }

    /// True if it holds an object that only its own functions may touch.
    pub(super) fn is_special(&self) -> bool {
        matches!(self.bytes[7], Byte::Spill | Byte::Dynptr | Byte::Iter | Byte::Irq)
    }
}

/// The index of an 8-byte stack slot, counted down from the frame pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(pub usize);

impl Slot {
    /// The slot that holds the byte at this offset from the frame pointer (below 0).
    pub(super) const fn of(off: i64) -> Self {
        Self(((-off - 1) / 8) as usize)
    }
}

/// The index of the byte at this offset from the frame pointer within its slot.
pub(super) const fn byte_in_slot(off: i64) -> usize {
    ((-off - 1) % 8) as usize
}

/// How a frame came to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// As the program, or a global function judged by itself.
    Top,
    /// By a call.
    Call,
    /// By a helper, while the caller waits.
    Callback,
    /// By a timer or a work queue.
    AsyncCallback,
}

/// One call frame.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) regs: [Reg; 11],
    pub(super) stack: Vec<StackSlot>,
    /// The call, for all but the outermost.
    pub(super) callsite: u32,
    pub(super) subprog: u32,
    pub(super) entry: Entry,
    pub(super) async_depth: u32,
    /// Rounds of a callback already walked.
    pub(super) callback_depth: u32,
    /// What a callback may return.
    pub(super) callback_ret: (i32, i32),
}

impl Frame {
    pub(super) fn in_callback(&self) -> bool {
        self.entry == Entry::Callback
    }

    /// Bytes of stack in use.
    pub(super) fn depth(&self) -> i64 {
        self.stack.len() as i64 * 8
    }

    /// Make the stack reach down to `-depth`.
    pub(super) fn grow(&mut self, depth: i64) {
        let slots = ((depth.clamp(0, 512) + 7) / 8) as usize;
        if self.stack.len() < slots {
            self.stack.resize(slots, StackSlot::EMPTY);
        }
    }
}

/// A reference that must be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) id: u32,
    /// Where it was taken.
    pub(super) insn: u32,
    /// The callback frame that took it; 0 outside.
    pub(super) callback_frame: u8,
}

/// A section with interrupts off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Irq {
    pub(super) id: u32,
    /// Where it began.
    pub(super) insn: u32,
}

/// A held spin lock: what it protects and which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lock {
    /// A map, or the program's BTF for an allocated object.
    pub(super) owner: LockOwner,
    pub(super) id: u32,
}

/// Where a spin lock lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LockOwner {
    /// In a map's value.
    Map(super::reg::MapId),
    /// In an object of the program's own.
    Object,
}

/// One step of the jump history.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jump {
    pub(super) at: u32,
    pub(super) from: u32,
    /// The stack slot that the instruction read or wrote: (frame, slot).
    pub(super) stack: Option<(u8, u8)>,
    /// The source operand of a comparison is a stack pointer.
    pub(super) src_is_stack: bool,
    /// The destination operand of a comparison is a stack pointer.
    pub(super) dst_is_stack: bool,
    pub(super) linked: Linked,
}

/// Registers and spills that share one scalar: at most six, as (frame, register or slot from 16 on).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Linked {
    pub(super) count: u8,
    pub(super) at: [(u8, u8); 6],
}

impl Linked {
    pub(super) fn iter(&self) -> impl Iterator<Item = (u8, u8)> + '_ {
        self.at.iter().copied().take(self.count as usize)
    }
}

/// Which spilled registers count as registers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Spills {
    /// Those of any width.
    All,
    /// Those of all 8 bytes, as before 6.9.
    Whole,
}

/// Index of a kept state.
pub(super) type StateId = u32;

/// The state of one path.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) frames: Vec<Frame>,
    pub(super) refs: Vec<Reference>,
    pub(super) lock: Option<Lock>,
    pub(super) rcu_locks: u32,
    pub(super) preempt_locks: u32,
    /// Sections with interrupts off, the innermost last.
    pub(super) irqs: Vec<Irq>,
    pub(super) in_sleepable: bool,
    pub(super) parent: Option<StateId>,
    pub(super) branches: u32,
    /// Where this state begins: the slot it was kept at, or the path's start.
    pub(super) first: u32,
    /// The slot before that, from which it was reached; `None` at a start.
    pub(super) last: Option<u32>,
    pub(super) insn: u32,
    pub(super) jumps: super::jumps::History,
    pub(super) dfs_depth: u32,
    pub(super) may_goto_depth: u32,
    pub(super) callback_unroll_depth: u32,
    pub(super) loop_entry: Option<StateId>,
    pub(super) used_as_loop_entry: bool,
    /// Of a kept state: each of its scalars is precise, and so are those of all before it.
    pub(super) all_precise: bool,
}

impl State {
    pub(super) fn frame(&self) -> &Frame {
        // A state has at least one frame from its creation on; frames are only popped when there are two.
        &self.frames[self.frames.len() - 1]
    }

    pub(super) fn frame_mut(&mut self) -> &mut Frame {
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    pub(super) fn current(&self) -> usize {
        self.frames.len() - 1
    }

    pub(super) fn reg(&self, r: u8) -> &Reg {
        &self.frame().regs[r as usize]
    }

    pub(super) fn reg_mut(&mut self, r: u8) -> &mut Reg {
        &mut self.frame_mut().regs[r as usize]
    }

    /// Every register and every spilled register of every frame.
    pub(super) fn for_each_reg(&mut self, spills: Spills, mut f: impl FnMut(&mut Reg)) {
        for frame in &mut self.frames {
            for reg in &mut frame.regs {
                f(reg);
            }
            for slot in &mut frame.stack {
                if slot.is_spill() && (spills == Spills::All || slot.bytes[0] == Byte::Spill) {
                    f(&mut slot.reg);
                }
            }
        }
    }

    /// A register or stack slot by position: 0 to 10 a register, from 16 on a slot.
    pub(super) fn at_mut(&mut self, frame: u8, at: u8) -> Option<&mut Reg> {
        let frame = self.frames.get_mut(frame as usize)?;
        if at < 16 {
            frame.regs.get_mut(at as usize)
        } else {
            frame.stack.get_mut(at as usize - 16).map(|s| &mut s.reg)
        }
    }

    pub(super) fn ref_index(&self, id: u32) -> Option<usize> {
        self.refs.iter().position(|r| r.id == id)
    }

    pub(super) fn same_callsites(&self, o: &Self) -> bool {
        self.frames.len() == o.frames.len()
            && self.frames.iter().zip(&o.frames).all(|(a, b)| a.callsite == b.callsite)
    }
}

/// Kept states by index. A freed one leaves a hole that is used again.
#[derive(Default)]
pub(super) struct Arena {
    states: Vec<Option<Box<State>>>,
    holes: Vec<StateId>,
}

impl Arena {
    pub(super) fn keep(&mut self, state: State) -> StateId {
        if let Some(hole) = self.holes.pop() {
            self.states[hole as usize] = Some(Box::new(state));
            hole
        } else {
            self.states.push(Some(Box::new(state)));
            (self.states.len() - 1) as StateId
        }
    }

    pub(super) fn free(&mut self, id: StateId) {
        if let Some(s) = self.states.get_mut(id as usize)
            && s.take().is_some()
        {
            self.holes.push(id);
        }
    }

    pub(super) fn get(&self, id: StateId) -> Result<&State, Stop> {
        self.states
            .get(id as usize)
            .and_then(|s| s.as_deref())
            .ok_or(Stop::Unmodelled("internal: a freed state"))
    }

    pub(super) fn get_mut(&mut self, id: StateId) -> Result<&mut State, Stop> {
        self.states
            .get_mut(id as usize)
            .and_then(|s| s.as_deref_mut())
            .ok_or(Stop::Unmodelled("internal: a freed state"))
    }

    /// Mark a read along the chain of states up to where the value was written (`mark_reg_read()`, before 6.18).
    /// `live` is the state of the register itself; `Some` if a write there screens the parents.
    pub(super) fn mark_read(&mut self, live: Option<Live>, mut link: super::reg::Link, flag: Live) {
        let mut screen = live;
        while !link.is_none() {
            if let Some(l) = screen
                && l.any(Live::WRITTEN)
            {
                return;
            }
            let Some(Some(state)) = self.states.get_mut(link.state as usize) else { return };
            let Some(reg) = state.at_mut(link.frame, link.at) else { return };
            if reg.live.read() == flag || reg.live.any(Live::READ64) {
                return;
            }
            reg.live.set(flag);
            if flag == Live::READ64 {
                reg.live.0 &= !Live::READ32.0;
            }
            screen = Some(reg.live);
            link = reg.link;
        }
    }

    /// Drop everything.
    pub(super) fn clear(&mut self) {
        self.states.clear();
        self.holes.clear();
    }
}
