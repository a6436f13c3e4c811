//! Where the arguments of a function are, on x86-64: six registers, then the stack.
//!
//! ```text
//! integers and pointers            one slot
//! structures up to 16 bytes        one or two registers, if so many are left; else the stack
//! larger structures                the stack, whole
//! [sp] is the return address at the entry, so the first slot on the stack is [sp + 8]
//! ```
//! A trampoline (fentry, fexit) hands out all slots in order; a structure has one or two of them.
//! (System V ABI, x86-64, 3.2.3; arch/x86/net/bpf_jit_comp.c, `arch_prepare_bpf_trampoline`, as of 6.12.)

use tracer_common::probe::{MAX_ARGS, source};

use super::c_type::c_type;
use super::syscalls;
use super::walk::{From, Root, Ty};
use crate::verifier::btf::{Btf, FuncProto, Type, TypeId};

/// How a function is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convention {
    /// A kprobe: registers and stack.
    Registers,
    /// A trampoline: an array of slots.
    Slots,
}

/// What a function takes and gives.
#[derive(Clone, Debug, Default)]
pub struct Call {
    pub arguments: Vec<Root>,
    pub result: Option<Root>,
    /// 64-bit slots that the arguments take.
    pub slots: u8,
    /// Some argument is a structure by value.
    pub structures: bool,
    /// What is not shown, and why.
    pub notes: Vec<String>,
}

/// Word of `struct pt_regs` that holds the stack pointer.
const SP: u8 = 19;
const REGISTERS: u32 = 6;

/// The arguments and the result of the function of this name and prototype.
pub fn call(btf: &Btf, function: &str, proto: FuncProto<'_>, convention: Convention) -> Call {
    let mut call = Call { result: result(btf, proto.ret), ..Call::default() };
    if let Some(known) = function.strip_prefix("__x64_sys_").and_then(syscalls::by_kernel_name) {
        call.arguments = known.in_pt_regs(btf);
        call.slots = proto.param_count().min(MAX_ARGS) as u8;
        return call;
    }
    // Slots of the array; registers and stack of the call.
    let (mut slot, mut register, mut stack) = (0_u32, 0_u32, 0_u32);
    for (number, param) in proto.params().enumerate() {
        if param.type_id == TypeId::VOID {
            call.notes.push(format!("{function} takes more arguments (...), which cannot be shown"));
            break;
        }
        let Some((slots, composite)) = slots(btf, param.type_id) else {
            call.notes.push(format!(
                "{function}: the size of argument {number} is unknown; it and those after it are not shown"
            ));
            break;
        };
        call.structures |= composite;
        let in_registers = slots <= 2 && register + slots <= REGISTERS;
        let from = match convention {
            Convention::Slots if slot + slots > MAX_ARGS as u32 || slots > 2 => {
                call.notes.push(format!(
                    "{function} has more than {MAX_ARGS} arguments; those after are not shown"
                ));
                break;
            }
            Convention::Slots => From::Hand { source: source::ARGUMENT, index: slot as u8 },
            Convention::Registers if in_registers => {
                From::Hand { source: source::ARGUMENT, index: register as u8 }
            }
            Convention::Registers => {
                From::Memory { source: source::REGISTER, index: SP, offset: 8 + 8 * stack }
            }
        };
        if in_registers {
            register += slots;
        } else {
            stack += slots;
        }
        slot += slots;
        let name = if param.name.is_empty() { format!("arg{number}") } else { param.name.to_owned() };
        call.arguments.push(Root {
            user: is_user_text(function, &name),
            text: !is_buffer(&name),
            c_type: c_type(btf, param.type_id),
            name,
            from,
            what: Ty::Btf(param.type_id),
            at_return: false,
            result: false,
        });
    }
    call.slots = slot.min(MAX_ARGS as u32) as u8;
    call
}

/// The result, if there is one that fits into a register.
fn result(btf: &Btf, id: TypeId) -> Option<Root> {
    match btf.resolved(id)? {
        Type::Int(_) | Type::Ptr(_) | Type::Enum(_) | Type::Enum64(_) => Some(Root {
            name: "retval".to_owned(),
            c_type: c_type(btf, id),
            from: From::Hand { source: source::RESULT, index: 0 },
            what: Ty::Btf(id),
            user: false,
            at_return: true,
            result: true,
            text: true,
        }),
        _ => None,
    }
}

/// How many slots an argument takes, and whether it is a structure.
fn slots(btf: &Btf, id: TypeId) -> Option<(u32, bool)> {
    let composite = matches!(btf.resolved(id)?, Type::Struct(_) | Type::Union(_));
    Some((btf.size_of(id)?.div_ceil(8), composite))
}

/// The prototype of a raw tracepoint's probes. The typedef that the kernel checks has no names; the function that calls
/// the probes has the same parameters and names them (include/linux/tracepoint.h, `__DECLARE_TRACE`, since 5.10).
pub fn raw_prototype<'b>(btf: &'b Btf, name: &str, typedef: TypeId) -> Option<FuncProto<'b>> {
    let checked = btf.proto(typedef)?;
    let named = btf.func(&format!("__traceiter_{name}")).map(|func| func.proto);
    Some(named.filter(|named| named.param_count() == checked.param_count()).unwrap_or(checked))
}

/// The arguments of a raw tracepoint: the slots after the first, which is the tracepoint's own.
pub fn raw_tracepoint(btf: &Btf, proto: FuncProto<'_>) -> Call {
    let mut call = Call::default();
    for (number, param) in proto.params().enumerate().skip(1).take(MAX_ARGS) {
        let name = if param.name.is_empty() { format!("arg{}", number - 1) } else { param.name.to_owned() };
        call.arguments.push(Root {
            text: !is_buffer(&name),
            user: false,
            c_type: c_type(btf, param.type_id),
            name,
            from: From::Hand { source: source::ARGUMENT, index: number as u8 - 1 },
            what: Ty::Btf(param.type_id),
            at_return: false,
            result: false,
        });
    }
    call.slots = call.arguments.len() as u8;
    call
}

/// The registers that carry arguments, where no types are known.
pub fn untyped() -> Call {
    let argument = |index: u8| Root {
        name: format!("arg{index}"),
        c_type: "unsigned long".to_owned(),
        from: From::Hand { source: source::ARGUMENT, index },
        what: Ty::Raw,
        user: false,
        at_return: false,
        result: false,
        text: false,
    };
    let result = Root {
        name: "retval".to_owned(),
        from: From::Hand { source: source::RESULT, index: 0 },
        what: Ty::Number { size: 8, signed: true },
        at_return: true,
        result: true,
        c_type: "long".to_owned(),
        ..argument(0)
    };
    Call {
        arguments: (0..REGISTERS as u8).map(argument).collect(),
        result: Some(result),
        slots: REGISTERS as u8,
        ..Call::default()
    }
}

/// The registers by name: of use inside of a function, where arguments have moved.
pub fn registers() -> Vec<Root> {
    /// In the order of `struct pt_regs` (arch/x86/include/asm/ptrace.h).
    const NAMES: [&str; 21] = [
        "r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di",
        "orig_ax", "ip", "cs", "flags", "sp", "ss",
    ];
    let register = |(index, name): (usize, &&str)| Root {
        name: (*name).to_owned(),
        c_type: "unsigned long".to_owned(),
        from: From::Hand { source: source::REGISTER, index: index as u8 },
        what: Ty::Raw,
        user: false,
        at_return: false,
        result: false,
        text: false,
    };
    NAMES.iter().enumerate().map(register).collect()
}

/// Characters that are bytes, with no NUL to end them.
pub(super) fn is_buffer(name: &str) -> bool {
    const NAMES: [&str; 14] = [
        "buf",
        "ubuf",
        "buffer",
        "data",
        "uargs",
        "u_msg_ptr",
        "cmdline_ptr",
        "optval",
        "vec",
        "list",
        "shmaddr",
        "base",
        "addr",
        "to",
    ];
    NAMES.contains(&name.trim_start_matches('_'))
}

/// Texts of the caller's that kernels without type tags (those not built by clang) do not tell as such.
/// Seen in fs/open.c, fs/namei.c, fs/stat.c, fs/utimes.c, fs/namespace.c, mm/util.c of 5.10 to 7.2.
fn is_user_text(function: &str, argument: &str) -> bool {
    const KNOWN: [(&str, &str); 20] = [
        ("do_sys_open", "filename"),
        ("do_sys_openat2", "filename"),
        ("getname", "filename"),
        ("getname_flags", "filename"),
        ("getname_uflags", "filename"),
        ("getname_maybe_null", "name"),
        ("__getname_maybe_null", "pathname"),
        ("user_path_at", "name"),
        ("user_path_at_empty", "name"),
        ("user_path_create", "pathname"),
        ("vfs_statx", "filename"),
        ("vfs_fstatat", "filename"),
        ("do_faccessat", "filename"),
        ("do_fchmodat", "filename"),
        ("do_fchownat", "filename"),
        ("do_readlinkat", "pathname"),
        ("do_sys_truncate", "pathname"),
        ("do_utimes", "filename"),
        ("do_utimes_path", "filename"),
        ("strndup_user", "s"),
    ];
    KNOWN.contains(&(function, argument))
}
