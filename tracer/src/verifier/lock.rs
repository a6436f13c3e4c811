//! Spin locks and timers in map values.
//!
//! `process_spin_lock()`, `process_timer_func()` (kernel/bpf/verifier.c).

use super::args::Call;
use super::env::Env;
use super::helper::id;
use super::program::MapType;
use super::reg::{Base, Data, Reg};
use super::report::{Checked, reject, unmodelled};
use super::state::{Lock, LockOwner};

impl Env<'_> {
    /// True if what the register points to may hold a spin lock: then its id is kept to tell locks apart.
    pub(super) fn may_hold_lock(&self, r: &Reg) -> bool {
        r.ty.base == Base::MapValue && r.map().is_some_and(|m| self.map_record(m).spin_lock.is_some())
    }

    pub(super) fn spin_lock_arg(&mut self, r: u8, reg: &Reg, func: u32) -> Checked {
        if reg.ty.base == Base::BtfId {
            unmodelled!("locks in allocated objects");
        }
        let Data::Map { map, .. } = reg.data else { unmodelled!("lock without map") };
        let m = self.map(map);
        if !reg.v.t.is_const() {
            reject!(
                Lock,
                "R{r} doesn't have constant offset. bpf_spin_lock has to be at the constant offset"
            );
        }
        if m.btf_value.is_none() {
            reject!(Lock, "map '{}' has to have BTF in order to use bpf_spin_lock", m.name);
        }
        let Some(at) = self.map_record(map).spin_lock else {
            if self.profile.release < super::profile::Release::new(6, 2) {
                reject!(Lock, "map '{}' doesn't have 'struct bpf_spin_lock'", m.name);
            }
            reject!(Lock, "map '{}' has no valid bpf_spin_lock", m.name);
        };
        let off = reg.off as i64 + reg.v.t.value as i64;
        if off != at as i64 {
            reject!(Lock, "off {off} doesn't point to 'struct bpf_spin_lock' that is at {at}");
        }
        let lock = Lock { owner: LockOwner::Map(map), id: reg.id };
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
                self.cur.lock = None;
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
        if m.btf_value.is_none() {
            reject!(MapFieldAccess, "map '{}' has to have BTF in order to use bpf_timer", m.name);
        }
        let Some(at) = self.map_record(map).timer else {
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
