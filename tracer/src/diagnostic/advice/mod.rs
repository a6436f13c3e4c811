//! What each kind of violation means, why the kernel insists, and the usual way out: one table entry for each.
//!
//! Invariant: every kind has exactly one entry (`tests::every_kind_has_one_entry`). Texts speak of no particular
//! program; what is particular is the message's, the path's and the source line's to tell.

mod calls;
mod memory;
mod objects;
mod program;
mod values;

use crate::verifier::Kind;

/// What is to be said of one kind of violation.
#[derive(Clone, Copy, Debug)]
pub struct Advice {
    pub kind: Kind,
    /// What is wrong, as a short clause.
    pub title: &'static str,
    /// Why the kernel insists.
    pub why: &'static str,
    /// The usual fix in Rust with aya: words, or lines of code.
    pub rust: &'static str,
    /// The usual fix in C.
    pub c: &'static str,
}

const TABLES: [&[Advice]; 5] =
    [memory::ADVICE, values::ADVICE, calls::ADVICE, objects::ADVICE, program::ADVICE];

/// What is to be said of a kind.
pub fn advice(kind: Kind) -> Option<&'static Advice> {
    TABLES.iter().flat_map(|table| table.iter()).find(|advice| advice.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_entry() {
        for kind in Kind::ALL {
            let entries: Vec<_> = TABLES.iter().flat_map(|t| t.iter()).filter(|a| a.kind == *kind).collect();
            assert_eq!(entries.len(), 1, "{}", kind.code());
            for text in [entries[0].title, entries[0].why, entries[0].rust, entries[0].c] {
                assert!(text.len() > 10 && text.trim() == text, "{}: {text:?}", kind.code());
            }
        }
    }

    #[test]
    fn a_title_tells_kinds_apart() {
        let mut titles: Vec<_> = TABLES.iter().flat_map(|t| t.iter()).map(|advice| advice.title).collect();
        let count = titles.len();
        titles.sort_unstable();
        titles.dedup();
        assert_eq!(titles.len(), count);
    }
}
