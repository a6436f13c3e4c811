#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use expect_test::{Expect, expect};
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

mod tree;

use super::*;
use crate::event::simulate::SimulatedExec;
use crate::event::{Assembler, EnvWanted, Event, Limits, LostReason, Unavailable};

fn table(columns: Option<usize>, colour: Colour) -> Table {
    let clock = WallClock { offset_ns: 1_700_000_000_000_000_000 };
    let look = Look { columns, colour, utc_offset_s: 3600 };
    Table::new(clock, look, Users::default())
}

fn assembler(max_args: u32, max_bytes: u32) -> Assembler {
    let limits = Limits {
        max_args: std::num::NonZeroU32::new(max_args),
        max_bytes: std::num::NonZeroU32::new(max_bytes),
    };
    Assembler::new(limits, EnvWanted::None, Unavailable::default())
}

fn render(exec: &SimulatedExec, assembler: &mut Assembler, table: &mut Table) -> String {
    let mut out = Vec::new();
    for record in &exec.records() {
        if let Some(Event::Exec(event)) = assembler.push(record).unwrap() {
            table.exec(&event, None, &mut out);
        }
    }
    String::from_utf8(out).unwrap()
}

fn called(argv: &[&[u8]]) -> SimulatedExec {
    let mut exec = SimulatedExec::example();
    exec.argv = argv.iter().map(|arg| arg.to_vec()).collect();
    exec.filename = argv.first().map_or(&b"/x"[..], |arg| arg).to_vec();
    exec
}

/// Renders commands of 80 columns, without the columns before the command.
fn check(commands: &[&[&[u8]]], expected: &Expect) {
    let mut text = String::new();
    for argv in commands {
        let line = render(&called(argv), &mut assembler(0, 0), &mut table(Some(80), Colour::None));
        text += &line[48..];
    }
    expected.assert_eq(&text);
}

#[test]
fn a_table_looks_like_this() {
    let mut table = table(Some(80), Colour::None);
    let mut out = Vec::new();
    table.header(&mut out);
    let mut text = String::from_utf8(out).unwrap();
    let mut exec = SimulatedExec::example();
    text += &render(&exec, &mut assembler(0, 0), &mut table);
    exec.exec.retval = -2;
    text += &render(&exec, &mut assembler(0, 0), &mut table);
    exec.exec.retval = -36;
    exec.exec.missing = tracer_common::field::PPID | tracer_common::field::ARGV;
    exec.exec.uid = 4_294_967_294;
    text += &render(&exec, &mut assembler(0, 0), &mut table);
    let mut out = Vec::new();
    let lost = Lost {
        class: tracer_common::Class::Event,
        cpu: Some(1),
        count: 23,
        from_ns: 81_000_000_000,
        to_ns: 82_000_000_000,
        reason: LostReason::RingFull,
    };
    table.lost(&lost, "exec", &mut out);
    text += &String::from_utf8(out).unwrap();
    expect![[r#"
        TIME             PID    PPID USER       RESULT  COMMAND
        23:14:41.234    4242    4000 1000       ok      true --flag 'value with spaces'
        23:14:41.234    4242    4000 1000       ENOENT  [/usr/bin/true] true --f… +1 arg
        23:14:41.234    4242       ? 4294967294 ENAMETOOLONG [/usr/bin/true] (arguments…
        23:14:42.000 !!! 23 execs LOST (CPU 1, since 23:14:41.000): ring buffer full
    "#]]
    .assert_eq(&text);
}

#[test]
fn failures_are_red() {
    let mut exec = SimulatedExec::example();
    exec.exec.retval = -13;
    let line = render(&exec, &mut assembler(0, 0), &mut table(None, Colour::Ansi));
    expect![[r#"
        ESC[31m23:14:41.234    4242    4000 1000       EACCES  [/usr/bin/true] true --flag 'value with spaces'ESC[0m
    "#]].assert_eq(&line.replace('\u{1b}', "ESC"));
}

#[test]
fn words_are_quoted_as_a_shell_reads_them() {
    check(
        &[
            &[b"ls", b"-l", b"/tmp/a b", b"", b"$HOME", b"it's", b"~"],
            &[b"a\nb", b"\x1b[2J", b"\x07\x08\x7f", b"tab\there", b"\\n"],
            &[b"\xff\xfe", b"caf\xc3\xa9", b"\xe2\x82\xac"],
            &["\u{202e}gpj.exe".as_bytes(), "\u{200b}".as_bytes(), "\u{a0}".as_bytes()],
            &["日本語".as_bytes(), "\u{e0041}".as_bytes(), "\u{85}".as_bytes()],
            &[],
        ],
        &expect![[r#"
            ls -l '/tmp/a b' '' '$H… +2 args
            $'a\nb' $'\e[2J' $'\x07… +2 args
            $'\xff\xfe' café '€'
            $'\u202egpj.exe' $'… +1 arg
            日本語 $'\U000e0041' $'\u0085'
            [/x] (no arguments)
        "#]],
    );
}

#[test]
fn a_place_has_a_column_if_it_is_asked_for() {
    use crate::place::{Located, Place};
    let records = SimulatedExec::example().records();
    let mut assembler = assembler(0, 0);
    let event = assembler.push(&records[0]).unwrap().and_then(Event::exec).unwrap();
    let id = "3c5f0e8a9b7d64e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f809";
    let mut text = String::new();
    for columns in [Some(80), None] {
        let mut table = table(columns, Colour::None).with_places();
        let mut out = Vec::new();
        table.header(&mut out);
        for path in [
            &format!("/kubepods.slice/kubepods-podx.slice/cri-containerd-{id}.scope"),
            &format!("/{id}"),
            "/lxc.payload.\u{1b}語",
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-4242.scope",
            "/system.slice/nginx.service/x",
            "/system.slice",
            "/",
            "below",
        ] {
            let place = Place::of_path(path.as_bytes());
            table.exec(&event, Some(Located::At(&place)), &mut out);
        }
        table.exec(&event, Some(Located::Unknown("lost")), &mut out);
        table.exec(&event, None, &mut out);
        for line in String::from_utf8(out).unwrap().lines() {
            assert!(columns.is_none_or(|columns| line.width() <= columns), "{line}");
            text += &line[40..];
            text.push('\n');
        }
    }
    expect![[r#"
        RESULT  WHERE            COMMAND
        ok      containerd:3c5f… true --… +1 arg
        ok      3c5f0e8a9b7d     true --… +1 arg
        ok      lxc:\e語         true --… +1 arg
        ok      app-gnome-firef… true --… +1 arg
        ok      nginx.service    true --… +1 arg
        ok      system.slice     true --… +1 arg
        ok      -                true --… +1 arg
        ok      ?                true --… +1 arg
        ok      ?                true --… +1 arg
        ok                       true --… +1 arg
        RESULT  WHERE                   COMMAND
        ok      containerd:3c5f0e8a9b7d true --flag 'value with spaces'
        ok      3c5f0e8a9b7d            true --flag 'value with spaces'
        ok      lxc:\e語                true --flag 'value with spaces'
        ok      app-gnome-firefox-4242… true --flag 'value with spaces'
        ok      nginx.service           true --flag 'value with spaces'
        ok      system.slice            true --flag 'value with spaces'
        ok      -                       true --flag 'value with spaces'
        ok      ?                       true --flag 'value with spaces'
        ok      ?                       true --flag 'value with spaces'
        ok                              true --flag 'value with spaces'
    "#]]
    .assert_eq(&text);
}

#[test]
fn what_does_not_fit_is_told() {
    let long = vec![b'x'; 500];
    let many: Vec<&[u8]> = vec![b"argument"; 1000];
    let escapes = vec![0x1b; 100];
    let wide = "語".repeat(100);
    check(
        &[
            &[b"cat", &long],
            &[b"cat", &long, b"b", b"c"],
            &many,
            &[b"echo", &escapes],
            &[wide.as_bytes()],
            // Exactly as wide as there is room, and one more.
            &[&long[..32]],
            &[&long[..33]],
        ],
        &expect![[r#"
            cat xxxxxxxxxxxxxxxx… +484 bytes
            cat xxxxxxxxxxxxxxxxxxx… +2 args
            argument argument arg… +997 args
            echo $'\e\e\e\e\e\e\e… +93 bytes
            語語語語語語語語語語… +270 bytes
            xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
            xxxxxxxxxxxxxxxxxxxxx… +12 bytes
        "#]],
    );
}

#[test]
fn gaps_are_told() {
    let mut text = String::new();
    let argv: Vec<Vec<u8>> = (0..100).map(|n| format!("arg{n}").into_bytes()).collect();
    let mut exec = SimulatedExec::example();
    exec.argv = argv;
    let mut table = table(Some(120), Colour::None);
    text += &render(&exec, &mut assembler(5, 0), &mut table)[48..];
    text += &render(&exec, &mut assembler(0, 40), &mut table)[48..];
    exec.argv = vec![b"sh".to_vec(), b"-c".to_vec(), vec![b'x'; 5000]];
    text += &render(&exec, &mut assembler(0, 40), &mut table)[48..];
    exec.lost_chunks = vec![0];
    text += &render(&exec, &mut assembler(0, 0), &mut table)[48..];
    exec.exec.cut = tracer_common::cut::ARGV_END;
    exec.argv.truncate(2);
    text += &render(&exec, &mut assembler(0, 0), &mut table)[48..];
    expect![[r#"
        [/usr/bin/true] arg0 arg1 arg2 (+95 args: max_args) arg98 arg99
        [/usr/bin/true] arg0 arg1 arg2 arg3 (+92 args: max_bytes) …6 ar… +2 args
        [/usr/bin/true] sh -c xxxxxxxxxxxxxx… … +4986 bytes
        [/usr/bin/true] (+2 args: lost) …xxxxxxxxxxxxxxxxxxxxxxxxxxx… +883 bytes
        [/usr/bin/true] sh -c (and more: limit)
    "#]]
    .assert_eq(&text);
}

proptest! {
    #[test]
    fn lines_fit_and_are_harmless(
        argv in proptest::collection::vec(prop_oneof![
            proptest::collection::vec(1u8..=255, 0..60),
            any::<String>().prop_map(|text| text.replace('\0', "").into_bytes()),
        ], 0..8),
        columns in 60usize..200,
        max_args in 0u32..5,
        max_bytes in 0u32..50,
    ) {
        let argv: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
        let mut table = table(Some(columns), Colour::None);
        let line = render(&called(&argv), &mut assembler(max_args, max_bytes), &mut table);
        let line = line.strip_suffix('\n').unwrap();
        prop_assert!(!line.chars().any(char::is_control), "{line:?}");
        // The width of a text may be less than that of its characters, never more.
        let width: usize = line.chars().map(|c| c.to_string().width()).sum();
        prop_assert!(width <= columns, "{width} > {columns}: {line}");
    }
}
