//! A checked condition to the table that the kernel walks.
//!
//! Tests are made from the last to the first, so that where a test goes on is known when it is made. `a && b` goes on
//! from `a` to `b` or fails, `a || b` passes or goes on to `b`, `!a` exchanges the two ends. Hence each jump leads
//! forward: the walk ends after at most [`MAX_TESTS`] steps.

use tracer_common::probe::{FAIL, Filter, MAX_CONSTANTS, MAX_TESTS, PASS, Test, Text, compare};

use super::check::{Condition, Leaf};
use crate::spec::Mistake;

/// Where a test goes on: to a test by its place in the reversed list, or to an end.
#[derive(Clone, Copy)]
enum To {
    Test(usize),
    Pass,
    Fail,
}

struct Compiler<'t> {
    text: &'t str,
    /// The last test first.
    reversed: Vec<(Test, To, To)>,
    texts: Vec<Vec<u8>>,
}

/// Makes the table.
///
/// # Errors
/// It needs more tests or texts than a table holds.
pub fn compile(text: &str, condition: &Condition) -> Result<Filter, Mistake> {
    let mut compiler = Compiler { text, reversed: Vec::new(), texts: Vec::new() };
    compiler.condition(condition, To::Pass, To::Fail)?;
    let len = compiler.reversed.len();
    if len > MAX_TESTS {
        let what = format!("{len} comparisons: a filter holds {MAX_TESTS}");
        return Err(Mistake::new(text, 0..text.len(), what).help("say it with fewer comparisons"));
    }
    let place = |to: To| match to {
        // Below MAX_TESTS, which is below both ends.
        To::Test(reversed) => (len - 1 - reversed) as u8,
        To::Pass => PASS,
        To::Fail => FAIL,
    };
    let mut filter = Filter { len: len as u32, ..Filter::default() };
    for (slot, (test, then, otherwise)) in filter.tests.iter_mut().zip(compiler.reversed.iter().rev()) {
        *slot = Test { then: place(*then), otherwise: place(*otherwise), ..*test };
    }
    for (slot, bytes) in filter.texts.iter_mut().zip(&compiler.texts) {
        *slot = Text { len: bytes.len() as u32, ..Text::default() };
        slot.bytes[..bytes.len()].copy_from_slice(bytes);
    }
    Ok(filter)
}

impl Compiler<'_> {
    /// Adds the tests of a condition, and returns the first.
    fn condition(&mut self, condition: &Condition, then: To, otherwise: To) -> Result<To, Mistake> {
        match condition {
            Condition::Or(a, b) => {
                let second = self.condition(b, then, otherwise)?;
                self.condition(a, then, second)
            }
            Condition::And(a, b) => {
                let second = self.condition(b, then, otherwise)?;
                self.condition(a, second, otherwise)
            }
            Condition::Not(inner) => self.condition(inner, otherwise, then),
            Condition::Leaf(leaf) => self.leaf(leaf, then, otherwise),
        }
    }

    fn leaf(&mut self, leaf: &Leaf, then: To, otherwise: To) -> Result<To, Mistake> {
        let mut test = leaf.test;
        if let Some(bytes) = &leaf.text {
            let known = self.texts.iter().position(|text| text == bytes);
            let number = known.unwrap_or(self.texts.len());
            if known.is_none() {
                if number == MAX_CONSTANTS {
                    let what = format!("more than {MAX_CONSTANTS} different texts in one filter");
                    return Err(
                        Mistake::new(self.text, leaf.span.clone(), what).help("compare with fewer texts")
                    );
                }
                self.texts.push(bytes.clone());
            }
            debug_assert!(test.compare >= compare::TEXT_EQ, "only texts have constants of their own");
            test.right = number as u8;
        }
        self.reversed.push((test, then, otherwise));
        Ok(To::Test(self.reversed.len() - 1))
    }
}
