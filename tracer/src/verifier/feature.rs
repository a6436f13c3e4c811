//! Behaviour that changed between kernels, by name.
//!
//! To add a kernel version: read the changes to kernel/bpf since the newest known one, add a feature for each that
//! moves a verdict, and use it where the behaviour lives. Ranges are those of the released kernels that the model is
//! checked against (5.10.223, 6.1.176, 6.12.107, 7.2.12: the sources that were read); what stable updates back-ported
//! is counted as theirs. Where none of the four lies between, a range's start is the change's own release.

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

            /// The subject of the kernel's change that brought it; in parentheses, what was seen to differ instead.
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
    SubprogPointers (5, 13) "bpf: Add bpf_for_each_map_elem() helper",
    FdIndex (5, 14) "bpf: Introduce fd_idx",
    LowBitsFromWide (6, 1) "bpf: Fix __reg_bound_offset 64->32 var_off subreg propagation",
    TnumMulGathered (5, 14) "bpf, tnums: Provably sound, faster, and more precise algorithm for tnum_mul",
    TnumMulJoined (6, 18) "bpf: Improve the general precision of tnum_mul",
    SignedProducts (6, 14) "bpf, verifier: Improve precision of BPF_MUL",
    CrossWidthBounds (6, 8) "bpf: derive smin/smax from umin/max bounds",
    ManyRefArgs (7, 2) "(a helper may be handed several referenced objects: validate_ref_obj() of 7.2)",
    LinkedSubtractions (7, 0) "bpf: Support negative offsets, BPF_SUB, and alu32 for linked register tracking",
    KprobeWrites (6, 18) "bpf: Allow uprobe program to change context registers",
    CircularRanges (7, 2) "bpf: representation and basic operations on circular numbers",
    SingleValueBounds (7, 0) "bpf: Improve bounds when tnum has a single possible value",
    TwoSidedBranches (6, 8) "bpf: generalize is_scalar_branch_taken() logic",
    NullableAsFlag (5, 17) "bpf: Introduce composable reg, ret and arg types.",
    PacketEndKnown (5, 11) "bpf: Support for pointers beyond pkt_end.",
    ForkOnSignMask (6, 12) "bpf: Recognize special arithmetic shift in the verifier",
    ConstOffsetInBits (7, 0) "bpf: use reg->var_off instead of reg->off for pointers",
    TrackedDivision (7, 0) "bpf: Add interval and tnum analysis for signed and unsigned BPF_DIV",
    TrackedByteSwap (7, 0) "bpf: Add bitwise tracking for BPF_END",
    TrackedNegation (6, 17) "bpf: Add range tracking for BPF_NEG",
    UnknownSourceOps (6, 11) "bpf/verifier: refactor checks for range computation",
    PreciseSpills (6, 8) "bpf: support non-r10 register spill/fill to/from stack in precision tracking",
    PreciseCalls (6, 5) "bpf: support precision propagation in the presence of subprogs",
    NarrowSpillsSeen (6, 9) "bpf: Make bpf_for_each_spilled_reg consider narrow spills",
    NarrowFills (6, 9) "bpf: Preserve boundaries and track scalars on narrowing fill",
    ImpreciseZeroSpills (6, 8) "bpf: track aligned STACK_ZERO cases as imprecise spilled registers",
    SpillAnyScalar (6, 9) "bpf: Track spilled unbounded scalars",
    LinkedDeltas (6, 11) "bpf: Track delta between \"linked\" registers.",
    ExactLoops (6, 7) "bpf: exact states comparison for iterator convergence checks",
    RangeIds (6, 3) "bpf: regsafe() must not skip check_ids()",
    JumpHistoryCheckpoints (6, 12) "bpf: Force checkpoint when jmp history is too long",
    CallbackUnrolling (6, 7) "bpf: verify callbacks as if they are called unknown number of times",
    GlobalArgsByTag (6, 8) "bpf: add __arg_nonnull arg tag support",
    GlobalMemArgs (5, 12) "bpf: Support pointers in global func args",
    GlobalCallsThatSleep (6, 15) "bpf: Summarize sleepable global subprogs",
    LazyGlobals (6, 8) "bpf: validate global subprogs lazily",
    HelperAccessByFlag (6, 1) "bpf: Fix helper writes to read-only maps",
    TrustedPointers (6, 2) "bpf: Allow trusted pointers to be passed to KF_TRUSTED_ARGS kfuncs",
    RcuPointers (6, 2) "bpf: Add kfunc bpf_rcu_read_lock/unlock()",
    ReturnRanges (6, 8) "bpf: enforce precise retval range on program exit",
    RingbufByFlag (5, 19) "bpf: Tag argument to be released in bpf_func_proto",
    PrivateStack (6, 13) "bpf: Enable private stack for eligible subprogs",
    TailCallWithLock (6, 12) "(a tail call under a spin lock is refused at the call: check_helper_call() of 6.12)",
    StaticLiveness (6, 18) "bpf: use compute_live_registers() info in clean_func_state",
    CanonicalInsnOrder (7, 0) "(fields of instructions are checked before control flow: check_and_resolve_insns() of 7.2)",
    RefsInState (6, 14) "bpf: Consolidate locks and reference state in verifier state",
    LdAbsExits (6, 12) "(a failed packet load ends its subprogram: check_ld_abs() of 6.12.107 and 7.2)",
    PacketEffects (6, 12) "bpf: track changes_pkt_data property for global functions",
    VarPacketAccess (7, 0) "bpf: use reg->var_off instead of reg->off for pointers",
    FastCalls (6, 12) "bpf: no_caller_saved_registers attribute for helper calls",
    UntrustedMem (6, 17) "bpf: attribute __arg_untrusted for global function parameters",
    SameRegisterBranches (7, 0) "bpf: Skip bounds adjustment for conditional jumps on same scalar register",
    ImpossibleBranches (7, 0) "(a branch that leaves no value is not walked: simulate_both_branches_taken() of 7.2)",
    ElidedNullChecks (6, 14) "bpf: verifier: Support eliding map lookup nullness",
    Exceptions (6, 7) "bpf: Implement support for adding hidden subprogs",
    ThrowingGlobals (7, 2) "(a call to a global function that may throw is walked as if it did: check_func_call() of 7.2)",
    FunctionAddresses (6, 4) "bpf: Allow ld_imm64 instruction to point to kfunc.",
    AnyMapForEach (6, 9) "(for_each_map_elem at one place may be handed different maps: set_map_elem_callback_state() of 6.12)",
    DynptrOverwrites (6, 3) "bpf: Fix partial dynptr stack slot reads/writes",
    WholePointerInherited (6, 12) "(a number that a pointer is added to inherits all of it: adjust_ptr_min_max_vals() of 6.12.107)",
    LocalObjects (6, 2) "bpf: Introduce bpf_obj_new",
    GlobalLocks (6, 2) "bpf: Allow locking bpf_spin_lock global variables",
    RcuKptrs (6, 4) "bpf: Introduce kptr_rcu.",
    LocalKptrs (6, 4) "bpf: Support __kptr to local kptrs",
    PercpuKptrs (6, 7) "bpf: Add BPF_KPTR_PERCPU as a field type",
    NestedFields (6, 11) "bpf: look into the types of the fields of a struct type recursively.",
    OwnershipDepth (7, 2) "(objects may own objects, eight deep: btf_check_ownership_depth() of 7.2)",
    StackArguments (7, 2) "(arguments beyond the fifth are passed through R11: 7.2)",
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
