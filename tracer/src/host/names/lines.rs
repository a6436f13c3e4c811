//! A text of lines that each have a name, and questions for names.
//!
//! *Invariant:* an answer is the lines of that name in the text's order, whether they are found by walking the text, as
//! the first few questions are answered, or by an index, which costs as much as many walks.

use std::cell::{Cell, OnceCell};

use memchr::{memchr_iter, memmem};

/// Questions that are answered without an index.
const WALKS: u32 = 16;

/// The lines.
#[derive(Debug)]
pub(super) struct Lines {
    text: String,
    name: fn(&str) -> Option<&str>,
    asked: Cell<u32>,
    /// Where each line starts, in the order of the names, and for one name of the text.
    index: OnceCell<Vec<u32>>,
}

impl Lines {
    /// The lines of a text, and how the name of one is told.
    pub(super) fn new(text: String, name: fn(&str) -> Option<&str>) -> Self {
        Self { text, name, asked: Cell::new(0), index: OnceCell::new() }
    }

    /// All of them.
    pub(super) fn iter(&self) -> std::str::Lines<'_> {
        self.text.lines()
    }

    /// Those of this name.
    pub(super) fn named(&self, name: &str) -> Vec<&str> {
        self.asked.set(self.asked.get().saturating_add(1));
        if self.asked.get() > WALKS && u32::try_from(self.text.len()).is_ok() {
            let index = self.index.get_or_init(|| self.sorted());
            let first = index.partition_point(|at| self.name_at(*at) < name);
            let of_name = index[first..].iter().take_while(|at| self.name_at(**at) == name);
            return of_name.map(|at| self.line(*at as usize)).collect();
        }
        let mut found: Vec<&str> = Vec::new();
        for at in memmem::find_iter(self.text.as_bytes(), name.as_bytes()) {
            let start = self.text[..at].rfind('\n').map_or(0, |end| end + 1);
            let line = self.line(start);
            // A line that contains the name twice is one line.
            let again = found.last().is_some_and(|last| std::ptr::eq(*last, line));
            if !again && (self.name)(line) == Some(name) {
                found.push(line);
            }
        }
        found
    }

    fn line(&self, start: usize) -> &str {
        let rest = &self.text[start..];
        rest.split_once('\n').map_or(rest, |(line, _)| line)
    }

    fn name_at(&self, at: u32) -> &str {
        (self.name)(self.line(at as usize)).unwrap_or_default()
    }

    fn sorted(&self) -> Vec<u32> {
        let ends = memchr_iter(b'\n', self.text.as_bytes()).map(|at| at + 1);
        let starts = std::iter::once(0).chain(ends).filter(|at| *at < self.text.len());
        let mut named: Vec<(&str, u32)> =
            starts.map(|at| at as u32).map(|at| (self.name_at(at), at)).collect();
        named.sort_unstable();
        named.into_iter().map(|(_, at)| at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_answers_as_a_walk_does() {
        let text = "1 b\n2 a\n3 ab\n4 a\njunk\n5 b b\n6 c";
        let name: fn(&str) -> Option<&str> = |line| line.split_once(' ').map(|(_, name)| name);
        let names = ["a", "ab", "b", "b b", "c", "d", "junk"];
        let walked = Lines::new(text.to_owned(), name);
        let answers: Vec<_> = names.iter().map(|name| walked.named(name)).collect();
        assert_eq!(answers[0], ["2 a", "4 a"]);
        assert_eq!(answers[2], ["1 b"]);
        assert!(answers[5].is_empty() && answers[6].is_empty());
        let indexed = Lines::new(text.to_owned(), name);
        for _ in 0..=WALKS {
            indexed.named("a");
        }
        assert!(indexed.index.get().is_some());
        let again: Vec<_> = names.iter().map(|name| indexed.named(name)).collect();
        assert_eq!(again, answers);
    }
}
