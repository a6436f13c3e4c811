//! Counting what test programs say of themselves.

use std::fmt;
use std::ops::AddAssign;

/// Tests that passed and failed; written as the line that ends a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} passed, {} failed", self.passed, self.failed)
    }
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Summary {
    /// Reads the line with which one of cargo's test programs ends.
    pub(crate) fn of_cargo(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        Self::counts(counts, "; ")
    }

    /// Reads the last line of the guest tests: `N passed, N failed`, and more counts perhaps.
    pub(crate) fn of_guest(line: &str) -> Option<Self> {
        Self::counts(line, ", ")
    }

    fn counts(text: &str, between: &str) -> Option<Self> {
        let mut parts = text.split(between);
        let mut count = |word: &str| parts.next()?.strip_suffix(word)?.parse().ok();
        Some(Self { passed: count(" passed")?, failed: count(" failed")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_line_is_read() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out";
        assert_eq!(Summary::of_cargo(line), Some(Summary { passed: 12, failed: 3 }));
        assert_eq!(Summary::of_cargo("test a::b ... ok"), None);
        assert_eq!(Summary::of_cargo("test result: ok. many passed; 0 failed"), None);
    }

    #[test]
    fn the_guests_line_is_read_and_written() {
        let summary = Summary { passed: 7, failed: 0 };
        assert_eq!(Summary::of_guest("7 passed, 0 failed"), Some(summary));
        assert_eq!(Summary::of_guest("7 passed, 0 failed, 2 skipped"), Some(summary));
        assert_eq!(summary.to_string(), "7 passed, 0 failed");
        for line in ["", "test exec ... ok", "7 passed", "passed, failed", "7 passed, x failed"] {
            assert_eq!(Summary::of_guest(line), None, "{line:?}");
        }
    }

    #[test]
    fn summaries_add_up() {
        let mut sum = Summary::default();
        sum += Summary { passed: 1, failed: 2 };
        sum += Summary { passed: 3, failed: 0 };
        assert_eq!(sum, Summary { passed: 4, failed: 2 });
    }
}
