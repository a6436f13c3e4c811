//! The lines of `tracer probe --format json`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cgroup, version};

/// The start of a run of probes: the first line.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct ProbeStart {
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
    /// What was asked for, as it was written.
    pub(super) specs: Vec<String>,
    /// What is kept in the kernel; null when every hit is a line.
    pub(super) aggregation: Option<Aggregation>,
    /// Which hits count: all that is set has to hold.
    pub(super) filters: ProbeFilters,
    /// Size of the ring buffer.
    pub(super) buffer_bytes: u64,
    /// What is attached.
    pub(super) points: Vec<Point>,
    /// What could not be attached.
    pub(super) not_attached: Vec<NotAttached>,
}

/// Hits counted in the kernel.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Aggregation {
    /// Names of the parts of the key.
    pub(super) by: Vec<String>,
    /// `count`, `log2` or `linear`. More may come.
    pub(super) measure: String,
    /// What a histogram measures.
    pub(super) of: Option<String>,
    /// Most different keys that are kept.
    pub(super) max_keys: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct ProbeFilters {
    pub(super) pid: Vec<u32>,
    pub(super) uid: Vec<u32>,
    pub(super) comm: Vec<String>,
    pub(super) cgroup: Option<Cgroup>,
    /// Only this process and its descendants.
    pub(super) tree: Option<u32>,
    /// Only this command and its descendants.
    pub(super) command: Option<Vec<String>>,
    /// `command` in base64, when it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub(super) command_raw: Option<Vec<String>>,
    /// The expression of `--where`.
    #[serde(rename = "where")]
    pub(super) condition: Option<String>,
    /// One of so many hits that pass is shown.
    pub(super) sample: u32,
    /// Most hits that are shown in a second.
    pub(super) rate: Option<u32>,
}

/// A place that is probed.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Point {
    /// As `probe` in hits.
    pub(super) probe: String,
    pub(super) hook: ProbeHook,
    /// How it is attached: `kprobe_multi`, `kprobe`, `fentry`. More may come.
    pub(super) mechanism: String,
    /// Which moments of a call make up a hit.
    pub(super) ends: Ends,
    /// What a hit shows.
    pub(super) values: Vec<ValueType>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::sink::json) enum Ends {
    Entry,
    Return,
    /// The entry and the return, joined.
    Both,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct ValueType {
    /// As in `args`; `retval` is beside them.
    pub(super) name: String,
    /// Its C type.
    #[serde(rename = "type")]
    pub(super) c_type: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct NotAttached {
    pub(super) probe: String,
    pub(super) reason: String,
}

/// What kind of probe it is.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::sink::json) enum ProbeHook {
    Kprobe,
    Fentry,
    Tracepoint,
    Rawtp,
    Syscall,
}

/// A hit of a probe.
///
/// An unknown value is null, with its reason in `missing` (`args.NAME` for one of `args`). A value
/// that is not whole is in `cut`, likewise.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Probe {
    #[schemars(schema_with = "version")]
    pub(super) schema: u64,
    /// Time of day (RFC 3339, UTC): of the entry, where one was seen.
    pub(super) time: String,
    /// The same in nanoseconds since boot, suspended time included.
    pub(super) boot_ns: u64,
    pub(super) cpu: u32,
    /// Number of the event among those of its CPU, from 1.
    pub(super) seq: u64,
    pub(super) hook: ProbeHook,
    /// Name of the point.
    pub(super) probe: String,
    /// Process id, in the initial pid namespace.
    pub(super) pid: u32,
    pub(super) tid: u32,
    pub(super) uid: u32,
    /// Name of the thread.
    pub(super) comm: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) comm_raw: Option<String>,
    /// Id of the process' cgroup in the v2 hierarchy.
    pub(super) cgroup_id: u64,
    /// From the entry to the return; null where only one of them is probed.
    pub(super) duration_ns: Option<u64>,
    /// The values by name. A value's type is that of its C type: a number (pointers, too), a
    /// boolean, or a string: texts, `char`, and enumerations, which are shown by the name of the
    /// value (its number as a string, where it has no name).
    pub(super) args: BTreeMap<String, Scalar>,
    /// Bytes, in base64, of those that are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) args_raw: Option<BTreeMap<String, String>>,
    /// Names of the errors that values are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) args_errno: Option<BTreeMap<String, String>>,
    /// The result; null where it is not probed. A pointer that is an error is that negative
    /// number.
    pub(super) retval: Scalar,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) retval_raw: Option<String>,
    /// Name of the error that the result is; null if it is none.
    pub(super) errno: Option<String>,
    /// A 32-bit system call.
    pub(super) compat: bool,
    /// The kernel stack, the innermost frame first, where one was asked for.
    #[serde(default, skip_serializing_if = "AskedStack::is_not")]
    #[schemars(with = "Option<Vec<KernelFrame>>")]
    pub(super) stack: AskedStack<KernelFrame>,
    /// The process' own stack, likewise.
    #[serde(default, skip_serializing_if = "AskedStack::is_not")]
    #[schemars(with = "Option<Vec<UserFrame>>")]
    pub(super) user_stack: AskedStack<UserFrame>,
    /// Why fields are null for want of knowledge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) missing: Option<BTreeMap<String, String>>,
    /// Why fields are not whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) cut: Option<BTreeMap<String, String>>,
}

/// A value: 64-bit numbers are written as they are, also beyond 2^53.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::sink::json) enum Scalar {
    Null(()),
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Text(String),
}

/// A stack: absent when nobody asked for it, null when it could not be read.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(in crate::sink::json) enum AskedStack<T> {
    Frames(Vec<T>),
    Null(()),
    #[default]
    #[serde(skip)]
    Not,
}

impl<T> AskedStack<T> {
    fn is_not(&self) -> bool {
        matches!(self, Self::Not)
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct KernelFrame {
    pub(super) address: u64,
    pub(super) symbol: Option<String>,
    /// From the start of the symbol.
    pub(super) offset: Option<u64>,
    /// Null: the kernel itself.
    pub(super) module: Option<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct UserFrame {
    pub(super) address: u64,
    pub(super) symbol: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) symbol_raw: Option<String>,
    /// From the start of the symbol. Without one: the address within the file, as addr2line(1)
    /// takes it.
    pub(super) offset: Option<u64>,
    /// What is mapped there.
    pub(super) file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) file_raw: Option<String>,
}

/// What was counted of one key between two moments.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Aggregate {
    #[schemars(schema_with = "version")]
    pub(super) schema: u64,
    pub(super) time: String,
    pub(super) boot_ns: u64,
    /// It happened between these boot times.
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
    /// The parts of the key by name, typed as `args` of hits are.
    pub(super) key: BTreeMap<String, Scalar>,
    /// Bytes, in base64, of those that are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) key_raw: Option<BTreeMap<String, String>>,
    /// Why parts of the key (`key.NAME`) are null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) missing: Option<BTreeMap<String, String>>,
    /// Why parts of the key are not whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) cut: Option<BTreeMap<String, String>>,
    /// How many hits.
    pub(super) count: u64,
    /// Null when hits are counted, and nothing is measured.
    pub(super) histogram: Option<Histogram>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Histogram {
    /// What is measured.
    pub(super) of: String,
    /// `ns`, or null for a plain number. More may come.
    pub(super) unit: Option<String>,
    /// In ascending order. Buckets without hits may be absent.
    pub(super) buckets: Vec<Bucket>,
}

/// Numbers from `from` on and below `to`.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Bucket {
    /// Null: no bound.
    pub(super) from: Option<Bound>,
    pub(super) to: Option<Bound>,
    pub(super) count: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::sink::json) enum Bound {
    Unsigned(u64),
    Signed(i64),
}

/// An interval of an aggregation is over: the line behind those of its keys.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Interval {
    #[schemars(schema_with = "version")]
    pub(super) schema: u64,
    pub(super) time: String,
    pub(super) boot_ns: u64,
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
    /// How many keys there are, those that are left out among them.
    pub(super) keys: u64,
    /// Hits of all of these keys.
    pub(super) count: u64,
    /// Keys that `--top` leaves out, and their hits.
    pub(super) left_out_keys: u64,
    pub(super) left_out_count: u64,
    /// Hits that found no room for a new key: they are in no count.
    pub(super) keys_full: u64,
}

/// Hits, or other events, that passed and were left out as was asked for, between two moments of a run.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct Withheld {
    #[schemars(schema_with = "version")]
    pub(super) schema: u64,
    pub(super) time: String,
    pub(super) boot_ns: u64,
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
    /// By `--sample`, or for `reason`.
    pub(super) sampled: u64,
    /// By `--rate`.
    pub(super) rate_limited: u64,
    /// Of which class the events are: `exec`, `fork` or `exit`; hits have none. More may come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) class: Option<String>,
    /// Why, if not as `--sample` and `--rate` say: `max_overhead`. More may come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) reason: Option<String>,
}

/// The end of a run of probes: the last line.
///
/// Of a stream, `passed` is the sum of `events`, of the hits that were `lost` for want of room,
/// of `sampled` and of `rate_limited`.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(in crate::sink::json) struct ProbeEnd {
    #[schemars(schema_with = "version")]
    pub(super) schema: u64,
    pub(super) time: String,
    pub(super) boot_ns: u64,
    /// As of the end of `tracer exec`.
    pub(super) reason: String,
    /// Hits that passed every filter.
    pub(super) passed: u64,
    /// Hits shown.
    pub(super) events: u64,
    /// The sum of all losses.
    pub(super) lost: u64,
    /// Left out by `--sample`.
    pub(super) sampled: u64,
    /// Held back by `--rate`.
    pub(super) rate_limited: u64,
    /// Hits whose filter could not be answered, because a value could not be read: they did not
    /// pass.
    pub(super) unreadable: u64,
    /// Calls that could not be followed to their return for want of room.
    pub(super) unpaired: u64,
    /// Returns of calls that were under way before the probes were.
    pub(super) no_entry: u64,
    /// Hits that found no room for a new key of the aggregation.
    pub(super) keys_full: u64,
    /// Hits that arrived, but could not be written.
    pub(super) undelivered: u64,
    pub(super) duration_ns: u64,
}
