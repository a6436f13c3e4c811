//! The object's own BTF, completed and adapted before the kernel sees it.
//!
//! `complete` does what the compiler left to the loader: sizes of sections, offsets and linkage of variables, externs
//! turned into variables and functions that exist. `for_kernel` replaces kinds that an old kernel does not know by ones
//! that it takes, under the same ids (`bpf_object__sanitize_btf` in libbpf.c).

use std::collections::HashMap;

use super::ObjectError;
use super::elf::{Elf, Visibility};
use super::externs::{Extern, ExternKind};
use super::features::KernelFeatures;
use super::functions::{Function, Role, Scope};
use crate::verifier::btf::{Btf, BtfEditor, Datasec, FuncLinkage, Kind, Linkage, SectionVar, Type, TypeId};

/// Words of a record, by number.
const NAME: usize = 0;
const INFO: usize = 1;
/// Size or type.
const SIZE: usize = 2;
const FIRST: usize = 3;

const VAR_STATIC: u32 = 0;
const VAR_GLOBAL: u32 = 1;
const FUNC_GLOBAL: u32 = 1;

fn info(kind: Kind, vlen: usize) -> u32 {
    (kind.number() << 24) | (vlen as u32 & 0xffff)
}

fn unreadable(error: crate::verifier::btf::BtfError) -> ObjectError {
    ObjectError::Btf { section: ".BTF", error }
}

/// The object's BTF as a loader completes it, whatever the kernel.
pub(super) fn complete(btf: &Btf, elf: &Elf<'_>, externs: &[Extern]) -> Result<Btf, ObjectError> {
    let mut edit = BtfEditor::new(btf);
    let dummy = dummy_variable(&mut edit, btf);
    let variables = elf.symbols.iter().filter(|symbol| symbol.is_object() && symbol.is_global());
    let mut symbols = HashMap::new();
    for symbol in variables {
        symbols.entry(symbol.name).or_insert((symbol.value, symbol.visibility));
    }
    let externs: HashMap<_, _> = externs.iter().map(|external| (external.name.as_str(), external)).collect();
    for id in btf.ids() {
        let Some(Type::Datasec(section)) = btf.get(id) else {
            continue;
        };
        let (mut vars, size) = match section.name {
            ".ksyms" if !externs.is_empty() => ksyms(&mut edit, btf, section, &externs, dummy)?,
            ".kconfig" if !externs.is_empty() => kconfig(&mut edit, btf, section, &externs)?,
            ".ksyms" | ".kconfig" => (section.vars().collect(), section.size),
            _ => variables_of(&mut edit, btf, section, elf, &symbols)?,
        };
        vars.sort_by_key(|var| var.offset);
        edit.set_word(id, SIZE, size);
        for (index, var) in vars.iter().enumerate() {
            let words = [var.type_id.0, var.offset, var.size];
            for (n, word) in words.into_iter().enumerate() {
                edit.set_word(id, FIRST + 3 * index + n, word);
            }
        }
    }
    edit.build().map_err(unreadable)
}

/// The kernel takes no functions in a section of data: they are replaced by this variable.
fn dummy_variable(edit: &mut BtfEditor, btf: &Btf) -> Option<TypeId> {
    let Some(Type::Datasec(section)) = btf.find(Kind::Datasec, ".ksyms").and_then(|id| btf.get(id)) else {
        return None;
    };
    section.vars().find(|var| btf.kind(var.type_id) == Some(Kind::Func))?;
    let name = edit.add_string("dummy_ksym");
    Some(edit.add(&[name, info(Kind::Var, 0), int32(btf).0, VAR_GLOBAL]))
}

fn int32(btf: &Btf) -> TypeId {
    let is_int32 = |id: &TypeId| matches!(btf.get(*id), Some(Type::Int(int)) if int.bits == 32);
    btf.ids().find(is_int32).unwrap_or(TypeId::VOID)
}

type Completed = (Vec<SectionVar>, u32);

fn ksyms(
    edit: &mut BtfEditor,
    btf: &Btf,
    section: Datasec<'_>,
    externs: &HashMap<&str, &Extern>,
    dummy: Option<TypeId>,
) -> Result<Completed, ObjectError> {
    let int = int32(btf);
    let mut vars = Vec::new();
    for (index, listed) in section.vars().enumerate() {
        let name = btf.name(listed.type_id);
        if !externs.contains_key(name) {
            return Err(ObjectError::external(name, "BTF lists it, and no symbol does"));
        }
        let type_id = match btf.get(listed.type_id) {
            Some(Type::Func(func)) => {
                name_parameters(edit, btf, func.proto, dummy);
                edit.set_word(listed.type_id, INFO, info(Kind::Func, FUNC_GLOBAL as usize));
                dummy.unwrap_or(listed.type_id)
            }
            _ => {
                edit.set_word(listed.type_id, FIRST, VAR_GLOBAL);
                edit.set_word(listed.type_id, SIZE, int.0);
                listed.type_id
            }
        };
        vars.push(SectionVar { type_id, offset: index as u32 * 4, size: 4 });
    }
    let size = vars.len() as u32 * 4;
    Ok((vars, size))
}

/// A function that is not extern needs names for its parameters.
fn name_parameters(edit: &mut BtfEditor, btf: &Btf, proto: TypeId, dummy: Option<TypeId>) {
    let (Some(Type::FuncProto(signature)), Some(dummy)) = (btf.get(proto), dummy) else {
        return;
    };
    let name = edit.word(dummy, NAME);
    for (index, param) in signature.params().enumerate() {
        if param.type_id != TypeId::VOID && edit.word(proto, FIRST + 2 * index) == 0 {
            edit.set_word(proto, FIRST + 2 * index, name);
        }
    }
}

fn kconfig(
    edit: &mut BtfEditor,
    btf: &Btf,
    section: Datasec<'_>,
    externs: &HashMap<&str, &Extern>,
) -> Result<Completed, ObjectError> {
    let mut vars = Vec::new();
    let mut end = 0;
    for listed in section.vars() {
        let name = btf.name(listed.type_id);
        let Some(ExternKind::Kconfig(slot)) = externs.get(name).map(|external| external.kind) else {
            return Err(ObjectError::external(name, "BTF lists it, and no symbol does"));
        };
        edit.set_word(listed.type_id, FIRST, VAR_GLOBAL);
        end = end.max(slot.offset + slot.size);
        vars.push(SectionVar { offset: slot.offset, ..listed });
    }
    Ok((vars, end))
}

fn variables_of(
    edit: &mut BtfEditor,
    btf: &Btf,
    section: Datasec<'_>,
    elf: &Elf<'_>,
    symbols: &HashMap<&str, (u64, Visibility)>,
) -> Result<Completed, ObjectError> {
    let bad = |reason: String| Err(ObjectError::section(section.name, 0, reason));
    // The compiler leaves sizes and offsets to the loader; a linker has filled them in.
    let (size, offsets_missing) = match section.size {
        0 => match elf.section(section.name).map(|(_, section)| section.size) {
            Some(size) if size > 0 => (size as u32, true),
            _ => return bad("BTF lists variables in it, and it is missing or empty".into()),
        },
        size => (size, false),
    };
    let mut vars = Vec::new();
    for listed in section.vars() {
        let Some(Type::Var(var)) = btf.get(listed.type_id) else {
            return bad(format!("BTF lists type {}, which is no variable", listed.type_id));
        };
        let mut placed = listed;
        if var.linkage == Linkage::Global {
            let Some(&(value, visibility)) = symbols.get(var.name) else {
                return bad(format!("BTF lists variable '{}', and no symbol does", var.name));
            };
            if offsets_missing {
                placed.offset = value as u32;
            }
            if visibility == Visibility::Restricted {
                edit.set_word(listed.type_id, FIRST, VAR_STATIC);
            }
        }
        vars.push(placed);
    }
    Ok((vars, size))
}

/// The BTF as this kernel takes it. Ids stay as they are.
pub(super) fn for_kernel(
    btf: &Btf,
    functions: &[Function],
    features: &KernelFeatures,
) -> Result<Btf, ObjectError> {
    let mut edit = BtfEditor::new(btf);
    let hidden = functions.iter().filter(|f| f.role == Role::Subprogram && f.scope == Scope::Hidden);
    for function in hidden {
        let is_global =
            |id: &TypeId| matches!(btf.get(*id), Some(Type::Func(f)) if f.linkage == FuncLinkage::Global);
        let found = btf.find_all(Kind::Func, &function.name).find(is_global);
        if let Some(id) = found {
            edit.set_word(id, INFO, info(Kind::Func, 0));
        }
    }
    let mut placeholder = None;
    for id in btf.ids() {
        let Some(kind) = btf.get(id) else { continue };
        sanitize(&mut edit, id, kind, features, &mut placeholder);
    }
    edit.build().map_err(unreadable)
}

fn sanitize(
    edit: &mut BtfEditor,
    id: TypeId,
    kind: Type<'_>,
    features: &KernelFeatures,
    placeholder: &mut Option<TypeId>,
) {
    let become_int = |edit: &mut BtfEditor| {
        edit.set_word(id, INFO, info(Kind::Int, 0));
        edit.set_word(id, SIZE, 1);
        edit.set_word(id, FIRST, 8);
    };
    match kind {
        Type::Var(_) if !features.btf_datasec => become_int(edit),
        Type::DeclTag(_) if !features.btf_decl_tag => become_int(edit),
        Type::Datasec(section) if !features.btf_datasec => {
            let name = edit.word(id, NAME);
            edit.map_string(name, |byte| if matches!(byte, b'.' | b'?') { b'_' } else { byte });
            edit.set_word(id, INFO, info(Kind::Struct, section.vars().len()));
            for index in 0..section.vars().len() {
                let [var, offset] = [0, 1].map(|n| edit.word(id, FIRST + 3 * index + n));
                let words = [edit.word(TypeId(var), NAME), var, offset.wrapping_mul(8)];
                for (n, word) in words.into_iter().enumerate() {
                    edit.set_word(id, FIRST + 3 * index + n, word);
                }
            }
        }
        Type::Datasec(section) if !features.btf_question_mark_datasec && section.name.starts_with('?') => {
            let name = edit.word(id, NAME);
            edit.map_string(name, |byte| if byte == b'?' { b'_' } else { byte });
        }
        Type::FuncProto(proto) if !features.btf_func => {
            edit.set_word(id, INFO, info(Kind::Enum, proto.param_count()));
            edit.set_word(id, SIZE, 4);
        }
        Type::Func(_) if !features.btf_func => edit.set_word(id, INFO, info(Kind::Typedef, 0)),
        Type::Func(_) if !features.btf_global_func => edit.set_word(id, INFO, info(Kind::Func, 0)),
        Type::Float { .. } if !features.btf_float => {
            edit.set_word(id, NAME, 0);
            edit.set_word(id, INFO, info(Kind::Struct, 0));
        }
        Type::TypeTag(_) if !features.btf_type_tag => {
            edit.set_word(id, NAME, 0);
            edit.set_word(id, INFO, info(Kind::Const, 0));
        }
        Type::Enum(e) if !features.btf_enum64 => edit.set_word(id, INFO, info(Kind::Enum, e.value_count())),
        Type::Enum64(e) if !features.btf_enum64 => {
            let stand_in = *placeholder.get_or_insert_with(|| {
                let name = edit.add_string("enum64_placeholder");
                edit.add(&[name, info(Kind::Int, 0), 1, 8])
            });
            edit.set_word(id, INFO, info(Kind::Union, e.value_count()));
            for index in 0..e.value_count() {
                edit.set_word(id, FIRST + 3 * index + 1, stand_in.0);
                edit.set_word(id, FIRST + 3 * index + 2, 0);
            }
        }
        _ => {}
    }
}
