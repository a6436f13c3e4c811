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

mod attach;
mod btf_ext;
mod btf_fixup;
pub mod builder;
mod co_re;
mod ctx_tag;
mod details;
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
mod resolved;
pub mod sample;
mod section_defs;
mod struct_ops;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::verifier::btf::Btf;

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
pub use resolved::Resolved;
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
    exception_tags: Vec<details::ExceptionTag>,
    globals: Vec<details::Global>,
    license: String,
    kernel_version: Option<u32>,
}

/// How large a section of zeros may be that is given values.
const MAX_BSS: usize = 1 << 28;

impl Object {
    /// Reads an object file. `file_name` gives data maps their names, as libbpf does it.
    pub fn parse(data: &[u8], file_name: &str) -> Result<Object, ObjectError> {
        let elf = elf::Elf::parse(data)?;
        let raw_btf = match elf.section(".BTF") {
            Some((_, section)) => {
                let parsed = Btf::parse(section.data.to_vec());
                Some(parsed.map_err(|error| ObjectError::Btf { section: ".BTF", error })?)
            }
            None => None,
        };
        let btf_ext = match (elf.section(".BTF.ext"), &raw_btf) {
            (Some((_, section)), Some(btf)) => btf_ext::BtfExt::parse(section.data, btf, &elf)?,
            _ => btf_ext::BtfExt::default(),
        };
        let externs = externs::collect(&elf, raw_btf.as_ref())?;
        let btf = raw_btf.map(|btf| btf_fixup::complete(&btf, &elf, &externs)).transpose()?;
        let mut maps = maps::collect(&elf, btf.as_ref(), &externs, &maps::object_name(file_name))?;
        let kconfig_map = maps.iter().position(|map| matches!(map.kind, MapKind::Kconfig(_)));
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
            exception_tags: btf.as_ref().map(details::exception_tags).transpose()?.unwrap_or_default(),
            globals: details::globals(&elf, &maps),
            license: details::license(&elf),
            kernel_version: details::kernel_version(&elf)?,
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
        self.programs().find(|(_, function)| function.name == name).map(|(id, _)| id)
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
        let bad = |reason: &str| Err(ObjectError::Map { map: name.into(), reason: reason.into() });
        let Some(global) = self.globals.iter().find(|global| global.name == name) else {
            return bad("there is no global variable of this name");
        };
        if global.size != value.len() as u64 {
            return bad(&format!("the variable has {} bytes, the value {}", global.size, value.len()));
        }
        let Some(map) = self.maps.get_mut(global.map.0 as usize) else {
            return bad("its section has no map");
        };
        let size = map.value_size as usize;
        let MapKind::Data(_, contents) = &mut map.kind else {
            return bad("its section holds no data");
        };
        if *contents == Contents::Zero {
            if size > MAX_BSS {
                return bad("its section is too large to have other values than zero");
            }
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
}
