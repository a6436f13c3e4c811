//! Sections with interrupts off: the flags that a program keeps on its stack from `bpf_local_irq_save()` to
//! `bpf_local_irq_restore()`.
//!
//! Sections nest and end in the reverse order: `State::irqs` holds the ids of the flags that are out, the innermost
//! last, and the slot that holds a flag carries its id. `process_irq_flag()`, `mark_stack_slot_irq_flag()`,
//! `release_irq_state()` (kernel/bpf/verifier.c, 6.14 on).

use super::env::Env;
use super::memory::Access;
use super::profile::Release;
use super::reg::{Base, Data, Flags, Live, Reg, Type};
use super::report::{Checked, reject};
use super::state::{Byte, Irq, Slot};

/// What a function does with the flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    Save,
    Restore,
}

impl Env<'_> {
    pub(super) fn kfunc_irq_flag(&mut self, does: Flag, r: u8, reg: &Reg) -> Checked {
        let at = if self.profile.release >= Release::new(7, 0) {
            format!("R{r}")
        } else {
            format!("arg#{}", r - 1)
        };
        if !reg.ty.is(Base::Stack) {
            reject!(Lock, "{at} doesn't point to an irq flag on stack");
        }
        let off = reg.off as i64 + reg.v.t.value as i64;
        let place = (reg.v.t.is_const() && off % 8 == 0 && (-512..0).contains(&off)).then(|| Slot::of(off).0);
        let frame = reg.frame as usize;
        let bytes = place.and_then(|slot| self.cur.frames[frame].stack.get(slot)).map(|slot| slot.bytes);
        match (does, place) {
            (Flag::Save, Some(slot)) if !bytes.is_some_and(|bytes| bytes.contains(&Byte::Irq)) => {
                self.access(r, 0, 8, Access::HelperByte)?;
                let id = self.next_id();
                self.cur.irqs.push(Irq { id, insn: self.pc });
                let slot = &mut self.cur.frames[frame].stack[slot];
                let link = slot.reg.link;
                slot.bytes = [Byte::Irq; 8];
                let flag = Reg::pointer(Type::new(Base::Stack, Flags::NONE), Data::None);
                slot.reg = Reg { link, live: Live::WRITTEN, ref_id: id, ..flag };
                Ok(())
            }
            (Flag::Save, _) => reject!(Lock, "expected uninitialized irq flag as {at}"),
            (Flag::Restore, Some(slot)) if bytes == Some([Byte::Irq; 8]) => {
                let flag = self.cur.frames[frame].stack[slot].reg;
                self.arena.mark_read(Some(flag.live), flag.link, Live::READ64);
                if let Some(active) = self.cur.irqs.last().filter(|active| active.id != flag.ref_id) {
                    let Irq { id, insn } = *active;
                    reject!(
                        Lock,
                        "cannot restore irq state out of order, expected id={id} acquired at insn_idx={insn}"
                    );
                }
                self.cur.irqs.pop();
                let slot = &mut self.cur.frames[frame].stack[slot];
                let link = slot.reg.link;
                slot.bytes = [Byte::Invalid; 8];
                slot.reg = Reg { link, live: Live::WRITTEN, ..Reg::NOT_INIT };
                Ok(())
            }
            (Flag::Restore, _) => reject!(Lock, "expected an initialized irq flag as {at}"),
        }
    }
}
