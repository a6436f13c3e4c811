//! What a kernel's bpf() can take, as far as it changes what a loader hands over.
//!
//! libbpf probes a running kernel for each of these; here they come from the version in which they appeared.
//! They are about loading alone: what the verifier accepts is the profile's business.

use crate::verifier::btf::{BtfRules, Rule};

/// A kernel release, `5.10.223`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KernelVersion {
    pub major: u16,
    pub minor: u16,
    pub patch: u16,
}

impl KernelVersion {
    pub const fn new(major: u16, minor: u16, patch: u16) -> KernelVersion {
        KernelVersion { major, minor, patch }
    }

    /// As `LINUX_VERSION_CODE`: the patch level stops at 255.
    pub fn code(self) -> u32 {
        (u32::from(self.major) << 16) | (u32::from(self.minor) << 8) | u32::from(self.patch.min(255))
    }
}

/// Abilities of one kernel's bpf(). Fields are public: a caller that probed knows better than the version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KernelFeatures {
    pub version: KernelVersion,
    /// `expected_attach_type` of BPF_PROG_LOAD (4.17).
    pub expected_attach_type: bool,
    /// System calls enter through `__x64_sys_*` (4.17; LINUX_HAS_SYSCALL_WRAPPER).
    pub syscall_wrapper: bool,
    /// BTF and func_info (5.0).
    pub btf_func: bool,
    /// BTF_KIND_VAR and BTF_KIND_DATASEC (5.2).
    pub btf_datasec: bool,
    /// bpf_probe_read_{kernel,user}[_str] (5.5).
    pub probe_read_kernel: bool,
    /// BPF_F_MMAPABLE (5.5).
    pub array_mmap: bool,
    /// BTF_FUNC_GLOBAL (5.6).
    pub btf_global_func: bool,
    /// A DATASEC without variables (5.11).
    pub btf_empty_datasec: bool,
    /// BTF_KIND_FLOAT (5.13).
    pub btf_float: bool,
    /// bpf_get_attach_cookie (5.15; LINUX_HAS_BPF_COOKIE).
    pub bpf_cookie: bool,
    /// BTF_KIND_DECL_TAG (5.16).
    pub btf_decl_tag: bool,
    /// BTF_KIND_TYPE_TAG (5.17).
    pub btf_type_tag: bool,
    /// BTF_KIND_ENUM64 (6.0).
    pub btf_enum64: bool,
    /// BPF_TRACE_UPROBE_MULTI (6.6).
    pub uprobe_multi: bool,
    /// `arg:ctx` on global subprograms (6.8).
    pub arg_ctx_tag: bool,
    /// DATASEC names that start with `?` (6.9).
    pub btf_question_mark_datasec: bool,
    /// Tags with any attribute (6.15).
    pub btf_attribute_tags: bool,
}

impl KernelFeatures {
    /// What this kernel's check of BTF allows.
    pub fn btf_rules(&self) -> BtfRules {
        let rule = |allowed| {
            if allowed { Rule::Allowed } else { Rule::Refused }
        };
        BtfRules {
            empty_datasec: rule(self.btf_empty_datasec),
            attribute_tags: rule(self.btf_attribute_tags),
        }
    }

    /// What a mainline kernel of this version has.
    pub fn of(version: KernelVersion) -> KernelFeatures {
        let since = |major, minor| version >= KernelVersion::new(major, minor, 0);
        KernelFeatures {
            version,
            expected_attach_type: since(4, 17),
            syscall_wrapper: since(4, 17),
            btf_func: since(5, 0),
            btf_datasec: since(5, 2),
            probe_read_kernel: since(5, 5),
            array_mmap: since(5, 5),
            btf_global_func: since(5, 6),
            btf_empty_datasec: since(5, 11),
            btf_float: since(5, 13),
            bpf_cookie: since(5, 15),
            btf_decl_tag: since(5, 16),
            btf_type_tag: since(5, 17),
            btf_enum64: since(6, 0),
            uprobe_multi: since(6, 6),
            arg_ctx_tag: since(6, 8),
            btf_question_mark_datasec: since(6, 9),
            btf_attribute_tags: since(6, 15),
        }
    }
}
