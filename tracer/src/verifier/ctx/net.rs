//! Contexts that the kernel rewrites field by field: packets, sockets, socket options.
//!
//! Each struct is a list of named spans with a rule for reading and one for writing; each program type says what it
//! hides, what it may write, and which fields are pointers. The `is_valid_access` functions of net/core/filter.c and
//! kernel/bpf/cgroup.c (5.10 to 7.2).

use super::super::env::Env;
use super::super::explore::Extend;
use super::super::memory::{Dir, NO_DATA};
use super::super::profile::Release;
use super::super::program::{AttachType, ProgType};
use super::super::reg::{Base, Flags, Reg, Type};
use super::super::report::{Checked, unmodelled};

/// Bytes `.0` to `.1` of a struct.
type Span = (i64, i64);

const fn within(off: i64, s: Span) -> bool {
    off >= s.0 && off < s.1
}

/// `struct __sk_buff`.
mod skb {
    use super::Span;
    pub(super) const MARK: Span = (8, 12);
    pub(super) const QUEUE_MAPPING: Span = (12, 16);
    pub(super) const PRIORITY: Span = (32, 36);
    pub(super) const TC_INDEX: Span = (44, 48);
    pub(super) const CB: Span = (48, 68);
    pub(super) const TC_CLASSID: Span = (72, 76);
    pub(super) const DATA: Span = (76, 80);
    pub(super) const DATA_END: Span = (80, 84);
    pub(super) const REMOTE_IP4: Span = (92, 96);
    pub(super) const LOCAL_IP4: Span = (96, 100);
    pub(super) const IP6: Span = (100, 132);
    /// From `family` to `local_port`.
    pub(super) const ADDRESSES: Span = (88, 140);
    pub(super) const DATA_META: Span = (140, 144);
    pub(super) const FLOW_KEYS: Span = (144, 152);
    pub(super) const TSTAMP: Span = (152, 160);
    pub(super) const WIRE_LEN: Span = (160, 164);
    pub(super) const SK: Span = (168, 176);
    pub(super) const TSTAMP_TYPE: Span = (180, 181);
    pub(super) const PADDING: Span = (181, 184);
    pub(super) const HWTSTAMP: Span = (184, 192);
}

/// What one program type makes of `__sk_buff`.
struct SkbView {
    hidden: &'static [Span],
    writable: &'static [Span],
    /// May not even be read (checked after the writable spans).
    data: bool,
    data_meta: bool,
}

const SOCKET_FILTER: SkbView = SkbView {
    hidden: &[
        skb::TC_CLASSID,
        skb::DATA,
        skb::DATA_META,
        skb::DATA_END,
        skb::ADDRESSES,
        skb::TSTAMP,
        skb::WIRE_LEN,
        skb::HWTSTAMP,
    ],
    writable: &[skb::CB],
    data: false,
    data_meta: false,
};
const CGROUP_SKB: SkbView = SkbView {
    hidden: &[skb::TC_CLASSID, skb::DATA_META, skb::WIRE_LEN],
    writable: &[skb::MARK, skb::PRIORITY, skb::CB, skb::TSTAMP],
    data: true,
    data_meta: false,
};
const LWT: SkbView = SkbView {
    hidden: &[skb::TC_CLASSID, skb::ADDRESSES, skb::DATA_META, skb::TSTAMP, skb::WIRE_LEN, skb::HWTSTAMP],
    writable: &[skb::MARK, skb::PRIORITY, skb::CB],
    data: true,
    data_meta: false,
};
const TC: SkbView = SkbView {
    hidden: &[skb::ADDRESSES],
    writable: &[
        skb::MARK,
        skb::TC_INDEX,
        skb::PRIORITY,
        skb::TC_CLASSID,
        skb::CB,
        skb::TSTAMP,
        skb::QUEUE_MAPPING,
    ],
    data: true,
    data_meta: true,
};
const SK_SKB: SkbView = SkbView {
    hidden: &[skb::TC_CLASSID, skb::DATA_META, skb::TSTAMP, skb::WIRE_LEN, skb::HWTSTAMP, skb::MARK],
    writable: &[skb::TC_INDEX, skb::PRIORITY],
    data: true,
    data_meta: false,
};

/// Padding of `__sk_buff` before 5.16 that reads of are let through but never rewritten.
pub(super) const SKB_UNCONVERTED: std::ops::Range<i16> = 180..184;

/// True if the context is a `__sk_buff`.
pub(super) const fn reads_skb(kind: ProgType) -> bool {
    matches!(
        kind,
        ProgType::SOCKET_FILTER
            | ProgType::SCHED_CLS
            | ProgType::SCHED_ACT
            | ProgType::CGROUP_SKB
            | ProgType::LWT_IN
            | ProgType::LWT_OUT
            | ProgType::LWT_XMIT
            | ProgType::LWT_SEG6LOCAL
            | ProgType::SK_SKB
    )
}

fn pointer(base: Base) -> Option<Reg> {
    Some(Reg::pointer(Type::plain(base), NO_DATA))
}

fn nullable(base: Base) -> Option<Reg> {
    Some(Reg::pointer(Type::new(base, Flags::MAYBE_NULL), NO_DATA))
}

fn scalar(ok: bool) -> Option<Reg> {
    ok.then_some(Reg::UNKNOWN)
}

fn any(off: i64, spans: &[Span]) -> bool {
    spans.iter().any(|s| within(off, *s))
}

/// Access to a `struct bpf_sock`, `bpf_tcp_sock` or `bpf_xdp_sock`.
pub(in super::super) fn sock_access(base: Base, off: i64, size: u32) -> bool {
    let s = size as i64;
    match base {
        Base::TcpSock => {
            const END: i64 = 112;
            if !(0..END).contains(&off) || off % s != 0 {
                return false;
            }
            // bytes_received and bytes_acked are 64-bit.
            if matches!(off, 80 | 88) { size == 8 } else { size == 4 }
        }
        Base::XdpSock => (0..4).contains(&off) && off % s == 0 && size == 4,
        Base::SockCommon => !(8..24).contains(&off) && bpf_sock(off, size),
        _ => bpf_sock(off, size),
    }
}

/// `struct bpf_sock`: bound_dev_if 0, family 4, type 8, protocol 12, mark 16, priority 20, src_ip4 24, src_ip6 28,
/// src_port 44, dst_port 48, dst_ip4 52, dst_ip6 56, state 72, rx_queue_mapping 76.
fn bpf_sock(off: i64, size: u32) -> bool {
    if !(0..80).contains(&off) || off % size as i64 != 0 {
        return false;
    }
    let narrow = |n: u32| size <= n;
    match off {
        72 | 4 | 8 | 12 | 44 | 76 => narrow(4),
        24..28 | 28..44 | 52..56 | 56..72 => narrow(4),
        48..50 => size == 4 || narrow(2),
        50..52 => false,
        _ => size == 4,
    }
}

impl Env<'_> {
    pub(super) fn net_ctx_access(
        &self,
        off: i64,
        size: u32,
        dir: Dir,
        extend: Extend,
    ) -> Checked<Option<Reg>> {
        if off >= 0 && off % size as i64 != 0 && self.prog.kind != ProgType::XDP {
            return Ok(None);
        }
        let view = match self.prog.kind {
            ProgType::SOCKET_FILTER => &SOCKET_FILTER,
            ProgType::CGROUP_SKB => &CGROUP_SKB,
            ProgType::LWT_IN | ProgType::LWT_OUT | ProgType::LWT_XMIT | ProgType::LWT_SEG6LOCAL => &LWT,
            ProgType::SCHED_CLS | ProgType::SCHED_ACT => &TC,
            ProgType::SK_SKB => &SK_SKB,
            ProgType::XDP => return Ok(self.xdp_access(off, size, dir, extend)),
            ProgType::CGROUP_SOCK => return Ok(self.cgroup_sock_access(off, size, dir)),
            ProgType::CGROUP_SOCK_ADDR => return Ok(self.sock_addr_access(off, size, dir)),
            ProgType::SOCK_OPS => return Ok(self.sock_ops_access(off, size, dir)),
            ProgType::SK_MSG => return Ok(sk_msg_access(off, size, dir)),
            ProgType::FLOW_DISSECTOR => return Ok(flow_dissector_access(off, size, dir, extend)),
            ProgType::SK_LOOKUP => return Ok(self.sk_lookup_access(off, size, dir)),
            ProgType::SK_REUSEPORT => return Ok(self.sk_reuseport_access(off, size, dir)),
            ProgType::CGROUP_SOCKOPT => return Ok(self.sockopt_access(off, size, dir)),
            _ => unmodelled!("context of this program type"),
        };
        Ok(self.skb_access(view, off, size, dir, extend))
    }

    fn skb_access(&self, view: &SkbView, off: i64, size: u32, dir: Dir, extend: Extend) -> Option<Reg> {
        let hw = self.profile.release >= Release::new(5, 16);
        let tstamp_type = self.profile.release >= Release::new(5, 18);
        let end = if hw { 192 } else { 184 };
        if off < 0 || off >= end || any(off, view.hidden) {
            return None;
        }
        if dir == Dir::Write && !any(off, view.writable) {
            return None;
        }
        // The type of the time stamp may be read by tc programs alone.
        if off == skb::TSTAMP_TYPE.0 && view.data_meta && tstamp_type {
            return scalar(size == 1);
        }
        let end_of = |s: Span| off + size as i64 <= s.1;
        match off {
            _ if within(off, skb::CB) => scalar(end_of(skb::CB)),
            _ if within(off, skb::DATA) || within(off, skb::DATA_END) || within(off, skb::DATA_META) => {
                if size != 4 || extend == Extend::Sign && self.profile.release >= Release::new(6, 6) {
                    return None;
                }
                match off {
                    76 if view.data => pointer(Base::Packet),
                    80 if view.data => pointer(Base::PacketEnd),
                    140 if view.data_meta => pointer(Base::PacketMeta),
                    _ => scalar(true),
                }
            }
            _ if within(off, skb::REMOTE_IP4) || within(off, skb::LOCAL_IP4) || within(off, skb::IP6) => {
                scalar(size == 4)
            }
            _ if within(off, skb::FLOW_KEYS) => None,
            _ if hw && within(off, skb::HWTSTAMP) => scalar(dir == Dir::Read && size == 8),
            _ if within(off, skb::TSTAMP) => scalar(size == 8),
            _ if within(off, skb::SK) => {
                if dir == Dir::Write || size != 8 {
                    None
                } else {
                    nullable(Base::SockCommon)
                }
            }
            _ if tstamp_type && within(off, skb::TSTAMP_TYPE) => None,
            _ if hw && within(off, skb::PADDING) => None,
            _ if !hw && within(off, (180, 184)) => scalar(dir == Dir::Read && size <= 4),
            _ if hw && !tstamp_type && within(off, (180, 184)) => None,
            _ => scalar(if dir == Dir::Write { size == 4 } else { size <= 4 }),
        }
    }

    /// `struct xdp_md`: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
    fn xdp_access(&self, off: i64, size: u32, dir: Dir, extend: Extend) -> Option<Reg> {
        const DEVMAP: AttachType = AttachType(33);
        if !(0..24).contains(&off) || off % size as i64 != 0 || size != 4 || dir == Dir::Write {
            return None;
        }
        if off == 20 && self.prog.attach != DEVMAP {
            return None;
        }
        let signed = extend == Extend::Sign && self.profile.release >= Release::new(6, 6);
        match off {
            0 | 4 | 8 if signed => None,
            0 => pointer(Base::Packet),
            4 => pointer(Base::PacketEnd),
            8 => pointer(Base::PacketMeta),
            _ => scalar(true),
        }
    }

    fn cgroup_sock_access(&self, off: i64, size: u32, dir: Dir) -> Option<Reg> {
        if !bpf_sock(off, size) {
            return None;
        }
        use AttachType as A;
        let at = self.prog.attach;
        let full = matches!(at, A::CGROUP_INET_SOCK_CREATE | A::CGROUP_INET_SOCK_RELEASE);
        match off {
            0 | 16 | 20 => return scalar(full),
            24..28 if at != A::CGROUP_INET4_POST_BIND => return None,
            28..44 if at != A::CGROUP_INET6_POST_BIND => return None,
            44..48 if !matches!(at, A::CGROUP_INET4_POST_BIND | A::CGROUP_INET6_POST_BIND) => return None,
            _ => {}
        }
        scalar(dir == Dir::Read)
    }

    /// `struct bpf_sock_addr`: user_family 0, user_ip4 4, user_ip6 8, user_port 24, family 28, type 32, protocol 36,
    /// msg_src_ip4 40, msg_src_ip6 44, sk 64.
    fn sock_addr_access(&self, off: i64, size: u32, dir: Dir) -> Option<Reg> {
        use AttachType as A;
        if !(0..72).contains(&off) {
            return None;
        }
        let at = self.prog.attach;
        let ip4 = matches!(
            at,
            A::CGROUP_INET4_BIND
                | A::CGROUP_INET4_CONNECT
                | A::CGROUP_INET4_GETPEERNAME
                | A::CGROUP_INET4_GETSOCKNAME
                | A::CGROUP_UDP4_SENDMSG
                | A::CGROUP_UDP4_RECVMSG
        );
        let ip6 = matches!(
            at,
            A::CGROUP_INET6_BIND
                | A::CGROUP_INET6_CONNECT
                | A::CGROUP_INET6_GETPEERNAME
                | A::CGROUP_INET6_GETSOCKNAME
                | A::CGROUP_UDP6_SENDMSG
                | A::CGROUP_UDP6_RECVMSG
        );
        let allowed = match off {
            4..8 => ip4,
            8..24 => ip6,
            40..44 => at == A::CGROUP_UDP4_SENDMSG,
            44..60 => at == A::CGROUP_UDP6_SENDMSG,
            _ => true,
        };
        if !allowed {
            return None;
        }
        match off {
            4..24 | 24..28 | 40..60 => {
                let wide = |s: Span| size == 8 && within(off, s) && (off - s.0) % 8 == 0 && off + 8 <= s.1;
                let wide = wide((8, 24)) || wide((44, 60));
                scalar(wide || if dir == Dir::Read { size <= 4 } else { size == 4 })
            }
            64..72 => {
                if dir == Dir::Read && size == 8 {
                    pointer(Base::Socket)
                } else {
                    None
                }
            }
            0..4 | 28..40 => scalar(dir == Dir::Read && size == 4),
            _ => None,
        }
    }

    /// `struct bpf_sock_ops`: op 0, reply 4, …, sk_txhash 164, bytes_received 168, bytes_acked 176, sk 184,
    /// skb_data 192, skb_data_end 200, skb_len 208, skb_tcp_flags 212, skb_hwtstamp 216.
    fn sock_ops_access(&self, off: i64, size: u32, dir: Dir) -> Option<Reg> {
        let end = if self.profile.release >= Release::new(6, 2) { 224 } else { 216 };
        if !(0..end).contains(&off) {
            return None;
        }
        if dir == Dir::Write {
            return scalar(matches!(off, 4 | 164) && size == 4);
        }
        match off {
            168..184 => scalar(size == 8),
            184..192 => {
                if size == 8 {
                    nullable(Base::Socket)
                } else {
                    None
                }
            }
            192..200 => {
                if size == 8 {
                    pointer(Base::Packet)
                } else {
                    None
                }
            }
            200..208 => {
                if size == 8 {
                    pointer(Base::PacketEnd)
                } else {
                    None
                }
            }
            212 => scalar(size <= 4),
            216..224 => scalar(size == 8),
            _ => scalar(size == 4),
        }
    }

    /// `struct bpf_sk_lookup`: sk 0 (or cookie), family 8, protocol 12, remote_ip4 16, remote_ip6 20, remote_port 36,
    /// local_ip4 40, local_ip6 44, local_port 60, ingress_ifindex 64.
    fn sk_lookup_access(&self, off: i64, size: u32, dir: Dir) -> Option<Reg> {
        let (end, split_port) =
            if self.profile.release >= Release::new(5, 17) { (72, true) } else { (64, false) };
        if !(0..end).contains(&off) || dir == Dir::Write {
            return None;
        }
        match off {
            0..8 => {
                if size == 8 {
                    nullable(Base::Socket)
                } else {
                    None
                }
            }
            36..38 if split_port => scalar(size == 4 || size <= 2),
            38..40 if split_port => scalar(size <= 2),
            68..72 => None,
            _ => scalar(size <= 4),
        }
    }

    /// `struct sk_reuseport_md`: data 0, data_end 8, len 16, eth_protocol 20, ip_protocol 24, bind_inany 28, hash 32,
    /// sk 40, migrating_sk 48.
    fn sk_reuseport_access(&self, off: i64, size: u32, dir: Dir) -> Option<Reg> {
        let late = self.profile.release >= Release::new(5, 14);
        let end = if late { 56 } else { 40 };
        if !(0..end).contains(&off) || dir == Dir::Write {
            return None;
        }
        match off {
            0 => {
                if size == 8 {
                    pointer(Base::Packet)
                } else {
                    None
                }
            }
            8 => {
                if size == 8 {
                    pointer(Base::PacketEnd)
                } else {
                    None
                }
            }
            32 => scalar(size == 4),
            40 => {
                if size == 8 {
                    pointer(Base::Socket)
                } else {
                    None
                }
            }
            48 => {
                if size == 8 {
                    nullable(Base::SockCommon)
                } else {
                    None
                }
            }
            20..24 => scalar((2..=4).contains(&size)),
            16..20 | 24..32 => scalar(size <= 4),
            _ => None,
        }
    }

    /// `struct bpf_sockopt`: sk 0, optval 8, optval_end 16, level 24, optname 28, optlen 32, retval 36.
    fn sockopt_access(&self, off: i64, size: u32, dir: Dir) -> Option<Reg> {
        use AttachType as A;
        if !(0..40).contains(&off) {
            return None;
        }
        let (get, set) = (self.prog.attach == A::CGROUP_GETSOCKOPT, self.prog.attach == A::CGROUP_SETSOCKOPT);
        if dir == Dir::Write {
            return scalar(match off {
                36 => size == 4 && get,
                32 => size == 4,
                28 | 24 => size == 4 && set,
                _ => false,
            });
        }
        match off {
            0 => {
                if size == 8 {
                    pointer(Base::Socket)
                } else {
                    None
                }
            }
            8 => {
                if size == 8 {
                    pointer(Base::Packet)
                } else {
                    None
                }
            }
            16 => {
                if size == 8 {
                    pointer(Base::PacketEnd)
                } else {
                    None
                }
            }
            36 => scalar(size == 4 && get),
            // The lower halves of the pointers were let through before 6.13, to be refused when rewritten.
            1..24 => None,
            _ => scalar(size == 4),
        }
    }
}

/// `struct sk_msg_md`: data 0, data_end 8, family 16 to local_port 64, size 68, sk 72.
fn sk_msg_access(off: i64, size: u32, dir: Dir) -> Option<Reg> {
    if dir == Dir::Write {
        return None;
    }
    match off {
        0..8 => {
            if size == 8 {
                pointer(Base::Packet)
            } else {
                None
            }
        }
        8..16 => {
            if size == 8 {
                pointer(Base::PacketEnd)
            } else {
                None
            }
        }
        16..72 => scalar(size == 4),
        72..80 => {
            if size == 8 {
                pointer(Base::Socket)
            } else {
                None
            }
        }
        _ => None,
    }
}

fn flow_dissector_access(off: i64, size: u32, dir: Dir, extend: Extend) -> Option<Reg> {
    if dir == Dir::Write || !(0..192).contains(&off) {
        return None;
    }
    let plain = size == 4 && extend == Extend::Zero;
    match off {
        76..80 => {
            if plain {
                pointer(Base::Packet)
            } else {
                None
            }
        }
        80..84 => {
            if plain {
                pointer(Base::PacketEnd)
            } else {
                None
            }
        }
        144..152 => {
            if size == 8 {
                pointer(Base::FlowKeys)
            } else {
                None
            }
        }
        _ => None,
    }
}
