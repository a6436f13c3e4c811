//! Architecture invariants: what the modules of `tracer` may import.
//!
//! - `verifier` imports core, alloc (under std's name too), std's collections and itself.
//! - Modules that are not listed as touching the world do no I/O, and import none that do (the
//!   host's facts, read once, are data: `plan` takes them).
//! - `object` does not import `check`, which joins it to `verifier`.
//! - Exit codes are `main.rs`'s alone.

use super::Finding;
use super::source::{self, Named};

const CRATE: &str = "tracer/src/";

/// Modules that may touch the world. From `command` on they put the others together.
const WORLDLY: [&str; 8] = ["host", "session", "enrich", "sink", "cli", "command", "main", "lib"];

/// A file of a module that otherwise touches nothing.
const WORLDLY_FILE: [&str; 2] = ["profiles", "host"];

/// The one module that stands alone.
const ALONE: &str = "verifier";

/// What it may name of std besides collections: core's and alloc's own items under std's name,
/// and a cell that is filled once.
const ALONE_STD: [&str; 31] = [
    "any",
    "array",
    "borrow",
    "boxed",
    "cell",
    "char",
    "clone",
    "cmp",
    "collections",
    "convert",
    "default",
    "error",
    "fmt",
    "hash",
    "iter",
    "marker",
    "mem",
    "num",
    "ops",
    "option",
    "rc",
    "result",
    "slice",
    "str",
    "string",
    "sync",
    "vec",
    "u8",
    "u32",
    "u64",
    "i64",
];
const ALONE_SYNC: [&str; 5] = ["Arc", "Weak", "atomic", "OnceLock", "LazyLock"];

/// What touches the world.
const WORLD: [&[&str]; 20] = [
    &["std", "fs"],
    &["std", "net"],
    &["std", "process"],
    &["std", "env"],
    &["std", "thread"],
    &["std", "os", "fd"],
    &["std", "os", "unix", "fs"],
    &["std", "os", "unix", "net"],
    &["std", "os", "unix", "process"],
    &["std", "io", "stdin"],
    &["std", "io", "stdout"],
    &["std", "io", "stderr"],
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime", "now"],
    &["aya"],
    &["libc"],
    &["nix"],
    &["rustix"],
    &["tokio"],
    &["caps"],
];

/// What ends the process with a status.
const EXIT: [&[&str]; 2] = [&["std", "process", "exit"], &["std", "process", "ExitCode"]];

/// Checks one file of the workspace.
pub(super) fn check(file: &str, text: &str) -> Vec<Finding> {
    let Some(inner) = file.strip_prefix(CRATE) else { return Vec::new() };
    let module = module(inner);
    if module.last().is_some_and(|name| name == "tests") {
        return Vec::new();
    }
    let finding = |named: &Named, why: &str| Finding {
        file: file.to_owned(),
        line: named.line,
        what: format!("`{}`: {why}", named.path.join("::")),
    };
    let mut findings = Vec::new();
    for named in source::paths(text) {
        // A visibility such as `pub(in super::super)` imports nothing.
        if named.path.iter().all(|part| part == "super" || part == "self") {
            continue;
        }
        let path = resolve(&named.path, &module);
        if let Some(why) = broken(&module, &path) {
            findings.push(finding(&named, &why));
        }
    }
    findings
}

/// Which rule a module breaks by naming a path, if one.
fn broken(module: &[String], path: &[String]) -> Option<String> {
    let name = module.first()?.as_str();
    if name != "main" && EXIT.iter().any(|exit| begins(path, exit)) {
        return Some("exit codes are main.rs's alone".to_owned());
    }
    if name == ALONE {
        // A name of the file's own, as `Kind::Scalar`, is no import; crates' names are lower case.
        let fine = !is_crate(path) || begins(path, &["crate", ALONE]) || is_core_or_alloc(path);
        return (!fine).then(|| format!("{ALONE} imports core, alloc, std::collections and itself alone"));
    }
    if WORLDLY.contains(&name) || begins(module, &WORLDLY_FILE) {
        return None;
    }
    if name == "object" && begins(path, &["crate", "check"]) {
        return Some("object does not know who joins it to the verifier".to_owned());
    }
    if WORLD.iter().any(|world| begins(path, world)) {
        return Some(format!("{name} does no I/O (that is for {})", WORLDLY[..4].join(", ")));
    }
    let imported = path.first().filter(|root| *root == "crate").and(path.get(1));
    imported
        .filter(|other| WORLDLY.contains(&other.as_str()) && (name, other.as_str()) != ("plan", "host"))
        .map(|other| format!("{name} touches no world, so it may not import {other}, which does"))
}

/// Whether a path of std's is one that [`ALONE`] may name.
fn is_core_or_alloc(path: &[String]) -> bool {
    let part = |at: usize| path.get(at).map_or("", String::as_str);
    match (part(0), part(1)) {
        ("std", "sync") => ALONE_SYNC.contains(&part(2)),
        ("std", module) => ALONE_STD.contains(&module),
        _ => false,
    }
}

/// The path of the module that a file holds: `plan/exec.rs` is `[plan, exec]`.
fn module(inner: &str) -> Vec<String> {
    let inner = inner.trim_end_matches(".rs").trim_end_matches("/mod");
    inner.split('/').map(str::to_owned).collect()
}

/// A path with `self` and `super` replaced, where they begin it.
fn resolve(path: &[String], module: &[String]) -> Vec<String> {
    let mut base: Vec<String> = module.to_vec();
    let mut rest = path;
    let relative = matches!(path.first().map(String::as_str), Some("self" | "super"));
    while let Some((first, others)) = rest.split_first() {
        match first.as_str() {
            "self" => {}
            "super" => {
                base.pop();
            }
            _ => break,
        }
        rest = others;
    }
    if !relative {
        return path.to_vec();
    }
    let mut resolved = vec!["crate".to_owned()];
    resolved.extend(base);
    resolved.extend(rest.iter().cloned());
    resolved
}

fn begins(path: &[String], prefix: &[&str]) -> bool {
    path.len() >= prefix.len() && path.iter().zip(prefix).all(|(left, right)| left == right)
}

/// Whether a path begins with a crate: std and its like, one of our own, or `crate` itself. Other
/// lower-case beginnings are primitive types (`u64::MAX`) and modules that are declared here.
fn is_crate(path: &[String]) -> bool {
    const CRATES: [&str; 22] = [
        "std",
        "crate",
        "tracer",
        "tracer_common",
        "aya",
        "aya_obj",
        "aya_log",
        "anyhow",
        "thiserror",
        "libc",
        "nix",
        "rustix",
        "tokio",
        "bytes",
        "clap",
        "serde",
        "serde_json",
        "object",
        "log",
        "tracing",
        "rand",
        "schemars",
    ];
    path.first().is_some_and(|root| CRATES.contains(&root.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn expect(file: &str, text: &str, findings: usize) {
        let found = check(file, text);
        assert_eq!(found.len(), findings, "{file}: {text}: {found:?}");
    }

    #[test]
    fn the_verifier_stands_alone() {
        let file = "tracer/src/verifier/state/mod.rs";
        for good in [
            "use std::collections::HashMap;",
            "use core::fmt; use alloc::vec::Vec; use std::borrow::Cow; use std::sync::{Arc, OnceLock};",
            "use crate::verifier::tnum::Tnum; use super::tnum; use self::regs::Reg;",
            "fn f() { u64::MAX; Kind::Scalar; tnum::constant(1); }",
            "#[cfg(test)] mod tests { use std::fs; }",
        ] {
            expect(file, good, 0);
        }
        for bad in [
            "use std::io::Write;",
            "use std::sync::mpsc;",
            "use std::path::Path;",
            "use std::time::Instant;",
            "use crate::object::Program;",
            "use super::super::object::Program;",
            "use aya::Ebpf;",
            "fn f() { tracer_common::VERSION; }",
            "fn f() -> anyhow::Result<()> { Ok(()) }",
        ] {
            expect(file, bad, 1);
        }
    }

    #[test]
    fn object_does_not_know_who_joins_it_to_the_verifier() {
        expect("tracer/src/object/program.rs", "use crate::verifier::btf::Btf;", 0);
        expect("tracer/src/check/program.rs", "use crate::object::Program;", 0);
        expect("tracer/src/object/program.rs", "use crate::check::program;", 1);
        expect("tracer/src/verifier/mod.rs", "use crate::check::program;", 1);
    }

    #[test]
    fn pure_modules_do_no_io() {
        for module in ["spec", "plan", "object", "event", "place", "process", "diagnostic", "something_new"] {
            let file = format!("tracer/src/{module}/deep/file.rs");
            for good in ["use std::io::Write;", "use std::fmt;", "use crate::spec::ProbeSpec;"] {
                expect(&file, good, 0);
            }
            for bad in [
                "use std::fs::File;",
                "use std::{fmt, env};",
                "use std::net::TcpStream;",
                "fn f() { std::process::id(); }",
                "fn f() { libc::getpid(); }",
                "use aya::maps::RingBuf;",
                "use crate::session::Attached;",
                "fn f() { std::time::SystemTime::now(); }",
            ] {
                expect(&file, bad, 1);
            }
        }
    }

    #[test]
    fn one_file_of_the_profiles_touches_the_world() {
        expect("tracer/src/profiles/host.rs", "use std::fs;", 0);
        expect("tracer/src/profiles/mod.rs", "use std::fs;", 1);
        expect("tracer/src/profiles/image/mod.rs", "use std::fs;", 1);
    }

    #[test]
    fn facts_are_the_plans_alone() {
        expect("tracer/src/plan/exec.rs", "use crate::host::HostFacts;", 0);
        expect("tracer/src/spec.rs", "use crate::host::HostFacts;", 1);
    }

    #[test]
    fn worldly_modules_are_free_but_for_exit_codes() {
        expect("tracer/src/host/mod.rs", "use std::fs; use libc::uname;", 0);
        expect("tracer/src/main.rs", "use std::process::ExitCode;", 0);
        expect("tracer/src/cli/exec.rs", "fn f() { std::process::exit(1) }", 1);
        expect("xtask/src/main.rs", "use std::process::ExitCode;", 0);
    }
}
