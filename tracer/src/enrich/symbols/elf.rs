//! The functions of an ELF file by address, from its symbol table (else the one for dynamic linking).
//!
//! *Invariant:* total: a file may be anything. Nothing is read that the file is not long enough for.

use object::{
    elf,
    read::{
        ReadCache, ReadCacheOps, ReadRef, SectionIndex,
        elf::{FileHeader, ProgramHeader as _, SectionHeader as _, SectionTable, Sym as _},
    },
};

/// The functions of a file.
#[derive(Debug, Default)]
pub(super) struct Functions {
    /// By start; no two start at the same address.
    functions: Vec<Function>,
    names: Vec<u8>,
    segments: Vec<Segment>,
}

#[derive(Clone, Copy, Debug)]
struct Function {
    start: u64,
    /// `None`: as far as the next one.
    size: Option<u64>,
    name: u32,
}

/// A part of the file that is mapped.
#[derive(Clone, Copy, Debug)]
struct Segment {
    offset: u64,
    size: u64,
    address: u64,
}

impl Functions {
    /// The functions of a file; of one that is no ELF file, none.
    pub(super) fn of(file: impl ReadCacheOps) -> Self {
        let cache = ReadCache::new(file);
        // e_ident[EI_CLASS].
        let class = cache.read_bytes_at(4, 1).ok().and_then(|class| class.first());
        let found = match class.copied() {
            Some(elf::ELFCLASS64) => read::<elf::FileHeader64<object::Endianness>>(&cache),
            Some(elf::ELFCLASS32) => read::<elf::FileHeader32<object::Endianness>>(&cache),
            _ => Ok(Self::default()),
        };
        found.unwrap_or_default()
    }

    /// The address that a place in the file has, as the file's own headers count.
    pub(super) fn address(&self, offset: u64) -> Option<u64> {
        let within = |segment: &&Segment| (segment.offset..segment.offset + segment.size).contains(&offset);
        let segment = self.segments.iter().find(within)?;
        segment.address.checked_add(offset - segment.offset)
    }

    /// The function at an address, and the address' distance from its start.
    pub(super) fn at(&self, address: u64) -> Option<(&[u8], u64)> {
        let next = self.functions.partition_point(|function| function.start <= address);
        let function = self.functions.get(next.checked_sub(1)?)?;
        let offset = address - function.start;
        // A function of unknown size that is the last one: nobody knows how far it reaches.
        let end = function.size.or_else(|| Some(self.functions.get(next)?.start - function.start))?;
        let name = self.names.get(function.name as usize..)?;
        let name = name.split(|byte| *byte == 0).next().filter(|name| !name.is_empty())?;
        (offset < end).then_some((name, offset))
    }
}

fn read<Elf: FileHeader<Endian = object::Endianness>>(
    cache: &ReadCache<impl ReadCacheOps>,
) -> object::read::Result<Functions> {
    let header = Elf::parse(cache)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, cache)?;
    let mut found = Functions::default();
    for segment in header.program_headers(endian, cache)? {
        if segment.p_type(endian) == elf::PT_LOAD {
            let offset: u64 = segment.p_offset(endian).into();
            let size: u64 = segment.p_filesz(endian).into();
            // An end that overflows is no segment's.
            if offset.checked_add(size).is_some() {
                found.segments.push(Segment { offset, size, address: segment.p_vaddr(endian).into() });
            }
        }
    }
    for kind in [elf::SHT_SYMTAB, elf::SHT_DYNSYM] {
        symbols::<Elf, _>(&sections, endian, cache, kind, &mut found)?;
        if !found.functions.is_empty() {
            break;
        }
    }
    Ok(found)
}

fn symbols<'a, Elf: FileHeader<Endian = object::Endianness>, R: ReadRef<'a>>(
    sections: &SectionTable<'a, Elf, R>,
    endian: object::Endianness,
    file: R,
    kind: u32,
    found: &mut Functions,
) -> object::read::Result<()> {
    let Some(table) = sections.iter().find(|section| section.sh_type(endian) == kind) else { return Ok(()) };
    let names = sections.section(SectionIndex(table.sh_link(endian) as usize))?;
    let len = file.len().unwrap_or(0);
    let fits = |section: &Elf::SectionHeader| {
        let end = section.sh_offset(endian).into().checked_add(section.sh_size(endian).into());
        end.is_some_and(|end| end <= len)
    };
    if !fits(table) || !fits(names) {
        return Ok(());
    }
    let mut functions = Vec::new();
    for symbol in table.data_as_array::<Elf::Sym, _>(endian, file)? {
        let is_function = matches!(symbol.st_type(), elf::STT_FUNC | elf::STT_GNU_IFUNC);
        if is_function && symbol.st_shndx(endian) != elf::SHN_UNDEF {
            let size: u64 = symbol.st_size(endian).into();
            let function = Function {
                start: symbol.st_value(endian).into(),
                size: (size != 0).then_some(size),
                name: symbol.st_name(endian),
            };
            // Of several names at one place a global one says more.
            functions.push((function, symbol.st_bind() == elf::STB_LOCAL));
        }
    }
    functions.sort_by_key(|(function, local)| (function.start, *local));
    functions.dedup_by_key(|(function, _)| function.start);
    found.functions = functions.into_iter().map(|(function, _)| function).collect();
    found.names = names.data(endian, file)?.to_vec();
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io::Cursor;

    use proptest::{prelude::*, strategy::ValueTree};

    use super::*;

    #[test]
    fn what_is_no_elf_file_has_no_functions() {
        for bytes in [&b""[..], b"\x7fELF", b"#!/bin/sh\nexit 0\n", &[0xff; 5000]] {
            let functions = Functions::of(Cursor::new(bytes));
            assert_eq!((functions.at(0), functions.address(0)), (None, None));
        }
    }

    #[test]
    fn a_file_with_holes_is_read_without_harm() {
        // This test's own file, with bytes changed where the headers are.
        let whole = std::fs::read("/proc/self/exe").unwrap();
        let head = whole.len().min(1 << 16);
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let places = proptest::collection::vec((0..head, any::<u8>()), 1..8);
        let strategy = (proptest::collection::vec((0usize..128, any::<u8>()), 1..8), places);
        for _ in 0..200 {
            let (header, places) = strategy.new_tree(&mut runner).unwrap().current();
            let mut bytes = whole[..head].to_vec();
            for (at, byte) in header.into_iter().chain(places) {
                bytes[at] = byte;
            }
            let functions = Functions::of(Cursor::new(bytes));
            functions.at(0x1000);
            functions.address(0x1000);
        }
    }
}
