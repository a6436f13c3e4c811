//! `tracer verify` as its users meet it: files in, text or JSON and an exit code out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use expect_test::expect;
use serde_json::Value;
use tracer::object::sample::{Sample, SampleMap};
use tracer::verifier::btf::builder::BtfBuilder;

const COUNTS: SampleMap =
    SampleMap { name: "counts", map_type: 1, key_size: 4, value_size: 8, max_entries: 16 };

const LOOKS_UP: &str = "; u64 *value = bpf_map_lookup_elem(&counts, &key);
    *(u32 *)(r10 - 4) = 0
    r2 = r10
    r2 += -4
    r1 = map counts
    call 1
    ; *value += 1;
    ;        ^
    r1 = *(u64 *)(r0 + 0)
    r0 = 0
    exit";
const FINE: &str = "; return 0;
    r0 = 0
    exit";
/// `bpf_loop` came with 5.17.
const NEWER: &str = "; bpf_loop(1, callback, 0, 0);
    call 181
    r0 = 0
    exit";
const STRUCT_OPS: &str = "r0 = 0
    exit";

/// A folder of its own, removed when the test ends well.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("verify-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A kernel's BTF: as much of it as these programs need.
    fn btf(&self, helpers: u32) -> PathBuf {
        let mut btf = BtfBuilder::new();
        btf.int("int", 4, 1);
        btf.enumeration("bpf_func_id", &[("__BPF_FUNC_MAX_ID", helpers)]);
        let maps = [("BPF_MAP_TYPE_UNSPEC", 0), ("BPF_MAP_TYPE_HASH", 1), ("BPF_MAP_TYPE_ARRAY", 2)];
        btf.enumeration("bpf_map_type", &maps);
        self.write(&format!("btf-{helpers}"), &btf.build())
    }
}

fn object(programs: &[(&str, &str, &str)]) -> Vec<u8> {
    let sample = Sample::new("GPL").map(COUNTS);
    let add = |sample: Sample, (section, name, code): &(&str, &str, &str)| {
        sample.program(section, name, code).unwrap()
    };
    programs.iter().fold(sample, add).build()
}

fn run(folder: &Path, words: &[&str], stdin: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tracer"))
        .arg("verify")
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may be gone by now.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_program_is_judged_by_itself() {
    let folder = Folder::new("each");
    folder.btf(212);
    let code = object(&[("kprobe", "looks_up", LOOKS_UP), ("xdp", "fine", FINE)]);
    folder.write("a.o", &code);
    let on = ["--kernel", "6.12", "--btf", "btf-212"];

    let all = run(&folder.0, &[&on[..], &["a.o"]].concat(), b"");
    assert_eq!(all.status.code(), Some(4));
    expect![[r#"
        a.o
          program   section  6.12
          looks_up  kprobe   reject
          fine      xdp      accept

        error[maybe_null_access]: memory is accessed through a pointer that may be null
          --> sample.c:2:8, program `looks_up` (kprobe) on kernel 6.12
           |
         2 | *value += 1;
           |        ^ instruction 6: r1 = *(u64 *)(r0 +0); R0=map_value_or_null(id=1), map counts
           |
           = kernel: R0 invalid mem access 'map_value_or_null'
           = how it came to this:
             sample.c:1  u64 *value = bpf_map_lookup_elem(&counts, &key);
                   5: call bpf_map_lookup_elem#1
           = why: R0 comes from `bpf_map_lookup_elem` at sample.c:1 (instruction 5), and was not found to be
               other than null on this path. The call that gave this pointer gives null when there is
               nothing to point to: a map without the key, a full ring buffer, a socket that was not found.
               A program may not fault, so on every path there has to be a comparison with null between the
               call and the access.
           = fix in Rust:
               let Some(value) = COUNTS.get_ptr_mut(&key) else { return 0 };
               unsafe { *value += 1 };
           = fix in C:
               value = bpf_map_lookup_elem(&counts, &key);
               if (!value)
                   return 0;
               *value += 1;

        1 accepted, 1 rejected
    "#]]
    .assert_eq(&text(&all.stdout));
    expect![[r#"
        tracer: note: the configuration of kernel 6.12 is unknown: what its BTF shows of it is used
    "#]]
    .assert_eq(&text(&all.stderr));

    let one = run(&folder.0, &[&on[..], &["--program", "fine", "--stats", "-"]].concat(), &code);
    assert_eq!(one.status.code(), Some(0), "{one:?}");
    let shown = text(&one.stdout);
    assert!(
        shown.contains("<stdin>") && shown.contains("processed") && !shown.contains("looks_up"),
        "{shown}"
    );
}

#[test]
fn json_has_its_fields_in_their_order_and_is_valid_under_the_schema() {
    let folder = Folder::new("json");
    folder.btf(212);
    let programs =
        [("kprobe", "looks_up", LOOKS_UP), ("xdp", "fine", FINE), ("freplace/main", "extends", STRUCT_OPS)];
    folder.write("a.o", &object(&programs));
    let words = ["--kernel", "6.12", "--btf", "btf-212", "--format", "json", "a.o"];
    let output = run(&folder.0, &words, b"");
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let lines = lines(&output);
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema/v1.json");
    let schema = serde_json::from_slice(&fs::read(schema).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let fields = [
        "schema",
        "type",
        "object",
        "section",
        "program",
        "program_type",
        "kernel",
        "verdict",
        "insn",
        "source",
        "kind",
        "message",
        "explanation",
        "suggestion",
        "path",
        "missing_feature",
        "insns_processed",
        "total_states",
        "peak_states",
        "stack_depth",
        "elapsed_us",
    ];
    for line in &lines {
        assert!(validator.is_valid(line), "{line}");
        assert_eq!(line.as_object().unwrap().keys().collect::<Vec<_>>(), fields);
    }
    let of = |program: &str| lines.iter().find(|line| line["program"] == program).unwrap();
    let rejected = of("looks_up");
    assert_eq!(rejected["verdict"], "reject");
    assert_eq!(rejected["insn"], 6);
    assert_eq!(rejected["kind"], "maybe_null_access");
    assert_eq!(rejected["source"]["line"], 2);
    assert_eq!(rejected["source"]["column"], 8);
    assert_eq!(rejected["source"]["text"], "*value += 1;");
    assert_eq!(rejected["path"].as_array().unwrap().last().unwrap()["insn"], 6);
    assert!(rejected["suggestion"].as_str().unwrap().contains("In C:"));
    assert_eq!(of("fine")["verdict"], "accept");
    assert_eq!(of("fine")["insns_processed"], 2);
    assert_eq!(of("extends")["verdict"], "unmodelled");
    assert_eq!(of("extends")["missing_feature"], "extension programs");
}

#[test]
fn what_is_not_modelled_has_an_exit_code_of_its_own() {
    let folder = Folder::new("unmodelled");
    folder.btf(212);
    folder.write("a.o", &object(&[("freplace/main", "extends", STRUCT_OPS), ("xdp", "fine", FINE)]));
    let output = run(&folder.0, &["--kernel", "6.12", "--btf", "btf-212", "a.o"], b"");
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    assert!(text(&output.stdout).contains("extension programs"));
}

#[test]
fn a_helper_is_newer_than_one_kernel_and_known_to_another() {
    let folder = Folder::new("newer");
    folder.btf(163);
    folder.btf(212);
    folder.write("a.o", &object(&[("kprobe", "newer", NEWER)]));
    let kind = |kernel: &str, btf: &str| {
        let output = run(&folder.0, &["--kernel", kernel, "--btf", btf, "--format=json", "a.o"], b"");
        lines(&output)[0]["kind"].clone()
    };
    assert_eq!(kind("5.10", "btf-163"), "unknown_function");
    assert_ne!(kind("6.12", "btf-212"), "unknown_function");
}

#[test]
fn a_newer_kernel_is_judged_as_the_newest_known_and_says_so() {
    let folder = Folder::new("future");
    folder.btf(212);
    folder.write("a.o", &object(&[("xdp", "fine", FINE)]));
    let output = run(&folder.0, &["--kernel", "99.1", "--btf", "btf-212", "a.o"], b"");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stderr).contains("newer than the newest"), "{output:?}");
}

#[test]
fn a_map_that_the_kernel_has_not_is_a_refusal() {
    let folder = Folder::new("map");
    folder.btf(212);
    let ring = SampleMap { name: "ring", map_type: 27, key_size: 0, value_size: 0, max_entries: 4096 };
    let sample = Sample::new("GPL").map(ring).program("xdp", "fine", FINE).unwrap();
    folder.write("a.o", &sample.build());
    let output = run(&folder.0, &["--kernel", "5.4", "--btf", "btf-212", "--format=json", "a.o"], b"");
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert_eq!(lines(&output)[0]["kind"], "map_not_created");
}

/// Bad input, the exit code, and a word of what is said.
#[test]
fn bad_input_is_named() {
    let folder = Folder::new("bad");
    folder.btf(212);
    let good = object(&[("xdp", "fine", FINE)]);
    folder.write("good.o", &good);
    folder.write("empty.o", b"");
    folder.write("text.o", b"#!/bin/sh\n");
    folder.write("cut.o", &good[..good.len() / 2]);
    folder.write("none.o", &Sample::new("GPL").build());
    let mut machine = good.clone();
    machine[18..20].copy_from_slice(&62u16.to_le_bytes());
    folder.write("machine.o", &machine);
    let mut big_endian = good.clone();
    big_endian[5] = 2;
    folder.write("endian.o", &big_endian);
    let on = ["--kernel", "6.12", "--btf", "btf-212"];
    for (object, wanted) in [
        ("missing.o", "missing.o: No such file"),
        (".", ".: Is a directory"),
        ("empty.o", "empty.o: it is empty"),
        ("text.o", "text.o: "),
        ("cut.o", "cut.o: "),
        ("none.o", "none.o: it has no BPF programs"),
        ("machine.o", "machine.o: not a BPF object"),
        ("endian.o", "endian.o: "),
    ] {
        // A file that can be read is judged all the same.
        let output = run(&folder.0, &[&on[..], &[object, "good.o"]].concat(), b"");
        assert_eq!(output.status.code(), Some(1), "{object}: {output:?}");
        assert!(text(&output.stderr).contains(wanted), "{object}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains("1 accepted"), "{object}: {output:?}");
    }
    for (words, code, wanted) in [
        (&["--kernel", "6.12", "--btf", "text.o", "good.o"][..], 1, "text.o"),
        (&["--kernel", "6.12", "--btf", "nowhere", "good.o"], 1, "nowhere: No such file"),
        (&["--kernel", "nonsense", "--btf", "btf-212", "good.o"], 2, "nonsense"),
        (&["--btf", "btf-212", "good.o"], 2, "--kernel"),
        (&["--kernel", "6.1,6.12", "--btf", "btf-212", "good.o"], 2, "--kernel"),
        (&["--kernel-image", "text.o", "good.o"], 1, "text.o"),
        (&["--kernel", "4.4", "good.o"], 1, "4.4"),
        (&[], 2, "OBJECT"),
    ] {
        let output = run(&folder.0, words, b"");
        assert_eq!(output.status.code(), Some(code), "{words:?}: {output:?}");
        assert!(text(&output.stderr).contains(wanted), "{words:?}: {}", text(&output.stderr));
    }
    let unknown = run(&folder.0, &[&on[..], &["--program", "nobody", "good.o"]].concat(), b"");
    assert_eq!(unknown.status.code(), Some(1));
    expect![[r#"
        tracer: note: the configuration of kernel 6.12 is unknown: what its BTF shows of it is used
        tracer: no object has a program 'nobody'; there are: fine
    "#]]
    .assert_eq(&text(&unknown.stderr));
}

#[test]
fn names_of_an_object_do_not_steer_the_terminal() {
    let folder = Folder::new("escape");
    folder.btf(212);
    folder.write("a.o", &object(&[("kprobe", "evil\u{1b}[2J", LOOKS_UP)]));
    let output = run(&folder.0, &["--kernel", "6.12", "--btf", "btf-212", "a.o"], b"");
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(!text(&output.stdout).contains('\u{1b}'));
}
