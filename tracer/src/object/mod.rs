//! Any BPF ELF object that libbpf would load -> the programs and maps that would reach bpf() on a given kernel.
//!
//! ```text
//! bytes            -> elf, .BTF, .BTF.ext -> externs -> maps -> functions -> relocations   = Object
//! Object, Target   -> externs resolved, struct_ops bound, BTF adapted                      = Resolved
//! Resolved, number -> copy, CO-RE, references, subprograms appended, func and line info    = Program
//! ```
//!
//! `Object` is what the file says; it is the same for every kernel. `Resolved` and `Program` are for one kernel, of
//! which everything is given in `Target`. A program is prepared as if it were the only one that is loaded, so one that
//! cannot be prepared spoils no other.
//!
//! Invariant: the instructions are those that libbpf hands to bpf(), descriptors aside (see `Program`); and no input
//! makes this module panic, recurse without bound or allocate more than its size warrants.
//! It must not know: the verifier's rules, files, system calls.

mod btf_ext;
mod btf_fixup;
pub mod builder;
mod co_re;
mod ctx_tag;
mod elf;
mod error;
mod externs;
mod features;
mod functions;
mod insn;
mod kconfig;
mod kinds;
mod link;
mod map_def;
mod maps;
mod program;
mod relocations;
mod resolve;
mod section_defs;
mod struct_ops;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::verifier::btf::{Btf, DeclTagTarget, FuncLinkage, Refusal, check};

pub use btf_ext::{FuncInfo, LineInfo};
pub use error::ObjectError;
pub use externs::{Demand, Extern, ExternId, ExternKind, KconfigSlot};
pub use features::{KernelFeatures, KernelVersion};
pub use functions::{Autoload, Function, Role};
pub use insn::{FOREIGN_DESCRIPTOR, INSN_SIZE, Insn, poison, pseudo};
pub use kinds::{AttachType, MapType, ProgramType, map_flags, program_flags};
pub use maps::{Contents, Creation, DataKind, Map, MapId, MapKind, Pinning, Slot};
pub use program::{Attach, Placed, Poisoned, Program, SourceLine};
pub use resolve::Resolution;
pub use section_defs::{Extra, SectionDef, section_def};
pub use struct_ops::{Binding, StructOps};
pub use target::{ASSUMED_ADDRESS, Module, ModuleId, Symbols, Target};

/// Index of a program or subprogram in its object, in order of section and place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProgramId(pub u32);

/// A BPF object file, read and checked.
pub struct Object {
    functions: functions::Functions,
    maps: Vec<Map>,
    kconfig_map: Option<MapId>,
    externs: Vec<Extern>,
    /// Completed, for no particular kernel.
    btf: Option<Arc<Btf>>,
    btf_ext: btf_ext::BtfExt,
    exception_tags: Vec<ExceptionTag>,
    globals: Vec<Global>,
    license: String,
    kernel_version: Option<u32>,
}

/// `exception_callback:NAME` on a program.
struct ExceptionTag {
    function: String,
    callback: String,
}

/// A variable in a data section.
struct Global {
    name: String,
    map: MapId,
    offset: u64,
    size: u64,
}

impl Object {
    /// Reads an object file. `file_name` gives data maps their names, as libbpf does it.
    pub fn parse(data: &[u8], file_name: &str) -> Result<Object, ObjectError> {
        let elf = elf::Elf::parse(data)?;
        let raw_btf = match elf.section(".BTF") {
            Some((_, section)) => {
                let parsed = Btf::parse(section.data.to_vec());
                Some(parsed.map_err(|error| ObjectError::Btf {
                    section: ".BTF",
                    error,
                })?)
            }
            None => None,
        };
        let btf_ext = match (elf.section(".BTF.ext"), &raw_btf) {
            (Some((_, section)), Some(btf)) => btf_ext::BtfExt::parse(section.data, btf, &elf)?,
            _ => btf_ext::BtfExt::default(),
        };
        let externs = externs::collect(&elf, raw_btf.as_ref())?;
        let btf = raw_btf
            .map(|btf| btf_fixup::complete(&btf, &elf, &externs))
            .transpose()?;
        let mut maps = maps::collect(&elf, btf.as_ref(), &externs, &maps::object_name(file_name))?;
        let kconfig_map = maps
            .iter()
            .position(|map| matches!(map.kind, MapKind::Kconfig(_)));
        maps.extend(struct_ops::collect(&elf, btf.as_ref())?);
        let mut functions = functions::Functions::collect(&elf)?;
        relocations::collect(&mut relocations::Parts {
            elf: &elf,
            btf: btf.as_ref(),
            externs: &externs,
            functions: &mut functions,
            maps: &mut maps,
        })?;
        Ok(Object {
            exception_tags: btf
                .as_ref()
                .map(exception_tags)
                .transpose()?
                .unwrap_or_default(),
            globals: globals(&elf, &maps),
            license: license(&elf),
            kernel_version: kernel_version(&elf)?,
            functions,
            maps,
            kconfig_map: kconfig_map.map(|index| MapId(index as u32)),
            externs,
            btf: btf.map(Arc::new),
            btf_ext,
        })
    }

    /// The programs, without the subprograms, in the order in which libbpf loads them.
    pub fn programs(&self) -> impl Iterator<Item = (ProgramId, &Function)> {
        self.functions.programs()
    }

    /// A program or subprogram.
    pub fn function(&self, id: ProgramId) -> Option<&Function> {
        self.functions.get(id)
    }

    /// The program of this name.
    pub fn program_named(&self, name: &str) -> Option<ProgramId> {
        self.programs()
            .find(|(_, function)| function.name == name)
            .map(|(id, _)| id)
    }

    pub fn maps(&self) -> &[Map] {
        &self.maps
    }

    /// The maps, to change them before they are created, as a loader may.
    pub fn maps_mut(&mut self) -> &mut [Map] {
        &mut self.maps
    }

    pub fn externs(&self) -> &[Extern] {
        &self.externs
    }

    /// The object's BTF, completed but not adapted to a kernel.
    pub fn btf(&self) -> Option<&Arc<Btf>> {
        self.btf.as_ref()
    }

    /// Empty if there is none.
    pub fn license(&self) -> &str {
        &self.license
    }

    /// What the `version` section says.
    pub fn kernel_version(&self) -> Option<u32> {
        self.kernel_version
    }

    /// Names what a program attaches to, for one whose section does not say it or says something else.
    pub fn set_attach_name(&mut self, id: ProgramId, name: &str) -> Result<(), ObjectError> {
        let function = self.functions.list.get_mut(id.0 as usize);
        let function = function.ok_or(ObjectError::NoSuchProgram { program: id.0 })?;
        function.attach_to = Some(name.into());
        Ok(())
    }

    /// Gives a global variable another initial value. The value must have the variable's size.
    pub fn set_global(&mut self, name: &str, value: &[u8]) -> Result<(), ObjectError> {
        let bad = |reason: &str| {
            Err(ObjectError::Map {
                map: name.into(),
                reason: reason.into(),
            })
        };
        let Some(global) = self.globals.iter().find(|global| global.name == name) else {
            return bad("there is no global variable of this name");
        };
        if global.size != value.len() as u64 {
            return bad(&format!(
                "the variable has {} bytes, the value {}",
                global.size,
                value.len()
            ));
        }
        let Some(map) = self.maps.get_mut(global.map.0 as usize) else {
            return bad("its section has no map");
        };
        let size = map.value_size as usize;
        let MapKind::Data(_, contents) = &mut map.kind else {
            return bad("its section holds no data");
        };
        if *contents == Contents::Zero {
            *contents = Contents::Bytes(vec![0; size]);
        }
        let Contents::Bytes(bytes) = contents else {
            return Ok(());
        };
        let start = global.offset as usize;
        match bytes.get_mut(start..start.saturating_add(value.len())) {
            Some(place) => place.copy_from_slice(value),
            None => return bad("the variable lies outside of its section"),
        }
        Ok(())
    }

    /// Fits the object to a kernel.
    pub fn resolve<'o>(&'o self, target: &'o Target<'o>) -> Result<Resolved<'o>, ObjectError> {
        let mut maps = self.maps.clone();
        let externs = resolve::externs(self, &mut maps, target)?;
        let bound = struct_ops::bind(self, &mut maps, target);
        let without_size =
            |map: &&mut Map| map.map_type == MapType::PERF_EVENT_ARRAY && map.max_entries == 0;
        for map in maps.iter_mut().filter(without_size) {
            map.max_entries = target.possible_cpus.unwrap_or(0);
        }
        let mut btf = match self.btf.as_deref() {
            Some(btf) => Some(Arc::new(btf_fixup::for_kernel(
                btf,
                &self.functions.list,
                &target.features,
            )?)),
            None => None,
        };
        let refused = btf
            .as_deref()
            .and_then(|btf| check(btf, target.features.btf_rules()).err());
        if refused.is_some() {
            btf = None;
        }
        for map in &mut maps {
            adapt_types(map, btf.as_deref());
            map.inner
                .as_deref_mut()
                .into_iter()
                .for_each(|inner| adapt_types(inner, btf.as_deref()));
        }
        Ok(Resolved {
            object: self,
            target,
            maps,
            externs,
            bound,
            btf,
            refused,
            attach_points: program::attach_points(self, target),
        })
    }
}

/// Types of keys and values are for kernels that have the object's BTF, and for some types of maps.
fn adapt_types(map: &mut Map, btf: Option<&Btf>) {
    if map.map_type.is_created_without_btf() || btf.is_none() && map.map_type != MapType::STRUCT_OPS
    {
        (map.key_type, map.value_type) = Default::default();
    }
}

/// An object on one kernel.
pub struct Resolved<'o> {
    object: &'o Object,
    target: &'o Target<'o>,
    maps: Vec<Map>,
    externs: Vec<Resolution>,
    bound: struct_ops::Bound,
    /// What the kernel has; `None` also if it refused it.
    btf: Option<Arc<Btf>>,
    refused: Option<Refusal>,
    attach_points: program::AttachPoints,
}

impl Resolved<'_> {
    /// The maps, as they will be created on this kernel.
    pub fn maps(&self) -> &[Map] {
        &self.maps
    }

    /// What each of the object's externs is on this kernel.
    pub fn externs(&self) -> &[Resolution] {
        &self.externs
    }

    /// The object's BTF as this kernel has it. `None` if there is none, or the kernel refuses it.
    pub fn btf(&self) -> Option<&Arc<Btf>> {
        self.btf.as_ref()
    }

    /// Why the kernel refuses the object's BTF. A loader goes on without it, unless the object has struct_ops.
    pub fn btf_refusal(&self) -> Option<Refusal> {
        self.refused
    }

    /// struct_ops maps that this kernel cannot take, and why. A loader that creates all maps fails at the first.
    pub fn unfit_maps(&self) -> &[(MapId, ObjectError)] {
        &self.bound.unfit
    }

    /// The programs that are loaded unless the user says otherwise.
    pub fn autoloaded(&self) -> impl Iterator<Item = ProgramId> {
        let decided = |id: ProgramId, function: &Function| {
            *self.bound.autoload.get(&id).unwrap_or(&function.autoload) == Autoload::Yes
        };
        self.object
            .programs()
            .filter(move |(id, function)| decided(*id, function))
            .map(|(id, _)| id)
    }

    /// One program, ready for bpf(BPF_PROG_LOAD).
    pub fn program(&self, id: ProgramId) -> Result<Program, ObjectError> {
        program::build(self, id)
    }
}

fn exception_tags(btf: &Btf) -> Result<Vec<ExceptionTag>, ObjectError> {
    let mut tags = Vec::new();
    for (_, tag) in btf
        .decl_tags()
        .filter(|(_, tag)| tag.target == DeclTagTarget::Whole)
    {
        let Some(callback) = tag.name.strip_prefix("exception_callback:") else {
            continue;
        };
        let func = btf
            .func_by_id(tag.type_id)
            .filter(|func| func.linkage == FuncLinkage::Global);
        let Some(func) = func.filter(|_| !callback.is_empty()) else {
            let reason = format!(
                "tag '{}' is not on a global function, or names none",
                tag.name
            );
            return Err(ObjectError::section(".BTF", 0, reason));
        };
        tags.push(ExceptionTag {
            function: func.name.into(),
            callback: callback.into(),
        });
    }
    Ok(tags)
}

fn globals(elf: &elf::Elf<'_>, maps: &[Map]) -> Vec<Global> {
    let data = maps
        .iter()
        .enumerate()
        .filter(|(_, map)| matches!(map.kind, MapKind::Data(..)));
    let by_section: std::collections::HashMap<_, _> = data
        .map(|(index, map)| (map.section, MapId(index as u32)))
        .collect();
    let variables = elf
        .symbols
        .iter()
        .filter(|symbol| symbol.is_object() && symbol.section.is_some());
    let global = |symbol: &elf::Symbol<'_>| {
        let map = *by_section.get(&symbol.section)?;
        Some(Global {
            name: symbol.name.into(),
            map,
            offset: symbol.value,
            size: symbol.size,
        })
    };
    variables.filter_map(global).collect()
}

/// At most 63 bytes, up to the NUL.
fn license(elf: &elf::Elf<'_>) -> String {
    let data = elf
        .section("license")
        .map_or(&[][..], |(_, section)| section.data);
    let bytes = data.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(&bytes[..bytes.len().min(63)]).into_owned()
}

fn kernel_version(elf: &elf::Elf<'_>) -> Result<Option<u32>, ObjectError> {
    let Some((_, section)) = elf.section("version") else {
        return Ok(None);
    };
    match <[u8; 4]>::try_from(section.data) {
        Ok(bytes) => Ok(Some(u32::from_le_bytes(bytes))),
        Err(_) => Err(ObjectError::section(
            "version",
            0,
            format!("it has {} bytes, not 4", section.data.len()),
        )),
    }
}
