//! From where a value starts, along a path, to how it is read.
//!
//! ```text
//! Root -> Cursor -> step by step: a member adds to the offset, a pointer makes a step -> Fetch
//! ```
//! A cursor is either at something at hand (an argument's 64 bits), or at something in memory, `offset` bytes from an
//! address that the steps so far lead to.

use std::ops::Range;

use tracer_common::probe::{MAX_STEPS, fetch, source};

use super::c_type::c_type;
use crate::plan::probe::ValueSpec;
use crate::spec::Path;
use crate::verifier::btf::{Btf, Type, TypeId};

/// Where values start: an argument, a result, a field of a record.
#[derive(Clone, Debug)]
pub struct Root {
    pub name: String,
    pub c_type: String,
    pub(super) from: From,
    pub(super) what: Ty,
    /// A pointer's target lies in user memory.
    pub(super) user: bool,
    /// Read when the function returns.
    pub(super) at_return: bool,
    /// A result: small negative numbers are errnos.
    pub(super) result: bool,
    /// A pointer to characters is a text, as far as is known.
    pub(super) text: bool,
}

impl Root {
    /// The same, read when the function returns.
    #[must_use]
    pub fn at_return(&self) -> Self {
        Self { at_return: true, ..self.clone() }
    }
}

/// How a root is reached.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    /// It is argument `index`, or the result: 64 bits at hand, of which it is those from `shift` on.
    Hand { source: u8, index: u8 },
    /// It lies so many bytes from where the source points.
    Memory { source: u8, index: u8, offset: u32 },
}

/// A type, from BTF or from the words of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ty {
    Btf(TypeId),
    PointerTo(TypeId),
    Number {
        size: u8,
        signed: bool,
    },
    CharPointer,
    Pointer,
    CharArray {
        count: u32,
    },
    DataLoc {
        relative: bool,
    },
    /// A raw register.
    Raw,
}

/// Why a path leads nowhere, and which part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    pub what: String,
    pub help: Option<String>,
    pub span: Option<Range<usize>>,
}

impl Dead {
    pub(in crate::plan) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), help: None, span: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn at(mut self, span: &Range<usize>) -> Self {
        self.span.get_or_insert(span.clone());
        self
    }
}

pub(super) struct Cursor<'b> {
    pub(super) btf: Option<&'b Btf>,
    pub(super) source: u8,
    pub(super) index: u8,
    /// Offsets of the steps made.
    pub(super) steps: Vec<u32>,
    /// Bit i: step i reads user memory.
    pub(super) user_steps: u8,
    /// Memory at hand is the user's.
    pub(super) in_user: bool,
    /// From the address that the steps lead to; `None`: at hand, no memory read yet.
    pub(super) offset: Option<u64>,
    pub(super) ty: Ty,
    /// A bit field: lowest bit and width; of something at hand too, where a structure is.
    pub(super) bits: Option<(u32, u32)>,
    /// The pointer at hand points to user memory.
    pub(super) user_pointer: bool,
    pub(super) text: bool,
    /// What has been walked so far, for messages.
    pub(super) walked: String,
}

/// How the value at a path from a root is read.
///
/// # Errors
/// The path does not exist there, or what it leads to cannot be shown.
pub fn value(btf: Option<&Btf>, root: &Root, path: Option<&Path>, name: String) -> Result<ValueSpec, Dead> {
    let (source, index, offset) = match root.from {
        From::Hand { source, index } => (source, index, None),
        From::Memory { source, index, offset } => (source, index, Some(u64::from(offset))),
    };
    let mut cursor = Cursor {
        btf,
        source,
        index,
        steps: Vec::new(),
        user_steps: 0,
        in_user: false,
        offset,
        ty: root.what,
        bits: None,
        user_pointer: root.user,
        text: root.text,
        walked: root.name.clone(),
    };
    let mut plain = true;
    if let Some(path) = path {
        if let Some(first) = path.steps.first() {
            first
                .indices
                .iter()
                .try_for_each(|&index| cursor.element(index))
                .map_err(|dead| dead.at(&first.span))?;
            plain = first.indices.is_empty() && path.steps.len() == 1;
        }
        for step in path.steps.iter().skip(1) {
            cursor.member(&step.name).map_err(|dead| dead.at(&step.span))?;
            step.indices
                .iter()
                .try_for_each(|&index| cursor.element(index))
                .map_err(|dead| dead.at(&step.span))?;
        }
    }
    let format = path.and_then(|path| path.format);
    let result = root.result && plain && format.is_none();
    let mut value = cursor.end(format, result, name).map_err(|dead| match path {
        Some(path) if format.is_some() => dead.at(&path.format_span),
        _ => dead,
    })?;
    if root.at_return {
        value.fetch.flags |= fetch::AT_RETURN;
    }
    if plain && format.is_none() {
        value.c_type.clone_from(&root.c_type);
    }
    Ok(value)
}

impl<'b> Cursor<'b> {
    /// Past typedefs and qualifiers.
    pub(super) fn resolved(&self) -> Option<Type<'b>> {
        match self.ty {
            Ty::Btf(id) => self.btf?.resolved(id),
            _ => None,
        }
    }

    pub(super) fn type_name(&self) -> String {
        match (self.ty, self.btf) {
            (Ty::Btf(id), Some(btf)) => c_type(btf, id),
            (Ty::PointerTo(id), Some(btf)) => format!("{} *", c_type(btf, id)),
            (Ty::Number { size, signed }, _) => {
                format!("{}{}", if signed { "s" } else { "u" }, u32::from(size) * 8)
            }
            (Ty::CharPointer, _) => "char *".to_owned(),
            (Ty::CharArray { count }, _) => format!("char[{count}]"),
            (Ty::DataLoc { .. }, _) => "char[]".to_owned(),
            (Ty::Raw, _) => "a register".to_owned(),
            _ => "void *".to_owned(),
        }
    }

    /// The type that the pointer here points to, if it is a pointer to one.
    pub(super) fn target(&self) -> Option<TypeId> {
        match (self.ty, self.resolved()) {
            (Ty::PointerTo(id), _) | (_, Some(Type::Ptr(id))) => Some(id),
            _ => None,
        }
    }

    /// Goes to what the pointer here points to.
    fn follow(&mut self, target: TypeId) -> Result<(), Dead> {
        let tags = self.tags(target);
        if tags.percpu {
            return Err(Dead::new(format!(
                "{} is a per-CPU pointer: what it points to differs by CPU",
                self.walked
            )));
        }
        self.user_pointer |= tags.user;
        self.dereference()?;
        self.ty = Ty::Btf(target);
        Ok(())
    }

    pub(super) fn dereference(&mut self) -> Result<(), Dead> {
        if let Some(offset) = self.offset {
            if self.steps.len() == MAX_STEPS {
                return Err(Dead::new(format!(
                    "more than {MAX_STEPS} pointers on the way to {}",
                    self.walked
                ))
                .help("begin at an argument that is nearer"));
            }
            if self.in_user {
                self.user_steps |= 1 << self.steps.len();
            }
            self.steps.push(narrow(offset)?);
        }
        self.offset = Some(0);
        self.in_user |= self.user_pointer;
        self.user_pointer = false;
        self.bits = None;
        Ok(())
    }

    pub(super) fn tags(&self, mut id: TypeId) -> Tags {
        let mut tags = Tags::default();
        let Some(btf) = self.btf else { return tags };
        for _ in 0..crate::verifier::btf::MAX_DEPTH {
            match btf.get(id) {
                Some(Type::TypeTag(tag)) => {
                    tags.user |= tag.name == "user";
                    tags.percpu |= tag.name == "percpu";
                    id = tag.target;
                }
                Some(Type::Const(of) | Type::Volatile(of) | Type::Restrict(of)) => id = of,
                _ => break,
            }
        }
        tags
    }

    fn member(&mut self, name: &str) -> Result<(), Dead> {
        if let Some(target) = self.target() {
            self.follow(target)?;
        }
        let Some(btf) = self.btf else {
            return Err(Dead::new(format!("{} has no type here: this kernel shows no BTF", self.walked))
                .help("show it as it is, in hexadecimal"));
        };
        let (Some(Type::Struct(composite) | Type::Union(composite)), Ty::Btf(id)) =
            (self.resolved(), self.ty)
        else {
            let what = if matches!(self.ty, Ty::Btf(id) if btf.resolved(id).is_some_and(|t| matches!(t, Type::Fwd(_))))
            {
                format!(
                    "{} is {}, whose members this kernel's BTF does not tell here",
                    self.walked,
                    self.type_name()
                )
            } else {
                format!("{} is {}, and has no members", self.walked, self.type_name())
            };
            return Err(Dead::new(what));
        };
        let id = btf.resolve(id).unwrap_or(id);
        let Some(at) = btf.field_of(id, name) else {
            let all = members(btf, id);
            let what = format!("{} has no member '{name}'", c_type(btf, id));
            let near = crate::plan::resolve::near(name, all.iter().map(String::as_str));
            let help = if near.is_empty() {
                format!("it has {}", some_of(&all))
            } else {
                format!("did you mean {}?", near.join(", "))
            };
            return Err(if composite.member_count() == 0 {
                Dead::new(what)
            } else {
                Dead::new(what).help(help)
            });
        };
        self.walked = format!("{}.{name}", self.walked);
        match self.offset {
            Some(offset) => {
                self.offset = Some(offset + u64::from(at.offset_bytes));
                self.bits = at.bitfield.map(|bits| (bits.shift, bits.bits));
            }
            // A structure that fills (part of) a register.
            None => {
                let (shift, _) = self.bits.unwrap_or((0, 64));
                let bits = at.bitfield.map_or(at.size * 8, |b| b.bits);
                let mut from = u64::from(shift) + at.bit_offset;
                // The second register of a structure of two.
                if from >= 64 && self.source == source::ARGUMENT {
                    self.index += 1;
                    from -= 64;
                }
                if from + u64::from(bits) > 64 {
                    return Err(Dead::new(format!("{} does not lie within one register", self.walked)));
                }
                self.bits = Some((from as u32, bits));
            }
        }
        self.ty = Ty::Btf(at.type_id);
        self.text = true;
        Ok(())
    }

    fn element(&mut self, index: u32) -> Result<(), Dead> {
        let btf = self.btf.ok_or_else(|| {
            Dead::new(format!("{} has no type here: this kernel shows no BTF", self.walked))
        })?;
        let (element, count) = match (self.resolved(), self.target()) {
            (Some(Type::Array(array)), _) => {
                (array.element, if array.count == 0 { u32::MAX } else { array.count })
            }
            (_, Some(target)) => {
                self.follow(target)?;
                (target, u32::MAX)
            }
            _ => {
                return Err(Dead::new(format!(
                    "{} is {}, and has no elements",
                    self.walked,
                    self.type_name()
                )));
            }
        };
        if index >= count {
            return Err(Dead::new(format!("{} has {count} elements, numbered from 0", self.walked)));
        }
        let size = btf.size_of(element).filter(|&size| size > 0);
        let size =
            size.ok_or_else(|| Dead::new(format!("the size of what {} points to is unknown", self.walked)))?;
        let Some(offset) = self.offset else {
            return Err(Dead::new(format!(
                "{} lies in a register: its elements cannot be told apart",
                self.walked
            )));
        };
        self.offset = Some(offset + u64::from(index) * u64::from(size));
        self.walked = format!("{}[{index}]", self.walked);
        self.ty = Ty::Btf(element);
        self.text = true;
        Ok(())
    }
}

#[derive(Default)]
pub(super) struct Tags {
    pub(super) user: bool,
    percpu: bool,
}

pub(super) fn narrow(offset: u64) -> Result<u32, Dead> {
    u32::try_from(offset).map_err(|_| Dead::new("it lies more than 4 GiB away"))
}

/// The names of a structure's members, those of nameless ones among them.
pub(super) fn members(btf: &Btf, id: TypeId) -> Vec<String> {
    fn add(btf: &Btf, id: TypeId, depth: usize, out: &mut Vec<String>) {
        const MOST: usize = 1000;
        let (Some(Type::Struct(s) | Type::Union(s)), Some(depth)) = (btf.resolved(id), depth.checked_sub(1))
        else {
            return;
        };
        for member in s.members() {
            if out.len() >= MOST {
                return;
            }
            match member.name {
                "" => add(btf, member.type_id, depth, out),
                name => out.push(name.to_owned()),
            }
        }
    }
    let mut out = Vec::new();
    add(btf, id, 8, &mut out);
    out
}

/// Some of many names.
pub(super) fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let mut out = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        out.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    out
}

/// The current task.
pub(super) fn task(task_struct: TypeId) -> Root {
    Root {
        name: "task".to_owned(),
        c_type: "struct task_struct *".to_owned(),
        from: From::Hand { source: source::TASK, index: 0 },
        what: Ty::PointerTo(task_struct),
        user: false,
        at_return: false,
        result: false,
        text: false,
    }
}
