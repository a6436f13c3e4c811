//! What an object expects of the kernel by name: configuration values (`.kconfig`), symbols and kernel functions
//! (`.ksyms`).
//!
//! Here they are found and typed, and laid out as libbpf lays them out; `resolve` gives them values.

use std::collections::HashMap;

use super::ObjectError;
use super::elf::{Bind, Elf, SymbolId};
use super::kconfig::{ValueType, value_type};
use crate::verifier::btf::{Btf, FuncLinkage, Kind, Linkage, Type, TypeId, essential_name};

/// The values of all options together are some hundred bytes.
const MAX_KCONFIG: u32 = 1 << 20;

/// Index of an extern in `Object::externs`, which is libbpf's order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ExternId(pub u32);

/// One name that the kernel must (or, if weak, may) provide.
#[derive(Debug)]
pub struct Extern {
    pub name: String,
    pub demand: Demand,
    pub kind: ExternKind,
    /// The `VAR` or `FUNC` in the object's BTF.
    pub type_id: TypeId,
    pub(super) symbol: SymbolId,
}

/// What happens when the kernel does not provide it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Demand {
    Strong,
    Weak,
}

/// What an extern is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExternKind {
    /// A value in the `.kconfig` map.
    Kconfig(KconfigSlot),
    /// A kernel variable whose BTF is wanted; its type in the object's BTF.
    TypedVariable(TypeId),
    /// The address of a kernel symbol, `void` in C.
    Typeless,
    /// A kernel function; its prototype in the object's BTF.
    Function(TypeId),
}

/// Place and type of a value in the `.kconfig` map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KconfigSlot {
    /// In bytes.
    pub offset: u32,
    pub size: u32,
    pub align: u32,
    pub(super) value: ValueType,
}

pub(super) fn collect(elf: &Elf<'_>, btf: Option<&Btf>) -> Result<Vec<Extern>, ObjectError> {
    let symbols = elf.symbols.iter().enumerate().map(|(index, symbol)| (SymbolId(index as u32), symbol));
    let wanted: Vec<_> =
        symbols.filter(|(_, symbol)| symbol.is_extern() && !symbol.name.is_empty()).collect();
    let Some((_, first)) = wanted.first() else {
        return Ok(Vec::new());
    };
    let Some(btf) = btf else {
        return Err(ObjectError::BtfMissing { needed_by: format!("extern '{}'", first.name) });
    };
    let sections = sections_of(btf);
    let mut externs = Vec::with_capacity(wanted.len());
    for (id, symbol) in wanted {
        let type_id = declaration(btf, symbol.name)?;
        let section = sections.get(&type_id).copied().unwrap_or("");
        let demand = if symbol.bind == Bind::Weak { Demand::Weak } else { Demand::Strong };
        let kind = kind(btf, symbol.name, type_id, section)?;
        externs.push(Extern { name: symbol.name.into(), demand, kind, type_id, symbol: id });
    }
    // Configuration first, by falling alignment then size; the rest by name.
    externs.sort_by(|a, b| {
        let rank = |e: &Extern| match e.kind {
            ExternKind::Kconfig(slot) => (0, core::cmp::Reverse(slot.align), slot.size),
            _ => (1, core::cmp::Reverse(0), 0),
        };
        rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name))
    });
    let mut end = 0_u32;
    for external in &mut externs {
        let ExternKind::Kconfig(slot) = &mut external.kind else {
            continue;
        };
        let start = end.checked_next_multiple_of(slot.align);
        let place = start.and_then(|start| Some((start, start.checked_add(slot.size)?)));
        let place = place.filter(|(_, next)| *next <= MAX_KCONFIG);
        let Some((start, next)) = place else {
            return Err(ObjectError::external(
                &external.name,
                "the values of .kconfig are larger than 1 MiB",
            ));
        };
        slot.offset = start;
        end = next;
    }
    Ok(externs)
}

/// The name of the section in which each variable or function lies, the first that has it.
fn sections_of(btf: &Btf) -> HashMap<TypeId, &str> {
    let mut sections = HashMap::new();
    for id in btf.ids() {
        if let Some(Type::Datasec(section)) = btf.get(id) {
            for var in section.vars() {
                sections.entry(var.type_id).or_insert(section.name);
            }
        }
    }
    sections
}

fn declaration(btf: &Btf, name: &str) -> Result<TypeId, ObjectError> {
    let is_candidate = |id: &TypeId| matches!(btf.kind(*id), Some(Kind::Var | Kind::Func));
    let found = btf.find_name(name).find(is_candidate);
    let Some(id) = found else {
        return Err(ObjectError::external(name, "the object's BTF does not describe it"));
    };
    let declared = match btf.get(id) {
        Some(Type::Var(var)) => var.linkage == Linkage::Extern,
        Some(Type::Func(func)) => func.linkage == FuncLinkage::Extern,
        _ => false,
    };
    match declared {
        true => Ok(id),
        false => Err(ObjectError::external(name, "it is undefined, and BTF says that the object defines it")),
    }
}

fn kind(btf: &Btf, name: &str, id: TypeId, section: &str) -> Result<ExternKind, ObjectError> {
    let bad = |reason: &str| Err(ObjectError::external(name, reason));
    match (section, btf.get(id)) {
        (".kconfig", Some(Type::Var(var))) => {
            let Some(value) = value_type(btf, var.type_id) else {
                return bad("a type that .kconfig cannot have");
            };
            let (Some(size), Some(align)) = (btf.size_of(var.type_id), align_of(btf, var.type_id)) else {
                return bad("its type has no size");
            };
            if size == 0 {
                return bad("its type has no size");
            }
            Ok(ExternKind::Kconfig(KconfigSlot { offset: 0, size, align, value }))
        }
        (".kconfig", _) => bad("a function cannot be in .kconfig"),
        (".ksyms", Some(Type::Var(var))) => match btf.resolve(var.type_id) {
            Some(TypeId::VOID) => Ok(ExternKind::Typeless),
            Some(type_id) => Ok(ExternKind::TypedVariable(type_id)),
            None => bad("its type does not exist"),
        },
        (".ksyms", Some(Type::Func(func))) => Ok(ExternKind::Function(func.proto)),
        ("", _) => bad("BTF places it in no section"),
        (other, _) => bad(&format!("externs can be in .kconfig and .ksyms, not in '{other}'")),
    }
}

/// The alignment of what `.kconfig` can hold: numbers, booleans, enums, and arrays of characters.
fn align_of(btf: &Btf, id: TypeId) -> Option<u32> {
    match btf.resolved(id)? {
        Type::Array(array) => btf.size_of(array.element).filter(|size| size.is_power_of_two()),
        _ => btf.size_of(id).map(|size| size.min(8)).filter(|size| size.is_power_of_two()),
    }
}

impl Extern {
    /// The name that the kernel knows: a kfunc may carry a `___flavor`.
    pub(super) fn kernel_name(&self) -> &str {
        match self.kind {
            ExternKind::Function(_) => essential_name(&self.name),
            _ => &self.name,
        }
    }
}
