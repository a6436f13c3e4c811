//! Functions that helpers and kernel functions call back.
//!
//! One that is called while the caller waits is walked from a fork of the path, and on its return the call is walked
//! again, until nothing new comes of it; one that runs later is walked from an empty state. `push_callback_call()` and
//! the `set_*_callback_state()` functions (kernel/bpf/verifier.c). It must not know the arguments' own rules.

use super::args::Call;
use super::env::{Env, MAX_FRAMES};
use super::feature::Feature;
use super::helper::id;
use super::profile::Release;
use super::program::MapType;
use super::record::FieldKind;
use super::reg::{Base, BtfOf, Data, DynptrKind, Flags, MapId, Reg, Type};
use super::report::{Checked, reject, unmodelled};
use super::state::{Entry, Frame, State};

/// What calls back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Caller {
    /// bpf_loop.
    Loop,
    /// bpf_for_each_map_elem, over this map.
    ForEach(Option<MapId>),
    /// bpf_timer_set_callback.
    Timer,
    /// bpf_wq_set_callback.
    Workqueue,
    /// bpf_find_vma.
    FindVma,
    /// bpf_user_ringbuf_drain.
    Drain,
    /// bpf_rbtree_add: which of two nodes comes first?
    Less,
}

impl Caller {
    /// The helper that a call names, if it calls back.
    pub(super) fn of(call: &Call) -> Option<Self> {
        Some(match call.func {
            id::LOOP => Self::Loop,
            id::FOR_EACH_MAP_ELEM => Self::ForEach(call.map.map(|(map, _)| map)),
            id::TIMER_SET_CALLBACK => Self::Timer,
            id::FIND_VMA => Self::FindVma,
            id::USER_RINGBUF_DRAIN => Self::Drain,
            _ => return None,
        })
    }

    /// It runs after the caller went on.
    fn is_async(self) -> bool {
        matches!(self, Self::Timer | Self::Workqueue)
    }
}

impl Env<'_> {
    /// A helper that calls back.
    pub(super) fn call_callback_of(&mut self, call: &Call) -> Checked {
        match Caller::of(call) {
            Some(how) => self.call_callback(how, call.subprog),
            None => unmodelled!("callback of this helper"),
        }
    }

    /// A function called back by what is called here (`push_callback_call()`).
    pub(super) fn call_callback(&mut self, how: Caller, sub: Option<u32>) -> Checked {
        let Some(sub) = sub else { unmodelled!("callback without function") };
        self.subprogs[sub as usize].is_callback = true;
        let caller: [Reg; 6] = std::array::from_fn(|i| *self.cur.reg(i as u8));
        let start = self.subprogs[sub as usize].start;
        let pc = self.pc;
        if how.is_async() {
            self.subprogs[sub as usize].is_async = true;
            let mut frame = Frame::new(sub, u32::MAX, 0, Entry::AsyncCallback);
            frame.async_depth = self.cur.frame().async_depth + 1;
            frame.callback_ret = (0, 1);
            self.set_callback_args(&mut frame, how, &caller)?;
            let sleepable = self.prog.sleepable() || how == Caller::Workqueue;
            let state = State::new(start, frame, sleepable);
            if self.waiting.len() + 1 > super::env::MAX_WAITING {
                reject!(
                    TooComplex,
                    "The sequence of {} jumps is too complex for async cb.",
                    self.waiting.len() + 1
                );
            }
            self.waiting.push(super::env::Waiting { state, at: start, from: pc });
            return Ok(());
        }
        if !self.has(Feature::CallbackUnrolling) {
            // Walked once, in line, after the call's own effects: see `enter_callback`.
            return Ok(());
        }
        self.fork(start, pc)?;
        let Some(mut w) = self.waiting.pop() else { return Ok(()) };
        let depth = w.state.frames.len();
        if depth >= MAX_FRAMES {
            reject!(CallTooDeep, "the call stack of {} frames is too deep", depth + 1);
        }
        let mut frame = Frame::new(sub, pc, depth as u8, Entry::Callback);
        frame.callback_ret = (0, 1);
        self.set_callback_args(&mut frame, how, &caller)?;
        w.state.frames.push(frame);
        w.state.callback_unroll_depth += 1;
        w.state.frames[depth - 1].callback_depth += 1;
        self.waiting.push(w);
        self.cur.frame_mut().callback_depth = 0;
        Ok(())
    }

    /// Before 6.7 a callback was walked once, as if called in place of the helper (`__check_func_call()`).
    pub(super) fn enter_callback(&mut self, call: &Call, caller: &[Reg; 6]) -> Checked<Option<u32>> {
        let (Some(sub), Some(how)) = (call.subprog, Caller::of(call)) else { return Ok(None) };
        if how.is_async() || self.has(Feature::CallbackUnrolling) {
            return Ok(None);
        }
        let depth = self.cur.frames.len();
        if depth >= MAX_FRAMES {
            reject!(CallTooDeep, "the call stack of {} frames is too deep", depth + 1);
        }
        let mut frame = Frame::new(sub, self.pc, depth as u8, Entry::Callback);
        frame.callback_ret = (0, 1);
        self.set_callback_args(&mut frame, how, caller)?;
        self.cur.frames.push(frame);
        Ok(Some(self.subprogs[sub as usize].start))
    }

    fn set_callback_args(&mut self, frame: &mut Frame, how: Caller, caller: &[Reg; 6]) -> Checked {
        match how {
            Caller::Loop => {
                frame.regs[1] = Reg::UNKNOWN;
                frame.regs[2] = caller[3];
            }
            Caller::ForEach(map) => {
                let Some(map) = map else { unmodelled!("callback without map") };
                if self.aux[self.pc as usize].call_map == Some(None) && !self.has(Feature::AnyMapForEach) {
                    reject!(MapIncompatible, "tail_call abusing map_ptr");
                }
                let data = Data::Map { map, uid: 0 };
                let kind = self.map(map).kind;
                frame.regs[1] = Reg::pointer(Type::plain(Base::ConstMap), data);
                match kind {
                    MapType::HASH | MapType::LRU_HASH | MapType::PERCPU_HASH | MapType::LRU_PERCPU_HASH => {
                        frame.regs[2] = Reg::pointer(Type::plain(Base::MapKey), data);
                        frame.regs[3] = self.callback_value(map);
                    }
                    MapType::ARRAY | MapType::PERCPU_ARRAY => {
                        frame.regs[2] = Reg::pointer(Type::plain(Base::MapKey), data);
                        frame.regs[3] = self.callback_value(map);
                    }
                    _ => reject!(MapIncompatible, "callback function not allowed for map"),
                }
                frame.regs[4] = caller[3];
            }
            Caller::Timer | Caller::Workqueue => {
                let Some(map) = caller[1].map() else { unmodelled!("timer without map") };
                let data = Data::Map { map, uid: 0 };
                frame.regs[1] = Reg::pointer(Type::plain(Base::ConstMap), data);
                frame.regs[2] = Reg::pointer(Type::plain(Base::MapKey), data);
                frame.regs[3] = Reg::pointer(Type::plain(Base::MapValue), data);
            }
            Caller::FindVma => {
                frame.regs[1] = caller[1];
                let Some(vma) = self.profile.kernel_struct("vm_area_struct") else {
                    unmodelled!("find_vma without BTF")
                };
                let flags =
                    if self.profile.release >= Release::new(6, 12) { Flags::TRUSTED } else { Flags::NONE };
                let flags = if self.profile.release >= Release::new(6, 18) { flags } else { Flags::NONE };
                frame.regs[2] =
                    Reg::pointer(Type::new(Base::BtfId, flags), Data::Btf { of: BtfOf::Kernel, id: vma });
                frame.regs[3] = caller[4];
            }
            Caller::Drain => {
                let id = self.next_id();
                frame.regs[1] = Reg {
                    id,
                    ..Reg::pointer(
                        Type::plain(Base::Dynptr),
                        Data::Dynptr { kind: DynptrKind::Local, first: true },
                    )
                };
                frame.regs[2] = caller[3];
            }
            Caller::Less => {
                let root = caller[1];
                let at = self.fixed_offset(&root);
                let field = self.record_of(&root).and_then(|r| r.find(at, |k| k == FieldKind::RbRoot));
                let Some(node) = field.and_then(|f| self.graph_node(f.target)) else {
                    unmodelled!("internal: a callback without a tree")
                };
                let node = self.non_owning(node);
                frame.regs[1] = node;
                frame.regs[2] = node;
            }
        }
        Ok(())
    }

    fn callback_value(&mut self, map: MapId) -> Reg {
        Reg::pointer(Type::plain(Base::MapValue), Data::Map { map, uid: 0 })
    }
}
