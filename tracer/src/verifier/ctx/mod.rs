//! What a program may read and write of its context, by program type.
//!
//! The `is_valid_access` functions (net/core/filter.c, kernel/trace/bpf_trace.c, kernel/bpf/cgroup.c and others) as
//! tables: [`net`] for contexts whose accesses are rewritten field by field, [`tracing`] for raw arguments.

mod net;
mod raw_tp;
mod tracing;

pub(super) use self::tracing::Target;
use self::tracing::raw_slot;
use super::env::Env;
use super::explore::Extend;
use super::feature::Feature;
use super::memory::Dir;
use super::program::ProgType;
use super::reg::{Base, Reg};
use super::report::{Checked, reject, unmodelled};

pub(super) use net::sock_access;

impl Env<'_> {
    /// True if the kernel rewrites this program type's accesses to its context.
    pub(super) fn converts_ctx(&self) -> bool {
        !matches!(
            self.prog.kind,
            ProgType::KPROBE
                | ProgType::TRACEPOINT
                | ProgType::RAW_TRACEPOINT
                | ProgType::RAW_TRACEPOINT_WRITABLE
                | ProgType::TRACING
                | ProgType::LSM
                | ProgType::STRUCT_OPS
                | ProgType::EXT
                | ProgType::SYSCALL
                | ProgType::NETFILTER
                | ProgType::LIRC_MODE2
                | ProgType::CGROUP_DEVICE
        )
    }

    /// Padding of a context may be read as far as the walk is concerned, but the rewriting of accesses that follows it
    /// finds no field there (`convert_ctx_accesses()`).
    pub(super) fn check_conversion(&self) -> Checked {
        let has_padding = self.profile.release < super::profile::Release::new(5, 16);
        if !has_padding || !net::reads_skb(self.prog.kind) {
            return Ok(());
        }
        for (insn, aux) in self.insns.iter().zip(&self.aux) {
            let through_ctx = aux.ptr_type.is_some_and(|t| t.is(Base::Ctx));
            if through_ctx && net::SKB_UNCONVERTED.contains(&insn.off) {
                reject!(Misconfigured, "bpf verifier is misconfigured");
            }
        }
        Ok(())
    }

    /// What an access to the context yields; `None` if it is not allowed.
    pub(super) fn ctx_access(&self, off: i64, size: u32, dir: Dir, extend: Extend) -> Checked<Option<Reg>> {
        let scalar = |ok: bool| Ok(ok.then_some(Reg::UNKNOWN));
        let aligned = off.rem_euclid(size as i64) == 0;
        let s = size as i64;
        match self.prog.kind {
            ProgType::KPROBE => {
                const SIZE_OF_PT_REGS: i64 = 168;
                let writes = self.has(Feature::KprobeWrites);
                scalar(off >= 0 && off + s <= SIZE_OF_PT_REGS && (dir == Dir::Read || writes) && aligned)
            }
            ProgType::TRACEPOINT => {
                let max =
                    if self.profile.release >= super::profile::Release::new(5, 16) { 8192 } else { 2048 };
                // `tp_prog_is_valid_access()` compares a negative offset as a huge one. Of a context that was moved, it is
                // refused before.
                let before = off < 0;
                scalar((before || (8..max).contains(&off)) && dir == Dir::Read && aligned)
            }
            ProgType::PERF_EVENT => {
                const REGS: i64 = 168;
                let ok = match off {
                    _ if !(0..REGS + 16).contains(&off) || dir == Dir::Write || !aligned => false,
                    _ if off >= REGS => s <= 8,
                    _ => s == 8,
                };
                scalar(ok)
            }
            ProgType::RAW_TRACEPOINT => scalar(raw_slot(off, size, dir)),
            ProgType::RAW_TRACEPOINT_WRITABLE => {
                if off == 0 {
                    if size != 8 || dir == Dir::Write {
                        return Ok(None);
                    }
                    return Ok(Some(Reg::pointer(
                        super::reg::Type::plain(Base::TpBuffer),
                        super::memory::NO_DATA,
                    )));
                }
                scalar(raw_slot(off, size, dir))
            }
            ProgType::TRACING | ProgType::LSM => self.btf_ctx_access(off, size, dir),
            ProgType::SYSCALL => {
                const MAX_SYSCALL_CTX: i64 = 65535;
                scalar((0..MAX_SYSCALL_CTX).contains(&off) && aligned)
            }
            ProgType::CGROUP_DEVICE => scalar(self.cgroup_dev_access(off, size, dir)),
            ProgType::CGROUP_SYSCTL => scalar(cgroup_sysctl_access(off, size, dir)),
            ProgType::STRUCT_OPS => {
                let reg = self.btf_ctx_access(off, size, dir)?;
                let arg = self.argument_at(off);
                self.struct_ops_arg(arg, reg)
            }
            ProgType::EXT => unmodelled!("extension programs"),
            ProgType::LIRC_MODE2 => scalar(off == 0 && size == 4 && dir == Dir::Read),
            ProgType::NETFILTER => self.netfilter_access(off, size, dir),
            _ => self.net_ctx_access(off, size, dir, extend),
        }
    }

    fn cgroup_dev_access(&self, off: i64, size: u32, dir: Dir) -> bool {
        if dir == Dir::Write || !(0..12).contains(&off) || off % size as i64 != 0 {
            return false;
        }
        // access_type may be read in parts; major and minor only whole.
        if off < 4 { matches!(size, 1 | 2 | 4) } else { size == 4 }
    }

    fn netfilter_access(&self, off: i64, size: u32, dir: Dir) -> Checked<Option<Reg>> {
        use super::reg::{BtfOf, Data, Flags, Type};
        if dir == Dir::Write || size != 8 {
            return Ok(None);
        }
        let name = match off {
            0 => "nf_hook_state",
            8 => "sk_buff",
            _ => return Ok(None),
        };
        let Some(id) = self.profile.kernel_struct(name) else { unmodelled!("netfilter without BTF") };
        Ok(Some(Reg::pointer(Type::new(Base::BtfId, Flags::TRUSTED), Data::Btf { of: BtfOf::Kernel, id })))
    }
}

/// `struct bpf_sysctl { write, file_pos }`.
fn cgroup_sysctl_access(off: i64, size: u32, dir: Dir) -> bool {
    if !(0..8).contains(&off) || off % size as i64 != 0 {
        return false;
    }
    match (off, dir) {
        (0..4, Dir::Write) => false,
        (0..4, Dir::Read) => size <= 4,
        (_, Dir::Read) => size <= 4,
        (_, Dir::Write) => size == 4,
    }
}
