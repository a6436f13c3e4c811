//! A file's path, walked from its dentry up to the root of its mount namespace.
//!
//! The result is what `/proc/PID/exe` and `/proc/PID/cwd` show to an observer at the top of that
//! namespace: the names of the dentries from last to first, each followed by a NUL, mounts crossed
//! (fs/d_path.c, `prepend_path`, 5.10 to 7.2).

use tracer_common::{Exec, cut};

use crate::{
    kernel::{self, Space, follow, read},
    maps::offset,
    scratch::{self, Scratch, get, set},
};

/// How many dentries and mounts a walk crosses at most.
const MAX_STEPS: u32 = 32 * BATCH;
const BATCH: u32 = 32;
/// Longest path that is copied, in bytes.
const MAX_BYTES: u32 = 4096;
/// Longest name, with its NUL (NAME_MAX + 1).
const MAX_NAME: u32 = 256;

/// What a walk found out beside the names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Walk {
    /// Up to the root of the mount namespace.
    Whole,
    /// It ended early: too long.
    Cut,
    /// No file of a mounted file system (memfd, pipe): only its own name.
    Pseudo,
    /// A read failed.
    Failed,
}

/// Is the dentry no longer in its directory?
#[inline(always)]
pub(crate) fn unlinked(dentry: u64) -> bool {
    // include/linux/dcache.h, `d_unhashed`.
    matches!(read::<u64>(dentry, offset!(dentry_hash_pprev)), Some(0))
}

/// Appends the path's names to the record.
///
/// # Safety
/// `scratch` is the block of this number.
#[inline(always)]
pub(crate) unsafe fn append(scratch: *mut Scratch, slot: u32, mnt: u64, dentry: u64) -> Walk {
    // SAFETY: every write is to `scratch`.
    unsafe {
        set!(scratch, base, get!(scratch, end));
        set!(scratch, dentry, dentry);
        set!(scratch, vfsmount, mnt);
        set!(scratch, mnt_root, follow(mnt, offset!(vfsmount_mnt_root)));
        let mut led_to = GO_ON;
        for _ in 0..MAX_STEPS / BATCH {
            led_to = steps(slot);
            if led_to != GO_ON {
                break;
            }
        }
        match led_to {
            WHOLE => Walk::Whole,
            PSEUDO => Walk::Pseudo,
            GO_ON | CUT => Walk::Cut,
            _ => Walk::Failed,
        }
    }
}

// What a step leads to.
const FAILED: u32 = 0;
const GO_ON: u32 = 1;
const WHOLE: u32 = 2;
const PSEUDO: u32 = 3;
const CUT: u32 = 4;

/// A batch of [`step`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn steps(slot: u32) -> u32 {
    for _ in 0..BATCH {
        let led_to = step(slot);
        if led_to != GO_ON {
            return led_to;
        }
    }
    GO_ON
}

/// One step up: a name, or the root of a mount. A function of its own for the verifier's sake: see
/// [`crate::strings`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn step(slot: u32) -> u32 {
    let Some(scratch) = scratch::by_number(slot) else { return FAILED };
    // SAFETY: every write is to `scratch`, at masked offsets.
    unsafe {
        let dentry = get!(scratch, dentry);
        if dentry == get!(scratch, mnt_root) {
            // The top of a mount: go on at its mount point, or this was the last one.
            let mount = get!(scratch, vfsmount) - u64::from(offset!(mount_mnt));
            let parent = follow(mount, offset!(mount_parent));
            if parent == mount {
                return WHOLE;
            }
            let up = parent + u64::from(offset!(mount_mnt));
            set!(scratch, dentry, follow(mount, offset!(mount_mountpoint)));
            set!(scratch, vfsmount, up);
            set!(scratch, mnt_root, follow(up, offset!(vfsmount_mnt_root)));
            return GO_ON;
        }
        let end = get!(scratch, end);
        if end - get!(scratch, base) > MAX_BYTES - MAX_NAME {
            return CUT;
        }
        // A read that fails gives a null address, and the next one then fails here.
        let name = follow(dentry, offset!(dentry_name));
        let len = kernel::copy_str(Space::Kernel, scratch::at(scratch, end), MAX_NAME, name);
        if len <= 0 {
            return FAILED;
        }
        set!(scratch, end, end + len as u32);
        let parent = follow(dentry, offset!(dentry_parent));
        if parent == dentry {
            return PSEUDO;
        }
        set!(scratch, dentry, parent);
        GO_ON
    }
}

/// Notes in the record how a walk went.
///
/// # Safety
/// `record` is the scratch block's record.
#[inline(always)]
pub(crate) unsafe fn note(record: *mut Exec, walk: Walk, missing: u64, cut_bit: u32) {
    // SAFETY: as the caller promises.
    unsafe {
        match walk {
            Walk::Whole => {}
            Walk::Cut => (*record).cut |= cut_bit,
            Walk::Pseudo => (*record).cut |= cut::EXE_PSEUDO,
            Walk::Failed => (*record).missing |= missing,
        }
    }
}
