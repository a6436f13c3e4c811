//! The BPF objects that the distribution's libbpf-tools carry: whole ELF files within each program's constants.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::paths;
use crate::setup::{apt, index};

const SUITE: &str = "trixie";
const PACKAGE: &str = "libbpf-tools";

/// ELF's machine number for BPF, as it lies in the header with the type (relocatable) before it.
const BPF_RELOCATABLE: [u8; 4] = [1, 0, 247, 0];

/// The objects, by name; unpacked once.
///
/// # Errors
/// The package cannot be had, or holds none.
pub(super) fn objects() -> Result<Vec<PathBuf>> {
    let folder = paths::conformance().join("tools");
    let complete = folder.join("complete");
    if !complete.is_file() {
        let suite = apt::Suite::open(SUITE)?;
        let packages = suite.packages(|name| name == PACKAGE)?;
        let package =
            index::newest(&packages, PACKAGE).with_context(|| format!("{SUITE} has no {PACKAGE}"))?;
        let unpacked = folder.join("unpacked");
        suite.unpack(package, &unpacked)?;
        let mut count = 0;
        for entry in
            fs::read_dir(unpacked.join("usr/sbin")).context("libbpf-tools holds no programs")?.flatten()
        {
            if !entry.file_type()?.is_file() {
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            let name = name.trim_end_matches("-libbpf").to_owned();
            let bytes = fs::read(entry.path()).with_context(|| format!("cannot read {name}"))?;
            for (number, object) in embedded(&bytes).into_iter().enumerate() {
                let suffix = if number == 0 { String::new() } else { format!("-{number}") };
                fs::write(folder.join(format!("{name}{suffix}.tool.o")), object)?;
                count += 1;
            }
        }
        if count == 0 {
            bail!("no program of {PACKAGE} carries a BPF object");
        }
        fs::remove_dir_all(&unpacked).context("cannot remove what was unpacked")?;
        fs::write(&complete, "").context("cannot mark the tools' objects as complete")?;
    }
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)?.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "o"));
    files.sort();
    Ok(files)
}

/// The BPF ELF files within a program's bytes.
fn embedded(bytes: &[u8]) -> Vec<&[u8]> {
    let magic = b"\x7fELF\x02\x01\x01";
    memchr::memmem::find_iter(bytes, magic)
        .filter(|start| bytes.get(start + 16..start + 20) == Some(&BPF_RELOCATABLE))
        .filter_map(|start| {
            let object = &bytes[start..];
            let sections = u64::from_le_bytes(*object.get(0x28..)?.first_chunk::<8>()?);
            let count = u16::from_le_bytes(*object.get(0x3c..)?.first_chunk::<2>()?);
            // The table of sections ends the file.
            let end = usize::try_from(sections).ok()?.checked_add(64 * usize::from(count))?;
            object.get(..end)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_cut_out_of_a_program() {
        let mut object = b"\x7fELF\x02\x01\x01".to_vec();
        object.resize(64, 0);
        object[16..20].copy_from_slice(&BPF_RELOCATABLE);
        object[0x28] = 64;
        object[0x3c] = 1;
        object.resize(128, 7);
        let program = [b"\x7fELF\x02\x01\x01 of another machine".as_slice(), &object, b"more"].concat();
        assert_eq!(embedded(&program), [object.as_slice()]);
        assert_eq!(embedded(&program[..program.len() - 10]), Vec::<&[u8]>::new());
    }
}
