//! Working memory: a record under construction, and the state of loops.
//!
//! A record is too large for the 512 bytes of stack, and its length is known only when it is
//! done, so it is built here and then copied into the ring at its exact size.
//!
//! *Invariant:* each program uses the block of its own [`Slot`]. The kernel does not run a program
//! again on a CPU where it is already running, so nobody else writes to the block meanwhile, even
//! where programs can be preempted.
//!
//! Loop state lives in [`Work`] rather than in variables, since the functions that make up the
//! rounds of a loop take numbers only (see [`crate::strings`]). [`Cell`] keeps the compiler from
//! holding such state in registers.

use crate::maps::SCRATCH;

/// Which block of scratch memory a program uses: one per program that can run at the same time.
#[repr(u32)]
#[derive(Clone, Copy)]
pub(crate) enum Slot {
    Succeeded = 0,
    Execve = 1,
    Execveat = 2,
    CompatExecve = 3,
    CompatExecveat = 4,
    KernelExecve = 5,
    // These build their records elsewhere, and use blocks of [`crate::cgroup`] alone.
    Fork = 6,
    Exit = 7,
    Alive = 8,
}

/// Size of the part that holds a record.
pub(crate) const RECORD: usize = 32 * 1024 - size_of::<Work>();

/// Variable parts start at offsets below this, and are at most 2 * 4,096 bytes long.
pub(crate) const OFFSET_MASK: u32 = 0x3fff;
const _: () = assert!(OFFSET_MASK as usize + 2 * 4096 < RECORD);

/// One block.
#[repr(C)]
pub(crate) struct Scratch {
    pub(crate) record: [u8; RECORD],
    pub(crate) work: Work,
}

/// State of the loops.
#[repr(C)]
pub(crate) struct Work {
    /// End of the record so far.
    pub(crate) end: Cell<u32>,
    /// Where the stream starts in the record.
    pub(crate) base: Cell<u32>,
    /// Bytes of the stream that lie in the record since its last chunk.
    pub(crate) pending: Cell<u32>,
    /// Address read next, and the end of what is to be read.
    pub(crate) from: Cell<u64>,
    pub(crate) until: Cell<u64>,
    /// Where the middle that is left out begins and ends, in bytes of the stream.
    pub(crate) jump_at: Cell<u64>,
    pub(crate) jump_to: Cell<u64>,
    /// Next entry of the array of pointers, and the bytes of its string that are already copied.
    pub(crate) pointers: Cell<u64>,
    pub(crate) within: Cell<u64>,
    /// Bytes of the stream that went out as chunks or were left out.
    pub(crate) done: Cell<u64>,
    /// Not 0 when a read failed.
    pub(crate) errors: Cell<i64>,
    /// Strings seen.
    pub(crate) count: Cell<u32>,
    /// Chunks sent or lost.
    pub(crate) chunks: Cell<u32>,
    /// Path walk: where it is.
    pub(crate) dentry: Cell<u64>,
    pub(crate) vfsmount: Cell<u64>,
    pub(crate) mnt_root: Cell<u64>,
    /// Kind of a failed call.
    pub(crate) filename: Cell<u64>,
    pub(crate) argv: Cell<u64>,
    pub(crate) envp: Cell<u64>,
    pub(crate) dirfd: Cell<u32>,
    pub(crate) pointer_size: Cell<u32>,
    /// Not 0 once the end of the array has been seen.
    pub(crate) complete: Cell<u32>,
    /// Where a system call's registers are copied to.
    pub(crate) regs: [u64; 16],
}
const _: () = assert!(size_of::<Work>().is_multiple_of(8));

/// A value that is read from, and written to, memory each time.
#[repr(transparent)]
pub(crate) struct Cell<T>(T);

impl<T: Copy> Cell<T> {
    /// # Safety
    /// `this` points into scratch memory.
    #[inline(always)]
    pub(crate) unsafe fn get(this: *const Self) -> T {
        // SAFETY: as the caller promises.
        unsafe { this.cast::<T>().read_volatile() }
    }

    /// # Safety
    /// `this` points into scratch memory.
    #[inline(always)]
    pub(crate) unsafe fn set(this: *mut Self, value: T) {
        // SAFETY: as the caller promises.
        unsafe { this.cast::<T>().write_volatile(value) }
    }
}

/// Reads a member of [`Work`].
macro_rules! get {
    ($scratch:expr, $member:ident) => {
        $crate::scratch::Cell::get(&raw const (*$scratch).work.$member)
    };
}
pub(crate) use get;

/// Writes a member of [`Work`].
macro_rules! set {
    ($scratch:expr, $member:ident, $value:expr) => {
        $crate::scratch::Cell::set(&raw mut (*$scratch).work.$member, $value)
    };
}
pub(crate) use set;

/// This CPU's block for one program.
#[inline(always)]
pub(crate) fn take(slot: Slot) -> Option<*mut Scratch> {
    SCRATCH.get_ptr_mut(slot as u32)
}

/// The same by the slot's number.
#[inline(always)]
pub(crate) fn by_number(slot: u32) -> Option<*mut Scratch> {
    SCRATCH.get_ptr_mut(slot)
}

/// Address of the record's byte at `offset`, which is masked so that the verifier sees its bound.
///
/// # Safety
/// `scratch` comes from [`take`].
#[inline(always)]
pub(crate) unsafe fn at(scratch: *mut Scratch, offset: u32) -> *mut u8 {
    // SAFETY: OFFSET_MASK is inside the record.
    unsafe { (&raw mut (*scratch).record).cast::<u8>().add((offset & OFFSET_MASK) as usize) }
}
