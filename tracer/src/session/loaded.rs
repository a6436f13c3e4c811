//! Programs and maps in the kernel, attached to nothing yet.

use std::{
    ffi::CString,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use tracer_common::Hook;

use super::{
    LoadError,
    attached::{Attached, Link},
    bpf::{self, ProgramAttr, ProgramBtf},
    fdinfo::FdInfo,
    gate::{self, Judgement, Precheck},
    kernel_side::{self, Kernel},
    kprobe::{At, Kprobes},
    maps::{self, Maps},
    ring::Ring,
    snapshot::Snapshot,
    stats::Stats,
};
use crate::{
    object::{self, Attach, Program},
    plan::{Need, Part, Plan, SNAPSHOT, Skipped, Target},
};

/// Programs and maps in the kernel, attached to nothing yet.
pub struct Loaded {
    /// In the order of attachment.
    programs: Vec<(Part, OwnedFd)>,
    maps: Maps,
    judged: Vec<Judgement>,
    hook: Hook,
    cpus: u32,
    /// Bytes of the ring.
    buffer: u32,
    roots: u32,
    /// The program that tells the processes that there are, or why there is none; `None`: nobody asked.
    snapshot: Option<Result<OwnedFd, String>>,
}

impl Loaded {
    /// Creates the maps and loads the programs of one family.
    pub(super) fn load(
        plan: &Plan,
        hook: Hook,
        kernel: &Kernel<'_>,
        precheck: Precheck,
    ) -> Result<Self, LoadError> {
        let object = kernel_side::object(plan, hook)?;
        let target = kernel.target();
        let resolved = object.resolve(&target)?;
        let mut parts = plan.parts(hook);
        let mut programs = kernel_side::programs(&object, &resolved, kernel, &parts)?;
        let mut snapshot = None;
        if plan.wishes.follow.table {
            match kernel_side::programs(&object, &resolved, kernel, &[SNAPSHOT]) {
                Ok(program) => {
                    programs.extend(program);
                    parts.push(SNAPSHOT);
                }
                Err(error) => snapshot = Some(Err(error.to_string())),
            }
        }
        let judged = match precheck {
            Precheck::Off => Vec::new(),
            _ => gate::judge(&resolved, &programs, kernel.profile()),
        };
        if precheck == Precheck::Enforce {
            let explain =
                |(judged, program)| gate::explanation(judged, program, object.license(), kernel.version);
            if let Some(text) = judged.iter().zip(&programs).find_map(explain) {
                return Err(LoadError::Precheck(text));
            }
        }

        let license = CString::new(object.license()).unwrap_or_default();
        let maps = Maps::create(resolved.maps(), &kernel_side::maps_of(&programs))?;
        let btf = match resolved.btf() {
            Some(btf) => Some(
                bpf::btf_load(btf.bytes())
                    .map_err(|refused| LoadError::OwnBtf { error: refused.error, log: refused.log })?,
            ),
            None => None,
        };
        let btf = btf.as_ref().map(AsFd::as_fd);
        let mut loaded = Vec::new();
        for (index, (part, program)) in parts.into_iter().zip(programs).enumerate() {
            let expected = judged.get(index).and_then(Judgement::accepted);
            match load_program(program, &part, &maps, &license, btf) {
                Ok(program) if part.target == Target::Iterator => snapshot = Some(Ok(program)),
                Ok(program) => loaded.push((part, program)),
                Err(LoadError::Refused { program, error, log })
                    if expected == Some(true) && !log.is_empty() =>
                {
                    return Err(LoadError::Disagreement { program, error, log });
                }
                // Without it, what was there before is not known; the rest is.
                Err(error) if part.target == Target::Iterator => snapshot = Some(Err(error.to_string())),
                Err(error) => return Err(error),
            }
        }
        let loaded = Self {
            snapshot,
            programs: loaded,
            maps,
            judged,
            hook,
            cpus: plan.cpus,
            buffer: plan.wishes.buffer,
            roots: 0,
        };
        let wishes = &plan.wishes;
        loaded.fill("PIDS", wishes.pids.iter().map(|pid| pid.to_ne_bytes()))?;
        loaded.fill("UIDS", wishes.uids.iter().map(|uid| uid.to_ne_bytes()))?;
        loaded.fill("COMMS", wishes.comms.iter().copied())?;
        loaded.connect()?;
        Ok(loaded)
    }

    /// Lets programs go on in others, those that do.
    fn connect(&self) -> Result<(), LoadError> {
        for (part, program) in &self.programs {
            let Some((name, array)) = part.array.and_then(|name| Some((name, self.maps.named(name)?))) else {
                continue;
            };
            let (first, program) = (0_u32.to_ne_bytes(), program.as_raw_fd().to_ne_bytes());
            let fail = |error| LoadError::Map { map: name.to_owned(), what: "filled", error };
            bpf::map_update(array, &first, &program, 0).map_err(fail)?;
        }
        Ok(())
    }

    fn fill<const N: usize>(
        &self,
        map: &'static str,
        keys: impl Iterator<Item = [u8; N]>,
    ) -> Result<(), LoadError> {
        for key in keys {
            let fd = self.maps.named(map).ok_or(LoadError::Missing(map))?;
            maps::insert(fd, &key).map_err(|error| LoadError::Map {
                map: map.to_owned(),
                what: "filled",
                error,
            })?;
        }
        Ok(())
    }

    /// Makes these processes part of the traced tree.
    pub(super) fn follow(&mut self, roots: &[u32]) -> Result<(), LoadError> {
        self.roots = roots.len() as u32;
        self.fill("TREE", roots.iter().map(|pid| pid.to_ne_bytes()))
    }

    /// Attaches every program. If one fails, all are detached again.
    pub(super) fn attach(mut self) -> Result<Attached, LoadError> {
        let ring = self.maps.take("EVENTS").ok_or(LoadError::Missing("map EVENTS"))?;
        let ring = Ring::map(ring, self.buffer).map_err(LoadError::Ring)?;
        let stats = self.maps.named("STATS").ok_or(LoadError::Missing("map STATS"))?;
        let stats = Stats::map(stats, self.cpus).map_err(LoadError::Stats)?;
        let mut attaching = Attaching { kprobes: None, links: Vec::new() };
        // Ends of calls that began before calls were counted.
        let mut early = None;
        for (part, program) in &self.programs {
            if part.counts_calls() {
                early.get_or_insert_with(|| stats.read().calls().1);
            }
            attaching.attach(part, program.as_fd())?;
        }
        let misses = self.misses()?;
        let snapshot = self.snapshot.take().map(|program| {
            let counts = self.maps.named("SNAPSHOT").ok_or("the kernel-side object has no map SNAPSHOT")?;
            Snapshot::open(program?.as_fd(), counts)
                .map_err(|error| format!("its iterator cannot be opened: {error}"))
        });
        Ok(Attached {
            links: attaching.links,
            snapshot,
            ring,
            stats,
            misses,
            early: early.unwrap_or(0),
            hook: self.hook,
            #[cfg(feature = "log")]
            kernel_log: self.programs.first().and_then(|(_, p)| super::kernel_log::KernelLog::of(p.as_fd())),
            programs: self.programs,
            meter: None,
            shedding: None,
            maps: self.maps,
            judged: self.judged,
            roots: self.roots,
        })
    }

    /// Where to look for the runs that were skipped, of each program.
    fn misses(&self) -> Result<Vec<(Skipped, FdInfo)>, LoadError> {
        let mut all = Vec::new();
        for (part, program) in &self.programs {
            if part.skipped() != Skipped::Nothing {
                all.push((part.skipped(), FdInfo::of(program.as_fd()).map_err(LoadError::Misses)?));
            }
        }
        Ok(all)
    }
}

/// Puts descriptors in, and loads one program.
fn load_program(
    mut program: Program,
    part: &Part,
    maps: &Maps,
    license: &CString,
    btf: Option<BorrowedFd<'_>>,
) -> Result<OwnedFd, LoadError> {
    for insn in program.insns.iter_mut().filter(|insn| insn.refers_to_map()) {
        let fd = maps.fd(object::MapId(insn.imm as u32)).ok_or(LoadError::Missing("map of that number"))?;
        insn.imm = fd.as_raw_fd();
    }
    let functions: Vec<_> = program.func_info.iter().map(|info| [info.insn, info.type_id.0]).collect();
    let lines: Vec<_> = program
        .line_info
        .iter()
        .map(|info| [info.insn, info.file_name, info.text, info.line << 10 | u32::from(info.column)])
        .collect();
    let attr = ProgramAttr {
        program_type: program.program_type as u32,
        attach_type: program.attach_type.0,
        flags: program.flags,
        name: bpf::name(&program.name),
        insns: &program.bytes(),
        license,
        btf: btf.map(|fd| ProgramBtf { fd, functions: &functions, lines: &lines }),
        attach_type_id: match program.attach {
            Attach::Btf { type_id, .. } => type_id.0,
            _ => 0,
        },
        attach_btf: None,
    };
    bpf::prog_load(&attr).map_err(|refused| LoadError::Refused {
        program: part.program,
        error: refused.error,
        log: refused.log,
    })
}

/// Attaches one program after the other.
struct Attaching {
    /// Read when the first kprobe comes.
    kprobes: Option<Kprobes>,
    links: Vec<Link>,
}

impl Attaching {
    fn attach(&mut self, part: &Part, program: BorrowedFd<'_>) -> Result<(), LoadError> {
        let fail = |error| LoadError::Attach { program: part.program, error };
        match part.target {
            Target::RawTracepoint(name) => {
                let name = CString::new(name).unwrap_or_default();
                let link = bpf::raw_tracepoint_open(Some(&name), program).map_err(fail)?;
                self.links.push(Link::new(part, link));
            }
            Target::BtfTracepoint(_) | Target::Fexit(_) => {
                let link = bpf::raw_tracepoint_open(None, program).map_err(fail)?;
                self.links.push(Link::new(part, link));
            }
            Target::Kprobe(functions) => self.kprobes(part, functions, At::Entry, program)?,
            Target::Kretprobe(functions) => self.kprobes(part, functions, At::Return, program)?,
            // It is read, not attached.
            Target::Iterator => {}
        }
        Ok(())
    }

    /// On each of the functions that this kernel has.
    fn kprobes(
        &mut self,
        part: &Part,
        functions: &'static [&'static str],
        at: At,
        program: BorrowedFd<'_>,
    ) -> Result<(), LoadError> {
        let fail = |error| LoadError::Attach { program: part.program, error };
        let kprobes = match &self.kprobes {
            Some(kprobes) => kprobes,
            None => self.kprobes.insert(Kprobes::of_this_kernel().map_err(fail)?),
        };
        let before = self.links.len();
        for function in functions {
            let name = CString::new(*function).unwrap_or_default();
            match kprobes.attach(&name, at, program) {
                Ok(link) => self.links.push(Link::new(part, link)),
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                Err(error) => return Err(fail(error)),
            }
        }
        if self.links.len() == before && part.need != Need::IfThere {
            return Err(LoadError::NoFunction(functions));
        }
        Ok(())
    }
}
