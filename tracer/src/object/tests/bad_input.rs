use super::maps::with_maps;
use super::*;

/// An object with a bit of everything.
fn everything() -> Vec<u8> {
    let (mut e, mut b) = with_maps();
    let proto = b.func_proto(TypeId(1), &[("x", TypeId(1))]);
    let func = b.func("main", proto, 1);
    b.decl_tag("exception_callback:sub", func, None);
    let task = b.structure("task", 8, &[("pid", TypeId(1), 0)]);
    let [section, access] = ["xdp", "0:0"].map(|s| b.string(s));
    let relocations = [(section, vec![[80, task.0, access, 2]])];
    e.section(
        ".BTF.ext",
        Holds::Data,
        &builder::btf_ext(&[(section, vec![[0, func.0]])], &[(section, vec![[0, 0, 0, 1024]])], &relocations),
    );
    e.section(".BTF", Holds::Data, &b.build());
    let text = e.section(".text", Holds::Code, &bytes(&[mov(1), exit()]));
    e.symbol("sub", Symbol::GlobalFunction, text, 0, 16);
    e.section("license", Holds::Data, b"GPL\0");
    e.build()
}

/// Reads, resolves and links as far as it goes.
fn try_all(data: &[u8], kernel_btf: &Btf) {
    let Ok(object) = Object::parse(data, "x") else {
        return;
    };
    for features in [KernelVersion::new(4, 9, 0), KernelVersion::new(7, 2, 0)].map(KernelFeatures::of) {
        let target = Target { features, ..kernel(kernel_btf) };
        let Ok(resolved) = object.resolve(&target) else {
            continue;
        };
        for (id, _) in object.programs() {
            let Ok(program) = resolved.program(id) else {
                continue;
            };
            for insn in 0..program.insns.len() {
                let _ = (program.source(insn), program.function_at(insn));
            }
        }
    }
}

#[test]
fn every_truncation_is_an_error() {
    let data = everything();
    let object = Object::parse(&data, "x").expect("good");
    assert_eq!(object.license(), "GPL");
    let kernel_btf = plain_kernel();
    for length in 0..data.len() {
        assert!(Object::parse(&data[..length], "x").is_err(), "{length} of {}", data.len());
    }
    try_all(&data, &kernel_btf);
}

#[test]
fn no_changed_byte_makes_it_panic() {
    let data = everything();
    let kernel_btf = plain_kernel();
    for at in 0..data.len() {
        for value in [0, 0xff, data[at] ^ 0x10] {
            let mut data = data.clone();
            data[at] = value;
            try_all(&data, &kernel_btf);
        }
    }
}

#[test]
fn what_is_no_bpf_object_is_said() {
    let error = |data: &[u8]| Object::parse(data, "x").map(|_| ()).expect_err("no object").to_string();
    let data = everything();
    let changed = |at: usize, byte: u8| {
        let mut data = data.clone();
        data[at] = byte;
        error(&data)
    };
    assert_eq!(
        error(b"#!/bin/sh, and more"),
        "reading the header of the ELF file: the first bytes are [23, 21, 2f, 62], not 7f 'E' 'L' 'F'"
    );
    assert_eq!(error(b"\x7fELF"), "reading the header of the ELF file: the file has only 4 bytes");
    assert_eq!(
        changed(5, 2),
        "not a BPF object: it is big-endian; only little-endian BPF (bpfel) is supported"
    );
    assert_eq!(changed(4, 1), "not a BPF object: it is a 32-bit ELF file");
    assert_eq!(changed(18, 62), "not a BPF object: it is for ELF machine 62, not for BPF (247)");
    assert_eq!(changed(16, 2), "not a BPF object: it is of ELF type 2, not relocatable (1)");
}

#[test]
fn missing_btf_is_named_with_what_needs_it() {
    let (e, _) = with_maps();
    let error = Object::parse(&e.build(), "x").map(|_| ()).expect_err("no BTF");
    assert_eq!(error, ObjectError::BtfMissing { needed_by: "section '.maps'".into() });
}

#[test]
fn wrong_places_are_named() {
    let program = |offset: u64, size: u64, what: Symbol| {
        let mut e = ElfBuilder::new();
        let code = e.section("xdp", Holds::Code, &bytes(&[call(-1), exit()]));
        e.symbol("main", what, code, offset, size);
        Object::parse(&e.build(), "x").map(|_| ())
    };
    for result in [
        program(8, 16, Symbol::GlobalFunction),
        program(4, 8, Symbol::GlobalFunction),
        program(0, 0, Symbol::GlobalFunction),
        program(u64::MAX, 16, Symbol::GlobalFunction),
        program(0, 16, Symbol::StaticFunction),
    ] {
        assert!(
            matches!(result, Err(ObjectError::Section { ref section, .. }) if section == "xdp"),
            "{result:?}"
        );
    }
    let mut e = ElfBuilder::new();
    let code = e.section("xdp", Holds::Code, &bytes(&[call(1000), exit()]));
    e.symbol("main", Symbol::GlobalFunction, code, 0, 16);
    let error = only_program(&object(e), &plain_kernel()).map(|_| ()).expect_err("calls nothing");
    assert!(matches!(error, ObjectError::Function { insn: Some(0), .. }), "{error}");
}
