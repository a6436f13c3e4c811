mod bad_input;
mod co_re;
mod externs;
mod linking;
mod maps;

use super::builder::{ElfBuilder, Holds, Symbol};
use super::*;
use crate::verifier::btf::TypeId;
use crate::verifier::btf::builder::BtfBuilder;

/// A kernel of the newest kind, with this BTF.
fn kernel(btf: &Btf) -> Target<'_> {
    Target {
        btf: Some(btf),
        modules: &[],
        features: KernelFeatures::of(KernelVersion::new(7, 2, 0)),
        kconfig: Some(""),
        symbols: Symbols::Unknown,
        possible_cpus: Some(4),
    }
}

fn btf(builder: &BtfBuilder) -> Btf {
    Btf::parse(builder.build()).expect("the builder writes well-formed BTF")
}

/// The BTF of a kernel of which nothing is asked.
fn plain_kernel() -> Btf {
    let mut b = BtfBuilder::new();
    b.int("int", 4, 1);
    btf(&b)
}

fn mov(imm: i32) -> Insn {
    Insn { code: 0xb7, imm, ..Insn::default() }
}

fn exit() -> Insn {
    Insn { code: 0x95, ..Insn::default() }
}

fn call(imm: i32) -> Insn {
    Insn { code: 0x85, src: pseudo::CALL, imm, ..Insn::default() }
}

fn lddw(imm: i32) -> [Insn; 2] {
    [Insn { code: 0x18, dst: 1, imm, ..Insn::default() }, Insn::default()]
}

fn bytes(insns: &[Insn]) -> Vec<u8> {
    insns.iter().flat_map(|insn| insn.to_bytes()).collect()
}

/// The immediates of a program's calls and loads, by instruction.
fn imms(program: &Program) -> Vec<i32> {
    program.insns.iter().map(|insn| insn.imm).collect()
}

fn object(elf: ElfBuilder) -> Object {
    Object::parse(&elf.build(), "test.bpf.o").expect("a good object")
}

/// The only program, on a kernel with this BTF.
fn only_program(object: &Object, kernel_btf: &Btf) -> Result<Program, ObjectError> {
    let target = kernel(kernel_btf);
    let (id, _) = object.programs().next().expect("one program");
    object.resolve(&target)?.program(id)
}
