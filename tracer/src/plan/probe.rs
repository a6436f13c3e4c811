//! A run of probes, resolved: every name is an address or an id, every value a [`Fetch`], every filter a table.
//!
//! *Must not know:* how names were written or looked up (`resolve`), how points are attached (`session`), how
//! values are shown (`sink`).

use std::{fmt, num::NonZeroU32, sync::Arc};

use tracer_common::probe::{Fetch, Filter};

/// Everything that one run attaches to, and what it makes of the hits.
#[derive(Clone, Debug)]
pub struct ProbeRun {
    /// A point's number is its place here.
    pub points: Vec<Point>,
    pub mode: Mode,
    pub who: Who,
    /// One of so many hits that pass the filters becomes an event; 1: each.
    pub sample: NonZeroU32,
    /// Most events a second, of all points and CPUs together.
    pub rate: Option<NonZeroU32>,
    pub stacks: Stacks,
    /// Size of the ring, in bytes: a power-of-two multiple of the page size.
    pub buffer: u32,
    /// A point that cannot be attached ends the run; otherwise it is listed.
    pub strict: bool,
}

/// Whose hits count; all of them have to hold.
#[derive(Clone, Debug, Default)]
pub struct Who {
    pub pids: Vec<u32>,
    pub uids: Vec<u32>,
    pub comms: Vec<[u8; 16]>,
    pub cgroup: Option<super::Cgroup>,
    /// Only the processes that the session is told to follow, and their descendants.
    pub tree: bool,
}

/// Which stacks an event carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stacks {
    pub kernel: bool,
    pub user: bool,
}

/// What becomes of a hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// An event each.
    Stream,
    /// A number, kept in the kernel.
    Aggregate(Aggregation),
}

/// What is kept in the kernel, by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregation {
    /// Names of the parts of the key, for showing; at most [`MAX_KEYS`](tracer_common::probe::MAX_KEYS). What each is
    /// at a point, [`Point::keys`] says.
    pub keys: Vec<String>,
    pub measure: Measure,
    /// Most different keys that are kept.
    pub max_keys: u32,
}

/// What is kept per key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measure {
    Count,
    /// A histogram by powers of two of what [`Point::measure`] says, named here.
    Log2(String),
    /// A histogram of buckets of equal width: below `from`, so many buckets of `step`, and above.
    Linear {
        of: String,
        from: i64,
        step: NonZeroU32,
        buckets: u32,
    },
}

/// One place in the kernel, and what is read there.
#[derive(Clone, Debug)]
pub struct Point {
    /// As shown in events and tables: `kprobe:vfs_read`.
    pub name: String,
    pub place: Place,
    pub ends: Ends,
    /// At most [`MAX_VALUES`](tracer_common::probe::MAX_VALUES).
    pub values: Vec<ValueSpec>,
    pub filter: Filter,
    /// The filter, and the key and measure, need nothing of the return.
    pub filter_at_entry: bool,
    /// [`operand`](tracer_common::probe::operand)s, as many as the aggregation has keys.
    pub keys: Vec<u8>,
    /// What a histogram measures: an operand.
    pub measure: Option<u8>,
}

/// Which moments of a call make up an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    Entry,
    /// Only the result and the arguments that are at hand at the return.
    Return,
    /// Entry and return are joined into one event, with its duration.
    Both,
}

/// Where a point is, and by which mechanism it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A kprobe (a kretprobe, by [`Point::ends`]) in a function.
    Kprobe {
        symbol: String,
        /// Bytes from the start of the function.
        offset: u64,
        module: Option<String>,
        /// Of the function's copies: several where the name is not unique. Empty if this host does not show any.
        addresses: Vec<u64>,
        /// The function can be reached through kprobe.multi (the kernel has it, and lists the function as traceable).
        multi: bool,
        /// The function can be reached by a kprobe of its own (it is not blacklisted).
        single: bool,
    },
    /// The entry or return of a function, through a trampoline.
    Trampoline { function: String, module: Option<String>, btf_id: u32, arguments: u8 },
    /// A tracepoint with a record laid out by its format.
    Tracepoint { category: String, name: String, id: u64 },
    /// A BTF raw tracepoint.
    RawTracepoint { name: String, btf_id: u32, arguments: u8 },
    /// A system call of 64-bit callers: both raw tracepoints of all system calls, narrowed to its number.
    Syscall { name: String, number: u32 },
}

/// One value of an event.
#[derive(Clone, Debug)]
pub struct ValueSpec {
    /// As shown and as named in expressions: `count`, `file.f_path.dentry.d_name.name`, `retval`.
    pub name: String,
    pub fetch: Fetch,
    pub show: ShowAs,
    /// The C type, as `tracer list` shows it.
    pub c_type: String,
}

/// How a number, or a text, is to be read by people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShowAs {
    Signed,
    Unsigned,
    Hex,
    Pointer,
    Bool,
    Char,
    /// A result where -4095..=-1 is an errno; `bits` of the signed number.
    Errno {
        bits: u8,
    },
    /// A pointer result where the last 4095 addresses are errnos.
    PointerOrErrno,
    Enum(Arc<EnumNames>),
    Text,
}

/// The names of an enumeration's values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnumNames {
    pub name: String,
    /// In the order of the values.
    pub values: Vec<(i64, String)>,
}

impl EnumNames {
    /// The name of a value, if it has one.
    pub fn of(&self, value: i64) -> Option<&str> {
        let at = self.values.binary_search_by_key(&value, |(number, _)| *number).ok()?;
        self.values.get(at).map(|(_, name)| name.as_str())
    }
}

impl Place {
    /// The mechanism, as specs and events name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Kprobe { .. } => "kprobe",
            Self::Trampoline { .. } => "fentry",
            Self::Tracepoint { .. } => "tracepoint",
            Self::RawTracepoint { .. } => "rawtp",
            Self::Syscall { .. } => "syscall",
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
