//! Spin locks and timers in map values.
//!
//! `process_spin_lock()`, `process_timer_func()` (kernel/bpf/verifier.c).

use super::args::Call;
use super::env::Env;
use super::helper::id;
use super::profile::Release;
use super::program::MapType;
use super::record::FieldKind;
use super::reg::{Data, Reg};
use super::report::{Checked, reject, unmodelled};
use super::state::{Lock, LockOwner};

impl Env<'_> {
    /// True if what the register points to may hold a spin lock: then its id is kept to tell locks apart.
    pub(super) fn may_hold_lock(&self, r: &Reg) -> bool {
        self.record_of(r).is_some_and(|x| x.has(FieldKind::SpinLock) || x.has(FieldKind::ResSpinLock))
    }

    pub(super) fn spin_lock_arg(&mut self, r: u8, reg: &Reg, func: u32) -> Checked {
        if self.in_tree_callback() {
            reject!(Lock, "can't spin_{{lock,unlock}} in rbtree cb");
        }
        if !reg.v.t.is_const() {
            reject!(
                Lock,
                "R{r} doesn't have constant offset. bpf_spin_lock has to be at the constant offset"
            );
        }
        let map = reg.map().map(|m| (m, self.map(m).name.as_str()));
        if let Some((map, name)) = map
            && !self.map_has_btf(map)
        {
            reject!(Lock, "map '{name}' has to have BTF in order to use bpf_spin_lock");
        }
        let Some(at) = self.record_of(reg).and_then(|x| x.offset_of(FieldKind::SpinLock)) else {
            match map {
                Some((_, name)) if self.profile.release < Release::new(6, 2) => {
                    reject!(Lock, "map '{name}' doesn't have 'struct bpf_spin_lock'")
                }
                Some((_, name)) => reject!(Lock, "map '{name}' has no valid bpf_spin_lock"),
                None => reject!(Lock, "local 'kptr' has no valid bpf_spin_lock"),
            }
        };
        let off = self.fixed_offset(reg);
        if off != at as i64 {
            reject!(Lock, "off {off} doesn't point to 'struct bpf_spin_lock' that is at {at}");
        }
        let owner = map.map_or(LockOwner::Object, |(m, _)| LockOwner::Map(m));
        let lock = Lock { owner, id: reg.id };
        if func == id::SPIN_LOCK {
            if self.cur.lock.is_some() {
                reject!(Lock, "Locking two bpf_spin_locks are not allowed");
            }
            self.cur.lock = Some(lock);
            return Ok(());
        }
        match self.cur.lock {
            None => reject!(Lock, "bpf_spin_unlock without taking a lock"),
            Some(held) if held != lock => reject!(Lock, "bpf_spin_unlock of different lock"),
            Some(_) => {
                let in_rcu = self.in_rcu();
                self.cur.lock = None;
                if in_rcu && !self.in_rcu() && self.profile.release >= Release::new(7, 0) {
                    self.forget_rcu();
                }
                self.forget_non_owning();
                Ok(())
            }
        }
    }

    pub(super) fn timer_arg(&mut self, r: u8, reg: &Reg, call: &mut Call) -> Checked {
        let Data::Map { map, uid } = reg.data else { unmodelled!("timer without map") };
        let m = self.map(map);
        if !reg.v.t.is_const() {
            reject!(
                MapFieldAccess,
                "R{r} doesn't have constant offset. bpf_timer has to be at the constant offset"
            );
        }
        if !self.map_has_btf(map) {
            reject!(MapFieldAccess, "map '{}' has to have BTF in order to use bpf_timer", m.name);
        }
        let Some(at) = self.map_record(map).offset_of(FieldKind::Timer) else {
            reject!(MapFieldAccess, "map '{}' has no valid bpf_timer", m.name);
        };
        let off = reg.off as i64 + reg.v.t.value as i64;
        if off != at as i64 {
            reject!(MapFieldAccess, "off {off} doesn't point to 'struct bpf_timer' that is at {at}");
        }
        if call.map.is_some() {
            reject!(Misconfigured, "verifier bug. Two map pointers in a timer helper");
        }
        if m.kind == MapType::STRUCT_OPS {
            unmodelled!("struct_ops");
        }
        call.map = Some((map, uid));
        Ok(())
    }
}
