//! Instructions and registers in words, as the kernel's log writes them (kernel/bpf/disasm.c, log.c).

use super::insn::{AluOp, Class, Cmp, Insn, JCOND, mode, pseudo};
use super::reg::{Base, Reg};

const fn width(size: u32) -> &'static str {
    match size {
        1 => "u8",
        2 => "u16",
        4 => "u32",
        _ => "u64",
    }
}

const fn sign(cmp: Cmp) -> &'static str {
    match cmp {
        Cmp::Eq => "==",
        Cmp::Ne => "!=",
        Cmp::Gt => ">",
        Cmp::Ge => ">=",
        Cmp::Lt => "<",
        Cmp::Le => "<=",
        Cmp::Sgt => "s>",
        Cmp::Sge => "s>=",
        Cmp::Slt => "s<",
        Cmp::Sle => "s<=",
        Cmp::Set | Cmp::Clear => "&",
    }
}

impl std::fmt::Display for Insn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&insn(*self))
    }
}

/// An instruction.
pub(super) fn insn(i: Insn) -> String {
    let r = if matches!(i.class(), Class::Alu | Class::Jmp32) { 'w' } else { 'r' };
    let (dst, src) = (i.dst, i.src);
    let operand = if i.is_reg() { format!("{r}{src}") } else { format!("{}", i.imm) };
    match i.class() {
        Class::Alu | Class::Alu64 => match i.alu_op() {
            Some(AluOp::Neg) => format!("{r}{dst} = -{r}{dst}"),
            Some(AluOp::End) => format!("r{dst} = bswap{} r{dst}", i.imm),
            Some(op) => format!("{r}{dst} {} {operand}", op.sign()),
            None => unknown(i),
        },
        Class::Ld if i.is_ld_imm64() => match src {
            pseudo::MAP_FD | pseudo::MAP_IDX => format!("r{dst} = map {}", i.imm),
            pseudo::MAP_VALUE | pseudo::MAP_IDX_VALUE => format!("r{dst} = value of map {}", i.imm),
            pseudo::FUNC => format!("r{dst} = function at pc{:+}", i.imm),
            _ => format!("r{dst} = {} ll", i.imm),
        },
        Class::Ld if i.mode() == mode::ABS => format!("r0 = *({} *)skb[{}]", width(i.size()), i.imm),
        Class::Ld if i.mode() == mode::IND => format!("r0 = *({} *)skb[r{src} {:+}]", width(i.size()), i.imm),
        Class::Ldx => format!("r{dst} = *({} *)(r{src} {:+})", width(i.size()), i.off),
        Class::St => format!("*({} *)(r{dst} {:+}) = {}", width(i.size()), i.off, i.imm),
        Class::Stx if i.mode() == mode::ATOMIC => {
            format!("atomic {:#x} *({} *)(r{dst} {:+}), r{src}", i.imm, width(i.size()), i.off)
        }
        Class::Stx => format!("*({} *)(r{dst} {:+}) = r{src}", width(i.size()), i.off),
        Class::Jmp | Class::Jmp32 => match i.cmp() {
            Some(cmp) => format!("if {r}{dst} {} {operand} goto pc{:+}", sign(cmp), i.off),
            None if i.is_helper_call() => format!("call bpf_{}#{}", super::helper::name(i.imm as u32), i.imm),
            None if i.is_subprog_call() => format!("call pc{:+}", i.imm),
            None if i.is_kfunc_call() => format!("call kernel function {}", i.imm),
            None if i.code == super::insn::EXIT => "exit".to_owned(),
            None if i.code == JCOND => format!("may_goto pc{:+}", i.off),
            None if i.is_goto() => format!("goto pc{:+}", i.distance()),
            None => unknown(i),
        },
        Class::Ld => unknown(i),
    }
}

fn unknown(i: Insn) -> String {
    format!("BUG_{:02x}", i.code)
}

/// A register: its kind, and what is known of its value or offset.
pub(super) fn reg(r: &Reg, kind: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    let v = &r.v;
    if r.ty.base == Base::NotInit {
        return "never written".to_owned();
    }
    if r.is_scalar() {
        if v.t.is_const() {
            return format!("{}", v.t.value as i64);
        }
    } else if r.off != 0 {
        parts.push(format!("off={}", r.off));
    }
    if r.id != 0 {
        parts.push(format!("id={}", r.id & !super::reg::ADD_CONST));
    }
    if r.ref_id != 0 {
        parts.push(format!("ref={}", r.ref_id));
    }
    if v.t.is_const() {
        if v.t.value != 0 {
            parts.push(format!("imm={}", v.t.value as i64));
        }
    } else {
        if v.smin != i64::MIN {
            parts.push(format!("smin={}", v.smin));
        }
        if v.smax != i64::MAX {
            parts.push(format!("smax={}", v.smax));
        }
        if v.umin != 0 && v.umin as i64 != v.smin {
            parts.push(format!("umin={}", v.umin));
        }
        if v.umax != u64::MAX && v.umax as i64 != v.smax {
            parts.push(format!("umax={}", v.umax));
        }
        if v.t.mask != u64::MAX {
            parts.push(format!("var_off=({:#x}; {:#x})", v.t.value, v.t.mask));
        }
    }
    if parts.is_empty() { kind.to_owned() } else { format!("{kind}({})", parts.join(",")) }
}
