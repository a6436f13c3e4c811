//! Writes small BPF ELF objects, for tests and for fuzzing. It checks nothing.

use object::elf;

/// An object file in the making. Sections and symbols are numbered from 1, in the order of the calls.
#[derive(Default)]
pub struct ElfBuilder {
    sections: Vec<Section>,
    symbols: Vec<[u8; 24]>,
    names: Vec<u8>,
}

struct Section {
    name: u32,
    kind: u32,
    flags: u64,
    info: u32,
    size: u64,
    data: Vec<u8>,
}

/// What a section holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    Code,
    Data,
    /// Zeros, as many as the data is long.
    Zeros,
}

/// A symbol: what it is, and who sees it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Symbol {
    Section,
    StaticFunction,
    GlobalFunction,
    HiddenFunction,
    GlobalVariable,
    /// Defined elsewhere.
    Extern,
    WeakExtern,
}

impl ElfBuilder {
    pub fn new() -> ElfBuilder {
        ElfBuilder { sections: Vec::new(), symbols: Vec::new(), names: vec![0] }
    }

    fn name(&mut self, name: &str) -> u32 {
        let at = self.names.len() as u32;
        self.names.extend_from_slice(name.as_bytes());
        self.names.push(0);
        at
    }

    fn add(&mut self, name: &str, kind: u32, flags: u32, info: u32, size: usize, data: Vec<u8>) -> u16 {
        let name = self.name(name);
        self.sections.push(Section { name, kind, flags: u64::from(flags), info, size: size as u64, data });
        self.sections.len() as u16
    }

    /// Adds a section; its number.
    pub fn section(&mut self, name: &str, holds: Holds, data: &[u8]) -> u16 {
        match holds {
            Holds::Code => {
                let flags = elf::SHF_ALLOC | elf::SHF_EXECINSTR;
                self.add(name, elf::SHT_PROGBITS, flags, 0, data.len(), data.to_vec())
            }
            Holds::Data => self.add(name, elf::SHT_PROGBITS, elf::SHF_ALLOC, 0, data.len(), data.to_vec()),
            Holds::Zeros => self.add(name, elf::SHT_NOBITS, elf::SHF_ALLOC, 0, data.len(), Vec::new()),
        }
    }

    /// Adds a symbol; its number. An extern has section 0.
    pub fn symbol(&mut self, name: &str, what: Symbol, section: u16, value: u64, size: u64) -> u32 {
        let (kind, bind, visibility) = match what {
            Symbol::Section => (elf::STT_SECTION, elf::STB_LOCAL, elf::STV_DEFAULT),
            Symbol::StaticFunction => (elf::STT_FUNC, elf::STB_LOCAL, elf::STV_DEFAULT),
            Symbol::GlobalFunction => (elf::STT_FUNC, elf::STB_GLOBAL, elf::STV_DEFAULT),
            Symbol::HiddenFunction => (elf::STT_FUNC, elf::STB_GLOBAL, elf::STV_HIDDEN),
            Symbol::GlobalVariable => (elf::STT_OBJECT, elf::STB_GLOBAL, elf::STV_DEFAULT),
            Symbol::Extern => (elf::STT_NOTYPE, elf::STB_GLOBAL, elf::STV_DEFAULT),
            Symbol::WeakExtern => (elf::STT_NOTYPE, elf::STB_WEAK, elf::STV_DEFAULT),
        };
        let name = if name.is_empty() { 0 } else { self.name(name) };
        let mut bytes = [0; 24];
        bytes[..4].copy_from_slice(&name.to_le_bytes());
        bytes[4] = bind << 4 | kind;
        bytes[5] = visibility;
        bytes[6..8].copy_from_slice(&section.to_le_bytes());
        bytes[8..16].copy_from_slice(&value.to_le_bytes());
        bytes[16..].copy_from_slice(&size.to_le_bytes());
        self.symbols.push(bytes);
        self.symbols.len() as u32
    }

    /// Adds the relocations of a section: (byte offset, symbol).
    pub fn relocations(&mut self, section: u16, entries: &[(u64, u32)]) {
        let entry = |&(offset, symbol): &(u64, u32)| [offset, u64::from(symbol) << 32 | 1];
        let words = entries.iter().flat_map(entry);
        let data: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        self.add(".rel", elf::SHT_REL, 0, u32::from(section), data.len(), data);
    }

    /// The file.
    pub fn build(mut self) -> Vec<u8> {
        let symbols = [&[[0; 24]][..], &self.symbols].concat().concat();
        let strings = self.sections.len() as u32 + 2;
        self.add(".symtab", elf::SHT_SYMTAB, 0, 0, symbols.len(), symbols);
        let name = self.name(".strtab");
        let names = core::mem::take(&mut self.names);
        let size = names.len() as u64;
        self.sections.push(Section { name, kind: elf::SHT_STRTAB, flags: 0, info: 0, size, data: names });

        let mut file = vec![0; 64];
        let mut headers = vec![0; 64];
        for section in &self.sections {
            let entry_size: u64 = match section.kind {
                elf::SHT_SYMTAB => 24,
                elf::SHT_REL => 16,
                _ => 0,
            };
            let link = if section.kind == elf::SHT_SYMTAB { strings } else { 0 };
            headers.extend([section.name, section.kind].map(u32::to_le_bytes).concat());
            headers
                .extend([section.flags, 0, file.len() as u64, section.size].map(u64::to_le_bytes).concat());
            headers.extend([link, section.info].map(u32::to_le_bytes).concat());
            headers.extend([8, entry_size].map(u64::to_le_bytes).concat());
            file.extend_from_slice(&section.data);
            file.resize(file.len().next_multiple_of(8), 0);
        }
        let at = file.len() as u64;
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        file[16..20].copy_from_slice(&[elf::ET_REL, elf::EM_BPF].map(u16::to_le_bytes).concat());
        file[20] = 1;
        file[40..48].copy_from_slice(&at.to_le_bytes());
        let counts = [64, 0, 0, 64, self.sections.len() as u16 + 1, strings as u16];
        file[52..64].copy_from_slice(&counts.map(u16::to_le_bytes).concat());
        file.extend(headers);
        file
    }
}

/// `.BTF.ext`. Each part is (name of the code section as a BTF string, records without further structure).
pub fn btf_ext(
    functions: &[(u32, Vec<[u32; 2]>)],
    lines: &[(u32, Vec<[u32; 4]>)],
    relocations: &[(u32, Vec<[u32; 4]>)],
) -> Vec<u8> {
    fn part<const N: usize>(sections: &[(u32, Vec<[u32; N]>)]) -> Vec<u32> {
        let mut words = vec![4 * N as u32];
        for (name, records) in sections {
            words.extend([*name, records.len() as u32]);
            words.extend(records.iter().flatten());
        }
        words
    }
    let parts = [part(functions), part(lines), part(relocations)];
    let mut words = vec![0x0001_eb9f, 32];
    let mut at = 0;
    for part in &parts {
        words.extend([at, 4 * part.len() as u32]);
        at += 4 * part.len() as u32;
    }
    words.extend(parts.concat());
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}
