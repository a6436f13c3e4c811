//! `.BTF.ext`: for each code section, which function and which source line an instruction belongs to, and the CO-RE
//! relocations. Offsets are turned from bytes into instructions here.

use super::ObjectError;
use super::elf::{Elf, SectionId};
use crate::verifier::btf::{Btf, TypeId};

const NAME: &str = ".BTF.ext";

#[derive(Default)]
pub(super) struct BtfExt {
    pub(super) functions: Vec<InfoSection<FuncInfo>>,
    pub(super) lines: Vec<InfoSection<LineInfo>>,
    pub(super) relocations: Vec<InfoSection<CoReRelocation>>,
}

/// The records for one code section, in the order of the file.
pub(super) struct InfoSection<T> {
    /// `None` if the ELF file has no section of that name.
    section: Option<SectionId>,
    records: Vec<T>,
    order: Order,
}

/// Whether records can be found by bisection. Compilers and linkers sort them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Sorted,
    Unsorted,
}

/// Where a function starts (`struct bpf_func_info`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FuncInfo {
    /// In instruction slots.
    pub insn: u32,
    /// Of a `FUNC` in the BTF that goes with the program.
    pub type_id: TypeId,
}

/// Where a source line starts (`struct bpf_line_info`). Strings are offsets into the BTF that goes with the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LineInfo {
    /// In instruction slots.
    pub insn: u32,
    pub file_name: u32,
    pub text: u32,
    pub line: u32,
    pub column: u16,
}

/// A place in the code that depends on the layout of a type (`struct bpf_core_relo`).
#[derive(Clone, Copy, Debug)]
pub(super) struct CoReRelocation {
    /// In instruction slots.
    pub(super) insn: u32,
    pub(super) type_id: TypeId,
    /// A string: `0:1:2`.
    pub(super) access: u32,
    pub(super) kind: u32,
}

/// A record whose first word was an offset in the code.
pub(super) trait Record: Copy {
    const MIN_SIZE: usize;
    fn read(words: [u32; 4]) -> Self;
    fn insn(&self) -> u32;
    fn set_insn(&mut self, insn: u32);
}

impl Record for FuncInfo {
    const MIN_SIZE: usize = 8;
    fn read([offset, type_id, ..]: [u32; 4]) -> Self {
        FuncInfo { insn: offset / 8, type_id: TypeId(type_id) }
    }
    fn insn(&self) -> u32 {
        self.insn
    }
    fn set_insn(&mut self, insn: u32) {
        self.insn = insn;
    }
}

impl Record for LineInfo {
    const MIN_SIZE: usize = 16;
    fn read([offset, file_name, text, place]: [u32; 4]) -> Self {
        LineInfo { insn: offset / 8, file_name, text, line: place >> 10, column: (place & 0x3ff) as u16 }
    }
    fn insn(&self) -> u32 {
        self.insn
    }
    fn set_insn(&mut self, insn: u32) {
        self.insn = insn;
    }
}

impl Record for CoReRelocation {
    const MIN_SIZE: usize = 16;
    fn read([offset, type_id, access, kind]: [u32; 4]) -> Self {
        CoReRelocation { insn: offset / 8, type_id: TypeId(type_id), access, kind }
    }
    fn insn(&self) -> u32 {
        self.insn
    }
    fn set_insn(&mut self, insn: u32) {
        self.insn = insn;
    }
}

impl BtfExt {
    /// Reads the section. `btf` has the names of the code sections.
    pub(super) fn parse(data: &[u8], btf: &Btf, elf: &Elf<'_>) -> Result<BtfExt, ObjectError> {
        let bad = |offset: usize, reason: &str| ObjectError::section(NAME, offset as u64, reason);
        match data.first_chunk() {
            Some([0x9f, 0xeb, 1, _]) => {}
            _ => {
                return Err(bad(0, "it does not start with BTF's magic number and version 1"));
            }
        }
        let word =
            |at: usize| data.get(at..).and_then(<[u8]>::first_chunk).map(|bytes| u32::from_le_bytes(*bytes));
        let header_len =
            word(4).filter(|&len| len >= 24).ok_or_else(|| bad(4, "its header is too short"))? as usize;
        let segment = |at: usize| -> Result<(usize, &[u8]), ObjectError> {
            if at + 8 > header_len {
                return Ok((header_len, &[]));
            }
            let (Some(offset), Some(length)) = (word(at), word(at + 4)) else {
                return Err(bad(at, "the header is cut short"));
            };
            let start = header_len.saturating_add(offset as usize);
            let bytes = data.get(start..start.saturating_add(length as usize));
            Ok((start, bytes.ok_or_else(|| bad(at, "a part lies outside of the section"))?))
        };
        Ok(BtfExt {
            functions: sections(segment(8)?, btf, elf)?,
            lines: sections(segment(16)?, btf, elf)?,
            relocations: sections(segment(24)?, btf, elf)?,
        })
    }
}

fn sections<T: Record>(
    (start, data): (usize, &[u8]),
    btf: &Btf,
    elf: &Elf<'_>,
) -> Result<Vec<InfoSection<T>>, ObjectError> {
    let bad = |rest: &[u8], reason: &str| {
        ObjectError::section(NAME, (start + data.len() - rest.len()) as u64, reason)
    };
    let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let mut found = Vec::new();
    let Some((size, mut rest)) = data.split_first_chunk::<4>() else {
        return Ok(found);
    };
    let size = u32::from_le_bytes(*size) as usize;
    if size < T::MIN_SIZE || !size.is_multiple_of(4) {
        return Err(bad(data, "the size of its records is wrong"));
    }
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        let (name, count) = (word(head), word(&head[4..]) as usize);
        let length = count.checked_mul(size).filter(|&length| length <= tail.len());
        let Some((records, after)) = length.and_then(|length| tail.split_at_checked(length)) else {
            return Err(bad(rest, "it announces more records than there are"));
        };
        let read = |record: &[u8]| T::read([0, 4, 8, 12].map(|at| record.get(at..).map_or(0, word)));
        let records: Vec<T> = records.chunks_exact(size).map(read).collect();
        let order = if records.is_sorted_by_key(Record::insn) { Order::Sorted } else { Order::Unsorted };
        found.push(InfoSection { section: elf.section(btf.string(name)).map(|(id, _)| id), records, order });
        rest = after;
    }
    if !rest.is_empty() {
        return Err(bad(rest, "it ends within a record"));
    }
    Ok(found)
}

/// The records of the `count` instructions from `start` in `section`, or `None` if there are none.
///
/// As libbpf does it: from the first record in range to the last one before a record beyond the range, in the first
/// block for that section.
pub(super) fn records_of<T: Record>(
    sections: &[InfoSection<T>],
    section: SectionId,
    start: u32,
    count: u32,
) -> Option<&[T]> {
    let info = sections.iter().find(|info| info.section == Some(section))?;
    let (records, end) = (&info.records, start.saturating_add(count));
    let (first, last) = match info.order {
        Order::Sorted => info.range(start, end),
        Order::Unsorted => {
            let beyond = records.iter().position(|r| r.insn() >= end).unwrap_or(records.len());
            let inside = |r: &T| r.insn() >= start;
            let first = records[..beyond].iter().position(inside)?;
            (first, records[..beyond].iter().rposition(inside)? + 1)
        }
    };
    records.get(first..last).filter(|records| !records.is_empty())
}

/// Every record of the `count` instructions from `start` in `section`, in whichever block.
pub(super) fn all_records_of<T: Record>(
    sections: &[InfoSection<T>],
    section: SectionId,
    start: u32,
    count: u32,
) -> impl Iterator<Item = T> {
    let end = start.saturating_add(count);
    let blocks = sections.iter().filter(move |info| info.section == Some(section));
    let near = move |info: &InfoSection<T>| match info.order {
        Order::Sorted => info.range(start, end),
        Order::Unsorted => (0, info.records.len()),
    };
    let records = blocks.flat_map(move |info| {
        let (first, last) = near(info);
        info.records.iter().copied().take(last).skip(first)
    });
    records.filter(move |r| (start..end).contains(&r.insn()))
}

impl<T: Record> InfoSection<T> {
    /// Where the records of the instructions from `start` to `end` lie, if they are sorted.
    fn range(&self, start: u32, end: u32) -> (usize, usize) {
        let before = |insn| self.records.partition_point(|r| r.insn() < insn);
        (before(start), before(end))
    }
}
