//! What the meaning of a command line depends on, apart from its words.

use std::ffi::OsStr;
use std::io::IsTerminal;

use crate::enrich::{CgroupError, Users, cgroup_by};
use crate::event::Cgroup;

/// Questions to the host; a test answers them itself.
pub trait World {
    /// Size of a page in bytes: a power of two.
    fn page_size(&self) -> u64;
    /// What standard output is.
    fn stdout(&self) -> Stdout;
    /// Whether the user asked programs for plain text (`NO_COLOR`, `TERM=dumb`).
    fn wants_plain(&self) -> bool;
    /// The number of a user.
    fn uid_of(&self, name: &str) -> Option<u32>;
    /// All users' names.
    fn user_names(&self) -> Vec<String>;
    fn process_exists(&self, pid: u32) -> bool;
    /// The cgroup with this path or id.
    ///
    /// # Errors
    /// If there is none, or no cgroup2 hierarchy to look in.
    fn cgroup(&self, spec: &OsStr) -> Result<Cgroup, CgroupError>;
}

/// What standard output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdout {
    Terminal,
    Other,
}

/// This host.
#[derive(Debug, Default)]
pub struct Live {
    users: Users,
}

impl Live {
    /// This host, with the users of `/etc/passwd`.
    pub fn new() -> Self {
        Self { users: Users::of_this_host() }
    }
}

impl World for Live {
    fn page_size(&self) -> u64 {
        // SAFETY: sysconf() only reads its argument.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        u64::try_from(size).unwrap_or(4096)
    }

    fn stdout(&self) -> Stdout {
        match std::io::stdout().is_terminal() {
            true => Stdout::Terminal,
            false => Stdout::Other,
        }
    }

    fn wants_plain(&self) -> bool {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        set("NO_COLOR").is_some() || set("TERM").is_some_and(|term| term == "dumb")
    }

    fn uid_of(&self, name: &str) -> Option<u32> {
        self.users.uid(name)
    }

    fn user_names(&self) -> Vec<String> {
        self.users.names().map(str::to_string).collect()
    }

    fn process_exists(&self, pid: u32) -> bool {
        std::path::Path::new("/proc").join(pid.to_string()).exists()
    }

    fn cgroup(&self, spec: &OsStr) -> Result<Cgroup, CgroupError> {
        cgroup_by(spec)
    }
}
