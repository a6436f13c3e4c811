//! Programs that a kernel subsystem calls through a struct of function pointers.
//!
//! `check_struct_ops_btf_id()` (kernel/bpf/verifier.c), and of each struct what it lets its programs do: the
//! `bpf_verifier_ops` in net/ipv4/bpf_tcp_ca.c and net/bpf/bpf_dummy_struct_ops.c. Structs of other subsystems are not
//! modelled.

use super::btf::{Btf, Kind, Type as T, TypeId};
use super::ctx::Target;
use super::env::Env;
use super::helper::{self, Lookup};
use super::profile::Release;
use super::reg::{Base, BtfOf, Data, Flags, Reg};
use super::report::{Checked, reject, unmodelled};

/// The structs that are modelled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ops {
    TcpCongestion,
    Dummy,
}

impl Ops {
    fn of(name: &str) -> Option<Self> {
        match name {
            "tcp_congestion_ops" => Some(Self::TcpCongestion),
            "bpf_dummy_ops" => Some(Self::Dummy),
            _ => None,
        }
    }
}

/// Where a TCP congestion control may write: the struct and member, and the kernels (5.10, 6.1, 6.12, 7.2) as bits.
const TCP_WRITES: &[(&str, &str, u8)] = &[
    ("sock", "sk_pacing_rate", 0b1110),
    ("sock", "sk_pacing_status", 0b1110),
    ("inet_connection_sock", ICSK_CA_PRIV, 0b1111),
    ("inet_connection_sock", "icsk_ack.pending", 0b1111),
    ("tcp_sock", "snd_cwnd", 0b1111),
    ("tcp_sock", "snd_cwnd_cnt", 0b1111),
    ("tcp_sock", "snd_cwnd_stamp", 0b1100),
    ("tcp_sock", "snd_ssthresh", 0b1111),
    ("tcp_sock", "ecn_flags", 0b1111),
    ("tcp_sock", "app_limited", 0b1100),
];
/// The one member that may be written in parts.
const ICSK_CA_PRIV: &str = "icsk_ca_priv";

/// The members that have a stub, without which no program can be attached (`bpf_struct_ops_supported()`, 6.9 on).
const TCP_STUBS: &[&str] = &[
    "ssthresh",
    "cong_avoid",
    "set_state",
    "cwnd_event",
    "cwnd_event_tx_start",
    "in_ack_event",
    "pkts_acked",
    "min_tso_segs",
    "cong_control",
    "undo_cwnd",
    "sndbuf_expand",
    "init",
    "release",
];

impl Env<'_> {
    fn ops(&self) -> Option<(&Btf, &str, Ops)> {
        let btf = self.profile.btf.as_deref()?;
        let name = btf.name(self.prog.attach_btf_id);
        Some((btf, name, Ops::of(name)?))
    }

    /// The member that the program is for.
    pub(super) fn struct_ops_target(&self) -> Option<Target> {
        let btf = self.profile.btf.as_deref()?;
        let T::Struct(composite) = btf.get(self.prog.attach_btf_id)? else { return None };
        let member = composite.member(self.prog.attach.0 as usize)?;
        Some(Target {
            name: member.name.to_owned(),
            proto: function_pointer(btf, member.type_id)?,
            hidden: 0,
        })
    }

    /// The type of what the member returns.
    pub(super) fn struct_ops_result(&self) -> Option<T<'_>> {
        let btf = self.profile.btf.as_deref()?;
        btf.resolved(btf.proto(self.struct_ops_target()?.proto)?.ret)
    }

    /// May this program be one of its struct?
    pub(super) fn check_struct_ops(&self) -> Checked {
        if !self.prog.gpl {
            reject!(AttachTarget, "struct ops programs must have a GPL compatible license");
        }
        let id = self.prog.attach_btf_id;
        if id == TypeId::VOID {
            reject!(AttachTarget, "");
        }
        let Some(btf) = self.profile.btf.as_deref() else { unmodelled!("struct_ops without BTF") };
        let (name, composite) = match btf.get(id) {
            Some(T::Struct(composite)) => (btf.name(id), composite),
            _ => reject!(AttachTarget, "attach_btf_id {} is not a supported struct", id.0),
        };
        // What a subsystem registers, it has a map's value for.
        if btf.find(Kind::Struct, &format!("bpf_struct_ops_{name}")).is_none() {
            reject!(AttachTarget, "attach_btf_id {} is not a supported struct", id.0);
        }
        let Some(ops) = Ops::of(name) else { unmodelled!("struct_ops of other subsystems") };
        let index = self.prog.attach.0;
        let Some(member) = composite.member(index as usize) else {
            reject!(AttachTarget, "attach to invalid member idx {index} of struct {name}");
        };
        if function_pointer(btf, member.type_id).is_none() {
            reject!(AttachTarget, "attach to invalid member {}(@idx {index}) of struct {name}", member.name);
        }
        let release = self.profile.release;
        let supported = match ops {
            Ops::TcpCongestion if release >= Release::new(6, 9) => TCP_STUBS.contains(&member.name),
            Ops::TcpCongestion => member.name != "get_info",
            Ops::Dummy => member.name == "test_sleepable" || !self.prog.sleepable(),
        };
        if !supported {
            reject!(AttachTarget, "attach to unsupported member {} of struct {name}", member.name);
        }
        Ok(())
    }

    /// What an argument is that the subsystem says more of than its type; `given` is what its type says.
    pub(super) fn struct_ops_arg(&self, arg: usize, given: Option<Reg>) -> Checked<Option<Reg>> {
        let Some((btf, name, ops)) = self.ops() else { unmodelled!("struct_ops of other subsystems") };
        let Some(mut reg) = given else { return Ok(None) };
        if self.profile.release >= Release::new(6, 9)
            && let Some(target) = self.struct_ops_target()
            && let Some(stub) = btf.func(&format!("{name}__{}", target.name))
            && stub.proto.params().nth(arg).is_some_and(|param| param.name.ends_with("__nullable"))
        {
            reg.ty.flags = reg.ty.flags.with(Flags::MAYBE_NULL);
        }
        if ops == Ops::TcpCongestion
            && let Data::Btf { of: BtfOf::Kernel, id } = reg.data
            && reg.ty.base == Base::BtfId
            && self.profile.kernel_struct("sock") == Some(id)
            && let Some(tcp) = self.profile.kernel_struct("tcp_sock")
        {
            let plain = reg.ty.flags.without(Flags::TRUSTED) == Flags::NONE;
            if plain {
                reg.data = Data::Btf { of: BtfOf::Kernel, id: tcp };
            }
        }
        Ok(Some(reg))
    }

    /// Before 6.2 a struct's own rule was asked for reads, too.
    pub(super) fn struct_ops_may_read(&self, id: TypeId) -> Checked {
        match self.ops() {
            Some((btf, _, Ops::Dummy))
                if self.profile.release < Release::new(6, 2) && btf.name(id) != "bpf_dummy_ops_state" =>
            {
                reject!(BtfAccess, "only access to bpf_dummy_ops_state is supported");
            }
            _ => Ok(()),
        }
    }

    /// May `size` bytes at `off` of the kernel's struct be written?
    pub(super) fn check_struct_ops_write(&self, id: TypeId, off: i64, size: u32) -> Checked {
        let Some((btf, _, ops)) = self.ops() else { unmodelled!("struct_ops of other subsystems") };
        match ops {
            Ops::TcpCongestion => self.check_tcp_write(btf, id, off, size),
            Ops::Dummy => {
                if btf.name(id) != "bpf_dummy_ops_state" {
                    reject!(BtfAccess, "only access to bpf_dummy_ops_state is supported");
                }
                if off + i64::from(size) > btf.size_of(id).map_or(0, i64::from) {
                    reject!(BtfAccess, "write access at off {off} with size {size}");
                }
                Ok(())
            }
        }
    }

    fn check_tcp_write(&self, btf: &Btf, id: TypeId, off: i64, size: u32) -> Checked {
        if self.profile.kernel_struct("tcp_sock") != Some(id) {
            reject!(BtfAccess, "only read is supported");
        }
        let bit = self.profile.table_bit();
        let end = TCP_WRITES.iter().filter(|(.., on)| on & bit != 0).find_map(|(of, path, _)| {
            let field = btf.field(of, path)?;
            let (start, end) = (i64::from(field.offset_bytes), i64::from(field.offset_bytes + field.size));
            let hit = if *path == ICSK_CA_PRIV { (start..end).contains(&off) } else { off == start };
            hit.then_some(end)
        });
        let Some(end) = end else {
            reject!(BtfAccess, "no write support to tcp_sock at off {off}");
        };
        if off + i64::from(size) > end {
            reject!(
                BtfAccess,
                "write access at off {off} with size {size} beyond the member of tcp_sock ended at {end}"
            );
        }
        Ok(())
    }

    /// The helpers of the struct's programs.
    pub(super) fn struct_ops_helper(&self, func: u32) -> Lookup {
        let Some((_, _, ops)) = self.ops() else { return Lookup::Unmodelled };
        if func == 0 || func >= self.known_helpers() {
            return Lookup::Unknown;
        }
        let kernel = self.profile.table_bit();
        match ops {
            Ops::Dummy => Lookup::NotAllowed,
            Ops::TcpCongestion => {
                let member = self.struct_ops_target().map(|target| target.name).unwrap_or_default();
                helper::of_tcp_congestion(func, self.prog, kernel, &member)
            }
        }
    }
}

/// The prototype behind a pointer to a function.
fn function_pointer(btf: &Btf, id: TypeId) -> Option<TypeId> {
    let T::Ptr(to) = btf.resolved(id)? else { return None };
    let proto = btf.resolve(to)?;
    matches!(btf.get(proto)?, T::FuncProto(_)).then_some(proto)
}
