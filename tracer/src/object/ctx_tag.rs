//! `__arg_ctx` on kernels that do not know it: a global subprogram's tagged parameter gets the context type that the
//! verifier expects for the program at hand, through a copy of the function's BTF (`bpf_program_fixup_func_info`).

use super::ObjectError;
use super::btf_ext::FuncInfo;
use super::kinds::ProgramType;
use crate::verifier::btf::{Btf, BtfEditor, DeclTagTarget, FuncLinkage, Kind, Type, TypeId};

/// The struct that stands for the context of a program type.
fn context_struct(program_type: ProgramType) -> Option<&'static str> {
    use ProgramType::*;
    Some(match program_type {
        CgroupDevice => "bpf_cgroup_dev_ctx",
        CgroupSkb | FlowDissector | LwtIn | LwtOut | LwtSeg6local | LwtXmit | SchedAct | SchedCls | SkSkb
        | SocketFilter => "__sk_buff",
        CgroupSock => "bpf_sock",
        CgroupSockAddr => "bpf_sock_addr",
        CgroupSockopt => "bpf_sockopt",
        CgroupSysctl => "bpf_sysctl",
        Kprobe => "bpf_user_pt_regs_t",
        Netfilter => "bpf_nf_ctx",
        PerfEvent => "bpf_perf_event_data",
        RawTracepoint | RawTracepointWritable => "bpf_raw_tracepoint_args",
        SkLookup => "bpf_sk_lookup",
        SkMsg => "sk_msg_md",
        SkReuseport => "sk_reuseport_md",
        SockOps => "bpf_sock_ops",
        Xdp => "xdp_md",
        _ => return None,
    })
}

/// Replaces the types of tagged parameters. The changed BTF, if anything changed; `func_info` then refers to it.
pub(super) fn fix(
    btf: &Btf,
    func_info: &mut [FuncInfo],
    program_type: ProgramType,
) -> Result<Option<Btf>, ObjectError> {
    let Some(context) = context_struct(program_type).filter(|_| !func_info.is_empty()) else {
        return Ok(None);
    };
    let originals: Vec<TypeId> = func_info.iter().map(|info| info.type_id).collect();
    let mut edit = None;
    let mut pointer = None;
    for (_, tag) in btf.decl_tags().filter(|(_, tag)| tag.name == "arg:ctx") {
        let Some(index) = originals.iter().position(|id| *id == tag.type_id) else {
            continue;
        };
        let Some(func) = btf.func_by_id(tag.type_id).filter(|func| func.linkage == FuncLinkage::Global)
        else {
            continue;
        };
        let DeclTagTarget::Component(number) = tag.target else {
            continue;
        };
        let Some(param) = func.proto.params().nth(number as usize) else {
            continue;
        };
        if !needs_fix(btf, param.type_id, program_type, context) {
            continue;
        }
        let edit = edit.get_or_insert_with(|| BtfEditor::new(btf));
        if func_info[index].type_id == tag.type_id {
            func_info[index].type_id = copy_function(edit, btf, tag.type_id);
        }
        let pointer = *pointer.get_or_insert_with(|| {
            let name = edit.add_string(context);
            let structure = edit.add(&[name, Kind::Struct.number() << 24, 0]);
            edit.add(&[0, Kind::Ptr.number() << 24, structure.0])
        });
        let name = edit.add_string("arg:ctx");
        edit.add(&[name, Kind::DeclTag.number() << 24, func_info[index].type_id.0, number]);
        let proto = TypeId(edit.word(func_info[index].type_id, 2));
        edit.set_word(proto, 3 + 2 * number as usize + 1, pointer.0);
    }
    let built = edit.map(|edit| edit.build()).transpose();
    built.map_err(|error| ObjectError::Btf { section: ".BTF", error })
}

/// A second FUNC_PROTO and FUNC like the ones of `id`; the FUNC's id.
fn copy_function(edit: &mut BtfEditor, btf: &Btf, id: TypeId) -> TypeId {
    let proto = TypeId(edit.word(id, 2));
    let count = match btf.get(proto) {
        Some(Type::FuncProto(proto)) => proto.param_count(),
        _ => 0,
    };
    let words: Vec<u32> = (0..3 + 2 * count).map(|n| edit.word(proto, n)).collect();
    let proto = edit.add(&words);
    let [name, info] = [0, 1].map(|n| edit.word(id, n));
    edit.add(&[name, info, proto.0])
}

fn needs_fix(btf: &Btf, id: TypeId, program_type: ProgramType, context: &str) -> bool {
    let Some(Type::Ptr(target)) = btf.resolved(id) else {
        return false;
    };
    match btf.resolved(target) {
        Some(Type::Void) => true,
        Some(Type::Struct(composite)) if composite.name == context => false,
        Some(Type::Struct(composite)) => {
            matches!(program_type, ProgramType::Kprobe | ProgramType::PerfEvent)
                && composite.name == "pt_regs"
        }
        Some(Type::Int(int)) => {
            let raw = matches!(program_type, ProgramType::RawTracepoint | ProgramType::RawTracepointWritable);
            raw && int.size == 8
        }
        _ => false,
    }
}
