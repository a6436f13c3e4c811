//! The task iterator: which processes there are when a trace begins.
//!
//! User space reads the iterator's descriptor, and with each read the kernel runs the program for some tasks more
//! (kernel/bpf/bpf_iter.c, `bpf_seq_read`). The program writes a byte for each, so that a read ends after as many
//! tasks as it has room for: between two reads user space empties the ring.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_seq_write;
use tracer_common::{Alive, Hook, Kind, cut, field, life_flag};

use crate::{
    cgroup, emit,
    kernel::{follow, read},
    life::{self, PF_KTHREAD, header},
    maps::{SNAPSHOT, knob, offset},
    path::{self, Walk},
    scratch::{self, Slot, get, set},
};

/// include/linux/bpf.h, `struct bpf_iter__task`: pointers to `struct bpf_iter_meta`, whose first member is a pointer
/// to the `struct seq_file`, and to the task, null at the end.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
extern "C" fn iter_alive(ctx: *mut c_void) -> i32 {
    // SAFETY: the context is of two pointers; what they point to is read as the verifier allows.
    unsafe {
        let meta = ctx.cast::<*mut *mut c_void>().read_volatile();
        let seq = meta.read_volatile();
        let byte = [0_u8; 8];
        bpf_seq_write(seq.cast(), byte.as_ptr().cast_mut().cast(), 1);
    }
    // As plain memory: what is null for the last run is otherwise a pointer that may not be calculated with.
    if let Some(task) = read::<u64>(ctx as u64, 8)
        && task != 0
    {
        alive(task);
    }
    0
}

/// Tells a process.
#[inline(always)]
fn alive(task: u64) {
    let Some((pid, flags)) = life::process(task) else { return };
    // One that has ended tells so itself.
    if life::none_is_left(task) {
        return;
    }
    let number = knob!(alive_slot);
    let Some(scratch) = scratch::by_number(number) else { return };
    let who = life::who(task, pid);
    let (cgroups, unplaced) = cgroup::of_task(Slot::Alive, task);
    // SAFETY: writes go to scratch memory.
    unsafe {
        let record = (&raw mut (*scratch).record).cast::<Alive>();
        record.write(Alive {
            header: header::<Alive>(Kind::Alive, Hook::Fentry, 0),
            start_ns: who.start_ns,
            parent_start_ns: who.parent_start_ns,
            cgroups,
            missing: who.missing | unplaced,
            pid,
            ppid: who.ppid,
            uid: who.uid,
            gid: who.gid,
            flags: if flags & PF_KTHREAD != 0 { life_flag::KERNEL_THREAD } else { 0 },
            cut: 0,
            exe_len: 0,
            reserved: 0,
            comm: [0; 16],
        });
        (&raw mut (*record).comm).cast::<[u64; 2]>().write(who.comm);
        set!(scratch, end, size_of::<Alive>() as u32);
        if flags & PF_KTHREAD == 0 {
            let mm = follow(task, offset!(task_mm));
            let file = follow(mm, offset!(mm_exe_file));
            let dentry = follow(file, offset!(file_path_dentry));
            let walk = path::append(scratch, number, follow(file, offset!(file_path_mnt)), dentry);
            (*record).exe_len = get!(scratch, end) - size_of::<Alive>() as u32;
            match walk {
                Walk::Whole => {}
                Walk::Cut => (*record).cut |= cut::EXE,
                Walk::Pseudo => (*record).cut |= cut::EXE_PSEUDO,
                Walk::Failed => (*record).missing |= field::EXE,
            }
            if path::unlinked(dentry) {
                (*record).flags |= life_flag::EXE_DELETED;
            }
        }
        let found_room = emit::unnumbered(scratch);
        if let Some(counts) = SNAPSHOT.get_ptr_mut(0) {
            emit::count(if found_room { &raw mut (*counts)[0] } else { &raw mut (*counts)[1] });
        }
    }
}
