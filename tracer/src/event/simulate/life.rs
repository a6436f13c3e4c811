//! Simulated records of births, ends, and the snapshot.

use std::mem::offset_of;

use tracer_common::{Alive, AliveEnd, CgroupPath, Cgroups, Exit, Fork, Header, Hook, Kind};

use super::{components, patch, record};

const HEADER: Header = Header {
    size: 0,
    kind: 0,
    hook: Hook::Fentry as u16,
    cpu: 1,
    tid: 4000,
    boot_ns: 81_234_000_000,
    seq: 3,
};

fn comm(name: &[u8]) -> [u8; 16] {
    let mut comm = [0; 16];
    comm[..name.len()].copy_from_slice(name);
    comm
}

/// A shell makes the process of [`super::SimulatedExec::example`].
pub fn example_fork() -> Fork {
    Fork {
        header: HEADER,
        start_ns: 81_234_000_000,
        parent_start_ns: 60_000_000_000,
        cgroups: Cgroups { v2: 4567, ..Cgroups::default() },
        pid: 4242,
        ppid: 4000,
        maker: 4000,
        uid: 1000,
        gid: 1000,
        comm: comm(b"bash"),
        ..Fork::default()
    }
}

/// That process ends by itself.
pub fn example_exit() -> Exit {
    Exit {
        header: Header { tid: 4242, boot_ns: 82_500_000_000, seq: 4, ..HEADER },
        start_ns: 81_234_000_000,
        parent_start_ns: 60_000_000_000,
        cgroups: Cgroups { v2: 4567, ..Cgroups::default() },
        utime_ns: 4_000_000,
        stime_ns: 12_000_000,
        runtime_ns: 15_000_000,
        max_rss_pages: 512,
        minor_faults: 100,
        major_faults: 2,
        rchar: 5000,
        wchar: 60,
        read_bytes: 4096,
        write_bytes: 8192,
        cancelled_write_bytes: 4096,
        pid: 4242,
        ppid: 4000,
        uid: 1000,
        gid: 1000,
        status: 1 << 8,
        comm: comm(b"true"),
        ..Exit::default()
    }
}

/// That shell, as the snapshot tells of it; with its executable's path, from the first component to the last.
pub fn example_alive() -> (Alive, Vec<Vec<u8>>) {
    let alive = Alive {
        header: Header { seq: 0, boot_ns: 81_000_000_000, ..HEADER },
        start_ns: 60_000_000_000,
        parent_start_ns: 1_000_000_000,
        cgroups: Cgroups { v2: 4567, ..Cgroups::default() },
        pid: 4000,
        ppid: 1,
        uid: 1000,
        gid: 1000,
        comm: comm(b"bash"),
        ..Alive::default()
    };
    (alive, [b"usr".to_vec(), b"bin".to_vec(), b"bash".to_vec()].into())
}

fn header(header: Header, kind: Kind, size: usize) -> Header {
    Header { size: size as u32, kind: kind as u16, ..header }
}

/// The record of a birth.
pub fn fork_record(mut fork: Fork) -> Vec<u8> {
    fork.header = header(fork.header, Kind::Fork, size_of::<Fork>());
    record(&fork, &[])
}

/// The record of an end.
pub fn exit_record(mut exit: Exit) -> Vec<u8> {
    exit.header = header(exit.header, Kind::Exit, size_of::<Exit>());
    record(&exit, &[])
}

/// The record of a process of the snapshot, with its executable's path.
pub fn alive_record(mut alive: Alive, exe: &[Vec<u8>]) -> Vec<u8> {
    let exe = components(exe);
    alive.exe_len = exe.len() as u32;
    alive.header = header(alive.header, Kind::Alive, size_of::<Alive>() + exe.len());
    record(&alive, &exe)
}

/// The record of the snapshot's end.
pub fn alive_end_record(mut end: AliveEnd) -> Vec<u8> {
    end.header = header(end.header, Kind::AliveEnd, size_of::<AliveEnd>());
    record(&end, &[])
}

/// Makes any bytes a record of one of these kinds, as far as they go.
pub(super) fn mend(record: &mut [u8], choice: u8) {
    let (kind, len) = match choice {
        0 => (Kind::Fork, None),
        1 => (Kind::Exit, None),
        2 | 3 => (Kind::Alive, Some(offset_of!(Alive, exe_len))),
        4 => (Kind::AliveEnd, None),
        _ => (Kind::Cgroup, Some(offset_of!(CgroupPath, len))),
    };
    patch(record, 4, &(kind as u16).to_le_bytes());
    if let Some(len) = len
        && choice != 3
    {
        patch(record, len + 1, &[0, 0, 0]);
    }
}
