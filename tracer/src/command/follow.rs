//! The descendants that a process already has.

use std::{collections::BTreeMap, fs, str::SplitAsciiWhitespace};

/// Every process with its parent, as /proc shows them now.
fn parents() -> BTreeMap<u32, u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| Some((pid, parent(&fs::read(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect()
}

/// The fields of a stat file from the third on. The second, the name, is in parentheses and may hold anything.
fn after_name(stat: &[u8]) -> Option<SplitAsciiWhitespace<'_>> {
    let after = stat.iter().rposition(|byte| *byte == b')')?;
    Some(std::str::from_utf8(&stat[after + 1..]).ok()?.split_ascii_whitespace())
}

/// The fourth field of a stat file.
fn parent(stat: &[u8]) -> Option<u32> {
    after_name(stat)?.nth(1)?.parse().ok()
}

/// Whether a process has not ended, as /proc shows it now: one that waits to be collected has.
pub(super) fn runs(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/stat")).is_ok_and(|stat| !matches!(state(&stat), Some("Z" | "X")))
}

/// The third field of a stat file.
fn state(stat: &[u8]) -> Option<&str> {
    after_name(stat)?.next()
}

/// A process and its descendants.
pub(super) fn tree(root: u32) -> Vec<u32> {
    descendants(root, &parents())
}

fn descendants(root: u32, parents: &BTreeMap<u32, u32>) -> Vec<u32> {
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(&parent) = tree.get(next) {
        tree.extend(parents.iter().filter(|(pid, of)| **of == parent && **pid != root).map(|(pid, _)| *pid));
        next += 1;
    }
    tree
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_anything() {
        assert_eq!(parent(b"7 (a) S 1 (b) S 3 4 5"), Some(3));
        assert_eq!(parent(b"7 (sh) S 3 7 7 0"), Some(3));
        assert_eq!(parent(b"nonsense"), None);
        assert_eq!(state(b"7 (a) S 1 (b) Z 3 4 5"), Some("Z"));
        assert_eq!(state(b"7 (sh)"), None);
    }

    #[test]
    fn this_process_runs_and_a_collected_one_does_not() {
        assert!(runs(std::process::id()));
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert!(!runs(pid));
    }

    #[test]
    fn descendants_of_all_generations() {
        let parents = BTreeMap::from([(1, 0), (2, 1), (3, 2), (4, 3), (5, 1), (6, 9)]);
        assert_eq!(descendants(2, &parents), [2, 3, 4]);
        assert_eq!(descendants(6, &parents), [6]);
    }
}
