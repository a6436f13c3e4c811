//! The points that match, by kind.

use std::collections::HashSet;
use std::sync::Arc;

use crate::host::HostFacts;
use crate::host::names::{Names, Symbol, TraceableFunction};
use crate::plan::resolve::raw_names;
use crate::plan::values::c_type::{c_type, declared, signature};
use crate::plan::values::calls::raw_prototype;
use crate::plan::values::syscalls;
use crate::spec::{Kind, ProbeSpec};
use crate::verifier::btf::{Btf, Kind as BtfKind, Type, TypeId};

/// Something that can be probed.
pub(super) struct ListedPoint {
    pub(super) kind: Kind,
    /// As `tracer probe` takes it.
    pub(super) spec: String,
    pub(super) name: String,
    pub(super) module: Option<String>,
    pub(super) category: Option<String>,
    pub(super) signature: Option<String>,
    pub(super) mechanisms: Vec<&'static str>,
}

/// How much is told of each.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Names,
    Full,
}

struct Lister<'l> {
    facts: &'l HostFacts,
    names: &'l dyn Names,
    detail: Detail,
    points: Vec<ListedPoint>,
    notes: Vec<String>,
}

/// What matches, kind by kind, and what could not be seen.
pub(super) fn points(
    wanted: &[ProbeSpec],
    facts: &HostFacts,
    names: &dyn Names,
    detail: Detail,
) -> (Vec<ListedPoint>, Vec<String>) {
    let mut lister = Lister { facts, names, detail, points: Vec::new(), notes: Vec::new() };
    for spec in wanted {
        match spec.kind {
            Kind::Kprobe | Kind::Kretprobe => lister.kprobes(spec),
            Kind::Fentry | Kind::Fexit => lister.fentries(spec),
            Kind::Tracepoint => lister.tracepoints(spec),
            Kind::RawTracepoint => lister.raw(spec),
            Kind::Syscall => lister.syscalls(spec),
        }
    }
    lister.notes.dedup();
    (lister.points, lister.notes)
}

impl Lister<'_> {
    fn btf(&self) -> Option<&Arc<Btf>> {
        self.facts.btf.as_ref().ok()
    }

    /// The traceable functions that match; `None`, with a note, if the kernel does not show them.
    fn traceable(&mut self, spec: &ProbeSpec) -> Option<Vec<TraceableFunction<'_>>> {
        match self.names.traceable() {
            Ok(list) => {
                Some(list.iter().filter(|function| matches(spec, function.name, function.module)).collect())
            }
            Err(why) => {
                self.notes.push(format!("which functions can be traced is not known: {why}"));
                None
            }
        }
    }

    /// The module's types, or the kernel's.
    fn btf_of(&self, module: Option<&str>) -> Option<Arc<Btf>> {
        match module {
            None => self.btf().cloned(),
            Some(module) => self.names.module_btf(module).ok(),
        }
    }

    fn kprobes(&mut self, spec: &ProbeSpec) {
        let listed: Option<Vec<(String, Option<String>)>> = self
            .traceable(spec)
            .map(|list| list.iter().map(|f| (f.name.to_owned(), f.module.map(str::to_owned))).collect());
        let known = listed.is_some();
        let functions = match listed {
            Some(listed) => listed,
            None => match self.names.symbols() {
                Ok(symbols) => {
                    let code = symbols.iter().filter(Symbol::is_code);
                    let code =
                        code.filter(|s| matches(spec, s.name, s.module) && !s.name.starts_with("__pfx_"));
                    code.map(|s| (s.name.to_owned(), s.module.map(str::to_owned))).collect()
                }
                Err(why) => return self.notes.push(format!("functions cannot be listed: {why}")),
            },
        };
        if !self.facts.kprobe_pmu {
            self.notes.push(
                "this kernel has no kprobes (CONFIG_KPROBE_EVENTS): fentry may reach its functions"
                    .to_owned(),
            );
        }
        let multi = known && self.has_multi();
        let mut seen = HashSet::new();
        for (name, module) in functions {
            if !seen.insert((name.clone(), module.clone())) {
                continue;
            }
            let prototype =
                if self.detail == Detail::Full { self.prototype(&name, module.as_deref()) } else { None };
            let mut mechanisms = Vec::new();
            if self.detail == Detail::Full {
                mechanisms.extend(multi.then_some("kprobe.multi"));
                // By name: no address is needed to look it up.
                let free = self.facts.kprobe_pmu && !self.names.blacklist().has(&name, 0);
                mechanisms.extend(free.then_some("kprobe"));
                mechanisms.extend((known && prototype.is_some()).then_some("fentry"));
                if mechanisms.is_empty() {
                    continue;
                }
            }
            self.function(Kind::Kprobe, name, module, prototype, mechanisms);
        }
    }

    fn fentries(&mut self, spec: &ProbeSpec) {
        let Some(btf) = self.btf().cloned() else {
            let why = self.facts.btf.as_ref().err().cloned().unwrap_or_default();
            return self.notes.push(format!("functions for fentry cannot be listed: {why}"));
        };
        let listed: Option<Vec<(String, Option<String>)>> = self
            .traceable(spec)
            .map(|list| list.iter().map(|f| (f.name.to_owned(), f.module.map(str::to_owned))).collect());
        let listed = listed.unwrap_or_else(|| {
            let funcs = btf.ids().filter(|&id| btf.kind(id) == Some(BtfKind::Func)).map(|id| btf.name(id));
            funcs.filter(|name| matches(spec, name, None)).map(|name| (name.to_owned(), None)).collect()
        });
        let mut seen = HashSet::new();
        for (name, module) in listed {
            if seen.contains(&(name.clone(), module.clone())) {
                continue;
            }
            if let Some(prototype) = self.prototype(&name, module.as_deref()) {
                seen.insert((name.clone(), module.clone()));
                self.function(Kind::Fentry, name, module, Some(prototype), vec!["fentry"]);
            }
        }
    }

    /// A function's prototype, and the BTF that it is in.
    fn prototype(&self, name: &str, module: Option<&str>) -> Option<(Arc<Btf>, TypeId)> {
        let btf = self.btf_of(module)?;
        let own = btf.find_all(BtfKind::Func, name).find(|id| *id >= btf.first_own_id())?;
        let Some(Type::Func(func)) = btf.get(own) else { return None };
        let proto = func.proto;
        Some((btf, proto))
    }

    fn function(
        &mut self,
        kind: Kind,
        name: String,
        module: Option<String>,
        prototype: Option<(Arc<Btf>, TypeId)>,
        mechanisms: Vec<&'static str>,
    ) {
        let spec = match &module {
            Some(module) => format!("{kind}:{module}:{name}"),
            None => format!("{kind}:{name}"),
        };
        let full = self.detail == Detail::Full;
        let signature = prototype.filter(|_| full).and_then(|(btf, proto)| signature(&btf, &name, proto));
        self.points.push(ListedPoint { kind, spec, name, module, category: None, signature, mechanisms });
    }

    /// This kernel can attach many kprobes at once; asked of its types, which are quicker to search than its symbols.
    fn has_multi(&self) -> bool {
        let new = self.facts.version >= (5, 18);
        new && match self.btf() {
            Some(btf) => btf.find(BtfKind::Func, "register_fprobe").is_some(),
            None => self.names.symbols().is_ok_and(|symbols| symbols.has("register_fprobe")),
        }
    }

    fn tracepoints(&mut self, spec: &ProbeSpec) {
        let events = match self.names.events() {
            Ok(events) => events,
            Err(why) => {
                return self
                    .notes
                    .push(format!("tracepoints cannot be listed: {why}; rawtp needs no tracefs"));
            }
        };
        let in_category = |category: &str| spec.group.as_ref().is_none_or(|group| group.matches(category));
        let mut points = Vec::new();
        for event in events.iter().filter(|e| in_category(&e.category) && spec.name.matches(&e.name)) {
            let mut signature = None;
            if self.detail == Detail::Full
                && let Ok(format) = self.names.format(&event.category, &event.name)
            {
                let field = |field: &crate::host::names::FormatField| match field.count {
                    Some(count) => format!("{}[{count}]", declared(&field.c_type, &field.name)),
                    None => declared(&field.c_type, &field.name),
                };
                let fields: Vec<String> = format.fields.iter().map(field).collect();
                signature = Some(format!("{}({})", event.name, fields.join(", ")));
            }
            points.push(ListedPoint {
                kind: Kind::Tracepoint,
                spec: format!("tracepoint:{}:{}", event.category, event.name),
                name: event.name.clone(),
                module: None,
                category: Some(event.category.clone()),
                signature,
                mechanisms: vec!["tracepoint"],
            });
        }
        self.points.append(&mut points);
    }

    fn raw(&mut self, spec: &ProbeSpec) {
        let Some(btf) = self.btf().cloned() else {
            let why = self.facts.btf.as_ref().err().cloned().unwrap_or_default();
            return self.notes.push(format!("raw tracepoints cannot be listed: {why}"));
        };
        let mut points: Vec<ListedPoint> = raw_names(&btf)
            .filter(|(_, name)| spec.name.matches(name))
            .map(|(id, name)| ListedPoint {
                kind: Kind::RawTracepoint,
                spec: format!("rawtp:{name}"),
                name: name.to_owned(),
                module: None,
                category: None,
                signature: if self.detail == Detail::Full { raw_signature(&btf, name, id) } else { None },
                mechanisms: vec!["rawtp"],
            })
            .collect();
        points.sort_by(|a, b| a.name.cmp(&b.name));
        points.dedup_by(|a, b| a.name == b.name);
        self.points.append(&mut points);
    }

    fn syscalls(&mut self, spec: &ProbeSpec) {
        let here: Option<HashSet<&str>> = self.names.symbols().ok().map(|symbols| {
            symbols.iter().filter_map(|symbol| symbol.name.strip_prefix("__x64_sys_")).collect()
        });
        if here.is_none() {
            self.notes.push("which system calls this kernel has is not known: all are listed".to_owned());
        }
        let calls = syscalls::all().iter().filter(|call| spec.name.matches(call.name));
        let calls = calls.filter(|call| here.as_ref().is_none_or(|here| here.contains(call.kernel_name)));
        self.points.extend(calls.map(|call| ListedPoint {
            kind: Kind::Syscall,
            spec: format!("syscall:{}", call.name),
            name: call.name.to_owned(),
            module: None,
            category: None,
            signature: Some(call.signature()),
            mechanisms: vec!["syscall"],
        }));
    }
}

/// Of what the probe is handed: the first parameter is the tracepoint's own.
fn raw_signature(btf: &Btf, name: &str, typedef: TypeId) -> Option<String> {
    let params = raw_prototype(btf, name, typedef)?.params().skip(1);
    let params: Vec<String> = params
        .enumerate()
        .map(|(number, param)| {
            let c_type = c_type(btf, param.type_id);
            if param.name.is_empty() {
                declared(&c_type, &format!("arg{number}"))
            } else {
                declared(&c_type, param.name)
            }
        })
        .collect();
    Some(format!("{name}({})", params.join(", ")))
}

fn matches(spec: &ProbeSpec, name: &str, module: Option<&str>) -> bool {
    spec.group.as_ref().is_none_or(|group| group.matches(module.unwrap_or("vmlinux")))
        && spec.name.matches(name)
}
