//! What a program attaches to, where loading it must already know: a type in the kernel's or a module's BTF.

use std::collections::HashMap;

use super::functions::Function;
use super::kinds::{AttachType, ProgramType};
use super::program::Attach;
use super::target::{ModuleId, Target};
use super::{Object, ObjectError, ProgramId, Resolved};
use crate::verifier::btf::{Kind, TypeId};

pub(super) fn attach(
    resolved: &Resolved<'_>,
    id: ProgramId,
    function: &Function,
) -> Result<Attach, ObjectError> {
    let bad = |reason: String| Err(ObjectError::function(&function.name, reason));
    if function.program_type() == ProgramType::StructOps {
        if let Some(refusal) = resolved.refused {
            return bad(format!("struct_ops needs the object's BTF: {refusal}"));
        }
        return match resolved.bound.programs.get(&id) {
            Some(binding) => Ok(Attach::StructOps(*binding)),
            None if let Some(error) = resolved.bound.obstacle(&resolved.maps, id) => Err(error.clone()),
            None => bad("no struct_ops map that is created uses it".into()),
        };
    }
    if !function.def.is_some_and(|def| def.extra.wants_btf_target()) {
        return Ok(Attach::Later);
    }
    let Some(name) = function.attach_name() else {
        return bad(format!("section name '{}' does not say what it attaches to", function.section));
    };
    if function.program_type() == ProgramType::Ext {
        return Ok(Attach::Program { function: name.into() });
    }
    if resolved.target.btf.is_none() {
        return Err(ObjectError::KernelBtfMissing { needed_by: format!("program '{}'", function.name) });
    }
    match find_attach_point(resolved, name, function.attach_type()) {
        Some((type_id, module)) => Ok(Attach::Btf { type_id, module }),
        None => bad(format!("the kernel has no '{name}' to attach to")),
    }
}

/// Types of the kernel that the object's programs attach to.
pub(super) type AttachPoints = HashMap<(Kind, String), TypeId>;

/// Looks up the attach points of all programs at once.
fn attach_points(object: &Object, target: &Target<'_>) -> AttachPoints {
    let Some(btf) = target.btf else {
        return AttachPoints::new();
    };
    let wants = |f: &Function| {
        f.def.is_some_and(|def| def.extra.wants_btf_target()) && f.program_type() != ProgramType::Ext
    };
    let programs = object.programs().filter(|(_, function)| wants(function));
    let named = programs.filter_map(|(_, f)| Some(kernel_name(f.attach_name()?, f.attach_type())));
    let wanted: Vec<_> =
        named.filter(|name| name.may_be_kernels()).map(|name| (name.kind, name.full)).collect();
    if wanted.is_empty() {
        return AttachPoints::new();
    }
    let borrowed: Vec<_> = wanted.iter().map(|(kind, name)| (*kind, name.as_str())).collect();
    let found = btf.find_batch(&borrowed);
    wanted.into_iter().zip(found).filter_map(|(key, id)| Some((key, id?))).collect()
}

/// `function`, or `module:function`, as the kernel's BTF has it.
struct KernelName<'n> {
    module: Option<&'n str>,
    kind: Kind,
    full: String,
}

impl KernelName<'_> {
    fn may_be_kernels(&self) -> bool {
        self.module.is_none_or(|module| "vmlinux".starts_with(module))
    }
}

fn kernel_name(name: &str, attach: AttachType) -> KernelName<'_> {
    let (module, name) = match name.split_once(':') {
        Some((module, name)) => (Some(module), name),
        None => (None, name),
    };
    let (prefix, kind) = match attach {
        AttachType::TRACE_RAW_TP => ("btf_trace_", Kind::Typedef),
        AttachType::LSM_MAC | AttachType::LSM_CGROUP => ("bpf_lsm_", Kind::Func),
        AttachType::TRACE_ITER => ("bpf_iter_", Kind::Func),
        _ => ("", Kind::Func),
    };
    KernelName { module, kind, full: format!("{prefix}{name}") }
}

/// The kernel's own type first, then those of its modules.
fn find_attach_point(
    resolved: &Resolved<'_>,
    name: &str,
    attach: AttachType,
) -> Option<(TypeId, Option<ModuleId>)> {
    let name = kernel_name(name, attach);
    let numbered = resolved.target.modules.iter().enumerate();
    let mut modules = numbered.filter(|(_, m)| name.module.is_none_or(|module| m.name.starts_with(module)));
    let key = (name.kind, name.full.clone());
    let attach_points =
        resolved.attach_points.get_or_init(|| attach_points(resolved.object, resolved.target));
    match attach_points.get(&key).filter(|_| name.may_be_kernels()) {
        Some(id) => Some((*id, None)),
        None => modules
            .find_map(|(index, m)| Some((m.btf.find(name.kind, &name.full)?, Some(ModuleId(index as u32))))),
    }
}
