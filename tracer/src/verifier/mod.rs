//! The kernel's BPF verifier, as a model: it says what one kernel's verifier will say of one program.
//!
//! ```text
//! Program, Profile -> prepare  opcodes, constants, functions, attach target
//!                  -> cfg      subprograms, reachability, prune points
//!                  -> explore  every path: { check obligations, transfer state, prune }
//!                  -> Report   accept | reject(instruction, violation, path) | unmodelled(feature), and counts
//! ```
//! It predicts the kernel's *verdict*, not safety; so it does what the kernel does, in the order in which the kernel
//! does it, and where kernels differ it asks the [`Profile`].
//!
//! Invariants: no input makes it panic, loop without bound or guess; what it does not model is `Unmodelled`.
//! It must not know: files, clocks, ELF, the running kernel, rendering. It imports core, alloc, std's collections and
//! itself.

mod alu;
mod arc;
mod args;
mod arith;
mod attach;
mod backtrack;
pub mod btf;
mod btf_access;
mod call;
mod callback;
mod cfg;
mod ctx;
mod depth;
mod dynptr;
mod env;
mod exception;
mod explore;
mod fastcall;
pub mod feature;
mod fields;
mod format;
mod global;
mod graph;
mod helper;
mod history;
pub mod insn;
mod irq;
mod iter;
mod jump;
mod jump_early;
mod jumps;
mod kfunc;
mod kfunc_args;
mod kfunc_table;
mod kptr;
mod local;
mod lock;
mod lsm_hooks;
mod map_rules;
mod memory;
mod prepare;
pub mod profile;
pub mod program;
mod prune;
mod record;
mod reg;
pub mod report;
mod ret;
mod show;
mod stack;
mod state;
mod struct_ops;
mod subprog;
pub mod tnum;
pub mod value;

#[cfg(test)]
mod tests;

pub use feature::Feature;
pub use insn::Insn;
pub use profile::{Config, Profile, Release};
pub use program::{AttachType, FuncInfo, Map, MapType, ProgType, Program};
pub use report::{Kind, Rejection, Report, Role, Stats, Step, Unmodelled, Verdict, Violation};

use env::Env;
use reg::MapId;
use report::{Checked, Stop};

/// What this kernel's verifier will say of this program.
pub fn verify(program: &Program, profile: &Profile) -> Report {
    let mut maps: Vec<&Map> = program.maps.iter().collect();
    let mut inner = vec![None; maps.len()];
    for (i, m) in program.maps.iter().enumerate() {
        if let Some(template) = &m.inner {
            inner[i] = Some(MapId(maps.len() as u16));
            maps.push(template);
            inner.push(None);
        }
    }
    let count = program.insns.len();
    let Ok(locals) = record::of_locals(program, profile) else {
        let feature = "a program's BTF that this kernel refuses";
        let verdict = Verdict::Unmodelled(Unmodelled { feature, insn: None });
        return Report { verdict, stats: Stats::default() };
    };
    let records = maps.iter().map(|m| record::of_map(program, m, &locals, profile)).collect();
    let mut env = Env {
        prog: program,
        profile,
        d: profile.domain(),
        insns: &program.insns,
        aux: prepare::blank(count),
        subprogs: Vec::new(),
        maps,
        inner,
        records,
        locals,
        cur: state::State::new(0, state::Frame::new(0, u32::MAX, 0, state::Entry::Top), false),
        arena: state::Arena::default(),
        waiting: Vec::new(),
        explored: vec![Vec::new(); count],
        pc: 0,
        prev: None,
        id_gen: 0,
        jumps_processed: 0,
        prev_jumps_processed: 0,
        prev_processed: 0,
        stats: Stats::default(),
        arena_map: None,
        has_jump: false,
        now_kept: 0,
        walked_back: 0,
        walking: false,
        blame: None,
    };
    let result = run(&mut env);
    let insn = env.blame.or(env.walking.then_some(env.pc));
    let verdict = match result {
        Ok(()) => Verdict::Accept,
        Err(Stop::Reject(violation)) => {
            let path = env.history_of(&violation);
            Verdict::Reject(Rejection { insn, violation: *violation, path })
        }
        Err(Stop::Unmodelled(feature)) => Verdict::Unmodelled(Unmodelled { feature, insn }),
    };
    let mut stats = env.stats;
    stats.stack_depth = env.subprogs.iter().map(|s| s.stack_depth).max().unwrap_or(0).div_ceil(8) * 8;
    Report { verdict, stats }
}

/// The phases, in the kernel's order.
fn run(env: &mut Env) -> Checked {
    const MAX_INSNS: usize = 1_000_000;
    if env.insns.is_empty() || env.insns.len() > MAX_INSNS {
        report::reject!(BadProgram, "invalid insn count {}", env.insns.len());
    }
    env.check_load()?;
    let attach_late = env.profile.release >= Release::new(6, 12);
    env.find_functions()?;
    cfg::check_jumps(env)?;
    env.check_functions()?;
    if !attach_late {
        env.check_attach()?;
    }
    env.resolve_constants()?;
    cfg::check_reachable(env)?;
    if attach_late {
        env.check_attach()?;
    }
    env.check_recursion()?;
    env.mark_fastcalls();
    env.walking = true;
    if env.has(Feature::LazyGlobals) {
        env.walk_subprog(0)?;
        walk_globals(env)?;
    } else {
        for sub in 1..env.subprogs.len() as u32 {
            if env.is_global(sub) {
                env.walk_subprog(sub)?;
            }
        }
        env.walk_subprog(0)?;
    }
    env.walking = false;
    env.remove_fastcalls();
    env.check_stack_depth()?;
    env.check_conversion()?;
    env.check_lost_functions()
}

/// Global functions that something calls, each by itself, until none is new.
fn walk_globals(env: &mut Env) -> Checked {
    // What receives exceptions counts as called.
    if let Some(callback) = env.exception_callback() {
        env.subprogs[callback as usize].called = true;
    }
    loop {
        let mut progress = false;
        for sub in 1..env.subprogs.len() {
            let s = &env.subprogs[sub];
            if !s.global || !s.called || s.verified {
                continue;
            }
            env.walk_subprog(sub as u32)?;
            env.subprogs[sub].verified = true;
            progress = true;
        }
        if !progress {
            return Ok(());
        }
    }
}

impl Env<'_> {
    /// What bpf(2) refuses before it verifies (`bpf_prog_load()`).
    fn check_load(&self) -> Checked {
        use program::prog_flags as f;
        let r = self.profile.release;
        let mut known = f::STRICT_ALIGNMENT | f::ANY_ALIGNMENT | 1 << 2 | f::TEST_STATE_FREQ | f::SLEEPABLE;
        if r >= Release::new(5, 18) {
            known |= f::XDP_HAS_FRAGS;
        }
        if r >= Release::new(6, 3) {
            known |= f::XDP_DEV_BOUND_ONLY;
        }
        if r >= Release::new(6, 8) {
            known |= f::TEST_REG_INVARIANTS;
        }
        if r >= Release::new(6, 10) {
            known |= 1 << 16;
        }
        let limits = self.profile.limits();
        let unknown_type = limits.program_type.is_some_and(|max| i64::from(self.prog.kind.0) > max);
        // Only types that look at the attach type find out that it does not exist.
        let too_new = limits.attach_types.is_some_and(|max| i64::from(self.prog.attach.0) >= max);
        if self.prog.flags & !known != 0 || unknown_type || !self.attach_fits_type(too_new) {
            report::reject!(BadProgram, "Invalid argument (program type, attach type or flags)");
        }
        Ok(())
    }

    /// Some program types demand certain attach types at load (`bpf_prog_load_check_attach()`).
    fn attach_fits_type(&self, too_new: bool) -> bool {
        let at = if too_new { u32::MAX } else { self.prog.attach.0 };
        match self.prog.kind {
            ProgType::CGROUP_SOCK => matches!(at, 2 | 34 | 12 | 13),
            ProgType::CGROUP_SOCK_ADDR => matches!(at, 8..=11 | 14 | 15 | 19 | 20 | 29..=32 | 49..=53),
            ProgType::CGROUP_SKB => matches!(at, 0 | 1),
            ProgType::CGROUP_SOCKOPT => matches!(at, 21 | 22),
            ProgType::SK_LOOKUP => at == 36,
            ProgType::SK_REUSEPORT => self.profile.release < Release::new(5, 14) || matches!(at, 0 | 39 | 40),
            ProgType::NETFILTER => at == 45,
            ProgType::SYSCALL | ProgType::EXT => at == 0,
            _ => true,
        }
    }
}
