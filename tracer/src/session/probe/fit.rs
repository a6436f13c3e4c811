//! The kernel side's object, fitted to this kernel and this run: for each class of programs the very instructions that
//! bpf(2) gets, and what the model says of them.
//!
//! *Invariant:* makes no system call.

use std::sync::Arc;

use tracer_common::bytes_of;

use crate::{
    object::{AttachType, Insn, Map, MapId, Object, Program},
    plan::probe::{Place, ProbeRun},
    verifier::btf::Btf,
};

use super::{
    super::{
        LoadError,
        constants::{self, Constants},
        gate::{self, Judgement, Precheck},
        kernel_side::{Kernel, entries},
    },
    programs::{Class, Kind, Serves},
    settings::{ATOMICS, Settings},
};

/// The kernel side, built by `cargo xtask build`.
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/probe.bpf.o"));

/// The map of what differs between the clones of a program.
pub(super) const HERE: &str = ".rodata.here";

/// The map of counts, where nothing else is wanted.
pub(super) const COUNTS: &str = ".bss.counts";

/// A class' program, as it is loaded for each of its points.
pub(super) struct Fitted {
    pub(super) class: Class,
    pub(super) serves: Serves,
    pub(super) program: Program,
}

/// What is loaded.
pub(super) struct Kernelside {
    pub(super) programs: Vec<Fitted>,
    pub(super) maps: Vec<Map>,
    pub(super) here: MapId,
    pub(super) btf: Option<Arc<Btf>>,
    pub(super) license: String,
    pub(super) judged: Vec<Judgement>,
}

/// Functions and tracepoints of every kernel: a program that is bound to one in a module is judged as if it were
/// bound to this one, since what it does depends on the number of arguments alone.
const STAND_IN_FUNCTION: &str = "vfs_read";
const STAND_IN_TRACEPOINT: &str = "sched_process_exec";

/// Fits and judges a run's programs.
pub(super) fn fit(
    run: &ProbeRun,
    settings: &Settings,
    classes: Vec<(Class, Serves)>,
    kernel: &Kernel<'_>,
    precheck: Precheck,
) -> Result<Kernelside, LoadError> {
    let mut object = Object::parse(OBJECT, "probe")?;
    object.set_global("OFFSETS", bytes_of(&settings.offsets))?;
    object.set_global("KNOBS", bytes_of(&settings.knobs))?;
    set_sizes(&mut object, run, settings);
    let target = kernel.target();
    let kfuncs = kernel.kfuncs();
    let license = object.license().to_owned();
    let mut side = Kernelside {
        programs: Vec::new(),
        maps: Vec::new(),
        here: MapId(0),
        btf: None,
        license,
        judged: Vec::new(),
    };
    for (class, serves) in classes {
        // What the clones do not share is the point's number: the first one stands for all.
        let first = if class.is_shared(kernel.version) { None } else { serves.points.first().copied() };
        object.set_global("HERE", bytes_of(&class.here(serves.only.or(first))))?;
        let id = object.program_named(class.program).ok_or(LoadError::Missing(class.program))?;
        if let Some(name) = bound_to(&class, &serves, run) {
            object.set_attach_name(id, name)?;
        }
        let resolved = object.resolve(&target)?;
        let mut program = resolved.program(id)?;
        for insn in &mut program.insns {
            kfuncs.put_in(insn);
            if kernel.version < ATOMICS {
                without_fetch(insn);
            }
        }
        let here = resolved.maps().iter().position(|map| map.name == HERE);
        let here = MapId(here.ok_or(LoadError::Missing("map .rodata.here"))? as u32);
        let differs = (serves.only.is_none() && !class.is_shared(kernel.version)).then_some(here);
        constants::put_in(&mut program, &Constants::of(resolved.maps(), differs));
        if let Kind::Multi(_) = class.kind {
            program.attach_type = AttachType::TRACE_KPROBE_MULTI;
        }
        if precheck != Precheck::Off {
            let judged = gate::judge(&resolved, std::slice::from_ref(&program), kernel.profile());
            if precheck == Precheck::Enforce {
                let refused =
                    |judged| gate::explanation(judged, &program, resolved.license(), kernel.version);
                if let Some(text) = judged.iter().find_map(refused) {
                    return Err(LoadError::Precheck(text));
                }
            }
            side.judged.extend(judged);
        }
        if side.maps.is_empty() {
            side.maps = resolved.maps().to_vec();
            side.btf = resolved.btf().cloned();
            side.here = here;
        }
        side.programs.push(Fitted { class, serves, program });
    }
    Ok(side)
}

/// An atomic instruction that fetches is not known before 5.12, not even where nobody reaches it (kernel/bpf/
/// verifier.c of 5.10, `resolve_pseudo_ldimm64`): one that does not fetch stands in its place.
fn without_fetch(insn: &mut Insn) {
    const ATOMIC_DW: u8 = 0xdb;
    const ADD_AND_FETCH: i32 = 1;
    if insn.code == ATOMIC_DW && insn.imm == ADD_AND_FETCH {
        insn.imm = 0;
    }
}

/// What a program that is bound when it is loaded is judged on: the kernel's own function, if there is one.
fn bound_to<'r>(class: &Class, serves: &Serves, run: &'r ProbeRun) -> Option<&'r str> {
    let places = serves.points.iter().filter_map(|point| run.points.get(*point as usize)).map(|p| &p.place);
    match class.kind {
        Kind::Trampoline(_) => {
            let own = places.filter_map(|place| match place {
                Place::Trampoline { function, module: None, .. } => Some(function.as_str()),
                _ => None,
            });
            Some(own.clone().next().unwrap_or(STAND_IN_FUNCTION))
        }
        Kind::RawTracepoint => {
            let own = places.filter_map(|place| match place {
                Place::RawTracepoint { name, .. } => Some(name.as_str()),
                _ => None,
            });
            Some(own.clone().next().unwrap_or(STAND_IN_TRACEPOINT))
        }
        _ => None,
    }
}

fn set_sizes(object: &mut Object, run: &ProbeRun, settings: &Settings) {
    let sizes = &settings.sizes;
    for map in object.maps_mut() {
        if map.name == "SAVED" {
            map.value_size = settings.knobs.saved.max(8);
        }
        if map.name == COUNTS {
            map.value_size = sizes.counts * 8;
        }
        map.max_entries = match map.name.as_str() {
            "EVENTS" => sizes.ring,
            "STATS" | "COUNTERS" => sizes.cpus,
            "POINTS" => sizes.points,
            "BLOCKS" => settings.knobs.blocks,
            "GROUPS" => sizes.groups,
            "CALLS" => sizes.calls,
            "SAVED" => sizes.saved,
            "SYSCALLS" => sizes.syscalls,
            "TREE" if !run.who.tree => 1,
            "PIDS" => entries(run.who.pids.len()),
            "UIDS" => entries(run.who.uids.len()),
            "COMMS" => entries(run.who.comms.len()),
            _ => continue,
        };
    }
}
