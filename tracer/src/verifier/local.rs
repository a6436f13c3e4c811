//! Objects that a program allocates: what of them is special, making them, giving them back.
//!
//! An object is a pointer into the program's own BTF with `MEM_ALLOC`; while the program owns it, it carries a
//! reference. `check_special_kfunc()`, `check_kfunc_args()` (kernel/bpf/verifier.c, 6.2 on). It must not know lists and
//! trees ([`super::graph`]).

use super::btf::{Type as T, TypeId};
use super::env::Env;
use super::kfunc::Meta;
use super::profile::Release;
use super::record::{FieldKind, Record};
use super::reg::{Base, BtfOf, Data, Flags, Reg, Type};
use super::report::{Checked, reject, unmodelled};

/// The largest object for each CPU (BPF_GLOBAL_PERCPU_MA_MAX_SIZE).
const MAX_PERCPU: u32 = 512;

/// How an allocating kernel function is called since it hides its last argument (7.0), and before.
pub(super) fn plain_name(name: &str) -> &str {
    name.strip_suffix("_impl").unwrap_or(name)
}

impl Env<'_> {
    /// The special fields of what a register points to (`reg_btf_record()`).
    pub(super) fn record_of(&self, reg: &Reg) -> Option<&Record> {
        match reg.data {
            Data::Map { map, .. } if reg.ty.is(Base::MapValue) => {
                Some(self.map_record(map)).filter(|r| !r.fields.is_empty())
            }
            Data::Btf { of: BtfOf::Program, id } if reg.ty.flags.any(Flags::ALLOC) => self.locals.get(&id),
            _ => None,
        }
    }

    /// The constant part of a pointer's offset, wherever this kernel keeps it.
    pub(super) fn fixed_offset(&self, reg: &Reg) -> i64 {
        i64::from(reg.off) + reg.v.t.value as i64
    }

    /// A fresh object of the type that the program names by its number.
    pub(super) fn new_object(&self, percpu: bool, meta: &Meta) -> Checked<Reg> {
        let Some(number) = meta.constant else { unmodelled!("internal: an object without type") };
        let Ok(number) = u32::try_from(number) else {
            reject!(Kfunc, "local type ID argument must be in range [0, U32_MAX]");
        };
        let Some(btf) = self.prog.btf.as_deref() else {
            reject!(Kfunc, "bpf_obj_new/bpf_percpu_obj_new requires prog BTF");
        };
        let id = TypeId(number);
        let Some(T::Struct(s)) = btf.get(id) else {
            reject!(Kfunc, "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct");
        };
        let mut flags = Flags::ALLOC;
        if percpu {
            if s.size > MAX_PERCPU {
                reject!(Kfunc, "bpf_percpu_obj_new type size ({}) is greater than {MAX_PERCPU}", s.size);
            }
            if !super::kfunc_args::is_scalar_struct(btf, id, 0) {
                reject!(Kfunc, "bpf_percpu_obj_new type ID argument must be of a struct of scalars");
            }
            if self.locals.contains_key(&id) {
                reject!(Kfunc, "bpf_percpu_obj_new type ID argument must not contain special fields");
            }
            flags = flags.with(Flags::PERCPU);
        }
        Ok(Reg::pointer(Type::new(Base::BtfId, flags), Data::Btf { of: BtfOf::Program, id }))
    }

    /// An object to give back: owned, and of the kind that the function takes.
    pub(super) fn owned_object_arg(&self, at: &str, name: &str, reg: &Reg, meta: &mut Meta) -> Checked {
        let late = self.profile.release >= Release::new(7, 0);
        let suffix = if late { "" } else { "_impl" };
        let wanted = plain_name(name);
        let flags = reg.ty.flags;
        let expected = match flags {
            _ if reg.ty.base != Base::BtfId => None,
            Flags::ALLOC => Some("bpf_obj_drop"),
            f if f == Flags::ALLOC.with(Flags::PERCPU) => Some("bpf_percpu_obj_drop"),
            _ => None,
        };
        match expected {
            None => reject!(ArgType, "{at} expected pointer to allocated object"),
            Some(e) if e != wanted => reject!(ArgType, "{at} expected for {e}{suffix}()"),
            Some(_) => {}
        }
        self.owned(reg)?;
        meta.object = Some(reg.data);
        Ok(())
    }

    /// The program owns the object.
    pub(super) fn owned(&self, reg: &Reg) -> Checked {
        if reg.ref_id == 0 {
            reject!(Reference, "allocated object must be referenced");
        }
        Ok(())
    }

    /// An object that counts its owners.
    pub(super) fn refcounted_arg(&self, at: &str, reg: &Reg, meta: &mut Meta) -> Checked {
        if reg.ty.base != Base::BtfId || !reg.ty.flags.any(Flags::ALLOC) {
            reject!(ArgType, "{at} is neither owning or non-owning ref");
        }
        if !reg.ty.flags.any(Flags::NON_OWN_REF)
            && (reg.ref_id != 0 || self.profile.release < Release::new(7, 0))
        {
            meta.owning = true;
        }
        let Some(record) = self.record_of(reg) else {
            reject!(Misconfigured, "verifier internal error: Couldn't find btf_record");
        };
        if !record.has(FieldKind::Refcount) {
            reject!(ArgType, "{at} doesn't point to a type with bpf_refcount field");
        }
        meta.object = Some(reg.data);
        Ok(())
    }

    /// Another owner of the object that was handed in.
    pub(super) fn another_owner(&self, meta: &Meta) -> Checked<Reg> {
        match meta.object {
            Some(data) => Ok(Reg::pointer(Type::new(Base::BtfId, Flags::ALLOC), data)),
            None => unmodelled!("internal: an owner without object"),
        }
    }
}
