//! Degraded data as values: whole, partial with the cause, missing with the reason.

use std::{borrow::Cow, fmt};

use tracer_common::probe::MAX_FRAMES;

use super::errno_name;

/// A field of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a, T> {
    Known(T),
    /// Not whole: what there is, and what the rest was lost to.
    Partial(T, Cut),
    Missing(Missing<'a>),
}

impl<T: Copy> Value<'_, T> {
    /// What there is of the value.
    pub fn shown(&self) -> Option<T> {
        match self {
            Self::Known(value) | Self::Partial(value, _) => Some(*value),
            Self::Missing(_) => None,
        }
    }
}

impl<'a, T> Value<'a, T> {
    /// Why there is none, if there is none.
    pub fn missing(&self) -> Option<Missing<'a>> {
        match self {
            Self::Missing(reason) => Some(*reason),
            _ => None,
        }
    }

    /// Why it is not whole, if it is partial.
    pub fn cut(&self) -> Option<Cut> {
        match self {
            Self::Partial(_, cut) => Some(*cut),
            _ => None,
        }
    }
}

/// Why a value is partial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The beginning of a path is missing: it has more components or bytes than the kernel side
    /// copies. What is left does not start with a slash.
    PathStart,
    /// A number that is only a lower bound, since the arguments were not read to their end.
    AtLeast,
    /// A text is longer than this many bytes: its end is missing.
    Text(u32),
    /// A stack has as many frames as are kept: it may be deeper.
    Frames,
    /// A sum over threads, of which there were more than the kernel side looks at.
    Threads,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PathStart => "the path is too long: its beginning is missing",
            Self::AtLeast => "a lower bound: the arguments were not read to their end",
            Self::Threads => "a lower bound: the process had more threads than are summed up",
            Self::Text(limit) => {
                return write!(f, "the text is longer than {limit} bytes: its end is missing");
            }
            Self::Frames => {
                return write!(f, "no more than {MAX_FRAMES} frames are kept: there may be outer ones");
            }
        })
    }
}

/// Why a value is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing<'a> {
    /// The kernel has it, but reading it failed at the event.
    Unread,
    /// Some of the elements could not be read.
    UnreadElements(u32),
    /// It was never set.
    NotSet,
    /// The exec failed, so that there is none.
    Failed,
    /// Part of what it is computed from was lost.
    Lost,
    /// Of a call whose entry was not seen.
    EntryUnseen,
    /// Of a call whose return was not seen.
    ReturnUnseen,
    /// The kernel answered with this error.
    Errno(u32),
    /// Left out because the run costs too much.
    Shed,
    /// This host cannot give it: the plan's reason.
    Unavailable(&'a str),
}

impl<'a> Missing<'a> {
    /// The reason in words.
    pub fn text(&self) -> Cow<'a, str> {
        Cow::Borrowed(match *self {
            Self::Unread => "could not be read at the event",
            Self::UnreadElements(1) => "1 element could not be read at the event",
            Self::UnreadElements(n) => {
                return Cow::Owned(format!("{n} elements could not be read at the event"));
            }
            Self::NotSet => "not set",
            Self::Failed => "the exec failed",
            Self::Lost => "cannot be told: part of the arguments was lost",
            Self::EntryUnseen => "the entry of the call was not seen",
            Self::ReturnUnseen => "the return of the call was not seen",
            Self::Errno(errno) => {
                return Cow::Owned(format!("could not be read at the event: {}", errno_name(errno)));
            }
            Self::Shed => "left out to keep below --max-overhead",
            Self::Unavailable(reason) => reason,
        })
    }
}

impl fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// The fields that this host can never give, each with the reason: what the plan knows before the
/// first event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unavailable {
    mask: u64,
    reasons: Vec<(u64, String)>,
}

impl Unavailable {
    /// Adds a field ([`tracer_common::field`]; several bits for several fields) and its reason.
    pub fn add(&mut self, field: u64, reason: impl Into<String>) {
        self.mask |= field;
        self.reasons.push((field, reason.into()));
    }

    /// The fields, as bits of [`tracer_common::field`].
    pub fn mask(&self) -> u64 {
        self.mask
    }

    /// The reason for one field, if it is unavailable.
    pub fn reason(&self, field: u64) -> Option<&str> {
        let (_, reason) = self.reasons.iter().find(|(bits, _)| bits & field != 0)?;
        Some(reason)
    }

    /// Every (JSON field, reason).
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        NAMES.iter().flat_map(|(bit, names)| {
            let reason = self.reason(*bit);
            names.iter().filter_map(move |name| Some((*name, reason?)))
        })
    }
}

/// The JSON fields that a bit of [`tracer_common::field`] stands for.
const NAMES: [(u64, &[&str]); 25] = {
    use tracer_common::exit_field::*;
    use tracer_common::field::*;
    [
        (START, &["id"]),
        (PPID, &["ppid"]),
        (PARENT_START, &["parent_id"]),
        (PARENT_COMM, &["parent_comm"]),
        (CGROUP, &["cgroup_id"]),
        (EUID, &["euid", "egid"]),
        (LOGIN_UID, &["login_uid"]),
        (SESSION_ID, &["session_id"]),
        (PID_NS, &["pid_ns"]),
        (MNT_NS, &["mnt_ns"]),
        (NS_PID, &["ns_pid"]),
        (FILENAME, &["filename"]),
        (INTERPRETER, &["interpreter"]),
        (EXE, &["exe"]),
        (CWD, &["cwd"]),
        (ARGV, &["argv", "argv_bytes"]),
        (ENV, &["env"]),
        (ARGC, &["argc"]),
        (SET_ID, &["set_uid", "set_gid", "privilege"]),
        (DIRFD, &["dirfd"]),
        (STATUS, &["exit_code", "signal", "core"]),
        (TIMES, &["user_ns", "system_ns"]),
        (MAX_RSS, &["max_rss_bytes"]),
        (FAULTS, &["minor_faults", "major_faults"]),
        (IO, &["read_chars", "written_chars", "read_bytes", "write_bytes", "cancelled_write_bytes"]),
    ]
};
