//! What is known around an event, as members of its line.

use super::{
    Gone, place,
    write::{Object, Tell, array, key},
};
use crate::{
    event::Missing,
    place::Located,
    process::{Ancestor, Ancestors},
    sink::Around,
};

/// What was written of an [`Around`], for the `missing` and `cut` of its line.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    chain: Shown<'a>,
    place: Option<Located<'a>>,
}

/// Writes the place and the ancestors, those that anybody asked for.
pub(super) fn fields<'a>(o: &mut Object<'_>, around: Around<'a>) -> Written<'a> {
    place::fields(o, around.place);
    Written { chain: ancestors(o, around.ancestors), place: around.place }
}

impl Written<'_> {
    /// Every field that is null for want of knowledge, with the reason.
    pub(super) fn each_missing(self, tell: Tell<'_>) {
        place::each_missing(self.place, |name, reason| tell(name, &reason));
        if let Some(reason) = self.chain.missing() {
            tell("ancestors", &reason);
        }
    }

    /// Every field that is not whole, with the reason.
    pub(super) fn each_cut(self, tell: Tell<'_>) {
        if let Some(cut) = place::cut(self.place) {
            tell("cgroup", &cut);
        }
        if let Some(reason) = self.chain.cut() {
            tell("ancestors", &reason);
        }
    }
}

/// How much of a chain of ancestors is shown.
#[derive(Clone, Copy)]
pub(super) enum Shown<'a> {
    /// As much as was asked for.
    All,
    Part(Missing<'a>),
    None(Missing<'a>),
}

impl<'a> Shown<'a> {
    /// Why `ancestors` is null.
    pub(super) fn missing(self) -> Option<Missing<'a>> {
        match self {
            Self::None(reason) => Some(reason),
            _ => None,
        }
    }

    /// Why `ancestors` is not whole.
    pub(super) fn cut(self) -> Option<Missing<'a>> {
        match self {
            Self::Part(reason) => Some(reason),
            _ => None,
        }
    }
}

/// Writes `ancestors`, if anybody asked for them.
pub(super) fn ancestors<'a>(o: &mut Object<'_>, ancestors: Option<Ancestors<'a>>) -> Shown<'a> {
    let Some(ancestors) = ancestors else { return Shown::All };
    let mut chain = ancestors.iter();
    if let Some(reason) = chain.clone().next().is_none().then(|| ancestors.missing()).flatten() {
        o.null(key!("ancestors"));
        return Shown::None(reason);
    }
    array(o.key(key!("ancestors")), chain.by_ref(), |found, out| ancestor(&found, out));
    chain.missing().map_or(Shown::All, Shown::Part)
}

fn ancestor(found: &Ancestor<'_>, out: &mut Vec<u8>) {
    let mut o = Object::open(out);
    let mut gone = Gone(false);
    gone.process(&mut o, key!("id"), crate::event::Value::Known(found.id));
    o.number(key!("pid"), found.id.pid.into());
    gone.bytes(&mut o, key!("comm"), key!("comm_raw"), found.comm);
    gone.path(&mut o, key!("exe"), key!("exe_raw"), found.exe);
    o.texts(key!("missing"), |tell| {
        for (name, missing) in [("comm", found.comm.missing()), ("exe", found.exe.missing())] {
            if let Some(reason) = missing {
                tell(name, &reason);
            }
        }
    });
    o.texts(key!("cut"), |tell| {
        if let Some(cut) = found.exe.cut() {
            tell("exe", &cut);
        }
    });
    o.close();
}
