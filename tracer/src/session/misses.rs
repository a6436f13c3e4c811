//! Runs of our programs that the kernel skipped.
//!
//! It does not run a program on a CPU where another task is in the middle of it (kernel/bpf/
//! trampoline.c, `__bpf_prog_enter_recur`, since 5.12; kernel/trace/bpf_trace.c, `bpf_trace_run`).
//! Where the kernel can be preempted, that costs events: it counts them, and so do we.

use std::{fs::File, io, os::fd::AsRawFd, os::fd::BorrowedFd, os::unix::fs::FileExt};

/// One program's count of skipped runs.
pub(super) struct Misses {
    /// What /proc says of the program's descriptor: opened while there is privilege.
    info: File,
}

impl Misses {
    pub(super) fn of(program: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self { info: File::open(format!("/proc/self/fdinfo/{}", program.as_raw_fd()))? })
    }

    /// How many there were; 0 on kernels that skip none, and do not say so.
    pub(super) fn read(&self) -> u64 {
        let mut text = [0; 1024];
        let n = self.info.read_at(&mut text, 0).unwrap_or(0);
        let text = String::from_utf8_lossy(text.get(..n).unwrap_or_default());
        let count = text.lines().find_map(|line| line.strip_prefix("recursion_misses:"));
        count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }
}
