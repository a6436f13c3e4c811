//! The lines as types: what `docs/schema/v1.json` is generated from, and what the writer is held
//! against.
//!
//! The schema only grows within a version: a field is never removed, retyped, or made optional
//! (`compatible`, below). `UPDATE_SCHEMA=1 cargo test -p tracer schema` writes it anew.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde::{Deserialize, Serialize};

mod life;
mod life_tests;
mod load;
mod load_tests;
mod place;
mod place_tests;
mod probe;
mod probe_tests;
mod tests;

/// A line of `--format json` of `tracer exec`, `tracer probe`, `tracer verify` or `tracer list`, or what `tracer doctor
/// --format json` prints.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Line {
    Start(Box<Start>),
    Exec(Box<Exec>),
    Fork(Box<life::Fork>),
    Exit(Box<life::Exit>),
    Life(Box<life::Life>),
    Lost(Lost),
    End(End),
    Doctor(Doctor),
    Verify(Box<Verify>),
    ProbeStart(Box<probe::ProbeStart>),
    Probe(Box<probe::Probe>),
    Aggregate(Box<probe::Aggregate>),
    Interval(probe::Interval),
    Withheld(probe::Withheld),
    ProbeEnd(probe::ProbeEnd),
    ProbePoint(ProbePoint),
    Stats(Box<load::Stats>),
    Overhead(load::Overhead),
}

/// The start of a run: the first line.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Start {
    #[schemars(schema_with = "version")]
    pub(super) schema: u64,
    /// Time of day (RFC 3339, UTC).
    pub(super) time: String,
    /// Nanoseconds since boot, suspended time included.
    pub(super) boot_ns: u64,
    /// Version of tracer.
    pub(super) version: String,
    /// Release of the kernel.
    pub(super) kernel: String,
    /// The hook family in use.
    pub(super) hook: Hook,
    /// Why that one.
    pub(super) hook_reason: String,
    /// What is traced: an exec passes every filter that is set.
    pub(super) filters: Filters,
    /// Size of the ring buffer.
    pub(super) buffer_bytes: u64,
    /// Fields that this host cannot give, and why: they are null in every exec.
    pub(super) unavailable: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Filters {
    pub(super) pid: Vec<u32>,
    pub(super) uid: Vec<u32>,
    pub(super) comm: Vec<String>,
    pub(super) cgroup: Option<Cgroup>,
    /// Only in one of these containers, as they were named; any, if the list is empty.
    pub(super) container: Vec<String>,
    /// Only in one of these units, by name or pattern; any, if the list is empty.
    pub(super) unit: Vec<String>,
    /// Only execs that fail.
    pub(super) failed: bool,
    /// Only this process and its descendants.
    pub(super) tree: Option<u32>,
    /// Only this command and its descendants.
    pub(super) command: Option<Vec<String>>,
    /// `command` in base64, when it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub(super) command_raw: Option<Vec<String>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Cgroup {
    pub(super) id: u64,
    pub(super) path: String,
    /// `path` in base64, when it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) path_raw: Option<String>,
}

/// A process execution, successful or not.
///
/// An unknown value is null, with its reason in `missing`. A string that is not UTF-8 is shown
/// with U+FFFD, and its bytes follow in base64 in the field of that name with `_raw`.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Exec {
    #[schemars(schema_with = "version")]
    pub(super) schema: u64,
    /// Time of day (RFC 3339, UTC).
    pub(super) time: String,
    /// Nanoseconds since boot, suspended time included.
    pub(super) boot_ns: u64,
    pub(super) cpu: u32,
    /// Number of the event among those of its CPU, from 1.
    pub(super) seq: u64,
    /// The hook family that saw it.
    pub(super) hook: Hook,
    /// Process id, in the initial pid namespace.
    pub(super) pid: u32,
    /// The thread that made the call.
    pub(super) tid: u32,
    /// Process id of the parent.
    pub(super) ppid: Option<u32>,
    pub(super) parent_comm: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) parent_comm_raw: Option<String>,
    /// The process across pid reuse: `PID-START`, the boot-time nanoseconds of its start.
    pub(super) id: Option<String>,
    /// The same for the parent.
    pub(super) parent_id: Option<String>,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) euid: Option<u32>,
    pub(super) egid: Option<u32>,
    /// The audit system's login uid; null when never set.
    pub(super) login_uid: Option<u32>,
    /// The audit system's session; null when never set.
    pub(super) session_id: Option<u32>,
    pub(super) comm: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) comm_raw: Option<String>,
    /// The file to execute, as the caller named it.
    pub(super) filename: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) filename_raw: Option<String>,
    /// The descriptor that `filename` is relative to; null when none was given.
    pub(super) dirfd: Option<i32>,
    /// Path of what the process executes now, in its mount namespace; null when the exec failed.
    pub(super) exe: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) exe_raw: Option<String>,
    /// The executable has no name in the file system any more.
    pub(super) exe_deleted: bool,
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
    /// The working directory.
    pub(super) cwd: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) cwd_raw: Option<String>,
    /// The working directory was removed.
    pub(super) cwd_deleted: bool,
    /// 0, or a negative error number.
    pub(super) retval: i32,
    /// Name of the error; null when the exec succeeded.
    pub(super) errno: Option<String>,
    /// Id of the process' cgroup in the v2 hierarchy.
    pub(super) cgroup_id: Option<u64>,
    /// Inode number of the pid namespace.
    pub(super) pid_ns: Option<u32>,
    /// Inode number of the mount namespace.
    pub(super) mnt_ns: Option<u32>,
    /// Process id inside its own pid namespace.
    pub(super) ns_pid: Option<u32>,
    /// The set-user-id bit of the executable took effect.
    pub(super) set_uid: Option<bool>,
    /// The set-group-id bit of the executable took effect.
    pub(super) set_gid: Option<bool>,
    /// The exec raised privilege: by set-id bits or file capabilities.
    pub(super) privilege: Option<bool>,
    /// The caller was a 32-bit one.
    pub(super) compat: bool,
    /// The kernel started it, without a system call.
    pub(super) kernel_started: bool,
    #[serde(flatten)]
    pub(super) place: place::Place,
    /// The environment variables that were asked for with `--env`, as `NAME=value`.
    #[serde(default, skip_serializing_if = "Asked::is_not")]
    #[schemars(with = "Option<Vec<Option<String>>>")]
    pub(super) env: Asked,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Option<String>>")]
    pub(super) env_raw: Option<Vec<Option<String>>>,
    /// The process' ancestors by birth, the parent first; absent when nobody asked. See `missing` and `cut`.
    #[serde(default, skip_serializing_if = "life::Asked::is_not")]
    #[schemars(with = "Option<Vec<life::Ancestor>>")]
    pub(super) ancestors: life::Asked,
    /// Fields that are null, or have null elements, for want of knowledge: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) missing: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CutFields")]
    pub(super) cut: Option<CutFields>,
}

/// The environment: absent when nobody asked for it, null when it could not be read.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Asked {
    Strings(Vec<Option<String>>),
    Null(()),
    #[default]
    #[serde(skip)]
    Not,
}

impl Asked {
    fn is_not(&self) -> bool {
        matches!(self, Self::Not)
    }
}

/// Values that are not whole.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct CutFields {
    /// Why the path is not whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) exe: Option<String>,
    /// The gaps between the arguments, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Gap>")]
    pub(super) argv: Option<Vec<Gap>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) cwd: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Gap>")]
    pub(super) env: Option<Vec<Gap>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) cgroup: Option<String>,
    /// Why the chain ends before the first process of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) ancestors: Option<String>,
}

/// Arguments that are not in the array.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Gap {
    /// `max_args` and `max_bytes`: as the user asked; `shed`: left out to keep below `--max-overhead`;
    /// `lost`: the ring buffer had no room; `limit`: tracer copies no more, and what follows is unknown. More may come.
    pub(super) reason: String,
    /// Index of the element after the gap; the array's length when the end is missing.
    pub(super) at: u64,
    /// How many arguments are absent altogether; null if that cannot be known.
    pub(super) args: Option<u32>,
    /// How many bytes are absent, NULs included; null if that cannot be known.
    pub(super) bytes: Option<u64>,
    /// The element before the gap is, or may be, only the beginning of an argument.
    pub(super) cuts_before: bool,
    /// The element after the gap is, or may be, only the end of an argument: of the same one as
    /// the element before, if the array's length plus `args` is `argc` plus 1.
    pub(super) cuts_after: bool,
}

/// Events that happened and could not be shown, where they happened.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Lost {
    #[schemars(schema_with = "version")]
    pub(super) schema: u64,
    pub(super) time: String,
    pub(super) boot_ns: u64,
    /// Null when unknown.
    pub(super) cpu: Option<u32>,
    pub(super) count: u64,
    /// They happened between these boot times.
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
    /// `ring_full`, `missed_return`, `skipped` or `undecodable`. More may come.
    pub(super) reason: String,
    /// What was lost: `exec`, `fork`, `exit`, `probe`, or `table` for events of processes that nobody asked to see,
    /// from which ancestors and lives are told. More may come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) class: Option<String>,
}

/// The end of a run: the last line.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct End {
    #[schemars(schema_with = "version")]
    pub(super) schema: u64,
    pub(super) time: String,
    pub(super) boot_ns: u64,
    /// `signal`, `command_ended`, `duration`, `count`, `closed_output`, `output_failed` or
    /// `failure`. More may come.
    pub(super) reason: String,
    /// Execs shown, the failed ones among them.
    pub(super) events: u64,
    pub(super) failed: u64,
    /// The sum of all losses.
    pub(super) lost: u64,
    /// Execs that arrived, but could not be written.
    pub(super) undelivered: u64,
    /// Execs shown, by the hook family that saw them.
    pub(super) by_hook: BTreeMap<String, u64>,
    pub(super) duration_ns: u64,
    /// With `--max-overhead`: what became of the events of each class: `exec`, `fork`, `exit`. More may come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, load::Account>")]
    pub(super) by_class: Option<BTreeMap<String, load::Account>>,
    /// Forks shown. This and what follows is absent when processes were not followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub(super) forks: Option<u64>,
    /// Exits shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub(super) exits: Option<u64>,
    /// Lives shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub(super) lives: Option<u64>,
    /// Processes alive at the end, as far as is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub(super) alive: Option<u64>,
    /// Processes, and execs of their lives, that were forgotten for the limits of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub(super) evicted: Option<u64>,
}

/// What a host offers.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Doctor {
    #[schemars(schema_with = "version")]
    pub(super) schema: u64,
    /// Version of tracer.
    pub(super) version: String,
    /// Release of the kernel.
    pub(super) kernel: String,
    /// Whether the kernel shows its type information, and why not.
    pub(super) btf: bool,
    pub(super) btf_reason: Option<String>,
    /// Where tracefs is mounted.
    pub(super) tracefs: Option<String>,
    pub(super) cgroups: bool,
    /// Whether this process has them, by their names in capabilities(7).
    pub(super) capabilities: BTreeMap<String, bool>,
    /// `none`, `integrity`, `confidentiality` or `unknown`.
    pub(super) lockdown: String,
    /// Settings of the kernel's; null when they cannot be read.
    pub(super) perf_event_paranoid: Option<i32>,
    pub(super) unprivileged_bpf_disabled: Option<i32>,
    /// The hook families, each tried.
    pub(super) hooks: BTreeMap<String, HookVerdict>,
    /// The one that `--hook auto` takes.
    pub(super) auto: Option<Hook>,
}

/// Something that can be probed: a line of `tracer list --format json`.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct ProbePoint {
    #[schemars(schema_with = "version")]
    pub(super) schema: u64,
    /// `kprobe`, `fentry`, `tracepoint`, `rawtp` or `syscall`. More may come.
    pub(super) kind: String,
    /// As `tracer probe` takes it.
    pub(super) spec: String,
    pub(super) name: String,
    /// Of a function; null if it is the kernel's own.
    pub(super) module: Option<String>,
    /// Of a tracepoint.
    pub(super) category: Option<String>,
    /// Types and names of what there is to see; null where the kernel does not tell.
    pub(super) signature: Option<String>,
    /// What can reach it: `kprobe.multi`, `kprobe`, `fentry`, `tracepoint`, `rawtp`, `syscall`. More may come.
    pub(super) mechanisms: Vec<String>,
}

/// What one kernel will say of one program of an object file.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct Verify {
    #[schemars(schema_with = "version")]
    pub(super) schema: u64,
    /// The file, as it was named.
    pub(super) object: String,
    pub(super) section: String,
    pub(super) program: String,
    /// As the kernel's enum calls it: `xdp`, `sched_cls`.
    pub(super) program_type: String,
    /// As it was asked for, or the running kernel's release.
    pub(super) kernel: String,
    pub(super) verdict: Verdict,
    /// Index of the instruction in the relocated program: the one that is rejected, or that needs the missing feature.
    pub(super) insn: Option<u32>,
    /// Its source line; null where the object does not tell.
    pub(super) source: Option<SourceLine>,
    /// A stable snake_case code for the reason of a rejection. More may come.
    pub(super) kind: Option<String>,
    /// The reason in the kernel's terms.
    pub(super) message: Option<String>,
    /// Why the kernel insists.
    pub(super) explanation: Option<String>,
    /// The usual fix, in Rust and in C.
    pub(super) suggestion: Option<String>,
    /// How it came to a rejection, oldest first.
    pub(super) path: Vec<PathStep>,
    /// What the model lacks, when the verdict is `unmodelled`.
    pub(super) missing_feature: Option<String>,
    /// How much work the verification was, in the kernel's terms; null where the program did not come to it.
    pub(super) insns_processed: Option<u32>,
    pub(super) total_states: Option<u32>,
    pub(super) peak_states: Option<u32>,
    /// In bytes.
    pub(super) stack_depth: Option<u32>,
    /// How long it took here.
    pub(super) elapsed_us: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Accept,
    Reject,
    Unmodelled,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct SourceLine {
    pub(super) file: String,
    pub(super) line: u32,
    /// From 1; 0 when unknown.
    pub(super) column: u16,
    /// The line itself; may be empty.
    pub(super) text: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct PathStep {
    pub(super) insn: u32,
    /// The instruction, and what became of it.
    pub(super) what: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct HookVerdict {
    pub(super) usable: bool,
    /// Why it is not.
    pub(super) reason: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Hook {
    Tracepoint,
    Kprobe,
    Fentry,
}

fn version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "const": super::SCHEMA_VERSION })
}

fn generate() -> serde_json::Value {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Line>().into()
}
