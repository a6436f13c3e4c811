//! The command of `-- CMD…`: started at once, held back until its tree is traced, then let go.
//!
//! It is forked before anything is attached and waits at a pipe, so that its very first exec is
//! seen, and so that it keeps the privilege that tracer later drops.

use std::{
    ffi::{CString, OsString},
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::PathBuf,
};

/// A command that waits to be released, or runs.
#[derive(Debug)]
pub struct Command {
    pid: libc::pid_t,
    gate: Option<File>,
    verdict: Option<File>,
    program: PathBuf,
    ended: Option<Ended>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Exited(i32),
    Killed(i32),
}

impl Ended {
    /// As a shell reports it.
    pub const fn status(self) -> i32 {
        match self {
            Self::Exited(status) => status,
            Self::Killed(signal) => 128 + signal,
        }
    }
}

/// Why a command cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("an argument of the command has a NUL byte in it")]
    Nul,
    #[error("the command cannot be started: {0}")]
    Fork(io::Error),
    #[error("{}: {}{error}", program.display(), hint(error))]
    Exec { program: PathBuf, error: io::Error },
}

impl CommandError {
    /// The exit status that says so, as shells have it.
    pub fn status(&self) -> i32 {
        match self {
            Self::Exec { error, .. } if error.raw_os_error() == Some(libc::ENOENT) => 127,
            Self::Exec { .. } => 126,
            Self::Nul | Self::Fork(_) => 1,
        }
    }
}

/// The program is there, or nobody would have tried.
fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ENOENT) => "the interpreter that it names is not there: ",
        _ => "",
    }
}

fn pipe() -> io::Result<(File, File)> {
    let mut ends = [0; 2];
    // SAFETY: the argument has room for two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both were just opened and belong to nobody else.
    Ok(unsafe { (File::from(OwnedFd::from_raw_fd(ends[0])), File::from(OwnedFd::from_raw_fd(ends[1]))) })
}

impl Command {
    /// Forks a child that will execute `program` with these arguments, the first of which is its
    /// name. Must be called while this process has one thread.
    pub fn prepare(program: PathBuf, argv: Vec<OsString>) -> Result<Self, CommandError> {
        let path =
            CString::new(program.clone().into_os_string().into_vec()).map_err(|_| CommandError::Nul)?;
        let argv = argv
            .into_iter()
            .map(|arg| CString::new(arg.into_vec()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| CommandError::Nul)?;
        let mut pointers: Vec<_> = argv.iter().map(|arg| arg.as_ptr()).collect();
        pointers.push(std::ptr::null());
        let (hold, gate) = pipe().map_err(CommandError::Fork)?;
        let (verdict, report) = pipe().map_err(CommandError::Fork)?;
        // SAFETY: this process has one thread; the child only makes system calls.
        let pid = unsafe { libc::fork() };
        if pid < 0 {
            return Err(CommandError::Fork(io::Error::last_os_error()));
        }
        if pid == 0 {
            drop(gate);
            drop(verdict);
            // SAFETY: the strings live on in this copy of the process.
            unsafe { run_child(&hold, &report, path.as_ptr(), pointers.as_ptr()) }
        }
        Ok(Self { pid, gate: Some(gate), verdict: Some(verdict), program, ended: None })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.pid as u32
    }

    /// Lets the command go, and waits until it has been executed.
    pub fn release(&mut self) -> Result<(), CommandError> {
        if let Some(mut gate) = self.gate.take() {
            gate.write_all(&[1]).map_err(CommandError::Fork)?;
        }
        let mut errno = [0; 4];
        let Some(mut verdict) = self.verdict.take() else { return Ok(()) };
        match verdict.read_exact(&mut errno) {
            // The pipe was closed by the exec: it succeeded.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Err(e) => Err(CommandError::Fork(e)),
            Ok(()) => Err(CommandError::Exec {
                program: self.program.clone(),
                error: io::Error::from_raw_os_error(i32::from_ne_bytes(errno)),
            }),
        }
    }

    /// How it ended, if it has.
    pub fn poll(&mut self) -> Option<Ended> {
        if self.ended.is_none() {
            let mut status = 0;
            // SAFETY: `status` is writable.
            if unsafe { libc::waitpid(self.pid, &raw mut status, libc::WNOHANG) } == self.pid {
                self.ended = Some(if libc::WIFSIGNALED(status) {
                    Ended::Killed(libc::WTERMSIG(status))
                } else {
                    Ended::Exited(libc::WEXITSTATUS(status))
                });
            }
        }
        self.ended
    }

    /// Passes a signal on, if the command still runs.
    pub fn signal(&mut self, signal: i32) {
        if self.poll().is_none() {
            // SAFETY: the process has not been waited for, so the id is still its own.
            unsafe { libc::kill(self.pid, signal) };
        }
    }
}

impl Drop for Command {
    /// A command that was never released ends: its gate closes.
    fn drop(&mut self) {
        if self.gate.take().is_some() {
            let mut status = 0;
            // SAFETY: `status` is writable; the child ends at once when its gate is closed.
            unsafe { libc::waitpid(self.pid, &raw mut status, 0) };
        }
    }
}

/// Waits at the gate, then becomes the command.
///
/// # Safety
/// `path` is a C string, `argv` an array of them that ends with a null pointer.
unsafe fn run_child(
    hold: &File,
    report: &File,
    path: *const libc::c_char,
    argv: *const *const libc::c_char,
) -> ! {
    let mut go = 0_u8;
    // SAFETY: system calls on descriptors and strings that live as long as this process.
    unsafe {
        loop {
            let n = libc::read(hold.as_raw_fd(), (&raw mut go).cast(), 1);
            if n == 1 {
                break;
            }
            if n == 0 || *libc::__errno_location() != libc::EINTR {
                libc::_exit(0);
            }
        }
        // Rust ignores SIGPIPE; the command expects the default.
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::execv(path, argv);
        let errno = *libc::__errno_location();
        libc::write(report.as_raw_fd(), (&raw const errno).cast(), 4);
        libc::_exit(127)
    }
}
