//! Verdicts on programs of a TCP congestion control, and on calls that no path reaches.

use std::sync::Arc;

use super::super::insn::{Insn, pseudo};
use super::super::profile::{Config, Profile, Release};
use super::super::program::{AttachType, ProgType, Program};
use super::super::report::{Kind, Verdict};
use super::super::verify;
use super::asm::*;
use super::programs::{RELEASES, program};
use crate::verifier::btf::builder::BtfBuilder;
use crate::verifier::btf::{Btf, Kind as BtfKind, TypeId};

/// Members of `tcp_congestion_ops` below.
const INIT: u32 = 0;
const SSTHRESH: u32 = 1;
const GET_INFO: u32 = 2;
const FLAGS: u32 = 3;

const SEND_ACK: i32 = 116;
const SETSOCKOPT: i32 = 49;

fn kernel() -> Arc<Btf> {
    let mut b = BtfBuilder::new();
    let int = b.int("unsigned int", 4, 0);
    let sock = b.structure("sock", 16, &[("sk_pacing_rate", int, 0), ("sk_pacing_status", int, 32)]);
    let inner = b.structure("ack", 4, &[("pending", int, 0)]);
    let bytes = b.array(int, int, 4);
    let icsk = b.structure(
        "inet_connection_sock",
        48,
        &[("sk", sock, 0), ("icsk_ack", inner, 128), ("icsk_ca_priv", bytes, 256)],
    );
    b.structure(
        "tcp_sock",
        64,
        &[
            ("inet_conn", icsk, 0),
            ("snd_cwnd", int, 384),
            ("snd_cwnd_cnt", int, 416),
            ("snd_ssthresh", int, 448),
            ("ecn_flags", int, 480),
        ],
    );
    let sk = b.ptr(sock);
    let nothing = b.func_proto(TypeId::VOID, &[("sk", sk)]);
    let number = b.func_proto(int, &[("sk", sk)]);
    let [nothing, number] = [nothing, number].map(|proto| b.ptr(proto));
    let ops = b.structure(
        "tcp_congestion_ops",
        32,
        &[("init", nothing, 0), ("ssthresh", number, 64), ("get_info", number, 128), ("flags", int, 192)],
    );
    b.structure("bpf_struct_ops_tcp_congestion_ops", 64, &[("data", ops, 0)]);
    Arc::new(Btf::parse(b.build()).expect("well-formed BTF"))
}

fn of_member(btf: &Btf, member: u32, insns: &[Insn]) -> Program {
    Program {
        attach: AttachType(member),
        attach_btf_id: btf.find(BtfKind::Struct, "tcp_congestion_ops").expect("there"),
        ..program(ProgType::STRUCT_OPS, insns)
    }
}

fn check(release: Release, member: u32, insns: &[Insn]) -> Verdict {
    let btf = kernel();
    let program = of_member(&btf, member, insns);
    verify(&program, &Profile::new(release, Some(btf), Config::default())).verdict
}

fn refusal(verdict: &Verdict) -> (Kind, &str) {
    match verdict {
        Verdict::Reject(r) => (r.violation.kind, r.violation.message.as_str()),
        other => panic!("{other:?}"),
    }
}

/// The socket into R6.
const SOCK: Insn = ldx(DW, 6, 1, 0);

#[test]
fn a_congestion_control_writes_its_own_fields_alone() {
    for release in RELEASES {
        let write = |off, size| check(release, INIT, &[SOCK, mov(0, 1), stx(size, 6, off, 0), exit()]);
        // Nothing is returned, so nothing is asked of R0.
        assert!(matches!(check(release, INIT, &[SOCK, exit()]), Verdict::Accept), "{release:?}");
        assert!(matches!(write(48, W), Verdict::Accept), "{release:?} snd_cwnd");
        assert!(matches!(write(36, W), Verdict::Accept), "{release:?} in the middle of icsk_ca_priv");
        let paces = release >= Release::new(6, 1);
        assert_eq!(matches!(write(0, W), Verdict::Accept), paces, "{release:?} sk_pacing_rate");
        assert_eq!(refusal(&write(12, W)), (Kind::BtfAccess, "no write support to tcp_sock at off 12"));
        let beyond = "write access at off 48 with size 8 beyond the member of tcp_sock ended at 52";
        assert_eq!(refusal(&write(48, DW)), (Kind::BtfAccess, beyond));
    }
}

#[test]
fn what_a_member_promises_is_asked_for() {
    for release in RELEASES {
        let forgets = check(release, SSTHRESH, &[SOCK, exit()]);
        assert_eq!(refusal(&forgets).1, "R0 !read_ok", "{release:?}");
        let unsupported = check(release, GET_INFO, &[mov(0, 0), exit()]);
        assert_eq!(
            refusal(&unsupported).1,
            "attach to unsupported member get_info of struct tcp_congestion_ops",
            "{release:?}"
        );
        let data = check(release, FLAGS, &[mov(0, 0), exit()]);
        assert_eq!(
            refusal(&data).1,
            "attach to invalid member flags(@idx 3) of struct tcp_congestion_ops",
            "{release:?}"
        );
    }
}

#[test]
fn it_has_helpers_of_its_own() {
    for release in RELEASES {
        let ack = [SOCK, movr(1, 6), mov(2, 0), call(SEND_ACK), exit()];
        assert!(matches!(check(release, INIT, &ack), Verdict::Accept), "{release:?}");
        let options = check(release, INIT, &[SOCK, movr(1, 6), call(SETSOCKOPT), exit()]);
        let none = matches!(&options, Verdict::Reject(r) if r.violation.kind == Kind::FunctionNotAllowed);
        assert_eq!(none, release < Release::new(6, 1), "{release:?}: {options:?}");
    }
}

#[test]
fn a_call_of_no_kernel_function_is_refused_though_no_path_reaches_it() {
    let unreached = |imm| {
        let kfunc = Insn { src: pseudo::KFUNC_CALL, ..call(imm) };
        [mov(0, 0), jmp(JEQ, 0, 0, 1), kfunc, exit()]
    };
    for release in &RELEASES[1..] {
        let profile = Profile::new(*release, Some(kernel()), Config::default());
        let mut p = program(ProgType::KPROBE, &unreached(1));
        assert_eq!(refusal(&verify(&p, &profile).verdict).1, "kernel btf_id 1 is not a function");
        // Number 0 is refused only where it is reached.
        p.insns = unreached(0).to_vec();
        assert!(matches!(verify(&p, &profile).verdict, Verdict::Accept), "{release:?}");
        p.gpl = false;
        let why = "cannot call kernel function from non-GPL compatible program";
        assert_eq!(refusal(&verify(&p, &profile).verdict).1, why);
    }
}

#[test]
fn a_tail_call_ends_what_is_known_of_the_packet() {
    let prog_array = super::super::program::Map {
        handle: 3,
        ..super::programs::map_of(super::super::program::MapType::PROG_ARRAY, 4, 4)
    };
    let parts: [&[Insn]; 3] = [
        &[movr(6, 1), ldx(W, 9, 6, 76), ldx(W, 0, 6, 80), movr(1, 9), alu(ADD, 1, 10), jgt_reg(1, 0, 6)],
        &[movr(1, 6), map(2, 3)[0], map(2, 3)[1], mov(3, 0), call(12), ldx(DW, 1, 9, 0)],
        &[mov(0, 0), exit()],
    ];
    for release in RELEASES {
        let mut p = program(ProgType::SCHED_CLS, &parts.concat());
        p.maps = vec![prog_array.clone()];
        let verdict = verify(&p, &Profile::new(release, None, Config::default())).verdict;
        match release >= Release::new(6, 12) {
            true => assert_eq!(refusal(&verdict).0, Kind::InvalidMemAccess, "{release:?}"),
            false => assert!(matches!(verdict, Verdict::Accept), "{release:?}: {verdict:?}"),
        }
    }
}

/// `if dst > src goto off`
const fn jgt_reg(dst: u8, src: u8, off: i16) -> Insn {
    Insn { code: 0x2d, dst, src, off, imm: 0 }
}
