//! Puts one program together: its own instructions, then each subprogram that it calls, once, in the order in which
//! the calls are met (depth first), as libbpf does. References to maps, externs and types are filled in on the way.
//!
//! Invariant: whatever the object says, a program has at most `MAX_INSNS` instructions.

use std::collections::HashMap;

use super::btf_ext::{FuncInfo, LineInfo, Record, all_records_of, records_of};
use super::co_re::{self, Candidates, Outcome};
use super::functions::{Function, Role, Scope, Target as Reference};
use super::insn::{FOREIGN_DESCRIPTOR, INSN_SIZE, Insn, poison, pseudo};
use super::maps::{Creation, MapId};
use super::program::{Placed, Poisoned};
use super::resolve::Resolution;
use super::target::ASSUMED_ADDRESS;
use super::{ObjectError, ProgramId, Resolved};

/// More than any kernel takes (BPF_COMPLEXITY_LIMIT_INSNS); a sum of subprograms can be far larger than the file.
const MAX_INSNS: usize = 1_000_000;

/// A program in the making.
#[derive(Default)]
pub(super) struct Linked {
    pub(super) insns: Vec<Insn>,
    pub(super) placed: Vec<Placed>,
    pub(super) func_info: Vec<FuncInfo>,
    pub(super) line_info: Vec<LineInfo>,
    pub(super) poisoned: Vec<Poisoned>,
    /// Where each function that is already here starts.
    starts: HashMap<ProgramId, usize>,
    candidates: Candidates,
}

/// A function whose calls are being followed.
struct Frame {
    id: ProgramId,
    /// The next instruction to look at, from the function's start.
    next: usize,
}

pub(super) fn link(resolved: &Resolved<'_>, main: ProgramId) -> Result<Linked, ObjectError> {
    let mut linked = Linked::default();
    place(resolved, &mut linked, main)?;
    follow(resolved, &mut linked, main)?;
    if let Some(callback) = exception_callback(resolved, function(resolved, main)?)?
        && !linked.starts.contains_key(&callback)
    {
        place(resolved, &mut linked, callback)?;
        follow(resolved, &mut linked, callback)?;
    }
    if !resolved.target.features.probe_read_kernel {
        linked.insns.iter_mut().for_each(use_old_probe_read);
    }
    Ok(linked)
}

fn function<'r>(resolved: &'r Resolved<'_>, id: ProgramId) -> Result<&'r Function, ObjectError> {
    resolved.object.functions.get(id).ok_or(ObjectError::NoSuchProgram { program: id.0 })
}

/// Appends a function, with all its references filled in but calls.
fn place(resolved: &Resolved<'_>, linked: &mut Linked, id: ProgramId) -> Result<(), ObjectError> {
    let function = function(resolved, id)?;
    let code = resolved.object.functions.code(function);
    let start = linked.insns.len();
    if start + code.len() > MAX_INSNS {
        let reason = format!("with its subprograms it is longer than {MAX_INSNS} instructions");
        return Err(ObjectError::function(&function.name, reason));
    }
    linked.insns.extend_from_slice(code);
    // Where nothing is relocated, a descriptor is a number that the author wrote.
    for (at, insn) in linked.insns[start..].iter_mut().enumerate().filter(|(_, insn)| insn.refers_to_map()) {
        if function.relocations.binary_search_by_key(&at, |relocation| relocation.insn).is_err() {
            insn.imm = FOREIGN_DESCRIPTOR;
        }
    }
    linked.starts.insert(id, start);
    linked.placed.push(Placed { start: start as u32, function: id });
    relocate_types(resolved, linked, function, start)?;
    relocate_references(resolved, linked, function, start);
    place_info(resolved, linked, function, start)
}

fn relocate_types(
    resolved: &Resolved<'_>,
    linked: &mut Linked,
    function: &Function,
    start: usize,
) -> Result<(), ObjectError> {
    let Some(own) = resolved.object.btf.as_deref() else {
        return Ok(());
    };
    let (first, count) = (function.start as u32, function.count as u32);
    let relocations = all_records_of(&resolved.object.btf_ext.relocations, function.section_id, first, count);
    for relocation in relocations {
        let insn = (relocation.insn - first) as usize;
        let insns = &mut linked.insns[start..];
        let outcome = co_re::apply(
            &function.name,
            insns,
            insn,
            &relocation,
            own,
            resolved.target,
            &mut linked.candidates,
        )?;
        if let Outcome::Poisoned(reason) = outcome {
            let reason = format!("the kernel has no {reason} that fits");
            linked.poisoned.push(Poisoned { insn: (start + insn) as u32, reason });
        }
    }
    Ok(())
}

fn relocate_references(resolved: &Resolved<'_>, linked: &mut Linked, function: &Function, start: usize) {
    for relocation in &function.relocations {
        let at = start + relocation.insn;
        let reason = match relocation.to {
            Reference::Map(map) => load_map(resolved, &mut linked.insns[at..], map, pseudo::MAP_FD),
            Reference::Data(map, offset) => {
                let addend = linked.insns[at].imm;
                if let Some(second) = linked.insns.get_mut(at + 1) {
                    second.imm = addend.wrapping_add(offset as i32);
                }
                load_map(resolved, &mut linked.insns[at..], map, pseudo::MAP_VALUE)
            }
            Reference::ExternLoad(id) => load_extern(resolved, &mut linked.insns[at..], id.0 as usize),
            Reference::ExternCall(id) => call_extern(resolved, &mut linked.insns[at], id.0 as usize),
            Reference::Address(_) => {
                linked.insns[at].src = pseudo::FUNC;
                None
            }
            Reference::Call(_) => None,
        };
        if let Some(reason) = reason {
            linked.poisoned.push(Poisoned { insn: at as u32, reason });
        }
    }
}

/// Makes a 64-bit load refer to a map; says why if it cannot.
fn load_map(resolved: &Resolved<'_>, insns: &mut [Insn], id: MapId, how: u8) -> Option<String> {
    let map = resolved.maps.get(id.0 as usize)?;
    if map.creation == Creation::Off {
        for insn in insns.iter_mut().take(2) {
            *insn = Insn::poisoned(poison::MAP.wrapping_add(id.0 as i32));
        }
        return Some(format!("map '{}' is not created", map.name));
    }
    insns[0].src = how;
    insns[0].imm = id.0 as i32;
    None
}

fn load_extern(resolved: &Resolved<'_>, insns: &mut [Insn], index: usize) -> Option<String> {
    use super::externs::ExternKind;
    let external = resolved.object.externs.get(index)?;
    if let ExternKind::Kconfig(slot) = external.kind {
        insns[0].src = pseudo::MAP_VALUE;
        insns[0].imm = resolved.object.kconfig_map?.0 as i32;
        insns.get_mut(1)?.imm = slot.offset as i32;
        return None;
    }
    let (low, high) = match resolved.externs.get(index)? {
        Resolution::Btf { type_id, module } => {
            insns[0].src = pseudo::BTF_ID;
            (type_id.0, module.map_or(0, |module| module.0 + 1))
        }
        Resolution::Address(address) => (*address as u32, (address >> 32) as u32),
        Resolution::AssumedAddress => (ASSUMED_ADDRESS as u32, (ASSUMED_ADDRESS >> 32) as u32),
        Resolution::Absent | Resolution::Kconfig => (0, 0),
    };
    insns[0].imm = low as i32;
    insns.get_mut(1)?.imm = high as i32;
    None
}

fn call_extern(resolved: &Resolved<'_>, insn: &mut Insn, index: usize) -> Option<String> {
    let external = resolved.object.externs.get(index)?;
    match resolved.externs.get(index)? {
        Resolution::Btf { type_id, module } => {
            insn.src = pseudo::KFUNC_CALL;
            insn.imm = type_id.0 as i32;
            insn.off = module.map_or(0, |module| module.0 as i16 + 1);
            None
        }
        _ => {
            *insn = Insn::poisoned(poison::KFUNC.wrapping_add(index as i32));
            Some(format!("the kernel has no function '{}' of this type", external.kernel_name()))
        }
    }
}

/// Follows the calls of a function and of all that it brings in, and gives each call its distance.
fn follow(resolved: &Resolved<'_>, linked: &mut Linked, from: ProgramId) -> Result<(), ObjectError> {
    let mut stack = vec![Frame { id: from, next: 0 }];
    while let Some(frame) = stack.last_mut() {
        let function = function(resolved, frame.id)?;
        let Some(&start) = linked.starts.get(&frame.id) else {
            break;
        };
        let rest = linked.insns.get(start + frame.next..start + function.count).unwrap_or_default();
        let call = rest.iter().position(|insn| insn.is_subprogram_call() || insn.is_function_address());
        let Some(insn) = call.map(|ahead| frame.next + ahead) else {
            stack.pop();
            continue;
        };
        frame.next = insn;
        let callee = callee(resolved, function, insn, linked.insns[start + insn])?;
        match linked.starts.get(&callee) {
            Some(&target) => {
                linked.insns[start + insn].imm = (target as i64 - (start + insn) as i64 - 1) as i32;
                frame.next += 1;
            }
            None => {
                place(resolved, linked, callee)?;
                stack.push(Frame { id: callee, next: 0 });
            }
        }
    }
    Ok(())
}

/// The subprogram that an instruction calls or whose address it takes.
fn callee(
    resolved: &Resolved<'_>,
    function: &Function,
    at: usize,
    insn: Insn,
) -> Result<ProgramId, ObjectError> {
    let bad = |reason: &str| ObjectError::insn(&function.name, at, reason);
    let first = function.relocations.partition_point(|relocation| relocation.insn < at);
    let relocation = function.relocations.get(first).filter(|relocation| relocation.insn == at);
    let (imm, size) = (i64::from(insn.imm), INSN_SIZE as i64);
    let place = match relocation.map(|relocation| relocation.to) {
        Some(Reference::Call(symbol)) => (symbol as i64 / size).wrapping_add(imm + 1),
        Some(Reference::Address(symbol)) => (symbol as i64).wrapping_add(imm) / size,
        Some(_) => return Err(bad("it refers to something that is no subprogram")),
        None if insn.is_function_address() => {
            return Err(bad("it takes an address of which nothing is known"));
        }
        // A static function of the same section: the compiler's own distance.
        None => (function.start + at) as i64 + imm + 1,
    };
    let Some(text) = resolved.object.functions.text else {
        return Err(bad("it calls a subprogram, and there is no section '.text'"));
    };
    let found = usize::try_from(place).ok().and_then(|place| resolved.object.functions.at(text, place));
    found.ok_or_else(|| bad(&format!("it calls instruction {place} of '.text', where there is no function")))
}

/// Function and line records of a function, moved to its place. If the program itself has none, no part has.
fn place_info(
    resolved: &Resolved<'_>,
    linked: &mut Linked,
    function: &Function,
    start: usize,
) -> Result<(), ObjectError> {
    if !resolved.target.features.btf_func {
        return Ok(());
    }
    let is_main = start == 0;
    let (ext, section) = (&resolved.object.btf_ext, function.section_id);
    let (first, count) = (function.start as u32, function.count as u32);
    let missing =
        |what: &str| ObjectError::function(&function.name, format!("'.BTF.ext' has no {what} of it"));
    if is_main || !linked.func_info.is_empty() {
        match records_of(&ext.functions, section, first, count) {
            Some(records) => linked.func_info.extend(moved(records, first, start as u32)),
            None if is_main => {}
            None => return Err(missing("function record")),
        }
    }
    if is_main || !linked.line_info.is_empty() {
        match records_of(&ext.lines, section, first, count) {
            Some(records) => linked.line_info.extend(moved(records, first, start as u32)),
            None if is_main => {}
            None => return Err(missing("line records")),
        }
    }
    Ok(())
}

fn moved<T: Record>(records: &[T], from: u32, to: u32) -> impl Iterator<Item = T> {
    records.iter().map(move |record| {
        let mut record = *record;
        record.set_insn(record.insn().wrapping_sub(from).wrapping_add(to));
        record
    })
}

/// The subprogram that a declaration tag names as this program's exception callback.
fn exception_callback(resolved: &Resolved<'_>, main: &Function) -> Result<Option<ProgramId>, ObjectError> {
    if !resolved.target.features.btf_decl_tag {
        return Ok(None);
    }
    let mut chosen = None;
    for tag in resolved.object.exception_tags.iter().filter(|tag| tag.function == main.name) {
        if chosen.is_some() {
            // The verifier will refuse it.
            return Ok(None);
        }
        let bad = |reason: &str| {
            ObjectError::function(&main.name, format!("exception callback '{}': {reason}", tag.callback))
        };
        let mut named = resolved.object.functions.list.iter().enumerate();
        let found = named.find(|(_, f)| f.role == Role::Subprogram && f.name == tag.callback);
        let (index, callback) = found.ok_or_else(|| bad("there is no such subprogram"))?;
        if callback.scope != Scope::Global {
            return Err(bad("it must be global and not hidden"));
        }
        chosen = Some(ProgramId(index as u32));
    }
    Ok(chosen)
}

/// Kernels before 5.5 have one helper for kernel and user memory (`bpf_object__sanitize_prog` in libbpf.c).
fn use_old_probe_read(insn: &mut Insn) {
    const PROBE_READ: i32 = 4;
    const PROBE_READ_STR: i32 = 45;
    match insn.helper() {
        Some(112 | 113) => insn.imm = PROBE_READ,
        Some(114 | 115) => insn.imm = PROBE_READ_STR,
        _ => {}
    }
}
