//! `/proc/kallsyms`, sorted: `ffffffff81000000 T _text`, and `\t[module]` behind a module's.
//!
//! The list has no sizes. A function reaches to the next one of the same owner. The last one before anything else, or
//! before nothing, reaches to the end of its page: what lies beyond may be a module that was loaded since. So does
//! each piece of generated code: those come and go one by one.

use super::{KernelFrame, Position};

const PAGE: u64 = 4096;

/// What kernel/kallsyms.c shows as the module of generated code.
const GENERATED: [&str; 3] = ["bpf", "__builtin__ftrace", "__builtin__kprobes"];

/// The kernel's symbols.
#[derive(Debug, Default)]
pub(super) struct KernelSymbols {
    /// By address; of several at one address, in the order of the list.
    entries: Vec<Entry>,
    names: String,
    /// Entry 0 is the kernel itself.
    modules: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    address: u64,
    name: u32,
    name_len: u16,
    module: u16,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Code,
    /// Only a bound of what lies before it.
    Other,
}

impl KernelSymbols {
    /// The symbols of a text; `None` if it shows no addresses. Lines that are none are skipped.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut symbols = Self { modules: vec![String::new()], ..Self::default() };
        for line in text.split(|byte| *byte == b'\n') {
            symbols.line(line);
        }
        symbols.entries.sort_by_key(|entry| entry.address);
        (symbols.entries.last()?.address != 0).then_some(symbols)
    }

    fn line(&mut self, line: &[u8]) -> Option<()> {
        let line = str::from_utf8(line).ok()?;
        let mut words = line.split_ascii_whitespace();
        let address = u64::from_str_radix(words.next()?, 16).ok()?;
        let kind = match words.next()? {
            "t" | "T" | "w" | "W" => Kind::Code,
            _ => Kind::Other,
        };
        let name = words.next()?;
        let module = match words.next() {
            Some(module) => self.module(module.trim_matches(['[', ']']))?,
            None => 0,
        };
        let start = u32::try_from(self.names.len()).ok()?;
        let name_len = u16::try_from(name.len()).ok()?;
        self.names.push_str(name);
        self.entries.push(Entry { address, name: start, name_len, module, kind });
        Some(())
    }

    /// The number of a module. A module's symbols follow each other.
    fn module(&mut self, name: &str) -> Option<u16> {
        if self.modules.last().is_none_or(|last| last != name) {
            self.modules.push(name.to_owned());
        }
        u16::try_from(self.modules.len() - 1).ok()
    }

    /// What an address is called.
    pub(super) fn frame(&self, address: u64, position: Position) -> KernelFrame<'_> {
        let unknown = KernelFrame { address, symbol: None, offset: None, module: None };
        let looked_up = position.looked_up(address);
        let next = self.entries.partition_point(|entry| entry.address <= looked_up);
        let Some(last) = next.checked_sub(1).map(|last| self.entries[last]) else { return unknown };
        let first = self.entries.partition_point(|entry| entry.address < last.address);
        // Of several names the kernel, too, takes the first: kernel/kallsyms.c, get_symbol_pos().
        let Some(entry) = self.entries[first..next].iter().find(|entry| entry.kind == Kind::Code) else {
            return unknown;
        };
        let bounded = self.entries.get(next).is_some_and(|next| self.bounds(next, entry));
        if !bounded && looked_up / PAGE != entry.address / PAGE {
            return unknown;
        }
        let start = entry.name as usize;
        let module = &self.modules[usize::from(entry.module)];
        KernelFrame {
            address,
            symbol: self.names.get(start..start + usize::from(entry.name_len)),
            offset: Some(address - entry.address),
            module: (entry.module != 0).then_some(module),
        }
    }

    /// Whether a symbol tells where the function before it ends.
    fn bounds(&self, next: &Entry, function: &Entry) -> bool {
        let owner = |entry: &Entry| self.modules[usize::from(entry.module)].as_str();
        next.kind == Kind::Code && owner(next) == owner(function) && !GENERATED.contains(&owner(function))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"0000000000000000 A fixed_percpu_data
ffffffff81000000 T _text
ffffffff81000000 T startup_64
ffffffff81000040 t second
ffffffff81000080 T __x64_sys_read
ffffffff81000080 T __ia32_sys_read
ffffffff81002000 D some_data
ffffffff81003000 T last_of_the_kernel
not a symbol
ffffffffc0000000 t nf_hook\t[nf_tables]
ffffffffc0001800 t nf_last\t[nf_tables]
ffffffffc0005000 t other\t[other_module]
ffffffffc0005400 d other_data\t[other_module]
ffffffffc0010000 t bpf_prog_1\t[bpf]
ffffffffc0010100 t bpf_prog_2\t[bpf]
ffffffffc0020000 t bpf_prog_3\t[bpf]
";

    #[track_caller]
    fn check(address: u64, position: Position, expected: Option<(&str, u64, Option<&str>)>) {
        let symbols = KernelSymbols::parse(TEXT).expect("symbols");
        let frame = symbols.frame(address, position);
        let found = frame.symbol.map(|symbol| (symbol, frame.offset.unwrap_or(u64::MAX), frame.module));
        assert_eq!(found, expected, "{address:#x}");
    }

    #[test]
    fn addresses_have_names() {
        use Position::{Caller, Innermost};
        check(0xffff_ffff_8100_0000, Innermost, Some(("_text", 0, None)));
        check(0xffff_ffff_8100_0044, Innermost, Some(("second", 4, None)));
        check(0xffff_ffff_8100_0090, Innermost, Some(("__x64_sys_read", 16, None)));
        check(0xffff_ffff_c000_1810, Innermost, Some(("nf_last", 16, Some("nf_tables"))));
        // A call that is the last instruction of a function.
        check(0xffff_ffff_8100_0080, Caller, Some(("second", 0x40, None)));
        check(0xffff_ffff_8100_0080, Innermost, Some(("__x64_sys_read", 0, None)));
    }

    #[test]
    fn what_no_symbol_reaches_has_none() {
        use Position::Innermost;
        // Data, what lies before everything, and what lies behind.
        check(0xffff_ffff_8100_2010, Innermost, None);
        check(0x10, Innermost, None);
        check(u64::MAX, Innermost, None);
        // Within a module, but beyond the page of its last symbol: another one may lie there by now.
        check(0xffff_ffff_c000_1fff, Innermost, Some(("nf_last", 0x7ff, Some("nf_tables"))));
        check(0xffff_ffff_c000_2000, Innermost, None);
        check(0xffff_ffff_8100_3fff, Innermost, Some(("last_of_the_kernel", 0xfff, None)));
        check(0xffff_ffff_8100_4000, Innermost, None);
        check(0xffff_ffff_c000_53ff, Innermost, Some(("other", 0x3ff, Some("other_module"))));
        check(0xffff_ffff_c000_5400, Innermost, None);
        // Between programs there may be one that was loaded since.
        check(0xffff_ffff_c001_0080, Innermost, Some(("bpf_prog_1", 0x80, Some("bpf"))));
        check(0xffff_ffff_c001_0180, Innermost, Some(("bpf_prog_2", 0x80, Some("bpf"))));
        check(0xffff_ffff_c001_1000, Innermost, None);
    }

    #[test]
    fn hidden_addresses_are_none() {
        assert!(KernelSymbols::parse(b"0000000000000000 T _text\n0000000000000000 t x\n").is_none());
        assert!(KernelSymbols::parse(b"").is_none());
    }
}
