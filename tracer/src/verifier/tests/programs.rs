//! Verdicts on small programs, on every kernel: shapes that our own probes are made of, and their near misses.

use std::sync::Arc;

use super::super::insn::Insn;
use super::super::profile::{Config, Profile, Release};
use super::super::program::{AttachType, FuncInfo, Map, MapType, ProgType, Program, map_flags};
use super::super::report::{Kind, Report, Verdict};
use super::super::verify;
use super::asm::*;
use crate::verifier::btf::builder::BtfBuilder;
use crate::verifier::btf::{Btf, TypeId};

pub(super) const RELEASES: [Release; 4] =
    [Release::new(5, 10), Release::new(6, 1), Release::new(6, 12), Release::new(7, 2)];

// Helpers.
const LOOKUP: i32 = 1;
const UPDATE: i32 = 2;
const PROBE_READ_KERNEL: i32 = 113;
const PROBE_READ_USER_STR: i32 = 114;
const GET_CURRENT_PID_TGID: i32 = 14;
const GET_CURRENT_UID_GID: i32 = 15;
const GET_CURRENT_COMM: i32 = 16;
const GET_CURRENT_TASK: i32 = 35;
const GET_CURRENT_CGROUP_ID: i32 = 80;
const KTIME_GET_BOOT_NS: i32 = 125;
const RINGBUF_OUTPUT: i32 = 130;
const RINGBUF_RESERVE: i32 = 131;
const RINGBUF_SUBMIT: i32 = 132;
const RINGBUF_DISCARD: i32 = 133;

pub(super) fn map_of(kind: MapType, key_size: u32, value_size: u32) -> Map {
    Map {
        handle: 3,
        name: "m".into(),
        kind,
        key_size,
        value_size,
        max_entries: 1,
        flags: 0,
        extra: 0,
        btf_value: None,
        inner: None,
        frozen: None,
    }
}

fn ringbuf() -> Map {
    Map { handle: 4, max_entries: 1 << 16, ..map_of(MapType::RINGBUF, 0, 0) }
}

pub(super) fn program(kind: ProgType, insns: &[Insn]) -> Program {
    Program {
        insns: insns.to_vec(),
        kind,
        attach: AttachType(0),
        attach_btf_id: TypeId(0),
        flags: 0,
        gpl: true,
        maps: Vec::new(),
        funcs: Vec::new(),
        btf: None,
    }
}

fn run(release: Release, maps: &[Map], insns: &[Insn]) -> Report {
    let mut p = program(ProgType::KPROBE, insns);
    p.maps = maps.to_vec();
    verify(&p, &Profile::new(release, None, Config::default()))
}

fn accepts(maps: &[Map], insns: &[Insn]) {
    for release in RELEASES {
        let report = run(release, maps, insns);
        assert!(matches!(report.verdict, Verdict::Accept), "{release:?}: {report:?}");
    }
}

fn rejects(maps: &[Map], insns: &[Insn], at: u32, kind: Kind) {
    for release in RELEASES {
        let report = run(release, maps, insns);
        let Verdict::Reject(r) = &report.verdict else { panic!("{release:?}: {report:?}") };
        assert_eq!((r.insn, r.violation.kind), (Some(at), kind), "{release:?}: {}", r.violation.message);
    }
}

/// Parts to one program.
fn cat(parts: &[&[Insn]]) -> Vec<Insn> {
    parts.concat()
}

/// Zero key at the top of the stack, its address in R2, the map in R1, look up.
fn lookup() -> Vec<Insn> {
    cat(&[&[st(W, 10, -4, 0), movr(2, 10), alu(ADD, 2, -4)], &map(1, 3), &[call(LOOKUP)]])
}

#[test]
fn a_checked_lookup_may_be_used() {
    for kind in [MapType::ARRAY, MapType::PERCPU_ARRAY, MapType::HASH, MapType::LRU_HASH] {
        let m = [map_of(kind, 4, 16)];
        let use_it = [jmp(JEQ, 0, 0, 2), ldx(DW, 1, 0, 8), stx(DW, 0, 0, 1), mov(0, 0), exit()];
        accepts(&m, &cat(&[&lookup(), &use_it]));
    }
}

#[test]
fn an_unchecked_lookup_may_not() {
    let m = [map_of(MapType::HASH, 4, 16)];
    let p = cat(&[&lookup(), &[ldx(DW, 1, 0, 0), mov(0, 0), exit()]]);
    rejects(&m, &p, 6, Kind::NullDeref);
}

#[test]
fn a_value_ends_where_it_ends() {
    let m = [map_of(MapType::HASH, 4, 16)];
    let p = cat(&[&lookup(), &[jmp(JEQ, 0, 0, 1), ldx(DW, 1, 0, 9), mov(0, 0), exit()]]);
    rejects(&m, &p, 7, Kind::OutOfBounds);
}

#[test]
fn a_masked_index_stays_within_the_value() {
    let m = [map_of(MapType::PERCPU_ARRAY, 4, 4096)];
    let index = |mask| {
        let tail = [
            jmp(JEQ, 0, 0, 5),
            movr(6, 0),
            call(GET_CURRENT_PID_TGID),
            alu(AND, 0, mask),
            alur(ADD, 6, 0),
            st(B, 6, 0, 1),
        ];
        cat(&[&lookup(), &tail, &[mov(0, 0), exit()]])
    };
    accepts(&m, &index(4095));
    rejects(&m, &index(8191), 11, Kind::OutOfBounds);
}

#[test]
fn an_update_takes_keys_and_values_of_the_maps_size() {
    let m = [map_of(MapType::LRU_HASH, 8, 8)];
    let p = |value: i16| {
        let head = [call(GET_CURRENT_PID_TGID), stx(DW, 10, -8, 0), stx(DW, 10, value, 0)];
        let args = [movr(2, 10), alu(ADD, 2, -8), movr(3, 10), alu(ADD, 3, -16), mov(4, 0)];
        cat(&[&head, &args, &map(1, 3), &[call(UPDATE), mov(0, 0), exit()]])
    };
    accepts(&m, &p(-16));
}

#[test]
fn what_probes_read_fits_its_buffer() {
    let p = |size| {
        [
            call(GET_CURRENT_TASK),
            movr(3, 0),
            movr(1, 10),
            alu(ADD, 1, -16),
            mov(2, size),
            call(PROBE_READ_KERNEL),
            ldx(DW, 0, 10, -16),
            mov(0, 0),
            exit(),
        ]
    };
    accepts(&[], &p(16));
    rejects(&[], &p(17), 5, Kind::StackOutOfBounds);
}

#[test]
fn a_string_read_into_a_value_is_bounded() {
    let m = [map_of(MapType::PERCPU_ARRAY, 4, 256)];
    let p = |size| {
        let tail = [
            jmp(JEQ, 0, 0, 6),
            movr(1, 0),
            mov(2, size),
            mov(3, 0),
            call(PROBE_READ_USER_STR),
            jmp(JGT, 0, 256, 1),
            mov(0, 0),
        ];
        cat(&[&lookup(), &tail, &[mov(0, 0), exit()]])
    };
    accepts(&m, &p(256));
    rejects(&m, &p(257), 10, Kind::OutOfBounds);
}

#[test]
fn what_describes_the_task_is_to_be_had() {
    let comm = [movr(1, 10), alu(ADD, 1, -16), mov(2, 16), call(GET_CURRENT_COMM)];
    let ids = [call(GET_CURRENT_UID_GID), call(GET_CURRENT_CGROUP_ID), call(KTIME_GET_BOOT_NS)];
    accepts(&[], &cat(&[&comm, &ids, &[mov(0, 0), exit()]]));
}

#[test]
fn a_reservation_is_submitted_or_discarded_on_every_path() {
    let m = [ringbuf()];
    let reserve =
        cat(&[&map(1, 4), &[mov(2, 32), mov(3, 0), call(RINGBUF_RESERVE), jmp(JEQ, 0, 0, 5), movr(6, 0)]]);
    let fill = [st(DW, 6, 24, 7), movr(1, 6), mov(2, 0)];
    let end = [mov(0, 0), exit()];
    accepts(&m, &cat(&[&reserve, &fill, &[call(RINGBUF_SUBMIT)], &end]));
    accepts(&m, &cat(&[&reserve, &fill, &[call(RINGBUF_DISCARD)], &end]));
    rejects(&m, &cat(&[&reserve, &fill, &[mov(0, 0)], &end]), 12, Kind::ReferenceLeak);
    let mut beyond = cat(&[&reserve, &fill, &[call(RINGBUF_SUBMIT)], &end]);
    beyond[7] = st(DW, 6, 32, 7);
    rejects(&m, &beyond, 7, Kind::OutOfBounds);
}

#[test]
fn an_output_may_have_a_length_known_at_run_time_only() {
    let m = [ringbuf()];
    let p = |max| {
        let head = [
            st(DW, 10, -16, 0),
            st(DW, 10, -8, 0),
            call(GET_CURRENT_PID_TGID),
            movr(3, 0),
            alu(AND, 3, 31),
            jmp(JGT, 3, max, 5),
        ];
        cat(&[
            &head,
            &map(1, 4),
            &[movr(2, 10), alu(ADD, 2, -16), mov(4, 0)],
            &[call(RINGBUF_OUTPUT)],
            &[mov(0, 0), exit()],
        ])
    };
    let mut fits = p(16);
    fits[5] = jmp(JGT, 3, 16, 6);
    // On 5.10 the size may not be zero; here it may be: ARG_CONST_SIZE_OR_ZERO.
    accepts(&m, &fits);
    let mut long = fits;
    long[5] = jmp(JGT, 3, 17, 6);
    rejects(&m, &long, 11, Kind::StackOutOfBounds);
}

#[test]
fn a_loop_of_a_few_thousand_rounds_is_walked() {
    let p = |rounds| {
        [mov(6, 0), mov(7, 0), alu(ADD, 7, 3), alu(ADD, 6, 1), jmp(JLT, 6, rounds, -3), mov(0, 0), exit()]
    };
    accepts(&[], &p(4000));
    for release in RELEASES {
        assert_eq!(run(release, &[], &p(4000)).stats.insns_processed, 2 + 3 * 4000 + 2);
    }
    let report = run(Release::new(6, 12), &[], &p(1_000_000));
    let Verdict::Reject(r) = report.verdict else { panic!("a million instructions are the limit") };
    assert_eq!(r.violation.kind, Kind::TooComplex, "{}", r.violation.message);
}

#[test]
fn a_loop_without_end_is_found() {
    let p = [mov(6, 0), call(GET_CURRENT_PID_TGID), jmp(JNE, 0, 1, -2), mov(0, 0), exit()];
    for release in RELEASES {
        let report = run(release, &[], &p);
        let Verdict::Reject(r) = report.verdict else { panic!("{release:?}: {report:?}") };
        assert_eq!(r.violation.kind, Kind::InfiniteLoop, "{release:?}: {}", r.violation.message);
    }
}

/// A frozen section of constants decides branches: what a disabled option leads to is not walked.
#[test]
fn frozen_constants_decide_branches() {
    let frozen = |value: u8| Map {
        flags: map_flags::RDONLY_PROG,
        frozen: Some([value, 0, 0, 0].as_slice().into()),
        ..map_of(MapType::ARRAY, 4, 4)
    };
    // If the constant is not zero, R9 is read, which was never written.
    let p = cat(&[&map_value(1, 3, 0), &[ldx(W, 1, 1, 0), jmp(JEQ, 1, 0, 1), movr(0, 9), mov(0, 0), exit()]]);
    accepts(&[frozen(0)], &p);
    rejects(&[frozen(1)], &p, 4, Kind::UninitRegister);
    let write = cat(&[&map_value(1, 3, 0), &[st(W, 1, 0, 5), mov(0, 0), exit()]]);
    rejects(&[frozen(0)], &write, 2, Kind::MapForbidden);
}

#[test]
fn functions_take_and_give_scalars_and_pointers() {
    // The callee writes to its caller's stack.
    let p = [
        movr(1, 10),
        alu(ADD, 1, -8),
        mov(2, 5),
        call_sub(2),
        ldx(DW, 0, 10, -8),
        exit(),
        stx(DW, 1, 0, 2),
        mov(0, 0),
        exit(),
    ];
    accepts(&[], &p);
    // The callee does not keep R1, and nothing else gave R9 a value.
    let q = [call_sub(2), movr(0, 9), exit(), mov(0, 0), exit()];
    rejects(&[], &q, 1, Kind::UninitRegister);
}

#[test]
fn the_stack_of_a_chain_of_calls_is_limited() {
    let p =
        |low| [st(DW, 10, -264, 0), call_sub(2), mov(0, 0), exit(), st(DW, 10, low, 0), mov(0, 0), exit()];
    accepts(&[], &p(-200));
    for release in [Release::new(5, 10), Release::new(6, 1), Release::new(6, 12)] {
        let report = run(release, &[], &p(-304));
        let Verdict::Reject(r) = report.verdict else { panic!("{release:?}: {report:?}") };
        assert_eq!(r.violation.kind, Kind::StackTooDeep, "{release:?}");
    }
}

#[test]
fn dead_code_and_wild_jumps_are_refused() {
    rejects_before_walking(&[mov(0, 0), exit(), mov(0, 1), exit()], Kind::Unreachable);
    rejects_before_walking(&[mov(0, 0), ja(7), exit()], Kind::JumpOutOfRange);
}

fn rejects_before_walking(insns: &[Insn], kind: Kind) {
    for release in RELEASES {
        let report = run(release, &[], insns);
        let Verdict::Reject(r) = &report.verdict else { panic!("{release:?}: {report:?}") };
        assert_eq!(r.violation.kind, kind, "{release:?}: {}", r.violation.message);
    }
}

#[test]
fn what_is_not_modelled_is_said_to_be_so() {
    let mut p = program(ProgType::STRUCT_OPS, &[mov(0, 0), exit()]);
    p.attach_btf_id = TypeId(1);
    for release in RELEASES {
        let report = verify(&p, &Profile::new(release, None, Config::default()));
        assert!(matches!(report.verdict, Verdict::Unmodelled(_)), "{report:?}");
    }
}

#[test]
fn a_refusal_tells_how_it_came_about() {
    let m = [map_of(MapType::HASH, 4, 16)];
    let p =
        cat(&[&lookup(), &[movr(6, 0), mov(7, 1), jmp(JEQ, 6, 0, 1), ldx(DW, 1, 6, 9), mov(0, 0), exit()]]);
    for release in RELEASES {
        let Verdict::Reject(r) = run(release, &m, &p).verdict else { panic!("beyond the value") };
        let told: Vec<(u32, &str)> = r.path.iter().map(|s| (s.insn, s.what.as_str())).collect();
        let (last, before) = told.split_last().expect("the refused instruction");
        assert_eq!(last.0, 9);
        assert!(last.1.starts_with("r1 = *(u64 *)(r6 +9); R6=map_value"), "{}", last.1);
        let expect =
            [(5, "call bpf_map_lookup_elem#1"), (6, "r6 = r0"), (8, "if r6 == 0 goto pc+1: not taken")];
        assert_eq!(before[before.len() - 3..], expect, "{told:?}");
        // What else was computed is not told.
        assert!(told.iter().all(|(i, _)| *i != 7), "{told:?}");
    }
}

#[test]
fn a_function_that_calls_itself_is_refused() {
    // main calls f; f calls f.
    let p = [call_sub(1), exit(), call_sub(-1), exit()];
    rejects_before_walking_or_not(&p, Kind::CallTooDeep);
}

/// Recursion ends at the limit of frames on the walk, or before it.
fn rejects_before_walking_or_not(insns: &[Insn], kind: Kind) {
    for release in RELEASES {
        let Verdict::Reject(r) = run(release, &[], insns).verdict else { panic!("{release:?}") };
        // Before 6.1 the call was an edge of the flow graph.
        assert!(
            r.violation.kind == kind || r.violation.kind == Kind::BackEdge,
            "{release:?}: {}",
            r.violation.message
        );
    }
}

/// Spills around a call that is replaced by instructions take no stack (6.12 and later).
#[test]
fn spills_around_an_inlined_call_take_no_stack() {
    const GET_SMP_PROCESSOR_ID: i32 = 8;
    let p = [
        st(DW, 10, -512, 0),
        mov(1, 1),
        call_sub(2),
        mov(0, 0),
        exit(),
        stx(DW, 10, -8, 1),
        call(GET_SMP_PROCESSOR_ID),
        ldx(DW, 1, 10, -8),
        exit(),
    ];
    for release in RELEASES {
        let fits = release >= Release::new(6, 12);
        assert_eq!(matches!(run(release, &[], &p).verdict, Verdict::Accept), fits, "{release:?}");
    }
}

#[test]
fn bpf_loop_counts_by_a_number() {
    // R1 is still the context.
    let insns =
        [call_back(2, 7), map_hole(), mov(3, 0), mov(4, 0), call(181), mov(0, 0), exit(), mov(0, 0), exit()];
    let mut b = BtfBuilder::new();
    let int = b.int("int", 4, 1);
    let proto = b.func_proto(int, &[]);
    let (main, callback) = (b.func("main", proto, 1), b.func("callback", proto, 0));
    let mut p = program(ProgType::KPROBE, &insns);
    p.btf = Some(Arc::new(Btf::parse(b.build()).expect("well-formed BTF")));
    p.funcs = vec![FuncInfo { start: 0, type_id: main }, FuncInfo { start: 7, type_id: callback }];
    for release in [Release::new(6, 12), Release::new(7, 2)] {
        let report = verify(&p, &Profile::new(release, None, Config::default()));
        let Verdict::Reject(r) = &report.verdict else { panic!("{release:?}: {report:?}") };
        assert_eq!(r.insn, Some(4), "{}", r.violation.message);
    }
}

/// The address of the function at this slot, as seen from slot 0.
const fn call_back(dst: u8, slot: i32) -> Insn {
    Insn { code: 0x18, dst, src: 4, off: 0, imm: slot - 1 }
}

/// The second half of a 64-bit constant.
const fn map_hole() -> Insn {
    Insn { code: 0, dst: 0, src: 0, off: 0, imm: 0 }
}

#[test]
fn a_tracepoints_context_may_be_read_before_its_start() {
    for release in RELEASES {
        let verdict = |insns: &[Insn]| {
            verify(&program(ProgType::TRACEPOINT, insns), &Profile::new(release, None, Config::default()))
                .verdict
        };
        let read = |off| [ldx(B, 4, 1, off), mov(0, 0), exit()];
        assert!(matches!(verdict(&read(-1)), Verdict::Accept), "{release:?}");
        assert!(matches!(verdict(&read(7)), Verdict::Reject(_)), "{release:?}");
        let moved = [alu(ADD, 1, -8), ldx(B, 4, 1, 7), mov(0, 0), exit()];
        assert!(matches!(verdict(&moved), Verdict::Reject(_)), "{release:?}");
    }
}
