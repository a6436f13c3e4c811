//! Programs as `object` and `check` make them of the object files, instead of the recorded inputs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tracer::check;
use tracer::object::{KernelFeatures, KernelVersion, Object, Symbols, Target, program_flags};
use tracer::verifier::btf::Btf;
use tracer::verifier::{Program, Release};

/// The programs of the objects of a directory, on one kernel.
pub(crate) struct Objects {
    dir: PathBuf,
    programs: BTreeMap<String, BTreeMap<String, Result<Program, String>>>,
}

impl Objects {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.join("obj"), programs: BTreeMap::new() }
    }

    /// One program. The flags that are the test's own wish are the recorded ones.
    pub(crate) fn program(
        &mut self,
        object: &str,
        name: &str,
        flags: u32,
        btf: &Btf,
        release: Release,
    ) -> Result<Program, String> {
        if !self.programs.contains_key(object) {
            let programs = read(&self.dir.join(object), object, btf, release)?;
            self.programs.insert(object.into(), programs);
        }
        let program = self.programs[object].get(name).cloned();
        let mut program = program.unwrap_or_else(|| Err("no such program".into()))?;
        program.flags |= flags & !(program_flags::SLEEPABLE | program_flags::XDP_HAS_FRAGS);
        Ok(program)
    }
}

fn read(
    path: &Path,
    name: &str,
    btf: &Btf,
    release: Release,
) -> Result<BTreeMap<String, Result<Program, String>>, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let object = Object::parse(&bytes, name).map_err(|error| error.to_string())?;
    let target = Target {
        btf: Some(btf),
        modules: &[],
        features: KernelFeatures::of(KernelVersion::new(release.major, release.minor, 0)),
        kconfig: Some(""),
        symbols: Symbols::Unknown,
        possible_cpus: Some(2),
    };
    let resolved = object.resolve(&target).map_err(|error| error.to_string())?;
    let program = |id| {
        let prepared = resolved.program(id).map_err(|error| error.to_string())?;
        check::program(&resolved, &prepared).map_err(|unmodelled| unmodelled.feature.to_owned())
    };
    Ok(object.programs().map(|(id, function)| (function.name.clone(), program(id))).collect())
}
