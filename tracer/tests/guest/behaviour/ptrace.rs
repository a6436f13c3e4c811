//! What a process hands to bpf(BPF_PROG_LOAD), seen from outside: ptrace(2) stops it at each call.

use std::{
    fs::File,
    io,
    os::unix::{fs::FileExt, process::CommandExt},
    process::{Child, Command},
};

const BPF_PROG_LOAD: u64 = 5;
/// `union bpf_attr`, as BPF_PROG_LOAD knows it: insn_cnt, insns, prog_name.
const INSN_CNT: usize = 4;
const INSNS: usize = 8;
const NAME: usize = 48;

/// A program as bpf() got it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) insns: Vec<u8>,
}

/// Runs a command to its end; each program that its first thread loads, in order.
pub(crate) fn programs_of(mut command: Command) -> Vec<Given> {
    let trace_me = || {
        // SAFETY: no pointers are passed.
        match unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: ptrace is a plain system call.
    let child = unsafe { command.pre_exec(trace_me) }.spawn().expect("the command starts");
    let pid = child.id().cast_signed();
    let mut given = Vec::new();
    let mut entering = true;
    // The stop at the exec itself comes first.
    wait(&child).expect("it stops at its exec");
    let mut signal = 0;
    loop {
        // SAFETY: the child is stopped, and ours.
        let ret = unsafe { libc::ptrace(libc::PTRACE_SYSCALL, pid, 0, i64::from(signal)) };
        assert_eq!(ret, 0, "PTRACE_SYSCALL: {}", io::Error::last_os_error());
        let Some(stop) = wait(&child) else { return given };
        signal = if stop == libc::SIGTRAP { 0 } else { stop };
        if stop != libc::SIGTRAP {
            continue;
        }
        if entering {
            given.extend(load(pid));
        }
        entering = !entering;
    }
}

/// The signal that it stopped with; `None` when it has ended.
fn wait(child: &Child) -> Option<i32> {
    let mut status = 0;
    // SAFETY: the child is ours, and `status` is writable.
    let pid = unsafe { libc::waitpid(child.id().cast_signed(), &raw mut status, 0) };
    assert!(pid > 0, "waitpid: {}", io::Error::last_os_error());
    libc::WIFSTOPPED(status).then(|| libc::WSTOPSIG(status))
}

/// The program, if the call that it stopped at loads one.
fn load(pid: i32) -> Option<Given> {
    // SAFETY: all zero is a value of it.
    let mut regs: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    // SAFETY: the child is stopped, and `regs` is writable.
    let ret = unsafe { libc::ptrace(libc::PTRACE_GETREGS, pid, 0, &raw mut regs) };
    assert_eq!(ret, 0, "PTRACE_GETREGS: {}", io::Error::last_os_error());
    if regs.orig_rax != libc::SYS_bpf as u64 || regs.rdi != BPF_PROG_LOAD {
        return None;
    }
    let memory = File::open(format!("/proc/{pid}/mem")).expect("its memory");
    let read = |at: u64, len: usize| {
        let mut bytes = vec![0; len];
        memory.read_exact_at(&mut bytes, at).expect("its memory");
        bytes
    };
    let attr = read(regs.rsi, NAME + 16);
    let count = u32::from_ne_bytes(attr[INSN_CNT..][..4].try_into().expect("4 bytes"));
    let insns = u64::from_ne_bytes(attr[INSNS..][..8].try_into().expect("8 bytes"));
    let name = attr[NAME..].iter().copied().take_while(|byte| *byte != 0).collect();
    Some(Given { name: String::from_utf8(name).expect("a name"), insns: read(insns, count as usize * 8) })
}
