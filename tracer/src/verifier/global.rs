//! Global functions: what their types and tags say of their arguments.
//!
//! `btf_prepare_func_args()` from 6.8, `btf_check_func_arg_match()` and `btf_prepare_func_args()` before
//! (kernel/bpf/btf.c).

use super::btf::{Btf, Kind, Type as T, TypeId};
use super::env::Env;
use super::feature::Feature;
use super::profile::Release;
use super::program::ProgType;
use super::reg::Flags;
use super::report::{Checked, reject, unmodelled};
use super::subprog::GlobalArg;

/// The structs that stand for contexts in programs' own types (`bpf_ctx_convert`).
fn ctx_struct(kind: ProgType) -> &'static [&'static str] {
    match kind {
        ProgType::SOCKET_FILTER
        | ProgType::SCHED_CLS
        | ProgType::SCHED_ACT
        | ProgType::CGROUP_SKB
        | ProgType::LWT_IN
        | ProgType::LWT_OUT
        | ProgType::LWT_XMIT
        | ProgType::LWT_SEG6LOCAL
        | ProgType::SK_SKB
        | ProgType::FLOW_DISSECTOR => &["__sk_buff"],
        ProgType::XDP => &["xdp_md"],
        ProgType::KPROBE => &["bpf_user_pt_regs_t", "user_pt_regs", "pt_regs", "user_regs_struct"],
        ProgType::TRACEPOINT => &["__u64", "u64", "unsigned long long"],
        ProgType::PERF_EVENT => &["bpf_perf_event_data", "bpf_user_pt_regs_t", "pt_regs"],
        ProgType::RAW_TRACEPOINT | ProgType::RAW_TRACEPOINT_WRITABLE => &["bpf_raw_tracepoint_args"],
        ProgType::CGROUP_DEVICE => &["bpf_cgroup_dev_ctx"],
        ProgType::SK_MSG => &["sk_msg_md"],
        ProgType::CGROUP_SOCK_ADDR => &["bpf_sock_addr"],
        ProgType::CGROUP_SOCK => &["bpf_sock"],
        ProgType::SOCK_OPS => &["bpf_sock_ops"],
        ProgType::SK_REUSEPORT => &["sk_reuseport_md"],
        ProgType::SK_LOOKUP => &["bpf_sk_lookup"],
        ProgType::CGROUP_SYSCTL => &["bpf_sysctl"],
        ProgType::CGROUP_SOCKOPT => &["bpf_sockopt"],
        ProgType::NETFILTER => &["bpf_nf_ctx"],
        _ => &[],
    }
}

fn tags(btf: &Btf, func: TypeId, arg: usize) -> Vec<String> {
    btf.decl_tags()
        .filter(|(_, t)| {
            t.type_id == func
                && matches!(t.target, super::btf::DeclTagTarget::Component(n) if n as usize == arg)
        })
        .filter_map(|(_, t)| t.name.strip_prefix("arg:").map(str::to_owned))
        .collect()
}

/// Is this pointer's target the program type's context, by name?
pub(super) fn is_ctx(btf: &Btf, pointee: TypeId, kind: ProgType) -> bool {
    let names = ctx_struct(kind);
    let mut id = pointee;
    for _ in 0..16 {
        let name = btf.name(id);
        if !name.is_empty() && names.contains(&name) {
            return match btf.get(id) {
                Some(T::Typedef { .. }) => kind == ProgType::KPROBE || kind == ProgType::PERF_EVENT,
                Some(T::Struct(_)) => true,
                _ => false,
            };
        }
        match btf.get(id) {
            Some(
                T::Typedef { target, .. } | T::Const(target) | T::Volatile(target) | T::Restrict(target),
            ) => id = target,
            Some(T::TypeTag(t)) => id = t.target,
            _ => return false,
        }
    }
    false
}

pub(super) fn args_of(env: &Env, sub: u32) -> Checked<Vec<GlobalArg>> {
    let s = &env.subprogs[sub as usize];
    let name = s.name.clone();
    let (Some(btf), Some(func)) = (env.prog.btf.clone(), s.func) else {
        reject!(FuncInfo, "BTF is missing, cannot determine arguments of func#{sub}");
    };
    let Some(proto) = btf.proto(func) else { reject!(FuncInfo, "Invalid type of function {name}()") };
    let params: Vec<TypeId> = proto.params().map(|p| p.type_id).collect();
    if params.len() > 5 {
        if env.has(Feature::StackArguments) {
            unmodelled!("arguments on the stack");
        }
        reject!(FuncInfo, "Global function {name}() with {} > 5 args. Buggy compiler.", params.len());
    }
    let ret = btf.resolve(proto.ret).unwrap_or(TypeId::VOID);
    let returns_int = matches!(btf.get(ret), Some(T::Int(_) | T::Enum(_) | T::Enum64(_)));
    let void_ok = ret == TypeId::VOID && env.profile.release >= Release::new(7, 0);
    if !returns_int && !void_ok {
        reject!(FuncInfo, "Global function {name}() doesn't return scalar. Only those are supported.");
    }
    let mut out = Vec::new();
    for (i, p) in params.iter().enumerate() {
        out.push(arg_of(env, &btf, func, &name, i, *p)?);
    }
    Ok(out)
}

fn arg_of(env: &Env, btf: &Btf, func: TypeId, name: &str, i: usize, param: TypeId) -> Checked<GlobalArg> {
    let release = env.profile.release;
    let kind = env.prog.kind;
    let tags = if env.has(Feature::GlobalArgsByTag) { tags(btf, func, i) } else { Vec::new() };
    let has = |t: &str| tags.iter().any(|x| x == t);
    let Some(t) = btf.resolve(param) else { reject!(FuncInfo, "Invalid argument") };
    let Some(T::Ptr(target)) = btf.get(t) else {
        if matches!(btf.get(t), Some(T::Int(_) | T::Enum(_) | T::Enum64(_))) {
            if !tags.is_empty() && !has("ctx") {
                reject!(FuncInfo, "arg#{i} has pointer tag, but is not a pointer type");
            }
            return Ok(GlobalArg::Scalar);
        }
        reject!(FuncInfo, "Arg#{i} type {} in {name}() is not supported yet.", kind_text(btf, t));
    };
    if has("ctx") || is_ctx(btf, target, kind) {
        if tags.iter().any(|t| t != "ctx") {
            reject!(FuncInfo, "arg#{i} has invalid combination of tags");
        }
        return Ok(GlobalArg::Ctx);
    }
    let Some(pointee) = btf.resolve(target) else { reject!(FuncInfo, "Invalid argument") };
    if env.has(Feature::GlobalArgsByTag)
        && release >= Release::new(6, 8)
        && btf.name(pointee) == "bpf_dynptr"
        && matches!(btf.kind(pointee), Some(Kind::Struct | Kind::Fwd))
    {
        return Ok(GlobalArg::Dynptr);
    }
    if has("trusted") && release >= Release::new(6, 9) {
        let target_name = btf.name(pointee).to_owned();
        let Some(id) = env.profile.kernel_struct(super::btf::essential_name(&target_name)) else {
            reject!(FuncInfo, "arg#{i} reference type('STRUCT {target_name}') has no matches");
        };
        let mut flags = Flags::TRUSTED;
        if has("nullable") {
            flags = flags.with(Flags::MAYBE_NULL);
        }
        return Ok(GlobalArg::Btf { id, flags });
    }
    if has("untrusted") && env.has(Feature::UntrustedMem) {
        if matches!(btf.kind(pointee), Some(Kind::Struct | Kind::Union)) {
            let target_name = btf.name(pointee).to_owned();
            let Some(id) = env.profile.kernel_struct(super::btf::essential_name(&target_name)) else {
                reject!(FuncInfo, "arg#{i} reference type('STRUCT {target_name}') has no matches");
            };
            return Ok(GlobalArg::Btf { id, flags: Flags::UNTRUSTED });
        }
        return Ok(GlobalArg::UntrustedMem);
    }
    if has("arena") && release >= Release::new(6, 9) {
        return Ok(GlobalArg::Arena);
    }
    if !env.has(Feature::GlobalMemArgs) {
        reject!(FuncInfo, "Arg#{i} type PTR in {name}() is not supported yet.");
    }
    match btf.size_of(pointee) {
        Some(size) => Ok(GlobalArg::Mem { size, nullable: !has("nonnull") }),
        None => reject!(
            FuncInfo,
            "arg#{i} reference type('{} {}') size cannot be determined: -22",
            kind_text(btf, pointee),
            btf.name(pointee)
        ),
    }
}

fn kind_text(btf: &Btf, id: TypeId) -> &'static str {
    match btf.kind(id) {
        Some(Kind::Ptr) => "PTR",
        Some(Kind::Struct) => "STRUCT",
        Some(Kind::Union) => "UNION",
        Some(Kind::Fwd) => "FWD",
        Some(Kind::Int) => "INT",
        Some(Kind::Array) => "ARRAY",
        Some(Kind::Float) => "FLOAT",
        Some(Kind::Void) | None => "UNKNOWN",
        _ => "UNKN",
    }
}
