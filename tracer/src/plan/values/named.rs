//! Types that are told in words: by formats of tracepoints, and in the table of system calls.

use super::walk::Ty;
use crate::verifier::btf::{Btf, Kind};

/// What the words of a type mean. `size` and sign are the field's, where one holds it.
pub(super) fn ty(btf: Option<&Btf>, words: &str, field: Option<(u32, bool)>) -> Ty {
    let find = |kind, name: &str| btf.and_then(|btf| btf.find(kind, name));
    if let Some(base) = words.trim_end().strip_suffix('*') {
        let base: Vec<&str> = base
            .split_whitespace()
            .filter(|word| !matches!(*word, "const" | "volatile" | "__user" | "__rcu"))
            .collect();
        return match base.as_slice() {
            ["char"] => Ty::CharPointer,
            ["struct", name] => find(Kind::Struct, name).map_or(Ty::Pointer, Ty::PointerTo),
            ["union", name] => find(Kind::Union, name).map_or(Ty::Pointer, Ty::PointerTo),
            words if words.last().is_some_and(|word| !word.ends_with('*') && *word != "void") => {
                let name = words.join(" ");
                find(Kind::Typedef, &name)
                    .or_else(|| find(Kind::Int, &name))
                    .map_or(Ty::Pointer, Ty::PointerTo)
            }
            _ => Ty::Pointer,
        };
    }
    let name = words.trim().trim_start_matches("const ");
    let id = match name.strip_prefix("enum ") {
        Some(name) => find(Kind::Enum, name).or_else(|| find(Kind::Enum64, name)),
        None => find(Kind::Typedef, name).or_else(|| find(Kind::Int, name)),
    };
    let fits = |id: &_| {
        btf.and_then(|btf| btf.size_of(*id)).is_some_and(|size| field.is_none_or(|(field, _)| size == field))
    };
    match (id.filter(fits), field) {
        (Some(id), _) => Ty::Btf(id),
        (None, Some((size, signed))) if matches!(size, 1 | 2 | 4 | 8) => {
            Ty::Number { size: size as u8, signed }
        }
        _ => by_words(name),
    }
}

/// Without BTF: C's own types, and the kernel's usual names for them.
fn by_words(name: &str) -> Ty {
    let (size, signed) = match name {
        "int" | "pid_t" | "__s32" | "s32" | "clockid_t" | "timer_t" | "key_t" | "mqd_t" | "key_serial_t"
        | "const clockid_t" | "rwf_t" => (4, true),
        "unsigned int" | "unsigned" | "u32" | "__u32" | "uid_t" | "gid_t" | "qid_t" => (4, false),
        "umode_t" | "u16" | "unsigned short" => (2, false),
        "char" => (1, true),
        "unsigned char" | "u8" | "bool" => (1, false),
        "long" | "ssize_t" | "loff_t" | "off_t" | "s64" | "__s64" | "long int" => (8, true),
        _ => (8, false),
    };
    Ty::Number { size, signed }
}
