//! Kprobes through perf events: nothing in tracefs, and gone with their descriptor.

use std::{
    ffi::CStr,
    fs, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// Where the kernel says by which number it knows kprobes as a source of events.
const SOURCE: &str = "/sys/bus/event_source/devices/kprobe";

// uapi/linux/perf_event.h
const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 8;
const PERF_EVENT_IOC_ENABLE: libc::c_ulong = 0x2400;
const PERF_EVENT_IOC_SET_BPF: libc::c_ulong = 0x4004_2408;

/// Where in a function a kprobe sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Entry,
    Return,
}

/// A place in the kernel's code.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spot<'a> {
    /// Bytes from the start of a function; one of a module is `MODULE:FUNCTION`.
    Named(&'a CStr, u64),
    At(u64),
}

/// `struct perf_event_attr` up to `config2` (PERF_ATTR_SIZE_VER1).
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Attr {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    bp_type: u32,
    config1: u64,
    config2: u64,
}

/// This kernel's kprobes.
pub(super) struct Kprobes {
    kind: u32,
    return_bit: u64,
}

impl Kprobes {
    pub(super) fn of_this_kernel() -> io::Result<Self> {
        let bad =
            |file: &str, text: &str| io::Error::other(format!("{SOURCE}/{file} says '{}'", text.trim()));
        let kind = fs::read_to_string(format!("{SOURCE}/type"))?;
        let bit = fs::read_to_string(format!("{SOURCE}/format/retprobe"))?;
        // "config:0"
        let shift: u32 = bit
            .trim()
            .strip_prefix("config:")
            .and_then(|n| n.parse().ok())
            .ok_or_else(|| bad("format/retprobe", &bit))?;
        Ok(Self {
            kind: kind.trim().parse().map_err(|_| bad("type", &kind))?,
            return_bit: 1_u64.checked_shl(shift).ok_or_else(|| bad("format/retprobe", &bit))?,
        })
    }

    /// Runs the program on every call of the function. Closing the descriptor detaches it.
    pub(super) fn attach(&self, function: &CStr, at: At, program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
        let event = self.open(Spot::Named(function, 0), at)?;
        set_program(event.as_fd(), program)?;
        Ok(event)
    }

    /// Places a kprobe that runs nothing yet.
    pub(super) fn open(&self, spot: Spot<'_>, at: At) -> io::Result<OwnedFd> {
        let (name, place) = match spot {
            Spot::Named(function, offset) => (function.as_ptr() as u64, offset),
            Spot::At(address) => (0, address),
        };
        open(&Attr {
            kind: self.kind,
            config: if at == At::Return { self.return_bit } else { 0 },
            config1: name,
            config2: place,
            ..Attr::default()
        })
    }
}

/// Opens a tracepoint, by its number in tracefs, that runs nothing yet.
pub(super) fn open_tracepoint(id: u64) -> io::Result<OwnedFd> {
    const PERF_TYPE_TRACEPOINT: u32 = 2;
    open(&Attr { kind: PERF_TYPE_TRACEPOINT, config: id, sample_period: 1, ..Attr::default() })
}

fn open(attr: &Attr) -> io::Result<OwnedFd> {
    let attr = Attr { size: size_of::<Attr>() as u32, ..*attr };
    // SAFETY: the attributes are of the size that they say, and a name in them is a C string.
    let fd =
        unsafe { libc::syscall(libc::SYS_perf_event_open, &raw const attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
}

/// Runs the program on every hit of the event, until its descriptor is closed.
pub(super) fn set_program(event: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    request(event, PERF_EVENT_IOC_SET_BPF, program.as_raw_fd())?;
    enable(event)
}

/// From now on the event happens.
pub(super) fn enable(event: BorrowedFd<'_>) -> io::Result<()> {
    request(event, PERF_EVENT_IOC_ENABLE, 0)
}

fn request(event: BorrowedFd<'_>, request: libc::c_ulong, argument: libc::c_int) -> io::Result<()> {
    // SAFETY: neither request takes a pointer.
    if unsafe { libc::ioctl(event.as_raw_fd(), request, argument) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
