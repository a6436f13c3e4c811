//! Contexts that are a function's arguments: tp_btf, fentry, fexit, fmod_ret, iterators, LSM hooks.
//!
//! `btf_ctx_access()` (kernel/bpf/btf.c). The argument's type in the kernel's BTF decides: numbers are scalars,
//! pointers to structs can be walked, other pointers are numbers.

use super::super::btf::{Btf, Type as T, TypeId};
use super::super::env::Env;
use super::super::feature::Feature;
use super::super::memory::Dir;
use super::super::profile::Release;
use super::super::program::{AttachType, ProgType};
use super::super::reg::{Base, BtfOf, Data, Flags, Reg, Type};
use super::super::report::{Checked, unmodelled};
use super::super::value::Value;
use super::raw_tp::NULL_ARGS;

/// A slot of a raw tracepoint's context (`bpf_tracing_ctx_access()`).
pub(super) fn raw_slot(off: i64, size: u32, dir: Dir) -> bool {
    const MAX_ARGS: i64 = 12;
    (0..8 * MAX_ARGS).contains(&off) && dir == Dir::Read && off % size as i64 == 0
}

/// Offset in the context, what lies there, and the name of its type.
type IteratorArg = (i64, Base, Flags, &'static str);

/// Iterator targets: what their context's pointers are (`ctx_arg_info` of each `bpf_iter_reg`).
const ITERATORS: &[(&str, &[IteratorArg])] = &[
    ("bpf_map", &[(8, Base::BtfId, NULL_TRUSTED, "bpf_map")]),
    ("bpf_prog", &[(8, Base::BtfId, NULL_TRUSTED, "bpf_prog")]),
    ("bpf_link", &[(8, Base::BtfId, NULL_TRUSTED, "bpf_link")]),
    ("task", &[(8, Base::BtfId, NULL_TRUSTED, "task_struct")]),
    (
        "task_file",
        &[(8, Base::BtfId, Flags::MAYBE_NULL, "task_struct"), (24, Base::BtfId, Flags::MAYBE_NULL, "file")],
    ),
    (
        "task_vma",
        &[
            (8, Base::BtfId, Flags::MAYBE_NULL, "task_struct"),
            (16, Base::BtfId, Flags::MAYBE_NULL, "vm_area_struct"),
        ],
    ),
    ("cgroup", &[(8, Base::BtfId, NULL_TRUSTED, "cgroup")]),
    ("bpf_map_elem", &[(16, Base::Buf, NULL_RDONLY, ""), (24, Base::Buf, Flags::MAYBE_NULL, "")]),
    (
        "bpf_sk_storage_map",
        &[(16, Base::BtfId, Flags::MAYBE_NULL, "sock"), (24, Base::Buf, Flags::MAYBE_NULL, "")],
    ),
    ("sockmap", &[(16, Base::Buf, NULL_RDONLY, ""), (24, Base::BtfId, NULL_TRUSTED, "sock")]),
    ("netlink", &[(8, Base::BtfId, Flags::MAYBE_NULL, "netlink_sock")]),
    ("tcp", &[(8, Base::BtfId, NULL_TRUSTED, "sock_common")]),
    ("udp", &[(8, Base::BtfId, NULL_TRUSTED, "udp_sock")]),
    ("unix", &[(8, Base::BtfId, NULL_TRUSTED, "unix_sock")]),
    ("ipv6_route", &[(8, Base::BtfId, Flags::MAYBE_NULL, "fib6_info")]),
    ("ksym", &[(8, Base::BtfId, Flags::MAYBE_NULL, "kallsym_iter")]),
];

const NULL_TRUSTED: Flags = Flags(Flags::MAYBE_NULL.0 | Flags::TRUSTED.0);
const NULL_RDONLY: Flags = Flags(Flags::MAYBE_NULL.0 | Flags::RDONLY.0);

/// What a program is attached to.
pub(in super::super) struct Target {
    /// The function, or the tracepoint's callback type.
    pub name: String,
    pub proto: TypeId,
    /// A tracepoint's callback starts with an argument that programs do not see.
    pub hidden: usize,
}

impl Env<'_> {
    /// The function or tracepoint that the program attaches to, from the kernel's BTF.
    pub(in super::super) fn attach_target(&self) -> Option<Target> {
        if self.prog.kind == ProgType::STRUCT_OPS {
            return self.struct_ops_target();
        }
        let btf = self.profile.btf.as_ref()?;
        let id = self.prog.attach_btf_id;
        match btf.get(id)? {
            T::Func(f) => Some(Target { name: f.name.to_owned(), proto: f.proto, hidden: 0 }),
            T::Typedef { name, target } => {
                let T::Ptr(proto) = btf.get(target)? else { return None };
                let tp = name.strip_prefix("btf_trace_").unwrap_or(name);
                Some(Target { name: tp.to_owned(), proto, hidden: 1 })
            }
            _ => None,
        }
    }

    pub(super) fn btf_ctx_access(&self, off: i64, size: u32, dir: Dir) -> Checked<Option<Reg>> {
        let Some(btf) = self.profile.btf.clone() else { unmodelled!("tracing without BTF") };
        let Some(target) = self.attach_target() else { unmodelled!("attach target") };
        if matches!(self.prog.kind, ProgType::TRACING | ProgType::STRUCT_OPS) && !raw_slot(off, size, dir) {
            return Ok(None);
        }
        if off < 0 || off % 8 != 0 {
            return Ok(None);
        }
        if dir == Dir::Write {
            return Ok(None);
        }
        let Some(proto) = btf.proto(target.proto) else { unmodelled!("attach target") };
        let params: Vec<TypeId> = proto.params().map(|p| p.type_id).collect();
        let names: Vec<String> = proto.params().map(|p| p.name.to_owned()).collect();
        let Some(arg) = self.arg_index(&btf, &params, proto.ret, off, target.hidden) else { return Ok(None) };
        let count = params.len().saturating_sub(target.hidden);
        if arg > count {
            return Ok(None);
        }
        let mut is_retval = false;
        let id = if arg == count {
            match self.prog.attach {
                // The number of a member, not an attach type.
                _ if self.prog.kind == ProgType::STRUCT_OPS => return Ok(None),
                AttachType::LSM_MAC => {
                    is_retval = self.has(Feature::ReturnRanges);
                    proto.ret
                }
                AttachType::LSM_CGROUP | AttachType::TRACE_FEXIT => proto.ret,
                AttachType::MODIFY_RETURN => {
                    if !btf.resolve(proto.ret).is_some_and(|r| is_small_int(&btf, r)) {
                        return Ok(None);
                    }
                    proto.ret
                }
                _ => return Ok(None),
            }
        } else {
            match params.get(arg + target.hidden) {
                Some(p) => *p,
                None => return Ok(None),
            }
        };
        let Some(t) = btf.resolve(id) else { return Ok(None) };
        if is_small_int(&btf, t) || matches!(btf.get(t), Some(T::Enum(_) | T::Enum64(_) | T::Struct(_))) {
            let mut r = Reg::UNKNOWN;
            if is_retval && let Some((lo, hi)) = self.lsm_return_range() {
                r.v = range32(lo, hi, self);
            }
            return Ok(Some(r));
        }
        let Some(T::Ptr(pointee)) = btf.get(t) else { return Ok(None) };
        if size != 8 && self.profile.release >= Release::new(6, 12) {
            return Ok(None);
        }
        if self.prog.kind == ProgType::TRACING
            && self.prog.attach == AttachType::TRACE_ITER
            && let Some(r) = self.iterator_arg(&target.name, off)?
        {
            return Ok(Some(r));
        }
        if btf.resolve(pointee) == Some(TypeId::VOID) || pointee == TypeId::VOID {
            return Ok(Some(Reg::UNKNOWN));
        }
        let any_int = self.profile.release >= Release::new(6, 0);
        if btf
            .resolve(pointee)
            .is_some_and(|p| matches!(btf.get(p), Some(T::Int(i)) if any_int || i.size == 1))
        {
            return Ok(Some(Reg::UNKNOWN));
        }
        let mut flags = Flags::NONE;
        if self.has(Feature::TrustedPointers) && self.args_are_trusted(&target) {
            flags = flags.with(Flags::TRUSTED);
        }
        if arg < count && names.get(arg + target.hidden).is_some_and(|n| n.ends_with("__nullable")) {
            flags = flags.with(Flags::MAYBE_NULL);
        }
        let mut as_scalar = false;
        if self.prog.attach == AttachType::TRACE_RAW_TP && self.prog.kind == ProgType::TRACING {
            let bit = self.profile.table_bit();
            for (on, name, mask) in NULL_ARGS {
                if on & bit != 0 && *name == target.name {
                    if mask & (1 << (arg * 4)) != 0 {
                        flags = flags.with(Flags::MAYBE_NULL);
                    }
                    as_scalar = mask & (2 << (arg * 4)) != 0;
                }
            }
        }
        if let Some(T::TypeTag(tag)) = btf.get(pointee)
            && self.profile.release >= Release::new(5, 17)
        {
            match tag.name {
                "user" => flags = flags.with(Flags::USER),
                "percpu" => flags = flags.with(Flags::PERCPU),
                _ => {}
            }
        }
        let Some(sid) = btf.resolve(pointee) else { return Ok(None) };
        if !matches!(btf.get(sid), Some(T::Struct(_) | T::Union(_))) {
            return Ok(None);
        }
        if as_scalar {
            return Ok(Some(Reg::UNKNOWN));
        }
        Ok(Some(Reg::pointer(Type::new(Base::BtfId, flags), Data::Btf { of: BtfOf::Kernel, id: sid })))
    }

    /// Which argument lies at this offset: structs take as many slots as they need (from 6.1).
    fn arg_index(&self, btf: &Btf, params: &[TypeId], ret: TypeId, off: i64, hidden: usize) -> Option<usize> {
        if self.profile.release < Release::new(6, 1) {
            return Some((off / 8) as usize);
        }
        let width = |id: TypeId| -> i64 {
            match btf.resolve(id) {
                Some(t) if matches!(btf.get(t), Some(T::Ptr(_))) => 8,
                Some(t) => (btf.size_of(t).unwrap_or(0) as i64 + 7) / 8 * 8,
                None => 8,
            }
        };
        // The kernel counts the hidden argument of a tracepoint in here and takes it off elsewhere: its width is 8,
        // as that of every other argument of a tracepoint that is not a struct.
        let mut end = 0;
        for (i, p) in params.iter().enumerate() {
            end += width(*p);
            if off < end {
                return Some(i);
            }
        }
        let _ = hidden;
        end += width(ret);
        if off < end { Some(params.len()) } else { Some(params.len() + 1) }
    }

    fn args_are_trusted(&self, target: &Target) -> bool {
        match self.prog.kind {
            ProgType::TRACING => {
                matches!(self.prog.attach, AttachType::TRACE_RAW_TP | AttachType::TRACE_ITER)
            }
            ProgType::LSM => {
                let bit = self.profile.table_bit();
                !super::super::lsm_hooks::lists(super::super::lsm_hooks::UNTRUSTED, bit, &target.name)
            }
            ProgType::STRUCT_OPS => true,
            _ => false,
        }
    }

    /// The number of the argument at this offset of the context.
    pub(super) fn argument_at(&self, off: i64) -> usize {
        let target = self.attach_target();
        let proto =
            self.profile.btf.as_deref().zip(target).and_then(|(btf, t)| Some((btf, btf.proto(t.proto)?)));
        let found = proto.and_then(|(btf, proto)| {
            let params: Vec<TypeId> = proto.params().map(|p| p.type_id).collect();
            self.arg_index(btf, &params, proto.ret, off, 0)
        });
        found.unwrap_or(usize::MAX)
    }

    fn iterator_arg(&self, target: &str, off: i64) -> Checked<Option<Reg>> {
        let name = target.strip_prefix("bpf_iter_").unwrap_or(target);
        let Some((_, args)) = ITERATORS.iter().find(|(n, _)| *n == name) else {
            unmodelled!("iterator target")
        };
        let Some((_, base, flags, ty)) = args.iter().find(|(o, ..)| *o == off) else { return Ok(None) };
        let flags = if self.has(Feature::TrustedPointers) { *flags } else { flags.without(Flags::TRUSTED) };
        if *base == Base::Buf {
            return Ok(Some(Reg::pointer(Type::new(Base::Buf, flags), Data::None)));
        }
        let Some(id) = self.profile.kernel_struct(ty) else { unmodelled!("iterator target") };
        Ok(Some(Reg::pointer(Type::new(Base::BtfId, flags), Data::Btf { of: BtfOf::Kernel, id })))
    }
}

pub(in super::super) fn is_small_int(btf: &Btf, id: TypeId) -> bool {
    matches!(btf.get(id), Some(T::Int(i)) if i.size <= 8)
}

fn range32(lo: i32, hi: i32, env: &Env) -> Value {
    let mut v = Value::UNKNOWN;
    (v.s32min, v.s32max) = (lo, hi);
    (v.smin, v.smax) = (lo as i64, hi as i64);
    v.sync(env.d);
    v
}
