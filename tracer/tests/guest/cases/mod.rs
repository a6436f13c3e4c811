//! The awkward execs. Each case makes some and says what their events must be.
//!
//! They are made by a process of one thread (`guest-tests role cases OUT NAME…`), so that it can
//! fork as it likes, also below strace. It writes a line of JSON for each case.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use serde_json::{Value, json};

use crate::elf;
use crate::want::Want;

mod abi;
mod argv;
mod exe;
mod failed;
mod kernel;
mod memory;
mod plain;
mod who;

/// A case: what it is called, and what it does.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    act: fn(&Stage) -> Vec<Want>,
}

impl Case {
    const fn new(name: &'static str, act: fn(&Stage) -> Vec<Want>) -> Self {
        Self { name, act }
    }
}

/// Every case there is.
pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    [
        plain::CASES,
        failed::CASES,
        abi::CASES,
        exe::CASES,
        argv::CASES,
        memory::CASES,
        who::CASES,
        kernel::CASES,
    ]
    .into_iter()
    .flatten()
}

/// Where cases play: a folder of their own with a few programs in it.
pub(crate) struct Stage {
    root: String,
}

impl Stage {
    fn new() -> Self {
        let root = format!("/tmp/stage-{}", std::process::id());
        fs::create_dir_all(format!("{root}/bin")).unwrap();
        // Every distribution has it, and names that the kernel makes for an execveat go through it:
        // TOMOYO, which Debian's 5.10 has, looks them up (security/tomoyo/domain.c).
        if !Path::new("/dev/fd").exists() {
            std::os::unix::fs::symlink("/proc/self/fd", "/dev/fd").unwrap();
        }
        let stage = Self { root };
        stage.program("bin/ok", &elf::exit64());
        stage
    }

    /// The path of a name below the folder.
    fn path(&self, name: &str) -> Vec<u8> {
        format!("{}/{name}", self.root).into_bytes()
    }

    /// The path of a program that ends with status 0, whatever its arguments.
    fn ok(&self) -> Vec<u8> {
        self.path("bin/ok")
    }

    /// Makes a file that may be executed.
    fn program(&self, name: &str, content: &[u8]) -> Vec<u8> {
        self.file(name, content, 0o755)
    }

    fn file(&self, name: &str, content: &[u8], mode: u32) -> Vec<u8> {
        let path = format!("{}/{name}", self.root);
        fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.into_bytes()
    }
}

/// Shortens a list of byte strings.
fn words<const N: usize>(words: [&str; N]) -> Vec<Vec<u8>> {
    words.map(|word| word.as_bytes().to_vec()).to_vec()
}

/// The role: plays the named cases.
pub(crate) fn play(out: &str, names: &[&str]) {
    let stage = Stage::new();
    let names: BTreeSet<_> = names.iter().copied().collect();
    let mut lines = String::new();
    for case in all().filter(|case| names.contains(case.name)) {
        let result = panic::catch_unwind(AssertUnwindSafe(|| (case.act)(&stage)));
        let line = match result {
            Ok(wants) => {
                let wants: Vec<Value> = wants.iter().map(Want::to_json).collect();
                json!({"case": case.name, "wants": wants})
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                json!({"case": case.name, "failed": text})
            }
        };
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    fs::write(out, lines).unwrap();
}
