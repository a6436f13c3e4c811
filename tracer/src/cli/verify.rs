//! Syntax of `tracer verify`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  tracer verify prog.bpf.o                                   the running kernel
  tracer verify --kernel 5.10,6.1,6.12 prog.bpf.o            a table: program by kernel
  tracer verify --kernel 6.8 --btf vmlinux.btf prog.bpf.o    any kernel, by its /sys/kernel/btf/vmlinux
  tracer verify --kernel-image /boot/vmlinuz-6.1 prog.bpf.o  a kernel that is not running
  tracer verify --format json - < prog.bpf.o                 a line of JSON for each program and kernel

Exit status:
  0  every program is accepted by every kernel
  1  an input could not be read
  2  the command line makes no sense
  3  this host's own kernel cannot be described (name another with --kernel)
  4  a program is rejected
  6  none is rejected, but the model cannot tell for at least one";

/// Arguments of `tracer verify`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Try 'tracer verify --help' for examples.", after_long_help = EXAMPLES)]
pub struct VerifyArgs {
    /// The kernel to judge for, such as 6.12 (may be repeated); the running one by default
    #[arg(long, value_name = "VERSION", value_delimiter = ',')]
    pub kernel: Vec<String>,

    /// That kernel's BTF, as its /sys/kernel/btf/vmlinux shows it
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,

    /// A kernel image to judge for: version, BTF and configuration are read out of it (may be repeated)
    #[arg(long, value_name = "FILE")]
    pub kernel_image: Vec<PathBuf>,

    /// Only the program of this name (may be repeated)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub program: Vec<String>,

    /// How to write the answer
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: VerifyFormat,

    /// Say also how much work each verification was, in the kernel's terms
    #[arg(long)]
    pub stats: bool,

    /// BPF object files; '-' is standard input
    #[arg(required = true, value_name = "OBJECT")]
    pub objects: Vec<PathBuf>,
}

/// Forms of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum VerifyFormat {
    #[default]
    Text,
    Json,
}
