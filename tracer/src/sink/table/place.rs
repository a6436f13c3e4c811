//! Where a process is, in a few columns.

use super::text::Line;
use crate::place::{Located, Place};

/// Columns: of a terminal this wide or wider, or of no terminal, and of others. The first fits `containerd:` and 12
/// digits.
const WIDE: usize = 120;
const WIDTH: usize = 23;
const NARROW_WIDTH: usize = 16;

/// Columns that a place takes in lines this wide.
pub(super) fn width(line: usize) -> usize {
    if line >= WIDE { WIDTH } else { NARROW_WIDTH }
}

/// Writes the place: the container, else the unit, else the slice; `-` outside of all, `?` where it is not known.
pub(super) fn place(located: Located<'_>, width: usize, line: &mut Line) {
    line.clear();
    match located {
        Located::Unknown(_) => line.plain("?"),
        Located::At(place) => at(place, width, line),
    }
    line.fit(width);
}

fn at(place: &Place, width: usize, line: &mut Line) {
    if let Some(container) = &place.container {
        if let Some(runtime) = container.runtime {
            line.plain(runtime.name());
            line.plain(":");
        }
        line.name(container.short().as_bytes(), width);
        return;
    }
    match place.user_unit.as_ref().or(place.unit.as_ref()).or(place.slice.as_ref()) {
        Some(name) => line.name(name.as_bytes(), width),
        None if place.in_doubt.is_some() => line.plain("?"),
        None => line.plain("-"),
    }
}
