//! Functions by name: where they are, and by which mechanism each can be reached.

use std::collections::{HashMap, HashSet};

use super::{Context, near::near};
use crate::host::names::{Symbol, TraceableFunction};
use crate::spec::{Kind, Mistake, Pattern, ProbeSpec};
use crate::verifier::btf::Kind as BtfKind;

/// A function that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) module: Option<String>,
    /// Of each copy; empty if this host hides them.
    pub(super) addresses: Vec<u64>,
    /// It is on the list of what can be traced at its start; `None` if that list cannot be read.
    pub(super) traceable: Option<bool>,
    /// Other names of the same code that match too: it is probed once.
    pub(super) aliases: Vec<String>,
    /// No kprobe may be there.
    pub(super) blacklisted: bool,
}

/// The functions that a spec means.
///
/// # Errors
/// There is none, or it cannot be probed; or the kernel does not show its symbols.
pub(super) fn find(spec: &ProbeSpec, context: &Context<'_>) -> Result<Vec<Function>, Mistake> {
    let found = match spec.name.exact() {
        Some(name) => exact(spec, name, context)?,
        None => matching(spec, context)?,
    };
    match (found.is_empty(), spec.name.exact()) {
        (false, _) => Ok(found),
        (true, Some(name)) => Err(missing(spec, name, context)),
        (true, None) => Err(nothing_matches(spec, context)),
    }
}

/// Whether a function is of the module that a spec names; the kernel itself is `vmlinux`.
fn in_group(group: Option<&Pattern>, module: Option<&str>) -> bool {
    group.is_none_or(|group| group.matches(module.unwrap_or("vmlinux")))
}

fn exact(spec: &ProbeSpec, name: &str, context: &Context<'_>) -> Result<Vec<Function>, Mistake> {
    let symbols =
        context.names.symbols().map_err(|why| spec.at_name(format!("{name} cannot be looked up: {why}")))?;
    let code = symbols.named(name).filter(Symbol::is_code);
    let mut found = grouped(code.filter(|symbol| in_group(spec.group.as_ref(), symbol.module)));
    let traceable = context.names.traceable().ok();
    for function in &mut found {
        function.traceable = traceable.map(|list| list.has(name));
        function.blacklisted = context.blacklisted(function);
    }
    Ok(found)
}

/// Symbols by name and module, in the order in which they came.
fn grouped<'s>(symbols: impl Iterator<Item = Symbol<'s>>) -> Vec<Function> {
    let mut places: HashMap<(&str, Option<&str>), usize> = HashMap::new();
    let mut found: Vec<Function> = Vec::new();
    for symbol in symbols {
        let at = *places.entry((symbol.name, symbol.module)).or_insert(found.len());
        if at == found.len() {
            found.push(Function {
                name: symbol.name.to_owned(),
                module: symbol.module.map(str::to_owned),
                addresses: Vec::new(),
                traceable: None,
                aliases: Vec::new(),
                blacklisted: false,
            });
        }
        if symbol.address != 0 && !found[at].addresses.contains(&symbol.address) {
            found[at].addresses.push(symbol.address);
        }
    }
    found
}

/// Functions that match a pattern. The list of what can be traced is what bounds them, because much of what is merely a
/// symbol can be no probe; where it cannot be read, all code.
fn matching(spec: &ProbeSpec, context: &Context<'_>) -> Result<Vec<Function>, Mistake> {
    let symbols =
        context.names.symbols().map_err(|why| spec.at_name(format!("no name can be looked up: {why}")))?;
    let group = spec.group.as_ref();
    let matched = |name: &str, module: Option<&str>| in_group(group, module) && spec.name.matches(name);
    let listed: Option<HashSet<TraceableFunction<'_>>> = context
        .names
        .traceable()
        .ok()
        .map(|list| list.iter().filter(|function| matched(function.name, function.module)).collect());
    let code = symbols.iter().filter(|symbol| match &listed {
        Some(listed) => listed.contains(&TraceableFunction { name: symbol.name, module: symbol.module }),
        None => matched(symbol.name, symbol.module) && !is_artefact(symbol.name),
    });
    let mut found = grouped(code.filter(Symbol::is_code));
    for function in &mut found {
        function.traceable = listed.as_ref().map(|_| true);
        function.blacklisted = context.blacklisted(function);
    }
    // One function under several names is probed once, by the first.
    let mut seen: HashMap<u64, usize> = HashMap::new();
    let mut once: Vec<Function> = Vec::with_capacity(found.len());
    for function in found {
        match function.addresses.first().map(|address| *seen.entry(*address).or_insert(once.len())) {
            Some(first) if first < once.len() => once[first].aliases.push(function.name),
            _ => once.push(function),
        }
    }
    Ok(once)
}

/// What the compiler and the linker put beside functions.
fn is_artefact(name: &str) -> bool {
    name.starts_with("__pfx_")
        || name.starts_with("__cfi_")
        || name.ends_with(".cold")
        || name.contains(".cold.")
}

fn nothing_matches(spec: &ProbeSpec, context: &Context<'_>) -> Mistake {
    if let Some(group) = &spec.group
        && let Some(mistake) = no_module(spec, group, context)
    {
        return mistake;
    }
    let symbols = context.names.symbols();
    let other = symbols.ok().and_then(|symbols| symbols.iter().find(|symbol| spec.name.matches(symbol.name)));
    let mistake = spec.at_name(format!("no function that can be traced matches {}", spec.name));
    match other {
        Some(symbol) if symbol.is_code() => mistake.help(format!("{} and the like exist, but cannot be traced at their start (notrace); name one to probe it alone", symbol.name)),
        Some(symbol) => mistake.help(format!("{} matches, but is no function", symbol.name)),
        None => mistake.help("see what there is: tracer list kprobe PATTERN"),
    }
}

/// The mistake, if no loaded module matches.
fn no_module(spec: &ProbeSpec, group: &Pattern, context: &Context<'_>) -> Option<Mistake> {
    let symbols = context.names.symbols().ok()?;
    let mut modules: Vec<&str> =
        symbols.iter().filter(|s| !s.is_generated()).filter_map(|symbol| symbol.module).collect();
    modules.dedup();
    modules.sort_unstable();
    modules.dedup();
    if group.matches("vmlinux") || modules.iter().any(|module| group.matches(module)) {
        return None;
    }
    let mistake = spec.at_group(format!("no module '{group}' is loaded"));
    let near = near(&group.to_string(), modules.into_iter());
    Some(match near.is_empty() {
        false => mistake.help(format!("did you mean {}?", near.join(", "))),
        true => mistake
            .help("load it first (modprobe); functions of the kernel itself have no module, or 'vmlinux'"),
    })
}

/// Why an exact name is no function that can be probed.
fn missing(spec: &ProbeSpec, name: &str, context: &Context<'_>) -> Mistake {
    let Ok(symbols) = context.names.symbols() else {
        return spec.at_name(format!("there is no function '{name}'"));
    };
    if let Some(group) = &spec.group {
        if let Some(mistake) = no_module(spec, group, context) {
            return mistake;
        }
        if let Some(symbol) = symbols.named(name).find(Symbol::is_code) {
            let module =
                symbol.module.map_or("the kernel itself".to_owned(), |module| format!("module {module}"));
            return spec
                .at_name(format!("{name} is not in {group}, but in {module}"))
                .help(format!("write {}:{name}", spec.kind));
        }
    }
    if let Some(symbol) = symbols.named(name).next() {
        let what = if symbol.is_generated() { "a BPF program or a trampoline" } else { "data" };
        return spec.at_name(format!("{name} exists, but is {what}, and no function")).help(
            if symbol.is_generated() {
                "probes are for the kernel's own functions"
            } else {
                "a variable cannot be probed; probe the functions that use it"
            },
        );
    }
    // What the compiler made of it: NAME.isra.0, NAME.constprop.0, NAME.part.0, NAME.cold.
    let start = format!("{name}.");
    let mut changed: Vec<&str> =
        symbols.iter().filter(|s| s.is_code() && s.name.starts_with(&start)).map(|s| s.name).collect();
    changed.sort_unstable();
    changed.dedup();
    if let Some((first, rest)) = changed.split_first() {
        let names = std::iter::once(first).chain(rest.iter().take(2)).copied().collect::<Vec<_>>().join(", ");
        return spec
            .at_name(format!("{name} exists, but only as the compiler changed it: {names}"))
            .help(format!("write {}:{first}; its arguments may not be the ones of {name}", spec.kind));
    }
    let stripped = name
        .trim_start_matches("__x64_")
        .trim_start_matches("__ia32_")
        .trim_start_matches("__do_")
        .trim_start_matches("__se_")
        .trim_start_matches("SyS_")
        .trim_start_matches("sys_");
    if stripped != name
        && let Some(call) = crate::plan::values::syscalls::by_name(stripped)
    {
        return spec
            .at_name(format!("there is no function '{name}': system calls have other names in the kernel"))
            .help(format!("write syscall:{}", call.name));
    }
    if context.btf().is_some_and(|btf| btf.find(BtfKind::Func, name).is_some()) {
        return spec
            .at_name(format!("{name} exists, but every call of it is inlined: there is no code of its own"))
            .help("probe a function that calls it");
    }
    let mistake =
        spec.at_name(format!("there is no function '{name}' in this kernel, or every call of it is inlined"));
    if let Some(call) = crate::plan::values::syscalls::by_name(name) {
        return mistake.help(format!("it is a system call: write syscall:{}", call.name));
    }
    let near = near(
        name,
        symbols.iter().filter(Symbol::is_code).map(|symbol| symbol.name).filter(|name| !is_artefact(name)),
    );
    if !near.is_empty() {
        return mistake.help(format!("did you mean {}?", near.join(", ")));
    }
    let events = context.names.events().unwrap_or_default();
    if let Some(event) = events.iter().find(|event| event.name == name) {
        return mistake
            .help(format!("it is a tracepoint: write tracepoint:{}:{}", event.category, event.name));
    }
    mistake.help(format!(
        "see what there is: tracer list {} PATTERN",
        if matches!(spec.kind, Kind::Fentry | Kind::Fexit) { "fentry" } else { "kprobe" }
    ))
}
