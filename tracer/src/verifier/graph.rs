//! Lists and trees of allocated objects.
//!
//! A root (`bpf_list_head`, `bpf_rb_root`) lies beside the lock that protects it, in one map value or object. Putting a
//! node in hands ownership over: what the program keeps of it is a *non-owning* reference, good until the lock is given
//! back. Invariant: no register is non-owning while no lock is held. `process_kf_arg_ptr_to_graph_root()`, `..._node()`,
//! `ref_convert_owning_non_owning()` (kernel/bpf/verifier.c, 6.2 on; non-owning references from 6.3).

use super::env::Env;
use super::kfunc::Meta;
use super::local::plain_name;
use super::profile::Release;
use super::record::{FieldKind, Target};
use super::reg::{Base, BtfOf, Data, Flags, Reg, Type};
use super::report::{Checked, reject, unmodelled};
use super::state::{Lock, LockOwner};

/// What a function works on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Api {
    List,
    Tree,
}

const LIST: &[&str] = &[
    "bpf_list_push_front",
    "bpf_list_push_back",
    "bpf_list_add",
    "bpf_list_pop_front",
    "bpf_list_pop_back",
    "bpf_list_del",
    "bpf_list_front",
    "bpf_list_back",
    "bpf_list_is_first",
    "bpf_list_is_last",
    "bpf_list_empty",
];

const TREE: &[&str] = &[
    "bpf_rbtree_add",
    "bpf_rbtree_remove",
    "bpf_rbtree_first",
    "bpf_rbtree_root",
    "bpf_rbtree_left",
    "bpf_rbtree_right",
];

/// The function's kind of graph, if it is one of those.
pub(super) fn api(name: &str) -> Option<Api> {
    let name = plain_name(name);
    if LIST.contains(&name) {
        Some(Api::List)
    } else if TREE.contains(&name) {
        Some(Api::Tree)
    } else {
        None
    }
}

/// Whether the program must own a node that it hands in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    /// It must.
    Program,
    /// A non-owning reference does as well.
    Optional,
}

/// It puts its second argument into the graph.
pub(super) fn inserts(name: &str) -> bool {
    matches!(
        plain_name(name),
        "bpf_list_push_front" | "bpf_list_push_back" | "bpf_list_add" | "bpf_rbtree_add"
    )
}

impl Env<'_> {
    /// The path is in a callback that runs with a tree's lock held (`in_rbtree_lock_required_cb()`).
    pub(super) fn in_tree_callback(&self) -> bool {
        let frame = self.cur.frame();
        let Some(insn) = self.insns.get(frame.callsite as usize).filter(|_| frame.in_callback()) else {
            return false;
        };
        insn.is_kfunc_call() && self.kfunc_name(*insn).is_some_and(|n| api(n) == Some(Api::Tree))
    }

    /// What a lock in the same allocation would be known as.
    pub(super) fn lock_beside(&self, reg: &Reg) -> Option<Lock> {
        let owner = match reg.data {
            Data::Map { map, .. } if reg.ty.is(Base::MapValue) => LockOwner::Map(map),
            Data::Btf { of: BtfOf::Program, .. } if reg.ty == Type::new(Base::BtfId, Flags::ALLOC) => {
                LockOwner::Object
            }
            _ => return None,
        };
        Some(Lock { owner, id: reg.id })
    }

    /// A list head or a tree's root.
    pub(super) fn root_arg(&self, r: u8, at: &str, kind: FieldKind, reg: &Reg, meta: &mut Meta) -> Checked {
        let name = kind.name();
        let Some(beside) = self.lock_beside(reg) else {
            reject!(ArgType, "{at} expected pointer to map value or allocated object");
        };
        if beside.owner == LockOwner::Object {
            self.owned(reg)?;
        }
        if !reg.v.t.is_const() {
            reject!(Kfunc, "R{r} doesn't have constant offset. {name} has to be at the constant offset");
        }
        let off = self.fixed_offset(reg);
        let record = self.record_of(reg);
        let Some(field) = record.and_then(|x| x.find(off, |k| k == kind)) else {
            reject!(Kfunc, "{name} not found at offset={}", off as u32);
        };
        if self.cur.lock != Some(beside) {
            let lock = record.and_then(|x| x.offset_of(FieldKind::SpinLock)).unwrap_or_default();
            reject!(Lock, "bpf_spin_lock at off={lock} must be held for {name}");
        }
        meta.root = Some(field);
        Ok(())
    }

    /// A node of the root that came before: of its type, at its offset.
    pub(super) fn node_arg(
        &self,
        r: u8,
        at: &str,
        name: &str,
        (kind, owner): (FieldKind, Owner),
        reg: &Reg,
        meta: &mut Meta,
    ) -> Checked {
        self.node_owner(at, name, owner, reg)?;
        let node = kind.name();
        if !reg.v.t.is_const() {
            reject!(Kfunc, "R{r} doesn't have constant offset. {node} has to be at the constant offset");
        }
        let off = self.fixed_offset(reg);
        if self.record_of(reg).and_then(|x| x.find(off, |k| k == kind)).is_none() {
            reject!(Kfunc, "{node} not found at offset={}", off as u32);
        }
        let (Some(root), Data::Btf { of: BtfOf::Program, id }) = (meta.root, reg.data) else {
            unmodelled!("a node before its root")
        };
        let Target::Nodes { value, node_at } = root.target else {
            unmodelled!("internal: a root without nodes")
        };
        let btf = self.btf_of(BtfOf::Program)?;
        if id != value {
            reject!(
                ArgType,
                "operation on {} expects arg#1 {node} at offset={node_at} in struct {}, but arg is at offset={off} in struct {}",
                root.kind.name(),
                btf.name(value),
                btf.name(id)
            );
        }
        meta.object = Some(reg.data);
        if off != i64::from(node_at) {
            reject!(
                ArgType,
                "arg#1 offset={off}, but expected {node} at offset={node_at} in struct {}",
                btf.name(value)
            );
        }
        Ok(())
    }

    /// Whether the program must own the node, or just know it.
    fn node_owner(&self, at: &str, name: &str, owner: Owner, reg: &Reg) -> Checked {
        let plain = reg.ty == Type::new(Base::BtfId, Flags::ALLOC);
        let non_owning = reg.ty.base == Base::BtfId && reg.ty.flags.any(Flags::NON_OWN_REF);
        if api(name) == Some(Api::Tree) && !inserts(name) {
            if self.profile.release >= Release::new(6, 16) {
                if !non_owning && reg.ref_id == 0 {
                    reject!(ArgType, "{name} can only take non-owning or refcounted bpf_rb_node pointer");
                }
                if self.in_tree_callback() {
                    reject!(Kfunc, "{name} not allowed in rbtree cb");
                }
                return Ok(());
            }
            if !non_owning || reg.ref_id != 0 {
                reject!(ArgType, "rbtree_remove node input must be non-owning ref");
            }
            if self.in_tree_callback() {
                reject!(Kfunc, "rbtree_remove not allowed in rbtree cb");
            }
            return Ok(());
        }
        if owner == Owner::Optional && non_owning && reg.ref_id == 0 {
            return Ok(());
        }
        if !plain {
            reject!(ArgType, "{at} expected pointer to allocated object");
        }
        self.owned(reg)
    }

    /// A pointer to the node of an object that a graph holds.
    pub(super) fn graph_node(&self, target: Target) -> Option<Reg> {
        let Target::Nodes { value, node_at } = target else { return None };
        let data = Data::Btf { of: BtfOf::Program, id: value };
        let mut reg = Reg::pointer(Type::new(Base::BtfId, Flags::ALLOC), data);
        self.add_offset(&mut reg, i64::from(node_at));
        Some(reg)
    }

    /// Good until the lock is given back (`ref_set_non_owning()`).
    pub(super) fn non_owning(&self, reg: Reg) -> Reg {
        let counted = self.record_of(&reg).is_some_and(|r| r.has(FieldKind::Refcount));
        let mut out = reg;
        out.ty.flags = out.ty.flags.with(Flags::NON_OWN_REF);
        if counted {
            out.ty.flags = out.ty.flags.with(Flags::RCU);
        }
        out
    }

    /// The graph owns the object now; what points to it does so without owning it.
    pub(super) fn hand_over(&mut self, name: &str) -> Checked {
        let ref_id = self.cur.reg(2).ref_id;
        if self.cur.lock.is_none() {
            unmodelled!("internal: an insertion without lock");
        }
        let Some(i) = self.cur.ref_index(ref_id) else {
            reject!(Reference, "kfunc {name} conversion of owning ref to non-owning failed");
        };
        let in_callback = self.cur.frame().in_callback();
        if in_callback && usize::from(self.cur.refs[i].callback_frame) != self.cur.current() {
            reject!(Reference, "kfunc {name} reference has not been acquired before");
        }
        let counted =
            self.record_of(&Reg { off: 0, ..*self.cur.reg(2) }).is_some_and(|r| r.has(FieldKind::Refcount));
        let flags = if counted { Flags::NON_OWN_REF.with(Flags::RCU) } else { Flags::NON_OWN_REF };
        let one_id = self.profile.release >= Release::new(7, 0);
        self.cur.refs.swap_remove(i);
        let spills = self.spills();
        self.cur.for_each_reg(spills, |r| {
            if r.ref_id == ref_id {
                r.ref_id = 0;
                if one_id {
                    r.id = 0;
                }
                r.ty.flags = r.ty.flags.with(flags);
            }
        });
        Ok(())
    }

    /// With the lock, non-owning references are gone (`invalidate_non_owning_refs()`).
    pub(super) fn forget_non_owning(&mut self) {
        self.invalidate(|r| r.ty.flags.any(Flags::NON_OWN_REF));
    }

    /// Functions that may be called while a lock is held (`kfunc_spin_allowed()`).
    pub(super) fn allowed_under_lock(&self, name: &str) -> bool {
        let r = self.profile.release;
        let numbers = matches!(name, "bpf_iter_num_new" | "bpf_iter_num_next" | "bpf_iter_num_destroy");
        let arena =
            matches!(name, "bpf_arena_alloc_pages" | "bpf_arena_free_pages" | "bpf_arena_reserve_pages");
        let stream = matches!(name, "bpf_stream_vprintk" | "bpf_stream_print_stack");
        api(name).is_some()
            || plain_name(name) == "bpf_refcount_acquire"
            || (numbers && r >= Release::new(6, 14))
            || (name.starts_with("bpf_res_spin_") && r >= Release::new(6, 15))
            || ((arena || stream) && r >= Release::new(7, 0))
    }
}
