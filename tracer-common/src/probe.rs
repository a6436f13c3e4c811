//! A probe's hit: what user space tells the kernel side to read, test and keep, and the record of it.
//!
//! One engine serves all mechanisms: each hook brings the values that a place has by nature (arguments,
//! a result, a record in memory), and the tables below, one [`PointSpec`] per point in the map `POINTS`,
//! say what to make of them.
//!
//! The record is followed by the variable parts, in this order: the kernel stack (`kernel_stack_len`
//! bytes of 64-bit addresses, the innermost first), the user stack (`user_stack_len` bytes), and the texts
//! (`text_len` bytes).

use crate::{Header, plain};

/// Most values that one point reads.
pub const MAX_VALUES: usize = 16;
/// Most pointers that one value is reached through.
pub const MAX_STEPS: usize = 6;
/// Most arguments that a place has.
pub const MAX_ARGS: usize = 12;
/// Most parts of an aggregation's key.
pub const MAX_KEYS: usize = 4;
/// Most tests of one filter.
pub const MAX_TESTS: usize = 32;
/// Longest text constant of a filter, in bytes.
pub const MAX_CONSTANT: usize = 64;
/// Most text constants of one filter.
pub const MAX_CONSTANTS: usize = 4;
/// Longest text of a value, in bytes, without its NUL.
pub const MAX_TEXT: usize = 254;
/// Most frames of a stack.
pub const MAX_FRAMES: usize = 127;

/// How one value is reached and read.
///
/// ```text
/// at = source
/// for i in 0..steps { at = *(u64 *)(at + offset[i]) }      user memory where bit i of user_steps is set
/// at += offset[steps]
/// value = read at `at`
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetch {
    /// One of [`source`].
    pub source: u8,
    /// Which argument, where the source has several.
    pub index: u8,
    /// One of [`read`].
    pub read: u8,
    /// Pointers followed before the last read; at most [`MAX_STEPS`].
    pub steps: u8,
    /// Size of a number in bytes: 1, 2, 4 or 8. It is extended to 64 bits.
    pub size: u8,
    /// Of a bit field: its lowest bit within the number, and how many bits it has; 0 bits: all.
    pub shift: u8,
    pub bits: u8,
    /// Bits of [`fetch`].
    pub flags: u8,
    /// Bit i: step i reads user memory. Bit `steps`: so does the last read.
    pub user_steps: u8,
    pub reserved: u8,
    /// Longest text that is kept, in bytes; at most [`MAX_TEXT`].
    pub limit: u16,
    pub offset: [u32; MAX_STEPS + 1],
}
plain!(Fetch, 40);

/// Where a value starts.
pub mod source {
    /// Argument `index` of the function or system call.
    pub const ARGUMENT: u8 = 0;
    /// The result of the function or system call.
    pub const RESULT: u8 = 1;
    /// The tracepoint's record in memory: `offset[0]` is where the field lies in it.
    pub const RECORD: u8 = 2;
    /// A register of a kprobe: `index` is its place in `struct pt_regs`, in 8-byte words.
    pub const REGISTER: u8 = 3;
    /// Nothing at hand: the current task's `struct task_struct`.
    pub const TASK: u8 = 4;
}

/// What is read at the end.
pub mod read {
    /// The address itself, as a number of `size` bytes: for arguments and results as they are.
    pub const VALUE: u8 = 0;
    /// A number of `size` bytes.
    pub const NUMBER: u8 = 1;
    /// A NUL-terminated text.
    pub const TEXT: u8 = 2;
    /// A text in an array of `limit` bytes, which ends at its first NUL, or at the array's end.
    pub const ARRAY: u8 = 3;
    /// A text named by a `__data_loc` field (its place in the record, and its length).
    pub const DATA_LOC: u8 = 4;
    /// The same, its place counted from the end of the field.
    pub const REL_LOC: u8 = 5;
}

/// Bits of [`Fetch::flags`].
pub mod fetch {
    /// The number is signed.
    pub const SIGNED: u8 = 1 << 0;
    /// The number lies in big-endian order.
    pub const BIG_ENDIAN: u8 = 1 << 1;
    /// Read when the function returns; otherwise when it is entered.
    pub const AT_RETURN: u8 = 1 << 2;
    /// Not shown: only filters or aggregations want it.
    pub const HIDDEN: u8 = 1 << 3;
}

/// One test of a filter: goes on with the test numbered `then` or `otherwise`, both greater than its own.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Test {
    /// One of [`operand`].
    pub left: u8,
    /// One of [`compare`].
    pub compare: u8,
    /// [`operand::CONSTANT`], or a number as for `left`. For texts: which of [`Filter::texts`].
    pub right: u8,
    /// The next test, or [`PASS`], or [`FAIL`].
    pub then: u8,
    pub otherwise: u8,
    pub reserved: [u8; 3],
    /// Bits of the left side that count; all ones if all do.
    pub mask: u64,
    /// The right side, if it is a constant.
    pub constant: u64,
}
plain!(Test, 24);

/// Where a filter ends.
pub const PASS: u8 = 0xff;
pub const FAIL: u8 = 0xfe;

/// What is tested, counted or keyed by: a value of the point by its number (below [`MAX_VALUES`]), or one of these.
pub mod operand {
    pub const PID: u8 = 0x40;
    pub const TID: u8 = 0x41;
    pub const UID: u8 = 0x42;
    pub const CPU: u8 = 0x43;
    pub const CGROUP: u8 = 0x44;
    /// Nanoseconds from entry to return.
    pub const DURATION: u8 = 0x45;
    /// A text of 16 bytes.
    pub const COMM: u8 = 0x46;
    /// The point's number.
    pub const POINT: u8 = 0x47;
    pub const CONSTANT: u8 = 0x80;
}

/// How a test compares.
pub mod compare {
    pub const EQ: u8 = 0;
    pub const NE: u8 = 1;
    /// Signed.
    pub const LT: u8 = 2;
    pub const LE: u8 = 3;
    pub const GT: u8 = 4;
    pub const GE: u8 = 5;
    /// Unsigned.
    pub const BELOW: u8 = 6;
    pub const BELOW_EQ: u8 = 7;
    pub const ABOVE: u8 = 8;
    pub const ABOVE_EQ: u8 = 9;
    /// The whole text is the constant.
    pub const TEXT_EQ: u8 = 10;
    pub const TEXT_NE: u8 = 11;
    /// The text begins with the constant.
    pub const TEXT_PREFIX: u8 = 12;
}

/// A text that filters compare with.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    pub len: u32,
    pub bytes: [u8; MAX_CONSTANT],
    pub reserved: u32,
}
plain!(Text, 72);

impl Default for Text {
    fn default() -> Self {
        Self { len: 0, bytes: [0; MAX_CONSTANT], reserved: 0 }
    }
}

/// A filter. The first test decides where to go on. A value that could not be read fails every test on it, and the
/// filter with it: it is counted ([`counter::UNREADABLE`]).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// How many tests there are; 0: everything passes.
    pub len: u32,
    pub reserved: u32,
    pub tests: [Test; MAX_TESTS],
    pub texts: [Text; MAX_CONSTANTS],
}
plain!(Filter, 1064);

/// What is read, and tested, at one point.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PointSpec {
    /// How many values there are; the first ones of `fetches`.
    pub values: u32,
    /// Bits of [`point`].
    pub flags: u32,
    /// What an aggregation keys by: [`operand`]s, [`operand::CONSTANT`] where there is none.
    pub keys: [u8; MAX_KEYS],
    /// What a histogram measures: an [`operand`], or [`operand::CONSTANT`].
    pub measure: u8,
    pub reserved: [u8; 3],
    pub fetches: [Fetch; MAX_VALUES],
    pub filter: Filter,
}
plain!(PointSpec, 1720);

/// Bits of [`PointSpec::flags`].
pub mod point {
    /// Entry and return make one event.
    pub const PAIRED: u32 = 1 << 0;
    /// The filter needs nothing of the return: it is asked at the entry, and a call that fails it is forgotten.
    pub const FILTER_AT_ENTRY: u32 = 1 << 1;
}

/// A hit of a probe.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// `header.tid` is the thread; `header.boot_ns` the time of the hit: of the entry, where one was seen.
    pub header: Header,
    /// Nanoseconds from entry to return, if both were seen.
    pub duration_ns: u64,
    /// Id of the process' cgroup (v2 hierarchy).
    pub cgroup_id: u64,
    /// The numbers; for a text, its place in the texts (low half) and its length in bytes (high half).
    pub values: [u64; MAX_VALUES],
    /// The point's number.
    pub point: u32,
    pub pid: u32,
    pub uid: u32,
    /// Bits of [`hit`].
    pub flags: u32,
    /// Bit i: value i could not be read.
    pub unreadable: u32,
    /// Bit i: value i is a text that is longer than its limit.
    pub cut: u32,
    /// Lengths of the variable parts, in bytes. A negative number is the errno of a stack that could not be read.
    pub kernel_stack_len: i32,
    pub user_stack_len: i32,
    pub text_len: u32,
    pub reserved: u32,
    pub comm: [u8; 16],
}
plain!(Probe, 232);

/// Bits of [`Probe::flags`].
pub mod hit {
    /// The entry was seen, and its values with it.
    pub const ENTRY: u32 = 1 << 0;
    /// The return was seen.
    pub const RETURN: u32 = 1 << 1;
    /// A 32-bit system call.
    pub const COMPAT: u32 = 1 << 2;
}

/// Counters of a run, per CPU, beside [`crate::CpuStats`]: what was seen and did not become an event.
pub mod counter {
    /// Hits that passed every filter (delivered, lost, sampled away and held back by the rate, together).
    pub const PASSED: u32 = 0;
    /// Of these, left out by `--sample`.
    pub const SAMPLED: u32 = 1;
    /// Of these, left out by `--rate`.
    pub const RATED: u32 = 2;
    /// Hits whose filter could not be answered, because a value could not be read. They count as not passed.
    pub const UNREADABLE: u32 = 3;
    /// Calls whose entry found no room, so that their return could not be joined.
    pub const UNPAIRED: u32 = 4;
    /// Returns without an entry (calls under way when the probe was attached are among them).
    pub const NO_ENTRY: u32 = 5;
    /// Hits of an aggregation that found no room for a new key.
    pub const KEYS_FULL: u32 = 6;
    /// Calls whose return the kernel did not show; known when an outer call returns, or the next one begins.
    pub const NO_RETURN: u32 = 7;
    /// Hits in the middle of as many others on that CPU as there is working memory for: not looked at.
    pub const BUSY: u32 = 8;
    pub const LEN: usize = 16;
}
