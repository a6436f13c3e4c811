//! The walk: every path, instruction by instruction.
//!
//! ```text
//! while a path is left:
//!     at a prune point: covered by a kept state? -> this path is done; else maybe keep the state
//!     the instruction's obligations are checked on the state     (-> refusal)
//!     the state is transferred                                    (-> maybe a second path)
//! ```
//! `do_check()` and `do_check_common()` (kernel/bpf/verifier.c). Why paths and not joins: the kernel enumerates paths,
//! and its verdict, its limits and its messages depend on which path comes first.

use super::env::{Env, MAX_PROCESSED, Waiting};
use super::feature::Feature;
use super::insn::{Class, GOTOL, Insn, LD_IMM64, atomic, mode, pseudo};
use super::memory::Access;
use super::prune::Visit;
use super::reg::{Base, Data, Reg, Type};
use super::report::{Checked, reject, unmodelled};
use super::state::{Entry, Frame, State};

/// Where the path goes after an instruction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// To the next slot (or over the second slot of a constant).
    Next,
    /// To this slot.
    To(u32),
    /// The path is finished.
    End,
}

/// How a load extends what it loaded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extend {
    /// With zeros.
    Zero,
    /// With the sign.
    Sign,
}

impl Frame {
    pub(super) fn new(subprog: u32, callsite: u32, index: u8, entry: Entry) -> Self {
        let mut regs = [Reg::NOT_INIT; 11];
        regs[10] = Reg { frame: index, ..Reg::pointer(Type::plain(Base::Stack), Data::None) };
        Self {
            regs,
            stack: Vec::new(),
            callsite,
            subprog,
            entry,
            async_depth: 0,
            callback_depth: 0,
            callback_ret: (0, 0),
        }
    }
}

impl State {
    pub(super) fn new(start: u32, frame: Frame, sleepable: bool) -> Self {
        Self {
            frames: vec![frame],
            refs: Vec::new(),
            lock: None,
            rcu_locks: 0,
            preempt_locks: 0,
            irqs: Vec::new(),
            in_sleepable: sleepable,
            parent: None,
            branches: 1,
            first: start,
            last: None,
            insn: start,
            jumps: Default::default(),
            dfs_depth: 0,
            may_goto_depth: 0,
            callback_unroll_depth: 0,
            loop_entry: None,
            used_as_loop_entry: false,
            all_precise: false,
        }
    }
}

impl Env<'_> {
    /// Walk the program from the start of this subprogram, with registers as its callers or its context set them.
    pub(super) fn walk_subprog(&mut self, subprog: u32) -> Checked {
        let start = self.subprogs[subprog as usize].start;
        let frame = Frame::new(subprog, u32::MAX, 0, Entry::Top);
        self.cur = State::new(start, frame, false);
        self.arena.clear();
        for list in &mut self.explored {
            list.clear();
        }
        self.now_kept = 0;
        self.waiting.clear();
        self.pc = start;
        self.set_entry_registers(subprog)?;
        self.walk()
    }

    fn walk(&mut self) -> Checked {
        let mut prev: Option<u32> = None;
        loop {
            self.has_jump = false;
            self.prev = prev;
            if self.pc as usize >= self.insns.len() {
                reject!(BadProgram, "invalid insn idx {} insn_cnt {}", self.pc, self.insns.len());
            }
            self.aux[self.pc as usize].walked = true;
            self.stats.insns_processed += 1;
            if self.stats.insns_processed > MAX_PROCESSED {
                self.blame = prev;
                reject!(
                    TooComplex,
                    "BPF program is too large. Processed {} insn",
                    self.stats.insns_processed
                );
            }
            self.cur.last = prev;
            let aux = self.aux[self.pc as usize];
            let mut flow = None;
            if aux.prune_point && self.visit_state()? == Visit::Covered {
                flow = Some(Flow::End);
            }
            let flow = match flow {
                Some(f) => f,
                None => {
                    if aux.jump_point {
                        self.note_jump(|_| {});
                    }
                    prev = Some(self.pc);
                    self.step()?
                }
            };
            match flow {
                Flow::Next => self.pc += 1,
                Flow::To(pc) => self.pc = pc,
                Flow::End => {
                    self.finish_path()?;
                    let Some(Waiting { state, at, from }) = self.waiting.pop() else { return Ok(()) };
                    self.cur = state;
                    self.pc = at;
                    prev = Some(from);
                }
            }
        }
    }

    /// One instruction: its obligations, then its effect.
    fn step(&mut self) -> Checked<Flow> {
        let insn = self.insn();
        match insn.class() {
            Class::Alu | Class::Alu64 => {
                self.step_alu(insn)?;
                Ok(Flow::Next)
            }
            Class::Ldx => {
                self.check_ldx_fields(insn)?;
                self.read_reg(insn.src)?;
                self.check_writable(insn.dst)?;
                let src_type = self.cur.reg(insn.src).ty;
                let extend = if insn.mode() == mode::MEMSX { Extend::Sign } else { Extend::Zero };
                self.access(insn.src, insn.off as i64, insn.size(), Access::Load { into: insn.dst, extend })?;
                self.mark_written(insn.dst);
                self.remember_pointer_type(src_type, super::memory::Mismatch::TrustOnly)?;
                self.check_invariant(insn.dst, "ldx")?;
                Ok(Flow::Next)
            }
            Class::Stx if insn.mode() == mode::ATOMIC => {
                self.step_atomic(insn)?;
                Ok(Flow::Next)
            }
            Class::Stx => {
                if insn.mode() != mode::MEM || insn.imm != 0 {
                    reject!(ReservedFields, "BPF_STX uses reserved fields");
                }
                self.read_reg(insn.src)?;
                self.read_reg(insn.dst)?;
                let dst_type = self.cur.reg(insn.dst).ty;
                self.access(insn.dst, insn.off as i64, insn.size(), Access::Store { from: Some(insn.src) })?;
                self.remember_pointer_type(dst_type, super::memory::Mismatch::Never)?;
                Ok(Flow::Next)
            }
            Class::St => {
                if insn.mode() != mode::MEM || insn.src != 0 {
                    reject!(ReservedFields, "BPF_ST uses reserved fields");
                }
                self.read_reg(insn.dst)?;
                let dst_type = self.cur.reg(insn.dst).ty;
                if !self.has(Feature::NullableAsFlag) && dst_type.is(Base::Ctx) {
                    reject!(CtxAccess, "BPF_ST stores into R{} ctx is not allowed", insn.dst);
                }
                if self.profile.release < super::profile::Release::new(6, 3) && dst_type.is(Base::Ctx) {
                    reject!(CtxAccess, "BPF_ST stores into R{} ctx is not allowed", insn.dst);
                }
                self.access(insn.dst, insn.off as i64, insn.size(), Access::Store { from: None })?;
                if self.profile.release >= super::profile::Release::new(6, 3) {
                    self.remember_pointer_type(dst_type, super::memory::Mismatch::Never)?;
                }
                Ok(Flow::Next)
            }
            Class::Jmp | Class::Jmp32 => self.step_jump(insn),
            Class::Ld => match insn.mode() {
                mode::ABS | mode::IND => self.step_ld_abs(insn),
                mode::IMM => {
                    self.step_ld_imm64(insn)?;
                    Ok(Flow::To(self.pc + 2))
                }
                _ => reject!(ReservedFields, "invalid BPF_LD mode"),
            },
        }
    }

    fn check_ldx_fields(&self, insn: Insn) -> Checked {
        let signed = insn.mode() == mode::MEMSX && self.has(Feature::CpuV4) && insn.size() != 8;
        if (insn.mode() != mode::MEM && !signed) || insn.imm != 0 {
            reject!(ReservedFields, "BPF_LDX uses reserved fields");
        }
        Ok(())
    }

    fn step_jump(&mut self, insn: Insn) -> Checked<Flow> {
        self.jumps_processed += 1;
        match insn.op_bits() {
            0x80 => {
                let kfunc = insn.src == pseudo::KFUNC_CALL && self.has(Feature::Kfuncs);
                if insn.is_reg()
                    || (!kfunc && insn.off != 0)
                    || !(insn.src == 0 || insn.src == pseudo::CALL || kfunc)
                    || insn.dst != 0
                    || insn.class() == Class::Jmp32
                {
                    reject!(ReservedFields, "BPF_CALL uses reserved fields");
                }
                self.check_call_under_lock(insn)?;
                match insn.src {
                    pseudo::CALL => self.step_subprog_call(insn),
                    pseudo::KFUNC_CALL => self.step_kfunc_call(insn),
                    _ => self.step_helper_call(insn),
                }
            }
            0x00 => {
                if insn.is_reg() {
                    unmodelled!("indirect jumps");
                }
                let far = insn.code == GOTOL;
                if insn.src != 0
                    || insn.dst != 0
                    || (!far && insn.imm != 0)
                    || (far && insn.off != 0)
                    || (far && !self.has(Feature::LongJumps))
                {
                    reject!(ReservedFields, "BPF_JA uses reserved fields");
                }
                Ok(Flow::To((self.pc as i64 + insn.distance() + 1) as u32))
            }
            0x90 => {
                if insn.is_reg()
                    || insn.imm != 0
                    || insn.src != 0
                    || insn.dst != 0
                    || insn.class() == Class::Jmp32
                {
                    reject!(ReservedFields, "BPF_EXIT uses reserved fields");
                }
                self.step_exit()
            }
            _ => self.step_branch(insn),
        }
    }

    /// Read a register: it must have been written; the read is marked.
    pub(super) fn read_reg(&mut self, r: u8) -> Checked {
        if r > 10 {
            reject!(InvalidRegister, "R{r} is invalid");
        }
        let reg = self.cur.reg(r);
        if reg.ty.base == Base::NotInit {
            reject!(UninitRegister, "R{r} !read_ok");
        }
        if r == 10 {
            return Ok(());
        }
        let flag = self.read_width(r);
        let reg = self.cur.reg(r);
        self.arena.mark_read(Some(reg.live), reg.link, flag);
        Ok(())
    }

    /// Whether this instruction reads all 64 bits of the register (`is_reg64()`).
    fn read_width(&self, r: u8) -> super::reg::Live {
        use super::reg::Live;
        let insn = self.insn();
        let wide = match insn.class() {
            Class::Jmp => insn.op_bits() != 0x80 || insn.src != pseudo::CALL,
            Class::Jmp32 => false,
            Class::Alu64 => !(insn.op_bits() == 0xd0 && matches!(insn.imm, 16 | 32)),
            Class::Alu => insn.op_bits() == 0xd0 && insn.imm == 64,
            Class::Stx => insn.size() == 8 || !self.cur.reg(r).is_scalar(),
            _ => true,
        };
        if wide { Live::READ64 } else { Live::READ32 }
    }

    /// The register may be written.
    pub(super) fn check_writable(&self, r: u8) -> Checked {
        if r > 10 {
            reject!(InvalidRegister, "R{r} is invalid");
        }
        if r == 10 {
            reject!(FramePointerWrite, "frame pointer is read only");
        }
        Ok(())
    }

    /// The register was written here.
    pub(super) fn mark_written(&mut self, r: u8) {
        self.cur.reg_mut(r).live.set(super::reg::Live::WRITTEN);
    }

    /// Set a register.
    pub(super) fn set_reg(&mut self, r: u8, value: &Reg) {
        self.cur.reg_mut(r).write(value);
    }

    /// After an operation: is the register's state consistent (`reg_bounds_sanity_check()`)? If not the kernel forgets
    /// the ranges, or in test mode refuses.
    pub(super) fn check_invariant(&mut self, r: u8, what: &str) -> Checked {
        if !self.has(Feature::CrossWidthBounds) {
            return Ok(());
        }
        if self.cur.reg(r).v.is_broken() {
            if self.prog.flags & super::program::prog_flags::TEST_REG_INVARIANTS != 0 {
                reject!(Invariant, "REG INVARIANTS VIOLATION ({what})");
            }
            let v = &mut self.cur.reg_mut(r).v;
            v.forget64();
            v.forget32();
        }
        Ok(())
    }

    fn step_ld_imm64(&mut self, insn: Insn) -> Checked {
        if insn.code != LD_IMM64 {
            reject!(ReservedFields, "invalid BPF_LD_IMM insn");
        }
        if insn.off != 0 {
            reject!(ReservedFields, "BPF_LD_IMM64 uses reserved fields");
        }
        self.check_writable(insn.dst)?;
        let high = self.insns.get(self.pc as usize + 1).map_or(0, |i| i.imm);
        let aux = self.aux[self.pc as usize];
        let value = match insn.src {
            0 => Reg::known((high as u32 as u64) << 32 | insn.imm as u32 as u64),
            pseudo::BTF_ID => match aux.btf_var {
                Some(r) => r,
                None => unmodelled!("kernel variable"),
            },
            pseudo::FUNC => {
                let target = (self.pc as i64 + insn.imm as i64 + 1) as u32;
                let Some(sub) = self.subprog_at(target) else {
                    reject!(Misconfigured, "");
                };
                if self.prog.funcs.is_empty() {
                    reject!(FuncInfo, "missing btf func_info");
                }
                if self.is_global(sub) {
                    reject!(Callback, "callback function not static");
                }
                Reg::pointer(Type::plain(Base::Func), Data::Func(sub))
            }
            src => {
                let Some(map) = aux.map else { reject!(Misconfigured, "bpf verifier is misconfigured") };
                let data = Data::Map { map, uid: 0 };
                if matches!(src, pseudo::MAP_VALUE | pseudo::MAP_IDX_VALUE) {
                    if self.map(map).kind == super::program::MapType::ARENA {
                        Reg::UNKNOWN
                    } else {
                        let mut r = Reg::pointer(Type::plain(Base::MapValue), data);
                        self.add_offset(&mut r, high as i64);
                        if !self.has(Feature::GlobalLocks) && self.may_hold_lock(&r) {
                            r.id = self.next_id();
                        }
                        r
                    }
                } else {
                    Reg::pointer(Type::plain(Base::ConstMap), data)
                }
            }
        };
        self.set_reg(insn.dst, &value);
        Ok(())
    }

    /// Move a pointer by a constant, in the way this kernel keeps it.
    pub(super) fn add_offset(&self, r: &mut Reg, by: i64) {
        if self.has(Feature::ConstOffsetInBits) {
            if by != 0 {
                let k = super::value::Value::known(by as u64);
                super::arith::add32(&mut r.v, &k, self.d);
                super::arith::add64(&mut r.v, &k, self.d);
                r.v.t = r.v.t.add(k.t);
                r.v.sync(self.d);
            }
        } else {
            r.off = r.off.wrapping_add(by as i32);
        }
    }

    fn step_atomic(&mut self, insn: Insn) -> Checked {
        if !self.has(Feature::AtomicFetch) {
            return self.step_xadd(insn);
        }
        let known = matches!(insn.imm & !atomic::FETCH, 0x00 | 0x40 | 0x50 | 0xa0)
            || matches!(insn.imm, atomic::XCHG | atomic::CMPXCHG);
        if !known {
            if matches!(insn.imm, atomic::LOAD_ACQ | atomic::STORE_REL) && self.has(Feature::LoadAcquire) {
                return self.step_acquire_release(insn);
            }
            reject!(ReservedFields, "BPF_ATOMIC uses invalid atomic opcode {:02x}", insn.imm);
        }
        if insn.size() < 4 {
            reject!(ReservedFields, "invalid atomic operand size");
        }
        self.read_reg(insn.src)?;
        self.read_reg(insn.dst)?;
        if insn.imm == atomic::CMPXCHG {
            self.read_reg(0)?;
            if self.is_pointer(0) {
                reject!(PointerLeak, "R0 leaks addr into mem");
            }
        }
        if self.is_pointer(insn.src) {
            reject!(PointerLeak, "R{} leaks addr into mem", insn.src);
        }
        self.check_atomic_pointer(insn.dst, insn)?;
        let loaded = if insn.imm == atomic::CMPXCHG {
            Some(0)
        } else if insn.imm & atomic::FETCH != 0 {
            Some(insn.src)
        } else {
            None
        };
        if let Some(r) = loaded {
            self.check_writable(r)?;
        }
        let off = insn.off as i64;
        self.access(insn.dst, off, insn.size(), Access::AtomicRead { into: None })?;
        if let Some(r) = loaded {
            self.set_reg(r, &Reg::UNKNOWN);
            if r == insn.dst {
                // The address itself is overwritten by what was fetched; the kernel looks at it again afterwards.
                reject!(InvalidMemAccess, "R{} invalid mem access '{}'", insn.dst, self.scalar_name());
            }
            self.access(insn.dst, off, insn.size(), Access::AtomicRead { into: Some(r) })?;
            self.mark_written(r);
        }
        self.access(insn.dst, off, insn.size(), Access::AtomicWrite)?;
        Ok(())
    }

    fn step_xadd(&mut self, insn: Insn) -> Checked {
        if insn.size() < 4 || insn.imm != 0 {
            reject!(ReservedFields, "BPF_XADD uses reserved fields");
        }
        self.read_reg(insn.src)?;
        self.read_reg(insn.dst)?;
        if self.is_pointer(insn.src) {
            reject!(PointerLeak, "R{} leaks addr into mem", insn.src);
        }
        self.check_atomic_pointer(insn.dst, insn)?;
        let off = insn.off as i64;
        self.access(insn.dst, off, insn.size(), Access::AtomicRead { into: None })?;
        self.access(insn.dst, off, insn.size(), Access::AtomicWrite)
    }

    fn step_acquire_release(&mut self, insn: Insn) -> Checked {
        let load = insn.imm == atomic::LOAD_ACQ;
        if load {
            self.read_reg(insn.src)?;
            self.check_writable(insn.dst)?;
            let src_type = self.cur.reg(insn.src).ty;
            self.check_atomic_pointer(insn.src, insn)?;
            self.access(
                insn.src,
                insn.off as i64,
                insn.size(),
                Access::Load { into: insn.dst, extend: Extend::Zero },
            )?;
            self.mark_written(insn.dst);
            self.remember_pointer_type(src_type, super::memory::Mismatch::TrustOnly)
        } else {
            self.read_reg(insn.src)?;
            self.read_reg(insn.dst)?;
            let dst_type = self.cur.reg(insn.dst).ty;
            self.check_atomic_pointer(insn.dst, insn)?;
            self.access(insn.dst, insn.off as i64, insn.size(), Access::Store { from: Some(insn.src) })?;
            self.remember_pointer_type(dst_type, super::memory::Mismatch::Never)
        }
    }

    fn check_atomic_pointer(&self, r: u8, insn: Insn) -> Checked {
        let ty = self.cur.reg(r).ty;
        let arena_ok = self.has(Feature::Arena);
        let bad = matches!(ty.base, Base::Ctx | Base::Packet | Base::PacketMeta | Base::FlowKeys)
            || ty.is_sock()
            || (ty.base == Base::Arena && !arena_ok);
        if bad {
            let name = if !self.has(Feature::AtomicFetch) { "BPF_XADD" } else { "BPF_ATOMIC" };
            let what = match insn.imm {
                atomic::LOAD_ACQ => "loads from",
                _ => "stores into",
            };
            reject!(AtomicPointer, "{name} {what} R{r} {} is not allowed", self.type_text(ty));
        }
        Ok(())
    }

    /// True if the register holds a pointer that must not leak; a privileged program may leak all.
    pub(super) fn is_pointer(&self, _r: u8) -> bool {
        false
    }
}
