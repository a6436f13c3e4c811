//! Values that outlive their event: the same degrees of knowledge, on memory of their own.

use std::rc::Rc;

use crate::event::{Cut, Missing, Value};

/// A [`Value`] that is kept.
#[derive(Clone, Debug)]
pub(super) enum Kept<T> {
    Known(T),
    Partial(T, Cut),
    Missing(Why),
}

/// A [`Missing`] that is kept.
#[derive(Clone, Debug)]
pub(super) enum Why {
    Plain(Missing<'static>),
    /// What the plan said of this host.
    Said(Rc<str>),
}

impl Why {
    pub(super) fn keep(missing: Missing<'_>) -> Self {
        Self::Plain(match missing {
            Missing::Unavailable(reason) => return Self::Said(reason.into()),
            Missing::Unread => Missing::Unread,
            Missing::UnreadElements(count) => Missing::UnreadElements(count),
            Missing::NotSet => Missing::NotSet,
            Missing::Failed => Missing::Failed,
            Missing::Lost => Missing::Lost,
            Missing::EntryUnseen => Missing::EntryUnseen,
            Missing::ReturnUnseen => Missing::ReturnUnseen,
            Missing::Errno(errno) => Missing::Errno(errno),
            Missing::Shed => Missing::Shed,
        })
    }

    pub(super) fn missing(&self) -> Missing<'_> {
        match self {
            Self::Plain(missing) => *missing,
            Self::Said(reason) => Missing::Unavailable(reason),
        }
    }
}

impl<T> Kept<T> {
    /// Keeps what `keep` makes of the value.
    pub(super) fn of<U>(value: Value<'_, U>, keep: impl FnOnce(U) -> T) -> Self {
        match value {
            Value::Known(value) => Self::Known(keep(value)),
            Value::Partial(value, cut) => Self::Partial(keep(value), cut),
            Value::Missing(missing) => Self::Missing(Why::keep(missing)),
        }
    }

    /// The value again, as `show` makes it of what was kept.
    pub(super) fn value<'a, U>(&'a self, show: impl FnOnce(&'a T) -> U) -> Value<'a, U> {
        match self {
            Self::Known(value) => Value::Known(show(value)),
            Self::Partial(value, cut) => Value::Partial(show(value), *cut),
            Self::Missing(why) => Value::Missing(why.missing()),
        }
    }

    /// What there is of it.
    pub(super) fn shown(&self) -> Option<&T> {
        match self {
            Self::Known(value) | Self::Partial(value, _) => Some(value),
            Self::Missing(_) => None,
        }
    }
}

/// A process' name: at most 15 bytes (TASK_COMM_LEN, include/linux/sched.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Name {
    bytes: [u8; 15],
    len: u8,
}

impl Name {
    pub(super) fn new(name: &[u8]) -> Self {
        let mut bytes = [0; 15];
        let len = name.len().min(bytes.len());
        bytes[..len].copy_from_slice(&name[..len]);
        Self { bytes, len: len as u8 }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}
