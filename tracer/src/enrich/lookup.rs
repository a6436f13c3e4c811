//! Commands on PATH, found as execvp(3) finds them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What a path is to someone who wants to execute it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    Executable,
    /// It exists, and may not be executed.
    Denied,
    Absent,
}

/// Why a command cannot be run, in shells' terms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// Exit code 127.
    #[error("{}: no such command", .0.display())]
    NotFound(OsString),
    /// Exit code 126.
    #[error("{}: not executable", .0.display())]
    NotExecutable(PathBuf),
}

/// Looks at a path of this host.
pub fn probe(path: &Path) -> Probe {
    let Ok(meta) = std::fs::metadata(path) else {
        return Probe::Absent;
    };
    let Ok(name) = std::ffi::CString::new(path.as_os_str().as_bytes()) else {
        return Probe::Absent;
    };
    // SAFETY: `name` is a C string that outlives the call.
    let allowed =
        unsafe { libc::faccessat(libc::AT_FDCWD, name.as_ptr(), libc::X_OK, libc::AT_EACCESS) == 0 };
    match meta.is_file() && allowed {
        true => Probe::Executable,
        false => Probe::Denied,
    }
}

/// The file that a command names. A name with a slash is a path; another is looked for in the
/// directories of `path` (`PATH`; the C library's default if it is not set).
///
/// # Errors
/// If there is no such file, or none that may be executed.
pub fn find_command(
    name: &OsStr,
    path: Option<&OsStr>,
    probe: impl Fn(&Path) -> Probe,
) -> Result<PathBuf, LookupError> {
    let not_found = || LookupError::NotFound(name.into());
    if name.is_empty() {
        return Err(not_found());
    }
    if name.as_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        return match probe(&path) {
            Probe::Executable => Ok(path),
            Probe::Denied => Err(LookupError::NotExecutable(path)),
            Probe::Absent => Err(not_found()),
        };
    }
    let path = path.unwrap_or(OsStr::new("/bin:/usr/bin"));
    let mut denied = None;
    for directory in path.as_bytes().split(|byte| *byte == b':') {
        // An empty directory is the current one.
        let candidate = match directory {
            [] => Path::new(".").join(name),
            directory => Path::new(OsStr::from_bytes(directory)).join(name),
        };
        match probe(&candidate) {
            Probe::Executable => return Ok(candidate),
            Probe::Denied => denied = denied.or(Some(candidate)),
            Probe::Absent => {}
        }
    }
    Err(denied.map_or_else(not_found, LookupError::NotExecutable))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, path: Option<&str>, expected: Result<&str, &str>) {
        let files = |path: &Path| match path.to_str() {
            Some("/a/ls" | "/bin/sh" | "./here" | "sub/x") => Probe::Executable,
            Some("/b/ls" | "/b/data" | "/a") => Probe::Denied,
            _ => Probe::Absent,
        };
        let found = find_command(OsStr::new(name), path.map(OsStr::new), files);
        let found = found.map(|path| path.display().to_string());
        let expected = expected.map(str::to_string).map_err(str::to_string);
        assert_eq!(found.map_err(|error| error.to_string()), expected);
    }

    #[test]
    fn commands_are_found_as_execvp_finds_them() {
        check("ls", Some("/b:/a"), Ok("/a/ls"));
        check("sh", None, Ok("/bin/sh"));
        check("here", Some("/a::/b"), Ok("./here"));
        check("sub/x", Some(""), Ok("sub/x"));
        check("data", Some("/a:/b"), Err("/b/data: not executable"));
        check("/a", None, Err("/a: not executable"));
        check("nosuch", Some("/a:/b"), Err("nosuch: no such command"));
        check("", Some("/a"), Err(": no such command"));
    }
}
