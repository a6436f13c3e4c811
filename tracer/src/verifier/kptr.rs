//! Pointers to objects that maps and other objects keep (`__kptr`, `__kptr_untrusted`, `__percpu_kptr`, `__uptr`).
//!
//! A load gives a pointer that may be null, trusted as far as RCU goes; only bpf_kptr_xchg() puts one with a reference
//! in, and gives what was there out, with its reference. `check_map_kptr_access()`, `map_kptr_match_type()`,
//! `process_kptr_func()` (kernel/bpf/verifier.c, 5.19 on). It must not know where a field lies ([`super::record`]).

use super::args::Call;
use super::btf_access::Match;
use super::env::Env;
use super::feature::Feature;
use super::insn::mode;
use super::memory::{Access, Fixed};
use super::profile::Release;
use super::record::{FieldKind, SpecialField, Target};
use super::reg::{Base, BtfOf, Data, Flags, Reg, Type};
use super::report::{Checked, reject, unmodelled};

/// Kernel objects that live until an RCU grace period has passed (`rcu_protected_types`).
const RCU_PROTECTED: &[&str] =
    &["prog_test_ref_kfunc", "cgroup", "bpf_cpumask", "task_struct", "bpf_crypto_ctx"];

impl Env<'_> {
    /// A load or store of a pointer that a map's value keeps; what a load gives.
    pub(super) fn access_kptr(
        &mut self,
        field: &SpecialField,
        into: Option<u8>,
        value: Option<u8>,
        how: Access,
    ) -> Checked<Reg> {
        let insn = self.insn();
        if insn.mode() != mode::MEM {
            reject!(MapFieldAccess, "kptr in map can only be accessed using BPF_MEM instruction mode");
        }
        let load = matches!(how, Access::Load { .. }) && into.is_some();
        if !load && matches!(field.kind, FieldKind::KptrRef | FieldKind::KptrPercpu) {
            reject!(MapFieldAccess, "store to referenced kptr disallowed");
        }
        if !load && field.kind == FieldKind::Uptr {
            reject!(MapFieldAccess, "store to uptr disallowed");
        }
        if load {
            return self.loaded_kptr(field);
        }
        match value {
            Some(r) => {
                let reg = *self.cur.reg(r);
                if !reg.is_null() {
                    self.kptr_matches(field, r, &reg)?;
                } else if self.profile.release >= Release::new(7, 2) {
                    self.mark_precise(r)?;
                }
            }
            None if insn.imm != 0 => {
                reject!(MapFieldAccess, "BPF_ST imm must be 0 when storing to kptr at off={}", field.offset);
            }
            None => {}
        }
        Ok(Reg::UNKNOWN)
    }

    fn loaded_kptr(&mut self, field: &SpecialField) -> Checked<Reg> {
        let Target::Object { of, id } = field.target else { unmodelled!("internal: a kptr without type") };
        let number = self.next_id();
        if field.kind == FieldKind::Uptr {
            let Some(size) = self.btf_of(of)?.size_of(id) else { unmodelled!("uptr without size") };
            let ty = Type::new(Base::Mem, Flags::MAYBE_NULL);
            return Ok(Reg { id: number, ..Reg::pointer(ty, Data::Size(size)) });
        }
        let flags = Flags::MAYBE_NULL.with(self.trust_of_kptr(field, of, id)?);
        Ok(Reg { id: number, ..Reg::pointer(Type::new(Base::BtfId, flags), Data::Btf { of, id }) })
    }

    /// How far a loaded pointer can be trusted (`btf_ld_kptr_type()`).
    fn trust_of_kptr(&self, field: &SpecialField, of: BtfOf, id: super::btf::TypeId) -> Checked<Flags> {
        let protected = match of {
            BtfOf::Program => true,
            BtfOf::Kernel => RCU_PROTECTED.contains(&self.btf_of(of)?.name(id)),
        };
        let safe = field.kind == FieldKind::KptrPercpu || (field.kind == FieldKind::KptrRef && protected);
        if !safe || !self.in_rcu() || !self.has(Feature::RcuKptrs) {
            return Ok(Flags::UNTRUSTED);
        }
        let mut flags = Flags::RCU;
        if field.kind == FieldKind::KptrPercpu {
            flags = flags.with(Flags::PERCPU);
        } else if of == BtfOf::Program {
            flags = flags.with(Flags::ALLOC);
        }
        if of == BtfOf::Program && self.locals.get(&id).is_some_and(super::record::Record::has_node) {
            flags = flags.with(Flags::NON_OWN_REF);
        }
        Ok(flags)
    }

    /// The pointer is one that the field may hold (`map_kptr_match_type()`).
    pub(super) fn kptr_matches(&self, field: &SpecialField, r: u8, reg: &Reg) -> Checked {
        let Target::Object { of, id } = field.target else { unmodelled!("internal: a kptr without type") };
        let wanted = self.btf_of(of)?.name(id).to_owned();
        let flags = reg.ty.flags;
        let release = self.profile.release;
        let mut ok = false;
        let mut have = String::new();
        if let (Base::BtfId, Data::Btf { of: reg_of, id: reg_id }) = (reg.ty.base, reg.data) {
            let mut allowed = Flags::MAYBE_NULL;
            if reg_of == BtfOf::Program {
                allowed = allowed.with(Flags::ALLOC);
                if field.kind == FieldKind::KptrPercpu {
                    allowed = allowed.with(Flags::PERCPU);
                }
            } else {
                if release >= Release::new(6, 2) {
                    allowed = allowed.with(Flags::TRUSTED).with(Flags::RCU);
                }
                if field.kind == FieldKind::KptrUnref {
                    allowed = allowed.with(Flags::UNTRUSTED);
                }
            }
            let percpu_ok = release < Release::new(7, 2)
                || (field.kind == FieldKind::KptrPercpu) == flags.any(Flags::PERCPU);
            if flags.without(allowed) == Flags::NONE && percpu_ok {
                self.check_fixed_offset(reg, r, Fixed::Allowed)?;
                have = self.btf_of(reg_of)?.name(reg_id).to_owned();
                let how = if field.kind == FieldKind::KptrUnref { Match::Prefix } else { Match::Strict };
                ok = self.struct_matches((reg_of, reg_id), self.fixed_offset(reg), (of, id), how);
            }
        }
        if !ok {
            let plain = self.type_text(Type::plain(Base::BtfId));
            let or = if field.kind == FieldKind::KptrUnref {
                let untrusted = self.type_text(Type::new(Base::BtfId, Flags::UNTRUSTED));
                format!(" or {untrusted}{wanted}")
            } else {
                String::new()
            };
            reject!(
                ArgType,
                "invalid kptr access, R{r} type={}{have} expected={plain}{wanted}{or}",
                self.type_text(reg.ty)
            );
        }
        Ok(())
    }

    /// Where bpf_kptr_xchg() exchanges.
    pub(super) fn kptr_arg(&mut self, r: u8, reg: &Reg, call: &mut Call) -> Checked {
        let mut map_name = None;
        if let (Base::MapValue, Data::Map { map, uid }) = (reg.ty.base, reg.data) {
            let name = &self.map(map).name;
            if !self.map_has_btf(map) {
                reject!(MapFieldAccess, "map '{name}' has to have BTF in order to use bpf_kptr_xchg");
            }
            call.map = Some((map, uid));
            map_name = Some(name.clone());
        }
        if !reg.v.t.is_const() {
            reject!(
                MapFieldAccess,
                "R{r} doesn't have constant offset. kptr has to be at the constant offset"
            );
        }
        let Some(record) = self.record_of(reg).filter(|x| x.has_kptr()) else {
            match map_name {
                Some(name) if self.profile.release < Release::new(6, 2) => {
                    reject!(MapFieldAccess, "map '{name}' has no valid kptr")
                }
                _ => reject!(MapFieldAccess, "R{r} has no valid kptr"),
            }
        };
        let off = self.fixed_offset(reg);
        let Some(field) = record.find(off, |k| k.is_kptr() && k != FieldKind::Uptr) else {
            reject!(MapFieldAccess, "off={off} doesn't point to kptr");
        };
        if field.kind == FieldKind::KptrUnref {
            reject!(MapFieldAccess, "off={off} kptr isn't referenced kptr");
        }
        call.kptr = Some(field);
        Ok(())
    }

    /// What bpf_kptr_xchg() puts in.
    pub(super) fn exchange_matches(&self, r: u8, reg: &Reg, call: &Call) -> Checked {
        match &call.kptr {
            Some(field) => self.kptr_matches(field, r, reg),
            None => unmodelled!("internal: an exchange without field"),
        }
    }

    /// What bpf_kptr_xchg() gives out: what was there, or null.
    pub(super) fn exchanged_kptr(&self, call: &Call) -> Checked<Reg> {
        let Some(SpecialField { kind, target: Target::Object { of, id }, .. }) = call.kptr else {
            unmodelled!("internal: an exchange without field")
        };
        let mut flags = Flags::MAYBE_NULL;
        if of == BtfOf::Program {
            flags = flags.with(Flags::ALLOC);
            if kind == FieldKind::KptrPercpu {
                flags = flags.with(Flags::PERCPU);
            }
        }
        Ok(Reg::pointer(Type::new(Base::BtfId, flags), Data::Btf { of, id }))
    }

    /// What was handed in is the map's now. An object for each CPU may still be used under RCU.
    pub(super) fn release_to_kptr(&mut self, ref_id: u32, reg: &Reg) -> Checked<bool> {
        let percpu_object = Flags::ALLOC.with(Flags::PERCPU);
        let keeps = self.in_rcu()
            && reg.ty.flags.without(Flags::MAYBE_NULL).0 & percpu_object.0 == percpu_object.0
            && self.has(Feature::PercpuKptrs);
        if keeps {
            let one_id = self.profile.release >= Release::new(7, 0);
            let spills = self.spills();
            self.cur.for_each_reg(spills, |r| {
                if r.ref_id == ref_id {
                    r.ref_id = 0;
                    if one_id {
                        r.id = 0;
                    }
                    r.ty.flags = r.ty.flags.without(Flags::ALLOC).with(Flags::RCU);
                }
            });
        }
        self.release_reference(ref_id)
    }
}
