//! Types as C writes them, from BTF.

use crate::verifier::btf::{Btf, MAX_DEPTH, Type, TypeId};

/// A type's name: `const char *`, `struct file *`, `char[16]`.
pub fn c_type(btf: &Btf, id: TypeId) -> String {
    let mut out = String::new();
    write(btf, id, MAX_DEPTH, &mut out);
    out
}

fn write(btf: &Btf, id: TypeId, depth: usize, out: &mut String) {
    let Some(depth) = depth.checked_sub(1) else { return out.push_str("...") };
    let named = |keyword: &str, name: &str, out: &mut String| {
        out.push_str(keyword);
        out.push_str(if name.is_empty() { "{...}" } else { name });
    };
    match btf.get(id) {
        None | Some(Type::Unknown) => out.push('?'),
        Some(Type::Void) => out.push_str("void"),
        Some(Type::Int(int)) => out.push_str(int.name),
        Some(Type::Float { name, .. } | Type::Typedef { name, .. }) => out.push_str(name),
        Some(Type::Struct(s)) => named("struct ", s.name, out),
        Some(Type::Union(u)) => named("union ", u.name, out),
        Some(Type::Enum(e) | Type::Enum64(e)) => named("enum ", e.name, out),
        Some(Type::Fwd(fwd)) => named("struct ", fwd.name, out),
        Some(Type::Const(of)) => qualified(btf, of, "const", depth, out),
        Some(Type::Volatile(of)) => qualified(btf, of, "volatile", depth, out),
        Some(Type::Restrict(of)) => write(btf, of, depth, out),
        Some(Type::TypeTag(tag)) => {
            if tag.name == "user" {
                write(btf, tag.target, depth, out);
                out.push_str(" __user");
            } else {
                write(btf, tag.target, depth, out);
            }
        }
        Some(Type::Ptr(of)) => {
            if btf.resolve(of).is_some_and(|of| matches!(btf.get(of), Some(Type::FuncProto(_))))
                && btf.name(of).is_empty()
            {
                function_pointer(btf, of, depth, out);
                return;
            }
            write(btf, of, depth, out);
            out.push_str(if out.ends_with('*') { "*" } else { " *" });
        }
        Some(Type::Array(array)) => {
            write(btf, array.element, depth, out);
            out.push_str(&format!("[{}]", array.count));
        }
        Some(Type::FuncProto(_)) => function_pointer(btf, id, depth, out),
        Some(Type::Func(func)) => out.push_str(func.name),
        Some(Type::Var(_) | Type::Datasec(_) | Type::DeclTag(_)) => out.push('?'),
    }
}

/// `const` stands before what it qualifies, but after a pointer.
fn qualified(btf: &Btf, of: TypeId, word: &str, depth: usize, out: &mut String) {
    let start = out.len();
    write(btf, of, depth, out);
    if out.ends_with('*') {
        out.push_str(word);
    } else {
        out.insert_str(start, &format!("{word} "));
    }
}

fn function_pointer(btf: &Btf, id: TypeId, depth: usize, out: &mut String) {
    let Some(Type::FuncProto(proto)) = btf.resolved(id) else { return out.push_str("void *") };
    write(btf, proto.ret, depth, out);
    out.push_str(" (*)(...)");
}

/// A declaration: `const char *name`, `int count`.
pub fn declared(c_type: &str, name: &str) -> String {
    match (name, c_type.ends_with('*')) {
        ("", _) => c_type.to_owned(),
        (_, true) => format!("{c_type}{name}"),
        _ => format!("{c_type} {name}"),
    }
}

/// A function as its prototype declares it: `ssize_t vfs_read(struct file *file, ...)`.
pub fn signature(btf: &Btf, name: &str, proto: TypeId) -> Option<String> {
    let proto = btf.proto(proto)?;
    let params: Vec<String> = proto
        .params()
        .map(|param| match (param.name, param.type_id) {
            ("", TypeId::VOID) => "...".to_owned(),
            (name, id) => declared(&c_type(btf, id), name),
        })
        .collect();
    let params = if params.is_empty() { "void".to_owned() } else { params.join(", ") };
    Some(declared(&c_type(btf, proto.ret), &format!("{name}({params})")))
}
