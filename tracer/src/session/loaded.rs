//! Programs and maps in the kernel, attached to nothing yet.

use std::{io, os::fd::AsFd};

use aya::{
    Btf, Ebpf, EbpfError, EbpfLoader, Pod, VerifierLogLevel,
    maps::{HashMap, MapData, MapError, RingBuf},
    programs::{BtfTracePoint, FExit, KProbe, Program, ProgramError, RawTracePoint},
};
use tracer_common::{Hook, Knobs, Offsets};

use super::{
    attached::{Attached, Link},
    memlock,
    misses::Misses,
    stats::Stats,
};
use crate::plan::{Need, Part, Plan, Refusal, Skipped, Target, scratch_blocks};

/// The kernel side, built by `cargo xtask build`.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tracer.bpf.o"));

/// Why nothing could be loaded or attached.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("no hook family works on this host:{}", .0.iter().map(|r| format!("\n  {r}")).collect::<String>())]
    NoFamily(Vec<Refusal>),
    #[error("the kernel-side object cannot be loaded: {}", explain(.0))]
    Object(#[from] EbpfError),
    #[error("program {program} cannot be {what}: {}", explain(.error))]
    Program { program: &'static str, what: &'static str, error: ProgramError },
    #[error("the kernel has none of the functions {0:?}")]
    NoFunction(&'static [&'static str]),
    #[error("map {map}: {error}")]
    Map { map: &'static str, error: MapError },
    #[error("map STATS cannot be mapped into memory: {0}")]
    Stats(io::Error),
    #[error("/proc does not show what the kernel skips: {0}")]
    Misses(io::Error),
    #[error("the kernel-side object has no {0}: tracer was built from parts that do not fit together")]
    Missing(&'static str),
    #[error("this kernel's BTF cannot be read: {0}")]
    Btf(String),
}

/// An error with its causes, and what to make of it.
fn explain(error: &(dyn std::error::Error + 'static)) -> String {
    if let Some(ProgramError::LoadError { io_error, verifier_log }) = error.downcast_ref() {
        let log = verifier_log.to_string();
        return match log.trim() {
            "" => with_advice(io_error.to_string()),
            log => format!("{io_error}. The kernel's verifier says:\n{log}"),
        };
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    with_advice(text)
}

fn with_advice(mut text: String) -> String {
    if text.contains("(os error 13)")
        && let Some(level) = paranoid()
    {
        text.push_str(&format!(
            ": kernel.perf_event_paranoid is {level}, which leaves kprobes to CAP_SYS_ADMIN alone: lower it \
             (sysctl kernel.perf_event_paranoid=2), or take another hook"
        ));
    }
    if !text.contains("(os error 1)") {
        return text;
    }
    if memlock::is_the_obstacle() {
        text.push_str(
            ": before 5.11 the kernel counts maps as locked memory, and more of it is needed than the \
                       limit allows: add CAP_SYS_RESOURCE, or raise the limit (ulimit -l unlimited)",
        );
    } else {
        text.push_str(
            ", although the capabilities are there: this kernel's configuration, a security module, \
                       seccomp or a container forbids it",
        );
    }
    text
}

/// The setting, where it is one that only some distributions' kernels know: they refuse perf events
/// to everyone without CAP_SYS_ADMIN then.
fn paranoid() -> Option<i32> {
    let text = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").ok()?;
    text.trim().parse().ok().filter(|level| *level >= 3)
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Global<T>(T);
// SAFETY: both are `Plain`: integers alone, without padding.
unsafe impl Pod for Global<Offsets> {}
// SAFETY: as above.
unsafe impl Pod for Global<Knobs> {}

/// Programs and maps in the kernel, attached to nothing yet.
pub struct Loaded {
    ebpf: Ebpf,
    hook: Hook,
    parts: Vec<Part>,
    cpus: u32,
    roots: u32,
}

impl Loaded {
    /// Creates the maps and loads the programs of one family.
    pub(super) fn load(plan: &Plan, hook: Hook) -> Result<Self, LoadError> {
        let wishes = &plan.wishes;
        let (offsets, knobs) = (Global(plan.offsets), Global(plan.knobs));
        let tree = if wishes.tree { 65536 } else { 1 };
        let calls = if hook == Hook::Kprobe { 1024 } else { 1 };
        let mut ebpf = EbpfLoader::new()
            .btf(None)
            .verifier_log_level(VerifierLogLevel::STATS)
            .override_global("OFFSETS", &offsets, true)
            .override_global("KNOBS", &knobs, true)
            .map_max_entries("EVENTS", wishes.buffer)
            .map_max_entries("SCRATCH", scratch_blocks(hook))
            .map_max_entries("STATS", plan.cpus)
            .map_max_entries("TREE", tree)
            .map_max_entries("PIDS", entries(wishes.pids.len()))
            .map_max_entries("UIDS", entries(wishes.uids.len()))
            .map_max_entries("COMMS", entries(wishes.comms.len()))
            .map_max_entries("CALLERS", calls)
            .map_max_entries("KERNEL_CALLS", calls)
            .load(OBJECT)?;
        fill(&mut ebpf, "PIDS", &wishes.pids)?;
        fill(&mut ebpf, "UIDS", &wishes.uids)?;
        fill(&mut ebpf, "COMMS", &wishes.comms)?;

        let btf = match hook {
            Hook::Fentry => Some(Btf::from_sys_fs().map_err(|e| LoadError::Btf(e.to_string()))?),
            _ => None,
        };
        let parts = plan.parts(hook);
        for part in &parts {
            load_program(&mut ebpf, part, btf.as_ref())?;
        }
        Ok(Self { ebpf, hook, parts, cpus: plan.cpus, roots: 0 })
    }

    /// Makes these processes part of the traced tree.
    pub(super) fn follow(&mut self, roots: &[u32]) -> Result<(), LoadError> {
        self.roots = roots.len() as u32;
        fill(&mut self.ebpf, "TREE", roots)
    }

    /// Attaches every program. If one fails, all are detached again.
    pub(super) fn attach(mut self) -> Result<Attached, LoadError> {
        let ring = self.ebpf.take_map("EVENTS").ok_or(LoadError::Missing("map EVENTS"))?;
        let ring = RingBuf::try_from(ring).map_err(|error| LoadError::Map { map: "EVENTS", error })?;
        let stats = self.ebpf.map("STATS").ok_or(LoadError::Missing("map STATS"))?;
        let aya::maps::Map::Array(stats) = stats else {
            return Err(LoadError::Missing("array STATS"));
        };
        let stats = Stats::map(stats.fd().as_fd(), self.cpus).map_err(LoadError::Stats)?;
        let mut links = Vec::new();
        // Ends of calls that began before calls were counted.
        let mut early = None;
        for part in &self.parts {
            if part.counts_calls() {
                early.get_or_insert_with(|| stats.read().calls().1);
            }
            attach_program(&mut self.ebpf, part, &mut links)?;
        }
        let early = early.unwrap_or(0);
        let misses = self.misses()?;
        let Self { hook, roots, .. } = self;
        #[cfg_attr(not(feature = "log"), expect(unused_mut, reason = "the log takes its map"))]
        let mut ebpf = self.ebpf;
        Ok(Attached {
            links,
            ring,
            stats,
            misses,
            early,
            hook,
            #[cfg(feature = "log")]
            kernel_log: super::kernel_log::KernelLog::new(&mut ebpf),
            ebpf,
            roots,
        })
    }
}

impl Loaded {
    /// Where to look for the runs that were skipped, of each program.
    fn misses(&mut self) -> Result<Vec<(Skipped, Misses)>, LoadError> {
        let mut all = Vec::new();
        for part in self.parts.iter().filter(|part| part.skipped() != Skipped::Nothing) {
            let program = program(&mut self.ebpf, part)?;
            let wrap = |error| LoadError::Program { program: part.program, what: "found", error };
            let fd = program.fd().map_err(wrap)?;
            all.push((part.skipped(), Misses::of(fd.as_fd()).map_err(LoadError::Misses)?));
        }
        Ok(all)
    }
}

/// A hash map has at least one entry.
fn entries(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX).max(1)
}

fn fill<K: Pod>(ebpf: &mut Ebpf, map: &'static str, keys: &[K]) -> Result<(), LoadError> {
    if keys.is_empty() {
        return Ok(());
    }
    let handle = ebpf.map_mut(map).ok_or(LoadError::Missing(map))?;
    let mut handle: HashMap<&mut MapData, K, u32> =
        HashMap::try_from(handle).map_err(|error| LoadError::Map { map, error })?;
    for key in keys {
        handle.insert(key, 1, 0).map_err(|error| LoadError::Map { map, error })?;
    }
    Ok(())
}

fn program<'a>(ebpf: &'a mut Ebpf, part: &Part) -> Result<&'a mut Program, LoadError> {
    ebpf.program_mut(part.program).ok_or(LoadError::Missing(part.program))
}

fn load_program(ebpf: &mut Ebpf, part: &Part, btf: Option<&Btf>) -> Result<(), LoadError> {
    let no_btf = || LoadError::Btf("it was not read".to_owned());
    let wrap = |error| LoadError::Program { program: part.program, what: "loaded", error };
    let program = program(ebpf, part)?;
    match part.target {
        Target::RawTracepoint(_) => {
            let program: &mut RawTracePoint = program.try_into().map_err(wrap)?;
            program.load()
        }
        Target::BtfTracepoint(name) => {
            let program: &mut BtfTracePoint = program.try_into().map_err(wrap)?;
            program.load(name, btf.ok_or_else(no_btf)?)
        }
        Target::Fexit(function) => {
            let program: &mut FExit = program.try_into().map_err(wrap)?;
            program.load(function, btf.ok_or_else(no_btf)?)
        }
        Target::Kprobe(_) => {
            let program: &mut KProbe = program.try_into().map_err(wrap)?;
            program.load()
        }
    }
    .map_err(wrap)
}

fn attach_program(ebpf: &mut Ebpf, part: &Part, links: &mut Vec<Link>) -> Result<(), LoadError> {
    let wrap = |error| LoadError::Program { program: part.program, what: "attached", error };
    let program = program(ebpf, part)?;
    match part.target {
        Target::RawTracepoint(name) => {
            let program: &mut RawTracePoint = program.try_into().map_err(wrap)?;
            let id = program.attach(name).map_err(wrap)?;
            links.push(Link::new(part, program.take_link(id).map_err(wrap)?));
        }
        Target::BtfTracepoint(_) => {
            let program: &mut BtfTracePoint = program.try_into().map_err(wrap)?;
            let id = program.attach().map_err(wrap)?;
            links.push(Link::new(part, program.take_link(id).map_err(wrap)?));
        }
        Target::Fexit(_) => {
            let program: &mut FExit = program.try_into().map_err(wrap)?;
            let id = program.attach().map_err(wrap)?;
            links.push(Link::new(part, program.take_link(id).map_err(wrap)?));
        }
        Target::Kprobe(functions) => {
            let program: &mut KProbe = program.try_into().map_err(wrap)?;
            let mut attached = 0;
            let mut failure = None;
            for function in functions {
                match program.attach(function, 0) {
                    Ok(id) => {
                        links.push(Link::new(part, program.take_link(id).map_err(wrap)?));
                        attached += 1;
                    }
                    Err(error) if is_not_found(&error) => {}
                    Err(error) => failure = Some(error),
                }
            }
            if let Some(error) = failure {
                return Err(wrap(error));
            }
            if attached == 0 && part.need != Need::IfThere {
                return Err(LoadError::NoFunction(functions));
            }
        }
    }
    Ok(())
}

/// Did the kernel say that there is no such function?
fn is_not_found(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.raw_os_error() == Some(libc::ENOENT);
        }
        cause = error.source();
    }
    false
}
