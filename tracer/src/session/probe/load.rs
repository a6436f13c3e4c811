//! A run's programs and maps in the kernel.

use std::{
    collections::BTreeSet,
    ffi::CString,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use tracer_common::{
    aggregate::{Here, syscall},
    bytes_of,
};

use crate::{
    object::{Attach, Map, MapId, Program},
    plan::probe::{Ends, Place, ProbeRun},
};

use super::{
    super::{
        LoadError,
        bpf::{self, MapAttr, ProgramAttr, ProgramBtf},
        gate::Judgement,
        kernel_side::maps_of,
        maps::{self, Maps},
    },
    fit::{COUNTS, Fitted, Kernelside},
    settings::Settings,
};

/// Everything that programs need to be loaded.
pub(super) struct Loader {
    pub(super) maps: Maps,
    here: MapId,
    here_map: Map,
    btf: Option<OwnedFd>,
    license: CString,
    /// As the model says, for the programs of this name.
    accepted: BTreeSet<String>,
}

impl Loader {
    /// Creates and fills the maps.
    pub(super) fn new(side: &Kernelside, run: &ProbeRun, settings: &Settings) -> Result<Self, LoadError> {
        let used = side.programs.iter().flat_map(|fitted| maps_of(std::slice::from_ref(&fitted.program)));
        let mut wanted: BTreeSet<MapId> = used.collect();
        wanted.remove(&side.here);
        // The end needs them, whatever programs use.
        let always = ["EVENTS", "STATS", "COUNTERS", COUNTS, "GROUPS", "TREE"];
        wanted.extend((0..side.maps.len() as u32).map(MapId).filter(|id| {
            side.maps.get(id.0 as usize).is_some_and(|map| always.contains(&map.name.as_str()))
        }));
        let maps = Maps::create(&side.maps, &wanted)?;
        let btf = match &side.btf {
            Some(btf) => Some(
                bpf::btf_load(btf.bytes())
                    .map_err(|refused| LoadError::OwnBtf { error: refused.error, log: refused.log })?,
            ),
            None => None,
        };
        let accepted = side.judged.iter().filter(|judged| judged.accepted() == Some(true));
        let loader = Self {
            maps,
            here: side.here,
            here_map: side.maps.get(side.here.0 as usize).cloned().ok_or(LoadError::Missing("map HERE"))?,
            btf,
            license: CString::new(side.license.as_str()).unwrap_or_default(),
            accepted: accepted.map(|judged| judged.program.clone()).collect(),
        };
        loader.fill(run, settings)?;
        Ok(loader)
    }

    fn fill(&self, run: &ProbeRun, settings: &Settings) -> Result<(), LoadError> {
        let who = &run.who;
        self.insert("PIDS", who.pids.iter().map(|pid| pid.to_ne_bytes()))?;
        self.insert("UIDS", who.uids.iter().map(|uid| uid.to_ne_bytes()))?;
        self.insert("COMMS", who.comms.iter().copied())?;
        for (number, point) in settings.points.iter().enumerate() {
            self.set("POINTS", number as u32, bytes_of(point))?;
        }
        // Of several points of one system call the first stands, and is written last.
        for (number, point) in run.points.iter().enumerate().rev() {
            if let Place::Syscall { number: call, .. } = &point.place {
                let moments = match settings.ends.get(number) {
                    Some(Ends::Entry) => syscall::AT_ENTRY,
                    Some(Ends::Return) => syscall::AT_RETURN,
                    _ => syscall::AT_ENTRY | syscall::AT_RETURN,
                };
                self.set("SYSCALLS", *call, &((number as u32 + 1) | moments).to_ne_bytes())?;
            }
        }
        Ok(())
    }

    /// Sets an array's element, if programs use the array.
    fn set(&self, map: &'static str, index: u32, value: &[u8]) -> Result<(), LoadError> {
        let Some(fd) = self.maps.named(map) else { return Ok(()) };
        bpf::map_update(fd, &index.to_ne_bytes(), value, 0).map_err(|error| LoadError::Map {
            map: map.to_owned(),
            what: "filled",
            error,
        })
    }

    pub(super) fn insert<const N: usize>(
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

    /// Loads a program, for one point or for all. `bound` is what it is bound to: a type of the kernel's BTF, or of a
    /// module's.
    pub(super) fn load(
        &self,
        fitted: &Fitted,
        here: &Here,
        bound: Option<(u32, Option<BorrowedFd<'_>>)>,
    ) -> Result<OwnedFd, LoadError> {
        let program = &fitted.program;
        let differs = program.insns.iter().any(|insn| insn.refers_to_map() && insn.imm as u32 == self.here.0);
        let here = if differs { Some(self.constants(here)?) } else { None };
        let mut insns = program.insns.clone();
        for insn in insns.iter_mut().filter(|insn| insn.refers_to_map()) {
            let id = MapId(insn.imm as u32);
            let fd = if id == self.here { here.as_ref().map(AsFd::as_fd) } else { self.maps.fd(id) };
            insn.imm = fd.ok_or(LoadError::Missing("map of that number"))?.as_raw_fd();
        }
        let bytes: Vec<u8> = insns.iter().flat_map(|insn| insn.to_bytes()).collect();
        let (functions, lines) = debug_info(program);
        let own = match program.attach {
            Attach::Btf { type_id, .. } => type_id.0,
            _ => 0,
        };
        let attr = ProgramAttr {
            program_type: program.program_type as u32,
            attach_type: program.attach_type.0,
            flags: program.flags,
            name: bpf::name(&program.name),
            insns: &bytes,
            license: &self.license,
            btf: self.btf.as_ref().map(|btf| ProgramBtf {
                fd: btf.as_fd(),
                functions: &functions,
                lines: &lines,
            }),
            attach_type_id: bound.map_or(own, |(id, _)| id),
            attach_btf: bound.and_then(|(_, btf)| btf),
        };
        let name = fitted.class.program;
        bpf::prog_load(&attr).map_err(|refused| {
            let (error, log) = (refused.error, refused.log);
            // Where it is bound to is the kernel's to judge: the model was asked about the program.
            if self.accepted.contains(&program.name) && !log.is_empty() && bound.is_none() {
                LoadError::Disagreement { program: name, error, log }
            } else {
                LoadError::Refused { program: name, error, log }
            }
        })
    }

    /// A map of what a program knows about its place.
    fn constants(&self, here: &Here) -> Result<OwnedFd, LoadError> {
        let map = &self.here_map;
        let attr = MapAttr {
            map_type: map.map_type.0,
            key_size: map.key_size,
            value_size: map.value_size,
            max_entries: map.max_entries,
            flags: map.flags,
            name: bpf::name(&map.kernel_name),
            ..MapAttr::default()
        };
        let make = || -> io::Result<OwnedFd> {
            let fd = bpf::map_create(&attr)?;
            bpf::map_update(fd.as_fd(), &0_u32.to_ne_bytes(), bytes_of(here), 0)?;
            bpf::map_freeze(fd.as_fd())?;
            Ok(fd)
        };
        make().map_err(|error| LoadError::Map { map: map.name.clone(), what: "created", error })
    }
}

/// `struct bpf_func_info` and `struct bpf_line_info` of a program.
fn debug_info(program: &Program) -> (Vec<[u32; 2]>, Vec<[u32; 4]>) {
    let functions = program.func_info.iter().map(|info| [info.insn, info.type_id.0]);
    let lines = program
        .line_info
        .iter()
        .map(|info| [info.insn, info.file_name, info.text, info.line << 10 | u32::from(info.column)]);
    (functions.collect(), lines.collect())
}

/// The pre-check's verdicts, which the run keeps.
pub(super) fn judged(side: Kernelside) -> (Vec<Fitted>, Vec<Judgement>) {
    (side.programs, side.judged)
}
