//! One program, ready for bpf(BPF_PROG_LOAD) on one kernel, and where each of its instructions comes from.

use std::sync::Arc;

use super::btf_ext::{FuncInfo, LineInfo};
use super::insn::Insn;
use super::kinds::{AttachType, ProgramType, program_flags};
use super::section_defs::Extra;
use super::struct_ops::Binding;
use super::target::ModuleId;
use super::{ObjectError, ProgramId, Resolved, attach, btf_fixup, ctx_tag, link};
use crate::verifier::btf::{Btf, TypeId};

/// A program as the kernel would get it, but for descriptors: in `lddw`, a map is its number in `Resolved::maps`; a
/// module is its number in `Target::modules` plus one (in the second half of `lddw`, and in a kfunc call's offset).
#[derive(Clone, Debug)]
pub struct Program {
    pub id: ProgramId,
    pub name: String,
    pub section: String,
    pub program_type: ProgramType,
    pub attach_type: AttachType,
    pub attach: Attach,
    /// Flags of BPF_PROG_LOAD (`program_flags`).
    pub flags: u32,
    pub insns: Vec<Insn>,
    /// The functions that make it up, in order; the first is the program itself.
    pub functions: Vec<Placed>,
    /// Empty if the kernel has no BTF of the object.
    pub func_info: Vec<FuncInfo>,
    /// For the kernel if `btf` is there, and for `source` in any case.
    pub line_info: Vec<LineInfo>,
    /// Instructions that no kernel takes, because what they need is missing.
    pub poisoned: Vec<Poisoned>,
    /// The BTF that the kernel has with it; `func_info` and `line_info` refer to it.
    pub btf: Option<Arc<Btf>>,
    /// The object's BTF, for its strings.
    strings: Option<Arc<Btf>>,
}

/// What a program is attached to as far as loading it must know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Attach {
    /// Nothing, or known only when it is attached.
    Later,
    /// A type of the kernel's or a module's BTF: a function, a hook, a tracepoint's typedef.
    Btf {
        type_id: TypeId,
        module: Option<ModuleId>,
    },
    /// A function of another BPF program, which must be loaded first.
    Program {
        function: String,
    },
    StructOps(Binding),
}

/// A function's place in a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placed {
    /// In instruction slots.
    pub start: u32,
    pub function: ProgramId,
}

/// An instruction that was made unacceptable, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Poisoned {
    /// In instruction slots.
    pub insn: u32,
    pub reason: String,
}

/// A line of the source, from BTF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SourceLine<'p> {
    pub file: &'p str,
    pub line: u32,
    pub column: u16,
    /// The line itself; may be empty.
    pub text: &'p str,
}

impl Program {
    /// The source line that an instruction was compiled from.
    pub fn source(&self, insn: usize) -> Option<SourceLine<'_>> {
        let after = self.line_info.partition_point(|line| line.insn as usize <= insn);
        let info = self.line_info.get(after.checked_sub(1)?)?;
        let btf = self.strings.as_deref()?;
        let (file, text) = (btf.string(info.file_name), btf.string(info.text));
        Some(SourceLine { file, line: info.line, column: info.column, text })
    }

    /// The function that an instruction belongs to.
    pub fn function_at(&self, insn: usize) -> Option<ProgramId> {
        let after = self.functions.partition_point(|placed| placed.start as usize <= insn);
        Some(self.functions.get(after.checked_sub(1)?)?.function)
    }

    /// The instructions as bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.insns.iter().flat_map(|insn| insn.to_bytes()).collect()
    }
}

pub(super) fn build(resolved: &Resolved<'_>, id: ProgramId) -> Result<Program, ObjectError> {
    let function = resolved.object.functions.get(id).ok_or(ObjectError::NoSuchProgram { program: id.0 })?;
    let Some(def) = function.def else {
        let reason = format!("section name '{}' says of no program type", function.section);
        return Err(ObjectError::function(&function.name, reason));
    };
    let features = &resolved.target.features;
    let attach = attach::attach(resolved, id, function)?;
    let mut linked = link::link(resolved, id)?;
    let mut btf = resolved.btf.clone();
    if btf.is_none() {
        linked.func_info.clear();
    }
    if !features.arg_ctx_tag
        && let Some(own) = resolved.object.btf.as_deref().filter(|_| btf.is_some())
        && let Some(fixed) = ctx_tag::fix(own, &mut linked.func_info, def.program_type)?
    {
        btf = Some(Arc::new(btf_fixup::for_kernel(&fixed, &resolved.object.functions.list, features)?));
    }
    let sleepable = if def.extra.is_sleepable() { program_flags::SLEEPABLE } else { 0 };
    let frags = if def.extra == Extra::XdpFrags { program_flags::XDP_HAS_FRAGS } else { 0 };
    let attach_type = match attach {
        Attach::StructOps(binding) => binding.member,
        _ if def.extra.is_usdt() && features.uprobe_multi => AttachType::TRACE_UPROBE_MULTI,
        _ if def.extra == Extra::AttachTypeOptional && !features.expected_attach_type => AttachType::NONE,
        _ => def.attach_type,
    };
    Ok(Program {
        id,
        name: function.name.clone(),
        section: function.section.to_string(),
        program_type: def.program_type,
        attach_type,
        attach,
        flags: sleepable | frags,
        insns: linked.insns,
        functions: linked.placed,
        func_info: linked.func_info,
        line_info: linked.line_info,
        poisoned: linked.poisoned,
        btf,
        strings: resolved.object.btf.clone(),
    })
}
