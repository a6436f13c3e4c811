//! Verdicts on programs that allocate objects, keep them in maps, and link them into lists and trees.

use std::sync::Arc;

use super::super::insn::Insn;
use super::super::profile::{Config, Profile, Release};
use super::super::program::{FuncInfo, Map, MapType, ProgType, Program};
use super::super::report::{Kind, Verdict};
use super::super::verify;
use super::asm::*;
use super::programs::{map_of, program};
use crate::verifier::btf::builder::BtfBuilder;
use crate::verifier::btf::{Btf, Kind as BtfKind, TypeId};

/// The two that allocate objects, of those that the model is checked against.
const RELEASES: [Release; 2] = [Release::new(6, 12), Release::new(7, 2)];

const SPIN_LOCK: i32 = 93;
const SPIN_UNLOCK: i32 = 94;
const KPTR_XCHG: i32 = 194;

const LISTS: i32 = 3;
const TREES: i32 = 4;
const KPTRS: i32 = 5;

/// The data, the list's node, the tree's node, the count of an object.
const DATA: i16 = 0;
const LIST_NODE: i16 = 8;
const TREE_NODE: i16 = 32;

struct World {
    kernel: Arc<Btf>,
    own: Arc<Btf>,
    elem: i32,
    less: TypeId,
    values: [TypeId; 3],
    main: TypeId,
}

fn kernel() -> Btf {
    let mut b = BtfBuilder::new();
    let u64_ = b.int("unsigned long", 8, 0);
    let int = b.int("int", 4, 1);
    let bool_ = b.int("bool", 1, 4);
    let void = b.ptr(TypeId::VOID);
    let names = ["bpf_list_head", "bpf_list_node", "bpf_rb_root", "bpf_rb_node"];
    let [head, node, root, rb] = names.map(|n| {
        let s = b.structure(n, 16, &[("opaque", u64_, 0)]);
        b.ptr(s)
    });
    let less = b.func_proto(bool_, &[("a", rb), ("b", rb)]);
    let less = b.ptr(less);
    let hidden = [("meta__ign", void), ("off", u64_)];
    for (name, ret, params) in [
        ("bpf_obj_new_impl", void, vec![("local_type_id__k", u64_), hidden[0]]),
        ("bpf_obj_drop_impl", TypeId::VOID, vec![("p__alloc", void), hidden[0]]),
        ("bpf_refcount_acquire_impl", void, vec![("p__refcounted_kptr", void), hidden[0]]),
        ("bpf_list_push_front_impl", int, vec![("head", head), ("node", node), hidden[0], hidden[1]]),
        ("bpf_list_pop_front", node, vec![("head", head)]),
        (
            "bpf_rbtree_add_impl",
            int,
            vec![("root", root), ("node", rb), ("less", less), hidden[0], hidden[1]],
        ),
        ("bpf_rbtree_first", rb, vec![("root", root)]),
    ] {
        let proto = b.func_proto(ret, &params);
        b.func(name, proto, 1);
    }
    Btf::parse(b.build()).expect("well-formed BTF")
}

fn world() -> World {
    let mut b = BtfBuilder::new();
    let u64_ = b.int("unsigned long", 8, 0);
    let int = b.int("int", 4, 1);
    let lock = b.structure("bpf_spin_lock", 4, &[("val", int, 0)]);
    let head = b.structure("bpf_list_head", 16, &[("opaque", u64_, 0)]);
    let node = b.structure("bpf_list_node", 24, &[("opaque", u64_, 0)]);
    let root = b.structure("bpf_rb_root", 16, &[("opaque", u64_, 0)]);
    let rb = b.structure("bpf_rb_node", 32, &[("opaque", u64_, 0)]);
    let count = b.structure("bpf_refcount", 4, &[("opaque", int, 0)]);
    let elem = b.structure(
        "elem",
        72,
        &[("data", u64_, 0), ("node", node, 64), ("rb", rb, 256), ("count", count, 512)],
    );
    let lists = b.structure("lists", 24, &[("lock", lock, 0), ("head", head, 64)]);
    b.decl_tag("contains:elem:node", lists, Some(1));
    let trees = b.structure("trees", 24, &[("lock", lock, 0), ("root", root, 64)]);
    b.decl_tag("contains:elem:rb", trees, Some(1));
    let tagged = b.reference(BtfKind::TypeTag, "kptr", elem);
    let kptr = b.ptr(tagged);
    let kptrs = b.structure("kptrs", 16, &[("a", kptr, 0), ("b", kptr, 64)]);
    let proto = b.func_proto(int, &[]);
    let main = b.func("main", proto, 1);
    let less = b.func("less", proto, 0);
    World {
        kernel: Arc::new(kernel()),
        own: Arc::new(Btf::parse(b.build()).expect("well-formed BTF")),
        elem: elem.0 as i32,
        less,
        values: [lists, trees, kptrs],
        main,
    }
}

impl World {
    fn kfunc(&self, name: &str) -> Insn {
        let id = self.kernel.func(name).expect("a function of this kernel").id;
        Insn { src: 2, ..call(id.0 as i32) }
    }

    fn maps(&self) -> Vec<Map> {
        [(LISTS, 24), (TREES, 24), (KPTRS, 16)]
            .into_iter()
            .zip(self.values)
            .map(|((handle, size), value)| Map {
                handle,
                btf_value: Some(value),
                ..map_of(MapType::ARRAY, 4, size)
            })
            .collect()
    }

    /// `less`, if any, follows as a function of its own.
    fn program(&self, insns: &[Insn], less: &[Insn]) -> Program {
        let mut funcs = vec![FuncInfo { start: 0, type_id: self.main }];
        if !less.is_empty() {
            funcs.push(FuncInfo { start: insns.len() as u32, type_id: self.less });
        }
        Program {
            maps: self.maps(),
            funcs,
            btf: Some(self.own.clone()),
            ..program(ProgType::SCHED_CLS, &[insns, less].concat())
        }
    }

    fn verdict(&self, release: Release, program: &Program) -> Verdict {
        verify(program, &Profile::new(release, Some(self.kernel.clone()), Config::default())).verdict
    }

    fn accepts(&self, insns: &[Insn], less: &[Insn]) {
        for release in RELEASES {
            let verdict = self.verdict(release, &self.program(insns, less));
            assert!(matches!(verdict, Verdict::Accept), "{release:?}: {verdict:?}");
        }
    }

    fn rejects(&self, insns: &[Insn], less: &[Insn], kind: Kind, message: &str) {
        for release in RELEASES {
            let verdict = self.verdict(release, &self.program(insns, less));
            let Verdict::Reject(r) = &verdict else { panic!("{release:?}: {verdict:?}") };
            assert_eq!(r.violation.kind, kind, "{release:?}: {}", r.violation.message);
            assert!(r.violation.message.contains(message), "{release:?}: {}", r.violation.message);
        }
    }

    /// R6 = an object, or the program ends.
    fn new_object(&self) -> Vec<Insn> {
        cat(&[
            &[mov(1, self.elem), mov(2, 0), self.kfunc("bpf_obj_new_impl")],
            &[jmp(JNE, 0, 0, 2), mov(0, 0), exit(), movr(6, 0)],
        ])
    }

    fn drop_object(&self, r: u8) -> Vec<Insn> {
        vec![movr(1, r), mov(2, 0), self.kfunc("bpf_obj_drop_impl")]
    }

    /// The node at this offset of the object in R6, to the front of the list.
    fn push(&self, node: i16) -> Vec<Insn> {
        let args = [movr(2, 6), alu(ADD, 2, i32::from(node)), mov(3, 0), mov(4, 0)];
        cat(&[&map_value(1, LISTS, 8), &args, &[self.kfunc("bpf_list_push_front_impl")]])
    }

    /// The object in R6, into the tree; `less` lies this many instructions behind the call's arguments.
    fn add(&self, to_less: i32) -> Vec<Insn> {
        let address = [Insn { code: 0x18, dst: 3, src: 4, off: 0, imm: to_less }, Insn { imm: 0, ..mov0() }];
        let node = [movr(2, 6), alu(ADD, 2, i32::from(TREE_NODE)), mov(4, 0), mov(5, 0)];
        cat(&[&map_value(1, TREES, 8), &node, &address, &[self.kfunc("bpf_rbtree_add_impl")]])
    }
}

const fn mov0() -> Insn {
    Insn { code: 0, dst: 0, src: 0, off: 0, imm: 0 }
}

fn cat(parts: &[&[Insn]]) -> Vec<Insn> {
    parts.concat()
}

fn lock(map: i32) -> Vec<Insn> {
    cat(&[&map_value(1, map, 0), &[call(SPIN_LOCK)]])
}

fn unlock(map: i32) -> Vec<Insn> {
    cat(&[&map_value(1, map, 0), &[call(SPIN_UNLOCK)]])
}

fn end() -> Vec<Insn> {
    vec![mov(0, 0), exit()]
}

#[test]
fn an_object_is_given_back() {
    let w = world();
    w.accepts(&cat(&[&w.new_object(), &w.drop_object(6), &end()]), &[]);
    w.rejects(&cat(&[&w.new_object(), &end()]), &[], Kind::ReferenceLeak, "Unreleased reference");
}

#[test]
fn an_object_that_was_given_back_is_gone() {
    let w = world();
    let p = cat(&[&w.new_object(), &w.drop_object(6), &[ldx(DW, 1, 6, DATA)], &end()]);
    w.rejects(&p, &[], Kind::InvalidMemAccess, "R6 invalid mem access 'scalar'");
}

#[test]
fn data_may_be_written_and_nodes_may_not() {
    let w = world();
    let data = cat(&[&w.new_object(), &[st(DW, 6, DATA, 1)], &w.drop_object(6), &end()]);
    w.accepts(&data, &[]);
    let node = cat(&[&w.new_object(), &[st(DW, 6, LIST_NODE, 1)], &w.drop_object(6), &end()]);
    w.rejects(&node, &[], Kind::BtfAccess, "direct access to bpf_list_node is disallowed");
}

#[test]
fn a_list_is_changed_under_its_lock() {
    let w = world();
    w.accepts(&cat(&[&w.new_object(), &lock(LISTS), &w.push(LIST_NODE), &unlock(LISTS), &end()]), &[]);
    let bare = cat(&[&w.new_object(), &w.push(LIST_NODE), &end()]);
    w.rejects(&bare, &[], Kind::Lock, "bpf_spin_lock at off=0 must be held for bpf_list_head");
    let other = cat(&[&w.new_object(), &lock(TREES), &w.push(LIST_NODE), &unlock(TREES), &end()]);
    w.rejects(&other, &[], Kind::Lock, "must be held");
}

#[test]
fn a_node_lies_where_the_list_has_it() {
    let w = world();
    let p = cat(&[&w.new_object(), &lock(LISTS), &w.push(DATA), &unlock(LISTS), &end()]);
    w.rejects(&p, &[], Kind::Kfunc, "bpf_list_node not found at offset=0");
}

#[test]
fn what_a_list_owns_is_known_until_the_unlock() {
    let w = world();
    let read = [ldx(DW, 1, 6, DATA)];
    let before = [&w.new_object()[..], &lock(LISTS), &w.push(LIST_NODE), &read, &unlock(LISTS), &end()];
    w.accepts(&cat(&before), &[]);
    let after = [&w.new_object()[..], &lock(LISTS), &w.push(LIST_NODE), &unlock(LISTS), &read, &end()];
    w.rejects(&cat(&after), &[], Kind::InvalidMemAccess, "R6 invalid mem access 'scalar'");
    let dropped =
        [&w.new_object()[..], &lock(LISTS), &w.push(LIST_NODE), &unlock(LISTS), &w.drop_object(6), &end()];
    let verdict = w.verdict(RELEASES[0], &w.program(&cat(&dropped), &[]));
    assert!(matches!(verdict, Verdict::Reject(_)), "{verdict:?}");
}

#[test]
fn what_is_popped_is_owned_and_points_to_its_node() {
    let w = world();
    let pop = cat(&[&lock(LISTS), &map_value(1, LISTS, 8), &[w.kfunc("bpf_list_pop_front"), movr(6, 0)]]);
    let check = [jmp(JNE, 6, 0, 2), mov(0, 0), exit()];
    let whole = [alu(ADD, 6, -i32::from(LIST_NODE))];
    let good = cat(&[&pop, &unlock(LISTS), &check, &whole, &w.drop_object(6), &end()]);
    w.accepts(&good, &[]);
    let inside = cat(&[&pop, &unlock(LISTS), &check, &w.drop_object(6), &end()]);
    w.rejects(&inside, &[], Kind::Reference, "must have zero offset");
    let leak = cat(&[&pop, &unlock(LISTS), &check, &end()]);
    w.rejects(&leak, &[], Kind::ReferenceLeak, "Unreleased reference");
}

#[test]
fn a_tree_compares_with_nodes_it_does_not_give_away() {
    let w = world();
    // From the address of `less` to the start of `less`: itself, the call, unlock, end.
    let rest = cat(&[&[w.kfunc("bpf_rbtree_add_impl")], &unlock(TREES), &end()]);
    let distance = rest.len() as i32 + 1;
    let p = cat(&[&w.new_object(), &lock(TREES), &w.add(distance), &unlock(TREES), &end()]);
    let compare = [ldx(DW, 1, 1, DATA - TREE_NODE), mov(0, 0), exit()];
    w.accepts(&p, &compare);
    let unlocks = cat(&[&unlock(TREES), &end()]);
    w.rejects(&p, &unlocks, Kind::Lock, "can't spin_{lock,unlock} in rbtree cb");
    let answers = [mov(0, 2), exit()];
    w.rejects(&p, &answers, Kind::ReturnValue, "At callback return");
}

#[test]
fn the_first_of_a_tree_may_be_null_and_gets_another_owner() {
    let w = world();
    let first = cat(&[&lock(TREES), &map_value(1, TREES, 8), &[w.kfunc("bpf_rbtree_first"), movr(6, 0)]]);
    let acquire =
        [movr(1, 6), alu(ADD, 1, -i32::from(TREE_NODE)), mov(2, 0), w.kfunc("bpf_refcount_acquire_impl")];
    let unchecked = cat(&[&first, &[ldx(DW, 1, 6, DATA)], &unlock(TREES), &end()]);
    w.rejects(&unchecked, &[], Kind::NullDeref, "R6 invalid mem access");
    let owned = cat(&[&w.drop_object(7), &end()]);
    let p = cat(&[
        &first,
        &[jmp(JNE, 6, 0, 5)],
        &unlock(TREES),
        &end(),
        &acquire,
        &[movr(7, 0)],
        &unlock(TREES),
        &[jmp(JNE, 7, 0, 2), mov(0, 0), exit()],
        &owned,
    ]);
    let verdict = w.verdict(RELEASES[0], &w.program(&p, &[]));
    assert!(matches!(verdict, Verdict::Accept), "{verdict:?}");
}

#[test]
fn an_exchange_takes_and_gives_ownership() {
    let w = world();
    let xchg = cat(&[&map_value(1, KPTRS, 0), &[movr(2, 6), call(KPTR_XCHG), movr(6, 0)]]);
    let old = [jmp(JNE, 6, 0, 2), mov(0, 0), exit()];
    w.accepts(&cat(&[&w.new_object(), &xchg, &old, &w.drop_object(6), &end()]), &[]);
    w.rejects(&cat(&[&w.new_object(), &xchg, &end()]), &[], Kind::ReferenceLeak, "Unreleased reference");
    let store = cat(&[&map_value(1, KPTRS, 0), &[st(DW, 1, 0, 0)], &end()]);
    w.rejects(&store, &[], Kind::MapFieldAccess, "store to referenced kptr disallowed");
    let narrow = cat(&[&map_value(1, KPTRS, 0), &[ldx(W, 1, 1, 0)], &end()]);
    w.rejects(&narrow, &[], Kind::MapFieldAccess, "kptr access size must be BPF_DW");
}

#[test]
fn each_loaded_pointer_is_checked_by_itself() {
    let w = world();
    let load = cat(&[&map_value(1, KPTRS, 0), &[ldx(DW, 6, 1, 0), ldx(DW, 7, 1, 8)]]);
    let check = [jmp(JNE, 6, 0, 2), mov(0, 0), exit()];
    w.accepts(&cat(&[&load, &check, &[ldx(DW, 1, 6, DATA)], &end()]), &[]);
    let other = cat(&[&load, &check, &[ldx(DW, 1, 7, DATA)], &end()]);
    w.rejects(&other, &[], Kind::NullDeref, "R7 invalid mem access");
}

#[test]
fn a_map_that_cannot_hold_its_fields_has_no_btf() {
    let w = world();
    let p = cat(&[&lock(LISTS), &unlock(LISTS), &end()]);
    for release in RELEASES {
        let mut program = w.program(&p, &[]);
        program.maps[0].flags = super::super::program::map_flags::WRONLY_PROG;
        let Verdict::Reject(r) = w.verdict(release, &program) else { panic!("accepted") };
        assert!(r.violation.message.contains("has to have BTF"), "{}", r.violation.message);
    }
}

#[test]
fn a_list_without_lock_is_refused_with_its_btf() {
    let mut b = BtfBuilder::new();
    let u64_ = b.int("unsigned long", 8, 0);
    let head = b.structure("bpf_list_head", 16, &[("opaque", u64_, 0)]);
    let node = b.structure("bpf_list_node", 24, &[("opaque", u64_, 0)]);
    b.structure("elem", 24, &[("node", node, 0)]);
    let bare = b.structure("bare", 16, &[("head", head, 0)]);
    b.decl_tag("contains:elem:node", bare, Some(0));
    let own = Arc::new(Btf::parse(b.build()).expect("well-formed BTF"));
    let p = Program { btf: Some(own), ..program(ProgType::SCHED_CLS, &end()) };
    let w = world();
    assert!(matches!(w.verdict(RELEASES[0], &p), Verdict::Unmodelled(_)));
    assert!(matches!(w.verdict(Release::new(6, 1), &p), Verdict::Accept));
}
