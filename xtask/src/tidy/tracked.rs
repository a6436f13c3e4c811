//! No tracked file names this machine: its folders, its mirrors, a registry's host.

use std::env;

use super::Finding;
use crate::paths;
use crate::setup::sources;

/// Hosts that package clients know by themselves. Written in two halves, as this file is tracked.
const HOSTS: [[&str; 2]; 8] = [
    ["deb.", "debian.org"],
    ["security.", "debian.org"],
    ["snapshot.", "debian.org"],
    ["index.", "crates.io"],
    ["static.", "crates.io"],
    ["pypi.", "org"],
    ["files.", "pythonhosted.org"],
    ["registry.", "npmjs.org"],
];

/// Files that a tool writes, and that name what it must.
const GENERATED: [&str; 1] = ["Cargo.lock"];

/// What no tracked file may hold.
pub(super) struct Forbidden {
    /// The text, and what it is.
    texts: Vec<(String, &'static str)>,
}

impl Forbidden {
    pub(super) fn of_this_machine() -> Self {
        let mut texts: Vec<_> = HOSTS.iter().map(|halves| (halves.concat(), "a registry's host")).collect();
        texts.push((paths::root().to_string_lossy().into_owned(), "this work tree's place"));
        if let Ok(home) = env::var("HOME")
            && home.len() > 1
        {
            texts.push((format!("{home}/"), "a home folder of this machine's"));
        }
        if let Ok(archives) = sources::archives() {
            let all = std::iter::once(archives.main).chain(archives.security);
            texts.extend(all.filter_map(|source| Some((host(&source.uri)?, "this machine's mirror"))));
        }
        Self { texts }
    }

    /// Checks one file.
    pub(super) fn check(&self, file: &str, text: &str) -> Vec<Finding> {
        if GENERATED.contains(&file) {
            return Vec::new();
        }
        let mut findings = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if let Some((found, what)) = self.texts.iter().find(|(found, _)| line.contains(found.as_str())) {
                let what = format!("{found:?} is {what}, and is not for tracked files");
                findings.push(Finding { file: file.to_owned(), line: index + 1, what });
            }
        }
        findings
    }
}

/// The host of an address.
fn host(uri: &str) -> Option<String> {
    let (_, rest) = uri.split_once("://")?;
    let host = rest.split(['/', ':']).next()?;
    host.contains('.').then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_not_named() {
        let forbidden = Forbidden::of_this_machine();
        let here = format!("see {}/xtask", paths::root().display());
        let registry = format!("http://{}/debian", HOSTS[0].concat());
        for bad in [&here, &registry] {
            assert_eq!(forbidden.check("README.md", bad).len(), 1, "{bad}");
            assert!(forbidden.check("Cargo.lock", bad).is_empty());
        }
        assert!(forbidden.check("README.md", "see `xtask/src` and example.org").is_empty());
    }

    #[test]
    fn a_mirrors_host_is_its_name() {
        assert_eq!(host("http://mirror.example/debian").as_deref(), Some("mirror.example"));
        assert_eq!(host("http://mirror.example:80/debian").as_deref(), Some("mirror.example"));
        assert_eq!(host("file:///srv/debian"), None);
        assert_eq!(host("http://localhost/debian"), None);
    }
}
