//! The fields of a tracepoint's record, by its format.

use tracer_common::probe::source;

use super::walk::{From, Root, Ty};
use super::{named, syscalls};
use crate::host::names::{Format, FormatField};
use crate::verifier::btf::Btf;

/// The fields as where values start; and what is not shown, with the reason.
pub fn fields(btf: Option<&Btf>, category: &str, format: &Format) -> (Vec<Root>, Vec<String>) {
    let mut roots = Vec::new();
    let mut notes = Vec::new();
    for field in &format.fields {
        match what(btf, category, field) {
            Ok(what) => {
                let of_a_call = category == "syscalls";
                roots.push(Root {
                    name: field.name.clone(),
                    c_type: Format::shown(field),
                    from: From::Memory { source: source::RECORD, index: 0, offset: field.offset },
                    what,
                    user: of_a_call,
                    at_return: false,
                    // The result of a system call, in its exit's record.
                    result: of_a_call && field.name == "ret",
                    text: !of_a_call || syscalls::is_text(&field.c_type, &field.name),
                });
            }
            Err(why) => notes.push(format!("field {} is not shown: {why}", field.name)),
        }
    }
    (roots, notes)
}

fn what(btf: Option<&Btf>, category: &str, field: &FormatField) -> Result<Ty, String> {
    let c_type = field.c_type.as_str();
    if let Some(rest) = c_type.strip_prefix("__data_loc ").or_else(|| c_type.strip_prefix("__rel_loc ")) {
        if !rest.starts_with("char") {
            return Err(format!("it is an array of {rest} of no fixed length"));
        }
        return Ok(Ty::DataLoc { relative: c_type.starts_with("__rel_loc") });
    }
    if field.count.is_some() {
        if matches!(c_type, "char" | "const char" | "unsigned char" | "u8" | "__u8")
            && c_type.contains("char")
        {
            return Ok(Ty::CharArray { count: field.size.max(1) });
        }
        return Err(format!("it is an array of {c_type}"));
    }
    if c_type.ends_with('*') {
        return Ok(named::ty(btf, c_type, None));
    }
    // All arguments of system calls are 8 bytes wide in the record, whatever their type.
    if category == "syscalls" && field.size == 8 {
        return Ok(match named::ty(btf, c_type, None) {
            Ty::Number { size, signed } => Ty::Number { size: size.min(8), signed },
            other => other,
        });
    }
    if !matches!(field.size, 1 | 2 | 4 | 8) {
        return Err(format!("it is a {c_type} of {} bytes", field.size));
    }
    Ok(named::ty(btf, c_type, Some((field.size, field.signed))))
}
