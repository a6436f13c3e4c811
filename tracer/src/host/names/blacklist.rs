//! Where no kprobe may be: the kernel's own list, or the sections that it is made of.

use std::ops::Range;

use super::Symbols;

/// Ranges of addresses, and names; empty if nothing is known.
#[derive(Debug, Default)]
pub struct Blacklist {
    ranges: Vec<Range<u64>>,
    names: Vec<String>,
}

impl Blacklist {
    /// From `/sys/kernel/debug/kprobes/blacklist`: `0xSTART-0xEND\tNAME` a line.
    pub fn of_file(text: &str) -> Self {
        let mut list = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some(range), Some(name)) = (words.next(), words.next()) else { continue };
            let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
            if let Some((Some(start), Some(end))) = range.split_once('-').map(|(a, b)| (hex(a), hex(b)))
                && start < end
            {
                list.ranges.push(start..end);
            }
            list.names.push(name.to_owned());
        }
        list.ranges.sort_unstable_by_key(|range| range.start);
        list.names.sort_unstable();
        list
    }

    /// The sections that take no kprobe, by the symbols around them (kernel/kprobes.c, `populate_kprobe_blacklist`, and
    /// arch/x86/kernel/kprobes/core.c, `arch_within_kprobe_blacklist`, as of 6.12).
    pub fn of_symbols(symbols: &Symbols) -> Self {
        let at = |name: &str| symbols.named(name).map(|symbol| symbol.address).find(|&address| address != 0);
        let sections = ["__kprobes_text", "__entry_text", "__noinstr_text"];
        let ranges = sections.iter().filter_map(|section| {
            let (start, end) = (at(&format!("{section}_start"))?, at(&format!("{section}_end"))?);
            (start < end).then_some(start..end)
        });
        let mut ranges: Vec<_> = ranges.collect();
        ranges.sort_unstable_by_key(|range| range.start);
        Self { ranges, names: Vec::new() }
    }

    /// Whether a function is on it. Address 0 is unknown.
    pub fn has(&self, name: &str, address: u64) -> bool {
        if address == 0 {
            return self.names.binary_search_by(|known| known.as_str().cmp(name)).is_ok();
        }
        // Ranges may overlap: a section, and functions in it. Few begin before an address and end after it.
        let until = self.ranges.partition_point(|range| range.start <= address);
        self.ranges[..until].iter().any(|range| range.contains(&address))
    }
}
