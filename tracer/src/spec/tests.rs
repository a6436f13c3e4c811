//! Specs, good and bad; paths; patterns.

use expect_test::expect_file;
use proptest::prelude::*;

use super::*;

#[test]
fn specs_are_read() {
    let read = |text: &str| {
        let spec = parse(text).unwrap_or_else(|mistake| panic!("{mistake}"));
        (spec.kind, spec.group.map(|group| group.to_string()), spec.name.to_string(), spec.offset)
    };
    let plain = |kind, name: &str| (kind, None, name.to_owned(), 0);
    let grouped = |kind, group: &str, name: &str| (kind, Some(group.to_owned()), name.to_owned(), 0);
    assert_eq!(read("vfs_read"), plain(Kind::Kprobe, "vfs_read"));
    assert_eq!(read("vfs_read+16"), (Kind::Kprobe, None, "vfs_read".into(), 16));
    assert_eq!(read("kprobe:vfs_read+0x10"), (Kind::Kprobe, None, "vfs_read".into(), 16));
    assert_eq!(read("kretprobe:tcp_*"), plain(Kind::Kretprobe, "tcp_*"));
    assert_eq!(read("kprobe:xfs:xfs_[rw]*"), grouped(Kind::Kprobe, "xfs", "xfs_[rw]*"));
    assert_eq!(read("/^ext4_.*_write$/"), plain(Kind::Kprobe, "/^ext4_.*_write$/"));
    assert_eq!(read("kprobe:/a:b/"), plain(Kind::Kprobe, "/a:b/"));
    assert_eq!(read("kprobe:/^(a|b)/"), plain(Kind::Kprobe, "/^(a|b)/"));
    assert_eq!(read("kprobe:nf_*:/^x/"), grouped(Kind::Kprobe, "nf_*", "/^x/"));
    assert_eq!(read("kprobe:foo.isra.0"), plain(Kind::Kprobe, "foo.isra.0"));
    assert_eq!(read("fentry:vfs_read"), plain(Kind::Fentry, "vfs_read"));
    assert_eq!(read("fexit:xfs:xfs_read"), grouped(Kind::Fexit, "xfs", "xfs_read"));
    assert_eq!(read("tracepoint:sched:sched_switch"), grouped(Kind::Tracepoint, "sched", "sched_switch"));
    assert_eq!(read("rawtp:sched_switch"), plain(Kind::RawTracepoint, "sched_switch"));
    assert_eq!(read("syscall:open*"), plain(Kind::Syscall, "open*"));
}

#[test]
fn patterns_match_whole_names_and_expressions_parts() {
    let matches =
        |pattern: &str, name: &str| parse(pattern).unwrap_or_else(|m| panic!("{m}")).name.matches(name);
    assert!(matches("tcp_*", "tcp_sendmsg"));
    assert!(!matches("tcp_*", "mptcp_sendmsg"));
    assert!(matches("vfs_rea?", "vfs_read"));
    assert!(!matches("vfs_rea?", "vfs_readv"));
    assert!(matches("vfs_[a-r]ead", "vfs_read"));
    assert!(!matches("vfs_[!r]ead", "vfs_read"));
    assert!(matches("a.b*", "a.b"));
    assert!(!matches("a.b*", "axb"), "a point is a point");
    assert!(matches("/write/", "ext4_write_end"));
    assert!(!matches("/^write/", "ext4_write_end"));
}

#[test]
fn bad_specs_are_explained() {
    const BAD: [&str; 50] = [
        "",
        " ",
        ":",
        ":vfs_read",
        "kprobe",
        "kprobe:",
        "syscall",
        "tracepoint",
        "kprob:vfs_read",
        "KPROBE:vfs_read",
        "kfunc:vfs_read",
        "kretfunc:vfs_read",
        "t:sched:sched_switch",
        "rawtracepoint:sys_enter",
        "k:vfs_read",
        "uprobe:/bin/sh:main",
        "usdt:x:y",
        "sched:sched_switch",
        "xfs:xfs_read",
        "nonsense:a:b",
        "vfs read",
        "kprobe:vfs_read+",
        "kprobe:vfs_read+x",
        "kprobe:vfs_read+0x",
        "kprobe:vfs_read+-1",
        "kprobe:vfs_read++1",
        "kprobe:vfs_read+99999999",
        "kprobe:vfs_*+4",
        "kretprobe:vfs_read+4",
        "fentry:vfs_read+0x10",
        "kprobe:+4",
        "kprobe::vfs_read",
        "kprobe:xfs:",
        "kprobe:a:b:c",
        "tracepoint:sched_switch",
        "tracepoint::x",
        "tracepoint:sched:",
        "rawtp:sched:sched_switch",
        "syscall:a:b",
        "kprobe:vfs_read()",
        "kprobe:vfs_read,vfs_write",
        "kprobe:/vfs",
        "kprobe://",
        "kprobe:/(/",
        "kprobe:/a{9999999}/",
        "kprobe:vfs_[",
        "kprobe:vfs_[]",
        "kprobe:vfs_[é]",
        "kprobe:vfs/read",
        "kprobe:%di",
    ];
    let mut out = String::new();
    for text in BAD {
        let mistake = parse(text).expect_err(text);
        assert!(mistake.span.end <= mistake.text.len(), "{text}: {mistake:?}");
        out.push_str(&format!("{mistake}\n\n"));
    }
    expect_file!["tests/bad_specs.txt"].assert_eq(&out);
}

#[test]
fn bad_paths_are_explained() {
    const BAD: [&str; 12] = ["", ".", "a.", "a..b", "a[", "a[x]", "a[]", "a[-1]", "a:", "a:ipv4", "a b", "1"];
    let mut out = String::new();
    for text in BAD {
        out.push_str(&format!("{}\n\n", parse_path(text).expect_err(text)));
    }
    expect_file!["tests/bad_paths.txt"].assert_eq(&out);
}

#[test]
fn paths_are_read() {
    let read = |text: &str| parse_path(text).unwrap_or_else(|mistake| panic!("{mistake}")).to_string();
    assert_eq!(read("file->f_path.dentry->d_name.name"), "file.f_path.dentry.d_name.name");
    assert_eq!(read("argv[2]"), "argv[2]");
    assert_eq!(read("sk.__sk_common.skc_dport:be16"), "sk.__sk_common.skc_dport:be16");
    assert_eq!(read("a[1][2].b:hex"), "a[1][2].b:hex");
}

#[test]
fn the_mark_stands_under_the_mistake() {
    let mistake = Mistake::new("日本\u{1b}x", 6..7, "no").help("so");
    assert_eq!(mistake.to_string(), "no\n  日本\u{fffd}x\n      ^\n  so");
}

proptest! {
    #[test]
    fn any_text_is_a_spec_or_a_mistake(text in "\\PC*|(k(ret)?probe|fentry|tracepoint|rawtp|syscall):[a-z*?\\[\\]/:+0-9!^-]*") {
        match parse(&text) {
            // What a spec is shown as means the same.
            Ok(spec) => {
                let shown = spec.to_string();
                let again = parse(&shown).unwrap_or_else(|mistake| panic!("{shown}: {mistake}"));
                prop_assert_eq!(again.to_string(), shown);
            }
            Err(mistake) => {
                prop_assert!(mistake.text.get(mistake.span.clone()).is_some());
                prop_assert!(!mistake.to_string().is_empty());
            }
        }
    }

    #[test]
    fn any_text_is_a_path_or_a_mistake(text in "\\PC*|[a-z_.\\[\\]0-9>:-]*") {
        match parse_path(&text) {
            Ok(path) => prop_assert_eq!(parse_path(&path.to_string()).map(|p| p.to_string()).ok(), Some(path.to_string())),
            Err(mistake) => prop_assert!(mistake.text.get(mistake.span.clone()).is_some()),
        }
    }
}
