//! Before the first path: opcodes, references to maps and kernel variables, functions.
//!
//! `bpf_check()` up to `do_check_main()`, `resolve_pseudo_ldimm64()`, `check_btf_func()` (kernel/bpf/verifier.c).

use super::btf::{Btf, FuncLinkage, FuncProto, Kind, Type as T, TypeId};
use super::env::{Aux, Env};
use super::feature::Feature;
use super::insn::{Class, GOTOL, Insn, JCOND, mode, pseudo};
use super::profile::Release;
use super::program::MapType;
use super::reg::{Base, BtfOf, Data, Flags, MapId, Reg, Type};
use super::report::{Checked, reject, unmodelled};
use super::subprog::{Pointers, Subprog, find_subprogs, linkage};

impl Env<'_> {
    /// Find the subprograms and their functions.
    pub(super) fn find_functions(&mut self) -> Checked {
        self.check_kfuncs_exist()?;
        let pointers = if self.has(Feature::SubprogPointers) { Pointers::Known } else { Pointers::Unknown };
        let callback = self.exception_callback_start()?;
        let starts = find_subprogs(self.insns, pointers, callback)?;
        let count = self.insns.len() as u32;
        let ends = starts.iter().skip(1).copied().chain(std::iter::once(count));
        self.subprogs = starts
            .iter()
            .zip(ends)
            .map(|(s, e)| Subprog {
                start: *s,
                end: e,
                stack_depth: 0,
                has_tail_call: false,
                has_ld_abs: false,
                changes_packet: false,
                // As the kernel marks them, all three.
                is_callback: callback == Some(*s),
                is_async: callback == Some(*s),
                is_exception_callback: callback == Some(*s),
                may_throw: false,
                global: false,
                name: String::new(),
                func: None,
                called: false,
                verified: false,
                args: None,
                fastcalls: super::fastcall::Fastcalls::default(),
            })
            .collect();
        Ok(())
    }

    /// Every call of a kernel function, reachable or not, names one that could be called at all (`add_kfunc_call()`).
    fn check_kfuncs_exist(&self) -> Checked {
        if !self.has(Feature::Kfuncs) {
            return Ok(());
        }
        for insn in self.insns.iter().filter(|i| i.is_kfunc_call()) {
            if !self.prog.gpl {
                reject!(Kfunc, "cannot call kernel function from non-GPL compatible program");
            }
            // Number 0 is refused only where it is reached; other offsets name modules, which are not known here.
            if insn.imm == 0 || insn.off != 0 {
                continue;
            }
            let btf = self.btf_of(BtfOf::Kernel)?;
            let id = TypeId(insn.imm as u32);
            let Some(sig) = btf.func_by_id(id) else {
                reject!(Kfunc, "kernel btf_id {} is not a function", id.0);
            };
            self.check_device_function(sig.name)?;
            if let Some(obstacle) = calling_obstacle(btf, sig.name, sig.proto, self.profile.release) {
                reject!(Kfunc, "{obstacle}");
            }
        }
        Ok(())
    }

    /// Functions about a packet's arrival are those of one device: the program must be bound to it
    /// (`bpf_dev_bound_kfunc_check()`, kernel/bpf/offload.c, 6.3 on).
    fn check_device_function(&self, name: &str) -> Checked {
        let bound = self.prog.flags & super::program::prog_flags::XDP_DEV_BOUND_ONLY != 0;
        if !bound && name.starts_with("bpf_xdp_metadata_rx_") {
            reject!(Kfunc, "metadata kfuncs require device-bound program");
        }
        Ok(())
    }

    /// Match the functions of the program's BTF with the subprograms (`check_btf_func()`).
    pub(super) fn check_functions(&mut self) -> Checked {
        let infos = &self.prog.funcs;
        if infos.is_empty() {
            return self.check_abnormal_returns();
        }
        if infos.len() != self.subprogs.len() {
            reject!(FuncInfo, "number of funcs in func_info doesn't match number of subprogs");
        }
        let Some(btf) = self.prog.btf.clone() else { return self.check_abnormal_returns() };
        for (i, info) in infos.iter().enumerate() {
            if info.start != self.subprogs[i].start {
                reject!(FuncInfo, "func_info BTF section doesn't match subprog layout in BPF program");
            }
            let Some(T::Func(f)) = btf.get(info.type_id) else {
                reject!(FuncInfo, "invalid type id {} in func info", info.type_id.0);
            };
            let scalar_return = btf
                .proto(f.proto)
                .and_then(|p| btf.resolve(p.ret))
                .is_some_and(|r| matches!(btf.get(r), Some(T::Int(_) | T::Enum(_) | T::Enum64(_))));
            let s = &mut self.subprogs[i];
            s.name = f.name.to_owned();
            s.func = Some(info.type_id);
            s.global = i > 0 && linkage(&btf, info.type_id) == Some(FuncLinkage::Global);
            if i > 0 && !scalar_return {
                if s.has_ld_abs {
                    reject!(LdAbs, "LD_ABS is only allowed in functions that return 'int'.");
                }
                if s.has_tail_call {
                    reject!(TailCall, "tail_call is only allowed in functions that return 'int'.");
                }
            }
        }
        Ok(())
    }

    fn check_abnormal_returns(&self) -> Checked {
        for s in self.subprogs.iter().skip(1) {
            if s.has_ld_abs {
                reject!(LdAbs, "LD_ABS is not allowed in subprogs without BTF");
            }
            if s.has_tail_call {
                reject!(TailCall, "tail_call is not allowed in subprogs without BTF");
            }
        }
        Ok(())
    }

    /// Opcodes exist, constants refer to what exists (`resolve_pseudo_ldimm64()`).
    pub(super) fn resolve_constants(&mut self) -> Checked {
        let count = self.insns.len();
        let early = self.has(Feature::CanonicalInsnOrder);
        let mut storages: Vec<MapType> = Vec::new();
        let mut seen: Vec<MapId> = Vec::new();
        let mut i = 0;
        while i < count {
            let insn = self.insns[i];
            if early {
                for r in [insn.dst, insn.src] {
                    if r > 10 {
                        reject!(InvalidRegister, "R{r} is invalid");
                    }
                }
            } else {
                self.check_memory_fields(insn)?;
            }
            if insn.is_ld_imm64() {
                self.resolve_constant(i, insn, &mut storages, &mut seen)?;
                i += 2;
                continue;
            }
            if !self.opcode_known(insn) {
                reject!(UnknownOpcode, "unknown opcode {:02x}", insn.code);
            }
            if early {
                self.check_fields(insn)?;
            }
            i += 1;
        }
        Ok(())
    }

    /// Kernels before 7.0 looked at loads and stores this early (stores until 6.0).
    fn check_memory_fields(&self, insn: Insn) -> Checked {
        if insn.class() == Class::Ldx {
            let signed = insn.mode() == mode::MEMSX && self.has(Feature::CpuV4);
            if (insn.mode() != mode::MEM && !signed) || insn.imm != 0 {
                reject!(ReservedFields, "BPF_LDX uses reserved fields");
            }
        }
        if insn.class() == Class::Stx && self.profile.release < Release::new(5, 18) {
            let ok = matches!(insn.mode(), mode::MEM | mode::ATOMIC);
            let imm_ok = insn.imm == 0 || (insn.mode() == mode::ATOMIC && self.has(Feature::AtomicFetch));
            if !ok || !imm_ok {
                reject!(ReservedFields, "BPF_STX uses reserved fields");
            }
        }
        Ok(())
    }

    /// From 7.0 all unused fields are looked at before any path is walked (`check_insn_fields()`).
    fn check_fields(&self, insn: Insn) -> Checked {
        match insn.class() {
            Class::Alu | Class::Alu64 => match insn.alu_op() {
                Some(op) => self.check_alu_fields(insn, op),
                None => reject!(UnknownOpcode, "invalid BPF_ALU opcode {:x}", insn.op_bits()),
            },
            Class::Ldx => {
                if !matches!(insn.mode(), mode::MEM | mode::MEMSX) || insn.imm != 0 {
                    reject!(ReservedFields, "BPF_LDX uses reserved fields");
                }
                Ok(())
            }
            Class::Stx => {
                if insn.mode() != mode::ATOMIC && (insn.mode() != mode::MEM || insn.imm != 0) {
                    reject!(ReservedFields, "BPF_STX uses reserved fields");
                }
                Ok(())
            }
            Class::St => {
                if insn.mode() != mode::MEM || insn.src != 0 {
                    reject!(ReservedFields, "BPF_ST uses reserved fields");
                }
                Ok(())
            }
            Class::Jmp | Class::Jmp32 => self.check_jump_fields(insn),
            Class::Ld => {
                if matches!(insn.mode(), mode::ABS | mode::IND)
                    && (insn.dst != 0
                        || insn.off != 0
                        || insn.size() == 8
                        || (insn.mode() == mode::ABS && insn.src != 0))
                {
                    reject!(ReservedFields, "BPF_LD_[ABS|IND] uses reserved fields");
                }
                Ok(())
            }
        }
    }

    fn check_jump_fields(&self, insn: Insn) -> Checked {
        let narrow = insn.class() == Class::Jmp32;
        match insn.op_bits() {
            0x80 => {
                if insn.is_reg()
                    || (insn.src != pseudo::KFUNC_CALL && insn.off != 0)
                    || insn.src > pseudo::KFUNC_CALL
                    || insn.dst != 0
                    || narrow
                {
                    reject!(ReservedFields, "BPF_CALL uses reserved fields");
                }
            }
            0x00 => {
                if insn.is_reg() {
                    if insn.src != 0 || insn.imm != 0 || insn.off != 0 {
                        reject!(ReservedFields, "BPF_JA|BPF_X uses reserved fields");
                    }
                } else if insn.src != 0
                    || insn.dst != 0
                    || (!narrow && insn.imm != 0)
                    || (narrow && insn.off != 0)
                {
                    reject!(ReservedFields, "BPF_JA uses reserved fields");
                }
            }
            0x90 => {
                if insn.is_reg() || insn.imm != 0 || insn.src != 0 || insn.dst != 0 || narrow {
                    reject!(ReservedFields, "BPF_EXIT uses reserved fields");
                }
            }
            0xe0 => {
                if insn.code != JCOND || insn.src != 0 || insn.dst != 0 || insn.imm != 0 {
                    reject!(ReservedFields, "invalid may_goto imm {}", insn.imm);
                }
            }
            _ => {
                let unused = if insn.is_reg() { insn.imm != 0 } else { insn.src != 0 };
                if unused {
                    reject!(ReservedFields, "BPF_JMP/JMP32 uses reserved fields");
                }
            }
        }
        Ok(())
    }

    /// True if this kernel knows the opcode (`bpf_opcode_in_insntable()`).
    fn opcode_known(&self, insn: Insn) -> bool {
        let c = insn.code;
        let v4 = self.has(Feature::CpuV4);
        match insn.class() {
            Class::Alu | Class::Alu64 => {
                let wide = insn.class() == Class::Alu64;
                match insn.op_bits() {
                    0x80 => !insn.is_reg(),
                    0xd0 if wide => v4 && !insn.is_reg(),
                    0xe0 | 0xf0 => false,
                    _ => true,
                }
            }
            Class::Jmp => match insn.op_bits() {
                0x00 => !insn.is_reg() || self.profile.release >= Release::new(6, 19),
                0x80 | 0x90 => !insn.is_reg(),
                0xe0 => c == JCOND && self.has(Feature::MayGoto),
                0xf0 => false,
                _ => true,
            },
            Class::Jmp32 => match insn.op_bits() {
                0x00 => c == GOTOL && self.has(Feature::LongJumps),
                0x80 | 0x90 | 0xe0 | 0xf0 => false,
                _ => true,
            },
            Class::Ldx => match insn.mode() {
                mode::MEM => true,
                mode::MEMSX => v4 && insn.size() != 8,
                _ => false,
            },
            Class::St => insn.mode() == mode::MEM,
            Class::Stx => match insn.mode() {
                mode::MEM => true,
                mode::ATOMIC => {
                    insn.size() >= 4 || (self.has(Feature::LoadAcquire) && insn.mode() == mode::ATOMIC)
                }
                _ => false,
            },
            Class::Ld => match insn.mode() {
                mode::ABS | mode::IND => insn.size() != 8,
                mode::IMM => insn.size() == 8,
                _ => false,
            },
        }
    }

    fn resolve_constant(
        &mut self,
        i: usize,
        insn: Insn,
        storages: &mut Vec<MapType>,
        seen: &mut Vec<MapId>,
    ) -> Checked {
        let second = self.insns.get(i + 1).copied();
        let Some(second) = second.filter(|s| s.code == 0 && s.dst == 0 && s.src == 0 && s.off == 0) else {
            reject!(BadProgram, "invalid bpf_ld_imm64 insn");
        };
        if insn.off != 0 && self.has(Feature::CanonicalInsnOrder) {
            reject!(ReservedFields, "BPF_LD_IMM64 uses reserved fields");
        }
        match insn.src {
            0 => return Ok(()),
            pseudo::BTF_ID => {
                let var = self.kernel_variable(insn, second)?;
                self.aux[i].btf_var = Some(var);
                return Ok(());
            }
            pseudo::FUNC if self.has(Feature::SubprogPointers) => return Ok(()),
            pseudo::MAP_VALUE => {}
            pseudo::MAP_FD if second.imm == 0 => {}
            pseudo::MAP_IDX | pseudo::MAP_IDX_VALUE if self.has(Feature::FdIndex) => unmodelled!("fd_array"),
            _ => reject!(BadProgram, "unrecognized bpf_ld_imm64 insn"),
        }
        let Some(n) = self.prog.maps.iter().position(|m| m.handle == insn.imm) else {
            reject!(BadFd, "fd {} is not pointing to valid bpf_map", insn.imm);
        };
        let map = MapId(n as u16);
        self.aux[i].map = Some(map);
        if !seen.contains(&map) || self.profile.release < Release::new(6, 12) {
            self.check_map_program(map)?;
        }
        let m = self.map(map);
        if insn.src == pseudo::MAP_VALUE {
            let off = second.imm as u32;
            if off >= 1 << 29 {
                reject!(BadProgram, "direct value offset of {off} is not allowed");
            }
            match super::map_rules::direct_value(m, off, self.profile.release) {
                None => reject!(MapIncompatible, "no direct value access support for this map type"),
                Some(false) => {
                    reject!(
                        OutOfBounds,
                        "invalid access to map value pointer, value_size={} off={off}",
                        m.value_size
                    )
                }
                Some(true) => {}
            }
        }
        if seen.contains(&map) {
            return Ok(());
        }
        seen.push(map);
        if matches!(m.kind, MapType::CGROUP_STORAGE | MapType::PERCPU_CGROUP_STORAGE) {
            if storages.contains(&m.kind) {
                reject!(MapIncompatible, "only one cgroup storage of each type is allowed");
            }
            storages.push(m.kind);
        }
        if m.kind == MapType::ARENA {
            if self.arena_map.is_some() {
                reject!(Arena, "Only one arena per program");
            }
            self.arena_map = Some(map);
        }
        Ok(())
    }

    /// A constant that names a kernel variable (`check_pseudo_btf_id()`).
    fn kernel_variable(&self, insn: Insn, second: Insn) -> Checked<Reg> {
        if second.imm != 0 {
            unmodelled!("variables of modules");
        }
        let btf = self.btf_of(BtfOf::Kernel)?;
        let id = TypeId(insn.imm as u32);
        let ty = match btf.get(id) {
            Some(T::Var(v)) => v.type_id,
            Some(T::Func(_)) if self.has(Feature::FunctionAddresses) => {
                return Ok(Reg::pointer(Type::new(Base::Mem, Flags::RDONLY), Data::Size(0)));
            }
            Some(_) => reject!(BadProgram, "pseudo btf_id {} in ldimm64 isn't KIND_VAR.", id.0),
            None => reject!(BadProgram, "ldimm64 insn specifies invalid btf_id {}.", id.0),
        };
        let percpu = btf
            .find(Kind::Datasec, ".data..percpu")
            .and_then(|d| btf.get(d))
            .is_some_and(|d| matches!(d, T::Datasec(s) if s.vars().any(|v| v.type_id == id)));
        let Some(t) = btf.resolve(ty) else { unmodelled!("kernel variable") };
        if percpu {
            return Ok(Reg::pointer(
                Type::new(Base::BtfId, Flags::PERCPU),
                Data::Btf { of: BtfOf::Kernel, id: t },
            ));
        }
        match btf.get(t) {
            Some(T::Struct(_) | T::Union(_)) => {
                Ok(Reg::pointer(Type::plain(Base::BtfId), Data::Btf { of: BtfOf::Kernel, id: t }))
            }
            _ => match btf.size_of(t) {
                Some(size) => {
                    let flags = if self.has(Feature::NullableAsFlag) { Flags::RDONLY } else { Flags::NONE };
                    Ok(Reg::pointer(Type::new(Base::Mem, flags), Data::Size(size)))
                }
                None => unmodelled!("kernel variable"),
            },
        }
    }
}

/// Why a function cannot be called from, or hooked by, BPF because of its arguments or its result; `None` if it can
/// (`btf_distill_func_proto()`).
pub(super) fn calling_obstacle(
    btf: &Btf,
    name: &str,
    proto: FuncProto<'_>,
    release: Release,
) -> Option<String> {
    const MAX_ARGS: usize = 12;
    const LARGEST: u32 = 16;
    let count = proto.params().count();
    if count > MAX_ARGS {
        return Some(format!("The function {name} has {count} arguments. Too many."));
    }
    let is_struct = |id| matches!(btf.resolved(id), Some(T::Struct(_) | T::Union(_)));
    if passed(btf, proto.ret).is_none() || is_struct(proto.ret) {
        return Some(format!("The function {name} return type is unsupported."));
    }
    for (i, param) in proto.params().enumerate() {
        if i + 1 == count && param.type_id == TypeId::VOID {
            return Some(format!("The function {name} with variable args is unsupported."));
        }
        match passed(btf, param.type_id) {
            Some(0) => return Some(format!("The function {name} has malformed void argument.")),
            Some(size) if size <= LARGEST && (release >= Release::new(6, 1) || !is_struct(param.type_id)) => {
            }
            _ => return Some(format!("The function {name} arg{i} type is unsupported.")),
        }
    }
    None
}

/// The size of a value that is passed; 0 for none, `None` if it is not passed by value.
fn passed(btf: &Btf, id: TypeId) -> Option<u32> {
    let id = btf.resolve(id)?;
    if id == TypeId::VOID {
        return Some(0);
    }
    match btf.get(id)? {
        T::Ptr(_) => Some(8),
        T::Int(_) | T::Enum(_) | T::Enum64(_) | T::Struct(_) => btf.size_of(id),
        _ => None,
    }
}

/// Nothing known of any instruction.
pub(super) fn blank(count: usize) -> Vec<Aux> {
    vec![Aux::EMPTY; count]
}
