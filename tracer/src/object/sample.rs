//! Whole small objects, written in the kernel's own notation for instructions, for tests and for fuzzing.
//!
//! ```text
//! ; u64 *value = lookup(&counts, &key);     a source line; `^` in the next line marks the column
//! ;              ^
//! r1 = map counts                           two slots, with a relocation
//! r2 = r10
//! r2 += -4
//! *(u32 *)(r10 - 4) = 0
//! call 1
//! if r0 == 0 goto +1
//! r0 = *(u64 *)(r0 + 0)
//! exit
//! ```

use super::builder::{ElfBuilder, Holds, Symbol, btf_ext};
use crate::verifier::btf::builder::BtfBuilder;

/// A map of a sample, in the form of the older `maps` section.
#[derive(Clone, Copy, Debug)]
pub struct SampleMap {
    pub name: &'static str,
    pub map_type: u32,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
}

/// An object with one program or several, one to a section.
#[derive(Default)]
pub struct Sample {
    license: String,
    maps: Vec<SampleMap>,
    programs: Vec<(String, String, Code)>,
}

#[derive(Default)]
struct Code {
    bytes: Vec<u8>,
    /// Byte offset, text, line, column.
    lines: Vec<(u32, String, u32, u32)>,
    /// Byte offset, index of the map.
    references: Vec<(u64, usize)>,
}

/// The file that the source lines are said to be in.
pub const FILE: &str = "sample.c";

impl Sample {
    pub fn new(license: &str) -> Sample {
        Sample { license: license.into(), ..Sample::default() }
    }

    #[must_use]
    pub fn map(mut self, map: SampleMap) -> Sample {
        self.maps.push(map);
        self
    }

    /// Adds a program. Lines of its source are counted from 1 in the order of the text.
    ///
    /// # Errors
    /// The line that is not understood.
    pub fn program(mut self, section: &str, name: &str, text: &str) -> Result<Sample, String> {
        let mut code = Code::default();
        let mut number = 0;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(source) = line.strip_prefix("; ") {
                match source.find('^').filter(|_| source.trim() == "^") {
                    Some(at) => {
                        if let Some(last) = code.lines.last_mut() {
                            last.3 = at as u32 + 1;
                        }
                    }
                    None => {
                        number += 1;
                        code.lines.push((code.bytes.len() as u32, source.into(), number, 1));
                    }
                }
                continue;
            }
            self.instruction(line, &mut code).ok_or_else(|| line.to_owned())?;
        }
        self.programs.push((section.into(), name.into(), code));
        Ok(self)
    }

    fn instruction(&self, line: &str, code: &mut Code) -> Option<()> {
        if let Some((register, name)) = line.split_once(" = map ") {
            let map = self.maps.iter().position(|map| map.name == name)?;
            code.references.push((code.bytes.len() as u64, map));
            code.bytes.extend(slot(0x18, self::register(register)?, 0, 0, 0));
            code.bytes.extend([0; 8]);
            return Some(());
        }
        code.bytes.extend(assemble(line)?);
        Some(())
    }

    /// The file.
    pub fn build(&self) -> Vec<u8> {
        let mut elf = ElfBuilder::new();
        let mut btf = BtfBuilder::new();
        let int = btf.int("int", 4, 1);
        let proto = btf.func_proto(int, &[]);
        let file = btf.string(FILE);
        let (mut functions, mut lines) = (Vec::new(), Vec::new());
        let definitions: Vec<u8> = self
            .maps
            .iter()
            .flat_map(|map| [map.map_type, map.key_size, map.value_size, map.max_entries, 0])
            .flat_map(u32::to_le_bytes)
            .collect();
        let maps = elf.section("maps", Holds::Data, &definitions);
        let symbols: Vec<u32> = self
            .maps
            .iter()
            .enumerate()
            .map(|(index, map)| elf.symbol(map.name, Symbol::GlobalVariable, maps, index as u64 * 20, 20))
            .collect();
        for (section, name, code) in &self.programs {
            let id = elf.section(section, Holds::Code, &code.bytes);
            elf.symbol(name, Symbol::GlobalFunction, id, 0, code.bytes.len() as u64);
            let relocations: Vec<_> = code
                .references
                .iter()
                .filter_map(|(offset, map)| Some((*offset, *symbols.get(*map)?)))
                .collect();
            elf.relocations(id, &relocations);
            let function = btf.func(name, proto, 1);
            let section = btf.string(section);
            functions.push((section, vec![[0, function.0]]));
            let record = |(at, text, line, column): &(u32, String, u32, u32)| {
                [*at, file, btf.string(text), line << 10 | column]
            };
            lines.push((section, code.lines.iter().map(record).collect()));
        }
        elf.section(".BTF", Holds::Data, &btf.build());
        elf.section(".BTF.ext", Holds::Data, &btf_ext(&functions, &lines, &[]));
        elf.section("license", Holds::Data, &[self.license.as_bytes(), &[0]].concat());
        elf.build()
    }
}

fn slot(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> [u8; 8] {
    super::Insn { code, dst, src, off, imm }.to_bytes()
}

fn register(text: &str) -> Option<u8> {
    text.trim().strip_prefix('r')?.parse().ok().filter(|register| *register <= 10)
}

/// One instruction. `None` if it is not understood.
pub fn assemble(line: &str) -> Option<[u8; 8]> {
    if line == "exit" {
        return Some(slot(0x95, 0, 0, 0, 0));
    }
    if let Some(helper) = line.strip_prefix("call ") {
        return Some(slot(0x85, 0, 0, 0, helper.parse().ok()?));
    }
    if let Some(distance) = line.strip_prefix("goto ") {
        return Some(slot(0x05, 0, 0, distance.parse().ok()?, 0));
    }
    if let Some(condition) = line.strip_prefix("if ") {
        let (condition, distance) = condition.split_once(" goto ")?;
        let (left, rest) = condition.split_once(' ')?;
        let (sign, right) = rest.split_once(' ')?;
        let signs = ["==", ">", ">=", "&", "!=", "s>", "s>=", "", "", "<", "<=", "s<", "s<="];
        let op = (signs.iter().position(|s| *s == sign)? as u8 + 1) << 4;
        return operand(0x05 | op, register(left)?, right, distance.parse().ok()?);
    }
    let (left, right) = line.split_once(" = ").unwrap_or((line, ""));
    if let Some((size, base, off)) = memory(left) {
        return match register(right) {
            Some(source) => Some(slot(0x63 | size, base, source, off, 0)),
            None => Some(slot(0x62 | size, base, 0, off, right.parse().ok()?)),
        };
    }
    if let Some((size, base, off)) = memory(right) {
        return Some(slot(0x61 | size, register(left)?, base, off, 0));
    }
    if !right.is_empty() {
        return operand(0xb7, register(left)?, right, 0);
    }
    let (left, rest) = line.split_once(' ')?;
    let (sign, right) = rest.split_once(' ')?;
    let signs = ["+=", "-=", "*=", "/=", "|=", "&=", "<<=", ">>=", "", "%=", "^=", "", "s>>="];
    let op = (signs.iter().position(|s| *s == sign)? as u8) << 4;
    operand(0x07 | op, register(left)?, right, 0)
}

/// The second operand is a register or a number.
fn operand(code: u8, dst: u8, text: &str, off: i16) -> Option<[u8; 8]> {
    match register(text) {
        Some(src) => Some(slot(code | 0x08, dst, src, off, 0)),
        None => Some(slot(code, dst, 0, off, text.trim().parse().ok()?)),
    }
}

/// `*(u32 *)(r1 + 4)`: size bits, base, offset.
fn memory(text: &str) -> Option<(u8, u8, i16)> {
    let (size, rest) = text.trim().strip_prefix("*(u")?.split_once(" *)(")?;
    let size = match size {
        "8" => 0x10,
        "16" => 0x08,
        "32" => 0x00,
        "64" => 0x18,
        _ => return None,
    };
    let mut words = rest.strip_suffix(')')?.split(' ');
    let (base, sign, off) = (register(words.next()?)?, words.next()?, words.next()?.parse::<i16>().ok()?);
    Some((size, base, if sign == "-" { -off } else { off }))
}
