//! What the kernel holds of BPF: asked of the kernel itself.

use std::{collections::BTreeSet, ffi::CString, fs, io, path::Path};

/// uapi/linux/bpf.h
const BPF_PROG_GET_NEXT_ID: libc::c_int = 11;
const BPF_MAP_GET_NEXT_ID: libc::c_int = 12;
const BPF_BTF_GET_NEXT_ID: libc::c_int = 23;
const BPF_LINK_GET_NEXT_ID: libc::c_int = 31;

/// Everything of BPF that is in the kernel, and every kprobe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) programs: BTreeSet<u32>,
    pub(crate) maps: BTreeSet<u32>,
    pub(crate) links: BTreeSet<u32>,
    pub(crate) btf: BTreeSet<u32>,
    pub(crate) kprobes: BTreeSet<String>,
}

/// Looks at what the kernel holds now.
pub(crate) fn held() -> Held {
    Held {
        programs: ids(BPF_PROG_GET_NEXT_ID),
        maps: ids(BPF_MAP_GET_NEXT_ID),
        links: ids(BPF_LINK_GET_NEXT_ID),
        btf: ids(BPF_BTF_GET_NEXT_ID),
        kprobes: kprobes(),
    }
}

fn ids(command: libc::c_int) -> BTreeSet<u32> {
    let mut ids = BTreeSet::new();
    let mut last = 0;
    loop {
        // The part of `union bpf_attr` that the command knows: start_id, next_id, open_flags.
        let mut attr = [last, 0_u32, 0];
        // SAFETY: the kernel reads and writes 12 bytes.
        let err = unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), 12) };
        if err != 0 {
            let error = io::Error::last_os_error();
            assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "bpf({command}): {error}");
            return ids;
        }
        last = attr[1];
        ids.insert(last);
    }
}

/// Every kprobe, as debugfs lists them. It is mounted for the look alone: tracer gets along without.
fn kprobes() -> BTreeSet<String> {
    let folder = super::live::folder();
    mount("debugfs", &folder, "");
    let list = fs::read_to_string(folder.join("kprobes/list"));
    unmount(&folder);
    // Address, kind, function with offset; the address tells two probes on one function apart.
    list.expect("the list of kprobes").lines().map(str::to_owned).collect()
}

/// Mounts a file system.
pub(crate) fn mount(kind: &str, on: &Path, options: &str) {
    let text = |text: &str| CString::new(text).expect("no NUL");
    let (kind, on, options) = (text(kind), text(&on.to_string_lossy()), text(options));
    // SAFETY: C strings that live across the call.
    let err = unsafe { libc::mount(kind.as_ptr(), on.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast()) };
    assert_eq!(err, 0, "mount {kind:?}: {}", io::Error::last_os_error());
}

/// Unmounts it, at once.
pub(crate) fn unmount(on: &Path) {
    let on = CString::new(on.to_string_lossy().as_bytes()).expect("no NUL");
    // SAFETY: a C string that lives across the call.
    let err = unsafe { libc::umount2(on.as_ptr(), libc::MNT_DETACH) };
    assert_eq!(err, 0, "umount {on:?}: {}", io::Error::last_os_error());
}

impl Held {
    /// What is here and was not there `before`. An id is never given twice; what has gone since is
    /// what an earlier test left to the kernel, which releases asynchronously.
    pub(crate) fn beyond(&self, before: &Self) -> Self {
        Self {
            programs: &self.programs - &before.programs,
            maps: &self.maps - &before.maps,
            links: &self.links - &before.links,
            btf: &self.btf - &before.btf,
            kprobes: &self.kprobes - &before.kprobes,
        }
    }
}

/// The kernel holds nothing that it did not hold `before`.
pub(crate) fn nothing_since(before: &Held) {
    assert_eq!(held().beyond(before), Held::default(), "something came into the kernel");
}

/// Waits until the kernel holds nothing that it did not hold `before`: it releases asynchronously.
pub(crate) fn nothing_stays_since(before: &Held) {
    let start = std::time::Instant::now();
    loop {
        let more = held().beyond(before);
        if more == Held::default() {
            return;
        }
        assert!(start.elapsed() < super::live::HANG, "something stays in the kernel: {more:?}");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}
