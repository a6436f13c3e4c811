//! `available_filter_functions`: the functions whose start can be traced, `name` or `name [module]` a line.

use super::lines::Lines;

/// The functions.
#[derive(Debug)]
pub struct Traceable(Lines);

impl Default for Traceable {
    fn default() -> Self {
        Self::new(String::new())
    }
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceableFunction<'t> {
    pub name: &'t str,
    pub module: Option<&'t str>,
}

impl Traceable {
    /// From the text of the file.
    pub fn new(text: String) -> Self {
        Self(Lines::new(text, |line| line.split_whitespace().next()))
    }

    /// Each function. A name that several functions share comes several times.
    pub fn iter(&self) -> impl Iterator<Item = TraceableFunction<'_>> {
        self.0.iter().filter_map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next()?;
            let module = words.next().and_then(|word| word.strip_prefix('[')?.strip_suffix(']'));
            // A function that was freed with its section, and code that is not the kernel's own.
            (!name.starts_with("__ftrace_invalid_address__")).then_some(TraceableFunction { name, module })
        })
    }

    /// Whether a function of this name is there.
    pub fn has(&self, name: &str) -> bool {
        !self.0.named(name).is_empty()
    }
}
