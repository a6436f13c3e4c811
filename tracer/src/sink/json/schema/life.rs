//! The lines about how processes begin and end.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CutFields, Hook, place, version};

/// A process was born.
///
/// An unknown value is null, with its reason in `missing`. A string that is not UTF-8 is shown with U+FFFD, and its
/// bytes follow in base64 in the field of that name with `_raw`.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Fork {
    #[schemars(schema_with = "version")]
    pub(super) schema: u64,
    /// Time of day (RFC 3339, UTC).
    pub(super) time: String,
    /// Nanoseconds since boot, suspended time included.
    pub(super) boot_ns: u64,
    pub(super) cpu: u32,
    /// Number of the event among the forks of its CPU, from 1.
    pub(super) seq: u64,
    /// The hook family that saw it.
    pub(super) hook: Hook,
    /// Process id of the child, in the initial pid namespace.
    pub(super) pid: u32,
    /// Process id of its parent.
    pub(super) ppid: Option<u32>,
    /// The child across pid reuse: `PID-START`, the boot-time nanoseconds of its start.
    pub(super) id: Option<String>,
    /// The same for its parent.
    pub(super) parent_id: Option<String>,
    /// The process that made it: its parent, but for children made with CLONE_PARENT.
    pub(super) maker_pid: u32,
    /// The thread that made it.
    pub(super) maker_tid: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// The child's name, which it has from the thread that made it.
    pub(super) comm: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) comm_raw: Option<String>,
    /// Id of the child's cgroup in the v2 hierarchy.
    pub(super) cgroup_id: Option<u64>,
    #[serde(flatten)]
    pub(super) place: place::Place,
    /// The child's ancestors by birth, the parent first; absent when nobody asked. See `missing` and `cut`.
    #[serde(default, skip_serializing_if = "Asked::is_not")]
    #[schemars(with = "Option<Vec<Ancestor>>")]
    pub(super) ancestors: Asked,
    /// Fields that are null for want of knowledge: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) missing: Option<BTreeMap<String, String>>,
    /// Fields that are not whole: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) cut: Option<BTreeMap<String, String>>,
}

/// A process ended: its last thread did.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Exit {
    #[schemars(schema_with = "version")]
    pub(super) schema: u64,
    /// Time of day (RFC 3339, UTC).
    pub(super) time: String,
    /// Nanoseconds since boot, suspended time included.
    pub(super) boot_ns: u64,
    pub(super) cpu: u32,
    /// Number of the event among the exits of its CPU, from 1.
    pub(super) seq: u64,
    /// The hook family that saw it.
    pub(super) hook: Hook,
    /// Process id, in the initial pid namespace.
    pub(super) pid: u32,
    /// The thread that ended last.
    pub(super) tid: u32,
    /// Process id of its parent at the end: of a subreaper or init, if its own ended before.
    pub(super) ppid: Option<u32>,
    /// The process across pid reuse: `PID-START`, the boot-time nanoseconds of its start.
    pub(super) id: Option<String>,
    /// The same for its parent at the end.
    pub(super) parent_id: Option<String>,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Name of the last thread.
    pub(super) comm: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) comm_raw: Option<String>,
    /// From its birth to its end.
    pub(super) duration_ns: Option<u64>,
    #[serde(flatten)]
    pub(super) ending: Ending,
    #[serde(flatten)]
    pub(super) usage: Usage,
    /// Id of its cgroup in the v2 hierarchy.
    pub(super) cgroup_id: Option<u64>,
    #[serde(flatten)]
    pub(super) place: place::Place,
    /// The process' ancestors by birth, the parent first; absent when nobody asked. See `missing` and `cut`.
    #[serde(default, skip_serializing_if = "Asked::is_not")]
    #[schemars(with = "Option<Vec<Ancestor>>")]
    pub(super) ancestors: Asked,
    /// Fields that are null for want of knowledge: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) missing: Option<BTreeMap<String, String>>,
    /// Fields that are not whole: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) cut: Option<BTreeMap<String, String>>,
}

/// How a process ended.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Ending {
    /// Null when a signal ended it.
    pub(super) exit_code: Option<u8>,
    /// Number of the signal that ended it; null when it ended by itself.
    pub(super) signal: Option<u8>,
    /// Its name, such as `SIGSEGV`.
    pub(super) signal_name: Option<String>,
    /// Whether its memory was dumped.
    pub(super) core: Option<bool>,
}

/// What a process used, all its threads together.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Usage {
    /// Processor time in user mode, as getrusage(2) divides it.
    pub(super) user_ns: Option<u64>,
    /// Processor time in kernel mode.
    pub(super) system_ns: Option<u64>,
    /// Its largest resident set.
    pub(super) max_rss_bytes: Option<u64>,
    /// Page faults that needed no storage.
    pub(super) minor_faults: Option<u64>,
    /// Page faults that did.
    pub(super) major_faults: Option<u64>,
    /// Bytes through read(2) and its like: `rchar` of /proc/PID/io.
    pub(super) read_chars: Option<u64>,
    /// Bytes through write(2) and its like: `wchar`.
    pub(super) written_chars: Option<u64>,
    /// Bytes fetched from storage.
    pub(super) read_bytes: Option<u64>,
    /// Bytes sent towards storage.
    pub(super) write_bytes: Option<u64>,
    /// Of these, bytes that were then not written after all.
    pub(super) cancelled_write_bytes: Option<u64>,
}

/// A process from its birth to its end: one line for each that ends, and for each that was seen to begin or to exec and
/// still runs when the trace ends.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Life {
    #[schemars(schema_with = "version")]
    pub(super) schema: u64,
    /// Time of day (RFC 3339, UTC) of its end; of the trace's end, if it still ran.
    pub(super) time: String,
    /// Nanoseconds since boot of the same, suspended time included.
    pub(super) boot_ns: u64,
    /// Process id, in the initial pid namespace.
    pub(super) pid: u32,
    /// Process id of its parent by birth; if the birth was not seen, of the parent that it had when first seen.
    pub(super) ppid: Option<u32>,
    /// The process across pid reuse: `PID-START`, the boot-time nanoseconds of its start.
    pub(super) id: Option<String>,
    /// The same for that parent.
    pub(super) parent_id: Option<String>,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Its name, as last known.
    pub(super) comm: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) comm_raw: Option<String>,
    /// What it executed last, or has from the process that made it; null for a kernel thread.
    pub(super) exe: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) exe_raw: Option<String>,
    /// Time of day (RFC 3339, UTC) of its birth.
    pub(super) start: Option<String>,
    /// Nanoseconds since boot of the same.
    pub(super) start_ns: Option<u64>,
    /// From its birth to its end; null when it still ran.
    pub(super) duration_ns: Option<u64>,
    #[serde(flatten)]
    pub(super) ending: Ending,
    #[serde(flatten)]
    pub(super) usage: Usage,
    /// What it tried to execute, in order, failures too. `missing.execs` says why there may have been others,
    /// `cut.execs` where some are left out.
    pub(super) execs: Vec<Attempt>,
    /// How many are left out of `execs`.
    pub(super) execs_left_out: u64,
    /// What told of it first: `fork`; `snapshot`: it was there when the trace began; `exec` or `exit`: its birth was
    /// lost. More may come.
    pub(super) known_from: String,
    #[serde(flatten)]
    pub(super) place: place::Place,
    /// Its ancestors by birth, the parent first; absent when nobody asked. See `missing` and `cut`.
    #[serde(default, skip_serializing_if = "Asked::is_not")]
    #[schemars(with = "Option<Vec<Ancestor>>")]
    pub(super) ancestors: Asked,
    /// Fields that are null, or lists that may lack elements, for want of knowledge: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) missing: Option<BTreeMap<String, String>>,
    /// Fields that are not whole: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) cut: Option<BTreeMap<String, String>>,
}

/// An attempt to execute something, as in the line of an exec.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Attempt {
    /// Time of day (RFC 3339, UTC).
    pub(super) time: String,
    /// Nanoseconds since boot, suspended time included.
    pub(super) boot_ns: u64,
    /// The file to execute, as the caller named it.
    pub(super) filename: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) filename_raw: Option<String>,
    /// Path of what the process then executed; null when the exec failed.
    pub(super) exe: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) exe_raw: Option<String>,
    /// The interpreter of a script; null when the executable is none.
    pub(super) interpreter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) interpreter_raw: Option<String>,
    /// The arguments; one that could not be read is null. See `cut.argv` for what is not here.
    pub(super) argv: Option<Vec<Option<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Option<String>>")]
    pub(super) argv_raw: Option<Vec<Option<String>>>,
    /// How many arguments there are in truth (at least, if `cut.argv` has the reason `limit`).
    pub(super) argc: Option<u32>,
    /// Length of all arguments in truth, with a NUL after each (at least, as above).
    pub(super) argv_bytes: Option<u32>,
    /// 0, or a negative error number.
    pub(super) retval: i32,
    /// Name of the error; null when the exec succeeded.
    pub(super) errno: Option<String>,
    /// How long the process was that, until the next exec or its end; null when the exec failed, or it still was.
    pub(super) duration_ns: Option<u64>,
    /// Fields that are null, or have null elements, for want of knowledge: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) missing: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CutFields")]
    pub(super) cut: Option<CutFields>,
}

/// A process in a chain of ancestors, as last known.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Ancestor {
    /// The process across pid reuse: `PID-START`, the boot-time nanoseconds of its start.
    pub(super) id: String,
    pub(super) pid: u32,
    pub(super) comm: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) comm_raw: Option<String>,
    /// What it executes, or executed last; null for a kernel thread.
    pub(super) exe: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) exe_raw: Option<String>,
    /// Fields that are null for want of knowledge: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) missing: Option<BTreeMap<String, String>>,
    /// Fields that are not whole: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) cut: Option<BTreeMap<String, String>>,
}

/// A chain of ancestors: absent when nobody asked for it, null when none is known.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::sink::json) enum Asked {
    Chain(Vec<Ancestor>),
    Null(()),
    #[default]
    #[serde(skip)]
    Not,
}

impl Asked {
    pub(super) fn is_not(&self) -> bool {
        matches!(self, Self::Not)
    }
}
