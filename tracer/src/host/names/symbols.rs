//! `/proc/kallsyms`: `ffffffff81000000 T name [module]`, a line each.
//!
//! The text is kept as it is; most runs ask for a few names of 200,000.

use super::lines::Lines;

/// The symbols.
#[derive(Debug)]
pub struct Symbols(Lines);

impl Default for Symbols {
    fn default() -> Self {
        Self::new(String::new())
    }
}

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
        Self(Lines::new(text, |line| symbol(line).map(|symbol| symbol.name)))
    }

    /// Each symbol, in the file's order: the kernel's first.
    pub fn iter(&self) -> impl Iterator<Item = Symbol<'_>> {
        self.0.iter().filter_map(symbol)
    }

    /// The symbols of this name.
    pub fn named(&self, name: &str) -> impl Iterator<Item = Symbol<'_>> {
        self.0.named(name).into_iter().filter_map(symbol)
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
