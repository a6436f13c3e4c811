//! What one verification works on: the program and kernel, what is known of each instruction, the path at hand,
//! the paths still to walk, and the states kept.
//!
//! Private to this module tree; every other file adds functions to [`Env`].

use super::insn::Insn;
use super::profile::Profile;
use super::program::{Map, Program};
use super::reg::{MapId, Reg, Type};
use super::report::{Checked, Stats, Stop};
use super::state::{Arena, Jump, State, StateId};
use super::subprog::Subprog;
use super::value::Domain;

/// The limit on instructions walked (`BPF_COMPLEXITY_LIMIT_INSNS`).
pub(super) const MAX_PROCESSED: u32 = 1_000_000;
/// The limit on paths waiting (`BPF_COMPLEXITY_LIMIT_JMP_SEQ`).
pub(super) const MAX_WAITING: usize = 8192;
/// Bytes of stack of one frame, and of a call chain.
pub(super) const MAX_STACK: i64 = 512;
/// Frames at one time.
pub(super) const MAX_FRAMES: usize = 8;
/// Pointer offsets stay below this (`BPF_MAX_VAR_OFF`).
pub(super) const MAX_OFF: i64 = 1 << 29;
/// Sizes of memory arguments stay below this (`BPF_MAX_VAR_SIZ`).
pub(super) const MAX_SIZE: u64 = 1 << 29;

/// What is known of one instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aux {
    /// Some path led here.
    pub walked: bool,
    pub prune_point: bool,
    pub jump_point: bool,
    pub force_checkpoint: bool,
    pub calls_callback: bool,
    pub iter_next: bool,
    /// Part of a pattern around a call that clobbers little.
    pub fastcall: bool,
    /// Some jump leads here.
    pub jump_target: bool,
    /// Kind of pointer that this load or store was first seen with.
    pub ptr_type: Option<Type>,
    /// The map of a 64-bit constant that refers to one.
    pub map: Option<MapId>,
    /// What a 64-bit constant that names a kernel variable becomes.
    pub btf_var: Option<Reg>,
    /// The map that a call was first seen with; `Some(None)` if with several.
    pub call_map: Option<Option<MapId>>,
}

impl Aux {
    pub(super) const EMPTY: Self = Self {
        walked: false,
        prune_point: false,
        jump_point: false,
        force_checkpoint: false,
        calls_callback: false,
        iter_next: false,
        fastcall: false,
        jump_target: false,
        ptr_type: None,
        map: None,
        btf_var: None,
        call_map: None,
    };
}

/// A path that waits.
pub(super) struct Waiting {
    pub state: State,
    pub at: u32,
    pub from: u32,
}

/// One verification.
pub(super) struct Env<'a> {
    pub prog: &'a Program,
    pub profile: &'a Profile,
    pub d: Domain,
    pub insns: &'a [Insn],
    pub aux: Vec<Aux>,
    pub subprogs: Vec<Subprog>,
    /// All maps: the program's, then the templates of inner maps.
    pub maps: Vec<&'a Map>,
    pub inner: Vec<Option<MapId>>,
    pub records: Vec<super::record::MapRecord>,
    /// The special fields of the program's own structs.
    pub locals: super::record::Locals,
    /// Instructions that precision was walked back over so far.
    pub walked_back: u64,
    /// Paths are being walked: a refusal belongs to the instruction at hand.
    pub walking: bool,
    /// The instruction that a refusal names, where it is not the one at hand.
    pub blame: Option<u32>,
    pub cur: State,
    pub arena: Arena,
    pub waiting: Vec<Waiting>,
    pub explored: Vec<Vec<Kept>>,
    pub pc: u32,
    pub prev: Option<u32>,
    pub id_gen: u32,
    pub jumps_processed: u32,
    pub prev_jumps_processed: u32,
    pub prev_processed: u32,
    pub stats: Stats,
    pub arena_map: Option<MapId>,
    /// The jump-history entry of the instruction at hand exists already.
    pub has_jump: bool,
    pub now_kept: u32,
}

/// A kept state in the list of its instruction.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    pub id: StateId,
    pub hits: u32,
    pub misses: u32,
}

impl<'a> Env<'a> {
    pub(super) fn has(&self, f: super::feature::Feature) -> bool {
        self.profile.has(f)
    }

    pub(super) fn next_id(&mut self) -> u32 {
        self.id_gen += 1;
        self.id_gen
    }

    /// Which spilled registers this kernel sees when it looks through all registers.
    pub(super) fn spills(&self) -> super::state::Spills {
        if self.has(super::feature::Feature::NarrowSpillsSeen) {
            super::state::Spills::All
        } else {
            super::state::Spills::Whole
        }
    }

    pub(super) fn insn(&self) -> Insn {
        self.insns[self.pc as usize]
    }

    pub(super) fn map(&self, id: MapId) -> &'a Map {
        self.maps[id.0 as usize]
    }

    /// What the kernel's messages call a number.
    pub(super) fn scalar_name(&self) -> &'static str {
        if self.profile.release >= super::profile::Release::new(5, 18) { "scalar" } else { "inv" }
    }

    pub(super) fn type_text(&self, ty: Type) -> String {
        ty.text(self.scalar_name())
    }

    /// Record a jump, or what the instruction at hand did (`push_insn_history()`).
    pub(super) fn note_jump(&mut self, edit: impl FnOnce(&mut Jump)) {
        if !self.has_jump {
            self.cur.jumps.push(Jump {
                at: self.pc,
                from: self.prev.unwrap_or(u32::MAX),
                stack: None,
                src_is_stack: false,
                dst_is_stack: false,
                linked: Default::default(),
            });
            self.has_jump = true;
        }
        if let Some(last) = self.cur.jumps.last_mut() {
            edit(last);
        }
    }

    /// Put a copy of the path at hand aside, to go on at `at` later (`push_stack()`).
    pub(super) fn fork(&mut self, at: u32, from: u32) -> Checked<&mut State> {
        if self.waiting.len() + 1 > MAX_WAITING {
            super::report::reject!(
                TooComplex,
                "The sequence of {} jumps is too complex.",
                self.waiting.len() + 1
            );
        }
        let state = self.cur.clone();
        if let Some(p) = state.parent {
            self.arena.get_mut(p)?.branches += 1;
        }
        self.waiting.push(Waiting { state, at, from });
        match self.waiting.last_mut() {
            Some(w) => Ok(&mut w.state),
            None => Err(Stop::Unmodelled("internal: fork")),
        }
    }
}
