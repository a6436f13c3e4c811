//! The kernel side's object, fitted to this kernel and this run: the very programs and maps that
//! bpf(2) gets.
//!
//! *Invariant:* makes no system call; what comes out is final but for descriptors.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use tracer_common::{Hook, Knobs, bytes_of, kfunc};

use super::{
    LoadError,
    constants::{self, Constants},
};
use crate::{
    check,
    host::HostFacts,
    object::{
        Insn, KernelFeatures, KernelVersion, MapId, Object, Program, Resolved, Symbols, Target, pseudo,
    },
    plan::{self, Part, Plan, scratch_blocks},
    profiles::KernelProfile,
    verifier::{
        Config, Profile,
        btf::{Btf, Kind, TypeId},
    },
};

/// The kernel side, built by `cargo xtask build`.
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tracer.bpf.o"));

/// Blocks of working memory for walks of control groups: one for each program (tracer-ebpf, `scratch::Slot`).
const CGROUP_BLOCKS: u32 = 9;

/// What the object has to be fitted to.
pub(super) struct Kernel<'b> {
    pub(super) version: KernelVersion,
    /// `None` where the kernel has none.
    pub(super) btf: Option<&'b Arc<Btf>>,
    pub(super) possible_cpus: u32,
    /// Made once, for all families.
    profile: OnceLock<Profile>,
    kfuncs: OnceLock<Kfuncs>,
}

impl<'b> Kernel<'b> {
    pub(super) fn new(version: KernelVersion, btf: Option<&'b Arc<Btf>>, possible_cpus: u32) -> Self {
        Self { version, btf, possible_cpus, profile: OnceLock::new(), kfuncs: OnceLock::new() }
    }

    /// The one that runs here.
    pub(super) fn of(facts: &'b HostFacts) -> Self {
        let (major, minor) = facts.version;
        let version = KernelVersion::new(major as u16, minor as u16, 0);
        Self::new(version, facts.btf.as_ref().ok(), facts.possible_cpus)
    }

    /// Of a profile.
    pub(super) fn profiled(kernel: &'b KernelProfile) -> Self {
        Self::new(kernel.version, Some(&kernel.btf), kernel.config.nr_cpus)
    }

    pub(super) fn target(&self) -> Target<'_> {
        Target {
            btf: self.btf.map(|btf| &**btf),
            modules: &[],
            features: KernelFeatures::of(self.version),
            kconfig: None,
            symbols: Symbols::Unknown,
            possible_cpus: Some(self.possible_cpus),
        }
    }

    /// As the model takes it. None of our programs is one that the rest of the configuration matters to.
    pub(super) fn profile(&self) -> &Profile {
        self.profile.get_or_init(|| {
            let config = Config { nr_cpus: self.possible_cpus, ..Config::default() };
            check::profile(check::release(self.version), self.btf.cloned(), config)
        })
    }

    /// The kfuncs that it has for the kernel side.
    pub(super) fn kfuncs(&self) -> &Kfuncs {
        self.kfuncs.get_or_init(|| Kfuncs::of(self))
    }
}

/// The object as this run wants it: globals and sizes set, programs bound to what they attach to.
pub(super) fn object(plan: &Plan, hook: Hook) -> Result<Object, LoadError> {
    let mut object = Object::parse(OBJECT, "tracer")?;
    object.set_global("OFFSETS", bytes_of(&plan.offsets))?;
    let wishes = &plan.wishes;
    let families = scratch_blocks(hook);
    let knobs = Knobs { alive_slot: families, ..plan.knobs };
    object.set_global("KNOBS", bytes_of(&knobs))?;
    let follows = wishes.follow.table || wishes.follow.exits;
    let calls = if hook == Hook::Kprobe { 1024 } else { 1 };
    for map in object.maps_mut() {
        map.max_entries = match map.name.as_str() {
            "EVENTS" => wishes.buffer,
            "SCRATCH" => families + u32::from(wishes.follow.table),
            "CGROUPS" if wishes.places.is_none() => 1,
            "CGROUP_WORK" if wishes.places.is_some() => CGROUP_BLOCKS,
            "ENDED" if !follows => 1,
            "STATS" => plan.cpus,
            "TREE" if !wishes.tree => 1,
            "PIDS" => entries(wishes.pids.len()),
            "UIDS" => entries(wishes.uids.len()),
            "COMMS" => entries(wishes.comms.len()),
            "CALLERS" | "KERNEL_CALLS" => calls,
            _ => continue,
        };
    }
    for part in plan.parts(hook) {
        if let plan::Target::BtfTracepoint(name) | plan::Target::Fexit(name) = part.target {
            let id = object.program_named(part.program).ok_or(LoadError::Missing(part.program))?;
            object.set_attach_name(id, name)?;
        }
    }
    Ok(object)
}

/// A hash map has at least one entry.
pub(super) fn entries(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX).max(1)
}

/// The programs of these parts, in their order.
pub(super) fn programs(
    object: &Object,
    resolved: &Resolved<'_>,
    kernel: &Kernel<'_>,
    parts: &[Part],
) -> Result<Vec<Program>, LoadError> {
    let kfuncs = kernel.kfuncs();
    let program = |part: &Part| {
        let id = object.program_named(part.program).ok_or(LoadError::Missing(part.program))?;
        let mut program = resolved.program(id)?;
        for insn in &mut program.insns {
            kfuncs.put_in(insn);
        }
        constants::put_in(&mut program, &Constants::of(resolved.maps(), None));
        Ok(program)
    };
    parts.iter().map(program).collect()
}

/// The maps that the programs use.
pub(super) fn maps_of(programs: &[Program]) -> BTreeSet<MapId> {
    let insns = programs.iter().flat_map(|program| &program.insns);
    insns.filter(|insn| insn.refers_to_map()).map(|insn| MapId(insn.imm as u32)).collect()
}

/// The kfuncs that the kernel side may call: what stands for each, and its BTF id.
pub(super) struct Kfuncs(Vec<(i32, Option<TypeId>)>);

/// Before, no global function could be called where preemption is disabled (kernel/bpf/verifier.c,
/// `check_func_call`), and ours are global.
const GLOBAL_CALLS_WITHOUT_PREEMPTION: KernelVersion = KernelVersion::new(6, 15, 0);

impl Kfuncs {
    fn of(kernel: &Kernel<'_>) -> Self {
        let btf = kernel.btf.filter(|_| kernel.version >= GLOBAL_CALLS_WITHOUT_PREEMPTION);
        let names = kfunc::ALL.map(|(_, name)| (Kind::Func, name));
        let mut found = btf.map_or_else(|| vec![None; names.len()], |btf| btf.find_batch(&names));
        if found.contains(&None) {
            // Disabled is never without enabled.
            found.fill(None);
        }
        Self(kfunc::ALL.iter().map(|(number, _)| number.cast_signed()).zip(found).collect())
    }

    /// Turns a call of what stands for a kfunc into its call, or into `r0 = 0`.
    pub(super) fn put_in(&self, insn: &mut Insn) {
        const CALL: u8 = 0x85;
        const MOV64_IMM: u8 = 0xb7;
        if insn.code != CALL || insn.src != 0 {
            return;
        }
        match self.0.iter().find(|(number, _)| *number == insn.imm) {
            Some((_, Some(id))) => {
                *insn = Insn { src: pseudo::KFUNC_CALL, imm: id.0.cast_signed(), ..*insn };
            }
            Some((_, None)) => *insn = Insn { code: MOV64_IMM, ..Insn::default() },
            None => {}
        }
    }
}
