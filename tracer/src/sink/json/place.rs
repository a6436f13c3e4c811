//! Where a process is, as fields of any event's line.
//!
//! ```text
//! place::fields(&mut line, around.place)            the fields, if anybody asked for them
//! place::each_missing(around.place, |name, why| …)  for `missing`: without a reason there, null means none
//! place::cut(around.place)                          for `cut`
//! ```

use super::write::{Object, key};
use crate::{
    event::Cut,
    place::{Located, Place},
};

/// Writes the fields, if anybody asked for them.
pub(super) fn fields(o: &mut Object<'_>, place: Option<Located<'_>>) {
    let place = match place {
        None => return,
        Some(Located::At(place)) => Some(place),
        Some(Located::Unknown(_)) => None,
    };
    match place {
        Some(place) => o.bytes(key!("cgroup"), key!("cgroup_raw"), &place.cgroup),
        None => o.null(key!("cgroup")),
    }
    match place.and_then(|place| place.container.as_ref()) {
        Some(container) => {
            let mut object = Object::open(o.key(key!("container")));
            object.text(key!("id"), &container.id);
            match container.runtime {
                Some(runtime) => object.text(key!("runtime"), runtime.name()),
                None => object.null(key!("runtime")),
            }
            object.close();
        }
        None => o.null(key!("container")),
    }
    let text = |field: fn(&Place) -> &Option<String>| place.and_then(|place| field(place).as_deref());
    for (name, value) in [
        (key!("unit"), text(|place| &place.unit)),
        (key!("user_unit"), text(|place| &place.user_unit)),
        (key!("slice"), text(|place| &place.slice)),
        (key!("pod_uid"), text(|place| &place.pod_uid)),
    ] {
        match value {
            Some(value) => o.text(name, value),
            None => o.null(name),
        }
    }
}

/// Whether [`each_missing`] tells anything.
pub(super) fn missing(place: Option<Located<'_>>) -> bool {
    let mut any = false;
    each_missing(place, |_, _| any = true);
    any
}

/// Every field that is null for want of knowledge, in the order of the fields, with the reason.
pub(super) fn each_missing(place: Option<Located<'_>>, mut tell: impl FnMut(&'static str, &str)) {
    let (place, reason) = match place {
        None => return,
        Some(Located::Unknown(reason)) => (None, reason),
        Some(Located::At(place)) => match place.in_doubt {
            Some(reason) => (Some(place), reason),
            None => return,
        },
    };
    let absent = |is: fn(&Place) -> bool| place.is_none_or(is);
    for (name, absent) in [
        ("cgroup", place.is_none()),
        ("container", absent(|place| place.container.is_none())),
        ("unit", absent(|place| place.unit.is_none())),
        ("user_unit", absent(|place| place.user_unit.is_none())),
        ("slice", absent(|place| place.slice.is_none())),
        ("pod_uid", absent(|place| place.pod_uid.is_none())),
    ] {
        if absent {
            tell(name, reason);
        }
    }
}

/// Why the path is not whole, if it is not.
pub(super) fn cut(place: Option<Located<'_>>) -> Option<Cut> {
    match place {
        Some(Located::At(place)) if !place.cgroup.starts_with(b"/") => Some(Cut::PathStart),
        _ => None,
    }
}
