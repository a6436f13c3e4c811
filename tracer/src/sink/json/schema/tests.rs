//! The committed schema grows only; the writer's lines are the types' lines.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::event::simulate::SimulatedExec;
use crate::event::{
    self, Assembler, EndReason, EnvWanted, Event, Limits, LostReason, Unavailable, WallClock,
};
use crate::sink::{Around, json};

const CLOCK: WallClock = WallClock { offset_ns: 1_700_000_000_000_000_000 };

fn committed() -> (PathBuf, String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../docs/schema/v{}.json", json::SCHEMA_VERSION));
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    (path, text)
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let (path, old) = committed();
    let new = serde_json::to_string_pretty(&generate()).unwrap() + "\n";
    if let Ok(old) = serde_json::from_str::<Value>(&old) {
        let mut breaks = Vec::new();
        compatible("", &old, &generate(), &mut breaks);
        assert!(
            breaks.is_empty(),
            "the schema of version {} would change for its readers: raise SCHEMA_VERSION, or \
             undo:\n{}",
            json::SCHEMA_VERSION,
            breaks.join("\n"),
        );
    }
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &new).unwrap();
    } else {
        assert!(old == new, "{} is out of date: UPDATE_SCHEMA=1 cargo test -p tracer schema", path.display(),);
    }
}

/// Lists what a reader of `old` would not find, or find otherwise, under `new`.
fn compatible(at: &str, old: &Value, new: &Value, breaks: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, old) in old {
                if key == "description" || key == "title" {
                    continue;
                }
                match new.get(key) {
                    Some(new) => compatible(&format!("{at}/{key}"), old, new, breaks),
                    None => breaks.push(format!("{at}/{key} is gone")),
                }
            }
            for key in ["enum", "const", "minimum", "maximum", "additionalProperties", "pattern"] {
                if new.contains_key(key) && !old.contains_key(key) && !at.ends_with("properties") {
                    breaks.push(format!("{at}/{key} is a new restriction"));
                }
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            let fits = |old: &Value, new: &Value| {
                let mut breaks = Vec::new();
                compatible(at, old, new, &mut breaks);
                breaks.is_empty()
            };
            // A type may not become wider; a list of required fields or of variants may.
            if at.ends_with("/type") && old.len() != new.len() {
                breaks.push(format!("{at}: {new:?} instead of {old:?}"));
            }
            for element in old {
                if !new.iter().any(|new| fits(element, new)) {
                    breaks.push(format!("{at}: {element} is gone"));
                }
            }
        }
        (old, new) if old == new => {}
        (old, new) => breaks.push(format!("{at}: {new} instead of {old}")),
    }
}

#[test]
fn breaking_changes_are_told() {
    let check = |old: &str, new: &str, breaks_expected: usize| {
        let parse = |text| serde_json::from_str::<Value>(text).unwrap();
        let mut breaks = Vec::new();
        compatible("", &parse(old), &parse(new), &mut breaks);
        assert_eq!(breaks.len(), breaks_expected, "{breaks:?}");
    };
    let old = r#"{"properties": {"a": {"type": "string"}}, "required": ["a"]}"#;
    check(old, old, 0);
    check(
        old,
        r#"{"properties": {"a": {"type": "string", "description": "x"}, "b": {}}, "required": ["b", "a"]}"#,
        0,
    );
    check(old, r#"{"properties": {"a": {"type": "integer"}}, "required": ["a"]}"#, 1);
    check(old, r#"{"properties": {"a": {"type": "string"}}, "required": []}"#, 1);
    check(old, r#"{"properties": {}, "required": ["a"]}"#, 1);
    check(old, r#"{"properties": {"a": {"type": "string", "enum": ["x"]}}, "required": ["a"]}"#, 1);
    check(r#"{"type": ["string"]}"#, r#"{"type": ["string", "null"]}"#, 1);
}

/// Checks a line: valid under the committed schema, and equal to what serde makes of the types.
pub(super) fn check_line(line: &[u8]) -> Line {
    thread_local! {
        static VALIDATOR: jsonschema::Validator = {
            let schema = serde_json::from_str(&committed().1).unwrap();
            jsonschema::validator_for(&schema).unwrap()
        };
    }
    let text = str::from_utf8(line).unwrap();
    let text = text.strip_suffix('\n').unwrap();
    assert!(!text.contains(|c: char| c.is_ascii_control()), "{text:?}");
    let start = r#"{"schema":1,"type":""#;
    assert!(text.starts_with(start), "{text}");
    let value: Value = serde_json::from_str(text).unwrap();
    VALIDATOR.with(|validator| {
        if let Err(error) = validator.validate(&value) {
            panic!("{error} at {} in {text}", error.instance_path());
        }
    });
    let line: Line = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_value(&line).unwrap(), value);
    line
}

fn decode_base64(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => panic!("{c} in base64"),
    };
    let mut out = Vec::new();
    assert_eq!(text.len() % 4, 0);
    for group in text.as_bytes().chunks(4) {
        let pads = group.iter().filter(|c| **c == b'=').count();
        let bits =
            group[..4 - pads].iter().fold(0u32, |bits, c| bits << 6 | u32::from(digit(*c))) << (6 * pads);
        out.extend_from_slice(&bits.to_be_bytes()[1..4 - pads]);
    }
    out
}

/// The bytes of a string and its raw companion.
pub(super) fn bytes_of(text: &str, raw: Option<&String>) -> Vec<u8> {
    match raw {
        Some(raw) => {
            let bytes = decode_base64(raw);
            assert_eq!(String::from_utf8_lossy(&bytes), text);
            bytes
        }
        None => text.as_bytes().to_vec(),
    }
}

fn strings_of(texts: &[Option<String>], raws: Option<&Vec<Option<String>>>) -> Vec<Vec<u8>> {
    let raw = |index: usize| raws.map(|raws| raws[index].as_ref().unwrap());
    let strings = texts.iter().enumerate();
    strings.map(|(index, text)| bytes_of(text.as_ref().unwrap(), raw(index))).collect()
}

fn render(exec: &SimulatedExec, assembler: &mut Assembler) -> Exec {
    let records = exec.records();
    let mut line = Vec::new();
    for record in &records {
        if let Some(Event::Exec(event)) = assembler.push(record).unwrap() {
            json::exec(&event, Around::default(), CLOCK, &mut line);
        }
    }
    match check_line(&line) {
        Line::Exec(exec) => *exec,
        other => panic!("{other:?}"),
    }
}

fn string() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(1u8..=255, 0..20),
        any::<String>().prop_map(|text| text.replace('\0', "\u{7f}").into_bytes()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn lines_carry_every_byte(
        argv in vec(string(), 0..6),
        env in vec(string(), 0..4),
        filename in string(),
        cwd in vec("[^/\0]{1,5}", 0..4),
        numbers in any::<[u32; 16]>(),
        big in any::<[u64; 5]>(),
        retval in -200i32..1,
    ) {
        let mut exec = SimulatedExec::example();
        exec.argv = argv;
        exec.env = env;
        exec.filename = filename;
        exec.cwd = cwd.iter().map(|part| part.as_bytes().to_vec()).collect();
        let e = &mut exec.exec;
        [e.pid, e.ppid, e.uid, e.gid, e.euid, e.egid, e.login_uid, e.session_id, ..] = numbers;
        [.., e.pid_ns, e.mnt_ns, e.ns_pid, e.header.tid] = numbers;
        [e.start_ns, e.parent_start_ns, e.cgroups.v2, e.header.seq, e.header.boot_ns] = big;
        e.retval = retval;
        let e = exec.exec;
        let mut assembler = Assembler::new(Limits::default(), EnvWanted::All, Unavailable::default());
        let line = render(&exec, &mut assembler);

        prop_assert_eq!(strings_of(line.argv.as_ref().unwrap(), line.argv_raw.as_ref()), exec.argv);
        let Asked::Strings(env) = &line.env else { panic!("no environment") };
        prop_assert_eq!(strings_of(env, line.env_raw.as_ref()), exec.env);
        prop_assert_eq!(bytes_of(line.filename.as_ref().unwrap(), line.filename_raw.as_ref()), exec.filename);
        prop_assert_eq!(line.cwd.unwrap(), format!("/{}", cwd.join("/")));
        prop_assert_eq!(
            (line.pid, line.ppid.unwrap(), line.uid, line.gid, line.euid.unwrap(), line.egid.unwrap(), line.tid),
            (e.pid, e.ppid, e.uid, e.gid, e.euid, e.egid, e.header.tid),
        );
        prop_assert_eq!(line.id.unwrap(), format!("{}-{}", e.pid, e.start_ns));
        prop_assert_eq!(line.parent_id.unwrap(), format!("{}-{}", e.ppid, e.parent_start_ns));
        prop_assert_eq!((line.seq, line.boot_ns, line.cgroup_id.unwrap()), (e.header.seq, e.header.boot_ns, e.cgroups.v2));
        prop_assert_eq!((line.retval, line.errno.is_some()), (retval, retval < 0));
        prop_assert_eq!(line.cut, None);
    }

    /// Whatever a record says, its line is valid.
    #[test]
    fn any_event_is_a_valid_line(
        missing in any::<u64>(),
        cut in any::<u32>(),
        flags in any::<u32>(),
        unreadable in any::<(u32, [u8; 4])>(),
        retval in any::<i32>(),
        comm in any::<[u8; 16]>(),
        argv in vec(string(), 0..9),
        max in 0u32..12,
    ) {
        let mut exec = SimulatedExec::example();
        exec.argv = argv;
        let e = &mut exec.exec;
        e.missing = missing;
        e.cut = cut;
        e.flags = flags;
        e.shed = flags;
        e.unreadable_count = unreadable.0 % 12;
        e.unreadable[..4].copy_from_slice(&unreadable.1.map(|index| u32::from(index) % 9));
        e.retval = retval;
        e.comm = comm;
        let mut unavailable = Unavailable::default();
        unavailable.add(tracer_common::field::CGROUP, "no \"cgroups\"");
        let limits = Limits {
            max_args: std::num::NonZeroU32::new(max % 4),
            max_bytes: std::num::NonZeroU32::new(max),
        };
        let env = EnvWanted::Named(vec![b"HOME".to_vec()]);
        let line = render(&exec, &mut Assembler::new(limits, env, unavailable));
        prop_assert!(line.missing.unwrap().contains_key("cgroup_id"));
    }
}

#[test]
fn an_absent_value_has_its_reason() {
    let mut exec = SimulatedExec::example();
    exec.exec.login_uid = u32::MAX;
    exec.exec.missing = tracer_common::field::CWD;
    exec.exec.unreadable_count = 1;
    exec.exec.retval = -14;
    exec.argv = vec![Vec::new()];
    let line = render(&exec, &mut Assembler::default());
    let missing: Vec<(String, String)> = line.missing.unwrap().into_iter().collect();
    let expected = [
        ("argv", "1 element could not be read at the event"),
        ("argv_bytes", "1 element could not be read at the event"),
        ("cwd", "could not be read at the event"),
        ("exe", "the exec failed"),
        ("login_uid", "not set"),
    ];
    assert_eq!(missing, expected.map(|(name, why)| (name.into(), why.into())));
    assert_eq!(line.argv, Some(vec![None]));
    assert_eq!(line.errno.as_deref(), Some("EFAULT"));
}

#[test]
fn a_field_that_was_shed_says_so() {
    let mut exec = SimulatedExec::example();
    exec.exec.shed = tracer_common::shed::CWD | tracer_common::shed::IDS | tracer_common::shed::ENV;
    exec.cwd = Vec::new();
    exec.env = Vec::new();
    let line = render(&exec, &mut Assembler::new(Limits::default(), EnvWanted::All, Unavailable::default()));
    let missing = line.missing.unwrap();
    let names: Vec<&str> = missing.keys().map(String::as_str).collect();
    let expected = ["cwd", "egid", "env", "euid", "login_uid", "mnt_ns", "ns_pid", "pid_ns", "session_id"];
    assert_eq!(names, expected);
    assert!(missing.values().all(|reason| reason == "left out to keep below --max-overhead"));
    assert_eq!((line.cwd, line.euid, line.env), (None, None, Asked::Null(())));
}

#[test]
fn arguments_that_were_shed_say_how_much_there_was() {
    let mut exec = SimulatedExec::example();
    exec.argv = vec![b"true".to_vec(), vec![b'x'; 20_000]];
    exec.lost_chunks = vec![1, 2];
    exec.exec.shed = tracer_common::shed::LONG_ARGV;
    exec.exec.cut = tracer_common::cut::ARGV_MIDDLE;
    let mut records = exec.records();
    // They were not lost: they were not sent.
    let at = std::mem::offset_of!(tracer_common::Exec, chunks_lost);
    records.last_mut().unwrap()[at..at + 4].fill(0);
    let mut assembler = Assembler::default();
    let mut line = Vec::new();
    for record in &records {
        if let Some(event) = assembler.push(record).unwrap().and_then(Event::exec) {
            json::exec(&event, Around::default(), CLOCK, &mut line);
        }
    }
    let Line::Exec(line) = check_line(&line) else { panic!("{line:?}") };
    let gaps = line.cut.unwrap().argv.unwrap();
    assert_eq!((gaps[0].reason.as_str(), gaps[0].bytes), ("shed", Some(8_192)));
    assert_eq!((line.argc, line.argv_bytes), (Some(2), Some(20_006)));
}

#[test]
fn lines_look_like_this() {
    let exec = SimulatedExec::example();
    let mut line = Vec::new();
    let record = &exec.records()[0];
    let mut assembler = Assembler::default();
    json::exec(
        &assembler.push(record).unwrap().and_then(Event::exec).unwrap(),
        Around::default(),
        CLOCK,
        &mut line,
    );
    expect_test::expect![[r#"
        {"schema":1,"type":"exec","time":"2023-11-14T22:14:41.234567890Z","boot_ns":81234567890,"cpu":1,"seq":7,"hook":"fentry","pid":4242,"tid":4242,"ppid":4000,"parent_comm":"bash","id":"4242-81234000000","parent_id":"4000-60000000000","uid":1000,"gid":1000,"euid":1000,"egid":1000,"login_uid":1000,"session_id":3,"comm":"true","filename":"/usr/bin/true","dirfd":null,"exe":"/usr/bin/true","exe_deleted":false,"interpreter":null,"argv":["true","--flag","value with spaces"],"argc":3,"argv_bytes":30,"cwd":"/home/user","cwd_deleted":false,"retval":0,"errno":null,"cgroup_id":4567,"pid_ns":4026531836,"mnt_ns":4026531841,"ns_pid":4242,"set_uid":false,"set_gid":false,"privilege":false,"compat":false,"kernel_started":false}
    "#]].assert_eq(str::from_utf8(&line).unwrap());
    check_line(&line);
}

#[test]
fn starts_losses_and_ends_are_lines() {
    let filters = event::Filters {
        pids: vec![1, 2],
        comms: vec!["a\"b".into()],
        cgroup: Some(event::Cgroup { path: OsString::from_vec(vec![b'/', 0xff]).into(), id: 7, level: 1 }),
        containers: vec!["docker:*".into()],
        units: vec!["nginx.service".into()],
        command: Some(vec!["sh".into(), OsString::from_vec(vec![0xff])]),
        ..event::Filters::default()
    };
    let mut unavailable = Unavailable::default();
    unavailable.add(tracer_common::field::SET_ID, "no bprm");
    let start = event::Start {
        boot_ns: 1,
        version: "0.1.0",
        kernel: "6.12.0",
        hook: tracer_common::Hook::Kprobe,
        hook_reason: "fentry needs BTF",
        filters: &filters,
        buffer_bytes: 1 << 22,
        unavailable: &unavailable,
    };
    let lost = event::Lost {
        class: tracer_common::Class::Event,
        cpu: None,
        count: 3,
        from_ns: 5,
        to_ns: 9,
        reason: LostReason::RingFull,
    };
    let end = event::End {
        boot_ns: 10,
        events: 5,
        failed: 1,
        lost: 3,
        no_room: 3,
        by_hook: vec![(tracer_common::Hook::Kprobe, 5)],
        duration_ns: 9,
        reason: EndReason::CommandEnded,
        undelivered: 0,
        accounts: Vec::new(),
        followed: None,
    };
    let mut lines = Vec::new();
    json::start(&start, CLOCK, &mut lines);
    json::lost(&lost, "exec", CLOCK, &mut lines);
    json::end(&end, CLOCK, &mut lines);
    expect_test::expect![[r#"
        {"schema":1,"type":"start","time":"2023-11-14T22:13:20.000000001Z","boot_ns":1,"version":"0.1.0","kernel":"6.12.0","hook":"kprobe","hook_reason":"fentry needs BTF","filters":{"pid":[1,2],"uid":[],"comm":["a\"b"],"cgroup":{"id":7,"path":"/�","path_raw":"L/8="},"container":["docker:*"],"unit":["nginx.service"],"failed":false,"tree":null,"command":["sh","�"],"command_raw":["c2g=","/w=="]},"buffer_bytes":4194304,"unavailable":{"set_uid":"no bprm","set_gid":"no bprm","privilege":"no bprm"}}
        {"schema":1,"type":"lost","time":"2023-11-14T22:13:20.000000009Z","boot_ns":9,"cpu":null,"count":3,"from_ns":5,"to_ns":9,"reason":"ring_full","class":"exec"}
        {"schema":1,"type":"end","time":"2023-11-14T22:13:20.000000010Z","boot_ns":10,"reason":"command_ended","events":5,"failed":1,"lost":3,"undelivered":0,"by_hook":{"kprobe":5},"duration_ns":9}
    "#]].assert_eq(str::from_utf8(&lines).unwrap());
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        check_line(line);
    }
}
