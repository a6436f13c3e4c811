//! What commands that trace have in common: finding, opening, refusing.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, IsTerminal, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::PathBuf,
    time::Duration,
};

use super::Outcome;
use crate::{
    cli::Output as To,
    enrich::{self, LookupError, Users},
    event::WallClock,
    host::HostFacts,
    session::{Cause, Judgement, LoadError},
    sink::{self, Colour, Look, Table},
};

/// What this host is.
pub(super) fn facts() -> Result<HostFacts, Outcome> {
    HostFacts::read()
        .map_err(|e| Outcome::HostCannot(format!("this host cannot be looked at: {e}; is /proc mounted?")))
}

/// Prints to standard output. A reader that goes away has had enough.
pub fn print(bytes: &[u8]) -> Outcome {
    match io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Outcome::Failed(format!("standard output cannot be written: {error}"))
        }
        _ => Outcome::Done,
    }
}

/// The table of a run.
pub(super) fn table(clock: WallClock, to: &To, colour: Colour) -> Table {
    let look = Look {
        columns: columns(to),
        colour,
        utc_offset_s: enrich::utc_offset_s(clock.unix_ns(boot_ns()) / 1_000_000_000),
    };
    Table::new(clock, look, Users::of_this_host())
}

pub(super) fn refused(error: LoadError) -> Outcome {
    let message = error.to_string();
    match error.cause() {
        Cause::Host => Outcome::HostCannot(message),
        Cause::Precheck => Outcome::PrecheckRefuses(message),
        Cause::Disagreement => Outcome::KernelDisagrees(message),
    }
}

/// Tells where the pre-check and the kernel, which took every program, do not agree.
pub(super) fn judged(judged: &[Judgement], verbosity: u8) {
    for judgement in judged {
        match judgement.accepted() {
            Some(true) => {}
            Some(false) => eprintln!(
                "tracer: pre-check: {}. The kernel takes it: a fault of tracer's model, please report it",
                judgement.line()
            ),
            None => eprintln!("tracer: pre-check: {}. The kernel takes it", judgement.line()),
        }
    }
    if verbosity > 0 && !judged.is_empty() {
        let elapsed: Duration = judged.iter().map(|judgement| judgement.elapsed).sum();
        let insns: u64 = judged.iter().map(|j| u64::from(j.report.stats.insns_processed)).sum();
        eprintln!(
            "tracer: pre-check: {} programs, {insns} instructions processed in {:.1} ms of processor time",
            judged.len(),
            elapsed.as_secs_f64() * 1e3
        );
    }
}

pub(super) fn find(command: &[OsString]) -> Result<PathBuf, Outcome> {
    let name = command.first().cloned().unwrap_or_default();
    let path = std::env::var_os("PATH");
    enrich::find_command(&name, path.as_deref(), enrich::probe).map_err(|error| {
        eprintln!("tracer: {error}");
        Outcome::Status(match error {
            LookupError::NotFound(_) => 127,
            LookupError::NotExecutable(_) => 126,
        })
    })
}

pub(super) fn open(to: &To) -> Result<File, Outcome> {
    match to {
        To::Stdout => sink::stdout()
            .map_err(|e| Outcome::Usage(format!("standard output cannot be written to: {e}; use -o FILE"))),
        To::File(path) => {
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(|e| {
                Outcome::Usage(format!(
                    "-o {}: cannot be written: {e}; name a file in a directory that you may write to",
                    path.display()
                ))
            })
        }
    }
}

/// Time since boot, suspended time included, in nanoseconds.
pub(super) fn boot_ns() -> u64 {
    clock(libc::CLOCK_BOOTTIME) as u64
}

fn clock(id: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

pub(super) fn wall_clock() -> WallClock {
    WallClock { offset_ns: clock(libc::CLOCK_REALTIME) - clock(libc::CLOCK_BOOTTIME) }
}

pub(super) fn columns(output: &To) -> Option<usize> {
    match output {
        To::Stdout if io::stdout().is_terminal() => enrich::columns(io::stdout().as_fd()),
        _ => None,
    }
}
