//! The vocabulary of the helper tables.

/// The kernels the tables were read off, as bits: 5.10, 6.1, 6.12, 7.2.
pub(super) type Kernels = u8;

/// Flags of arguments, results and helpers.
pub(in super::super) mod flag {
    pub(in super::super::super) const RDONLY: u32 = 1;
    pub(in super::super::super) const NULLABLE: u32 = 1 << 1;
    pub(in super::super::super) const UNINIT: u32 = 1 << 2;
    pub(in super::super::super) const WRITE: u32 = 1 << 3;
    pub(in super::super::super) const RELEASE: u32 = 1 << 4;
    pub(in super::super::super) const ALIGNED: u32 = 1 << 5;
    pub(in super::super::super) const FIXED: u32 = 1 << 6;
    pub(in super::super::super) const DYN_LOCAL: u32 = 1 << 7;
    pub(in super::super::super) const DYN_RINGBUF: u32 = 1 << 8;
    pub(in super::super::super) const TRUSTED: u32 = 1 << 9;
    pub(in super::super::super) const GPL: u32 = 1 << 10;
    pub(in super::super::super) const PKT: u32 = 1 << 11;
    pub(in super::super::super) const SLEEPS: u32 = 1 << 12;
    pub(in super::super::super) const FASTCALL: u32 = 1 << 13;
}
pub(super) use flag::*;

/// What an argument must be (`enum bpf_arg_type`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum ArgKind {
    Anything,
    Ctx,
    ConstSize,
    ConstSizeOrZero,
    Mem,
    ConstMap,
    BtfId,
    BtfIdSockCommon,
    MapKey,
    MapValue,
    Func,
    Stack,
    Timer,
    SockCommon,
    Socket,
    Dynptr,
    AllocSize,
    RingbufMem,
    SpinLock,
    ConstStr,
    PercpuBtfId,
    KptrXchg,
    IntPtr,
    LongPtr,
}

/// What a helper gives (`enum bpf_return_type`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum RetKind {
    Integer,
    Void,
    Socket,
    MapValue,
    BtfId,
    SockCommon,
    TcpSock,
    RingbufMem,
    MemOrBtfId,
    DynptrMem,
}

/// An argument.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Arg {
    pub kind: ArgKind,
    pub flags: u32,
    /// Of memory of a fixed size.
    pub size: u32,
    /// The kernel struct that a BTF pointer must point to.
    pub btf: &'static str,
}

pub(super) const fn arg(kind: ArgKind, flags: u32, size: u32, btf: &'static str) -> Arg {
    Arg { kind, flags, size, btf }
}

/// A result.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Ret {
    pub kind: RetKind,
    pub flags: u32,
    pub btf: &'static str,
}

pub(super) const fn ret(kind: RetKind, flags: u32, btf: &'static str) -> Ret {
    Ret { kind, flags, btf }
}

/// A further condition on the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Allow {
    Any,
    DPath,
    SkStorage,
    ImaInode,
}

/// A prototype.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Proto {
    pub var: &'static str,
    pub on: Kernels,
    pub ret: Ret,
    pub args: &'static [Arg],
    pub flags: u32,
    pub allow: Allow,
}

/// When a row of a gate applies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum When {
    Always,
    Sleepable,
    Iter,
    Trampoline,
    TrampolineOrRawTp,
    KprobeMulti,
    UprobeMulti,
    AttachIn(&'static [u32]),
    AttachNotIn(&'static [u32]),
    /// Depends on what the model does not know.
    Unknown,
}

/// A helper that a gate lets through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub func: u32,
    pub on: Kernels,
    pub var: &'static str,
    pub when: When,
}

/// Gates asked before and after a gate's own rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub on: Kernels,
    pub before: &'static [&'static str],
    pub default: &'static str,
}

/// The helpers of one `*_func_proto()`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gate {
    pub name: &'static str,
    pub links: &'static [Link],
    pub rows: &'static [Row],
}
