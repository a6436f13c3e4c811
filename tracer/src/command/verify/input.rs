//! Object files: from a path, or from standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::object::Object;

/// What is larger is no BPF object, whatever it says.
const MAX_SIZE: u64 = 256 << 20;

/// An object file that was read.
pub(super) struct Input {
    /// As it is shown.
    pub(super) name: String,
    pub(super) parsed: Object,
}

/// Reads and parses an object; the error names it.
pub(super) fn read(path: &Path) -> Result<Input, String> {
    let stdin = path.as_os_str() == "-";
    let name = if stdin { "<stdin>".to_owned() } else { path.display().to_string() };
    let failed = |error: &dyn std::fmt::Display| format!("{name}: {error}");
    let bytes = if stdin { all(io::stdin().lock()) } else { File::open(path).and_then(all) };
    let bytes = bytes.map_err(|error| failed(&error))?;
    if bytes.is_empty() {
        return Err(failed(&"it is empty; a BPF object file is expected"));
    }
    let file_name = if stdin { "stdin" } else { name.as_str() };
    let parsed = Object::parse(&bytes, file_name).map_err(|error| failed(&error))?;
    if parsed.programs().next().is_none() {
        return Err(failed(&"it has no BPF programs"));
    }
    Ok(Input { name, parsed })
}

fn all(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(io::Error::other(format!("it has more than {} MiB: no BPF object does", MAX_SIZE >> 20)));
    }
    Ok(bytes)
}
