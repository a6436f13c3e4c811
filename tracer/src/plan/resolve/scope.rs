//! What names stand for at one point: what every hit has, and the point's values, read because they are asked for.

use tracer_common::probe::{Fetch, MAX_TEXT, MAX_VALUES, fetch, operand, read};

use super::Found;
use crate::expr::{Operand, OperandKind, Scope, Unknown};
use crate::plan::probe::{Ends, ShowAs, ValueSpec};
use crate::plan::values::Dead;
use crate::spec::Path;

/// The values of a point while it is made.
pub(super) struct Values<'f> {
    pub(super) found: &'f Found,
    pub(super) ends: Ends,
    pub(super) values: Vec<ValueSpec>,
    /// Something of the return is used by the filter, a key or the measure.
    pub(super) uses_return: bool,
}

/// What every hit has.
pub(super) const BUILT_IN: [(&str, u8); 7] = [
    ("pid", operand::PID),
    ("tid", operand::TID),
    ("uid", operand::UID),
    ("cpu", operand::CPU),
    ("cgroup", operand::CGROUP),
    ("comm", operand::COMM),
    ("duration", operand::DURATION),
];

/// The name of what every hit has, if the path is one.
pub(super) fn built_in(path: &Path) -> Option<(&'static str, u8)> {
    let name = path.simple()?;
    BUILT_IN.into_iter().find(|(known, _)| *known == name)
}

impl Values<'_> {
    /// The number of a value, read and hidden if it is not read already.
    pub(super) fn number_of(&mut self, value: ValueSpec) -> Result<u8, Dead> {
        self.uses_return |= value.fetch.flags & fetch::AT_RETURN != 0;
        let same = |known: &ValueSpec| {
            Fetch { flags: known.fetch.flags & !fetch::HIDDEN, ..known.fetch } == value.fetch
        };
        if let Some(at) = self.values.iter().position(same) {
            return Ok(at as u8);
        }
        let at = self.values.len();
        if at == MAX_VALUES {
            return Err(too_many());
        }
        let mut value = value;
        value.fetch.flags |= fetch::HIDDEN;
        self.values.push(value);
        Ok(at as u8)
    }

    /// The operand that a path stands for.
    pub(super) fn find(&mut self, path: &Path) -> Result<Operand, Dead> {
        if let Some((name, code)) = built_in(path) {
            if code == operand::DURATION {
                if self.ends != Ends::Both {
                    return Err(no_duration(self.found));
                }
                self.uses_return = true;
            }
            let number = |bits| OperandKind::Number { signed: false, bits };
            let (kind, c_type) = match code {
                operand::COMM => (OperandKind::Text { limit: 15 }, "char[16]"),
                operand::DURATION => (OperandKind::Duration, "duration"),
                operand::CGROUP => (number(64), "u64"),
                _ => (number(32), "u32"),
            };
            let c_type = if code == operand::DURATION { name } else { c_type };
            return Ok(Operand { code, kind, c_type: c_type.to_owned() });
        }
        let value = self.found.offer.value(self.found.btf.as_deref(), path)?;
        if value.fetch.flags & fetch::AT_RETURN != 0 && self.ends == Ends::Entry {
            return Err(Dead::new(format!("{} has no result", self.found.name)));
        }
        let kind = kind_of(&value);
        let c_type = value.c_type.clone();
        let code = self.number_of(value)?;
        Ok(Operand { code, kind, c_type })
    }
}

pub(super) fn too_many() -> Dead {
    Dead {
        what: format!("more than {MAX_VALUES} values at one point"),
        help: Some("show or test fewer".to_owned()),
        span: None,
    }
}

fn no_duration(found: &Found) -> Dead {
    Dead {
        what: format!("a {} has no duration", found.place.kind()),
        help: Some("functions and system calls have: kprobe:, fentry:, syscall:".to_owned()),
        span: None,
    }
}

/// What a value is, to compare with.
fn kind_of(value: &ValueSpec) -> OperandKind {
    let fetch = &value.fetch;
    let bits = if fetch.bits > 0 { fetch.bits } else { fetch.size * 8 };
    let signed = fetch.flags & fetch::SIGNED != 0;
    match (&value.show, fetch.read) {
        (_, read::ARRAY) => OperandKind::Text { limit: usize::from(fetch.limit) },
        (_, read::TEXT | read::DATA_LOC | read::REL_LOC) => OperandKind::Text { limit: MAX_TEXT },
        (ShowAs::Enum(names), _) => OperandKind::Enum { signed, bits, names: names.clone() },
        (ShowAs::Errno { bits }, _) => OperandKind::Errno { bits: *bits },
        (ShowAs::Pointer, _) => OperandKind::Pointer,
        // An error in a pointer is compared as the number that it is.
        (ShowAs::PointerOrErrno, _) => OperandKind::Pointer,
        _ => OperandKind::Number { signed, bits },
    }
}

impl Scope for Values<'_> {
    fn operand(&mut self, path: &Path) -> Result<Operand, Unknown> {
        self.find(path).map_err(|dead| Unknown { what: dead.what, help: dead.help, span: dead.span })
    }

    fn constant(&self, name: &str) -> Option<i64> {
        // A constant's name is written in capitals, or at least not as one letter: a pass over all enumerations.
        let btf = self.found.btf.as_deref()?;
        name.chars().any(|c| c.is_ascii_uppercase() || c == '_').then(|| btf.enum_value("", name)).flatten()
    }
}
