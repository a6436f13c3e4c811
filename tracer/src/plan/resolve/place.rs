//! From a spec to places: which mechanism reaches each, and why.

use std::sync::Arc;

use super::functions::{self, Function};
use super::{Context, Found, ResolveError, events};
use crate::plan::probe::Place;
use crate::plan::values::calls::{self, Call, Convention};
use crate::plan::values::{Offer, record, syscalls};
use crate::spec::{Kind, Mistake, ProbeSpec};
use crate::verifier::btf::{Btf, Kind as BtfKind};

/// Something that a spec means, not yet looked at closely.
pub(super) struct Candidate<'s> {
    pub(super) spec: &'s ProbeSpec,
    pub(super) what: What,
}

pub(super) enum What {
    Function(Function),
    Event { category: String, name: String },
    Raw { name: String, typedef: crate::verifier::btf::TypeId },
    Syscall(&'static syscalls::Syscall),
}

/// Finds what a spec means.
pub(super) fn find<'s>(
    spec: &'s ProbeSpec,
    context: &Context<'_>,
    out: &mut Vec<Candidate<'s>>,
    notes: &mut Vec<String>,
) -> Result<(), ResolveError> {
    let candidate = |what| Candidate { spec, what };
    match spec.kind {
        Kind::Kprobe | Kind::Kretprobe | Kind::Fentry | Kind::Fexit => {
            needs(spec.kind, context)?;
            let found = functions::find(spec, context).map_err(ResolveError::Name)?;
            let mut skipped = Skipped::default();
            for function in found {
                if !function.aliases.is_empty() {
                    let others = function.aliases.join(", ");
                    notes.push(format!("{others}: another name of {}, which is probed once", function.name));
                }
                match obstacle(spec, &function, context) {
                    None => out.push(candidate(What::Function(function))),
                    Some((what, help)) if spec.is_exact() => {
                        return Err(ResolveError::Name(spec.at_name(what).help(help)));
                    }
                    Some((what, _)) => skipped.add(what),
                }
            }
            skipped.tell(spec, notes);
        }
        Kind::Tracepoint => out.extend(events::tracepoints(spec, context)?.into_iter().map(candidate)),
        Kind::RawTracepoint => out.extend(events::raw(spec, context)?.into_iter().map(candidate)),
        Kind::Syscall => out.extend(events::syscalls(spec, context, notes)?.into_iter().map(candidate)),
    }
    Ok(())
}

/// What matched and cannot be had: the first ones by name, the others by number.
#[derive(Default)]
struct Skipped {
    first: Vec<String>,
    count: usize,
}

impl Skipped {
    fn add(&mut self, what: String) {
        if self.first.len() < 3 {
            self.first.push(what);
        }
        self.count += 1;
    }

    fn tell(self, spec: &ProbeSpec, notes: &mut Vec<String>) {
        let more = self.count - self.first.len();
        if self.count > 0 {
            let others = if more > 0 { format!("; {more} others") } else { String::new() };
            notes.push(format!("left out of {spec}: {}{others}", self.first.join("; ")));
        }
    }
}

/// What the kernel must have for a kind at all.
fn needs(kind: Kind, context: &Context<'_>) -> Result<(), ResolveError> {
    let host = |what: String| Err(ResolveError::Host(what));
    match kind {
        Kind::Kprobe | Kind::Kretprobe if !context.facts.kprobe_pmu && !context.multi => host(
            "this kernel has no kprobes (CONFIG_KPROBE_EVENTS): there is no event source 'kprobe' in sysfs; \
             fentry:, tracepoint:, rawtp: and syscall: may work here"
                .to_owned(),
        ),
        Kind::Fentry | Kind::Fexit => match &context.facts.btf {
            Err(why) => host(format!("{kind} needs the kernel's types: {why}; kprobe: works without")),
            Ok(_) => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Why a function that exists cannot be probed so, and the way out.
fn obstacle(spec: &ProbeSpec, function: &Function, context: &Context<'_>) -> Option<(String, String)> {
    let name = &function.name;
    let trampoline = matches!(spec.kind, Kind::Fentry | Kind::Fexit);
    if !trampoline {
        let multi = context.multi && function.traceable == Some(true) && spec.offset == 0;
        let single = context.facts.kprobe_pmu && !function.blacklisted;
        return match (multi || single, function.blacklisted) {
            (true, _) => None,
            (_, true) => Some((
                format!(
                    "{name} exists, but the kernel forbids kprobes in it (its blacklist: entry code, noinstr, __kprobes)"
                ),
                "probe a function that calls it, or that it calls".to_owned(),
            )),
            _ => Some((
                format!(
                    "{name} exists, but cannot be traced at its start (notrace), and this kernel has no single kprobes"
                ),
                "probe a function that calls it".to_owned(),
            )),
        };
    }
    if function.traceable == Some(false) {
        let kprobe = format!("write kprobe:{name}, which does not need it");
        return Some((
            format!("{name} exists, but the compiler left no room for {} at its start (notrace)", spec.kind),
            if function.blacklisted { "probe a function that calls it".to_owned() } else { kprobe },
        ));
    }
    let typed = context.btf_of(function.module.as_deref());
    let btf = match typed {
        Ok(btf) => btf,
        Err(why) => {
            return Some((
                format!("{name} has no types for {}: {why}", spec.kind),
                format!("write kprobe:{name}"),
            ));
        }
    };
    let Some(func) = own_func(&btf, name) else {
        return Some((
            format!(
                "{name} exists, but its types are not in the kernel's BTF (the compiler changed it, or there are several of it)"
            ),
            format!("write kprobe:{name}; its arguments are then shown as registers"),
        ));
    };
    let call = calls::call(&btf, name, func.proto, Convention::Slots);
    trampoline_limit(name, &call, context).map(|what| (what, format!("write kprobe:{name}")))
}

/// The function of this name; what a module's BTF has of its base's is the kernel's, and no module's.
fn own_func<'b>(btf: &'b Btf, name: &str) -> Option<crate::verifier::btf::FuncSignature<'b>> {
    let own = btf.find_all(BtfKind::Func, name).find(|id| *id >= btf.first_own_id())?;
    btf.func_by_id(own)
}

/// What trampolines of this version cannot take (arch/x86/net/bpf_jit_comp.c: structures since 6.1, more than six
/// arguments since 6.6).
fn trampoline_limit(name: &str, call: &Call, context: &Context<'_>) -> Option<String> {
    let version = context.facts.version;
    if call.slots > 6 && version < (6, 6) {
        return Some(format!(
            "{name} takes {} arguments, and before Linux 6.6 fentry and fexit reach 6",
            call.slots
        ));
    }
    if call.structures && version < (6, 1) {
        return Some(format!(
            "{name} takes a structure by value, which fentry and fexit cannot before Linux 6.1"
        ));
    }
    None
}

/// Looks at each candidate closely.
pub(super) fn offers(
    candidates: Vec<Candidate<'_>>,
    context: &Context<'_>,
    notes: &mut Vec<String>,
) -> Result<Vec<Found>, ResolveError> {
    let mut found: Vec<Found> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut untyped = 0_usize;
    for candidate in candidates {
        let spec = candidate.spec;
        let exact = spec.is_exact();
        let next = match candidate.what {
            What::Function(function) => Some(self::function(spec, function, context, notes, &mut untyped)),
            What::Event { category, name } => match event(spec, &category, &name, context, notes) {
                Ok(next) => Some(next),
                Err(mistake) if exact => return Err(ResolveError::Name(mistake)),
                Err(mistake) => {
                    notes.push(format!("left out of {spec}: {}", mistake.what));
                    None
                }
            },
            What::Raw { name, typedef } => raw(spec, &name, typedef, context),
            What::Syscall(call) => Some(syscall(spec, call, context)),
        };
        // What two specs name is probed once.
        if let Some(next) = next.filter(|next| seen.insert(next.name.clone())) {
            found.push(next);
        }
    }
    if untyped > 0 {
        let why =
            context.facts.btf.as_ref().err().map_or("the kernel's BTF does not have them", String::as_str);
        notes.push(format!("the arguments of {untyped} functions are shown as registers: {why}"));
    }
    Ok(found)
}

fn function(
    spec: &ProbeSpec,
    function: Function,
    context: &Context<'_>,
    notes: &mut Vec<String>,
    untyped: &mut usize,
) -> Found {
    let Function { name, module, addresses, traceable, aliases: _, blacklisted } = function;
    let mut shown = match &module {
        Some(module) => format!("{}:{module}:{name}", spec.kind),
        None => format!("{}:{name}", spec.kind),
    };
    if spec.offset > 0 {
        shown.push_str(&format!("+{:#x}", spec.offset));
    }
    if addresses.len() > 1 && spec.is_exact() {
        notes.push(format!("{} functions are called {name}: each is probed", addresses.len()));
    }
    let trampoline = matches!(spec.kind, Kind::Fentry | Kind::Fexit);
    let btf = context.btf_of(module.as_deref()).ok().or_else(|| context.btf().cloned());
    let signature = btf.as_deref().and_then(|btf| own_func(btf, &name));
    let convention = if trampoline { Convention::Slots } else { Convention::Registers };
    let call = match (&btf, &signature) {
        (Some(btf), Some(signature)) => calls::call(btf, &name, signature.proto, convention),
        _ => {
            *untyped += usize::from(spec.offset == 0);
            calls::untyped()
        }
    };
    if spec.is_exact() {
        notes.extend(call.notes.iter().cloned());
    }
    let (place, how) = match (trampoline, &signature) {
        (true, Some(signature)) => {
            let place =
                Place::Trampoline { function: name, module, btf_id: signature.id.0, arguments: call.slots };
            (place, "trampoline".to_owned())
        }
        _ => kprobe(spec, name, module, addresses, traceable, blacklisted, context),
    };
    let mut offer = Offer { shown: call.arguments, others: Vec::new(), result: call.result };
    if spec.offset > 0 {
        offer = Offer { others: calls::registers(), ..Offer::default() };
    }
    offer.with_task(context.btf().map(|btf| &**btf));
    Found { name: shown, kind: spec.kind, place, how, offer, btf, exact: spec.is_exact() }
}

fn kprobe(
    spec: &ProbeSpec,
    symbol: String,
    module: Option<String>,
    addresses: Vec<u64>,
    traceable: Option<bool>,
    blacklisted: bool,
    context: &Context<'_>,
) -> (Place, String) {
    let multi = context.multi && traceable == Some(true) && spec.offset == 0;
    let single = context.facts.kprobe_pmu && !blacklisted;
    let how = match (multi, traceable) {
        (true, _) => "kprobe.multi".to_owned(),
        _ if spec.offset > 0 => "kprobe of its own: kprobe.multi is for functions' starts".to_owned(),
        (_, Some(false)) => "kprobe of its own: the function is notrace".to_owned(),
        _ if context.facts.version < (5, 18) => {
            "kprobe of its own: kprobe.multi came with Linux 5.18".to_owned()
        }
        _ if !context.multi => {
            "kprobe of its own: this kernel has no kprobe.multi (CONFIG_FPROBE)".to_owned()
        }
        _ => "kprobe of its own: whether kprobe.multi can reach it is not known".to_owned(),
    };
    (Place::Kprobe { symbol, offset: spec.offset, module, addresses, multi, single }, how)
}

fn event(
    spec: &ProbeSpec,
    category: &str,
    name: &str,
    context: &Context<'_>,
    notes: &mut Vec<String>,
) -> Result<Found, Mistake> {
    let format = context
        .names
        .format(category, name)
        .map_err(|why| spec.at_name(format!("{category}:{name}: {why}")))?;
    let btf = context.btf().cloned();
    let (shown, unshown) = record::fields(btf.as_deref(), category, &format);
    if spec.is_exact() {
        notes.extend(unshown.into_iter().map(|why| format!("{category}:{name}: {why}")));
    }
    let mut offer = Offer { shown, ..Offer::default() };
    offer.with_task(btf.as_deref());
    Ok(Found {
        name: format!("tracepoint:{category}:{name}"),
        kind: spec.kind,
        place: Place::Tracepoint { category: category.to_owned(), name: name.to_owned(), id: format.id },
        how: "perf event of the tracepoint".to_owned(),
        offer,
        btf,
        exact: spec.is_exact(),
    })
}

fn raw(
    spec: &ProbeSpec,
    name: &str,
    typedef: crate::verifier::btf::TypeId,
    context: &Context<'_>,
) -> Option<Found> {
    let btf: Arc<Btf> = context.btf().cloned()?;
    let call = calls::raw_tracepoint(&btf, calls::raw_prototype(&btf, name, typedef)?);
    let mut offer = Offer { shown: call.arguments, ..Offer::default() };
    offer.with_task(Some(&btf));
    Some(Found {
        name: format!("rawtp:{name}"),
        kind: spec.kind,
        place: Place::RawTracepoint { name: name.to_owned(), btf_id: typedef.0, arguments: call.slots },
        how: "BTF raw tracepoint".to_owned(),
        offer,
        btf: Some(btf),
        exact: spec.is_exact(),
    })
}

fn syscall(spec: &ProbeSpec, call: &'static syscalls::Syscall, context: &Context<'_>) -> Found {
    let btf = context.btf().cloned();
    let mut offer = Offer {
        shown: call.arguments(btf.as_deref()),
        others: Vec::new(),
        result: Some(syscalls::Syscall::result()),
    };
    offer.with_task(btf.as_deref());
    Found {
        name: format!("syscall:{}", call.name),
        kind: spec.kind,
        place: Place::Syscall { name: call.name.to_owned(), number: call.number },
        how: format!("raw tracepoints sys_enter and sys_exit, narrowed to number {}", call.number),
        offer,
        btf,
        exact: spec.is_exact(),
    }
}
