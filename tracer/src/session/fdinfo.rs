//! What the kernel says of our programs and maps in /proc: no system call of bpf(2)'s, and no capability once the file
//! is open.
//!
//! It does not run a program on a CPU where another task is in the middle of it (kernel/bpf/
//! trampoline.c, `__bpf_prog_enter_recur`, since 5.12; kernel/trace/bpf_trace.c, `bpf_trace_run`).
//! Where the kernel can be preempted, that costs events: it counts them, and so do we.

use std::{fs::File, io, os::fd::AsRawFd, os::fd::BorrowedFd, os::unix::fs::FileExt};

/// What /proc says of one descriptor: opened while there is privilege. The descriptor has to stay open.
pub(super) struct FdInfo {
    info: File,
}

/// What was said; 0 where the kernel does not say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Runs, and the time that they took: counted while somebody keeps statistics on ([`super::meter`]).
    pub(super) runs: u64,
    pub(super) time_ns: u64,
    /// Runs that were skipped; kernels that skip none do not say so.
    pub(super) skipped: u64,
    /// Memory of the kernel's, in bytes.
    pub(super) memory: u64,
}

impl FdInfo {
    /// Of a program or a map.
    pub(super) fn of(descriptor: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self { info: File::open(format!("/proc/self/fdinfo/{}", descriptor.as_raw_fd()))? })
    }

    pub(super) fn read(&self) -> Said {
        let mut text = [0; 1024];
        let n = self.info.read_at(&mut text, 0).unwrap_or(0);
        parse(&String::from_utf8_lossy(text.get(..n).unwrap_or_default()))
    }
}

/// kernel/bpf/syscall.c, `bpf_prog_show_fdinfo` and `bpf_map_show_fdinfo`, 5.10 to 7.2.
fn parse(text: &str) -> Said {
    let mut said = Said::default();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let number = || value.trim().parse().unwrap_or(0);
        match name {
            "run_cnt" => said.runs = number(),
            "run_time_ns" => said.time_ns = number(),
            "recursion_misses" => said.skipped = number(),
            "memlock" => said.memory = number(),
            _ => {}
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_maps_are_read() {
        let program = "pos:\t0\nflags:\t02000002\nmnt_id:\t15\nino:\t1054\nprog_type:\t26\nprog_jited:\t1\n\
                       prog_tag:\t5c0a0d4d2b6f1f36\nmemlock:\t8192\nprog_id:\t33\nrun_time_ns:\t5120\nrun_cnt:\t12\n\
                       recursion_misses:\t3\nverified_insns:\t4711\n";
        assert_eq!(parse(program), Said { runs: 12, time_ns: 5120, skipped: 3, memory: 8192 });
        let map = "map_type:\t27\nmax_entries:\t8388608\nmemlock:\t8392704\nmap_id:\t9\nfrozen:\t0\n";
        assert_eq!(parse(map), Said { memory: 8_392_704, ..Said::default() });
        assert_eq!(parse("nonsense\nrun_cnt:\tmany\n"), Said::default());
    }
}
