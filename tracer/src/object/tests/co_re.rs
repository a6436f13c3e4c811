use super::*;
use crate::verifier::btf::Kind;

const LDX: u8 = 0x79;
const LDX_W: u8 = 0x61;

/// A program of one instruction (and exit) with one CO-RE relocation.
fn program(own: &mut BtfBuilder, insns: &[Insn], type_id: TypeId, access: &str, kind: u32) -> Object {
    let [section, access] = ["xdp", access].map(|s| own.string(s));
    let mut e = ElfBuilder::new();
    e.section(".BTF", Holds::Data, &own.build());
    let relocation = [(section, vec![[0, type_id.0, access, kind]])];
    e.section(".BTF.ext", Holds::Data, &builder::btf_ext(&[], &[], &relocation));
    let code = e.section("xdp", Holds::Code, &bytes(&[insns, &[exit()]].concat()));
    e.symbol("main", Symbol::GlobalFunction, code, 0, 8 * (insns.len() as u64 + 1));
    object(e)
}

fn load(code: u8, off: i16) -> Insn {
    Insn { code, dst: 1, src: 2, off, imm: 0 }
}

/// The object's `task`: `pid` at 8, `flags` at 16 (unsigned 64), `bits` a bitfield.
fn own_task(b: &mut BtfBuilder) -> TypeId {
    let int = b.int("int", 4, 1);
    let long = b.int("long", 8, 0);
    b.bitfields(
        "task___mine",
        32,
        &[("state", long, 0, 0), ("pid", int, 64, 0), ("flags", long, 128, 0), ("bits", int, 195, 3)],
    )
}

/// The kernel's: `pid` at 44 inside of an anonymous struct, `flags` of 32 bits at 4, `bits` elsewhere, no `state`.
fn kernel_task() -> Btf {
    let mut b = BtfBuilder::new();
    let int = b.int("int", 4, 1);
    let unsigned = b.int("unsigned", 4, 0);
    let inner = b.structure("", 8, &[("x", int, 0), ("pid", int, 32)]);
    b.bitfields("task", 48, &[("bits", int, 5, 2), ("flags", unsigned, 32, 0), ("", inner, 320, 0)]);
    btf(&b)
}

fn relocated(insns: &[Insn], access: &str, kind: u32) -> Result<Program, ObjectError> {
    let mut own = BtfBuilder::new();
    let task = own_task(&mut own);
    only_program(&program(&mut own, insns, task, access, kind), &kernel_task())
}

fn imm_of(insn: Insn, access: &str, kind: u32) -> i32 {
    relocated(&[insn], access, kind).expect("relocates").insns[0].imm
}

#[test]
fn a_member_is_found_by_name_wherever_it_is() {
    let program = relocated(&[load(LDX_W, 8)], "0:1", 0).expect("relocates");
    assert_eq!(program.insns[0], load(LDX_W, 44));
    assert!(program.poisoned.is_empty());
    let address = Insn { code: 0x07, imm: 8, ..Insn::default() };
    assert_eq!(imm_of(address, "0:1", 0), 44);
    // An element of an array of them.
    assert_eq!(imm_of(Insn { imm: 40, ..address }, "1:1", 0), 48 + 44);
}

#[test]
fn loads_are_resized_where_that_changes_no_number() {
    let program = relocated(&[load(LDX, 16)], "0:2", 0).expect("relocates");
    assert_eq!(program.insns[0], load(LDX_W, 4));
    // `pid` is signed, and its load may not change.
    let mut own = BtfBuilder::new();
    let long = own.int("long", 8, 1);
    let task = own.structure("task", 8, &[("pid", long, 0)]);
    let program = only_program(&program_of(&mut own, task, load(LDX, 0)), &kernel_task()).expect("relocates");
    assert_eq!(program.insns[0].imm, poison::CO_RE);
}

fn program_of(own: &mut BtfBuilder, task: TypeId, insn: Insn) -> Object {
    program(own, &[insn], task, "0:0", 0)
}

#[test]
fn what_the_kernel_lacks_is_poisoned_and_named() {
    let program = relocated(&[load(LDX, 0)], "0:0", 0).expect("relocates");
    assert_eq!(program.insns[0], Insn { code: 0x85, imm: poison::CO_RE, ..Insn::default() });
    let [Poisoned { insn: 0, reason }] = program.poisoned.as_slice() else { panic!("one is poisoned") };
    assert_eq!(reason, "the kernel has no struct task___mine.state that fits");
    let [first, second] = lddw(0);
    let program = relocated(&[Insn { imm: 0, ..first }, second], "0:0", 0).expect("relocates");
    assert_eq!([0, 1].map(|n| program.insns[n].imm), [poison::CO_RE; 2]);
}

#[test]
fn fields_answer_for_themselves() {
    let one = mov(1);
    assert_eq!([imm_of(one, "0:0", 2), imm_of(one, "0:1", 2)], [0, 1], "exists");
    assert_eq!([imm_of(mov(4), "0:1", 1), imm_of(mov(8), "0:2", 1)], [4, 4], "size");
    assert_eq!([imm_of(mov(1), "0:1", 3), imm_of(mov(0), "0:2", 3)], [1, 0], "signed");
    // Bits 5 and 6 of the first 4 bytes.
    assert_eq!([imm_of(mov(0), "0:3", 0), imm_of(mov(4), "0:3", 1)], [0, 4], "offset and size of a bitfield");
    assert_eq!([imm_of(mov(0), "0:3", 4), imm_of(mov(61), "0:3", 5)], [57, 62], "shifts of a bitfield");
}

#[test]
fn types_and_enumerators_answer_for_themselves() {
    let mut kernel_b = BtfBuilder::new();
    let int = kernel_b.int("int", 4, 1);
    let task = kernel_b.structure("task", 48, &[("pid", int, 0)]);
    kernel_b.enumeration("color", &[("GREEN", 7), ("RED", 9)]);
    let kernel_btf = btf(&kernel_b);
    let ask = |kind: u32, name: &str, before: i32| {
        let mut own = BtfBuilder::new();
        let int = own.int("int", 4, 1);
        let task = own.structure(name, 24, &[("pid", int, 0)]);
        only_program(&program(&mut own, &[mov(before)], task, "0", kind), &kernel_btf)
            .expect("relocates")
            .insns[0]
            .imm
    };
    assert_eq!([ask(6, "task", 0), ask(7, "task", 0), ask(7, "none", 0)], [2, task.0 as i32, 0], "type ids");
    assert_eq!([ask(8, "task", 1), ask(8, "none", 1)], [1, 0], "exists");
    assert_eq!([ask(9, "task___x", 24), ask(9, "none", 24)], [48, 0], "size");
    assert_eq!([ask(12, "task", 1), ask(12, "none", 1)], [1, 0], "matches");
    let value = |kind: u32, index: &str, before: i32| {
        let mut own = BtfBuilder::new();
        let color = own.enumeration("color___old", &[("RED", 1), ("BLUE", 2)]);
        only_program(&program(&mut own, &[mov(before)], color, index, kind), &kernel_btf)
            .expect("relocates")
            .insns[0]
            .imm
    };
    assert_eq!([value(10, "0", 1), value(10, "1", 1)], [1, 0], "exists");
    assert_eq!([value(11, "0", 1), value(11, "1", 2)], [9, poison::CO_RE], "value");
}

#[test]
fn an_ambiguous_or_wrong_relocation_is_an_error() {
    let mut kernel_b = BtfBuilder::new();
    let int = kernel_b.int("int", 4, 1);
    kernel_b.structure("task", 8, &[("pid", int, 0)]);
    kernel_b.structure("task___other", 8, &[("pid", int, 32)]);
    let mut own = BtfBuilder::new();
    let task = own_task(&mut own);
    let ambiguous = only_program(&program(&mut own, &[load(LDX_W, 8)], task, "0:1", 0), &btf(&kernel_b));
    assert!(matches!(ambiguous, Err(ObjectError::Function { insn: Some(0), .. })));
    for (insn, access, kind) in [
        (load(LDX_W, 12), "0:1", 0),
        (load(LDX_W, 8), "0:9", 0),
        (load(LDX_W, 8), "0:1:0", 0),
        (load(LDX_W, 8), "x", 0),
        (load(LDX_W, 8), "", 0),
        (load(LDX_W, 8), "0:1", 99),
        (exit(), "0:1", 0),
    ] {
        let result = relocated(&[insn], access, kind);
        assert!(matches!(result, Err(ObjectError::Function { insn: Some(0), .. })), "{access} {kind}");
    }
}

/// Anonymous members that contain themselves, and pointers to structs that match only by name.
#[test]
fn hostile_types_end() {
    let mut kernel_b = BtfBuilder::new();
    let own_id = kernel_b.reserve(0);
    kernel_b.composite(Kind::Struct, "task", 8, &[("", own_id, 0), ("", own_id, 0)]);
    let mut own = BtfBuilder::new();
    let task = own_task(&mut own);
    let result = only_program(&program(&mut own, &[load(LDX_W, 8)], task, "0:1", 0), &btf(&kernel_b));
    assert!(result.is_err());
    let mut own = BtfBuilder::new();
    let own_id = own.reserve(0);
    own.composite(Kind::Struct, "task", 8, &[("", own_id, 0), ("", own_id, 0)]);
    let result = only_program(&program(&mut own, &[mov(1)], own_id, "0", 12), &btf(&kernel_b));
    assert!(result.is_err());
}
