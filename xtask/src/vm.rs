//! `cargo xtask vm`: boots a kernel and runs tracer, or any program, in it, as if it ran here:
//! its streams are ours, its exit status too, and signals reach it.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::dist;
use crate::guest::{Clock, Ended, Guest, GuestFile, GuestTree, Kit, Stream, with_libraries};
use crate::profiles::Profiles;
use crate::setup::{kernel, require};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The kernel, by a prefix of its version (5.10, 6.1, 6.12, 7.2, ...)
    #[arg(long)]
    kernel: String,
    /// Memory in MiB
    #[arg(long, default_value_t = 512)]
    memory: u32,
    /// CPUs
    #[arg(long, default_value_t = 2)]
    cpus: u32,
    /// Stop the guest when its command takes longer than this many seconds; 0 for no limit
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    timeout: u64,
    /// Count time in instructions, for costs that repeat; implies one CPU
    #[arg(long)]
    icount: bool,
    /// Mount tracefs before the command runs
    #[arg(long)]
    tracefs: bool,
    /// Put a file of this host into the guest, at the same path or at another
    #[arg(long, value_name = "HOST[:GUEST]")]
    file: Vec<OsString>,
    /// Put a folder of this host and all that is in it into the guest
    #[arg(long, value_name = "HOST:GUEST")]
    tree: Vec<String>,
    /// Put a program of this host and the libraries that it needs into the guest
    #[arg(long, value_name = "PATH")]
    program: Vec<PathBuf>,
    /// Set a variable for the command
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// More for the kernel's command line
    #[arg(long, default_value = "", value_name = "TEXT")]
    append: String,
    /// Run a command of the guest's own instead of tracer
    #[arg(long)]
    exec: bool,
    /// Show where the kernel's messages are kept
    #[arg(long)]
    console: bool,
    /// What tracer is given, or with --exec the command itself
    #[arg(last = true, required = true)]
    args: Vec<OsString>,
}

pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let mut guest = Guest::new(require(&kernel::Kernel::new(&args.kernel)?)?, Vec::new());
    guest.command.clone_from(&args.args);
    if !args.exec {
        guest.command.insert(0, OsString::from(dist::GUEST_TRACER));
    }
    guest.files = files(args)?;
    guest.trees = args.tree.iter().map(|text| tree(text)).collect::<Result<_>>()?;
    guest.env = args.env.iter().map(|pair| variable(pair)).collect::<Result<_>>()?;
    guest.cpus = if args.icount { 1 } else { args.cpus };
    guest.memory = args.memory;
    guest.timeout = (args.timeout > 0).then(|| Duration::from_secs(args.timeout));
    guest.clock = if args.icount { Clock::Instructions } else { Clock::Real };
    guest.tracefs = args.tracefs;
    guest.append.clone_from(&args.append);

    let kit = Kit::new()?;
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot take signals")?;
    let ended = guest.stream(&kit, Some(&mut signals), &mut |stream, bytes| {
        // A reader that has gone is no reason to stop a guest that may say so itself.
        let _ = match stream {
            Stream::Stdout => write_all(&mut std::io::stdout().lock(), bytes),
            Stream::Stderr => write_all(&mut std::io::stderr().lock(), bytes),
        };
    })?;
    if args.console {
        eprintln!("xtask: the kernel's messages are in {}", guest.console().display());
    }
    Ok(status(ended, &guest.command))
}

fn write_all(out: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    out.write_all(bytes)?;
    out.flush()
}

fn files(args: &Args) -> Result<Vec<GuestFile>> {
    let mut files = Vec::new();
    if !args.exec {
        files.push(dist::guest_tracer(Profiles::IfThere)?);
    }
    for text in &args.file {
        files.push(file(text)?);
    }
    for program in &args.program {
        files.extend(with_libraries(program)?);
    }
    Ok(files)
}

fn file(text: &OsString) -> Result<GuestFile> {
    let text = text.to_str().with_context(|| format!("--file {text:?} is not UTF-8"))?;
    let (host, guest) = match text.rsplit_once(':') {
        Some((host, guest)) => (PathBuf::from(host), guest.to_owned()),
        None => {
            let path = std::path::absolute(text).with_context(|| format!("--file {text}"))?;
            let guest = path.to_string_lossy().into_owned();
            (path, guest)
        }
    };
    if !guest.starts_with('/') {
        bail!("--file {text}: the guest's path must start with a slash");
    }
    if !host.is_file() {
        bail!("--file {text}: {} is not a file of this host", host.display());
    }
    Ok(GuestFile { host, guest })
}

fn tree(text: &str) -> Result<GuestTree> {
    match text.rsplit_once(':') {
        Some((host, guest)) if guest.starts_with('/') => {
            Ok(GuestTree { host: PathBuf::from(host), guest: guest.to_owned() })
        }
        _ => bail!("--tree {text:?} is not HOST:GUEST, the guest's path with a slash before it"),
    }
}

fn variable(pair: &str) -> Result<(OsString, OsString)> {
    match pair.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => bail!("--env {pair:?} is not NAME=VALUE"),
    }
}

/// A shell's convention: 128 and the signal, 127 for a command that is not there.
fn status(ended: Ended, command: &[OsString]) -> ExitCode {
    match ended {
        Ended::Exit(status) => ExitCode::from(status),
        Ended::Signal(signal) => ExitCode::from(128_u8.saturating_add(signal)),
        Ended::NotStarted(errno) => {
            let error = std::io::Error::from_raw_os_error(errno);
            eprintln!("xtask: the guest cannot run {:?}: {error}", command.first());
            ExitCode::from(if errno == libc::ENOENT { 127 } else { 126 })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_a_place_in_the_guest() {
        let parse = |text: &str| file(&OsString::from(text));
        let here = std::env::current_exe().expect("this program");
        let here = here.to_str().expect("UTF-8");
        assert_eq!(parse(here).expect("same path").guest, here);
        assert_eq!(parse(&format!("{here}:/bin/x")).expect("another path").guest, "/bin/x");
        assert!(parse(&format!("{here}:bin/x")).is_err());
        assert!(parse("/nonexistent/file").is_err());
    }

    #[test]
    fn trees_have_two_places() {
        assert_eq!(tree("a:b:/c").expect("two places").guest, "/c");
        assert!(tree("/a").is_err());
        assert!(tree("/a:b").is_err());
    }

    #[test]
    fn variables_have_a_name() {
        assert_eq!(variable("A=b=c").expect("a pair"), ("A".into(), "b=c".into()));
        assert!(variable("=b").is_err());
        assert!(variable("A").is_err());
    }
}
