//! bpf(2) as far as a loader needs it: one function per command.
//!
//! *Invariant:* what is zero in an attribute is what the kernel takes for "not given", and no attribute
//! has padding, which would not be zero; a descriptor that comes back is owned.
//!
//! *Must not know:* what is loaded, and why.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

// uapi/linux/bpf.h, `enum bpf_cmd`
const MAP_CREATE: libc::c_int = 0;
const MAP_LOOKUP_ELEM: libc::c_int = 1;
const MAP_UPDATE_ELEM: libc::c_int = 2;
const MAP_GET_NEXT_KEY: libc::c_int = 4;
const PROG_LOAD: libc::c_int = 5;
const OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const RAW_TRACEPOINT_OPEN: libc::c_int = 17;
const BTF_LOAD: libc::c_int = 18;
const BTF_GET_FD_BY_ID: libc::c_int = 19;
const MAP_FREEZE: libc::c_int = 22;
const BTF_GET_NEXT_ID: libc::c_int = 23;
const LINK_CREATE: libc::c_int = 28;
const ITER_CREATE: libc::c_int = 33;
const ENABLE_STATS: libc::c_int = 32;

/// A name as the kernel keeps it: at most 15 bytes.
pub(super) type Name = [u8; 16];

/// The name, cut to what the kernel keeps. It takes letters, digits, `_` and `.` (kernel/bpf/
/// syscall.c, `bpf_obj_name_cpy`).
pub(super) fn name(text: &str) -> Name {
    let mut name = [0; 16];
    let allowed = text.bytes().map(|b| if b.is_ascii_alphanumeric() || b == b'.' { b } else { b'_' });
    name.iter_mut().take(15).zip(allowed).for_each(|(to, from)| *to = from);
    name
}

/// Calls bpf(2).
///
/// # Safety
/// `attr` is the beginning of `union bpf_attr` as the command knows it, and whatever it points to
/// lives across the call and may be written where the kernel writes.
unsafe fn bpf<T>(command: libc::c_int, attr: &T) -> io::Result<libc::c_int> {
    // SAFETY: the caller's promise.
    let ret = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attr), size_of::<T>()) };
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(ret as libc::c_int) }
}

/// # Safety
/// As for [`bpf`], and the command answers with a new descriptor.
unsafe fn bpf_fd<T>(command: libc::c_int, attr: &T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise; the descriptor is new, so nobody else owns it.
    unsafe { Ok(OwnedFd::from_raw_fd(bpf(command, attr)?)) }
}

/// What a map is.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct MapAttr {
    pub(super) map_type: u32,
    pub(super) key_size: u32,
    pub(super) value_size: u32,
    pub(super) max_entries: u32,
    pub(super) flags: u32,
    pub(super) inner_map_fd: u32,
    pub(super) numa_node: u32,
    pub(super) name: Name,
}

pub(super) fn map_create(attr: &MapAttr) -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    unsafe { bpf_fd(MAP_CREATE, attr) }
}

/// `BPF_STATS_RUN_TIME` of `enum bpf_stats_type`.
const STATS_RUN_TIME: u32 = 0;

/// The kernel counts the runs of every program, and their time, until the descriptor is closed (since 5.8; it takes
/// CAP_SYS_ADMIN).
pub(super) fn enable_run_time_stats() -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    unsafe { bpf_fd(ENABLE_STATS, &STATS_RUN_TIME) }
}

#[repr(C)]
struct ElemAttr {
    map_fd: u32,
    _pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Sets one element. `key` and `value` have the map's sizes.
pub(super) fn map_update(map: BorrowedFd<'_>, key: &[u8], value: &[u8], flags: u64) -> io::Result<()> {
    let attr = ElemAttr {
        map_fd: map.as_raw_fd() as u32,
        _pad: 0,
        key: key.as_ptr() as u64,
        value: value.as_ptr() as u64,
        flags,
    };
    // SAFETY: the kernel reads key and value, which have the sizes that the map was created with.
    unsafe { bpf(MAP_UPDATE_ELEM, &attr).map(drop) }
}

/// Reads one element: for a map per CPU the values of all possible CPUs, each of which begins at a multiple of 8
/// bytes. `None` if there is no such key.
pub(super) fn map_lookup(map: BorrowedFd<'_>, key: &[u8], value: &mut [u8]) -> io::Result<Option<()>> {
    let attr = ElemAttr {
        map_fd: map.as_raw_fd() as u32,
        _pad: 0,
        key: key.as_ptr() as u64,
        value: value.as_mut_ptr() as u64,
        flags: 0,
    };
    // SAFETY: the kernel reads the key and writes the value, which the caller has made of the map's sizes.
    match unsafe { bpf(MAP_LOOKUP_ELEM, &attr) } {
        Ok(_) => Ok(Some(())),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The key after this one, or the first; false if there is none.
pub(super) fn map_next_key(map: BorrowedFd<'_>, key: Option<&[u8]>, next: &mut [u8]) -> io::Result<bool> {
    let attr = ElemAttr {
        map_fd: map.as_raw_fd() as u32,
        _pad: 0,
        key: key.map_or(0, |key| key.as_ptr() as u64),
        value: next.as_mut_ptr() as u64,
        flags: 0,
    };
    // SAFETY: the kernel reads the one key and writes the other; both have the size that the map was created with.
    match unsafe { bpf(MAP_GET_NEXT_KEY, &attr) } {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// From now on user space cannot change the map: its values are constants for the verifier.
pub(super) fn map_freeze(map: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no pointers.
    unsafe { bpf(MAP_FREEZE, &(map.as_raw_fd() as u32)).map(drop) }
}

#[repr(C)]
#[derive(Default)]
struct BtfAttr {
    btf: u64,
    log_buf: u64,
    size: u32,
    log_size: u32,
    log_level: u32,
    _pad: u32,
}

// Without padding, a size is the sum of the members' sizes.
const _: () = assert!(size_of::<MapAttr>() == 7 * 4 + 16);
const _: () = assert!(size_of::<ElemAttr>() == 2 * 4 + 3 * 8);
const _: () = assert!(size_of::<BtfAttr>() == 2 * 8 + 4 * 4);
const _: () = assert!(size_of::<LoadAttr>() == 5 * 8 + 16 * 4 + 16);
const _: () = assert!(size_of::<RawTracepointAttr>() == 8 + 2 * 4);

/// Loads type information. A second time with a log if the kernel refuses it.
pub(super) fn btf_load(btf: &[u8]) -> Result<OwnedFd, Refused> {
    let mut log = vec![0; 64 << 10];
    let mut attr = BtfAttr { btf: btf.as_ptr() as u64, size: btf.len() as u32, ..BtfAttr::default() };
    // SAFETY: the kernel reads `size` bytes.
    let error = match unsafe { bpf_fd(BTF_LOAD, &attr) } {
        Ok(btf) => return Ok(btf),
        Err(error) => error,
    };
    (attr.log_level, attr.log_size, attr.log_buf) = (1, log.len() as u32, log.as_mut_ptr() as u64);
    // SAFETY: as above, and the log is writable.
    match unsafe { bpf_fd(BTF_LOAD, &attr) } {
        Ok(btf) => Ok(btf),
        Err(_) => Err(Refused { error, log: text(&log) }),
    }
}

/// A log up to its NUL.
fn text(log: &[u8]) -> String {
    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
    String::from_utf8_lossy(&log[..end]).into_owned()
}

/// A program, ready to be loaded.
pub(super) struct ProgramAttr<'a> {
    pub(super) program_type: u32,
    pub(super) attach_type: u32,
    pub(super) flags: u32,
    pub(super) name: Name,
    /// Whole instructions of 8 bytes.
    pub(super) insns: &'a [u8],
    pub(super) license: &'a CStr,
    pub(super) btf: Option<ProgramBtf<'a>>,
    /// A type of the kernel's BTF, or of a module's, or 0.
    pub(super) attach_type_id: u32,
    /// The module's BTF.
    pub(super) attach_btf: Option<BorrowedFd<'a>>,
}

/// The object's BTF, as the kernel has it, with the records of one program that refer to it.
pub(super) struct ProgramBtf<'a> {
    pub(super) fd: BorrowedFd<'a>,
    /// `struct bpf_func_info`.
    pub(super) functions: &'a [[u32; 2]],
    /// `struct bpf_line_info`.
    pub(super) lines: &'a [[u32; 4]],
}

#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: Name,
    prog_ifindex: u32,
    expected_attach_type: u32,
    prog_btf_fd: u32,
    func_info_rec_size: u32,
    func_info: u64,
    func_info_cnt: u32,
    line_info_rec_size: u32,
    line_info: u64,
    line_info_cnt: u32,
    attach_btf_id: u32,
    /// Or, since 5.11, a module's BTF.
    attach_prog_fd: u32,
    core_relo_cnt: u32,
}

/// Bytes that a verifier log may have before it is cut.
const MOST_LOG: usize = 16 << 20;
/// kernel/bpf/verifier.c: a pending signal ends the verification with EAGAIN.
const TRIES: usize = 5;

/// Why something was not loaded.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) error: io::Error,
    /// What the verifier says; empty if it was not asked.
    pub(super) log: String,
}

/// Loads a program. A second time with a log if the kernel refuses it.
pub(super) fn prog_load(program: &ProgramAttr<'_>) -> Result<OwnedFd, Refused> {
    let mut attr = LoadAttr {
        prog_type: program.program_type,
        insn_cnt: (program.insns.len() / 8) as u32,
        insns: program.insns.as_ptr() as u64,
        license: program.license.as_ptr() as u64,
        prog_flags: program.flags,
        prog_name: program.name,
        expected_attach_type: program.attach_type,
        attach_btf_id: program.attach_type_id,
        attach_prog_fd: program.attach_btf.map_or(0, |btf| btf.as_raw_fd() as u32),
        ..LoadAttr::default()
    };
    if let Some(ProgramBtf { fd, functions, lines }) = program.btf {
        attr.prog_btf_fd = fd.as_raw_fd() as u32;
        attr.func_info_rec_size = size_of::<[u32; 2]>() as u32;
        attr.func_info = functions.as_ptr() as u64;
        attr.func_info_cnt = functions.len() as u32;
        attr.line_info_rec_size = size_of::<[u32; 4]>() as u32;
        attr.line_info = lines.as_ptr() as u64;
        attr.line_info_cnt = lines.len() as u32;
    }
    let first = match load(&attr) {
        Ok(program) => return Ok(program),
        Err(error) => error,
    };
    let mut log = vec![0; 64 << 10];
    loop {
        (attr.log_level, attr.log_size, attr.log_buf) = (1, log.len() as u32, log.as_mut_ptr() as u64);
        match load(&attr) {
            Ok(program) => return Ok(program),
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) && log.len() < MOST_LOG => {
                log = vec![0; log.len() * 4];
            }
            Err(_) => {
                return Err(Refused { error: first, log: text(&log) });
            }
        }
    }
}

fn load(attr: &LoadAttr) -> io::Result<OwnedFd> {
    let mut tries = TRIES;
    loop {
        // SAFETY: instructions, licence and records live in `prog_load`; the log is writable.
        match unsafe { bpf_fd(PROG_LOAD, attr) } {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) && tries > 0 => tries -= 1,
            result => return result,
        }
    }
}

#[repr(C)]
struct RawTracepointAttr {
    name: u64,
    prog_fd: u32,
    _pad: u32,
}

/// Attaches a program to a raw tracepoint by name; one that knows where it belongs since it was
/// loaded (a trampoline, a BTF raw tracepoint), without a name. Closing the link detaches it.
pub(super) fn raw_tracepoint_open(name: Option<&CStr>, program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let attr = RawTracepointAttr {
        name: name.map_or(0, |name| name.as_ptr() as u64),
        prog_fd: program.as_raw_fd() as u32,
        _pad: 0,
    };
    // SAFETY: the name is a C string.
    unsafe { bpf_fd(RAW_TRACEPOINT_OPEN, &attr) }
}

/// `BPF_PERF_EVENT` and `BPF_TRACE_KPROBE_MULTI` of `enum bpf_attach_type`.
const PERF_EVENT: u32 = 41;
const KPROBE_MULTI: u32 = 42;
/// `BPF_F_KPROBE_MULTI_RETURN`.
const KPROBE_MULTI_RETURN: u32 = 1;

#[repr(C)]
struct LinkAttr {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    /// A perf event: the cookie. kprobe.multi: flags, and how many there are.
    first: u64,
    symbols: u64,
    addresses: u64,
    cookies: u64,
}
const _: () = assert!(size_of::<LinkAttr>() == 4 * 4 + 4 * 8);

/// Attaches a program to a perf event, with a cookie (since 5.15). Closing the link detaches it.
pub(super) fn perf_link(event: BorrowedFd<'_>, program: BorrowedFd<'_>, cookie: u64) -> io::Result<OwnedFd> {
    let attr = LinkAttr {
        prog_fd: program.as_raw_fd() as u32,
        target_fd: event.as_raw_fd() as u32,
        attach_type: PERF_EVENT,
        flags: 0,
        first: cookie,
        symbols: 0,
        addresses: 0,
        cookies: 0,
    };
    // SAFETY: no pointers.
    unsafe { bpf_fd(LINK_CREATE, &attr) }
}

/// Functions, by name or by address.
#[derive(Clone, Copy)]
pub(super) enum Functions<'a> {
    Named(&'a [&'a CStr]),
    At(&'a [u64]),
}

/// Attaches a program to many functions at once, with a cookie each (since 5.18).
pub(super) fn kprobe_multi(
    program: BorrowedFd<'_>,
    functions: Functions<'_>,
    cookies: &[u64],
    at: super::kprobe::At,
) -> io::Result<OwnedFd> {
    let names: Vec<u64> = match functions {
        Functions::Named(names) => names.iter().map(|name| name.as_ptr() as u64).collect(),
        Functions::At(_) => Vec::new(),
    };
    let (count, symbols, addresses) = match functions {
        Functions::Named(_) => (names.len(), names.as_ptr() as u64, 0),
        Functions::At(addresses) => (addresses.len(), 0, addresses.as_ptr() as u64),
    };
    if count != cookies.len() {
        return Err(io::Error::other("as many cookies as functions"));
    }
    let flags = if at == super::kprobe::At::Return { KPROBE_MULTI_RETURN } else { 0 };
    let attr = LinkAttr {
        prog_fd: program.as_raw_fd() as u32,
        target_fd: 0,
        attach_type: KPROBE_MULTI,
        flags: 0,
        first: u64::from(flags) | (count as u64) << 32,
        symbols,
        addresses,
        cookies: cookies.as_ptr() as u64,
    };
    // SAFETY: the arrays are as long as the attribute says, and the names are C strings.
    unsafe { bpf_fd(LINK_CREATE, &attr) }
}

/// `BPF_TRACE_ITER` of `enum bpf_attach_type`.
const TRACE_ITER: u32 = 28;

/// Makes an iterator of a program that is one, over everything that it iterates over (since 5.8).
pub(super) fn iterator_link(program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let attr = LinkAttr {
        prog_fd: program.as_raw_fd() as u32,
        target_fd: 0,
        attach_type: TRACE_ITER,
        flags: 0,
        first: 0,
        symbols: 0,
        addresses: 0,
        cookies: 0,
    };
    // SAFETY: no pointers.
    unsafe { bpf_fd(LINK_CREATE, &attr) }
}

/// A new run of an iterator: reading the descriptor runs the program.
pub(super) fn iterator(link: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    unsafe { bpf_fd(ITER_CREATE, &[link.as_raw_fd() as u32, 0]) }
}

#[repr(C)]
struct IdAttr {
    id: u32,
    next: u32,
    open_flags: u32,
}

#[repr(C)]
struct InfoAttr {
    fd: u32,
    len: u32,
    info: u64,
}

/// `struct bpf_btf_info`.
#[repr(C)]
#[derive(Default)]
struct BtfInfo {
    btf: u64,
    size: u32,
    id: u32,
    name: u64,
    name_len: u32,
    is_kernel: u32,
}
const _: () = assert!(size_of::<InfoAttr>() == 16 && size_of::<BtfInfo>() == 32);

/// The type information of a loaded module (since 5.11).
pub(super) fn btf_of_module(module: &str) -> io::Result<OwnedFd> {
    let mut id = 0;
    loop {
        let mut attr = IdAttr { id, next: 0, open_flags: 0 };
        // SAFETY: the kernel writes `next`, which is not read through a reference meanwhile.
        let err =
            unsafe { libc::syscall(libc::SYS_bpf, BTF_GET_NEXT_ID, &raw mut attr, size_of::<IdAttr>()) };
        if err < 0 {
            return Err(io::Error::last_os_error());
        }
        id = attr.next;
        // SAFETY: no pointers.
        let Ok(btf) = (unsafe { bpf_fd(BTF_GET_FD_BY_ID, &IdAttr { id, next: 0, open_flags: 0 }) }) else {
            // Gone meanwhile.
            continue;
        };
        let mut name = [0_u8; 64];
        let mut info =
            BtfInfo { name: name.as_mut_ptr() as u64, name_len: name.len() as u32, ..BtfInfo::default() };
        let attr = InfoAttr {
            fd: btf.as_raw_fd() as u32,
            len: size_of::<BtfInfo>() as u32,
            info: (&raw mut info) as u64,
        };
        // SAFETY: the kernel writes `info`, and the name that it points to, which has the length that it says.
        unsafe { bpf(OBJ_GET_INFO_BY_FD, &attr)? };
        if info.is_kernel != 0 && text(&name) == module {
            return Ok(btf);
        }
    }
}

/// Calls that a link's programs were not run for, as far as the kernel says so (since 6.7): for want of an instance
/// of a return probe, or because the CPU was in another program.
pub(super) fn missed(link: BorrowedFd<'_>) -> u64 {
    // uapi/linux/bpf.h, `enum bpf_link_type` and `struct bpf_link_info`, as 8-byte words.
    const PERF_EVENT: u64 = 7;
    const KPROBE_MULTI: u64 = 8;
    let mut info = [0_u64; 16];
    let attr = InfoAttr {
        fd: link.as_raw_fd() as u32,
        len: size_of_val(&info) as u32,
        info: info.as_mut_ptr() as u64,
    };
    // SAFETY: the kernel writes no more than the length that is given.
    if unsafe { bpf(OBJ_GET_INFO_BY_FD, &attr) }.is_err() {
        return 0;
    }
    let [head, _, _, _, multi, _, single, ..] = info;
    match head & 0xffff_ffff {
        KPROBE_MULTI => multi,
        PERF_EVENT => single,
        _ => 0,
    }
}
