//! The documents name files that exist, and `cargo xtask` commands that xtask knows.

use std::path::{Component, Path, PathBuf};

use super::Finding;

/// A path in backticks is one of ours when it begins like this.
const OURS: [&str; 8] =
    ["xtask/", "tracer/", "tracer-common/", "tracer-ebpf/", "docs/", ".ci/", ".cargo/", "tests/"];

/// Checks one document.
pub(super) fn check(
    file: &str,
    text: &str,
    verbs: &clap::Command,
    exists: &dyn Fn(&Path) -> bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut say = |what| findings.push(Finding { file: file.to_owned(), line: index + 1, what });
        for path in code_paths(line).filter(|path| !exists(&until_wildcard(path))) {
            say(format!("`{path}` does not exist"));
        }
        for link in links(line).filter(|link| !exists(&normal(&beside(file, link)))) {
            say(format!("the link to {link} leads nowhere"));
        }
        for command in line.match_indices("cargo xtask ").map(|(at, found)| &line[at + found.len()..]) {
            if let Some(what) = unknown(command, verbs) {
                say(what);
            }
        }
    }
    findings
}

/// Words in backticks that look like paths of this workspace.
fn code_paths(line: &str) -> impl Iterator<Item = &str> {
    let inside = line.split('`').skip(1).step_by(2);
    inside
        .flat_map(str::split_whitespace)
        .map(|word| word.trim_end_matches([',', '.', ':', ')']).trim_start_matches("./"))
        .filter(|word| OURS.iter().any(|ours| word.starts_with(ours)))
        .map(|word| word.split([':', '#']).next().unwrap_or(word))
}

/// The part of a path before its first component with a wildcard or a placeholder (`VERB.rs`).
fn until_wildcard(path: &str) -> PathBuf {
    let placeholder = |part: &str| {
        let stem = part.strip_suffix(".rs").unwrap_or(part);
        !stem.is_empty() && stem.chars().all(|c| c.is_ascii_uppercase())
    };
    let wild = |part: &str| part.contains(['*', '{', '<', '…']) || placeholder(part);
    path.split('/').take_while(|part| !wild(part)).collect()
}

/// The destinations of a line's links that are files.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter_map(|link| {
        let link = link.split('#').next().unwrap_or(link);
        (!link.is_empty() && !link.contains("://") && !link.starts_with("mailto:")).then_some(link)
    })
}

fn beside(file: &str, link: &str) -> PathBuf {
    Path::new(file).parent().unwrap_or(Path::new("")).join(link)
}

/// A path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::Normal(name) => out.push(name),
            _ => {}
        }
    }
    out
}

/// What is wrong with the command that `text` begins with, its verb first.
fn unknown(text: &str, verbs: &clap::Command) -> Option<String> {
    // A command ends with the code that holds it, or with the line.
    let command = text.split(['`', '#', '|', ';', '&']).next().unwrap_or(text);
    let mut words = command.split_whitespace();
    let name = words.next()?.trim_end_matches([',', '.', ')']);
    if name.starts_with("--") || name.chars().any(|c| !(c.is_ascii_lowercase() || c == '-')) {
        // `cargo xtask VERB`, or `cargo xtask --help`.
        return None;
    }
    let Some(verb) = verbs.find_subcommand(name) else {
        return Some(format!("`cargo xtask {name}` is no command"));
    };
    let flags = words.take_while(|word| *word != "--").filter_map(|word| word.strip_prefix("--"));
    for flag in flags {
        let flag: String = flag.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        let known = flag == "help" || verb.get_arguments().any(|known| known.get_long() == Some(&flag));
        if !known {
            return Some(format!("`cargo xtask {name}` has no --{flag}"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    fn findings(line: &str) -> Vec<String> {
        let verbs = Command::new("xtask")
            .subcommand(Command::new("vm").arg(Arg::new("kernel").long("kernel")))
            .subcommand(Command::new("test"));
        let exists = |path: &Path| {
            ["docs/a.md", "docs", "xtask", "xtask/src", "xtask/src/vm.rs"]
                .iter()
                .any(|p| Path::new(p) == path)
        };
        check("docs/a.md", line, &verbs, &exists).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn paths_must_exist() {
        for good in [
            "see `xtask/src/vm.rs` and `xtask/src/vm.rs:12`, `xtask/src/*.rs`",
            "`xtask/src/VERB.rs`",
            "plain xtask/src/none.rs is not code",
            "`/etc/passwd` and `target/none` are not ours",
        ] {
            assert!(findings(good).is_empty(), "{good}: {:?}", findings(good));
        }
        assert_eq!(findings("see `xtask/src/none.rs`."), ["`xtask/src/none.rs` does not exist"]);
        assert_eq!(findings("`xtask/none/*.rs`").len(), 1);
    }

    #[test]
    fn links_must_lead_somewhere() {
        for good in ["[a](a.md)", "[a](../xtask/src/vm.rs#L3)", "[a](https://example.org/x)", "[a](#b)"] {
            assert!(findings(good).is_empty(), "{good}: {:?}", findings(good));
        }
        assert_eq!(findings("[a](b.md) and [c](../none)").len(), 2);
    }

    #[test]
    fn commands_must_be_known() {
        for good in [
            "run `cargo xtask test`.",
            "cargo xtask vm --kernel 6.12 -- exec --format json",
            "`cargo xtask VERB`, `cargo xtask --help`",
            "`cargo xtask vm --kernel=6.1`",
        ] {
            assert!(findings(good).is_empty(), "{good}: {:?}", findings(good));
        }
        assert_eq!(findings("`cargo xtask tset`"), ["`cargo xtask tset` is no command"]);
        assert_eq!(findings("cargo xtask vm --kernle 6.1"), ["`cargo xtask vm` has no --kernle"]);
    }
}
