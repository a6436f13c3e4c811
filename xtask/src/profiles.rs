//! `cargo xtask profiles`: what tracer embeds of each kernel that it is tested on, in `target/profiles/`.
//!
//! Version, BTF and configuration come out of the distribution's kernel packages: the image holds the first two. The
//! files that read an image and lay out a profile are tracer's own. All of the BTF is kept: a pointer walk, a CO-RE
//! relocation, an attach target or a kfunc can need any type, and the largest parts that nothing needs, the names of
//! parameters, are a tenth of it once compressed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::setup::{KERNELS, kernel, require};
use crate::{paths, step};

#[path = "../../tracer/src/profiles/image/mod.rs"]
#[expect(unreachable_pub, reason = "tracer's public module, of which one function is needed")]
mod image;
#[path = "../../tracer/src/profiles/pack.rs"]
#[expect(dead_code, reason = "tracer reads what is written here")]
mod pack;

use pack::Packed;

/// The variable that names the folder of profiles to tracer's build script.
const VARIABLE: &str = "TRACER_PROFILES";

/// Whether tracer is built with profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profiles {
    /// With those of all kernels; what is missing is made, kernels fetched for it.
    Made,
    /// With those that are there: nothing is fetched.
    IfThere,
}

/// The build script's variable, if tracer is to be built with profiles.
///
/// # Errors
/// As [`make`].
pub(crate) fn variable(embed: Profiles) -> Result<Option<(&'static str, PathBuf)>> {
    let folder = match embed {
        Profiles::Made => Some(make()?),
        Profiles::IfThere => Some(paths::profiles()).filter(|folder| folder.is_dir()),
    };
    Ok(folder.map(|folder| (VARIABLE, folder)))
}

const SUFFIX: &str = ".profile.xz";

#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn main(_: &Args) -> Result<ExitCode> {
    let folder = make()?;
    for entry in fs::read_dir(&folder)?.flatten() {
        let size = entry.metadata()?.len();
        println!("{} ({} KiB)", entry.path().display(), size / 1024);
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the profiles of all kernels that have none yet; returns their folder, which holds no others.
///
/// # Errors
/// A kernel cannot be had, or its image cannot be read.
pub(crate) fn make() -> Result<PathBuf> {
    let folder = paths::profiles();
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut wanted = Vec::new();
    for series in KERNELS {
        let kernel = require(&kernel::Kernel::new(series)?)?;
        wanted.push(of(&kernel, &folder)?);
    }
    for entry in fs::read_dir(&folder)?.flatten() {
        if !wanted.contains(&entry.path()) {
            fs::remove_file(entry.path())
                .with_context(|| format!("cannot remove {}", entry.path().display()))?;
        }
    }
    Ok(folder)
}

/// The profile's file, made unless it is newer than the kernel's image.
fn of(kernel: &kernel::Found, folder: &Path) -> Result<PathBuf> {
    let file = folder.join(format!("{}{SUFFIX}", kernel.version));
    let changed = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    if changed(&file).is_some_and(|made| changed(&kernel.image).is_some_and(|image| made > image)) {
        return Ok(file);
    }
    step::say(&format!("profile of kernel {}", kernel.version));
    let shown = kernel.image.display();
    let bytes = fs::read(&kernel.image).with_context(|| format!("cannot read {shown}"))?;
    let image = image::read(&bytes).with_context(|| shown.to_string())?;
    let config = kernel.image.with_file_name("config");
    let config = fs::read_to_string(&config).with_context(|| format!("cannot read {}", config.display()))?;
    let packed = Packed {
        // The package's version: Debian's releases were called 5.10.0-32 and did not tell the patch level.
        release: kernel.version.clone(),
        config: config
            .lines()
            .filter(|line| line.starts_with("CONFIG_"))
            .fold(String::new(), |text, line| text + line + "\n"),
        btf: image.btf.with_context(|| format!("{shown} has no BTF"))?,
    };
    let options = lzma_rust2::XzOptions::with_preset(9);
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).context("cannot compress a profile")?;
    writer.write_all(&packed.encode()).context("cannot compress a profile")?;
    let compressed = writer.finish().context("cannot compress a profile")?;
    // By way of another name: an interrupted run leaves none that looks complete.
    let partial = file.with_extension("partial");
    fs::write(&partial, compressed).with_context(|| format!("cannot write {}", partial.display()))?;
    fs::rename(&partial, &file).with_context(|| format!("cannot name {}", file.display()))?;
    Ok(file)
}
