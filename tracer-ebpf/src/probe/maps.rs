//! Every map and every read-only global of a run of probes. Sizes that depend on the run are set at load time.

use core::cell::UnsafeCell;

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, PerCpuArray, PerCpuHashMap, RingBuf},
};
use tracer_common::{
    CpuStats, Offsets,
    aggregate::{CallKey, Calls, Here, Key, ProbeKnobs},
    probe::{PointSpec, counter},
};

use crate::scratch::{Block, MAX_BLOCKS};

/// Where the members that following a tree needs lie in this kernel's structures.
#[unsafe(no_mangle)]
pub(crate) static OFFSETS: Offsets = Offsets::absent();

/// What this run wants.
#[unsafe(no_mangle)]
pub(crate) static KNOBS: ProbeKnobs = ProbeKnobs {
    filters: 0,
    mode: 0,
    flags: 0,
    sample: 1,
    rate: 0,
    points: 0,
    counts_mask: 0,
    counts_stride: 0,
    saved: 0,
    blocks: 1,
    cgroup_level: 0,
    task_status: u32::MAX,
    cgroup_id: 0,
    linear_from: 0,
    linear_step: 1,
    linear_buckets: 0,
};

/// What this program knows about its place. In a section, and so a map, of its own: programs that are loaded once
/// per point differ in nothing else.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".rodata.here")]
pub(crate) static HERE: Here = Here { point: 0, arguments: 0, stack_pointer: 0, reserved: 0 };

/// The offset of one member: a constant for the verifier, unknown to the compiler.
macro_rules! offset {
    ($member:ident) => {
        $crate::maps::load(&raw const $crate::maps::OFFSETS.$member)
    };
}
pub(crate) use offset;

/// One switch: a constant for the verifier, unknown to the compiler.
macro_rules! knob {
    ($member:ident) => {
        $crate::maps::load(&raw const $crate::maps::KNOBS.$member)
    };
}
pub(crate) use knob;

/// What this program knows about its place.
macro_rules! here {
    ($member:ident) => {
        $crate::maps::load(&raw const $crate::maps::HERE.$member)
    };
}
pub(crate) use here;

/// Is this bit of the run's flags set?
macro_rules! wants {
    ($flag:ident) => {
        $crate::maps::knob!(flags) & ::tracer_common::aggregate::run::$flag != 0
    };
}
pub(crate) use wants;

/// Reads a member of one of the globals above; the macros make sure of that.
#[inline(always)]
pub(crate) fn load<T: Copy>(member: *const T) -> T {
    // SAFETY: the pointer is to a static's member.
    unsafe { member.read_volatile() }
}

/// Lets user space read an array's values through mmap: no system call, no capability.
const BPF_F_MMAPABLE: u32 = 1 << 10;
const BPF_F_NO_PREALLOC: u32 = 1;

#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(64 * 1024, 0);

/// Indexed by CPU.
#[map]
pub(crate) static STATS: Array<CpuStats> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// [`counter`]s, indexed by CPU.
#[map]
pub(crate) static COUNTERS: Array<[u64; counter::LEN]> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Hits by CPU and point, where nothing else is wanted: `(cpu & counts_mask) * counts_stride + point`. The one value of
/// a map of its own, whose size is set at load time: an address in it is a constant, with nothing to look up.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.counts")]
pub(crate) static COUNTS: Counts = Counts(UnsafeCell::new([0; 1]));

/// Numbers that programs add to.
#[repr(transparent)]
pub(crate) struct Counts(UnsafeCell<[u64; 1]>);

// SAFETY: written in single instructions alone.
unsafe impl Sync for Counts {}

impl Counts {
    /// Where the numbers begin.
    #[inline(always)]
    pub(crate) fn first(&self) -> *mut u64 {
        self.0.get().cast()
    }
}

/// By number.
#[map]
pub(crate) static POINTS: Array<PointSpec> = Array::with_max_entries(1, 0);

/// Working memory: see [`crate::scratch`].
#[map]
pub(crate) static BLOCKS: PerCpuArray<Block> = PerCpuArray::with_max_entries(1, 0);

/// How many hits want each block.
#[map]
pub(crate) static TAKEN: PerCpuArray<[u64; MAX_BLOCKS as usize]> = PerCpuArray::with_max_entries(1, 0);

/// An aggregation.
#[map]
pub(crate) static GROUPS: PerCpuHashMap<Key, u64> = PerCpuHashMap::with_max_entries(1, 0);

/// Calls under way, by task.
#[map]
pub(crate) static CALLS: HashMap<u64, Calls> = HashMap::with_max_entries(1, 0);

/// What was read at the entry of calls under way: the first bytes of a block; how many, the run knows.
#[map]
pub(crate) static SAVED: HashMap<CallKey, u64> = HashMap::with_max_entries(1, 0);

/// Which point a system call is, by number: [`tracer_common::aggregate::syscall`].
#[map]
pub(crate) static SYSCALLS: Array<u32> = Array::with_max_entries(1, 0);

/// Events of the second that is under way.
#[map]
pub(crate) static RATE: Array<[u64; 2]> = Array::with_max_entries(1, 0);

/// Processes of the traced tree, by process id.
#[map]
pub(crate) static TREE: HashMap<u32, u32> = HashMap::with_max_entries(65536, BPF_F_NO_PREALLOC);

#[map]
pub(crate) static PIDS: HashMap<u32, u32> = HashMap::with_max_entries(1, 0);

#[map]
pub(crate) static UIDS: HashMap<u32, u32> = HashMap::with_max_entries(1, 0);

#[map]
pub(crate) static COMMS: HashMap<[u8; 16], u32> = HashMap::with_max_entries(1, 0);
