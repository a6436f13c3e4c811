//! Tracepoints, raw tracepoints and system calls by name.

use std::collections::HashSet;

use super::{Context, ResolveError, near::near, place::What};
use crate::plan::values::syscalls as table;
use crate::spec::{Mistake, ProbeSpec};
use crate::verifier::btf::{Btf, Kind as BtfKind, TypeId};

/// What the typedef of a raw tracepoint's prototype begins with (include/trace/bpf_probe.h).
pub(crate) const RAW_PREFIX: &str = "btf_trace_";

pub(super) fn tracepoints(spec: &ProbeSpec, context: &Context<'_>) -> Result<Vec<What>, ResolveError> {
    let events = context.names.events().map_err(|why| {
        let raw = spec.name.exact().map_or(String::new(), |name| format!("; rawtp:{name} needs no tracefs"));
        ResolveError::Host(format!("tracepoints are looked up in tracefs: {why}{raw}"))
    })?;
    let in_category = |category: &str| spec.group.as_ref().is_none_or(|group| group.matches(category));
    let found = events.iter().filter(|event| in_category(&event.category) && spec.name.matches(&event.name));
    let found: Vec<What> = found
        .map(|event| What::Event { category: event.category.clone(), name: event.name.clone() })
        .collect();
    if !found.is_empty() {
        return Ok(found);
    }
    Err(ResolveError::Name(match events.iter().any(|event| in_category(&event.category)) {
        false => {
            let mut categories: Vec<&str> = events.iter().map(|event| event.category.as_str()).collect();
            categories.dedup();
            let group = spec.group.as_ref().map(ToString::to_string).unwrap_or_default();
            let mistake = spec.at_group(format!("there are no tracepoints of the category '{group}'"));
            let near = near(&group, categories.into_iter());
            match (near.is_empty(), group.as_str()) {
                (_, "syscalls") => mistake.help("this kernel has none (CONFIG_FTRACE_SYSCALLS); write syscall:NAME, which does not need them"),
                (false, _) => mistake.help(format!("did you mean {}?", near.join(", "))),
                (true, _) => mistake.help("see what there is: tracer list tracepoint; a module's are there once it is loaded"),
            }
        }
        true => {
            let wanted = spec.name.to_string();
            let mistake = spec.at_name(format!("no tracepoint is called {wanted} there"));
            let elsewhere = events.iter().find(|event| spec.name.matches(&event.name));
            let here =
                events.iter().filter(|event| in_category(&event.category)).map(|event| event.name.as_str());
            let near = near(&wanted, here);
            match (elsewhere, near.is_empty()) {
                (Some(event), _) => {
                    mistake.help(format!("there is tracepoint:{}:{}", event.category, event.name))
                }
                (None, false) => mistake.help(format!("did you mean {}?", near.join(", "))),
                (None, true) => mistake.help("see what there is: tracer list tracepoint PATTERN"),
            }
        }
    }))
}

pub(super) fn raw(spec: &ProbeSpec, context: &Context<'_>) -> Result<Vec<What>, ResolveError> {
    let btf = match &context.facts.btf {
        Ok(btf) => btf,
        Err(why) => {
            return Err(ResolveError::Host(format!(
                "rawtp needs the kernel's types: {why}; tracepoint: works without"
            )));
        }
    };
    let found: Vec<What> = match spec.name.exact() {
        Some(name) => {
            let typedef = btf.find(BtfKind::Typedef, &format!("{RAW_PREFIX}{name}"));
            typedef.map(|typedef| What::Raw { name: name.to_owned(), typedef }).into_iter().collect()
        }
        None => raw_names(btf)
            .filter(|(_, name)| spec.name.matches(name))
            .map(|(typedef, name)| What::Raw { name: name.to_owned(), typedef })
            .collect(),
    };
    if found.is_empty() { Err(ResolveError::Name(no_raw(spec, btf, context))) } else { Ok(found) }
}

/// The raw tracepoints whose prototypes a BTF tells.
pub(crate) fn raw_names(btf: &Btf) -> impl Iterator<Item = (TypeId, &str)> {
    let typedefs = btf.ids().filter(|&id| btf.kind(id) == Some(BtfKind::Typedef));
    typedefs.filter_map(|id| Some((id, btf.name(id).strip_prefix(RAW_PREFIX)?)))
}

fn no_raw(spec: &ProbeSpec, btf: &Btf, context: &Context<'_>) -> Mistake {
    let wanted = spec.name.to_string();
    let mistake = spec.at_name(format!("no raw tracepoint is called {wanted}"));
    let near = near(&wanted, raw_names(btf).map(|(_, name)| name));
    if !near.is_empty() {
        return mistake.help(format!("did you mean {}?", near.join(", ")));
    }
    let event =
        context.names.events().unwrap_or_default().iter().find(|event| spec.name.matches(&event.name));
    match event {
        Some(event) => mistake.help(format!(
            "its types are not in the kernel's own BTF (a module's, or an event of a class); write tracepoint:{}:{}",
            event.category, event.name
        )),
        None => mistake.help("see what there is: tracer list rawtp PATTERN"),
    }
}

pub(super) fn syscalls(
    spec: &ProbeSpec,
    context: &Context<'_>,
    notes: &mut Vec<String>,
) -> Result<Vec<What>, ResolveError> {
    if let Some(name) = spec.name.exact() {
        let Some(call) = table::by_name(name) else { return Err(ResolveError::Name(no_syscall(spec, name))) };
        let function = format!("__x64_sys_{}", call.kernel_name);
        if context.names.symbols().is_ok_and(|symbols| !symbols.has(&function)) {
            notes.push(format!("this kernel does not seem to have the system call {name} (no {function}): it fails with ENOSYS"));
        }
        return Ok(vec![What::Syscall(call)]);
    }
    // Only those that this kernel has, where it shows its symbols.
    let here: Option<HashSet<&str>> =
        context.names.symbols().ok().map(|symbols| {
            symbols.iter().filter_map(|symbol| symbol.name.strip_prefix("__x64_sys_")).collect()
        });
    let has = |call: &table::Syscall| here.as_ref().is_none_or(|here| here.contains(call.kernel_name));
    let found = table::all().iter().filter(|call| spec.name.matches(call.name) && has(call));
    let found: Vec<What> = found.map(What::Syscall).collect();
    if found.is_empty() {
        let mistake = spec.at_name(format!("no system call of this kernel matches {}", spec.name));
        return Err(ResolveError::Name(mistake.help("see what there is: tracer list syscall")));
    }
    Ok(found)
}

fn no_syscall(spec: &ProbeSpec, name: &str) -> Mistake {
    let mistake = spec.at_name(format!("x86-64 has no system call '{name}'"));
    let bare = ["__x64_sys_", "__se_sys_", "__do_sys_", "sys_enter_", "sys_exit_", "sys_"];
    let bare = bare.iter().find_map(|prefix| name.strip_prefix(prefix)).and_then(table::by_name);
    if let Some(call) = bare {
        return mistake.help(format!("write syscall:{}", call.name));
    }
    let near = near(name, table::all().iter().map(|call| call.name));
    match near.is_empty() {
        false => mistake.help(format!("did you mean {}?", near.join(", "))),
        true => mistake.help("see what there is: tracer list syscall"),
    }
}
