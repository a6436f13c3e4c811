//! Behaviour that changed between kernels, by name.
//!
//! To add a kernel version: read the changes to kernel/bpf since the newest known one, add a feature for each that
//! moves a verdict, and use it where the behaviour lives. Ranges are those of the released kernels that the model is
//! checked against; what stable updates back-ported to 5.10 and 6.1 is counted as theirs.

use super::profile::Release;

macro_rules! features {
    ($($name:ident ($major:literal, $minor:literal) $subject:literal,)*) => {
        /// One behaviour that some kernels have and earlier ones lack.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Feature {
            $(#[doc = $subject] $name,)*
        }

        impl Feature {
            /// Every feature.
            pub const ALL: &[Feature] = &[$(Self::$name,)*];

            /// The first kernel that has it.
            pub const fn since(self) -> Release {
                match self { $(Self::$name => Release::new($major, $minor),)* }
            }

            /// The subject of the change that brought it.
            pub const fn subject(self) -> &'static str {
                match self { $(Self::$name => $subject,)* }
            }
        }
    };
}

features! {
    AtomicFetch (5, 12) "bpf: Add instructions for atomic_[cmp]xchg",
    LoadAcquire (6, 15) "bpf: Introduce load-acquire and store-release instructions",
    CpuV4 (6, 6) "bpf: Support new sign-extension load insns",
    LongJumps (6, 1) "bpf: Support new 32bit offset jmp instruction",
    ReadsGrowStack (6, 8) "bpf: Fix accesses to uninit stack slots",
    MayGoto (6, 9) "bpf: Introduce may_goto instruction",
    Arena (6, 9) "bpf: Introduce bpf_arena",
    Kfuncs (5, 13) "bpf: Support bpf program calling kernel function",
    SubprogPointers (5, 13) "bpf: Refactor BPF_PSEUDO_CALL checking as a helper function",
    FdIndex (5, 14) "bpf: Introduce fd_idx",
    LowBitsFromWide (6, 1) "bpf: Fix incorrect verifier pruning due to missing register precision taints",
    TnumMulGathered (5, 14) "bpf, tnums: Provably sound, faster, and more precise algorithm for tnum_mul",
    TnumMulJoined (6, 18) "bpf: Improve the general precision of tnum_mul",
    SignedProducts (6, 15) "bpf, verifier: Improve precision of BPF_MUL",
    CrossWidthBounds (6, 8) "bpf: derive smin/smax from umin/max bounds",
    SingleValueBounds (7, 0) "bpf: Improve bounds when tnum has a single possible value",
    TwoSidedBranches (6, 8) "bpf: generalize is_scalar_branch_taken() logic",
    NullableAsFlag (5, 17) "bpf: Introduce composable reg, ret and arg types.",
    PacketEndKnown (5, 11) "bpf: Track delta between \"linked\" registers",
    ForkOnSignMask (6, 12) "bpf: Let's see both values of a sign mask",
    ConstOffsetInBits (7, 0) "bpf: split check_reg_sane_offset() in two parts",
    TrackedDivision (7, 0) "bpf: Add interval and tnum analysis for signed and unsigned BPF_DIV",
    TrackedByteSwap (7, 0) "bpf: Add bitwise tracking for BPF_END",
    TrackedNegation (6, 17) "bpf: Improve the general precision of BPF_NEG",
    UnknownSourceOps (6, 11) "bpf: Simplify checking size of helper accesses",
    PreciseSpills (6, 8) "bpf: support non-r10 register spill/fill to/from stack in precision tracking",
    PreciseCalls (6, 5) "bpf: support precision propagation in the presence of subprogs",
    NarrowSpillsSeen (6, 9) "bpf: Make bpf_for_each_spilled_reg consider narrow spills",
    NarrowFills (6, 9) "bpf: Preserve boundaries and track scalars on narrowing fill",
    ImpreciseZeroSpills (6, 8) "bpf: preserve constant zero when doing partial register restore",
    SpillAnyScalar (6, 9) "bpf: Track spilled unbounded scalars",
    LinkedDeltas (6, 11) "bpf: Relax tuple len requirement for sk helpers.",
    ExactLoops (6, 7) "bpf: exact states comparison for iterator convergence checks",
    RangeIds (6, 3) "bpf: regsafe() must not skip check_ids()",
    JumpHistoryCheckpoints (6, 12) "bpf: Force checkpoint when jmp history is too long",
    CallbackUnrolling (6, 7) "bpf: verify callbacks as if they are called unknown number of times",
    GlobalArgsByTag (6, 8) "bpf: add __arg_nonnull arg tag support",
    GlobalMemArgs (5, 12) "bpf: Support pointers in global func args",
    LazyGlobals (6, 8) "bpf: validate global subprogs lazily",
    HelperAccessByFlag (6, 1) "bpf: Fix helper writes to read-only maps",
    TrustedPointers (6, 2) "bpf: Allow trusted pointers to be passed to KF_TRUSTED_ARGS kfuncs",
    RcuPointers (6, 2) "bpf: Add kfunc bpf_rcu_read_lock/unlock()",
    ReturnRanges (6, 8) "bpf: enforce precise retval range on program exit",
    RingbufByFlag (6, 1) "bpf: Refine memory leak checks",
    PrivateStack (6, 13) "bpf: Allow private stack to have each subprog having stack size of 512 bytes",
    TailCallWithLock (6, 1) "bpf: Reject tail calls with references",
    StaticLiveness (6, 18) "bpf: use compute_live_registers() info in clean_func_state",
    CanonicalInsnOrder (7, 0) "bpf: check instruction fields before control flow",
    RefsInState (6, 14) "bpf: Consolidate locks and reference state in verifier state",
    LdAbsExits (6, 12) "bpf: Treat ld_abs as an exit of its subprogram",
    PacketEffects (6, 12) "bpf: track changes_pkt_data property for global functions",
    VarPacketAccess (7, 0) "bpf: Unify packet and memory region access",
    SpinLockIds (6, 12) "bpf: Introduce id of a spin lock",
    FastCalls (6, 12) "bpf: no_caller_saved_registers attribute for helper calls",
    UntrustedMem (6, 17) "bpf: attribute __arg_untrusted for global function parameters",
    SameRegisterBranches (7, 0) "bpf: Skip bounds adjustment for conditional jumps on same scalar register",
    ImpossibleBranches (7, 0) "bpf: Simulate branches to prune based on range violations",
    ElidedNullChecks (6, 14) "bpf: verifier: Support eliding map lookup nullness",
    StackArguments (7, 2) "bpf: Pass arguments on the stack",
}

/// The features of one kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct FeatureSet(u128);

impl FeatureSet {
    /// Those of a kernel of this version.
    pub(super) fn of(release: Release) -> Self {
        let mut bits = 0;
        for f in Feature::ALL {
            if release >= f.since() {
                bits |= 1u128 << (*f as u8);
            }
        }
        Self(bits)
    }

    /// True if it is one of them.
    pub(super) const fn has(self, f: Feature) -> bool {
        self.0 & (1u128 << (f as u8)) != 0
    }
}
