//! What records say of each other: references that exist, sizes that are known, no type within itself.
//!
//! The kernel's walk (`btf_resolve`): depth first with an explicit stack of at most `MAX_DEPTH`, each type once. Which
//! references are followed depends on where the walk began: from a pointer, only pointers and modifiers; from a struct
//! or array, only what lies inside of it by value.

use super::member::check_member;
use super::meta::is_identifier;
use super::{Refusal, is_regular_int, sized};
use crate::verifier::btf::{Array, Btf, DeclTagTarget, FuncProto, Kind, MAX_DEPTH, Type, TypeId};

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    OnStack,
    Done,
}

/// Where the walk began.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Any,
    Pointer,
    ByValue,
}

struct Frame {
    id: TypeId,
    next_child: usize,
}

type Checked = Result<(), &'static str>;

pub(super) fn check(btf: &Btf) -> Result<(), Refusal> {
    let mut states = vec![State::New; btf.type_count() as usize];
    for id in btf.ids() {
        let refused = |reason| Refusal { type_id: id, reason };
        if btf.kind(id).is_some_and(needs_resolve) && states[id.0 as usize] == State::New {
            walk(btf, id, &mut states).map_err(refused)?;
        }
        if let Some(Type::FuncProto(proto)) = btf.get(id) {
            prototype(btf, proto, &mut states).map_err(refused)?;
        }
    }
    Ok(())
}

fn needs_resolve(kind: Kind) -> bool {
    kind.is_modifier()
        || kind.is_composite()
        || matches!(kind, Kind::Ptr | Kind::Array | Kind::Var | Kind::Func | Kind::DeclTag | Kind::Datasec)
}

/// Types that only refer, and that nothing may refer to.
fn only_refers(kind: Kind) -> bool {
    matches!(kind, Kind::Var | Kind::DeclTag | Kind::Datasec)
}

fn has_no_size(kind: Kind) -> bool {
    matches!(kind, Kind::Void | Kind::Fwd | Kind::Func | Kind::FuncProto | Kind::DeclTag)
}

fn walk(btf: &Btf, start: TypeId, states: &mut [State]) -> Checked {
    let mut stack = Vec::new();
    let mut mode = Mode::Any;
    push(btf, start, states, &mut stack, &mut mode)?;
    while let Some(frame) = stack.last_mut() {
        let (id, kind) = (frame.id, btf.kind(frame.id).unwrap_or(Kind::Unknown));
        if kind == Kind::Datasec {
            mode = Mode::Any;
        }
        match child(btf, id, frame.next_child)? {
            Some(child) => {
                frame.next_child += 1;
                let follow = btf.kind(child).is_some_and(|kind| follows(mode, kind));
                if follow && states.get(child.0 as usize) != Some(&State::Done) {
                    push(btf, child, states, &mut stack, &mut mode)?;
                }
            }
            None => {
                complete(btf, id)?;
                states[id.0 as usize] = State::Done;
                stack.pop();
            }
        }
    }
    Ok(())
}

fn follows(mode: Mode, kind: Kind) -> bool {
    match mode {
        Mode::Any => needs_resolve(kind),
        Mode::Pointer => kind.is_modifier() || kind == Kind::Ptr,
        Mode::ByValue => kind.is_modifier() || kind.is_composite() || kind == Kind::Array,
    }
}

fn push(btf: &Btf, id: TypeId, states: &mut [State], stack: &mut Vec<Frame>, mode: &mut Mode) -> Checked {
    if stack.len() == MAX_DEPTH {
        return Err("Exceeded max resolving depth");
    }
    match states.get_mut(id.0 as usize) {
        Some(state) if *state == State::New => *state = State::OnStack,
        _ => return Err("Loop detected"),
    }
    if *mode == Mode::Any {
        *mode = match btf.kind(id) {
            Some(Kind::Ptr) => Mode::Pointer,
            Some(Kind::Struct | Kind::Union | Kind::Array) => Mode::ByValue,
            _ => Mode::Any,
        };
    }
    stack.push(Frame { id, next_child: 0 });
    Ok(())
}

/// The reference number `n` of a type; `None` after the last one. It exists, and is no kind that cannot be referred to.
fn child(btf: &Btf, id: TypeId, n: usize) -> Result<Option<TypeId>, &'static str> {
    let may_be = |child: TypeId, wrong: fn(Kind) -> bool, reason| match btf.kind(child) {
        Some(kind) if !wrong(kind) => Ok(Some(child)),
        _ => Err(reason),
    };
    match btf.get(id) {
        Some(Type::Array(array)) => match n {
            0 => may_be(array.index, |kind| has_no_size(kind) || only_refers(kind), "Invalid index"),
            1 => may_be(array.element, |kind| has_no_size(kind) || only_refers(kind), "Invalid elem"),
            _ => Ok(None),
        },
        Some(Type::Struct(composite) | Type::Union(composite)) => match composite.member(n) {
            Some(member) => {
                may_be(member.type_id, |kind| has_no_size(kind) || only_refers(kind), "Invalid member")
            }
            None => Ok(None),
        },
        Some(Type::Datasec(section)) => match section.var(n) {
            Some(var) => may_be(var.type_id, |kind| kind != Kind::Var, "Not a VAR kind member"),
            None => Ok(None),
        },
        Some(Type::Func(_) | Type::FuncProto(_)) => Ok(None),
        Some(Type::DeclTag(tag)) if n == 0 => {
            let target =
                |kind: Kind| kind.is_composite() || matches!(kind, Kind::Func | Kind::Var | Kind::Typedef);
            btf.kind(tag.type_id)
                .filter(|kind| target(*kind))
                .map(|_| Some(tag.type_id))
                .ok_or("Invalid type_id")
        }
        Some(Type::DeclTag(_)) => Ok(None),
        Some(view) => match (btf.referent(id), n) {
            (Some(target), 0) => may_be(target, only_refers, "Invalid type_id"),
            // A modifier may have been followed only as far as a pointer.
            (Some(target), 1) if matches!(view, Type::Ptr(_) | Type::Var(_)) => {
                let resolved =
                    btf.resolve(target).filter(|_| btf.kind(target).is_some_and(Kind::is_modifier));
                Ok(resolved.filter(|id| btf.kind(*id) == Some(Kind::Ptr)))
            }
            _ => Ok(None),
        },
        None => Err("Invalid type_id"),
    }
}

/// All that a type refers to is known: does it fit together?
fn complete(btf: &Btf, id: TypeId) -> Checked {
    match btf.get(id) {
        Some(Type::Array(array)) => elements(btf, array),
        Some(Type::Struct(composite) | Type::Union(composite)) => {
            let flags = btf.member_flags(id);
            composite.members().try_for_each(|member| check_member(btf, composite, member, flags))
        }
        Some(Type::Datasec(section)) => section.vars().try_for_each(|var| {
            let size = btf.referent(var.type_id).and_then(|id| sized(btf, id)).ok_or("Invalid type")?;
            if var.size < size { Err("Invalid size") } else { Ok(()) }
        }),
        Some(Type::Var(var)) => sized(btf, var.type_id).map(|_| ()).ok_or("Invalid type_id"),
        Some(Type::Func(func)) => match btf.get(func.proto) {
            Some(Type::FuncProto(proto)) => {
                match proto.params().all(|p| !p.name.is_empty() || p.type_id == TypeId::VOID) {
                    true => Ok(()),
                    false => Err("Invalid arg: a function's parameters must have names"),
                }
            }
            _ => Err("Invalid type_id"),
        },
        Some(Type::DeclTag(tag)) => match tag.target {
            DeclTagTarget::Whole => Ok(()),
            DeclTagTarget::Component(n) => {
                let parts = match btf.get(tag.type_id) {
                    Some(Type::Struct(composite) | Type::Union(composite)) => composite.member_count(),
                    Some(Type::Func(func)) => btf.proto(func.proto).map_or(0, |proto| proto.param_count()),
                    _ => 0,
                };
                if (n as usize) < parts { Ok(()) } else { Err("Invalid component_idx") }
            }
        },
        _ => match btf.resolve(btf.referent(id).unwrap_or(TypeId::VOID)).and_then(|id| btf.kind(id)) {
            Some(Kind::Func) | None => Err("Invalid type_id"),
            Some(_) => Ok(()),
        },
    }
}

fn elements(btf: &Btf, array: Array) -> Checked {
    if !matches!(btf.resolved(array.index), Some(Type::Int(int)) if is_regular_int(int)) {
        return Err("Invalid index");
    }
    let size = sized(btf, array.element).ok_or("Invalid elem")?;
    match btf.resolved(array.element) {
        Some(Type::Int(int)) if !is_regular_int(int) => Err("Invalid array of int"),
        _ if size.checked_mul(array.count).is_none() => Err("Array size overflows U32_MAX"),
        _ => Ok(()),
    }
}

fn prototype(btf: &Btf, proto: FuncProto<'_>, states: &mut [State]) -> Checked {
    let mut is_usable = |id: TypeId, reason| -> Checked {
        let Some(kind) = btf.kind(id).filter(|kind| !only_refers(*kind)) else {
            return Err(reason);
        };
        if needs_resolve(kind) && states.get(id.0 as usize) == Some(&State::New) {
            walk(btf, id, states)?;
        }
        sized(btf, id).map(|_| ()).ok_or(reason)
    };
    if proto.ret != TypeId::VOID {
        is_usable(proto.ret, "Invalid return type")?;
    }
    let count = proto.param_count();
    for (n, param) in proto.params().enumerate() {
        if n + 1 == count && param.type_id == TypeId::VOID {
            return if param.name.is_empty() { Ok(()) } else { Err("Invalid arg") };
        }
        if !param.name.is_empty() && !is_identifier(param.name.as_bytes()) {
            return Err("Invalid arg");
        }
        is_usable(param.type_id, "Invalid arg")?;
    }
    Ok(())
}
