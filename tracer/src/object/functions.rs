//! The functions of an object: its programs, and the subprograms in `.text` that they call.
//!
//! A function is a range of a code section; its instructions are copied only when a program is put together.

use std::collections::HashMap;
use std::sync::Arc;

use super::elf::{Bind, Elf, Section, SectionId, Symbol, Visibility};
use super::externs::ExternId;
use super::insn::{INSN_SIZE, Insn, decode};
use super::kinds::{AttachType, ProgramType};
use super::maps::MapId;
use super::section_defs::{SectionDef, section_def};
use super::{ObjectError, ProgramId};

/// A program or a subprogram.
#[derive(Debug)]
pub struct Function {
    pub name: String,
    /// The name of its section, without a leading `?`.
    pub section: Arc<str>,
    pub role: Role,
    /// What the section's name says, if it is one that libbpf knows.
    pub def: Option<&'static SectionDef>,
    pub autoload: Autoload,
    /// Set by the loader; otherwise the section's name says it.
    pub(super) attach_to: Option<String>,
    pub(super) section_id: SectionId,
    /// First instruction, and number of them, in the section.
    pub(super) start: usize,
    pub(super) count: usize,
    pub(super) scope: Scope,
    pub(super) relocations: Vec<Relocation>,
}

/// How a function takes part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Program,
    /// In `.text`: becomes part of each program that calls it.
    Subprogram,
}

/// Whether a loader loads the program without being asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Autoload {
    Yes,
    /// Its section starts with `?`.
    No,
}

/// Who sees a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scope {
    Local,
    Global,
    /// Global for the linker, static for the kernel.
    Hidden,
}

/// A place in a function that depends on something else in the object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relocation {
    /// From the start of the function.
    pub(super) insn: usize,
    pub(super) to: Target,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    Map(MapId),
    /// A byte in a data section's only value.
    Data(MapId, u64),
    ExternLoad(ExternId),
    ExternCall(ExternId),
    /// Byte offset of the called symbol in `.text`.
    Call(u64),
    /// Byte offset of the symbol in `.text` whose address is taken.
    Address(u64),
}

impl Function {
    pub fn program_type(&self) -> ProgramType {
        self.def.map_or(ProgramType::Unspec, |def| def.program_type)
    }

    pub fn attach_type(&self) -> AttachType {
        self.def.map_or(AttachType::NONE, |def| def.attach_type)
    }

    /// What it attaches to: as the loader says, or what follows the first `/` in the section's name.
    pub fn attach_name(&self) -> Option<&str> {
        let named = self.section.split_once('/').map(|(_, name)| name);
        self.attach_to.as_deref().or(named)
    }

    fn contains(&self, insn: usize) -> bool {
        insn.checked_sub(self.start).is_some_and(|at| at < self.count)
    }
}

/// Every function, sorted by section and place, and the code of their sections.
pub(super) struct Functions {
    pub(super) list: Vec<Function>,
    pub(super) text: Option<SectionId>,
    code: HashMap<SectionId, Vec<Insn>>,
}

impl Functions {
    pub(super) fn collect(elf: &Elf<'_>) -> Result<Functions, ObjectError> {
        let sections: HashMap<_, _> =
            elf.numbered_sections().filter(|(_, section)| holds_code(section)).collect();
        let text = elf.section(".text").map(|(id, _)| id).filter(|id| sections.contains_key(id));
        let mut list = Vec::new();
        let mut names: HashMap<SectionId, Arc<str>> = HashMap::new();
        for symbol in elf.symbols.iter().filter(|symbol| symbol.is_function()) {
            let place = symbol.section.and_then(|id| Some((id, sections.get(&id)?)));
            if let Some((id, section)) = place {
                let name = names
                    .entry(id)
                    .or_insert_with(|| section.name.strip_prefix('?').unwrap_or(section.name).into());
                list.push(function(symbol, id, section, Arc::clone(name), text)?);
            }
        }
        list.sort_by_key(|function| (function.section_id, function.start));
        let code = sections.iter().map(|(id, section)| (*id, decode(section.data))).collect();
        Ok(Functions { list, text, code })
    }

    /// The function that holds this instruction of a section.
    pub(super) fn at(&self, section: SectionId, insn: usize) -> Option<ProgramId> {
        let after = self.list.partition_point(|f| (f.section_id, f.start) <= (section, insn));
        let index = after.checked_sub(1)?;
        let function = &self.list[index];
        (function.section_id == section && function.contains(insn)).then_some(ProgramId(index as u32))
    }

    pub(super) fn get(&self, id: ProgramId) -> Option<&Function> {
        self.list.get(id.0 as usize)
    }

    /// A function's instructions, as they lie in the file.
    pub(super) fn code(&self, function: &Function) -> &[Insn] {
        let code = self.code.get(&function.section_id);
        code.and_then(|code| code.get(function.start..function.start + function.count)).unwrap_or_default()
    }

    pub(super) fn is_code(&self, section: SectionId) -> bool {
        self.code.contains_key(&section)
    }

    pub(super) fn programs(&self) -> impl Iterator<Item = (ProgramId, &Function)> {
        let numbered =
            self.list.iter().enumerate().map(|(index, function)| (ProgramId(index as u32), function));
        numbered.filter(|(_, function)| function.role == Role::Program)
    }
}

fn holds_code(section: &Section<'_>) -> bool {
    section.kind == object::elf::SHT_PROGBITS
        && section.is_code()
        && !section.data.is_empty()
        && !section.name.starts_with(".debug_")
}

fn function(
    symbol: &Symbol<'_>,
    section_id: SectionId,
    section: &Section<'_>,
    name: Arc<str>,
    text: Option<SectionId>,
) -> Result<Function, ObjectError> {
    let bad = |reason: &str| {
        let reason = format!("program '{}': {reason}", symbol.name);
        Err(ObjectError::section(section.name, symbol.value, reason))
    };
    match symbol.value.checked_add(symbol.size) {
        Some(end) if end <= section.data.len() as u64 => {}
        _ => return bad("it crosses the end of its section"),
    }
    let (start, size) = (symbol.value as usize, symbol.size as usize);
    if size == 0 || !size.is_multiple_of(INSN_SIZE) || !start.is_multiple_of(INSN_SIZE) {
        return bad("its place or size is not that of whole instructions");
    }
    let role = if Some(section_id) == text { Role::Subprogram } else { Role::Program };
    if role == Role::Program && symbol.bind == Bind::Local {
        return bad("it is static, and only subprograms in .text can be");
    }
    let autoload = if section.name.starts_with('?') { Autoload::No } else { Autoload::Yes };
    Ok(Function {
        name: symbol.name.into(),
        role,
        def: section_def(&name),
        section: name,
        autoload,
        attach_to: None,
        section_id,
        start: start / INSN_SIZE,
        count: size / INSN_SIZE,
        scope: match (symbol.bind, symbol.visibility) {
            (Bind::Local, _) => Scope::Local,
            (_, Visibility::Restricted) => Scope::Hidden,
            (_, Visibility::Default) => Scope::Global,
        },
        relocations: Vec::new(),
    })
}
