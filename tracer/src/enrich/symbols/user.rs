//! Symbols of running programs: what lies at an address of a process, and what the file there calls it.
//!
//! What a process has mapped is read when it is first asked for, again when an address lies in nothing that was
//! known, and again after [`FRESH`]: a process may load libraries, and after an exec it is another program.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt, fs::OpenOptionsExt},
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};

use super::{
    Position, UserFrame,
    elf::Functions,
    maps::{self, FileId, Mapping},
};

/// How long what was read of a process is believed.
const FRESH: Duration = Duration::from_millis(250);
/// Most processes, and most files, that are remembered.
const MAX_PROCESSES: usize = 512;
const MAX_FILES: usize = 128;

/// Why a process' addresses have no names.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    #[error("the process had ended before its mappings could be read")]
    Ended,
    #[error("the mappings of the process cannot be read: {0}")]
    Unreadable(io::Error),
}

/// Symbols of running programs.
#[derive(Debug, Default)]
pub(super) struct UserSymbols {
    processes: HashMap<u32, Process>,
    files: HashMap<FileId, Rc<Functions>>,
}

#[derive(Debug)]
struct Process {
    mappings: Vec<Mapping>,
    read: Instant,
}

impl Process {
    fn read(pid: u32) -> Result<Self, UserError> {
        match std::fs::read(format!("/proc/{pid}/maps")) {
            Ok(text) => Ok(Self { mappings: maps::parse(&text), read: Instant::now() }),
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOENT | libc::ESRCH) => Err(UserError::Ended),
                _ => Err(UserError::Unreadable(error)),
            },
        }
    }

    fn mapping(&self, address: u64) -> Option<&Mapping> {
        let next = self.mappings.partition_point(|mapping| mapping.start <= address);
        let mapping = self.mappings.get(next.checked_sub(1)?)?;
        (address < mapping.end).then_some(mapping)
    }
}

impl UserSymbols {
    /// Calls `tell` with each frame of a stack, given the innermost first.
    pub(super) fn stack(
        &mut self,
        pid: u32,
        addresses: impl Iterator<Item = u64> + Clone,
        mut tell: impl FnMut(UserFrame<'_>),
    ) -> Result<(), UserError> {
        let result = self.look(pid, addresses.clone());
        let process = self.processes.get(&pid);
        for (index, address) in addresses.enumerate() {
            let looked_up = Position::of(index).looked_up(address);
            let mapping = process.and_then(|process| process.mapping(looked_up));
            let Some(mapping) = mapping else {
                tell(UserFrame { address, symbol: None, offset: None, file: None });
                continue;
            };
            let functions = functions(&mut self.files, pid, mapping);
            let before = address - looked_up;
            let place = functions.address((looked_up - mapping.start).saturating_add(mapping.offset));
            let found = place.and_then(|place| functions.at(place));
            tell(UserFrame {
                address,
                symbol: found.map(|(name, _)| name),
                offset: found.map(|(_, offset)| offset).or(place).map(|offset| offset.saturating_add(before)),
                file: (!mapping.name.is_empty()).then_some(&mapping.name),
            });
        }
        result
    }

    /// Makes sure that what the process has mapped is known, as well as it can be.
    fn look(&mut self, pid: u32, addresses: impl Iterator<Item = u64>) -> Result<(), UserError> {
        if let Some(process) = self.processes.get(&pid) {
            let known = |(index, address)| process.mapping(Position::of(index).looked_up(address)).is_some();
            if process.read.elapsed() < FRESH && addresses.enumerate().all(known) {
                return Ok(());
            }
        }
        // What it once was says nothing of what it is.
        self.processes.remove(&pid);
        if self.processes.len() >= MAX_PROCESSES {
            self.processes.clear();
        }
        self.processes.insert(pid, Process::read(pid)?);
        Ok(())
    }
}

/// The functions of what is mapped there; none, if it cannot be read.
fn functions(files: &mut HashMap<FileId, Rc<Functions>>, pid: u32, mapping: &Mapping) -> Rc<Functions> {
    if mapping.file.inode == 0 {
        return Rc::default();
    }
    if let Some(known) = files.get(&mapping.file) {
        return known.clone();
    }
    let functions = Rc::new(open(pid, mapping).map(Functions::of).unwrap_or_default());
    if files.len() >= MAX_FILES {
        files.clear();
    }
    files.insert(mapping.file, functions.clone());
    functions
}

/// Opens the file that is mapped: the very one where the kernel allows that, else the one that has its name in the
/// process' view, if it still is the same.
fn open(pid: u32, mapping: &Mapping) -> Option<File> {
    let Mapping { start, end, .. } = mapping;
    let exact = PathBuf::from(format!("/proc/{pid}/map_files/{start:x}-{end:x}"));
    let mut named = format!("/proc/{pid}/root").into_bytes();
    named.extend_from_slice(&mapping.name);
    [exact, PathBuf::from(std::ffi::OsStr::from_bytes(&named))].iter().find_map(|path| {
        // Whatever has the name by now: it is not waited for.
        let file =
            OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).ok()?;
        let meta = file.metadata().ok()?;
        (meta.is_file() && meta.ino() == mapping.file.inode).then_some(file)
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[inline(never)]
    #[unsafe(no_mangle)]
    extern "C" fn tracer_symbols_test_function() -> u64 {
        std::hint::black_box(7)
    }

    fn frames(pid: u32, addresses: &[u64]) -> Vec<(Option<String>, Option<u64>, Option<String>)> {
        let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let mut frames = Vec::new();
        let tell = |frame: UserFrame<'_>| frames.push((text(frame.symbol), frame.offset, text(frame.file)));
        UserSymbols::default().stack(pid, addresses.iter().copied(), tell).unwrap();
        frames
    }

    #[test]
    fn this_programs_own_function_has_its_name() {
        assert_eq!(tracer_symbols_test_function(), 7);
        let address = tracer_symbols_test_function as *const () as u64;
        let exe = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
        let name = Some("tracer_symbols_test_function".to_owned());
        // As the innermost frame, and as a place where a call inside of it returns to.
        let found = frames(std::process::id(), &[address, address + 1, 0x10]);
        assert_eq!(found[0], (name.clone(), Some(0), Some(exe.clone())));
        assert_eq!(found[1], (name, Some(1), Some(exe)));
        assert_eq!(found[2], (None, None, None));
    }

    #[test]
    fn a_library_without_a_symbol_table_has_the_names_that_it_exports() {
        let found = frames(std::process::id(), &[libc::getpid as *const () as u64]);
        let (name, offset, file) = &found[0];
        assert!(name.as_ref().is_some_and(|name| name.ends_with("getpid")), "{found:?}");
        assert_eq!(*offset, Some(0));
        assert!(file.as_ref().is_some_and(|file| file.contains("libc")), "{found:?}");
    }

    #[test]
    fn a_process_that_is_gone_is_told() {
        let mut told = Vec::new();
        let pid = u32::MAX;
        let result = UserSymbols::default().stack(pid, [1, 2].into_iter(), |frame| told.push(frame.address));
        assert!(matches!(result, Err(UserError::Ended)), "{result:?}");
        assert_eq!(told, [1, 2]);
    }
}
