use super::*;

/// A program that loads a Kconfig number, loads a variable's and a symbol's address, and calls two kernel functions.
fn with_externs() -> ElfBuilder {
    let mut b = BtfBuilder::new();
    let int = b.int("int", 4, 1);
    let boolean = b.int("bool", 1, 4);
    let proto = b.func_proto(int, &[("", int)]);
    let version = b.var("LINUX_KERNEL_VERSION", int, 2);
    let option = b.var("CONFIG_X", boolean, 2);
    let variable = b.var("runqueues", int, 2);
    let symbol = b.var("some_symbol", TypeId::VOID, 2);
    let strong = b.func("kfunc___local", proto, 2);
    let weak = b.func("missing", proto, 2);
    b.datasec(".kconfig", 0, &[(version, 0, 4), (option, 0, 1)]);
    b.datasec(".ksyms", 0, &[(variable, 0, 4), (symbol, 0, 0), (strong, 0, 0), (weak, 0, 0)]);
    let mut e = ElfBuilder::new();
    e.section(".BTF", Holds::Data, &b.build());
    let code = [lddw(0), lddw(0), lddw(0), lddw(0), [call(-1), call(-1)]].concat();
    let code = e.section("xdp", Holds::Code, &bytes(&[code, vec![exit()]].concat()));
    e.symbol("main", Symbol::GlobalFunction, code, 0, 88);
    let version = e.symbol("LINUX_KERNEL_VERSION", Symbol::Extern, 0, 0, 0);
    let option = e.symbol("CONFIG_X", Symbol::WeakExtern, 0, 0, 0);
    let variable = e.symbol("runqueues", Symbol::Extern, 0, 0, 0);
    let symbol = e.symbol("some_symbol", Symbol::WeakExtern, 0, 0, 0);
    let strong = e.symbol("kfunc___local", Symbol::Extern, 0, 0, 0);
    let weak = e.symbol("missing", Symbol::WeakExtern, 0, 0, 0);
    e.relocations(
        code,
        &[(0, version), (16, option), (32, variable), (48, symbol), (64, strong), (72, weak)],
    );
    e
}

fn kernel_types() -> (Btf, [TypeId; 2]) {
    let mut b = BtfBuilder::new();
    let int = b.int("int", 4, 1);
    let proto = b.func_proto(int, &[("x", int)]);
    let ids = [b.func("kfunc", proto, 1), b.var("runqueues", int, 1)];
    (btf(&b), ids)
}

#[test]
fn each_kind_of_extern_is_resolved() {
    let object = object(with_externs());
    let (kernel_btf, [kfunc, variable]) = kernel_types();
    let lookup = |name: &str| (name == "some_symbol").then_some(0xffff_ffff_8000_1234_u64);
    let target = Target {
        symbols: Symbols::Known(&lookup),
        kconfig: Some("# c\nCONFIG_X=y\n"),
        ..kernel(&kernel_btf)
    };
    let resolved = object.resolve(&target).expect("all are there");
    let (id, _) = object.programs().next().expect("one");
    let program = resolved.program(id).expect("links");
    let loads: Vec<_> =
        program.insns[..8].as_chunks::<2>().0.iter().map(|[a, b]| (a.src, a.imm, b.imm)).collect();
    assert_eq!(
        loads,
        [
            (pseudo::MAP_VALUE, 0, 0),
            (pseudo::MAP_VALUE, 0, 4),
            (pseudo::BTF_ID, variable.0 as i32, 0),
            (0, 0x8000_1234_u32 as i32, -1),
        ]
    );
    let strong = program.insns[8];
    assert_eq!((strong.src, strong.imm, strong.off), (pseudo::KFUNC_CALL, kfunc.0 as i32, 0));
    // Externs are numbered: configuration first, the others by name.
    assert_eq!(program.insns[9], Insn { code: 0x85, imm: poison::KFUNC + 3, ..Insn::default() });
    assert_eq!(program.poisoned.iter().map(|p| p.insn).collect::<Vec<_>>(), [9]);
    let config = resolved.maps()[0].contents();
    assert_eq!(config, Some(&Contents::Bytes(vec![0, 2, 7, 0, 1])));
    assert!(resolved.btf_refusal().is_none(), "{:?}", resolved.btf_refusal());
}

#[test]
fn what_must_be_there_and_is_not_is_named() {
    let object = object(with_externs());
    let kernel_btf = plain_kernel();
    let target = kernel(&kernel_btf);
    let error = object.resolve(&target).map(|_| ()).expect_err("no kfunc, no variable");
    assert!(
        matches!(&error, ObjectError::Extern { name, .. } if name == "kfunc___local" || name == "runqueues"),
        "{error}"
    );
    let (kernel_btf, _) = kernel_types();
    let target = Target { kconfig: None, ..kernel(&kernel_btf) };
    let error = object.resolve(&target).map(|_| ()).expect_err("no configuration");
    assert!(matches!(&error, ObjectError::Extern { name, .. } if name == "CONFIG_X"), "{error}");
    let target = Target { kconfig: Some("CONFIG_X=m"), ..kernel(&kernel_btf) };
    assert!(object.resolve(&target).is_err(), "m is no bool");
}
