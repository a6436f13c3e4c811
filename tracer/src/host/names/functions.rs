//! `available_filter_functions`: the functions whose start can be traced, `name` or `name [module]` a line.

/// The functions.
#[derive(Debug, Default)]
pub struct Traceable(String);

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceableFunction<'t> {
    pub name: &'t str,
    pub module: Option<&'t str>,
}

impl Traceable {
    /// From the text of the file.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Each function. A name that several functions share comes several times.
    pub fn iter(&self) -> impl Iterator<Item = TraceableFunction<'_>> {
        self.0.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next()?;
            let module = words.next().and_then(|word| word.strip_prefix('[')?.strip_suffix(']'));
            // A function that was freed with its section, and code that is not the kernel's own.
            (!name.starts_with("__ftrace_invalid_address__")).then_some(TraceableFunction { name, module })
        })
    }

    /// Whether a function of this name is there.
    pub fn has(&self, name: &str) -> bool {
        memchr::memmem::find_iter(self.0.as_bytes(), name.as_bytes()).any(|at| {
            let starts = at == 0 || self.0.as_bytes()[at - 1] == b'\n';
            starts && matches!(self.0.as_bytes().get(at + name.len()), None | Some(b'\n' | b' '))
        })
    }
}
