//! The pre-check: what the model says of our own programs is what the kernel says.

use std::fs;

use super::{
    live::{self, HOOKS},
    ptrace,
};
use crate::harness::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::one("gate::agrees_with_the_kernel", 300, agrees),
        Test::one("gate::modes", 120, modes),
        Test::one("gate::judges_what_reaches_bpf", 120, judges_what_reaches_bpf),
    ]
}

/// Each set switches other parts of the programs on.
const CONFIGURATIONS: [&[&str]; 6] = [
    &[],
    &["--env", "*"],
    &["--env", "PATH", "--max-bytes", "1000"],
    &["--max-args", "2"],
    &["--hide-member", "task_struct.real_parent", "--hide-member", "mm_struct.arg_start"],
    &["--hide-member", "fs_struct.pwd.dentry", "--env", "PATH"],
];

fn agrees() {
    for hook in HOOKS {
        for configuration in CONFIGURATIONS {
            let mut args = vec!["-v", "--hook", hook];
            args.extend(configuration);
            args.extend(["--", "/bin/true"]);
            let ended = live::run(live::exec(&args));
            assert_eq!(ended.code(), Some(0), "{args:?}: {}", ended.said);
            let lines: Vec<_> = ended.said.lines().filter(|line| line.contains("pre-check: ")).collect();
            let [line] = lines.as_slice() else { panic!("{args:?}: {}", ended.said) };
            assert!(line.contains(" programs, "), "{args:?}: each is accepted, as by the kernel: {line}");
        }
    }
}

fn modes() {
    for (mode, told) in [("enforce", true), ("warn", true), ("off", false)] {
        let ended = live::run(live::exec(&["-v", "--precheck", mode, "--", "/bin/true"]));
        assert_eq!(ended.code(), Some(0), "{}", ended.said);
        assert_eq!(ended.said.contains("pre-check: "), told, "{mode}: {}", ended.said);
    }
    let ended = live::run(live::exec(&["--precheck", "perhaps"]));
    assert_eq!(ended.code(), Some(2), "{}", ended.said);
    assert!(ended.said.contains("[possible values: enforce, warn, off]"), "{}", ended.said);
}

/// The instructions that the model saw are those that bpf() got, descriptors of maps aside.
fn judges_what_reaches_bpf() {
    for hook in HOOKS {
        let file = live::folder().join("judged");
        let path = file.to_str().expect("a plain path");
        let mut command =
            live::exec(&["--hook", hook, "--env", "A", "--judged-insns", path, "--", "/bin/true"]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let given = ptrace::programs_of(command);
        let judged = fs::read_to_string(&file).expect("what was judged");
        assert_eq!(judged.lines().count(), given.len(), "{hook}: {judged}");
        for (line, given) in judged.lines().zip(given) {
            let (name, hex) = line.split_once(' ').expect("name and instructions");
            assert_eq!(name.get(..15).unwrap_or(name), given.name);
            let mut insns = given.insns;
            let mut maps = 0;
            for (judged, given) in hex.as_bytes().chunks(16).zip(insns.chunks_mut(8)) {
                let mut wanted = [0; 8];
                for (byte, digits) in wanted.iter_mut().zip(judged.chunks(2)) {
                    let digits = std::str::from_utf8(digits).expect("digits");
                    *byte = u8::from_str_radix(digits, 16).expect("digits");
                }
                // `lddw` of a map, or of a value in one: the descriptor is bpf()'s own.
                if given[0] == 0x18 && matches!(given[1] >> 4, 1 | 2) {
                    wanted[4..].copy_from_slice(&given[4..]);
                    maps += 1;
                }
                assert_eq!(wanted, *given, "{hook}: {name}");
            }
            assert_eq!(hex.len(), insns.len() * 2, "{hook}: {name}");
            assert!(maps > 0, "{hook}: {name}: every program uses a map");
        }
    }
}
