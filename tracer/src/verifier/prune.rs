//! Pruning: a path ends where a kept state already covers it.
//!
//! A kept state covers the path at hand if everything that was *read* after the kept state, on any path from it, is in
//! the path at hand at least as constrained; scalars need to be so only if their range was *precise*: some check relied
//! on it. Why this stays right: whatever was accepted from the kept state relied on nothing else.
//!
//! A state whose own paths are not finished cannot cover anything yet, except where a loop is known to end by other
//! means (iterators, callbacks, may_goto); there ranges are compared exactly. If such an unfinished state equals the
//! path at hand in everything, the loop never ends: a refusal.
//!
//! `is_state_visited()`, `states_equal()` and below (kernel/bpf/verifier.c; from 7.0 states.c).

use super::env::{Env, Kept};
use super::feature::Feature;
use super::reg::{ADD_CONST, Base, Data, Flags, Link, Live, Reg};
use super::report::{Checked, reject};
use super::state::{Byte, Entry, Frame, StackSlot, State, StateId};
use super::value::Deduce;

/// How closely two states are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// What was read, ranges only where precise.
    Safe,
    /// What was read or not, ranges always.
    Ranges,
    /// All of it, equal.
    Exact,
}

/// Which old id stands for which new one.
struct Ids {
    pairs: Vec<(u32, u32)>,
    fresh: u32,
    /// Kernels before 6.3 did not require that ids map one to one, or that both are set.
    strict: bool,
}

impl Ids {
    fn check(&mut self, old: u32, cur: u32) -> bool {
        if self.strict {
            if (old != 0) != (cur != 0) {
                return false;
            }
            if old == 0 {
                return true;
            }
        }
        for (o, c) in &self.pairs {
            if *o == old {
                return *c == cur;
            }
            if self.strict && *c == cur {
                return false;
            }
        }
        self.pairs.push((old, cur));
        true
    }

    fn check_scalar(&mut self, old: u32, cur: u32) -> bool {
        if old == 0 {
            return true;
        }
        let cur = if cur != 0 {
            cur
        } else {
            self.fresh += 1;
            self.fresh
        };
        if !self.check(old, cur) {
            return false;
        }
        old & ADD_CONST == 0 || self.check(old & !ADD_CONST, cur & !ADD_CONST)
    }
}

/// What the walk does next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Visit {
    /// Go on.
    Walk,
    /// Covered: this path is done.
    Covered,
}

impl Env<'_> {
    /// Is the path at hand, at this instruction, covered? If not, keep its state now and then.
    pub(super) fn visit_state(&mut self) -> Checked<Visit> {
        let pc = self.pc as usize;
        let aux = self.aux[pc];
        let freq = self.prog.flags & super::program::prog_flags::TEST_STATE_FREQ != 0;
        let long_history = self.has(Feature::JumpHistoryCheckpoints) && self.cur.jumps.len() > 40;
        let new_rules = self.has(Feature::ExactLoops);
        let force = freq || (new_rules && (aux.force_checkpoint || long_history));
        let mut add = force;
        let since_jumps = self.jumps_processed - self.prev_jumps_processed;
        let since_insns = self.stats.insns_processed - self.prev_processed;
        if since_jumps >= 2 && since_insns >= 8 {
            add = true;
        }
        self.clean_kept(pc)?;
        let callsite = self.cur.frame().callsite;
        let mut i = 0;
        while i < self.explored[pc].len() {
            let kept = self.explored[pc][i];
            let (branches, same_site) = {
                let st = self.arena.get(kept.id)?;
                (st.branches, st.frame().callsite == callsite)
            };
            if !same_site {
                i += 1;
                continue;
            }
            if branches > 0 {
                if self.covered_by_unfinished(kept.id)? {
                    return self.hit(pc, i, kept.id);
                }
                if (new_rules && force) || !(since_jumps < 20 && since_insns < 100) {
                } else {
                    add = false;
                }
            } else {
                let mut level = Level::Safe;
                let entry = if new_rules { self.loop_entry(kept.id)? } else { None };
                let mut in_open_loop = None;
                if let Some(e) = entry
                    && self.arena.get(e)?.branches > 0
                {
                    level = Level::Ranges;
                    in_open_loop = Some(e);
                }
                if self.covers(kept.id, level)? {
                    if let Some(e) = in_open_loop {
                        self.update_loop_entry(None, e)?;
                    }
                    return self.hit(pc, i, kept.id);
                }
            }
            if add {
                self.explored[pc][i].misses += 1;
            }
            let k = self.explored[pc][i];
            let patience = if new_rules && aux.force_checkpoint && branches > 0 { 64 } else { 3 };
            if k.misses > k.hits * patience + patience {
                self.explored[pc].remove(i);
                let st = self.arena.get(k.id)?;
                if st.frames[0].regs[0].live.any(Live::DONE) && !st.used_as_loop_entry {
                    self.arena.free(k.id);
                    self.now_kept = self.now_kept.saturating_sub(1);
                }
                continue;
            }
            i += 1;
        }
        if add {
            self.keep(pc)?;
        }
        Ok(Visit::Walk)
    }

    /// Compare with a state whose own paths are not finished.
    fn covered_by_unfinished(&mut self, id: StateId) -> Checked<bool> {
        let pc = self.pc as usize;
        let aux = self.aux[pc];
        {
            let old = self.arena.get(id)?;
            if old.frame().entry == Entry::AsyncCallback
                && old.frame().async_depth != self.cur.frame().async_depth
            {
                return Ok(false);
            }
        }
        if self.has(Feature::ExactLoops) {
            if aux.iter_next {
                if self.covers(id, Level::Ranges)? && self.iterator_is_active() {
                    self.update_loop_entry(None, id)?;
                    return Ok(true);
                }
                return Ok(false);
            }
            if self.insn().is_may_goto() {
                let differs = self.arena.get(id)?.may_goto_depth != self.cur.may_goto_depth;
                if differs && self.covers(id, Level::Ranges)? {
                    self.update_loop_entry(None, id)?;
                    return Ok(true);
                }
            }
            if aux.calls_callback {
                return self.covers(id, Level::Ranges);
            }
        }
        if !self.maybe_looping(id)? {
            return Ok(false);
        }
        let level = if self.has(Feature::ExactLoops) { Level::Exact } else { Level::Safe };
        if !self.covers(id, level)? {
            return Ok(false);
        }
        let old = self.arena.get(id)?;
        let counted = iter_depths_differ(old, &self.cur)
            || old.may_goto_depth != self.cur.may_goto_depth
            || old.callback_unroll_depth != self.cur.callback_unroll_depth;
        if !counted {
            // The jump that closes the loop.
            self.blame = self.prev;
            reject!(InfiniteLoop, "infinite loop detected at insn {}", self.pc);
        }
        Ok(false)
    }

    fn iterator_is_active(&self) -> bool {
        let reg = self.cur.reg(1);
        let at = reg.off as i64 + reg.v.t.value as i64;
        let slot = super::state::Slot::of(at);
        self.cur
            .frames
            .get(reg.frame as usize)
            .and_then(|f| f.stack.get(slot.0))
            .is_some_and(|s| matches!(s.reg.data, Data::Iter { state: super::reg::IterState::Active, .. }))
    }

    fn maybe_looping(&self, id: StateId) -> Checked<bool> {
        let old = self.arena.get(id)?;
        if old.frames.len() != self.cur.frames.len() {
            return Ok(false);
        }
        let (a, b) = (old.frame(), self.cur.frame());
        Ok(a.regs.iter().zip(&b.regs).all(|(x, y)| x.same_value(y) && x.id == y.id && x.ref_id == y.ref_id))
    }

    fn hit(&mut self, pc: usize, i: usize, id: StateId) -> Checked<Visit> {
        self.explored[pc][i].hits += 1;
        self.inherit_reads(id)?;
        if self.aux[pc].jump_point {
            self.note_jump(|_| {});
        }
        self.inherit_precision(id)?;
        Ok(Visit::Covered)
    }

    /// What was read after the kept state is read on the path at hand, too (`propagate_liveness()`).
    fn inherit_reads(&mut self, id: StateId) -> Checked {
        let old = self.arena.get(id)?;
        let last = old.current();
        let mut reads = Vec::new();
        for (f, frame) in old.frames.iter().enumerate() {
            let first = if f < last { 6 } else { 0 };
            let regs = frame.regs.iter().enumerate().take(10).skip(first);
            let slots = frame.stack.iter().enumerate().map(|(s, slot)| (16 + s, &slot.reg));
            let read = regs.chain(slots).map(|(at, reg)| (f as u8, at as u8, reg.live.read()));
            reads.extend(read.filter(|(_, _, flag)| *flag != Live::NONE));
        }
        for (frame, at, flag) in reads {
            let Some(cur) = self.cur.at_mut(frame, at) else { continue };
            inherit_read(&mut self.arena, flag, cur);
        }
        Ok(())
    }

    fn keep(&mut self, pc: usize) -> Checked {
        self.stats.total_states += 1;
        self.now_kept += 1;
        self.stats.peak_states = self.stats.peak_states.max(self.now_kept);
        self.prev_jumps_processed = self.jumps_processed;
        self.prev_processed = self.stats.insns_processed;
        for frame in &mut self.cur.frames {
            for r in frame.regs.iter_mut().take(10) {
                r.precise &= !r.is_scalar();
            }
            for s in &mut frame.stack {
                if s.is_spill() {
                    s.reg.precise &= !s.reg.is_scalar();
                }
            }
        }
        let mut kept = self.cur.clone();
        kept.insn = self.pc;
        kept.branches = 1;
        let depth = kept.dfs_depth;
        let id = self.arena.keep(kept);
        self.cur.parent = Some(id);
        self.cur.first = self.pc;
        self.cur.jumps.clear();
        self.cur.dfs_depth = depth + 1;
        self.cur.loop_entry = None;
        self.cur.used_as_loop_entry = false;
        let last = self.cur.current();
        for (f, frame) in self.cur.frames.iter_mut().enumerate() {
            let first = if f < last { 6 } else { 0 };
            for (i, r) in frame.regs.iter_mut().enumerate().take(10) {
                if i >= first {
                    r.link = Link { state: id, frame: f as u8, at: i as u8 };
                }
                r.live = Live::NONE;
            }
            for (s, slot) in frame.stack.iter_mut().enumerate() {
                slot.reg.live = Live::NONE;
                slot.reg.link = Link { state: id, frame: f as u8, at: 16 + s as u8 };
            }
        }
        self.explored[pc].insert(0, Kept { id, hits: 0, misses: 0 });
        Ok(())
    }

    /// Forget, in finished states kept here, what no path read (`clean_live_states()`).
    fn clean_kept(&mut self, pc: usize) -> Checked {
        for i in 0..self.explored[pc].len() {
            let id = self.explored[pc][i].id;
            let st = self.arena.get(id)?;
            if st.branches > 0 || st.frames[0].regs[0].live.any(Live::DONE) {
                continue;
            }
            if self.has(Feature::ExactLoops)
                && let Some(e) = self.loop_entry(id)?
                && self.arena.get(e)?.branches > 0
            {
                continue;
            }
            if !self.arena.get(id)?.same_callsites(&self.cur) {
                continue;
            }
            let st = self.arena.get_mut(id)?;
            for frame in &mut st.frames {
                for r in frame.regs.iter_mut().take(10) {
                    let live = r.live;
                    if !live.any(Live::READ) {
                        *r = Reg { live, link: r.link, ..Reg::NOT_INIT };
                    }
                    r.live.set(Live::DONE);
                }
                for s in &mut frame.stack {
                    let live = s.reg.live;
                    if !live.any(Live::READ) {
                        s.reg = Reg { live, link: s.reg.link, ..Reg::NOT_INIT };
                        s.bytes = [Byte::Invalid; 8];
                    }
                    s.reg.live.set(Live::DONE);
                }
            }
        }
        Ok(())
    }

    fn covers(&self, id: StateId, level: Level) -> Checked<bool> {
        let old = self.arena.get(id)?;
        let cur = &self.cur;
        if old.frames.len() != cur.frames.len() {
            return Ok(false);
        }
        let strict = self.has(Feature::RangeIds);
        let mut ids = Ids { pairs: Vec::new(), fresh: self.id_gen, strict };
        match (old.lock, cur.lock) {
            (None, None) => {}
            (Some(a), Some(b)) if a.owner == b.owner => {
                let same = if strict { ids.check(a.id, b.id) } else { a.id == b.id };
                if !same {
                    return Ok(false);
                }
            }
            _ => return Ok(false),
        }
        if old.rcu_locks != cur.rcu_locks
            || old.preempt_locks != cur.preempt_locks
            || old.irqs.len() != cur.irqs.len()
            || old.in_sleepable != cur.in_sleepable
            || old.refs.len() != cur.refs.len()
        {
            return Ok(false);
        }
        for (a, b) in old.frames.iter().zip(&cur.frames) {
            if a.callsite != b.callsite {
                return Ok(false);
            }
            if self.has(Feature::CallbackUnrolling) && a.callback_depth > b.callback_depth {
                return Ok(false);
            }
            if !strict {
                ids.pairs.clear();
            }
            for i in 0..11 {
                if !self.reg_covers(&a.regs[i], &b.regs[i], &mut ids, level) {
                    return Ok(false);
                }
            }
            if !self.stack_covers(a, b, &mut ids, level) {
                return Ok(false);
            }
        }
        if !old.irqs.iter().zip(&cur.irqs).all(|(a, b)| ids.check(a.id, b.id)) {
            return Ok(false);
        }
        for (a, b) in old.refs.iter().zip(&cur.refs) {
            let same = if strict { ids.check(a.id, b.id) } else { a == b };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn reg_covers(&self, old: &Reg, cur: &Reg, ids: &mut Ids, level: Level) -> bool {
        let exact = |ids: &mut Ids| {
            old.same_value(cur) && ids.check(old.id, cur.id) && ids.check(old.ref_id, cur.ref_id)
        };
        if level == Level::Exact {
            return exact(ids);
        }
        if level == Level::Safe && !old.live.any(Live::READ) {
            return true;
        }
        if !ids.strict {
            return self.reg_covers_early(old, cur, ids);
        }
        if old.ty.base == Base::NotInit && (level == Level::Safe || cur.ty.base == Base::NotInit) {
            return true;
        }
        if old.ty != cur.ty {
            return false;
        }
        match old.ty.base {
            Base::Scalar => {
                if !old.precise && level == Level::Safe {
                    return true;
                }
                if self.has(Feature::LinkedDeltas) {
                    if old.id != 0 && old.id & ADD_CONST != cur.id & ADD_CONST {
                        return false;
                    }
                    if old.id & ADD_CONST != 0 && old.off != cur.off {
                        return false;
                    }
                }
                ids.check_scalar(old.id, cur.id) && old.v.covers(&cur.v, self.d)
            }
            Base::MapKey | Base::MapValue | Base::Mem | Base::Buf | Base::TpBuffer => {
                old.same_shape(cur)
                    && old.v.covers(&cur.v, self.d)
                    && ids.check(old.id, cur.id)
                    && ids.check(old.ref_id, cur.ref_id)
            }
            Base::Packet | Base::PacketMeta => {
                if !packet_range_covers(old, cur) || old.off != cur.off || !ids.check(old.id, cur.id) {
                    return false;
                }
                // With constants in the bits a packet pointer's distance from its base is where its range begins.
                let arcs = self.d.deduce >= Deduce::Arcs;
                if arcs && old.id != 0 && old.v.arc64().base() != cur.v.arc64().base() {
                    return false;
                }
                old.v.covers(&cur.v, self.d)
            }
            Base::Stack => exact(ids) && old.frame == cur.frame,
            Base::Arena => true,
            _ => exact(ids),
        }
    }

    /// Before 6.3 equality was tried first, ids included, and few kinds had rules of their own.
    fn reg_covers_early(&self, old: &Reg, cur: &Reg, ids: &mut Ids) -> bool {
        let equal = old.same_value(cur) && old.id == cur.id && old.ref_id == cur.ref_id;
        if old.ty.is(Base::Stack) {
            return equal && old.frame == cur.frame;
        }
        if equal || old.ty.base == Base::NotInit {
            return true;
        }
        if cur.ty.base == Base::NotInit {
            return false;
        }
        match old.ty.base {
            Base::Scalar => cur.is_scalar() && (!old.precise || old.v.covers(&cur.v, self.d)),
            Base::MapKey | Base::MapValue => {
                if old.ty.flags.any(Flags::MAYBE_NULL) {
                    return cur.ty.flags.any(Flags::MAYBE_NULL)
                        && old.same_shape(cur)
                        && ids.check(old.id, cur.id);
                }
                old.same_shape(cur) && old.v.covers(&cur.v, self.d)
            }
            Base::Packet | Base::PacketMeta => {
                cur.ty == old.ty
                    && packet_range_covers(old, cur)
                    && old.off == cur.off
                    && (old.id == 0 || ids.check(old.id, cur.id))
                    && old.v.covers(&cur.v, self.d)
            }
            _ => false,
        }
    }

    fn stack_covers(&self, old: &Frame, cur: &Frame, ids: &mut Ids, level: Level) -> bool {
        let fills = self.has(Feature::SpillAnyScalar);
        for (s, o) in old.stack.iter().enumerate() {
            let c = cur.stack.get(s);
            if level == Level::Exact || (level == Level::Ranges && !self.has(Feature::StaticLiveness)) {
                match c {
                    Some(c) if c.bytes == o.bytes => {}
                    _ => return false,
                }
            }
            if level == Level::Safe && !o.reg.live.any(Live::READ) {
                continue;
            }
            if !self.slot_covers(o, c, ids, level, fills) {
                return false;
            }
        }
        true
    }

    fn slot_covers(
        &self,
        o: &StackSlot,
        c: Option<&StackSlot>,
        ids: &mut Ids,
        level: Level,
        fills: bool,
    ) -> bool {
        let mut i = 0;
        while i < 8 {
            let ob = o.bytes[i];
            // A privileged program may read anything where the old state had something or nothing known.
            if matches!(ob, Byte::Invalid | Byte::Misc) {
                i += 1;
                continue;
            }
            let Some(c) = c else { return false };
            if fills && let (Some(a), Some(b)) = (scalar_of(o), scalar_of(c)) {
                return self.reg_covers(&a, &b, ids, level);
            }
            if ob != c.bytes[i] {
                return false;
            }
            if i == 7 {
                let same = match ob {
                    Byte::Spill => self.reg_covers(&o.reg, &c.reg, ids, level),
                    Byte::Dynptr => {
                        o.reg.data == c.reg.data
                            && ids.check(o.reg.ref_id, c.reg.ref_id)
                            && (!self.has(Feature::RefsInState) || ids.check(o.reg.id, c.reg.id))
                    }
                    Byte::Iter => {
                        let key = |r: &Reg| match r.data {
                            Data::Iter { id, state, .. } => Some((id, state)),
                            _ => None,
                        };
                        key(&o.reg) == key(&c.reg) && ids.check(o.reg.ref_id, c.reg.ref_id)
                    }
                    Byte::Irq => ids.check(o.reg.ref_id, c.reg.ref_id),
                    Byte::Misc | Byte::Zero | Byte::Invalid => true,
                };
                if !same {
                    return false;
                }
            }
            i += 1;
        }
        true
    }

    // Loop entries: from which unfinished state a state's paths run back into themselves.

    fn loop_entry(&mut self, id: StateId) -> Checked<Option<StateId>> {
        let mut top = self.arena.get(id)?.loop_entry;
        let mut steps = 0;
        while let Some(t) = top {
            match self.arena.get(t)?.loop_entry {
                Some(next) if next != t && steps < 1 << 20 => top = Some(next),
                _ => break,
            }
            steps += 1;
        }
        let mut at = Some(id);
        while let Some(a) = at {
            let st = self.arena.get_mut(a)?;
            if st.loop_entry == top {
                break;
            }
            at = st.loop_entry;
            st.loop_entry = top;
        }
        Ok(top)
    }

    /// The path at hand (`None`), or a kept state, runs back to `head`.
    fn update_loop_entry(&mut self, of: Option<StateId>, head: StateId) -> Checked {
        let depth_of = match of {
            Some(id) => match self.loop_entry(id)? {
                Some(e) => self.arena.get(e)?.dfs_depth,
                None => self.arena.get(id)?.dfs_depth,
            },
            None => match self.cur.loop_entry {
                Some(e) => {
                    let top = self.loop_entry(e)?.unwrap_or(e);
                    self.arena.get(top)?.dfs_depth
                }
                None => self.cur.dfs_depth,
            },
        };
        let head_top = self.loop_entry(head)?.unwrap_or(head);
        let h = self.arena.get(head_top)?;
        if h.branches > 0 && h.dfs_depth <= depth_of {
            match of {
                Some(id) => self.arena.get_mut(id)?.loop_entry = Some(head),
                None => self.cur.loop_entry = Some(head),
            }
            self.arena.get_mut(head)?.used_as_loop_entry = true;
        }
        Ok(())
    }

    /// The path at hand is finished: its parents have one path less to wait for (`update_branch_counts()`).
    pub(super) fn finish_path(&mut self) -> Checked {
        self.cur.branches = self.cur.branches.saturating_sub(1);
        let (mut entry, mut parent) = (self.cur.loop_entry, self.cur.parent);
        while let Some(id) = parent {
            if let Some(e) = entry {
                self.update_loop_entry(Some(id), e)?;
            }
            let st = self.arena.get_mut(id)?;
            st.branches = st.branches.saturating_sub(1);
            if st.branches > 0 {
                break;
            }
            (entry, parent) = (st.loop_entry, st.parent);
        }
        Ok(())
    }
}

fn inherit_read(arena: &mut super::state::Arena, flag: Live, cur: &mut Reg) {
    let have = cur.live.read();
    if have == Live::READ64 || have == flag {
        return;
    }
    cur.live.set(flag);
    if flag == Live::READ64 {
        cur.live.0 &= !Live::READ32.0;
    }
    arena.mark_read(Some(cur.live), cur.link, flag);
}

fn packet_range_covers(old: &Reg, cur: &Reg) -> bool {
    let (o, c) = (old.range(), cur.range());
    if o < 0 || c < 0 { o == c } else { o <= c }
}

/// A slot as one scalar, if it can be read as one (`scalar_reg_for_stack()`).
fn scalar_of(s: &StackSlot) -> Option<Reg> {
    if s.is_full_scalar_spill() {
        return Some(s.reg);
    }
    s.bytes
        .iter()
        .all(|b| matches!(b, Byte::Misc | Byte::Invalid))
        .then_some(Reg { live: s.reg.live, ..Reg::UNKNOWN })
}

fn iter_depths_differ(old: &State, cur: &State) -> bool {
    old.frames.iter().zip(&cur.frames).any(|(a, b)| {
        a.stack.iter().enumerate().any(|(i, s)| {
            s.bytes[0] == Byte::Iter
                && match (s.reg.data, b.stack.get(i).map(|x| x.reg.data)) {
                    (
                        Data::Iter { state: super::reg::IterState::Active, depth: x, .. },
                        Some(Data::Iter { depth: y, .. }),
                    ) => x != y,
                    _ => false,
                }
        })
    })
}
