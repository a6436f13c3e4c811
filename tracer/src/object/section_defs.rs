//! The section names that say what a program is: libbpf's table (`section_defs` in tools/lib/bpf/libbpf.c, 1.5 to 1.7).
//!
//! A pattern matches the whole name; one that ends in `+` also matches with `/something` after it.

use super::kinds::{AttachType, ProgramType};
use ProgramType::*;

/// What a section name says about the programs in it.
#[derive(Debug)]
pub struct SectionDef {
    pub pattern: &'static str,
    pub program_type: ProgramType,
    pub attach_type: AttachType,
    pub extra: Extra,
}

/// What else a section name decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extra {
    Nothing,
    Sleepable,
    /// The attach point is a BTF id: of the function, tracepoint, hook or iterator named after the `/`.
    AttachBtf,
    AttachBtfSleepable,
    XdpFrags,
    Usdt,
    UsdtSleepable,
    /// Kernels before 4.17 are not told the attach type.
    AttachTypeOptional,
}

impl Extra {
    pub fn is_sleepable(self) -> bool {
        matches!(self, Extra::Sleepable | Extra::AttachBtfSleepable | Extra::UsdtSleepable)
    }

    pub fn wants_btf_target(self) -> bool {
        matches!(self, Extra::AttachBtf | Extra::AttachBtfSleepable)
    }

    pub(super) fn is_usdt(self) -> bool {
        matches!(self, Extra::Usdt | Extra::UsdtSleepable)
    }
}

/// The definition for a section name (without a leading `?`).
pub fn section_def(name: &str) -> Option<&'static SectionDef> {
    SECTION_DEFS.iter().find(|def| match def.pattern.strip_suffix('+') {
        Some(prefix) => {
            name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        None => name == def.pattern,
    })
}

const fn def(pattern: &'static str, program_type: ProgramType, attach_type: u32, extra: Extra) -> SectionDef {
    SectionDef { pattern, program_type, attach_type: AttachType(attach_type), extra }
}

static SECTION_DEFS: &[SectionDef] = &[
    def("socket", SocketFilter, 0, Extra::Nothing),
    def("sk_reuseport/migrate", SkReuseport, 40, Extra::Nothing),
    def("sk_reuseport", SkReuseport, 39, Extra::Nothing),
    def("kprobe+", Kprobe, 0, Extra::Nothing),
    def("uprobe+", Kprobe, 0, Extra::Nothing),
    def("uprobe.s+", Kprobe, 0, Extra::Sleepable),
    def("kretprobe+", Kprobe, 0, Extra::Nothing),
    def("uretprobe+", Kprobe, 0, Extra::Nothing),
    def("uretprobe.s+", Kprobe, 0, Extra::Sleepable),
    def("kprobe.multi+", Kprobe, 42, Extra::Nothing),
    def("kretprobe.multi+", Kprobe, 42, Extra::Nothing),
    def("kprobe.session+", Kprobe, 56, Extra::Nothing),
    def("uprobe.multi+", Kprobe, 48, Extra::Nothing),
    def("uretprobe.multi+", Kprobe, 48, Extra::Nothing),
    def("uprobe.multi.s+", Kprobe, 48, Extra::Sleepable),
    def("uretprobe.multi.s+", Kprobe, 48, Extra::Sleepable),
    def("uprobe.session+", Kprobe, 57, Extra::Nothing),
    def("uprobe.session.s+", Kprobe, 57, Extra::Sleepable),
    def("ksyscall+", Kprobe, 0, Extra::Nothing),
    def("kretsyscall+", Kprobe, 0, Extra::Nothing),
    def("usdt+", Kprobe, 0, Extra::Usdt),
    def("usdt.s+", Kprobe, 0, Extra::UsdtSleepable),
    def("tc/ingress", SchedCls, 46, Extra::Nothing),
    def("tc/egress", SchedCls, 47, Extra::Nothing),
    def("tcx/ingress", SchedCls, 46, Extra::Nothing),
    def("tcx/egress", SchedCls, 47, Extra::Nothing),
    def("tc", SchedCls, 0, Extra::Nothing),
    def("classifier", SchedCls, 0, Extra::Nothing),
    def("action", SchedAct, 0, Extra::Nothing),
    def("netkit/primary", SchedCls, 54, Extra::Nothing),
    def("netkit/peer", SchedCls, 55, Extra::Nothing),
    def("tracepoint+", Tracepoint, 0, Extra::Nothing),
    def("tp+", Tracepoint, 0, Extra::Nothing),
    def("raw_tracepoint+", RawTracepoint, 0, Extra::Nothing),
    def("raw_tp+", RawTracepoint, 0, Extra::Nothing),
    def("raw_tracepoint.w+", RawTracepointWritable, 0, Extra::Nothing),
    def("raw_tp.w+", RawTracepointWritable, 0, Extra::Nothing),
    def("tp_btf+", Tracing, 23, Extra::AttachBtf),
    def("fentry+", Tracing, 24, Extra::AttachBtf),
    def("fmod_ret+", Tracing, 26, Extra::AttachBtf),
    def("fexit+", Tracing, 25, Extra::AttachBtf),
    def("fentry.s+", Tracing, 24, Extra::AttachBtfSleepable),
    def("fmod_ret.s+", Tracing, 26, Extra::AttachBtfSleepable),
    def("fexit.s+", Tracing, 25, Extra::AttachBtfSleepable),
    def("fsession+", Tracing, 58, Extra::AttachBtf),
    def("fsession.s+", Tracing, 58, Extra::AttachBtfSleepable),
    def("freplace+", Ext, 0, Extra::AttachBtf),
    def("lsm+", Lsm, 27, Extra::AttachBtf),
    def("lsm.s+", Lsm, 27, Extra::AttachBtfSleepable),
    def("lsm_cgroup+", Lsm, 43, Extra::AttachBtf),
    def("iter+", Tracing, 28, Extra::AttachBtf),
    def("iter.s+", Tracing, 28, Extra::AttachBtfSleepable),
    def("syscall", Syscall, 0, Extra::Sleepable),
    def("xdp.frags/devmap", Xdp, 33, Extra::XdpFrags),
    def("xdp/devmap", Xdp, 33, Extra::Nothing),
    def("xdp.frags/cpumap", Xdp, 35, Extra::XdpFrags),
    def("xdp/cpumap", Xdp, 35, Extra::Nothing),
    def("xdp.frags", Xdp, 37, Extra::XdpFrags),
    def("xdp", Xdp, 37, Extra::AttachTypeOptional),
    def("perf_event", PerfEvent, 0, Extra::Nothing),
    def("lwt_in", LwtIn, 0, Extra::Nothing),
    def("lwt_out", LwtOut, 0, Extra::Nothing),
    def("lwt_xmit", LwtXmit, 0, Extra::Nothing),
    def("lwt_seg6local", LwtSeg6local, 0, Extra::Nothing),
    def("sockops", SockOps, 3, Extra::AttachTypeOptional),
    def("sk_skb/stream_parser", SkSkb, 4, Extra::AttachTypeOptional),
    def("sk_skb/stream_verdict", SkSkb, 5, Extra::AttachTypeOptional),
    def("sk_skb/verdict", SkSkb, 38, Extra::AttachTypeOptional),
    def("sk_skb", SkSkb, 0, Extra::Nothing),
    def("sk_msg", SkMsg, 7, Extra::AttachTypeOptional),
    def("lirc_mode2", LircMode2, 16, Extra::AttachTypeOptional),
    def("flow_dissector", FlowDissector, 17, Extra::AttachTypeOptional),
    def("cgroup_skb/ingress", CgroupSkb, 0, Extra::AttachTypeOptional),
    def("cgroup_skb/egress", CgroupSkb, 1, Extra::AttachTypeOptional),
    def("cgroup/skb", CgroupSkb, 0, Extra::Nothing),
    def("cgroup/sock_create", CgroupSock, 2, Extra::Nothing),
    def("cgroup/sock_release", CgroupSock, 34, Extra::Nothing),
    def("cgroup/sock", CgroupSock, 2, Extra::AttachTypeOptional),
    def("cgroup/post_bind4", CgroupSock, 12, Extra::Nothing),
    def("cgroup/post_bind6", CgroupSock, 13, Extra::Nothing),
    def("cgroup/bind4", CgroupSockAddr, 8, Extra::Nothing),
    def("cgroup/bind6", CgroupSockAddr, 9, Extra::Nothing),
    def("cgroup/connect4", CgroupSockAddr, 10, Extra::Nothing),
    def("cgroup/connect6", CgroupSockAddr, 11, Extra::Nothing),
    def("cgroup/connect_unix", CgroupSockAddr, 49, Extra::Nothing),
    def("cgroup/sendmsg4", CgroupSockAddr, 14, Extra::Nothing),
    def("cgroup/sendmsg6", CgroupSockAddr, 15, Extra::Nothing),
    def("cgroup/sendmsg_unix", CgroupSockAddr, 50, Extra::Nothing),
    def("cgroup/recvmsg4", CgroupSockAddr, 19, Extra::Nothing),
    def("cgroup/recvmsg6", CgroupSockAddr, 20, Extra::Nothing),
    def("cgroup/recvmsg_unix", CgroupSockAddr, 51, Extra::Nothing),
    def("cgroup/getpeername4", CgroupSockAddr, 29, Extra::Nothing),
    def("cgroup/getpeername6", CgroupSockAddr, 30, Extra::Nothing),
    def("cgroup/getpeername_unix", CgroupSockAddr, 52, Extra::Nothing),
    def("cgroup/getsockname4", CgroupSockAddr, 31, Extra::Nothing),
    def("cgroup/getsockname6", CgroupSockAddr, 32, Extra::Nothing),
    def("cgroup/getsockname_unix", CgroupSockAddr, 53, Extra::Nothing),
    def("cgroup/sysctl", CgroupSysctl, 18, Extra::Nothing),
    def("cgroup/getsockopt", CgroupSockopt, 21, Extra::Nothing),
    def("cgroup/setsockopt", CgroupSockopt, 22, Extra::Nothing),
    def("cgroup/dev", CgroupDevice, 6, Extra::AttachTypeOptional),
    def("struct_ops+", StructOps, 0, Extra::Nothing),
    def("struct_ops.s+", StructOps, 0, Extra::Sleepable),
    def("sk_lookup", SkLookup, 36, Extra::Nothing),
    def("netfilter", Netfilter, 45, Extra::Nothing),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_libbpf_matches_them() {
        let found = |name| section_def(name).map(|def| (def.pattern, def.attach_type.0));
        assert_eq!(found("kprobe/do_exit"), Some(("kprobe+", 0)));
        assert_eq!(found("kprobe"), Some(("kprobe+", 0)));
        assert_eq!(found("kprobes"), None);
        assert_eq!(found("kprobe.multi/x"), Some(("kprobe.multi+", 42)));
        assert_eq!(found("fentry.s/bprm_execve"), Some(("fentry.s+", 24)));
        assert_eq!(found("xdp"), Some(("xdp", 37)));
        assert_eq!(found("xdp/devmap"), Some(("xdp/devmap", 33)));
        assert_eq!(found("xdp/other"), None);
        assert_eq!(found("tc"), Some(("tc", 0)));
        assert_eq!(found("tcx/ingress"), Some(("tcx/ingress", 46)));
        assert_eq!(found("cgroup/dev"), Some(("cgroup/dev", 6)));
        assert_eq!(found(""), None);
    }

    #[test]
    fn sleepable_sections_say_so() {
        for def in SECTION_DEFS {
            let named = def.pattern.contains(".s+") || def.pattern == "syscall";
            assert_eq!(def.extra.is_sleepable(), named, "{}", def.pattern);
        }
    }
}
