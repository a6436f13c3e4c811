//! How systemd names control groups (src/basic/cgroup-util.c, `cg_path_get_unit`, `cg_path_get_user_unit`).
//!
//! ```text
//! /SLICE/.../UNIT/anything
//! /user.slice/user-1000.slice/user@1000.service/SLICE/.../USER UNIT/anything
//! ```
//!
//! Slices come first, and the first component that is none is the unit, or there is none: what lies below is the
//! unit's own affair, be it named like a unit.

/// The units that a path lies in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Units {
    pub(super) unit: Option<String>,
    pub(super) user_unit: Option<String>,
    pub(super) slice: Option<String>,
}

/// Types of units that have processes; slices are apart.
const WITH_PROCESSES: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];

/// Length of a name with its NUL (src/basic/unit-name.h, `UNIT_NAME_MAX`).
const MAX_NAME: usize = 256;

/// What the components say.
pub(super) fn units(parts: &[&[u8]]) -> Units {
    let slices = slices(parts);
    let below = &parts[slices.len()..];
    let unit = below.first().and_then(|part| unit(part));
    let user_unit = match &unit {
        Some(name) if is_user_manager(name) => {
            let below = &below[1..];
            below.iter().find(|part| slice(part).is_none()).and_then(|part| self::unit(part))
        }
        _ => None,
    };
    Units { unit, user_unit, slice: slices.last().cloned() }
}

/// The slices at the beginning.
pub(super) fn slices(parts: &[&[u8]]) -> Vec<String> {
    parts.iter().map_while(|part| slice(part)).collect()
}

/// The user's own systemd.
fn is_user_manager(unit: &str) -> bool {
    let uid = unit.strip_prefix("user@").and_then(|rest| rest.strip_suffix(".service"));
    uid.is_some_and(|uid| uid.parse::<u32>().is_ok())
}

fn slice(part: &[u8]) -> Option<String> {
    let name = name(part)?;
    name.ends_with(".slice").then_some(name)
}

fn unit(part: &[u8]) -> Option<String> {
    let name = name(part)?;
    WITH_PROCESSES.iter().any(|kind| name.ends_with(kind)).then_some(name)
}

/// A unit's name, if a component can be one (src/basic/unit-name.c, `unit_name_is_valid`).
fn name(part: &[u8]) -> Option<String> {
    let part = unescaped(part);
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(byte);
    let fits = part.len() < MAX_NAME && !part.starts_with(b".") && part.iter().all(valid);
    fits.then(|| String::from_utf8_lossy(part).into_owned())
}

/// A component without the `_` that systemd puts before names that the kernel could take for its own files
/// (`cg_escape`).
pub(super) fn unescaped(part: &[u8]) -> &[u8] {
    part.strip_prefix(b"_").unwrap_or(part)
}

/// Text that is escaped in a unit's name: `\x2d` for `-` (`unit_name_escape`). A `-` is a `/` in paths, but
/// nobody escapes a path here.
pub(super) fn plain_text(escaped: &[u8]) -> String {
    let mut out = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let [byte, tail @ ..] = rest {
        let code = match rest {
            [b'\\', b'x', high, low, ..] => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        out.push(code.unwrap_or(*byte));
        rest = if code.is_some() { &rest[4..] } else { tail };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}
