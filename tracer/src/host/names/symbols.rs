//! `/proc/kallsyms`: `ffffffff81000000 T name [module]`, a line each.
//!
//! The text is kept as it is and walked for each question: an index of 200,000 names costs more than the few walks
//! that a run makes.

use memchr::memmem;

/// The symbols.
#[derive(Debug, Default)]
pub struct Symbols(String);

/// One symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'s> {
    /// 0 if the kernel hides addresses from this process.
    pub address: u64,
    /// As nm(1) has it: `T` and `t` are code.
    pub kind: char,
    pub name: &'s str,
    pub module: Option<&'s str>,
}

impl Symbol<'_> {
    /// It names code that belongs to the kernel or a module: not data, and no program that was generated.
    pub fn is_code(&self) -> bool {
        matches!(self.kind, 'T' | 't' | 'W' | 'w') && !self.is_generated()
    }

    /// It is a BPF program's, or a trampoline's.
    pub fn is_generated(&self) -> bool {
        self.module.is_some_and(|module| module == "bpf" || module.starts_with("__builtin__"))
    }
}

impl Symbols {
    /// From the text of the file.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Each symbol, in the file's order: the kernel's first.
    pub fn iter(&self) -> impl Iterator<Item = Symbol<'_>> {
        self.0.lines().filter_map(symbol)
    }

    /// The symbols of this name.
    pub fn named<'s>(&'s self, name: &'s str) -> impl Iterator<Item = Symbol<'s>> {
        // A name stands between a blank and the line's end or a tab: most of the text is skipped unread.
        let finder = memmem::find_iter(self.0.as_bytes(), name.as_bytes());
        finder.filter_map(move |at| {
            let before = at.checked_sub(1).and_then(|at| self.0.as_bytes().get(at));
            let after = self.0.as_bytes().get(at + name.len());
            if before != Some(&b' ') || !matches!(after, None | Some(b'\n' | b'\t')) {
                return None;
            }
            let start = self.0[..at].rfind('\n').map_or(0, |end| end + 1);
            let end = self.0[at..].find('\n').map_or(self.0.len(), |end| at + end);
            symbol(&self.0[start..end]).filter(|symbol| symbol.name == name)
        })
    }

    /// Whether there is a symbol of this name.
    pub fn has(&self, name: &str) -> bool {
        self.named(name).next().is_some()
    }
}

fn symbol(line: &str) -> Option<Symbol<'_>> {
    let (address, rest) = line.split_once(' ')?;
    let kind = rest.chars().next()?;
    let rest = rest.get(2..)?;
    let (name, module) = match rest.split_once('\t') {
        Some((name, module)) => (name, module.trim().strip_prefix('[').and_then(|m| m.strip_suffix(']'))),
        None => (rest, None),
    };
    Some(Symbol { address: u64::from_str_radix(address, 16).ok()?, kind, name, module })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let text = "ffffffff81000000 T _stext\nffffffffc0001000 t xfs_read\t[xfs]\n0000000000000000 d data\n\
                    junk\nffffffff81000010 T xfs_read\n";
        let symbols = Symbols::new(text.to_owned());
        let all: Vec<_> = symbols.iter().map(|s| (s.name, s.module, s.is_code())).collect();
        assert_eq!(
            all,
            [
                ("_stext", None, true),
                ("xfs_read", Some("xfs"), true),
                ("data", None, false),
                ("xfs_read", None, true)
            ]
        );
        let found: Vec<_> = symbols.named("xfs_read").map(|s| s.address).collect();
        assert_eq!(found, [0xffff_ffff_c000_1000, 0xffff_ffff_8100_0010]);
        assert!(!symbols.has("xfs"), "no part of a name is a name");
        assert!(!symbols.has("T"));
    }
}
