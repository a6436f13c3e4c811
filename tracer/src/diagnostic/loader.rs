//! What keeps a program from ever reaching the verifier: the loader gives up, on this kernel or on all.

use super::{Diagnostic, Suggestion};
use crate::object::{Map, ObjectError};

/// The kinds of refusal that are not the verifier's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoaderKind {
    /// The program needs what this kernel does not have: a type, a member, a symbol, a function, a map type.
    MissingOnKernel,
    /// A map cannot be created.
    MapNotCreated,
    /// The program cannot be prepared for loading.
    NotLoadable,
}

impl LoaderKind {
    /// Every kind.
    pub const ALL: &[LoaderKind] =
        &[LoaderKind::MissingOnKernel, LoaderKind::MapNotCreated, LoaderKind::NotLoadable];

    /// The stable snake_case code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::MissingOnKernel => "missing_on_kernel",
            Self::MapNotCreated => "map_not_created",
            Self::NotLoadable => "not_loadable",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::MissingOnKernel => "this kernel lacks what the program needs",
            Self::MapNotCreated => "this kernel cannot create a map that the program uses",
            Self::NotLoadable => "the program cannot be prepared for loading",
        }
    }

    const fn why(self) -> &'static str {
        match self {
            Self::MissingOnKernel => {
                "Types, members, symbols and functions of the kernel are looked up in its BTF when the program is \
                 loaded. What is not there, and not declared as optional, ends the load; an access that depends on it \
                 is replaced by one that the verifier refuses if it can be reached. (The kernel's own BTF was looked at, \
                 not that of its modules.)"
            }
            Self::MapNotCreated => {
                "A loader creates all maps of an object before its programs: one that this kernel refuses ends the load."
            }
            Self::NotLoadable => {
                "A loader finds out what a program is from its section's name, its BTF and its relocations. Here they \
                 do not say enough, or contradict each other, so bpf() is never called."
            }
        }
    }

    fn suggestion(self) -> Suggestion {
        let (rust, c) = match self {
            Self::MissingOnKernel => (
                "Decide by a read-only global that user space sets after a look at the kernel's BTF: what is off is \
                 dead code for the verifier. Load programs for some kernels alone only there.",
                "if (bpf_core_field_exists(task->member)) ...      /* bpf_core_type_exists(), __weak externs */\n\
                 bpf_program__set_autoload(prog, false);           /* for programs that not all kernels take */",
            ),
            Self::MapNotCreated => (
                "Use a map type and flags that the oldest kernel has (a PerfEventArray before 5.8, where there is no \
                 RingBuf).",
                "Use a map type and flags that the oldest kernel has; bpf_map__set_autocreate(map, false) where it lacks it.",
            ),
            Self::NotLoadable => (
                "Name the target in the macro (#[fentry(function = \"...\")], #[tracepoint(...)]), and build with BTF \
                 (debuginfo=2, `-C link-arg=--btf`).",
                "Give the section a name that libbpf knows (SEC(\"fentry/do_unlinkat\")), and compile with -g.",
            ),
        };
        Suggestion { rust: rust.into(), c: c.into() }
    }
}

/// A refusal of this kind, with the loader's words.
pub(super) fn diagnostic(kind: LoaderKind, message: String) -> Diagnostic {
    Diagnostic {
        kind: kind.code(),
        title: kind.title().into(),
        message,
        insn: None,
        source: None,
        path: Vec::new(),
        explanation: kind.why().into(),
        suggestion: Some(kind.suggestion()),
    }
}

/// What a loader's error is, seen from `tracer verify`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoaderAnswer {
    /// This kernel does not get the program to see.
    Refused(Box<Diagnostic>),
    /// Whether it does depends on what is not known of the kernel: this.
    Unknown(&'static str),
    /// The fault is the file's own, and no kernel's verdict.
    BadInput,
}

/// Why an object, or one of its programs, cannot be prepared for a kernel.
pub fn of_loader_error(error: &ObjectError) -> LoaderAnswer {
    let kind = match error {
        ObjectError::Extern { reason, .. } if reason.contains("configuration is not known") => {
            return LoaderAnswer::Unknown("the kernel's configuration");
        }
        ObjectError::Extern { .. } => LoaderKind::MissingOnKernel,
        ObjectError::Map { .. } => LoaderKind::MapNotCreated,
        ObjectError::Function { reason, .. } if reason.contains("the kernel has no") => {
            LoaderKind::MissingOnKernel
        }
        ObjectError::Function { .. } => LoaderKind::NotLoadable,
        _ => return LoaderAnswer::BadInput,
    };
    LoaderAnswer::Refused(Box::new(diagnostic(kind, error.to_string())))
}

/// A map of a type that is newer than the kernel.
pub fn unknown_map_type(map: &Map) -> Diagnostic {
    let message = format!("map '{}': this kernel has no map type {}", map.name, map.map_type.0);
    diagnostic(LoaderKind::MapNotCreated, message)
}
