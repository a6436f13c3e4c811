//! The end of a path: how what lies there is read, and how it is shown.

use std::sync::Arc;

use tracer_common::probe::{Fetch, MAX_TEXT, fetch, read};

use super::walk::{Cursor, Dead, Ty, members, narrow, some_of};
use crate::plan::probe::{EnumNames, ShowAs, ValueSpec};
use crate::spec::Format;
use crate::verifier::btf::{Type, TypeId};

impl Cursor<'_> {
    /// How what is here is read and shown.
    pub(super) fn end(
        mut self,
        format: Option<Format>,
        result: bool,
        name: String,
    ) -> Result<ValueSpec, Dead> {
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
