//! The pre-check: what the model says of our own programs is what the kernel says.

use super::live::{self, HOOKS};
use crate::harness::Test;

pub(crate) fn tests() -> Vec<Test> {
    vec![Test::one("gate::agrees_with_the_kernel", 300, agrees), Test::one("gate::modes", 120, modes)]
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
