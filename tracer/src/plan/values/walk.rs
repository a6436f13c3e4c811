//! From where a value starts, along a path, to how it is read.
//!
//! ```text
//! Root -> Cursor -> step by step: a member adds to the offset, a pointer makes a step -> Fetch
//! ```
//! A cursor is either at something at hand (an argument's 64 bits), or at something in memory, `offset` bytes from an
//! address that the steps so far lead to.

use std::{ops::Range, sync::Arc};

use tracer_common::probe::{Fetch, MAX_STEPS, MAX_TEXT, fetch, read, source};

use super::c_type::c_type;
use crate::plan::probe::{EnumNames, ShowAs, ValueSpec};
use crate::spec::{Format, Path};
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

struct Cursor<'b> {
    btf: Option<&'b Btf>,
    source: u8,
    index: u8,
    /// Offsets of the steps made.
    steps: Vec<u32>,
    /// Bit i: step i reads user memory.
    user_steps: u8,
    /// Memory at hand is the user's.
    in_user: bool,
    /// From the address that the steps lead to; `None`: at hand, no memory read yet.
    offset: Option<u64>,
    ty: Ty,
    /// A bit field: lowest bit and width; of something at hand too, where a structure is.
    bits: Option<(u32, u32)>,
    /// The pointer at hand points to user memory.
    user_pointer: bool,
    text: bool,
    /// What has been walked so far, for messages.
    walked: String,
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
    fn resolved(&self) -> Option<Type<'b>> {
        match self.ty {
            Ty::Btf(id) => self.btf?.resolved(id),
            _ => None,
        }
    }

    fn type_name(&self) -> String {
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
    fn target(&self) -> Option<TypeId> {
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

    fn dereference(&mut self) -> Result<(), Dead> {
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

    fn tags(&self, mut id: TypeId) -> Tags {
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

    /// How what is here is read and shown.
    fn end(mut self, format: Option<Format>, result: bool, name: String) -> Result<ValueSpec, Dead> {
        let c_type = self.type_name();
        let pointer = self.target().is_some() || matches!(self.ty, Ty::CharPointer | Ty::Pointer | Ty::Raw);
        let characters = match self.ty {
            Ty::CharPointer => true,
            _ => self.target().is_some_and(|target| self.is_char(target)),
        };
        if let Some(count) = self.char_array(format) {
            return match format {
                None | Some(Format::Str) => Ok(self.spec(
                    name,
                    c_type,
                    read::ARRAY,
                    count.clamp(1, MAX_TEXT as u32) as u16,
                    0,
                    0,
                    ShowAs::Text,
                )?),
                Some(_) => Err(Dead::new(format!("{} is {c_type}, and no number", self.walked))
                    .help("it is shown as a text")),
            };
        }
        if let Ty::DataLoc { relative } = self.ty {
            if !matches!(format, None | Some(Format::Str)) {
                return Err(Dead::new(format!("{} is a text, and no number", self.walked)));
            }
            let read = if relative { read::REL_LOC } else { read::DATA_LOC };
            return self.spec(name, c_type, read, MAX_TEXT as u16, 4, 0, ShowAs::Text);
        }
        let wanted_text = format == Some(Format::Str);
        if wanted_text && !pointer {
            return Err(Dead::new(format!("{} is {c_type}, and points to no text", self.walked))
                .help("str is for pointers and arrays of characters"));
        }
        if wanted_text || (characters && self.text && format.is_none() && !result) {
            if let Some(target) = self.target() {
                self.user_pointer |= self.tags(target).user;
            }
            self.dereference()?;
            return self.spec(name, c_type, read::TEXT, MAX_TEXT as u16, 0, 0, ShowAs::Text);
        }
        let number = self.number(pointer, &c_type)?;
        self.shown(number, format, result, pointer, name, c_type)
    }

    /// Size in bytes, sign, and how it is shown.
    fn number(&self, pointer: bool, c_type: &str) -> Result<(u32, bool, ShowAs), Dead> {
        if pointer {
            return Ok((8, false, if self.ty == Ty::Raw { ShowAs::Hex } else { ShowAs::Pointer }));
        }
        if let Ty::Number { size, signed } = self.ty {
            return Ok((size.into(), signed, if signed { ShowAs::Signed } else { ShowAs::Unsigned }));
        }
        match self.resolved() {
            Some(Type::Int(int)) if matches!(int.size, 1 | 2 | 4 | 8) => {
                let show = match (int.bool || int.name == "_Bool", int.signed, int.name) {
                    (true, ..) => ShowAs::Bool,
                    (_, _, "char") => ShowAs::Char,
                    (_, true, _) => ShowAs::Signed,
                    (_, false, _) => ShowAs::Unsigned,
                };
                Ok((int.size, int.signed, show))
            }
            Some(Type::Int(int)) => {
                Err(Dead::new(format!("{} is {c_type} of {} bytes: 8 are the most", self.walked, int.size)))
            }
            Some(Type::Enum(e) | Type::Enum64(e)) => {
                let mut values: Vec<_> = e.values().map(|v| (v.value, v.name.to_owned())).collect();
                values.sort_by_key(|(value, _)| *value);
                values.dedup_by_key(|(value, _)| *value);
                let names = EnumNames { name: e.name.to_owned(), values };
                Ok((e.size, e.signed, ShowAs::Enum(Arc::new(names))))
            }
            Some(Type::Struct(_) | Type::Union(_)) => {
                let members = match (self.ty, self.btf) {
                    (Ty::Btf(id), Some(btf)) => some_of(&members(btf, btf.resolve(id).unwrap_or(id))),
                    _ => String::new(),
                };
                Err(Dead::new(format!("{} is a {c_type}, and no single value", self.walked))
                    .help(format!("name a member of it: {members}")))
            }
            Some(Type::Array(array)) => {
                Err(Dead::new(format!("{} is an array of {}", self.walked, array.count))
                    .help(format!("name an element: {}[0]", self.walked)))
            }
            Some(Type::Float { .. }) => {
                Err(Dead::new(format!("{} is a floating-point number, which BPF cannot read", self.walked)))
            }
            _ => Err(Dead::new(format!("{} is {c_type}, and no value", self.walked))),
        }
    }

    fn shown(
        self,
        (size, signed, show): (u32, bool, ShowAs),
        format: Option<Format>,
        result: bool,
        pointer: bool,
        name: String,
        c_type: String,
    ) -> Result<ValueSpec, Dead> {
        let mut flags = if signed { fetch::SIGNED } else { 0 };
        let show = match format {
            None | Some(Format::Str) if result => match show {
                ShowAs::Signed if size >= 4 => ShowAs::Errno { bits: (size * 8) as u8 },
                ShowAs::Pointer => ShowAs::PointerOrErrno,
                other => other,
            },
            None | Some(Format::Str) => show,
            Some(Format::Hex) => {
                flags = 0;
                ShowAs::Hex
            }
            Some(Format::Dec) if signed => ShowAs::Signed,
            Some(Format::Dec) => ShowAs::Unsigned,
            Some(format @ (Format::Be16 | Format::Be32 | Format::Be64)) => {
                let wanted = match format {
                    Format::Be16 => 2,
                    Format::Be32 => 4,
                    _ => 8,
                };
                if size != wanted || pointer || self.bits.is_some_and(|_| self.offset.is_some()) {
                    return Err(Dead::new(format!(
                        "{} is {c_type} of {size} bytes, and {} has {wanted}",
                        self.walked,
                        format.name()
                    )));
                }
                flags = fetch::BIG_ENDIAN;
                ShowAs::Unsigned
            }
        };
        let read = if self.offset.is_some() { read::NUMBER } else { read::VALUE };
        self.spec(name, c_type, read, 0, size as u8, flags, show)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a Fetch that its readers decide, once each")]
    fn spec(
        self,
        name: String,
        c_type: String,
        read: u8,
        limit: u16,
        size: u8,
        flags: u8,
        show: ShowAs,
    ) -> Result<ValueSpec, Dead> {
        let mut fetch = Fetch {
            source: self.source,
            index: self.index,
            read,
            steps: self.steps.len() as u8,
            size,
            flags,
            user_steps: self.user_steps | u8::from(self.in_user) << self.steps.len(),
            limit,
            ..Fetch::default()
        };
        if let (Some((shift, bits)), read::VALUE | read::NUMBER) = (self.bits, read) {
            // A bit field that a packed structure lets cross its storage is read by 8 bytes.
            let wide = shift + bits > u32::from(size) * 8;
            if wide {
                fetch.size = 8;
            }
            if shift + bits > 64 {
                return Err(Dead::new(format!("{} crosses 8 bytes", self.walked)));
            }
            let whole = shift == 0 && bits == u32::from(fetch.size) * 8;
            if !whole {
                (fetch.shift, fetch.bits) = (shift as u8, bits as u8);
                if read == read::VALUE {
                    fetch.size = 8;
                }
            }
        }
        for (slot, offset) in
            fetch.offset.iter_mut().zip(self.steps.iter().copied().chain([narrow(self.offset.unwrap_or(0))?]))
        {
            *slot = offset;
        }
        Ok(ValueSpec { name, fetch, show, c_type })
    }

    fn is_char(&self, id: TypeId) -> bool {
        let Some(btf) = self.btf else { return false };
        let plain = |id| matches!(btf.get(id), Some(Type::Int(int)) if int.name == "char");
        // Names of files are `const unsigned char *`; a u8, which is a typedef, is a byte.
        let unsigned = |id| matches!(btf.get(id), Some(Type::Int(int)) if int.name == "unsigned char");
        let constant = matches!(btf.get(id), Some(Type::Const(_)));
        btf.resolve(id).is_some_and(plain) || (constant && btf.skip_qualifiers(id).is_some_and(unsigned))
    }

    /// Elements of one byte, whatever they are called.
    fn is_byte(&self, id: TypeId) -> bool {
        self.btf
            .and_then(|btf| btf.resolved(id))
            .is_some_and(|ty| matches!(ty, Type::Int(int) if int.size == 1))
    }

    /// How many bytes a text in an array has at most; bytes of another name are one if it is asked for.
    fn char_array(&self, format: Option<Format>) -> Option<u32> {
        match (self.ty, self.resolved()) {
            (Ty::CharArray { count }, _) => Some(count),
            (_, Some(Type::Array(array)))
                if self.offset.is_some()
                    && (self.is_char(array.element)
                        || (format == Some(Format::Str) && self.is_byte(array.element))) =>
            {
                Some(if array.count == 0 { MAX_TEXT as u32 } else { array.count })
            }
            _ => None,
        }
    }
}

#[derive(Default)]
struct Tags {
    user: bool,
    percpu: bool,
}

fn narrow(offset: u64) -> Result<u32, Dead> {
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
