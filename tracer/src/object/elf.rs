//! The ELF container: sections, symbols and relocations, with names resolved and every range checked.
//!
//! It knows nothing of what BPF puts into the sections.

use std::collections::HashMap;

use object::LittleEndian as Le;
use object::elf;
use object::read::elf::{FileHeader, SectionHeader, Sym};

use super::ObjectError;

/// Index of a section in the ELF file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct SectionId(pub(super) usize);

/// Index of a symbol in the symbol table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct SymbolId(pub(super) u32);

pub(super) struct Elf<'d> {
    pub(super) sections: Vec<Section<'d>>,
    pub(super) symbols: Vec<Symbol<'d>>,
    by_name: HashMap<&'d str, SectionId>,
}

pub(super) struct Section<'d> {
    pub(super) name: &'d str,
    pub(super) kind: u32,
    pub(super) flags: u64,
    /// For relocations: the section that they change.
    pub(super) info: u32,
    /// Empty for `.bss`, whose length is `size` alone.
    pub(super) data: &'d [u8],
    pub(super) size: u64,
}

#[derive(Clone, Copy)]
pub(super) struct Symbol<'d> {
    /// For a section symbol, the section's name.
    pub(super) name: &'d str,
    /// `None`: undefined, absolute or common.
    pub(super) section: Option<SectionId>,
    pub(super) place: Place,
    pub(super) value: u64,
    pub(super) size: u64,
    pub(super) kind: u8,
    pub(super) bind: Bind,
    pub(super) visibility: Visibility,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Section,
    Undefined,
    Special,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bind {
    Local,
    Global,
    Weak,
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Visibility {
    Default,
    /// STV_HIDDEN or STV_INTERNAL: the kernel is told that it is static.
    Restricted,
}

#[derive(Clone, Copy)]
pub(super) struct Relocation {
    /// In bytes, from the start of the section that is changed.
    pub(super) offset: u64,
    pub(super) symbol: SymbolId,
}

impl Symbol<'_> {
    pub(super) fn is_function(&self) -> bool {
        self.kind == elf::STT_FUNC
    }

    pub(super) fn is_object(&self) -> bool {
        self.kind == elf::STT_OBJECT
    }

    pub(super) fn is_section(&self) -> bool {
        self.kind == elf::STT_SECTION
    }

    pub(super) fn is_global(&self) -> bool {
        matches!(self.bind, Bind::Global | Bind::Weak)
    }

    /// Undefined, global and without a type: what libbpf takes for an extern.
    pub(super) fn is_extern(&self) -> bool {
        self.place == Place::Undefined && self.is_global() && self.kind == elf::STT_NOTYPE
    }
}

impl Section<'_> {
    pub(super) fn is_code(&self) -> bool {
        self.flags & u64::from(elf::SHF_EXECINSTR) != 0
    }
}

impl<'d> Elf<'d> {
    /// Reads the section headers and the one symbol table.
    pub(super) fn parse(data: &'d [u8]) -> Result<Elf<'d>, ObjectError> {
        check_ident(data)?;
        let header = elf::FileHeader64::<Le>::parse(data).map_err(broken("header"))?;
        check_machine(header.e_type(Le), header.e_machine(Le))?;
        let table = header.sections(Le, data).map_err(broken("section headers"))?;
        let mut sections = Vec::with_capacity(table.len());
        for header in table.iter() {
            let name = table.section_name(Le, header).map_err(broken("section names"))?;
            sections.push(Section {
                name: core::str::from_utf8(name).unwrap_or("<not UTF-8>"),
                kind: header.sh_type(Le),
                flags: header.sh_flags(Le),
                info: header.sh_info(Le),
                data: header.data(Le, data).map_err(broken("sections"))?,
                size: header.sh_size(Le),
            });
        }
        match sections.iter().filter(|section| section.kind == elf::SHT_SYMTAB).count() {
            1 => {}
            0 => {
                return Err(unreadable("symbol table", "there is none (was the file stripped?)"));
            }
            _ => return Err(unreadable("symbol table", "there is more than one")),
        }
        let table = table.symbols(Le, data, elf::SHT_SYMTAB).map_err(broken("symbol table"))?;
        let symbol = |symbol: &elf::Sym64<Le>| -> Result<Symbol<'d>, ObjectError> {
            let name = symbol.name(Le, table.strings()).map_err(broken("symbol names"))?;
            let index = usize::from(symbol.st_shndx(Le));
            let place = match index {
                0 => Place::Undefined,
                n if n < sections.len() => Place::Section,
                _ => Place::Special,
            };
            let section = (place == Place::Section).then_some(SectionId(index));
            let unnamed_section = symbol.st_type() == elf::STT_SECTION && name.is_empty();
            let own_name = core::str::from_utf8(name).unwrap_or("<not UTF-8>");
            Ok(Symbol {
                name: if unnamed_section { section.map_or("", |id| sections[id.0].name) } else { own_name },
                section,
                place,
                value: symbol.st_value(Le),
                size: symbol.st_size(Le),
                kind: symbol.st_type(),
                bind: match symbol.st_bind() {
                    elf::STB_LOCAL => Bind::Local,
                    elf::STB_GLOBAL => Bind::Global,
                    elf::STB_WEAK => Bind::Weak,
                    _ => Bind::Other,
                },
                visibility: match symbol.st_visibility() {
                    elf::STV_HIDDEN | elf::STV_INTERNAL => Visibility::Restricted,
                    _ => Visibility::Default,
                },
            })
        };
        let symbols: Vec<_> = table.symbols().iter().map(symbol).collect::<Result<_, _>>()?;
        // Names may share their ends, but not so much that copies of them are far larger than the file.
        let names: usize = symbols.iter().map(|symbol| symbol.name.len()).sum();
        if names > data.len().saturating_mul(4) {
            return Err(unreadable("symbol names", format!("together they have {names} bytes")));
        }
        let mut by_name = HashMap::new();
        for (index, section) in sections.iter().enumerate().skip(1) {
            by_name.entry(section.name).or_insert(SectionId(index));
        }
        Ok(Elf { sections, symbols, by_name })
    }

    /// The first section of this name.
    pub(super) fn section(&self, name: &str) -> Option<(SectionId, &Section<'d>)> {
        let id = *self.by_name.get(name)?;
        Some((id, self.sections.get(id.0)?))
    }

    /// Every section with its index, without the null section.
    pub(super) fn numbered_sections(&self) -> impl Iterator<Item = (SectionId, &Section<'d>)> {
        self.sections.iter().enumerate().skip(1).map(|(index, section)| (SectionId(index), section))
    }

    /// The entries of a relocation section (of the kind without addends, which is what BPF uses).
    pub(super) fn relocations(&self, section: &Section<'d>) -> impl Iterator<Item = Relocation> + use<'d> {
        section.data.as_chunks::<16>().0.iter().map(|entry| {
            let [offset, info] =
                [0, 8].map(|at| entry[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word)));
            Relocation { offset, symbol: SymbolId((info >> 32) as u32) }
        })
    }

    pub(super) fn symbol(&self, id: SymbolId) -> Option<&Symbol<'d>> {
        self.symbols.get(id.0 as usize)
    }
}

fn unreadable(what: &'static str, reason: impl ToString) -> ObjectError {
    ObjectError::Elf { what, reason: reason.to_string() }
}

fn broken(what: &'static str) -> impl Fn(object::Error) -> ObjectError {
    move |error| unreadable(what, error)
}

fn check_ident(data: &[u8]) -> Result<(), ObjectError> {
    let not_bpf = |reason: &str| Err(ObjectError::NotBpf { reason: reason.into() });
    let Some(ident) = data.first_chunk::<16>() else {
        return Err(unreadable("header", format!("the file has only {} bytes", data.len())));
    };
    if ident[..4] != *b"\x7fELF" {
        return Err(unreadable(
            "header",
            format!("the first bytes are {:02x?}, not 7f 'E' 'L' 'F'", &ident[..4]),
        ));
    }
    match (ident[4], ident[5]) {
        (2, 1) => Ok(()),
        (2, 2) => not_bpf("it is big-endian; only little-endian BPF (bpfel) is supported"),
        (1, _) => not_bpf("it is a 32-bit ELF file"),
        _ => not_bpf("class or byte order of the ELF file is unknown"),
    }
}

fn check_machine(kind: u16, machine: u16) -> Result<(), ObjectError> {
    // Old LLVM wrote no machine (EM_NONE).
    if machine != elf::EM_BPF && machine != elf::EM_NONE {
        let reason = format!("it is for ELF machine {machine}, not for BPF ({})", elf::EM_BPF);
        return Err(ObjectError::NotBpf { reason });
    }
    if kind != elf::ET_REL {
        return Err(ObjectError::NotBpf { reason: format!("it is of ELF type {kind}, not relocatable (1)") });
    }
    Ok(())
}
