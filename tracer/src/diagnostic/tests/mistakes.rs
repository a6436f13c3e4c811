//! Mistakes that everybody makes, and what is said about each.

use std::sync::Arc;

use expect_test::{Expect, expect};

use crate::check;
use crate::diagnostic::{Subject, of_rejection, text};
use crate::object::sample::{Sample, SampleMap};
use crate::object::{KernelFeatures, KernelVersion, Object, Symbols, Target};
use crate::verifier::btf::Btf;
use crate::verifier::btf::builder::BtfBuilder;
use crate::verifier::{Config, Verdict};

const COUNTS: SampleMap =
    SampleMap { name: "counts", map_type: 1, key_size: 4, value_size: 8, max_entries: 16 };
const EVENTS: SampleMap =
    SampleMap { name: "events", map_type: 27, key_size: 0, value_size: 0, max_entries: 4096 };

fn gpl() -> Sample {
    Sample::new("GPL").map(COUNTS).map(EVENTS)
}

/// What is said of a program, without the texts that its kind has in common with all others.
#[track_caller]
fn told(sample: Sample, section: &str, code: &str, kernel: (u16, u16)) -> String {
    let sample = sample.program(section, "sample", code).expect("it can be assembled");
    let object = Object::parse(&sample.build(), "sample.o").expect("well formed");
    let version = KernelVersion::new(kernel.0, kernel.1, 0);
    // The number of helpers that the kernel has.
    let helpers = if kernel < (6, 0) { 163 } else { 212 };
    let mut btf = BtfBuilder::new();
    btf.enumeration("bpf_func_id", &[("__BPF_FUNC_MAX_ID", helpers)]);
    let btf = Arc::new(Btf::parse(btf.build()).expect("well formed"));
    let target = Target {
        btf: Some(&btf),
        modules: &[],
        features: KernelFeatures::of(version),
        kconfig: Some(""),
        symbols: Symbols::Unknown,
        possible_cpus: Some(2),
    };
    let resolved = object.resolve(&target).expect("nothing to resolve");
    let program = resolved.program(object.program_named("sample").expect("there")).expect("links");
    let profile = check::profile(check::release(version), Some(btf.clone()), Config::default());
    let verdict = check::verify(&resolved, &program, &profile).verdict;
    let Verdict::Reject(rejection) = verdict else { panic!("{verdict:?}") };
    let subject = Subject { program: &program, license: object.license() };
    let diagnostic = of_rejection(&rejection, &subject);
    assert!(diagnostic.suggestion.is_some() && !diagnostic.explanation.is_empty());
    let kernel = format!("kernel {}.{}", kernel.0, kernel.1);
    let mut out = String::new();
    text::write(&diagnostic, &text::About { program: "sample", section, kernels: &kernel }, &mut out);
    let end = out.find(" = why:").map_or(out.len(), |at| out[..at].rfind('\n').map_or(at, |line| line + 1));
    let why = diagnostic.explanation.split_inclusive(". ").next().unwrap_or_default();
    format!("{}   = why: {}\n", &out[..end], why.trim_end())
}

#[track_caller]
fn check(section: &str, code: &str, expected: &Expect) {
    expected.assert_eq(&told(gpl(), section, code, (6, 12)));
}

#[test]
fn a_lookup_that_is_not_compared_with_null() {
    check(
        "kprobe",
        "; u32 key = 0;
         *(u32 *)(r10 - 4) = 0
         ; u64 *value = bpf_map_lookup_elem(&counts, &key);
         ;              ^
         r2 = r10
         r2 += -4
         r1 = map counts
         call 1
         ; *value += 1;
         ;        ^
         r1 = *(u64 *)(r0 + 0)
         r0 = 0
         exit",
        &expect![[r#"
            error[maybe_null_access]: memory is accessed through a pointer that may be null
              --> sample.c:3:8, program `sample` (kprobe) on kernel 6.12
               |
             3 | *value += 1;
               |        ^ instruction 6: r1 = *(u64 *)(r0 +0); R0=map_value_or_null(id=1), map counts
               |
               = kernel: R0 invalid mem access 'map_value_or_null'
               = how it came to this:
                 sample.c:2  u64 *value = bpf_map_lookup_elem(&counts, &key);
                       5: call bpf_map_lookup_elem#1
               = why: R0 comes from `bpf_map_lookup_elem` at sample.c:2 (instruction 5), and was not found to be other than null on this path.
        "#]],
    );
}

#[test]
fn a_packet_that_may_be_shorter() {
    let code = "; void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
         r2 = *(u32 *)(r1 + 0)
         r3 = *(u32 *)(r1 + 4)
         ; if (data + 12 > end) return XDP_PASS;
         r4 = r2
         r4 += 12
         r0 = 2
         if r4 > r3 goto +1
         ; u16 proto = *(u16 *)(data + 12);
         ;             ^
         r1 = *(u16 *)(r2 + 12)
         ; return XDP_PASS;
         exit";
    check(
        "xdp",
        code,
        &expect![[r#"
        error[packet_out_of_bounds]: packet data is accessed without a check against the packet's end
          --> sample.c:3:13, program `sample` (xdp) on kernel 6.12
           |
         3 | u16 proto = *(u16 *)(data + 12);
           |             ^ instruction 6: r1 = *(u16 *)(r2 +12); R2=pkt, 12 bytes of it known to be there
           |
           = kernel: R2 offset is outside of the packet
           = how it came to this:
             sample.c:1  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
                   0: r2 = *(u32 *)(r1 +0)
             sample.c:2  if (data + 12 > end) return XDP_PASS;
                   5: if r4 > r3 goto pc+1: not taken
           = why: What is known here: R2=pkt, 12 bytes of it known to be there; the comparisons on this path prove no more.
    "#]],
    );
    expect![[r#"
        error[packet_out_of_bounds]: packet data is accessed without a check against the packet's end
          --> sample.c:3:13, program `sample` (xdp) on kernel 7.2
           |
         3 | u16 proto = *(u16 *)(data + 12);
           |             ^ instruction 6: r1 = *(u16 *)(r2 +12); R2=pkt, 12 bytes of it known to be there
           |
           = kernel: R2 min value is outside of the allowed memory range
           = how it came to this:
             sample.c:1  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
                   0: r2 = *(u32 *)(r1 +0)
             sample.c:2  if (data + 12 > end) return XDP_PASS;
                   5: if r4 > r3 goto pc+1: not taken
           = why: What is known here: R2=pkt, 12 bytes of it known to be there; the comparisons on this path prove no more.
    "#]].assert_eq(&told(gpl(), "xdp", code, (7, 2)));
}

#[test]
fn a_reservation_that_is_not_given_back() {
    check(
        "kprobe",
        "; struct event *event = bpf_ringbuf_reserve(&events, 8, 0);
         ;                       ^
         r1 = map events
         r2 = 8
         r3 = 0
         call 131
         ; if (!event) return 0;
         if r0 == 0 goto +6
         r6 = r0
         ; if (uid() == 0) return 0;
         call 15
         if r0 == 0 goto +3
         ; bpf_ringbuf_submit(event, 0);
         r1 = r6
         r2 = 0
         call 132
         ; return 0;
         r0 = 0
         exit",
        &expect![[r#"
            error[reference_leak]: something that was acquired is not released on every path
              --> sample.c:5:1, program `sample` (kprobe) on kernel 6.12
               |
             5 | return 0;
               | ^ instruction 13: exit
               |
               = kernel: Unreleased reference id=2 alloc_insn=4
               = how it came to this:
                 sample.c:1  struct event *event = bpf_ringbuf_reserve(&events, 8, 0);
                       4: call bpf_ringbuf_reserve#131  <- acquired here, and not released
                 sample.c:2  if (!event) return 0;
                       5: if r0 == 0 goto pc+6: not taken
                 sample.c:3  if (uid() == 0) return 0;
                       8: if r0 == 0 goto pc+3: taken
               = why: `bpf_ringbuf_reserve` at sample.c:1 (instruction 4) acquires it, and the 2 branches on the way lead to the end without releasing it.
        "#]],
    );
}

#[test]
fn a_key_that_was_never_written() {
    let code = "; bpf_map_lookup_elem(&counts, &key);
         ; ^
         r2 = r10
         r2 += -4
         r1 = map counts
         call 1
         r0 = 0
         exit";
    expect![[r#"
        error[stack_uninit]: stack memory is read that was never written
          --> sample.c:1:1, program `sample` (kprobe) on kernel 6.1
           |
         1 | bpf_map_lookup_elem(&counts, &key);
           | ^ instruction 4: call bpf_map_lookup_elem#1; R2=fp(off=-4)
           |
           = kernel: invalid indirect read from stack R2 off -4+0 size 4
           = how it came to this:
             sample.c:1  bpf_map_lookup_elem(&counts, &key);
                   0: r2 = r10
                   1: r2 += -4
           = why: What another function left on the stack would leak into maps and to user space.
    "#]]
    .assert_eq(&told(gpl(), "kprobe", code, (6, 1)));
}

#[test]
fn a_loop_without_an_end() {
    check(
        "kprobe",
        "; for (;;)
         r0 = 0
         ; if (n == 1) break;
         ;     ^
         if r0 == 1 goto +1
         goto -2
         exit",
        &expect![[r#"
            error[infinite_loop]: a loop goes round without anything changing
              --> sample.c:2:5, program `sample` (kprobe) on kernel 6.12
               |
             2 | if (n == 1) break;
               |     ^ instruction 2
               |
               = kernel: infinite loop detected at insn 1
               = how it came to this:
                 sample.c:2  if (n == 1) break;
                       1: if r0 == 1 goto pc+1: not taken
                       1: if r0 == 1 goto pc+1  <- here again, and nothing has changed
               = why: The path shown is one round of it.
        "#]],
    );
}

#[test]
fn a_stack_that_is_too_large() {
    check(
        "kprobe",
        "; char buf[600] = {};
         ; ^
         *(u64 *)(r10 - 600) = 0
         r0 = 0
         exit",
        &expect![[r#"
            error[stack_out_of_bounds]: an access lies outside of the stack frame
              --> sample.c:1:1, program `sample` (kprobe) on kernel 6.12
               |
             1 | char buf[600] = {};
               | ^ instruction 0: *(u64 *)(r10 -600) = 0; R10=fp
               |
               = kernel: invalid write to stack R10 off=-600 size=8
               = why: A frame has 512 bytes, from R10-512 to R10-1, and an access through a variable offset must be bounded on both sides.
        "#]],
    );
}

#[test]
fn a_helper_that_this_program_type_has_not() {
    check(
        "xdp",
        "; bpf_skb_load_bytes(ctx, 0, buf, 8);
         ; ^
         call 26
         r0 = 2
         exit",
        &expect![[r#"
            error[function_not_allowed]: this program may not call this helper
              --> sample.c:1:1, program `sample` (xdp) on kernel 6.12
               |
             1 | bpf_skb_load_bytes(ctx, 0, buf, 8);
               | ^ instruction 0: call bpf_skb_load_bytes#26
               |
               = kernel: program of this type cannot use helper bpf_skb_load_bytes#26
               = why: `bpf_skb_load_bytes` is not among the helpers of xdp programs on this kernel.
        "#]],
    );
}

#[test]
fn a_helper_for_gpl_programs() {
    let code = "; bpf_probe_read_kernel(&pid, 4, &task->pid);
         r3 = 0
         r2 = 4
         r1 = r10
         r1 += -4
         call 113
         r0 = 0
         exit";
    expect![[r#"
        error[function_not_allowed]: this program may not call this helper
          --> sample.c:1:1, program `sample` (kprobe) on kernel 6.12
           |
         1 | bpf_probe_read_kernel(&pid, 4, &task->pid);
           | ^ instruction 4: call bpf_probe_read_kernel#113
           |
           = kernel: cannot call GPL-restricted function from non-GPL compatible program
           = why: The object's licence is "MIT", which the kernel does not count as compatible with the GPL.
    "#]]
    .assert_eq(&told(Sample::new("MIT"), "kprobe", code, (6, 12)));
}

#[test]
fn a_helper_that_is_newer_than_the_kernel() {
    let code = "; bpf_loop(100, callback, 0, 0);
         call 181
         r0 = 0
         exit";
    expect![[r#"
        error[unknown_function]: the kernel does not have this helper
          --> sample.c:1:1, program `sample` (kprobe) on kernel 5.10
           |
         1 | bpf_loop(100, callback, 0, 0);
           | ^ instruction 0: call bpf_loop#181
           |
           = kernel: invalid func bpf_loop#181
           = why: `bpf_loop` is newer than this kernel.
    "#]]
    .assert_eq(&told(gpl(), "kprobe", code, (5, 10)));
}

#[test]
fn a_register_that_a_call_destroyed() {
    check(
        "kprobe",
        "; u64 now = bpf_ktime_get_ns();
         call 5
         ; return ctx->ip;
         ;        ^
         r0 = *(u64 *)(r1 + 128)
         exit",
        &expect![[r#"
            error[uninit_register]: a register is read that holds nothing
              --> sample.c:2:8, program `sample` (kprobe) on kernel 6.12
               |
             2 | return ctx->ip;
               |        ^ instruction 1: r0 = *(u64 *)(r1 +128); R1=never written
               |
               = kernel: R1 !read_ok
               = how it came to this:
                 sample.c:1  u64 now = bpf_ktime_get_ns();
                       0: call bpf_ktime_get_ns#5
               = why: R1 was lost at sample.c:1 (instruction 0): `call bpf_ktime_get_ns#5` destroys R1 to R5.
        "#]],
    );
}

#[test]
fn a_return_value_out_of_range() {
    check(
        "cgroup/connect4",
        "; return 2;
         r0 = 2
         exit",
        &expect![[r#"
            error[return_value]: the program returns a value that it may not return
              --> sample.c:1:1, program `sample` (cgroup/connect4) on kernel 6.12
               |
             1 | return 2;
               | ^ instruction 1: exit; R0=2
               |
               = kernel: At program exit the register R0 has smin=2 smax=2 should have been in [0, 1]
               = how it came to this:
                 sample.c:1  return 2;
                       0: r0 = 2
               = why: The kernel acts on what some programs return, and knows only certain values: 0 or 1 for most cgroup programs, 0 for fentry, fexit and tracepoints with BTF, an errno or 0 for LSM hooks.
        "#]],
    );
}

#[test]
fn a_member_that_the_context_has_not() {
    check(
        "xdp",
        "; return ctx->egress_ifindex + ctx->more;
         ;                              ^
         r0 = *(u32 *)(r1 + 24)
         exit",
        &expect![[r#"
            error[ctx_access]: the program's context has no such member, or it may not be accessed like this
              --> sample.c:1:30, program `sample` (xdp) on kernel 6.12
               |
             1 | return ctx->egress_ifindex + ctx->more;
               |                              ^ instruction 0: r0 = *(u32 *)(r1 +24); R1=ctx
               |
               = kernel: invalid bpf_context access off=24 size=4
               = why: The context (the first argument) is no plain struct: the kernel rewrites each access.
        "#]],
    );
}

#[test]
fn a_kernel_pointer_that_is_followed() {
    check(
        "kprobe",
        "; struct task_struct *task = (void *)bpf_get_current_task();
         call 35
         ; return task->pid;
         ;        ^
         r0 = *(u32 *)(r0 + 100)
         exit",
        &expect![[r#"
            error[invalid_mem_access]: memory is accessed through something that is no pointer to it
              --> sample.c:2:8, program `sample` (kprobe) on kernel 6.12
               |
             2 | return task->pid;
               |        ^ instruction 1: r0 = *(u32 *)(r0 +100); R0=scalar
               |
               = kernel: R0 invalid mem access 'scalar'
               = how it came to this:
                 sample.c:1  struct task_struct *task = (void *)bpf_get_current_task();
                       0: call bpf_get_current_task#35
               = why: R0 is only a number for the verifier since `call bpf_get_current_task#35` at sample.c:1 (instruction 0).
        "#]],
    );
}

#[test]
fn an_index_that_is_bounded_too_late() {
    check(
        "kprobe",
        "; u64 index = bpf_ktime_get_ns();
         call 5
         r6 = r0
         ; char *value = bpf_map_lookup_elem(&counts, &key);
         *(u32 *)(r10 - 4) = 0
         r2 = r10
         r2 += -4
         r1 = map counts
         call 1
         ; if (!value || index > 8) return 0;
         if r0 == 0 goto +3
         if r6 > 8 goto +2
         ; return value[index];
         ;        ^
         r0 += r6
         r0 = *(u8 *)(r0 + 0)
         exit",
        &expect![[r#"
            error[out_of_bounds]: an access may lie outside of the memory that the pointer points to
              --> sample.c:4:8, program `sample` (kprobe) on kernel 6.12
               |
             4 | return value[index];
               |        ^ instruction 11: r0 = *(u8 *)(r0 +0); R0=map_value(smin=0,smax=8,var_off=(0x0; 0xf)): offset 0 to 8 in a value of 8 bytes, map counts
               |
               = kernel: R0 max value is outside of the allowed memory range
               = how it came to this:
                 sample.c:1  u64 index = bpf_ktime_get_ns();
                       0: call bpf_ktime_get_ns#5
                       1: r6 = r0
                 sample.c:2  char *value = bpf_map_lookup_elem(&counts, &key);
                       7: call bpf_map_lookup_elem#1
                 sample.c:3  if (!value || index > 8) return 0;
                       8: if r0 == 0 goto pc+3: not taken
                       9: if r6 > 8 goto pc+2: not taken
                 sample.c:4  return value[index];
                      10: r0 += r6
               = why: What is known here: R0=map_value(smin=0,smax=8,var_off=(0x0; 0xf)): offset 0 to 8 in a value of 8 bytes, map counts.
        "#]],
    );
}

#[test]
fn a_length_without_a_bound() {
    check(
        "kprobe",
        "; u64 len = bpf_ktime_get_ns();
         call 5
         ; bpf_probe_read_kernel(buf, len, src);
         ; ^
         r2 = r0
         r3 = 0
         r1 = r10
         r1 += -16
         call 113
         r0 = 0
         exit",
        &expect![[r#"
            error[argument_size]: a length that is passed to a call is not bounded to the memory that goes with it
              --> sample.c:2:1, program `sample` (kprobe) on kernel 6.12
               |
             2 | bpf_probe_read_kernel(buf, len, src);
               | ^ instruction 5: call bpf_probe_read_kernel#113; R2=scalar(id=1)
               |
               = kernel: R2 min value is negative, either use unsigned or 'var &= const'
               = how it came to this:
                 sample.c:1  u64 len = bpf_ktime_get_ns();
                       0: call bpf_ktime_get_ns#5
                 sample.c:2  bpf_probe_read_kernel(buf, len, src);
                       1: r2 = r0
               = why: Nothing bounds R2 here: R2=scalar(id=1).
        "#]],
    );
}

#[test]
fn a_path_without_a_return_value() {
    check(
        "kprobe",
        "; if (n) return 0;
         r1 = *(u64 *)(r1 + 0)
         if r1 == 0 goto +1
         r0 = 0
         ; }
         exit",
        &expect![[r#"
            error[uninit_register]: a register is read that holds nothing
              --> sample.c:2:1, program `sample` (kprobe) on kernel 6.12
               |
             2 | }
               | ^ instruction 3: exit; R0=never written
               |
               = kernel: R0 !read_ok
               = why: Nothing on this path writes R0.
        "#]],
    );
}
