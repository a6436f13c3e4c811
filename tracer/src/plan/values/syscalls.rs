//! The system calls of x86-64: numbers, names, and their arguments as the kernel declares them.
//!
//! The table is made of the formats of the events `syscalls:sys_enter_*` of 5.10, 6.12 and 7.2, the newest first, and
//! of the numbers in arch/x86/entry/syscalls/syscall_64.tbl: `NUMBER NAME KERNEL_NAME(ARGUMENTS)`.

use std::sync::LazyLock;

use tracer_common::probe::source;

use super::named;
use super::walk::{From, Root, Ty};
use crate::verifier::btf::Btf;

/// One system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syscall {
    pub number: u32,
    /// As programs know it: `fstat`.
    pub name: &'static str,
    /// As the kernel calls its function: `newfstat`.
    pub kernel_name: &'static str,
    /// Types and names.
    pub arguments: Vec<(&'static str, &'static str)>,
}

static TABLE: LazyLock<Vec<Syscall>> =
    LazyLock::new(|| include_str!("syscalls.txt").lines().filter_map(entry).collect());

fn entry(line: &'static str) -> Option<Syscall> {
    let (number, rest) = line.split_once(' ')?;
    let (name, rest) = rest.split_once(' ')?;
    let (kernel_name, arguments) = rest.strip_suffix(')')?.split_once('(')?;
    let arguments = arguments.split(", ").filter_map(|argument| argument.rsplit_once(' ')).collect();
    Some(Syscall { number: number.parse().ok()?, name, kernel_name, arguments })
}

/// All of them, by number.
pub fn all() -> &'static [Syscall] {
    &TABLE
}

/// The one that programs, or else the kernel, call so.
pub fn by_name(name: &str) -> Option<&'static Syscall> {
    TABLE.iter().find(|syscall| syscall.name == name).or_else(|| by_kernel_name(name))
}

/// The one whose function is called `__x64_sys_NAME`.
pub fn by_kernel_name(name: &str) -> Option<&'static Syscall> {
    TABLE.iter().find(|syscall| syscall.kernel_name == name)
}

impl Syscall {
    /// `openat(int dfd, const char *filename, int flags, umode_t mode)`.
    pub fn signature(&self) -> String {
        let arguments: Vec<String> =
            self.arguments.iter().map(|(c_type, name)| super::c_type::declared(c_type, name)).collect();
        let arguments = if arguments.is_empty() { "void".to_owned() } else { arguments.join(", ") };
        format!("long {}({arguments})", self.name)
    }

    /// The arguments as the caller gave them.
    pub fn arguments(&self, btf: Option<&Btf>) -> Vec<Root> {
        self.roots(btf, |number| From::Hand { source: source::ARGUMENT, index: number as u8 })
    }

    /// The arguments in the registers that the first argument of `__x64_sys_*` points to.
    pub(super) fn in_pt_regs(&self, btf: &Btf) -> Vec<Root> {
        /// di, si, dx, r10, r8, r9 in `struct pt_regs`.
        const OFFSETS: [u32; 6] = [112, 104, 96, 56, 72, 64];
        self.roots(Some(btf), |number| From::Memory {
            source: source::ARGUMENT,
            index: 0,
            offset: OFFSETS[number],
        })
    }

    fn roots(&self, btf: Option<&Btf>, from: impl Fn(usize) -> From) -> Vec<Root> {
        let root = |(number, (c_type, name)): (usize, &(&str, &str))| Root {
            name: (*name).to_owned(),
            c_type: (*c_type).to_owned(),
            from: from(number),
            what: named::ty(btf, c_type, None),
            user: true,
            at_return: false,
            result: false,
            text: is_text(c_type, name),
        };
        self.arguments.iter().take(6).enumerate().map(root).collect()
    }

    /// The result: an errno, if it is a small negative number.
    pub fn result() -> Root {
        Root {
            name: "retval".to_owned(),
            c_type: "long".to_owned(),
            from: From::Hand { source: source::RESULT, index: 0 },
            what: Ty::Number { size: 8, signed: true },
            user: false,
            at_return: true,
            result: true,
            text: false,
        }
    }
}

/// An argument that the kernel reads as a text that ends with NUL. Where `char *` is not const, the kernel fills it, but
/// for the few of mount(2).
pub(super) fn is_text(c_type: &str, name: &str) -> bool {
    const FILLED: [&str; 4] = ["dev_name", "dir_name", "type", "filename"];
    let constant = c_type.starts_with("const char *") && !c_type.contains("const *");
    !super::calls::is_buffer(name) && (constant || FILLED.contains(&name))
}
