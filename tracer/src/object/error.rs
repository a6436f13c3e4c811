//! Why bytes are not a BPF object that can be loaded. Each error names its place: offset, section, symbol, map or program.

use core::fmt;

use crate::verifier::btf::BtfError;

/// What is wrong with an object, or with the object on one kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ObjectError {
    /// The bytes are no ELF file, or its tables lie outside of it.
    Elf { what: &'static str, reason: String },
    /// An ELF file, but of another machine, class, byte order or kind.
    NotBpf { reason: String },
    /// A section's content is wrong. The offset is in bytes from the section's start.
    Section { section: String, offset: u64, reason: String },
    /// BTF could not be read.
    Btf { section: &'static str, error: BtfError },
    /// The object uses what can only be described by BTF, and has none.
    BtfMissing { needed_by: String },
    /// The kernel's BTF is needed, and was not given.
    KernelBtfMissing { needed_by: String },
    /// A map's definition is wrong.
    Map { map: String, reason: String },
    /// An extern is wrong, or the kernel does not have it.
    Extern { name: String, reason: String },
    /// A program or subprogram cannot be prepared. The instruction is counted from the function's own start.
    Function { function: String, insn: Option<usize>, reason: String },
    /// There is no program of this number.
    NoSuchProgram { program: u32 },
}

impl fmt::Display for ObjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elf { what, reason } => write!(f, "reading the {what} of the ELF file: {reason}"),
            Self::NotBpf { reason } => write!(f, "not a BPF object: {reason}"),
            Self::Section { section, offset, reason } => {
                write!(f, "section '{section}', offset {offset}: {reason}")
            }
            Self::Btf { section, error } => write!(f, "section '{section}': {error}"),
            Self::BtfMissing { needed_by } => {
                write!(
                    f,
                    "{needed_by} needs BTF, and the object has none (compile with -g, do not strip .BTF)"
                )
            }
            Self::KernelBtfMissing { needed_by } => write!(f, "{needed_by} needs the kernel's BTF"),
            Self::Map { map, reason } => write!(f, "map '{map}': {reason}"),
            Self::Extern { name, reason } => write!(f, "extern '{name}': {reason}"),
            Self::Function { function, insn: Some(insn), reason } => {
                write!(f, "program '{function}', instruction {insn}: {reason}")
            }
            Self::Function { function, insn: None, reason } => write!(f, "program '{function}': {reason}"),
            Self::NoSuchProgram { program } => {
                write!(f, "the object has no program number {program}")
            }
        }
    }
}

impl std::error::Error for ObjectError {}

impl ObjectError {
    pub(super) fn section(section: &str, offset: u64, reason: impl Into<String>) -> ObjectError {
        ObjectError::Section { section: section.into(), offset, reason: reason.into() }
    }

    pub(super) fn map(map: &str, reason: impl Into<String>) -> ObjectError {
        ObjectError::Map { map: map.into(), reason: reason.into() }
    }

    pub(super) fn external(name: &str, reason: impl Into<String>) -> ObjectError {
        ObjectError::Extern { name: name.into(), reason: reason.into() }
    }

    pub(super) fn function(function: &str, reason: impl Into<String>) -> ObjectError {
        ObjectError::Function { function: function.into(), insn: None, reason: reason.into() }
    }

    pub(super) fn insn(function: &str, insn: usize, reason: impl Into<String>) -> ObjectError {
        ObjectError::Function { function: function.into(), insn: Some(insn), reason: reason.into() }
    }
}
