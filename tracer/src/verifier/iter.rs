//! Open-coded iterators on the stack: made, advanced, destroyed.
//!
//! Advancing has two outcomes, walked one after the other: the end, and another element. The second widens what nothing
//! relied on, so that the loop converges. `process_iter_arg()`, `process_iter_next_call()` (kernel/bpf/verifier.c, 6.4 on).

use super::btf::TypeId;
use super::env::Env;
use super::kfunc::{Kfunc, Meta};
use super::kfunc_table::kf;
use super::memory::Access;
use super::profile::Release;
use super::reg::{Base, Data, Flags, Live, Reg, Type};
use super::report::{Checked, reject, unmodelled};

impl Env<'_> {
    /// An iterator on the stack: made, advanced or destroyed (`process_iter_arg()`).
    pub(super) fn kfunc_iter(&mut self, k: &Kfunc, r: u8, ty: TypeId, reg: &Reg, meta: &mut Meta) -> Checked {
        use super::state::{Byte, Slot};
        let btf = match &self.profile.btf {
            Some(b) => b.clone(),
            None => unmodelled!("no BTF"),
        };
        let late = self.profile.release >= Release::new(7, 0);
        let at = if late { format!("R{r}") } else { format!("arg #{}", r - 1) };
        if !reg.ty.is(Base::Stack) {
            reject!(Iterator, "arg#{} expected pointer to an iterator on stack", r - 1);
        }
        let name = btf.name(ty).strip_prefix("bpf_iter_").unwrap_or("?").to_owned();
        let Some(size) = btf.size_of(ty) else { unmodelled!("iterator without size") };
        let slots = size as usize / 8;
        let off = reg.off as i64 + reg.v.t.value as i64;
        if !reg.v.t.is_const() || off % 8 != 0 || !(-512..0).contains(&off) {
            reject!(Iterator, "cannot pass in iter at an offset={off}");
        }
        let lo = Slot::of(off).0;
        if lo + 1 < slots {
            reject!(Iterator, "expected uninitialized iter_{name} as {at}");
        }
        let frame = reg.frame as usize;
        let of = |env: &Self, i: usize| env.cur.frames[frame].stack.get(lo - i).copied();
        if k.has(kf::KF_ITER_NEW) {
            let taken = (0..slots).any(|i| of(self, i).is_some_and(|s| s.bytes.contains(&Byte::Iter)));
            if taken {
                reject!(Iterator, "expected uninitialized iter_{name} as {at}");
            }
            for i in 0..slots {
                self.access(r, 8 * i as i64, 8, Access::HelperByte)?;
            }
            let ref_id = self.acquire_reference();
            let mut flags = Flags::NONE;
            if k.has(kf::KF_RCU_PROTECTED) {
                flags = if self.in_rcu() { Flags::RCU } else { Flags::UNTRUSTED };
            }
            for i in 0..slots {
                let s = &mut self.cur.frames[frame].stack[lo - i];
                let link = s.reg.link;
                s.bytes = [Byte::Iter; 8];
                s.reg = Reg {
                    link,
                    live: Live::WRITTEN,
                    ref_id: if i == 0 { ref_id } else { 0 },
                    ..Reg::pointer(
                        Type::new(Base::Stack, flags),
                        Data::Iter { id: ty, state: super::reg::IterState::Active, depth: 0 },
                    )
                };
            }
            return Ok(());
        }
        for i in 0..slots {
            let ok = of(self, i).is_some_and(|s| {
                s.bytes.iter().all(|b| *b == Byte::Iter)
                    && (s.reg.ref_id != 0) == (i == 0)
                    && matches!(s.reg.data, Data::Iter { id, .. } if id == ty)
            });
            if of(self, i).is_some_and(|s| s.bytes[0] == Byte::Iter && s.reg.ty.flags.any(Flags::UNTRUSTED)) {
                reject!(Iterator, "expected an RCU CS when using {}", k.name);
            }
            if !ok {
                reject!(Iterator, "expected an initialized iter_{name} as {at}");
            }
        }
        for i in 0..slots {
            let s = self.cur.frames[frame].stack[lo - i].reg;
            self.arena.mark_read(Some(s.live), s.link, Live::READ64);
        }
        let ref_id = self.cur.frames[frame].stack[lo].reg.ref_id;
        meta.iter = Some((frame, lo));
        meta.ref_id = ref_id;
        if k.has(kf::KF_ITER_DESTROY) {
            self.release_reference(ref_id)?;
            for i in 0..slots {
                let s = &mut self.cur.frames[frame].stack[lo - i];
                let link = s.reg.link;
                s.bytes = [Byte::Invalid; 8];
                s.reg = Reg { link, live: Live::WRITTEN, ..Reg::NOT_INIT };
            }
        }
        Ok(())
    }

    /// The two outcomes of advancing an iterator: another element, walked later, or the end
    /// (`process_iter_next_call()`).
    pub(super) fn iter_next(&mut self, meta: &Meta) -> Checked {
        use super::reg::IterState;
        let Some((frame, slot)) = meta.iter else { unmodelled!("iterator") };
        let it = self.cur.frames[frame].stack[slot].reg;
        let Data::Iter { id, state, depth } = it.data else { unmodelled!("iterator") };
        if state == IterState::Active {
            let pc = self.pc;
            let prev = match self.cur.parent {
                Some(p) => self.previous_entry(pc, Some(p))?,
                None => None,
            };
            self.fork(pc + 1, pc)?;
            if let Some(mut w) = self.waiting.pop() {
                w.state.frames[frame].stack[slot].reg.data =
                    Data::Iter { id, state: IterState::Active, depth: depth + 1 };
                if let Some(p) = prev {
                    self.widen(p, &mut w.state)?;
                }
                let r0 = w.state.reg_mut(0);
                r0.ty.flags = r0.ty.flags.without(Flags::MAYBE_NULL);
                self.waiting.push(w);
            }
        }
        self.cur.frames[frame].stack[slot].reg.data = Data::Iter { id, state: IterState::Drained, depth };
        let r0 = self.cur.reg_mut(0);
        let (live, link) = (r0.live, r0.link);
        *r0 = Reg { live, link, ..Reg::known(0) };
        Ok(())
    }
}
