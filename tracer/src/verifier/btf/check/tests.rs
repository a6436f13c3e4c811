use crate::verifier::btf::builder::BtfBuilder;
use crate::verifier::btf::{Btf, BtfRules, Kind, Refusal, Rule, TypeId, check};

const NEW: BtfRules = BtfRules { empty_datasec: Rule::Allowed, attribute_tags: Rule::Allowed };
const OLD: BtfRules = BtfRules { empty_datasec: Rule::Refused, attribute_tags: Rule::Refused };

fn verdict(builder: &BtfBuilder, rules: BtfRules) -> Result<(), &'static str> {
    let btf = Btf::parse(builder.build()).expect("well-formed");
    check(&btf, rules).map_err(|Refusal { reason, .. }| reason)
}

/// What a compiler writes: one type of each kind.
fn good() -> BtfBuilder {
    let mut b = BtfBuilder::new();
    let int = b.int("int", 4, 1);
    let own = b.reserve(1);
    let ptr = b.ptr(own);
    let node = b.structure("node", 16, &[("next", ptr, 0), ("value", int, 64)]);
    let array = b.array(int, int, 3);
    let constant = b.reference(Kind::Const, "", array);
    b.typedef("three", constant);
    b.union("", 12, &[("a", array, 0), ("b", int, 0)]);
    b.bitfields("bits", 4, &[("x", int, 0, 3), ("y", int, 3, 29)]);
    b.enumeration("e", &[("A", 1)]);
    let proto = b.func_proto(int, &[("n", ptr), ("", TypeId::VOID)]);
    let func = b.func("f", proto, 1);
    b.decl_tag("tag", func, Some(0));
    b.decl_tag("tag", node, None);
    let var = b.var("v", int, 1);
    b.datasec(".data", 8, &[(var, 4, 4)]);
    b
}

#[test]
fn what_compilers_write_is_taken() {
    assert_eq!(verdict(&good(), OLD), Ok(()));
    assert_eq!(verdict(&good(), NEW), Ok(()));
    assert_eq!(verdict(&BtfBuilder::new(), NEW), Err("No type found"));
}

#[test]
fn what_kernels_refuse_is_refused() {
    let refused = |change: fn(&mut BtfBuilder)| {
        let mut b = good();
        change(&mut b);
        verdict(&b, NEW).expect_err("refused")
    };
    assert_eq!(refused(|b| _ = b.typedef("has space", TypeId(1))), "Invalid name");
    assert_eq!(refused(|b| _ = b.typedef("", TypeId(1))), "Invalid name");
    assert_eq!(refused(|b| _ = b.ptr(TypeId(999))), "Invalid type_id");
    assert_eq!(refused(|b| _ = b.structure("s", 4, &[("a", TypeId(1), 8)])), "Member exceeds struct_size");
    assert_eq!(
        refused(|b| _ = b.structure("s", 8, &[("a", TypeId(1), 32), ("b", TypeId(1), 0)])),
        "Invalid member bits_offset"
    );
    assert_eq!(refused(|b| _ = b.array(TypeId::VOID, TypeId(1), 1)), "Invalid elem");
    assert_eq!(refused(|b| _ = b.array(TypeId(1), TypeId(2), 1)), "Invalid index");
    assert_eq!(refused(|b| _ = b.int("big", 1, 8)), "Unsupported encoding");
    assert_eq!(refused(|b| _ = b.datasec(".x", 0, &[])), "size == 0");
    assert_eq!(refused(|b| _ = b.func("f2", TypeId(1), 1)), "Invalid type_id");
    assert_eq!(refused(|b| _ = b.var("v2", TypeId(1), 2)), "Linkage not supported");
    assert_eq!(refused(|b| _ = b.enumeration("e2", &[("", 1)])), "Invalid name");
    let nameless = |b: &mut BtfBuilder| {
        let proto = b.func_proto(TypeId(1), &[("", TypeId(1))]);
        b.func("f3", proto, 1);
    };
    assert_eq!(refused(nameless), "Invalid arg: a function's parameters must have names");
    let contains_itself = |b: &mut BtfBuilder| {
        let own = b.reserve(0);
        b.structure("s", 4, &[("s", own, 0)]);
    };
    assert_eq!(refused(contains_itself), "Loop detected");
    let late_tag = |b: &mut BtfBuilder| {
        let tag = b.reference(Kind::TypeTag, "user", TypeId(1));
        b.reference(Kind::Const, "", tag);
    };
    assert_eq!(refused(late_tag), "Type tags don't precede modifiers");
}

#[test]
fn an_empty_section_is_taken_since_5_11() {
    let mut b = good();
    b.datasec(".rodata", 8, &[]);
    assert_eq!(verdict(&b, NEW), Ok(()));
    assert_eq!(verdict(&b, OLD), Err("vlen == 0"));
}

/// A chain longer than the kernel's stack, with the outermost type first.
#[test]
fn deep_nesting_is_refused() {
    let nest = |depth: u32| {
        let mut b = BtfBuilder::new();
        b.int("int", 4, 1);
        for n in 0..depth {
            let next = if n + 1 < depth { b.reserve(1) } else { TypeId(1) };
            b.structure("s", 4, &[("m", next, 0)]);
        }
        verdict(&b, NEW)
    };
    assert_eq!(nest(32), Ok(()));
    assert_eq!(nest(33), Err("Exceeded max resolving depth"));
}
