//! Every map and every read-only global.
//!
//! Sizes that depend on the host or on the user's wishes (ring, scratch, statistics) are set at
//! load time; the numbers here are the least that works.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, ProgramArray, RingBuf},
};
use tracer_common::{CpuStats, Knobs, Offsets};

use crate::{cgroup, life, scratch::Scratch};

/// Where the members that we read lie in this kernel's structures.
#[unsafe(no_mangle)]
pub(crate) static OFFSETS: Offsets = Offsets::absent();

/// What this run wants.
#[unsafe(no_mangle)]
pub(crate) static KNOBS: Knobs = Knobs {
    filters: 0,
    env: 0,
    max_argv_bytes: 0,
    task_pt_regs: 0,
    cgroups: 0,
    cgroup_level: 0,
    cgroup_id: 0,
    follow: tracer_common::follow::EXEC,
    exit_says_last: 0,
    hierarchies: [0; 2],
    governed: 0,
    places: 0,
    alive_slot: 0,
    reserved: 0,
};

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

/// Reads a member of one of the globals above; the macros make sure of that.
#[inline(always)]
pub(crate) fn load<T: Copy>(member: *const T) -> T {
    // SAFETY: the pointer is to a static's member.
    unsafe { member.read_volatile() }
}

/// Lets user space read (and write) an array's values through mmap: no system call, no capability.
pub(crate) const BPF_F_MMAPABLE: u32 = 1 << 10;
const BPF_F_NO_PREALLOC: u32 = 1;

#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(64 * 1024, 0);

/// One block of working memory per program and CPU: see [`crate::scratch`].
#[map]
pub(crate) static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);

/// Indexed by CPU.
#[map]
pub(crate) static STATS: Array<CpuStats> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// The program that others go on in where a system call failed: see [`crate::hooks::fentry`].
#[map]
pub(crate) static FAILED: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Processes of the traced tree, by process id.
#[map]
pub(crate) static TREE: HashMap<u32, u32> = HashMap::with_max_entries(65536, BPF_F_NO_PREALLOC);

#[map]
pub(crate) static PIDS: HashMap<u32, u32> = HashMap::with_max_entries(1024, BPF_F_NO_PREALLOC);

#[map]
pub(crate) static UIDS: HashMap<u32, u32> = HashMap::with_max_entries(1024, BPF_F_NO_PREALLOC);

#[map]
pub(crate) static COMMS: HashMap<[u8; 16], u32> = HashMap::with_max_entries(1024, BPF_F_NO_PREALLOC);

/// Threads other than the leader that are in the middle of an exec: process id to thread id.
#[map]
pub(crate) static CALLERS: LruHashMap<u32, u32> = LruHashMap::with_max_entries(1024, 0);

/// Arguments of the kernel's own execs, from entry to return, by task.
#[map]
pub(crate) static KERNEL_CALLS: LruHashMap<u64, [u64; 3]> = LruHashMap::with_max_entries(256, 0);

/// Control groups whose path has been sent: id and hierarchy.
#[map]
pub(crate) static CGROUPS: LruHashMap<[u64; 2], u32> = LruHashMap::with_max_entries(2048, 0);

/// One block per program and CPU.
#[map]
pub(crate) static CGROUP_WORK: PerCpuArray<cgroup::Work> = PerCpuArray::with_max_entries(1, 0);

#[map]
pub(crate) static LIFE_WORK: PerCpuArray<life::Work> = PerCpuArray::with_max_entries(1, 0);

/// Ends that were told by a thread that others were still there beside: process id and start.
#[map]
pub(crate) static ENDED: LruHashMap<[u64; 2], u32> = LruHashMap::with_max_entries(1024, 0);

/// How many processes the iterator told, and how many found no room in the ring.
#[map]
pub(crate) static SNAPSHOT: Array<[u64; 2]> = Array::with_max_entries(1, BPF_F_MMAPABLE);
