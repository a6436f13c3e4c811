//! What a real kernel says: it is booted, and libbpf loads each program alone.
//!
//! Its answers are kept under the kernel's version and a hash of all that went into them: neither changes by itself.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::answer::{self, Answer, Key};
use super::compile::{LIBRARIES, LINKER_IN_GUEST, MORE_LIBRARIES};
use super::corpus::Object;
use crate::guest::{Ended, Guest, GuestFile, Kit};
use crate::setup::{clang, kernel};
use crate::{paths, step};

/// Where libraries are looked for in the guest.
const GUEST_LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";
const GUEST_LOADER: &str = "/bin/loader";
const GUEST_OBJECTS: &str = "/corpus";

/// libbpf reads the configuration from a file that is named after the release.
const CONFIG: &str = "mkdir -p /boot && ln -s /config /boot/config-$(uname -r); ";

/// A loader for each of the guest's two CPUs; what they say must not mix.
const SCRIPT: &str = "loader -p 0/2 \"$@\" > /even & loader -p 1/2 \"$@\" > /odd; odd=$?; wait $! && cat /even /odd && exit $odd";

/// The whole corpus takes a few minutes under emulation, on a busy machine more.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A kernel's answers, by program.
///
/// # Errors
/// The guest fails, or says less than it was asked.
pub(super) fn of(
    kit: &Kit,
    kernel: &kernel::Found,
    objects: &[Object],
    loader: &Path,
    tools: &clang::Found,
) -> Result<BTreeMap<Key, Answer>> {
    let kept =
        paths::conformance().join(format!("truth-{}-{:016x}.jsonl", kernel.version, hash(objects, loader)?));
    if let Ok(text) = fs::read_to_string(&kept) {
        return Ok(answer::read(&text, |_| {}));
    }
    step::say(&format!("kernel {} judges {} objects", kernel.version, objects.len()));
    let mut guest = guest(kernel, objects, loader, tools, SCRIPT);
    guest.timeout = Some(PATIENCE);
    let output = guest.run(kit)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.ended != Ended::Exit(0) {
        bail!("the loader ended with {:?} on {}: {}", output.ended, kernel.version, step::tail(&said, 5));
    }
    for line in said.lines() {
        step::say(&format!("[{}] {line}", kernel.version));
    }
    let mut odd = 0;
    let answers = answer::read(&text, |_| odd += 1);
    if answers.is_empty() || odd > 0 {
        bail!("kernel {}: {} answers, and {odd} lines that are none", kernel.version, answers.len());
    }
    fs::write(&kept, text).with_context(|| format!("cannot write {}", kept.display()))?;
    Ok(answers)
}

fn hash(objects: &[Object], loader: &Path) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    for path in objects.iter().map(|object| object.path.as_path()).chain([loader]) {
        path.file_name().hash(&mut hasher);
        fs::read(path).with_context(|| format!("cannot read {}", path.display()))?.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

/// A guest that holds these objects and the loader, and runs a shell's `script` with the objects as its arguments.
pub(crate) fn guest(
    kernel: &kernel::Found,
    objects: &[Object],
    loader: &Path,
    tools: &clang::Found,
    script: &str,
) -> Guest {
    let mut command: Vec<OsString> =
        ["/bin/sh", "-c", &format!("{CONFIG}{script}"), "sh"].map(OsString::from).to_vec();
    let mut files = vec![
        GuestFile { host: loader.to_owned(), guest: GUEST_LOADER.to_owned() },
        GuestFile { host: tools.linker(), guest: LINKER_IN_GUEST.to_owned() },
        GuestFile { host: kernel.image.with_file_name("config"), guest: "/config".to_owned() },
    ];
    for library in LIBRARIES.iter().chain(&MORE_LIBRARIES) {
        files.push(GuestFile { host: tools.library(library), guest: format!("{GUEST_LIBRARIES}/{library}") });
    }
    let mut size = 0;
    for object in objects {
        let guest = format!("{GUEST_OBJECTS}/{}", object.name());
        size += fs::metadata(&object.path).map_or(0, |meta| meta.len());
        command.push(guest.clone().into());
        files.push(GuestFile { host: object.path.clone(), guest });
    }
    let mut guest = Guest::new(kernel.clone(), command);
    guest.files = files;
    // The archive and what is unpacked from it are there at the same time.
    guest.memory = 1024 + u32::try_from(size >> 19).unwrap_or(u32::MAX / 2);
    guest
}
