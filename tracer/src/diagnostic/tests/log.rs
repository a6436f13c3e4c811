//! Kernel logs, in the forms of different versions.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use crate::diagnostic::{kernel_log, text};

#[track_caller]
fn check(log: &str, expected: &Expect) {
    let diagnostic = kernel_log::parse(log).expect("the log names a reason");
    let mut out = String::new();
    text::write(&diagnostic, &text::About { program: "p", section: "s", kernels: "this kernel" }, &mut out);
    let end = out.find(" = why:").map_or(out.len(), |at| out[..at].rfind('\n').map_or(at, |line| line + 1));
    let why: String = diagnostic.explanation.chars().take(100).collect();
    expected.assert_eq(&format!("{}   = why: {why}\n", &out[..end]));
}

/// As 6.12 writes it at log level 1, with BTF.
#[test]
fn a_log_of_6_12() {
    check(
        "0: R1=ctx() R10=fp0\n\
         ; u32 key = 0; @ count.c:18\n\
         0: (b4) w1 = 0                        ; R1_w=0\n\
         1: (63) *(u32 *)(r10 -4) = r1         ; R1_w=0 R10=fp0 fp-8=0000????\n\
         2: (bf) r2 = r10                      ; R2_w=fp0 R10=fp0\n\
         3: (07) r2 += -4                      ; R2_w=fp-4\n\
         ; u64 *value = bpf_map_lookup_elem(&counts, &key); @ count.c:19\n\
         4: (18) r1 = 0xffff8880058fe400       ; R1_w=map_ptr(map=counts,ks=4,vs=8)\n\
         6: (85) call bpf_map_lookup_elem#1    ; R0_w=map_value_or_null(id=1,map=counts,ks=4,vs=8)\n\
         ; *value += 1; @ count.c:20\n\
         7: (79) r1 = *(u64 *)(r0 +0)\n\
         R0 invalid mem access 'map_value_or_null'\n\
         processed 7 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n",
        &expect![[r#"
            error[maybe_null_access]: memory is accessed through a pointer that may be null
              --> count.c:20, program `p` (s) on this kernel
               |
            20 | *value += 1;
               | ^ instruction 7: r1 = *(u64 *)(r0 +0)
               |
               = kernel: R0 invalid mem access 'map_value_or_null'
               = how it came to this:
                 count.c:19  u64 *value = bpf_map_lookup_elem(&counts, &key);
                       6: call bpf_map_lookup_elem#1; R0_w=map_value_or_null(id=1,map=counts,ks=4,vs=8)
               = why: The call that gave this pointer gives null when there is nothing to point to: a map without the key,
        "#]],
    );
}

/// As 5.10 writes it: states in lines of their own, no places; the other branch was walked first.
#[test]
fn a_log_of_5_10_with_two_branches() {
    check(
        "Unrecognized arg#0 type PTR\n\
         ; int leak(void *ctx)\n\
         0: (b7) r2 = 8\n\
         1: (b7) r3 = 0\n\
         2: (18) r1 = 0xffff888004a4f400\n\
         4: (85) call bpf_ringbuf_reserve#131\n\
          R0_w=mem_or_null(id=2,ref_obj_id=2,off=0,imm=0) R10=fp0 refs=2\n\
         5: (bf) r6 = r0\n\
         ; if (!event)\n\
         6: (15) if r6 == 0x0 goto pc+5\n\
          R0=mem(id=0,ref_obj_id=2,off=0,imm=0) R6=mem(id=0,ref_obj_id=2,off=0,imm=0) R10=fp0 refs=2\n\
         7: (85) call bpf_get_current_pid_tgid#14\n\
         8: (55) if r0 != 0x1 goto pc+3\n\
          R0=inv1 R6=mem(id=0,ref_obj_id=2,off=0,imm=0) R10=fp0 refs=2\n\
         9: (bf) r1 = r6\n\
         10: (b7) r2 = 0\n\
         11: (85) call bpf_ringbuf_submit#132\n\
         12: (b7) r0 = 0\n\
         13: (95) exit\n\
         \n\
         from 8 to 12: R0=inv(id=0) R6=mem(id=0,ref_obj_id=2,off=0,imm=0) R10=fp0 refs=2\n\
         12: (b7) r0 = 0\n\
         13: (95) exit\n\
         Unreleased reference id=2 alloc_insn=4\n\
         processed 16 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 1\n",
        &expect![[r#"
            error[reference_leak]: something that was acquired is not released on every path
              --> program `p` (s) on this kernel
               |
               | if (!event)
               | ^ instruction 13: exit
               |
               = kernel: Unreleased reference id=2 alloc_insn=4
               = how it came to this:
                 ; int leak(void *ctx)
                       4: call bpf_ringbuf_reserve#131  <- acquired here, and not released
                 ; if (!event)
                       6: if r6 == 0x0 goto pc+5
                       8: if r0 != 0x1 goto pc+3
               = why: A reservation in a ring buffer, a socket, a task or another counted object has to be given back on e
        "#]],
    );
}

/// As 7.3 writes it.
#[test]
fn a_log_of_7_3() {
    check(
        "0: R1=ctx() R10=fp0\n\
         0: (95) exit\n\
         R0 !read_ok\n\
         \n\
         Verification failed: Register Type Safety: Unreadable register\n\
         \n\
         Reason:\n  R0 has never been initialized on this path, so the verifier cannot use it as an input.\n\
         \n\
         At:\n  insn 0\n        | ^-- error: R0 is not readable\n  Instruction context:\n  >>> 0 | (95) exit\n\
         \n\
         Causal path:\n  no retained diagnostic events on this path\n\
         \n\
         Suggestion:\n  Initialize R0 on every path before this instruction.\n\
         \n\
         processed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n",
        &expect![[r#"
            error[uninit_register]: a register is read that holds nothing
              --> program `p` (s) on this kernel
               | instruction 0: exit
               |
               = kernel: R0 !read_ok
               = why: R0 has never been initialized on this path, so the verifier cannot use it as an input. It was never 
        "#]],
    );
}

#[test]
fn a_report_of_an_unknown_category_speaks_for_itself() {
    let log = "Verification failed: Something: New\n\nReason:\n  It is so\n  and so.\n\nAt:\n  insn 7\n\n\
               Suggestion:\n  Do not.\n";
    let diagnostic = kernel_log::parse(log).expect("it has a reason");
    assert_eq!(diagnostic.kind, kernel_log::UNKNOWN);
    assert_eq!(diagnostic.title, "Something: New");
    assert_eq!(diagnostic.message, "It is so and so.");
    assert_eq!(diagnostic.insn, Some(7));
    assert_eq!(diagnostic.suggestion.map(|s| s.c), Some("Do not.".into()));
}

#[test]
fn the_leaked_reference_is_the_reason() {
    let log = "4: (85) call bpf_ringbuf_reserve#131\n5: (95) exit\nUnreleased reference id=2 alloc_insn=4\n\
               BPF_EXIT instruction in main prog would lead to reference leak\nprocessed 6 insns\n";
    let diagnostic = kernel_log::parse(log).expect("it has a reason");
    assert_eq!((diagnostic.kind, diagnostic.insn), ("reference_leak", Some(5)));
    assert_eq!(diagnostic.path.iter().map(|step| step.insn).collect::<Vec<_>>(), [4, 5]);
}

#[test]
fn a_log_without_a_reason_is_none() {
    for log in ["", "\n", "processed 3 insns (limit 1000000)\n", "0: (95) exit\n", "func#0 @0\n"] {
        assert_eq!(kernel_log::parse(log), None, "{log:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_survived(words in prop::collection::vec(prop_oneof![
        Just("from 1 to 2: R0=1\n".to_owned()), Just("1: (85) call bpf_x#1 ; R0=2\n".to_owned()),
        Just("2: (bf) r1 = r0\n".to_owned()), Just("if ".to_owned()), Just("; x @ y:3\n".to_owned()),
        Just("Verification failed:".to_owned()), Just("Reason:\n".to_owned()), Just("At:\n  insn 5\n".to_owned()),
        Just("R1 invalid mem access 'scalar'\n".to_owned()), Just("alloc_insn=".to_owned()), "\\PC{0,12}\n?",
    ], 0..24)) {
        let log = words.concat();
        if let Some(diagnostic) = kernel_log::parse(&log) {
            prop_assert!(!diagnostic.title.is_empty() || log.contains("Verification failed:"));
        }
    }
}
