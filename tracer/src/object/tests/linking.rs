use super::*;

/// `.text`: `inner` (static, at 0), `outer` (global, at 2, calls `inner`), `unused` (at 5).
/// `xdp`: `one` calls `outer`; `two` calls `inner` twice.
fn two_programs() -> (ElfBuilder, [u32; 2]) {
    let mut e = ElfBuilder::new();
    let text =
        e.section(".text", Holds::Code, &bytes(&[mov(1), exit(), mov(2), call(-4), exit(), mov(3), exit()]));
    let xdp = e.section("xdp", Holds::Code, &bytes(&[call(-1), exit(), call(-1), call(-1), exit()]));
    let section = e.symbol("", Symbol::Section, text, 0, 0);
    e.symbol("inner", Symbol::StaticFunction, text, 0, 16);
    let outer = e.symbol("outer", Symbol::GlobalFunction, text, 16, 24);
    e.symbol("unused", Symbol::HiddenFunction, text, 40, 16);
    e.symbol("one", Symbol::GlobalFunction, xdp, 0, 16);
    e.symbol("two", Symbol::GlobalFunction, xdp, 16, 24);
    e.relocations(xdp, &[(0, outer), (16, section), (24, section)]);
    (e, [u32::from(text), u32::from(xdp)])
}

#[test]
fn subprograms_are_appended_once_in_the_order_of_their_calls() {
    let object = object(two_programs().0);
    let names: Vec<_> = object.programs().map(|(_, f)| f.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    let kernel_btf = plain_kernel();
    let target = kernel(&kernel_btf);
    let resolved = object.resolve(&target).expect("nothing to resolve");
    let [one, two] = ["one", "two"].map(|name| object.program_named(name).expect("there"));

    let one = resolved.program(one).expect("links");
    // one: call +1, exit; outer: mov, call +1, exit; inner: mov, exit
    assert_eq!(imms(&one), [1, 0, 2, 1, 0, 1, 0]);
    let placed: Vec<_> = one
        .functions
        .iter()
        .map(|p| (p.start, object.function(p.function).expect("there").name.as_str()))
        .collect();
    assert_eq!(placed, [(0, "one"), (2, "outer"), (5, "inner")]);
    assert_eq!(one.function_at(4), one.function_at(2));

    let two = resolved.program(two).expect("links");
    // two: call +2, call +1, exit; inner: mov, exit
    assert_eq!(imms(&two), [2, 1, 0, 1, 0]);
    assert_eq!(resolved.autoloaded().count(), 2);
}

#[test]
fn function_and_line_records_move_with_their_functions() {
    let (mut e, _) = two_programs();
    let mut b = BtfBuilder::new();
    let int = b.int("int", 4, 1);
    let proto = b.func_proto(int, &[]);
    let ids = ["one", "two", "inner", "outer"].map(|name| b.func(name, proto, 1));
    let [text, xdp, file, line] = [".text", "xdp", "a.c", "return 1;"].map(|s| b.string(s));
    let functions = [(xdp, vec![[0, ids[0].0], [16, ids[1].0]]), (text, vec![[0, ids[2].0], [16, ids[3].0]])];
    let at = |offset: u32, number: u32| [offset, file, line, number << 10 | 7];
    let lines = [(xdp, vec![at(0, 10), at(16, 20)]), (text, vec![at(0, 30), at(16, 40), at(24, 41)])];
    e.section(".BTF", Holds::Data, &b.build());
    e.section(".BTF.ext", Holds::Data, &builder::btf_ext(&functions, &lines, &[]));
    let object = object(e);
    let kernel_btf = plain_kernel();
    let target = kernel(&kernel_btf);
    let resolved = object.resolve(&target).expect("nothing to resolve");
    let one = resolved.program(object.program_named("one").expect("there")).expect("links");
    let functions: Vec<_> = one.func_info.iter().map(|info| (info.insn, info.type_id)).collect();
    assert_eq!(functions, [(0, ids[0]), (2, ids[3]), (5, ids[2])]);
    let lines: Vec<_> = one.line_info.iter().map(|info| (info.insn, info.line)).collect();
    assert_eq!(lines, [(0, 10), (2, 40), (3, 41), (5, 30)]);
    let source = one.source(4).expect("has lines");
    assert_eq!(source, SourceLine { file: "a.c", line: 41, column: 7, text: "return 1;" });
}

/// A function's address is taken with `lddw`; the subprogram comes along.
#[test]
fn addresses_of_subprograms_are_distances() {
    let mut e = ElfBuilder::new();
    let text = e.section(".text", Holds::Code, &bytes(&[mov(1), exit(), mov(2), exit()]));
    let [a, b] = lddw(16);
    let xdp = e.section("xdp", Holds::Code, &bytes(&[a, b, exit()]));
    let section = e.symbol("", Symbol::Section, text, 0, 0);
    e.symbol("first", Symbol::StaticFunction, text, 0, 16);
    e.symbol("callback", Symbol::StaticFunction, text, 16, 16);
    e.symbol("main", Symbol::GlobalFunction, xdp, 0, 24);
    e.relocations(xdp, &[(0, section)]);
    let program = only_program(&object(e), &plain_kernel()).expect("links");
    assert_eq!((program.insns[0].src, program.insns[0].imm), (pseudo::FUNC, 2));
    assert_eq!(program.insns[3], mov(2));
}

#[test]
fn recursion_and_long_chains_end() {
    let mut e = ElfBuilder::new();
    // Each subprogram calls the next one, the last one the first.
    let count = 3000;
    let code: Vec<_> =
        (0..count).flat_map(|n| [call(if n + 1 < count { 1 } else { -2 * count + 1 }), exit()]).collect();
    let text = e.section(".text", Holds::Code, &bytes(&code));
    let xdp = e.section("xdp", Holds::Code, &bytes(&[call(-1), exit()]));
    let section = e.symbol("", Symbol::Section, text, 0, 0);
    for n in 0..count as u64 {
        e.symbol("sub", Symbol::StaticFunction, text, 16 * n, 16);
    }
    e.symbol("main", Symbol::GlobalFunction, xdp, 0, 16);
    e.relocations(xdp, &[(0, section)]);
    let program = only_program(&object(e), &plain_kernel()).expect("links");
    assert_eq!(program.insns.len(), 2 + 2 * count as usize);
}

#[test]
fn old_kernels_get_the_old_helpers() {
    let helper = |number| Insn { code: 0x85, imm: number, ..Insn::default() };
    let mut e = ElfBuilder::new();
    let xdp = e.section(
        "kprobe/x",
        Holds::Code,
        &bytes(&[helper(113), helper(112), helper(115), helper(5), exit()]),
    );
    e.symbol("main", Symbol::GlobalFunction, xdp, 0, 40);
    let object = object(e);
    let kernel_btf = plain_kernel();
    let (id, _) = object.programs().next().expect("one");
    let on = |major, minor| {
        let features = KernelFeatures::of(KernelVersion::new(major, minor, 0));
        let target = Target { features, ..kernel(&kernel_btf) };
        imms(&object.resolve(&target).expect("resolves").program(id).expect("links"))
    };
    assert_eq!(on(5, 4), [4, 4, 45, 5, 0]);
    assert_eq!(on(5, 5), [113, 112, 115, 5, 0]);
}

#[test]
fn attach_points_come_from_the_kernels_types() {
    let mut b = BtfBuilder::new();
    let int = b.int("int", 4, 1);
    let proto = b.func_proto(int, &[]);
    let func = b.func("bprm_execve", proto, 1);
    let hook = b.func("bpf_lsm_file_open", proto, 1);
    let tracepoint = b.typedef("btf_trace_sched_switch", proto);
    let kernel_btf = btf(&b);
    let attach = |section: &str| {
        let mut e = ElfBuilder::new();
        let code = e.section(section, Holds::Code, &bytes(&[exit()]));
        e.symbol("main", Symbol::GlobalFunction, code, 0, 8);
        only_program(&object(e), &kernel_btf).map(|program| (program.attach, program.flags))
    };
    let to = |type_id| Attach::Btf { type_id, module: None };
    assert_eq!(attach("fentry/bprm_execve"), Ok((to(func), 0)));
    assert_eq!(attach("fexit.s/vmlinux:bprm_execve"), Ok((to(func), program_flags::SLEEPABLE)));
    assert_eq!(attach("lsm/file_open"), Ok((to(hook), 0)));
    assert_eq!(attach("?tp_btf/sched_switch"), Ok((to(tracepoint), 0)));
    assert_eq!(attach("xdp.frags"), Ok((Attach::Later, program_flags::XDP_HAS_FRAGS)));
    assert_eq!(attach("freplace/f"), Ok((Attach::Program { function: "f".into() }, 0)));
    for missing in ["fentry/nothing", "fentry", "iter/task", "no_such_section"] {
        assert!(matches!(attach(missing), Err(ObjectError::Function { .. })), "{missing}");
    }
}
