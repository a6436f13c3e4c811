//! What the model says: accepted, rejected (where and why), or outside of what it models.

/// The model's answer for one program on one kernel.
#[derive(Clone, Debug)]
pub struct Report {
    /// The answer.
    pub verdict: Verdict,
    /// How much work it was.
    pub stats: Stats,
}

/// The three answers.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The kernel loads it.
    Accept,
    /// The kernel refuses it.
    Reject(Rejection),
    /// It uses something that is not modelled; nothing is claimed.
    Unmodelled(Unmodelled),
}

/// A refusal.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// The slot where the kernel stops, if it stops at one.
    pub insn: Option<u32>,
    /// What is violated.
    pub violation: Violation,
    /// How the kernel came there: slots in order, each with what is of interest at it.
    pub path: Vec<Step>,
}

/// What is violated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its kind: a stable code.
    pub kind: Kind,
    /// In the kernel's words.
    pub message: String,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The slot.
    pub insn: u32,
    /// What happened there.
    pub what: String,
    /// What it has to do with the refusal.
    pub role: Role,
}

/// What a step has to do with the refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It is the refused instruction.
    Refused,
    /// It made a value that is asked for.
    Made,
    /// It stored the value on the stack.
    Stored,
    /// It called what gave the value, or what destroyed it.
    Called,
    /// It compared the value, or chose the path.
    Chose,
    /// It acquired what is not released.
    Acquired,
}

/// A feature that the model lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmodelled {
    /// A stable name.
    pub feature: &'static str,
    /// The slot that needs it.
    pub insn: Option<u32>,
}

/// How much work a verification was, in the kernel's terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Instructions walked, over all paths.
    pub insns_processed: u32,
    /// States ever kept.
    pub total_states: u32,
    /// States kept at one time.
    pub peak_states: u32,
    /// Bytes of stack of the deepest subprogram.
    pub stack_depth: u32,
}

macro_rules! kinds {
    ($($name:ident = $code:literal,)*) => {
        /// The kinds of violation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the codes say it")]
        pub enum Kind { $($name,)* }

        impl Kind {
            /// The stable snake_case code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Every kind.
            pub const ALL: &[Kind] = &[$(Self::$name,)*];
        }
    };
}

kinds! {
    ReservedFields = "reserved_fields",
    UnknownOpcode = "unknown_opcode",
    InvalidRegister = "invalid_register",
    UninitRegister = "uninit_register",
    FramePointerWrite = "frame_pointer_write",
    BadProgram = "bad_program",
    JumpOutOfRange = "jump_out_of_range",
    Unreachable = "unreachable_insn",
    BackEdge = "back_edge",
    InfiniteLoop = "infinite_loop",
    TooComplex = "too_complex",
    StackTooDeep = "stack_too_deep",
    CallTooDeep = "call_too_deep",
    DivByZero = "div_by_zero",
    InvalidShift = "invalid_shift",
    PointerArithmetic = "pointer_arithmetic",
    PointerOutOfRange = "pointer_out_of_range",
    PointerComparison = "pointer_comparison",
    PointerLeak = "pointer_leak",
    InvalidMemAccess = "invalid_mem_access",
    OutOfBounds = "out_of_bounds",
    UnboundedAccess = "unbounded_access",
    Misaligned = "misaligned_access",
    StackOutOfBounds = "stack_out_of_bounds",
    StackUninit = "stack_uninit",
    StackSpill = "stack_spill",
    PacketOutOfBounds = "packet_out_of_bounds",
    PacketWrite = "packet_write",
    CtxAccess = "ctx_access",
    CtxOffset = "ctx_offset",
    MapForbidden = "map_forbidden",
    MapIncompatible = "map_incompatible",
    MapFieldAccess = "map_field_access",
    UnknownFunction = "unknown_function",
    FunctionNotAllowed = "function_not_allowed",
    ArgType = "argument_type",
    ArgSize = "argument_size",
    ArgConst = "argument_not_constant",
    ArgNull = "argument_maybe_null",
    NullDeref = "maybe_null_access",
    ReferenceLeak = "reference_leak",
    Reference = "reference_state",
    ReturnValue = "return_value",
    Lock = "lock_state",
    Sleep = "sleep",
    AtomicPointer = "atomic_pointer",
    InsnPointerTypes = "insn_pointer_types",
    BtfAccess = "btf_access",
    AttachTarget = "attach_target",
    FuncInfo = "func_info",
    SubprogArgs = "subprog_args",
    Callback = "callback",
    Dynptr = "dynptr_state",
    Iterator = "iterator_state",
    Kfunc = "kfunc",
    Invariant = "register_invariant",
    TailCall = "tail_call",
    Arena = "arena",
    LdAbs = "ld_abs",
    BadFd = "bad_fd",
    Misconfigured = "kernel_misconfigured",
}

/// Why exploration stops before its end.
#[derive(Clone, Debug)]
pub(super) enum Stop {
    /// The kernel refuses.
    Reject(Box<Violation>),
    /// The model does not know.
    Unmodelled(&'static str),
}

/// A step of the model: done, or stopped.
pub(super) type Checked<T = ()> = Result<T, Stop>;

/// Stop: the kernel refuses, with this kind and message.
macro_rules! reject {
    ($kind:ident, $($fmt:tt)*) => {
        return Err($crate::verifier::report::Stop::Reject(Box::new($crate::verifier::report::Violation {
            kind: $crate::verifier::report::Kind::$kind,
            message: format!($($fmt)*),
        })))
    };
}

/// Stop: the model lacks this feature.
macro_rules! unmodelled {
    ($feature:literal) => {
        return Err($crate::verifier::report::Stop::Unmodelled($feature))
    };
}

pub(super) use {reject, unmodelled};
